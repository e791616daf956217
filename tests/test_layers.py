"""The folders import one way, heavy libraries stay in their layer, and nothing is left out."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LAYERS = {
    "theory": set(),
    "calibrate": {"theory"},
    "sim": {"theory", "calibrate"},
    "figures": {"theory", "sim", "calibrate"},
    "api": {"theory", "sim", "calibrate", "figures"},
    "cli": {"theory", "sim", "calibrate", "figures", "api"},
}
HEAVY = {
    "sympy": {"theory"},
    "torch": {"calibrate"},
    "transformers": {"calibrate"},
    "matplotlib": {"figures"},
    "click": {"cli"},
    "rich": {"cli"},
    "httpx2": {"calibrate"},
}
MEASURING = {("calibrate", "measure"), ("calibrate", "family"), ("calibrate", "campaign")}
FILES = [p for layer in LAYERS for p in sorted((ROOT / layer).rglob("*.py"))]
FOLDERS = sorted({p.parent for p in FILES})


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all below it, without what only type checkers read."""
    for below in ast.iter_child_nodes(node):
        match below:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                yield from (n for other in below.orelse for n in (other, *_running(other)))
            case ast.stmt() | ast.ExceptHandler() | ast.match_case():
                yield below
                yield from _running(below)


def _imports(path: Path) -> list[tuple[int, str, bool]]:
    """(level, first module name, whether at module level) of every import that runs in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = set(map(id, tree.body))
    found = []
    for node in _running(tree):
        if isinstance(node, ast.Import):
            found += [(0, a.name, id(node) in top) for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.level, node.module or "", id(node) in top))
    return found


def _layer_of_import(path: Path, level: int, module: str) -> str | None:
    """The layer that an import reaches, or None for something outside the project."""
    if level == 0:
        if module.split(".")[0] == "howspec":
            return module.split(".")[1]
        return None
    base = path.relative_to(ROOT).parts[:-1]
    base = base[1:] if base[0] == "api" else base  # api/ is howspec itself
    up = base[: len(base) - (level - 1)]
    first = [*up, *module.split(".")][0]
    return first if first in LAYERS else "api"


def _faults(path: Path) -> Iterator[str]:
    own = path.relative_to(ROOT).parts[0]
    heavy = {"theory": {"sympy", "scipy", "pandas"}, "cli": {"rich", "pandas", "scipy"}}.get(
        own, set()
    )
    # What measures models has no use without them; nothing else may pull them in.
    if path.relative_to(ROOT).parts[:2] not in MEASURING:
        heavy = heavy | {"torch", "transformers"}
    for level, module, top in _imports(path):
        first = module.split(".")[0]
        if first == "howspec":
            yield f"import {module} relatively"
        if not level and first in LAYERS:
            yield f"{module} is not importable when installed"
        reached = _layer_of_import(path, level, module)
        started = (own, path.name, reached) == ("api", "__main__.py", "cli")  # python -m howspec
        if not started and reached not in {None, own, *LAYERS[own]}:
            yield f"{own} must not see {reached}"
        if level == 0 and own not in HEAVY.get(first, {own}):
            yield f"{first} belongs in {HEAVY[first]}"
        if level == 0 and top and first in heavy:
            yield f"import {module} inside the function"
        if own == "cli" and top and level and reached != "cli":
            yield f"{module} at start-up"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_one_way_are_relative_and_load_nothing_heavy_too_early(folder: Path) -> None:
    assert [f"{p}: {fault}" for p in sorted(folder.glob("*.py")) for fault in _faults(p)] == []


def _file(*parts: str) -> Path | None:
    """The file of a module, None where there is none; api/ is howspec itself."""
    base = ROOT if parts and parts[0] in LAYERS else ROOT / "api"
    module = base.joinpath(*parts)
    places = (module.with_suffix(".py"), module / "__init__.py")
    return next((p for p in places if p.is_file()), None)


def _files_imported(path: Path) -> set[Path]:
    """The project's files that a file names in any import, type checkers' and functions' included.

    `from .x import y` is of the module y in x where there is one, else of x.
    """
    folder = path.relative_to(ROOT).parts[:-1]
    folder = folder[1:] if folder[0] == "api" else folder
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            up = folder[: len(folder) - (node.level - 1)]
            module = (*up, *(node.module or "").split(".")) if node.module else up
            found |= {_file(*module, a.name) or _file(*module) for a in node.names}
    return {p for p in found if p is not None and p != path}


def test_no_files_import_each_other_in_a_loop() -> None:
    try:
        TopologicalSorter({path: _files_imported(path) for path in FILES}).prepare()
    except CycleError as error:
        loop = " -> ".join(str(p.relative_to(ROOT)) for p in reversed(error.args[1]))
        pytest.fail(f"{loop}: move what both ends need to a file below them, or pass it in")


def test_every_package_of_the_tree_is_listed_for_the_wheel() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = [p.parent.relative_to(ROOT) for p in FILES if p.name == "__init__.py"]
    tree = {".".join(("howspec", *f.parts)): str(f) for f in folders}
    # api/ is howspec itself, and its folders are sub-packages of that.
    tree = {name.replace("howspec.api", "howspec"): folder for name, folder in tree.items()}
    assert set(config["packages"]) == set(tree)
    assert config["package-dir"] == tree


@pytest.mark.parametrize("layer", LAYERS)
def test_every_package_is_marked_as_typed(layer: str) -> None:
    for init in (ROOT / layer).rglob("__init__.py"):
        assert (init.parent / "py.typed").exists(), init.parent
