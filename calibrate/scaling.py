r"""Laws in draft scale, fitted across drafts and carried to pairs that were not measured.

    ln(1 - alpha) = a_group - beta ln s        rejection, s = draft / target parameters
    k             = k_depth l + k_size s       cost of a draft token, l = draft / target layers

Groups (a target, a task, a temperature) share the exponent and differ in level; the spread of the
levels is what a new group is uncertain by. Cost follows depth as well as size, since each layer is
launched however narrow it is.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RejectionFit:
    """Posterior sample of the rejection law for a group that was not measured.

    exponent: beta > 0; level: a, so that 1 - alpha = exp(a) s^-beta; both of shape (draws,);
    scatter: spread of ln(1 - alpha) of a single draft around its group's line.
    """

    exponent: Floats
    level: Floats
    scatter: float

    def alpha(self, scale: float, rng: np.random.Generator) -> Floats:
        """Acceptance of a draft of that scale, shape (draws,), its own scatter included.

        Raises ValueError unless scale is in (0, 1].
        """
        if not 0.0 < scale <= 1.0:
            raise ValueError(f"scale must be in (0, 1], got {scale}")
        own = rng.normal(0.0, self.scatter, self.level.shape)
        # The power law knows no ceiling: rejection beyond 1 is a draft that never agrees.
        rejection = np.exp(self.level - self.exponent * np.log(scale) + own)
        return np.asarray(np.maximum(1.0 - rejection, 0.0))


def fit_rejection(
    groups: Sequence[Hashable],
    scale: Floats,
    alpha: Floats,
    rng: np.random.Generator,
    *,
    draws: int = 2000,
) -> RejectionFit:
    """Fit the rejection law to drafts of several groups.

    groups: label of each draft's group; scale: in (0, 1]; alpha: in (0, 1); all of one length, with
    at least two groups and two drafts in some of them. Raises ValueError otherwise.
    Source: the power law of loss scaling (arXiv:2203.15556) carried over to rejection.
    """
    s, a = np.asarray(scale, dtype=float), np.asarray(alpha, dtype=float)
    if not (len(groups) == s.size == a.size and ((s > 0) & (s <= 1)).all()):
        raise ValueError("scale must be in (0, 1], one for each group label and alpha")
    if not ((a > 0) & (a < 1)).all():
        raise ValueError(f"alpha must be in (0, 1), got {a[~((a > 0) & (a < 1))][0]}")
    labels = {g: i for i, g in enumerate(dict.fromkeys(groups))}
    index = np.array([labels[g] for g in groups])
    count = np.bincount(index).astype(float)
    x, y = np.log(s), np.log1p(-a)
    x_mean, y_mean = np.bincount(index, x) / count, np.bincount(index, y) / count
    dx, dy = x - x_mean[index], y - y_mean[index]
    freedom = a.size - count.size - 1
    if count.size < 2 or freedom < 1 or not (dx * dx).sum() > 0:
        raise ValueError("a rejection law needs two groups and two sizes in some of them")
    slope = float((dx * dy).sum() / (dx * dx).sum())
    scatter = float(np.sqrt(((dy - slope * dx) ** 2).sum() / freedom))
    slope_se = scatter / float(np.sqrt((dx * dx).sum()))
    # A new group's level: Student's t around the mean of the levels, widened by its own error.
    exponent = np.abs(-slope + slope_se * rng.standard_t(freedom, draws))
    levels = y_mean[None, :] + exponent[:, None] * x_mean[None, :]
    spread = levels.std(axis=1, ddof=1) * np.sqrt(1.0 + 1.0 / count.size)
    level = levels.mean(axis=1) + spread * rng.standard_t(count.size - 1, draws)
    return RejectionFit(exponent, level, scatter)


@dataclass(frozen=True)
class CostShapeFit:
    """Cost of a draft token by shape: per_depth and per_size, each of shape (draws,), >= 0.

    scatter: relative spread of a draft around the law.
    """

    per_depth: Floats
    per_size: Floats
    scatter: float

    def slope(self, depth: float, scale: float, rng: np.random.Generator) -> Floats:
        """Cost of a draft token [target step], shape (draws,), the draft's own scatter included.

        depth: draft / target layers; scale: draft / target parameters; both > 0.
        """
        if not (depth > 0.0 and scale > 0.0):
            raise ValueError(f"depth and scale must be in (0, inf), got {depth} and {scale}")
        own = np.exp(rng.normal(0.0, self.scatter, self.per_depth.shape))
        return np.asarray((self.per_depth * depth + self.per_size * scale) * own)


def fit_cost_shape(depth: Floats, scale: Floats, slope: Floats) -> CostShapeFit:
    """Fit cost to depth and size, a non-negative least-squares fit for every posterior draw.

    depth, scale: shape (drafts,), at least three; slope: shape (drafts, draws) [target step].
    Raises ValueError for fewer drafts.
    """
    from scipy.optimize import nnls

    if depth.size < 3:
        raise ValueError(f"a cost law in depth and size needs 3 drafts or more, got {depth.size}")
    design = np.stack([depth, scale], axis=1)
    fitted = np.array([nnls(design, slope[:, i])[0] for i in range(slope.shape[1])])
    residual = np.log(np.maximum(slope.mean(axis=1), 1e-12) / (design @ fitted.mean(axis=0)))
    scatter = float(np.sqrt((residual**2).sum() / (depth.size - 2)))
    return CostShapeFit(fitted[:, 0], fitted[:, 1], scatter)
