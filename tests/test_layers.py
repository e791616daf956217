"""The folders import one way, heavy libraries stay in their layer, and nothing is left out."""

from __future__ import annotations

import ast
import tomllib
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
    "typer": {"cli"},
    "rich": {"cli"},
    "httpx2": {"calibrate"},
}
MEASURING = {("calibrate", "measure"), ("calibrate", "family"), ("calibrate", "campaign")}
FILES = [p for layer in LAYERS for p in sorted((ROOT / layer).rglob("*.py"))]


class _Running(ast.NodeTransformer):
    """A module without what only type checkers read."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if ast.unparse(node.test) == "TYPE_CHECKING" else node


def _imports(path: Path) -> list[tuple[int, str, bool]]:
    """(level, first module name, whether at module level) of every import that runs in a file."""
    tree = _Running().visit(ast.parse(path.read_text(encoding="utf-8")))
    top = set(map(id, tree.body))
    found = []
    for node in ast.walk(tree):
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


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_one_way_and_are_relative(path: Path) -> None:
    own = path.relative_to(ROOT).parts[0]
    for level, module, _ in _imports(path):
        first = module.split(".")[0]
        assert first != "howspec", f"{path}: import {module} relatively"
        assert level or first not in LAYERS, f"{path}: {module} is not importable when installed"
        reached = _layer_of_import(path, level, module)
        if (own, path.name, reached) == ("api", "__main__.py", "cli"):
            continue  # python -m howspec is the command
        assert reached in (None, own) or reached in LAYERS[own], (
            f"{path}: {own} must not see {reached}"
        )
        if level == 0 and first in HEAVY:
            assert own in HEAVY[first], f"{path}: {first} belongs in {HEAVY[first]}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_theory_and_cli_import_nothing_heavy_at_module_level(path: Path) -> None:
    own = path.relative_to(ROOT).parts[0]
    light = {"theory": {"sympy", "scipy", "pandas"}, "cli": {"rich", "pandas", "scipy"}}.get(
        own, set()
    )
    # What measures models has no use without them; nothing else may pull them in.
    measures = path.relative_to(ROOT).parts[:2] in MEASURING
    heavy = light if measures else light | {"torch", "transformers"}
    for level, module, top in _imports(path):
        if level == 0 and top:
            assert module.split(".")[0] not in heavy, f"{path}: import {module} inside the function"
        if own == "cli" and top and level:
            assert _layer_of_import(path, level, module) in ("cli", None), (
                f"{path}: {module} at start-up"
            )


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
