"""What holds for every formula of the catalogue."""

from __future__ import annotations

import contextlib
import math
import re
import warnings
from pathlib import Path

import mpmath
import pytest
from howspec.theory.catalogue import GROUPS, find, formulas, markdown
from howspec.theory.formula import Formula, split_docstring
from howspec.theory.symbols import quantities, quantity

ALL = formulas()
SHEET = Path(__file__).resolve().parents[2] / "theory" / "README.md"


@pytest.mark.parametrize("formula", ALL, ids=lambda f: f.name)
def test_every_formula_states_claim_assumptions_failure_and_source(formula: Formula) -> None:
    assert formula.group in GROUPS
    for text in (formula.claim, formula.assumptions, formula.wrong_when, formula.source):
        assert len(text) > 10
    assert re.search(r"derived here|arXiv|\b(19|20)\d\d\b", formula.source)
    assert not re.search(r"\bT\d+\b", formula.claim + formula.source)


@pytest.mark.parametrize("formula", ALL, ids=lambda f: f.name)
def test_symbols_of_a_formula_are_registered_and_its_worked_point_is_in_range(
    formula: Formula,
) -> None:
    import sympy

    free = {s.name for s in formula.expression.free_symbols if not isinstance(s, sympy.Dummy)}
    assert free <= set(formula.worked), "the worked point gives every symbol a value"
    for name, value in formula.worked.items():
        q = quantity(name)
        assert q.low <= value <= q.high


@pytest.mark.parametrize("formula", ALL, ids=lambda f: f.name)
def test_numeric_function_agrees_with_the_expression_at_the_worked_point(formula: Formula) -> None:
    exact = mpmath.mpf(str(formula.exact(50, **formula.worked)))
    got = mpmath.mpf(float(formula.evaluator(**formula.worked)))
    assert abs(got - exact) <= 1e-12 * abs(exact)


@pytest.mark.parametrize("formula", ALL, ids=lambda f: f.name)
def test_every_formula_prints_as_text_and_latex(formula: Formula) -> None:
    assert formula.statement.startswith(formula.name + " = ")
    assert formula.latex.startswith(formula.symbol + " = ")


@pytest.mark.parametrize("formula", ALL, ids=lambda f: f.name)
def test_the_ends_of_every_range_give_a_number_or_one_clear_error(formula: Formula) -> None:
    for name in formula.worked:
        q = quantity(name)
        low = q.low if math.isfinite(q.low) and not q.open_low else q.low + 5e-324
        high = q.high if math.isfinite(q.high) and not q.open_high else 1e9
        if q.integer or name == "gamma":
            low, high = max(q.low, 0.0), min(q.high, 1e4)
        for value in (low, high):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                with contextlib.suppress(ValueError):
                    formula.evaluator(**{**formula.worked, name: value})


@pytest.mark.parametrize("formula", ALL, ids=lambda f: f.name)
def test_an_argument_outside_its_range_is_refused_by_its_name(formula: Formula) -> None:
    for name in formula.worked:
        q = quantity(name)
        outside = [
            math.nan,
            q.low if q.open_low else q.low - 1.0,
            q.high if q.open_high else math.inf,
        ]
        outside += [q.high + 1.0] if math.isfinite(q.high) else []
        outside += [max(q.low, 0.0) + 0.5] if q.integer else []
        for value in outside:
            with pytest.raises(ValueError, match=f"^{name} must be "):
                formula.evaluator(**{**formula.worked, name: value})


def test_the_formula_sheet_is_current() -> None:
    assert SHEET.read_text(encoding="utf-8") == markdown(), "run `make sheet`"


def test_no_symbol_prints_as_a_bare_quotient() -> None:
    # Inside a product or a power w / l would read as something else.
    for q in quantities():
        outside = re.sub(r"\([^()]*\)|\{[^{}]*\}", "", q.latex)
        assert not re.search(r"[/+]|(?<![\^_])-", outside), q.name
    assert r"(w / \ell)" in find("layers_at_aspect").latex


def test_an_unknown_formula_is_answered_with_near_names() -> None:
    with pytest.raises(ValueError, match="tokens_per_round"):
        find("token_per_round")


def test_a_formula_without_its_sections_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks Assumes, Wrong when, Source"):
        split_docstring("A claim.", "x")
