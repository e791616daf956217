"""The bundled tables by name, wherever the package is installed, and what is meant by the names and
citations in them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from importlib import resources
from typing import TYPE_CHECKING

from ..tables.read import Table, parse_table
from .tables import TABLES

if TYPE_CHECKING:
    import pandas as pd


def nearest(wanted: str, called: Mapping[str, str]) -> str:
    """What the five names most like ``wanted`` stand for, each once, as text."""
    found = dict.fromkeys(called[name] for name in nearest_first(wanted, called))
    return ", ".join(list(found)[:5])


def nearest_first(wanted: str, known: Iterable[str]) -> list[str]:
    """The known names, those most like ``wanted`` first."""

    def distance(name: str) -> float:
        return -difflib.SequenceMatcher(None, wanted.casefold(), name.casefold()).ratio()

    return sorted(known, key=distance)


def names() -> tuple[str, ...]:
    """Names of the bundled tables."""
    return tuple(TABLES)


def load(name: str) -> pd.DataFrame:
    """A bundled table as a pandas DataFrame; its columns are those of `describe`.

    Raises ValueError listing the bundled names when there is no such table.
    """
    return load_table(name).frame()


@cache
def load_table(name: str) -> Table:
    """A bundled table as checked rows, read once: whoever changes a row copies it first.

    Raises ValueError as `load` does.
    """
    known(name)
    return parse_table(bundled_bytes(name), f"{name}.csv", TABLES[name])


def bundled_bytes(name: str) -> bytes:
    """The file of a bundled table, from wherever the package is installed."""
    return resources.files(__package__).joinpath(f"{name}.csv").read_bytes()


def describe(name: str) -> dict[str, tuple[str, str]]:
    """Unit and meaning of every column of a bundled table, by the column's name.

    The unit is "1" for a pure number and "" for text. Raises ValueError as `load` does.
    """
    known(name)
    return TABLES[name].describe()


def known(name: str) -> None:
    """Raise ValueError, nearest names first, unless ``name`` is a bundled table."""
    if name not in TABLES:
        listed = ", ".join(nearest_first(name, TABLES))
        raise ValueError(f"table must be one of {listed}, got {name!r}")


def study_of(source: str) -> str:
    """The paper (without its version) or the repository of a citation, else its first words."""
    found = re.search(r"(?:arxiv[:. ]\s*(?:org/abs/)?)(\d{4}\.\d{4,5})", source, re.IGNORECASE)
    if found:
        return found[1]
    repository = re.search(r"github(?:\.com/|\s+)([\w.-]+/[\w.-]+)", source, re.IGNORECASE)
    named = repository[1] if repository else re.split(r"[,;@]", source)[0].strip()
    return named.casefold()


def same_study(one: str, other: str) -> bool:
    """Whether two citations, or studies, are of one study; a repository counts by its own name."""
    first, second = (study_of(s).rstrip("/").rsplit("/", 1)[-1] for s in (one, other))
    return bool(first) and first == second


@lru_cache(maxsize=4096)
def model_name(name: str) -> str:
    """The name of a model in the table of models, "" where it has none."""
    from ..models.catalogue import find_model

    found = find_model(name) if name else None
    return found.name if found else ""


@lru_cache(maxsize=1024)
def device_name(name: str) -> tuple[str, int | None]:
    """(device of the table of devices, how many), ("", None) where the name means none."""
    from ..models.devices import find_device

    try:
        found = find_device(name)
    except ValueError:  # a count that no machine has
        return "", None
    return ("", None) if found is None else (found.name, found.count)


@lru_cache(maxsize=4096)
def drafter_of(draft: str, method: str = "") -> str:
    """Kind of a drafter by its name or method, "model" for any other draft."""
    from ..models.drafters import drafter_kind

    if model_name(draft) and not drafter_kind(draft):
        return "model"
    return drafter_kind(draft) or drafter_kind(method) or ("model" if draft else "")
