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
from ..formula import evaluates, formula
from ..optimum import optimal_gamma
from ..speedup import speedup
from ..symbols import register

register(
    "draft_energy",
    "e_d",
    "energy, or money, of one draft step in units of one plain step of the target",
    unit="target step's energy",
)
register(
    "verify_energy",
    "e_b",
    "energy, or money, that one more token adds to the verifying pass",
    unit="target step's energy",
)
register(
    "overhead_energy",
    "e_o",
    "energy, or money, that a speculative round costs beyond its passes",
    unit="target step's energy",
)
register("energy_weight", "w", "weight of energy in a blend of time and energy", high=1.0)


@formula(
    "energy_slope", "c'_E", group="sensitivity",
    draft_energy=0.1, verify_energy=0.05, overhead_energy=0.1,
)  # fmt: skip
def ENERGY_SLOPE(s: Any) -> Any:
    """Reduced cost of one more draft token in energy: what the optimum depends on.

    Assumes: energy of a round affine in gamma, rounds repeat independently.
    Wrong when: idle power is shared with other work or clocks change with the load.
    Source: derived here; the form is that of the reduced cost in time.
    """
    return (s.draft_energy + s.verify_energy) / (1 + s.overhead_energy)


@formula(
    "blended_slope", "c'_w", group="sensitivity",
    cost_ratio=0.05, verify_slope=0.01, overhead=0.1,
    draft_energy=0.1, verify_energy=0.05, overhead_energy=0.1, energy_weight=0.5,
)  # fmt: skip
def BLENDED_SLOPE(s: Any) -> Any:
    """Reduced cost for the objective (1 - w) time + w energy per token, each in plain steps.

    Assumes: time and energy of a round affine in gamma.
    Wrong when: either has steps in gamma.
    Source: derived here; a sum of affine costs is affine.
    """
    w = s.energy_weight
    per_token = (1 - w) * (s.cost_ratio + s.verify_slope) + w * (s.draft_energy + s.verify_energy)
    return per_token / (1 + (1 - w) * s.overhead + w * s.overhead_energy)


@evaluates(ENERGY_SLOPE)
def energy_slope(
    draft_energy: ArrayLike, verify_energy: ArrayLike = 0.0, overhead_energy: ArrayLike = 0.0
) -> Any:
    """c'_E = (e_d + e_b) / (1 + e_o), all >= 0 [target step's energy]; shapes broadcast.

    Raises ValueError outside that range.
    """
    per_token = check("draft_energy", draft_energy) + check("verify_energy", verify_energy)
    return unwrap(per_token / (1.0 + check("overhead_energy", overhead_energy)))


@evaluates(BLENDED_SLOPE)
def blended_slope(
    cost_ratio: ArrayLike,
    draft_energy: ArrayLike,
    *,
    verify_slope: ArrayLike = 0.0,
    overhead: ArrayLike = 0.0,
    verify_energy: ArrayLike = 0.0,
    overhead_energy: ArrayLike = 0.0,
    energy_weight: ArrayLike = 0.5,
) -> Any:
    """Reduced cost of (1 - w) time + w energy; the time's at w = 0, the energy's at w = 1.

    Costs: >= 0 [target step] and [target step's energy]; energy_weight: in [0, 1]. Shapes
    broadcast. Raises ValueError outside these ranges.
    """
    w = check("energy_weight", energy_weight)
    time = check("cost_ratio", cost_ratio) + check("verify_slope", verify_slope)
    energy = check("draft_energy", draft_energy) + check("verify_energy", verify_energy)
    fixed = (1.0 - w) * check("overhead", overhead) + w * check("overhead_energy", overhead_energy)
    return unwrap(((1.0 - w) * time + w * energy) / (1.0 + fixed))


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
