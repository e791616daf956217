"""The choice of gamma without certainty: objectives, their order, and what knowing is worth."""

from __future__ import annotations

import numpy as np
import pytest
from howspec.theory import speedup
from howspec.theory.decision import (
    decide,
    score,
    value_of_knowing,
    value_of_measuring,
)
from howspec.theory.decision.samples import TAIL, worst_losses
from howspec.theory.domain import Floats
from hypothesis import given
from hypothesis import strategies as st

GAMMAS = np.arange(25.0)


def table(alpha: Floats, cost: Floats) -> Floats:
    return np.asarray(speedup(alpha[:, None], GAMMAS, cost[:, None]))


def test_scores_are_their_definitions_and_agree_where_nothing_is_uncertain() -> None:
    two = np.array([[1.0, 2.0, 3.0], [1.0, 1.5, 0.5]])
    assert score(two, "throughput") == pytest.approx([1.0, 1.75, 1.75])
    assert score(two, "latency") == pytest.approx([1.0, 2 / (1 / 2 + 1 / 1.5), 2 / (1 / 3 + 2)])
    assert score(two, "regret") == pytest.approx(
        [(1 / 3 + 2 / 3) / 2, (2 / 3 + 1) / 2, (1 + 1 / 3) / 2]
    )
    assert score(two, "safe") == pytest.approx([1 / 3, 2 / 3, 1 / 3])
    many = np.array([[1.0, 0.5]] * 3 + [[0.4, 1.0]] + [[1.0, 1.0]] * 16)  # the worst two of twenty
    assert score(many, "safe") == pytest.approx([1 - (0.6 + 0.0) / 2, 0.5])
    uneven = score(many, "safe", weights=np.arange(1.0, 21.0))
    assert uneven == pytest.approx([1 - 4 * 0.6 / 21, 1 - 6 * 0.5 / 21])
    found = decide(two, objective="latency", tolerance=0.4)
    assert found.gamma == 1
    assert found.expected_regret == pytest.approx(1 - score(two, "regret"))
    assert found.probability_best == pytest.approx([0.0, 0.5, 0.5])
    assert found.probability_within == pytest.approx([0.5, 1.0, 0.5])
    assert found.mean_speedup == pytest.approx(score(two, "throughput"))
    assert found.value_of_knowing == pytest.approx((2 / (1 / 3 + 1 / 1.5)) / (12 / 7) - 1)
    weighted = decide(two, objective="throughput", weights=[3.0, 1.0])
    assert weighted.mean_speedup == pytest.approx([1.0, 1.875, 2.375])
    sure = table(np.array([0.8]), np.array([0.05]))
    for objective in ("latency", "throughput", "regret", "safe"):
        assert decide(sure, objective=objective).gamma == int(sure.argmax())
        assert value_of_knowing(sure, objective=objective) == 0.0


@pytest.mark.parametrize("draws", [7, 32, 500])
def test_the_worst_tenth_is_found_under_every_row_of_weights(draws: int) -> None:
    rng = np.random.default_rng(draws)
    loss, weights = rng.random((draws, 3)), rng.random((4, draws)) ** 8
    weights /= weights.sum(axis=1, keepdims=True)
    found = worst_losses(loss, weights)
    for row, w in zip(found, weights, strict=True):
        for mean, own in zip(row, loss.T, strict=True):
            left, total = TAIL, 0.0
            for i in own.argsort()[::-1]:
                taken = min(left, w[i])
                left, total = left - taken, total + taken * own[i]
            assert mean == pytest.approx(total / TAIL)


@given(st.integers(0, 10**6), st.floats(0.05, 0.9), st.floats(2.0, 200.0), st.floats(-3, -0.7))
def test_who_has_work_to_do_drafts_no_more_than_who_has_time(
    seed: int, mean: float, worth: float, log_cost: float
) -> None:
    rng = np.random.default_rng(seed)
    alpha = rng.beta(mean * worth, (1 - mean) * worth, 200)
    cost = 10**log_cost * np.exp(0.5 * rng.standard_normal(200))
    every = np.array([alpha.repeat(20), np.tile(cost[:20], 200)])  # independent, exactly
    draws = table(*every)
    latency, regret, throughput = (
        decide(draws, objective=o).gamma for o in ("latency", "regret", "throughput")
    )
    assert latency <= throughput
    assert regret <= throughput
    at = alpha.argsort()
    one = table(alpha[at], np.full(200, cost[0]))
    slope = np.diff(np.log(one), axis=0)
    top = np.diff(np.log(one.max(axis=1)))
    latency, regret = (decide(one, objective=o).gamma for o in ("latency", "regret"))
    if (top <= 2.0 * slope[:, min(latency, regret)] + 1e-15).all():
        assert latency <= regret


def test_the_value_of_knowing_bounds_that_of_measuring_and_meets_it() -> None:
    rng = np.random.default_rng(3)
    alpha = rng.beta(6.0, 3.0, 300)
    draws = table(alpha, np.full(300, 0.08))
    for objective in ("latency", "throughput", "regret", "safe"):
        whole = value_of_knowing(draws, objective=objective)
        sharp = value_of_measuring(rng, draws, alpha, noise=1e-4, objective=objective, repeats=1)
        vague = value_of_measuring(rng, draws, alpha, noise=0.1, objective=objective)
        nothing = value_of_measuring(rng, draws, alpha, noise=1e3, objective=objective)
        assert sharp == pytest.approx(whole, rel=0.02)
        assert -1e-9 <= nothing < 0.02 * whole
        assert nothing < vague < whole
