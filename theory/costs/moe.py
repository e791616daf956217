r"""Mixture of experts: more tokens in a pass touch more experts, and each must be read.

    E[experts touched by n tokens] = E_x (1 - (1 - k/E_x)^n)

    correlated: E_x (1 - ((1 - f)(1 - (1 - r) f)^(m-1))^B),   f = k/E_x

The count is concave in n, so the first draft tokens are the expensive ones: the cost of a round is
not convex in gamma, speculation may lose at gamma = 1 and win at a larger one, and its gain is not
monotone in the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, check, unwrap
from ..formula import evaluates, formula
from ..symbols import register
from .passes import column, operating_point, token_grid

register("experts", "E_x", "experts of a layer", low=1.0, integer=True)
register("active_experts", "k_x", "experts that one token is sent to", low=1.0, integer=True)
register("routing_correlation", "r", "correlation of the experts of neighbouring tokens", high=1.0)
register("expert_time", "t_x", "time to read one expert in every layer", unit="s")


@formula("experts_touched", r"\mathrm{E}[X]", group="cost laws",
         experts=64, active_experts=8, pass_tokens=4, batch=2)  # fmt: skip
def EXPERTS_TOUCHED(s: Any) -> Any:
    """Mean number of different experts of a layer that a pass over B m tokens reads.

    Assumes: each token picks its experts uniformly and independently of the other tokens.
    Wrong when: neighbouring tokens share experts (then fewer are touched) or load is unbalanced.
    Source: derived here by the probability that one expert is missed; used in arXiv:2505.19645.
    """
    missed = (1 - s.active_experts / s.experts) ** (s.batch * s.pass_tokens)
    return s.experts * (1 - missed)


@formula(
    "correlated_experts", r"\mathrm{E}[X]", group="cost laws",
    experts=128, active_experts=8, pass_tokens=4, batch=1, routing_correlation=0.45,
)  # fmt: skip
def CORRELATED_EXPERTS(s: Any) -> Any:
    """Mean number of different experts where neighbouring tokens of a sequence share some.

    Whether an expert is picked is a two-state chain along the tokens of a sequence: with r = 0
    tokens are independent, with r = 1 all of a sequence pick the same experts. At 128 experts, 8 of
    them active, four tokens touch 3.64 times the experts of one for r = 0, and 2.5 times for .448.

    Assumes: uniform load, sequences independent of each other, correlation falling as r^distance.
    Wrong when: load is unbalanced, or sequences of a batch are on the same subject.
    Source: derived here; the chance that the chain never enters the state "picked".
    """
    f = s.active_experts / s.experts
    missed = (1 - f) * (1 - (1 - s.routing_correlation) * f) ** (s.pass_tokens - 1)
    return s.experts * (1 - missed**s.batch)


@formula(
    "moe_step_time", r"T_\mathrm{MoE}", group="cost laws",
    experts=64, active_experts=8, pass_tokens=4, batch=2, context=1000,
    expert_time=1e-4, step_fixed=3e-3, step_per_token=2e-5, step_per_cached=4e-8,
)  # fmt: skip
def MOE_STEP(s: Any) -> Any:
    """Time of a pass: the linear law of everything shared, and the experts that are touched.

    Assumes: memory-bound experts, routing as in the count above, experts alike in all layers.
    Wrong when: experts are spread over devices and the busiest one sets the time.
    Source: derived here; the cost that arXiv:2505.19645 measures.
    """
    shared = (
        s.step_fixed
        + s.step_per_cached * s.batch * s.context
        + s.step_per_token * s.batch * s.pass_tokens
    )
    return shared + s.expert_time * EXPERTS_TOUCHED.build(s)


def _touched(experts: Floats, active: Floats, tokens: Floats) -> Floats:
    if (active > experts).any():
        raise ValueError("active_experts must be at most experts")
    with np.errstate(divide="ignore"):  # all experts active: log 0 = -inf, and expm1 gives -1
        return np.asarray(-experts * np.expm1(tokens * np.log1p(-active / experts)))


@evaluates(EXPERTS_TOUCHED)
def experts_touched(
    pass_tokens: ArrayLike, batch: ArrayLike, *, experts: ArrayLike, active_experts: ArrayLike
) -> Any:
    """E_x (1 - (1 - k/E_x)^(B m)), in [k, E_x].

    pass_tokens, batch: >= 1; experts: whole number >= 1; active_experts: whole number in
    [1, experts]. Shapes broadcast. Raises ValueError outside the ranges.
    """
    total = check("batch", batch) * check("pass_tokens", pass_tokens)
    return unwrap(
        _touched(check("experts", experts), check("active_experts", active_experts), total)
    )


@evaluates(CORRELATED_EXPERTS)
def correlated_experts(
    pass_tokens: ArrayLike,
    batch: ArrayLike,
    *,
    experts: ArrayLike,
    active_experts: ArrayLike,
    routing_correlation: ArrayLike,
) -> Any:
    """E_x (1 - ((1 - f)(1 - (1 - r) f)^(m-1))^B), in [k, E_x]; `experts_touched` at r = 0.

    routing_correlation: in [0, 1]; the rest as in :func:`experts_touched`.
    """
    total, active = check("experts", experts), check("active_experts", active_experts)
    if np.any(active > total):
        raise ValueError("active_experts must be at most experts")
    f = active / total
    later = (1.0 - check("routing_correlation", routing_correlation)) * f
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = check("pass_tokens", pass_tokens) - 1.0
        more = np.where(steps > 0.0, steps * np.log1p(-later), 0.0)
        missed = check("batch", batch) * (np.log1p(-f) + more)
    return unwrap(np.asarray(-total * np.expm1(missed)))


@evaluates(MOE_STEP)
def moe_step_time(
    pass_tokens: ArrayLike,
    batch: ArrayLike,
    *,
    experts: ArrayLike,
    active_experts: ArrayLike,
    expert_time: ArrayLike,
    step_fixed: ArrayLike,
    context: ArrayLike = 0.0,
    step_per_token: ArrayLike = 0.0,
    step_per_cached: ArrayLike = 0.0,
) -> Any:
    """F + k B S + c_t B m + t_x E[experts touched] [s].

    pass_tokens, batch: >= 1; step_fixed: > 0; other times and context: >= 0; experts as in
    :func:`experts_touched`. Shapes broadcast. Raises ValueError outside the ranges.
    """
    touched = np.asarray(
        experts_touched(pass_tokens, batch, experts=experts, active_experts=active_experts)
    )
    per_row = check("step_per_cached", step_per_cached) * check("context", context) + check(
        "step_per_token", step_per_token
    ) * np.asarray(pass_tokens, dtype=np.float64)
    shared = check("step_fixed", step_fixed) + np.asarray(batch, dtype=np.float64) * per_row
    return unwrap(shared + check("expert_time", expert_time) * touched)


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
