"""Names of a package that are read from its modules when they are asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any


def names_of(package: str, modules: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The ``__getattr__`` and ``__dir__`` of a package: its modules by name, and what they define.

    modules: below the package, with spaces between, in the order in which a name is looked for.
    Type checkers are told of the same modules by imports of all their names.
    """
    inside = modules.split()

    def find(name: str) -> Any:
        if name in inside:
            return import_module(f".{name}", package)
        for module in () if name.startswith("_") else inside:
            found = import_module(f".{module}", package)
            if name in _defined(found):
                return getattr(found, name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def listed() -> list[str]:
        loaded = (import_module(f".{module}", package) for module in inside)
        return sorted({*vars(sys.modules[package]), *(n for m in loaded for n in _defined(m))})

    return find, listed


def _defined(module: ModuleType) -> Iterator[str]:
    """Public names that a module does not have from another."""
    for name, value in vars(module).items():
        imported = isinstance(value, ModuleType) or (
            getattr(value, "__module__", module.__name__) != module.__name__
        )
        if value is not None and not imported and not name.startswith("_"):
            yield name
