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

from dataclasses import dataclass, field
from functools import cache, cached_property

import numpy as np

from ...theory import tokens_by_gamma
from ...theory.domain import Floats
from ..depth import powered
from ..library.evidence import Measurement, lengths
from ..models.catalogue import find_model
from ..models.drafters import DRAFTERS
from .acceptance_tasks import canonical_task

LOOK_UP = ("n-gram", "prompt look-up", "suffix")
HEADS = tuple(k.name for k in DRAFTERS.values() if k.is_head)
GREATEST = 1.6  # of y: alpha_1 of 0.7 %, below which nothing was measured
_SCATTER = 0.015  # of ln tokens, of one measurement
_RIDGE = ((-1.2, 1.5), (0.3, 0.5))  # mean and width of (y, b) where a curve leaves them open
_WARMEST = 1.0  # temperature; above it rows are of another rule of acceptance
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
        return self._fit[0]

    @cached_property
    def equations(self) -> tuple[Floats, Floats]:
        """(A, c) with A (y, b) = c up to unit errors, one row for each number it determines."""
        return self._fit[1:]

    @cached_property
    def _fit(self) -> tuple[Floats, Floats, Floats]:
        center, width = (np.array(v) for v in zip(*_RIDGE, strict=True))
        z, seen = center.copy(), np.log(self.tokens)
        jacobian, value = self._linear(z)
        for _ in range(12):
            lhs = jacobian.T @ jacobian / self.scatter**2 + np.diag(width**-2.0)
            rhs = jacobian.T @ (seen - value) / self.scatter**2 + (center - z) / width**2
            step = np.linalg.solve(lhs, rhs)
            z = z + step * min(1.0, 0.7 / float(np.abs(step).max() + 1e-12))
            jacobian, value = self._linear(z)
        rest = (seen - value + jacobian @ z) / self.scatter
        left, size, right = np.linalg.svd(jacobian / self.scatter, full_matrices=False)
        kept = size > 1e-3
        return z, (size[:, None] * right)[kept], (left.T @ rest)[kept]

    def _linear(self, z: Floats) -> tuple[Floats, Floats]:
        """(derivative of ln tokens in (y, b), shape (gammas, 2); ln tokens) at a point."""
        step = 1e-4
        at = z + step * np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        law = powered(at[:, 0], at[:, 1], max(self.gammas))
        value = np.log(tokens_by_gamma(law, max(self.gammas)))[:, list(self.gammas)]
        both = np.stack([value[1] - value[2], value[3] - value[4]], axis=-1) / (2.0 * step)
        return both, value[0]


# First acceptances that a paper states, where no tokens of a chain are published.
_STATED = (
    HeadCurve("Medusa", "Vicuna-7B", "Medusa", "", (1,), (1.6,),
              "arXiv:2401.10774, top-1 accuracy of the first head", scatter=0.06),
    HeadCurve("MTP", "DeepSeek-V3", "MTP depth 1", "", (1,), (1.875,),
              "arXiv:2412.19437 sec 5.4.3, 85 to 90 % over topics", scatter=0.03),
)  # fmt: skip


@cache
def head_curves(kind: str = "") -> tuple[HeadCurve, ...]:
    """The curves of a kind of drafter in the bundled tables, of all heads for ""."""
    if not kind:
        return tuple(c for k in HEADS for c in head_curves(k))
    found: dict[tuple[object, ...], dict[int, list[float]]] = {}
    first: dict[tuple[object, ...], Measurement] = {}
    for m in lengths(kind):
        usual = m.temperature is None or m.temperature <= _WARMEST
        if m.gamma and usual and 1.0 < m.value < m.gamma + 1.0:
            target = m.target_model or m.target
            key = (target, m.draft, m.task, m.temperature, m.context, m.citation.split(",")[0])
            found.setdefault(key, {}).setdefault(m.gamma, []).append(m.value)
            first.setdefault(key, m)
    curves = [
        HeadCurve(
            kind, m.target_model or m.target, m.draft, m.task, tuple(sorted(found[key])),
            tuple(float(np.mean(found[key][g])) for g in sorted(found[key])),
            m.citation, m.temperature, m.context,
        )
        for key, m in first.items()
    ]  # fmt: skip
    return (*curves, *(c for c in _STATED if c.kind == kind))
