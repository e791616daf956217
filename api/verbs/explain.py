"""Why a measured run is as fast as it is, and which change pays most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..answer import Answer
from ..parts import asked
from ..table import Column, Table, estimate, percent, span, sure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..calibrate.doors.acceptance import AcceptanceSource
    from ..calibrate.doors.costs import CostSource
    from ..calibrate.engines.health import Finding
    from ..sim.explain.changes import Change
    from ..sim.explain.explanation import Explanation as Found
    from ..sim.explain.terms import Term
    from ..theory.interval import Interval

Number = str | float | None


@dataclass(frozen=True, repr=False)
class Explanation(Answer):
    """The account of a measured speed-up with its advice; see `howspec.explain`."""

    SCHEMA = "explanation"

    found: Found
    inputs: Mapping[str, object]

    @property
    def speedup(self) -> Interval:
        """Measured speed over that of plain decoding."""
        return self.found.account.speedup

    @property
    def notes(self) -> tuple[str, ...]:
        return self.found.notes

    def data(self) -> Mapping[str, object]:
        account, found = self.found.account, self.found
        step = account.plain_step_s
        return {
            "health": found.health,
            "speedup": account.speedup, "decode_speedup": account.decode_speedup,
            "ideal": account.ideal, "gamma": account.gamma,
            "tokens_per_round": account.tokens_per_round,
            "tokens_per_target_step": account.tokens_per_target_step,
            "coverage": account.coverage,
            "round_in_plain_steps": account.round_steps,
            "plain_step_ms": None if step is None else 1e3 * step,
            "prefill_share": account.prefill_share, "terms": [self._term(t) for t in account.terms],
            "changes": found.changes, "best_change": found.changes[0],
            "best_setting": found.setting, "best_work": found.work,
            "contradiction": account.contradiction, "acceptance_from": found.known.given,
            "parts": {
                "acceptance": found.known.kind,
                "cost": None if found.costs is None else found.costs.kind,
            },
            "inputs": self.inputs, "notes": self.notes,
        }  # fmt: skip

    def _term(self, term: Term) -> Mapping[str, object]:
        account, steps = self.found.account, term.plain_steps
        share = None if steps is None else steps.estimate / account.round_steps.estimate
        return {
            "name": term.name, "factor": term.factor, "plain_steps": steps,
            "milliseconds": self._ms(term), "share_of_round": share,
            "determined": len(term.parts) == 1,
        }  # fmt: skip

    def _ms(self, term: Term) -> float | None:
        step = self.found.account.plain_step_s
        if term.plain_steps is None or step is None:
            return None
        return 1e3 * step * term.plain_steps.estimate

    def headline(self) -> str:
        """What is broken, where anything is; else the measured speed-up."""
        broken = self.found.health
        return check_first(broken[0]) if broken else self._measured()

    def _measured(self) -> str:
        account = self.found.account
        speed = account.speedup
        verb = "slower" if speed.estimate < 1.0 else "faster"
        return (
            f"measured {speed.estimate:.3f} times plain decoding ({verb}; {sure(speed)}); the "
            f"ideal at gamma {account.gamma} is {account.ideal:g}"
        )

    def blocks(self) -> Iterator[str | Table]:
        account, broken = self.found.account, self.found.health
        yield from map(check_first, broken[1:])
        yield self._measured() if broken else "health: nothing looks broken"
        steps = f"{account.round_steps.estimate:.3f} plain steps"
        tokens = account.tokens_per_round.estimate
        if account.coverage < 1.0:
            yield (
                f"{account.tokens_per_target_step.estimate:.3f} tokens per target step, of which "
                f"{percent(account.coverage)} drafted; {tokens:.3f} per drafting round; a step "
                f"takes {steps}"
            )
        else:
            yield f"{tokens:.3f} tokens per round; a round takes {steps}"
        terms = account.terms
        yield Table((
            Column("term", [t.name for t in terms]),
            Column("factor", [t.factor for t in terms], lambda v: f"x{estimate(v)}"),
            Column("interval", [t.factor for t in terms], span),
            Column("plain steps", [t.plain_steps for t in terms], _signed),
            Column("ms", [self._ms(t) for t in terms], ".3f"),
        ))  # fmt: skip
        changes = self.found.changes
        yield Table((
            Column("change", [c.name for c in changes]),
            Column("kind", [c.kind for c in changes]),
            Column("gain", [c.gain for c in changes], lambda v: f"x{estimate(v)}"),
            Column("interval", [c.gain for c in changes], span),
            Column("probability", [c.probability for c in changes], percent),
        ))  # fmt: skip
        yield self.advice()

    def advice(self) -> str:
        """What to change first, in one line."""
        found = self.found
        if found.account.contradiction is not None:
            return (
                "the inputs contradict each other: repeat the measurement before changing anything"
            )
        text = f"set: nothing; gamma {found.account.gamma} is within 1 % of the best setting"
        if found.setting is not None:
            text = f"set: {_gain(found.setting)}"
        return text if found.work is None else f"{text}; work on: {_gain(found.work)}"

    def draw(self) -> Figure:
        """The waterfall from the ideal down to what was measured."""
        from ..figures.answers import waterfall

        return waterfall(self.found.account)


def check_first(finding: Finding) -> str:
    """What is broken, with the thread where it was seen."""
    return f"check first: {finding.line}; see {finding.source}"


def _signed(value: object) -> str:
    return f"{value.estimate:+.3f}"  # type: ignore[attr-defined]


def _gain(change: Change) -> str:
    return f"{change.name} (x{change.gain.estimate:.2f}, {span(change.gain, 2)})"


def explain(
    *,
    baseline_tokens_per_s: Number = None,
    speculative_tokens_per_s: Number = None,
    acceptance: AcceptanceSource = None,
    acceptance_length: Number = None,
    alpha: Number = None,
    decay: float = 1.0,
    gamma: int | None = None,
    drafter: str | None = None,
    plain_ms: Number = None,
    round_ms: Number = None,
    draft_step_ms: Number = None,
    verify_ms: Number = None,
    cost_ratio: Number = None,
    verify_slope: Number = None,
    overhead: Number = None,
    verify_ratio_batch_1: Number = None,
    prefill_s: Number = None,
    prompt_tokens: int | None = None,
    output_tokens: int | None = None,
    target: str | None = None,
    draft: str | None = None,
    device: str | None = None,
    costs: CostSource = None,
    dtype: str = "",
    stack: str | None = None,
    batch: float = 1.0,
    context: float | None = None,
    temperature: float | None = None,
    level: float = 0.9,
    seed: int = 0,
) -> Explanation:
    """Explain a measured speed-up: what each loss takes, and which change would pay most.

    Speeds are of all requests together [token/s], the one with speculation as the source of the
    acceptance states it where none is given, and both as records of `howspec.measure` state them
    where acceptance or costs is a folder of these; a text such as "98.2" has the accuracy of its
    digits, "98.2+-1.5" a standard error. acceptance of the run: see `howspec.acceptance`; alpha: a
    rate stated beside it, or alone, with gamma; drafter: serial or block. Times of a plain step, a
    round, a draft step and the verifying pass [ms], or their ratios [plain step].
    verify_ratio_batch_1 separates what the batch adds; prefill_s, prompt_tokens and output_tokens
    are of one request. What of a round was not measured is split by costs, or by those predicted
    for target, draft and device, and the notes say so. Raises ValueError where the speed-up stays
    open.
    """
    inputs = asked(locals(), explain)
    from ..calibrate.doors import Deployment
    from ..sim.explain.explanation import explain_run
    from ..sim.explain.measured import measured_from
    from ..sim.known import Sources

    measured = measured_from(
        {
            "baseline_tokens_per_s": baseline_tokens_per_s,
            "speculative_tokens_per_s": speculative_tokens_per_s,
            "cost_ratio": cost_ratio, "verify_slope": verify_slope, "overhead": overhead,
            "verify_ratio_batch_1": verify_ratio_batch_1, "prefill_s": prefill_s,
            "plain_ms": plain_ms, "round_ms": round_ms, "draft_step_ms": draft_step_ms,
            "verify_ms": verify_ms,
        },
        batch=batch,
        output_tokens=output_tokens if prefill_s is not None else None,
    )  # fmt: skip
    at = Deployment(
        target, draft, device, dtype, "", stack, batch, context, temperature=temperature
    )
    given = Sources(acceptance, acceptance_length, gamma, decay=decay, costs=costs)
    found = explain_run(
        measured,
        given,
        at,
        alpha=alpha,
        drafter=drafter,
        prompt_tokens=prompt_tokens,
        level=level,
        seed=seed,
    )
    return Explanation(found, inputs)
