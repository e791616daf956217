"""Pass laws (roofline, linear, padded, mixture of experts, table) and the rounds made of them."""

from __future__ import annotations

import itertools
import math
from typing import Any

import mpmath
import numpy as np
import pytest
from exact import both, decades
from howspec.theory.costs import roofline
from howspec.theory.costs.law import (
    PassLaw,
    SequentialDraftCost,
    target_efficiency,
)
from howspec.theory.costs.passes import LinearPass, TablePass
from howspec.theory.costs.roofline import RooflineCost, RooflinePass
from howspec.theory.costs.uneven import MoEPass, StaircasePass
from hypothesis import given, settings
from hypothesis import strategies as st

ROWS = st.integers(1, 512)
TOKENS = st.integers(1, 64)
CONTEXT = st.integers(0, 100_000)
SMALL = st.one_of(st.just(0.0), decades(-9, -3))
# Coefficients published with arXiv:2601.11580 for Llama-3.1-8B on one H100 in bf16, seconds.
STEP, ENGINE = 5.88590713e-3, 1.20683946e-3
TOKEN, CACHED = 2.10103129e-5, 3.92645679e-8
EAGLE = LinearPass(2.13526175e-3, 8.41429603e-7, 2.37768493e-9)
H100 = LinearPass(STEP + ENGINE, TOKEN, CACHED)


# --- roofline -------------------------------------------------------------------------------

MACHINE = {
    "weight_bytes": decades(8, 12), "kv_bytes": st.integers(0, 10**6), "bandwidth": decades(11, 13),
    "token_ops": decades(8, 12), "attention_ops": st.integers(0, 10**6),
    "compute_rate": decades(12, 15), "launch": SMALL, "pass_tokens": TOKENS, "batch": ROWS,
    "context": CONTEXT,
}  # fmt: skip


def parts(point: dict[str, float]) -> tuple[Any, Any]:
    """Memory and computing time by walking sequences and tokens one kind at a time."""
    v = {k: mpmath.mpf(x) for k, x in point.items()}
    cache = v["kv_bytes"] * v["context"]
    read = v["weight_bytes"] / v["bandwidth"] + v["batch"] * (cache / v["bandwidth"])
    token = v["token_ops"] / v["compute_rate"]
    attend = v["context"] * (v["attention_ops"] / v["compute_rate"])
    return read, v["batch"] * (v["pass_tokens"] * token + v["pass_tokens"] * attend)


@given(st.fixed_dictionaries(MACHINE), st.floats(1, 50))
@settings(max_examples=40)
def test_roofline_times_are_the_norm_of_memory_and_computing(
    point: dict[str, float], power: float
) -> None:
    with mpmath.workdps(50):
        memory, compute = parts(point)
        names = ("batch", "context", "weight_bytes", "kv_bytes", "bandwidth")
        both(roofline.memory_time, memory, {k: point[k] for k in names})
        names = ("pass_tokens", "batch", "context", "token_ops", "attention_ops", "compute_rate")
        both(roofline.compute_time, compute, {k: point[k] for k in names})
        start, p = mpmath.mpf(point["launch"]), mpmath.mpf(power)
        joined = (memory**p + compute**p) ** (1 / p)
        both(roofline.roofline_step, start + joined, {**point, "overlap": power})
        both(roofline.roofline_step_max, start + max(memory, compute), point)


@given(st.fixed_dictionaries(MACHINE), st.floats(1, 50))
def test_overlap_lies_between_the_larger_time_and_the_sum(
    point: dict[str, float], power: float
) -> None:
    largest = roofline.roofline_step_max(**point)
    joined = roofline.roofline_step(**point, overlap=power)
    total = roofline.roofline_step(**point, overlap=1.0)
    assert largest * (1 - 1e-14) <= joined <= total * (1 + 1e-14)
    assert joined <= roofline.roofline_step(**point, overlap=max(1.0, power - 1)) * (1 + 1e-14)


@given(st.integers(1, 200), st.integers(1, 64), st.sampled_from([64, 128, 256]), st.integers(1, 4))
@settings(max_examples=20)
def test_cache_bytes_are_counted_key_by_key(layers: int, heads: int, size: int, each: int) -> None:
    count = sum(each * size for _ in range(layers) for _ in range(heads) for _ in ("key", "value"))
    point = {"layers": layers, "kv_heads": heads, "head_size": size, "value_bytes": each}
    both(roofline.kv_bytes_per_token, mpmath.mpf(count), point)


@given(decades(8, 12), decades(8, 12), decades(11, 13), decades(12, 15))
@settings(max_examples=20)
def test_free_tokens_take_as_long_to_compute_as_the_weights_to_read(
    weights: float, ops: float, bandwidth: float, rate: float
) -> None:
    point = {"weight_bytes": weights, "token_ops": ops, "bandwidth": bandwidth}
    with mpmath.workdps(50):
        read = mpmath.mpf(weights) / mpmath.mpf(bandwidth)
        exact = read / (mpmath.mpf(ops) / mpmath.mpf(rate))
        both(roofline.free_tokens, exact, {**point, "compute_rate": rate})


def test_free_tokens_of_an_h100_depend_on_the_weight_format() -> None:
    rates = {"bandwidth": 3.35e12, "compute_rate": 989e12}
    assert roofline.free_tokens(2.0, 2.0, **rates) == pytest.approx(295.2, abs=0.05)
    assert roofline.free_tokens(0.5, 2.0, **rates) == pytest.approx(73.8, abs=0.05)
    law = RooflinePass(2.0, 2.0, 3.35e12, 989e12)
    assert RooflineCost(law, law).free_gamma(batch=64) == pytest.approx(295.2239 / 64 - 1, rel=1e-6)
    assert RooflineCost(law, law).free_gamma(batch=512) == 0.0


def test_published_h100_step_law_is_a_roofline_at_realistic_efficiency() -> None:
    kv = roofline.kv_bytes_per_token(32, 8, head_size=128)
    assert kv == 131072
    peak = RooflinePass(2 * 8.03e9, 2 * 8.03e9, 3.35e12, 989e12, kv_bytes=kv)
    plain = peak.step_time([1.0])[0]
    cached = (peak.step_time([1.0], context=10_000)[0] - plain) / 10_000
    token = peak.step_time([2.0])[0] - plain
    assert abs(cached / CACHED - 1) < 0.005
    assert 0.80 < (plain - token) / STEP < 0.83
    assert 0.76 < token / TOKEN < 0.78


@given(decades(8, 12), decades(11, 13), decades(12, 15), ROWS, CONTEXT)
@settings(max_examples=30)
def test_a_roofline_without_overlap_is_the_linear_law(
    weights: float, bandwidth: float, rate: float, rows: int, context: int
) -> None:
    law = RooflinePass(weights, weights, bandwidth, rate, kv_bytes=1e5, launch=1e-3)
    same = LinearPass(1e-3 + weights / bandwidth, weights / rate, 1e5 / bandwidth)
    grid = np.arange(1.0, 9.0)
    a = law.step_time(grid, batch=rows, context=context)
    np.testing.assert_allclose(a, same.step_time(grid, batch=rows, context=context), rtol=1e-12)


# --- every pass law -------------------------------------------------------------------------

TABLE = TablePass(
    (1, 2, 4, 8, 16), np.add.outer([5.0, 5.1, 5.5, 7.0, 11.0], np.outer([0, 1, 3], [0, 1, 2])),
    batches=(1, 8, 32), contexts=(0, 500, 2000),
)  # fmt: skip
LAWS = {
    "linear": H100,
    "roofline": RooflinePass(16e9, 16e9, 3e12, 7e14, 1e5, 1e5, 1e-3, math.inf),
    "norm": RooflinePass(16e9, 16e9, 3e12, 7e14, 1e5, 1e5, 1e-3, 4.0),
    "padded": StaircasePass(H100, tile=8, sizes=(1, 2, 4)),
    "moe": MoEPass(64, 8, 1e-4, 3e-3, 2e-5, 4e-8),
    "table": TABLE,
}


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_every_pass_takes_longer_with_more_of_anything(law: PassLaw) -> None:
    assert isinstance(law, PassLaw)
    grid = np.arange(1.0, 17.0)
    times = np.array(
        [[law.step_time(grid, batch=b, context=s) for s in (0, 100, 2000)] for b in (1, 2, 9, 32)]
    )
    assert times.shape == (4, 3, 16)
    for axis in range(3):
        assert (np.diff(times, axis=axis) >= -1e-12).all()
    efficiency = target_efficiency(law, 15, batch=2, context=100)
    assert efficiency[0] == 1.0
    assert (np.diff(efficiency) <= 1e-12).all()
    np.testing.assert_allclose(efficiency, times[1, 1, 0] / times[1, 1], rtol=1e-12)


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_every_pass_refuses_points_that_do_not_exist(law: PassLaw) -> None:
    for bad in ({"batch": 0.5}, {"context": -1.0}, {"batch": math.nan}):
        with pytest.raises(ValueError, match="must be in"):
            law.step_time([1.0], **bad)
    with pytest.raises(ValueError, match="tokens must be in"):
        law.step_time([0.0])
    with pytest.raises(ValueError, match="must be numbers"):
        law.step_time([1.0], batch=[1, 2])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one-dimensional"):
        law.step_time([[1.0]])


def test_posterior_samples_of_pass_parameters_come_out_in_front() -> None:
    draws = np.linspace(0.9, 1.1, 5)
    laws = (
        LinearPass(draws, 2e-5, 4e-8),
        RooflinePass(16e9 * draws, 16e9, 3e12, 7e14, 1e5),
        MoEPass(64, 8, 1e-4 * draws, 3e-3),
        StaircasePass(LinearPass(1.0, draws), tile=4),
    )
    for law in laws:
        got = law.step_time([1.0, 2.0, 3.0], batch=2, context=10)
        assert law.shape == (5,)
        assert got.shape == (5, 3)
        cost = SequentialDraftCost(law, LinearPass(1e-3), overhead=np.zeros((3, 1)))
        assert cost.round_time(4).shape == (*cost.shape, 5) == (3, 5, 5)


# --- table ----------------------------------------------------------------------------------


def test_a_table_meets_its_points_and_lines_between_batches_and_contexts() -> None:
    times = np.asarray(TABLE.times)
    for i, rows in enumerate((1, 8, 32)):
        for j, context in enumerate((0, 500, 2000)):
            got = TABLE.step_time(TABLE.tokens, batch=rows, context=context)
            np.testing.assert_allclose(got, times[:, i, j], rtol=1e-14)
    got = TABLE.step_time([4.0], batch=20, context=1250)  # half-way in both
    assert got[0] == pytest.approx(5.5 + 2.0 * 1.5, rel=1e-13)


@given(st.lists(decades(-4, -1), min_size=3, max_size=8))
@settings(max_examples=40)
def test_a_rising_table_gives_a_rising_law_without_overshoot(increments: list[float]) -> None:
    tokens = 2.0 ** np.arange(len(increments))
    times = np.cumsum(increments)
    fine = np.linspace(1.0, tokens[-1], 200)
    got = TablePass(tokens, times).step_time(fine)
    assert (np.diff(got) >= -1e-15).all()
    for left, low, high in zip(range(tokens.size - 1), times, times[1:], strict=False):
        inside = got[(fine >= tokens[left]) & (fine <= tokens[left + 1])]
        assert ((inside >= low * (1 - 1e-12)) & (inside <= high * (1 + 1e-12))).all()


def test_a_table_of_straight_lines_gives_the_linear_law() -> None:
    tokens, rows, contexts = np.array([1.0, 3, 4, 9]), np.array([1.0, 4, 32]), np.array([0.0, 900])
    times = np.empty((4, 3, 2))
    for (i, b), (j, s) in itertools.product(enumerate(rows), enumerate(contexts)):
        times[:, i, j] = H100.step_time(tokens, batch=b, context=s)
    law = TablePass(tokens, times, batches=rows, contexts=contexts, extrapolate=True)
    grid = np.arange(1.0, 20.0)
    for b, s in ((1, 0), (7, 450), (32, 900)):
        wanted = H100.step_time(grid, batch=b, context=s)
        got = law.step_time(grid, batch=b, context=s)
        np.testing.assert_allclose(got[:9], wanted[:9], rtol=1e-12)
        np.testing.assert_allclose(got[9:], wanted[9:], rtol=1e-12)  # past 9: the last line
    wanted = H100.step_time(grid, batch=64, context=900)
    np.testing.assert_allclose(law.step_time(grid, batch=64, context=900), wanted, rtol=1e-12)


def test_a_table_refuses_to_extrapolate_and_names_the_range() -> None:
    free = TablePass((2, 4), (1.0, 2.0), extrapolate=True)
    assert free.outside([1.0, 3.0]) == ("tokens must be in the measured range [2, 4], got 1",)
    assert free.outside([3.0], batch=2)[0].startswith("batch")
    assert free.outside([2.0, 4.0]) == ()
    np.testing.assert_allclose(free.step_time([1.0, 3.0, 6.0]), [0.5, 1.5, 3.0], rtol=1e-14)
