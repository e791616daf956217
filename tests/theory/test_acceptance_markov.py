"""Bursty acceptance and where rounds start: closed forms against the balance of the chain."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy
from exact import exactly
from howspec.theory import acceptance
from howspec.theory.formula import SYMBOLS
from howspec.theory.rounds import tokens_per_round
from hypothesis import given, settings
from hypothesis import strategies as st

mpmath.mp.dps = 50
RATE = st.one_of(st.floats(1e-9, 1), st.sampled_from([1e-12, 1e-3, 1 - 1e-6, 1 - 1e-14, 1.0]))
GAMMA = st.integers(1, 24)


def _balance(p: float, q: float, gamma: int) -> tuple[mpmath.mpf, mpmath.mpf]:
    """(E[N], s_1) from the chain over rounds: its two starting states and their stationary law.

    A round that starts after a token in state x accepts its first token with p or q; a full round
    is followed by the hidden state of its bonus token.
    """
    mp_p, mp_q = mpmath.mpf(p), mpmath.mpf(q)
    tokens, to_good, first = [], [], [mp_q, mp_p]
    for start in first:
        reach = [mpmath.mpf(1)] + [start * mp_p ** (k - 1) for k in range(1, gamma + 1)]
        law = [reach[k] - reach[k + 1] for k in range(gamma)] + [reach[gamma]]
        tokens.append(mpmath.fsum((k + 1) * law[k] for k in range(gamma + 1)))
        to_good.append(law[gamma] * mp_p)
    good = to_good[0] / (1 - to_good[1] + to_good[0])
    return (
        (1 - good) * tokens[0] + good * tokens[1],
        (1 - good) * first[0] + good * first[1],
    )


def _all_positions(p: float, q: float, gamma: int) -> tuple[mpmath.mpf, mpmath.mpf]:
    """(mean tokens over every starting position, stationary rate), by their definitions."""
    mp_p, mp_q = mpmath.mpf(p), mpmath.mpf(q)
    rate = mp_q / (mp_q + 1 - mp_p)  # flow into and out of the accepted state balance
    return 1 + mpmath.fsum(rate * mp_p ** (k - 1) for k in range(1, gamma + 1)), rate


@given(RATE, RATE, GAMMA)
def test_tokens_are_those_of_the_stationary_chain_over_rounds(
    p: float, q: float, gamma: int
) -> None:
    tokens, first = _balance(p, q, gamma)
    assert abs(acceptance.markov_tokens(p, q, gamma) - tokens) <= 1e-13 * tokens
    assert abs(acceptance.markov_first_rate(p, q, gamma) - first) <= 1e-13 * first
    if p < 1 - 1e-9:
        point = {"accept_after_accept": p, "accept_after_reject": q, "gamma": gamma}
        for function, exact in (
            (acceptance.markov_tokens, tokens),
            (acceptance.markov_first_rate, first),
        ):
            symbolic = exactly(function, **point)
            assert abs(symbolic - exact) <= mpmath.mpf("1e-25") * exact


@settings(max_examples=25)
@given(RATE, RATE, GAMMA)
def test_mean_over_all_positions_and_its_bias_match_their_definitions(
    p: float, q: float, gamma: int
) -> None:
    every, rate = _all_positions(p, q, gamma)
    bias = every / _balance(p, q, gamma)[0] - 1
    assert abs(acceptance.markov_offset_tokens(p, q, gamma) - every) <= 1e-13 * every
    assert abs(acceptance.markov_token_rate(p, q) - rate) <= 1e-14 * rate
    assert abs(acceptance.markov_start_bias(p, q, gamma) - bias) <= 1e-12 * abs(bias) + 1e-45
    if p < 1 - 1e-9 and abs(p - q) > 1e-6:  # SymPy refines a difference of equals for seconds
        point = {"accept_after_accept": p, "accept_after_reject": q}
        symbolic = exactly(acceptance.markov_token_rate, **point)
        assert abs(symbolic - rate) <= mpmath.mpf("1e-25") * rate
        for function, exact in (
            (acceptance.markov_offset_tokens, every),
            (acceptance.markov_start_bias, bias),
        ):
            symbolic = exactly(function, **point, gamma=gamma)
            assert abs(symbolic - exact) <= mpmath.mpf("1e-25")


@settings(max_examples=15)
@given(st.floats(0, 0.9), RATE)
def test_endless_drafts_depend_on_the_share_of_accepted_tokens_only(p: float, q: float) -> None:
    exact = _balance(p, q, 500)[0]
    assert abs(acceptance.markov_tokens_limit(p, q) - exact) <= 1e-12 * exact
    assert acceptance.markov_tokens_limit(p, q) == pytest.approx(
        1 / (1 - acceptance.markov_token_rate(p, q)), rel=1e-9
    )
    point = {"accept_after_accept": p, "accept_after_reject": q}
    symbolic = exactly(acceptance.markov_tokens_limit, **point)
    assert abs(symbolic - exact) <= mpmath.mpf("1e-20") * exact


def test_equal_transition_rates_are_independent_acceptance() -> None:
    p, g = SYMBOLS.alpha, SYMBOLS.gamma
    assert sympy.simplify(acceptance.markov_tokens(p, p, g) - tokens_per_round(p, g)) == 0
    alpha = np.linspace(0, 1, 21)[:, None]
    gamma = np.arange(0, 12)
    assert np.allclose(
        acceptance.markov_tokens(alpha, alpha, gamma), tokens_per_round(alpha, gamma), rtol=1e-14
    )
    assert (acceptance.markov_start_bias(alpha, alpha, gamma) == 0).all()


def test_bursts_lower_tokens_and_raise_the_mean_over_all_positions() -> None:
    p, q = np.meshgrid(np.linspace(0.01, 0.99, 23), np.linspace(0.01, 0.99, 23))
    p, q = np.maximum(p, q)[..., None], np.minimum(p, q)[..., None]
    gamma = np.arange(1, 20)
    run = acceptance.markov_tokens(p, q, gamma)
    same_rate = tokens_per_round(acceptance.markov_token_rate(p, q), gamma)
    assert (run <= same_rate * (1 + 1e-12)).all()
    assert (same_rate <= acceptance.markov_offset_tokens(p, q, gamma) * (1 + 1e-12)).all()
    assert (acceptance.markov_start_bias(p, q, gamma) >= 0).all()
    assert (acceptance.markov_start_bias(q, p, gamma) <= 0).all()


def test_the_corners_are_written_out() -> None:
    gamma = np.arange(0, 6)
    assert (acceptance.markov_tokens(1, 0, gamma) == 1).all()
    assert acceptance.markov_token_rate(1, 0) == 0
    assert (acceptance.markov_tokens(1, 0.5, gamma) == gamma + 1).all()
    assert (acceptance.markov_tokens(0.5, 0, gamma) == 1).all()
    assert acceptance.markov_tokens_limit(1, 0.5) == np.inf
    assert acceptance.markov_tokens_limit(1, 0) == 1
    assert acceptance.markov_start_bias(1, 0, 3) == 0
    assert (acceptance.markov_start_bias(1, 0.5, gamma) == 0).all()
    assert (acceptance.markov_start_bias(0, 0, gamma) == 0).all()


def _token_chain(
    rng: np.random.Generator, p: float, q: float, requests: int, length: int
) -> np.ndarray:
    """States of single tokens (accepted or not as drafts), one row a request; started rejected."""
    state = np.zeros((requests, length), bool)
    u = rng.random((requests, length))
    for t in range(1, length):
        state[:, t] = u[:, t] < np.where(state[:, t - 1], p, q)
    return state


def _lengths(states: np.ndarray) -> np.ndarray:
    """Tokens that a round started at each position yields: the run of accepted ones, plus one."""
    run = np.zeros(states.shape, int)
    for t in range(states.shape[1] - 1, -1, -1):
        later = run[:, t + 1] if t + 1 < states.shape[1] else 0
        run[:, t] = np.where(states[:, t], later + 1, 0)
    return run + 1


def test_walking_rounds_over_a_simulated_text_gives_the_closed_forms() -> None:
    rng, p, q, gamma = np.random.default_rng(11), 0.75, 0.2, 3
    rows = _lengths(_token_chain(rng, p, q, 40, 5000))
    counts = acceptance.walk_counts(rows, gamma)
    tokens = counts.accepted + 1.0
    # Rounds depend on each other, so the standard error comes from the 40 requests.
    means = np.array([tokens[counts.request == r].mean() for r in range(40)])
    error = means.std(ddof=1) / np.sqrt(40)
    assert abs(means.mean() - acceptance.markov_tokens(p, q, gamma)) < 4 * error
    every = np.array([acceptance.offset_tokens([row], gamma) for row in rows])
    error = every.std(ddof=1) / np.sqrt(40)
    assert abs(every.mean() - acceptance.markov_offset_tokens(p, q, gamma)) < 4 * error
    assert acceptance.start_position_bias(rows, gamma) == pytest.approx(
        acceptance.markov_start_bias(p, q, gamma), abs=0.02
    )


def test_a_walk_visits_only_the_positions_where_rounds_start() -> None:
    assert acceptance.walk_rounds([3, 9, 9, 1, 2, 9, 5], 3).tolist() == [2, 0, 1, 3]
    assert acceptance.walk_rounds([3, 9, 9, 1, 2, 9, 5], 1).tolist() == [1, 1, 1, 1]
    assert acceptance.offset_tokens([[3, 9], [1]], 3) == pytest.approx((3 + 4 + 1) / 3)


def test_draws_are_the_rounds_of_one_chain() -> None:
    p, q, gamma = 0.8, 0.3, 4
    law = acceptance.MarkovAcceptance(p, q)
    rng = np.random.default_rng(3)
    parts = [law.draw(rng, gamma=gamma, rounds=500) for _ in range(200)]
    means = np.array([x.mean() for x in parts])
    error = means.std(ddof=1) / np.sqrt(means.size)
    assert abs(means.mean() + 1 - acceptance.markov_tokens(p, q, gamma)) < 4 * error
    # The first round of each call is stationary too.
    short, calls = acceptance.MarkovAcceptance(0.7, 0.1), 12_000
    starts = np.array([short.draw(rng, gamma=1, rounds=1)[0] > 0 for _ in range(calls)])
    first = acceptance.markov_first_rate(0.7, 0.1, 1)
    assert abs(starts.mean() - first) < 4 * np.sqrt(first * (1 - first) / starts.size)
    # After a rejection q, after a full round p^2 + (1 - p) q.
    x = np.concatenate(parts)
    full, took = x[:-1] == gamma, x[1:] > 0
    for chosen, rate in ((~full, q), (full, p * p + (1 - p) * q)):
        n = chosen.sum()
        assert abs(took[chosen].mean() - rate) < 4.5 * np.sqrt(rate * (1 - rate) / n)
    assert law.draw(rng, gamma=0, rounds=3).tolist() == [0, 0, 0]


def test_the_fit_finds_the_chain_again_and_is_near_the_likelihood_maximum() -> None:
    rng = np.random.default_rng(5)
    accepted = acceptance.MarkovAcceptance(0.75, 0.2).draw(rng, gamma=4, rounds=40_000)
    counts = acceptance.round_counts(accepted, 4)
    fit = acceptance.fit_markov(counts)
    assert fit.accept_after_accept == pytest.approx(0.75, abs=0.01)
    assert fit.accept_after_reject == pytest.approx(0.2, abs=0.01)
    at_fit = acceptance.markov_log_likelihood(fit, counts)
    for dp, dq in ((0.03, 0), (-0.03, 0), (0, 0.02), (0, -0.02)):
        p, q = fit.accept_after_accept + dp, fit.accept_after_reject + dq
        assert acceptance.markov_log_likelihood(acceptance.MarkovAcceptance(p, q), counts) < at_fit


def test_the_fit_meets_the_measured_tokens_also_where_the_chain_is_wrong() -> None:
    rng = np.random.default_rng(6)
    alpha = np.repeat(rng.beta(2, 3, 200), 200)
    accepted = (rng.random((40_000, 3)) < alpha[:, None]).cumprod(axis=1).sum(axis=1)
    fit = acceptance.fit_markov(acceptance.round_counts(accepted, 3))
    tokens = acceptance.markov_tokens(fit.accept_after_accept, fit.accept_after_reject, 3)
    assert tokens == pytest.approx(1 + accepted.mean(), rel=0.02)


def test_a_fit_by_hand_from_few_rounds() -> None:
    # Two requests; the first round of each has no known past. gamma = 3.
    counts = acceptance.round_counts([3, 2, 0, 1, 3, 3, 0], 3, request=[0, 0, 0, 0, 1, 1, 1])
    fit = acceptance.fit_markov(counts)
    p = (2 + 1 + 0 + 2 + 2) / (2 + 2 + 1 + 2 + 2)  # kept after kept, over tried after kept
    assert fit.accept_after_accept == pytest.approx(p)
    # First tokens: after a full round 1 of 1, 1 of 1 and 0 of 1; after a rejected one 0, 1 of 2.
    q = (3 - p * p * 3) / (2 + (1 - p) * 3)
    assert fit.accept_after_reject == pytest.approx(min(max(q, 0), 1))


def test_the_law_gives_the_formulas_on_its_axes() -> None:
    law = acceptance.MarkovAcceptance(np.array([0.85, 0.5]), 0.4)
    assert law.tokens_by_gamma(5) == pytest.approx(
        acceptance.markov_tokens(np.array([[0.85], [0.5]]), 0.4, np.arange(6))
    )
    survival = law.survival(5)
    assert survival.shape == (2, 6)
    assert (survival[:, 0] == 1).all()
    assert survival[:, 1] == pytest.approx(
        acceptance.markov_first_rate(np.array([0.85, 0.5]), 0.4, 5)
    )
    assert survival[:, 2:] / survival[:, 1:-1] == pytest.approx(
        np.broadcast_to([[0.85], [0.5]], (2, 4))
    )
