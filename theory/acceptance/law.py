r"""Acceptance laws: how many draft tokens of a round survive the target's verification.

A law is a frozen set of parameters. It gives the survival s_k, the probability that the first k
draft tokens are all accepted (s_0 = 1), from which everything else follows:

    E[N] = sum of s_k over k = 0..gamma,   conditional rate alpha_k = s_k / s_{k-1}

Where rounds depend on each other or on the request, s_k is the average over the rounds that are
run at this gamma, and it changes with gamma: use :func:`tokens_by_gamma`, not partial sums.

Parameters may be arrays: a law with arrays of shape (draws,) is a posterior sample of the law, and
its results carry that shape in front.

Look-up tables and suffix trees do not have a draft in every step of the target. With q, the
coverage, the share of the steps that have one,

    E[tokens per target step] = 1 - q + q E[N],   time of a step = (1 - q) C(0) + q C(gamma);

logs that average over all steps show the first number, logs of drafting rounds E[N] itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeGuard, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..domain import Floats, Parameters, as_floats, check, in_blocks
from ..either import demand
from ..formula import Number, equation, symbolic

if TYPE_CHECKING:
    from ..costs.law import CostLaw


@runtime_checkable
class AcceptanceLaw(Protocol):
    """What every acceptance law offers. ``shape`` is the common shape of its parameters."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the parameters; () for a single law."""
        ...

    def survival(self, gamma: int) -> Floats:
        """s_0..s_gamma on a new last axis, shape (*shape, gamma + 1); non-increasing, s_0 = 1."""
        ...

    def draw(self, rng: np.random.Generator, *, gamma: int, rounds: int) -> NDArray[np.int64]:
        """Accepted draft tokens of rounds, shape (rounds,), in 0..gamma, in running order.

        Token by token, without using the survival; for a single law only. The rounds are
        independent unless the law says that one depends on the round before it.
        """
        ...


@runtime_checkable
class GammaDependentLaw(AcceptanceLaw, Protocol):
    """A law whose rounds start differently at another gamma, so that s_k depends on gamma.

    Its survival at one gamma says nothing about the tokens at a smaller one, so it gives the
    tokens at every gamma itself.
    """

    def tokens_by_gamma(self, gamma_max: int) -> Floats:
        """E[N] for gamma = 0..gamma_max on a new last axis, (*shape, gamma_max + 1) [token]."""
        ...


@equation(r"\alpha_k", group="acceptance laws", alpha=0.8, decay=0.95, position=3)
def conditional_rate(alpha: Number, decay: Number, position: Number) -> Number:
    """Acceptance probability of the k-th draft token given those before it, under depth decay.

    Assumes: the rate changes by the same factor from one position to the next; where the product
    exceeds 1 (decay above 1, deep positions) it is 1.
    Wrong when: the depth effect saturates, or bursts rather than depth make rates differ.
    Source: derived here; decay = 1 is the independent law of arXiv:2211.17192v2.
    """
    if symbolic(alpha, decay):
        import sympy

        return sympy.Min(1, alpha * decay ** (position - 1))
    a, r, k = alpha, decay, position
    return in_blocks(_conditional_rate, a, r, k)


def _conditional_rate(a: Floats, r: Floats, k: Floats) -> Floats:
    with np.errstate(over="ignore", invalid="ignore"):
        power = r ** (k - 1.0)
        rate = a * power
        if np.isinf(power).any():
            # A power beyond the largest float may still meet a tiny alpha in a product below 1.
            half = r ** (0.5 * (k - 1.0))
            rate = np.where(np.isinf(power), a * half * half, rate)
    return np.asarray(np.where(a == 0.0, 0.0, np.minimum(1.0, rate)))


def _gamma(gamma: int) -> int:
    return int(check("gamma", gamma, whole=True))


def single(law: AcceptanceLaw) -> None:
    """Raise ValueError unless the law has scalar parameters."""
    if law.shape != ():
        raise ValueError(f"drawing needs a single law, got parameters of shape {law.shape}")


def count_accepted(accepted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Length of the leading run of True along the last axis: tokens before the first rejection."""
    padded = np.concatenate([~accepted, np.ones((*accepted.shape[:-1], 1), bool)], axis=-1)
    return np.asarray(padded.argmax(axis=-1), dtype=np.int64)


@dataclass(frozen=True)
class DepthAcceptance(Parameters):
    """Acceptance that changes geometrically with depth: alpha_k = min(1, alpha decay^(k-1)).

    alpha: acceptance probability of the first draft token, in [0, 1].
    decay: factor per further position, > 0; 1 (the default) is independent acceptance.
    Arrays of parameters broadcast. Raises ValueError outside the ranges.
    """

    alpha: ArrayLike
    decay: ArrayLike = 1.0

    def survival(self, gamma: int) -> Floats:
        a, r = self.columns()
        rates = conditional_rate(a, r, np.arange(1.0, _gamma(gamma) + 1.0))
        start = np.ones((*self.shape, 1))
        return np.concatenate([start, np.cumprod(rates, axis=-1)], axis=-1)

    def draw(self, rng: np.random.Generator, *, gamma: int, rounds: int) -> NDArray[np.int64]:
        single(self)
        rates = conditional_rate(self.alpha, self.decay, np.arange(1.0, _gamma(gamma) + 1.0))
        return count_accepted(rng.random((rounds, gamma)) < rates)


def depends_on_gamma(law: AcceptanceLaw) -> TypeGuard[GammaDependentLaw]:
    """Whether the survival of a law changes with gamma; to ask the protocol takes far longer."""
    return hasattr(law, "tokens_by_gamma")


def tokens_by_gamma(law: AcceptanceLaw, gamma_max: int) -> Floats:
    """E[N] for gamma = 0..gamma_max on the last axis, shape (*law.shape, gamma_max + 1) [token].

    The law's own where the survival depends on gamma (:class:`GammaDependentLaw`); else the partial
    sums of the survival, which are exact.
    """
    if depends_on_gamma(law):
        return np.asarray(law.tokens_by_gamma(gamma_max))
    return np.asarray(np.cumsum(law.survival(gamma_max), axis=-1))


def survival_by_gamma(law: AcceptanceLaw, gamma_max: int) -> Floats:
    """s_k over the rounds run at each gamma, [.., gamma, k], zero for k > gamma.

    Shape (*law.shape, gamma_max + 1, gamma_max + 1). Only for a :class:`GammaDependentLaw` do the
    rows differ before their ends.
    """
    top = int(check("gamma", gamma_max, label="gamma_max", whole=True))
    if not depends_on_gamma(law):
        return np.asarray(np.tril(np.asarray(law.survival(top))[..., None, :].repeat(top + 1, -2)))
    table = np.zeros((*law.shape, top + 1, top + 1))
    for g in range(top + 1):
        table[..., g, : g + 1] = law.survival(g)
    return table


def accepted_whole(law: AcceptanceLaw, gamma_max: int) -> Floats:
    """Share of the rounds at gamma = 0..gamma_max whose draft is accepted whole, s_gamma.

    On the last axis, shape (*law.shape, gamma_max + 1), each over the rounds run at that gamma.
    """
    if not depends_on_gamma(law):
        return np.asarray(law.survival(gamma_max))
    return np.asarray(np.diagonal(survival_by_gamma(law, gamma_max), axis1=-2, axis2=-1))


@equation(r"\bar N", group="metrics", step_coverage=0.6, round_tokens=3.2)
def tokens_per_step(step_coverage: Number, round_tokens: Number) -> Number:
    """Mean tokens of a target step where only a share of the steps has a draft.

    Assumes: a step without a draft emits one token; any acceptance in the others.
    Wrong when: a tool counts drafting rounds only; then it shows E[N].
    Source: derived here by averaging over the steps.
    """
    return 1 - step_coverage + step_coverage * round_tokens


@equation(r"\mathrm{E}[N]", group="metrics", step_coverage=0.6, step_tokens=2.32)
def round_tokens_from_steps(step_coverage: Number, step_tokens: Number) -> Number:
    """Mean tokens of a drafting round from the mean over all steps.

    Assumes: a step without a draft emits one token.
    Wrong when: the coverage is that of another text.
    Source: derived here, the inverse of the tokens of a step.
    """
    demand(step_coverage > 0, "step_coverage must be in (0, 1]", step_coverage)
    return 1 + (step_tokens - 1) / step_coverage


@dataclass(frozen=True)
class CoveredAcceptance:
    """Any acceptance law where only a share of the steps has a draft; a step is then the round.

    law: of the drafting rounds; coverage: in [0, 1], broadcasts with it. To be taken with
    :class:`CoveredCost` of the same coverage. Steps with a draft are independent of each other.
    """

    law: AcceptanceLaw
    coverage: ArrayLike

    def __post_init__(self) -> None:
        check("step_coverage", self.coverage, label="coverage")

    @property
    def shape(self) -> tuple[int, ...]:
        return np.broadcast_shapes(self.law.shape, np.shape(self.coverage))

    def survival(self, gamma: int) -> Floats:
        inner = self.law.survival(gamma)
        share = np.broadcast_to(as_floats("coverage", self.coverage), self.shape)[..., None]
        whole = share * np.broadcast_to(inner, (*self.shape, inner.shape[-1]))
        return np.concatenate([np.ones((*self.shape, 1)), whole[..., 1:]], axis=-1)

    def tokens_by_gamma(self, gamma_max: int) -> Floats:
        """1 - q + q E[N] for gamma = 0..gamma_max on a new last axis [token]."""
        share = np.broadcast_to(as_floats("coverage", self.coverage), self.shape)[..., None]
        return np.asarray(1.0 + share * (tokens_by_gamma(self.law, gamma_max) - 1.0))

    def draw(self, rng: np.random.Generator, *, gamma: int, rounds: int) -> NDArray[np.int64]:
        single(self)
        drafts = rng.random(rounds) < as_floats("coverage", self.coverage)
        accepted = self.law.draw(rng, gamma=gamma, rounds=rounds)
        return np.where(drafts, accepted, 0).astype(np.int64)


@dataclass(frozen=True)
class CoveredCost:
    """Any cost law where only a share of the steps has a draft: (1 - q) C(0) + q C(gamma).

    law: of the drafting rounds, entry 0 a plain step; coverage: in [0, 1], broadcasts with it.
    """

    law: CostLaw
    coverage: ArrayLike

    def __post_init__(self) -> None:
        check("step_coverage", self.coverage, label="coverage")

    @property
    def shape(self) -> tuple[int, ...]:
        return np.broadcast_shapes(self.law.shape, np.shape(self.coverage))

    def round_time(self, gamma: int, *, batch: float = 1, context: float = 0) -> Floats:
        times = self.law.round_time(gamma, batch=batch, context=context)
        share = np.broadcast_to(as_floats("coverage", self.coverage), self.shape)[..., None]
        return np.asarray((1.0 - share) * times[..., :1] + share * times)
