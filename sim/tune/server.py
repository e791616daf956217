"""The server that is tuned: its configurations in an engine's words, and its measurements.

These are on disk, made by hand, or by launching the server.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...calibrate.doors import Pair
from ...theory.interval import Interval
from ..choice import DEFAULT_OBJECTIVE
from ..emit import emit
from ..emit.emission import Emission, one_line
from ..next_options import released
from ..pair_schedule import PairSchedule
from ..schedule import Range, Schedule
from .belief import Belief, Point, Seen

if TYPE_CHECKING:
    from ...calibrate.records import Record
    from ...calibrate.serving import ServingPlan

Progress = Callable[[str, int, int], None]
_CONFIG, _FLAGS = "{config}", "{flags}"
_SURE = Interval(1.0, 1.0, 1.0, 0.9)


@dataclass(frozen=True)
class Step:
    """The next measurement by hand: the point, how its server is started, how it is measured."""

    point: Point
    start: str
    measure: str


@dataclass
class Grid:
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
        speeds = np.exp(self.belief.logs.mean(axis=0))
        same = last is not None and last.configuration == points[0].configuration
        time = 0.0 if same else self.start_minutes
        for p in points:
            tokens = (self.plan.waves(p.batch) + 0.5) * p.batch * self.plan.new_tokens
            time += tokens / float(speeds[self.belief.where(p)]) / 60.0
        return time

    def words(self, point: Point) -> Emission | None:
        """The configuration of a point in the engine's words, None for plain decoding."""
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
        from ...calibrate.serving import measure_server
        from ...calibrate.serving.launch import launched

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


def _seen_in(record: Record, point: Point) -> Seen:
    from ...calibrate.serving.compare import levels_of

    level = next(x for x in levels_of(record) if x.batch == point.batch)
    return Seen(point, level.tokens_per_s, level.tokens_per_step if point.draft else None)


def measured(grid: Grid, records: Sequence[str | Path]) -> tuple[list[Seen], list[str]]:
    """Everything that was measured of the grid, and notes on what was not of it."""
    from ...calibrate.serving import served_of

    seen: dict[Point, Seen] = {}
    notes = []
    for source in (grid.folder, *records) if grid.folder.is_dir() else records:
        served = served_of(source)
        if served is None:
            if source is grid.folder:
                continue
            raise ValueError(f"{source}: is no record of howspec measure")
        for what, levels in served.waves.items():
            name = _name(grid, what.draft, what.gamma, source)
            for batch in levels:
                point = Point(name, what.gamma, batch)
                if point not in grid.belief.points:
                    notes.append(f"{point} was measured, and is not among what is tuned")
                    continue
                key = (what.draft, what.gamma, batch)
                own = next(
                    r
                    for r in served.records
                    if any((p["draft"], p["gamma"], p["batch"]) == key for p in r.points)
                )
                seen.setdefault(point, _seen_in(own, point))
    return list(seen.values()), notes


def _name(grid: Grid, draft: str | None, gamma: int, source: object) -> str:
    """What a record's draft is called here, "" for plain decoding."""
    from ...calibrate.models.names import squeeze

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


def words(
    pair: Pair, gammas: Mapping[int, int], engine: str, *, model: str | None = None,
    gain: Mapping[int, Interval] | None = None,
) -> Emission:  # fmt: skip
    """A draft with its gamma by batch in an engine's words.

    gammas: by measured batch, each holding half-way (in ln batch) to the next; model: of the draft
    as the engine loads it, by default its released name. llama.cpp takes one gamma, of the smallest
    batch.
    """
    batches = sorted(gammas)
    ranges: list[Range] = []
    for i, b in enumerate(batches):
        last = b if b == batches[-1] else max(math.isqrt(b * batches[i + 1]), b)
        first = ranges[-1].last + 1 if ranges else 1
        said = _SURE if gain is None else gain[b]
        if ranges and ranges[-1].gamma == gammas[b]:
            ranges[-1] = replace(ranges[-1], last=last)
        else:
            g = gammas[b]
            ranges.append(Range(first, last, g, said, (g, g), (g,), 0.0))
    best = np.concatenate([np.full(r.last - r.first + 1, r.gamma) for r in ranges])
    made = Schedule(
        tuple(ranges), max(gammas.values()), (pair.at.cached,), 0.0, DEFAULT_OBJECTIVE, best,
        np.ones(best.size), tuple((r.gamma,) for r in ranges), (),
    )  # fmt: skip
    named = model or (released(pair.at.draft) if pair.at.draft and pair.head is None else "")
    found = PairSchedule(None, made, (), pair, "tuned")
    if not any(gammas.values()):
        return Emission(engine, notes=("run without speculation: nothing pays",))
    return emit(
        found, engine, model=named or None, batch=batches[0] if engine == "llama.cpp" else 1
    )


def check_template(template: str) -> None:
    """Raise ValueError for a command that no configuration can be put into."""
    try:
        parts = shlex.split(template)
    except ValueError as error:
        raise ValueError(f"launch must be a command line, got {template!r}: {error}") from None
    if sum((_CONFIG in p) + (p == _FLAGS) for p in parts) != 1 or parts[0] in (_CONFIG, _FLAGS):
        raise ValueError(
            "launch must hold {config} or {flags} once, where a configuration goes, got "
            f"{template!r}"
        )


def engine_of(template: str | None) -> str:
    """The engine that a command starts: vLLM takes a {config}, llama.cpp {flags}."""
    return "llama.cpp" if template is not None and _FLAGS in template else "vllm"


def launch_words(template: str, emission: Emission | None) -> list[str]:
    """The command with a configuration put in, or without speculation where it is None.

    {config}: the configuration as JSON, and without one neither it nor the option before it;
    {flags}: the options of a command line, and without a configuration none.
    """
    found: list[str] = []
    for part in shlex.split(template):
        if part == _FLAGS:
            found += [] if emission is None else shlex.split(emission.command)
        elif _CONFIG in part and emission is None:
            if part == _CONFIG and found[-1].startswith("-"):
                found.pop()
        elif _CONFIG in part:
            assert emission is not None
            found.append(part.replace(_CONFIG, one_line(emission.config)))
        else:
            found.append(part)
    return found
