"""Beta laws of acceptance, fresh in each round or kept by a request, against their definitions."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from exact import exactly
from howspec.theory.acceptance import (
    BetaRequestAcceptance,
    BetaRoundAcceptance,
    beta_conditional_rate,
    beta_request_log_likelihood,
    beta_round_log_likelihood,
    beta_survival,
    beta_tokens,
    beta_tokens_limit,
    draw_requests,
    fit_beta_request,
    fit_beta_round,
    request_tokens,
    request_tokens_limit,
    round_counts,
    tokens_by_gamma,
)
from howspec.theory.rounds import tokens_per_round
from hypothesis import given, settings
from hypothesis import strategies as st

mpmath.mp.dps = 50
SHAPE = st.one_of(st.floats(1e-3, 1e3), st.sampled_from([1.0, 1 + 1e-12, 1 - 1e-9, 2.0, 0.5]))


def _moment(a: float, b: float, k: int) -> mpmath.mpf:
    """E[alpha^k] by the Beta functions of its definition."""
    return mpmath.beta(mpmath.mpf(a) + k, mpmath.mpf(b)) / mpmath.beta(a, b)


@settings(max_examples=25)
@given(SHAPE, SHAPE, st.integers(1, 12))
def test_survival_rates_and_tokens_are_moments_of_the_beta_law(a: float, b: float, g: int) -> None:
    moments = [_moment(a, b, k) for k in range(g + 1)]
    tokens = mpmath.fsum(moments)
    assert abs(beta_survival(a, b, g) - moments[g]) <= 1e-13 * moments[g]
    rate = moments[g] / moments[g - 1]
    assert abs(beta_conditional_rate(a, b, g) - rate) <= 1e-14 * rate
    assert abs(beta_tokens(a, b, g) - tokens) <= 1e-13 * tokens
    point = {"shape_accept": a, "shape_reject": b}
    tiny = mpmath.mpf("1e-25")
    assert abs(exactly(beta_survival, **point, position=g) - moments[g]) <= tiny * moments[g]
    assert abs(exactly(beta_tokens, **point, gamma=g) - tokens) <= tiny * tokens


@settings(max_examples=20)
@given(st.floats(0.05, 50), st.floats(1.01, 50))
def test_endless_drafts_yield_the_mean_of_the_geometric_means(a: float, b: float) -> None:
    # E[1 / (1 - alpha)] is an integral of the Beta kind with b lowered by one.
    exact = mpmath.beta(a, mpmath.mpf(b) - 1) / mpmath.beta(a, b)
    assert abs(beta_tokens_limit(a, b) - exact) <= 1e-13 * exact
    symbolic = exactly(beta_tokens_limit, shape_accept=a, shape_reject=b)
    assert abs(symbolic - exact) <= mpmath.mpf("1e-40") * exact
    assert beta_tokens(a, b, 40) <= beta_tokens_limit(a, b) * (1 + 1e-13)
    assert beta_tokens_limit(a, 1.0) == np.inf
    assert beta_tokens_limit(a, 0.3) == np.inf


def _harmonic(a: float, b: float, gamma: int) -> np.longdouble:
    """1 / E[1 / sum of alpha^k], both integrals by the double-exponential rule in 80-bit numbers.

    With alpha = 1 / (1 + exp(-pi sinh u)) the Beta density times d alpha / d u is
    alpha^a (1 - alpha)^b cosh u, smooth and gone at both ends, so equal steps converge fast.
    """
    u = np.arange(-5.5, 5.5, 1 / 256, dtype=np.longdouble)
    y = np.pi * np.sinh(u)
    log_alpha, log_other = -np.logaddexp(0, -y), -np.logaddexp(0, y)
    log_weight = a * log_alpha + b * log_other
    weight = np.exp(log_weight - log_weight.max()) * np.cosh(u)
    alpha = np.exp(log_alpha)
    total = np.zeros_like(alpha)
    for _ in range(gamma + 1):
        total = total * alpha + 1
    return weight.sum() / (weight / total).sum()


@settings(max_examples=15)
@given(st.floats(0.2, 300), st.floats(0.2, 300), st.integers(0, 40))
def test_request_tokens_are_the_harmonic_mean_over_the_beta_law(
    a: float, b: float, gamma: int
) -> None:
    exact = _harmonic(a, b, gamma)
    assert abs(request_tokens(a, b, gamma) - exact) <= 1e-12 * exact


@pytest.mark.parametrize(("a", "b", "gamma"), [(4, 3, 3), (2, 2, 1)])
def test_the_symbolic_request_tokens_are_the_same_integral(a: float, b: float, gamma: int) -> None:
    got = float(exactly(request_tokens, shape_accept=a, shape_reject=b, gamma=gamma))
    assert got == pytest.approx(float(_harmonic(a, b, gamma)), rel=1e-13)


@settings(max_examples=12)
@given(SHAPE, SHAPE)
def test_with_endless_drafts_requests_yield_the_tokens_of_their_mean(a: float, b: float) -> None:
    rejection = 1 - _moment(a, b, 1)
    assert abs(request_tokens_limit(a, b) - 1 / rejection) <= 1e-13 / rejection
    if b > 0.5:
        assert request_tokens(a, b, 100) <= request_tokens_limit(a, b) * (1 + 1e-12)


def test_request_tokens_approach_their_limit() -> None:
    for a, b in ((6.0, 2.5), (2.0, 3.0), (40.0, 15.0)):
        assert request_tokens(a, b, 400) == pytest.approx(request_tokens_limit(a, b), rel=1e-3)


def sandwich(a: float, b: float, gamma: int) -> tuple[float, float, float]:
    """Tokens a round with alpha kept by a request, independent, and fresh in every round."""
    independent = tokens_per_round(a / (a + b), gamma)
    return request_tokens(a, b, gamma), independent, beta_tokens(a, b, gamma)


@settings(max_examples=25)
@given(st.floats(0.05, 200), st.floats(0.05, 200), st.integers(0, 60))
def test_the_sandwich_is_in_order(a: float, b: float, gamma: int) -> None:
    kept, independent, fresh = sandwich(a, b, gamma)
    assert 1 - 1e-14 <= kept <= independent * (1 + 1e-13)
    assert independent <= fresh * (1 + 1e-13)
    if gamma > 1 and a + b < 20 and a > 0.5 and b > 0.5:
        assert kept < independent < fresh


def test_one_over_the_tokens_is_convex_coefficient_by_coefficient() -> None:
    # (1/E)'' has the sign of 2 E'^2 - E E'', a polynomial in alpha without negative coefficients;
    # those up to alpha^(gamma-2) vanish, since 1/E is linear for endless drafts.
    for gamma in range(1, 40):
        tokens = np.polynomial.Polynomial(np.ones(gamma + 1))
        first, second = tokens.deriv(), tokens.deriv(2)
        coefficients = np.rint((2 * first * first - tokens * second).coef)
        assert (coefficients >= 0).all()
        assert (coefficients[: max(gamma - 1, 0)] == 0).all()
        assert coefficients[max(gamma - 1, 0)] > 0


def test_a_published_looking_fleet_is_overstated_by_its_mean_alpha() -> None:
    cost = 1 + 0.05 * 5
    speedups = [tokens / cost for tokens in sandwich(6, 2.5, 5)]
    assert speedups == pytest.approx([2.308, 2.384, 2.544], abs=1e-3)


def test_concentrated_beta_laws_are_independent_acceptance() -> None:
    gamma = np.arange(0, 8)
    exact = tokens_per_round(0.7, gamma)
    assert np.asarray(beta_tokens(7e8, 3e8, gamma)) == pytest.approx(exact, rel=1e-7)
    assert np.asarray(request_tokens(7e8, 3e8, gamma)) == pytest.approx(exact, rel=1e-7)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1e-6, 1e-6),
        (1e-200, 1e-200),
        (1e200, 1e200),
        (1e-3, 50),
        (1e6, 1e-3),
        (1, 1),
        (1, 1 - 1e-12),
    ],
)
def test_extreme_shapes_stay_in_range(a: float, b: float) -> None:
    for gamma in (0, 1, 30):
        for value in sandwich(a, b, gamma):
            assert 1 - 1e-12 <= value <= (gamma + 1) * (1 + 1e-12)
    survival = BetaRequestAcceptance(a, b).survival(6)
    assert survival[0] == 1
    assert (np.diff(survival) <= 0).all()


def test_simulated_fleets_emit_the_harmonic_mean() -> None:
    law, gamma, length, requests = BetaRequestAcceptance(6, 2.5), 5, 4000, 1500
    counts = draw_requests(
        np.random.default_rng(21), law, gamma=gamma, length=length, requests=requests
    )
    rounds = np.bincount(counts.request)
    tokens = np.bincount(counts.request, weights=counts.accepted + 1)
    assert (tokens >= length).all()
    assert (tokens <= length + gamma).all()
    # Rounds per token of a request is the quantity whose mean is 1 / E[N].
    pace = rounds / tokens
    error = pace.std(ddof=1) / np.sqrt(requests)
    assert abs(pace.mean() - 1 / request_tokens(6, 2.5, gamma)) < 4 * error
    assert tokens_by_gamma(law, gamma)[-1] == pytest.approx(request_tokens(6, 2.5, gamma))
    within, between = law.rounds_variance(length, gamma)
    total = rounds.var(ddof=1)
    assert total == pytest.approx(within + between, rel=4 * np.sqrt(2 / requests) + 0.05)
    assert between > 20 * within


def test_variance_within_requests_is_that_of_independent_rounds() -> None:
    # Requests that do not differ: renewal theory, checked on drawn requests.
    law, gamma, length, requests = BetaRequestAcceptance(8e7, 2e7), 4, 400, 4000
    within, between = law.rounds_variance(length, gamma)
    assert between < 1e-3 * within
    counts = draw_requests(
        np.random.default_rng(5), law, gamma=gamma, length=length, requests=requests
    )
    seen = np.bincount(counts.request).var(ddof=1)
    assert seen == pytest.approx(within, rel=4 * np.sqrt(2 / requests) + 0.02)


def test_the_fit_of_fresh_rounds_finds_its_law_again() -> None:
    rng = np.random.default_rng(9)
    counts = round_counts(BetaRoundAcceptance(4, 2).draw(rng, gamma=8, rounds=80_000), 8)
    fit = fit_beta_round(counts)
    assert float(fit.shape_accept) == pytest.approx(4, rel=0.1)
    assert float(fit.shape_reject) == pytest.approx(2, rel=0.1)
    best = beta_round_log_likelihood(fit, counts)
    for da, db in ((0.05, 0), (-0.05, 0), (0, 0.03), (0, -0.03)):
        other = BetaRoundAcceptance(float(fit.shape_accept) + da, float(fit.shape_reject) + db)
        assert beta_round_log_likelihood(other, counts) < best
    falling = round_counts(np.tile([1, 1, 1, 0], 50), 3)
    flat = fit_beta_round(falling)
    assert float(flat.shape_accept) + float(flat.shape_reject) == pytest.approx(1e6, rel=1e-3)


def test_the_likelihood_of_fresh_rounds_is_the_sum_of_log_probabilities() -> None:
    accepted, drafted = np.array([2, 0, 3, 1]), np.array([2, 3, 3, 4])
    s = [float(_moment(2.5, 1.5, k)) for k in range(6)]
    exact = sum(
        np.log(s[k] if k == g else s[k] - s[k + 1]) for k, g in zip(accepted, drafted, strict=True)
    )
    law = BetaRoundAcceptance(2.5, 1.5)
    assert beta_round_log_likelihood(law, round_counts(accepted, drafted)) == pytest.approx(exact)


def test_the_fit_of_requests_finds_its_law_again() -> None:
    law = BetaRequestAcceptance(6, 3)
    counts = draw_requests(np.random.default_rng(2), law, gamma=4, length=150, requests=1500)
    fit = fit_beta_request(counts)
    assert float(fit.shape_accept) == pytest.approx(6, rel=0.15)
    assert float(fit.shape_reject) == pytest.approx(3, rel=0.15)
    best = beta_request_log_likelihood(fit, counts)
    for da, db in ((0.2, 0), (-0.2, 0), (0, 0.1), (0, -0.1)):
        other = BetaRequestAcceptance(float(fit.shape_accept) + da, float(fit.shape_reject) + db)
        assert beta_request_log_likelihood(other, counts) < best


def test_the_likelihood_of_requests_integrates_alpha_out() -> None:
    counts = round_counts([3, 1, 0, 2], 3, request=["a", "a", "b", "b"])
    # Request a: 4 accepted, 1 rejected; request b: 2 accepted, 2 rejected.
    exact = mpmath.log(mpmath.beta(2.5 + 4, 1.5 + 1) / mpmath.beta(2.5, 1.5))
    exact += mpmath.log(mpmath.beta(2.5 + 2, 1.5 + 2) / mpmath.beta(2.5, 1.5))
    law = BetaRequestAcceptance(2.5, 1.5)
    assert beta_request_log_likelihood(law, counts) == pytest.approx(float(exact), rel=1e-12)


def test_the_laws_give_the_formulas_on_their_axes() -> None:
    gamma, a, b = np.arange(7), np.array([[3.0], [0.7]]), 1.5
    fresh = BetaRoundAcceptance(a[:, 0], b)
    assert tokens_by_gamma(fresh, 6) == pytest.approx(beta_tokens(a, b, gamma), rel=1e-13)
    assert fresh.survival(6)[:, 1:] == pytest.approx(beta_survival(a, b, gamma[1:]), rel=1e-13)
    kept = BetaRequestAcceptance(a[:, 0], b)
    assert tokens_by_gamma(kept, 6) == pytest.approx(request_tokens(a, b, gamma), rel=1e-12)
    # Rounds of a fleet: requests count by their rounds, 1 / E[N | alpha].
    x = (np.arange(100_000) + 0.5) / 100_000
    weight = x**2 * (1 - x) ** 0.5 / tokens_per_round(x, 6)
    exact = [(weight * x**k).sum() / weight.sum() for k in gamma]
    assert kept.survival(6)[0] == pytest.approx(exact, rel=1e-6)
