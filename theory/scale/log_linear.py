r"""The best draft size in closed form: one draft token, acceptance linear in the log of size.

    alpha(s) = a + b ln s,  c(s) = c_0 + c_1 s,  gamma = 1
    s* = k / W_0(k e^m),  k = (1 + c_0 + b_v + o) / c_1,  m = (1 + a - b) / b
    S* = b / (c_1 s*)

b_v and o are the verification slope and the overhead. W_0 solves w + ln w = ln k + m; the equation
is solved in that form, since e^m overflows where b is small.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, check, unwrap
from ..formula import evaluates, formula
from ..symbols import register

register(
    "acceptance_intercept",
    "a",
    "acceptance probability of a draft as large as the target, by the log-linear law",
    low=-np.inf,
    open_low=True,
)
register(
    "acceptance_per_log_scale",
    "b_s",
    "acceptance probability gained per e-fold of draft size",
    open_low=True,
)
_POINT = {
    "acceptance_intercept": 0.95, "acceptance_per_log_scale": 0.08,
    "cost_floor": 0.02, "cost_slope": 1.0, "verify_slope": 0.01, "overhead": 0.1,
}  # fmt: skip


def _fixed_over_slope(s: Any) -> Any:
    return (1 + s.cost_floor + s.verify_slope + s.overhead) / s.cost_slope


@formula("log_linear_scale", "s^*", group="draft scale", **_POINT)
def LOG_LINEAR_SCALE(s: Any) -> Any:
    """The draft size with the largest speed-up at gamma = 1, acceptance linear in ln s.

    Assumes: gamma = 1; alpha = a + b ln s, used where it gives [0, 1]; cost affine in size.
    Wrong when: alpha saturates, so that the line leaves [0, 1] at the optimum.
    Source: derived here from dS/ds = 0.
    """
    import sympy

    k, b = _fixed_over_slope(s), s.acceptance_per_log_scale
    m = (1 + s.acceptance_intercept - b) / b
    return k / sympy.LambertW(k * sympy.exp(m))


@formula("log_linear_speedup", "S^*", group="draft scale", **_POINT)
def LOG_LINEAR_SPEEDUP(s: Any) -> Any:
    """The speed-up at the best size for gamma = 1, acceptance linear in ln s.

    Assumes: as for the size; the optimum is interior.
    Wrong when: the best size is bounded by the sizes that exist.
    Source: derived here by substituting dS/ds = 0.
    """
    return s.acceptance_per_log_scale / (s.cost_slope * LOG_LINEAR_SCALE.build(s))


def _log_scale(
    intercept: ArrayLike,
    per_log: ArrayLike,
    cost_floor: ArrayLike,
    cost_slope: ArrayLike,
    verify_slope: ArrayLike,
    overhead: ArrayLike,
) -> tuple[Floats, Floats]:
    """(ln s*, alpha(s*)), ln s* = ln k - ln w with w = k / s*."""
    from scipy.special import wrightomega

    a, b = check("acceptance_intercept", intercept), check("acceptance_per_log_scale", per_log)
    fixed = 1.0 + check("cost_floor", cost_floor) + check("verify_slope", verify_slope)
    log_k = np.log(fixed + check("overhead", overhead)) - np.log(check("cost_slope", cost_slope))
    with np.errstate(over="ignore", under="ignore"):
        m = (1.0 + a) / b - 1.0
        w = np.asarray(wrightomega(log_k + m))
        # For a very negative argument w underflows, but its logarithm is the argument itself.
        log_w = np.where(w > 0.0, np.log(np.where(w > 0.0, w, 1.0)), log_k + m)
        log_s = log_k - log_w
        return np.asarray(log_s), np.asarray(a + b * log_s)


@evaluates(LOG_LINEAR_SCALE)
def log_linear_scale(
    acceptance_intercept: ArrayLike,
    acceptance_per_log_scale: ArrayLike,
    *,
    cost_floor: ArrayLike,
    cost_slope: ArrayLike,
    verify_slope: ArrayLike = 0.0,
    overhead: ArrayLike = 0.0,
) -> Any:
    """s*, the best draft size at gamma = 1; NaN where alpha(s*) is not in [0, 1].

    acceptance_intercept: real; acceptance_per_log_scale, cost_slope: > 0; other costs: >= 0 [target
    step]. Shapes broadcast. Raises ValueError outside these ranges. Source: derived here.
    """
    costs = (cost_floor, cost_slope, verify_slope, overhead)
    log_s, alpha = _log_scale(acceptance_intercept, acceptance_per_log_scale, *costs)
    inside = (alpha >= 0.0) & (alpha <= 1.0)
    return unwrap(np.where(inside, np.exp(np.where(inside, log_s, 0.0)), np.nan))


@evaluates(LOG_LINEAR_SPEEDUP)
def log_linear_speedup(
    acceptance_intercept: ArrayLike,
    acceptance_per_log_scale: ArrayLike,
    *,
    cost_floor: ArrayLike,
    cost_slope: ArrayLike,
    verify_slope: ArrayLike = 0.0,
    overhead: ArrayLike = 0.0,
) -> Any:
    """S* = b / (c_1 s*), the speed-up at the best size for gamma = 1; NaN where s* is.

    Arguments and errors as in :func:`log_linear_scale`.
    """
    best = log_linear_scale(
        acceptance_intercept,
        acceptance_per_log_scale,
        cost_floor=cost_floor,
        cost_slope=cost_slope,
        verify_slope=verify_slope,
        overhead=overhead,
    )
    return unwrap(
        np.asarray(acceptance_per_log_scale) / (np.asarray(cost_slope) * np.asarray(best))
    )


register("length_intercept", r"\tau_1", "tokens of a round of a draft as large as the target",
         low=-math.inf, unit="token")  # fmt: skip
register("length_per_log", r"\tau_b", "tokens of a round added by a draft e times larger",
         unit="token", open_low=True)  # fmt: skip


@formula(
    "log_linear_length_scale", "s^*", group="draft scale",
    gamma=4, length_intercept=4.2, length_per_log=0.5, cost_floor=0.02, cost_slope=1.0,
)  # fmt: skip
def LOG_LINEAR_LENGTH_SCALE(s: Any) -> Any:
    """Best draft size where the tokens of a round grow linearly in the logarithm of the size.

    k / W_0(k e^(tau_1/tau_b - 1)) with k = (1 + gamma c_0) / (gamma c_1). What adds to tau_1, such
    as more training tokens of the draft in the law of the source, makes the best draft smaller.

    Assumes: E[N] = tau_1 + tau_b ln s at this gamma, affine costs; the optimum is interior.
    Wrong when: the law leaves [1, gamma + 1], or it is carried beyond the drafts of its fit.
    Source: arXiv:2505.07858 reports the log-linear law (in draft capacity, training tokens and
    batch); the optimum is derived here from dS/ds = 0.
    """
    import sympy

    k = (1 + s.gamma * s.cost_floor) / (s.gamma * s.cost_slope)
    return k / sympy.LambertW(k * sympy.exp(s.length_intercept / s.length_per_log - 1))


@evaluates(LOG_LINEAR_LENGTH_SCALE)
def log_linear_length_scale(
    gamma: ArrayLike,
    length_intercept: ArrayLike,
    length_per_log: ArrayLike,
    *,
    cost_floor: ArrayLike,
    cost_slope: ArrayLike,
) -> Any:
    """s*, the best draft size where E[N] = tau_1 + tau_b ln s; NaN outside [1, gamma + 1] there.

    gamma: >= 1 [token]; length_intercept: real; length_per_log, cost_slope: > 0; cost_floor: >= 0
    [target step]. Shapes broadcast. Raises ValueError outside these ranges.
    """
    g = check("gamma", gamma)
    if g.size and g.min() < 1.0:
        raise ValueError(f"gamma must be in [1, inf), got {g.min():g}")
    tau = check("length_intercept", length_intercept)
    per = check("length_per_log", length_per_log)
    floor, slope = check("cost_floor", cost_floor), check("cost_slope", cost_slope)
    # One draft token accepted with tau - 1 at gamma times the cost is the same equation.
    log_s, more = _log_scale(tau - 1.0, per, g * floor, g * slope, 0.0, 0.0)
    inside = (more >= 0.0) & (more <= g)
    with np.errstate(over="ignore"):
        return unwrap(np.where(inside, np.exp(log_s), np.nan))
