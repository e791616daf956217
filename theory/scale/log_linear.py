r"""The best draft size in closed form: one draft token, acceptance linear in the log of size.

    alpha(s) = a + b ln s,  c(s) = c_0 + c_1 s,  gamma = 1
    s* = k / W_0(k e^m),  k = (1 + c_0 + b_v + o) / c_1,  m = (1 + a - b) / b
    S* = b / (c_1 s*)

b_v and o are the verification slope and the overhead. W_0 solves w + ln w = ln k + m; the equation
is solved in that form, since e^m overflows where b is small.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..domain import Floats
from ..formula import Number, equation, symbolic

_POINT: dict[str, Any] = {
    "acceptance_intercept": 0.95, "acceptance_per_log_scale": 0.08,
    "cost_floor": 0.02, "cost_slope": 1.0, "verify_slope": 0.01, "overhead": 0.1,
}  # fmt: skip


@equation("s^*", group="draft scale", **_POINT)
def log_linear_scale(acceptance_intercept: Number, acceptance_per_log_scale: Number, *,
                     cost_floor: Number, cost_slope: Number, verify_slope: Number = 0.0,
                     overhead: Number = 0.0) -> Number:  # fmt: skip
    """The draft size with the largest speed-up at gamma = 1, acceptance linear in ln s.

    Assumes: gamma = 1; alpha = a + b ln s, used where it gives [0, 1]; cost affine in size.
    Wrong when: alpha saturates, so that the line leaves [0, 1] at the optimum.
    Source: derived here from dS/ds = 0.
    Returns: NaN where alpha(s*) is not in [0, 1].
    """
    if symbolic(acceptance_intercept, acceptance_per_log_scale):
        import sympy

        b = acceptance_per_log_scale
        k = (1 + cost_floor + verify_slope + overhead) / cost_slope
        m = (1 + acceptance_intercept - b) / b
        return k / sympy.LambertW(k * sympy.exp(m))
    fixed = 1.0 + cost_floor + verify_slope + overhead
    log_s, alpha = _log_scale(acceptance_intercept, acceptance_per_log_scale, fixed, cost_slope)
    inside = (alpha >= 0.0) & (alpha <= 1.0)
    return np.where(inside, np.exp(np.where(inside, log_s, 0.0)), np.nan)


@equation("S^*", group="draft scale", **_POINT)
def log_linear_speedup(acceptance_intercept: Number, acceptance_per_log_scale: Number, *,
                       cost_floor: Number, cost_slope: Number, verify_slope: Number = 0.0,
                       overhead: Number = 0.0) -> Number:  # fmt: skip
    """The speed-up at the best size for gamma = 1, acceptance linear in ln s.

    Assumes: as for the size; the optimum is interior.
    Wrong when: the best size is bounded by the sizes that exist.
    Source: derived here by substituting dS/ds = 0.
    Returns: NaN where s* is.
    """
    costs = {"cost_floor": cost_floor, "verify_slope": verify_slope, "overhead": overhead}
    best = log_linear_scale(
        acceptance_intercept, acceptance_per_log_scale, cost_slope=cost_slope, **costs
    )
    return acceptance_per_log_scale / (cost_slope * best)


def _log_scale(a: Floats, b: Floats, fixed: Floats, slope: Floats) -> tuple[Floats, Floats]:
    """(ln s*, alpha(s*)), ln s* = ln k - ln w with w = k / s*."""
    from scipy.special import wrightomega

    log_k = np.log(fixed) - np.log(slope)
    with np.errstate(over="ignore", under="ignore"):
        m = (1.0 + a) / b - 1.0
        w = np.asarray(wrightomega(log_k + m))
        # For a very negative argument w underflows, but its logarithm is the argument itself.
        log_w = np.where(w > 0.0, np.log(np.where(w > 0.0, w, 1.0)), log_k + m)
        log_s = log_k - log_w
        return np.asarray(log_s), np.asarray(a + b * log_s)


@equation("s^*", group="draft scale", least={"gamma": 1}, gamma=4, length_intercept=4.2,
          length_per_log=0.5, cost_floor=0.02, cost_slope=1.0)  # fmt: skip
def log_linear_length_scale(gamma: Number, length_intercept: Number, length_per_log: Number, *,
                            cost_floor: Number, cost_slope: Number) -> Number:  # fmt: skip
    """Best draft size where the tokens of a round grow linearly in the logarithm of the size.

    k / W_0(k e^(tau_1/tau_b - 1)) with k = (1 + gamma c_0) / (gamma c_1). What adds to tau_1, such
    as more training tokens of the draft in the law of the source, makes the best draft smaller.

    Assumes: E[N] = tau_1 + tau_b ln s at this gamma, affine costs; the optimum is interior.
    Wrong when: the law leaves [1, gamma + 1], or it is carried beyond the drafts of its fit.
    Source: arXiv:2505.07858 reports the log-linear law (in draft capacity, training tokens and
    batch); the optimum is derived here from dS/ds = 0.
    Returns: NaN where E[N] is outside [1, gamma + 1].
    """
    if symbolic(gamma, length_intercept):
        import sympy

        k = (1 + gamma * cost_floor) / (gamma * cost_slope)
        return k / sympy.LambertW(k * sympy.exp(length_intercept / length_per_log - 1))
    # One draft token accepted with tau - 1 at gamma times the cost is the same equation.
    fixed, slope = 1.0 + gamma * cost_floor, gamma * cost_slope
    log_s, more = _log_scale(length_intercept - 1.0, length_per_log, fixed, slope)
    return np.where((more >= 0.0) & (more <= gamma), np.exp(log_s), np.nan)
