"""Formulas as JavaScript: what is printed equals the statement, what runs equals Python."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy
from howspec.theory import speedup
from howspec.theory.acceptance.law import conditional_rate
from howspec.theory.catalogue import at_one, javascript, page_formulas, page_script
from howspec.theory.formula import SYMBOLS
from howspec.theory.rounds import tokens_per_round
from howspec.theory.scale.bits import acceptance_at_bits, cost_at_bits
from howspec.theory.speedup import round_cost

POINTS = 1000
RANGES: dict[str, tuple[float, float]] = {
    "decay": (0.7, 1.1), "cost_ratio": (0.0, 1.0), "verify_slope": (0.0, 0.3),
    "overhead": (0.0, 1.0), "scale": (1e-2, 1.0), "bits": (3.0, 16.0), "target_bits": (8.0, 16.0),
    "rejection_floor": (0.0, 0.1), "rejection_coefficient": (0.01, 0.1),
    "rejection_exponent": (0.05, 0.4), "bits_coefficient": (0.0, 1.0),
    "bits_exponent": (0.7, 1.4), "cost_floor": (0.0, 0.1), "cost_slope": (0.1, 1.0),
}  # fmt: skip
OF_BITS = ("rejection_floor", "rejection_coefficient", "rejection_exponent", "bits_coefficient",
           "bits_exponent")  # fmt: skip


def _values(name: str, rng: np.random.Generator) -> Any:
    if name == "alpha":  # half of them near 1, where the printed form would lose digits
        near = 1.0 - 10.0 ** rng.uniform(-15, -1, POINTS // 2)
        return np.concatenate([rng.uniform(0.0, 0.9, POINTS - near.size - 1), near, [1.0]])
    if name in ("gamma", "position"):
        return rng.integers(1, 33, POINTS).astype(float)
    return rng.uniform(*RANGES[name], POINTS)


def _coefficient(alpha: Any, scale: Any, bits: Any, floor: Any, beta: Any, c: Any, k: Any) -> Any:
    """What makes the law give alpha, from the law itself: it is linear in the coefficient."""
    one, two = (
        acceptance_at_bits(
            scale, bits, rejection_floor=floor, rejection_coefficient=a, rejection_exponent=beta,
            bits_coefficient=c, bits_exponent=k,
        ) for a in (1e-3, 2e-3)
    )  # fmt: skip
    return 1e-3 + (one - alpha) / (one - two) * 1e-3


EVALUATORS: dict[str, Callable[..., Any]] = {
    "tokens_per_round": tokens_per_round,
    "conditional_rate": conditional_rate,
    "speedup": lambda a, g, c, b, o: speedup(a, g, c, verify_slope=b, overhead=o),
    "round_cost": lambda g, c, b, o: round_cost(g, c, verify_slope=b, overhead=o),
    "acceptance_at_bits": lambda s, w, *rest: acceptance_at_bits(
        s, w, **dict(zip(OF_BITS, rest, strict=True))
    ),
    "cost_at_bits": lambda s, w, t, floor, slope: cost_at_bits(
        s, w, target_bits=t, cost_floor=floor, cost_slope=slope
    ),
    "cost_slope": lambda c, s, w, t, floor: (c - floor) * t / (s * w),
    "rejection_coefficient": _coefficient,
}
RUN = """
const formulas = %s;
const points = JSON.parse(%s);
Object.fromEntries(Object.entries(points).map(([name, rows]) =>
  [name, rows.map((row) => formulas[name](...row))]))
"""


@pytest.fixture(scope="module")
def points() -> dict[str, Any]:
    rng = np.random.default_rng(7)
    return {
        name: np.stack([_values(a, rng) for a in arguments], axis=1)
        for name, (_, arguments) in page_formulas().items()
    }


def _agree(points: dict[str, Any], found: dict[str, list[float]]) -> None:
    assert set(points) == set(EVALUATORS) == set(found)
    for name, rows in points.items():
        here = np.asarray(EVALUATORS[name](*rows.T))
        there = np.array([np.nan if v is None else v for v in found[name]], dtype=float)
        known = np.isfinite(here)
        assert known.sum() > POINTS // 2
        scale = np.abs(here) if name != "rejection_coefficient" else np.maximum(np.abs(here), 1.0)
        error = (np.abs(there - here) / scale)[known & (scale > 1e-3)]
        limit = 1e-12 if name != "rejection_coefficient" else 1e-11  # solved from differences
        assert error.max() <= limit, name


def _script(points: dict[str, Any]) -> str:
    return RUN % (page_script(), json.dumps(json.dumps({n: r.tolist() for n, r in points.items()})))


def test_a_browser_computes_what_python_computes(points: dict[str, Any], browser: Any) -> None:
    page = browser.new_page()
    _agree(
        points, page.evaluate(f"JSON.parse(JSON.stringify(eval({json.dumps(_script(points))})))")
    )
    page.close()


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_node_computes_what_python_computes(points: dict[str, Any]) -> None:
    program = f"console.log(JSON.stringify(eval({json.dumps(_script(points))})))"
    out = subprocess.run(["node"], input=program, capture_output=True, text=True, check=True)
    _agree(points, json.loads(out.stdout))


@pytest.mark.parametrize("name", page_formulas())
def test_what_is_printed_equals_the_statement(name: str) -> None:
    expression, arguments = page_formulas()[name]
    printed = at_one(expression, SYMBOLS.alpha)
    rng = np.random.default_rng(3)
    for row in np.stack([_values(a, rng) for a in arguments], axis=1)[:20]:
        at = {getattr(SYMBOLS, a): sympy.Rational(v) for a, v in zip(arguments, row, strict=True)}
        if at.get(SYMBOLS.alpha) == 1:
            continue
        at = {k: sympy.Float(v, 60) if k.name != "gamma" else v for k, v in at.items()}
        gap = sympy.N(printed.subs(at).rewrite(sympy.exp) - expression.subs(at), 40)
        assert abs(gap) < 1e-25


def test_the_limit_at_one_is_printed_beside_the_quotient() -> None:
    printed = at_one(page_formulas()["tokens_per_round"][0], SYMBOLS.alpha)
    assert printed.subs(SYMBOLS.alpha, 1) == SYMBOLS.gamma + 1


def test_a_symbol_that_is_no_argument_is_named() -> None:
    with pytest.raises(ValueError, match="arguments lack gamma"):
        javascript(page_formulas()["tokens_per_round"][0], ["alpha"])
