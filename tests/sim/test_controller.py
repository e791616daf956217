"""The online controller: it finds the best gamma, forgets, turns off and on again."""

from __future__ import annotations

import doctest
import math
from pathlib import Path
from typing import Any

import howspec.sim.rounds.controller
import numpy as np
import pytest
from exact import at_digits, relative_error
from howspec.sim.rounds.compared import PolicyChooser, compare, run_chooser
from howspec.sim.rounds.controller import BanditChooser, GammaController
from howspec.sim.rounds.policies import batch_table, constant, heuristic, moving_average, oracle
from howspec.sim.rounds.requests import serve_batches
from howspec.sim.rounds.traces import Trace, load_trace, trace_from_law
from howspec.theory import AffineCost, DepthAcceptance, best_gamma, tokens_by_gamma
from howspec.theory.costs import LinearPass, LinearStepCost, ParallelDraftCost
from howspec.theory.limits.adaptive import bandit_regret, ucb_plays
from hypothesis import given
from hypothesis import strategies as st

H100 = ParallelDraftCost(
    LinearPass(5.88590713e-3 + 1.20683946e-3, 2.10103129e-5, 3.92645679e-8),
    LinearPass(2.13526175e-3, 8.41429603e-7, 2.37768493e-9),
)


def drawn(alphas: list[float], *, length: int = 200, seed: int = 0) -> Trace:
    """Requests with one acceptance probability each, in their order."""
    laws = [DepthAcceptance(a) for a in alphas]
    lengths = np.full(len(alphas), length)
    rng = np.random.default_rng(seed)
    return trace_from_law(rng, laws[0], gamma_max=16, lengths=lengths, laws=list(laws))


def play(control: GammaController, alpha: float, rounds: int, seed: int = 0) -> list[int]:
    """The gammas chosen in rounds of one acceptance probability."""
    rng, chosen = np.random.default_rng(seed), []
    for _ in range(rounds):
        gamma = control.choose()
        kept = 0
        while kept < gamma and rng.random() < alpha:
            kept += 1
        control.update(gamma, kept)
        chosen.append(gamma)
    return chosen


# --- what it believes and chooses --------------------------------------------------------------
@given(
    counts=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=30),
    cost=st.floats(0.01, 0.5),
    overhead=st.floats(0.0, 0.3),
)
def test_without_exploring_it_takes_the_largest_ratio_of_what_it_believes(
    counts: list[tuple[int, int]], cost: float, overhead: float
) -> None:
    law = AffineCost(cost, overhead=overhead)
    control = GammaController(law, gamma_max=6, exploration="none", half_life=np.inf,
                              probe_every=10**9)  # fmt: skip
    for drafted, accepted in counts:
        control.update(drafted, min(accepted, drafted))
    tokens = tokens_by_gamma(control.acceptance(), 6)
    rates = tokens / law.round_time(6)
    assert rates[control.choose()] == pytest.approx(rates.max(), rel=1e-12)


def test_rates_are_the_counts_drawn_towards_the_position_before() -> None:
    control = GammaController(AffineCost(0.1), gamma_max=3, half_life=np.inf, prior=0.6,
                              prior_strength=2.0, smoothing=10.0)  # fmt: skip
    for accepted in (0, 1, 1, 2, 2, 2):
        control.update(2, accepted)
    first = (5 + 2 * 0.6) / (6 + 2)
    second = (3 + 10 * first) / (5 + 10)
    assert control.acceptance().rates == pytest.approx([first, second, second])
    control.update(2, np.array([2, 0]))
    control.update(2, np.int64(0))
    assert np.asarray(control.acceptance().rates)[0] == pytest.approx((6 + 1.2) / (9 + 2))


def test_a_count_weighs_half_after_the_half_life() -> None:
    control = GammaController(AffineCost(0.1), gamma_max=1, half_life=10.0, prior=0.5,
                              prior_strength=1e-9)  # fmt: skip
    control.update(1, 1)
    for _ in range(10):
        control.choose()
    control.update(1, 0)
    assert np.asarray(control.acceptance().rates)[0] == pytest.approx(0.5 / 1.5, rel=1e-6)


def test_counts_survive_the_rescaling_of_a_long_run() -> None:
    quick = GammaController(AffineCost(0.1), gamma_max=4, half_life=2.0, exploration="none")
    chosen = play(quick, 0.7, 500)  # 2^250 without rescaling
    rates = np.asarray(quick.acceptance().rates)
    assert np.isfinite(rates).all()
    assert ((rates > 0.0) & (rates < 1.0)).all()
    assert set(chosen) <= set(range(5))


@pytest.mark.parametrize("exploration", ["thompson", "optimism", "none"])
@pytest.mark.parametrize(("alpha", "cost"), [(0.8, 0.05), (0.6, 0.1), (0.9, 0.2)])
def test_it_settles_within_a_few_percent_of_the_best_gamma(
    alpha: float, cost: float, exploration: Any
) -> None:
    law = AffineCost(cost)
    control = GammaController(law, exploration=exploration, seed=1)
    chosen = play(control, alpha, 3000)[500:]
    speed = np.cumsum(DepthAcceptance(alpha).survival(16)) / law.round_time(16)
    best = int(best_gamma(alpha, cost, gamma_max=16))
    # Over rounds of several gammas the rate is tokens over time, not the mean of rates.
    tokens = np.cumsum(DepthAcceptance(alpha).survival(16))[chosen].sum()
    assert tokens / law.round_time(16)[chosen].sum() > 0.98 * speed[best]


def test_it_turns_off_probes_and_turns_on_again() -> None:
    control = GammaController(AffineCost(0.2, overhead=0.1), half_life=200.0, probe_every=20)
    play(control, 0.9, 300)
    off = play(control, 0.05, 1500, seed=1)[700:]
    assert off.count(0) > 0.85 * len(off)
    drafted = [i for i, g in enumerate(off) if g]
    assert drafted
    assert max(np.diff([0, *drafted])) <= 20
    on = play(control, 0.9, 1500, seed=2)[700:]
    assert on.count(0) == 0
    assert np.mean(on) > 3


def test_without_a_gain_it_drafts_only_the_probes() -> None:
    control = GammaController(AffineCost(5.0), probe_every=10, exploration="none")
    chosen = play(control, 0.5, 200)
    assert sum(g > 0 for g in chosen) == 20
    assert all(g <= 1 for g in chosen)


def test_batch_and_context_change_the_choice_at_once() -> None:
    cost = LinearStepCost(7e-3, 1e-4, 4e-8, 1e-3, 1e-6, 2e-9)
    control = GammaController(cost, exploration="none")
    play(control, 0.75, 400)
    alone, crowded = control.choose(batch=1), control.choose(batch=512)
    assert alone >= 3
    assert crowded == 0
    assert control.choose(batch=512, context=60000.0) > 0


def test_the_same_seed_gives_the_same_choices() -> None:
    runs = [
        play(GammaController(AffineCost(0.1), exploration="thompson", seed=s), 0.7, 300)
        for s in (3, 3, 4)
    ]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gamma_max": 0}, "gamma_max must be"),
        ({"half_life": 0.0}, "half_life must be"),
        ({"half_life": float("nan")}, "half_life must be"),
        ({"prior": 1.5}, "prior must be"),
        ({"prior_strength": 0.0}, "prior_strength must be"),
        ({"smoothing": -1.0}, "smoothing must be"),
        ({"exploration": "always"}, "exploration must be"),
        ({"explore": 2.0}, "explore must be"),
        ({"probe_every": 0}, "probe_every must be"),
        ({"context_step": 0.0}, "context_step must be"),
    ],
)
def test_settings_outside_their_range_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        GammaController(AffineCost(0.1), **options)
    with pytest.raises(ValueError, match="single law"):
        GammaController(AffineCost(np.array([0.1, 0.2])))


def test_rounds_that_cannot_be_are_refused() -> None:
    control = GammaController(AffineCost(0.1), gamma_max=4)
    for drafted, accepted in ((5, 1), (-1, 0), (3, 4), (3, -1)):
        with pytest.raises(ValueError, match=r"must be in \[0"):
            control.update(drafted, accepted)


def test_the_example_of_the_class_runs() -> None:
    assert doctest.testmod(howspec.sim.rounds.controller).failed == 0


# --- the run under one state -------------------------------------------------------------------
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize(
    "policy", [constant(3), constant(0), batch_table({1: 5, 3: 2})], ids=lambda p: p.name
)
def test_a_rule_without_memory_takes_the_time_that_the_server_says(batch: int, policy: Any) -> None:
    trace = drawn([0.7, 0.5, 0.9, 0.2, 0.8, 0.6], length=60)
    served = serve_batches(trace, H100, policy, batch=batch)
    run = run_chooser(trace, H100, PolicyChooser(policy), batch=batch)
    last = [served.latency[i : i + batch].max() for i in range(0, trace.requests, batch)]
    assert run.time == pytest.approx(last, rel=1e-9)
    assert run.tokens.sum() == trace.lengths.sum()
    if batch == 1:
        assert run.rounds == served.rounds.sum()
        assert run.drafted == served.drafted.sum()


def test_foresight_is_the_oracle_for_single_requests() -> None:
    trace = drawn([0.7, 0.5, 0.9], length=80)
    cost = AffineCost(0.1)
    served = serve_batches(trace, cost, oracle(16))
    assert run_chooser(trace, cost, None).time == pytest.approx(served.latency)


def test_a_heuristic_keeps_its_state_from_one_request_to_the_next() -> None:
    trace = drawn([0.95] * 4, length=40)
    fresh = serve_batches(trace, AffineCost(0.01), heuristic(2, gamma_max=16)).drafted.sum()
    assert run_chooser(trace, AffineCost(0.01), PolicyChooser(heuristic(2, gamma_max=16))
                       ).drafted > fresh  # fmt: skip


def test_a_chooser_outside_the_range_is_refused() -> None:
    with pytest.raises(ValueError, match="the chooser gave 9"):
        run_chooser(drawn([0.5]), AffineCost(0.1), PolicyChooser(constant(9)), gamma_max=8)


def test_regret_is_small_on_one_law_and_negative_where_the_law_changes() -> None:
    cost = AffineCost(0.05, overhead=0.1)
    best, found = compare(
        drawn([0.8] * 60), cost, {"controller": lambda: GammaController(cost), "none": lambda: None}
    )
    by_name = {r.name: r for r in found}
    assert found[0].name == f"constant {best}"
    assert found[0].excess.mean == found[0].excess.se == 0.0
    assert by_name["controller"].excess.mean < 0.02
    assert by_name["none"].excess.mean < -0.1
    cost = AffineCost(0.2, overhead=0.1)
    changing = drawn(([0.85] * 20 + [0.1] * 20) * 2)
    _, found = compare(changing, cost, {"controller": lambda: GammaController(cost)})
    assert found[1].excess.mean + 4 * found[1].excess.se < 0.0


# --- real requests -----------------------------------------------------------------------------
def shared(name: str) -> Path:
    for folder in Path(__file__).resolve().parents:
        if (folder / "shared" / name).exists():
            return folder / "shared" / name
    pytest.skip(f"no shared/{name}")


@pytest.mark.parametrize("data", ["gsm8k", "cnn"])
def test_on_real_requests_it_is_near_the_best_constant_and_ahead_of_the_heuristics(
    data: str,
) -> None:
    trace = load_trace(shared(f"traces/llama31-8b-{data}.jsonl.gz"))
    rules = {
        "controller": lambda: GammaController(H100),
        "heuristic": lambda: PolicyChooser(heuristic(5, gamma_max=16)),
        "average": lambda: PolicyChooser(moving_average()),
        "foresight": lambda: None,
    }
    best, found = compare(trace, H100, rules, constants=(0, 3, 5, 7, 8, 9, 10, 11, 12))
    excess = {r.name: r.excess for r in found}
    assert 8 <= best <= 11
    assert excess["controller"].mean < 0.005
    assert excess["heuristic"].mean - 4 * excess["heuristic"].se > 0.05
    assert excess["average"].mean - 4 * excess["average"].se > 0.05
    assert excess["foresight"].mean + 4 * excess["foresight"].se < 0.0


# --- lengths as arms of a bandit --------------------------------------------------------------
def texts(
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
    runs = [texts(BanditChooser(cost, gamma_max=most), alpha, cost, length=length, seed=s)
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
    _, plays = texts(chooser, 0.7, cost, length=30_000, seed=1)
    rates = tokens_by_gamma(DepthAcceptance(0.7), 6) / cost.round_time(6)
    assert plays @ rates / plays.sum() > 0.99 * rates.max()
    off = BanditChooser(AffineCost(0.9), gamma_max=4, width=0.3)
    _, plays = texts(off, 0.2, AffineCost(0.9), length=20_000, seed=2)
    assert plays.argmax() == 0
    assert plays[0] > 0.9 * plays.sum()


def test_a_round_shows_what_a_shorter_draft_would_have_kept() -> None:
    chooser = BanditChooser(AffineCost(0.2), gamma_max=3, width=0.0)
    chooser.update(3, [1, 3])
    chooser.update(2, [0, 0])
    means = [1.0, 1 + (1 + 0) / 2, 1 + (1.5 + 0) / 2, 1 + 2.0]
    rates = np.array(means) / AffineCost(0.2).round_time(3)
    assert chooser.choose() == rates.argmax() == 3


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
