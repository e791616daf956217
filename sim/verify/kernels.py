"""Inner loops of the verification rules: scalars, arrays and one generator, compiled by Numba.

All compiled functions stay in this one file: Numba's cache notices a change of the file of the
function that it compiled, not of the files of functions called from it.

Every rule here needs, after a rejection, the law norm((p - c q)_+) for some c > 0 (see `verify`).
With the tokens sorted by q/p, the tokens with p > c q are the first k; their excess mass is
P_k - c Q_k with the running sums P, Q of p and q, and it is increasing up to k. Mass and draw are
two binary searches, whatever the vocabulary.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..rounds.compiled import compile_kernel

RECURSIVE, RECURSIVE_DISTINCT, K_SEQ, NAIVE, TOP = range(5)
SCARCE = 0.1  # share of q below which distinct drafts are drawn by a scan, not by redrawing
TINY = 1e-290  # draft probabilities and block weights below this count as zero


class Tables(NamedTuple):
    """A pair prepared for drawing; every array has one row per context, R = 1 or V rows.

    target, draft: probabilities, shape (R, V). target_keep, target_alias, draft_keep, draft_alias:
    alias tables, shape (R, V). order: tokens by increasing q/p, shape (R, V); ratio: q/p in that
    order; target_sum, draft_sum: running sums in that order, shape (R, V + 1), from 0.
    support: tokens with q > 0, shape (R,). draft_order: tokens by decreasing q, shape (R, V).
    """

    target: Any
    draft: Any
    target_keep: Any
    target_alias: Any
    draft_keep: Any
    draft_alias: Any
    order: Any
    ratio: Any
    target_sum: Any
    draft_sum: Any
    support: Any
    draft_order: Any


@compile_kernel
def alias_tables(rows: Any, keep: Any, alias: Any) -> None:
    """Fill alias tables by the method of Vose (1991); a token of probability 0 is never drawn."""
    size = rows.shape[1]
    small = np.empty(size, np.int64)
    large = np.empty(size, np.int64)
    for r in range(rows.shape[0]):
        lows = 0
        highs = 0
        for i in range(size):
            keep[r, i] = rows[r, i] * size
            alias[r, i] = i
            if keep[r, i] < 1.0:
                small[lows] = i
                lows += 1
            else:
                large[highs] = i
                highs += 1
        while lows > 0 and highs > 0:
            low = small[lows - 1]
            high = large[highs - 1]
            alias[r, low] = high
            keep[r, high] -= 1.0 - keep[r, low]
            lows -= 1
            if keep[r, high] < 1.0:
                highs -= 1
                small[lows] = high
                lows += 1
        for i in range(highs):
            keep[r, large[i]] = 1.0
        for i in range(lows):  # left over by rounding, hence 1 but for rounding
            keep[r, small[i]] = 1.0


@compile_kernel
def draw(uniform: float, keep: Any, alias: Any, row: int) -> int:
    """Token of an alias table for one uniform number."""
    scaled = uniform * keep.shape[1]
    i = min(int(scaled), keep.shape[1] - 1)
    if scaled - i < keep[row, i]:
        return int(i)
    return int(alias[row, i])


@compile_kernel
def count_excess(t: Any, row: int, c: float) -> int:
    """Number of tokens with q/p < 1/c, those with p > c q."""
    low = 0
    high = t.ratio.shape[1]
    while low < high:
        middle = (low + high) // 2
        if t.ratio[row, middle] * c < 1.0:
            low = middle + 1
        else:
            high = middle
    return low


@compile_kernel
def excess(t: Any, row: int, c: float) -> float:
    """Sum of (p - c q)_+ over the tokens, for c > 0."""
    k = count_excess(t, row, c)
    return float(max(t.target_sum[row, k] - c * t.draft_sum[row, k], 0.0))


@compile_kernel
def draw_excess(rng: Any, t: Any, row: int, c: float, bias: float, decoy: int) -> int:
    """Token of norm((p - c q)_+); with probability bias the decoy instead, a planted defect.

    Where no excess is left (p = q but for rounding, so that hardly anything is ever rejected) the
    token is drawn from p.
    """
    if bias > 0.0 and rng.random() < bias:
        return decoy
    k = count_excess(t, row, c)
    mass = t.target_sum[row, k] - c * t.draft_sum[row, k]
    if mass <= 0.0:
        return draw(rng.random(), t.target_keep, t.target_alias, row)
    wanted = rng.random() * mass
    low = 1
    high = k
    while low < high:
        middle = (low + high) // 2
        if t.target_sum[row, middle] - c * t.draft_sum[row, middle] > wanted:
            high = middle
        else:
            low = middle + 1
    return int(t.order[row, low - 1])


@compile_kernel
def token_rounds(
    rng: Any,
    t: Any,
    gamma: int,
    start: int,
    bias: float,
    decoy: int,
    tokens: Any,
    accepted: Any,
) -> int:
    """Token verification; a draft token is drawn when it is looked at, the later ones are void."""
    several = t.target.shape[0] > 1
    context = start
    written = 0
    for r in range(accepted.shape[0]):
        k = 0
        rejected = False
        while k < gamma and not rejected:
            row = context if several else 0
            x = draw(rng.random(), t.draft_keep, t.draft_alias, row)
            if rng.random() * t.draft[row, x] < t.target[row, x]:
                tokens[written] = x
                written += 1
                context = x
                k += 1
            else:
                rejected = True
        row = context if several else 0
        if rejected:
            context = draw_excess(rng, t, row, 1.0, bias, decoy)
        else:
            context = draw(rng.random(), t.target_keep, t.target_alias, row)
        tokens[written] = context
        written += 1
        accepted[r] = k
    return written


@compile_kernel
def block_rounds(
    rng: Any,
    t: Any,
    gamma: int,
    start: int,
    bias: float,
    decoy: int,
    tokens: Any,
    accepted: Any,
) -> int:
    """Block verification: the last position whose own test passes decides."""
    several = t.target.shape[0] > 1
    block = np.empty(gamma, np.int64)
    context = start
    written = 0
    for r in range(accepted.shape[0]):
        weight = 1.0  # h_i = min(1, h_{i-1} p/q)
        kept = 0
        kept_weight = 1.0
        last = context
        for i in range(gamma):
            row = last if several else 0
            x = draw(rng.random(), t.draft_keep, t.draft_alias, row)
            weight = min(1.0, weight * t.target[row, x] / t.draft[row, x])
            if weight < TINY:
                break
            block[i] = x
            last = x
            if i + 1 == gamma:
                passes = rng.random() < weight
            else:
                s = weight * excess(t, last if several else 0, 1.0 / weight)
                # s = 0 at weight 1 means p = q next: 0/0 here, and the next test always passes.
                passes = rng.random() * (s + 1.0 - weight) < s
            if passes:
                kept = i + 1
                kept_weight = weight
        for i in range(kept):
            tokens[written] = block[i]
            written += 1
        if kept > 0:
            context = block[kept - 1]
        row = context if several else 0
        if kept == gamma:
            context = draw(rng.random(), t.target_keep, t.target_alias, row)
        else:
            context = draw_excess(rng, t, row, 1.0 / kept_weight, bias, decoy)
        tokens[written] = context
        written += 1
        accepted[r] = kept
    return written


@compile_kernel
def contains(tokens: Any, count: int, token: int) -> bool:
    """Whether the token is one of the first count."""
    for i in range(count):  # noqa: SIM110 (Numba compiles no generator expressions)
        if tokens[i] == token:
            return True
    return False


@compile_kernel
def mass_left(t: Any, row: int, seen: Any, count: int) -> float:
    """Sum of q over the tokens other than the first count of seen, without cancellation."""
    left = 0.0
    for x in range(t.draft.shape[1]):
        if not contains(seen, count, x):
            left += t.draft[row, x]
    return left


@compile_kernel
def draw_new(rng: Any, t: Any, row: int, left: float, seen: Any, count: int) -> int:
    """Draft token other than the first count of seen, by q; left: q of all the others."""
    if left > SCARCE:
        x = draw(rng.random(), t.draft_keep, t.draft_alias, row)
        while contains(seen, count, x):
            x = draw(rng.random(), t.draft_keep, t.draft_alias, row)
        return x
    wanted = rng.random() * left
    chosen = -1
    for x in range(t.draft.shape[1]):
        if t.draft[row, x] > 0.0 and not contains(seen, count, x):
            chosen = x
            wanted -= t.draft[row, x]
            if wanted < 0.0:
                break
    return chosen


@compile_kernel
def verify_siblings(
    rng: Any,
    t: Any,
    row: int,
    count: int,
    rule: int,
    rho: float,
    bias: float,
    decoy: int,
    seen: Any,
) -> tuple[int, int]:
    """Draft and verify `count` siblings; (index of the accepted one or -1, token emitted)."""
    wish = 0
    if rule in (NAIVE, TOP):
        wish = draw(rng.random(), t.target_keep, t.target_alias, row)
    c = rho if rule == K_SEQ else 0.0
    z = 1.0  # sum (p - c q)_+
    left = 1.0  # q of the tokens that may still be drafted
    for j in range(count):
        if rule in (RECURSIVE_DISTINCT, TOP):
            if j >= t.support[row]:
                break
            x = int(t.draft_order[row, j]) if rule == TOP else draw_new(rng, t, row, left, seen, j)
        else:
            x = draw(rng.random(), t.draft_keep, t.draft_alias, row)
        seen[j] = x
        p = t.target[row, x]
        q = t.draft[row, x]
        if rule in (NAIVE, TOP):
            if x == wish:
                return j, x
        elif rule == K_SEQ:
            if rng.random() * rho * q < p:
                return j, x
        else:
            # The j-th target is (p - c q)_+ / z, the j-th draft q / left.
            if rng.random() * q * z < (p - c * q) * left:
                return j, x
            c += z / left
            z = excess(t, row, c)
            if rule == RECURSIVE_DISTINCT:
                left -= q
                if left <= SCARCE:  # 1 - q of the seen cancels when little is left
                    left = mass_left(t, row, seen, j + 1)
    if rule in (NAIVE, TOP):
        return -1, wish
    return -1, draw_excess(rng, t, row, c, bias, decoy)


@compile_kernel
def tree_rounds(
    rng: Any,
    t: Any,
    first: Any,
    children: Any,
    rule: int,
    rho: Any,
    start: int,
    bias: float,
    decoy: int,
    tokens: Any,
    accepted: Any,
    complete: Any,
) -> int:
    """Walk down a static tree; node v has the children children[first[v]:first[v + 1]].

    Siblings are drafted when their parent has been accepted: the other subtrees are void and
    independent of these. rho, shape (R, nodes): the K-SEQ constant for the children of a node.
    complete: whether the round ended at a leaf, with a bonus token.
    """
    several = t.target.shape[0] > 1
    seen = np.empty(children.shape[0] + 1, np.int64)
    context = start
    written = 0
    for r in range(accepted.shape[0]):
        node = 0
        depth = 0
        ended = False
        while not ended:
            row = context if several else 0
            count = first[node + 1] - first[node]
            if count == 0:
                context = draw(rng.random(), t.target_keep, t.target_alias, row)
                complete[r] = True
                ended = True
            else:
                j, context = verify_siblings(
                    rng, t, row, count, rule, rho[row, node], bias, decoy, seen
                )
                if j < 0:
                    complete[r] = False
                    ended = True
                else:
                    node = children[first[node] + j]
                    depth += 1
            tokens[written] = context
            written += 1
        accepted[r] = depth
    return written
