"""The best gamma for any acceptance law with any cost law, and when a short rule may find it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from exact import decades, probabilities, relative_error, tokens_of_round
from howspec.theory import AffineCost, DepthAcceptance, best_gamma
from howspec.theory.acceptance import AcceptanceLaw, BetaRequestAcceptance, MarkovAcceptance
from howspec.theory.acceptance.law import accepted_whole
from howspec.theory.costs import choose
from howspec.theory.costs.law import ParallelDraftCost, SequentialDraftCost
from howspec.theory.costs.passes import LinearPass, LinearStepCost
from howspec.theory.costs.uneven import MoEPass, StaircasePass
from howspec.theory.domain import Floats
from hypothesis import assume, given
from hypothesis import strategies as st

TILES = SequentialDraftCost(StaircasePass(LinearPass(0.6, 0.1), tile=4), LinearPass(0.002))


@dataclass(frozen=True)
class Listed:
    """A law that is the list of its survival or of its times."""

    values: tuple[float, ...]
    shape: tuple[int, ...] = ()

    def survival(self, gamma: int) -> Floats:
        return np.array(self.values[: gamma + 1])

    def round_time(self, gamma: int, *, batch: float = 1, context: float = 0) -> Floats:
        return np.array(self.values[: gamma + 1])

    def draw(self, rng: np.random.Generator, *, gamma: int, rounds: int) -> None:
        raise NotImplementedError


def scan(survival: list[float], times: list[float]) -> int:
    """The best gamma by trying all of them in exact fractions; the smallest of equals."""
    tokens, best, found = Fraction(0), Fraction(0), 0
    for gamma, (s, t) in enumerate(zip(survival, times, strict=True)):
        tokens += Fraction(s)
        value = tokens / Fraction(t)
        if value > best:
            best, found = value, gamma
    return found


def value(survival: list[float], times: list[float], gamma: int) -> Fraction:
    return sum(map(Fraction, survival[: gamma + 1])) / Fraction(times[gamma])


@given(probabilities(), st.integers(0, 60), decades(-6, 1))
def test_threshold_is_marginal_cost_times_speedup(alpha: float, gamma: int, slope: float) -> None:
    with mpmath.workdps(50):
        c = mpmath.mpf(slope)
        exact = c * tokens_of_round(alpha, gamma) / (1 + gamma * c)
        assert relative_error(choose.draft_threshold(alpha, gamma, slope), exact) < 1e-12
        # One more token pays exactly where the survival exceeds the threshold.
        more = tokens_of_round(alpha, gamma + 1) / (1 + (gamma + 1) * c)
        pays = mpmath.mpf(alpha) ** (gamma + 1) > exact
        assert pays == (more > tokens_of_round(alpha, gamma) / (1 + gamma * c))


SURVIVALS = st.lists(st.floats(0, 1), min_size=3, max_size=20).map(
    lambda rates: [1.0, *np.cumprod(rates).tolist()]
)


@given(SURVIVALS, st.data(), decades(-3, 1))
def test_rule_finds_the_best_gamma_of_every_convex_cost(
    survival: list[float], data: st.DataObject, first: float
) -> None:
    size = len(survival) - 2
    steps = sorted(data.draw(st.lists(decades(-3, 0), min_size=size, max_size=size)))
    times = [1.0, *(1.0 + first + np.concatenate([[0.0], np.cumsum(steps)])).tolist()]
    assert choose.increments_rise(np.array(times))
    found = int(choose.first_failure(np.array(survival), np.array(times)))
    best = scan(survival, times)
    assert value(survival, times, found) >= value(survival, times, best) * (1 - Fraction(1, 10**9))
    choice = choose.choose_gamma(Listed(tuple(survival)), Listed(tuple(times)), gamma_max=size + 1)
    assert choice.method in ("rule", "closed form")
    assert value(survival, times, int(choice.gamma)) >= value(survival, times, best) * (
        1 - Fraction(1, 10**9)
    )


@given(SURVIVALS, st.data())
def test_scan_finds_the_best_gamma_of_every_cost(
    survival: list[float], data: st.DataObject
) -> None:
    size = len(survival)
    times = data.draw(st.lists(decades(-2, 2), min_size=size, max_size=size))
    choice = choose.choose_gamma(Listed(tuple(survival)), Listed(tuple(times)), gamma_max=size - 1)
    best = scan(survival, times)
    top = value(survival, times, best)
    assert value(survival, times, int(choice.gamma)) >= top * (1 - Fraction(1, 10**12))
    assert relative_error(choice.speedup, mpmath.mpf(float(top * Fraction(times[0])))) < 1e-12
    assert choice.tokens == pytest.approx(sum(survival[: int(choice.gamma) + 1]), rel=1e-12)


@given(st.floats(0, 1), decades(-4, 0), decades(-4, 0), st.one_of(st.just(0.0), decades(-3, 0)))
def test_closed_form_is_used_for_independent_acceptance_and_affine_costs(
    alpha: float, ratio: float, slope: float, overhead: float
) -> None:
    choice = choose.choose_gamma(
        DepthAcceptance(alpha), AffineCost(ratio, slope, overhead), gamma_max=40
    )
    assert choice.method == "closed form"
    assert choice.convex.all()
    expected = best_gamma(alpha, ratio, verify_slope=slope, overhead=overhead, gamma_max=40)
    top = choice.by_gamma.max()
    assert choice.by_gamma[choice.gamma] >= top * (1 - 1e-12)
    assert choice.by_gamma[expected] >= top * (1 - 1e-12)
    # Where the best is clear, the two agree on the gamma itself.
    second = np.sort(choice.by_gamma)[-2]
    slow = AffineCost(ratio, slope, overhead, step=50.0)
    scaled = choose.choose_gamma(DepthAcceptance(alpha), slow, gamma_max=40)
    if second < top * (1 - 1e-9):
        assert choice.gamma == scaled.gamma == expected


def test_rule_is_used_for_depth_decay_and_for_costs_that_bend_upwards() -> None:
    decaying = choose.choose_gamma(DepthAcceptance(0.8, 0.95), AffineCost(0.05), gamma_max=20)
    assert decaying.method == "rule"
    bent = Listed(tuple(1 + 0.01 * g + 0.002 * g * g for g in range(21)))
    assert choose.choose_gamma(DepthAcceptance(0.8), bent, gamma_max=20).method == "rule"
    quick = Listed(tuple(1e-6 * t for t in bent.values))
    assert choose.choose_gamma(DepthAcceptance(0.8), quick, gamma_max=20).method == "rule"
    for choice in (decaying, choose.choose_gamma(DepthAcceptance(0.8), bent, gamma_max=20)):
        assert choice.gamma == choice.by_gamma.argmax()
        assert not choice.several_peaks


def test_tiles_defeat_the_rule_and_the_guard_notices() -> None:
    law = DepthAcceptance(0.8)
    choice = choose.choose_gamma(law, TILES, gamma_max=20)
    assert choice.method == "scan"
    assert not choice.convex
    np.testing.assert_array_equal(np.flatnonzero(choice.peaks), [3, 7, 11, 15, 19])
    assert choice.several_peaks
    misled = choose.first_failure(law.survival(20), TILES.round_time(20))
    assert misled == 3
    assert choice.gamma == choice.by_gamma.argmax() == 7
    assert choice.by_gamma[misled] < choice.speedup


def test_experts_make_one_draft_token_no_test_and_the_guard_notices() -> None:
    target = MoEPass(8, 2, 0.5, 1e-9)
    cost = SequentialDraftCost(target, LinearPass(0.1))
    choice = choose.choose_gamma(DepthAcceptance(0.82), cost, gamma_max=12)
    assert choice.method == "scan"
    assert choice.by_gamma[1] < 1.0 < choice.speedup
    assert choice.gamma == choice.by_gamma.argmax() == 7
    times = cost.round_time(12)
    assert (times[1] - times[0]) / times[0] >= 0.82  # the rule would stop at plain decoding


def test_cost_of_one_draft_call_is_decided_against_plain_decoding_at_the_end() -> None:
    cost = ParallelDraftCost(LinearPass(0.99, 0.01), LinearPass(1.2))
    choice = choose.choose_gamma(DepthAcceptance(0.9), cost, gamma_max=30)
    assert choice.method == "closed form"
    assert choice.by_gamma[1] < 1.0 < choice.speedup
    assert choice.gamma == choice.by_gamma.argmax() > 5
    dear = ParallelDraftCost(LinearPass(0.99, 0.01), LinearPass(12.0))
    assert choose.choose_gamma(DepthAcceptance(0.9), dear, gamma_max=30).gamma == 0


def test_posterior_samples_are_answered_draw_by_draw() -> None:
    rng = np.random.default_rng(5)
    alphas, slopes = rng.uniform(0.2, 0.95, 200), rng.uniform(1e-3, 0.3, 200)
    for law, cost in (
        (DepthAcceptance(alphas), AffineCost(slopes, 0.01, 0.1)),
        (DepthAcceptance(alphas, 0.97), AffineCost(slopes)),
        (DepthAcceptance(alphas), SequentialDraftCost(TILES.target, LinearPass(slopes))),
    ):
        together = choose.choose_gamma(law, cost, gamma_max=24, batch=3)
        assert together.gamma.shape == together.speedup.shape == (200,)
        assert together.by_gamma.shape == together.peaks.shape == (200, 25)
        np.testing.assert_array_equal(together.gamma, together.by_gamma.argmax(axis=-1))
        np.testing.assert_allclose(together.speedup, together.by_gamma.max(axis=-1), rtol=1e-14)
        assert (together.window_low <= together.gamma).all()
        assert (together.gamma <= together.window_high).all()
    one = choose.choose_gamma(DepthAcceptance(alphas[:3]), TILES, gamma_max=9)
    assert one.gamma.shape == (3,)


def test_rescaling_all_times_changes_nothing() -> None:
    a = LinearStepCost(7e-3, 2e-5, 4e-8, 1e-3, 1e-6, 2e-9, 1e-4)
    b = LinearStepCost(7.0, 2e-2, 4e-5, 1.0, 1e-3, 2e-6, 0.1)
    for rows, context in ((1, 0), (64, 3000)):
        one = choose.choose_gamma(DepthAcceptance(0.7, 0.98), a, batch=rows, context=context)
        two = choose.choose_gamma(DepthAcceptance(0.7, 0.98), b, batch=rows, context=context)
        assert one.gamma == two.gamma
        np.testing.assert_allclose(one.by_gamma, two.by_gamma, rtol=1e-12)


@given(st.lists(st.integers(0, 5), min_size=2, max_size=12))
def test_local_maxima_are_the_runs_that_were_reached_by_a_rise_and_left_by_a_fall(
    levels: list[int],
) -> None:
    assume(max(levels) > 0)
    padded = [-1, *levels, -1]
    expected = []
    for i in range(1, len(padded) - 1):
        if padded[i] <= padded[i - 1]:
            continue
        end = i
        while padded[end + 1] == padded[i]:
            end += 1
        if padded[end + 1] < padded[i]:
            expected.append(i - 1)
    found = np.flatnonzero(choose.local_maxima(np.array(levels, dtype=float)))
    assert found.tolist() == expected
    small = choose.local_maxima(1e-9 * np.array(levels))
    assert np.flatnonzero(small).tolist() == expected


@given(st.lists(st.floats(0.1, 1), min_size=2, max_size=12), st.floats(0, 0.5))
def test_window_is_the_run_of_good_gammas_around_the_best(
    values: list[float], tolerance: float
) -> None:
    by_gamma = np.array(values)
    best = by_gamma.argmax()
    low, high = choose.flat_window(by_gamma, np.asarray(best), tolerance=tolerance)
    limit = (1.0 - tolerance) * by_gamma[best]
    assert (by_gamma[low : high + 1] >= limit).all()
    assert low <= best <= high
    assert low == 0 or by_gamma[low - 1] < limit
    assert high == by_gamma.size - 1 or by_gamma[high + 1] < limit


def test_bend_at_the_first_token_is_allowed_and_later_ones_are_not() -> None:
    times = np.array([[1, 3, 4, 5, 6], [1, 2, 3, 3.9, 5], [1, 1, 2, 4, 7], [1, 2, 4, 5, 6.0]])
    np.testing.assert_array_equal(choose.increments_rise(times), [True, False, True, False])
    np.testing.assert_array_equal(choose.increments_rise(1e-6 * times), [True, False, True, False])


def test_choice_refuses_settings_outside_their_ranges() -> None:
    law, cost = DepthAcceptance(0.8), AffineCost(0.1)
    with pytest.raises(ValueError, match="times of a cost law"):
        choose.choose_gamma(law, Listed((1.0, 0.0, 1.0)), gamma_max=2)
    assert choose.choose_gamma(law, cost, gamma_max=1).gamma == 1
    assert choose.choose_gamma(DepthAcceptance(0.0), AffineCost(0.0), gamma_max=1).gamma == 0


@pytest.mark.parametrize(
    ("law", "best", "speedup"),
    [(MarkovAcceptance(0.95, 0.1), 3, 1.578), (BetaRequestAcceptance(2.0, 1.0), 3, 1.753)],
)
def test_laws_whose_rounds_depend_on_gamma_are_summed_at_each_gamma(
    law: AcceptanceLaw, best: int, speedup: float
) -> None:
    choice = choose.choose_gamma(law, AffineCost(0.1), gamma_max=16)
    # The definition: the tokens of rounds run at that gamma, one gamma at a time.
    each = [float(law.survival(g).sum()) / (1.0 + 0.1 * g) for g in range(17)]
    assert choice.by_gamma == pytest.approx(each, rel=1e-9)
    assert int(choice.gamma) == int(np.argmax(each)) == best
    assert float(choice.speedup) == pytest.approx(speedup, abs=5e-4)
    whole = accepted_whole(law, 5)
    assert whole == pytest.approx([float(law.survival(g)[-1]) for g in range(6)], rel=1e-12)
