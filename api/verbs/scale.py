"""How small the best draft of a target is, and in which number format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import parts
from ..answer import Answer
from ..table import Column, Table, estimate, percent, span

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..calibrate.named import NamedModel
    from ..sim.choice import Choice
    from ..sim.next_measurement import Next
    from ..sim.scale import DraftScale
    from ..sim.scale_grid import ScalePoint


@dataclass(frozen=True, repr=False)
class BestScale(Answer):
    """The best size and number format of a draft; see `howspec.scale`. level: of the intervals."""

    SCHEMA = "scale"
    VERSION = 3

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
        low_high = None if ends is None else {
            "low": ends[0], "high": ends[1], "level": self.level,
            "or_smaller": grid.or_smaller, "or_larger": grid.or_larger,
        }  # fmt: skip
        return {
            "pays": found.pays, "best": self._entry(grid.best), "size_interval": low_high,
            "formats": [
                {"dtype": form, "best": self._entry(_best(grid.curves[form])),
                 "probability_best": chance}
                for form, chance in grid.probability_of_format.items()
            ],
            "probability_none_pays": grid.probability_plain,
            "probability_within_5_percent": grid.within, "expected_regret": grid.regret,
            "curve": [self._entry(p) for p in grid.curve],
            "grid": [self._entry(p) for p in grid.grid],
            "existing": [
                {"draft": d.draft.called, "parameters": d.draft.parameters,
                 "dtype": d.draft.dtype, "gamma": d.choice.gamma, "speedup": d.choice.interval,
                 "probability_best": d.probability_best, "fits": d.fits}
                for d in found.existing
            ],
            "objective": parts.objective_entry(grid.best.choice.objective),
            "parts": {"acceptance": "predicted", "cost": "predicted"},
            "target": parts.model_entry(self._target),
            "setting": parts.setting_entry(found.pair, of_prediction(grid.costs[0])),
            "inputs": self.inputs, "notes": self.notes,
        }  # fmt: skip

    def _entry(self, point: ScalePoint) -> Mapping[str, object]:
        return {
            "parameters": point.parameters, "dtype": point.dtype, "layers": point.shape.layers,
            "hidden": point.shape.hidden, "depth": point.depth, "gamma": point.choice.gamma,
            "speedup": point.choice.interval, "probability_best": point.probability_best,
            "alpha": parts.interval_of(point.alpha, self.level),
            "cost_ratio": parts.interval_of(point.cost_ratio, self.level), "fits": point.fits,
        }  # fmt: skip

    def headline(self) -> str:
        grid, best = self.found.found, self.found.found.best
        if not self.found.pays:
            return self.notes[0]
        share = self._target.parameters / best.parameters
        ends = grid.size_interval
        sizes = ""
        if ends is not None:
            sizes = f", {size(ends[0])}" + " or smaller" * grid.or_smaller
            sizes += f" to {size(ends[1])}" + " or larger" * grid.or_larger
        line = (
            f"best draft: about {size(best.parameters)} parameters (1/{share:.0f} of the target"
            f"{sizes}) in {best.dtype}, gamma {best.choice.gamma}: speed-up "
            f"{best.choice.speedup:.3f} ({span(best.choice.interval)}); "
            f"{parts.safe(grid.within, 'the best size and format')}; {parts.stake(grid.regret)}"
        )
        if self.found.existing and self.found.existing[0].choice.gamma:
            real = self.found.existing[0]
            line += (
                f"; of those that exist: {real.draft.called}, gamma {real.choice.gamma}, speed-up "
                f"{real.choice.speedup:.3f} ({span(real.choice.interval)})"
            )
        return line

    def blocks(self) -> Iterator[str | Table]:
        grid = self.found.found
        if not grid.best.fits:
            yield self._sizes()
            return
        chances = ", ".join(f"{f} {percent(p)}" for f, p in grid.probability_of_format.items())
        none = percent(grid.probability_plain)
        yield f"the fastest format in the draws: {chances}; none pays in {none}"
        yield parts.objective_line(grid.best.choice.objective)
        yield parts.shares_line()
        yield self._sizes()
        yield self._curve(grid.curve)
        yield self._depths()
        if self.found.existing:
            yield self._existing()

    def _sizes(self) -> Table:
        """Speed-up by size and format, each at its best gamma."""
        curves = self.found.found.curves
        return Table((
            Column("draft", [p.parameters for p in self.found.found.curve], size),
            *(Column(form, [p.choice.speedup if p.fits else None for p in curve], ".3f")
              for form, curve in curves.items()),
        ))  # fmt: skip

    def _existing(self) -> Table:
        from ..calibrate.models.formats import format_in

        drafts = self.found.existing
        return Table((
            Column("that exist", [format_in(d.draft.called)[0] for d in drafts]),
            Column("format", [d.draft.dtype for d in drafts]),
            Column("size", [d.draft.parameters for d in drafts], size),
            Column("gamma", [d.choice.gamma for d in drafts]),
            Column("speed-up", [d.choice.speedup for d in drafts], ".3f"),
            Column("interval", [d.choice.interval for d in drafts], span),
            Column("fastest", [d.probability_best for d in drafts], percent),
        ))  # fmt: skip

    def _curve(self, points: Sequence[ScalePoint]) -> Table:
        whole = self._target.parameters
        return Table((
            Column(points[0].dtype, [p.parameters for p in points], size),
            Column("share", [p.parameters / whole for p in points], _share),
            Column("layers", [p.shape.layers for p in points]),
            Column("width", [p.shape.hidden for p in points]),
            Column("alpha", [parts.interval_of(p.alpha, self.level) for p in points], estimate),
            Column("cost ratio", [parts.interval_of(p.cost_ratio, self.level) for p in points],
                   estimate),
            Column("gamma", [p.choice.gamma for p in points]),
            Column("speed-up", [p.choice.speedup for p in points], ".3f"),
            Column("interval", [p.choice.interval for p in points], span),
            Column("fastest", [p.probability_best for p in points], percent),
        ))  # fmt: skip

    def _depths(self) -> Table:
        grid = self.found.found
        tops = []
        for depth in grid.depths:
            mine = [p for p in grid.grid if p.depth == depth and p.dtype == grid.best.dtype]
            tops += [_best([p for p in mine if p.fits])] if any(p.fits for p in mine) else []
        return Table((
            Column("depth / usual", [p.depth for p in tops], "g"),
            Column("best size", [p.parameters for p in tops], size),
            Column("layers", [p.shape.layers for p in tops]),
            Column("width", [p.shape.hidden for p in tops]),
            Column("gamma", [p.choice.gamma for p in tops]),
            Column("speed-up", [p.choice.speedup for p in tops], ".3f"),
        ))  # fmt: skip

    def draw(self) -> Figure:
        """Speed-up against the size of the draft, one curve a format, with the drafts that exist
        and where sizes are extrapolated."""
        from ..calibrate.models.formats import format_in
        from ..figures.answers import Row, turning_curve
        from ..sim.scale_grid import smallest_published

        whole, grid = self._target.parameters, self.found.found

        def row(parameters: float, c: Choice) -> Row:
            return (parameters / whole, c.gamma, c.speedup, c.low, c.high)

        curves = {
            form: [row(p.parameters, p.choice) for p in curve if p.fits]
            for form, curve in grid.curves.items()
        }
        best = grid.best
        return turning_curve(
            {form: rows for form, rows in curves.items() if rows},
            best=row(best.parameters, best.choice), level=self.level, title=self._target.called,
            real={
                f"{format_in(d.draft.called)[0]} {d.draft.dtype}": (
                    d.draft.parameters / whole, d.choice.speedup, d.draft.dtype,
                )
                for d in self.found.existing if d.fits
            },
            known_from=smallest_published(whole) / whole,
        )  # fmt: skip


def _best(points: Sequence[ScalePoint]) -> ScalePoint:
    from ..sim.scale_grid import best_point

    return best_point(points)


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
    drafts: Sequence[str] = (),
    *,
    device: str,
    task: str | None = None,
    temperature: float | None = None,
    batch: float = 1.0,
    context: float | None = None,
    dtype: str = "",
    draft_dtype: str | Sequence[str] = (),
    stack: str | None = None,
    sizes: int = 19,
    gamma_max: int | None = None,
    objective: str | None = None,
    level: float = 0.9,
    seed: int = 0,
    online: bool = False,
) -> BestScale:
    """Find the best size and number format of a draft in the shape of the target's family.

    A smaller draft, and one of fewer bits, costs less and is accepted less: the speed-up turns at
    one size and one format. drafts: models to name on the curve, ``MODEL:FORMAT`` in that format
    alone, by default those of the family that the tables know; draft_dtype: formats tried, one or
    several, by default the usual ones of the stack; sizes: tried from half of the target to a
    thousandth, in [3, 60]. Other arguments and errors as of `howspec.predict`.
    """
    inputs = parts.asked(locals(), scale)
    from ..calibrate.doors import Deployment
    from ..sim.choice import check_objective
    from ..sim.scale import draft_scale

    at = Deployment(
        target, None, device, dtype, "", stack, batch, context, task, temperature, online=online
    )
    formats = [draft_dtype] if isinstance(draft_dtype, str) else draft_dtype
    found = draft_scale(
        at, drafts=tuple(drafts), formats=[f for f in formats if f], sizes=sizes,
        gamma_max=gamma_max, objective=check_objective(objective), level=level,
        seed=seed,
    )  # fmt: skip
    return BestScale(found, level, inputs)
