"""Estimates of alpha and of the best gamma, and the coverage of their intervals."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from exact import exactly
from howspec.theory.acceptance import (
    alpha_estimate,
    alpha_variance,
    best_gamma_probabilities,
    bootstrap_alpha,
    estimate_alpha,
    optimal_gamma_interval,
    optimal_gamma_variance,
    resample_requests,
    round_counts,
    rounds_to_measure,
)
from howspec.theory.acceptance.law import DepthAcceptance, count_accepted
from howspec.theory.optimum import best_gamma, optimal_gamma
from howspec.theory.rounds import geometric_sum
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import beta

mpmath.mp.dps = 50
INSIDE = st.one_of(st.floats(1e-6, 1 - 1e-6), st.sampled_from([1e-9, 1 - 1e-9, 1 - 1e-13]))


def _information(alpha: float, gamma: int) -> mpmath.mpf:
    """Fisher information of one round: the mean squared score over its outcomes."""
    a = mpmath.mpf(alpha)
    cut = a**gamma * (gamma / a) ** 2
    return cut + mpmath.fsum(a**k * (1 - a) * (k / a - 1 / (1 - a)) ** 2 for k in range(gamma))


@settings(max_examples=40)
@given(INSIDE, st.integers(1, 24), st.integers(1, 10**6))
def test_variance_is_the_inverse_fisher_information(alpha: float, gamma: int, n: int) -> None:
    exact = 1 / (n * _information(alpha, gamma))
    assert abs(alpha_variance(alpha, gamma, n) - exact) <= 1e-12 * exact
    # Rounds and half-width undo each other.
    exact_rounds = (mpmath.mpf(1.5) / mpmath.mpf(0.01)) ** 2 * exact * n
    assert abs(rounds_to_measure(alpha, gamma, 0.01, 1.5) - exact_rounds) <= 1e-12 * exact_rounds


def test_known_sample_size_and_ends() -> None:
    assert np.ceil(rounds_to_measure(0.8, 5, 0.01)) == 1829
    assert rounds_to_measure(np.array([0.0, 1.0]), 5, 0.01).tolist() == [0, 0]


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
def test_the_estimate_maximises_the_censored_likelihood(seed: int, alpha: float) -> None:
    rng = np.random.default_rng(seed)
    drafted = rng.integers(1, 8, 200)
    accepted = np.minimum(DepthAcceptance(alpha).draw(rng, gamma=8, rounds=200), drafted)

    def loss(a: float) -> float:
        cut = accepted == drafted
        probability = np.where(cut, a**drafted, a**accepted * (1 - a))
        return -float(np.log(probability).sum())

    best = minimize_scalar(loss, bounds=(1e-6, 1 - 1e-6), options={"xatol": 1e-10}).x
    estimate = estimate_alpha(round_counts(accepted, drafted))
    assert estimate.alpha == pytest.approx(best, abs=1e-5)
    point = {"accepted_tokens": estimate.accepted, "rejections": estimate.rejections}
    assert alpha_estimate(**point) == pytest.approx(estimate.alpha, rel=1e-15)


def test_the_order_of_rounds_and_the_split_of_labels_do_not_matter() -> None:
    rng = np.random.default_rng(1)
    accepted, request = rng.integers(0, 5, 60), rng.integers(0, 6, 60)
    order = rng.permutation(60)
    one = estimate_alpha(round_counts(accepted, 4, request=request))
    two = estimate_alpha(round_counts(accepted[order], 4, request=-request[order]))
    assert one.alpha == two.alpha
    assert one.cluster_variance == pytest.approx(two.cluster_variance, rel=1e-12)


def test_sandwich_variance_by_hand() -> None:
    counts = round_counts([2, 0, 3, 1], 3, request=[0, 0, 1, 1])
    estimate = estimate_alpha(counts)
    # Request 0: 2 of 4 decided tokens; request 1: 4 of 5.
    assert (estimate.alpha, estimate.accepted, estimate.rejections) == (6 / 9, 6, 3)
    residual = np.array([2 - 4 * 6 / 9, 4 - 5 * 6 / 9])
    assert estimate.cluster_variance == pytest.approx((residual**2).sum() / 81 * 2)
    assert estimate.variance == pytest.approx(2 / 9 / 9)
    assert estimate.clusters == 2


def test_few_requests_widen_the_posterior_as_the_t_law_does() -> None:
    accepted = [4, 4, 3, 4, 0, 1, 0, 2, 3, 1, 4, 0]
    estimate = estimate_alpha(round_counts(accepted, 4, request=np.repeat([0, 1, 2], 4)))
    effect = estimate.cluster_variance / estimate.variance
    assert estimate.design_effect == pytest.approx(effect)
    assert effect > 1
    # The 0.975 quantiles of Student's t with 2 degrees of freedom and of the normal law.
    share = 1 / (effect * (4.302652729749464 / 1.959963984540054) ** 2)
    shapes = (0.5 + estimate.accepted * share, 0.5 + estimate.rejections * share)
    assert estimate.posterior() == pytest.approx(shapes)
    assert estimate.interval(0.9) == pytest.approx(beta.ppf([0.05, 0.95], *shapes))


def test_the_interval_covers_alpha_at_its_level_when_rounds_are_independent() -> None:
    rng, alpha, gamma, repeats = np.random.default_rng(7), 0.8, 5, 600
    rows = count_accepted(rng.random((repeats, 80, gamma)) < alpha)
    hits = 0
    for row in rows:
        low, high = estimate_alpha(round_counts(row, gamma)).interval()
        hits += low <= alpha <= high
    assert abs(hits / repeats - 0.95) < 4 * np.sqrt(0.95 * 0.05 / repeats)


def test_the_interval_covers_when_requests_differ_and_the_naive_one_does_not() -> None:
    rng, gamma, requests, rounds, repeats = np.random.default_rng(8), 4, 25, 30, 400
    # With as many rounds in each request the estimate aims at E[alpha G] / E[G], G its decided
    # tokens per round.
    x = beta.ppf((np.arange(20_000) + 0.5) / 20_000, 8, 3)
    decided = geometric_sum(x, np.asarray(float(gamma)))
    target = (x * decided).mean() / decided.mean()
    hits = naive = 0
    for _ in range(repeats):
        alpha = rng.beta(8, 3, (requests, 1, 1))
        accepted = count_accepted(rng.random((requests, rounds, gamma)) < alpha).ravel()
        label = np.repeat(np.arange(requests), rounds)
        low, high = estimate_alpha(round_counts(accepted, gamma, request=label)).interval()
        hits += low <= target <= high
        estimate = estimate_alpha(round_counts(accepted, gamma))
        half = 1.96 * np.sqrt(estimate.variance)
        naive += abs(estimate.alpha - target) <= half
    assert hits / repeats > 0.95 - 4 * np.sqrt(0.95 * 0.05 / repeats) - 0.01
    assert hits / repeats < 0.985
    assert naive / repeats < 0.75


def test_bootstrap_scatter_is_the_sandwich_variance() -> None:
    rng = np.random.default_rng(3)
    alpha = rng.beta(8, 3, (60, 1, 1))
    accepted = count_accepted(rng.random((60, 40, 4)) < alpha).ravel()
    counts = round_counts(accepted, 4, request=np.repeat(np.arange(60), 40))
    estimate = estimate_alpha(counts)
    sample = bootstrap_alpha(rng, counts, samples=8000)
    assert sample.shape == (8000,)
    # The bootstrap divides by m, the sandwich by m - 1.
    assert sample.var() * 60 / 59 == pytest.approx(estimate.cluster_variance, rel=0.09)
    assert estimate.design_effect > 3
    draws = estimate.draw(rng, draws=8000)
    assert draws.var() == pytest.approx(estimate.cluster_variance, rel=0.15)
    assert draws.mean() == pytest.approx(estimate.alpha, abs=0.004)
    again = [estimate_alpha(resample_requests(rng, counts)).alpha for _ in range(400)]
    assert np.var(again) == pytest.approx(estimate.cluster_variance, rel=0.35)


def test_all_accepted_or_all_rejected_still_has_an_interval() -> None:
    for accepted, inside in (([4] * 30, 1.0), ([0] * 30, 0.0)):
        estimate = estimate_alpha(round_counts(accepted, 4))
        low, high = estimate.interval(0.9)
        assert estimate.alpha == inside
        assert 0 <= low < high <= 1
        assert high - low < 0.1


def _reference_gamma(alpha: mpmath.mpf, slope: mpmath.mpf, start: float) -> mpmath.mpf:
    """The real gamma at which d/dgamma of (1 - alpha^(gamma+1)) / (1 + slope gamma) vanishes."""
    rate = mpmath.log(alpha)

    def gradient(g: mpmath.mpf) -> mpmath.mpf:
        power = alpha ** (g + 1)
        return -rate * power * (1 + slope * g) - slope * (1 - power)

    return mpmath.findroot(gradient, start)


@settings(max_examples=15)
@given(st.floats(0.4, 0.97), st.floats(0.01, 0.15), st.integers(1, 12))
def test_variance_of_the_optimal_gamma_is_the_delta_method_on_its_definition(
    alpha: float, slope: float, gamma: int
) -> None:
    start = optimal_gamma(alpha, slope)
    assume(start >= 0.2)
    c = mpmath.mpf(slope)
    with mpmath.workdps(30):
        by_alpha = mpmath.diff(lambda a: _reference_gamma(a, c, start), mpmath.mpf(alpha))
        exact = by_alpha**2 / (500 * _information(alpha, gamma))
    assert abs(optimal_gamma_variance(alpha, slope, gamma, 500) - exact) <= 1e-10 * exact


@pytest.mark.parametrize(("alpha", "slope", "gamma"), [(0.8, 0.05, 5), (0.625, 0.125, 2)])
def test_the_symbolic_variance_of_the_optimal_gamma_is_the_same(
    alpha: float, slope: float, gamma: int
) -> None:
    with mpmath.workdps(30):
        start, c = optimal_gamma(alpha, slope), mpmath.mpf(slope)
        by_alpha = mpmath.diff(lambda a: _reference_gamma(a, c, start), mpmath.mpf(alpha))
        exact = by_alpha**2 / (500 * _information(alpha, gamma))
    point = {"alpha": alpha, "slope": slope, "gamma": gamma, "measured_rounds": 500}
    symbolic = exactly(optimal_gamma_variance, 30, **point)
    assert abs(symbolic - exact) <= mpmath.mpf("1e-10") * exact


def test_the_interval_of_the_optimal_gamma_covers_it() -> None:
    rng, alpha, gamma, cost, repeats = np.random.default_rng(12), 0.8, 5, 0.05, 400
    truth = optimal_gamma(alpha, cost, verify_slope=0.01, overhead=0.1)
    rows = count_accepted(rng.random((repeats, 400, gamma)) < alpha)
    hits, found = 0, []
    for row in rows:
        centre, low, high = optimal_gamma_interval(
            estimate_alpha(round_counts(row, gamma)), cost, verify_slope=0.01, overhead=0.1
        )
        hits += low <= truth <= high
        found.append(centre)
    assert abs(hits / repeats - 0.95) < 4 * np.sqrt(0.95 * 0.05 / repeats)
    claimed = optimal_gamma_variance(alpha, (0.05 + 0.01) / 1.1, gamma, 400)
    assert np.var(found) == pytest.approx(claimed, rel=4 * np.sqrt(2 / repeats) + 0.03)


def test_an_uncertain_cost_widens_the_interval() -> None:
    estimate = estimate_alpha(round_counts(np.tile([5, 2, 0, 5, 3], 100), 5))
    centre, low, high = optimal_gamma_interval(estimate, 0.05)
    centre_too, wider, wide_high = optimal_gamma_interval(estimate, 0.05, slope_error=0.01)
    assert centre == centre_too
    assert wider < low < centre < high < wide_high
    step = 1e-5
    by_slope = (
        optimal_gamma(estimate.alpha, 0.05 + step) - optimal_gamma(estimate.alpha, 0.05 - step)
    ) / (2 * step)
    extra = ((wide_high - centre) ** 2 - (high - centre) ** 2) / 1.959964**2
    assert extra == pytest.approx((by_slope * 0.01) ** 2, rel=1e-4)


@pytest.mark.parametrize("overhead", [0.0, 0.3])
@pytest.mark.parametrize(("a", "b"), [(40, 12), (3, 9), (0.7, 0.7), (4000, 1000)])
def test_probabilities_of_the_best_gamma_are_those_of_the_posterior(
    a: float, b: float, overhead: float
) -> None:
    law = best_gamma_probabilities(a, b, 0.07, overhead=overhead, gamma_max=12)
    assert law.shape == (13,)
    assert law.sum() == pytest.approx(1, abs=1e-12)
    alpha = beta.ppf((np.arange(40_000) + 0.5) / 40_000, a, b)
    best = best_gamma(alpha, 0.07, overhead=overhead, gamma_max=12)
    seen = np.bincount(best, minlength=13) / 40_000
    assert law == pytest.approx(seen, abs=1e-4)
    assert (np.diff(best) >= 0).all()


def test_free_and_hopeless_drafts_have_certain_answers() -> None:
    assert best_gamma_probabilities(5, 5, 2.0, gamma_max=4).tolist() == [1, 0, 0, 0, 0]
    assert best_gamma_probabilities(5, 5, 0.0, gamma_max=4)[4] == pytest.approx(1)


def test_interleaved_requests_are_grouped_and_keep_their_order() -> None:
    counts = round_counts([1, 2, 3, 0], [3, 3, 4, 4], request=["b", "a", "b", "a"])
    assert counts.accepted.tolist() == [2, 0, 1, 3]
    assert counts.request.tolist() == [0, 0, 1, 1]
    assert counts.trials.tolist() == [3, 1, 2, 4]
    assert counts.follows().tolist() == [False, True, False, True]
    tried, kept = counts.by_position()
    assert tried.tolist() == [4, 3, 2, 1]
    assert kept.tolist() == [3, 2, 1, 0]
    twice = counts.subset([1, 1])
    assert twice.accepted.tolist() == [1, 3, 1, 3]
    assert twice.requests == 2
