"""The best gamma and its speed-up, of numbers, laws, records, an engine's log or a named pair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import parts
from ..answer import Answer
from ..table import Table, percent, span, sure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..calibrate.doors.acceptance import AcceptanceSource
    from ..calibrate.doors.costs import CostSource, PlainTimes
    from ..calibrate.library.evidence import Measurement
    from ..sim.known import KnownDrafts
    from ..sim.next_measurement import Next
    from ..sim.pair import PairPrediction
    from ..theory.interval import Interval


@dataclass(frozen=True, repr=False)
class Prediction(Answer):
    """The best number of draft tokens and its speed-up; see `howspec.predict`.

    found: laws and numbers behind it; inputs: what was asked.
    """

    SCHEMA = "prediction"
    VERSION = 2

    found: PairPrediction
    inputs: Mapping[str, object]

    @property
    def gamma(self) -> int:
        """Best whole number of draft tokens, 0 for plain decoding [token]."""
        return self.found.prediction.gamma

    @property
    def speedup(self) -> Interval:
        """Speed over that of plain decoding, at the best gamma [1]."""
        return self.found.prediction.speedup

    @property
    def pays(self) -> bool:
        """Whether speculation is worth turning on."""
        return self.found.pays

    @property
    def published(self) -> tuple[Measurement, ...]:
        """Measured rows of the very pair and device that the prediction rests on."""
        known = self.found.laws.published
        return () if known is None else known.rows

    @property
    def notes(self) -> tuple[str, ...]:
        return self.found.notes

    def _next(self) -> Next | None:
        import numpy as np

        said = self.found.prediction
        if np.array_equal(said.low_by_gamma, said.high_by_gamma):  # stated numbers: all is known
            return None
        from ..sim.next_measurement import next_of_pair

        return next_of_pair(
            self.found.laws, objective=self.found.prediction.objective, level=self.speedup.level
        )

    def data(self) -> Mapping[str, object]:
        found, said = self.found, self.found.prediction
        more: dict[str, object] = {}
        if found.at_gamma is not None:
            now = found.at_gamma
            more["at_gamma"] = {
                "gamma": now.gamma, "estimate": now.speedup.estimate, "low": now.speedup.low,
                "high": now.speedup.high, "level": now.speedup.level, "loss": now.loss,
            }  # fmt: skip
        if found.if_it_fitted is not None:
            other = found.if_it_fitted
            more["if_it_fitted"] = {"gamma": other.gamma, "speedup": other.speedup}
        return {
            **parts.prediction_entry(said, pays=found.pays, break_even=found.break_even_alpha),
            **parts.stakes_entry(said), "near_best": found.near_best,
            "expected_measurement": found.expected_measurement, "plain": found.plain,
            "speculative": found.speculative,
            "published": self.published, "parts": parts.parts_entry(found.laws, found),
            "pair": parts.pair_entry(found.laws.pair),
            "inputs": self.inputs, "notes": self.notes, **more,
        }  # fmt: skip

    @property
    def runs(self) -> bool:
        """Whether the target by itself fits, where its device is known."""
        memory = self.found.laws.costs.memory
        return memory is None or memory.target_bytes < memory.usable_bytes

    def headline(self) -> str:
        said, found = self.found.prediction, self.found
        if said.gamma == 0:
            if not self.runs:
                return f"NO: {self.notes[0]}"
            line = self.notes[0] if found.if_it_fitted is not None else "plain decoding is fastest"
            return f"NO: do not speculate (gamma 0): {line}"
        speedup, flat = said.speedup, parts.optimum(said)
        if speedup.exact:
            exact = f"speed-up {speedup.estimate:.3f} (exact for these numbers; {flat})"
            return f"gamma {parts.or_more(said)}, {exact}"
        known = sure(speedup)
        if speedup.low < 1.0:
            known += f", above 1 with probability {percent(said.probability_gain)}"
        return (
            f"gamma {parts.or_more(said)}, {self._near()}, speed-up {speedup.estimate:.3f} "
            f"({known}; {flat}; {parts.stake(said.regret)})"
        )

    def _near(self) -> str:
        """How safe the choice is: by the draws, or how often choices from names came near."""
        known = self.found.near_best
        if known is None:
            return parts.safe(self.found.prediction.within)
        return f"within 5 % of the best in {percent(known.rate)} of cases like it"

    def blocks(self) -> Iterator[str | Table]:
        found, said = self.found, self.found.prediction
        exact = said.speedup.exact and found.if_it_fitted is None
        laws = found.laws
        if not (exact and laws.acceptance.kind == laws.costs.kind == "stated"):
            yield from parts.part_lines(found.laws, found.alpha, found.cost_ratio)
        yield parts.by_gamma_table(said, 0, exact=exact)
        if not exact:
            yield parts.objective_line(said.objective)
        if found.near_best is not None and said.gamma:
            yield parts.near_line(found.near_best)
        if self.runs and found.plain is not None and found.speculative is not None:
            yield parts.speed_table(
                found.plain, found.speculative, said.gamma, found.laws.pair.at.batch
            )
        if found.at_gamma is not None:
            now = found.at_gamma
            line = (
                f"at gamma {now.gamma}: speed-up {now.speedup.estimate:.3f} ({sure(now.speedup)})"
            )
            best = "the best" if now.gamma == said.gamma else ""
            below = f"{100 * abs(now.loss):.1f} % {'below' if now.loss >= 0 else 'above'} gamma "
            below += f"{said.gamma}" + ("" if now.loss >= 0 else ", with more to lose")
            yield f"{line}, {best or below}"
        if found.break_even_alpha is not None:
            yield parts.break_even_line(found.break_even_alpha)
        if found.expected_measurement is not None:
            lands = found.expected_measurement
            yield (
                f"a measurement: {span(lands, 2)} ({100 * lands.level:g} %), by what published "
                "studies reach of the speed-up that their own numbers give"
            )

    def draw(self) -> Figure:
        """Speed-up against gamma, with its band and the best gamma."""
        from ..figures.answers import gamma_curve

        return gamma_curve(self.found.prediction, title=_title(self.inputs))


def _title(inputs: Mapping[str, object]) -> str:
    names = [inputs.get("target"), inputs.get("draft")]
    named = " + ".join(str(n) for n in names if n is not None)
    return ", ".join(str(p) for p in (named or None, inputs.get("device")) if p is not None)


def predict(
    *,
    target: str | None = None,
    draft: str | None = None,
    device: str | None = None,
    acceptance: AcceptanceSource = None,
    costs: CostSource = None,
    acceptance_length: str | float | None = None,
    gamma: int | None = None,
    alpha_tokens: float | None = None,
    decay: float = 1.0,
    verify_slope: float = 0.0,
    overhead: float = 0.0,
    plain_ms: PlainTimes = None,
    known_draft: KnownDrafts = None,
    task: str | None = None,
    temperature: float | None = None,
    tuned: bool = False,
    batch: float = 1.0,
    context: float | None = None,
    dtype: str = "",
    draft_dtype: str = "",
    stack: str | None = None,
    p_min: float | None = None,
    gamma_max: int | None = None,
    objective: str | None = None,
    level: float = 0.9,
    seed: int = 0,
    online: bool = False,
    price_per_hour: float | None = None,
    power_w: float | None = None,
) -> Prediction:
    """Predict the best number of draft tokens and its speed-up, with an interval.

    target, draft, device: names; what is not given of acceptance and costs is predicted for them.
    acceptance, costs: what is known, see `howspec.acceptance` and `howspec.costs`; or
    acceptance_length at gamma. alpha_tokens: draft tokens behind a stated acceptance, which then
    updates the prediction. decay: of a stated alpha with depth; verify_slope, overhead: beside a
    stated cost ratio, in plain steps. plain_ms: plain time per token that predicted costs are to
    meet, see `howspec.costs`; known_draft: what drafts gave on this machine, DRAFT:K:SPEEDUP or
    {(draft, K): speed-up}, of this draft or of others. task, temperature, tuned, batch, context
    (cached tokens of a sequence, default 1000), dtype, draft_dtype, stack: of the deployment;
    p_min: confidence below which a draft ends early, as llama.cpp's did by default until May 2026
    (0.75). gamma_max:
    largest gamma tried; objective: what is asked of it, one of safe (least loss in the worst tenth
    of cases; the default), latency (a fixed amount of work), throughput (a fixed time), regret
    (least expected loss), energy and price; see `howspec.sim.choice`. level: of intervals; seed: of
    draws; online: look up unknown models on the hub.
    price_per_hour, power_w: of all devices, for price and energy a token.
    Raises ValueError with one line for anything that cannot be, OSError for unreadable files.

    >>> import howspec as hs
    >>> hs.predict(acceptance=0.8, costs=0.05)
    <Prediction: gamma 8, speed-up 3.092 (exact for these numbers; flat: 7-9 within 1 %); 1 note>
    """
    inputs = parts.asked(locals(), predict)
    from ..calibrate.doors import Deployment
    from ..sim.choice import check_objective
    from ..sim.known import Sources
    from ..sim.laws import both_laws
    from ..sim.pair import Rates, predict_pair
    from ..theory.interval import check_level

    check_level(level)
    goal = check_objective(objective)
    at = Deployment(
        target, draft, device, dtype, draft_dtype, stack, batch, context, task, temperature, tuned,
        online, p_min=p_min,
    )  # fmt: skip
    given = Sources(
        acceptance, acceptance_length, gamma, alpha_tokens, decay, costs, verify_slope, overhead,
        plain_ms=plain_ms, known_draft=known_draft,
    )  # fmt: skip
    laws = both_laws(at, given, gamma_max=gamma_max, seed=seed)
    rates = Rates(price_per_hour, power_w)
    found = predict_pair(laws, objective=goal, level=level, gamma=gamma, rates=rates)
    return Prediction(found, {**inputs, "gamma_max": laws.gamma_max})
