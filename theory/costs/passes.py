r"""Laws of a pass that are fitted to times: linear in tokens and in cache, or a table.

    T = F + k B S + c_t B m          a pass of m tokens per sequence, batch B, context S
    round = F_gamma + B H_gamma      F_gamma = F + gamma F_d + t_o
                                     H_gamma = k S + c_t (gamma + 1) + gamma (c_d + k_d S)

F holds what a step costs whatever its size (weights, launches, the engine's own work). A published
example (arXiv:2601.11580, companion repository of its authors): Llama-3.1-8B on one H100 in bf16
takes F = 5.886 ms + 1.207 ms of engine work, c_t = 21.01 us a token, k = 39.26 ns a cached token.

A table holds between its points: a monotone cubic (PCHIP) in the tokens of the pass, straight lines
in batch and in context, in which step times are close to linear. Measured points are met exactly,
and a table that rises in tokens gives a law that does. Outside the measured range it refuses,
unless it was built with ``extrapolate=True``; then it continues the last segment in a straight
line, and `outside` tells which quantity was out of its range.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..domain import Floats, Parameters, as_floats, check
from ..either import when_drafting
from ..formula import Number, equation
from .law import SequentialDraftCost, column, operating_point, token_grid

_TARGET = ("step_fixed", "step_per_token", "step_per_cached")
_DRAFT = ("draft_fixed", "draft_per_token", "draft_per_cached")


@equation("T", group="cost laws", pass_tokens=4, batch=16, context=1000, step_fixed=7e-3,
          step_per_token=2e-5, step_per_cached=4e-8)  # fmt: skip
def linear_step_time(pass_tokens: Number, batch: Number, *, context: Number, step_fixed: Number,
                     step_per_token: Number, step_per_cached: Number) -> Number:  # fmt: skip
    """Time of one target pass over m tokens of each of B sequences with S cached tokens each.

    Assumes: one regime over the range used; reading the cache and computing tokens add up.
    Wrong when: tiles or captured graphs quantise the tokens, or compute overtakes memory.
    Source: the form fitted in arXiv:2601.11580 and arXiv:2406.14066.
    """
    cached, computed = step_per_cached * batch * context, step_per_token * batch * pass_tokens
    return step_fixed + cached + computed


@equation(r"F_\gamma", group="cost laws", gamma=3, step_fixed=7e-3, draft_fixed=1e-3,
          round_overhead=2e-4)  # fmt: skip
def round_fixed_time(
    gamma: Number, *, step_fixed: Number, draft_fixed: Number, round_overhead: Number = 0.0
) -> Number:
    """Part of a speculative round's time that does not grow with the batch, gamma >= 1.

    Assumes: linear passes, one draft pass for each draft token.
    Wrong when: the draft makes one pass a round (then gamma F_d is one F_d).
    Source: derived here by adding gamma draft passes to the verifying pass.
    Returns: without the overhead t_o at gamma = 0.
    """
    return step_fixed + gamma * draft_fixed + when_drafting(gamma, round_overhead)


@equation(r"H_\gamma", group="cost laws", gamma=3, context=1000, step_per_token=2e-5,
          step_per_cached=4e-8, draft_per_token=1e-6, draft_per_cached=2e-9)  # fmt: skip
def round_sequence_time(gamma: Number, *, context: Number, step_per_token: Number,
                        step_per_cached: Number, draft_per_token: Number = 0.0,
                        draft_per_cached: Number = 0.0) -> Number:  # fmt: skip
    """Time that one more sequence in the batch adds to a round.

    Assumes: linear passes, one draft pass for each draft token, equal contexts.
    Wrong when: sequences of very different contexts are padded to the longest.
    Source: derived here by collecting the terms in the batch.
    """
    verify = step_per_cached * context + step_per_token * (gamma + 1)
    return verify + gamma * (draft_per_token + draft_per_cached * context)


@dataclass(frozen=True)
class LinearPass:
    """A pass that takes fixed + per_cached B S + per_token B m [s]; all >= 0.

    Arrays of parameters broadcast. Raises ValueError outside the ranges.
    """

    fixed: ArrayLike
    per_token: ArrayLike = 0.0
    per_cached: ArrayLike = 0.0

    def __post_init__(self) -> None:
        for name in ("fixed", "per_token", "per_cached"):
            check("draft_" + name, getattr(self, name), label=name)

    @property
    def shape(self) -> tuple[int, ...]:
        return np.broadcast_shapes(*map(np.shape, (self.fixed, self.per_token, self.per_cached)))

    def step_time(self, tokens: ArrayLike, *, batch: float = 1, context: float = 0) -> Floats:
        rows, ctx = operating_point(batch, context)
        fixed = column("draft_fixed", self.fixed, self.shape)
        token = column("draft_per_token", self.per_token, self.shape)
        cached = column("draft_per_cached", self.per_cached, self.shape)
        return np.asarray(fixed + cached * (rows * ctx) + token * (rows * token_grid(tokens)))


@dataclass(frozen=True)
class LinearStepCost(Parameters):
    """Rounds of linear passes: target (step_*) and draft (draft_*), overhead when speculating.

    step_fixed: > 0 [s]; the other terms >= 0 [s]; names as in the symbol table. One draft pass
    for each draft token; for one a round use `ParallelDraftCost` with two `LinearPass`.
    Arrays of parameters broadcast. Raises ValueError outside the ranges.
    """

    step_fixed: ArrayLike
    step_per_token: ArrayLike = 0.0
    step_per_cached: ArrayLike = 0.0
    draft_fixed: ArrayLike = 0.0
    draft_per_token: ArrayLike = 0.0
    draft_per_cached: ArrayLike = 0.0
    round_overhead: ArrayLike = 0.0

    @property
    def target(self) -> LinearPass:
        """The law of the target's pass."""
        return LinearPass(*(getattr(self, name) for name in _TARGET))

    @property
    def draft(self) -> LinearPass:
        """The law of the draft's pass."""
        return LinearPass(*(getattr(self, name) for name in _DRAFT))

    @property
    def _law(self) -> SequentialDraftCost:
        return SequentialDraftCost(self.target, self.draft, self.round_overhead)

    def round_time(self, gamma: int, *, batch: float = 1, context: float = 0) -> Floats:
        return self._law.round_time(gamma, batch=batch, context=context)

    def terms(self, gamma: int, *, context: float = 0) -> tuple[Floats, Floats]:
        """(F_gamma, H_gamma) for gamma = 0..gamma, each (*shape, gamma + 1) [s].

        The round takes F_gamma + batch H_gamma.
        """
        one = self.round_time(gamma, batch=1, context=context)
        per_row = self.round_time(gamma, batch=2, context=context) - one
        return one - per_row, per_row


def _axis(name: str, label: str, values: ArrayLike) -> Floats:
    axis = check(name, values, label=label)
    if axis.ndim != 1 or axis.size < 1 or (np.diff(axis) <= 0.0).any():
        raise ValueError(f"{label} must be a list of increasing numbers, got {values!r}")
    return axis


@dataclass(frozen=True)
class TablePass:
    """Measured pass times.

    tokens: increasing, >= 1, two or more [token per sequence]; batches, contexts: increasing; a
    single value (the default) means that the table holds at that batch or context only.
    times: > 0, shape (tokens,) or (tokens, batches, contexts), in one unit.
    extrapolate: whether asking outside the measured range is allowed.
    Raises ValueError for another shape, for values outside the ranges, and outside the table.
    """

    tokens: ArrayLike
    times: ArrayLike
    batches: ArrayLike = (1.0,)
    contexts: ArrayLike = (0.0,)
    extrapolate: bool = False

    def __post_init__(self) -> None:
        axes = self._axes
        times = as_floats("times", self.times)
        wanted = tuple(axis.size for axis in axes.values())
        if times.shape not in ((wanted, wanted[:1]) if wanted[1:] == (1, 1) else (wanted,)):
            raise ValueError(f"times must have shape {wanted}, got {times.shape}")
        if wanted[0] < 2:
            raise ValueError("tokens must hold two points or more")
        if not (np.isfinite(times) & (times > 0.0)).all():
            raise ValueError("times must be in (0, inf)")

    @property
    def _axes(self) -> dict[str, Floats]:
        return {
            "tokens": _axis("pass_tokens", "tokens", self.tokens),
            "batch": _axis("batch", "batches", self.batches),
            "context": _axis("context", "contexts", self.contexts),
        }

    @property
    def shape(self) -> tuple[int, ...]:
        return ()

    def outside(
        self, tokens: ArrayLike, *, batch: float = 1, context: float = 0
    ) -> tuple[str, ...]:
        """Which of tokens, batch and context leave the measured range, with that range."""
        asked = {"tokens": as_floats("tokens", tokens), "batch": batch, "context": context}
        found = []
        for name, axis in self._axes.items():
            values = np.atleast_1d(np.asarray(asked[name], dtype=np.float64))
            bad = values[(values < axis[0]) | (values > axis[-1])]
            if bad.size:
                measured = f"[{axis[0]:g}, {axis[-1]:g}]"
                found.append(f"{name} must be in the measured range {measured}, got {bad[0]:g}")
        return tuple(found)

    def step_time(self, tokens: ArrayLike, *, batch: float = 1, context: float = 0) -> Floats:
        rows, ctx = operating_point(batch, context)
        grid = token_grid(tokens)
        outside = self.outside(grid, batch=rows, context=ctx)
        if outside and not self.extrapolate:
            raise ValueError("; ".join(outside))
        axes = self._axes
        times = as_floats("times", self.times).reshape([axis.size for axis in axes.values()])
        by_batch = _line(axes["context"], times, ctx)
        by_tokens = _line(axes["batch"], by_batch, rows)
        return _monotone(axes["tokens"], by_tokens, grid)


def _line(axis: Floats, values: Floats, point: float) -> Floats:
    """Linear interpolation along the last axis, the end segments continued outwards."""
    if axis.size == 1:
        return values[..., 0]
    left = int(np.clip(np.searchsorted(axis, point, side="right") - 1, 0, axis.size - 2))
    share = (point - axis[left]) / (axis[left + 1] - axis[left])
    return np.asarray(values[..., left] * (1.0 - share) + values[..., left + 1] * share)


def _monotone(axis: Floats, values: Floats, points: Floats) -> Floats:
    """PCHIP inside the axis, straight lines through the last two points outside it."""
    from scipy.interpolate import PchipInterpolator

    inner = np.asarray(PchipInterpolator(axis, values)(np.clip(points, axis[0], axis[-1])))
    slopes: NDArray[np.float64] = np.diff(values) / np.diff(axis)
    low = np.minimum(points - axis[0], 0.0) * slopes[0]
    high = np.maximum(points - axis[-1], 0.0) * slopes[-1]
    return np.asarray(inner + low + high)
