r"""Latency of whole requests on a loaded server, with overshoot, waits and prefills.

    W = d + t_p + t_p u / (2 (1 - u)) + r + (L + f_2/(2 mu)) w,   u = lambda t_p
    w = (F + H) / (E (1 - u) - x H),   x = lambda (L + f_2/(2 mu))

The load formulas of `costs.load` take a request as L tokens of work. Its last round makes
f_2/(2 mu) tokens more on average, which are thrown away but cost their share of the server. An
arrival waits for the rest r of the round that runs, and prompts, which stop all rounds, take the
share u of the time: both leave rounds as they are, but let fewer of them fit into a second.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..costs.linear import round_fixed_time, round_sequence_time
from ..costs.load import GROUP, POINT, round_terms
from ..domain import check, unwrap
from ..formula import evaluates, formula, formula_of
from ..rounds import tokens_per_round
from .length import factorial_moment_2

_POINT: dict[str, Any] = {**POINT, "length": 200, "arrival_rate": 10.0, "prefill_time": 0.005,
          "request_overhead": 0.01}  # fmt: skip


def _parts(s: Any) -> tuple[Any, Any, Any, Any]:
    """(tokens that a request makes, share of time in prefill, F, H)."""
    made = s.length + formula_of(factorial_moment_2).build(s) / (
        2 * formula_of(tokens_per_round).build(s)
    )
    return (
        made,
        s.arrival_rate * s.prefill_time,
        formula_of(round_fixed_time).build(s),
        formula_of(round_sequence_time).build(s),
    )


@formula("request_latency", "W", group=GROUP, **_POINT)
def REQUEST_LATENCY(s: Any) -> Any:
    """Mean latency of a request of L tokens that arrives at rate lambda, gamma >= 1.

    r = (1 - (1 - rho)^(1 + F/H)) (F + H n) / (2 (1 - u)), half a round of the mean batch n if the
    server is busy, with rho = x H / (E (1 - u)) and n = lambda (L + overshoot) w.

    Assumes: Poisson arrivals, requests of one length of at least some rounds, prompts processed one
    at a time between rounds, rounds not shortened at the end of a request, independent acceptance.
    Wrong when: prefill is split into chunks that share rounds, memory bounds the batch, or the load
    is near the capacity. Without load it is exact to the overshoot's limit; with a moderate load an
    engine run round by round (10^8 rounds) was 0.1 % below it, and with prompts 0.6 % above.
    Source: parts that load does not change beside parts that it does, and Little's law, as in
    arXiv:2605.15051; overshoot, processor sharing and the waits are derived here.
    """
    made, busy, fixed, row = _parts(s)
    left = formula_of(tokens_per_round).build(s) * (1 - busy) - s.arrival_rate * made * row
    decode = made * (fixed + row) / left
    rho = s.arrival_rate * made * row / (formula_of(tokens_per_round).build(s) * (1 - busy))
    rest = (1 - (1 - rho) ** (1 + fixed / row)) * (fixed + row * s.arrival_rate * decode)
    prefill = s.prefill_time * (1 + busy / (2 * (1 - busy)))
    return s.request_overhead + prefill + rest / (2 * (1 - busy)) + decode


@evaluates(REQUEST_LATENCY)
def request_latency(
    alpha: ArrayLike,
    gamma: ArrayLike,
    arrival_rate: ArrayLike,
    *,
    length: ArrayLike,
    prefill_time: ArrayLike = 0.0,
    request_overhead: ArrayLike = 0.0,
    **times: ArrayLike,
) -> Any:
    """Mean latency of a request under load [s]; inf at and above the capacity.

    alpha: in [0, 1]; gamma: whole number >= 0 [token]; arrival_rate: >= 0 [request/s]; length:
    whole number >= 1 [token]; prefill_time, request_overhead: >= 0 [s]; times: as in
    `costs.latency_under_load`. Shapes broadcast. Raises ValueError outside the ranges.
    """
    t, rate = round_terms(alpha, gamma, **times), check("arrival_rate", arrival_rate)
    own, fixed = check("prefill_time", prefill_time), check("request_overhead", request_overhead)
    past = np.asarray(factorial_moment_2(alpha, gamma)) / (2.0 * t.tokens)
    made, busy = check("length", length) + past, rate * own
    free = 1.0 - busy
    spare = t.tokens * free - rate * made * t.row
    up = (spare > 0.0) & (free > 0.0)
    spare, free = np.where(up, spare, 1.0), np.where(up, free, 1.0)
    decode = made * (t.fixed + t.row) / spare
    share = np.where(up, rate * made * t.row / (t.tokens * free), 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        power = np.where(t.row > 0.0, (1.0 + t.fixed / t.row) * np.log1p(-share), 0.0)
    # Without a cost of a further sequence the batch is Poisson of mean lambda (L + o) F / E.
    power = np.where(t.row > 0.0, power, -rate * made * t.fixed / (t.tokens * free))
    rest = -np.expm1(power) * (t.fixed + t.row * rate * decode) / (2.0 * free)
    total = fixed + own * (1.0 + busy / (2.0 * free)) + rest + decode
    return unwrap(np.asarray(np.where(up, total, np.inf)))
