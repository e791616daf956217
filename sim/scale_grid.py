"""The grid behind `scale`: sizes by number formats, and depths in the best of them.

Depth is a third axis that few published pairs tell from size: the best is of usual depth.

Drafts are hypothetical, in the shape of the target's family, by size and depth. Layers follow size
as in the bundled table of models: within its families they grow as the power 0.29 of the
parameters. A draft of n parameters and twice its usual layers is narrower, not larger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..calibrate.models import ModelShape
from ..calibrate.named import NamedModel
from ..calibrate.pair import Load, Use
from ..calibrate.prior.acceptance import AcceptancePrior, expected_acceptance
from ..calibrate.prior.acceptance_forecast import rounded
from ..calibrate.prior.acceptance_model import usual_layers
from ..calibrate.prior.costs import PredictedCost, PredictedPass, expected_costs
from ..theory import tokens_by_gamma
from ..theory.acceptance.positional import damped
from ..theory.domain import Floats, check
from .choice import DEFAULT_OBJECTIVE, Choice, Objective, among, between, choose

LAYERS_EXPONENT = 0.29  # slope of ln layers in ln parameters within families, dense models
_STEP = 16  # widths are multiples of it


def hypothetical(target: ModelShape, parameters: float, *, depth: float = 1.0) -> ModelShape:
    """A dense decoder of about so many parameters, in the proportions of the target's family.

    parameters: > 0, embedding included; depth: layers in units of those usual for the size, > 0.
    The embedding is shared with the output matrix below a tenth of the target, as small releases
    do. Sizes below one narrow layer give that layer.
    """
    check("parameters", parameters)
    share = min(parameters / target.parameters(), 1.0)
    layers = max(1, round(depth * target.layers * share**LAYERS_EXPONENT))
    # A dense draft of a mixture of experts may be wider than the target.
    low, high = 1, 1 + (8 if target.is_moe else 1) * target.hidden // _STEP
    while low < high:  # the widest that is not too large
        middle = (low + high + 1) // 2
        wide = _shaped(target, layers, middle * _STEP, tied=target.tied or share < 0.1)
        low, high = (middle, high) if wide.parameters() <= parameters else (low, middle - 1)
    return _shaped(target, layers, low * _STEP, tied=target.tied or share < 0.1)


def _shaped(target: ModelShape, layers: int, hidden: int, *, tied: bool) -> ModelShape:
    size = 64 if target.kv_rank else target.head_dim
    heads = max(1, round(hidden * target.heads / target.hidden)) if not target.kv_rank else 0
    heads = heads or max(1, hidden // size)
    wanted = max(1, round(heads * target.kv_heads / target.heads)) if not target.kv_rank else heads
    kv_heads = max(k for k in range(1, wanted + 1) if heads % k == 0)
    wide = target.ffn or 4 * target.hidden
    windowed = round(layers * target.windowed_layers / target.layers)
    return replace(
        target,
        name=f"{layers} layers x {hidden}", layers=layers, hidden=hidden, heads=heads,
        kv_heads=kv_heads, head_dim=size, ffn=max(1, round(hidden * wide / target.hidden)),
        tied=tied, embedding_width=0, experts=0, active_experts=0, expert_ffn=0, shared_ffn=0,
        moe_layers=0, query_rank=0, kv_rank=0, rope_dim=0, value_dim=0,
        windowed_layers=windowed, window=target.window if windowed else 0, encoder_layers=0,
        weights="bf16" if target.is_moe else target.weights,
    )  # fmt: skip


DEPTHS = (0.25, 0.5, 1.0, 1.5)
_LARGEST = 0.5  # share of the target that a draft has at most
_MAY_BEND = 0.5  # of the slope of ln -ln alpha in ln size, its deviation beyond published sizes


@dataclass(frozen=True)
class ScalePoint:
    """One hypothetical draft in one number format. depth: layers in units of the usual ones;
    probability_best: share of the draws in which it is the fastest of those at its depth that fit;
    alpha, cost_ratio: draws, (draws,).
    """

    shape: ModelShape
    dtype: str
    depth: float
    choice: Choice
    probability_best: float
    alpha: Floats
    cost_ratio: Floats
    fits: bool

    @property
    def parameters(self) -> float:
        return float(self.shape.parameters())


@dataclass(frozen=True)
class ScaleAnswer:
    """curves: by format drafts of usual depth, largest first; grid: all of these, then the other
    depths in the best format; best: of usual depth; size_interval: of the parameters of the best
    draft of usual depth in any format, None where nothing pays in more than half of the draws; an
    end at the smallest or largest that fits of those tried may lie beyond (`or_smaller`,
    `or_larger`); probability_plain: share of the draws where nothing pays; within: probability that
    the best gives up no more than 5 % of the fastest of usual depth that fits; regret: mean share
    of the time that knowing it would save; costs: one a point of the grid.
    """

    curves: dict[str, tuple[ScalePoint, ...]]
    grid: tuple[ScalePoint, ...]
    best: ScalePoint
    size_interval: tuple[float, float] | None
    probability_plain: float
    within: float
    regret: float
    costs: tuple[PredictedCost, ...]
    notes: tuple[str, ...]

    @property
    def curve(self) -> tuple[ScalePoint, ...]:
        """Drafts of usual depth in the best format, largest first."""
        return self.curves[self.best.dtype]

    @property
    def or_smaller(self) -> bool:
        """Whether the interval of sizes ends at the smallest that was tried and fits."""
        return self.size_interval is not None and self.size_interval[0] == min(self._sizes)

    @property
    def or_larger(self) -> bool:
        """Whether the interval of sizes ends at the largest that was tried and fits."""
        return self.size_interval is not None and self.size_interval[1] == max(self._sizes)

    @property
    def _sizes(self) -> list[float]:
        return [p.parameters for curve in self.curves.values() for p in curve if p.fits]

    @property
    def depths(self) -> tuple[float, ...]:
        """Depths of the grid, rising."""
        return tuple(sorted({p.depth for p in self.grid}))

    @property
    def probability_of_format(self) -> dict[str, float]:
        """Share of the draws in which the fastest draft of usual depth is of each format."""
        return {f: sum(p.probability_best for p in c) for f, c in self.curves.items()}


def best_scale(
    target: NamedModel,
    *,
    load: Load,
    use: Use,
    rng: np.random.Generator,
    formats: Sequence[str] = ("",),
    sizes: int = 19,
    smallest: float = 1e-3,
    gamma_max: int = 16,
    draws: int = 2000,
    objective: Objective = DEFAULT_OBJECTIVE,
    level: float = 0.9,
) -> ScaleAnswer:
    """The best size and number format of a draft that is trained as its family is.

    formats: of the drafts' weights, "" for the target's; sizes: of the grid from half of the
    target's parameters to the share ``smallest`` of them. Draws are in common, so the curve of each
    draw is smooth and has its own best size and format.
    """
    if not 0.0 < smallest < _LARGEST or sizes < 3:
        raise ValueError(
            f"shares must fall from {_LARGEST:g} inside (0, 1) over 3 sizes or more, got "
            f"{smallest:g} in {sizes}"
        )
    order = [1.0, *(d for d in DEPTHS if d != 1.0)]
    shapes: list[ModelShape] = []
    kept: list[float] = []
    for depth in order:
        for share in np.geomspace(_LARGEST, smallest, sizes):
            shape = hypothetical(target.shape, share * target.parameters, depth=depth)
            if all(shape != other for other in shapes):  # the narrowest one is there only once
                shapes.append(shape)
                kept.append(depth)
    drafts = [NamedModel(s.name, s, s.weights) for s in shapes]
    layers = [
        None if d == 1.0 else max(1, round(d * usual_layers(s.parameters())))
        for s, d in zip(shapes, kept, strict=True)
    ]
    timing, accepting, bending = rng.bit_generator.seed_seq.spawn(3)  # type: ignore[attr-defined]
    laws = {
        form: _alike(
            expected_costs(
                target, drafts, load=replace(load, draft_dtype=form),
                rng=np.random.default_rng(timing), draws=draws,
            )
        )
        for form in formats
    }  # fmt: skip
    forecast = expected_acceptance(
        target, drafts, use=use, dtype=laws[formats[0]][0].dtype,
        rng=np.random.default_rng(accepting), draws=draws, layers=layers, curve=True,
    )  # fmt: skip
    known = smallest_published(target.parameters)
    bend = np.random.default_rng(bending).standard_normal(draws)
    sure = replace(forecast, alpha=_beyond(forecast.alpha, drafts, bend, known))

    def points(form: str, depth: float) -> list[tuple[ScalePoint, PredictedCost]]:
        packed = rounded(sure, [form] * len(drafts))
        mine = [i for i, d in enumerate(kept) if (d == 1.0) == (depth == 1.0)]
        tokens = tokens_by_gamma(damped(packed.law, gamma_max), gamma_max)
        found = []
        for i in mine:
            law = laws[form][i]
            times = law.round_time(gamma_max, batch=load.batch, context=load.context)
            choice = choose(
                tokens[i] * (times[:, :1] / times), objective=objective, level=level,
                plain=times[:, 0],
            )  # fmt: skip
            point = ScalePoint(
                shapes[i], form, kept[i], choice, 0.0, packed.alpha[i],
                law.cost_ratio(batch=load.batch, context=load.context),
                law.memory is None or law.memory.holds(load.batch),
            )  # fmt: skip
            found.append((point, law))
        return found

    usual = [p for form in formats for p in points(form, 1.0)]
    named = _with_chances([p for p, _ in usual])
    able = [p for p in named if p.fits] or named
    at = int(between([p.choice for p in able]).argmax())
    best, stakes = able[at], among([p.choice for p in able])
    deep = points(best.dtype, 0.0)
    others = [p for d in order[1:] for p in _with_chances([p for p, _ in deep if p.depth == d])]
    interval, plain = _size_interval(named, level)
    return ScaleAnswer(
        {form: tuple(p for p in named if p.dtype == form) for form in formats},
        (*named, *others), best, interval, plain, float(stakes.probability_within[1 + at]),
        float(stakes.expected_regret[1 + at]), tuple(law for _, law in (*usual, *deep)),
        forecast.notes,
    )  # fmt: skip


def smallest_published(target: float) -> float:
    """Parameters of the smallest draft, for a target of so many, that a published pair is like:
    one whose draft is no larger, and no larger a share of its target."""
    cells = AcceptancePrior.load().cells
    return min(c.draft_parameters * max(1.0, target / c.target_parameters) for c in cells)


def _beyond(alpha: Floats, drafts: Sequence[NamedModel], bend: Floats, smallest: float) -> Floats:
    """Draws of alpha, (drafts, draws), less sure the smaller a draft is than published ones.

    Below ``smallest`` parameters the slope of ln -ln alpha in ln size may be another one.
    """
    sizes = np.log([d.parameters for d in drafts])
    far = np.maximum(np.log(smallest) - sizes, 0.0)
    missed = np.log(-np.log(alpha))
    one, two = int(sizes.argmax()), int(sizes.argmin())
    slope = (missed[two] - missed[one]) / (sizes[one] - sizes[two])
    moved = missed + np.outer(far, _MAY_BEND * slope * bend)
    return np.asarray(np.where(far[:, None] > 0.0, np.exp(-np.exp(np.minimum(moved, 6.0))), alpha))


def best_point(points: Sequence[ScalePoint]) -> ScalePoint:
    """What the objective makes largest."""
    return points[int(between([p.choice for p in points]).argmax())]


def _alike(laws: Sequence[PredictedCost]) -> tuple[PredictedCost, ...]:
    """The laws with one deviation for all drafts: they are one architecture in many sizes."""
    passes = [law.draft for law in laws if isinstance(law.draft, PredictedPass)]
    same = [replace(one, factor=passes[0].factor) for one in passes]
    return tuple(replace(law, draft=one) for law, one in zip(laws, same, strict=True))


def _with_chances(points: Sequence[ScalePoint]) -> list[ScalePoint]:
    """The points with the share of the draws in which each is the fastest that fits."""
    able = [i for i, p in enumerate(points) if p.fits]
    if not able:
        return list(points)
    wins = np.argmax(np.stack([points[i].choice.draws for i in able]), axis=0)
    share = np.zeros(len(points))
    share[able] = np.bincount(wins, minlength=len(able)) / wins.size
    return [replace(p, probability_best=float(s)) for p, s in zip(points, share, strict=True)]


def _size_interval(
    curve: Sequence[ScalePoint], level: float
) -> tuple[tuple[float, float] | None, float]:
    """(ends of the parameters of the best size over the draws where one pays, share without)."""
    able = [p for p in curve if p.fits]
    if not able:
        return None, 1.0
    table = np.stack([p.choice.draws for p in able])
    pays = table.max(axis=0) > 1.0
    if pays.mean() < 0.5:
        return None, float(1.0 - pays.mean())
    sizes = np.array([p.parameters for p in able])[table.argmax(axis=0)][pays]
    low, high = np.quantile(
        sizes, [0.5 * (1.0 - level), 0.5 * (1.0 + level)], method="closest_observation"
    )
    return (float(low), float(high)), float(1.0 - pays.mean())
