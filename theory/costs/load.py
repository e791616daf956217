r"""Latency, capacity and the best gamma under load, for continuous batching with linear step times.

A round of B sequences takes F_gamma + B H_gamma (`linear`) and gives each of them E tokens, so n
requests in service each progress at E / (F + n H): a processor-sharing queue whose speed depends
on its occupation (`occupancy`). With token load x = arrival rate times mean length, the mean
latency of one token is, whatever the distribution of lengths,

    w = (F + H) / (E - x H).

The published mean-field form drops the request's own H from the numerator, because it lets the
batch of an idle server tend to 0 where the request itself makes it 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..acceptance.law import AcceptanceLaw, tokens_by_gamma
from ..domain import Floats, check, unwrap
from ..formula import evaluates, formula, formula_of
from ..rounds import geometric_sum, tokens_per_round
from .crossover import half_line
from .linear import LinearStepCost, round_fixed_time, round_sequence_time

GROUP = "batch, load and memory"
_ROUND: dict[str, Any] = {
    "alpha": 0.7, "gamma": 3, "context": 500, "step_fixed": 7e-3, "step_per_token": 2e-5,
    "step_per_cached": 4e-8, "draft_fixed": 1e-3, "draft_per_token": 1e-6,
    "draft_per_cached": 2e-9,
}  # fmt: skip
POINT: dict[str, Any] = {**_ROUND, "round_overhead": 2e-4}


def _plain(s: Any) -> tuple[Any, Any]:
    return s.step_fixed, s.step_per_cached * s.context + s.step_per_token


@formula("token_capacity", r"x_{\max}", group=GROUP,
         **{k: v for k, v in _ROUND.items() if not k.endswith("fixed")})  # fmt: skip
def CAPACITY(s: Any) -> Any:
    """Tokens in a second that the server approaches as its batch grows.

    Assumes: linear step times up to any batch, cache for it, independent acceptance.
    Wrong when: memory bounds the batch first (see `memory`), or compute overtakes memory.
    Source: derived here; the same algebra for latency is in arXiv:2605.15051.
    """
    return formula_of(tokens_per_round).build(s) / formula_of(round_sequence_time).build(s)


@formula("capacity_gain", r"x_{\max}/x_{\max,0}", group=GROUP,
         **{k: v for k, v in _ROUND.items() if not k.endswith("fixed")})  # fmt: skip
def CAPACITY_GAIN(s: Any) -> Any:
    """Capacity with speculation over capacity without; it helps iff E[N] > H_gamma / H_0.

    Assumes: linear step times up to any batch, cache for it, independent acceptance.
    Wrong when: memory bounds the batch first.
    Source: derived here.
    """
    return CAPACITY.build(s) * _plain(s)[1]


@formula("latency_under_load", "w", group=GROUP, token_load=2000, **POINT)
def LATENCY(s: Any) -> Any:
    """Mean time for one token of a request when tokens are requested at rate x, gamma >= 1.

    At x = 0 it is the round time of a single sequence over its tokens.

    Assumes: Poisson arrivals, decoding only, rounds short beside requests, x below the capacity.
    Wrong when: prefill interrupts rounds, memory bounds the batch, or x is near the capacity.
    Source: derived here from the processor-sharing queue; mean-field form: arXiv:2605.15051.
    """
    fixed, row = formula_of(round_fixed_time).build(s), formula_of(round_sequence_time).build(s)
    return (fixed + row) / (formula_of(tokens_per_round).build(s) - s.token_load * row)


@formula("mean_field_latency", r"w_\mathrm{mf}", group=GROUP, token_load=2000, **POINT)
def MEAN_FIELD_LATENCY(s: Any) -> Any:
    """The same with the batch replaced by its mean, from Little's law alone; lower by F / (F + H).

    Assumes: as for the latency under load, and a batch much larger than 1.
    Wrong when: few requests are in service, or one sequence adds much to a round.
    Source: arXiv:2605.15051; rederived here.
    """
    fixed, row = formula_of(round_fixed_time).build(s), formula_of(round_sequence_time).build(s)
    return fixed / (formula_of(tokens_per_round).build(s) - s.token_load * row)


@formula("crossover_load", r"x_\times", group=GROUP, **POINT)
def CROSSOVER_LOAD(s: Any) -> Any:
    """Token load at which this gamma and plain decoding are equally fast.

    1/w is linear in the load, so there is one such load at most. Speculation is the faster one
    below it where it is faster at no load and has less capacity, and above it where it is slower at
    no load and has more capacity.

    Assumes: as for the latency under load.
    Wrong when: as there; where speculation also has more capacity there is no crossover.
    Source: derived here by equating the two latencies.
    """
    fixed, row = formula_of(round_fixed_time).build(s), formula_of(round_sequence_time).build(s)
    plain_fixed, plain_row = _plain(s)
    gain = (plain_fixed + plain_row) * formula_of(tokens_per_round).build(s) - (fixed + row)
    return gain / (plain_fixed * row - fixed * plain_row)


@dataclass(frozen=True)
class RoundTerms:
    """E, F and H of a gamma, as arrays, beside F and H of plain decoding."""

    tokens: Floats
    fixed: Floats
    row: Floats
    plain_fixed: Floats
    plain_row: Floats


def round_terms(
    alpha: ArrayLike,
    gamma: ArrayLike,
    *,
    context: ArrayLike,
    step_per_token: ArrayLike,
    step_per_cached: ArrayLike,
    step_fixed: ArrayLike = 1.0,
    draft_fixed: ArrayLike = 0.0,
    draft_per_token: ArrayLike = 0.0,
    draft_per_cached: ArrayLike = 0.0,
    round_overhead: ArrayLike = 0.0,
) -> RoundTerms:
    a, g = check("alpha", alpha), check("gamma", gamma)
    cache = {"context": context, "step_per_cached": step_per_cached}
    row = round_sequence_time(
        g,
        step_per_token=step_per_token,
        draft_per_token=draft_per_token,
        draft_per_cached=draft_per_cached,
        **cache,
    )
    plain_row = round_sequence_time(0.0, step_per_token=step_per_token, **cache)
    fixed = round_fixed_time(
        g, step_fixed=step_fixed, draft_fixed=draft_fixed, round_overhead=round_overhead
    )
    parts = (geometric_sum(a, g + 1.0), fixed, row, step_fixed, plain_row)
    return RoundTerms(*(np.asarray(x, dtype=np.float64) for x in np.broadcast_arrays(*parts)))


@evaluates(CAPACITY)
def token_capacity(alpha: ArrayLike, gamma: ArrayLike, **times: ArrayLike) -> Any:
    """E[N] / H_gamma [token/s]; inf where another sequence adds no time.

    times: context, step_per_token, step_per_cached, draft_per_token, draft_per_cached, as in
    `LinearStepCost`. Shapes broadcast. Raises ValueError outside the ranges.
    """
    t = round_terms(alpha, gamma, **times)
    with np.errstate(divide="ignore"):
        return unwrap(t.tokens / t.row)


@evaluates(CAPACITY_GAIN)
def capacity_gain(alpha: ArrayLike, gamma: ArrayLike, **times: ArrayLike) -> Any:
    """E[N] H_0 / H_gamma. Arguments as in :func:`token_capacity`.

    Where sequences add no time at all (H_gamma = 0) capacity has no bound and the gain is 1.
    """
    t = round_terms(alpha, gamma, **times)
    nothing = t.row == 0.0
    return unwrap(np.where(nothing, 1.0, t.tokens * t.plain_row / np.where(nothing, 1.0, t.row)))


def _latency(t: RoundTerms, load: Floats, service: Floats) -> Floats:
    spare = t.tokens - load * t.row
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(np.where(spare > 0.0, service / np.maximum(spare, 0.0), np.inf))


@evaluates(LATENCY)
def latency_under_load(
    alpha: ArrayLike, gamma: ArrayLike, token_load: ArrayLike, **times: ArrayLike
) -> Any:
    """(F_gamma + H_gamma) / (E[N] - x H_gamma), mean time for a token of a request [s].

    token_load: >= 0 [token/s]; times: context, step_fixed, step_per_token, step_per_cached,
    draft_fixed, draft_per_token, draft_per_cached, round_overhead, as in `LinearStepCost`. Times
    the length of a request it is the mean latency of the request. inf at and above the capacity.
    Shapes broadcast; returns a float for scalars. Raises ValueError outside the ranges.
    """
    t, x = round_terms(alpha, gamma, **times), check("token_load", token_load)
    return unwrap(_latency(t, x, t.fixed + t.row))


@evaluates(MEAN_FIELD_LATENCY)
def mean_field_latency(
    alpha: ArrayLike, gamma: ArrayLike, token_load: ArrayLike, **times: ArrayLike
) -> Any:
    """F_gamma / (E[N] - x H_gamma) [s]. Arguments as in :func:`latency_under_load`."""
    t, x = round_terms(alpha, gamma, **times), check("token_load", token_load)
    return unwrap(_latency(t, x, t.fixed))


def helpful_loads(alpha: ArrayLike, gamma: ArrayLike, **times: ArrayLike) -> tuple[Any, Any]:
    """(low, high): this gamma is faster than plain decoding for low < token_load < high.

    Arguments as in :func:`latency_under_load`. high is inf where speculation is the faster one as
    long as either keeps up, and both are 0 where it never is. Raises ValueError outside the ranges.
    """
    t = round_terms(alpha, gamma, **times)
    gain = (t.plain_fixed + t.plain_row) * t.tokens - (t.fixed + t.row)
    low, high = half_line(gain, t.plain_fixed * t.row - t.fixed * t.plain_row)
    more = t.tokens * t.plain_row >= t.row  # as much capacity: it stays ahead once it is
    high = np.where(more & (high > low), np.inf, high)
    never = low > 0.0
    never &= ~more  # it would overtake only past its own capacity
    return unwrap(np.where(never, 0.0, low)), unwrap(np.where(never, 0.0, high))


@evaluates(CROSSOVER_LOAD)
def crossover_load(alpha: ArrayLike, gamma: ArrayLike, **times: ArrayLike) -> Any:
    """The token load at which the latencies cross [token/s]; inf or 0 where they do not.

    inf where this gamma is the faster one at every load, 0 where it never is. On which side of a
    crossing it is faster :func:`helpful_loads` says, whose arguments and errors these are.
    """
    low, high = helpful_loads(alpha, gamma, **times)
    return unwrap(np.where(np.asarray(low) > 0.0, low, high))


def gamma_at_load(
    acceptance: AcceptanceLaw,
    cost: LinearStepCost,
    token_load: float,
    *,
    gamma_max: int = 32,
    context: float = 0,
) -> tuple[NDArray[np.int64], Floats]:
    """(best gamma, its latency of a token [s]) at a token load, each of the laws' common shape.

    1/w of each gamma is a falling line in the load, and the best gamma follows their upper
    envelope. So it moves one way only as the load rises: down where a draft token adds relatively
    more to H than to F, up where the draft's fixed time outweighs what its tokens add (long
    context, slow draft). Where no gamma keeps up, the one of the largest capacity is returned
    with latency inf. Raises ValueError outside the ranges.
    """
    x = float(check("token_load", token_load))
    whole = int(check("gamma", gamma_max, label="gamma_max", whole=True))
    fixed, row = cost.terms(whole, context=context)
    speed = (tokens_by_gamma(acceptance, whole) - x * row) / (fixed + row)
    with np.errstate(divide="ignore"):
        capacity = tokens_by_gamma(acceptance, whole) / row
    keeps_up = (speed > 0.0).any(axis=-1)
    best = np.where(keeps_up, speed.argmax(axis=-1), capacity.argmax(axis=-1))
    top = np.take_along_axis(speed, best[..., None], axis=-1)[..., 0]
    return best, np.where(keeps_up, 1.0 / np.where(keeps_up, top, 1.0), np.inf)
