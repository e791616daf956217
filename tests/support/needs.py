"""What a test needs that costs seconds, read from its code: torch, or processes of its own.

conftest.py marks every test with it, so that nobody has to remember the marks.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

WORDS = {
    "torch": {"torch", "transformers", "small_models"},
    # Where it ran is asked of git and of the driver.
    "process": {
        "subprocess",
        "multiprocessing",
        "ProcessPoolExecutor",
        "loky",
        "LocalCluster",
        "collect_provenance",
        "measure_server",
        "launched",
        "launching",
        "Fake",  # a measurement says where it ran
        "browser",
        "nbclient",  # a kernel
        "login_shell",  # bash is asked for its version before it completes
    },
}


@cache
def needs_of(path: Path) -> dict[str, frozenset[str]]:
    """Marks of every top-level function of a test file, by its name.

    A function needs what is named in it or in any function, class or value of the file that it
    names in turn, fixtures among its arguments included. A file that imports torch when it is read
    needs it everywhere.
    """
    text = path.read_text(encoding="utf-8")
    if not any(word in text for words in WORDS.values() for word in words):
        return {}
    tree = ast.parse(text)
    used = {name: _words(node) for node in tree.body for name in _names(node)}
    top = set().union(*(_words(n) for n in tree.body if _runs_at_import(n)), set())
    everywhere = {mark for mark, words in WORDS.items() if mark == "torch" and words & top}
    return {
        node.name: frozenset(
            everywhere | {m for m, words in WORDS.items() if words & _reached(node.name, used)}
        )
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }


def _runs_at_import(node: ast.stmt) -> bool:
    return not isinstance(node, ast.FunctionDef | ast.ClassDef)


def _names(node: ast.stmt) -> list[str]:
    """What a statement at the top of a file defines; an import defines nothing of its own."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [n.id for t in targets if t for n in ast.walk(t) if isinstance(n, ast.Name)]


def _words(node: ast.AST) -> set[str]:
    """Names, arguments and imported modules below a node, and the kind of a pool of processes."""
    found: set[str] = set()
    for inner in ast.walk(node):
        match inner:
            case ast.Name(id=word) | ast.arg(arg=word) | ast.Attribute(attr=word):
                found.add(word)
            case ast.Constant(value="loky"):
                found.add("loky")
            case ast.Call(func=ast.Attribute(attr="importorskip"), args=[ast.Constant(value=word)]):
                found.add(str(word))
            case ast.Import(names=names):
                found |= {n.name.split(".")[0] for n in names}
            case ast.ImportFrom(module=str(module)):
                found.add(module.split(".")[0])
    return found


def _reached(name: str, used: dict[str, set[str]]) -> set[str]:
    """All words of a definition and of the definitions that it names, directly or not."""
    seen: set[str] = set()
    todo = [name]
    while todo:
        for word in used[todo.pop()] - seen:
            seen.add(word)
            if word in used:
                todo.append(word)
    return seen
