"""From rounds to what a user sees: end-to-end speed-up, first token, gaps between tokens.

    S_e2e = 1 / ((1 - f)(1 + d) + f / S)

f is the share of plain decoding in a request's time and d the draft's prefill over the target's.
Tokens of one round arrive together: a gap is 0 with probability 1 - 1/mu and one round long
otherwise, so the mean gap falls while its spread grows.

Latency of whole requests on a loaded server, with overshoot, waits and prefills.

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

from ..costs.load import GROUP, POINT, TIMES, round_terms
from ..formula import Number, equation, symbolic
from .length import factorial_moment_2


@equation(r"S_\mathrm{e2e}", group="requests", decode_share=0.9, decode_speedup=2.0,
          prefill_ratio=0.05)  # fmt: skip
def end_to_end_speedup(
    decode_share: Number, decode_speedup: Number, *, prefill_ratio: Number = 0.0
) -> Number:
    """Speed-up of whole requests: decoding is sped up, prefill is not and gains the draft's.

    Assumes: the draft's prefill follows the target's, and overlaps with nothing.
    Wrong when: prompts wait for each other, or the reader takes tokens more slowly than they come.
    Source: derived here; Amdahl 1967.
    Returns: S at f = 1, 1 / (1 + d) at f = 0.
    """
    prefill = (1 - decode_share) * (1 + prefill_ratio)
    return 1 / (prefill + decode_share / decode_speedup)


@equation(r"\mathrm{TTFT}", group="requests", prefill_time=0.2, prefill_ratio=0.05)
def first_token_time(prefill_time: Number, prefill_ratio: Number = 0.0) -> Number:
    """Time to the first token, with the draft's prefill before it is sent.

    Assumes: no queue; the engine sends the token after both prefills.
    Wrong when: the engine sends the first token before the draft's prefill (then it is t_p).
    Source: derived here.
    """
    return prefill_time * (1 + prefill_ratio)


@equation(r"\mathrm{P}(\mathrm{gap} = 0)", group="requests", round_mean=3.0)
def gap_zero_probability(round_mean: Number) -> Number:
    """Share of the gaps between consecutive tokens that are zero: within one round.

    Assumes: the tokens of a round are sent together.
    Wrong when: the client smooths the stream.
    Source: derived here; one gap in mu ends a round.
    Returns: in [0, 1).
    """
    if symbolic(round_mean):
        return 1 - 1 / round_mean
    mu = round_mean
    return (mu - 1.0) / mu


@equation(r"\mathrm{E}[\mathrm{gap}]", group="requests", round_mean=3.0, round_time=0.01)
def gap_mean(round_mean: Number, round_time: Number) -> Number:
    """Mean gap between consecutive tokens.

    Assumes: rounds of equal time.
    Wrong when: prefills of other requests stretch single rounds.
    Source: derived here.
    """
    return round_time / round_mean


@equation(r"\mathrm{Var}[\mathrm{gap}]", group="requests", round_mean=3.0, round_time=0.01)
def gap_variance(round_mean: Number, round_time: Number) -> Number:
    """Variance of the gap between consecutive tokens; 0 for plain decoding (mu = 1).

    Assumes: rounds of equal time, the tokens of a round sent together.
    Wrong when: the client smooths the stream, or rounds differ in time.
    Source: derived here from the two values that a gap takes.
    """
    return round_time**2 * (round_mean - 1) / round_mean**2


_POINT: dict[str, Any] = {
    **POINT, "length": 200, "arrival_rate": 10.0, "prefill_time": 0.005, "request_overhead": 0.01,
}  # fmt: skip


@equation("W", group=GROUP, others=TIMES, **_POINT)
def request_latency(alpha: Number, gamma: Number, arrival_rate: Number, *, length: Number,
                    prefill_time: Number = 0.0, request_overhead: Number = 0.0,
                    **times: Number) -> Number:  # fmt: skip
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
    Returns: in s; inf at and above the capacity. gamma a whole number.
    """
    t = round_terms(alpha, gamma, **times)
    made = length + factorial_moment_2(alpha, gamma) / (2 * t.tokens)
    busy = arrival_rate * prefill_time
    if symbolic(alpha, gamma):
        left = t.tokens * (1 - busy) - arrival_rate * made * t.row
        decode = made * (t.fixed + t.row) / left
        rho = arrival_rate * made * t.row / (t.tokens * (1 - busy))
        waits = 1 - (1 - rho) ** (1 + t.fixed / t.row)
        rest = waits * (t.fixed + t.row * arrival_rate * decode)
        prefill = prefill_time * (1 + busy / (2 * (1 - busy)))
        return request_overhead + prefill + rest / (2 * (1 - busy)) + decode
    free = 1.0 - busy
    spare = t.tokens * free - arrival_rate * made * t.row
    up = (spare > 0.0) & (free > 0.0)
    spare, free = np.where(up, spare, 1.0), np.where(up, free, 1.0)
    decode = made * (t.fixed + t.row) / spare
    rho = np.where(up, arrival_rate * made * t.row / (t.tokens * free), 0.0)
    with np.errstate(invalid="ignore"):
        power = np.where(t.row > 0.0, (1.0 + t.fixed / t.row) * np.log1p(-rho), 0.0)
    # Without a cost of a further sequence the batch is Poisson of mean lambda (L + o) F / E.
    power = np.where(t.row > 0.0, power, -arrival_rate * made * t.fixed / (t.tokens * free))
    rest = -np.expm1(power) * (t.fixed + t.row * arrival_rate * decode) / (2.0 * free)
    total = request_overhead + prefill_time * (1.0 + busy / (2.0 * free)) + rest + decode
    return np.where(up, total, np.inf)
