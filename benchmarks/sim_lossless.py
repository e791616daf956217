"""Are the verification rules lossless at 1e7 tokens, would the test notice, and how fast is it?

    python sim_lossless.py [lossless] [ordering] [power] [speed] [--tokens 10000000]

Prints four tables: p-values of lossless runs with the acceptance against 1 - TV; the multi-draft
rules in order; planted defects caught; tokens per second of processor time (every variant uses one
thread) against per-token loops in Python, the variants interleaved and repeated.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from howspec.sim.verify import rules as verify
from howspec.sim.verify.law import (
    Rounds,
    detection_power,
    position_test,
    ratio_groups,
    ratio_test,
    token_test,
)
from howspec.sim.verify.pairs import Pair, perturbed_logits, zipf
from howspec.sim.verify.rules import RULES
from howspec.theory.trees.verification import overlap, residual, sampled_from

GAMMA = 4
TREE = verify.complete_tree(3, 2)
BIAS = 0.01


def zipf_pair(seed: int, vocabulary: int, total_variation: float) -> Pair:
    """Zipf target and noisy draft; last in the vocabulary, the likeliest token with q > p.

    The planted defect gives residual draws to that token, where it is hardest to see.
    """
    rng = np.random.default_rng([seed, vocabulary])
    logits = np.log(zipf(vocabulary))
    draft = perturbed_logits(rng, logits, total_variation=total_variation)
    pair = Pair(sampled_from(logits), sampled_from(draft))
    decoy = int(np.where(pair.draft > pair.target, pair.target, -1.0).argmax())
    order = np.append(rng.permutation(np.delete(np.arange(vocabulary), decoy)), decoy)
    return Pair(pair.target[order], pair.draft[order])


def run(name: str, rng: np.random.Generator, pair: Pair, rounds: int, **options: Any) -> Rounds:
    """Rounds of one rule: token, block, or a rule for the 3 x 3 tree."""
    rule: Any = name
    if name in RULES:
        return verify.tree_rounds(rng, pair, parents=TREE, rounds=rounds, rule=rule, **options)
    return verify.chain_rounds(rng, pair, rounds=rounds, rule=rule, **{"gamma": GAMMA} | options)


def rounds_for(name: str, pair: Pair, tokens: int) -> int:
    """Rounds that emit about this many tokens, from a pilot."""
    pilot = run(name, np.random.default_rng(1), pair, 5_000)
    return int(tokens / pilot.tokens_per_round.mean) + 1


def lossless(seed: int, tokens: int) -> None:
    print(f"\nLossless? {tokens:.0e} tokens a run; law: single tokens (iid), transitions (markov)")
    print(f"{'model':>13} {'V':>6} {'rule':>19} {'p law':>7} {'p ratio':>7} {'p depth':>7} "
          f"{'tokens/round':>17} {'worst z of alpha_k':>18}")  # fmt: skip
    pairs = [zipf_pair(seed, v, 0.3) for v in (2, 500, 50_000)]
    rng = np.random.default_rng(seed)
    pairs += [Pair(*(rng.dirichlet(np.full(v, 0.5), v) for _ in range(2))) for v in (2, 30, 800)]
    for pair in pairs:
        kind = "markov" if pair.markov else "iid positions"
        for name in ("token", "block", *RULES):
            result = run(name, rng, pair, rounds_for(name, pair, tokens))
            mean = result.tokens_per_round
            depth = f"{position_test(result, pair).p_value:.4f}" if pair.vocabulary <= 800 else "-"
            print(f"{kind:>13} {pair.vocabulary:>6} {name:>19} "
                  f"{token_test(result, pair).p_value:>7.4f} "
                  f"{ratio_test(result, pair).p_value:>7.4f} {depth:>7} "
                  f"{mean.mean:>8.4f} ± {mean.se:.4f} "
                  f"{worst_z(name, result, pair):>18}")  # fmt: skip


def worst_z(name: str, result: Rounds, pair: Pair) -> str:
    """Largest deviation of a position's acceptance from 1 - TV in standard errors."""
    if name != "token" or pair.markov:
        return "-"
    alpha = overlap(pair.target, pair.draft)
    rates = result.position_acceptance()
    return f"{max(abs(r.mean - alpha) / r.se for r in rates):.2f}"


def ordering(seed: int) -> None:
    print("\nAt least one of K drafts kept, 1e6 rounds, V = 50000, TV = 0.5 (errors below 0.0005)")
    pair = zipf_pair(seed, 50_000, 0.5)
    print(f"{'K':>3} " + " ".join(f"{rule:>19}" for rule in RULES))
    for drafts in (1, 2, 4, 8):
        kept = [
            verify.tree_rounds(
                np.random.default_rng(seed),
                pair,
                parents=verify.complete_tree(drafts, 1),
                rounds=1_000_000,
                rule=rule,
            ).mean_accepted.mean
            for rule in RULES
        ]
        print(f"{drafts:>3} " + " ".join(f"{value:>19.4f}" for value in kept))


def biased_law(pair: Pair) -> Any:
    """Law of the tokens of rounds with gamma = 1 when 1 % of residual draws are the last token."""
    alpha = overlap(pair.target, pair.draft)
    shift = -residual(pair.target, pair.draft)
    shift[-1] += 1.0
    return pair.target + BIAS * (1.0 - alpha) / (1.0 + alpha) * shift


def power(seed: int, tokens: int) -> None:
    print("\nPlanted defect: 1 % of residual draws replaced by one token; token verification,")
    print("gamma = 1, TV = 0.4; runs with p < 1e-4, the share predicted in brackets")
    print(f"{'V':>6} {'tokens':>9} {'test of all tokens':>20} {'test of 32 ratio groups':>25} "
          f"{'false alarms':>13}")  # fmt: skip
    for vocabulary in (3, 500, 50_000):
        pair = zipf_pair(seed, vocabulary, 0.4)
        biased, groups = biased_law(pair), ratio_groups(pair, 32)[0]
        for n in (tokens // 100, tokens // 10, tokens):
            runs = 3 if n == tokens else 20
            per_round = 1.0 + overlap(pair.target, pair.draft)
            caught = np.zeros(3, int)
            for k in range(runs):
                results = [
                    run("token", np.random.default_rng([seed, k, n]), pair, int(n / per_round),
                        gamma=1, residual_bias=bias)
                    for bias in (BIAS, 0.0)
                ]  # fmt: skip
                caught[0] += token_test(results[0], pair).p_value < 1e-4
                caught[1] += ratio_test(results[0], pair).p_value < 1e-4
                caught[2] += ratio_test(results[1], pair).p_value < 1e-4
                caught[2] += token_test(results[1], pair).p_value < 1e-4
            coarse = [np.bincount(groups, x, minlength=32) for x in (pair.target, biased)]
            by_token = detection_power(pair.target, biased, tokens=n)
            by_group = detection_power(coarse[0], coarse[1], tokens=n)
            print(f"{vocabulary:>6} {n:>9} {caught[0]:>9}/{runs} ({by_token:.3f}) "
                  f"{caught[1]:>14}/{runs} ({by_group:.3f}) "
                  f"{caught[2]:>10}/{2 * runs}")  # fmt: skip


def obvious_loop(rng: np.random.Generator, pair: Pair, rounds: int) -> int:
    """Token verification as it is usually written, one token at a time; tokens emitted."""
    p, q, tokens = pair.target, pair.draft, []
    for _ in range(rounds):
        for _ in range(GAMMA):
            x = rng.choice(p.size, p=q)
            if rng.random() < min(1.0, p[x] / q[x]):
                tokens.append(x)
                continue
            rest = np.maximum(p - q, 0.0)
            tokens.append(rng.choice(p.size, p=rest / rest.sum()))
            break
        else:
            tokens.append(rng.choice(p.size, p=p))
    return len(tokens)


def careful_loop(rng: np.random.Generator, pair: Pair, rounds: int) -> int:
    """The same loop with the running sums computed once and searched by bisection."""
    p, q, tokens = pair.target, pair.draft, []
    sums = [np.cumsum(x) for x in (p, q, residual(p, q))]
    for total in sums:
        total[-1] = 1.0
    for _ in range(rounds):
        for _ in range(GAMMA):
            x = int(np.searchsorted(sums[1], rng.random(), side="right"))
            if rng.random() * q[x] < p[x]:
                tokens.append(x)
                continue
            tokens.append(int(np.searchsorted(sums[2], rng.random(), side="right")))
            break
        else:
            tokens.append(int(np.searchsorted(sums[0], rng.random(), side="right")))
    return len(tokens)


def speed(seed: int, repeats: int) -> None:
    print(f"\nTokens per second of processor time, gamma = {GAMMA}, TV = 0.3: median "
          f"[least, most] of {repeats} interleaved repeats")  # fmt: skip
    for vocabulary in (2, 500, 50_000):
        pair = zipf_pair(seed, vocabulary, 0.3)
        slow = 40 if vocabulary == 50_000 else 3_000
        variants: dict[str, Callable[[np.random.Generator], int]] = {
            "obvious loop": lambda g, pair=pair, n=slow: obvious_loop(g, pair, n),
            "careful loop": lambda g, pair=pair: careful_loop(g, pair, 10_000),
        }
        for name in ("token", "block", *RULES):
            variants[name] = lambda g, pair=pair, name=name: run(name, g, pair, 500_000).tokens.size
        rates: dict[str, list[float]] = {name: [] for name in variants}
        for repeat in range(repeats + 1):  # the first is warm-up and is dropped
            for name, variant in variants.items():
                rng = np.random.default_rng([seed, repeat])
                begin = time.process_time()
                emitted = variant(rng)
                rates[name].append(emitted / (time.process_time() - begin))
        base = float(np.median(rates["obvious loop"][1:]))
        for name, values in rates.items():
            middle = float(np.median(values[1:]))
            print(f"V = {vocabulary:>5}  {name:>19} {middle:>12,.0f} "
                  f"[{min(values[1:]):>12,.0f}, {max(values[1:]):>12,.0f}] "
                  f"{middle / base:>9,.1f} x the obvious loop")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("parts", nargs="*", help="lossless, ordering, power, speed; all if none")
    options = parser.parse_args()
    parts: dict[str, Callable[[], None]] = {
        "lossless": lambda: lossless(options.seed, options.tokens),
        "ordering": lambda: ordering(options.seed),
        "power": lambda: power(options.seed, options.tokens),
        "speed": lambda: speed(options.seed, options.repeats),
    }
    unknown = set(options.parts) - set(parts)
    if unknown:
        parser.error(f"parts must be among {', '.join(parts)}, got {', '.join(sorted(unknown))}")
    for name in options.parts or parts:
        parts[name]()


if __name__ == "__main__":
    main()
