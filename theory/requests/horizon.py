r"""The best gamma when only so many tokens remain, and the time of a whole request.

    V(r) = min over gamma < r of  C(gamma) + sum of P(N = n) V(r - n),   V(0) = 0

A draft token past the end of the request is thrown away, so gamma falls to 0 towards the end.
Times are of one batch and context throughout. Under a law whose rounds start otherwise at another
gamma (`GammaDependentLaw`) each round is taken to start as the rounds at its own gamma do, which
leaves an error of the order of one round at the end of the request, where gamma changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..acceptance.law import AcceptanceLaw, survival_by_gamma
from ..costs.law import CostLaw
from ..domain import Floats, check
from ..either import smaller
from ..formula import Number, equation


@equation("V(2)", group="requests", alpha=0.8, cost_ratio=0.05, verify_slope=0.01, overhead=0.1)
def time_of_two(
    alpha: Number, cost_ratio: Number, *, verify_slope: Number = 0.0, overhead: Number = 0.0
) -> Number:
    """Least time for the last two tokens: two plain steps, or one draft token and its rejection.

    One draft token pays iff alpha > c + b + o: at the end of a request the condition is that of a
    single token, and a longer draft can amortise nothing.

    Assumes: independent acceptance, affine costs.
    Wrong when: the end of the request is not known in advance.
    Source: derived here, the first step of the recursion of this module.
    """
    drafted = 1 + cost_ratio + verify_slope + overhead + (1 - alpha)
    return smaller(2, drafted)


@dataclass(frozen=True)
class HorizonPlan:
    """Best gammas and times by remaining tokens r = 0..length, shapes (*shape, length + 1).

    gamma: best gamma with r tokens left (0 at r = 0); time: least mean time from there;
    constant: the gamma that is best when held through the request (the last rounds shortened to
    what remains), shape (*shape,); constant_time: its mean time by r; plain_time: of plain steps.
    """

    gamma: NDArray[np.int64]
    time: Floats
    constant: NDArray[np.int64]
    constant_time: Floats
    plain_time: Floats

    @property
    def saving(self) -> Floats:
        """Share of the constant gamma's time that the plan saves, by r; 0 at r = 0."""
        nothing = self.constant_time == 0.0
        return np.where(nothing, 0.0, 1.0 - self.time / np.where(nothing, 1.0, self.constant_time))

    @property
    def speedup(self) -> Floats:
        """Plain time over the plan's time, by r; 1 at r = 0."""
        nothing = self.time == 0.0
        return np.where(nothing, 1.0, self.plain_time / np.where(nothing, 1.0, self.time))


def _inputs(
    acceptance: AcceptanceLaw, cost: CostLaw, gamma: int, batch: float, context: float
) -> tuple[Floats, Floats]:
    """(survival by gamma and k, times by gamma) of one common shape in front."""
    table = survival_by_gamma(acceptance, gamma)
    times = cost.round_time(gamma, batch=batch, context=context)
    shape = np.broadcast_shapes(table.shape[:-2], times.shape[:-1])
    return (
        np.broadcast_to(table, (*shape, gamma + 1, gamma + 1)),
        np.broadcast_to(times, (*shape, gamma + 1)),
    )


def _after(value: Floats, left: int, survival: Floats) -> Floats:
    """E[V(left - N)] with ``left`` tokens to go, survival s_0.. on the last axis.

    value: V(0), V(1), ... on the last axis. E[V(left - N)] is V(left - 1) and, for each k,
    s_k (V(left - k - 1) - V(left - k)) on top; tokens beyond the end count for nothing.
    """
    top = min(survival.shape[-1] - 1, left - 1)
    past = value[..., left - 1 - top : left][..., ::-1]  # V(left - 1), V(left - 2), ...
    drop = (survival[..., 1 : top + 1] * np.diff(past, axis=-1)).sum(axis=-1)
    return np.asarray(past[..., 0] + drop)


def request_time(
    acceptance: AcceptanceLaw,
    cost: CostLaw,
    *,
    gamma: int,
    length: int,
    batch: float = 1,
    context: float = 0,
    shorten: bool = True,
) -> Floats:
    """Mean time of a request with r = 0..length tokens to go, gamma held, (*shape, length + 1).

    shorten: whether a round with r tokens to go drafts r - 1 tokens at most; the number of rounds
    is the same without, only the last ones cost more.
    Shapes of the laws broadcast. Raises ValueError outside the ranges.
    """
    size, g = int(check("length", length)), int(check("gamma", gamma, whole=True))
    return _held(*_inputs(acceptance, cost, g, batch, context), g, size, shorten=shorten)


def _held(
    survival: Floats, times: Floats, gamma: int, length: int, *, shorten: bool = True
) -> Floats:
    value = np.zeros((*times.shape[:-1], length + 1))
    for left in range(1, length + 1):
        drafted = min(gamma, left - 1) if shorten else gamma
        rest = _after(value, left, survival[..., drafted, :])
        value[..., left] = times[..., drafted] + rest
    return value


def plan_horizon(
    acceptance: AcceptanceLaw,
    cost: CostLaw,
    *,
    length: int,
    gamma_max: int = 32,
    batch: float = 1,
    context: float = 0,
) -> HorizonPlan:
    """Best gamma for every number of remaining tokens, by dynamic programming.

    acceptance, cost: laws whose shapes broadcast; length: whole number >= 1 [token]; gamma_max:
    whole number >= 0. Of equal gammas the smallest. Raises ValueError outside the ranges.
    """
    size = int(check("length", length))
    whole = int(check("gamma", gamma_max, label="gamma_max", whole=True))
    survival, times = _inputs(acceptance, cost, whole, batch, context)
    shape = times.shape[:-1]
    value, best = np.zeros((*shape, size + 1)), np.zeros((*shape, size + 1), np.int64)
    for left in range(1, size + 1):
        most = min(whole, left - 1) + 1
        rest = _after(value[..., None, :], left, survival[..., :most, :])
        by_gamma = times[..., :most] + rest
        best[..., left] = by_gamma.argmin(axis=-1)
        value[..., left] = by_gamma.min(axis=-1)
    held = np.stack([_held(survival, times, g, size) for g in range(whole + 1)], axis=-2)
    constant = held[..., -1].argmin(axis=-1)
    constant_time = np.take_along_axis(held, constant[..., None, None], axis=-2)[..., 0, :]
    plain = times[..., :1] * np.arange(size + 1.0)
    return HorizonPlan(best, value, np.asarray(constant), constant_time, plain)
