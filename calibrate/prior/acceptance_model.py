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
Source: derived here: a normal hierarchy on the complementary log-log scale.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

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
# Prompts differ: errors are twice those of independent tokens. (The bootstrap over 30 prompts that
# one source states is 2.5 times, with five tasks among them.)
DESIGN_EFFECT = 4.0


@dataclass(frozen=True)
class Cell:
    """One measurement, or one question.

    family, source, target, draft: "" where unknown; task: canonical, None where unknown; setting:
    what tells prompts of one source apart; parameters: of target and draft; tuned: the draft was
    trained towards the target or on the task; cross: vocabularies differ; overlap: measured over
    all tokens rather than over rounds; doubt: further spread of ln h for what is not known.
    alpha: pooled conditional rate, NaN where not measured; error: its standard error; ids: of the
    rows behind it.
    """

    target_parameters: float
    draft_parameters: float
    draft_layers: int | None = None
    family: str = ""
    source: str = ""
    target: str = ""
    draft: str = ""
    task: str | None = None
    setting: str = ""
    temperature: float | None = None
    quantised: bool | None = None
    tuned: bool = False
    cross: bool = False
    overlap: bool = False
    doubt: float = 0.0
    alpha: float = math.nan
    error: float = 0.0
    ids: tuple[str, ...] = ()

    @property
    def pair(self) -> str:
        """Target and draft."""
        return f"{self.target}|{self.draft}"

    @property
    def branch(self) -> str:
        """Family and speciality: a coder's tasks are not those of its sister."""
        special = re.search(r"cod(?:er?|ing)|math", self.target)
        return f"{self.family}-{special[0]}" if special else self.family

    @property
    def measured(self) -> bool:
        """Whether the law can be fitted to it."""
        return 0.0 < self.alpha < 1.0 and self.target_parameters != self.draft_parameters


def family_of(name: str) -> str:
    """The line of models that a family or a model belongs to: Qwen2.5-Coder-7B is of "qwen2.5".

    Generations are lines of their own; releases inside one (3.1, 3.2; base, instruct, coder) not.
    """
    text = re.sub(r"[\s_]+", "-", name.casefold().strip().rstrip("?"))
    text = text if text == "codegen/phi" else text.split("/")[-1]
    known = re.match(r"(?:meta-)?(llama|gemma|phi|opt|bloom|pythia|apertus|vicuna)-?v?(\d+)?", text)
    if known:
        ungraded = known[2] is None or known[1] in ("pythia", "opt", "bloom", "apertus")
        return known[1] if ungraded else f"{known[1]}-{known[2]}"
    return re.split(r"-(?=\d|v\d|instruct|coder|math|base|chat|it\b|xl|xxl|small|large)", text)[0]


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


def log_density(root: Floats, residual: Floats) -> Floats:
    """ln density of normal residuals by the Cholesky factors of their covariance, up to a constant.

    root: shape (draws, n, n); residual: shape (n,) or (draws, n). Shape (draws,).
    """
    right = np.broadcast_to(residual, root.shape[:2])
    white = np.linalg.solve(root, right[..., None])[..., 0]
    half_log_det = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    return np.asarray(-0.5 * (white**2).sum(axis=1) - half_log_det)


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
