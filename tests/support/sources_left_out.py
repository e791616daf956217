"""How well the cost prior predicts a source that it has not seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from howspec.calibrate.prior.costs_fit import fit_costs
from howspec.calibrate.prior.costs_model import draw_times, work_of
from howspec.calibrate.prior.costs_points import CostPoint, Term, terms_of
from howspec.calibrate.prior.costs_posterior import (
    Spread,
    StackPosterior,
    draw_factor,
    draw_values,
)
from howspec.theory.domain import Floats


@dataclass(frozen=True)
class Held:
    """One number of a source that was left out.

    kind: ``time`` of a pass, ``ratio`` of two, or ``round``, a time or in plain steps; observed,
    median, low, high: the number, and median and 90 % interval of the prediction; published:
    whether the ratio is stated, rather than taken from two times of one source.
    """

    label: str
    group: str
    stack: str
    kind: str
    observed: float
    median: float
    low: float
    high: float
    published: bool = True

    @property
    def covered(self) -> bool:
        """Whether the interval holds the number."""
        return self.low <= self.observed <= self.high

    @property
    def ratio(self) -> float:
        """Predicted over observed."""
        return self.median / self.observed


@dataclass(frozen=True)
class Score:
    """Of several numbers: how many, in how many sources; median, 5th and 95th percentile of
    predicted over observed; median of |ln| of it; share that the 90 % intervals cover, of numbers
    and as the mean over sources.
    """

    points: int
    sources: int
    median_ratio: float
    low_ratio: float
    high_ratio: float
    median_error: float
    coverage: float
    source_coverage: float


def leave_source_out(
    points: Sequence[CostPoint], rng: np.random.Generator, *, spread: Spread, draws: int = 2000
) -> tuple[Held, ...]:
    """Predict every source from the others, without refitting the spreads.

    A source is a study, with all its devices.
    """
    used = [p for p in points if p.fitted]
    held: list[Held] = []
    for source in sorted({_study(p) for p in used}):
        fit = fit_costs([p for p in used if _study(p) != source], spread)
        for group in sorted({p.group for p in used if _study(p) == source}):
            own = [p for p in used if p.group == group]
            held += _predict(own, fit.stacks[own[0].stack], rng, draws)
    return tuple(held)


def _study(point: CostPoint) -> str:
    return point.study or point.group.split("-")[0]


def _predict(
    own: Sequence[CostPoint], posterior: StackPosterior, rng: np.random.Generator, draws: int
) -> list[Held]:
    values = draw_values(posterior, rng, draws=draws)
    shapes = {s.name: s for p in own for s in p.models}
    factors = {
        name: draw_factor(posterior, shapes[name], rng, draws=draws) for name in sorted(shapes)
    }

    def part(p: CostPoint, t: Term) -> Floats:
        work = work_of(
            t.shape, p.device, dtype=t.dtype, kv_dtype="bf16", stack=p.stack, forward=p.forward
        )
        around: Floats = np.ones(draws)
        if t.kind != "step":
            around = 1.0 + values["round"] if t.kind == "verify" else values["drafting"]
        there = {**values, "overhead": values["overhead"] * around}
        found = draw_times(
            work, there, factors[t.shape.name], tokens=np.array([t.tokens]), batch=p.batch,
            cached=float(t.shape.read_tokens(p.context)),
        )  # fmt: skip
        return np.asarray(t.times * found[:, 0])

    def number(p: CostPoint) -> Floats:
        above, below = (
            sum((part(p, t) for t in terms_of(p) if t.below == under), np.zeros(draws))
            for under in (False, True)
        )
        return np.asarray(above / np.where(below > 0.0, below, 1.0))

    found = []
    for p in own:
        found.append(_held(p, p.label, number(p), p.value, p.error, rng))
    for a, b in combinations([p for p in own if not p.gamma and _plain(p)], 2):
        if not _same_setting(a, b):
            continue
        big, small = (a, b) if a.value >= b.value else (b, a)
        error = float(np.hypot(a.error, b.error))
        label, observed = f"{small.label}/{big.label}", small.value / big.value
        found.append(_held(a, label, number(small) / number(big), observed, error, rng, pair=True))
    return found


def _plain(p: CostPoint) -> bool:
    return p.draft is None and p.tokens == 1.0


def _same_setting(a: CostPoint, b: CostPoint) -> bool:
    """Whether two plain steps of different models make a cost ratio."""
    same = (a.device, a.dtype, a.batch, a.context) == (b.device, b.dtype, b.batch, b.context)
    return same and a.target.name != b.target.name


def _held(
    p: CostPoint,
    label: str,
    value: Floats,
    observed: float,
    error: float,
    rng: np.random.Generator,
    *,
    pair: bool = False,
) -> Held:
    seen = value * np.exp(rng.normal(0.0, error, value.shape))
    low, high = np.quantile(seen, (0.05, 0.95))
    kind = "round" if p.gamma else "ratio" if pair or p.draft is not None else "time"
    median = float(np.median(value))
    return Held(label, p.group, p.stack, kind, observed, median, float(low), float(high), not pair)


def score(held: Iterable[Held]) -> Score:
    """Summarise predictions. Raises ValueError where there are none."""
    items = tuple(held)
    if not items:
        raise ValueError("held must hold at least one prediction, got none")
    ratios = np.array([h.ratio for h in items])
    groups = sorted({h.group for h in items})
    by_group = [np.mean([h.covered for h in items if h.group == g]) for g in groups]
    return Score(
        points=len(items),
        sources=len(groups),
        median_ratio=float(np.median(ratios)),
        low_ratio=float(np.quantile(ratios, 0.05)),
        high_ratio=float(np.quantile(ratios, 0.95)),
        median_error=float(np.median(np.abs(np.log(ratios)))),
        coverage=float(np.mean([h.covered for h in items])),
        source_coverage=float(np.mean(by_group)),
    )
