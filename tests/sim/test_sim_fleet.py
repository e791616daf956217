"""The fleet simulator against an independent event loop, queueing theory and exact identities."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from howspec.sim.fleet.crossover import find_crossover
from howspec.sim.fleet.fleet import FleetResult, run_fleet, simulate_fleet
from howspec.sim.fleet.inputs import (
    Engine,
    Workload,
    build_engine,
    capacity,
    draw_workload,
    mean_rounds,
)
from howspec.sim.fleet.kernel import AREA, BUSY, CLOCK, DONE, ROUNDS, TOKENS, TURNS, FleetRun
from howspec.sim.fleet.steady import halfwidth, mser
from howspec.sim.rounds.estimate import Estimate
from howspec.theory import AffineCost, DepthAcceptance, tokens_pmf
from howspec.theory.costs import LinearStepCost, crossover_load, latency_under_load
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

LAW = DepthAcceptance(0.75, 0.97)


@dataclass(frozen=True)
class LoadCost:
    """fixed (1 + gamma c) + batch (gamma + 1) (each + per_context context) seconds a round."""

    fixed: float
    each: float = 0.0
    cost_ratio: float = 0.05
    per_context: float = 0.0
    shape: tuple[int, ...] = ()

    def round_time(self, gamma: int, *, batch: float = 1, context: float = 0) -> Any:
        g = np.arange(gamma + 1.0)
        return self.fixed * (1 + g * self.cost_ratio) + batch * (g + 1) * (
            self.each + self.per_context * context
        )

    def parts(self, gamma: int) -> tuple[float, float]:
        """Fixed seconds of a round, and seconds per sequence."""
        return self.fixed * (1 + gamma * self.cost_ratio), self.each * (gamma + 1)


COST = LoadCost(6e-3, 1e-4)


# An independent event loop: requests are objects, tokens are drawn with Python integers.


def uniform(key: int, request: int, draw: int) -> float:
    mask = 2**64 - 1
    z = (key + (request * 2**24 + draw) * 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return ((z ^ (z >> 31)) >> 11) / 2**53


def reference(
    workload: Workload, laws: list[Any], cost: Any, gamma: list[int], rate: float, context: bool
) -> list[tuple[float, float, float]]:
    """(start, first, finish) of every request, round by round; gamma[b - 1] at batch b."""
    clock, queue, running = 0.0, list(range(workload.requests)), []
    arrival = np.cumsum(workload.gaps) / rate
    seen: dict[int, list[float]] = {}
    made = dict.fromkeys(queue, 0)
    turns = dict.fromkeys(queue, 0)
    while queue or running:
        if not running:
            clock = max(clock, arrival[queue[0]])
        while queue and len(running) < len(gamma) and arrival[queue[0]] <= clock:
            seen[queue[0]] = [clock]
            running.append(queue.pop(0))
        g = gamma[len(running) - 1]
        held = np.mean([workload.prompts[r] + made[r] for r in running]) if context else 0.0
        clock += cost.round_time(g, batch=len(running), context=held)[-1]
        for r in list(running):
            turns[r] += 1
            alive = laws[int(workload.kinds[r] * len(laws))].survival(g)
            u = uniform(workload.key, r, turns[r]) if g else 1.0
            made[r] += 1 + sum(u < alive[k] for k in range(1, g + 1))
            if turns[r] == 1:
                seen[r].append(clock)
            if made[r] >= workload.lengths[r]:
                seen[r].append(clock)
                running.remove(r)
    return [(s[0], s[1], s[2]) for _, s in sorted(seen.items())]


def estimated(seed: int, engine: Engine, rate: float, lengths: Any, **options: Any) -> FleetResult:
    rng = np.random.default_rng(seed)
    return simulate_fleet(rng, engine=engine, arrival_rate=rate, lengths=lengths, **options)


def waits(run: FleetRun) -> Any:
    return run.finish - run.arrival


def lone(engine: Engine, *, requests: int = 4000, length: int = 20, seed: int = 5) -> FleetRun:
    """Requests that never meet, ten seconds apart."""
    work = draw_workload(np.random.default_rng(seed), requests=requests, lengths=length)
    apart = replace(work, gaps=np.ones(requests))
    return run_fleet(apart, engine, arrival_rate=0.1, warmup=0.0, windows=1)


@given(
    seed=st.integers(0, 2**32),
    gamma=st.lists(st.integers(0, 6), min_size=1, max_size=6),
    alpha=st.floats(0, 1),
    rate=st.floats(0.5, 300),
    context=st.booleans(),
)
@settings(max_examples=40)
def test_every_request_has_the_times_of_an_independent_event_loop(
    seed: int, gamma: list[int], alpha: float, rate: float, context: bool
) -> None:
    laws, cost = [DepthAcceptance(alpha, 0.95), LAW], replace(COST, per_context=1e-6)
    work = draw_workload(
        np.random.default_rng(seed),
        requests=25,
        lengths=lambda rng, n: rng.integers(1, 30, n),
        prompts=lambda rng, n: rng.integers(0, 200, n),
    )
    engine = build_engine(
        laws, cost, gamma=gamma, max_batch=len(gamma), context_max=230 if context else None
    )
    run = run_fleet(work, engine, arrival_rate=rate, windows=3)
    expected = np.array(reference(work, laws, cost, gamma, rate, context))
    np.testing.assert_allclose(
        np.stack([run.start, run.first, run.finish], 1), expected, rtol=1e-10
    )


def test_numba_and_the_interpreter_give_the_same_bits() -> None:
    work = draw_workload(np.random.default_rng(1), requests=60, lengths=40, prompts=7)
    engine = build_engine(LAW, COST, gamma=[5, 4, 3, 0], max_batch=4, context_max=50)
    fast = run_fleet(work, engine, arrival_rate=5.0)
    slow = run_fleet(work, engine, arrival_rate=5.0, jit=False)
    for name in ("start", "first", "finish", "totals"):
        assert np.array_equal(getattr(fast, name), getattr(slow, name)), name


def test_rounds_of_a_lone_request_follow_the_exact_renewal_law() -> None:
    gamma, length = 4, 20
    run = lone(build_engine(DepthAcceptance(0.75), COST, gamma=gamma), requests=40_000)
    seconds = COST.round_time(gamma)[-1]
    rounds = np.rint((run.finish - run.start) / seconds).astype(int)
    np.testing.assert_allclose(run.finish - run.start, rounds * seconds, atol=1e-6)
    pmf = np.concatenate([[0.0], tokens_pmf(0.75, gamma)])
    total, done = np.array([1.0]), [0.0]
    for _ in range(length):  # P(R <= r) = P(the first r rounds emit at least the length)
        total = np.convolve(total, pmf)
        done.append(float(total[length:].sum()))
    expected = np.diff(done)
    counts = np.bincount(rounds, minlength=length + 1)[1:]
    keep = expected * rounds.size > 10
    observed = np.append(counts[keep], counts[~keep].sum())
    probabilities = np.append(expected[keep], expected[~keep].sum())
    assert chisquare(observed, probabilities * rounds.size).pvalue > 1e-4


def test_littles_law_holds_exactly() -> None:
    work = draw_workload(
        np.random.default_rng(2), requests=3000, lengths=lambda rng, n: rng.geometric(0.02, n)
    )
    engine = build_engine(LAW, COST, gamma=[3] * 10, max_batch=10)
    run = run_fleet(work, engine, arrival_rate=20.0, windows=7)
    sums = run.totals.sum(axis=0)
    assert (run.start > run.arrival).any()  # the queue is in play
    # Sequence-seconds added round by round against times in service added request by request.
    assert sums[AREA] == pytest.approx((run.finish - run.start).sum(), rel=1e-12)
    # Integral of the number in the system against times in the system.
    times = np.concatenate([run.arrival, run.finish])
    steps = np.concatenate([np.ones(3000), -np.ones(3000)])
    order = np.argsort(times, kind="stable")
    area = (np.cumsum(steps[order])[:-1] * np.diff(times[order])).sum()
    assert area == pytest.approx(waits(run).sum(), rel=1e-12)
    assert sums[CLOCK] == pytest.approx(run.finish.max(), rel=1e-12)
    assert sums[TOKENS] == work.lengths.sum()
    assert sums[DONE] == 3000
    assert sums[AREA] >= sums[BUSY]
    assert sums[TURNS] >= sums[ROUNDS]


@pytest.mark.parametrize("gamma", [0, 2, 5])
@pytest.mark.parametrize("load", [0.05, 0.2, 0.4])
def test_latency_under_light_load_is_that_of_processor_sharing(gamma: int, load: float) -> None:
    """W = m (F + H) / (1 - rate m H), rounds taking F + H batch seconds and a request m rounds.

    Derived from the product form of a processor-sharing queue whose total rate at n requests is
    n / (m (F + H n)): its occupancy is negative binomial with r = 1 + F / H and p = rate m H. The
    mean-field form L F / (E - rate L H) forgets that a request runs beside itself: it is short by
    the factor F / (F + H). Left out of both: an arrival waits for half a round in progress.
    """
    fixed, each = COST.parts(gamma)
    rounds = mean_rounds(LAW.survival(gamma), 150)
    rate = load / (rounds * each)
    engine = build_engine(LAW, COST, gamma=gamma, max_batch=400)
    found = estimated(3, engine, rate, 150, replications=6)
    sharing = rounds * (fixed + each) / (1 - load)
    idle = (1 - load) ** (1 + fixed / each)
    residual = (1 - idle) * (fixed + each * rate * sharing) / 2
    latency = found.estimates["latency_s_mean"]
    assert abs(latency.mean - sharing - residual) < 4 * latency.se + 0.006 * sharing
    assert abs(found.estimates["batch"].mean / (rate * sharing) - 1) < 0.04
    assert abs(found.estimates["utilisation"].mean - (1 - idle)) < 0.03
    tokens = LAW.survival(gamma).sum()
    field = 150 * fixed / (tokens - rate * 150 * each)
    assert field * (fixed + each) / fixed == pytest.approx(latency.mean, rel=0.04)


def test_latency_and_crossover_of_the_linear_law_are_those_of_the_formulas() -> None:
    times: dict[str, Any] = {
        "step_fixed": 7e-3, "step_per_token": 5e-5, "step_per_cached": 4e-8,
        "draft_fixed": 4e-4, "draft_per_token": 1e-6, "draft_per_cached": 2e-9,
    }  # fmt: skip
    cost, length = LinearStepCost(**times), 200
    engine, plain = (
        build_engine(DepthAcceptance(0.7), cost, gamma=g, max_batch=600, context=500)
        for g in (4, 0)
    )
    found = estimated(16, engine, 5.0, length, replications=6)
    formula = latency_under_load(0.7, 4, 5.0 * length, context=500, **times)
    latency = found.estimates["latency_s_mean"].mean / length
    assert latency == pytest.approx(formula, rel=0.02)
    crossing = find_crossover(
        np.random.default_rng(17), engine=engine, plain=plain, lengths=length, requests=1200
    )
    assert crossing.rate is not None
    formula = crossover_load(0.7, 4, context=500, **times)
    assert crossing.rate * length == pytest.approx(formula, rel=0.03)


def test_requests_that_differ_for_good_spread_more_than_rounds_that_do() -> None:
    alphas = [0.3, 0.6, 0.9]
    kinds = [DepthAcceptance(a) for a in alphas]
    mixed = lone(build_engine(kinds, COST, gamma=4), length=100)
    seconds = COST.round_time(4)[-1]
    expected = np.array([mean_rounds(k.survival(4), 100) for k in kinds]) * seconds
    found = waits(mixed)
    assert abs(found.mean() - expected.mean()) < 4 * found.std() / np.sqrt(found.size)
    within = waits(lone(build_engine(kinds[1], COST, gamma=4), length=100)).std()
    assert found.std() > 3 * within
    assert found.std() == pytest.approx(np.hypot(expected.std(), within), rel=0.1)
    one = build_engine(kinds, COST, gamma=4, max_batch=1)
    assert capacity(one, [100]) == pytest.approx(1 / expected.mean(), rel=1e-12)


def test_one_slot_is_an_m_g_1_queue() -> None:
    gamma, length, rate = 4, 30, 5.0
    engine = build_engine(LAW, COST, gamma=gamma, max_batch=1)
    alone = lone(engine, requests=50_000, length=length)
    service = alone.finish - alone.start
    busy = rate * service.mean()
    assert 0.3 < busy < 0.8
    expected = rate * (service**2).mean() / (2 * (1 - busy))  # Pollaczek and Khinchine
    found = estimated(4, engine, rate, length, requests=20_000, replications=10)
    queue = found.estimates["queue_s_mean"]
    assert abs(queue.mean - expected) < 4 * queue.se
    assert queue.se < 0.05 * expected
    assert found.estimates["utilisation"].mean == pytest.approx(busy, abs=0.02)


def test_an_overloaded_fleet_is_called_saturated_and_runs_at_capacity() -> None:
    engine = build_engine(LAW, COST, gamma=3, max_batch=16)
    limit = capacity(engine, [80])
    over, under = (estimated(8, engine, share * limit, 80, replications=4) for share in (1.3, 0.6))
    assert over.saturated
    assert over.note.startswith("saturated: ")
    assert over.load == pytest.approx(1.3)
    assert over.estimates["requests_per_s"].mean == pytest.approx(limit, rel=0.01)
    assert over.estimates["batch"].mean == pytest.approx(16, rel=0.01)
    assert not under.saturated
    assert under.note == ""
    assert under.estimates["requests_per_s"].mean == pytest.approx(0.6 * limit, rel=0.05)


def test_saturation_is_seen_where_the_capacity_of_a_full_batch_hides_it() -> None:
    # Half of the prompts are long, and time is convex in the context: the mean context misleads.
    class Convex(LoadCost):
        def round_time(self, gamma: int, *, batch: float = 1, context: float = 0) -> Any:
            return np.full(gamma + 1, 1e-3 + 1e-9 * context**2)

    engine = build_engine(LAW, Convex(1.0), gamma=0, max_batch=1, context_max=4100, knots=200)
    found = estimated(
        9, engine, 1.5, 100, prompts=lambda rng, n: 4000 * rng.integers(0, 2, n), replications=2
    )
    assert found.load < 0.9
    assert found.saturated


def test_a_flood_that_arrives_within_one_round_is_still_measured() -> None:
    engine = build_engine(LAW, COST, gamma=1, max_batch=4)
    found = estimated(9, engine, 1e9, 10, requests=200, replications=2)
    assert found.saturated
    assert all(np.isfinite(e.mean) for e in found.estimates.values())
    assert found.estimates["requests_per_s"].mean == pytest.approx(capacity(engine, [10]), rel=0.05)


def test_a_round_counts_in_the_window_in_which_it_begins() -> None:
    work = draw_workload(np.random.default_rng(18), requests=101, lengths=1)
    apart = replace(work, gaps=np.ones(101))
    run = run_fleet(
        apart, build_engine(LAW, COST, gamma=2), arrival_rate=0.1, warmup=0.2, windows=4
    )
    assert run.bounds.tolist() == [20, 40, 60, 80, 100]
    assert run.totals[:, DONE].tolist() == [20, 20, 20, 20, 20, 1]
    assert run.totals[:, ROUNDS].tolist() == [20, 20, 20, 20, 20, 1]


def test_percentiles_and_rates_are_those_of_the_requests_after_warm_up() -> None:
    engine = build_engine(LAW, COST, gamma=2, max_batch=8)
    found = estimated(10, engine, 10.0, 30, requests=1000, replications=1, warmup=0.3)
    (child,) = np.random.default_rng(10).spawn(1)
    run = run_fleet(
        draw_workload(child, requests=1000, lengths=30), engine, arrival_rate=10.0, warmup=0.3
    )
    part = slice(300, 999)
    for name, end in (("latency", run.finish), ("ttft", run.first), ("queue", run.start)):
        values = (end - run.arrival)[part]
        assert found.estimates[f"{name}_s_mean"].mean == pytest.approx(values.mean())
        assert found.estimates[f"{name}_s_p95"].mean == pytest.approx(np.percentile(values, 95))
    inside = (run.finish > run.arrival[300]) & (run.finish <= run.arrival[999])
    seconds = run.arrival[999] - run.arrival[300]
    rate = found.estimates["requests_per_s"].mean
    assert rate == pytest.approx(inside.sum() / seconds, rel=0.01)
    tokens = found.estimates["tokens_per_s"].mean
    assert tokens == pytest.approx(30 * rate, rel=0.01)
    whole = run.totals.sum(axis=0)
    kept = whole[TOKENS] / whole[TURNS]
    assert kept == pytest.approx(30 / mean_rounds(LAW.survival(2), 30), rel=0.01)
    per_round = found.estimates["tokens_per_round"]
    assert abs(per_round.mean - LAW.survival(2).sum()) < 4 * per_round.se
    assert per_round.mean > kept
    assert found.estimates["rounds_per_s"].mean == pytest.approx(
        run.totals[1:-1, ROUNDS].sum() / run.totals[1:-1, CLOCK].sum()
    )
    assert found.rounds == whole[TURNS]


def test_batch_means_and_replications_agree_on_the_standard_error() -> None:
    engine = build_engine(LAW, COST, gamma=2, max_batch=64)
    long, many = (
        estimated(11, engine, 20.0, 60, requests=requests, replications=replications)
        for requests, replications in ((100_000, 1), (2500, 40))
    )
    for name in ("latency_s_mean", "latency_s_p95", "batch"):
        a, b = long.estimates[name], many.estimates[name]
        assert 0.4 < a.se / b.se < 2.5, name
        assert abs(a.mean - b.mean) < 4 * np.hypot(a.se, b.se) + 0.02 * a.mean, name


def test_a_run_shorter_than_its_start_up_is_said_not_to_be_stationary() -> None:
    # A batch of about a thousand needs several latencies to fill; 1500 requests end before that.
    cost = LinearStepCost(7e-3, 2e-5, 4e-8, 1e-3, 1e-6, 2e-9)
    engine = build_engine(DepthAcceptance(0.7), cost, gamma=3, max_batch=8000, context=500)
    rate = 0.85 * capacity(engine, [200])
    found = {
        size: estimated(21, engine, rate, 200, requests=size, replications=4)
        for size in (1500, 12_000)
    }
    assert not found[1500].stationary
    assert found[1500].note.startswith("not stationary: ")
    assert found[12_000].stationary
    assert found[12_000].note == ""
    short, long = (found[n].estimates["latency_s_mean"].mean for n in (1500, 12_000))
    assert short < 0.85 * long
    served = found[12_000].estimates["requests_per_s"]
    assert abs(served.mean - rate) < 4 * served.se + 0.01 * rate


def test_runs_grow_until_latency_is_stationary_and_as_precise_as_asked() -> None:
    engine = build_engine(LAW, COST, gamma=2, max_batch=64)
    options: dict[str, Any] = {"arrival_rate": 25.0, "lengths": 60, "replications": 4}
    loose, tight = (
        simulate_fleet(np.random.default_rng(3), engine=engine, precision=p, **options)
        for p in (0.2, 0.003)
    )
    assert loose.requests == 4000 < tight.requests
    for found, limit in ((loose, 0.2), (tight, 0.003)):
        assert found.stationary
        assert halfwidth(found.samples["latency_s_mean"]) <= limit
    # 95 % of Student's t with three degrees of freedom, over the mean.
    latency = tight.estimates["latency_s_mean"]
    assert halfwidth(tight.samples["latency_s_mean"]) == pytest.approx(
        3.182446 * latency.se / latency.mean, rel=1e-6
    )


def test_start_up_is_cut_where_it_ends() -> None:
    rng = np.random.default_rng(5)
    level = np.where(np.arange(400) < 60, np.arange(400) / 60.0, 1.0)
    assert abs(mser(level + 0.02 * rng.standard_normal(400)) - 60) <= 10
    assert mser(np.linspace(0.0, 1.0, 400)) == 200  # a drift without end reaches the bound
    flat = [mser(rng.standard_normal(400)) for _ in range(40)]
    assert np.median(flat) < 80
    # The definition, by direct sums.
    x = rng.standard_normal(31)
    direct = [np.sum((x[d:] - x[d:].mean()) ** 2) / (31 - d) ** 2 for d in range(16)]
    assert mser(x) == int(np.argmin(direct))


def test_rescaling_all_times_rescales_the_latencies() -> None:
    def found(scale: float) -> dict[str, Estimate]:
        cost = LoadCost(6e-3 * scale, 1e-4 * scale)
        engine = build_engine(LAW, cost, gamma=3, max_batch=32)
        return estimated(12, engine, 30.0 / scale, 40, requests=500, replications=2).estimates

    one, eight = found(1.0), found(8.0)
    for name, value in one.items():
        power = 1 if "_s_" in name else -1 if name.endswith("_per_s") else 0
        assert eight[name].mean == pytest.approx(value.mean * 8.0**power, rel=1e-9), name


def test_a_context_is_that_of_every_sequence_or_the_mean_of_a_full_batch() -> None:
    cost = LoadCost(6e-3, 1e-4, per_context=2e-6)
    work = draw_workload(np.random.default_rng(14), requests=3, lengths=100, prompts=1000)
    held = float(np.mean([1000 + j for j in range(100)]))
    expected = 100 * (6e-3 + 1e-4 + 2e-6 * held)
    run = run_fleet(
        work, build_engine(LAW, cost, gamma=0, context=held), arrival_rate=1e-3, windows=1
    )
    np.testing.assert_allclose(run.finish - run.start, expected, rtol=1e-9)
    one = build_engine(LAW, cost, gamma=0, max_batch=1, context_max=1100)
    assert capacity(one, [100], prompts=[1000]) == pytest.approx(1 / expected, rel=1e-3)


@pytest.mark.parametrize(("alpha", "gamma", "length"), [(0.6, 3, 5), (1.0, 2, 7), (0.0, 4, 3)])
def test_mean_rounds_is_the_enumerated_mean(alpha: float, gamma: int, length: int) -> None:
    pmf = tokens_pmf(alpha, gamma)

    def mean(left: int) -> float:
        if left <= 0:
            return 0.0
        return 1 + sum(p * mean(left - n) for n, p in enumerate(pmf, 1))

    survival = DepthAcceptance(alpha).survival(gamma)
    assert mean_rounds(survival, length) == pytest.approx(mean(length), rel=1e-12)
    both = mean_rounds(survival, [length, 1])
    assert both == pytest.approx((mean(length) + 1) / 2, rel=1e-12)


def crossing(cost: LoadCost, *, alpha: float = 0.7, seed: int = 15, requests: int = 1500) -> Any:
    law = DepthAcceptance(alpha)
    engine, plain = (build_engine(law, cost, gamma=g, max_batch=512) for g in (4, 0))
    return find_crossover(
        np.random.default_rng(seed), engine=engine, plain=plain, lengths=100, requests=requests
    )


def test_the_crossover_is_where_the_two_latencies_of_processor_sharing_meet() -> None:
    cost = LoadCost(6e-3, 2e-4)
    sharing = []
    for gamma in (4, 0):
        rounds = mean_rounds(DepthAcceptance(0.7).survival(gamma), 100)
        fixed, each = cost.parts(gamma)
        sharing.append((rounds * (fixed + each), rounds * each))
    (a, b), (a0, b0) = sharing
    expected = (a0 - a) / (a0 * b - a * b0)  # of a / (1 - rate b) = a0 / (1 - rate b0)
    found = crossing(cost)
    assert found.rate == pytest.approx(expected, rel=0.02)
    assert found.low < found.rate < found.high
    assert found.low < expected * 1.01
    assert found.high > expected * 0.99
    assert found.high / found.low < 1.1
    assert "95 % confidence, 12 paired replications" in found.statement
    assert crossing(cost) == found


def test_the_interval_of_the_crossover_holds_other_samples_crossings() -> None:
    cost = LoadCost(6e-3, 2e-4)
    found = [crossing(cost, seed=seed, requests=600) for seed in range(4)]
    centre = np.mean([f.rate for f in found])
    assert sum(f.low <= centre <= f.high for f in found) >= 3


def test_no_crossover_is_reported_where_there_is_none() -> None:
    never = crossing(LoadCost(6e-3, 2e-4), alpha=0.05)
    assert never.rate is None
    assert never.statement.startswith("speculation does not pay even at ")
    assert "95 % confidence" in never.statement
    always = crossing(LoadCost(6e-3, 2e-4, 0.0), alpha=0.99)
    assert always.rate is None
    assert always.statement.startswith("speculation pays up to ")
    assert "95 % confidence" in always.statement
    assert always.low == always.searched[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gamma": -1}, "gamma must be an integer in"),
        ({"gamma": 1.5}, "gamma must be an integer in"),
        ({"gamma": [1, 2]}, "gamma must be one number or a schedule of max_batch = 4"),
        ({"max_batch": 0}, "max_batch must be an integer in"),
        ({"acceptance": DepthAcceptance([0.5, 0.6])}, "acceptance must be a single law"),
        ({"acceptance": []}, "acceptance must be one law or more"),
        ({"cost": AffineCost([0.1, 0.2])}, "cost must be a single law"),
        ({"cost": LoadCost(0.0)}, "the time of a round must be in"),
        ({"cost": LoadCost(float("nan"))}, "the time of a round must be in"),
        ({"context": -1.0}, "context must be in"),
        ({"context_max": 10, "knots": 1}, "knots must be an integer >= 2"),
    ],
)
def test_an_engine_refuses_bad_arguments(change: dict[str, Any], message: str) -> None:
    given_ = {"acceptance": LAW, "cost": COST, "gamma": 1, "max_batch": 4} | change
    with pytest.raises(ValueError, match=message):
        build_engine(given_.pop("acceptance"), given_.pop("cost"), **given_)


@pytest.mark.parametrize(
    ("function", "change", "message"),
    [
        (simulate_fleet, {"arrival_rate": 0.0}, "arrival_rate must be in"),
        (simulate_fleet, {"arrival_rate": float("nan")}, "arrival_rate must be in"),
        (simulate_fleet, {"requests": 0}, "requests must be"),
        (simulate_fleet, {"replications": 0}, "replications must be"),
        (simulate_fleet, {"warmup": 1.0}, "warmup must be in"),
        (simulate_fleet, {"windows": 0}, "windows must be"),
        (simulate_fleet, {"windows": 40, "warmup": 0.2}, "windows must be"),
        (simulate_fleet, {"precision": 0.0}, "precision must be in"),
        (simulate_fleet, {"lengths": 0}, "lengths must be an integer in"),
        (simulate_fleet, {"lengths": 2.5}, "lengths must be an integer in"),
        (simulate_fleet, {"lengths": float("nan")}, "lengths must be an integer in"),
        (simulate_fleet, {"lengths": [1, 2]}, "lengths must have shape"),
        (simulate_fleet, {"prompts": -1}, "prompts must be an integer in"),
        (find_crossover, {"replications": 1}, "replications must be"),
        (find_crossover, {"confidence": 1.0}, "confidence must be in"),
        (find_crossover, {"tolerance": 0.0}, "tolerance must be in"),
        (find_crossover, {"rates": (2.0, 1.0)}, "rates must be"),
    ],
)
def test_a_fleet_and_a_crossover_refuse_bad_arguments(
    function: Any, change: dict[str, Any], message: str
) -> None:
    engine = build_engine(LAW, COST, gamma=1, max_batch=2)
    own = {"plain": engine} if function is find_crossover else {"arrival_rate": 1.0}
    fit: dict[str, Any] = {"lengths": 5, "requests": 50} | own | change
    with pytest.raises(ValueError, match=message):
        function(np.random.default_rng(0), engine=engine, **fit)
