"""Every formula of the package, in one list, and as the sheet that is printed from it."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from .formula import Formula, declared
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


if __name__ == "__main__":
    print(markdown(), end="")
