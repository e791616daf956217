"""The register of quantities, the check at the public edge, and the machinery of formulas."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import howspec.theory
import numpy as np
import pytest
from howspec.theory import formula, symbols
from howspec.theory.domain import as_floats, check, check_gamma_max, unwrap
from howspec.theory.limits import costless_length_ratio
from howspec.theory.rounds import tokens_per_round, tokens_survival
from howspec.theory.symbols import Quantity, Symbols, quantities, quantity
from hypothesis import given, settings
from hypothesis import strategies as st

anything = st.floats(allow_nan=True, allow_infinity=True)


def closed(q: Quantity, value: float) -> bool:
    """Membership in the range as printed, written the long way round."""
    left = value > q.low if q.range[0] == "(" else value >= q.low
    right = value < q.high if q.range[-1] == ")" else value <= q.high
    return left and right and (not q.integer or value == int(value))


@given(st.sampled_from(["alpha", "gamma", "decay", "n", "rejection_floor", "position"]), anything)
@settings(max_examples=400)
def test_a_value_passes_exactly_when_it_is_in_the_printed_range(name: str, value: float) -> None:
    q = quantity(name)
    if value == value and closed(q, value):
        assert check(name, value) == value
    else:
        with pytest.raises(ValueError, match="must be") as caught:
            check(name, value)
        message = str(caught.value)
        assert message.startswith(
            f"{name} must be {'an integer ' if q.integer else ''}in {q.range}"
        )
        assert "\n" not in message
        assert f"got {value:.12g}" in message


@given(st.lists(anything, min_size=1, max_size=5))
def test_an_array_fails_on_its_first_bad_value_and_counts_the_rest(values: list[float]) -> None:
    bad = [v for v in values if not 0 <= v <= 1]
    if not bad:
        np.testing.assert_array_equal(check("alpha", values), values)
        return
    more = f" (and {len(bad) - 1} more)" if len(bad) > 1 else ""
    with pytest.raises(ValueError, match="must be") as caught:
        check("alpha", values)
    assert str(caught.value) == f"alpha must be in [0, 1], got {bad[0]:.12g}{more}"


@pytest.mark.parametrize(
    ("low", "high", "open_low", "open_high", "text"),
    [
        (0, 1, False, False, "[0, 1]"),
        (0, 1, True, False, "(0, 1]"),
        (0, 1, False, True, "[0, 1)"),
        (0, np.inf, True, False, "(0, inf)"),
        (-np.inf, np.inf, False, False, "(-inf, inf)"),
        (-np.inf, 0, False, False, "(-inf, 0]"),
    ],
)
def test_a_range_prints_its_open_ends(
    low: float, high: float, open_low: bool, open_high: bool, text: str
) -> None:
    q = Quantity("x", "x", "1", low, high, "a number", open_low=open_low, open_high=open_high)
    assert q.range == text


def test_an_infinite_value_is_outside_also_where_the_range_has_no_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from howspec.theory import symbols

    line = Quantity("line", "x", "1", -np.inf, np.inf, "any real number")
    monkeypatch.setitem(symbols._REGISTRY, "line", line)
    assert check("line", -5.0) == -5
    for value in (np.inf, -np.inf, np.nan):
        with pytest.raises(ValueError, match=r"line must be in \(-inf, inf\)"):
            check("line", value)


@pytest.mark.parametrize(
    "value",
    [
        "abc", [[1], [1, 2]], object, 1j, np.array([1j, 2]), np.array(["a"] * 500), "0.8", ["0.8"],
        b"0.8", None, [0.5, None], np.array([0.5, "0.5"], dtype=object),
        np.datetime64("2026-01-01"),
    ],
)  # fmt: skip
def test_what_is_no_number_is_refused_in_one_short_line(value: object) -> None:
    with pytest.raises(ValueError, match="alpha must be a number or an array") as caught:
        as_floats("alpha", value)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 130


def test_empty_arrays_and_labels_are_handled() -> None:
    assert check("alpha", []).shape == (0,)
    with pytest.raises(ValueError, match="width must be an integer in"):
        check("gamma", 0.5, label="width", whole=True)
    assert check_gamma_max([1, 2.0**53]).tolist() == [1, 2.0**53]
    for bad in (0, -1, 1.5, 2.0**53 * 2, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"gamma_max must be an integer in \[1, 2\^53\]"):
            check_gamma_max([3, bad])


def test_masked_elements_are_no_numbers() -> None:
    hidden = np.ma.masked_array([0.5, 7.0], mask=[False, True])
    with pytest.raises(ValueError, match="alpha must be an array without masked elements"):
        check("alpha", hidden)
    shown = np.ma.masked_array([0.5, 0.7], mask=[False, False])
    assert check("alpha", shown).tolist() == [0.5, 0.7]
    assert type(check("alpha", shown)) is np.ndarray


def test_exact_numbers_are_numbers() -> None:
    assert as_floats("x", [Fraction(1, 4), Decimal("0.5")]).tolist() == [0.25, 0.5]


def test_a_scalar_result_is_a_float_and_an_array_stays() -> None:
    assert type(unwrap(np.asarray(0.5))) is float
    assert unwrap(np.zeros((2, 1))).shape == (2, 1)


def test_quantities_are_unique_in_name_and_complete() -> None:
    everything = quantities()
    table = Path(symbols.__file__).parent / "quantities.csv"
    assert len(table.read_text(encoding="utf-8").splitlines()) == 1 + len(everything)
    for q in everything:
        assert q.name.isidentifier()
        assert q.latex
        assert q.meaning
        assert q.low < q.high
        assert quantity(q.name) is q
    with pytest.raises(KeyError, match="no quantity named 'nothing'"):
        quantity("nothing")


def test_symbols_carry_the_assumptions_of_their_ranges() -> None:
    s = Symbols()
    assert s.alpha is s.alpha
    assert s.alpha.is_nonnegative
    assert s.alpha.is_positive is None
    assert s.decay.is_positive
    assert s.position.is_integer
    assert s.position.is_positive
    assert s.gamma.is_integer is None
    with pytest.raises(AttributeError):
        _ = s.__wrapped__
    with pytest.raises(KeyError):
        _ = s.nothing


def test_a_formula_prints_evaluates_and_keeps_its_sections() -> None:
    tokens = formula.formula_of(tokens_per_round)
    assert tokens.statement == "tokens_per_round = (1 - alpha**(gamma + 1))/(1 - alpha)"
    assert tokens.latex == r"\mathrm{E}[N] = \frac{1 - \alpha^{\gamma + 1}}{1 - \alpha}"
    assert tokens.evaluator is tokens_per_round
    assert tokens.expression is tokens.expression
    assert tokens.claim.startswith("Mean number of tokens")
    assert tokens.assumptions.startswith("one acceptance probability")
    assert tokens.wrong_when.startswith("acceptance comes in bursts")
    assert tokens.source.startswith("Leviathan")
    # 0.8 is not a binary number: the exact value of the float is used.
    exact = tokens.exact(30, alpha=0.8, gamma=1)
    assert str(exact) == "1.80000000000000004440892098501"
    assert str(tokens.exact(12, alpha=0.5, gamma=2)) == "1.75000000000"


def test_a_docstring_is_split_where_its_sections_begin() -> None:
    text = "One.\nMore.\n\nAssumes: a,\n  b.\nWrong when: c.\nSource: d."
    assert formula.split_docstring(text, "x") == {
        "claim": "One. More.",
        "Assumes": "a, b.",
        "Wrong when": "c.",
        "Source": "d.",
    }
    with pytest.raises(ValueError, match="formula 'x': docstring lacks claim, Wrong when"):
        formula.split_docstring("Assumes: a.\nSource: d.", "x")


def test_a_formula_is_declared_once_and_tied_to_its_function() -> None:
    def square(alpha: float) -> float:
        return alpha * alpha

    with pytest.raises(ValueError, match="formula 'tokens_per_round' is already declared"):
        formula.equation("x", group="rounds", name="tokens_per_round")(square)
    mine = formula.Formula("mine", "m", "rounds", lambda s: square(s.alpha), {"alpha": 0.5}, square)
    assert mine not in formula.declared()
    assert mine.expression == formula.SYMBOLS.alpha**2
    assert float(mine.exact(10, alpha=0.5)) == 0.25


@pytest.mark.parametrize("name", ["", "acceptance", "costs", "limits", "scale", "trees"])
def test_a_package_gives_the_names_of_its_modules_and_no_others(name: str) -> None:
    package = importlib.import_module(f"howspec.theory.{name}".rstrip("."))
    for wanted in {
        "": ["speedup", "DraftScaleLaw", "scale"],
        "acceptance": ["walk_counts", "choose_law", "markov"],
        "costs": ["choose_gamma", "StaircasePass"],
        "limits": ["NONADAPTIVITY_BOUND", "oracle_speedup"],
        "scale": ["Shape"],
        "trees": ["best_tree"],
    }[name]:
        assert getattr(package, wanted) is not None
        assert wanted in dir(package)
    for missing in ("nothing", "np", "_private", "Floats"):
        with pytest.raises(AttributeError, match=f"{package.__name__}' has no attribute"):
            getattr(package, missing)


PACKAGES = sorted(Path(howspec.theory.__file__).parent.rglob("__init__.py"))


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: path.parent.name)
def test_type_checkers_are_told_of_the_modules_that_a_package_reads_names_from(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    stars = {
        "." * (node.level - 1) + str(node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
    }
    read = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for given in node.args
        if isinstance(given, ast.Constant)
        for name in str(given.value).split()
    }
    assert stars == read


def test_importing_the_theory_and_predicting_needs_no_sympy_and_no_scipy() -> None:
    code = (
        "import sys, howspec.theory as t; t.best_gamma(0.8, 0.05); t.tokens_variance(0.5, 3);"
        "heavy = {'sympy', 'scipy', 'pandas', 'matplotlib', 'torch'} & set(sys.modules);"
        "print(sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@formula.numeric(whole=("position",), least={"gamma": 1}, broadcast=True)
def drawn(
    alpha: formula.Number, gamma: formula.Number, *, position: formula.Number = 2
) -> formula.Number:
    return alpha.shape, gamma.shape, position.shape


def test_arguments_are_held_to_the_table_by_their_names_and_come_in_one_shape() -> None:
    shapes = drawn([[0.1], [0.2]], [1, 2, 3])
    assert [s.tolist() for s in shapes] == [[2, 3]] * 3


@pytest.mark.parametrize(
    ("arguments", "names", "message"),
    [
        ((1.5, 1), {}, r"alpha must be in \[0, 1\], got 1.5"),
        ((0.5, 0.5), {}, r"gamma must be in \[1, inf\), got 0.5"),
        ((0.5, [0, 2, 0]), {}, r"gamma must be in \[1, inf\), got 0 \(and 1 more\)"),
        ((0.5, 1), {"position": 1.5}, r"position must be an integer in \[1, inf\), got 1.5"),
        (("x", 1), {}, "alpha must be a number or an array of numbers, got 'x'"),
    ],
)
def test_an_argument_outside_the_table_is_refused_by_its_name(
    arguments: tuple[object, ...], names: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        drawn(*arguments, **names)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [((), {}), ((0.5, 1, 1), {}), ((0.5,), {"alpha": 0.5}), ((0.5, 1), {"other": 1})],
)
def test_a_call_that_does_not_fit_the_signature_is_a_type_error(
    arguments: tuple[object, ...], names: dict[str, object]
) -> None:
    with pytest.raises(TypeError, match="argument"):
        drawn(*arguments, **names)


def test_of_symbols_a_function_is_its_formula_and_its_help_has_the_ranges() -> None:
    import sympy

    a, g = formula.SYMBOLS.alpha, formula.SYMBOLS.gamma
    assert tokens_per_round(a, g) == formula.formula_of(tokens_per_round).expression
    k = sympy.Symbol("k", positive=True)
    # Where the value has a way of its own, the statement is still what symbols get.
    assert tokens_survival(a, k) == a**k
    assert costless_length_ratio(a) == 1 / (1 - a ** (1 / (1 - a)))
    assert "alpha in [0, 1] [1]; gamma in [0, inf) [token]" in tokens_per_round.__doc__
