r"""Passes whose tokens are padded: tiles of a kernel, waves of a device, sizes of captured graphs.

    tokens computed = tile * ceil(B m / tile)

Padding makes the time of a pass a staircase in its tokens. The cost of a round is then not convex
in gamma, the speed-up has a local maximum at the end of every tread, and a rule that stops at the
first draft token that does not pay stops too early; `choose` looks at every gamma instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, check, unwrap
from ..formula import evaluates, formula
from ..symbols import register
from .passes import PassLaw, operating_point, token_grid

register("tile", "t", "tokens that are computed together", unit="token", low=1.0, integer=True)


@formula("padded_tokens", r"\lceil Bm \rceil_t", group="cost laws", pass_tokens=5, batch=3, tile=8)
def PADDED_TOKENS(s: Any) -> Any:
    """Tokens that a pass over m tokens of each of B sequences computes in tiles of t.

    Assumes: the tokens of all sequences share the tiles.
    Wrong when: several dimensions are tiled at once, or the kernel changes with the size.
    Source: derived here.
    """
    import sympy

    return s.tile * sympy.ceiling(s.batch * s.pass_tokens / s.tile)


@evaluates(PADDED_TOKENS)
def padded_tokens(pass_tokens: ArrayLike, batch: ArrayLike, *, tile: ArrayLike) -> Any:
    """tile * ceil(batch pass_tokens / tile) [token].

    pass_tokens, batch: >= 1; tile: whole number >= 1. Shapes broadcast; returns a float for
    scalars. Raises ValueError outside the ranges.
    """
    total = check("batch", batch) * check("pass_tokens", pass_tokens)
    size = check("tile", tile)
    return unwrap(size * np.ceil(total / size))


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
