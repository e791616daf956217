r"""Passes whose tokens are padded: tiles of a kernel, waves of a device, sizes of captured graphs.

    tokens computed = tile * ceil(B m / tile)

Padding makes the time of a pass a staircase in its tokens. The cost of a round is then not convex
in gamma, the speed-up has a local maximum at the end of every tread, and a rule that stops at the
first draft token that does not pay stops too early; `choose` looks at every gamma instead.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, check
from ..either import ceiling
from ..formula import Number, equation
from .law import PassLaw, operating_point, token_grid


@equation(r"\lceil Bm \rceil_t", group="cost laws", pass_tokens=5, batch=3, tile=8)
def padded_tokens(pass_tokens: Number, batch: Number, *, tile: Number) -> Number:
    """Tokens that a pass over m tokens of each of B sequences computes in tiles of t.

    Assumes: the tokens of all sequences share the tiles.
    Wrong when: several dimensions are tiled at once, or the kernel changes with the size.
    Source: derived here.
    """
    return tile * ceiling(batch * pass_tokens / tile)


@dataclass(frozen=True)
class StaircasePass:
    """A pass law whose tokens are padded before another law times them.

    smooth: the law of the padded pass; tile: whole number >= 1 [token]; sizes: increasing token
    counts for which a graph is captured. A pass goes to the smallest size that holds all its
    tokens; past the largest size (or without sizes) it is padded to tiles.
    Raises ValueError outside the ranges.
    """

    smooth: PassLaw
    tile: int = 1
    sizes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check("tile", self.tile)
        check("tile", self.sizes, label="sizes")
        if any(b <= a for a, b in zip(self.sizes, self.sizes[1:], strict=False)):
            raise ValueError(f"sizes must increase, got {self.sizes}")

    @property
    def shape(self) -> tuple[int, ...]:
        return self.smooth.shape

    def padded(self, tokens: ArrayLike, *, batch: float = 1) -> Floats:
        """Tokens over all sequences that are computed, same shape as ``tokens`` [token]."""
        rows, _ = operating_point(batch, 0.0)
        grid = token_grid(tokens)
        padded = np.asarray(padded_tokens(grid, rows, tile=self.tile))
        if not self.sizes:
            return padded
        sizes = np.asarray(self.sizes, dtype=np.float64)
        index = np.searchsorted(sizes, grid * rows)
        return np.where(index < sizes.size, sizes[np.minimum(index, sizes.size - 1)], padded)

    def step_time(self, tokens: ArrayLike, *, batch: float = 1, context: float = 0) -> Floats:
        return self.smooth.step_time(
            self.padded(tokens, batch=batch) / batch, batch=batch, context=context
        )
