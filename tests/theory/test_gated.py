"""Drafts cut by confidence, blocks of drafts, and steps without a draft, from their definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from exact import at_digits, relative_error
from howspec.theory import AffineCost, DepthAcceptance, speedup, tokens_by_gamma, tokens_per_round
from howspec.theory.acceptance import (
    CoveredAcceptance,
    CoveredCost,
    GatedAcceptance,
    MarkovAcceptance,
    best_gate,
    gated_drafted,
    gated_last_tokens,
    gated_rates,
    gated_ratio,
    gated_speedup,
    gated_tokens,
    round_tokens_from_steps,
    tokens_per_step,
)
from howspec.theory.costs import (
    LinearPass,
    ParallelDraftCost,
    block_draft_speedup,
    choose_gamma,
)
from hypothesis import given, settings
from hypothesis import strategies as st

SHARES = st.floats(0.0, 1.0)


def play(
    rng: np.random.Generator, g: float, a: float, low: float, gamma: int, *, rounds: int
) -> dict[str, Any]:
    """Rounds token by token: draft, look at the confidence, verify. Arrays of shape (rounds,)."""
    found: dict[str, list[int]] = {"dropped": [], "last": [], "handed": [], "passes": []}
    for _ in range(rounds):
        handed: list[bool] = []  # whether each token handed over is accepted
        extra, passes = False, 0
        while passes < gamma:
            passes += 1
            sure = rng.random() < g
            accepted = rng.random() < (a if sure else low)
            if not sure:
                extra = accepted
                break
            handed.append(accepted)
        whole = all(handed)
        kept = len(handed) if whole else handed.index(False)
        found["dropped"].append(1 + kept)
        found["last"].append(1 + kept + (whole and extra))
        found["handed"].append(len(handed))
        found["passes"].append(passes)
    return {k: np.array(v, float) for k, v in found.items()}


@pytest.mark.parametrize(("g", "a", "low", "gamma"), [(0.7, 0.9, 0.3, 6), (0.95, 0.8, 0.5, 12)])
def test_gated_rounds_played_token_by_token_have_the_means_of_the_formulas(
    g: float, a: float, low: float, gamma: int
) -> None:
    seen = play(np.random.default_rng(2), g, a, low, gamma, rounds=40_000)

    def close(values: Any, exact: float) -> None:
        assert abs(values.mean() - exact) < 4 * values.std() / 200

    close(seen["dropped"], gated_tokens(g, a, gamma))
    close(seen["last"], gated_last_tokens(g, a, low, gamma))
    close(seen["handed"], gated_drafted(g, gamma))
    close(seen["passes"], gated_drafted(g, gamma) / g)
    ratio = (seen["dropped"].sum() - 40_000) / seen["handed"].sum()
    gap = seen["dropped"] - 1 - ratio * seen["handed"]
    assert abs(ratio - gated_ratio(g, a, gamma)) < 4 * gap.std() / seen["handed"].mean() / 200
    alpha = g * a + (1 - g) * low
    assert abs(ratio - alpha) > 0.03  # the logged rate is not the acceptance of the draft
    c, b, o = 0.08, 0.01, 0.05
    time = 1 + seen["passes"] * c + seen["handed"] * b + o
    fast = seen["dropped"].sum() / time.sum()
    gap = seen["dropped"] - fast * time
    exact = gated_speedup(g, a, gamma, c, verify_slope=b, overhead=o)
    assert abs(fast - exact) < 4 * gap.std() / time.mean() / 200
    law = GatedAcceptance(g, a)
    drawn = law.draw(np.random.default_rng(3), gamma=gamma, rounds=40_000) + 1.0
    close(drawn, float(law.survival(gamma).sum()))


@given(SHARES, SHARES, SHARES, st.integers(1, 40))
def test_gated_formulas_keep_their_digits_and_their_limits(
    g: float, a: float, low: float, gamma: int
) -> None:
    point = {"gate_pass": g, "passed_alpha": a, "gamma": gamma}
    if 1e-6 < g < 1 - 1e-6 and 1e-6 < a < 1 - 1e-6:
        for function, more in (
            (gated_tokens, {}), (gated_ratio, {}), (gated_last_tokens, {"failed_alpha": low}),
            (gated_speedup, {"cost_ratio": 0.1, "verify_slope": 0.02, "overhead": 0.3}),
        ):  # fmt: skip
            exact = at_digits(function, 100, **point, **more)
            assert relative_error(function(**point, **more), exact) < 1e-11
    assert gated_tokens(1.0, a, gamma) == pytest.approx(tokens_per_round(a, gamma), rel=1e-14)
    assert gated_speedup(1.0, a, gamma, 0.1, verify_slope=0.02, overhead=0.3) == pytest.approx(
        speedup(a, gamma, 0.1, verify_slope=0.02, overhead=0.3), rel=1e-13
    )
    assert gated_last_tokens(g, a, a, gamma) >= gated_tokens(g, a, gamma) - 1e-12
    assert gated_ratio(g, a, gamma) <= a + 1e-12


@given(st.floats(0.05, 0.999), st.floats(0.01, 1.0), st.integers(1, 30))
def test_a_gated_log_gives_gate_and_acceptance_back(g: float, a: float, gamma: int) -> None:
    drafted = gated_drafted(g, gamma)
    accepted = min(gated_tokens(g, a, gamma) - 1.0, drafted)  # equal but for rounding at a = 1
    found = gated_rates(accepted, drafted, gamma)
    assert found.gate_pass == pytest.approx(g, rel=1e-6)
    assert found.passed_alpha == pytest.approx(a, rel=1e-5)
    assert found.alpha_low <= g * a + (1 - g) * 0.5 * a <= found.alpha_high + 1e-9


def test_the_best_gate_is_that_of_a_scan_and_meets_its_condition() -> None:
    x = np.random.default_rng(1).beta(2.0, 0.7, 40_000)
    costs = {"cost_ratio": 0.06, "verify_slope": 0.01}

    def at(threshold: float, gamma: int) -> tuple[float, float, float]:
        g, kept = float((x >= threshold).mean()), float((x * (x >= threshold)).mean())
        return float(gated_speedup(g, kept / g, gamma, **costs)), g, kept

    best = best_gate(x, gamma_max=24, **costs)
    levels = np.quantile(x, np.linspace(0, 0.99, 300))
    scan = max(at(t, g)[0] for t in levels for g in range(1, 25))
    assert scan * (1 - 1e-12) <= best.speedup <= scan * 1.001
    assert at(best.threshold, best.gamma)[0] == pytest.approx(best.speedup, rel=1e-12)
    # Without a bound on gamma the best threshold solves the condition.
    top = max(levels, key=lambda t: at(t, 4000)[0])
    value, g, kept = at(top, 4000)
    assert top == pytest.approx(0.07 * value * ((1 - kept) / (1 - g)) ** 2, abs=0.02)
    free = best_gate(x, cost_ratio=0.06, gamma_max=40)
    held = max(speedup(float(x.mean()), g, 0.06) for g in range(1, 60))
    assert free.speedup > held  # knowing where to stop is worth something
    assert best_gate([0.05], cost_ratio=0.5).gamma == 0


def test_blocks_cost_by_the_call() -> None:
    point: dict[str, Any] = {
        "alpha": 0.85, "gamma": 9, "draft_block": 4, "verify_slope": 0.01, "draft_call": 0.2,
        "overhead": 0.1,
    }  # fmt: skip
    tokens = sum(0.85**k for k in range(10))
    assert block_draft_speedup(**point) == pytest.approx(tokens / (1 + 3 * 0.2 + 0.09 + 0.1))
    assert block_draft_speedup(0.8, 0, draft_block=4, draft_call=0.2, overhead=1.0) == 1.0
    # One block that holds gamma is the flat cost; blocks of one token are a draft step a token.
    law = ParallelDraftCost(LinearPass(0.9, 0.1), LinearPass(0.2, 0.01), 0.05, block=4, calls=3)
    times = law.round_time(9)
    expected = [0.9 + 0.1 * (g + 1) + -(-g // 4) * 3 * 0.24 + (g > 0) * 0.05 for g in range(10)]
    assert times == pytest.approx(expected, rel=1e-12)
    steps_ = ParallelDraftCost(LinearPass(1.0), LinearPass(0.2, 0.01), block=1).round_time(6)
    assert steps_ == pytest.approx([1 + 0.21 * g for g in range(7)])
    # Where verification is free a whole number of blocks is best.
    free = ParallelDraftCost(LinearPass(1.0), LinearPass(0.3), block=5)
    for alpha in (0.5, 0.7, 0.9, 0.97):
        best = choose_gamma(DepthAcceptance(alpha), free, gamma_max=40)
        assert int(best.gamma) % 5 == 0


@given(st.floats(0.01, 1.0), st.floats(1.0, 20.0))
@settings(max_examples=40)
def test_tokens_of_steps_and_of_rounds_convert_both_ways(q: float, tokens: float) -> None:
    step = tokens_per_step(q, tokens)
    # A share of the steps makes the tokens of a round, and each of the others one.
    assert step == pytest.approx(sum((q * tokens, 1.0 - q)), rel=1e-14)
    assert round_tokens_from_steps(q, step) == pytest.approx(tokens, rel=1e-12)


@pytest.mark.parametrize("law", [DepthAcceptance(0.8), MarkovAcceptance(0.9, 0.4)])
def test_steps_without_a_draft_enter_law_and_cost(law: Any) -> None:
    q, cost = 0.4, AffineCost(0.1, overhead=0.2)
    covered, paid = CoveredAcceptance(law, q), CoveredCost(cost, q)
    tokens = tokens_by_gamma(covered, 6)
    assert tokens == pytest.approx(1 - q + q * tokens_by_gamma(law, 6), rel=1e-12)
    for g in range(7):
        assert covered.survival(g).sum() == pytest.approx(tokens[g], rel=1e-12)
    assert paid.round_time(3) == pytest.approx(1 - q + q * cost.round_time(3), rel=1e-12)
    drawn = covered.draw(np.random.default_rng(1), gamma=4, rounds=100_000) + 1.0
    error = drawn.reshape(100, -1).mean(axis=1).std(ddof=1) / 10
    assert abs(drawn.mean() - tokens[4]) < 4 * error
    choice = choose_gamma(covered, paid, gamma_max=6)
    full = choose_gamma(law, cost, gamma_max=6)
    assert 1.0 <= choice.speedup <= full.speedup
    assert int(choice.gamma) >= int(full.gamma)  # undrafted steps make time worth fewer tokens
    sample = CoveredAcceptance(DepthAcceptance(np.array([0.5, 0.8])), np.array([0.2, 1.0]))
    assert sample.shape == (2,)
    assert tokens_by_gamma(sample, 3)[1] == pytest.approx(
        [tokens_per_round(0.8, g) for g in range(4)]
    )
