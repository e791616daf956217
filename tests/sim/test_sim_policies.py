"""Draft-length policies against their originals' rules, in Python and inside the kernels."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pytest
from howspec.sim.rounds import policy as policy_module
from howspec.sim.rounds.policies import (
    batch_table,
    confidence_threshold,
    constant,
    cost_oracle,
    heuristic,
    moving_average,
    oracle,
    survival_threshold,
)
from howspec.sim.rounds.policy import Policy
from howspec.sim.rounds.requests import serve_batches
from howspec.sim.rounds.traces import Trace, trace_from_flags
from howspec.theory import AffineCost
from howspec.theory.limits import oracle_speedup
from hypothesis import example, given
from hypothesis import strategies as st

COST = AffineCost(0.05)


def run_plan(policy: Policy, accepts: list[int], batch: int = 1) -> list[int]:
    """Lengths that a policy plans when the target would accept ``accepts`` in turn."""
    params, state = np.array(policy.params), np.array(policy.state)
    drafted, accepted = -1, 0.0
    lengths = []
    for foresight in accepts:
        drafted = policy.plan(drafted, accepted, batch, foresight, params, state)
        accepted = float(min(drafted, foresight))
        lengths.append(drafted)
    return lengths


def flags_trace(accepts: list[int], gamma: int = 64) -> Trace:
    """One request whose rounds would accept the given numbers of tokens."""
    entries = np.array(accepts, np.int16)
    offsets = np.array([0, entries.size], np.int64)
    return Trace(offsets, entries, np.zeros(1, np.int64), by_round=True)


class Heuristic:
    """The schedule as transformers' candidate generator states it."""

    def __init__(self, start: int) -> None:
        self.tokens = float(start)

    def update(self, matches: int, candidates: int) -> None:
        if matches == candidates:
            self.tokens += 2.0
        else:
            self.tokens = max(1.0, self.tokens - 1.0)


@given(accepts=st.lists(st.integers(0, 40), min_size=1, max_size=60), start=st.integers(1, 20))
def test_the_heuristic_follows_transformers(accepts: list[int], start: int) -> None:
    reference, want = Heuristic(start), []
    for accept in accepts:
        length = int(reference.tokens)
        want.append(length)
        reference.update(min(accept, length), length)
    assert run_plan(heuristic(start, gamma_max=200), accepts) == want


class MovingAverage:
    """The adaptive slot as SGLang states it: candidates, moving average, hysteresis."""

    def __init__(self, steps: list[int], first: int, **options: float) -> None:
        self.steps, self.now = sorted(steps), first
        self.weight, self.interval = options["weight"], options["interval"]
        self.warmup, self.down, self.up = options["warmup"], options["down"], options["up"]
        self.average, self.seen = float(first - 1), 0

    def update(self, accepted: float) -> None:
        if self.now > 0:
            self.average = (1 - self.weight) * self.average + self.weight * accepted
        self.seen += 1
        late = self.seen - self.warmup
        if late <= 0 or late % self.interval:
            return
        at = self.steps.index(self.now)
        if self.now == 0:
            at = min(at + 1, len(self.steps) - 1)
            if self.steps[at] > 0 and self.average < 0:
                self.average = float(self.steps[at] - 1)
        else:
            below = range(at, 0, -1)
            moved = at
            for i in below:
                floor = self.steps[i - 1]
                edge = (0.5 if floor == 0 else floor - 0.5) + self.down
                if self.average > edge:
                    break
                moved = i - 1
            if moved == at:
                while moved + 1 < len(self.steps):
                    if self.average <= self.steps[moved] - 0.5 + self.up:
                        break
                    moved += 1
            at = moved
        self.now = self.steps[at]


@given(
    stretches=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 25)), min_size=2, max_size=8),
    candidates=st.sampled_from([[1, 3, 5, 7], [0, 1, 3], [0, 4, 6], [0], [3, 15], [2]]),
    start=st.integers(0, 3),
    weight=st.sampled_from([0.2, 0.5, 1.0]),
    interval=st.integers(1, 6),
    warmup=st.integers(0, 12),
    down=st.sampled_from([-0.25, 0.0, 0.5]),
    up=st.sampled_from([0.0, 0.25, 1.5]),
)
@example([(1, 3)], [1, 3], 1, 1.0, 1, 0, 0.5, 0.0)  # an average that is just at the edge
def test_the_moving_average_follows_sglang(
    stretches: list[tuple[int, int]], candidates: list[int], start: int, weight: float,
    interval: int, warmup: int, down: float, up: float,
) -> None:  # fmt: skip
    accepts = [accept for accept, rounds in stretches for _ in range(rounds)]
    first = candidates[start % len(candidates)]
    policy = moving_average(
        candidates, initial=first, weight=weight, interval=interval, warmup=warmup, down=down, up=up
    )
    slot = MovingAverage(
        candidates, first, weight=weight, interval=interval, warmup=warmup, down=down, up=up
    )
    want = []
    for accept in accepts:
        want.append(slot.now)
        slot.update(float(min(accept, slot.now)))
    assert run_plan(policy, accepts) == want


def test_a_moving_average_starts_where_it_is_told() -> None:
    assert run_plan(moving_average([1, 3, 5], initial=5), [0]) == [5]
    assert run_plan(moving_average([1, 3, 5], initial=4), [0]) == [3]


def test_a_table_gives_the_entry_of_the_smallest_batch_that_holds_it() -> None:
    policy = batch_table({16: 1, 4: 5, 8: 3})
    lengths = {b: run_plan(policy, [9], batch=b)[0] for b in (1, 4, 5, 8, 9, 16, 17, 400)}
    assert lengths == {1: 5, 4: 5, 5: 3, 8: 3, 9: 1, 16: 1, 17: 0, 400: 0}
    assert policy.gamma_max == 5


def test_the_oracle_drafts_what_will_be_accepted() -> None:
    assert run_plan(oracle(4), [0, 3, 4, 9]) == [0, 3, 4, 4]


@pytest.mark.parametrize(
    ("cost", "alpha"),
    [(AffineCost(1.2), 0.8), (AffineCost(0.1, overhead=2.0), 0.8), (AffineCost(0.3), 0.6)],
)
def test_no_rule_is_faster_than_an_oracle_that_knows_the_cost(
    cost: AffineCost, alpha: float
) -> None:
    rng = np.random.default_rng(4)
    accept = rng.random((40, 300)) < alpha
    trace = trace_from_flags(accept.ravel(), lengths=[300] * 40)
    best = serve_batches(trace, cost, cost_oracle(cost)).latency.sum()
    plain = serve_batches(trace, cost, constant(0)).latency.sum()
    fixed = min(serve_batches(trace, cost, constant(g)).latency.sum() for g in range(12))
    naive = serve_batches(trace, cost, oracle()).latency.sum()
    assert best <= min(fixed, naive) * (1 + 1e-9)
    expected = oracle_speedup(alpha, cost.cost_ratio, overhead=cost.overhead)
    assert plain / best == pytest.approx(expected, rel=0.02)
    if expected > 1.0 and cost.overhead:
        assert best < 0.97 * naive
    # Against every rule, on a short text: the cheapest path over positions.
    row = np.append(accept[0][:59], False)
    run = [int(np.argmin(row[t:])) for t in range(60)]
    times = cost.round_time(32)
    least = [0.0] * 61
    for t in range(59, -1, -1):
        least[t] = min(times[g] + least[t + g + 1] for g in range(min(run[t], 32) + 1))
    short = serve_batches(trace_from_flags(row, lengths=[60]), cost, cost_oracle(cost))
    assert short.latency[0] == pytest.approx(least[0], rel=1e-12)


@pytest.mark.parametrize(
    "policy",
    [
        constant(3),
        heuristic(5),
        moving_average(),
        oracle(8),
        cost_oracle(AffineCost(0.1), 8),
        batch_table({1: 2}),
    ],
    ids=lambda p: p.name,
)
def test_policies_run_alike_in_python_and_compiled(policy: Policy) -> None:
    accepts = np.random.default_rng(1).geometric(0.3, 400).tolist()
    served = serve_batches(flags_trace(accepts), COST, policy)
    rounds = int(served.rounds[0])
    lengths = run_plan(policy, accepts[:rounds])
    assert served.drafted[0] == sum(lengths)
    assert served.accepted[0] == sum(map(min, accepts[:rounds], lengths))


def climb(
    drafted: int, accepted: float, batch: int, foresight: int, params: Any, state: Any
) -> int:
    if drafted < 0 or accepted < drafted:
        return int(params[0])
    return min(drafted + 1, int(params[1]))


def test_a_policy_of_the_user_runs_in_the_kernel() -> None:
    policy = Policy("climb", plan=climb, gamma_max=5, params=(2.0, 5.0))
    served = serve_batches(flags_trace([9] * 40), COST, policy)
    # 2, 3, 4, 5, 5, ... draft tokens, all accepted: 3 + 4 + 5 + 6 + 6 + 6 + 6 + 6 = 42 tokens.
    assert served.rounds[0] == 8
    assert served.drafted[0] == 2 + 3 + 4 + 5 * 5


def beyond(
    drafted: int, accepted: float, batch: int, foresight: int, params: Any, state: Any
) -> int:
    return 7 if drafted < 0 else -1


@pytest.mark.parametrize("gamma_max", [6, 7])
def test_a_length_out_of_range_is_an_error_and_is_not_clipped(gamma_max: int) -> None:
    policy = Policy("beyond", plan=beyond, gamma_max=gamma_max)
    with pytest.raises(ValueError, match=rf"'beyond' planned a length outside \[0, {gamma_max}\]"):
        serve_batches(flags_trace([1] * 40), COST, policy)


def test_the_example_of_the_documentation_runs() -> None:
    assert doctest.testmod(policy_module).failed == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: constant(-1), r"gamma must be an integer in \[0, inf\), got -1"),
        (lambda: constant(2.5), "gamma must be an integer"),  # type: ignore[arg-type]
        (lambda: heuristic(30, gamma_max=20), "initial must be an integer in"),
        (lambda: heuristic(threshold=1.5), r"threshold must be in \[0, 1\], got 1.5"),
        (lambda: confidence_threshold(float("nan")), "threshold must be in"),
        (lambda: survival_threshold(-0.1), "threshold must be in"),
        (lambda: batch_table({}), "one or more entries"),
        (lambda: batch_table({0: 3}), "batch must be an integer"),
        (lambda: batch_table({4: -3}), "gamma must be an integer"),
        (lambda: moving_average([]), "one or more lengths"),
        (lambda: moving_average([-1]), "candidates must be an integer"),
        (lambda: moving_average(weight=2.0), "weight must be in"),
        (lambda: moving_average(interval=0), "interval must be an integer"),
        (lambda: moving_average(down=float("inf")), "down must be a finite number"),
        (lambda: oracle(-1), "gamma_max must be an integer"),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
