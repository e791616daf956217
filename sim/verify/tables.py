r"""Tables for drawing from a pair, and the K-SEQ constant.

    Z(c) = sum (p - c q)_+,   rho = (1 - Z(rho)) / (1 - Z(rho)^{1/K})

K-SEQ accepts each of K draft tokens with probability min(1, p/(rho q)) (arXiv:2310.15141). With
beta = sum min(q, p/rho) = (1 - Z(rho))/rho, the smallest lossless rho has 1 - (1 - beta)^K = rho
beta, which is the equation above; the residual is then norm((p - rho q)_+). Derived here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...theory.domain import Floats
from ...theory.roots import bisect
from . import kernels
from .distributions import Pair


def prepare(pair: Pair) -> kernels.Tables:
    """Alias tables and sorted running sums of every context; some 80 bytes a probability."""
    p, q = (np.ascontiguousarray(rows) for rows in pair.rows())
    q = np.where(q < kernels.TINY, 0.0, q)  # so that no quotient by draft mass overflows
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.where(p > 0.0, q / p, np.inf)
    order = np.argsort(ratio, axis=1, kind="stable")
    target_keep, target_alias = _alias(p)
    draft_keep, draft_alias = _alias(q)
    return kernels.Tables(
        p,
        q,
        target_keep,
        target_alias,
        draft_keep,
        draft_alias,
        order.astype(np.int32),
        np.take_along_axis(ratio, order, axis=1),
        _running_sum(np.take_along_axis(p, order, axis=1)),
        _running_sum(np.take_along_axis(q, order, axis=1)),
        (q > 0.0).sum(axis=1),
        np.argsort(-q, axis=1, kind="stable").astype(np.int32),
    )


def k_seq_constants(tables: kernels.Tables, drafts: int) -> Floats:
    """The smallest lossless rho for K = drafts of every context, shape (R,), in [1, K].

    Bisection keeps the upper end, where the rule is lossless whatever the rounding.
    """
    rows = range(tables.target.shape[0])

    def lossless(rho: Floats) -> NDArray[np.bool_]:
        kept = 1.0 - np.array([kernels.excess(tables, row, rho[row]) for row in rows])
        whole: NDArray[np.bool_] = kept >= 1.0 - (1.0 - kept / rho) ** drafts
        return whole

    return bisect(lossless, np.ones(len(rows)), float(drafts))[1]


def tree_arrays(parents: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(first, children): node v has the children children[first[v]:first[v + 1]], in order."""
    counts = np.bincount(parents[1:], minlength=parents.size)
    first = np.concatenate([[0], np.cumsum(counts)])
    children = 1 + np.argsort(parents[1:], kind="stable")
    return first.astype(np.int64), children.astype(np.int64)


def tree_depth(parents: NDArray[np.int64]) -> int:
    """Drafted tokens on the longest path from the root."""
    depth = np.zeros(parents.size, np.int64)
    for node in range(1, parents.size):
        depth[node] = depth[parents[node]] + 1
    return int(depth.max())


def _alias(rows: Floats) -> tuple[Floats, NDArray[np.int32]]:
    keep, alias = np.empty_like(rows), np.empty(rows.shape, np.int32)
    kernels.alias_tables(rows, keep, alias)
    return keep, alias


def _running_sum(sorted_rows: Floats) -> Floats:
    start = np.zeros((sorted_rows.shape[0], 1))
    return np.concatenate([start, np.cumsum(sorted_rows, axis=1)], axis=1)
