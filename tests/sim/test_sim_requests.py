"""Requests and batches against an independent event loop, renewal theory and exact identities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from confident_trace import confident_trace
from howspec.sim.rounds.estimate import mean_estimate, ratio_estimate
from howspec.sim.rounds.policies import (
    batch_table,
    confidence_threshold,
    constant,
    heuristic,
    moving_average,
    oracle,
    survival_threshold,
)
from howspec.sim.rounds.policy import Policy
from howspec.sim.rounds.requests import Served, cost_table, serve_batches
from howspec.sim.rounds.traces import Trace, trace_from_flags, trace_from_law
from howspec.theory import AffineCost, DepthAcceptance, speedup, tokens_per_round
from hypothesis import given, settings
from hypothesis import strategies as st

REQUESTS = st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=20), min_size=1, max_size=7)


@dataclass(frozen=True)
class GrowingCost:
    """1 + 0.1 gamma + 0.01 batch (gamma + 1) + 0.001 batch context."""

    shape: tuple[int, ...] = ()

    def round_time(self, gamma: int, *, batch: float = 1, context: float = 0) -> Any:
        g = np.arange(gamma + 1.0)
        return 1.0 + 0.1 * g + 0.01 * batch * (g + 1) + 0.001 * batch * context


def make_trace(requests: list[list[int]], by_round: bool) -> Trace:
    offsets = np.concatenate([[0], np.cumsum([len(r) for r in requests])]).astype(np.int64)
    entries = np.array([a for r in requests for a in r], np.int16)
    return Trace(offsets, entries, np.arange(len(requests), dtype=np.int64) * 3, by_round)


class Sequence:
    """A request in the reference loop."""

    def __init__(self, entries: list[int], prompt: int) -> None:
        self.entries, self.prompt = entries, prompt
        self.at, self.used, self.last, self.waste = 0, 0, 0.0, 0
        self.drafted, self.accepted = 0, 0
        self.gaps: list[float] = []

    @property
    def left(self) -> int:
        return len(self.entries) - self.at


def reference(
    requests: list[list[int]], gamma: int, batch: int, *, by_round: bool, lockstep: bool,
    truncate: bool,
) -> tuple[list[float], list[Sequence]]:  # fmt: skip
    """Latencies and requests of a constant policy, request by request."""
    done = [Sequence(r, 3 * i) for i, r in enumerate(requests)]
    latency = [0.0] * len(done)
    for start in range(0, len(done), batch):
        group, now = done[start : start + batch], 0.0
        while any(s.left for s in group):
            active = [s for s in group if s.left]
            drafts = [min(gamma, s.left - 1) if truncate else gamma for s in active]
            context = sum(s.prompt + s.at for s in active) / len(active)
            size = len(active)
            g = max(drafts)
            now += 1.0 + 0.1 * g + 0.01 * size * (g + 1) + 0.001 * size * context
            emitted = []
            for s, draft in zip(active, drafts, strict=True):
                entry = s.entries[s.used if by_round else s.at]
                emitted.append(min(entry, draft) + 1)
                s.used += 1
                s.drafted += draft
                s.accepted += min(entry, draft)
            for s, tokens in zip(active, emitted, strict=True):
                kept = min(min(emitted) if lockstep else tokens, s.left)
                s.waste += tokens - kept
                s.gaps += [now - s.last] + [0.0] * (kept - 1)
                s.last = now
                s.at += kept
                if not s.left:
                    latency[done.index(s)] = now
    return latency, done


@given(
    requests=REQUESTS,
    gamma=st.integers(0, 6),
    batch=st.integers(1, 4),
    by_round=st.booleans(),
    lockstep=st.booleans(),
    truncate=st.booleans(),
    workers=st.integers(1, 2),
)
def test_batches_are_those_of_the_reference_loop(
    requests: list[list[int]], gamma: int, batch: int, by_round: bool, lockstep: bool,
    truncate: bool, workers: int,
) -> None:  # fmt: skip
    latency, done = reference(
        requests, gamma, batch, by_round=by_round, lockstep=lockstep, truncate=truncate
    )
    served = serve_batches(
        make_trace(requests, by_round), GrowingCost(), constant(gamma), batch=batch,
        lockstep=lockstep, truncate=truncate, gaps=True, workers=workers,
    )  # fmt: skip
    assert served.latency == pytest.approx(latency, rel=1e-12)
    assert served.length.tolist() == [len(r) for r in requests]
    assert served.rounds.tolist() == [s.used for s in done]
    assert served.drafted.tolist() == [s.drafted for s in done]
    assert served.accepted.tolist() == [s.accepted for s in done]
    assert served.wasted.tolist() == [s.waste for s in done]
    assert served.gaps is not None
    assert served.gaps == pytest.approx([x for s in done for x in s.gaps], rel=1e-9, abs=1e-12)


def drawn(alpha: float, length: int, requests: int, seed: int = 1) -> Trace:
    rng = np.random.default_rng(seed)
    law = DepthAcceptance(alpha)
    return trace_from_law(rng, law, gamma_max=8, lengths=np.full(requests, length))


def test_long_requests_reach_the_speedup_of_the_formula() -> None:
    cost = AffineCost(0.05, 0.01, 0.1)
    trace = drawn(0.8, 20_000, 60)
    plain, fast = (serve_batches(trace, cost, constant(gamma)) for gamma in (0, 5))
    found = ratio_estimate(plain.latency, fast.latency)
    exact = float(speedup(0.8, 5, 0.05, verify_slope=0.01, overhead=0.1))
    assert abs(found.z(exact)) < 4.0
    assert found.se < 0.002 * exact


def test_lockstep_accepts_what_the_whole_batch_accepts() -> None:
    trace, batch, gamma = drawn(0.9, 4000, 80), 4, 5
    served = serve_batches(trace, AffineCost(0.1), constant(gamma), batch=batch, lockstep=True)
    per_round = mean_estimate(served.length[::batch] / served.rounds[::batch])
    # All four sequences accept the k-th token with probability alpha^4: shorter rounds by theory.
    assert abs(per_round.z(float(tokens_per_round(0.9**batch, gamma)))) < 4.5
    ragged = serve_batches(trace, AffineCost(0.1), constant(gamma), batch=batch)
    assert ragged.latency.mean() < 0.8 * served.latency.mean()
    assert (ragged.wasted <= gamma).all()


def test_quantiles_of_latency_end_at_the_fastest_and_slowest() -> None:
    served = serve_batches(drawn(0.8, 150, 200), AffineCost(0.05), constant(5))
    assert served.latency_quantiles([0.0, 1.0]).tolist() == [
        served.latency.min(),
        served.latency.max(),
    ]


def test_the_schedule_sees_the_batch_shrink() -> None:
    sure = trace_from_flags(np.ones(18, bool), lengths=[6, 12])
    served = serve_batches(sure, AffineCost(0.1), batch_table({1: 5, 2: 2}), batch=2)
    # Two rounds of 2 + 1 tokens for both, then one round of 5 + 1 for the longer request alone.
    assert served.rounds.tolist() == [2, 3]
    assert served.latency == pytest.approx([2 * 1.2, 2 * 1.2 + 1.5])


@settings(max_examples=25)
@given(alpha=st.floats(0.0, 1.0), batch=st.integers(1, 5))
def test_no_constant_length_is_faster_than_the_oracle(alpha: float, batch: int) -> None:
    flags = np.random.default_rng(1).random(90) < alpha
    trace = trace_from_flags(flags, lengths=[40, 30, 20])
    best = serve_batches(trace, AffineCost(0.1), oracle(), batch=1).latency.sum()
    for gamma in (0, 1, 4):
        assert serve_batches(trace, AffineCost(0.1), constant(gamma)).latency.sum() >= best - 1e-9


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("length", [1, 2, 57])
@pytest.mark.parametrize(
    "policy",
    [
        constant(0),
        constant(8),
        heuristic(1),
        heuristic(20, threshold=0.4),
        confidence_threshold(0.4),
        survival_threshold(0.5),
        moving_average([0]),
        moving_average([0, 1, 3]),
        batch_table({1: 0}),
        batch_table({1: 4}),
        oracle(0),
        oracle(40),
    ],
    ids=lambda p: p.name,
)
def test_degenerate_requests_end_with_every_token(
    policy: Policy, length: int, alpha: float
) -> None:
    trace = confident_trace(np.random.default_rng(0), alpha, [length] * 3)
    for truncate in (False, True):
        served = serve_batches(trace, AffineCost(0.05), policy, batch=2, truncate=truncate)
        assert (served.rounds >= 1).all()
        assert (served.rounds <= length).all()
        assert np.isfinite(served.latency).all()
        if alpha == 0.0:
            assert (served.rounds == length).all()
        emitted = served.accepted + served.rounds
        assert (emitted - served.wasted == length).all()
        if truncate:
            assert (served.wasted == 0).all()


def test_the_cost_table_is_exact_for_laws_linear_in_context() -> None:
    law = GrowingCost()
    table, spacing = cost_table(law, gamma_max=4, batch=3, context_max=100.0, knots=5)
    assert spacing == 25.0
    assert table.shape == (3, 5, 5)
    assert table[1, 3] == pytest.approx(law.round_time(4, batch=2, context=75.0))
    assert cost_table(law, gamma_max=4, batch=3, context_max=100.0)[0].shape == (3, 2, 5)


@dataclass(frozen=True)
class SteppedCost:
    """One more unit at every 40 tokens of context, and for batches above 1 only."""

    shape: tuple[int, ...] = ()

    def round_time(self, gamma: int, *, batch: float = 1, context: float = 0) -> Any:
        return np.full(gamma + 1, 1.0 + (batch > 1) * np.floor(context / 40.0))


def test_a_law_not_linear_in_context_gets_a_fine_table() -> None:
    table, spacing = cost_table(SteppedCost(), gamma_max=1, batch=2, context_max=128.0)
    assert spacing == 1.0
    assert table[1, :, 0] == pytest.approx(1.0 + np.floor(np.arange(129) / 40.0))


def served_one(cost: Any = 0.1, **options: Any) -> Served:
    return serve_batches(drawn(0.5, 3, 2), AffineCost(cost), constant(1), **options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: served_one([0.1, 0.2]), "single cost law"),
        (lambda: served_one(batch=0), "batch must be an integer"),
        (lambda: served_one(workers=0), "workers must be an integer"),
        (lambda: served_one().latency_quantiles(1.5), "shares must be in"),
        (lambda: cost_table(AffineCost(0.1), gamma_max=2, batch=1, knots=1), "knots must be"),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
