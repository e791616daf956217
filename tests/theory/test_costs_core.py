"""Cost laws of rounds: affine, and put together from passes, one a token or one a round."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from exact import both, decades, probabilities, relative_error, tokens_of_round
from howspec.theory.costs import passes
from howspec.theory.costs.law import (
    AffineCost,
    CostLaw,
    ParallelDraftCost,
    SequentialDraftCost,
    parallel_speedup,
)
from howspec.theory.costs.passes import LinearPass, LinearStepCost
from howspec.theory.speedup import round_cost
from hypothesis import given
from hypothesis import strategies as st

ROWS = st.integers(1, 512)
CONTEXT = st.integers(0, 100_000)
SMALL = st.one_of(st.just(0.0), decades(-9, -3))
TIMES = {
    "step_fixed": decades(-4, -1), "step_per_token": SMALL, "step_per_cached": SMALL,
    "draft_fixed": SMALL, "draft_per_token": SMALL, "draft_per_cached": SMALL,
    "round_overhead": SMALL,
}  # fmt: skip
# Coefficients published with arXiv:2601.11580 for Llama-3.1-8B on one H100 in bf16, seconds.
STEP, ENGINE = 5.88590713e-3, 1.20683946e-3
TOKEN, CACHED = 2.10103129e-5, 3.92645679e-8
EAGLE = LinearPass(2.13526175e-3, 8.41429603e-7, 2.37768493e-9)
H100 = LinearPass(STEP + ENGINE, TOKEN, CACHED)


extras = st.one_of(st.just(0.0), decades(-6, 1))


@given(extras, extras, extras, decades(-6, 3), st.integers(0, 60))
def test_round_time_adds_drafts_verification_and_overhead(
    c: float, b: float, o: float, step: float, gamma: int
) -> None:
    times = AffineCost(c, b, o, step).round_time(gamma)
    assert times.shape == (gamma + 1,)
    with mpmath.workdps(50):
        unit = mpmath.mpf(step)
        assert relative_error(times[0], unit) < 1e-15
        for k in range(1, gamma + 1):
            passes = [unit, *[unit * c] * k, *[unit * b] * k, unit * o]
            assert relative_error(times[k], mpmath.fsum(passes)) < 1e-14


@given(extras, extras, extras, st.integers(0, 60))
def test_in_plain_steps_the_law_is_the_cost_of_the_speedup_formula(
    c: float, b: float, o: float, gamma: int
) -> None:
    law = AffineCost(c, b, o)
    expected = round_cost(np.arange(gamma + 1), c, verify_slope=b, overhead=o)
    np.testing.assert_allclose(law.round_time(gamma), expected, rtol=1e-15)


@given(extras, extras, extras, decades(-3, 3))
def test_a_plain_step_pays_no_overhead_and_time_scales_with_the_step(
    c: float, b: float, o: float, step: float
) -> None:
    times = AffineCost(c, b, o, step).round_time(8)
    assert times[0] == step
    assert (np.diff(times) >= 0).all()
    np.testing.assert_allclose(times, step * AffineCost(c, b, o).round_time(8), rtol=1e-15)


def test_batch_and_context_do_not_enter() -> None:
    law = AffineCost(0.05, 0.01, 0.1)
    np.testing.assert_array_equal(law.round_time(4), law.round_time(4, batch=64, context=9000))


def test_arrays_of_parameters_are_laws_side_by_side() -> None:
    c, o = np.array([[0.01], [0.2]]), np.array([0.0, 0.1, 1.0])
    law = AffineCost(c, 0.02, o)
    assert law.shape == (2, 3)
    assert isinstance(law, CostLaw)
    many = law.round_time(5)
    assert many.shape == (2, 3, 6)
    for i in range(2):
        for j in range(3):
            one = AffineCost(float(c[i, 0]), 0.02, float(o[j]))
            np.testing.assert_array_equal(many[i, j], one.round_time(5))


def test_a_round_beyond_the_largest_float_takes_forever() -> None:
    times = AffineCost(1e308).round_time(3)
    assert times[0] == 1.0
    assert np.isinf(times[3])


def walk(gamma: int, rows: int, context: int, t: dict[str, float]) -> Any:
    """Time of a round, pass by pass and sequence by sequence kind."""
    v = {k: mpmath.mpf(x) for k, x in t.items()}

    def one(kind: str, tokens: int) -> Any:
        row = v[kind + "_per_cached"] * context + v[kind + "_per_token"] * tokens
        return v[kind + "_fixed"] + rows * row

    total = one("step", gamma + 1) + sum((one("draft", 1) for _ in range(gamma)), mpmath.mpf(0))
    return total + (v["round_overhead"] if gamma else 0)


@given(st.integers(0, 20), ROWS, CONTEXT, st.fixed_dictionaries(TIMES))
def test_linear_rounds_are_the_sum_of_their_passes(
    gamma: int, rows: int, context: int, times: dict[str, float]
) -> None:
    with mpmath.workdps(50):
        exact = walk(gamma, rows, context, times)
        got = LinearStepCost(**times).round_time(gamma, batch=rows, context=context)
        assert relative_error(got[-1], exact) < 1e-12
        step = {k: times[k] for k in ("step_fixed", "step_per_token", "step_per_cached")}
        quiet = {**times, "round_overhead": 0.0, "draft_fixed": 0.0}
        bare = {**quiet, "draft_per_token": 0.0, "draft_per_cached": 0.0}
        point = {"pass_tokens": gamma + 1, "batch": rows, "context": context, **step}
        both(passes.linear_step_time, walk(gamma, rows, context, bare), point)
        row = walk(gamma, 2, context, quiet) - walk(gamma, 1, context, quiet)
        names = ("step_per_token", "step_per_cached", "draft_per_token", "draft_per_cached")
        point = {"gamma": gamma, "context": context, **{k: times[k] for k in names}}
        both(passes.round_sequence_time, row, point)
        names = ("step_fixed", "draft_fixed", "round_overhead")
        point = {"gamma": gamma, **{k: times[k] for k in names}}
        fixed = 2 * walk(gamma, 1, context, times) - walk(gamma, 2, context, times)
        if gamma:
            both(passes.round_fixed_time, fixed, point)
        assert relative_error(passes.round_fixed_time(**point), fixed) < 1e-12


def test_linear_cost_splits_into_a_fixed_part_and_one_per_sequence() -> None:
    cost = LinearStepCost(7e-3, 2e-5, 4e-8, np.array([1e-3, 2e-3]), 1e-6, 2e-9, 2e-4)
    fixed, row = cost.terms(6, context=700)
    assert fixed.shape == row.shape == (2, 7)
    for rows in (1, 5, 300):
        wanted = cost.round_time(6, batch=rows, context=700)
        np.testing.assert_allclose(fixed + rows * row, wanted, rtol=1e-12)


def test_sequential_and_parallel_drafts_differ_in_their_passes() -> None:
    draft = LinearPass(1e-3, 1e-6)
    one = SequentialDraftCost(H100, draft, 2e-4).round_time(5, batch=4, context=100)
    two = ParallelDraftCost(H100, draft, 2e-4).round_time(5, batch=4, context=100)
    for g in range(6):
        verify = STEP + ENGINE + 4 * (CACHED * 100 + TOKEN * (g + 1))
        extra = 2e-4 * (g > 0)
        assert one[g] == pytest.approx(verify + g * (1e-3 + 4e-6) + extra, rel=1e-12)
        call = (1e-3 + 4e-6 * g) * (g > 0)
        assert two[g] == pytest.approx(verify + call + extra, rel=1e-12)


@given(probabilities(), st.integers(1, 40), SMALL, decades(-3, 0))
def test_parallel_speedup_is_tokens_over_one_draft_call(
    alpha: float, gamma: int, slope: float, call: float
) -> None:
    with mpmath.workdps(50):
        time = 1 + sum((mpmath.mpf(slope) for _ in range(gamma)), mpmath.mpf(0)) + mpmath.mpf(call)
        exact = tokens_of_round(alpha, gamma) / time
        point = {"alpha": alpha, "gamma": gamma, "verify_slope": slope, "draft_call": call}
        assert relative_error(parallel_speedup(**point), exact) < 1e-12
        if 1e-6 < alpha < 1 - 1e-6:
            both(parallel_speedup, exact, point)
    assert parallel_speedup(alpha, 0, verify_slope=slope, draft_call=call) == 1.0


def test_parallel_cost_law_gives_the_parallel_speedup() -> None:
    times = ParallelDraftCost(LinearPass(0.99, 0.01), LinearPass(0.15)).round_time(5)
    got = tokens_of_round(0.8, 5) * times[0] / times[5]
    assert float(got) == pytest.approx(
        parallel_speedup(0.8, 5, verify_slope=0.01, draft_call=0.15), rel=1e-12
    )


def traces() -> Path:
    for folder in Path(__file__).resolve().parents:
        if (folder / "shared" / "traces").is_dir():
            return folder / "shared" / "traces"
    pytest.skip("the traces are not here")


@pytest.mark.parametrize(("gamma", "published"), [(1, 1.29), (3, 1.81), (5, 2.01)])
def test_published_step_law_on_published_traces_gives_their_speedup(
    gamma: int, published: float
) -> None:
    """Their simulator drew 300 of the requests; here all are walked, hence 1 %."""
    plain = spent = 0.0
    cost = ParallelDraftCost(H100, EAGLE)
    base, slope = cost.round_time(gamma), cost.round_time(gamma, context=1) - cost.round_time(gamma)
    with gzip.open(traces() / "llama31-8b-gsm8k.jsonl.gz", "rt") as lines:
        for line in lines:
            request = json.loads(line)
            lengths, at = request["accept_len_eagle"], 0
            while at < len(lengths):
                cached = request["prompt_tokens"] + at
                spent += base[gamma] + slope[gamma] * cached
                at += min(lengths[at], gamma + 1)
            cached = request["prompt_tokens"] + np.arange(len(lengths))
            plain += float((base[0] + slope[0] * cached).sum())
    assert plain / spent == pytest.approx(published, rel=0.01)
