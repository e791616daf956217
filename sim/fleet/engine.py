"""What the event loop needs of the laws: tables over the number of sequences in the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...theory.acceptance.law import AcceptanceLaw
from ...theory.costs.law import CostLaw
from ...theory.domain import Floats, as_floats, check


@dataclass(frozen=True)
class Engine:
    """Acceptance laws, a cost law and a choice of gamma, tabulated over the batch.

    gamma: draft tokens at batch 0..max_batch (entry 0 unused), shape (max_batch + 1,).
    survival: [i, g] holds s_0..s_g of a round with g drafted tokens of a request of kind i, zero
    beyond; shape (kinds, gamma_max + 1, gamma_max + 1).
    time: seconds of a round at batch 0..max_batch (row 0 unused) and at contexts 0, context_step,
    2 context_step, ..., shape (max_batch + 1, knots); one knot where the context does not enter.
    """

    gamma: NDArray[np.int64]
    survival: Floats
    time: Floats
    context_step: float = 0.0

    @property
    def max_batch(self) -> int:
        return self.gamma.size - 1


def build_engine(
    acceptance: AcceptanceLaw | Sequence[AcceptanceLaw],
    cost: CostLaw,
    *,
    gamma: int | ArrayLike,
    max_batch: int = 256,
    context: float = 0.0,
    context_max: float | None = None,
    knots: int = 17,
) -> Engine:
    """Tabulate the laws for an engine that runs at most max_batch sequences together.

    acceptance: a law, from whose survival every round is drawn independently; or several, equally
    frequent kinds of requests, which is how requests that differ for good are given.
    gamma: draft tokens per round, one whole number >= 0 or a schedule of max_batch of them, entry
    b - 1 used while b sequences run. cost in seconds. context: tokens in the cache of each
    sequence, the same throughout; with context_max given, each sequence's own prompt and output
    count instead, and times are interpolated between ``knots`` contexts up to context_max (exact
    for a law linear in context). Raises ValueError for laws with arrays of parameters, a schedule
    of another length, and times that are not positive.
    """
    kinds = [acceptance] if isinstance(acceptance, AcceptanceLaw) else list(acceptance)
    if not kinds:
        raise ValueError("acceptance must be one law or more, got none")
    shapes = [("acceptance", kind.shape) for kind in kinds] + [("cost", cost.shape)]
    for name, shape in shapes:
        if shape != ():
            raise ValueError(f"{name} must be a single law, got parameters of shape {shape}")
    check("batch", max_batch, label="max_batch", whole=True)
    drafted = _schedule(gamma, max_batch)
    longest = int(drafted.max())
    survival = np.zeros((len(kinds), longest + 1, longest + 1))
    for i, kind in enumerate(kinds):
        for g in np.unique(drafted):
            survival[i, g, : g + 1] = kind.survival(int(g))
    if context_max is None:
        contexts, step = np.array([float(check("context", context))]), 0.0
    else:
        if knots < 2:
            raise ValueError(f"knots must be an integer >= 2, got {knots}")
        contexts = np.linspace(0.0, float(check("context", context_max)) or 1.0, knots)
        step = float(contexts[1])
    time = np.zeros((max_batch + 1, contexts.size))
    for b, g in enumerate(drafted[1:], 1):
        for j, tokens in enumerate(contexts):
            time[b, j] = cost.round_time(int(g), batch=b, context=float(tokens))[-1]
    if not (np.isfinite(time[1:]).all() and (time[1:] > 0).all()):
        raise ValueError(f"the time of a round must be in (0, inf), got {time[1:].min()}")
    return Engine(drafted, survival, time, step)


def _schedule(gamma: int | ArrayLike, max_batch: int) -> NDArray[np.int64]:
    """Gamma at batch 0..max_batch from one number or from max_batch of them."""
    given: Any = check("gamma", gamma, whole=True)
    if given.ndim > 1 or (given.ndim == 1 and given.size != max_batch):
        raise ValueError(
            f"gamma must be one number or a schedule of max_batch = {max_batch} of them, "
            f"got shape {given.shape}"
        )
    every = np.broadcast_to(given, (max_batch,)).astype(np.int64)
    return np.concatenate([every[:1], every])


def mean_rounds(survival: ArrayLike, lengths: ArrayLike) -> float:
    """Mean rounds that requests of these lengths take, the last round cut at the request's end.

    survival: s_0..s_gamma of independent rounds; lengths: whole numbers >= 1 [token], any shape.
    By the renewal recursion m(L) = 1 + sum over n < L of P(N = n) m(L - n); exact.
    """
    alive = np.append(as_floats("survival", survival), 0.0)
    pmf = alive[:-1] - alive[1:]
    every = np.asarray(lengths, dtype=np.int64)
    rounds = np.zeros(int(every.max()) + 1)
    for n in range(1, rounds.size):
        back = min(n - 1, pmf.size)
        rounds[n] = 1.0 + pmf[:back] @ rounds[n - back : n][::-1]
    return float(rounds[every].mean())


def capacity(engine: Engine, lengths: ArrayLike, *, prompts: ArrayLike = 0) -> float:
    """Requests per second that the engine serves with a full batch that is never short of work.

    lengths, prompts: tokens of each request. Where the context enters, the time of a round is
    taken at the mean context of a full batch, prompt + half the output weighted by the output.
    """
    tokens = np.asarray(lengths, dtype=np.float64)
    g = int(engine.gamma[-1])
    row = engine.time[-1]
    seconds = float(row[0])
    if row.size > 1:
        held = np.average(np.broadcast_to(prompts, tokens.shape) + tokens / 2, weights=tokens)
        seconds = float(np.interp(held, engine.context_step * np.arange(row.size), row))
    rounds = np.mean([mean_rounds(kind[g, : g + 1], lengths) for kind in engine.survival])
    return float(engine.max_batch / (rounds * seconds))
