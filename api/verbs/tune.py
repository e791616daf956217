"""The best draft, gamma by batch, of a server: what to measure next, until it is known."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..answer import Answer, Column, Table, numbers, span, sure
from ..parts import asked

if TYPE_CHECKING:
    from ..calibrate.doors import Pair
    from ..calibrate.doors.acceptance import AcceptanceSource
    from ..calibrate.doors.costs import CostSource
    from ..calibrate.serving import ServingPlan
    from ..sim.emit.emission import Emission
    from ..sim.tuning import Belief, Chosen, Point, Seen, Tuned

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Step:
    """The next measurement by hand: the point, how its server is started, how it is measured."""

    point: Point
    start: str
    measure: str


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
                Column("gain", [gain[b].estimate for b in gammas], numbers()),
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
                    Column("tokens/s", [s.tokens_per_s for s in seen], numbers(1)),
                    Column("tokens a step", [s.tokens_per_step for s in seen], numbers(2)),
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


@dataclass
class _Grid:
    """What is tuned, and where its measurements are."""

    belief: Belief
    pairs: Mapping[str, Pair]
    models: Mapping[str, str | None]
    folder: Path
    url: str
    launch: str | None
    engine: str
    plan: ServingPlan
    prompts: str | Path | None
    start_minutes: float
    patience_s: float
    progress: Progress
    open: ExitStack = field(default_factory=ExitStack)
    running: tuple[str, int] | None = None

    def file(self, point: Point) -> Path:
        """Where the record of a point is."""
        name = f"{point.draft}-gamma-{point.gamma}" if point.draft else "plain"
        slug = re.sub(r"[^\w.-]+", "-", name)
        return self.folder / f"{slug}-batch-{point.batch}.json"

    def minutes(self, points: Sequence[Point], last: Point | None) -> float:
        """Of starting a server, where another one ran last, and of the loads."""
        import numpy as np

        speeds = np.exp(self.belief.logs.mean(axis=0))
        same = last is not None and last.configuration == points[0].configuration
        time = 0.0 if same else self.start_minutes
        for p in points:
            tokens = (self.plan.waves(p.batch) + 0.5) * p.batch * self.plan.new_tokens
            time += tokens / float(speeds[self.belief.where(p)]) / 60.0
        return time

    def words(self, point: Point) -> Emission | None:
        """The configuration of a point in the engine's words, None for plain decoding."""
        from ..sim.tuning_words import words

        if not point.draft:
            return None
        model = self.models[point.draft]
        return words(self.pairs[point.draft], {point.batch: point.gamma}, self.engine, model=model)

    def step(self, point: Point) -> Step:
        """How a point is measured by hand."""
        emission = self.words(point)
        start = "start the server without speculation"
        if emission is not None:
            start = f"start the server with {emission.command}"
        words = ["howspec", "measure", self.url, "--batch", str(point.batch), "--gamma",
                 str(point.gamma), "--requests", str(self.plan.requests), "--new-tokens",
                 str(self.plan.new_tokens)]  # fmt: skip
        words += ["--draft", point.draft] if point.draft else []
        words += ["--prompts", str(self.prompts)] if self.prompts is not None else []
        return Step(point, start, shlex.join([*words, "--out", str(self.file(point))]))

    def measure(self, point: Point) -> Seen:
        """Measure a point, its server being started unless it runs."""
        from dataclasses import replace

        from ..calibrate.serving import measure_server
        from ..calibrate.serving.launch import launched
        from ..sim.tuning_words import launch_words

        assert self.launch is not None
        command = launch_words(self.launch, self.words(point))
        if self.running != point.configuration:
            self.open.close()
            self.running = None
            log = self.folder / "server.log"
            self.open.enter_context(launched(command, self.url, log, patience_s=self.patience_s))
            self.running = point.configuration
        found = measure_server(
            self.url, self.file(point), plan=replace(self.plan, batches=(point.batch,)),
            draft=point.draft or None, gamma=point.gamma, prompts=self.prompts,
            command=shlex.join(command), progress=self.progress,
        )  # fmt: skip
        return _seen_in(found.record, point)


def _seen_in(record: object, point: Point) -> Seen:
    from ..calibrate.serving.summary import levels_of
    from ..sim.tuning import Seen

    level = next(x for x in levels_of(record) if x.batch == point.batch)  # type: ignore[arg-type]
    return Seen(point, level.tokens_per_s, level.tokens_per_step if point.draft else None)


def _measured(grid: _Grid, records: Sequence[str | Path]) -> tuple[list[Seen], list[str]]:
    """Everything that was measured of the grid, and notes on what was not of it."""
    from ..calibrate.serving import served_of

    seen: dict[Point, Seen] = {}
    notes = []
    sources = [grid.folder, *records] if grid.folder.is_dir() else list(records)
    for source in sources:
        served = served_of(source)
        if served is None and source is not grid.folder:
            raise ValueError(f"{source}: is no record of howspec measure")
        for what, levels in () if served is None else served.waves.items():
            name = _name(grid, what.draft, what.gamma, source)
            for batch in levels:
                from ..sim.tuning import Point

                point = Point(name, what.gamma, batch)
                if point not in grid.belief.points:
                    notes.append(f"{point} was measured, and is not among what is tuned")
                else:
                    assert served is not None
                    own = [r for r in served.records if _holds(r, what, batch)]
                    seen.setdefault(point, _seen_in(own[0], point))
    return list(seen.values()), notes


def _holds(record: object, what: object, batch: int) -> bool:
    points = record.points  # type: ignore[attr-defined]
    return any(
        (p["draft"], p["gamma"], p["batch"]) == (what.draft, what.gamma, batch)  # type: ignore[attr-defined]
        for p in points
    )


def _name(grid: _Grid, draft: str | None, gamma: int, source: object) -> str:
    """What a record's draft is called here, "" for plain decoding."""
    from ..calibrate.models.names import squeeze

    if gamma == 0:
        return ""
    names = grid.belief.drafts
    same = [n for n in names if draft is not None and squeeze(n) == squeeze(draft)]
    if not same and draft is None and len(names) == 1:
        return names[0]
    if not same:
        raise ValueError(
            f"{source}: the draft must be one of {', '.join(names)}, the record says {draft}"
        )
    return same[0]


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
    from ..calibrate.serving import ServingPlan
    from ..sim.emit import check_engine
    from ..sim.known import Sources
    from ..sim.tuning import tune as search
    from ..sim.tuning_prior import believed
    from ..sim.tuning_words import check_template, engine_of, pasted
    from ..theory.interval import check_level

    check_level(level)
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
    grid = _Grid(
        belief, dict(zip(belief.drafts, pairs, strict=True)), models, Path(out), url, launch,
        spoken, plan, prompts, start_minutes, patience_s, progress or (lambda what, done, of: None),
    )  # fmt: skip
    seen, more = _measured(grid, records)
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
    emission = pasted(pair, chosen, spoken, model=models.get(chosen.draft))
    return Tuning(found, emission, step, level, (*more, *notes), inputs)
