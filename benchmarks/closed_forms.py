"""Every closed form with a stochastic meaning against simulation, by default at 10^8 rounds.

    python closed_forms.py [--rounds 100000000] [--seed 1]

Each row simulates by mechanics that do not use the formula: draft tokens one by one for the
acceptance laws, requests cut at their length for the finite ones, sequences side by side for
batches. z is (simulated - formula) / standard error; a sound formula keeps |z| below 4. The last
rows plant a bias of a thousandth in the acceptance, which must show. Latency under load is an
approximation: its rows show how good it is and do not count.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from howspec.sim.rounds.compiled import compile_kernel
from howspec.sim.rounds.laws import draw_accepted, simulate_tokens
from howspec.theory import (
    DepthAcceptance,
    tokens_by_gamma,
    tokens_generating_function,
    tokens_per_round,
    tokens_survival,
    tokens_variance,
)
from howspec.theory.acceptance import (
    BetaRequestAcceptance,
    BetaRoundAcceptance,
    CoveredAcceptance,
    GatedAcceptance,
    MarkovAcceptance,
    PositionalAcceptance,
    gated_drafted,
    gated_last_tokens,
    gated_ratio,
    gated_speedup,
)
from howspec.theory.costs.uneven import correlated_experts
from howspec.theory.limits import (
    entropy_set,
    relaxed_loss,
    relaxed_verification,
    top_set,
    total_variation,
    typical_set,
)
from howspec.theory.requests import (
    gap_zero_probability,
    lockstep_tokens,
    longest_round,
    overshoot,
    request_latency,
    rounds_mean,
    rounds_variance,
)
from howspec.theory.schedules import (
    cached_batch_speedup,
    chain_time,
    horizontal_tokens,
    overlapped_speedup,
    stopped_overlap_speedup,
    vertical_tokens,
)
from howspec.theory.trees import (
    block_passes,
    chosen_token_law,
    hub_acceptance,
    multipath_tokens,
    parallel_chains_tokens,
    ranked_tokens,
    traversal_gain,
)

GAMMA, ALPHA = 5, 0.8
LAWS = {
    "independent": DepthAcceptance(ALPHA),
    "depth decay 0.95": DepthAcceptance(ALPHA, 0.95),
    "positional": PositionalAcceptance([0.8, 0.7, 0.75, 0.6, 0.9]),
    "Beta per round": BetaRoundAcceptance(6.0, 2.5),
    "Beta per request": BetaRequestAcceptance(6.0, 2.5),
    "Markov": MarkovAcceptance(0.85, 0.4),
    "gated, dropped": GatedAcceptance(0.8, 0.9),
    "covered": CoveredAcceptance(MarkovAcceptance(0.85, 0.4), 0.6),
}
Row = tuple[str, float, float, float]


def _laws(rng: np.random.Generator, rounds: int) -> Iterator[Row]:
    for name, law in LAWS.items():
        # Few, long stretches: rounds of a chain, and of one request, are alike.
        estimate = simulate_tokens(rng, law, gamma=GAMMA, rounds=rounds, batches=1000)
        formula = float(tokens_by_gamma(law, GAMMA)[GAMMA])
        yield f"E[N], {name}", formula, estimate.mean, estimate.se


def _mean(name: str, formula: float, values: np.ndarray) -> Row:
    return name, formula, float(values.mean()), float(values.std(ddof=1) / np.sqrt(values.size))


def _rounds(rng: np.random.Generator, rounds: int) -> Iterator[Row]:
    blocks = max(rounds // 10**6, 40)
    size = rounds // blocks
    survival = ALPHA ** np.arange(GAMMA + 1.0)
    sums: dict[str, list[float]] = {"var": [], "pgf": [], "tail": [], "gap": []}
    for _ in range(blocks):
        tokens = 1.0 + draw_accepted(rng, survival, rounds=size)
        sums["var"].append(float(tokens.var(ddof=1)))
        sums["pgf"].append(float((0.5**tokens).mean()))
        sums["tail"].append(float((tokens > 3).mean()))
        sums["gap"].append(1.0 - size / float(tokens.sum()))
    mean = tokens_per_round(ALPHA, GAMMA)
    exact = {
        "var": ("Var[N]", tokens_variance(ALPHA, GAMMA)),
        "pgf": ("E[z^N], z = 1/2", tokens_generating_function(ALPHA, GAMMA, 0.5)),
        "tail": ("P(N > 3)", tokens_survival(ALPHA, 3)),
        "gap": ("share of gaps that are 0", gap_zero_probability(mean)),
    }
    for key, (name, formula) in exact.items():
        yield _mean(name, float(formula), np.array(sums[key]))


def _ratio(name: str, formula: float, above: np.ndarray, below: np.ndarray) -> Row:
    ratio = float(above.sum() / below.sum())
    spread = (above - ratio * below).std(ddof=1) / below.mean() / np.sqrt(above.size)
    return name, formula, ratio, float(spread)


def _gates(rng: np.random.Generator, rounds: int) -> Iterator[Row]:
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
    yield _mean(
        "gated, last one verified", float(gated_last_tokens(g, a, low, GAMMA)), seen["last"]
    )
    yield _mean("gated, drafted", float(gated_drafted(g, GAMMA)), seen["handed"])
    yield _ratio(
        "gated, accepted/drafted", float(gated_ratio(g, a, GAMMA)),
        seen["dropped"] - 1.0, seen["handed"],
    )  # fmt: skip
    yield _ratio(
        "gated speed-up", float(gated_speedup(g, a, GAMMA, c)), seen["dropped"], seen["time"]
    )
    for name, law, key in (
        ("overlap, draft finished", overlapped_speedup, "finished"),
        ("overlap, draft stopped", stopped_overlap_speedup, "stopped"),
    ):
        yield _ratio(name, float(law(ALPHA, GAMMA, slow)), seen["made"], seen[key])


def _together(rng: np.random.Generator, rounds: int) -> Iterator[Row]:
    lanes, parts = 4, max(rounds // 10**6, 40)
    size = max(rounds // parts // lanes, 2)
    survival = ALPHA ** np.arange(GAMMA + 1.0)
    low, high, cascade = [], [], []
    second = 0.6 ** np.arange(4.0)
    for _ in range(parts):
        accepted = np.stack(
            [draw_accepted(rng, survival, rounds=size).astype(np.int64) for _ in range(lanes)]
        )
        low.append(1.0 + accepted.min(axis=0).mean())
        high.append(1.0 + accepted.max(axis=0).mean())
        follow = draw_accepted(rng, second, rounds=size)
        cascade.append(1.0 + (accepted[0] + np.where(accepted[0] == GAMMA, follow, 0)).mean())
    yield _mean("lockstep of 4", float(lockstep_tokens(ALPHA, GAMMA, lanes)), np.array(low))
    yield _mean("longest of 4", float(longest_round(ALPHA, GAMMA, lanes)), np.array(high))
    yield _mean(
        "4 parallel chains", float(parallel_chains_tokens(ALPHA, GAMMA, lanes)), np.array(high)
    )
    yield _mean(
        "horizontal cascade",
        float(horizontal_tokens(ALPHA, GAMMA, second_alpha=0.6, second_gamma=3)),
        np.array(cascade),
    )


def _requests(rng: np.random.Generator, rounds: int) -> Iterator[Row]:
    length, survival = 200, ALPHA ** np.arange(GAMMA + 1.0)
    steps, requests = length, max(rounds // 55 // 40, 1000)
    used, over = [], []
    for _ in range(40):
        made, turns = np.zeros(requests, np.int64), np.zeros(requests, np.int64)
        for _ in range(steps):
            going = made < length
            if not going.any():
                break
            made[going] += 1 + draw_accepted(rng, survival, rounds=int(going.sum()))
            turns[going] += 1
        used.append(turns)
        over.append(made - length)
    turns = np.concatenate(used)
    moments = _moments()
    variance = float(rounds_variance(length, **moments))
    del moments["round_factorial_3"]
    yield _mean("rounds for 200 tokens", float(rounds_mean(length, **moments)), turns)
    yield _mean("their variance", variance, np.array([u.var(ddof=1) for u in used]))
    yield _mean("overshoot", float(overshoot(**moments)), np.concatenate(over))


def _moments() -> dict[str, float]:
    n = np.arange(1.0, GAMMA + 2.0)
    pmf = ALPHA ** (n - 1) * np.where(n <= GAMMA, 1 - ALPHA, 1.0)
    return {
        "round_mean": float(n @ pmf),
        "round_factorial_2": float((n * (n - 1)) @ pmf),
        "round_factorial_3": float((n * (n - 1) * (n - 2)) @ pmf),
    }


def _rules(rng: np.random.Generator, rounds: int) -> Iterator[Row]:
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
        yield _mean(f"rule {name}, acceptance", float(found.acceptance), np.array(kept))
        yield _mean(f"rule {name}, loss", loss, np.array(lost))


def _cdf(p: np.ndarray) -> np.ndarray:
    return np.append(np.cumsum(p)[:-1], 1.0)


def _models(rng: np.random.Generator, rounds: int) -> Iterator[Row]:
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
    yield _mean("experts, correlated", float(experts), got["experts"])
    tokens = vertical_tokens(0.8, inner_alpha=0.7, inner_gamma=3, inner_rounds=2)
    time = chain_time(c, [tokens, tokens / 2, tokens / 6])
    spent = np.full(blocks, c[0] + 2 * c[1] + 6 * c[2])
    yield _ratio("chain of 3, time of a token", time, spent, got["chain"])
    speed = cached_batch_speedup(
        h, hit_tokens=4.0, miss_tokens=2.5, advance_time=0.7, backup_time=0.2, batch=lanes
    )
    yield _ratio("drafts in advance, batch", float(speed), got["cached"], got["cached time"])
    yield _mean("hub pairs", float(hub_acceptance(p, q)), got["hub"])


def _trees(rng: np.random.Generator, rounds: int) -> Iterator[Row]:
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
    yield _mean("traversed tree", tree, np.array(trees))
    path = multipath_tokens(p[1:], q[1:], 2, drafts=3, **starts)
    yield _mean("best of 3 paths, as a block", path, np.array(paths))


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


@compile_kernel
def _engine(rng: Any, rate: float, prefill: float, count: int, latency: Any) -> int:
    """Round by round: prompts one at a time between rounds, then a round of all that run.

    Alpha 0.8, gamma 4, 48 tokens a request, rounds of 0.01 + 0.002 a sequence [s]. Fills in the
    latency of each request in the order in which they end; returns the rounds of all sequences.
    """
    left, since = np.zeros(4096, np.int64), np.zeros(4096)
    running, done, come, rounds, clock = 0, 0, 0, 0, 0.0
    arrival = rng.exponential(1.0 / rate)
    while done < count:
        if running == 0 and arrival > clock:
            clock = arrival
        while come < count and arrival <= clock:
            clock += prefill
            left[running], since[running] = 48, arrival
            running += 1
            come += 1
            arrival += rng.exponential(1.0 / rate)
        clock += 0.01 + 0.002 * running
        rounds += running
        kept = 0
        for i in range(running):
            made = 1
            while made < 5 and rng.random() < 0.8:
                made += 1
            left[kept], since[kept] = left[i] - made, since[i]
            if left[kept] > 0:
                kept += 1
            else:
                latency[done] = clock - since[i]
                done += 1
        running = kept
    return rounds


def _load(rng: np.random.Generator, rounds: int) -> Iterator[Row]:
    """Latency of requests under load, whose formula is an approximation: see its deviation."""
    times = {"context": 0.0, "step_fixed": 0.01, "step_per_token": 0.0004, "step_per_cached": 0.0}
    for rate, prefill in ((1e-3, 0.05), (1.0, 0.0), (1.0, 0.02), (3.0, 0.01)):
        latency = np.zeros(rounds // 15 // 4)
        _engine(rng, rate, prefill, latency.size, latency)
        parts = latency[latency.size // 100 :]
        parts = parts[: parts.size // 100 * 100].reshape(100, -1).mean(axis=1)
        formula = request_latency(0.8, 4, rate, length=48, prefill_time=prefill, **times)
        yield _mean(f"latency, {rate:g}/s, prompt {prefill:g}", float(formula), parts)


def _planted(rng: np.random.Generator, rounds: int) -> Iterator[Row]:
    for name, law in LAWS.items():
        if isinstance(law, DepthAcceptance):
            wrong = DepthAcceptance(float(np.asarray(law.alpha)) * 1.001, law.decay)
            estimate = simulate_tokens(rng, wrong, gamma=GAMMA, rounds=rounds, batches=1000)
            formula = float(tokens_by_gamma(law, GAMMA)[GAMMA])
            yield f"planted bias, {name}", formula, estimate.mean, estimate.se


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10**8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="one part, by the name of its function here")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    print(f"{'':28}{'formula':>14}{'simulated':>14}{'error':>12}{'z':>8}{'seconds':>9}")
    worst = 0.0
    every = (_laws, _gates, _rounds, _together, _requests, _rules, _models, _trees, _load, _planted)
    for part in (p for p in every if options.only in (None, p.__name__.strip("_"))):
        start = time.perf_counter()
        for name, formula, simulated, error in part(rng, options.rounds):
            z = (simulated - formula) / error
            if part not in (_load, _planted):
                worst = max(worst, abs(z))
            now = time.perf_counter()
            print(
                f"{name:28}{formula:14.8f}{simulated:14.8f}{error:12.2e}{z:8.2f}{now - start:9.1f}"
            )
            start = now
    print(f"largest |z| without the planted ones and latency under load: {worst:.2f}")


if __name__ == "__main__":
    main()
