"""The formula sheet as Markdown, printed from the catalogue: nothing in it is typed twice."""

from __future__ import annotations

from .catalogue import formulas
from .symbols import quantities

_HEAD = """# Formula sheet

Printed from the formulas themselves by `make sheet`; a test holds it current. Each entry gives the
statement, what it says, what it assumes, where it fails, its source, and a worked value.
`howspec formulas NAME` prints one entry.
"""


def markdown() -> str:
    """The whole sheet: symbol table, then every formula by group."""
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
