r"""Steps of the target without a draft: look-up tables and suffix trees that find nothing to copy.

    E[tokens per target step] = 1 - q + q E[N],   time of a step = (1 - q) C(0) + q C(gamma)

q, the coverage, is the share of the steps that have a draft. Logs that average over all steps show
the first number, logs of drafting rounds E[N] itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..costs.law import CostLaw
from ..domain import Floats, as_floats, check
from ..either import demand
from ..formula import Number, equation
from .law import AcceptanceLaw, single, tokens_by_gamma


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
