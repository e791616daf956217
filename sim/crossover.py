r"""Where a pair stops paying: batch, context and load at which no gamma beats plain decoding.

A server at token load x keeps b sequences in flight with x = b S(b) / T_1(b), S the speed-up at
that batch. Where S = 1 both ways of decoding have one batch, so the load at which speculation
stops paying is that of plain decoding at the batch where it stops:

    x* = b* / T_1(b*)

Assumes: Little's law with the batch at its mean.
Wrong when: the batch varies so much that the mean does not stand for it.
Source: the mean-field latency of `howspec.theory.costs`, for any cost law; derived here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..calibrate.prior.costs import PredictedCost, PredictedPass
from ..theory import CostLaw
from ..theory.domain import Floats
from ..theory.interval import check_level
from .choice import DEFAULT_OBJECTIVE, Choice, Objective, choose
from .known import Laws

Quantity = Literal["batch", "context", "load"]


@dataclass(frozen=True)
class Crossing:
    """Where the best gamma becomes 0 as one quantity rises.

    values: where it was looked at; gamma, speedup, low, high, probability_gain: there. at: the
    first value from which on it stays 0, None where it pays to the last of the values; low, high:
    interval over the draws, None where that end lies beyond the values. pays: whether it pays
    anywhere; starts: the first value at which it pays, where that is not the first of them.
    """

    quantity: Quantity
    values: tuple[float, ...]
    gamma: tuple[int, ...]
    speedup: tuple[float, ...]
    speedup_low: tuple[float, ...]
    speedup_high: tuple[float, ...]
    probability_gain: tuple[float, ...]
    at: float | None
    low: float | None
    high: float | None
    pays: bool
    starts: float | None


def batches_up_to(largest: int, *, per_doubling: int = 3) -> tuple[float, ...]:
    """Whole batches from 1 to ``largest``, evenly spaced in their logarithm."""
    if largest < 1:
        return (1.0,)
    count = max(2, 1 + int(np.ceil(np.log2(max(largest, 2)) * per_doubling)))
    return tuple(float(b) for b in np.unique(np.rint(np.geomspace(1.0, largest, count))))


@dataclass(frozen=True)
class PairCrossover:
    """Where a pair stops paying; largest: batch that fits or was looked at, 0 where none fits.

    load: None where the costs are not in seconds; objective: what gamma makes largest; notes: what
    to know before relying on it.
    """

    laws: Laws
    batch: Crossing
    context: Crossing
    load: Crossing | None
    largest: int
    objective: Objective
    notes: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether the pair fits in memory at all."""
        return self.largest >= 1


def pair_crossover(
    laws: Laws,
    *,
    batch_max: int = 1024,
    objective: Objective = DEFAULT_OBJECTIVE,
    level: float = 0.9,
) -> PairCrossover:
    """The crossings of a pair in batch, context and load, at the pair's own context and batch.

    batch_max: largest batch looked at, in [2, 1e6], less where memory ends before. Raises
    ValueError outside the ranges and for costs that depend on neither batch nor context.
    """
    check_level(level)
    if not 2 <= batch_max <= 10**6:
        raise ValueError(f"batch_max must be in [2, 1e6], got {batch_max}")
    at, known = laws.pair.at, laws.costs
    tokens, law = laws.tokens(), known.law
    most = min(batch_max, known.batch_max or batch_max)
    if known.memory is not None and known.memory.largest_batch is not None:
        most = min(most, known.memory.largest_batch)
    models = [m for m in (laws.pair.target, laws.pair.draft) if m is not None]
    longest = int(min((m.shape.context for m in models), default=131_072))
    low, high = known.contexts or (0.0, float(longest))
    looked = sorted({float(np.clip(c, low, high)) for c in _contexts(longest)})
    contexts = [c for c in looked if _holds(law, at.batch, c)] or [low]
    if not _depends(law, max(most, 1), contexts[-1], at.cached):
        raise ValueError(
            "crossover needs costs that depend on batch or context: a pair on a device, a table of "
            f"passes or a law; got {known.given}"
        )
    found = crossings(
        tokens, law, batches=batches_up_to(most), contexts=contexts, batch=at.batch,
        context=at.cached, objective=objective, level=level,
    )  # fmt: skip
    both = (found["batch"], found["context"])
    notes = [*laws.notes]
    if contexts[-1] < min(float(longest), high):
        notes.append(f"memory ends before context {longest:g} at batch {at.batch:g}")
    if 1 <= most < batch_max:
        notes.append(f"memory or costs end at batch {most}, at context {at.cached:g}")
    load = found["load"] if known.seconds else None
    return PairCrossover(laws, *both, load, most, objective, tuple(dict.fromkeys(notes)))


def _depends(law: CostLaw, batch: float, longest: float, context: float) -> bool:
    """Whether the shape of a round's times changes with the batch or the context."""

    def shape(batch: float, context: float) -> Floats:
        times = np.asarray(law.round_time(1, batch=batch, context=context), dtype=float)
        return np.asarray(times[..., 1] / times[..., 0])

    usual = shape(1.0, context)
    others = (shape(batch, context), shape(1.0, longest))
    return any(not np.array_equal(usual, other) for other in others)


def _contexts(longest: int) -> tuple[float, ...]:
    """Contexts from 0 to the longest that both models take."""
    top = max(int(longest), 1024)
    steps = [0.0, 256.0]
    while steps[-1] * 2.0 < top:
        steps.append(steps[-1] * 2.0)
    return (*steps, float(top))


def _holds(law: CostLaw, batch: float, context: float) -> bool:
    """Whether both models and the caches of the batch fit at a context."""
    if not isinstance(law, PredictedCost) or law.memory is None:
        return True
    caches = 0.0
    for part in (law.target, law.draft):
        assert isinstance(part, PredictedPass)
        caches += float(part.model.cache_bytes(context))
    return bool(law.memory.weights_bytes + batch * caches <= law.memory.usable_bytes)


def crossings(
    tokens: Floats,
    law: CostLaw,
    *,
    batches: Sequence[float],
    contexts: Sequence[float],
    batch: float,
    context: float,
    objective: Objective = DEFAULT_OBJECTIVE,
    level: float = 0.9,
) -> dict[Quantity, Crossing]:
    """Crossings in batch (at ``context``), context (at ``batch``) and load (at ``context``).

    tokens: of rounds of gamma = 0.., shape (draws, gammas); batches, contexts: rising, where to
    look; objective: what gamma makes largest; level: of the intervals.
    """
    tables = [_table(tokens, law, batch=b, context=context) for b in batches]
    plain = np.stack([_plain(law, batch=b, context=context) for b in batches])
    loads = np.asarray(batches, dtype=float)[:, None] / plain
    loads = np.broadcast_to(loads, (len(batches), tables[0].shape[0]))
    at_batch = [_table(tokens, law, batch=batch, context=c) for c in contexts]
    by_batch = [
        choose(t, objective=objective, level=level, plain=p)
        for t, p in zip(tables, plain, strict=True)
    ]
    by_context = [
        choose(t, objective=objective, level=level, plain=_plain(law, batch=batch, context=c))
        for t, c in zip(at_batch, contexts, strict=True)
    ]
    return {
        "batch": _crossing("batch", np.asarray(batches, float), tables, by_batch),
        "context": _crossing("context", np.asarray(contexts, float), at_batch, by_context),
        "load": _crossing("load", loads, tables, by_batch),
    }


def _plain(law: CostLaw, *, batch: float, context: float) -> Floats:
    """Draws of the time of a plain step, (draws,) or (1,)."""
    return np.atleast_1d(law.round_time(0, batch=batch, context=context)[..., 0])


def _table(tokens: Floats, law: CostLaw, *, batch: float, context: float) -> Floats:
    times = law.round_time(tokens.shape[-1] - 1, batch=batch, context=context)
    return np.asarray(tokens * (times[..., :1] / times))


def _crossing(
    quantity: Quantity, values: Floats, tables: Sequence[Floats], choices: Sequence[Choice]
) -> Crossing:
    """values: (points,), or (points, draws) where each draw has its own."""
    level = choices[0].level
    excess = np.array([c.score[1:].max() / c.score[0] for c in choices]) - 1.0
    # Each draw would choose its own gamma, once it is known which draw is true.
    own = np.stack([t[:, 1:].max(axis=1) for t in tables]) - 1.0
    middle = values if values.ndim == 1 else np.median(values, axis=1)
    ends = np.array(
        [_end(values if values.ndim == 1 else values[:, i], own[:, i]) for i in range(own.shape[1])]
    )
    low, high = np.quantile(
        ends, [0.5 * (1.0 - level), 0.5 * (1.0 + level)], method="closest_observation"
    )
    at = _end(middle, excess)
    paying = np.flatnonzero(excess > 0.0)
    late = paying.size > 0 and paying[0] > 0
    return Crossing(
        quantity,
        tuple(float(v) for v in middle),
        tuple(c.gamma for c in choices),
        tuple(c.speedup for c in choices),
        tuple(c.low for c in choices),
        tuple(c.high for c in choices),
        tuple(c.probability_gain for c in choices),
        _finite(at),
        _finite(float(low)),
        _finite(float(high)),
        bool(paying.size),
        float(middle[paying[0]]) if late else None,
    )


def _end(values: Floats, excess: Floats) -> float:
    """Where the excess falls to 0 for good: inf where it ends above, the first value where it never
    is above; between two values by a straight line.
    """
    above = np.flatnonzero(excess > 0.0)
    if above.size == 0:
        return float(values[0])
    last = int(above[-1])
    if last == len(values) - 1:
        return float("inf")
    share = excess[last] / (excess[last] - excess[last + 1])
    return float(values[last] + share * (values[last + 1] - values[last]))


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
