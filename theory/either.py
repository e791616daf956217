"""What formulas are written with: of symbols the expression, of numbers the value."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

from .domain import first_bad
from .formula import Number, symbolic


def _both(name: str, numbers: Callable[..., Number]) -> Callable[..., Number]:
    def either(*values: Number) -> Number:
        if symbolic(*values):
            import sympy

            return getattr(sympy, name)(*values)
        return reduce(numbers, values) if len(values) > 1 else numbers(*values)

    return either


exp, log, sqrt = _both("exp", np.exp), _both("log", np.log), _both("sqrt", np.sqrt)
ceiling, cbrt = _both("ceiling", np.ceil), _both("cbrt", np.cbrt)
larger, smaller = _both("Max", np.maximum), _both("Min", np.minimum)


def only_where(holds: Number, value: Number, otherwise: float) -> Number:
    """``value``; of numbers ``otherwise`` where it does not hold, which no statement says."""
    return value if symbolic(holds, value) else np.where(holds, value, otherwise)


def when_drafting(gamma: Number, extra: Number) -> Number:
    """``extra``, which a round without a draft does not pay: its statement is for gamma >= 1."""
    return only_where(gamma > 0, extra, 0.0)


def probability(value: Number) -> Number:
    """``value``; of numbers NaN outside [0, 1], where the law that gave it says nothing."""
    return value if symbolic(value) else np.where((value >= 0.0) & (value <= 1.0), value, np.nan)


def share(part: Number, whole: Number) -> Number:
    """part / whole; of numbers 0 where both are 0."""
    if symbolic(part, whole):
        return part / whole
    part, whole = np.broadcast_arrays(part, whole)
    return np.divide(part, whole, out=np.zeros(whole.shape), where=whole != 0.0)


def at_least_once(chance: Number, trials: Number) -> Number:
    """1 - (1 - chance)^trials, with the digits of a small chance."""
    if symbolic(chance, trials):
        return 1 - (1 - chance) ** trials
    with np.errstate(divide="ignore", invalid="ignore"):
        value = -np.expm1(trials * np.log1p(-chance))
    return np.where(trials == 0.0, 0.0, value)  # where no trial meets what is certain


def decimal(text: str, beside: Number) -> Number:
    """A constant as it is printed: exact beside symbols, a float beside numbers."""
    if not symbolic(beside):
        return float(text)
    import sympy

    return sympy.Rational(text)


def demand(holds: Number, wanted: str, values: Number) -> None:
    """Raise ValueError with what is wanted and the first of ``values`` at which it does not hold.

    For what a formula asks of several numbers at once; of symbols nothing is asked.
    """
    if not symbolic(holds) and not np.all(holds):
        bad = ~np.asarray(holds)
        raise ValueError(f"{wanted}, got {first_bad(np.broadcast_to(values, bad.shape), bad)}")
