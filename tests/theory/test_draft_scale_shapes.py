"""Depth and width, the closed form in the log of size, the published baseline, and loss bounds."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest
from exact import decades, relative_error
from howspec.theory.scale import two_axes
from howspec.theory.scale.law import DraftScaleLaw
from hypothesis import example, given, settings
from hypothesis import strategies as st

few = settings(max_examples=40)
extras = st.one_of(st.just(0.0), decades(-4, 0))

# --- two axes -------------------------------------------------------------------------------


@given(st.integers(1, 120), decades(1, 5), decades(0, 3))
@few
def test_a_shape_counts_its_matrices_and_the_aspect_gives_the_layers_back(
    layers: int, width: float, aspect: float
) -> None:
    w = mpmath.mpf(width)
    matrices = [w * w] * 4 + [w * 4 * w] * 2  # queries, keys, values, output; up and down
    exact = mpmath.fsum(matrices * layers)
    assert relative_error(two_axes.parameters_of_shape(layers, width), exact) < 1e-14
    total = float(two_axes.parameters_of_shape(layers, aspect * layers))
    assert two_axes.layers_at_aspect(total, aspect) == pytest.approx(layers, rel=1e-13)


@given(
    layers=st.integers(1, 100),
    scale=decades(-4, 0.3),
    rejection_floor=st.floats(0, 0.3),
    rejection_coefficient=decades(-3, -0.5),
    rejection_exponent=st.floats(0.05, 1.0),
    depth_coefficient=st.floats(0, 0.5),
    depth_exponent=st.floats(0.2, 2),
)
@few
def test_acceptance_of_a_shape_loses_a_part_to_size_and_a_part_to_depth(
    layers: int, scale: float, **p: float
) -> None:
    with mpmath.workdps(50):
        m = {k: mpmath.mpf(v) for k, v in p.items()}
        by_size = m["rejection_coefficient"] / mpmath.power(scale, m["rejection_exponent"])
        by_depth = m["depth_coefficient"] / mpmath.power(layers, m["depth_exponent"])
        exact = 1 - (m["rejection_floor"] + by_size + by_depth)
    got = two_axes.acceptance_of_shape(layers, scale, **p)
    if exact > 1e-12:
        assert abs(got - exact) < 1e-14
    elif exact < -1e-12:
        assert math.isnan(got)


@given(st.integers(1, 100), extras, decades(-2, 1), decades(-5, 0))
@example(12, 0.004, 1.3, 0.05)
@few
def test_cost_of_a_shape_adds_its_layers_and_its_bytes(
    layers: int, layer_time: float, slope: float, scale: float
) -> None:
    exact = mpmath.fsum([mpmath.mpf(layer_time)] * layers) + mpmath.mpf(slope) * scale
    got = two_axes.cost_of_shape(layers, layer_time, slope, scale)
    assert relative_error(got, exact) < 1e-14


shapes = st.builds(
    two_axes.ShapeLaw,
    rejection_floor=st.one_of(st.just(0.0), st.floats(0, 0.1)),
    rejection_coefficient=decades(-2, -1),
    rejection_exponent=st.floats(0.1, 0.6),
    layer_time=decades(-3.5, -1),
    cost_slope=st.floats(0.5, 2),
    depth_coefficient=st.floats(0.05, 0.6),
    depth_exponent=st.floats(0.5, 2),
    verify_slope=extras,
    overhead=extras,
)


def _value(law: two_axes.ShapeLaw, layers: Any, scale: Any, gamma: int) -> Any:
    """The speed-up of shapes from the printed laws, NaN outside."""
    alpha = two_axes.acceptance_of_shape(
        layers,
        scale,
        rejection_floor=law.rejection_floor,
        rejection_coefficient=law.rejection_coefficient,
        rejection_exponent=law.rejection_exponent,
        depth_coefficient=law.depth_coefficient,
        depth_exponent=law.depth_exponent,
    )
    cost = two_axes.cost_of_shape(layers, law.layer_time, law.cost_slope, scale)
    tokens = sum(np.asarray(alpha) ** i for i in range(gamma + 1))
    return tokens / (1 + gamma * (np.asarray(cost) + law.verify_slope) + law.overhead)


@given(shapes, st.integers(1, 8))
@example(two_axes.ShapeLaw(0.03, 0.05, 0.3, 0.004, 1.3, 0.3, 1.2, 0.02, 0.1), 4)
@settings(max_examples=12)
def test_the_best_shape_is_the_top_of_a_scan_over_both_axes(
    law: two_axes.ShapeLaw, gamma: int
) -> None:
    best = law.best_shape(gamma, layers_max=30)
    n, s = np.arange(1.0, 31.0)[:, None], np.geomspace(1e-4, 1.0, 800)
    values = _value(law, n, s, gamma)
    assert best.speedup >= np.nanmax(values) * (1 - 1e-12)
    assert best.speedup == pytest.approx(_value(law, best.layers, best.scale, gamma), rel=1e-12)
    real = law.best_shape(gamma, layers_max=30, whole=False)
    assert real.speedup >= best.speedup * (1 - 1e-12)
    assert abs(real.layers - best.layers) <= 1.0
    fine = np.linspace(max(best.layers - 1, 1), min(best.layers + 1, 30), 41)[:, None]
    assert real.speedup >= np.nanmax(_value(law, fine, s, gamma)) * (1 - 1e-9)


@given(shapes, st.integers(1, 8))
@few
def test_log_speedup_is_jointly_concave_in_log_layers_and_log_size(
    law: two_axes.ShapeLaw, gamma: int
) -> None:
    rng = np.random.default_rng(gamma)
    x = rng.uniform([0.0, -7.0], [4.0, 0.0], (200, 2, 2))  # pairs of points (ln l, ln s)
    ends = [np.log(_value(law, np.exp(x[:, i, 0]), np.exp(x[:, i, 1]), gamma)) for i in (0, 1)]
    mid = np.exp(x.mean(axis=1))
    middle = np.log(_value(law, mid[:, 0], mid[:, 1], gamma))
    both = np.isfinite(ends[0]) & np.isfinite(ends[1])
    assert (middle[both] >= 0.5 * (ends[0] + ends[1])[both] - 1e-12).all()


def test_at_the_best_real_shape_launches_take_their_share_of_the_round() -> None:
    law = two_axes.ShapeLaw(0.03, 0.05, 0.3, 0.004, 1.0, depth_coefficient=0.3, depth_exponent=1.2)
    g, best = 5, law.best_shape(5, whole=False)
    by_depth = 0.3 * best.layers**-1.2
    by_size = 0.05 * best.scale**-0.3
    time = 1 + g * (0.004 * best.layers + best.scale)
    # Both axes buy the same relief per share of the round, in proportion to their elasticities.
    launches, bytes_read = g * 0.004 * best.layers / time, g * best.scale / time
    assert launches / bytes_read == pytest.approx(1.2 * by_depth / (0.3 * by_size), rel=1e-6)


def test_dearer_launches_make_the_best_draft_shallower_and_larger_at_its_depth() -> None:
    times = [0.001, 0.003, 0.01, 0.03]
    laws = [two_axes.ShapeLaw(0.05, 0.05, 0.25, t, 1.0, depth_coefficient=0.3) for t in times]
    best = [law.best_shape(5) for law in laws]
    assert [b.layers for b in best] == sorted((b.layers for b in best), reverse=True)
    assert best[0].layers > best[-1].layers
    at_six = [float(law.best_sizes(6, 5)[0]) for law in laws]
    assert at_six == sorted(at_six)
    assert at_six[-1] > 1.2 * at_six[0]
    assert best[0].width(7e9) ** 2 * 12 * best[0].layers == pytest.approx(best[0].scale * 7e9)


def test_free_launches_make_the_deepest_draft_the_best() -> None:
    law = two_axes.ShapeLaw(0.05, 0.05, 0.25, 0.0, 1.0, depth_coefficient=0.3)
    assert law.best_shape(4, layers_max=9).layers == 9.0
    assert law.best_shape(4, layers_max=9, whole=False).layers == pytest.approx(9.0)
    assert law.best_shape(4, layers_max=1).layers == 1.0


def test_without_a_depth_term_one_layer_is_best_and_the_law_is_that_of_size() -> None:
    law = two_axes.ShapeLaw(0.05, 0.1, 0.25, 0.02, 1.0)
    assert law.best_shape(4).layers == 1.0
    plain = DraftScaleLaw(0.05, 0.1, 0.25, 0.02 * 7, 1.0)
    scale, value = law.best_sizes([7.0, 8.0], 4)
    assert scale[0] == pytest.approx(float(plain.optimal_scale(4)))
    assert value[0] == pytest.approx(float(plain.speedup(scale[0], 4)), rel=1e-12)
    assert vars(law.at_layers(7)) == vars(plain)


def test_a_target_too_deep_for_any_shape_gives_nan() -> None:
    law = two_axes.ShapeLaw(0.4, 0.1, 0.25, 0.02, 1.0, depth_coefficient=0.9, depth_exponent=0.1)
    assert math.isnan(law.best_shape(4, layers_max=3).speedup)
