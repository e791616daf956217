"""The quantities of howspec: one name, one LaTeX form, one unit, one range, one meaning each.

Every formula takes its SymPy symbols from here and every numeric function checks its arguments
against the range given here, so that an error message and a printed formula speak of the same
thing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .quantities import TABLE


@dataclass(frozen=True)
class Quantity:
    """One named quantity.

    name: identifier used in Python, in JSON and on the command line.
    latex: LaTeX of the symbol.
    unit: unit of the number ("1" for a pure number).
    low, high: closed range; with ``open_low``/``open_high`` the end itself is excluded.
    integer: whether only whole numbers are meant.
    meaning: one sentence.
    """

    name: str
    latex: str
    unit: str
    low: float
    high: float
    meaning: str
    integer: bool = False
    open_low: bool = False
    open_high: bool = False

    @property
    def range(self) -> str:
        """The allowed range as text, e.g. ``[0, 1]`` or ``[0, inf)``."""
        left = "(" if self.open_low or math.isinf(self.low) else "["
        right = ")" if self.open_high or math.isinf(self.high) else "]"
        return f"{left}{self.low:g}, {self.high:g}{right}"


_REGISTRY: dict[str, Quantity] = {}


def register(
    name: str,
    latex: str,
    meaning: str,
    *,
    low: float = 0.0,
    high: float = math.inf,
    unit: str = "1",
    integer: bool = False,
    open_low: bool = False,
    open_high: bool = False,
) -> Quantity:
    """Add a quantity to the registry and return it.

    Raises ValueError when the name is taken: a quantity has one definition.
    """
    if name in _REGISTRY:
        raise ValueError(f"quantity {name!r} is already registered")
    _REGISTRY[name] = Quantity(name, latex, unit, low, high, meaning, integer, open_low, open_high)
    return _REGISTRY[name]


def quantity(name: str) -> Quantity:
    """Return the registered quantity, or raise KeyError naming it."""
    try:
        return _REGISTRY[name]
    except KeyError:
        raise KeyError(f"no quantity named {name!r}") from None


def quantities() -> tuple[Quantity, ...]:
    """All registered quantities, in the order of registration."""
    return tuple(_REGISTRY.values())


class Symbols:
    """SymPy symbols by attribute: ``s.alpha`` is the symbol of the quantity ``alpha``.

    A symbol is declared real and, where its range says so, non-negative, positive or integer.
    SymPy is imported at the first use, not before.
    """

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name not in self._made:
            import sympy

            q = quantity(name)
            kind: dict[str, bool] = {"real": True}
            if q.low > 0 or (q.low == 0 and q.open_low):
                kind["positive"] = True
            elif q.low == 0:
                kind["nonnegative"] = True
            if q.integer:
                kind["integer"] = True
            self._made[name] = sympy.Symbol(name, **kind)
        return self._made[name]


for _name, _latex, _unit, _range, _meaning in TABLE:
    _interval, _, _whole = _range.partition(" whole")
    _low, _high = _interval[1:-1].split(", ")
    register(
        _name,
        _latex,
        _meaning,
        low=float(_low),
        high=float(_high),
        unit=_unit,
        integer=_range != _interval,
        open_low=_interval[0] == "(",
        open_high=_interval[-1] == ")" and _high != "inf",
    )
