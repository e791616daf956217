"""What a measurement leaves, told before it is made, against updates that are made."""

from __future__ import annotations

import numpy as np
import pytest
from howspec.theory import speedup
from howspec.theory.decision import (
    at_hand,
    decided_tokens_value,
    expected_after,
    unknown_alpha_regret,
    value_of_knowing,
)
from howspec.theory.domain import Floats

GAMMAS = np.arange(17.0)
COST = 0.1


def table(alpha: Floats, cost: Floats | float = COST) -> Floats:
    return np.asarray(speedup(alpha[:, None], GAMMAS, np.reshape(cost, (-1, 1))))


def beta(rng: np.random.Generator, tokens: float, draws: int = 2000, mean: float = 0.7) -> Floats:
    return rng.beta(mean * tokens, (1.0 - mean) * tokens, draws)


def test_what_is_said_is_what_conjugate_updates_come_to() -> None:
    rng = np.random.default_rng(0)
    worth, seen = 12.0, 40
    said = expected_after(
        rng, [table(alpha := beta(rng, worth))],
        2.0 * np.arcsin(np.sqrt(alpha)) * np.sqrt(seen), outcomes=1000,
    )  # fmt: skip
    found = []
    for truth in beta(rng, worth, 400):
        kept = rng.binomial(seen, truth)
        after = rng.beta(0.7 * worth + kept, 0.3 * worth + seen - kept, 1500)
        gamma, state = at_hand(table(after))
        paid = table(np.array([truth]))[0]
        found.append((state.low, state.high, state.regret, 1.0 - paid[gamma] / paid.max()))
    low, high, regret, lost = np.mean(found, axis=0)
    error = np.std(found, axis=0) / 20.0
    assert said.low == pytest.approx(low, abs=4 * error[0] + 0.02)
    assert said.high == pytest.approx(high, abs=4 * error[1] + 0.03)
    assert said.regret == pytest.approx(regret, rel=0.15)
    assert said.regret == pytest.approx(lost, abs=4 * error[3])


def test_small_beliefs_lose_the_regret_of_the_closed_form() -> None:
    rng = np.random.default_rng(1)
    worth, seen, mean, cost = 300.0, 600.0, 0.9, 0.02
    alpha = beta(rng, worth, 4000, mean)
    fine = np.asarray(speedup(alpha[:, None], np.linspace(0.0, 40.0, 161), cost))
    shown = 2.0 * np.arcsin(np.sqrt(alpha)) * np.sqrt(seen)
    _, now = at_hand(fine, objective="regret")
    after = expected_after(rng, [fine], shown, objective="regret", outcomes=1500)
    whole = unknown_alpha_regret(mean, cost, mean * (1 - mean) / (worth + 1))
    value = decided_tokens_value(mean, cost, belief_tokens=worth, decided_tokens=seen)
    assert now.regret == pytest.approx(whole, rel=0.15)
    assert now.regret - after.regret == pytest.approx(value, rel=0.15)


def test_a_sharp_measurement_leaves_nothing_and_an_idle_one_everything() -> None:
    rng = np.random.default_rng(2)
    alpha = beta(rng, 8.0)
    draws = table(alpha)
    _, now = at_hand(draws)
    sharp = expected_after(rng, [draws], alpha * 1e4)
    assert sharp.regret < 0.1 * now.regret
    assert sharp.high - sharp.low < 0.12 * (now.high - now.low)
    idle = expected_after(rng, [draws], rng.standard_normal(2000) * 1e-3)
    assert idle.regret == pytest.approx(now.regret, rel=1e-3)
    assert (idle.low, idle.high) == pytest.approx((now.low, now.high), rel=0.01)
    assert value_of_knowing(draws) > 0.0


def test_draws_that_are_there_several_times_do_not_know_the_truth() -> None:
    rng = np.random.default_rng(3)
    alpha, cost = beta(rng, 8.0, 400), COST * np.exp(0.5 * rng.standard_normal(400))
    shown = 2.0 * np.arcsin(np.sqrt(alpha)) * 8.0
    once = expected_after(rng, [table(alpha, cost)], shown, outcomes=400)
    many = np.tile(np.arange(400), 8)
    again = expected_after(rng, [table(alpha[many], cost[many])], shown[many], outcomes=400)
    assert (again.low, again.high) == pytest.approx((once.low, once.high), rel=0.03)
    assert again.regret == pytest.approx(once.regret, rel=0.15)


def test_several_choices_share_a_measurement() -> None:
    rng = np.random.default_rng(4)
    alpha = beta(rng, 8.0)
    near, far = table(alpha), table(alpha, 0.3)
    one, other = (expected_after(np.random.default_rng(5), [t], 9 * alpha) for t in (near, far))
    both = expected_after(np.random.default_rng(5), [near, far], 9 * alpha)
    assert both.regret == pytest.approx(0.5 * (one.regret + other.regret), rel=0.2)
    assert (both.low, both.high) == pytest.approx((one.low, one.high), rel=0.03)
