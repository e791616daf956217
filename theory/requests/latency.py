r"""From rounds to what a user sees: end-to-end speed-up, first token, gaps between tokens.

    S_e2e = 1 / ((1 - f)(1 + d) + f / S)

f is the share of plain decoding in a request's time and d the draft's prefill over the target's.
Tokens of one round arrive together: a gap is 0 with probability 1 - 1/mu and one round long
otherwise, so the mean gap falls while its spread grows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, check, unwrap
from ..formula import Number, equation, symbolic
from .distribution import rounds_quantile


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
    Returns: 1 - 1/mu, in [0, 1). round_mean: >= 1 [token], any shape;
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


def gap_quantile(probability: ArrayLike, *, round_mean: ArrayLike, round_time: ArrayLike) -> Any:
    """Smallest gap that a share ``probability`` of the gaps does not exceed: 0 or T [s].

    probability: in [0, 1]; the rest as in :func:`gap_mean`. Shapes broadcast. Raises ValueError
    outside the ranges.
    """
    asked = check("z", probability, label="probability")
    zero = np.asarray(gap_zero_probability(round_mean))
    return unwrap(np.asarray(np.where(asked <= zero, 0.0, check("round_time", round_time))))


def request_latency_quantile(
    distribution: Floats, probability: ArrayLike, *, round_time: float, first_token: float = 0.0
) -> Any:
    """Latency that a share ``probability`` of the requests does not exceed [s].

    distribution: P(R = r) of the rounds after the first token, r = 0, 1, ...; round_time: > 0 [s];
    first_token: >= 0 [s]. Shape as in `rounds_quantile`. Raises ValueError outside the ranges.
    """
    start = check("prefill_time", first_token, label="first_token")
    rounds = rounds_quantile(distribution, probability)
    return unwrap(np.asarray(start + check("round_time", round_time) * rounds))
