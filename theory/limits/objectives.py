r"""The best number of draft tokens for energy or money instead of time.

Anything that adds up over a round and is affine in gamma has the form of the round's time, so the
same optimum applies with the same reduced cost:

    J(gamma) = [j_0 (1 + o_J) + gamma (j_d + j_b)] / E[N],   c'_J = (j_d + j_b) / (j_0 (1 + o_J))

Where the weights of the target are read once for the whole verifying pass, an extra token costs
relatively more energy than time, c'_J >= c', and the best gamma for energy is the smaller one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import check, unwrap
from ..formula import Number, equation
from ..optimum import optimal_gamma
from ..speedup import speedup


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


def optimal_gamma_for_energy(
    alpha: ArrayLike,
    draft_energy: ArrayLike,
    *,
    verify_energy: ArrayLike = 0.0,
    overhead_energy: ArrayLike = 0.0,
) -> Any:
    """The real gamma with the least energy, or money, per token [token].

    alpha: in [0, 1]; energies: >= 0 [target step's energy]. Shapes broadcast; 0 and inf as in
    :func:`~howspec.theory.optimum.optimal_gamma`. Raises ValueError outside the ranges.
    """
    return optimal_gamma(alpha, energy_slope(draft_energy, verify_energy, overhead_energy))


def energy_per_token(
    alpha: ArrayLike,
    gamma: ArrayLike,
    draft_energy: ArrayLike,
    *,
    verify_energy: ArrayLike = 0.0,
    overhead_energy: ArrayLike = 0.0,
) -> Any:
    """Energy, or money, per emitted token in plain steps of the target; exactly 1 at gamma = 0.

    alpha: in [0, 1]; gamma: >= 0 [token]; energies: >= 0 [target step's energy]. Shapes broadcast.
    Raises ValueError outside these ranges. It is 1 / speed-up with energies in place of times.
    """
    check("draft_energy", draft_energy)
    check("verify_energy", verify_energy)
    check("overhead_energy", overhead_energy)
    gain = speedup(alpha, gamma, draft_energy, verify_slope=verify_energy, overhead=overhead_energy)
    return unwrap(1.0 / np.asarray(gain))
