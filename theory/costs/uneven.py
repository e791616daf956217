r"""Passes whose time does not rise evenly in their tokens: padding, and mixtures of experts.

    tokens computed = tile * ceil(B m / tile)
    E[experts touched by n tokens] = E_x (1 - (1 - k/E_x)^n)
    correlated: E_x (1 - ((1 - f)(1 - (1 - r) f)^(m-1))^B),   f = k/E_x

Padding (tiles of a kernel, waves of a device, sizes of captured graphs) makes the time of a pass a
staircase in its tokens: the speed-up has a local maximum at the end of every tread. More tokens in
a pass touch more experts, and each must be read; their count is concave, so that the first draft
tokens are the expensive ones, speculation may lose at gamma = 1 and win at a larger one, and its
gain is not monotone in the batch. With either the cost of a round is not convex in gamma, and a
rule that stops at the first draft token that does not pay stops too early; `choose` looks at every
gamma instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, check
from ..either import at_least_once, ceiling, demand
from ..formula import Number, equation, symbolic
from .law import PassLaw, column, operating_point, token_grid


@equation(r"\lceil Bm \rceil_t", group="cost laws", pass_tokens=5, batch=3, tile=8)
def padded_tokens(pass_tokens: Number, batch: Number, *, tile: Number) -> Number:
    """Tokens that a pass over m tokens of each of B sequences computes in tiles of t.

    Assumes: the tokens of all sequences share the tiles.
    Wrong when: several dimensions are tiled at once, or the kernel changes with the size.
    Source: derived here.
    """
    return tile * ceiling(batch * pass_tokens / tile)


@dataclass(frozen=True)
class StaircasePass:
    """A pass law whose tokens are padded before another law times them.

    smooth: the law of the padded pass; tile: whole number >= 1 [token]; sizes: increasing token
    counts for which a graph is captured. A pass goes to the smallest size that holds all its
    tokens; past the largest size (or without sizes) it is padded to tiles.
    Raises ValueError outside the ranges.
    """

    smooth: PassLaw
    tile: int = 1
    sizes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check("tile", self.tile)
        check("tile", self.sizes, label="sizes")
        if any(b <= a for a, b in zip(self.sizes, self.sizes[1:], strict=False)):
            raise ValueError(f"sizes must increase, got {self.sizes}")

    @property
    def shape(self) -> tuple[int, ...]:
        return self.smooth.shape

    def padded(self, tokens: ArrayLike, *, batch: float = 1) -> Floats:
        """Tokens over all sequences that are computed, same shape as ``tokens`` [token]."""
        rows, _ = operating_point(batch, 0.0)
        grid = token_grid(tokens)
        padded = np.asarray(padded_tokens(grid, rows, tile=self.tile))
        if not self.sizes:
            return padded
        sizes = np.asarray(self.sizes, dtype=np.float64)
        index = np.searchsorted(sizes, grid * rows)
        return np.where(index < sizes.size, sizes[np.minimum(index, sizes.size - 1)], padded)

    def step_time(self, tokens: ArrayLike, *, batch: float = 1, context: float = 0) -> Floats:
        return self.smooth.step_time(
            self.padded(tokens, batch=batch) / batch, batch=batch, context=context
        )


@equation(r"\mathrm{E}[X]", group="cost laws", experts=64, active_experts=8, pass_tokens=4, batch=2)
def experts_touched(
    pass_tokens: Number, batch: Number, *, experts: Number, active_experts: Number
) -> Number:
    """Mean number of different experts of a layer that a pass over B m tokens reads.

    Assumes: each token picks its experts uniformly and independently of the other tokens.
    Wrong when: neighbouring tokens share experts (then fewer are touched) or load is unbalanced.
    Source: derived here by the probability that one expert is missed; used in arXiv:2505.19645.
    Returns: in [k, E_x].
    """
    _demand_some(experts, active_experts)
    return experts * at_least_once(active_experts / experts, batch * pass_tokens)


@equation(r"\mathrm{E}[X]", group="cost laws", experts=128, active_experts=8, pass_tokens=4,
          batch=1, routing_correlation=0.45)  # fmt: skip
def correlated_experts(pass_tokens: Number, batch: Number, *, experts: Number,
                       active_experts: Number, routing_correlation: Number) -> Number:  # fmt: skip
    """Mean number of different experts where neighbouring tokens of a sequence share some.

    Whether an expert is picked is a two-state chain along the tokens of a sequence: with r = 0
    tokens are independent, with r = 1 all of a sequence pick the same experts. At 128 experts, 8 of
    them active, four tokens touch 3.64 times the experts of one for r = 0, and 2.5 times for .448.

    Assumes: uniform load, sequences independent of each other, correlation falling as r^distance.
    Wrong when: load is unbalanced, or sequences of a batch are on the same subject.
    Source: derived here; the chance that the chain never enters the state "picked".
    Returns: in [k, E_x]; `experts_touched` at r = 0.
    """
    _demand_some(experts, active_experts)
    f = active_experts / experts
    if symbolic(pass_tokens, batch):
        missed = (1 - f) * (1 - (1 - routing_correlation) * f) ** (pass_tokens - 1)
        return experts * (1 - missed**batch)
    later = (1.0 - routing_correlation) * f
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = pass_tokens - 1.0
        more = np.where(steps > 0.0, steps * np.log1p(-later), 0.0)
        missed = batch * (np.log1p(-f) + more)
    return -experts * np.expm1(missed)


def _demand_some(experts: Number, active_experts: Number) -> None:
    demand(active_experts <= experts, "active_experts must be at most experts", active_experts)


@equation(r"T_\mathrm{MoE}", group="cost laws", experts=64, active_experts=8, pass_tokens=4,
          batch=2, context=1000, expert_time=1e-4, step_fixed=3e-3, step_per_token=2e-5,
          step_per_cached=4e-8)  # fmt: skip
def moe_step_time(pass_tokens: Number, batch: Number, *, experts: Number, active_experts: Number,
                  expert_time: Number, step_fixed: Number, context: Number = 0.0,
                  step_per_token: Number = 0.0,
                  step_per_cached: Number = 0.0) -> Number:  # fmt: skip
    """Time of a pass: the linear law of everything shared, and the experts that are touched.

    Assumes: memory-bound experts, routing as in the count above, experts alike in all layers.
    Wrong when: experts are spread over devices and the busiest one sets the time.
    Source: derived here; the cost that arXiv:2505.19645 measures.
    """
    touched = experts_touched(pass_tokens, batch, experts=experts, active_experts=active_experts)
    cached, computed = step_per_cached * batch * context, step_per_token * batch * pass_tokens
    return step_fixed + cached + computed + expert_time * touched


@dataclass(frozen=True)
class MoEPass:
    """Pass law of a mixture-of-experts target; see :func:`moe_step_time` for the terms.

    experts, active_experts: whole numbers; fixed: > 0 [s]; the other times >= 0 [s]. Arrays of
    the times broadcast. routing_correlation: of neighbouring tokens, in [0, 1], see
    :func:`correlated_experts`. Raises ValueError outside the ranges.
    """

    experts: int
    active_experts: int
    expert_time: ArrayLike
    fixed: ArrayLike
    per_token: ArrayLike = 0.0
    per_cached: ArrayLike = 0.0
    routing_correlation: float = 0.0

    def __post_init__(self) -> None:
        check("routing_correlation", self.routing_correlation)
        experts_touched(1.0, 1.0, experts=self.experts, active_experts=self.active_experts)
        check("expert_time", self.expert_time)
        check("step_fixed", self.fixed, label="fixed")
        check("step_per_token", self.per_token, label="per_token")
        check("step_per_cached", self.per_cached, label="per_cached")

    @property
    def shape(self) -> tuple[int, ...]:
        times = (self.expert_time, self.fixed, self.per_token, self.per_cached)
        return np.broadcast_shapes(*map(np.shape, times))

    def step_time(self, tokens: ArrayLike, *, batch: float = 1, context: float = 0) -> Floats:
        rows, ctx = operating_point(batch, context)
        grid = token_grid(tokens)
        counts = {"experts": self.experts, "active_experts": self.active_experts}
        touched = correlated_experts(
            grid, rows, routing_correlation=self.routing_correlation, **counts
        )
        value = moe_step_time(
            grid,
            rows,
            **counts,
            expert_time=0.0,
            step_fixed=column("step_fixed", self.fixed, self.shape),
            context=ctx,
            step_per_token=column("step_per_token", self.per_token, self.shape),
            step_per_cached=column("step_per_cached", self.per_cached, self.shape),
        )
        return np.asarray(value + column("expert_time", self.expert_time, self.shape) * touched)
