"""How small, and how deep, the best draft of a target is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..answer import Answer, Column, Table, estimate, numbers, percent, span
from ..parts import (
    asked,
    interval_of,
    model_entry,
    objective_entry,
    objective_line,
    safe,
    setting_entry,
    stake,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..calibrate.prior.pair import NamedModel
    from ..sim.next_measurement import Next
    from ..sim.scale import DraftScale, ScalePoint


@dataclass(frozen=True, repr=False)
class BestScale(Answer):
    """The best size and depth of a draft; see `howspec.scale`. level: of the intervals."""

    SCHEMA = "scale"
    VERSION = 2

    found: DraftScale
    level: float
    inputs: Mapping[str, object]

    @property
    def parameters(self) -> float:
        """Parameters of the best draft."""
        return self.found.found.best.parameters

    @property
    def notes(self) -> tuple[str, ...]:
        return self.found.notes

    @property
    def _target(self) -> NamedModel:
        target = self.found.pair.target
        assert target is not None
        return target

    def _next(self) -> Next | None:
        from ..sim.next_measurement import next_of_scale

        return next_of_scale(self.found, level=self.level)

    def data(self) -> Mapping[str, object]:
        from ..calibrate.doors.costs import of_prediction

        found, grid = self.found, self.found.found
        ends = grid.size_interval
        low_high = None if ends is None else {"low": ends[0], "high": ends[1], "level": self.level}
        turn = found.turning_point
        return {
            "pays": found.pays, "best": self._entry(grid.best), "size_interval": low_high,
            "turning_point": None if turn is None else self._entry(turn),
            "probability_none_pays": grid.probability_plain,
            "probability_within_5_percent": grid.within, "expected_regret": grid.regret,
            "curve": [self._entry(p) for p in grid.curve],
            "grid": [self._entry(p) for p in grid.grid],
            "existing": [
                {"draft": d.draft.called, "parameters": d.draft.parameters,
                 "gamma": d.choice.gamma, "speedup": d.choice.interval}
                for d in found.existing
            ],
            "objective": objective_entry(grid.best.choice.objective),
            "parts": {"acceptance": "predicted", "cost": "predicted"},
            "target": model_entry(self._target),
            "setting": setting_entry(found.pair, of_prediction(grid.costs[0])),
            "inputs": self.inputs, "notes": self.notes,
        }  # fmt: skip

    def _entry(self, point: ScalePoint) -> Mapping[str, object]:
        return {
            "parameters": point.parameters, "layers": point.shape.layers,
            "hidden": point.shape.hidden, "depth": point.depth, "gamma": point.choice.gamma,
            "speedup": point.choice.interval, "probability_best": point.probability_best,
            "alpha": interval_of(point.alpha, self.level),
            "cost_ratio": interval_of(point.cost_ratio, self.level), "fits": point.fits,
        }  # fmt: skip

    def headline(self) -> str:
        best = self.found.found.best
        if not self.found.pays:
            return self.notes[0]
        share = self._target.parameters / best.parameters
        return (
            f"best draft: {size(best.parameters)} parameters (1/{share:.0f} of the target) in "
            f"{best.shape.layers} layers of width {best.shape.hidden}, gamma {best.choice.gamma}: "
            f"speed-up {best.choice.speedup:.3f} ({span(best.choice.interval)}); "
            f"{safe(self.found.found.within, 'the best size')}; {stake(self.found.found.regret)}"
        )

    def blocks(self) -> Iterator[str | Table]:
        ends = self.found.found.size_interval
        if self.found.pays and ends is not None:
            yield (
                f"best size, {100 * self.level:g} % interval: {size(ends[0])} to {size(ends[1])}"
            )
        yield objective_line(self.found.found.best.choice.objective)
        yield self._curve(self.found.found.curve)
        yield self._depths()
        if self.found.existing:
            yield self._existing()

    def _existing(self) -> Table:
        drafts = self.found.existing
        return Table((
            Column("that exist", [d.draft.called for d in drafts]),
            Column("size", [d.draft.parameters for d in drafts], size),
            Column("gamma", [d.choice.gamma for d in drafts]),
            Column("speed-up", [d.choice.speedup for d in drafts], numbers()),
            Column("interval", [d.choice.interval for d in drafts], span),
        ))  # fmt: skip

    def _curve(self, points: Sequence[ScalePoint]) -> Table:
        whole = self._target.parameters
        return Table((
            Column("draft", [p.parameters for p in points], size),
            Column("share", [p.parameters / whole for p in points], _share),
            Column("layers", [p.shape.layers for p in points]),
            Column("alpha", [interval_of(p.alpha, self.level) for p in points], estimate),
            Column("cost ratio", [interval_of(p.cost_ratio, self.level) for p in points], estimate),
            Column("gamma", [p.choice.gamma for p in points]),
            Column("speed-up", [p.choice.speedup for p in points], numbers()),
            Column("interval", [p.choice.interval for p in points], span),
            Column("best", [p.probability_best for p in points], percent),
        ))  # fmt: skip

    def _depths(self) -> Table:
        from ..sim.scale import best_point

        tops = []
        for depth in self.found.found.depths:
            mine = [p for p in self.found.found.grid if p.depth == depth and p.fits]
            tops += [best_point(mine)] if mine else []
        return Table((
            Column("depth / usual", [p.depth for p in tops], lambda v: f"{v:g}"),
            Column("best size", [p.parameters for p in tops], size),
            Column("layers", [p.shape.layers for p in tops]),
            Column("width", [p.shape.hidden for p in tops]),
            Column("gamma", [p.choice.gamma for p in tops]),
            Column("speed-up", [p.choice.speedup for p in tops], numbers()),
        ))  # fmt: skip

    def draw(self) -> Figure:
        """Speed-up against the size of the draft, with the turning point."""
        from ..figures.turning_curve import Row, turning_curve

        whole, grid = self._target.parameters, self.found.found

        def row(p: ScalePoint) -> Row:
            c = p.choice
            return (p.parameters / whole, c.gamma, c.speedup, c.low, c.high)

        curves: dict[str, list[Row]] = {}
        for p in grid.grid:
            if p.fits:
                name = "usual depth" if p.depth == 1.0 else f"{p.depth:g} of the usual layers"
                curves.setdefault(name, []).append(row(p))
        return turning_curve(
            curves, best=row(grid.best), level=self.level, title=self._target.called
        )


def size(parameters: object) -> str:
    """A number of parameters as people write it."""
    assert isinstance(parameters, float | int)
    for unit, one in (("B", 1e9), ("M", 1e6)):
        if parameters >= one:
            return f"{parameters / one:.3g}{unit}"
    return f"{parameters:.0f}"


def _share(value: object) -> str:
    assert isinstance(value, float)
    return f"1/{1.0 / value:.0f}"


def scale(
    target: str,
    *,
    device: str,
    task: str | None = None,
    temperature: float | None = None,
    batch: float = 1.0,
    context: float | None = None,
    dtype: str = "",
    stack: str | None = None,
    sizes: int = 19,
    gamma_max: int | None = None,
    objective: str | None = None,
    level: float = 0.9,
    seed: int = 0,
    online: bool = False,
) -> BestScale:
    """Find the best size and depth of a draft in the shape of the target's family.

    A smaller draft costs less and is accepted less: the speed-up turns at one size. sizes: tried
    from half of the target to a thousandth, in [3, 60]. Other arguments and errors as of
    `howspec.predict`.
    """
    inputs = asked(locals(), scale)
    from ..calibrate.doors import Deployment
    from ..sim.choice import check_objective
    from ..sim.scale import draft_scale

    at = Deployment(
        target, None, device, dtype, "", stack, batch, context, task, temperature, online=online
    )
    found = draft_scale(
        at, sizes=sizes, gamma_max=gamma_max, objective=check_objective(objective), level=level,
        seed=seed,
    )  # fmt: skip
    return BestScale(found, level, inputs)
