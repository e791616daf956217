"""`howspec formulas`: the formula sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .answering import printing
from .commands import Argument
from .output import print_json, print_table

if TYPE_CHECKING:
    from ..theory.formula import Formula


@printing(
    name=Argument("One formula, with a worked value."),
    latex="Print the formulas as LaTeX.",
)
def formulas(
    name: str | None = None,
    latex: bool = False,
    as_json: bool = False,
) -> None:
    """Print the symbols and the formulas, with assumptions and sources.

    Examples:

    howspec formulas

    howspec formulas tokens_per_round --latex
    """
    from ..theory.catalogue import find
    from ..theory.catalogue import formulas as all_formulas
    from ..theory.symbols import quantities

    if name is not None:
        entry = find(name)
        if as_json:
            print_json(_entry(entry))
        else:
            _print_one(entry, latex)
        return
    listed = all_formulas()
    if as_json:
        symbols = [
            {"name": q.name, "latex": q.latex, "unit": q.unit, "range": q.range,
             "meaning": q.meaning}
            for q in quantities()
        ]  # fmt: skip
        print_json({"symbols": symbols, "formulas": [_entry(f) for f in listed]})
        return
    print_table(
        ["symbol", "unit", "range", "meaning"],
        [[q.latex if latex else q.name, q.unit, q.range, q.meaning] for q in quantities()],
    )
    group = ""
    for f in listed:
        if f.group != group:
            group = f.group
            print(f"\n{group.upper()}")
        print(f"\n  {f.latex if latex else f.statement}\n    {f.claim}\n    Source: {f.source}")


def _entry(f: Formula) -> dict[str, Any]:
    return {
        "name": f.name,
        "group": f.group,
        "statement": f.statement,
        "latex": f.latex,
        "claim": f.claim,
        "assumptions": f.assumptions,
        "wrong_when": f.wrong_when,
        "source": f.source,
        "worked": {"at": dict(f.worked), "value": float(f.exact(30, **f.worked))},
    }


def _print_one(f: Formula, latex: bool) -> None:
    at = ", ".join(f"{k} = {v:g}" for k, v in f.worked.items())
    print(f.latex if latex else f.statement)
    for head, text in (
        ("claim", f.claim),
        ("assumes", f.assumptions),
        ("wrong when", f.wrong_when),
        ("source", f.source),
        ("worked", f"{float(f.exact(30, **f.worked)):.10g} at {at}"),
    ):
        print(f"{head}: {text}")
