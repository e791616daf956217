r"""Acceptance of a drafting head that nobody has measured with its target.

A head is trained for its target, so its acceptance follows no ratio of sizes; what published heads
of its kind reach, and how far they differ, is all that is known before a measurement. In
y = ln(-ln alpha_1), for task t, target m and head i of it,

    y_tmi = mean_t + target_m + head_mi,   alpha_k = alpha_1 decay^(k-1)

with one spread between targets and one between heads of one target, estimated over the tasks in
common. Another target's head is drawn from Student's law with as many degrees of freedom as
targets allow; decays are drawn from the measured ones.
Assumes: greedy decoding, as the published rows; chains.
Wrong when: the head was trained on little data, or on other prompts than it meets.
Source: rows of `specbundle` and `serving_speedups`; derived here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from ...theory import DepthAcceptance
from ...theory.domain import Floats
from ..depth import damped
from ..known import KnownAcceptance
from ..library.load import load_table
from ..library.schema import Row, text
from ..library.study import same_study
from ..models import Device, number_format
from ..models.catalogue import find_model
from ..models.heads import head_kind, head_shape
from ..models.names import squeeze
from .acceptance_tasks import canonical_task, known_task
from .costs import PredictedCost
from .pair import Load, NamedModel, expected_costs, named

_RATES = np.linspace(0.005, 0.995, 397)
_DECAYS = np.linspace(0.7, 1.15, 91)
_PLAIN_BITS = 16
_FEWEST = 3  # targets, below which a spread between them is a guess


@dataclass(frozen=True)
class HeadCurve:
    """Measured tokens per round of one head on one task; gammas and tokens of equal length.

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
        table = _tokens(_RATES[:, None], decays, max(self.gammas))[..., list(self.gammas)]
        misfit = np.square(np.log(table) - np.log(self.tokens)).sum(axis=-1)
        rate, at = np.unravel_index(int(misfit.argmin()), misfit.shape)
        return float(_RATES[rate]), float(decays[at])


def _tokens(alpha: Floats, decay: Floats, top: int) -> Floats:
    """Tokens per round at gamma = 0..top on a new last axis."""
    a, d = np.broadcast_arrays(alpha, decay)
    return np.asarray(np.cumsum(DepthAcceptance(a, d).survival(top), axis=-1))


@cache
def head_curves() -> tuple[HeadCurve, ...]:
    """The chains of heads in the bundled tables whose tokens per round are known."""
    found: dict[tuple[str, str, str, str], dict[int, float]] = {}
    sources: dict[tuple[str, str, str, str], str] = {}
    for table in ("specbundle", "serving_speedups"):
        for row in load_table(table).rows:
            kind = _kind(row)
            gamma, tokens = row["gamma_tokens"], row["tokens_per_round"]
            if kind is None or isinstance(gamma, str | None) or isinstance(tokens, str | None):
                continue
            if not 1.0 < tokens < gamma + 1.0:
                continue
            key = (kind, text(row, "target"), text(row, "draft"), text(row, "task"))
            found.setdefault(key, {})[int(gamma)] = float(tokens)
            sources.setdefault(key, text(row, "source"))
    return tuple(
        HeadCurve(*key, tuple(sorted(v)), tuple(v[g] for g in sorted(v)), sources[key])
        for key, v in found.items()
    )


def _kind(row: Row) -> str | None:
    """The kind of head of a row that drafted a chain, None for the others."""
    method = text(row, "drafting") if "drafting" in row else text(row, "method")
    words = method.casefold()
    if re.search(r"tree|parallel|block", words):
        return None
    return head_kind(text(row, "draft")) or head_kind(method)


@dataclass(frozen=True)
class _Point:
    target: str
    head: str
    task: str
    y: float
    decay: float


@cache
def _points(kind: str, unseen: str) -> tuple[_Point, ...]:
    """The curves of a kind as numbers; a single gamma takes the median decay of the others."""
    every = (c for c in head_curves() if c.kind == kind)
    curves = [c for c in every if not same_study(c.source, unseen)]
    whole = [c.fit()[1] for c in curves if len(c.gammas) > 1]
    usual = float(np.median(whole)) if whole else 1.0
    points = []
    for c in curves:
        rate, decay = c.fit(None if len(c.gammas) > 1 else usual)
        points.append(_Point(c.target, c.head, c.task, float(np.log(-np.log(rate))), decay))
    return tuple(points)


def named_draft(
    name: str, target: NamedModel, *, online: bool = False
) -> tuple[NamedModel, str | None]:
    """(draft, kind of head): a model by its name, or the head of the target that a name tells.

    The kind is None for a model. A folder or a config.json is read as a model. Raises ValueError as
    `named` does.
    """
    local = name.endswith(".json") or Path(name).is_dir()
    kind = None if local or find_model(name) is not None else head_kind(name)
    if kind is None:
        return named(name, online=online), None
    shape = head_shape(target.shape, kind)
    return NamedModel(name, shape, shape.weights), kind


def head_dtype(target: NamedModel, kind: str, machine: Device, dtype: str = "") -> str:
    """Format of a head where none is named: "" for that of the target.

    Heads trained after the release stay in 16 bits beside a target of fewer.
    """
    if kind == "MTP" or number_format(dtype or target.dtype).bits >= _PLAIN_BITS:
        return ""
    return "bf16" if "bf16" in machine.rates else "fp16"


def head_costs(
    target: NamedModel, head: NamedModel, *, load: Load, rng: np.random.Generator, draws: int = 2000
) -> PredictedCost:
    """Costs of a target with its head; a shorter table of tokens is no other vocabulary."""
    law = expected_costs(target, [head], load=load, rng=rng, draws=draws)[0]
    return replace(law, notes=tuple(n for n in law.notes if not n.startswith("vocabularies")))


def expected_head(
    kind: str,
    target: str,
    rng: np.random.Generator,
    *,
    task: str | None = None,
    temperature: float | None = None,
    positions: int = 16,
    draws: int = 2000,
    unseen: str = "",
) -> KnownAcceptance:
    """Acceptance of a head of that kind for a target, from published heads of its kind.

    target: a name; heads of that very target count as its sisters. task: one that the prior knows,
    None for any; unseen: a study whose heads are left out. Raises ValueError where too few heads
    of the kind are published.
    """
    points = _points(kind, unseen)
    notes = []
    if temperature is not None:
        if not 0.0 <= temperature < np.inf:
            raise ValueError(f"temperature must be in [0, inf), got {temperature:g}")
        if temperature:
            notes.append(f"heads were measured greedy, not at temperature {temperature:g}")
    targets = {p.target for p in points}
    if len(targets) < _FEWEST:
        raise ValueError(
            f"acceptance of {kind} heads is published for {len(targets)} targets, too few to "
            f"predict from: give --alpha, --acceptance or --statistics"
        )
    chosen = points
    if task is None:
        notes.append("no task named: the interval covers those of the published heads")
    else:
        wanted = known_task(task)
        chosen = tuple(p for p in points if canonical_task(p.task) == wanted)
        if len({p.target for p in chosen}) < _FEWEST:
            notes.append(f"too few {kind} heads measured on {wanted}: the interval is of any task")
            chosen = points
    own = [p for p in chosen if _same(p.target, target)]
    y = _draw(chosen, own, rng, draws)
    decay = np.array([p.decay for p in own or chosen])[rng.integers(len(own or chosen), size=draws)]
    law = DepthAcceptance(np.exp(-np.exp(np.minimum(y, 1.6))), decay)
    heads = len({(p.target, p.head) for p in own or chosen})
    given = f"{heads} published {kind} heads of {len({p.target for p in chosen})} targets"
    if own:
        given = f"{heads} published {kind} heads of this very target"
    table = _tokens(np.asarray(law.alpha), np.asarray(law.decay), 4)
    pooled = (table[:, 4] - 1.0) / table[:, 3]
    return KnownAcceptance(damped(law, positions), "predicted", given, pooled, notes=tuple(notes))


def _same(one: str, other: str) -> bool:
    """Whether a published target is the asked one, whatever tuning its name ends in."""
    models = [find_model(name) for name in (one, other)]
    if models[0] is None or models[1] is None:
        return squeeze(one) == squeeze(other)
    return models[0].name == models[1].name


def _draw(
    points: Sequence[_Point], own: Sequence[_Point], rng: np.random.Generator, draws: int
) -> Floats:
    """Draws of y: a task of the points at random, then a target and a head around its mean."""
    between, within, free, wide = _spreads(points)
    means = _task_means(own or points)
    at = rng.integers(len(means), size=draws)
    if own:
        heads = len({p.head for p in own})
        spread, degrees = within * np.sqrt(1.0 + 1.0 / heads), wide
    else:
        count = len({p.target for p in points})
        spread = np.sqrt(between**2 * (1.0 + 1.0 / count) + within**2)
        degrees = free
    return np.asarray(means[at] + spread * rng.standard_t(degrees, draws))


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


def _spreads(points: Sequence[_Point]) -> tuple[float, float, int, int]:
    """(between targets, between heads of a target, degrees of freedom of each).

    The first is taken task by task, so that it holds what a target does on one task alone.
    """
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
        of_targets = [float(np.std(levels, ddof=1))]
    free = len(of_heads) - cells
    within = float(np.sqrt(np.square(of_heads).sum() / free)) if free > 0 else 0.0
    between = float(np.sqrt(np.mean(np.square(of_targets))))
    return between, within, len({p.target for p in points}) - 1, max(free, 1)
