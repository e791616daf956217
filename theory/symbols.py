"""The quantities of howspec: one name, one LaTeX form, one unit, one range, one meaning each.

The table is `quantities.csv`; a range is written there as it is printed, and "whole" where only
whole numbers are meant. Every formula takes its SymPy symbols from here and every numeric function
checks its arguments against the range given here, so that an error message and a printed formula
speak of the same thing.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any


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


def _read(row: dict[str, str]) -> Quantity:
    interval, _, _ = row["range"].partition(" whole")
    low, high = interval[1:-1].split(", ")
    return Quantity(
        row["name"],
        row["latex"],
        row["unit"],
        float(low),
        float(high),
        row["meaning"],
        integer=row["range"] != interval,
        open_low=interval[0] == "(",
        open_high=interval[-1] == ")" and high != "inf",
    )


with (Path(__file__).parent / "quantities.csv").open(encoding="utf-8", newline="") as _table:
    _REGISTRY = {row["name"]: _read(row) for row in csv.DictReader(_table)}


def quantity(name: str) -> Quantity:
    """Return the registered quantity, or raise KeyError naming it."""
    try:
        return _REGISTRY[name]
    except KeyError:
        raise KeyError(f"no quantity named {name!r}") from None


def quantities() -> tuple[Quantity, ...]:
    """All registered quantities, in the order of the table."""
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
