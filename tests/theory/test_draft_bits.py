"""Drafts in two axes, parameters and bits."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
from exact import at_digits, decades, relative_error
from howspec.theory.scale import (
    DraftScaleLaw,
    QuantisedScaleLaw,
    acceptance_at_bits,
    best_bits,
    cost_at_bits,
    size_over_bits,
)
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scipy import optimize

LAWS = st.fixed_dictionaries({
    "rejection_coefficient": decades(-2, 0), "rejection_exponent": st.floats(0.05, 2.5),
    "bits_coefficient": decades(-1, 1.3), "bits_exponent": st.floats(0.2, 2.0),
})  # fmt: skip


@given(LAWS, decades(-3, 0))
def test_best_bits_leave_least_rejection_at_given_bytes(law: dict[str, float], x: float) -> None:
    w = best_bits(x, target_bits=16.0, **law)

    def rejection(at: float) -> float:
        s = x * 16.0 / at
        by_bits = law["bits_coefficient"] * np.exp(-law["bits_exponent"] * at)
        return float(law["rejection_coefficient"] * s ** -law["rejection_exponent"] + by_bits)

    def slope(at: float) -> float:
        by_size = rejection(at) - law["bits_coefficient"] * np.exp(-law["bits_exponent"] * at)
        by_bits = rejection(at) - by_size
        return law["rejection_exponent"] * by_size - law["bits_exponent"] * at * by_bits

    if w == 0.0:  # no minimum: fewer bits are always better
        assert all(slope(at) > 0 for at in np.geomspace(1e-3, 100, 60))
        return
    assert abs(slope(w)) <= 1e-9 * law["rejection_exponent"] * rejection(w)
    for step in (0.99, 1.01):
        assert rejection(w) <= rejection(w * step) * (1 + 1e-12)
    terms = {k: law[k] for k in law}
    for at, larger in ((1.2 * w, True), (0.9 * w, False)):
        ratio = size_over_bits(x * 16.0 / at, at, **terms)
        if larger or law["bits_exponent"] * 0.9 * w > 1 - law["rejection_exponent"]:
            assert (ratio > 1) is larger  # larger at fewer bits exactly above the best bits


@given(LAWS, decades(-3, 0), st.floats(1.0, 16.0))
def test_formulas_of_bits_are_their_definitions(law: dict[str, float], x: float, w: float) -> None:
    point: dict[str, Any] = {"scale": x, "bits": w, "rejection_floor": 0.0, **law}
    value = acceptance_at_bits(**point)
    with mpmath.workdps(50):
        m = {k: mpmath.mpf(v) for k, v in law.items()}
        by_size = m["rejection_coefficient"] / mpmath.power(x, m["rejection_exponent"])
        by_bits = m["bits_coefficient"] / mpmath.exp(m["bits_exponent"] * w)
        exact = 1 - (by_size + by_bits)
        at_size, at_bits = m["rejection_exponent"] * by_size, m["bits_exponent"] * w * by_bits
        cost = mpmath.mpf(0.02) + mpmath.mpf(1.5) * x * (mpmath.mpf(w) / 16)
    assert np.isnan(value) == (exact < 0)
    if exact > 1e-3:
        assert relative_error(value, exact) < 1e-11
    assert relative_error(size_over_bits(x, w, **law), at_size / at_bits) < 1e-12
    costs = {"target_bits": 16.0, "cost_floor": 0.02, "cost_slope": 1.5}
    assert relative_error(cost_at_bits(x, w, **costs), cost) < 1e-14
    assume(law["rejection_exponent"] < 0.95)
    given_ = {"byte_share": x, "target_bits": 16.0, **law}
    found = best_bits(**given_)
    assume(found > 1.01 * (1 - law["rejection_exponent"]) / law["bits_exponent"])
    assert relative_error(found, at_digits(best_bits, **given_)) < 1e-9


def test_the_turning_point_in_two_axes_is_that_of_a_grid() -> None:
    law = QuantisedScaleLaw(DraftScaleLaw(0.05, 0.06, 0.3, 0.02, 1.0), 1.5, 0.8)
    formats = np.linspace(2.0, 16.0, 57)
    best = law.turning_point(formats, gamma_max=12)
    scale = np.geomspace(0.002, 1.0, 1500)
    grid = max(
        float(np.nanmax(law.at_bits(w).speedup(scale, g))) for w in formats for g in range(1, 13)
    )
    assert best.speedup == pytest.approx(grid, rel=1e-4)
    # The best bits of its bytes are its bits, whatever gamma.
    x = best.scale * best.bits / 16.0
    exact = best_bits(
        x, target_bits=16.0, rejection_coefficient=0.06, rejection_exponent=0.3,
        bits_coefficient=1.5, bits_exponent=0.8,
    )  # fmt: skip
    assert best.bits == pytest.approx(exact, abs=0.2)
    # Fewer bits move the turning point to more parameters and fewer bytes per token.
    few, many = (law.at_bits(w).turning_point(12) for w in (6.0, 16.0))
    assert few[0] > many[0]
    assert few[2] > many[2]
    none = QuantisedScaleLaw(law.law, 5.0, 0.1).turning_point([2.0])
    assert (none.gamma, none.speedup) == (0, 1.0)


@given(
    st.fixed_dictionaries({
        "rejection_coefficient": decades(-2.5, -1), "rejection_exponent": st.floats(0.05, 0.9),
        "bits_coefficient": decades(0, 1.3), "bits_exponent": st.floats(0.5, 1.6),
    }),
    st.floats(0.05, 0.3),
)  # fmt: skip
@settings(suppress_health_check=[HealthCheck.filter_too_much])
def test_rejection_along_the_best_bits_is_log_convex_in_bytes_under_the_condition(
    law: dict[str, float], floor: float
) -> None:
    x = np.geomspace(1e-3, 0.5, 60)
    w = np.asarray(best_bits(x, target_bits=16.0, **law))
    assume((w > 0).all())
    by_size = law["rejection_coefficient"] * (x * 16.0 / w) ** -law["rejection_exponent"]
    by_bits = law["bits_coefficient"] * np.exp(-law["bits_exponent"] * w)
    kw = law["bits_exponent"] * w
    holds = floor * kw * (kw - 1.0) >= law["rejection_exponent"] * by_size
    assume((kw + law["rejection_exponent"] > 1.05).all() and holds.all())
    slopes = np.diff(np.log(floor + by_size + by_bits)) / np.diff(np.log(x))
    assert (np.diff(slopes) >= -1e-9).all()
    # The elasticity is beta times the share that size has in rejection (envelope theorem).
    share = law["rejection_exponent"] * by_size / (floor + by_size + by_bits)
    assert -slopes == pytest.approx(0.5 * (share[1:] + share[:-1]), rel=0.02)


BITS = {
    "FP16": 16, "Q8_0": 8.5, "Q6_K": 6.56, "Q5_K_M": 5.69, "Q5_0": 5.5, "Q4_K_M": 4.85,
    "Q4_0": 4.5, "Q3_K_M": 3.91, "Q2_K": 3.35,
}  # fmt: skip


def test_a_measured_ladder_of_sizes_and_formats_follows_the_law() -> None:
    path = next((p / "shared/published/field2026.csv" for p in Path(__file__).resolve().parents
                 if (p / "shared/published/field2026.csv").is_file()), None)  # fmt: skip
    if path is None:
        pytest.skip("no shared/published/field2026.csv")
    with path.open(encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(file) if "draftbench" in r["source"]]
    seen: list[tuple[float, float, float]] = []
    for row in rows:
        if row["metric"] == "acceptance_rate" and row["target"] == "Qwen2.5-32B-Instruct Q4_0":
            size, form = re.match(r"Qwen2.5-([\d.]+)B-Instruct (\S+)", row["draft"]).groups()  # type: ignore[union-attr]
            seen.append((float(size) / 32.0, BITS[form], float(row["value"])))
    s, w, rate = np.array(seen).T

    def misfit(p: Any) -> Any:
        floor, a, beta, c, kappa = np.exp(p)
        return 1 - rate - (floor + a * s**-beta + c * np.exp(-kappa * w))

    fit = optimize.least_squares(misfit, np.log([0.05, 0.1, 0.2, 0.5, 0.9]))
    assert np.sqrt((fit.fun**2).mean()) < 0.5 * rate.std()
    assert np.log(2) / 2 < np.exp(fit.x[4]) < 4 * np.log(2)  # between error and its square
