"""What formulas are written with: of symbols the expression, of numbers the value."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np

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


def when_drafting(gamma: Number, extra: Number) -> Number:
    """``extra``, which a round without a draft does not pay: its statement is for gamma >= 1."""
    return extra if symbolic(gamma, extra) else np.where(gamma > 0.0, extra, 0.0)
