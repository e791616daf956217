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
from ..formula import evaluates, formula
from ..symbols import register
from .distribution import rounds_quantile

register("decode_share", "f", "share of decoding in the time of a request without speculation",
         high=1.0)  # fmt: skip
register("decode_speedup", "S", "speed-up of decoding", open_low=True)
register("prefill_ratio", "d", "time of the draft's prefill over the target's")
register("prefill_time", r"t_p", "time of the target's prefill", unit="s")
register("round_time", "T", "time of one round", unit="s", open_low=True)


@formula("end_to_end_speedup", r"S_\mathrm{e2e}", group="requests",
         decode_share=0.9, decode_speedup=2.0, prefill_ratio=0.05)  # fmt: skip
def END_TO_END(s: Any) -> Any:
    """Speed-up of whole requests: decoding is sped up, prefill is not and gains the draft's.

    Assumes: the draft's prefill follows the target's, and overlaps with nothing.
    Wrong when: prompts wait for each other, or the reader takes tokens more slowly than they come.
    Source: derived here; Amdahl 1967.
    """
    prefill = (1 - s.decode_share) * (1 + s.prefill_ratio)
    return 1 / (prefill + s.decode_share / s.decode_speedup)


@formula("first_token_time", r"\mathrm{TTFT}", group="requests",
         prefill_time=0.2, prefill_ratio=0.05)  # fmt: skip
def FIRST_TOKEN(s: Any) -> Any:
    """Time to the first token, with the draft's prefill before it is sent.

    Assumes: no queue; the engine sends the token after both prefills.
    Wrong when: the engine sends the first token before the draft's prefill (then it is t_p).
    Source: derived here.
    """
    return s.prefill_time * (1 + s.prefill_ratio)


@formula("gap_zero_probability", r"\mathrm{P}(\mathrm{gap} = 0)", group="requests", round_mean=3.0)
def GAP_ZERO(s: Any) -> Any:
    """Share of the gaps between consecutive tokens that are zero: within one round.

    Assumes: the tokens of a round are sent together.
    Wrong when: the client smooths the stream.
    Source: derived here; one gap in mu ends a round.
    """
    return 1 - 1 / s.round_mean


@formula("gap_mean", r"\mathrm{E}[\mathrm{gap}]", group="requests",
         round_mean=3.0, round_time=0.01)  # fmt: skip
def GAP_MEAN(s: Any) -> Any:
    """Mean gap between consecutive tokens.

    Assumes: rounds of equal time.
    Wrong when: prefills of other requests stretch single rounds.
    Source: derived here.
    """
    return s.round_time / s.round_mean


@formula("gap_variance", r"\mathrm{Var}[\mathrm{gap}]", group="requests",
         round_mean=3.0, round_time=0.01)  # fmt: skip
def GAP_VARIANCE(s: Any) -> Any:
    """Variance of the gap between consecutive tokens; 0 for plain decoding (mu = 1).

    Assumes: rounds of equal time, the tokens of a round sent together.
    Wrong when: the client smooths the stream, or rounds differ in time.
    Source: derived here from the two values that a gap takes.
    """
    return s.round_time**2 * (s.round_mean - 1) / s.round_mean**2


@evaluates(END_TO_END)
def end_to_end_speedup(
    decode_share: ArrayLike, decode_speedup: ArrayLike, *, prefill_ratio: ArrayLike = 0.0
) -> Any:
    """1 / ((1 - f)(1 + d) + f / S); S at f = 1, 1 / (1 + d) at f = 0.

    decode_share: in [0, 1]; decode_speedup: > 0; prefill_ratio: >= 0. Shapes broadcast; returns a
    float for scalars. Raises ValueError outside the ranges.
    """
    f, d = check("decode_share", decode_share), check("prefill_ratio", prefill_ratio)
    time = (1.0 - f) * (1.0 + d) + f / check("decode_speedup", decode_speedup)
    return unwrap(np.asarray(1.0 / time))


@evaluates(FIRST_TOKEN)
def first_token_time(prefill_time: ArrayLike, prefill_ratio: ArrayLike = 0.0) -> Any:
    """t_p (1 + d) [s]. Both >= 0; shapes broadcast; ValueError outside the range."""
    d = check("prefill_ratio", prefill_ratio)
    return unwrap(check("prefill_time", prefill_time) * (1.0 + d))


@evaluates(GAP_ZERO)
def gap_zero_probability(round_mean: ArrayLike) -> Any:
    """1 - 1/mu, in [0, 1). round_mean: >= 1 [token], any shape; ValueError outside the range."""
    mu = check("round_mean", round_mean)
    return unwrap((mu - 1.0) / mu)


@evaluates(GAP_MEAN)
def gap_mean(round_mean: ArrayLike, round_time: ArrayLike) -> Any:
    """T / mu [s]. round_mean: >= 1 [token]; round_time: > 0 [s]. Shapes broadcast."""
    return unwrap(check("round_time", round_time) / check("round_mean", round_mean))


@evaluates(GAP_VARIANCE)
def gap_variance(round_mean: ArrayLike, round_time: ArrayLike) -> Any:
    """T^2 (mu - 1) / mu^2 [s^2]. Arguments as in :func:`gap_mean`."""
    mu, time = check("round_mean", round_mean), check("round_time", round_time)
    return unwrap(time * time * (mu - 1.0) / (mu * mu))


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
