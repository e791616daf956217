"""Every formula of the package: in one list, and printed as the sheet and as JavaScript.

    1 - b^e  is printed in JavaScript as  -expm1(e ln b),  which keeps its digits where b is near 1,

and where the quotient by 1 - alpha has no value at alpha = 1, its limit is printed beside it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .formula import SYMBOLS, Formula, declared
from .symbols import quantities

# The headings of the formula sheet, in the order in which they are printed.
GROUPS = (
    "rounds",
    "speed-up",
    "optimum",
    "decision",
    "metrics",
    "estimation",
    "acceptance laws",
    "cost laws",
    "batch, load and memory",
    "requests",
    "draft scale",
    "headroom",
    "sensitivity",
    "trees",
    "several drafts and verification",
    "schedules and cascades",
)

# The modules with formulas, in the order in which a group prints theirs.
MODULES = """
    rounds acceptance.law acceptance.mixture acceptance.heterogeneity acceptance.markov speedup
    optimum costs.choose costs.passes costs.batch costs.load costs.roofline costs.uneven costs.law
    acceptance.positional acceptance.estimation acceptance.gated acceptance.metrics regret scale.law
    scale.bits limits.ceilings trees.verification trees.optimal trees.several trees.rejection
    trees.value limits.headroom limits.sensitivity limits.rejections limits.adaptive scale.concavity
    scale.other_laws scale.two_axes requests.distribution requests.horizon requests.latency
    requests.length schedules.cascade schedules.together schedules.drafters
"""


_HEAD = """# Formula sheet

Printed from the formulas themselves by `make sheet`; a test holds it current. Each entry gives the
statement, what it says, what it assumes, where it fails, its source, and a worked value.
`howspec formulas NAME` prints one entry.
"""


def formulas() -> tuple[Formula, ...]:
    """All formulas, grouped and in the order of their modules; imports every module of theory."""
    package = f"{__package__}."
    for module in pkgutil.walk_packages([str(Path(__file__).parent)], package):
        importlib.import_module(module.name)

    def place(f: Formula) -> tuple[int, int]:
        return GROUPS.index(f.group), MODULES.split().index(
            f.build.__module__.removeprefix(package)
        )

    return tuple(sorted(declared(), key=place))


def find(name: str) -> Formula:
    """The formula of that name; ValueError lists the nearest names if there is none."""
    import difflib

    known = {f.name: f for f in formulas()}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or sorted(known)
        raise ValueError(f"no formula named {name!r}; did you mean {', '.join(near)}?")
    return known[name]


def markdown() -> str:
    """The formula sheet: symbol table, then every formula by group. Nothing is typed twice."""
    lines = [_HEAD, "## Symbols", "", "| name | symbol | unit | range | meaning |"]
    lines.append("|---|---|---|---|---|")
    listed = formulas()
    lines += [
        f"| `{q.name}` | ${q.latex}$ | {q.unit} | {q.range} | {q.meaning.replace('|', '/')} |"
        for q in sorted(quantities(), key=lambda q: q.name)
    ]
    group = ""
    for f in listed:
        if f.group != group:
            group = f.group
            lines += ["", f"## {group.capitalize()}"]
        at = ", ".join(f"{k} = {v:g}" for k, v in f.worked.items())
        value = float(f.exact(30, **f.worked))
        lines += [
            "",
            f"### {f.name}",
            "",
            f"$${f.latex}$$",
            "",
            f.claim,
            "",
            f"- Assumes: {f.assumptions}",
            f"- Wrong when: {f.wrong_when}",
            f"- Source: {f.source}",
            f"- Worked: {value:.10g} at {at}",
        ]
    return "\n".join(lines) + "\n"


def stable(expression: Any) -> Any:
    """The expression with every 1 - b^e in the form that keeps its digits; equal to it."""
    import sympy
    from sympy.codegen.cfunctions import expm1

    def is_gap(node: Any) -> bool:
        return bool(node.is_Add and len(node.args) == 2 and node.args[0] == 1 and _power(node))

    def written(node: Any) -> Any:
        found = _power(node)
        return -expm1(found.exp * sympy.log(found.base))

    return expression.replace(is_gap, written)


def _power(node: Any) -> Any:
    """b^e of 1 - b^e, None for anything else."""
    import sympy

    inner = -(node - 1)
    return inner if isinstance(inner, sympy.Pow) and inner.exp.free_symbols else None


def at_one(expression: Any, symbol: Any) -> Any:
    """The stable expression, with its limit at 1 where it divides by 1 - symbol."""
    import sympy

    divided = any(
        isinstance(p, sympy.Pow) and p.exp == -1 and p.base.subs(symbol, 1) == 0
        for p in sympy.preorder_traversal(expression)
    )
    if not divided:
        return stable(expression)
    limit = sympy.limit(expression, symbol, 1)
    return sympy.Piecewise((limit, sympy.Eq(symbol, 1)), (stable(expression), True))


def javascript(expression: Any, arguments: Sequence[str]) -> str:
    """An arrow function of JavaScript: numbers in the order of ``arguments``, a number out.

    expression: of the symbols of the registry; arguments: their names. Raises ValueError where the
    expression has a symbol that is no argument.
    """
    from sympy.printing.jscode import JavascriptCodePrinter

    missing = {s.name for s in expression.free_symbols} - set(arguments)
    if missing:
        raise ValueError(f"arguments lack {', '.join(sorted(missing))}")
    printer = JavascriptCodePrinter({"user_functions": {"expm1": "Math.expm1"}})
    body = printer.doprint(at_one(expression, SYMBOLS.alpha))
    return f"({', '.join(arguments)}) => ({' '.join(body.split())})"


_SCALE = (
    "scale", "bits", "rejection_floor", "rejection_coefficient", "rejection_exponent",
    "bits_coefficient", "bits_exponent",
)  # fmt: skip
_COST = ("scale", "bits", "target_bits", "cost_floor", "cost_slope")
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "tokens_per_round": ("alpha", "gamma"),
    "conditional_rate": ("alpha", "decay", "position"),
    "speedup": ("alpha", "gamma", "cost_ratio", "verify_slope", "overhead"),
    "acceptance_at_bits": _SCALE,
    "cost_at_bits": _COST,
}


def page_formulas() -> dict[str, tuple[Any, tuple[str, ...]]]:
    """What a page of the two turning points computes with: expression and arguments by name.

    Beside formulas of the sheet: the time of a round, which is E[N] over the speed-up, and the two
    coefficients of a ladder of drafts through one draft that is known, solved for.
    """
    import sympy

    s = SYMBOLS
    found = {name: (find(name).expression, of) for name, of in ARGUMENTS.items()}
    cost = sympy.simplify(found["tokens_per_round"][0] / found["speedup"][0])
    found["round_cost"] = cost, ("gamma", "cost_ratio", "verify_slope", "overhead")
    for name, law, known in (
        ("rejection_coefficient", "acceptance_at_bits", "alpha"),
        ("cost_slope", "cost_at_bits", "cost_ratio"),
    ):
        wanted = getattr(s, name)
        (value,) = sympy.solve(sympy.Eq(getattr(s, known), found[law][0]), wanted)
        found[name] = value, (known, *(a for a in ARGUMENTS[law] if a != name))
    return found


def page_script() -> str:
    """The formulas of `page_formulas` as one object of JavaScript."""
    lines = [f"  {name}: {javascript(*of)}," for name, of in page_formulas().items()]
    return "\n".join(("{", *lines, "}"))


if __name__ == "__main__":
    print(markdown(), end="")
