"""The formula sheet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..listing import Listing
from ..table import Table, texts

if TYPE_CHECKING:
    from ..theory.formula import Formula

_SYMBOL = ("name", "latex", "unit", "range", "meaning")
_FORMULA = ("name", "group", "statement", "latex", "claim", "assumptions", "wrong_when", "source")


def formulas(name: str | None = None, *, latex: bool = False) -> Listing:
    """List the symbols and the formulas, with assumptions and sources; or one of them by its name.

    latex: in what is printed. Raises ValueError, nearest names first, for an unknown name.
    """
    from ..theory.catalogue import find
    from ..theory.catalogue import formulas as all_formulas
    from ..theory.symbols import quantities

    if name is not None:
        found = find(name)
        return Listing(_entry(found), tuple(_one(found, latex)))
    listed, symbols = all_formulas(), [{n: getattr(q, n) for n in _SYMBOL} for q in quantities()]
    entry = {"symbols": symbols, "formulas": [_entry(f) for f in listed]}
    return Listing(entry, tuple(_sheet(symbols, listed, latex)))


def _entry(f: Formula) -> dict[str, Any]:
    worked = {"at": dict(f.worked), "value": float(f.exact(30, **f.worked))}
    return {n: getattr(f, n) for n in _FORMULA} | {"worked": worked}


def _one(f: Formula, latex: bool) -> Iterator[str]:
    yield f.latex if latex else f.statement
    at = ", ".join(f"{k} = {v:g}" for k, v in f.worked.items())
    for head, text in (
        ("claim", f.claim),
        ("assumes", f.assumptions),
        ("wrong when", f.wrong_when),
        ("source", f.source),
        ("worked", f"{float(f.exact(30, **f.worked)):.10g} at {at}"),
    ):
        yield f"{head}: {text}"


def _sheet(
    symbols: Sequence[dict[str, str]], listed: Sequence[Formula], latex: bool
) -> Iterator[str | Table]:
    called = "latex" if latex else "name"
    yield texts(
        ("symbol", "unit", "range", "meaning"),
        [[s[n] for n in (called, "unit", "range", "meaning")] for s in symbols],
    )
    group = ""
    for f in listed:
        if f.group != group:
            group = f.group
            yield f"\n{group.upper()}"
        yield f"\n  {f.latex if latex else f.statement}\n    {f.claim}\n    Source: {f.source}"
