"""A formula is one SymPy expression with its claim, its assumptions and its source.

The expression is written once, as a function of the symbols, and built at the first use:
``import howspec.theory`` and a prediction therefore start without SymPy. The numeric function
beside it is tied to it by :func:`evaluates`, and the tests compare the two at 50 digits.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from .symbols import Symbols, quantity

_FORMULAS: dict[str, Formula] = {}
_SECTIONS = ("Assumes", "Wrong when", "Source")
SYMBOLS = Symbols()
F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class Formula:
    """One result: ``name = expression``.

    name: unique identifier, also the name of the numeric function where there is one.
    symbol: LaTeX of the left-hand side.
    group: heading under which it is printed.
    build: function from the symbols to the SymPy expression.
    worked: arguments of the worked value.
    evaluator: the numeric function (arrays in, arrays out).
    """

    name: str
    symbol: str
    group: str
    build: Callable[[Any], Any]
    worked: Mapping[str, float]
    evaluator: Callable[..., Any] | None = field(default=None)

    @cached_property
    def expression(self) -> Any:
        """The SymPy expression, the one statement of this result."""
        return self.build(SYMBOLS)

    @cached_property
    def _parts(self) -> dict[str, str]:
        return split_docstring(inspect.getdoc(self.build) or "", self.name)

    @property
    def claim(self) -> str:
        """What the formula says, one sentence or two."""
        return self._parts["claim"]

    @property
    def assumptions(self) -> str:
        """What must hold for it."""
        return self._parts["Assumes"]

    @property
    def wrong_when(self) -> str:
        """Where it fails in practice."""
        return self._parts["Wrong when"]

    @property
    def source(self) -> str:
        """Where it was published, or that it is derived here."""
        return self._parts["Source"]

    @property
    def statement(self) -> str:
        """The formula as plain text."""
        import sympy

        return f"{self.name} = {sympy.sstr(self.expression)}"

    @property
    def latex(self) -> str:
        """The formula as LaTeX."""
        import sympy

        names = {
            sym: quantity(sym.name).latex
            for sym in self.expression.free_symbols
            if not isinstance(sym, sympy.Dummy)
        }
        return f"{self.symbol} = {sympy.latex(self.expression, symbol_names=names)}"

    def exact(self, digits: int = 50, **values: Any) -> Any:
        """Evaluate the expression at ``digits`` significant digits (a SymPy number).

        A float argument is taken at its exact binary value.
        """
        import sympy

        point = {getattr(SYMBOLS, k): sympy.Rational(v) for k, v in values.items()}
        powers = [p.exp.subs(point) for p in self.expression.atoms(sympy.Pow)]
        if any(not p.is_Rational or p.q > 10**6 for p in powers if not p.free_symbols):
            # A fraction of a hundred digits to the power of another takes for ever to be exact.
            point = {k: sympy.Float(v, 2 * digits + 30) for k, v in point.items()}
        # Sums and products unroll first, so that their bounds are numbers when evaluated.
        return sympy.N(self.expression.subs(point).doit(), digits)


def split_docstring(text: str, name: str) -> dict[str, str]:
    """Split a formula's docstring into its claim and the sections Assumes, Wrong when, Source.

    Raises ValueError when a section is missing: a formula without them is not finished.
    """
    parts: dict[str, list[str]] = {"claim": []}
    current = "claim"
    for line in text.splitlines():
        head = next((s for s in _SECTIONS if line.startswith(s + ":")), None)
        if head:
            current = head
            parts[head] = []
            line = line[len(head) + 1 :]
        parts[current].append(line.strip())
    joined = {key: " ".join(x for x in value if x) for key, value in parts.items()}
    missing = [s for s in ("claim", *_SECTIONS) if not joined.get(s)]
    if missing:
        raise ValueError(f"formula {name!r}: docstring lacks {', '.join(missing)}")
    return joined


def formula(
    name: str, symbol: str, *, group: str, **worked: float
) -> Callable[[Callable[[Any], Any]], Formula]:
    """Declare a formula; the decorated function maps the symbols to the expression.

    worked: values of the symbols for the printed example.
    """

    def wrap(build: Callable[[Any], Any]) -> Formula:
        if name in _FORMULAS:
            raise ValueError(f"formula {name!r} is already declared")
        _FORMULAS[name] = Formula(name, symbol, group, build, worked)
        return _FORMULAS[name]

    return wrap


def evaluates(target: Formula) -> Callable[[F], F]:
    """Tie a numeric function to the formula that it evaluates.

    A value beyond the largest float is inf, without a warning: it is the value. NaN still warns.
    """

    def wrap(function: F) -> F:
        quiet: F = np.errstate(over="ignore", divide="ignore")(function)
        target.evaluator = quiet
        return quiet

    return wrap


def declared() -> tuple[Formula, ...]:
    """The formulas declared by the modules imported so far, in order."""
    return tuple(_FORMULAS.values())
