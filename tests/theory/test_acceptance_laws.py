"""What every acceptance law owes to the interface, and each law's tokens per round."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from exact import exactly
from howspec.theory.acceptance import (
    AcceptanceLaw,
    BetaRequestAcceptance,
    BetaRoundAcceptance,
    DepthAcceptance,
    GammaDependentLaw,
    MarkovAcceptance,
    PositionalAcceptance,
    RoundCounts,
    bootstrap_law,
    depth_log_likelihood,
    depth_tokens,
    estimate_positional,
    fit_depth,
    fit_markov,
    round_counts,
    tokens_by_gamma,
)
from howspec.theory.acceptance.law import conditional_rate
from howspec.theory.rounds import tokens_per_round
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

mpmath.mp.dps = 50
LAWS = {
    "independent": DepthAcceptance(0.8),
    "depth": DepthAcceptance(0.85, 0.93),
    "rising": DepthAcceptance(0.5, 1.1),
    "positional": PositionalAcceptance([0.8, 0.7, 0.75, 0.6, 0.5, 0.9]),
    "beta round": BetaRoundAcceptance(3.0, 1.5),
    "beta request": BetaRequestAcceptance(3.0, 1.5),
    "markov": MarkovAcceptance(0.85, 0.4),
}
BATCHED = {
    "depth": DepthAcceptance(np.array([0.8, 0.3]), 0.9),
    "positional": PositionalAcceptance(np.array([[0.8, 0.7, 0.6, 0.5], [0.1, 0.9, 1.0, 0.0]])),
    "beta round": BetaRoundAcceptance(np.array([3.0, 0.5]), 1.5),
    "beta request": BetaRequestAcceptance(3.0, np.array([1.5, 0.2])),
    "markov": MarkovAcceptance(np.array([[0.85], [0.5]]), np.array([0.4, 0.1, 0.5])),
}


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_survival_starts_at_one_and_never_rises(law: AcceptanceLaw) -> None:
    assert isinstance(law, AcceptanceLaw)
    for gamma in (0, 1, 6):
        s = law.survival(gamma)
        assert s.shape == (gamma + 1,)
        assert s[0] == 1.0
        assert (np.diff(s) <= 0).all()
        assert (s >= 0).all()


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_tokens_at_each_gamma_are_the_sum_of_the_survival_at_that_gamma(law: AcceptanceLaw) -> None:
    tokens = tokens_by_gamma(law, 6)
    for gamma in range(7):
        assert tokens[gamma] == pytest.approx(law.survival(gamma).sum(), rel=1e-13)
    partial = np.cumsum(law.survival(6))
    assert isinstance(law, GammaDependentLaw) == (not np.allclose(partial, tokens, rtol=1e-9))


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_drawn_rounds_follow_the_survival(law: AcceptanceLaw) -> None:
    gamma, rounds = 5, 60_000
    accepted = law.draw(np.random.default_rng(1), gamma=gamma, rounds=rounds)
    assert accepted.shape == (rounds,)
    assert accepted.dtype == np.int64
    s = np.append(law.survival(gamma), 0.0)
    seen = np.bincount(accepted, minlength=gamma + 1)
    if isinstance(law, MarkovAcceptance):  # its rounds depend on each other: every 10th will do
        seen = np.bincount(accepted[::10], minlength=gamma + 1)
    assert chisquare(seen, seen.sum() * (s[:-1] - s[1:])).pvalue > 1e-4


@pytest.mark.parametrize("law", BATCHED.values(), ids=BATCHED)
def test_arrays_of_parameters_give_each_law_its_own_row(law: AcceptanceLaw) -> None:
    names = [n for n in law.__dataclass_fields__ if n != "extension"]  # type: ignore[attr-defined]
    values = [np.asarray(getattr(law, n)) for n in names]
    tokens, survival = tokens_by_gamma(law, 4), law.survival(4)
    assert tokens.shape == survival.shape == (*law.shape, 5)
    for i in np.ndindex(law.shape):
        if isinstance(law, PositionalAcceptance):
            one: AcceptanceLaw = PositionalAcceptance(values[0][i])
        else:
            one = type(law)(*(float(np.broadcast_to(v, law.shape)[i]) for v in values))
        assert survival[i] == pytest.approx(one.survival(4), rel=1e-14)
        assert tokens[i] == pytest.approx(tokens_by_gamma(one, 4), rel=1e-14)


@settings(max_examples=20)
@given(
    st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1e-9, 1.0])),
    st.floats(0.3, 1.6),
    st.integers(0, 14),
)
def test_depth_tokens_are_the_sum_of_products_of_rates(
    alpha: float, decay: float, gamma: int
) -> None:
    a, r = mpmath.mpf(alpha), mpmath.mpf(decay)
    rates = [min(mpmath.mpf(1), a * r**k) for k in range(gamma)]
    exact = mpmath.fsum(mpmath.fprod(rates[:k]) for k in range(gamma + 1))
    assert abs(depth_tokens(alpha, decay, gamma) - exact) <= 1e-13 * exact
    assert abs(tokens_by_gamma(DepthAcceptance(alpha, decay), gamma)[-1] - exact) <= 1e-13 * exact
    if gamma:
        rate = conditional_rate(alpha, decay, gamma)
        assert abs(rate - rates[-1]) <= 1e-13 * rates[-1] + 1e-300
        point = {"alpha": alpha, "decay": decay}
        symbolic = exactly(conditional_rate, **point, position=gamma)
        assert abs(symbolic - rates[-1]) <= mpmath.mpf("1e-40")


@pytest.mark.parametrize(
    ("alpha", "decay", "gamma"), [(0.8, 0.9, 4), (0.6, 1.3, 5), (0.5, 1.0, 3), (1.0, 0.7, 2)]
)
def test_the_symbolic_depth_tokens_are_the_same_sum(alpha: float, decay: float, gamma: int) -> None:
    a, r = mpmath.mpf(alpha), mpmath.mpf(decay)
    rates = [min(mpmath.mpf(1), a * r**k) for k in range(gamma)]
    exact = mpmath.fsum(mpmath.fprod(rates[:k]) for k in range(gamma + 1))
    symbolic = exactly(depth_tokens, alpha=alpha, decay=decay, gamma=gamma)
    assert abs(symbolic - exact) <= mpmath.mpf("1e-40") * exact


def test_depth_tokens_without_decay_are_those_of_independent_acceptance() -> None:
    alpha, gamma = np.linspace(0, 1, 11)[:, None], np.arange(0, 9)
    assert np.allclose(depth_tokens(alpha, 1.0, gamma), tokens_per_round(alpha, gamma), rtol=1e-14)


def test_the_depth_fit_finds_its_law_again() -> None:
    rng = np.random.default_rng(8)
    law = DepthAcceptance(0.8, 0.9)
    counts = round_counts(law.draw(rng, gamma=6, rounds=60_000), 6)
    fit = fit_depth(counts)
    assert float(fit.alpha) == pytest.approx(0.8, abs=0.006)
    assert float(fit.decay) == pytest.approx(0.9, abs=0.006)
    best = depth_log_likelihood(fit, counts)
    for da, dr in ((1e-3, 0), (-1e-3, 0), (0, 1e-3), (0, -1e-3)):
        other = DepthAcceptance(float(fit.alpha) + da, float(fit.decay) + dr)
        assert depth_log_likelihood(other, counts) < best


def test_a_table_refuses_what_it_did_not_measure_unless_told_how() -> None:
    rates = [0.8, 0.7, 0.6]
    last = PositionalAcceptance(rates, "last").survival(5)
    assert last == pytest.approx([1, 0.8, 0.56, 0.336, 0.336 * 0.6, 0.336 * 0.36])
    none = PositionalAcceptance(rates, "none").survival(5)
    assert none == pytest.approx([1, 0.8, 0.56, 0.336, 0, 0])
    assert PositionalAcceptance(rates).survival(2) == pytest.approx(last[:3])


def test_positional_rates_use_only_rounds_that_reached_the_position() -> None:
    # Drafted 3, 3, 2, 1; accepted 3, 1, 2, 0: position 2 is tried by the first three, 3 by one.
    estimate = estimate_positional(round_counts([3, 1, 2, 0], [3, 3, 2, 1]))
    assert estimate.tried.tolist() == [4, 3, 1]
    assert estimate.accepted.tolist() == [3, 2, 1]
    assert estimate.rates == pytest.approx([3 / 4, 2 / 3, 1])
    assert estimate.survival == pytest.approx([3 / 4, 1 / 2, 1 / 2])
    assert estimate.rate_variance == pytest.approx([3 / 64, 2 / 27, 0])
    # Greenwood: s^2 times the sum of lost / (tried kept).
    greenwood = [9 / 16 * (1 / 12), 1 / 4 * (1 / 12 + 1 / 6), 1 / 4 * (1 / 12 + 1 / 6)]
    assert estimate.survival_variance == pytest.approx(greenwood)
    assert estimate.law("last").extension == "last"


def test_greenwood_variance_is_the_scatter_over_repeated_measurements() -> None:
    rng = np.random.default_rng(4)
    law, repeats, rounds = PositionalAcceptance([0.8, 0.6, 0.7, 0.9]), 600, 150
    drafted = np.tile([2, 3, 4], rounds // 3)
    found, claimed = [], []
    for _ in range(repeats):
        accepted = np.minimum(law.draw(rng, gamma=4, rounds=rounds), drafted)
        estimate = estimate_positional(round_counts(accepted, drafted))
        found.append(estimate.survival)
        claimed.append(estimate.survival_variance)
    scatter, mean = np.var(found, axis=0, ddof=1), np.mean(found, axis=0)
    assert abs(mean - law.survival(4)[1:]) == pytest.approx(
        np.zeros(4), abs=4 * np.sqrt(scatter.max() / repeats)
    )
    # A variance from 600 repeats has a relative standard error of sqrt(2 / 600).
    ratio = scatter / np.mean(claimed, axis=0)
    assert (abs(ratio - 1) < 4 * np.sqrt(2 / repeats) + 0.02).all()


def test_a_posterior_sample_of_a_table_scatters_like_its_variance() -> None:
    counts = round_counts(np.tile([4, 0, 1, 3, 4, 2], 60), 4)
    estimate = estimate_positional(counts)
    sample = estimate.draw_law(np.random.default_rng(2), draws=4000)
    assert sample.shape == (4000,)
    survival = sample.survival(4)[:, 1:]
    assert survival.mean(axis=0) == pytest.approx(estimate.survival, abs=0.01)
    assert survival.var(axis=0) == pytest.approx(estimate.survival_variance, rel=0.15)


def _chains(rng: np.random.Generator, requests: int) -> RoundCounts:
    parts = [MarkovAcceptance(0.75, 0.3).draw(rng, gamma=3, rounds=60) for _ in range(requests)]
    return round_counts(np.concatenate(parts), 3, request=np.repeat(np.arange(requests), 60))


def test_a_bootstrapped_law_covers_the_tokens_at_other_gammas() -> None:
    rng, repeats, samples = np.random.default_rng(14), 60, 40
    truth = tokens_by_gamma(MarkovAcceptance(0.75, 0.3), 8)[8]
    scores = []
    for _ in range(repeats):
        counts = _chains(rng, 30)
        law = bootstrap_law(rng, counts, fit_markov, samples=samples)
        assert law.shape == (samples,)
        tokens = tokens_by_gamma(law, 8)[:, 8]
        centre = tokens_by_gamma(fit_markov(counts), 8)[8]
        scores.append((centre - truth) / tokens.std(ddof=1))
    hits = np.mean(np.abs(scores) < 1.96)
    # 30 clusters and 40 samples leave a few percent of undercoverage.
    assert 0.90 - 4 * np.sqrt(0.9 * 0.1 / repeats) < hits
    assert np.std(scores) == pytest.approx(1, abs=4 / np.sqrt(2 * repeats) + 0.05)


def test_two_requests_and_one_sample_are_enough_to_resample() -> None:
    rng = np.random.default_rng(0)
    two = round_counts([1, 2, 0, 3, 1, 1], 3, request=[0, 0, 0, 1, 1, 1])
    assert bootstrap_law(rng, two, fit_depth, samples=1).shape == (1,)
