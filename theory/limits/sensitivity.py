"""The best number of draft tokens for energy or money instead of time.

Anything that adds up over a round and is affine in gamma has the form of the round's time, so the
same optimum applies with the same reduced cost:

    J(gamma) = [j_0 (1 + o_J) + gamma (j_d + j_b)] / E[N],   c'_J = (j_d + j_b) / (j_0 (1 + o_J))

Where the weights of the target are read once for the whole verifying pass, an extra token costs
relatively more energy than time, c'_J >= c', and the best gamma for energy is the smaller one.

Which investment pays: elasticities of the speed-up, and what acceptance is worth in time.

    d ln S / d ln alpha = alpha / (1 - alpha) - (gamma + 1) alpha^(gamma+1) / (1 - alpha^(gamma+1))
    d ln S / d ln x = -gamma x / (1 + gamma (c + b) + o)  for x = c, b;  -o / (...) for the overhead

An elasticity is the relative change of the speed-up per relative change of its argument, gamma
held fixed. At the best gamma it is the same to first order, since there S is flat in gamma.
"""

from __future__ import annotations

import numpy as np

from ..domain import Floats
from ..either import when_drafting
from ..formula import Number, equation, symbolic
from ..speedup import round_cost, speedup


@equation("c'_E", group="sensitivity", draft_energy=0.1, verify_energy=0.05, overhead_energy=0.1)
def energy_slope(
    draft_energy: Number, verify_energy: Number = 0.0, overhead_energy: Number = 0.0
) -> Number:
    """Reduced cost of one more draft token in energy: what the optimum depends on.

    Assumes: energy of a round affine in gamma, rounds repeat independently.
    Wrong when: idle power is shared with other work or clocks change with the load.
    Source: derived here; the form is that of the reduced cost in time.
    """
    return (draft_energy + verify_energy) / (1 + overhead_energy)


@equation("c'_w", group="sensitivity", cost_ratio=0.05, verify_slope=0.01, overhead=0.1,
          draft_energy=0.1, verify_energy=0.05, overhead_energy=0.1, energy_weight=0.5)  # fmt: skip
def blended_slope(cost_ratio: Number, draft_energy: Number, *, verify_slope: Number = 0.0,
                  overhead: Number = 0.0, verify_energy: Number = 0.0,
                  overhead_energy: Number = 0.0,
                  energy_weight: Number = 0.5) -> Number:  # fmt: skip
    """Reduced cost for the objective (1 - w) time + w energy per token, each in plain steps.

    Assumes: time and energy of a round affine in gamma.
    Wrong when: either has steps in gamma.
    Source: derived here; a sum of affine costs is affine.
    Returns: that of the time at w = 0, that of the energy at w = 1.
    """
    w = energy_weight
    per_token = (1 - w) * (cost_ratio + verify_slope) + w * (draft_energy + verify_energy)
    return per_token / (1 + (1 - w) * overhead + w * overhead_energy)


def _time(gamma: Number, cost_ratio: Number, verify_slope: Number, overhead: Number) -> Number:
    return 1 + gamma * (cost_ratio + verify_slope) + when_drafting(gamma, overhead)


@equation(r"\varepsilon_\alpha", group="sensitivity", broadcast=True, alpha=0.8, gamma=5)
def acceptance_elasticity(alpha: Number, gamma: Number) -> Number:
    """d ln S / d ln alpha: the mean of i under weights alpha^i, i = 0..gamma.

    Between 0 and min(gamma, alpha / (1 - alpha)), rising in gamma: long drafts live on acceptance.

    Assumes: independent acceptance, gamma held fixed or at its optimum.
    Wrong when: the change is so large that the best gamma moves by several tokens.
    Source: derived here by differentiating ln E[N].
    Returns: in [0, min(gamma, alpha / (1 - alpha))]; gamma / 2 at alpha = 1, 0 at alpha = 0 and at
    gamma = 0.
    """
    if symbolic(alpha, gamma):
        n = gamma + 1
        return alpha / (1 - alpha) - n * alpha**n / (1 - alpha**n)
    a, g = alpha, gamma
    return elasticity_of_tokens(a, g)


@equation(r"\varepsilon_c", group="sensitivity", gamma=5, cost_ratio=0.07, verify_slope=0.01,
          overhead=0.1)  # fmt: skip
def draft_cost_elasticity(
    gamma: Number, cost_ratio: Number, *, verify_slope: Number = 0.0, overhead: Number = 0.0
) -> Number:
    """d ln S / d ln c: minus the share of the round that is spent drafting.

    Assumes: costs affine in gamma, gamma >= 1 held fixed or at its optimum.
    Wrong when: drafting overlaps with verifying.
    Source: derived here by differentiating ln of the round cost.
    Returns: in (-1, 0].
    """
    return -gamma * cost_ratio / _time(gamma, cost_ratio, verify_slope, overhead)


@equation(r"\varepsilon_b", group="sensitivity", gamma=5, cost_ratio=0.07, verify_slope=0.01,
          overhead=0.1)  # fmt: skip
def verify_cost_elasticity(
    gamma: Number, cost_ratio: Number, *, verify_slope: Number = 0.0, overhead: Number = 0.0
) -> Number:
    """d ln S / d ln b: minus the share of the round that the extra verified tokens take.

    Assumes: costs affine in gamma, gamma >= 1 held fixed or at its optimum.
    Wrong when: the verifying pass has steps or a knee.
    Source: derived here by differentiating ln of the round cost.
    Returns: in (-1, 0].
    """
    return -gamma * verify_slope / _time(gamma, cost_ratio, verify_slope, overhead)


@equation(r"\varepsilon_o", group="sensitivity", gamma=5, cost_ratio=0.07, verify_slope=0.01,
          overhead=0.1)  # fmt: skip
def overhead_elasticity(
    gamma: Number, cost_ratio: Number, *, verify_slope: Number = 0.0, overhead: Number = 0.0
) -> Number:
    """d ln S / d ln o: minus the share of the round that is overhead.

    Assumes: costs affine in gamma, gamma >= 1 held fixed or at its optimum.
    Wrong when: the overhead is hidden behind the device's work.
    Source: derived here by differentiating ln of the round cost.
    Returns: in (-1, 0]; 0 at gamma = 0, where it is not paid.
    """
    paid = when_drafting(gamma, overhead)
    return -paid / _time(gamma, cost_ratio, verify_slope, overhead)


@equation(r"\left.\partial c / \partial\alpha\right|_S", group="sensitivity", least={"gamma": 1},
          alpha=0.8, gamma=5, cost_ratio=0.07, verify_slope=0.01, overhead=0.1)  # fmt: skip
def exchange_rate(alpha: Number, gamma: Number, cost_ratio: Number, *, verify_slope: Number = 0.0,
                  overhead: Number = 0.0) -> Number:  # fmt: skip
    """How much slower a draft may be, per unit of acceptance gained, at the same speed-up.

    Assumes: independent acceptance, costs affine in gamma, gamma >= 1 held fixed.
    Wrong when: the change is so large that the best gamma moves by several tokens.
    Source: derived here as minus the ratio of dS/d alpha to dS/dc.
    Returns: what one unit of acceptance may cost in speed; positive.
    """
    if symbolic(alpha, gamma):
        return (
            acceptance_elasticity(alpha, gamma)
            / alpha
            * _time(gamma, cost_ratio, verify_slope, overhead)
            / gamma
        )
    a, g = np.broadcast_arrays(alpha, gamma)
    cost = np.asarray(round_cost(g, cost_ratio, verify_slope=verify_slope, overhead=overhead))
    positive = a > 0.0
    safe = np.where(positive, a, 1.0)
    per_alpha = np.where(positive, elasticity_of_tokens(safe, g) / safe, 1.0)  # 1 at alpha = 0
    return per_alpha * cost / g


def _reciprocal_defect(x: Floats) -> Floats:
    """1 / (e^x - 1) - 1 / x, which tends to -1/2 at 0; by its series where the terms cancel."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        direct = 1.0 / np.expm1(x) - 1.0 / x
    y = np.where(x < 0.5, x, 0.0)
    y2 = y * y
    series = y * (
        1 / 12
        + y2 * (-1 / 720 + y2 * (1 / 30240 + y2 * (-1 / 1209600 + y2 * (1 / 47900160))))
        + y2**5 * (-691 / 1307674368000)
    )
    return np.where(x < 0.5, series - 0.5, direct)


def elasticity_of_tokens(a: Floats, g: Floats) -> Floats:
    """d ln E[N] / d ln alpha of checked arguments, to a few ulp.

    For gamma below 1, where it tends to 0, the error is a few ulp of 1 instead. With
    L = ln(1/alpha) and n = gamma + 1 it is 1/(e^L - 1) - n/(e^(nL) - 1). The two poles at L = 0
    cancel, so below L = 1 they are taken out of both terms first.
    """
    n = g + 1.0
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        rate = -np.log(a)
        power = np.power(a, n)
        far = a / (1.0 - a) - n * power / (1.0 - power)
        near = _reciprocal_defect(rate) - n * _reciprocal_defect(n * rate)
    return np.where(g == 0.0, 0.0, np.where(rate < 1.0, near, far))


def investments(
    alpha: float,
    gamma: float,
    cost_ratio: float,
    *,
    verify_slope: float = 0.0,
    overhead: float = 0.0,
    improvement: float = 0.01,
) -> dict[str, float]:
    """Relative gain in speed-up of improving each quantity by the same fraction, best first.

    alpha in (0, 1), gamma >= 1 and costs as in :func:`~howspec.theory.speedup.speedup`;
    ``improvement`` in (0, 1). "rejection" lowers 1 - alpha by that fraction, "acceptance" raises
    alpha by it (at most to 1), the others lower a cost. Computed from the speed-ups themselves, not
    from the elasticities, so that a large improvement is right too. Raises ValueError outside the
    ranges.
    """
    if not 0.0 < improvement < 1.0:
        raise ValueError(f"improvement must be in (0, 1), got {improvement}")
    costs = {"cost_ratio": cost_ratio, "verify_slope": verify_slope, "overhead": overhead}
    base = speedup(alpha, gamma, **costs)
    changed = {
        "rejection": speedup(1.0 - (1.0 - alpha) * (1.0 - improvement), gamma, **costs),
        "acceptance": speedup(min(1.0, alpha * (1.0 + improvement)), gamma, **costs),
    }
    for name, value in costs.items():
        changed[name] = speedup(alpha, gamma, **{**costs, name: value * (1.0 - improvement)})
    gains = {name: value / base - 1.0 for name, value in changed.items()}
    return dict(sorted(gains.items(), key=lambda item: -item[1]))
