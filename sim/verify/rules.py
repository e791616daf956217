r"""The verification rules of speculative decoding, run on explicit distributions.

    f(rng, pair, *, gamma or parents, rounds, ...) -> Rounds

A round drafts tokens, verifies them in order, emits those accepted and one token more: from the
target's distribution when every draft was accepted (the bonus token), else from a residual. Every
rule here is lossless: given all that was emitted before, the next token has the target's law.

token, of chain_rounds (arXiv:2211.17192, arXiv:2302.01318). Keep x ~ q with probability min(1,
    p(x)/q(x)); after a rejection draw from norm((p - q)_+). Acceptance 1 - TV(p, q), the most that
    one draft token allows. Assumes that q is the distribution the draft token was really drawn
    from. Engines deviate: a drafter that takes its argmax has a one-hot q, accepted with
    probability p(argmax q); verifying such a token against the softmax of the draft is not
    lossless. Many engines draft greedily and keep a token when it equals the target's own sample:
    that is this rule with the one-hot q.

block, of chain_rounds (arXiv:2403.10444). With h_i = min(1, h_{i-1} p/q) along the block, position
    i passes with probability s/(s + 1 - h_i), s = sum (h_i p - q)_+ over the next token; the last
    with h. The last position that passes ends the accepted part; then norm((h p - q)_+). So that
    P(at least i accepted | block) = h_i, at least the product of min(1, p/q), whatever the models:
    never fewer tokens than token verification, the same at gamma = 1. Assumes that the target and
    the draft are known at every position of the block, also after a position that token
    verification would reject. A greedy draft (one-hot q) gains nothing: h is the same product.

tree_rounds: several draft tokens at a position, children of a node of a tree.
    recursive: the children are independent draws of q. With p_1 = p, keep x_j with probability
        min(1, p_j/q), else p_{j+1} = norm((p_j - q)_+).
    recursive_distinct (arXiv:2402.14160, arXiv:2401.06706): the children are drawn from q without
        replacement, q_j = norm(q without x_1..x_{j-1}), and p_{j+1} = norm((p_j - q_j)_+). When q
        has fewer tokens than there are children, the rest are not drafted.
    k_seq (arXiv:2310.15141): keep each draw with probability min(1, p/(rho q)), one rho for all,
        the smallest that leaves a residual (`pairs`).
    naive: the children are independent draws of q; draw y ~ p and keep the child that equals it,
        if one does. Lossless however the children were made.
    top: as naive, with the K most probable tokens of q for children: the greedy tree. Kept with
        probability p(top K of q), and what most engines with draft trees do.

All residuals above are of one kind, norm((p - c q)_+), which the code uses; derived here:
    token c = 1; block c = 1/h; k_seq c = rho; recursive c_1 = 0, c_{j+1} = c_j + Z(c_j), with
    Z(c) = sum (p - c q)_+; recursive_distinct c_{j+1} = c_j + Z(c_j)/m_j, with m_j the q of the
    tokens not yet drawn (a rejected x_j has p_j < q_j, hence no excess for larger c).
The K drafts are all rejected with probability Z(c_{K+1}) (recursive), Z(rho) (k_seq), the mean of
Z(c_{K+1}) over the rejected draws (recursive_distinct). Three orderings of the probability that
some draft is kept follow, for any p, q and K:
    naive <= recursive: by induction over the drafts, because (p - q)_+ <= p (1 - q) and naive
        rejects all with probability sum p (1 - q)^K.
    recursive <= k_seq: Z is convex, so that the ratios Z(c_{j+1})/Z(c_j) do not fall with j, Z(c_j)
        is log-convex in j, and c_{K+1} = sum Z(c_j) <= sum Z(c_{K+1})^{i/K}, i < K. But rho solves
        rho = sum Z(rho)^{i/K}, whose right side falls with rho; hence c_{K+1} <= rho.
    recursive <= recursive_distinct: m_j <= 1 makes every c at least as large, as c + Z(c) rises.
Neither of k_seq and recursive_distinct dominates the other, and top has no place in the order: it
is the best or the worst according to where p has its mass.

Each round's positions are independent given the previous token (Markov pair) or outright. Real
models depend on the whole context; then the formulas hold position by position, and the rounds are
as independent as the text makes them.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...theory.domain import check
from ..rounds.compiled import check_count
from . import kernels
from .law import Rounds
from .pairs import Pair, k_seq_constants, prepare

Rule = Literal["recursive", "recursive_distinct", "k_seq", "naive", "top"]
RULES: tuple[Rule, ...] = get_args(Rule)
Chain = Literal["token", "block"]
CHAINS: tuple[Chain, ...] = get_args(Chain)


def chain_rounds(
    rng: np.random.Generator,
    pair: Pair,
    *,
    gamma: int,
    rounds: int,
    rule: Chain = "token",
    start: int = 0,
    residual_bias: float = 0.0,
) -> Rounds:
    """Rounds of token or block verification of one draft.

    gamma: tokens drafted per round, >= 0 [token]; rounds: >= 1; rule: one of CHAINS; start: the
    token before the first. residual_bias: in [0, 1], share of residual draws replaced by the last
    token of the vocabulary; a planted defect, to see that a test of losslessness notices it.
    Raises ValueError outside these ranges.
    """
    gamma = int(check("gamma", gamma, whole=True))
    rounds, start, bias = _common(pair, rounds, start, residual_bias)
    tokens, accepted = _buffers(gamma, rounds)
    kernel: Any = {"token": kernels.token_rounds, "block": kernels.block_rounds}[rule]
    last = pair.vocabulary - 1
    written = kernel(rng, prepare(pair), gamma, start, bias, last, tokens, accepted)
    complete = accepted == gamma
    return Rounds(tokens[:written].copy(), accepted, complete, start, gamma, not pair.markov)


def tree_rounds(
    rng: np.random.Generator,
    pair: Pair,
    *,
    parents: ArrayLike,
    rounds: int,
    rule: Rule = "recursive",
    start: int = 0,
    residual_bias: float = 0.0,
) -> Rounds:
    """Rounds of a static draft tree whose children are drafted from the token of their parent.

    parents: parent of each node, shape (nodes,); node 0 is the root, the last emitted token, with
    parent -1, and every other node comes after its parent. Siblings are tried in order of index.
    rule: how the children of a node are drafted and verified, one of RULES.
    Other arguments as in `chain_rounds`. Raises ValueError outside these ranges.
    """
    nodes = checked_tree(parents)
    if rule not in RULES:
        raise ValueError(f"rule must be one of {', '.join(RULES)}, got {rule!r}")
    rounds, start, bias = _common(pair, rounds, start, residual_bias)
    first, children = _children(nodes)
    tables = prepare(pair)
    rho = np.ones((tables.target.shape[0], nodes.size))
    if rule == "k_seq":
        widths = np.diff(first)
        for width in set(widths[widths > 1].tolist()):
            rho[:, widths == width] = k_seq_constants(tables, width)[:, None]
    depth = _depth(nodes)
    tokens, accepted = _buffers(depth, rounds)
    complete = np.zeros(rounds, np.bool_)
    last = pair.vocabulary - 1
    number = RULES.index(rule)  # the order of the constants of kernels
    written = kernels.tree_rounds(
        rng, tables, first, children, number, rho, start, bias, last, tokens, accepted, complete
    )
    return Rounds(tokens[:written].copy(), accepted, complete, start, depth, not pair.markov)


def complete_tree(width: int, depth: int) -> NDArray[np.int64]:
    """Parents of the tree in which every node above the given depth has the same width.

    Width 1 is a chain, depth 1 several drafts of one position.
    """
    width, depth = check_count("width", width, low=1), check_count("depth", depth, low=0)
    parents, level = [-1], [0]
    for _ in range(depth):
        parents += [node for node in level for _ in range(width)]
        level = list(range(len(parents) - len(level) * width, len(parents)))
    return np.array(parents, np.int64)


def checked_tree(parents: ArrayLike) -> NDArray[np.int64]:
    """Return the parents of a static tree as integers, or raise ValueError."""
    nodes = np.asarray(parents)
    if nodes.ndim != 1 or nodes.size == 0 or nodes.dtype.kind != "i":
        raise ValueError("parents must be a one-dimensional array of integers, root first")
    if nodes[0] != -1:
        raise ValueError(f"parents must begin with -1, the root, got {nodes[0]}")
    bad = (nodes[1:] < 0) | (nodes[1:] >= np.arange(1, nodes.size))
    if bad.any():
        node = 1 + int(bad.argmax())
        raise ValueError(f"parent of node {node} must be in [0, {node - 1}], got {nodes[node]}")
    return nodes.astype(np.int64)


def _children(parents: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(first, children): node v has the children children[first[v]:first[v + 1]], in order."""
    counts = np.bincount(parents[1:], minlength=parents.size)
    first = np.concatenate([[0], np.cumsum(counts)])
    children = 1 + np.argsort(parents[1:], kind="stable")
    return first.astype(np.int64), children.astype(np.int64)


def _depth(parents: NDArray[np.int64]) -> int:
    """Drafted tokens on the longest path from the root."""
    depth = np.zeros(parents.size, np.int64)
    for node in range(1, parents.size):
        depth[node] = depth[parents[node]] + 1
    return int(depth.max())


def _common(pair: Pair, rounds: int, start: int, bias: float) -> tuple[int, int, float]:
    start = check_count("start", start, low=0)
    if start >= pair.vocabulary:
        raise ValueError(f"start must be an integer in [0, {pair.vocabulary - 1}], got {start}")
    if not 0.0 <= bias <= 1.0:
        raise ValueError(f"residual_bias must be in [0, 1], got {bias}")
    return check_count("rounds", rounds, low=1), start, float(bias)


def _buffers(depth: int, rounds: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    return np.empty(rounds * (depth + 1), np.int32), np.empty(rounds, np.int32)
