r"""Acceptance that changes geometrically with depth: tokens per round, and the fit.

    E[N] = sum over k = 0..gamma of prod over j = 1..k of min(1, alpha decay^(j-1))

The law itself is :class:`~.law.DepthAcceptance`; decay = 1 is independent acceptance.
"""

from __future__ import annotations

import numpy as np

from ..domain import Floats
from ..formula import Number, equation, symbolic
from .counts import RoundCounts
from .law import DepthAcceptance, conditional_rate


@equation(r"\mathrm{E}[N]", group="acceptance laws", whole=("gamma",), broadcast=True, alpha=0.8,
          decay=0.95, gamma=5)  # fmt: skip
def depth_tokens(alpha: Number, decay: Number, gamma: Number) -> Number:
    """Mean tokens per round when the acceptance probability changes geometrically with depth.

    Assumes: the rate changes by one factor per position, and is 1 where the product exceeds 1;
    rounds independent; gamma a whole number.
    Wrong when: the depth effect saturates, or bursts rather than depth make rates differ.
    Source: derived here; decay = 1 is arXiv:2211.17192v2, equation 1.
    Returns: in [1, gamma + 1]; time grows with the largest gamma.
    """
    if symbolic(alpha, decay):
        import sympy

        j, k = sympy.symbols("j k", integer=True, positive=True, cls=sympy.Dummy)
        survival = sympy.Product(conditional_rate(alpha, decay, j), (j, 1, k))
        return 1 + sympy.Sum(survival, (k, 1, gamma))
    a, r, g = alpha, decay, gamma
    total, survival = np.ones(g.shape), np.ones(g.shape)
    for k in range(1, int(g.max(initial=0.0)) + 1):
        survival = survival * conditional_rate(a, r, k)
        total = total + np.where(k <= g, survival, 0.0)
    return total


def depth_log_likelihood(law: DepthAcceptance, counts: RoundCounts) -> float:
    """Log-probability of the counts under the law: every decided draft token is one trial."""
    tried, kept = (x.astype(np.float64) for x in counts.by_position())
    rates = conditional_rate(law.alpha, law.decay, np.arange(1.0, tried.size + 1.0))
    return float(_binomial(kept, tried - kept, rates))


def _binomial(kept: Floats, lost: Floats, rates: Floats) -> float:
    from scipy.special import xlog1py, xlogy

    with np.errstate(divide="ignore"):
        return float(np.sum(xlogy(kept, rates) + xlog1py(lost, -rates)))


def fit_depth(counts: RoundCounts) -> DepthAcceptance:
    """Maximum-likelihood depth law of the counts.

    Raises ValueError where fewer than two positions were reached, so that no depth effect can be
    seen, or nothing was accepted. A round draws on each position at most once, so the counts by
    position are sufficient.
    """
    from scipy.optimize import minimize

    tried, kept = (x.astype(np.float64) for x in counts.by_position())
    if (tried > 0).sum() < 2 or kept.sum() == 0:
        raise ValueError("fitting a depth law needs accepted tokens at two draft positions")
    position = np.arange(1.0, tried.size + 1.0)

    def loss(x: Floats) -> float:
        rates = conditional_rate(1.0 / (1.0 + np.exp(-x[0])), np.exp(x[1]), position)
        value = -_binomial(kept, tried - kept, rates)
        return value if np.isfinite(value) else 1e300

    share = (kept.sum() + 0.5) / (tried.sum() + 1.0)
    start = np.array([np.log(share / (1.0 - share)), 0.0])
    best = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-9})
    return DepthAcceptance(float(1.0 / (1.0 + np.exp(-best.x[0]))), float(np.exp(best.x[1])))
