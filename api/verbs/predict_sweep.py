"""The best gamma of measured sweeps: what another measurement would show at every gamma."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import parts
from ..answer import Answer
from ..table import Column, Table, estimate, span, sure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..sim.next_measurement import Next
    from ..sim.sweep_answer import SweepPrediction as Found
    from ..theory.interval import Interval


@dataclass(frozen=True, repr=False)
class SweepPrediction(Answer):
    """The best gamma of a measured sweep; see `howspec.predict_sweep`.

    found: one a draft and workload, fastest first; the answer is the first.
    """

    SCHEMA = "sweep_prediction"
    VERSION = 2

    found: tuple[Found, ...]
    inputs: Mapping[str, object]

    @property
    def gamma(self) -> int:
        """Best whole number of draft tokens, 0 for plain decoding [token]."""
        return self.found[0].prediction.gamma

    @property
    def speedup(self) -> Interval:
        """Speed over that of plain decoding at the best gamma, of another measurement."""
        return self.found[0].prediction.speedup

    @property
    def draft(self) -> str:
        """The fastest draft."""
        return self.found[0].draft

    @property
    def notes(self) -> tuple[str, ...]:
        best = self.found[0]
        more = []
        if best.break_even_alpha is None and not best.relative_to:
            more.append(f"at these costs no acceptance makes a gamma up to {best.gamma_max} pay")
        return tuple(dict.fromkeys((*best.prediction.notes, *best.notes, *more)))

    def _next(self) -> Next | None:
        from ..sim.next_measurement import next_of_sweep

        return next_of_sweep(self.found[0])

    def data(self) -> Mapping[str, object]:
        best, said = self.found[0], self.found[0].prediction
        more: dict[str, object] = {}
        if len(self.found) > 1:
            more["drafts"] = [
                {
                    "draft": f.draft, "workload": f.workload, "gamma": f.prediction.gamma,
                    "speedup": f.prediction.speedup, "gamma_window": f.prediction.gamma_window,
                }
                for f in self.found
            ]  # fmt: skip
        return {
            **parts.prediction_entry(said, pays=said.gamma > 0, break_even=best.break_even_alpha),
            **parts.stakes_entry(said, "median of a measurement"),
            "target": best.target, "draft": best.draft, "workload": best.workload,
            "parameters": best.parameters, "measured_speedup": best.measured_speedup,
            "tokens_per_round": best.tokens_by_gamma, "fitted_to": best.fitted_to,
            "parts": {"acceptance": "measured", "cost": "measured"},
            "inputs": self.inputs, "notes": self.notes, **more,
        }  # fmt: skip

    def headline(self) -> str:
        said = self.found[0].prediction
        with_draft = f"draft with {self.draft}: " if self.draft != "draft" else ""
        if said.gamma == 0:
            return f"{with_draft}NO: do not speculate (gamma 0): plain decoding is fastest"
        sure_enough = "" if said.within > 0.995 else f"; {parts.safe(said.within)}"
        over = self.found[0].relative_to
        beyond = f" over gamma {over}" if over else ""
        return (
            f"{with_draft}gamma {said.gamma}, speed-up {said.speedup.estimate:.3f}{beyond} "
            f"({sure(said.speedup)}; {parts.optimum(said)}{sure_enough})"
        )

    def blocks(self) -> Iterator[str | Table]:
        best, said = self.found[0], self.found[0].prediction
        yield parts.by_gamma_table(
            said, 1 if best.relative_to else 0, measured=best.measured_speedup
        )
        if len(self.found) > 1:
            others = self.found
            yield Table((
                Column("draft", [f.draft for f in others]),
                Column("workload", [f.workload for f in others]),
                Column("gamma", [f.prediction.gamma for f in others]),
                Column("speed-up", [f.prediction.speedup for f in others], estimate),
                Column("interval", [f.prediction.speedup for f in others], span),
            ))  # fmt: skip
        if best.break_even_alpha is not None:
            yield parts.break_even_line(best.break_even_alpha)

    def draw(self) -> Figure:
        """Speed-up against gamma, with the measured points."""
        from ..figures.answers import gamma_curve

        best = self.found[0]
        title = f"{best.target} + {best.draft}"
        return gamma_curve(best.prediction, title=title, measured=best.measured_speedup)


def predict_sweep(
    source: str,
    *,
    target: str | None = None,
    draft: str | None = None,
    gamma_max: int | None = None,
    objective: str | None = None,
    level: float = 0.9,
    seed: int = 0,
) -> SweepPrediction:
    """Predict every gamma of measured sweeps, as another measurement would show it.

    source: a table of measurements (columns target, draft, gamma or k, and a speed-up, latency or
    speed, tokens_per_round where known), or the name of a bundled one. target, draft: within it.
    gamma_max: by default the largest measured; objective: as of `howspec.predict`. Raises
    ValueError for tables that are none.
    """
    inputs = parts.asked(locals(), predict_sweep)
    import numpy as np

    from ..calibrate.library import load_sweeps
    from ..sim.choice import check_objective
    from ..sim.known import check_gamma_max, check_seed
    from ..sim.sweep_answer import predict_sweep as answer
    from ..theory.interval import check_level

    check_level(level)
    goal = check_objective(objective)
    check_seed(seed)
    if gamma_max is not None:
        check_gamma_max(gamma_max)
    # The other drafts of a target say what the target's side costs, so they are fitted too.
    family = load_sweeps(source, target)
    targets = list(dict.fromkeys(s.target for s in family))
    if len(targets) > 1:
        raise ValueError(f"target must be one of {', '.join(targets)} of {source}, got none")
    wanted = {s.label for s in load_sweeps(source, target, draft)}
    try:
        found = answer(
            [s for s in family if s.label in wanted], np.random.default_rng(seed), family=family,
            gamma_max=gamma_max, objective=goal, level=level, seed=seed,
        )  # fmt: skip
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
    return SweepPrediction(found, {**inputs, "gamma_max": found[0].gamma_max})
