"""Drafts of one target in order: each with its best gamma, and how likely it is the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..calibrate.depth import damped
from ..calibrate.prior.costs import PredictedCost
from ..calibrate.prior.pair import Expected, NamedModel
from ..theory.domain import Floats
from .choice import Choice, choose, probabilities_best, tokens_table


@dataclass(frozen=True)
class RankedDraft:
    """choice: best gamma and its speed-up; probability_best: that it beats all others at its gamma,
    and plain decoding; alpha, cost_ratio: draws, (draws,); fits: in memory.
    """

    draft: NamedModel
    choice: Choice
    probability_best: float
    alpha: Floats
    cost_ratio: Floats
    cost: PredictedCost
    fits: bool


@dataclass(frozen=True)
class Ranking:
    """Drafts best first, those that do not fit last; probability_plain: that none of them pays."""

    batch: float
    context: float
    drafts: tuple[RankedDraft, ...]
    probability_plain: float


def rank(
    expected: Expected,
    *,
    batches: Sequence[float] = (1.0,),
    context: float = 0.0,
    gamma_max: int = 16,
    level: float = 0.9,
) -> tuple[Ranking, ...]:
    """One ranking for each batch, by the mean speed-up at each draft's best gamma.

    Draws are in common: draw i of every draft has one task, family and machine, so that what is not
    known of these moves the speed-ups and not the order.
    """
    tokens = tokens_table(damped(expected.acceptance.law, gamma_max), gamma_max)
    return tuple(
        _rank(expected, tokens, batch=float(b), context=context, level=level) for b in batches
    )


def _rank(
    expected: Expected, tokens: Floats, *, batch: float, context: float, level: float
) -> Ranking:
    top = tokens.shape[-1] - 1
    choices, ratios, fits = [], [], []
    for own, law in zip(tokens, expected.costs, strict=True):
        times = law.round_time(top, batch=batch, context=context)
        choices.append(choose(own * (times[:, :1] / times), level=level))
        ratios.append(law.cost_ratio(batch=batch, context=context))
        fits.append(law.memory is None or batch <= law.memory.largest)
    able = [i for i, good in enumerate(fits) if good]
    chance = np.zeros(len(choices))
    plain = 1.0
    if able:
        found = probabilities_best([choices[i] for i in able])
        chance[able], plain = found[:-1], float(found[-1])
    order = sorted(range(len(choices)), key=lambda i: (not fits[i], -choices[i].speedup))
    ranked = tuple(
        RankedDraft(
            expected.drafts[i],
            choices[i],
            float(chance[i]),
            expected.acceptance.alpha[i],
            ratios[i],
            expected.costs[i],
            fits[i],
        )
        for i in order
    )
    return Ranking(batch, context, ranked, plain)
