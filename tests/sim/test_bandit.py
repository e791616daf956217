"""The bandit over draft lengths: its index, its learning, and the bound on what learning costs."""

from __future__ import annotations

import doctest
import math

import howspec.sim.rounds.controller
import numpy as np
import pytest
from exact import at_digits, relative_error
from howspec.sim.rounds.controller import BanditChooser
from howspec.theory import AffineCost, DepthAcceptance, tokens_by_gamma
from howspec.theory.limits.adaptive import bandit_regret, ucb_plays


def decode(
    chooser: BanditChooser, alpha: float, cost: AffineCost, *, length: int, seed: int
) -> tuple[float, np.ndarray]:
    """(time of a text, rounds of each draft length), draft tokens accepted one by one."""
    rng = np.random.default_rng(seed)
    times = cost.round_time(chooser.gamma_max)
    made, spent, plays = 0, 0.0, np.zeros(chooser.gamma_max + 1)
    while made < length:
        gamma = chooser.choose()
        kept = 0
        while kept < gamma and rng.random() < alpha:
            kept += 1
        chooser.update(gamma, [kept])
        made, spent = made + kept + 1, spent + times[gamma]
        plays[gamma] += 1
    return spent, plays


@pytest.mark.parametrize(("alpha", "c"), [(0.7, 0.15), (0.1, 0.3), (0.9, 0.05)])
def test_learning_costs_no_more_than_the_bound(alpha: float, c: float) -> None:
    length, most = 4000, 5
    law, cost = DepthAcceptance(alpha), AffineCost(c)
    bound = bandit_regret(law, cost, length=length, gamma_max=most)
    rates = tokens_by_gamma(law, most) / cost.round_time(most)
    assert bound.best == rates.argmax()
    runs = [decode(BanditChooser(cost, gamma_max=most), alpha, cost, length=length, seed=s)
            for s in range(6)]  # fmt: skip
    excess = np.mean([time for time, _ in runs]) - length / rates.max()
    plays = np.mean([p for _, p in runs], axis=0)
    assert excess <= bound.time
    behind = np.arange(most + 1) != bound.best
    assert (plays[behind] <= bound.plays[behind]).all()
    # What it loses are the rounds of other lengths, at their loss each.
    lost = float((plays * cost.round_time(most) * bound.gaps).sum())
    spread = np.std([time for time, _ in runs]) / math.sqrt(6)
    assert -5 * spread - 1 < excess - lost / rates.max() < 5 * spread + (most + 1) / rates.max()


def test_a_bandit_finds_the_best_length_and_turns_off_where_none_pays() -> None:
    cost = AffineCost(0.1)
    chooser = BanditChooser(cost, gamma_max=6, width=0.1)
    _, plays = decode(chooser, 0.7, cost, length=30_000, seed=1)
    rates = tokens_by_gamma(DepthAcceptance(0.7), 6) / cost.round_time(6)
    assert plays @ rates / plays.sum() > 0.99 * rates.max()
    off = BanditChooser(AffineCost(0.9), gamma_max=4, width=0.3)
    _, plays = decode(off, 0.2, AffineCost(0.9), length=20_000, seed=2)
    assert plays.argmax() == 0
    assert plays[0] > 0.9 * plays.sum()


def test_a_round_shows_what_a_shorter_draft_would_have_kept() -> None:
    chooser = BanditChooser(AffineCost(0.2), gamma_max=3, width=0.0)
    chooser.update(3, [1, 3])
    chooser.update(2, [0, 0])
    means = [1.0, 1 + (1 + 0) / 2, 1 + (1.5 + 0) / 2, 1 + 2.0]
    rates = np.array(means) / AffineCost(0.2).round_time(3)
    assert chooser.choose() == rates.argmax() == 3
    assert doctest.testmod(howspec.sim.rounds.controller).failed == 0


def test_the_bound_is_its_formula_and_grows_with_the_logarithm() -> None:
    point = {"gamma": 4, "arm_time": 1.3, "rate_gap": 0.2, "played_rounds": 5000}
    assert relative_error(ucb_plays(**point), at_digits(ucb_plays, **point)) < 1e-14
    assert ucb_plays(4, 1.3, 0.2, played_rounds=1) == pytest.approx(1 + math.pi**2 / 3)
    law, cost = DepthAcceptance(0.7), AffineCost(0.15)
    short, long = (bandit_regret(law, cost, length=10**n, gamma_max=3).time for n in (9, 12))
    assert long / short < 1.34
    with pytest.raises(ValueError, match="rate_gap must be in"):
        ucb_plays(4, 1.3, 0.0, played_rounds=10)
    with pytest.raises(ValueError, match="width must be in"):
        BanditChooser(cost, width=-1.0)
    with pytest.raises(ValueError, match="single law"):
        BanditChooser(AffineCost([0.1, 0.2]))
