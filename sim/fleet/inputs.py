"""What a fleet is given: an engine, its laws in tables over the batch, and requests that arrive.

The same requests serve every engine and every rate that are compared.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...theory.acceptance.law import AcceptanceLaw
from ...theory.costs.law import CostLaw
from ...theory.domain import Floats, as_floats, check

Lengths = int | ArrayLike | Callable[[np.random.Generator, int], ArrayLike]
_LONGEST = 2**24 - 1  # a request has 2^24 elements of the stream of acceptance draws


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


@dataclass(frozen=True)
class Workload:
    """Requests without a rate: two engines run on one workload face common random numbers.

    gaps: times between arrivals in units of their mean, exponential for Poisson arrivals;
    lengths: tokens to emit; prompts: tokens already in the cache; each of shape (requests,).
    kinds: in [0, 1), where each request stands among the kinds of an engine, shape (requests,);
    key: names the stream that the acceptance draws are read from.
    """

    gaps: Floats
    lengths: NDArray[np.int64]
    prompts: NDArray[np.int64]
    kinds: Floats
    key: int

    @property
    def requests(self) -> int:
        return self.gaps.size

    def arrivals(self, rate: float) -> Floats:
        """Arrival times at ``rate`` requests per second [s], from 0."""
        if not (np.isfinite(rate) and rate > 0):
            raise ValueError(f"arrival_rate must be in (0, inf), got {rate}")
        return np.asarray(np.cumsum(self.gaps) / rate)


def draw_workload(
    rng: np.random.Generator, *, requests: int, lengths: Lengths, prompts: Lengths = 0
) -> Workload:
    """Draw a workload with Poisson arrivals.

    lengths, prompts: a whole number for all requests, an array of shape (requests,) used in
    order, or a function of (generator, requests) that draws such an array; lengths >= 1,
    prompts >= 0 [token]. A longer workload of a generator in the same state starts with the
    shorter one. Raises ValueError outside these ranges.
    """
    if requests < 1:
        raise ValueError(f"requests must be an integer >= 1, got {requests}")
    names, arrivals, output, input_, kinds = rng.spawn(5)
    return Workload(
        arrivals.exponential(size=requests),
        _tokens("lengths", lengths, output, requests, 1),
        _tokens("prompts", prompts, input_, requests, 0),
        kinds.random(requests),
        int(names.integers(0, 2**63)),
    )


def draw_all(
    children: Sequence[np.random.Generator],
    *,
    requests: int,
    lengths: Lengths,
    prompts: Lengths = 0,
) -> list[Workload]:
    """One workload of each generator, which is left as it was; see :func:`draw_workload`."""
    return [
        draw_workload(afresh(child), requests=requests, lengths=lengths, prompts=prompts)
        for child in children
    ]


def afresh(rng: np.random.Generator) -> np.random.Generator:
    """A generator that spawns what ``rng`` would; a copy of it forgets its seed before numpy 2."""
    bits = rng.bit_generator
    seed = copy.deepcopy(bits.seed_seq)
    if not isinstance(seed, np.random.SeedSequence):
        raise ValueError(f"rng must have been made from a seed, got {type(seed).__name__}")
    return np.random.Generator(type(bits)(seed))


def _tokens(
    name: str, given: Lengths, rng: np.random.Generator, requests: int, least: int
) -> NDArray[np.int64]:
    values = as_floats(name, given(rng, requests) if callable(given) else given)
    if values.ndim == 0:
        values = np.full(requests, float(values))
    if values.shape != (requests,):
        raise ValueError(f"{name} must have shape ({requests},), got {values.shape}")
    bad = ~((values >= least) & (values <= _LONGEST) & (np.floor(values) == values))
    if bad.any():
        found = f"{values[bad][0]:.12g}"
        raise ValueError(f"{name} must be an integer in [{least}, {_LONGEST}], got {found}")
    return values.astype(np.int64)
