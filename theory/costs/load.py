r"""Latency, capacity and the best gamma under load, for continuous batching with linear step times.

A round of B sequences takes F_gamma + B H_gamma (`passes`) and gives each of them E tokens, so n
requests in service each progress at E / (F + n H): a processor-sharing queue whose speed depends
on its occupation. With token load x = arrival rate times mean length, the mean latency of one token
is, whatever the distribution of lengths (processor sharing is insensitive to it),

    w = (F + H) / (E - x H),

and with r = x H / E the number in service is negative binomial,

    P(n) = (F/H + 1)_n / n!  (1 - r)^{F/H + 1} r^n,   E[n] = x w.

The published mean-field form drops the request's own H from the numerator, because it lets the
batch of an idle server tend to 0 where the request itself makes it 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..acceptance.law import AcceptanceLaw, tokens_by_gamma
from ..domain import Floats, check
from ..either import only_where, share
from ..formula import Number, equation, numeric, symbolic
from ..rounds import geometric
from .batch import half_line
from .passes import LinearStepCost, round_fixed_time, round_sequence_time

GROUP = "batch, load and memory"
_ROUND: dict[str, Any] = {
    "alpha": 0.7, "gamma": 3, "context": 500, "step_fixed": 7e-3, "step_per_token": 2e-5,
    "step_per_cached": 4e-8, "draft_fixed": 1e-3, "draft_per_token": 1e-6,
    "draft_per_cached": 2e-9,
}  # fmt: skip
_CAPACITY = {k: v for k, v in _ROUND.items() if not k.endswith("fixed")}
POINT: dict[str, Any] = {**_ROUND, "round_overhead": 2e-4}
TIMES = tuple(k for k in POINT if k not in ("alpha", "gamma"))


@equation(r"x_{\max}", group=GROUP, others=TIMES, **_CAPACITY)
def token_capacity(alpha: Number, gamma: Number, **times: Number) -> Number:
    """Tokens in a second that the server approaches as its batch grows.

    Assumes: linear step times up to any batch, cache for it, independent acceptance.
    Wrong when: memory bounds the batch first (see `batch`), or compute overtakes memory.
    Source: derived here; the same algebra for latency is in arXiv:2605.15051.
    Returns: in token/s; inf where another sequence adds no time.
    """
    t = round_terms(alpha, gamma, **times)
    return t.tokens / t.row


@equation(r"x_{\max}/x_{\max,0}", group=GROUP, others=TIMES, **_CAPACITY)
def capacity_gain(alpha: Number, gamma: Number, **times: Number) -> Number:
    """Capacity with speculation over capacity without; it helps iff E[N] > H_gamma / H_0.

    Assumes: linear step times up to any batch, cache for it, independent acceptance.
    Wrong when: memory bounds the batch first.
    Source: derived here.
    Returns: 1 where sequences add no time at all, so that capacity has no bound.
    """
    t = round_terms(alpha, gamma, **times)
    return only_where(t.row > 0, share(t.tokens * t.plain_row, t.row), 1.0)


@equation("w", group=GROUP, others=TIMES, token_load=2000, **POINT)
def latency_under_load(alpha: Number, gamma: Number, token_load: Number, **times: Number) -> Number:
    """Mean time for one token of a request when tokens are requested at rate x, gamma >= 1.

    At x = 0 it is the round time of a single sequence over its tokens.

    Assumes: Poisson arrivals, decoding only, rounds short beside requests, x below the capacity.
    Wrong when: prefill interrupts rounds, memory bounds the batch, or x is near the capacity.
    Source: derived here from the processor-sharing queue; mean-field form: arXiv:2605.15051.
    Returns: in s; inf at and above the capacity. Times the length of a request it is the mean
    latency of the request.
    """
    t = round_terms(alpha, gamma, **times)
    spare = t.tokens - token_load * t.row
    return only_where(spare > 0, (t.fixed + t.row) / spare, np.inf)


@equation(r"w_\mathrm{mf}", group=GROUP, others=TIMES, token_load=2000, **POINT)
def mean_field_latency(alpha: Number, gamma: Number, token_load: Number, **times: Number) -> Number:
    """The same with the batch replaced by its mean, from Little's law alone; lower by F / (F + H).

    Assumes: as for the latency under load, and a batch much larger than 1.
    Wrong when: few requests are in service, or one sequence adds much to a round.
    Source: arXiv:2605.15051; rederived here.
    Returns: in s; inf at and above the capacity.
    """
    t = round_terms(alpha, gamma, **times)
    spare = t.tokens - token_load * t.row
    return only_where(spare > 0, t.fixed / spare, np.inf)


@equation(r"x_\times", group=GROUP, others=TIMES, **POINT)
def crossover_load(alpha: Number, gamma: Number, **times: Number) -> Number:
    """Token load at which this gamma and plain decoding are equally fast.

    1/w is linear in the load, so there is one such load at most. Speculation is the faster one
    below it where it is faster at no load and has less capacity, and above it where it is slower at
    no load and has more capacity.

    Assumes: as for the latency under load.
    Wrong when: as there; where speculation also has more capacity there is no crossover.
    Source: derived here by equating the two latencies.
    Returns: in token/s; inf where this gamma is the faster one at every load, 0 where it never is.
    On which side of a crossing it is faster :func:`helpful_loads` says.
    """
    if symbolic(alpha, gamma):
        gain, loss = round_terms(alpha, gamma, **times).sides
        return gain / loss
    low, high = helpful_loads(alpha, gamma, **times)
    return np.where(np.asarray(low) > 0.0, low, high)


@dataclass(frozen=True)
class RoundTerms:
    """E, F and H of a gamma, symbols or numbers, beside F and H of plain decoding."""

    tokens: Number
    fixed: Number
    row: Number
    plain_fixed: Number
    plain_row: Number

    @property
    def sides(self) -> tuple[Number, Number]:
        """What the gamma gains over plain decoding at no load, and what it loses with the load."""
        gain = (self.plain_fixed + self.plain_row) * self.tokens - (self.fixed + self.row)
        return gain, self.plain_fixed * self.row - self.fixed * self.plain_row


def round_terms(
    alpha: Number,
    gamma: Number,
    *,
    context: Number,
    step_per_token: Number,
    step_per_cached: Number,
    step_fixed: Number = 1.0,
    draft_fixed: Number = 0.0,
    draft_per_token: Number = 0.0,
    draft_per_cached: Number = 0.0,
    round_overhead: Number = 0.0,
) -> RoundTerms:
    """The terms of a round; alpha and gamma have been checked, the times are here."""
    cache = {"context": context, "step_per_cached": step_per_cached}
    row = round_sequence_time(
        gamma,
        step_per_token=step_per_token,
        draft_per_token=draft_per_token,
        draft_per_cached=draft_per_cached,
        **cache,
    )
    plain_row = round_sequence_time(0, step_per_token=step_per_token, **cache)
    fixed = round_fixed_time(
        gamma, step_fixed=step_fixed, draft_fixed=draft_fixed, round_overhead=round_overhead
    )
    parts = geometric(alpha, gamma + 1), fixed, row, step_fixed, plain_row
    return RoundTerms(*(parts if symbolic(*parts) else map(np.asarray, parts)))


@numeric(others=TIMES)
def helpful_loads(alpha: Number, gamma: Number, **times: Number) -> Number:
    """(low, high): this gamma is faster than plain decoding for low < token_load < high.

    Arguments as in :func:`latency_under_load`. high is inf where speculation is the faster one as
    long as either keeps up, and both are 0 where it never is. Raises ValueError outside the ranges.
    """
    t = round_terms(alpha, gamma, **times)
    low, high = half_line(*t.sides)
    more = t.tokens * t.plain_row >= t.row  # as much capacity: it stays ahead once it is
    high = np.where(more & (high > low), np.inf, high)
    never = (low > 0.0) & ~more  # it would overtake only past its own capacity
    return np.where(never, 0.0, low), np.where(never, 0.0, high)


@equation(r"\mathrm{E}[n_s]", group=GROUP, others=TIMES, token_load=2000, **POINT)
def requests_in_service(
    alpha: Number, gamma: Number, token_load: Number, **times: Number
) -> Number:
    """Mean number of requests in service, the load times the latency of a token.

    Assumes: as for the latency under load.
    Wrong when: the latency under load is wrong.
    Source: derived here; Little's law.
    Returns: the mean batch, 0 without load.
    """
    return token_load * latency_under_load(alpha, gamma, token_load, **times)


@equation(r"\mathrm{P}(n_s + 1)/\mathrm{P}(n_s)", group=GROUP, others=TIMES, in_service=3,
          token_load=2000, **POINT)  # fmt: skip
def in_service_ratio(
    in_service: Number, alpha: Number, gamma: Number, token_load: Number, **times: Number
) -> Number:
    """Probability of n + 1 requests in service over that of n: a negative binomial of size 1 + F/H.

    Assumes: as for the latency under load.
    Wrong when: the latency under load is wrong.
    Source: derived here from the balance P(n + 1) (n + 1) / (F + (n + 1) H) = P(n) x / E.
    """
    t = round_terms(alpha, gamma, **times)
    return token_load / t.tokens * (t.fixed / (in_service + 1) + t.row)


@numeric(others=TIMES)
def in_service_probability(
    in_service: Number, alpha: Number, gamma: Number, token_load: Number, **times: Number
) -> Number:
    """P(n requests in service), the product of the ratios; 0 at and above the capacity.

    in_service: whole number >= 0; the rest as in :func:`latency_under_load`. Shapes broadcast.
    Where a sequence adds no time the law is Poisson. Raises ValueError outside the ranges.
    """
    t = round_terms(alpha, gamma, **times)
    offered, r = token_load * t.fixed / t.tokens, token_load * t.row / t.tokens
    offered, r, n = np.broadcast_arrays(offered, r, in_service)
    stable = r < 1.0
    empty = np.log1p(-np.where(stable, r, 0.0))
    with np.errstate(invalid="ignore"):
        # (F/H) ln(1 - r) = offered ln(1 - r)/r, which is -offered in the limit H = 0.
        total = empty + offered * np.where(r > 0.0, empty / r, -1.0)
    steps = np.arange(1.0, n.max(initial=0.0) + 1.0)
    logs = np.log(offered[..., None] / steps + r[..., None])
    logs = np.where(steps <= n[..., None], logs, 0.0)
    return np.exp(np.where(stable, total + logs.sum(axis=-1), -np.inf))


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
