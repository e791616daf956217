"""Batch, context and memory: where speculation pays."""

from __future__ import annotations

import functools
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from exact import both as agree
from exact import decades, tokens_of_round
from howspec.theory import DepthAcceptance
from howspec.theory.costs import batch
from howspec.theory.costs.choose import choose_gamma
from howspec.theory.costs.law import ParallelDraftCost
from howspec.theory.costs.passes import LinearPass, LinearStepCost
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from linear_rounds import ALPHAS, CONTEXTS, H100, SYSTEMS, TARGET, round_time, saved

both = functools.partial(agree, tolerance=1e-11)


@given(ALPHAS, CONTEXTS, SYSTEMS, st.one_of(st.integers(1, 64), decades(0, 5)))
@settings(max_examples=300)
def test_speculation_helps_exactly_inside_the_helpful_batches(
    alpha: float, context: int, times: dict[str, float], rows: float
) -> None:
    low, high = batch.helpful_batches(alpha, context, **times)
    assert 0.0 <= low <= high
    for edge in (low, high):  # a batch within rounding of the edge proves nothing
        assume(abs(rows - edge) > 1e-9 * rows)
    helps = any(saved(g, alpha, Fraction(rows), context, times, Fraction) > 0 for g in range(1, 13))
    assert helps == (low < rows < high)
    if high > low:
        inside = rows if low < rows < high else (low + min(high, 2 * low + 1.0)) / 2
        assert saved(1, alpha, Fraction(inside), context, times, Fraction) > 0


@given(ALPHAS, CONTEXTS, SYSTEMS)
def test_crossover_batch_is_the_root_of_the_gain_of_one_draft_token(
    alpha: float, context: int, times: dict[str, float]
) -> None:
    with mpmath.workdps(60):
        at = [saved(1, alpha, mpmath.mpf(b), context, times, mpmath.mpf) for b in (0, 1)]
        slope = at[1] - at[0]
        # Digits are lost where alpha F nears F_d or the bracket nears 0; stay away from both.
        assume(at[0] > 0.05 * times["draft_fixed"] and at[0] > 0.05 * alpha * times["step_fixed"])
        scale = times["step_per_token"] + times["step_per_cached"] * context
        assume(-slope > 0.01 * scale)
        both(batch.crossover_batch, -at[0] / slope, {"alpha": alpha, "context": context} | times)


@given(ALPHAS, SYSTEMS)
def test_critical_context_ends_the_loss_from_a_larger_batch(
    alpha: float, times: dict[str, float]
) -> None:
    with mpmath.workdps(60):

        def by_batch(context: int) -> Any:
            two, one = (saved(1, alpha, mpmath.mpf(b), context, times, mpmath.mpf) for b in (2, 1))
            return two - one

        slope = by_batch(1) - by_batch(0)
        assume(abs(slope) > 0.05 * times["step_per_cached"] * alpha)
        point = {k: v for k, v in times.items() if not k.endswith("fixed")} | {"alpha": alpha}
        if slope > 0:
            both(batch.critical_context, -by_batch(0) / slope, point)
            edge = batch.critical_context(**point)
            if alpha * times["step_fixed"] > 1.01 * times["draft_fixed"]:
                assert batch.crossover_batch(alpha, edge * 1.001, **times) == np.inf
                assert batch.crossover_batch(alpha, edge * 0.999, **times) < np.inf
        else:
            assert batch.critical_context(**point) == np.inf


def test_published_h100_law_has_these_crossovers() -> None:
    caches = {k: v for k, v in H100.items() if not k.endswith("fixed")}
    assert batch.crossover_batch(0.65, 200, **H100) == pytest.approx(694, abs=0.5)
    assert batch.crossover_batch(0.55, 200, **H100) == pytest.approx(274, abs=0.5)
    assert batch.critical_context(0.65, **caches) == pytest.approx(354, abs=0.5)
    assert batch.critical_context(0.55, **caches) == pytest.approx(536, abs=0.5)


def test_slow_drafts_help_only_above_a_batch_when_the_context_is_long() -> None:
    slow = {**H100, "draft_fixed": 6e-3}
    low, high = batch.helpful_batches(0.65, 4000, **slow)
    assert low == pytest.approx(16.5, abs=1.0)
    assert high == np.inf
    dear = {k: v * 100 if "per" in k else v for k, v in slow.items()}  # each row costs as 100 did
    assert batch.crossover_batch(0.65, 4000, **dear) == pytest.approx(low / 100)
    assert batch.helpful_batches(0.65, 100, **slow) == (0.0, 0.0)
    cost = LinearStepCost(**slow)
    for rows, helps in ((low * 0.9, False), (low * 1.1, True)):
        choice = choose_gamma(DepthAcceptance(0.65), cost, batch=rows, context=4000)
        assert (choice.gamma > 0) == helps


def test_crossover_batch_rises_in_acceptance_and_in_context() -> None:
    alphas = np.linspace(0.35, 0.9, 12)
    assert (np.diff(batch.crossover_batch(alphas, 150, **H100)[:7]) > 0).all()
    contexts = np.arange(0, 350, 50)
    assert (np.diff(batch.crossover_batch(0.65, contexts, **H100)) > 0).all()
    nothing = {**H100, "step_per_token": 0.0, "step_per_cached": 0.0}
    quiet = {**nothing, "draft_per_token": 0.0, "draft_per_cached": 0.0}
    assert batch.helpful_batches(0.65, 0, **quiet) == (0.0, np.inf)
    assert batch.helpful_batches(0.1, 0, **quiet) == (0.0, 0.0)


@given(ALPHAS, st.integers(1, 30), st.integers(1, 512), CONTEXTS, SYSTEMS)
def test_gain_of_one_draft_call_is_the_time_saved(
    alpha: float, gamma: int, rows: int, context: int, times: dict[str, float]
) -> None:
    with mpmath.workdps(60):
        quiet = {**times, "draft_fixed": 0.0, "draft_per_token": 0.0, "draft_per_cached": 0.0}
        exact = saved(gamma, alpha, rows, context, quiet, mpmath.mpf) - times["draft_fixed"]
        plain = round_time(0, rows, context, quiet, mpmath.mpf)
        assume(abs(exact) > 0.01 * tokens_of_round(alpha, gamma) * plain)
        point = {"alpha": alpha, "gamma": gamma, "batch": rows, "context": context}
        point |= {k: times[k] for k in (*TARGET, "draft_fixed")}
        both(batch.parallel_gain, exact, point)
        law = ParallelDraftCost(
            LinearPass(*(times[k] for k in TARGET)), LinearPass(times["draft_fixed"])
        )
        clock = law.round_time(gamma, batch=rows, context=context)
        faster = tokens_of_round(alpha, gamma) * float(clock[0]) > float(clock[gamma])
        assert faster == (exact > 0)
    assert batch.parallel_gain(**{**point, "gamma": 0}) == 0.0


BYTES = {
    "memory": st.integers(30 * 10**9, 2 * 10**11), "weight_bytes": st.integers(10**9, 2 * 10**10),
    "kv_bytes": st.integers(10**3, 10**6), "draft_weight_bytes": st.integers(0, 5 * 10**9),
    "draft_kv_bytes": st.integers(0, 10**5),
}  # fmt: skip


@given(st.fixed_dictionaries(BYTES), st.integers(1, 20_000), ALPHAS, st.integers(1, 9), SYSTEMS)
def test_memory_bounds_the_batch_and_the_gain_at_it(
    sizes: dict[str, int], context: int, alpha: float, gamma: int, times: dict[str, float]
) -> None:
    weights = sizes["weight_bytes"] + sizes["draft_weight_bytes"]
    each = context * (sizes["kv_bytes"] + sizes["draft_kv_bytes"])
    rows = Fraction(sizes["memory"] - weights, each)
    alone = Fraction(sizes["memory"] - sizes["weight_bytes"], context * sizes["kv_bytes"])
    with mpmath.workdps(60):

        def number(value: Fraction) -> Any:
            return mpmath.mpf(value.numerator) / value.denominator

        point: dict[str, Any] = dict(sizes)
        both(batch.largest_batch, number(rows), {**point, "context": context})
        both(batch.batch_kept, number(rows / alone), point)
        b, b0 = number(rows), number(alone)
        clock = {**times, "round_overhead": 2e-4}
        spec = b * tokens_of_round(alpha, gamma) / round_time(gamma, b, context, clock, mpmath.mpf)
        plain = b0 / round_time(0, b0, context, clock, mpmath.mpf)
        point |= {"alpha": alpha, "gamma": gamma, "context": context, **clock}
        both(batch.memory_limited_gain, spec / plain, point)
        common = tokens_of_round(alpha, gamma) * round_time(0, b0, context, clock, mpmath.mpf)
        for share in (0, mpmath.mpf(1) / 3, 1):  # common batches between the two largest ones
            c = b + share * (b0 - b)
            common = tokens_of_round(alpha, gamma) * round_time(0, c, context, clock, mpmath.mpf)
            bound = common / round_time(gamma, c, context, clock, mpmath.mpf) * b / b0
            assert bound <= spec / plain * (1 + mpmath.mpf(10) ** -30)


def test_memory_limits_are_written_out() -> None:
    assert batch.largest_batch(2.0, 0.0, weight_bytes=1.0, kv_bytes=1.0) == np.inf
    assert batch.batch_kept(3.0, weight_bytes=1.0, kv_bytes=0.0, draft_weight_bytes=1.0) == 1.0
    assert batch.batch_kept(3.0, weight_bytes=1.0, kv_bytes=1.0, draft_weight_bytes=0.0) == 1.0
