"""Names of a package that are read from its modules when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any


def names_of(package: str, modules: str) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package: a module by its name, or what one of them defines.

    modules: below the package, with spaces between, in the order in which a name is looked for.
    """
    inside = modules.split()

    def find(name: str) -> Any:
        if name in inside:
            return import_module(f".{name}", package)
        for module in () if name.startswith("_") else inside:
            found = import_module(f".{module}", package)
            value = vars(found).get(name)
            imported = isinstance(value, ModuleType) or (
                getattr(value, "__module__", found.__name__) != found.__name__
            )
            if value is not None and not imported:
                return value
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find
