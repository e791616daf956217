"""The single changes of a module that the mutation benchmark draws from.

A sign, an exponent, a product, a constant by one, or a comparison; whether it stands in what a
formula states or in what evaluates it.
"""

from __future__ import annotations

import ast
import random
import re
from dataclasses import dataclass

SWAPS: dict[type[ast.AST], tuple[bytes, bytes]] = {
    ast.Add: (b"+", b"-"),
    ast.Sub: (b"-", b"+"),
    ast.Mult: (b"*", b"/"),
    ast.Div: (b"/", b"*"),
    ast.Lt: (b"<", b">="),
    ast.LtE: (b"<=", b">"),
    ast.Gt: (b">", b"<="),
    ast.GtE: (b">=", b"<"),
    ast.Eq: (b"==", b"!="),
    ast.NotEq: (b"!=", b"=="),
}
# What is inside these says nothing about a formula: messages, shapes, loop lengths, warnings.
SKIPPED_CALLS = {
    "range",
    "errstate",
    "check",
    "register_profile",
    "getattr",
    "Dummy",
    "symbolic",
}


@dataclass(frozen=True)
class Mutation:
    """One change of one module: bytes start..end become new; symbolic if inside a formula."""

    start: int
    end: int
    new: bytes
    line: int
    symbolic: bool


class Sites(ast.NodeVisitor):
    """Collects the places of a module where a change would change a result."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        lengths = [0]
        for line in source.splitlines(keepends=True):
            lengths.append(lengths[-1] + len(line))
        self.lines = lengths
        self.symbolic = False
        self.depth = 0
        self.found: list[Mutation] = []

    def at(self, line: int, column: int) -> int:
        return self.lines[line - 1] + column

    def span(self, node: ast.expr) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return (
            self.at(node.lineno, node.col_offset),
            self.at(node.end_lineno, node.end_col_offset),
        )

    def add(self, start: int, end: int, new: bytes) -> None:
        if self.depth:
            line = self.source[:start].count(b"\n") + 1
            self.found.append(Mutation(start, end, new, line, self.symbolic))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        before = self.symbolic
        names = {ast.unparse(d).split("(")[0] for d in node.decorator_list}
        stated = "equation" in names and "if symbolic(" not in ast.unparse(node)
        self.symbolic = before or stated
        self.depth += 1
        for statement in node.body:
            self.visit(statement)
        self.depth -= 1
        self.symbolic = before

    def visit_If(self, node: ast.If) -> None:
        """What an equation gives of symbols is its statement; the rest evaluates it."""
        before = self.symbolic
        self.visit(node.test)
        self.symbolic = before or ast.unparse(node.test).startswith("symbolic(")
        for statement in node.body:
            self.visit(statement)
        self.symbolic = before
        for statement in node.orelse:
            self.visit(statement)

    def visit_Raise(self, node: ast.Raise) -> None:
        """A message is not a result."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Nor is a formatted string."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        name = ast.unparse(node.func).rpartition(".")[2]
        if name in SKIPPED_CALLS:
            return
        for argument in node.args:
            self.visit(argument)
        if isinstance(node.func, ast.Attribute):
            self.visit(node.func.value)
        # Keyword arguments are axes and options, not terms.

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.visit(node.value)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, int | float):
            return
        if value not in (1e-16, 1e-12, 1e-9, 1e-6):  # tolerances
            start, end = self.span(node)
            self.add(start, end, repr(value + 1).encode())

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.USub):
            start, _ = self.span(node)
            self.add(start, start + 1, b"+")
        self.visit(node.operand)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if isinstance(node.op, ast.Pow):
            start, end = self.span(node.right)
            self.add(start, end, b"-(" + self.source[start:end] + b")")
        else:
            self.swap(node.left, node.op, node.right)
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        left = node.left
        for op, right in zip(node.ops, node.comparators, strict=True):
            self.swap(left, op, right)
            left = right
        self.generic_visit(node)

    def swap(self, left: ast.expr, op: ast.AST, right: ast.expr) -> None:
        if type(op) not in SWAPS:
            return
        old, new = SWAPS[type(op)]
        gap = slice(self.span(left)[1], self.span(right)[0])
        place = re.search(re.escape(old), self.source[gap])
        if place:
            start = gap.start + place.start()
            self.add(start, start + len(old), new)


def sites(source: bytes) -> list[Mutation]:
    """All single changes of a module that still parse, in the order of its text."""
    visitor = Sites(source)
    visitor.visit(ast.parse(source))
    good = []
    for change in sorted(set(visitor.found), key=lambda m: (m.start, m.end, m.new)):
        try:
            ast.parse(apply(source, change))
        except SyntaxError:
            continue
        good.append(change)
    return good


def apply(source: bytes, change: Mutation) -> bytes:
    """The module with the change made."""
    return source[: change.start] + change.new + source[change.end :]


def sample(changes: list[Mutation], count: int, *, seed: str) -> list[Mutation]:
    """``count`` of the changes, one symbolic and one numeric among them where there are both."""
    order = changes.copy()
    random.Random(seed).shuffle(order)
    first = [next((m for m in order if m.symbolic is kind), None) for kind in (True, False)]
    chosen = [m for m in first if m is not None][:count]
    chosen += [m for m in order if m not in chosen][: count - len(chosen)]
    return sorted(chosen, key=lambda m: m.start)
