r"""How much is left: a drafter that knows when it will be rejected, and the price of not knowing.

The oracle drafts exactly the tokens that will be accepted, and only where that pays. Without
overhead

    S_oracle = 1 / (1 - alpha (1 - c)),   S_oracle / S(best whole gamma) < e / (e - 1) = 1.582

for every alpha and c. Proof: between the costs at which the best gamma changes, the ratio is a
Moebius function of c, hence monotone, so its largest values lie at the changes. There, with
n = gamma + 1 for the smaller gamma, it is 1 / (1 - n (1 - alpha) alpha^n), and
n (1 - alpha) alpha^n <= (n / (n + 1))^(n + 1) < 1 / e. The bound is approached as alpha -> 1.

One length does without the cost: gamma = alpha / (1 - alpha), the mean run of acceptances, is off
the oracle by the factor 1 / (1 - alpha^(1 / (1 - alpha))) <= e / (e - 1) at every c.

An overhead that only speculative rounds pay gives the oracle more to choose: the ratio then exceeds
e / (e - 1) (a scan over alpha <= 0.999 and overheads up to 100 steps stays below 1.79; not proved).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import unwrap
from ..either import demand, exp
from ..formula import Number, equation, symbolic
from ..optimum import best_gamma
from ..rounds import geometric_sum
from ..speedup import speedup

NONADAPTIVITY_BOUND = math.e / (math.e - 1.0)


@equation(r"S_\mathrm{oracle}", group="headroom", alpha=0.8, cost_ratio=0.05, verify_slope=0.01,
          overhead=0.1)  # fmt: skip
def oracle_speedup(
    alpha: Number, cost_ratio: Number, *, verify_slope: Number = 0.0, overhead: Number = 0.0
) -> Number:
    """Speed-up of a drafter that knows how many of its tokens the target would accept.

    It drafts a run of K acceptable tokens if K (1 - c - b) > o, that is from K = k on, and takes
    plain steps otherwise. Without overhead it is 1 / (1 - alpha (1 - c - b)).

    Assumes: independent acceptance, costs affine in the draft, c + b < 1; the overhead is paid
    only when speculating.
    Wrong when: acceptance differs between drafters and the choice of drafter is part of the policy.
    Source: derived here; equal in time per token to the look-ahead of arXiv:2405.14105.
    Returns: Speed-up of the clairvoyant drafter, an upper bound for every policy; >= 1. alpha: in
    [0, 1]; costs: >= 0 [target step], the overhead paid only when speculating. 1 where c + b >= 1,
    1 / (c + b) at alpha = 1, inf there if drafts are free.
    """
    if symbolic(alpha, cost_ratio):
        import sympy

        a, gain = alpha, 1 - cost_ratio - verify_slope
        k = sympy.floor(overhead / gain) + 1
        return 1 / (1 - a**k * (((1 - a) * k + a) * gain - (1 - a) * overhead))
    a, per_token, o = np.broadcast_arrays(alpha, cost_ratio + verify_slope, overhead)
    gain = 1.0 - per_token
    pays = gain > 0.0
    safe = np.where(pays, gain, 1.0)
    shortest = np.floor(o / safe) + 1.0
    endless = np.isinf(shortest)  # no finite run repays the overhead
    k = np.where(endless, 1.0, shortest)
    q, survive = 1.0 - a, np.power(a, k)
    # 1 - alpha^k (...) with the differences taken out: every term below is positive.
    left = np.where(endless, 0.0, 1.0 + o - k * safe)
    time = q * (geometric_sum(a, k) + survive * left) + survive * a * per_token
    value = 1.0 / np.where(pays, time, 1.0)
    return np.where(endless & (a < 1.0), 1.0, value)


@equation("R(x)", group="headroom", drafted_mean=1.0)
def nonadaptivity_limit(drafted_mean: Number) -> Number:
    """Oracle over best fixed gamma as alpha -> 1 with gamma* (1 - alpha) = x; e / (e - 1) at x = 1.

    Assumes: independent acceptance, no overhead, alpha near 1 and c of the order of 1 - alpha.
    Wrong when: alpha is not near 1; the ratio is then smaller.
    Source: derived here.
    Returns: in (1, e / (e - 1)].
    """
    return 1 / (1 - drafted_mean * exp(-drafted_mean))


@equation(r"\kappa(x)", group="headroom", drafted_mean=1.0)
def nonadaptivity_cost(drafted_mean: Number) -> Number:
    """The ratio c / (1 - alpha) at which gamma* (1 - alpha) = x, as alpha -> 1; 1/(e - 2) at x = 1.

    Assumes: independent acceptance, no overhead, alpha near 1.
    Wrong when: alpha is not near 1.
    Source: derived here from dS/dgamma = 0 in the limit.
    Returns: falls in x from inf to 0.
    """
    if symbolic(drafted_mean):
        import sympy

        fall = sympy.exp(-drafted_mean)
        return fall / (1 - fall * (1 + drafted_mean))
    x = drafted_mean
    small = x < 1.0
    y = np.where(small, x, 0.0)
    series = np.zeros_like(y)
    for k in range(20, 2, -1):  # (e^y - 1 - y) / y^2 = (1 + y/3 (1 + y/4 (1 + ...))) / 2
        series = (1.0 + series) * y / k
    direct = 1.0 / (np.expm1(x) - x)
    near = 2.0 / (x * x * (1.0 + series))
    return np.where(small, near, direct)


@equation(r"R_\gamma", group="headroom", alpha=0.8, gamma=4)
def worst_nonadaptivity(alpha: Number, gamma: Number) -> Number:
    """Oracle over best fixed gamma at the cost where gamma and gamma + 1 are equally good.

    These are the largest ratios over the cost: the largest of them over gamma bounds the headroom
    of any adaptive policy at this alpha.

    Assumes: independent acceptance, no overhead (or one that is paid in every round).
    Wrong when: acceptance is heterogeneous, so that information is worth more.
    Source: derived here.
    Returns: in [1, e / (e - 1)).
    """
    n = gamma + 1
    return 1 / (1 - n * (1 - alpha) * alpha**n)


@equation("c_\\gamma", group="headroom", whole=("gamma",), broadcast=True, alpha=0.8, gamma=4)
def indifferent_cost(alpha: Number, gamma: Number) -> Number:
    """The reduced cost at which gamma and gamma + 1 draft tokens are equally good; alpha at 0.

    Assumes: independent acceptance, affine costs.
    Wrong when: the verifying pass has steps or a knee.
    Source: derived here by equating the two speed-ups.
    Returns: 0 at alpha = 0 and 1 at alpha = 1, where every token pays that costs less than a plain
    step; falls in gamma. Written as alpha^n / (E[N] - gamma alpha^n), whose denominator is at least
    1.
    """
    if symbolic(alpha, gamma):
        n = gamma + 1
        return alpha**n * (1 - alpha) / (1 - alpha**n * (1 + gamma * (1 - alpha)))
    a, g = alpha, gamma
    next_survival = np.power(a, g + 1.0)
    return next_survival / (geometric_sum(a, g + 1.0) - g * next_survival)


@equation(r"R_0", group="headroom", alpha=0.8)
def costless_length_ratio(alpha: Number) -> Number:
    """Oracle over a draft of gamma = alpha / (1 - alpha) tokens; the same at every draft cost.

    So the mean run of acceptances is a safe draft length where the cost is not known.

    Assumes: independent acceptance, affine costs with c + b < 1, no overhead, a real gamma.
    Wrong when: rounding gamma matters, that is for alpha below a half.
    Source: derived here by substituting gamma into both speed-ups.
    Returns: from 1 at alpha = 0 to e / (e - 1) at alpha = 1.
    """
    if symbolic(alpha):
        return 1 / (1 - alpha ** (1 / (1 - alpha)))
    a = alpha
    with np.errstate(divide="ignore", invalid="ignore"):
        exponent = np.where(a == 1.0, -1.0, np.log(a) / (1.0 - a))
    return -1.0 / np.expm1(exponent)


@equation(r"\tau", group="headroom", alpha=0.8, cost_ratio=0.05, length=128)
def lookahead_latency(alpha: Number, cost_ratio: Number, length: Number) -> Number:
    """Mean time of L tokens when enough targets verify every prefix at once [target step].

    (L - 1)(alpha c + 1 - alpha) + 1: per token the same as the oracle, bought with replicas of the
    target instead of knowledge.

    Assumes: one target per draft step in flight, ceil(1/c) of them; free communication; c <= 1.
    Wrong when: there are fewer replicas, or verifying on all of them slows each down.
    Source: arXiv:2405.14105 states it as an upper bound; derived here as the mean.
    """
    demand(cost_ratio <= 1, "cost_ratio must be in [0, 1]", cost_ratio)
    return (length - 1) * (alpha * cost_ratio + 1 - alpha) + 1


def nonadaptivity(
    alpha: ArrayLike,
    cost_ratio: ArrayLike,
    *,
    verify_slope: ArrayLike = 0.0,
    overhead: ArrayLike = 0.0,
    gamma_max: int = 4096,
) -> Any:
    """Oracle over the best fixed whole gamma: the most that any adaptive policy can gain.

    Arguments as in :func:`oracle_speedup`; gamma_max bounds the fixed gamma and should exceed
    several times 1 / (1 - alpha), else the ratio is that of a bounded drafter. Below e / (e - 1)
    without overhead (proved in this module for an unbounded gamma). Shapes broadcast.
    """
    costs = {"verify_slope": verify_slope, "overhead": overhead}
    gamma = best_gamma(alpha, cost_ratio, gamma_max=gamma_max, **costs)
    fixed = speedup(alpha, gamma, cost_ratio, **costs)
    return unwrap(np.asarray(oracle_speedup(alpha, cost_ratio, **costs)) / np.asarray(fixed))
