r"""Predictions that know what has been measured of the very pair, on the very device.

Draws of both laws are weighed by how well they meet the published speed-ups,

    ln w_i = - mean over studies of  mean over rows (ln S_row - ln S_i)^2 / (2 sigma^2 (1 + 1/n)),

S_i the draw at the row's gamma and batch, n the number of studies, and resampled. Rows of one study
count as one measurement together, since what one set-up does is in all of them. Published tokens
per round have taught the forecast of acceptance already.
Assumes: set-ups of one setting scatter by sigma about their mean. The one that is asked for is
another of them: it lies sigma from the mean, and the mean of n studies sigma / sqrt(n), so that no
number of studies takes the interval below sigma.
Source: importance resampling; derived here.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..calibrate.doors import Pair
from ..calibrate.known import KnownCosts
from ..theory import CostLaw
from ..theory.domain import Floats

if TYPE_CHECKING:
    from ..calibrate.library.evidence import Measurement

SPEEDUPS = ("speedup_run", "speedup_request", "speedup_decode")
# Scatter of ln tokens per round at one pair, task and gamma, by 433 bundled rows. That
# of ln speed-up is the same: 0.12 by 20 set-ups of six settings (device, gamma) of Qwen3.8-27B with
# its own drafter on llama.cpp (github sudoingX/qwen38-mtp@01b319c README.md).
_SIGMA = 0.14
_LEAST = 100.0  # effective draws, below which an interval says nothing


@dataclass(frozen=True)
class Published:
    """Which draws to keep, (draws,), the rows that say so, and what to know of them."""

    keep: NDArray[np.int64]
    rows: tuple[Measurement, ...]
    notes: tuple[str, ...]

    @property
    def citations(self) -> tuple[str, ...]:
        """Sources of the rows, each once."""
        return tuple(dict.fromkeys(r.citation for r in self.rows))

    def costs(self, known: KnownCosts) -> KnownCosts:
        """The costs of the draws that are kept."""
        return replace(known, law=taken(known.law, self.keep), sources=self.citations)


def taken(law: CostLaw, keep: NDArray[np.int64]) -> CostLaw:
    """A predicted law of the draws that are kept."""
    from ..calibrate.prior.costs import PredictedCost, PredictedPass
    from .rounds.gate import GatedCost

    if isinstance(law, GatedCost):
        return GatedCost(taken(law.law, keep), law.passing[keep])

    def of(part: object) -> PredictedPass:
        assert isinstance(part, PredictedPass)
        values = {k: v[keep] if v.size > 1 else v for k, v in part.values.items()}
        return replace(part, values=values, factor=part.factor[keep])

    assert isinstance(law, PredictedCost)
    overhead = np.resize(np.asarray(law.overhead), len(keep))[keep]
    return replace(law, target=of(law.target), draft=of(law.draft), overhead=overhead)


def published(
    pair: Pair, tokens: Floats, costs: KnownCosts, rng: np.random.Generator
) -> Published | None:
    """What published rows of the pair say of its predicted draws, None where there are none.

    tokens: per round at gamma = 0.., shape (draws, gammas); costs: predicted, with the same draws.
    """
    from ..calibrate.library.load import study_of

    rows = _rows(pair, tokens.shape[1] - 1)
    if not rows:
        return None
    by_study: dict[str, list[Floats]] = defaultdict(list)
    for row in rows:
        gamma = row.gamma or 0
        times = costs.law.round_time(gamma, batch=row.batch or 1.0, context=pair.at.cached)
        gain = tokens[:, gamma] * times[..., 0] / times[..., gamma]
        by_study[study_of(row.citation)].append(np.square(np.log(gain) - np.log(row.value)))
    misfit = np.mean([np.mean(m, axis=0) for m in by_study.values()], axis=0)
    misfit /= 1.0 + 1.0 / len(by_study)
    keep, sigma = resampled(np.asarray(misfit), _SIGMA, rng)
    notes = [f"rests on {len(rows)} published rows of this pair on this device: {_line(rows)}"]
    if sigma > 2.0 * _SIGMA:
        notes.append("what was published of this pair lies outside of what shapes alone predict")
    return Published(keep, rows, tuple(notes))


def resampled(
    misfit: Floats, sigma: float, rng: np.random.Generator
) -> tuple[NDArray[np.int64], float]:
    """Draws weighed by their misfit, (draws,), and sigma, widened where too few would be left."""
    weight = _weights(misfit, sigma)
    while 1.0 / np.square(weight).sum() < min(_LEAST, 0.5 * weight.size):
        sigma *= 1.25  # far outside of what was predicted: studies differ by more than usual
        weight = _weights(misfit, sigma)
    return rng.choice(weight.size, size=weight.size, p=weight), sigma


def _weights(misfit: Floats, sigma: float) -> Floats:
    weight = np.exp(-0.5 * (misfit - misfit.min()) / sigma**2)
    return np.asarray(weight / weight.sum())


def _rows(pair: Pair, gamma_max: int) -> tuple[Measurement, ...]:
    """Measured speed-ups of the pair, on so many of the device, under the task."""
    at, machine = pair.at, pair.machine
    if at.target is None or at.draft is None or at.device is None or machine is None:
        return ()
    from ..calibrate.library.evidence import measured_pair
    from ..calibrate.library.load import study_of

    return tuple(
        row
        for row in measured_pair(at.target, at.draft, at.device, task=at.task, metrics=SPEEDUPS)
        if row.gamma is not None
        and 1 <= row.gamma <= gamma_max
        and row.value > 0.0
        and row.devices in (None, machine.count)
        and not (at.unseen and study_of(row.citation) == at.unseen)
    )


def _line(rows: tuple[Measurement, ...]) -> str:
    shown = [
        f"speed-up {r.value:.4g} at gamma {r.gamma}, batch {r.batch or 1:g} "
        f"({r.task or 'any task'})"
        for r in rows[:3]
    ]
    more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
    return "; ".join(shown) + more
