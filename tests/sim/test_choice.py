"""The one chooser: objectives, the mean that belongs to each, what is at stake, invariances."""

from __future__ import annotations

import numpy as np
import pytest
from howspec.sim.choice import OBJECTIVES, Choice, between, choose
from howspec.sim.prediction import predict, speedup_table
from howspec.theory import AffineCost, DepthAcceptance
from howspec.theory.domain import Floats
from hypothesis import assume, given, settings
from hypothesis import strategies as st

TABLES = st.tuples(st.integers(0, 10**6), st.integers(1, 60), st.integers(2, 12))


def drawn(seed: int, draws: int, gammas: int, wide: float = 0.5) -> Floats:
    table = np.exp(wide * np.random.default_rng(seed).standard_normal((draws, gammas)))
    table[:, 0] = 1.0
    return table


def brute(table: Floats, objective: str, plain: Floats) -> tuple[int, float]:
    """(best gamma, its mean) by the definition, draw by draw."""
    losses, means = [], []
    for g in range(table.shape[1]):
        own = [float(v) for v in table[:, g]]
        if objective == "throughput":
            means.append(sum(own) / len(own))
            losses.append(-means[-1])
        elif objective == "regret":
            tops = [float(row.max()) for row in table]
            losses.append(sum(1.0 - s / m for s, m in zip(own, tops, strict=True)))
            means.append(float(np.prod(np.array(own) ** (1.0 / len(own)))))
        elif objective == "safe":
            rest, loss = 0.1 * len(own), 0.0
            for one in sorted((1.0 - s / row.max() for s, row in zip(own, table, strict=True)))[
                ::-1
            ]:
                loss, rest = loss + min(1.0, rest) * one, rest - min(1.0, rest)
            losses.append(loss)
            means.append(float(np.prod(np.array(own) ** (1.0 / len(own)))))
        else:
            w = [1.0] * len(own) if objective == "latency" else [float(p) for p in plain]
            losses.append(sum(p / s for p, s in zip(w, own, strict=True)))
            means.append(sum(w) / losses[-1])
    # None that is expected to be slower than plain decoding.
    best = min((g for g, m in enumerate(means) if m >= means[0]), key=lambda g: losses[g])
    return best, means[best]


@given(TABLES, st.sampled_from(OBJECTIVES))
def test_every_objective_is_its_definition(made: tuple[int, int, int], objective: str) -> None:
    table = drawn(*made)
    plain = np.random.default_rng(made[0]).uniform(0.5, 2.0, len(table))
    found = choose(table, objective=objective, plain=plain)  # type: ignore[arg-type]
    gamma, mean = brute(table, objective, plain)
    assert (found.gamma, found.speedup) == (gamma, pytest.approx(mean))
    top = table.max(axis=1)
    assert found.within == pytest.approx(np.mean(table[:, gamma] >= 0.95 * top))
    assert found.regret == pytest.approx(np.mean(1.0 - table[:, gamma] / top))
    assert found.probability_best.sum() == pytest.approx(1.0)
    assert found.draws == pytest.approx(table[:, gamma])
    assert gamma in found.window(0.01)
    assert found.probability_gain == (np.mean(table[:, gamma] > 1.0) if gamma else 0.0)


@given(TABLES, st.sampled_from(OBJECTIVES), st.floats(0.1, 10.0))
def test_order_of_draws_a_common_factor_and_a_dominated_gamma_change_nothing(
    made: tuple[int, int, int], objective: str, factor: float
) -> None:
    rng = np.random.default_rng(made[0])
    table, order = drawn(*made), rng.permutation(made[1])
    plain = rng.uniform(0.5, 2.0, len(table))

    def ask(table: Floats, plain: Floats) -> Choice:
        return choose(table, objective=objective, plain=plain)  # type: ignore[arg-type]

    found = ask(table, plain)
    other = ask(table[order], plain[order])
    assert (other.gamma, other.speedup) == (found.gamma, pytest.approx(found.speedup))
    scaled = ask(factor * table, 7.0 * plain)
    assert (scaled.gamma, scaled.speedup) == (found.gamma, pytest.approx(factor * found.speedup))
    assert (scaled.within, scaled.regret) == (found.within, pytest.approx(found.regret))
    worse = table[:, [found.gamma]] * rng.uniform(0.3, 0.99, (len(table), 1))
    more = ask(np.hstack([table, worse]), plain)
    kept = [more.gamma, more.speedup, more.regret]
    assert kept == pytest.approx([found.gamma, found.speedup, found.regret])
    empty = ask(np.hstack([table, np.zeros((len(table), 1))]), plain)
    assert (empty.gamma, empty.by_gamma[-1], empty.expected_regret[-1]) == (found.gamma, 0.0, 1.0)


def test_what_is_expected_to_be_slower_than_plain_is_not_chosen() -> None:
    # A draft that gains much in a few cases and loses a little in the others.
    table = np.stack([np.ones(100), np.where(np.arange(100) < 12, 1.6, 0.9)], axis=1)
    found = choose(table, objective="safe")
    assert (found.gamma, found.speedup, found.probability_gain) == (0, 1.0, 0.0)
    assert choose(np.where(table > 1.0, 3.0, table), objective="safe").gamma == 1


@given(st.integers(0, 10**6), st.floats(0.1, 0.9), st.floats(2.0, 100.0), st.floats(-2.5, -0.7))
def test_a_fixed_amount_of_work_is_given_no_more_draft_tokens_than_a_fixed_time(
    seed: int, mean: float, worth: float, log_cost: float
) -> None:
    alpha = np.random.default_rng(seed).beta(mean * worth, (1.0 - mean) * worth, 300)
    table = speedup_table(DepthAcceptance(alpha), AffineCost(10.0**log_cost), 24)
    work, less, time = (
        choose(table, objective=o).gamma for o in ("latency", "regret", "throughput")
    )  # type: ignore[arg-type]
    assert max(work, less) <= time
    means = [choose(table, objective=o).by_gamma for o in ("latency", "regret", "throughput")]  # type: ignore[arg-type]
    assert (np.diff(means, axis=0) >= -1e-12).all()  # harmonic, geometric, arithmetic


def test_energy_and_price_weigh_by_the_plain_step_and_are_latency_where_it_is_known() -> None:
    table = np.array([[1.0, 2.0, 3.0], [1.0, 1.5, 0.9]])
    even = [choose(table, objective=o) for o in ("latency", "energy", "price")]  # type: ignore[arg-type]
    assert len({(c.gamma, c.speedup) for c in even}) == 1
    assert even[0].gamma == 1
    slow = choose(table, objective="price", plain=[9.0, 1.0])
    assert slow.gamma == 2
    assert slow.speedup == pytest.approx(10.0 / (9.0 / 3.0 + 1.0 / 0.9))
    with pytest.raises(ValueError, match=r"objective must be one of safe, .* got 'fast'"):
        choose(table, objective="fast")  # type: ignore[arg-type]


def test_the_stated_regret_is_what_simulated_truths_lose() -> None:
    rng = np.random.default_rng(5)
    cost = AffineCost(0.08)
    found = choose(speedup_table(DepthAcceptance(rng.beta(6.0, 3.0, 4000)), cost, 24))
    truth = speedup_table(DepthAcceptance(rng.beta(6.0, 3.0, 20000)), cost, 24)
    lost = 1.0 - truth[:, found.gamma] / truth.max(axis=1)
    assert found.regret == pytest.approx(lost.mean(), abs=4.0 * lost.std() / np.sqrt(4000))
    assert found.within == pytest.approx((lost <= 0.05).mean(), abs=0.03)


@given(st.integers(0, 10**6))
@settings(max_examples=40)
def test_drafts_are_ordered_by_what_their_objective_makes_largest(seed: int) -> None:
    tables = [drawn(seed + i, 50, 6, 0.3) for i in range(4)]
    for objective in OBJECTIVES:
        choices = [choose(t, objective=objective) for t in tables]
        stacked = np.stack([*(c.draws for c in choices), np.ones(50)], axis=1)
        best = int(between(choices).argmax())
        lost = 1.0 - stacked / stacked.max(axis=1, keepdims=True)
        if objective == "regret":
            assert best == lost[:, :-1].mean(axis=0).argmin()
        elif objective == "safe":
            assert best == np.sort(lost[:, :-1], axis=0)[-5:].mean(axis=0).argmin()
        else:
            assume(between(choices).max() > 1.0)
            assert best == choose(stacked[:, :-1], objective=objective).gamma


def test_a_prediction_says_its_objective_and_what_the_choice_costs() -> None:
    rng = np.random.default_rng(1)
    law = DepthAcceptance(rng.beta(8.0, 2.0, 500))
    said = {o: predict(law, AffineCost(0.05), objective=o) for o in OBJECTIVES}
    assert said["latency"].gamma < said["throughput"].gamma
    for objective, one in said.items():
        own = choose(speedup_table(law, AffineCost(0.05), 32), objective=objective)
        assert (one.objective, one.gamma, one.within, one.regret) == (
            objective, own.gamma, own.within, own.regret,
        )  # fmt: skip
        assert one.speedup.estimate == own.speedup
        assert 0.0 < one.regret < 0.2
    exact = predict(DepthAcceptance(0.8), AffineCost(0.05))
    assert (exact.within, exact.regret) == (1.0, 0.0)
