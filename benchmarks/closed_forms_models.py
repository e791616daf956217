"""Gated drafts, rules, experts, chains and trees by mechanics that do not use the formulas.

The second half of the rows of `closed_forms`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from howspec.sim.rounds.laws import draw_accepted
from howspec.theory.acceptance.gated import (
    gated_drafted,
    gated_last_tokens,
    gated_ratio,
    gated_speedup,
)
from howspec.theory.costs.uneven import correlated_experts
from howspec.theory.limits.rejections import (
    entropy_set,
    relaxed_loss,
    relaxed_verification,
    top_set,
    total_variation,
    typical_set,
)
from howspec.theory.schedules.cascade import chain_time, vertical_tokens
from howspec.theory.schedules.together import (
    cached_batch_speedup,
    overlapped_speedup,
    stopped_overlap_speedup,
)
from howspec.theory.trees import (
    block_passes,
    chosen_token_law,
    hub_acceptance,
    multipath_tokens,
    ranked_tokens,
    traversal_gain,
)

GAMMA, ALPHA = 5, 0.8
Row = tuple[str, float, float, float]


def mean(name: str, formula: float, values: np.ndarray) -> Row:
    return name, formula, float(values.mean()), float(values.std(ddof=1) / np.sqrt(values.size))


def ratio(name: str, formula: float, above: np.ndarray, below: np.ndarray) -> Row:
    ratio = float(above.sum() / below.sum())
    spread = (above - ratio * below).std(ddof=1) / below.mean() / np.sqrt(above.size)
    return name, formula, ratio, float(spread)


def gates(rng: np.random.Generator, rounds: int) -> Iterator[Row]:
    """Gated drafts and overlapped rounds, token by token: confidence, acceptance, passes."""
    g, a, low, c, slow = 0.8, 0.9, 0.3, 0.08, 0.3
    blocks = max(rounds // 10**6, 40)
    size = rounds // blocks
    kept: dict[str, list[float]] = {}
    for _ in range(blocks):
        sure = rng.random((size, GAMMA)) < g
        right = rng.random((size, GAMMA)) < np.where(sure, a, low)
        ends = np.concatenate([~sure, np.ones((size, 1), bool)], axis=1).argmax(axis=1)
        wrong = np.concatenate([~right, np.ones((size, 1), bool)], axis=1).argmax(axis=1)
        handed, passes = ends, np.minimum(ends + 1, GAMMA)
        run = rng.random((size, GAMMA)) < ALPHA
        whole = run.all(axis=1)
        made = np.where(whole, GAMMA, (~run).argmax(axis=1) + 1.0)
        drafting = GAMMA * slow
        for key, values in {
            "dropped": 1.0 + np.minimum(wrong, handed), "last": 1.0 + np.minimum(wrong, passes),
            "handed": handed, "time": 1.0 + c * passes, "made": made,
            "finished": max(1.0, drafting) + np.where(whole, 0.0, drafting),
            "stopped": np.where(whole, max(1.0, drafting), 1.0 + drafting),
        }.items():  # fmt: skip
            kept.setdefault(key, []).append(float(np.mean(values)))
    seen = {k: np.array(v) for k, v in kept.items()}
    yield mean("gated, last one verified", float(gated_last_tokens(g, a, low, GAMMA)), seen["last"])
    yield mean("gated, drafted", float(gated_drafted(g, GAMMA)), seen["handed"])
    yield ratio(
        "gated, accepted/drafted", float(gated_ratio(g, a, GAMMA)),
        seen["dropped"] - 1.0, seen["handed"],
    )  # fmt: skip
    yield ratio(
        "gated speed-up", float(gated_speedup(g, a, GAMMA, c)), seen["dropped"], seen["time"]
    )
    for name, law, key in (
        ("overlap, draft finished", overlapped_speedup, "finished"),
        ("overlap, draft stopped", stopped_overlap_speedup, "stopped"),
    ):
        yield ratio(name, float(law(ALPHA, GAMMA, slow)), seen["made"], seen[key])


def rules(rng: np.random.Generator, rounds: int) -> Iterator[Row]:
    """Relaxed acceptance: drafts from q, those outside the rule's set replaced from p."""
    p, q = np.array([0.45, 0.25, 0.2, 0.1]), np.array([0.3, 0.35, 0.1, 0.25])
    rules = {
        "typical": typical_set(p, epsilon=0.3, delta=0.5),
        "top 2": top_set(p, 2),
        "entropy": entropy_set(p, threshold=2.0),
    }
    blocks = max(rounds // 10**6, 40)
    size = rounds // blocks
    for name, stands in rules.items():
        found = relaxed_verification(p, q, stands)
        cut = np.where(stands, q, 0.0) / q[stands].sum()
        short = found.output < p  # a set of tokens whose loss of mass is the total variation
        kept, lost = [], []
        for _ in range(blocks):
            draft, other = (np.searchsorted(c, rng.random(size)) for c in (_cdf(q), _cdf(p)))
            stood = stands[draft]
            kept.append(stood.mean())
            lost.append(p[short].sum() - short[np.where(stood, draft, other)].mean())
        loss = float(relaxed_loss(float(q[stands].sum()), total_variation(cut, p)))
        yield mean(f"rule {name}, acceptance", float(found.acceptance), np.array(kept))
        yield mean(f"rule {name}, loss", loss, np.array(lost))


def _cdf(p: np.ndarray) -> np.ndarray:
    return np.append(np.cumsum(p)[:-1], 1.0)


def models(rng: np.random.Generator, rounds: int) -> Iterator[Row]:
    """Experts of a pass, a chain of three models, batches of drafts in advance, hubs."""
    blocks = max(rounds // 10**6, 40)
    size = rounds // blocks
    f, r, m, b = 8 / 32, 0.45, 4, 2
    c, h, lanes = (1.0, 0.2, 0.03), 0.8, 4
    p, q = np.array([0.45, 0.25, 0.2, 0.1]), np.array([0.5, 0.2, 0.05, 0.25])
    seen: dict[str, list[float]] = {}
    for _ in range(blocks):
        touched = np.zeros(size, bool)
        for _ in range(b):
            picked = rng.random(size) < f
            touched |= picked
            for _ in range(m - 1):
                picked = np.where(rng.random(size) < r, picked, rng.random(size) < f)
                touched |= picked
        length = np.zeros(size, np.int64)
        for _ in range(2):
            length += 1 + draw_accepted(rng, 0.7 ** np.arange(4.0), rounds=size)
        run = draw_accepted(rng, 0.8 ** np.arange(9.0), rounds=size)
        hits = rng.random((size, lanes)) < h
        for key, values in {
            "experts": 32.0 * touched, "chain": 1.0 + np.minimum(run, length),
            "cached": np.where(hits, 4.0, 2.5).mean(axis=1),
            "cached time": np.where(hits.all(axis=1), 1.0, 1.2),
            "hub": _hub_round(rng, p, q, size),
        }.items():  # fmt: skip
            seen.setdefault(key, []).append(float(values.mean()))
    got = {k: np.array(v) for k, v in seen.items()}
    experts = correlated_experts(m, b, experts=32, active_experts=8, routing_correlation=r)
    yield mean("experts, correlated", float(experts), got["experts"])
    tokens = vertical_tokens(0.8, inner_alpha=0.7, inner_gamma=3, inner_rounds=2)
    time = chain_time(c, [tokens, tokens / 2, tokens / 6])
    spent = np.full(blocks, c[0] + 2 * c[1] + 6 * c[2])
    yield ratio("chain of 3, time of a token", time, spent, got["chain"])
    speed = cached_batch_speedup(
        h, hit_tokens=4.0, miss_tokens=2.5, advance_time=0.7, backup_time=0.2, batch=lanes
    )
    yield ratio("drafts in advance, batch", float(speed), got["cached"], got["cached time"])
    yield mean("hub pairs", float(hub_acceptance(p, q)), got["hub"])


def trees(rng: np.random.Generator, rounds: int) -> Iterator[Row]:
    """A tree verified from its leaves (two children of the root, one child each), and the best of
    three paths verified as a block."""
    blocks = max(rounds // 10**6, 40)
    size = rounds // blocks
    p = np.array([[0.6, 0.4], [0.3, 0.7], [0.8, 0.2]])  # first token, then by last token
    q = np.array([[0.4, 0.6], [0.6, 0.4], [0.5, 0.5]])
    starts = {"target_start": p[0], "draft_start": q[0]}
    trees, paths = [], []
    for _ in range(blocks):
        trees.append(1.0 + _traversed(rng, p, q, size).mean())
        paths.append(1.0 + _best_path(rng, p, q, size).mean())
    tree = traversal_gain(p[1:], q[1:], [2, 1], **starts).block
    yield mean("traversed tree", tree, np.array(trees))
    path = multipath_tokens(p[1:], q[1:], 2, drafts=3, **starts)
    yield mean("best of 3 paths, as a block", path, np.array(paths))


def _traversed(rng: np.random.Generator, p: np.ndarray, q: np.ndarray, size: int) -> np.ndarray:
    accepted, open_ = np.zeros(size), np.ones(size, bool)
    root = p[0]
    for _ in range(2):
        x = (rng.random(size) < q[0, 1]).astype(np.int64)
        y = (rng.random(size) < q[1 + x, 1]).astype(np.int64)
        weight = np.minimum(1.0, root / q[0])
        leaf = np.minimum(1.0, weight[:, None] * p[1:] / q[1:])
        left = np.maximum(weight[:, None] * p[1:] - q[1:], 0.0).sum(axis=1)
        own = left / (left + 1.0 - weight + (weight == 1.0) * (left == 0.0))
        at_leaf = open_ & (rng.random(size) < leaf[x, y])
        at_node = open_ & ~at_leaf & (rng.random(size) < np.where(weight == 1.0, 1.0, own)[x])
        accepted += 2.0 * at_leaf + at_node
        open_ &= ~(at_leaf | at_node)
        root = np.maximum(root - q[0], 0.0) / np.maximum(root - q[0], 0.0).sum()
    return accepted


def _best_path(rng: np.random.Generator, p: np.ndarray, q: np.ndarray, size: int) -> np.ndarray:
    ranks = np.array([np.argsort(ranked_tokens(a, b)) for a, b in zip(p, q, strict=True)])
    best = np.full(size, -1)
    for _ in range(3):
        x = (rng.random(size) < q[0, 1]).astype(np.int64)
        y = (rng.random(size) < q[1 + x, 1]).astype(np.int64)
        best = np.maximum(best, 2 * ranks[0, x] + ranks[1 + x, y])
    passes = np.zeros((4, 3))
    for x in range(2):
        first, under = chosen_token_law(p[0], q[0], below=0.0, mass=1.0, drafts=3)
        law = chosen_token_law(
            p[1 + x], q[1 + x], below=float(under[x]), mass=float(q[0, x]), drafts=3
        )[0]
        for y in range(2):
            target = [p[0], p[1 + x], p[1 + y]]
            passes[2 * ranks[0, x] + ranks[1 + x, y]] = block_passes(target, [first, law], [x, y])
    second = rng.random(size) < passes[best, 2]
    return np.where(second, 2.0, rng.random(size) < passes[best, 1])


def _hub_round(rng: np.random.Generator, p: np.ndarray, q: np.ndarray, size: int) -> np.ndarray:
    """Whether a token of the pair is accepted: the pair's other token first, then the hub."""
    hub = int(q.argmax())
    pair = np.where(np.arange(q.size) == hub, 0.0, q / (1.0 - q[hub]))
    x = np.searchsorted(_cdf(pair), rng.random(size))
    first = rng.random(size) < np.minimum(1.0, p / np.where(pair > 0.0, pair, 1.0))[x]
    missed = np.maximum(pair - np.where(pair > 0.0, p, 0.0), 0.0).sum()
    return first | (rng.random(size) < min(1.0, p[hub] / missed))
