r"""The law of acceptance across pairs, and its posterior given the measured cells.

    alpha = exp(-h)
    ln h = level + slopes + task + family + source + pair + family x task
           + branch x task + setting
           - (size + task's own) ln(n / n_0) + gap ln ln(max(N, M) / n),   n = min(N, M)

N, M: parameters of draft and target. h falls with the draft, rises with the target, and vanishes as
the draft becomes the target, N = M. The slopes are those of `COMMON`. Effects are normal with a
spread of their own; a label that was never seen draws a new effect from that spread.

The numbers of `PARAMETERS` are sampled; the effects given them are integrated in closed form.
Assumes: alpha of one pair and task is one number; spreads are the same everywhere.
Wrong when: a draft was trained on the very prompts; rejection has a floor at equal size (two models
of one size that are not one model).
Source: derived here: a normal hierarchy on the complementary log-log scale. The sampler is the
stretch move of Goodman & Weare 2010 (Commun. Appl. Math. Comput. Sci. 5, 65).

Its rivals are simpler laws, fitted to the same measurements, that the prior must beat.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

from .acceptance_cells import Cell

Floats = NDArray[np.float64]

# Spreads of the labelled effects on ln h, of a family's slope in temperature and a task's slope in
# size, and the two exponents. All positive, with log-normal priors: (median, spread of ln).
PARAMETERS: dict[str, tuple[float, float]] = {
    "task": (0.4, 0.6),
    "family": (0.25, 0.7),
    "source": (0.15, 0.7),
    "pair": (0.12, 0.7),
    "family_task": (0.2, 0.7),
    "branch_task": (0.12, 0.7),
    "setting": (0.12, 0.7),
    "temperature": (0.2, 0.7),
    "task_size": (0.07, 0.7),
    "size": (0.12, 0.6),
    "gap": (0.3, 0.6),
}
_EFFECTS = 7  # the first of them are spreads of labelled effects
USUAL_SMALL = 5e8  # n_0
# Level and slopes shared by all, on ln h: prior mean and standard deviation.
COMMON: dict[str, tuple[float, float]] = {
    "level": (-1.0, 1.0),
    "temperature": (0.1, 0.3),
    "quantised": (0.0, 0.15),
    "tuned": (-0.1, 0.3),
    "cross": (0.4, 0.4),
    "overlap": (0.0, 0.1),
    "depth": (-0.1, 0.1),
}
_new = count()
# Of the loss of a model by its size and training: arXiv:2203.15556.
A, SIZE_EXPONENT, B, TOKENS_EXPONENT, ENTROPY = 406.4, 0.34, 410.7, 0.28, 1.69
USUAL_TOKENS = 2e12


def usual_layers(parameters: float) -> float:
    """Layers of a usual decoder of that size: 24 at 0.5, 36 at 3, 72 at 70 billion parameters."""
    return float(24.0 * (parameters / 5e8) ** 0.22)


def _labels(cell: Cell) -> list[str]:
    """Labels of a cell's effects; an unknown one is like no other."""
    pair = cell.pair if cell.draft else ""
    setting = f"{pair}|{cell.source}|{cell.setting}" if pair and cell.source else ""
    task = cell.task if cell.family else None
    both = [f"{name}|{task}" if task else "" for name in (cell.family, cell.branch)]
    known = (cell.task, cell.family, cell.source, pair, *both, setting)
    return [label or f"?{next(_new)}" for label in known]


def _slopes(cell: Cell) -> tuple[float, ...]:
    """What multiplies each of `COMMON`; an unstated temperature counts as greedy."""
    deep = cell.draft_layers is not None
    return (
        1.0,
        cell.temperature or 0.0,
        {True: 0.5, False: -0.5, None: 0.0}[cell.quantised],
        float(cell.tuned),
        float(cell.cross),
        float(cell.overlap),
        float(np.log((cell.draft_layers or 1) / usual_layers(cell.draft_parameters)) * deep),
    )


class Design:
    """What the law needs of a list of cells."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.labels = np.array([_labels(c) for c in cells]).reshape(len(cells), _EFFECTS)
        self.slopes = np.array([_slopes(c) for c in cells]).reshape(len(cells), len(COMMON))
        self.doubt = np.array([c.doubt for c in cells])
        sizes = np.array([[c.draft_parameters, c.target_parameters] for c in cells])
        self.size = np.log(sizes.min(axis=1) / USUAL_SMALL)
        with np.errstate(divide="ignore"):  # -inf at N = M: no rejection at all
            self.gap = np.log(np.log(sizes.max(axis=1) / sizes.min(axis=1)))

    def mean(self, theta: Floats) -> Floats:
        """Known part of ln h for parameters of shape (draws, 11), shape (draws, cells)."""
        known = self.slopes @ np.array([m for m, _ in COMMON.values()])
        return np.asarray(known - theta[:, -2, None] * self.size + theta[:, -1, None] * self.gap)


class Kernel:
    """Covariance of ln h between two lists of cells, as a function of the parameters."""

    def __init__(self, one: Design, other: Design) -> None:
        same = np.moveaxis(one.labels[:, None] == other.labels[None], -1, 0).astype(float)
        hot = same[1] * np.outer(one.slopes[:, 1], other.slopes[:, 1])
        large = same[0] * np.outer(one.size, other.size)
        self.parts = np.concatenate([same, hot[None], large[None]])
        width = np.array([s for _, s in COMMON.values()])
        self.common = (one.slopes * width**2) @ other.slopes.T
        if one is other:
            self.common = self.common + np.diag(one.doubt**2)

    def __call__(self, theta: Floats) -> Floats:
        """Shape (draws, one, other) for parameters of shape (draws, 11)."""
        spread = np.square(theta[:, : len(self.parts)])
        return np.asarray(self.common + np.tensordot(spread, self.parts, axes=1))


def observed(cells: Sequence[Cell]) -> tuple[Floats, Floats]:
    """ln h of measured cells and the variance of its error, both of shape (cells,)."""
    alpha = np.array([c.alpha for c in cells], dtype=float)
    h = -np.log(alpha)
    error = np.array([c.error for c in cells], dtype=float)
    return np.log(h), np.square(error / (alpha * h))


def solve_lower(root: Floats, right: Floats, block: int = 8) -> Floats:
    """x of root x = right for lower triangular roots, shape (draws, n, columns), block by block."""
    x = np.empty((len(root), *right.shape[-2:]))
    for start in range(0, root.shape[-1], block):
        own = slice(start, start + block)
        known = root[:, own, :start] @ x[:, :start]
        x[:, own] = np.linalg.solve(root[:, own, own], right[:, own] - known)
    return x


class Conditioned:
    """The law given measured cells, at draws of its parameters of shape (draws, 11)."""

    def __init__(self, cells: Sequence[Cell], theta: Floats) -> None:
        self.theta = theta
        self.design = Design(cells)
        y, noise = observed(cells)
        covariance = Kernel(self.design, self.design)(theta) + np.diag(noise)
        self.root: Floats = np.asarray(np.linalg.cholesky(covariance))
        self.residual = solve_lower(self.root, (y - self.design.mean(theta))[..., None])

    def predict(self, cells: Sequence[Cell]) -> tuple[Floats, Floats]:
        """Mean (draws, cells) and covariance (draws, cells, cells) of ln h of the cells."""
        design = Design(cells)
        across = solve_lower(self.root, Kernel(self.design, design)(self.theta))
        turned = np.swapaxes(across, 1, 2)
        mean = design.mean(self.theta) + (turned @ self.residual)[..., 0]
        return mean, Kernel(design, design)(self.theta) - turned @ across


def sample_parameters(
    cells: Sequence[Cell], rng: np.random.Generator, *, draws: int = 64, steps: int = 300
) -> Floats:
    """Draws of the parameters given measured cells, shape (draws, 11): an ensemble of walkers.

    draws: even, > 20; steps: of the whole ensemble, whose last state is returned.
    """
    design = Design(cells)
    problem = (design, Kernel(design, design), *observed(cells))
    center = np.log([m for m, _ in PARAMETERS.values()])
    return np.exp(
        walk(lambda log_theta: _log_posterior(log_theta, *problem), center, rng,
             draws=draws, steps=steps)
    )  # fmt: skip


def walk(
    log_posterior: Callable[[Floats], Floats],
    center: Floats,
    rng: np.random.Generator,
    *,
    draws: int,
    steps: int,
) -> Floats:
    """Draws of a density whose logarithm is given, shape (draws, numbers), begun around center.

    draws: even, more than twice the numbers; steps: of the whole ensemble, whose last state is
    returned.
    """
    if draws % 2 or draws <= 2 * center.size:
        raise ValueError(f"draws must be even and in ({2 * center.size}, inf), got {draws}")
    walkers = center + 0.3 * rng.standard_normal((draws, center.size))
    values = log_posterior(walkers)
    half = draws // 2
    for step in range(2 * steps):
        own, rest = (np.arange(half) + half * ((step + i) % 2) for i in (0, 1))
        partner = walkers[rng.choice(rest, half)]
        stretch = np.square(rng.random(half) + 1.0) / 2.0  # density 1 / sqrt(z) on [1/2, 2]
        moved = partner + stretch[:, None] * (walkers[own] - partner)
        value = log_posterior(moved)
        gain = (center.size - 1) * np.log(stretch) + value - values[own]
        take = np.log(rng.random(half)) < gain
        walkers[own[take]], values[own[take]] = moved[take], value[take]
    return np.asarray(walkers)


def _log_posterior(
    log_theta: Floats, design: Design, kernel: Kernel, y: Floats, noise: Floats
) -> Floats:
    """Of the logarithms of the parameters, up to a constant, shape (draws,)."""
    prior = np.array(list(PARAMETERS.values()))
    z = (log_theta - np.log(prior[:, 0])) / prior[:, 1]
    theta = np.exp(log_theta)
    root = np.linalg.cholesky(kernel(theta) + np.diag(noise))
    r = np.linalg.solve(root, (y - design.mean(theta))[..., None])[..., 0]
    half_log_det = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    return np.asarray(-0.5 * (r**2).sum(axis=1) - half_log_det - 0.5 * (z**2).sum(axis=1))


Rival = Callable[[Cell], float]

# alpha = a + b ppl_draft + c ppl_target of SDSL, arXiv:2603.11053, as a secondary digest prints it.
SDSL = (0.642, -0.0067, 0.01297)


def loss(parameters: float, tokens: float = USUAL_TOKENS) -> float:
    """Loss of a model of that size after that training [nat/token]."""
    return float(ENTROPY + A / parameters**SIZE_EXPONENT + B / tokens**TOKENS_EXPONENT)


def perplexities(cell: Cell) -> tuple[float, float]:
    """Of draft and target by the loss law at its usual training: no row states its own."""
    return (
        float(np.exp(loss(cell.draft_parameters))),
        float(np.exp(loss(cell.target_parameters))),
    )


def _affine(cell: Cell, coefficients: Sequence[float] | Floats) -> float:
    draft, target = perplexities(cell)
    value = coefficients[0] + coefficients[1] * draft + coefficients[2] * target
    return float(min(max(value, 0.0), 1.0))


def rivals(cells: Sequence[Cell]) -> dict[str, Rival]:
    """The rivals fitted to measured cells, each a function of a question.

    constant: the mean alpha; task constant: the mean of the task, the constant for a task without
    measurements; SDSL: as printed; SDSL refitted: its three numbers by least squares.
    """
    alpha = np.array([c.alpha for c in cells])
    mean = float(alpha.mean())
    tasks = {
        task: float(alpha[[c.task == task for c in cells]].mean())
        for task in {c.task for c in cells if c.task is not None}
    }
    design = np.array([(1.0, *perplexities(c)) for c in cells])
    refitted = np.linalg.lstsq(design, alpha, rcond=None)[0]
    return {
        "constant": lambda cell: mean,
        "task constant": lambda cell: tasks.get(cell.task or "", mean),
        "SDSL": lambda cell: _affine(cell, SDSL),
        "SDSL refitted": lambda cell: _affine(cell, refitted),
    }
