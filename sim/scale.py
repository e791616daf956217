"""How small a draft: hypothetical drafts in the shape of the target's family, by size and depth.

Layers follow size as in the bundled table of models: within its families they grow as the power
0.29 of the parameters. A draft of n parameters and twice its usual layers is narrower, not larger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..calibrate.depth import damped
from ..calibrate.doors import Deployment, Pair, resolve
from ..calibrate.models import ModelShape
from ..calibrate.prior.acceptance import AcceptancePrior
from ..calibrate.prior.acceptance_scale import usual_layers
from ..calibrate.prior.costs import PredictedCost, PredictedPass
from ..calibrate.prior.pair import Load, NamedModel, Use, expected_acceptance, expected_costs
from ..theory import tokens_by_gamma
from ..theory.domain import Floats, check
from ..theory.interval import check_level
from .choice import DEFAULT_OBJECTIVE, Choice, Objective, among, between, choose
from .known import DRAWS, GAMMA_MAX, check_gamma_max, check_seed
from .ranking import RankedDraft, existing_drafts, rank_drafts

LAYERS_EXPONENT = 0.29  # slope of ln layers in ln parameters within families, dense models
DEPTHS = (0.25, 0.5, 1.0, 1.5)
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


@dataclass(frozen=True)
class ScalePoint:
    """One hypothetical draft. depth: layers in units of the usual ones; probability_best: of its
    size among those at its depth; alpha, cost_ratio: draws, (draws,).
    """

    shape: ModelShape
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
    """curve: drafts of usual depth, largest first; grid: all, depth by depth; best: of the grid;
    size_interval: of the parameters of the best draft of usual depth, None where nothing pays in
    more than half of the draws; probability_plain: share of the draws where no size pays; within:
    probability that the best gives up no more than 5 % of the fastest of the grid that fits;
    regret: mean share of the time that knowing the fastest would save.
    """

    curve: tuple[ScalePoint, ...]
    grid: tuple[ScalePoint, ...]
    best: ScalePoint
    size_interval: tuple[float, float] | None
    probability_plain: float
    within: float
    regret: float
    costs: tuple[PredictedCost, ...]
    notes: tuple[str, ...]

    @property
    def depths(self) -> tuple[float, ...]:
        """Depths of the grid, rising."""
        return tuple(sorted({p.depth for p in self.grid}))


def best_scale(
    target: NamedModel,
    *,
    load: Load,
    use: Use,
    rng: np.random.Generator,
    sizes: int = 19,
    smallest: float = 1e-3,
    largest: float = 0.5,
    depths: Sequence[float] = DEPTHS,
    gamma_max: int = 16,
    draws: int = 2000,
    objective: Objective = DEFAULT_OBJECTIVE,
    level: float = 0.9,
) -> ScaleAnswer:
    """The best size and depth of a draft that is trained as its family is.

    sizes: of the grid from ``largest`` to ``smallest`` of the target's parameters; depths: must
    hold 1. Draws are in common, so the curve of each draw is smooth and has its own best size.
    """
    if not 0.0 < smallest < largest < 1.0 or sizes < 3:
        raise ValueError(
            f"shares must rise inside (0, 1) over 3 sizes or more, got {smallest:g} to {largest:g} "
            f"in {sizes}"
        )
    order = [1.0, *(d for d in depths if d != 1.0)]
    shares = np.geomspace(largest, smallest, sizes)
    shapes: list[ModelShape] = []
    kept: list[float] = []
    for depth in order:
        for share in shares:
            shape = hypothetical(target.shape, share * target.parameters, depth=depth)
            if all(shape != other for other in shapes):  # the narrowest one is there only once
                shapes.append(shape)
                kept.append(depth)
    drafts = [NamedModel(s.name, s, s.weights) for s in shapes]
    layers = [
        None if d == 1.0 else max(1, round(d * usual_layers(s.parameters())))
        for s, d in zip(shapes, kept, strict=True)
    ]
    laws = _alike(expected_costs(target, drafts, load=load, rng=rng, draws=draws))
    forecast = expected_acceptance(
        target,
        drafts,
        use=use,
        dtype=laws[0].dtype,
        rng=rng,
        draws=draws,
        layers=layers,
        curve=True,
    )
    tokens = tokens_by_gamma(damped(forecast.law, gamma_max), gamma_max)
    choices = []
    for own, law in zip(tokens, laws, strict=True):
        times = law.round_time(gamma_max, batch=load.batch, context=load.context)
        table = own * (times[:, :1] / times)
        choices.append(choose(table, objective=objective, level=level, plain=times[:, 0]))
    fits = [law.memory is None or load.batch <= law.memory.largest for law in laws]
    chance = _chances(choices, fits, np.array(kept))
    grid = tuple(
        ScalePoint(
            shapes[i], kept[i], choices[i], float(chance[i]), forecast.alpha[i],
            laws[i].cost_ratio(batch=load.batch, context=load.context), fits[i],
        )
        for i in range(len(shapes))
    )  # fmt: skip
    curve = tuple(p for p in grid if p.depth == 1.0)
    able = [p for p in grid if p.fits] or list(grid)
    at = int(between([p.choice for p in able]).argmax())
    stakes = among([p.choice for p in able])
    interval, plain = _size_interval(curve, level)
    return ScaleAnswer(
        curve, grid, able[at], interval, plain, float(stakes.probability_within[1 + at]),
        float(stakes.expected_regret[1 + at]), laws, forecast.notes,
    )  # fmt: skip


def best_point(points: Sequence[ScalePoint]) -> ScalePoint:
    """What the objective makes largest."""
    return points[int(between([p.choice for p in points]).argmax())]


def _alike(laws: Sequence[PredictedCost]) -> tuple[PredictedCost, ...]:
    """The laws with one deviation for all drafts: they are one architecture in many sizes."""
    first = laws[0].draft
    assert isinstance(first, PredictedPass)
    found = []
    for law in laws:
        assert isinstance(law.draft, PredictedPass)
        found.append(replace(law, draft=replace(law.draft, factor=first.factor)))
    return tuple(found)


def _chances(choices: Sequence[Choice], fits: Sequence[bool], depth: NDArray[np.float64]) -> Floats:
    """Share of the draws in which each is the best of its depth that fits."""
    found = np.zeros(len(choices))
    for value in np.unique(depth):
        mine = [int(i) for i in np.flatnonzero(depth == value) if fits[int(i)]]
        if mine:
            wins = np.argmax(np.stack([choices[i].draws for i in mine]), axis=0)
            found[mine] = np.bincount(wins, minlength=len(mine)) / wins.size
    return found


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


@dataclass(frozen=True)
class DraftScale:
    """The best size and depth of a draft for a target on a machine.

    found: the grid behind it; pays: whether any size does; turning_point: best of the usual depth,
    None where nothing fits; notes: what to know before relying on it; existing: released drafts of
    the family, best first.
    """

    pair: Pair
    found: ScaleAnswer
    pays: bool
    turning_point: ScalePoint | None
    notes: tuple[str, ...]
    existing: tuple[RankedDraft, ...] = ()


def draft_scale(
    at: Deployment,
    *,
    sizes: int = 19,
    gamma_max: int | None = None,
    objective: Objective = DEFAULT_OBJECTIVE,
    level: float = 0.9,
    seed: int = 0,
) -> DraftScale:
    """Find the best draft in the shape of the target's family, as `best_scale` does.

    sizes: in [3, 60], from half of the target to a thousandth; gamma_max: default 16; objective:
    what gamma, size and depth make largest. Raises ValueError outside the ranges and without target
    or device.
    """
    check_level(level)
    if not 3 <= sizes <= 60:
        raise ValueError(f"sizes must be in [3, 60], got {sizes}")
    at.needs("scale", "target", "device")
    pair = resolve(at)
    load, target = pair.load(), pair.target
    assert load is not None
    assert target is not None
    found = best_scale(
        target, load=load, use=pair.use, rng=np.random.default_rng(check_seed(seed)), sizes=sizes,
        gamma_max=GAMMA_MAX if gamma_max is None else check_gamma_max(gamma_max), draws=DRAWS,
        objective=objective, level=level,
    )  # fmt: skip
    pays = found.best.fits and found.best.choice.gamma > 0
    able = [p for p in found.curve if p.fits]
    turn = best_point(able) if able else None
    names = existing_drafts(pair)
    ranked: tuple[RankedDraft, ...] = ()
    if names:
        ranking = rank_drafts(
            at, names, gamma_max=gamma_max, objective=objective, level=level, seed=seed
        )
        ranked = ranking.rankings[0].drafts
    return DraftScale(pair, found, pays, turn, _notes(found, pays, able, turn), ranked)


def _notes(
    found: ScaleAnswer, pays: bool, able: Sequence[ScalePoint], turn: ScalePoint | None
) -> tuple[str, ...]:
    notes = []
    needs = [law.memory for law in found.costs if law.memory is not None]
    if not found.best.fits:
        least = min(needs, key=lambda need: need.weights)
        notes.append(f"NO: no draft fits beside the target: the smallest {least.line}")
    elif not pays:
        notes.append("NO: no size pays here; plain decoding is fastest")
    if turn is not None and pays and turn in (able[0], able[-1]):
        notes.append("the best size is at the end of those tried: the turning point lies beyond")
    if pays and found.best.depth in (found.depths[0], found.depths[-1]):
        notes.append(
            f"the best depth, {found.best.depth:g} of the usual layers, is at the end of those "
            "tried; few published pairs tell depth from size"
        )
    smallest = min(c.draft_parameters for c in AcceptancePrior.load().cells)
    if pays and found.best.parameters < smallest:
        notes.append(
            f"extrapolated: the smallest draft of a published pair has {smallest / 1e6:.0f}M "
            "parameters"
        )
    return (*notes, *found.notes)
