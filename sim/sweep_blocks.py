"""A simulation too large for memory: in blocks, their sums added without rounding."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from .sweep_backends import outcomes

Sums = Mapping[str, Any]


def in_blocks(
    function: Callable[[np.random.Generator, int], Sums],
    total: int,
    *,
    block: int,
    seed: int,
    backend: str = "sequential",
    address: str | None = None,
    workers: int | None = None,
) -> dict[str, Any]:
    """Add up function(generator, size) over blocks of at most ``block`` of ``total`` draws.

    function returns sums by name: numbers or arrays, always the same names and shapes. Block i
    draws from the i-th child of ``seed``. Whole numbers are added as Python integers, others as
    exact fractions that are rounded once at the end, so the result is the same to the last bit
    whatever the workers and the order in which they finish; it does depend on ``block``. Memory
    is that of one block a worker. Returns Python numbers, or arrays of int64 or float64 (of Python
    integers where int64 would overflow). Raises ValueError for total or block below 1 and for sums
    that are not finite.
    """
    for name, value in (("total", total), ("block", block)):
        if value < 1 or value != int(value):
            raise ValueError(f"{name} must be an integer in [1, inf), got {value}")
    sizes = (
        (i, min(int(block), int(total) - start))
        for i, start in enumerate(range(0, int(total), int(block)))
    )
    run = outcomes(_Block(function, seed), sizes, backend=backend, address=address, workers=workers)
    sums: dict[str, Any] = {}
    with closing(run) as finished:
        for part in finished:
            exact = {name: _exact(name, value) for name, value in part.items()}
            if sums and {k: v.shape for k, v in sums.items()} != {
                k: v.shape for k, v in exact.items()
            }:
                raise ValueError("every block must return sums of the same names and shapes")
            sums = {
                name: np.asarray(sums[name] + v, object) if sums else v for name, v in exact.items()
            }
    return {name: _rounded(value) for name, value in sums.items()}


@dataclass(frozen=True)
class _Block:
    function: Callable[[np.random.Generator, int], Sums]
    seed: int

    def __call__(self, item: tuple[int, int]) -> dict[str, Any]:
        index, size = item
        child = np.random.SeedSequence(self.seed, spawn_key=(index,))
        return dict(self.function(np.random.default_rng(child), size))


def _exact(name: str, value: Any) -> Any:
    """The value as an array of Python integers or of fractions."""
    given = np.asarray(value)
    if given.dtype.kind not in "buif" or not np.isfinite(given).all():
        raise ValueError(f"the sum {name} must be finite numbers, got {value!r}")
    kind: Callable[[Any], Any] = Fraction if given.dtype.kind == "f" else int
    exact = np.empty(given.shape, object)
    exact.ravel()[:] = [kind(v) for v in given.ravel().tolist()]
    return exact


def _rounded(exact: Any) -> Any:
    values = [v if isinstance(v, int) else float(v) for v in exact.ravel()]
    if exact.ndim == 0:
        return values[0]
    if all(isinstance(v, int) for v in values) and any(abs(v) >= 2**63 for v in values):
        return exact
    return np.array(values).reshape(exact.shape)
