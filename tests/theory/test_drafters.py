"""Cheap drafters: look-up, first layers, part of the vocabulary or of the cache."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest
from exact import counts, decades, probabilities, relative_error
from howspec.theory.schedules.drafters import (
    lookup_speedup,
    self_speculation_lower,
    self_speculation_upper,
    sparse_cache_cost,
    trimmed_acceptance,
    trimmed_speedup,
)
from howspec.theory.speedup import speedup
from hypothesis import example, given
from hypothesis import strategies as st

extras = st.one_of(st.just(0.0), decades(-4, 0))


def tokens_by_hand(alpha: Any, terms: int) -> Any:
    return mpmath.fsum(mpmath.mpf(alpha) ** i for i in range(terms))


@given(st.floats(0, 1), probabilities(), counts(30), extras, extras, extras)
@example(0.4, 0.6, 5, 0.01, 0.03, 0.2)
def test_lookup_speedup_mixes_matched_rounds_and_plain_steps(
    m: float, a: float, g: int, c: float, b: float, o: float
) -> None:
    costs = {"cost_ratio": c, "verify_slope": b, "overhead": o}
    with mpmath.workdps(60):
        x = mpmath.mpf(m)
        tokens = (1 - x) + x * tokens_by_hand(a, g + 1)
        round_time = 1 + mpmath.fsum([mpmath.mpf(c), mpmath.mpf(b)] * g) + (o if g else 0)
        exact = tokens / ((1 - x) + x * round_time)
    assert relative_error(lookup_speedup(m, a, g, **costs), exact) < 1e-13
    assert lookup_speedup(1.0, a, g, **costs) == pytest.approx(
        speedup(a, g, c, verify_slope=b, overhead=o), rel=1e-13
    )
    assert lookup_speedup(0.0, a, g, **costs) == 1.0


@given(st.floats(0, 1), st.integers(1, 30), st.floats(0.01, 1))
@example(0.7, 4, 0.25)
def test_self_speculation_bounds_differ_by_the_reused_layers(a: float, g: int, e: float) -> None:
    with mpmath.workdps(50):
        tokens = tokens_by_hand(a, g + 1)
        drafting = mpmath.fsum([mpmath.mpf(e)] * g)
        low, high = tokens / (drafting + 1), tokens / (drafting + 1 - mpmath.mpf(e))
    assert relative_error(self_speculation_lower(a, g, e), low) < 1e-13
    assert relative_error(self_speculation_upper(a, g, e), high) < 1e-13
    assert self_speculation_lower(a, g, e) == pytest.approx(speedup(a, g, e), rel=1e-13)


@given(st.floats(0.01, 1), st.floats(0.05, 0.95), st.floats(0.005, 0.2), extras)
def test_the_best_copied_draft_is_no_shorter_than_with_every_match(
    m: float, a: float, b: float, o: float
) -> None:
    values, always = (
        lookup_speedup(share, a, np.arange(41.0), verify_slope=b, overhead=o) for share in (m, 1.0)
    )
    longer = values.argmax() >= always.argmax()
    assert longer or values.max() == pytest.approx(values[always.argmax()], rel=1e-12)


@given(
    st.floats(0, 1), counts(30), st.floats(0, 1), st.floats(0, 1), extras, extras, extras, extras
)
@example(0.8, 5, 0.95, 0.25, 0.02, 0.04, 0.01, 0.05)
def test_trimmed_speedup_pays_the_kept_share_of_the_head(
    a: float, g: int, coverage: float, kept: float, body: float, head: float, b: float, o: float
) -> None:
    p = {
        "coverage": coverage,
        "kept": kept,
        "body_cost": body,
        "head_cost": head,
        "verify_slope": b,
        "overhead": o,
    }
    with mpmath.workdps(50):
        alpha = mpmath.mpf(a) * mpmath.mpf(coverage)
        step = mpmath.mpf(body) + mpmath.mpf(head) * mpmath.mpf(kept) + mpmath.mpf(b)
        exact = tokens_by_hand(alpha, g + 1) / (1 + step * g + (o if g else 0))
    assert relative_error(trimmed_speedup(a, g, **p), exact) < 1e-13


def test_the_best_vocabulary_is_a_part_and_the_whole_one_if_the_head_is_free() -> None:
    weights = 1.0 / np.arange(1, 501)
    share = {"coverage": np.cumsum(weights) / weights.sum(), "kept": np.arange(1, 501) / 500}
    values = trimmed_speedup(0.8, 5, **share, body_cost=0.02, head_cost=0.1)
    assert 50 < values.argmax() < 450
    assert trimmed_speedup(0.8, 5, **share, body_cost=0.02, head_cost=0.0).argmax() == 499
    assert values[-1] == pytest.approx(speedup(0.8, 5, 0.12))


@given(st.integers(0, 10_000))
def test_trimmed_acceptance_is_the_overlap_with_the_rescaled_draft(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(6))
    kept = np.zeros(6, dtype=bool)
    kept[rng.permutation(6)[: rng.integers(1, 7)]] = True
    trimmed = np.where(kept, q, 0.0) / q[kept].sum()
    exact = 1 - 0.5 * np.abs(p - trimmed).sum()
    got = trimmed_acceptance(p, q, kept)
    assert got == pytest.approx(exact, rel=1e-12)
    assert got <= p[kept].sum() + 1e-15
    assert trimmed_acceptance(p, q, np.ones(6, bool)) == pytest.approx(np.minimum(p, q).sum())
    # A draft that is the target itself is accepted exactly as often as its tokens are kept.
    assert trimmed_acceptance(p, p, kept) == pytest.approx(p[kept].sum(), rel=1e-12)


@given(
    st.floats(0, 1), st.integers(0, 200_000), st.integers(1, 512), decades(8, 12), decades(7, 12),
    decades(3, 6),
)  # fmt: skip
@example(0.3, 32_000, 32, 16e9, 2e9, 131072.0)
def test_sparse_cache_cost_is_the_ratio_of_what_is_read(
    part: float, context: int, batch: int, weights: float, own: float, kv: float
) -> None:
    read = math.floor(part * context)
    p = {"batch": batch, "weight_bytes": weights, "draft_weight_bytes": own, "kv_bytes": kv}
    with mpmath.workdps(50):
        per_token = mpmath.mpf(kv) * batch
        exact = (mpmath.mpf(own) + per_token * read) / (mpmath.mpf(weights) + per_token * context)
    assert relative_error(sparse_cache_cost(read, context, **p), exact) < 1e-13


def test_in_a_long_context_a_sparse_draft_costs_its_share_of_the_cache() -> None:
    p = {"batch": 64, "weight_bytes": 16e9, "draft_weight_bytes": 16e9, "kv_bytes": 131072}
    assert sparse_cache_cost(1e10, 1e12, **p) == pytest.approx(0.01, rel=1e-3)
    assert sparse_cache_cost(0, 0, **p) == 1.0
    falling = sparse_cache_cost(1000, np.geomspace(1000, 1e7, 20), **p)
    assert (np.diff(falling) < 0).all()
