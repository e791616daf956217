"""The best draft, gamma by batch, of a server: what to measure next, until it is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..answer import Answer
from ..measured import Progress, quiet
from ..parts import asked
from ..table import Column, Table, span, sure

if TYPE_CHECKING:
    from ..calibrate.doors.acceptance import AcceptanceSource
    from ..calibrate.doors.costs import CostSource
    from ..sim.emit.emission import Emission
    from ..sim.tune.belief import Chosen, Seen
    from ..sim.tune.server import Step
    from ..sim.tune.tuning import Tuned


@dataclass(frozen=True, repr=False)
class Tuning(Answer):
    """What a server should run; see `howspec.tune`.

    found: the choice, what was measured and what was not; emission: to paste; following: what to
    measure next, None where it is decided or was measured by the call itself.
    """

    SCHEMA = "tuning"

    found: Tuned
    emission: Emission
    following: Step | None
    level: float
    said: tuple[str, ...]
    inputs: Mapping[str, object]

    @property
    def chosen(self) -> Chosen:
        """Draft, gammas, gains and expected regret."""
        return self.found.chosen

    @property
    def draft(self) -> str | None:
        """The draft to run, None for plain decoding."""
        return self.chosen.draft or None

    @property
    def finished(self) -> bool:
        """Whether nothing is left to measure by hand."""
        return self.following is None

    @property
    def notes(self) -> tuple[str, ...]:
        words = self.emission.notes if self.finished else ()
        return tuple(dict.fromkeys((*self.found.notes, *words, *self.said)))

    def data(self) -> Mapping[str, object]:
        found, step = self.found, self.following
        return {
            "finished": self.finished, "draft": self.draft, "expected_regret": self.chosen.regret,
            "by_batch": [
                {"batch": b, "gamma": g, "gain": self.chosen.gain[b]}
                for b, g in self.chosen.gammas.items()
            ],
            "why": found.why, "device_minutes": found.minutes,
            "measured": [_entry(s) for s in found.seen],
            "not_tried": [
                {"draft": p.draft or None, "gamma": p.gamma, "batch": p.batch} for p in found.left
            ],
            "next": None if step is None else {
                "draft": step.point.draft or None, "gamma": step.point.gamma,
                "batch": step.point.batch, "start": step.start, "measure": step.measure,
            },
            "engine": self.emission.engine, "command": self.emission.command,
            "config": self.emission.config, "files": self.emission.files,
            "inputs": self.inputs, "notes": self.notes,
        }  # fmt: skip

    def headline(self) -> str:
        if self.following is not None:
            line = f"measure next: {self.following.point}"
            return f"{line} (expected regret {100 * self.chosen.regret:.1f} %)"
        if not self.chosen.draft:
            return f"NO: do not speculate; expected regret {100 * self.chosen.regret:.1f} %"
        parts = ", ".join(f"gamma {g} at batch {b}" for b, g in self.chosen.gammas.items())
        first = next(iter(self.chosen.gain.values()))
        return (
            f"{self.chosen.draft}: {parts}; gain {first.estimate:.2f} ({sure(first, 2)}); "
            f"expected regret {100 * self.chosen.regret:.1f} %"
        )

    def blocks(self) -> Iterator[str | Table]:
        step, gammas, gain = self.following, self.chosen.gammas, self.chosen.gain
        if step is not None:
            yield f"  {step.start}"
            yield f"  {step.measure}"
            yield "then run the same command again"
        yield Table(
            (
                Column("batch", list(gammas)),
                Column("draft", [self.chosen.draft if g else "none" for g in gammas.values()]),
                Column("gamma", list(gammas.values())),
                Column("gain", [gain[b].estimate for b in gammas], ".3f"),
                Column("interval", [gain[b] if gammas[b] else None for b in gammas], span),
            ),
            title="best so far" if step is not None else "",
        )
        seen = self.found.seen
        if seen:
            yield Table(
                (
                    Column("measured", [s.point.draft or "plain" for s in seen]),
                    Column("gamma", [s.point.gamma for s in seen]),
                    Column("batch", [s.point.batch for s in seen]),
                    Column("tokens/s", [s.tokens_per_s for s in seen], ".1f"),
                    Column("tokens a step", [s.tokens_per_step for s in seen], ".2f"),
                )
            )
        yield self._untried()
        if step is None:
            yield from self.emission.text().splitlines()

    def _untried(self) -> str:
        left = {p.configuration for p in self.found.left}
        tried = {s.point.configuration for s in self.found.seen}
        never = [f"{d} gamma {g}" if d else "plain" for d, g in sorted(left - tried)]
        shown = ", ".join(never[:6]) + (f" and {len(never) - 6} more" if len(never) > 6 else "")
        every = len(self.found.left) + len({s.point for s in self.found.seen})
        why = self.found.why if self.finished else "the next is above"
        line = f"measured {every - len(self.found.left)} of {every} points: {why}"
        return line + (f"; never started: {shown}" if never else "")


def _entry(seen: Seen) -> Mapping[str, object]:
    return {
        "draft": seen.point.draft or None, "gamma": seen.point.gamma, "batch": seen.point.batch,
        "tokens_per_s": seen.tokens_per_s, "tokens_per_step": seen.tokens_per_step,
    }  # fmt: skip


def tune(
    target: str,
    drafts: Sequence[str],
    *,
    out: str | Path,
    device: str | None = None,
    launch: str | None = None,
    url: str = "http://localhost:8000",
    records: Sequence[str | Path] = (),
    acceptance: AcceptanceSource = None,
    costs: CostSource = None,
    task: str | None = None,
    temperature: float | None = None,
    batch: int | Sequence[int] = 1,
    gamma: Sequence[int] = (1, 2, 3, 4, 5, 6, 7, 8),
    context: float | None = None,
    dtype: str = "",
    stack: str | None = None,
    engine: str | None = None,
    tolerance: float = 0.02,
    minutes: float | None = None,
    start_minutes: float = 2.0,
    requests: int = 12,
    new_tokens: int = 128,
    prompts: str | Path | None = None,
    patience_s: float = 1200.0,
    level: float = 0.9,
    seed: int = 0,
    online: bool = False,
    progress: Progress | None = None,
) -> Tuning:
    """Find the best draft and gamma of a server with few measurements, or say the next of them.

    drafts: names, or NAME=MODEL where the engine loads another name than is predicted for; out: a
    folder that holds one record a measurement, and is all that a later call needs to go on;
    records: further ones of `howspec.measure`. launch: a command that starts the server, with
    {config} (JSON) or {flags} where a configuration goes: each measurement is then made, else the
    next one is told. url: of the server; batch, gamma: of the grid; engine: in whose words, by
    default that of launch; tolerance: of the expected regret at which the search ends; minutes: of
    device time at most, a start of the server counting start_minutes; requests, new_tokens,
    prompts: of a measurement; patience_s: for a server to answer; progress: called with (what,
    done, of). Other arguments and errors as of `howspec.rank`.
    """
    inputs = asked(locals(), tune)
    import math

    from ..calibrate.doors import Deployment
    from ..calibrate.files import check_folder
    from ..calibrate.serving import ServingPlan
    from ..sim.emit import check_engine
    from ..sim.known import Sources
    from ..sim.tune.prior import believed
    from ..sim.tune.server import Grid, check_template, engine_of, measured, words
    from ..sim.tune.tuning import tune as search
    from ..theory.interval import check_level

    check_level(level)
    check_folder(out, "out")
    if launch is not None:
        check_template(launch)
    spoken = engine or engine_of(launch)
    check_engine(spoken, batch=1, adapt=False, older=False)
    for name, value in (("minutes", minutes), ("start_minutes", start_minutes)):
        if value is not None and not 0.0 <= value < math.inf:
            raise ValueError(f"{name} must be in [0, inf), got {value:g}")
    batches = (batch,) if isinstance(batch, int) else tuple(batch)
    plan = ServingPlan(batches, requests, new_tokens, temperature=temperature or 0.0)
    models = {n: (m or None) for n, _, m in (d.partition("=") for d in drafts)}
    at = Deployment(target, None, device, dtype, "", stack, 1.0, context, task, temperature,
                    online=online)  # fmt: skip
    belief, pairs, notes = believed(
        at, list(models), Sources(acceptance, costs=costs), batches=batches, gammas=gamma,
        seed=seed,
    )  # fmt: skip
    grid = Grid(
        belief, dict(zip(belief.drafts, pairs, strict=True)), models, Path(out), url, launch,
        spoken, plan, prompts, start_minutes, patience_s, progress or quiet,
    )  # fmt: skip
    seen, more = measured(grid, records)
    most = 0.0 if launch is None else math.inf if minutes is None else minutes
    with grid.open:
        found = search(
            belief, grid.measure, minutes=grid.minutes, seen=seen, tolerance=tolerance,
            most_minutes=most, level=level, seed=seed,
            report=lambda chosen, point: grid.progress(f"tune: {point}", 0, 1),
        )  # fmt: skip
    step = grid.step(found.following) if launch is None and found.following else None
    chosen = found.chosen
    pair = grid.pairs[chosen.draft] if chosen.draft else pairs[0]
    model = models.get(chosen.draft)
    emission = words(pair, chosen.gammas, spoken, model=model, gain=chosen.gain)
    return Tuning(found, emission, step, level, (*more, *notes), inputs)
