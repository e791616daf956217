"""A formula is one SymPy expression with its claim, its assumptions and its source.

An :func:`equation` is a function of its quantities that is both: of symbols it gives the
expression, of numbers the value, with the arguments checked against the symbol table. Where the
value needs another way than the statement (a sum that cancels, the end of a range) the function
has a branch of its own for each. The expression is built at the first use: ``import
howspec.theory`` and a prediction start without SymPy. The tests compare values and expressions at
50 digits.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any, ParamSpec, TypeAlias

import numpy as np

from .domain import check, check_least, unwrap
from .symbols import Symbols, quantity

_FORMULAS: dict[str, Formula] = {}
_SECTIONS = ("Assumes", "Wrong when", "Source")
_VALUE = "Returns"  # of the numeric function only: not part of the statement
SYMBOLS = Symbols()
P = ParamSpec("P")
# A number, an array of numbers, or a SymPy expression (which has no type).
Number: TypeAlias = Any


@dataclass
class Formula:
    """One result: ``name = expression``.

    name: unique identifier.
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
    evaluator: Callable[..., Any]

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

    What it returns, a last section, may be there or not.

    Raises ValueError when a section is missing: a formula without them is not finished.
    """
    parts: dict[str, list[str]] = {"claim": []}
    current = "claim"
    for line in text.splitlines():
        head = next((s for s in (*_SECTIONS, _VALUE) if line.startswith(s + ":")), None)
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


def symbolic(*values: Any) -> bool:
    """Whether any of the values is a SymPy expression."""
    return any(hasattr(v, "free_symbols") for v in values)


def _names(function: Any) -> tuple[str, ...]:
    code = inspect.unwrap(function).__code__
    return tuple(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])


def numeric(
    *,
    others: Sequence[str] = (),
    whole: Sequence[str] = (),
    least: Mapping[str, float] | None = None,
    broadcast: bool = False,
) -> Callable[[Callable[P, Any]], Callable[P, Any]]:
    """A function of quantities by name, as one of numbers or arrays that are checked on the way in.

    Each argument is held to the range of the quantity of its name and comes as a float64 array; a
    result without dimensions goes out as a float. SymPy expressions pass as they are. A value
    beyond the largest float is inf, without a warning: it is the value. NaN still warns. others:
    quantities that the function takes as ``**`` keywords; whole: names that must be whole numbers;
    least: names with a smallest value above that of their range; broadcast: whether the arguments
    come in their common shape.
    """
    limits = dict(least or {})

    def one(name: str, value: Any) -> Any:
        values = check(name, value, whole=name in whole)
        return check_least(name, values, limits[name]) if name in limits else values

    def wrap(function: Callable[P, Any]) -> Callable[P, Any]:
        names = (*_names(function), *others)
        positional = names[: function.__code__.co_argcount]
        defaults = {n: np.asarray(v, np.float64) for n, v in _defaults(function).items()}

        @wraps(function)
        @np.errstate(over="ignore", divide="ignore")
        def checked(*args: P.args, **kwargs: P.kwargs) -> Any:
            fits = len(args) <= len(positional) and kwargs.keys().isdisjoint(names[: len(args)])
            if not fits or symbolic(*args, *kwargs.values()):
                return function(*args, **kwargs)
            given: dict[str, Any] = {**dict(zip(names, args, strict=False)), **kwargs}
            values: Any = {n: one(n, v) if n in names else v for n, v in given.items()}
            values = {**defaults, **values}
            if broadcast:
                values = dict(zip(values, np.broadcast_arrays(*values.values()), strict=True))
            value = function(**values)  # type: ignore[call-arg]
            if isinstance(value, tuple):
                return tuple(unwrap(np.asarray(v)) for v in value)
            return unwrap(np.asarray(value))

        return checked

    return wrap


def _defaults(function: Any) -> dict[str, Any]:
    given = function.__defaults__ or ()
    count = function.__code__.co_argcount
    last = function.__code__.co_varnames[count - len(given) : count]
    return {**dict(zip(last, given, strict=True)), **(function.__kwdefaults__ or {})}


def equation(
    symbol: str,
    *,
    group: str,
    name: str = "",
    others: Sequence[str] = (),
    whole: Sequence[str] = (),
    least: Mapping[str, float] | None = None,
    broadcast: bool = False,
    **worked: float,
) -> Callable[[Callable[P, Any]], Callable[P, Any]]:
    """Declare a formula by the function that is its statement and evaluates it too.

    The function takes quantities by name, of symbols or of numbers, and its docstring is that of a
    formula. name: of the formula, where it is not the function's; others, whole, least, broadcast:
    as in :func:`numeric`; worked: values for the printed example.
    """

    def wrap(function: Callable[P, Any]) -> Callable[P, Any]:
        names = (*_names(function), *others)
        count = function.__code__.co_argcount

        @wraps(function)
        def build(s: Any) -> Any:
            named: Any = {n: getattr(s, n) for n in names[count:]}
            return function(*(getattr(s, n) for n in names[:count]), **named)

        checked = numeric(others=others, whole=whole, least=least, broadcast=broadcast)(function)
        own = name or function.__name__
        if own in _FORMULAS:
            raise ValueError(f"formula {own!r} is already declared")
        _FORMULAS[own] = Formula(own, symbol, group, build, worked, checked)
        takes = (f"{n} in {quantity(n).range} [{quantity(n).unit}]" for n in names)
        checked.__doc__ = f"{function.__doc__}\n    Takes: {'; '.join(takes)}. Shapes broadcast."
        return checked

    return wrap


def formula_of(function: Callable[..., Any]) -> Formula:
    """The formula that a function states."""
    return next(f for f in _FORMULAS.values() if f.evaluator is function)


def declared() -> tuple[Formula, ...]:
    """The formulas declared by the modules imported so far, in order."""
    return tuple(_FORMULAS.values())
