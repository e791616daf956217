"""The grid that `howspec.tune` searches: its measurements on disk, by hand, and by launching."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..calibrate.doors import Pair
    from ..calibrate.records import Record
    from ..calibrate.serving import ServingPlan
    from ..sim.emit import Emission
    from ..sim.tune.belief import Belief, Point, Seen

Progress = Callable[[str, int, int], None]


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
        from ..sim.tune.words import words

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
        from ..calibrate.serving import measure_server
        from ..calibrate.serving.launch import launched
        from ..sim.tune.words import launch_words

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
    from ..calibrate.serving.compare import levels_of
    from ..sim.tune.belief import Seen

    level = next(x for x in levels_of(record) if x.batch == point.batch)
    return Seen(point, level.tokens_per_s, level.tokens_per_step if point.draft else None)


def measured(grid: Grid, records: Sequence[str | Path]) -> tuple[list[Seen], list[str]]:
    """Everything that was measured of the grid, and notes on what was not of it."""
    from ..calibrate.serving import served_of
    from ..sim.tune.belief import Point

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
