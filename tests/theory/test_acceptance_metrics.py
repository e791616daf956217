"""The metrics of acceptance convert into each other, and only where that is determined."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from howspec.theory.acceptance.metrics import (
    ConditionalRates,
    Survival,
    acceptance_length,
    alpha_from_drafted_rate,
    alpha_from_length,
    drafted_rate,
)
from hypothesis import given, settings
from hypothesis import strategies as st

mpmath.mp.dps = 50
ALPHA = st.one_of(
    st.floats(1e-290, 1), st.sampled_from([0.0, 1e-12, 1e-3, 1 - 1e-3, 1 - 1e-9, 1 - 1e-15, 1.0])
)
GAMMA = st.integers(1, 40)
# The log line of a llama.cpp server: 87 rounds, 259 drafted tokens, 167 accepted.
LOGGED = (0.805, 0.632, 0.483)


def _accepted(alpha: float, gamma: int) -> mpmath.mpf:
    """Accepted tokens per round by their definition: the sum of the survival."""
    return mpmath.fsum(mpmath.mpf(alpha) ** k for k in range(1, gamma + 1))


@given(ALPHA, GAMMA)
def test_drafted_rate_is_the_mean_survival_over_positions(alpha: float, gamma: int) -> None:
    exact = _accepted(alpha, gamma) / gamma
    assert abs(drafted_rate(alpha, gamma) - exact) <= 1e-13 * exact


@given(ALPHA, GAMMA)
def test_alpha_is_found_again_from_rate_and_from_length(alpha: float, gamma: int) -> None:
    rate = float(_accepted(alpha, gamma) / gamma)
    length = float(1 + _accepted(alpha, gamma))
    assert abs(alpha_from_drafted_rate(rate, gamma) - alpha) <= 1e-14 + 4e-16 * gamma * alpha
    assert alpha_from_drafted_rate(rate, gamma) == pytest.approx(alpha, rel=1e-12)
    assert alpha_from_length(length, gamma) == pytest.approx(alpha, rel=1e-12, abs=1e-14)


@given(st.floats(1e-290, 1), GAMMA)
def test_inverse_solves_the_defining_equation(rate: float, gamma: int) -> None:
    alpha = alpha_from_drafted_rate(rate, gamma)
    assert 0.0 <= alpha <= 1.0
    assert abs(_accepted(alpha, gamma) / gamma - rate) <= 1e-13 * rate * gamma


@settings(max_examples=40)
@given(st.floats(0, 1), GAMMA)
def test_acceptance_length_counts_the_bonus_token(rate: float, gamma: int) -> None:
    exact = 1 + mpmath.mpf(rate) * gamma
    assert abs(acceptance_length(rate, gamma) - exact) <= 1e-15 * exact


def test_the_inverse_broadcasts_and_keeps_its_ends() -> None:
    rates, gammas = np.array([0.0, 0.5, 1.0])[:, None], np.array([1, 3, 1000])
    alpha = alpha_from_drafted_rate(rates, gammas)
    assert alpha.shape == (3, 3)
    assert (alpha[0] == 0).all()
    assert (alpha[2] == 1).all()
    assert alpha[1, 0] == 0.5
    assert isinstance(alpha_from_length(2.0, 3), float)
    assert alpha_from_drafted_rate(1e-200, 7) == pytest.approx(7e-200, rel=1e-12)


def test_drafted_rate_falls_as_gamma_grows_and_never_exceeds_alpha() -> None:
    alpha = np.linspace(0.01, 0.99, 25)[:, None]
    rate = drafted_rate(alpha, np.arange(1, 30))
    assert (np.diff(rate, axis=1) < 0).all()
    assert (rate <= alpha + 1e-15).all()
    assert np.allclose(rate[:, 0], alpha[:, 0], rtol=1e-15)


def test_a_public_log_line_translates_into_every_metric() -> None:
    survival = Survival(np.array(LOGGED))
    assert survival.conditional().values == pytest.approx([0.805, 0.7851, 0.7642], abs=1e-4)
    # 167 of 259 is a little more than 0.64, because the last round drafted one token, not three.
    assert np.mean(LOGGED) == pytest.approx(167 / 259, abs=0.005)
    assert acceptance_length(np.mean(LOGGED), 3) == pytest.approx(2.92)
    alpha = alpha_from_drafted_rate(167 / 259, 3)
    assert alpha + alpha**2 + alpha**3 == pytest.approx(3 * 167 / 259)
    assert acceptance_length(167 / 259, 3) == pytest.approx(1 + 3 * 167 / 259)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_survival_and_conditional_rates_are_inverse(rates: list[float]) -> None:
    survival = ConditionalRates(np.array(rates)).survival()
    again = survival.conditional().survival()
    assert survival.gamma == again.gamma == len(rates)
    assert again.values == pytest.approx(survival.values, rel=1e-12)
    with mpmath.workdps(50):
        exact = [mpmath.fprod(map(mpmath.mpf, rates[: k + 1])) for k in range(len(rates))]
    assert survival.values == pytest.approx([float(x) for x in exact], rel=1e-12)


def test_positions_never_reached_have_rate_zero() -> None:
    assert Survival(np.array([0.5, 0.0, 0.0])).conditional().values.tolist() == [0.5, 0.0, 0.0]
