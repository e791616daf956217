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
from closed_forms_models import ALPHA, GAMMA, Row, gates, mean, models, rules, trees
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
    horizontal_tokens,
)
from howspec.theory.trees import (
    parallel_chains_tokens,
)

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


def _laws(rng: np.random.Generator, rounds: int) -> Iterator[Row]:
    for name, law in LAWS.items():
        # Few, long stretches: rounds of a chain, and of one request, are alike.
        estimate = simulate_tokens(rng, law, gamma=GAMMA, rounds=rounds, batches=1000)
        formula = float(tokens_by_gamma(law, GAMMA)[GAMMA])
        yield f"E[N], {name}", formula, estimate.mean, estimate.se


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
    tokens_of_round = tokens_per_round(ALPHA, GAMMA)
    exact = {
        "var": ("Var[N]", tokens_variance(ALPHA, GAMMA)),
        "pgf": ("E[z^N], z = 1/2", tokens_generating_function(ALPHA, GAMMA, 0.5)),
        "tail": ("P(N > 3)", tokens_survival(ALPHA, 3)),
        "gap": ("share of gaps that are 0", gap_zero_probability(tokens_of_round)),
    }
    for key, (name, formula) in exact.items():
        yield mean(name, float(formula), np.array(sums[key]))


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
    yield mean("lockstep of 4", float(lockstep_tokens(ALPHA, GAMMA, lanes)), np.array(low))
    yield mean("longest of 4", float(longest_round(ALPHA, GAMMA, lanes)), np.array(high))
    yield mean(
        "4 parallel chains", float(parallel_chains_tokens(ALPHA, GAMMA, lanes)), np.array(high)
    )
    yield mean(
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
    yield mean("rounds for 200 tokens", float(rounds_mean(length, **moments)), turns)
    yield mean("their variance", variance, np.array([u.var(ddof=1) for u in used]))
    yield mean("overshoot", float(overshoot(**moments)), np.concatenate(over))


def _moments() -> dict[str, float]:
    n = np.arange(1.0, GAMMA + 2.0)
    pmf = ALPHA ** (n - 1) * np.where(n <= GAMMA, 1 - ALPHA, 1.0)
    return {
        "round_mean": float(n @ pmf),
        "round_factorial_2": float((n * (n - 1)) @ pmf),
        "round_factorial_3": float((n * (n - 1) * (n - 2)) @ pmf),
    }


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
        yield mean(f"latency, {rate:g}/s, prompt {prefill:g}", float(formula), parts)


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
    every = (_laws, gates, _rounds, _together, _requests, rules, models, trees, _load, _planted)
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
