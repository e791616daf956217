r"""Acceptance of a drafter that nobody has measured with its target: heads, blocks, look-up.

A head is trained for its target, so its acceptance follows no ratio of sizes; what published
drafters of its kind reach, and how far they differ, is all that is known before a measurement. In
y = ln(-ln alpha_1), for task t, family f, target m and head i of it,

    y_tfmi = mean_t + family_f + target_m + head_mi,   alpha_k = alpha_1 decay^(k-1)

Spreads come from moments: between targets (task by task, so that it holds what a target does on one
task alone), between targets of one family, between heads of one target. What the measured targets
of the asked one's family share moves the mean by as much as the spreads allow. A kind with fewer
than three targets takes the spreads of all kinds of heads. Draws are Student's; decays are those of
the measured curves. Look-up accepts nothing where the text has no match and much where it has one:
the first rate holds the matches, and the later ones are higher. A part of the target, and a model
that drafts a block at once, are forecast as a tuned draft of their size.
Assumes: greedy decoding or nearly so, as the published rows; chains and blocks.
Wrong when: the head was trained on little data, or on other prompts than it meets.
Source: rows of `measured`, `specbundle` and `serving_speedups`; derived here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from ...theory import DepthAcceptance
from ...theory.domain import Floats
from ..depth import damped
from ..known import KnownAcceptance
from ..library.evidence import lengths
from ..library.study import same_study, study_of
from ..models import Device, number_format
from ..models.catalogue import find_model
from ..models.drafters import DRAFTERS, drafter_kind, ships_mtp
from ..models.heads import head_shape
from ..models.names import plain, squeeze
from .acceptance_tasks import canonical_task, known_task
from .costs import PredictedCost
from .pair import Load, NamedModel, Use, expected_acceptance, expected_costs, named

_RATES = np.linspace(0.005, 0.995, 397)
_DECAYS = np.linspace(0.7, 1.15, 91)
_PLAIN_BITS = 16
_FEWEST = 3  # targets, below which a spread between them is a guess
_WARMEST = 0.75  # temperature; above it rows are of another rule of acceptance
_LOOK_UP = ("n-gram", "prompt look-up", "suffix")
_BY_SIZE = ("layer-skip", "PARD")
_HEADS = tuple(k.name for k in DRAFTERS.values() if k.is_head)
# Of look-up: how far ln(-ln alpha) of the fifth position lies below that of the first, and its sd;
# a third of the rounds that accept nothing and a third that accept all make 0.8.
_LATER = (0.6, 0.4)
# First acceptances that a paper states, where no chain is published.
_STATED = {"Medusa": (0.6, "top-1 accuracy of the first head, arXiv:2401.10774")}


@dataclass(frozen=True)
class HeadCurve:
    """Measured tokens per round of one drafter on one task; gammas and tokens of equal length.

    source: citation of the first of its rows.
    """

    kind: str
    target: str
    head: str
    task: str
    gammas: tuple[int, ...]
    tokens: tuple[float, ...]
    source: str = ""

    def fit(self, decay: float | None = None) -> tuple[float, float]:
        """(alpha_1, decay) with the least squares of ln tokens; a single gamma needs a decay."""
        decays = _DECAYS if decay is None else np.array([decay])
        # Tokens at a gamma do not depend on the gammas behind it: one table serves all curves.
        table = _log_tokens(decay, 1 << (max(self.gammas) - 1).bit_length())
        misfit = np.square(table[list(self.gammas)].T - np.log(self.tokens)).sum(axis=-1).T
        rate, at = np.unravel_index(int(misfit.argmin()), misfit.shape)
        return float(_RATES[rate]), float(decays[at])


@cache
def _log_tokens(decay: float | None, top: int) -> Floats:
    """ln tokens at gamma = 0..top for every rate and decay, (top + 1, rates, decays)."""
    decays = _DECAYS if decay is None else np.array([decay])
    return np.asarray(np.moveaxis(np.log(_tokens(_RATES[:, None], decays, top)), -1, 0))


def _tokens(alpha: Floats, decay: Floats, top: int) -> Floats:
    """Tokens per round at gamma = 0..top on a new last axis."""
    a, d = np.broadcast_arrays(alpha, decay)
    return np.asarray(np.cumsum(DepthAcceptance(a, d).survival(top), axis=-1))


@cache
def head_curves(kind: str = "") -> tuple[HeadCurve, ...]:
    """The curves of a kind of drafter in the bundled tables, of all heads for ""."""
    if not kind:
        return tuple(c for k in _HEADS for c in head_curves(k))
    found: dict[tuple[str, str, str], dict[int, list[float]]] = {}
    sources: dict[tuple[str, str, str], str] = {}
    for m in lengths(kind):
        usual = m.temperature is None or m.temperature <= _WARMEST
        if m.gamma and usual and 1.0 < m.value < m.gamma + 1.0:
            key = (m.target_model or m.target, m.draft, m.task)
            found.setdefault(key, {}).setdefault(m.gamma, []).append(m.value)
            sources.setdefault(key, m.citation)
    return tuple(
        HeadCurve(
            kind, *key, tuple(sorted(v)), tuple(float(np.mean(v[g])) for g in sorted(v)),
            sources[key],
        )
        for key, v in found.items()
    )  # fmt: skip


@dataclass(frozen=True)
class _Point:
    target: str
    head: str
    task: str
    y: float
    decay: float
    source: str = ""

    @property
    def family(self) -> str:
        return _family(self.target)


def _family(target: str) -> str:
    found = find_model(target)
    return found.shape.family if found else ""


@cache
def _points(kind: str, unseen: str = "") -> tuple[_Point, ...]:
    """The curves of a kind as numbers; a single gamma takes the median decay of the others."""
    curves = [c for c in head_curves(kind) if not same_study(c.source, unseen)]
    several = [c for c in curves if len(c.gammas) > 1]
    usual = float(np.median([c.fit()[1] for c in several])) if several else 1.0
    points = []
    for c in curves:
        rate, decay = c.fit(None if len(c.gammas) > 1 else usual)
        y = float(np.log(-np.log(rate)))
        points.append(_Point(c.target, c.head, c.task, y, decay, c.source))
    return tuple(points)


def named_draft(
    name: str, target: NamedModel, *, online: bool = False
) -> tuple[NamedModel, str | None]:
    """(draft, kind of drafter): a model by its name, or the target's drafter that a name tells.

    The kind is None for a plain model, else a key of `models.drafters.DRAFTERS`, and stands in the
    draft too, with notes on what the name leaves open. A folder or a config.json is a model.
    Raises ValueError as `named` does.
    """
    local = name.endswith(".json") or Path(name).is_dir()
    kind = None if local else drafter_kind(name)
    if kind is None:
        return named(name, online=online), None
    if kind == "PARD":
        words = [w for w in plain(name).split("-") if w != "pard"]
        base = find_model("-".join(words))
        if base is None:
            raise ValueError(
                f"a PARD draft is a model of its own, named as PARD-Llama-3.2-1B; got {name!r}"
            )
        return NamedModel(name, base.shape, base.dtype, kind), kind
    shape = head_shape(target.shape, kind, name=name)
    return NamedModel(name, shape, shape.weights, kind, _flags(name, kind, target)), kind


def _flags(name: str, kind: str, target: NamedModel) -> tuple[str, ...]:
    """What to know of a drafter by its name: whether it may be of another target, or of none."""
    notes = []
    if kind == "MTP" and not (ships_mtp(target.called) or ships_mtp(target.shape.name)):
        notes.append(f"releases of {target.called} ship no MTP head: it would have to be trained")
    if DRAFTERS[kind].weights == "head":
        trained = {p.target for p in _points(kind)}
        if not any(_same(t, target.called) for t in trained):
            notes.append(f"no {kind} head of {target.called} is among the published measurements")
    other = _told_target(name)
    if other and not _same(other, target.called):
        notes.append(f"{name} is named for {other}, not for the target {target.called}")
    return tuple(notes)


def _told_target(name: str) -> str:
    """The model that a head's name holds, "" for none: Qwen3-8B of z-lab/Qwen3-8B-DFlash."""
    words = plain(name).replace("speculator.", "speculator-").split("-")
    for size in range(len(words), 1, -1):
        for start in range(len(words) - size + 1):
            found = find_model("-".join(words[start : start + size]))
            if found is not None and not found.remarks:
                return found.name
    return ""


def head_dtype(target: NamedModel, kind: str, machine: Device, dtype: str = "") -> str:
    """Format of a drafter where none is named: "" for that of the target.

    Heads trained after the release stay in 16 bits beside a target of fewer.
    """
    own = kind == "MTP" or DRAFTERS[kind].passes == "none" or kind == "layer-skip"
    if own or number_format(dtype or target.dtype).bits >= _PLAIN_BITS:
        return ""
    return "bf16" if "bf16" in machine.rates else "fp16"


def head_costs(
    target: NamedModel, head: NamedModel, *, load: Load, rng: np.random.Generator, draws: int = 2000
) -> PredictedCost:
    """Costs of a target with its drafter, run once a token, once a round, or never.

    A shorter table of tokens is no other vocabulary. Raises ValueError for a plain model, and as
    `expected_costs` does.
    """
    kind = head.kind or drafter_kind(head.called)
    if kind is None:
        raise ValueError(f"drafter must be of a kind of {', '.join(DRAFTERS)}, got {head.called!r}")
    law = expected_costs(target, [head], load=load, rng=rng, draws=draws)[0]
    notes = tuple(n for n in law.notes if not n.startswith("vocabularies"))
    return replace(law, drafting=DRAFTERS[kind].passes, notes=(*notes, *head.notes))


def expected_head(
    kind: str,
    target: str,
    rng: np.random.Generator,
    *,
    task: str | None = None,
    temperature: float | None = None,
    positions: int = 16,
    draws: int = 2000,
    draft: NamedModel | None = None,
    unseen: str = "",
) -> KnownAcceptance:
    """Acceptance of a drafter of that kind for a target, from published ones of its kind.

    target: a name; drafters of that very target count as its sisters. task: one that the prior
    knows, None for any. draft: the drafter as `named_draft` gives it, needed for PARD alone;
    unseen: a study whose drafters are left out.
    Raises ValueError where none of the kind is published.
    """
    notes = []
    if temperature is not None:
        if not 0.0 <= temperature < np.inf:
            raise ValueError(f"temperature must be in [0, inf), got {temperature:g}")
        if temperature and kind not in _BY_SIZE:
            notes.append(f"drafters were measured greedy, not at temperature {temperature:g}")
    if kind in _BY_SIZE:
        return _by_size(
            kind,
            target,
            rng,
            Use(task, temperature, tuned=True, unseen=unseen),
            positions,
            draws,
            draft,
        )
    points = tuple(
        p for k in (_LOOK_UP if kind in _LOOK_UP else (kind,)) for p in _points(k, unseen)
    )
    if kind in _STATED:
        rate, where = _STATED[kind]
        points = (_Point(where, kind, "", float(np.log(-np.log(rate))), 1.0),)
        notes.append(f"no chain of {kind} is published: {where}")
    if not points:
        raise ValueError(
            f"acceptance must be given for a drafter of kind {kind}, of which none is published: "
            f"--alpha, --acceptance or --statistics"
        )
    chosen = points
    if task is None:
        notes.append("no task named: the interval covers those of the published drafters")
    else:
        wanted = known_task(task)
        chosen = tuple(p for p in points if canonical_task(p.task) == wanted)
        if len({p.target for p in chosen}) < min(_FEWEST, len({p.target for p in points})):
            notes.append(
                f"too few {kind} drafters measured on {wanted}: the interval is of any task"
            )
            chosen = points
    own = [p for p in chosen if _same(p.target, target)]
    y = _draw(chosen, own, rng, draws, family=_family(target), unseen=unseen)
    curves = [p for k in _HEADS for p in _points(k, unseen)] if kind in _STATED else own or chosen
    decay = np.array([p.decay for p in curves])[rng.integers(len(curves), size=draws)]
    y = np.minimum(y, 1.6)
    if kind in _LOOK_UP:
        fifth = np.exp(-np.maximum(rng.normal(*_LATER, draws), 0.0))
        decay = np.exp(np.exp(y) * (1.0 - fifth) / 4.0)
    law = DepthAcceptance(np.exp(-np.exp(y)), decay)
    count, targets = len({(p.target, p.head) for p in chosen}), len({p.target for p in chosen})
    given = f"{count} published {kind} drafters of {targets} targets"
    if kind in _STATED:
        given = _STATED[kind][1]
    elif own:
        heads = len({p.head for p in own})
        given = f"{heads} published {kind} drafters of this very target"
    table = _tokens(np.asarray(law.alpha), np.asarray(law.decay), 4)
    pooled = (table[:, 4] - 1.0) / table[:, 3]
    sources = tuple(dict.fromkeys(p.source for p in own or chosen if p.source))
    return KnownAcceptance(
        damped(law, positions), "predicted", given, pooled, notes=tuple(notes), sources=sources
    )


def _by_size(
    kind: str,
    target: str,
    rng: np.random.Generator,
    use: Use,
    positions: int,
    draws: int,
    draft: NamedModel | None,
) -> KnownAcceptance:
    """A part of the target, or a parallel model: as a tuned draft of its size."""
    model = named(target)
    if draft is None:
        draft = named_draft(kind, model)[0]
    forecast = expected_acceptance(model, [draft], use=use, rng=rng, draws=draws, curve=True)
    note = f"no acceptance of {kind} is published: taken as a tuned draft of its size"
    one = forecast.of(0)
    return KnownAcceptance(
        damped(one.law, positions), "predicted", "published and own pairs", one.alpha,
        notes=(*one.notes, note),
    )  # fmt: skip


def _same(one: str, other: str) -> bool:
    """Whether a published target is the asked one, whatever tuning its name ends in."""
    models = [find_model(name) for name in (one, other)]
    if models[0] is None or models[1] is None:
        return squeeze(one) == squeeze(other)
    return models[0].name == models[1].name


def _draw(
    points: Sequence[_Point],
    own: Sequence[_Point],
    rng: np.random.Generator,
    draws: int,
    *,
    family: str,
    unseen: str = "",
) -> Floats:
    """Draws of y: a task of the points at random, then a target and a head around its mean."""
    spreads = _spreads(points)
    if len({p.target for p in points}) < _FEWEST:
        spreads = _common_spreads(unseen)
    elif not spreads.heads:  # one head a target: what heads differ by is that of other kinds
        common = _common_spreads(unseen)
        spreads = replace(spreads, head=common.head, heads=common.heads)
    means = _task_means(own or points)
    at = rng.integers(len(means), size=draws)
    if own:
        # The next study's prompts and engine differ from those of the studies that measured it; how
        # far is not known apart, and taken as what targets differ by.
        heads, studies = len({p.head for p in own}), len({study_of(p.source) for p in own})
        variance = spreads.head**2 * (1.0 + 1.0 / heads) + spreads.target**2 / studies
        degrees = min(spreads.heads, spreads.targets)
        return np.asarray(means[at] + np.sqrt(variance) * rng.standard_t(degrees, draws))
    count = len({p.target for p in points})
    shift, variance = _of_family(points, family, spreads)
    spread = np.sqrt(variance + spreads.target**2 / count + spreads.head**2)
    return np.asarray(means[at] + shift + spread * rng.standard_t(spreads.targets, draws))


def _of_family(points: Sequence[_Point], family: str, s: _Spreads) -> tuple[float, float]:
    """(shift of the mean, variance of a target) with what others of the family have shown."""
    apart = s.target**2 - s.within**2
    levels = _levels(points)
    mine = [v for t, v in levels.items() if family and _family(t) == family]
    if not mine or apart <= 0.0:
        return 0.0, s.target**2
    weight = len(mine) * apart / (len(mine) * apart + s.within**2)
    return weight * float(np.mean(mine)), apart * (1.0 - weight) + s.within**2


def _task_means(points: Sequence[_Point]) -> Floats:
    """Mean of y for each task, targets alike."""
    means = []
    for task in sorted({p.task for p in points}):
        of_target: dict[str, list[float]] = {}
        for p in points:
            if p.task == task:
                of_target.setdefault(p.target, []).append(p.y)
        means.append(np.mean([np.mean(v) for v in of_target.values()]))
    return np.array(means)


def _levels(points: Sequence[_Point]) -> dict[str, float]:
    """How far each target lies from the mean of its tasks."""
    apart: dict[str, list[float]] = {}
    for task in {p.task for p in points}:
        levels: dict[str, list[float]] = {}
        for p in points:
            if p.task == task:
                levels.setdefault(p.target, []).append(p.y)
        center = float(np.mean([np.mean(v) for v in levels.values()]))
        if len(levels) > 1:
            for target, values in levels.items():
                apart.setdefault(target, []).append(float(np.mean(values)) - center)
    return {target: float(np.mean(values)) for target, values in apart.items()}


@dataclass(frozen=True)
class _Spreads:
    """Standard deviations of y between targets, between those of one family, and between heads of
    one target; targets, heads: degrees of freedom.
    """

    target: float
    within: float
    head: float
    targets: int
    heads: int


def _spreads(points: Sequence[_Point]) -> _Spreads:
    """The spreads of the points; the first is taken task by task."""
    of_targets: list[float] = []
    of_heads: list[float] = []
    cells = 0
    for task in sorted({p.task for p in points}):
        levels = []
        for target in sorted({p.target for p in points if p.task == task}):
            values = np.array([p.y for p in points if (p.task, p.target) == (task, target)])
            levels.append(float(values.mean()))
            of_heads += (values - values.mean()).tolist()
            cells += 1
        if len(levels) > 1:
            excess = np.array(levels) - np.mean(levels)
            of_targets += (excess * np.sqrt(len(levels) / (len(levels) - 1.0))).tolist()
    if not of_targets:  # no task in common: what tasks do is then part of the spread
        names = sorted({p.target for p in points})
        levels = [float(np.mean([p.y for p in points if p.target == t])) for t in names]
        of_targets = [float(np.std(levels, ddof=1))] if len(levels) > 1 else [0.0]
    free = len(of_heads) - cells
    head = float(np.sqrt(np.square(of_heads).sum() / free)) if free > 0 else 0.0
    between = float(np.sqrt(np.mean(np.square(of_targets))))
    within = _within_families(points, between)
    targets = max(len({p.target for p in points}) - 1, 1)
    return _Spreads(between, within, head, targets, free)


def _within_families(points: Sequence[_Point], between: float) -> float:
    """Spread between targets of one family; that between all targets where no family has two."""
    levels = _levels(points)
    families: dict[str, list[float]] = {}
    for target, level in levels.items():
        families.setdefault(_family(target) or target, []).append(level)
    free = sum(len(v) - 1 for v in families.values())
    if not free:
        return between
    squares = sum(float(np.square(np.array(v) - np.mean(v)).sum()) for v in families.values())
    return min(between, float(np.sqrt(squares / free)))


@cache
def _common_spreads(unseen: str) -> _Spreads:
    """The spreads of the kinds of heads that have targets enough, averaged as variances."""
    of_kinds = [_points(k, unseen) for k in _HEADS]
    known = [_spreads(points) for points in of_kinds if len({p.target for p in points}) >= _FEWEST]

    def mean(name: str) -> float:
        seen = [getattr(s, name) for s in known if name != "head" or s.heads]
        return float(np.sqrt(np.mean(np.square(seen))))

    return _Spreads(mean("target"), mean("within"), mean("head"), _FEWEST, _FEWEST)
