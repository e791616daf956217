r"""Curves of measured acceptance of drafters that are trained for one target, or look drafts up.

The rejection of position k of a round grows as a power of it,

    alpha_k = exp(-h k^b),   y = ln h,   h = -ln alpha_1

b > 0: the drafter, which feeds on its own tokens, gets worse with depth; b < 0: rounds that survive
are the easy ones. Of three forms with two numbers this one meets the published curves best (0.5 %
of the tokens, against 0.6 % for rates that fall by one factor a position and 0.7 % for rejection
that grows by one), and it is the one that carries from K = 3 to the longest measured K.
A curve is taken as linear in (y, b) around its own fit.
Source: derived here; curves of `measured`, `specbundle`, `serving_speedups`, and two papers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from ...theory import tokens_by_gamma
from ...theory.acceptance.positional import powered
from ...theory.domain import Floats
from ..files import bundled_json
from ..library.load import same_study
from ..models.catalogue import find_model
from ..models.drafters import DRAFTERS
from .acceptance_cells import canonical_task

LOOK_UP = ("n-gram", "prompt look-up", "suffix")
HEADS = tuple(k.name for k in DRAFTERS.values() if k.is_head)
GREATEST = 1.6  # of y: alpha_1 of 0.7 %, below which nothing was measured
_SCATTER = 0.015  # of ln tokens, of one measurement
_RIDGE = ((-1.2, 1.5), (0.3, 0.5))  # mean and width of (y, b) where a curve leaves them open
SHORT = 4000.0  # tokens of context; what drafters are trained on, and nearly all is measured at


@dataclass(frozen=True)
class HeadCurve:
    """Measured tokens per round of one drafter on one task; gammas and tokens of equal length.

    task: as the source writes it; source: citation of the first of its rows; temperature, context:
    None where not stated; scatter: of ln tokens.
    """

    kind: str
    target: str
    head: str
    task: str
    gammas: tuple[int, ...]
    tokens: tuple[float, ...]
    source: str = ""
    temperature: float | None = None
    context: float | None = None
    scatter: float = field(default=_SCATTER, repr=False)

    @property
    def family(self) -> str:
        """Line of models of the target, "" where the table has none."""
        found = find_model(self.target)
        return found.shape.family if found else ""

    @property
    def canonical(self) -> str | None:
        """The task, one that acceptance is told apart by."""
        return canonical_task(self.task)

    @cached_property
    def fit(self) -> Floats:
        """(y, b) of least squares, with a weak pull where the curve leaves them open."""
        return linearised([self])[0][0]

    def repeats(self, other: HeadCurve) -> bool:
        """Whether it says nothing that another curve of the text does not: tables cite another."""
        if (self.target, self.canonical) != (other.target, other.canonical):
            return False
        mine, theirs = (
            {(g, round(t, 3)) for g, t in zip(c.gammas, c.tokens, strict=True)}
            for c in (self, other)
        )
        return mine <= theirs


def linearised(curves: Sequence[HeadCurve]) -> list[tuple[Floats, Floats, Floats]]:
    """(z, A, c) of each curve: its own fit, and A (y, b) = c up to unit errors around it.

    A has one row for each number that the curve determines. All are fitted at once.
    """
    gammas = np.zeros((len(curves), max(len(c.gammas) for c in curves)), dtype=int)
    seen, scale = np.zeros(gammas.shape), np.zeros(gammas.shape)  # 0 where there is no gamma
    for i, curve in enumerate(curves):
        at = i, slice(len(curve.gammas))
        gammas[at], seen[at], scale[at] = curve.gammas, np.log(curve.tokens), 1.0 / curve.scatter
    center, width = (np.array(v) for v in zip(*_RIDGE, strict=True))
    z = np.tile(center, (len(curves), 1))
    jacobian, value = _linear(z, gammas, scale)
    for _ in range(12):
        across = np.swapaxes(jacobian, 1, 2)
        lhs = across @ jacobian + np.diag(width**-2.0)
        rhs = (across @ (seen * scale - value)[..., None])[..., 0] + (center - z) / width**2
        step = np.linalg.solve(lhs, rhs[..., None])[..., 0]
        z = z + step * np.minimum(1.0, 0.7 / (np.abs(step).max(axis=1, keepdims=True) + 1e-12))
        jacobian, value = _linear(z, gammas, scale)
    rest = seen * scale - value + (jacobian @ z[..., None])[..., 0]
    left, size, right = np.linalg.svd(jacobian, full_matrices=False)
    right_sides = (np.swapaxes(left, 1, 2) @ rest[..., None])[..., 0]
    kept = size > 1e-3
    return [
        (z[i], (size[i][:, None] * right[i])[kept[i]], right_sides[i][kept[i]])
        for i in range(len(curves))
    ]


def _linear(z: Floats, gammas: NDArray[np.int_], scale: Floats) -> tuple[Floats, Floats]:
    """(derivative of ln tokens in (y, b), ln tokens), over the scatter, at a point of each curve.

    z: (curves, 2); gammas, scale: (curves, n). Shapes (curves, n, 2) and (curves, n).
    """
    step = 1e-4
    at = (
        z + step * np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])[:, None]
    )
    top = int(gammas.max())
    whole = np.log(tokens_by_gamma(powered(at[..., 0], at[..., 1], top), top))
    value = np.take_along_axis(whole, gammas[None], axis=-1) * scale
    both = np.stack([value[1] - value[2], value[3] - value[4]], axis=-1) / (2.0 * step)
    return both, value[0]


@cache
def _stored() -> tuple[HeadCurve, ...]:
    """What `python -m howspec.calibrate.prior.heads_fit` writes."""
    stored = bundled_json(__package__, "head_curves.json")
    rows = (dict(zip(stored["fields"], cells, strict=True)) for cells in stored["curves"])
    curves = (HeadCurve(**row) for row in rows)
    return tuple(replace(c, gammas=tuple(c.gammas), tokens=tuple(c.tokens)) for c in curves)


@cache
def head_curves(kind: str = "") -> tuple[HeadCurve, ...]:
    """The curves of a kind of drafter in the bundled tables, of all heads for ""."""
    return tuple(c for c in _stored() if (c.kind == kind if kind else c.kind in HEADS))


@cache
def looked_up(unseen: str = "") -> tuple[HeadCurve, ...]:
    """The curves of all kinds of look-up, each text once; unseen: a study that is left out, also
    where another table repeats it.
    """
    every = [c for kind in LOOK_UP for c in head_curves(kind)]
    hidden = [c for c in every if same_study(c.source, unseen)]
    seen = [c for c in every if not any(c.repeats(h) or h.repeats(c) for h in hidden)]
    kept: list[HeadCurve] = []
    for c in sorted(seen, key=lambda c: -len(c.gammas)):
        if not any(c.repeats(k) for k in kept):
            kept.append(c)
    return tuple(kept)
