"""Slow references shared by the tests: definitions summed at many digits, and expressions."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
from howspec.theory.formula import SYMBOLS, formula_of
from hypothesis import strategies as st

# Everything that a probability can be, the awkward values first.
EDGES = [
    0.0,
    5e-324,
    1e-310,
    1e-300,
    1e-16,
    0.5,
    1 - 1e-9,
    1 - 1e-15,
    float(np.nextafter(1, 0)),
    1.0,
]


def probabilities() -> st.SearchStrategy[float]:
    """Floats in [0, 1]: the edges, the middle, and both ends on a logarithmic scale."""
    return st.one_of(
        st.sampled_from(EDGES),
        st.floats(0, 1),
        st.floats(-300, 0).map(lambda e: 10.0**e),
        st.floats(-16, 0).map(lambda e: 1 - 10.0**e),
    )


def decades(low: float, high: float) -> st.SearchStrategy[float]:
    """Floats between 10^low and 10^high, even in the logarithm."""
    return st.floats(low, high).map(lambda e: 10.0**e)


def counts(high: int) -> st.SearchStrategy[int]:
    """Whole numbers in 0..high, small ones often."""
    return st.one_of(st.integers(0, min(high, 12)), st.integers(0, high))


def relative_error(got: Any, exact: Any) -> float:
    """|got - exact| / |exact|; below the smallest normal float, relative to that float."""
    scale = max(abs(mpmath.mpf(exact)), mpmath.mpf(2) ** -1022)
    return float(abs(mpmath.mpf(float(got)) - exact) / scale)


_EXPRESSIONS: dict[tuple[str, ...], Callable[..., Any]] = {}


def expression(function: Any, *names: str) -> Callable[..., Any]:
    """The SymPy expression of a function as an mpmath function of the named quantities."""
    import sympy

    formula = formula_of(function)
    key = (formula.name, *names)
    if key not in _EXPRESSIONS:
        symbols = [getattr(SYMBOLS, n) for n in names]
        _EXPRESSIONS[key] = sympy.lambdify(symbols, formula.expression, "mpmath")
    return _EXPRESSIONS[key]


def at_digits(function: Any, digits: int = 60, **values: float) -> Any:
    """The expression at a point, floats taken at their exact binary value."""
    with mpmath.workdps(digits):
        found = expression(function, *values)
        return +mpmath.mpf(found(*(mpmath.mpf(v) for v in values.values())))


def exactly(function: Any, digits: int = 50, **values: Any) -> Any:
    """The expression at a point by SymPy, which unrolls its sums and products."""
    return mpmath.mpf(str(formula_of(function).exact(digits, **values)))


def both(function: Any, exact: Any, point: dict[str, Any], tolerance: float = 1e-12) -> None:
    """The statement of an equation and the value that it gives are both this number."""
    assert relative_error(at_digits(function, **point), exact) < 1e-15
    assert relative_error(function(**point), exact) < tolerance


def pmf_of_round(alpha: float, gamma: int) -> list[Any]:
    """P(N = n), n = 1..gamma + 1, by walking the round: each token is accepted or ends it."""
    a, reached, masses = mpmath.mpf(alpha), mpmath.mpf(1), []
    for _ in range(gamma):
        masses.append(reached * (1 - a))
        reached = reached * a
    return [*masses, reached]


def tokens_of_round(alpha: float, gamma: int) -> Any:
    """E[N] as the sum of the survival 1 + alpha + ... + alpha^gamma."""
    a, total = mpmath.mpf(alpha), mpmath.mpf(0)
    for _ in range(gamma + 1):
        total = 1 + a * total
    return total


def masses(alpha: Any, gamma: int) -> list[Any]:
    """P(N = n), n = 1..gamma + 1, in the number type of alpha."""
    return [alpha**n * (1 - alpha) for n in range(gamma)] + [alpha**gamma]


RANDOM_PMF = st.lists(st.integers(0, 20), min_size=1, max_size=5).filter(sum)


def fractions(weights: list[int]) -> list[Fraction]:
    return [Fraction(w, sum(weights)) for w in weights]


def floats(pmf: list[Fraction]) -> Any:
    return np.array([float(p) for p in pmf])


def some_law(size: int, *, holes: bool = True) -> st.SearchStrategy[Any]:
    """Distributions over so many tokens, some of them without mass."""
    weight = st.floats(0.001, 1).map(lambda x: x**3)
    if holes:
        weight = st.one_of(weight, weight, st.just(0.0))
    return (
        st.lists(weight, min_size=size, max_size=size)
        .filter(lambda w: sum(w) > 0)
        .map(lambda w: np.array(w) / sum(w))
    )


def pairs(high: int, *, holes: bool = True) -> st.SearchStrategy[tuple[Any, Any]]:
    """Two distributions over 2 to ``high`` tokens."""
    return st.integers(2, high).flatmap(
        lambda v: st.tuples(some_law(v, holes=holes), some_law(v, holes=holes))
    )


def log_speedup(alpha: float, cost: float, gamma: Any) -> Any:
    """ln S(gamma) of the ideal law, from its definition, at a real gamma."""
    a = mpmath.mpf(alpha)
    return mpmath.log((1 - a ** (gamma + 1)) / ((1 - a) * (1 + gamma * mpmath.mpf(cost))))
