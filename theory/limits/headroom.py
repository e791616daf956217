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

from ..domain import check, unwrap
from ..formula import evaluates, formula
from ..optimum import best_gamma
from ..rounds import geometric_sum
from ..speedup import speedup
from ..symbols import register

register(
    "drafted_mean",
    "x",
    "gamma times 1 - alpha, the length of the draft in units of the mean run of acceptances",
    open_low=True,
)

NONADAPTIVITY_BOUND = math.e / (math.e - 1.0)


@formula(
    "oracle_speedup", r"S_\mathrm{oracle}", group="headroom",
    alpha=0.8, cost_ratio=0.05, verify_slope=0.01, overhead=0.1,
)  # fmt: skip
def ORACLE_SPEEDUP(s: Any) -> Any:
    """Speed-up of a drafter that knows how many of its tokens the target would accept.

    It drafts a run of K acceptable tokens if K (1 - c - b) > o, that is from K = k on, and takes
    plain steps otherwise. Without overhead it is 1 / (1 - alpha (1 - c - b)).

    Assumes: independent acceptance, costs affine in the draft, c + b < 1; the overhead is paid
    only when speculating.
    Wrong when: acceptance differs between drafters and the choice of drafter is part of the policy.
    Source: derived here; equal in time per token to the look-ahead of arXiv:2405.14105.
    """
    import sympy

    a, gain = s.alpha, 1 - s.cost_ratio - s.verify_slope
    k = sympy.floor(s.overhead / gain) + 1
    return 1 / (1 - a**k * (((1 - a) * k + a) * gain - (1 - a) * s.overhead))


@formula("nonadaptivity_limit", "R(x)", group="headroom", drafted_mean=1.0)
def NONADAPTIVITY_LIMIT(s: Any) -> Any:
    """Oracle over best fixed gamma as alpha -> 1 with gamma* (1 - alpha) = x; e / (e - 1) at x = 1.

    Assumes: independent acceptance, no overhead, alpha near 1 and c of the order of 1 - alpha.
    Wrong when: alpha is not near 1; the ratio is then smaller.
    Source: derived here.
    """
    import sympy

    return 1 / (1 - s.drafted_mean * sympy.exp(-s.drafted_mean))


@formula("nonadaptivity_cost", r"\kappa(x)", group="headroom", drafted_mean=1.0)
def NONADAPTIVITY_COST(s: Any) -> Any:
    """The ratio c / (1 - alpha) at which gamma* (1 - alpha) = x, as alpha -> 1; 1/(e - 2) at x = 1.

    Assumes: independent acceptance, no overhead, alpha near 1.
    Wrong when: alpha is not near 1.
    Source: derived here from dS/dgamma = 0 in the limit.
    """
    import sympy

    fall = sympy.exp(-s.drafted_mean)
    return fall / (1 - fall * (1 + s.drafted_mean))


@formula("worst_nonadaptivity", r"R_\gamma", group="headroom", alpha=0.8, gamma=4)
def WORST_NONADAPTIVITY(s: Any) -> Any:
    """Oracle over best fixed gamma at the cost where gamma and gamma + 1 are equally good.

    These are the largest ratios over the cost: the largest of them over gamma bounds the headroom
    of any adaptive policy at this alpha.

    Assumes: independent acceptance, no overhead (or one that is paid in every round).
    Wrong when: acceptance is heterogeneous, so that information is worth more.
    Source: derived here.
    """
    n = s.gamma + 1
    return 1 / (1 - n * (1 - s.alpha) * s.alpha**n)


@formula("indifferent_cost", "c_\\gamma", group="headroom", alpha=0.8, gamma=4)
def INDIFFERENT_COST(s: Any) -> Any:
    """The reduced cost at which gamma and gamma + 1 draft tokens are equally good; alpha at 0.

    Assumes: independent acceptance, affine costs.
    Wrong when: the verifying pass has steps or a knee.
    Source: derived here by equating the two speed-ups.
    """
    n = s.gamma + 1
    return s.alpha**n * (1 - s.alpha) / (1 - s.alpha**n * (1 + s.gamma * (1 - s.alpha)))


@formula("costless_length_ratio", r"R_0", group="headroom", alpha=0.8)
def COSTLESS_LENGTH_RATIO(s: Any) -> Any:
    """Oracle over a draft of gamma = alpha / (1 - alpha) tokens; the same at every draft cost.

    So the mean run of acceptances is a safe draft length where the cost is not known.

    Assumes: independent acceptance, affine costs with c + b < 1, no overhead, a real gamma.
    Wrong when: rounding gamma matters, that is for alpha below a half.
    Source: derived here by substituting gamma into both speed-ups.
    """
    return 1 / (1 - s.alpha ** (1 / (1 - s.alpha)))


@formula(
    "lookahead_latency", r"\tau", group="headroom", alpha=0.8, cost_ratio=0.05, length=128,
)  # fmt: skip
def LOOKAHEAD_LATENCY(s: Any) -> Any:
    """Mean time of L tokens when enough targets verify every prefix at once [target step].

    (L - 1)(alpha c + 1 - alpha) + 1: per token the same as the oracle, bought with replicas of the
    target instead of knowledge.

    Assumes: one target per draft step in flight, ceil(1/c) of them; free communication; c <= 1.
    Wrong when: there are fewer replicas, or verifying on all of them slows each down.
    Source: arXiv:2405.14105 states it as an upper bound; derived here as the mean.
    """
    return (s.length - 1) * (s.alpha * s.cost_ratio + 1 - s.alpha) + 1


@evaluates(ORACLE_SPEEDUP)
def oracle_speedup(
    alpha: ArrayLike,
    cost_ratio: ArrayLike,
    *,
    verify_slope: ArrayLike = 0.0,
    overhead: ArrayLike = 0.0,
) -> Any:
    """Speed-up of the clairvoyant drafter, an upper bound for every policy; >= 1.

    alpha: in [0, 1]; costs: >= 0 [target step], the overhead paid only when speculating. Shapes
    broadcast. 1 where c + b >= 1, 1 / (c + b) at alpha = 1, inf there if drafts are free.
    Raises ValueError outside these ranges. Source: derived here.
    """
    a, per_token, o = np.broadcast_arrays(
        check("alpha", alpha),
        check("cost_ratio", cost_ratio) + check("verify_slope", verify_slope),
        check("overhead", overhead),
    )
    gain = 1.0 - per_token
    pays = gain > 0.0
    safe = np.where(pays, gain, 1.0)
    with np.errstate(over="ignore"):
        shortest = np.floor(o / safe) + 1.0
    endless = np.isinf(shortest)  # no finite run repays the overhead
    k = np.where(endless, 1.0, shortest)
    q, survive = 1.0 - a, np.power(a, k)
    # 1 - alpha^k (...) with the differences taken out: every term below is positive.
    left = np.where(endless, 0.0, 1.0 + o - k * safe)
    time = q * (geometric_sum(a, k) + survive * left) + survive * a * per_token
    with np.errstate(divide="ignore"):
        value = 1.0 / np.where(pays, time, 1.0)
    return unwrap(np.where(endless & (a < 1.0), 1.0, value))


@evaluates(NONADAPTIVITY_LIMIT)
def nonadaptivity_limit(drafted_mean: ArrayLike) -> Any:
    """1 / (1 - x e^-x), in (1, e / (e - 1)]. drafted_mean: x > 0; ValueError otherwise."""
    x = check("drafted_mean", drafted_mean)
    return unwrap(1.0 / (1.0 - x * np.exp(-x)))


@evaluates(NONADAPTIVITY_COST)
def nonadaptivity_cost(drafted_mean: ArrayLike) -> Any:
    """c / (1 - alpha) at which x = gamma* (1 - alpha), as alpha -> 1; falls in x from inf to 0.

    drafted_mean: x > 0; ValueError otherwise. e^x - 1 - x is summed as a series below 1, where
    the difference would cancel.
    """
    x = check("drafted_mean", drafted_mean)
    small = x < 1.0
    y = np.where(small, x, 0.0)
    series = np.zeros_like(y)
    for k in range(20, 2, -1):  # (e^y - 1 - y) / y^2 = (1 + y/3 (1 + y/4 (1 + ...))) / 2
        series = (1.0 + series) * y / k
    with np.errstate(over="ignore", divide="ignore"):
        direct = 1.0 / (np.expm1(x) - x)
        near = 2.0 / (x * x * (1.0 + series))
    return unwrap(np.where(small, near, direct))


@evaluates(WORST_NONADAPTIVITY)
def worst_nonadaptivity(alpha: ArrayLike, gamma: ArrayLike) -> Any:
    """1 / (1 - (gamma + 1)(1 - alpha) alpha^(gamma+1)), in [1, e / (e - 1)).

    alpha: in [0, 1]; gamma: >= 0 [token]. Shapes broadcast. Raises ValueError outside these ranges.
    """
    a, g = check("alpha", alpha), check("gamma", gamma)
    return unwrap(1.0 / (1.0 - (g + 1.0) * (1.0 - a) * np.power(a, g + 1.0)))


@evaluates(INDIFFERENT_COST)
def indifferent_cost(alpha: ArrayLike, gamma: ArrayLike) -> Any:
    """The reduced cost at which gamma and gamma + 1 give the same speed-up [target step].

    alpha: in [0, 1]; gamma: whole number >= 0 [token]. Shapes broadcast. 0 at alpha = 0 and 1 at
    alpha = 1, where every token pays that costs less than a plain step. Falls in gamma.
    Raises ValueError outside these ranges. Written as alpha^n / (E[N] - gamma alpha^n), whose
    denominator is at least 1.
    """
    a, g = np.broadcast_arrays(check("alpha", alpha), check("gamma", gamma, whole=True))
    next_survival = np.power(a, g + 1.0)
    return unwrap(next_survival / (geometric_sum(a, g + 1.0) - g * next_survival))


@evaluates(COSTLESS_LENGTH_RATIO)
def costless_length_ratio(alpha: ArrayLike) -> Any:
    """1 / (1 - alpha^(1 / (1 - alpha))), from 1 at alpha = 0 to e / (e - 1) at alpha = 1.

    alpha: in [0, 1], any shape. Raises ValueError outside that range.
    """
    a = check("alpha", alpha)
    with np.errstate(divide="ignore", invalid="ignore"):
        exponent = np.where(a == 1.0, -1.0, np.log(a) / (1.0 - a))
    return unwrap(-1.0 / np.expm1(exponent))


@evaluates(LOOKAHEAD_LATENCY)
def lookahead_latency(alpha: ArrayLike, cost_ratio: ArrayLike, length: ArrayLike) -> Any:
    """(L - 1)(alpha c + 1 - alpha) + 1, the mean time of L tokens with enough targets.

    alpha: in [0, 1]; cost_ratio: in [0, 1] [target step]; length: whole number >= 1 [token].
    Shapes broadcast. Raises ValueError outside these ranges. Source: arXiv:2405.14105.
    """
    a, c = check("alpha", alpha), check("cost_ratio", cost_ratio)
    if c.size and c.max() > 1.0:
        raise ValueError(f"cost_ratio must be in [0, 1], got {c.max():g}")
    return unwrap((check("length", length) - 1.0) * (a * c + 1.0 - a) + 1.0)


def lookahead_replicas(cost_ratio: float) -> int:
    """Targets that must verify side by side for the look-ahead latency, ceil(1 / c).

    cost_ratio: in (0, 1] [target step]. One prefix is handed over per draft step and occupies a
    target for one plain step. A ratio within rounding of 1/n, 1e-12 relative, needs n. Raises
    ValueError outside this range.
    """
    c = float(check("cost_ratio", cost_ratio))
    if not 0.0 < c <= 1.0:
        raise ValueError(f"cost_ratio must be in (0, 1], got {c:g}")
    return math.ceil((1.0 - 1e-12) / c)


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
