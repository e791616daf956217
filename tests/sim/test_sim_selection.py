"""The search for the best draft and gamma: right as often as claimed, no longer than needed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from howspec.sim.rounds.selection import (
    Draft,
    Selection,
    _Moments,
    _probabilities,
    select,
    trace_gamma,
)
from howspec.sim.rounds.traces import trace_from_flags, trace_from_law, walk
from howspec.theory import AffineCost, DepthAcceptance, best_gamma, speedup
from howspec.theory.acceptance import BetaRequestAcceptance, MarkovAcceptance

GOOD = Draft(DepthAcceptance(0.8), AffineCost(0.05))
DRAFTS = [
    Draft(DepthAcceptance(0.7), AffineCost(0.02)),
    GOOD,
    Draft(DepthAcceptance(0.85), AffineCost(0.1)),
]


def run(seed: int, drafts: list[Draft] | None = None, **options: Any) -> Selection:
    return select(np.random.default_rng(seed), drafts or [GOOD], **options)


def test_the_best_gamma_is_found_as_often_as_claimed() -> None:
    exact = np.asarray(speedup(0.8, np.arange(17), 0.05))
    runs = [run(seed, confidence=0.9, indifference=0.001) for seed in range(60)]
    assert all(r.decided for r in runs)
    wrong = sum(exact[r.gamma] < exact.max() * 0.999 for r in runs)
    assert wrong <= 6 + 4 * np.sqrt(60 * 0.09)


def test_a_wrong_cost_changes_the_choice() -> None:
    dear = Draft(DepthAcceptance(0.8), AffineCost(0.2))
    assert run(0, [dear]).gamma == best_gamma(0.8, 0.2)
    hopeless = Draft(DepthAcceptance(0.3), AffineCost(0.5))
    assert run(0, [hopeless]).gamma == 0


@pytest.mark.parametrize("options", [{}, {"common": False}])
def test_the_best_of_several_drafts_is_found(options: dict[str, Any]) -> None:
    found = run(1, DRAFTS, indifference=0.01, **options)
    assert found.decided
    assert found.draft == 1
    exact = float(speedup(0.8, found.gamma, 0.05))
    assert exact > 0.99 * float(speedup(0.8, 8, 0.05))
    assert abs(found.speedups[found.best].z(exact)) < 4.0


def test_estimates_and_probabilities_belong_to_their_candidates() -> None:
    found = run(2, DRAFTS, gamma_max=6, max_rounds=10**6)
    assert found.probabilities.sum() == pytest.approx(1.0)
    assert found.probabilities.argmax() == found.best
    assert found.gammas.tolist() == list(range(7)) * 3
    assert found.drafts.tolist() == [0] * 7 + [1] * 7 + [2] * 7
    rates = ((0.7, 0.02), (0.8, 0.05), (0.85, 0.1))
    for i, estimate in enumerate(found.speedups):
        alpha, cost = rates[found.drafts[i]]
        assert abs(estimate.z(float(speedup(alpha, found.gammas[i], cost)))) < 4.5


def test_common_rounds_and_elimination_save_rounds() -> None:
    full = {"indifference": 0.005, "gamma_max": 12}
    rounds = {
        "equal": run(3, DRAFTS, common=False, eliminate=False, **full).rounds,
        "elimination": run(3, DRAFTS, common=False, **full).rounds,
        "both": run(3, DRAFTS, **full).rounds,
    }
    assert rounds["both"] < 0.1 * rounds["elimination"]
    assert rounds["elimination"] < 0.5 * rounds["equal"]


def test_equal_candidates_end_by_indifference_or_by_the_limit() -> None:
    twins = [GOOD, GOOD]
    assert run(4, twins, common=False, indifference=0.02).decided
    stopped = run(4, twins, common=False, indifference=0.0, max_rounds=200_000)
    assert not stopped.decided
    assert stopped.rounds >= 200_000
    best = np.sort(stopped.probabilities)[-2:]
    assert best[0] > 0.001


def test_the_same_generator_gives_the_same_search() -> None:
    one, two = run(5, DRAFTS), run(5, DRAFTS)
    assert one.rounds == two.rounds
    assert one.speedups == two.speedups
    assert np.array_equal(one.probabilities, two.probabilities)


@pytest.mark.parametrize("law", [MarkovAcceptance(0.9, 0.3), BetaRequestAcceptance(6.0, 2.5)])
def test_laws_whose_rounds_depend_on_gamma_are_drawn_at_it(law: Any) -> None:
    found = run(7, [Draft(law, AffineCost(0.05))], gamma_max=5, max_rounds=300_000)
    exact = law.tokens_by_gamma(5) / (1.0 + 0.05 * np.arange(6))
    for estimate, value in zip(found.speedups, exact, strict=True):
        assert abs(estimate.z(float(value))) < 4.5


def test_moments_are_those_of_the_paired_games() -> None:
    rng = np.random.default_rng(8)
    games = rng.normal(size=(60, 3)) @ rng.normal(size=(3, 3)) + [100.0, 200.0, 300.0]
    moments = _Moments(3)
    moments.add(np.arange(3), games[:40])
    moments.add(np.array([0, 2]), games[40:][:, [0, 2]])
    assert moments.means() == pytest.approx([games[:, 0].mean(), games[:40, 1].mean(),
                                             games[:, 2].mean()])  # fmt: skip
    cov = moments.covariance()
    assert cov[:2, :2] == pytest.approx(
        np.array([[games[:, 0].var(ddof=1), np.cov(games[:40].T)[0, 1]],
                  [np.cov(games[:40].T)[0, 1], games[:40, 1].var(ddof=1)]])
    )  # fmt: skip
    assert cov[0, 2] == pytest.approx(np.cov(games[:, 0], games[:, 2])[0, 1])
    gaps, errors = moments.against(0)
    assert gaps == pytest.approx(
        [0.0, (games[:40, 1] - games[:40, 0]).mean(), (games[:, 2] - games[:, 0]).mean()], abs=1e-9
    )
    assert errors[2, 2] == pytest.approx((games[:, 2] - games[:, 0]).var(ddof=1) / 60)
    assert errors[1, 1] == pytest.approx(
        (games[:40, 1].var(ddof=1) + games[:, 0].var(ddof=1) - 2 * np.cov(games[:40].T)[0, 1]) / 40
    )
    assert abs(errors[0]).max() < 1e-12


def test_probabilities_of_two_are_the_normal_tail() -> None:
    from scipy.stats import norm

    rng = np.random.default_rng(9)
    errors = np.array([[0.0, 0.0], [0.0, 0.25]])
    share = _probabilities(rng, np.array([0.0, 0.6]), errors, samples=400_000)[1]
    assert abs(share - norm.cdf(1.2)) < 4.0 * np.sqrt(0.115 * 0.885 / 400_000)


def test_the_best_gamma_of_a_trace_is_that_of_its_total_times() -> None:
    rng = np.random.default_rng(10)
    trace = trace_from_law(rng, DepthAcceptance(0.8), gamma_max=12, lengths=np.full(300, 400))
    found = trace_gamma(rng, trace, AffineCost(0.05), gamma_max=12)
    rounds, _ = walk(trace, np.arange(13))
    times = (rounds * (1.0 + 0.05 * np.arange(13))).sum(axis=0)
    assert found.gamma == times.argmin()
    assert found.speedups[found.gamma].mean == pytest.approx(120_000 / times.min())
    assert found.probabilities.sum() == pytest.approx(1.0)
    assert found.rounds == rounds.sum()
    exact = np.asarray(speedup(0.8, np.arange(13), 0.05))
    assert exact[found.gamma] > 0.995 * exact.max()


def test_few_requests_leave_the_best_gamma_of_a_trace_open() -> None:
    rng = np.random.default_rng(11)
    rates = np.repeat(rng.beta(4.0, 1.5, 8), 100)
    trace = trace_from_flags(rng.random(rates.size) < rates, lengths=np.full(8, 100))
    found = trace_gamma(rng, trace, AffineCost(0.05))
    assert 0.0 < found.probabilities.max() < 0.95
    assert np.count_nonzero(found.probabilities) > 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"confidence": 1.0}, r"confidence must be in \(0, 1\), got 1.0"),
        ({"indifference": -0.1}, r"indifference must be in \[0, inf\)"),
        ({"growth": 1.0}, r"growth must be in \(1, inf\)"),
        ({"gamma_max": 2.5}, "gamma_max must be an integer"),
        ({"block": 0}, "block must be an integer"),
        ({"first": 3}, r"first must be an integer in \[8, inf\)"),
    ],
)
def test_bad_options_are_refused_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        run(0, **options)
    assert "\n" not in str(error.value)


def test_bad_candidates_are_refused() -> None:
    with pytest.raises(ValueError, match="drafts must hold one or more"):
        select(np.random.default_rng(0), [])
    with pytest.raises(ValueError, match="cost law must be single"):
        run(0, [Draft(DepthAcceptance(0.5), AffineCost([0.1, 0.2]))])
