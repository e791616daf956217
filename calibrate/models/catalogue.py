"""The models of the table, by any of their names."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any

from ..tables.nearest import nearest, nearest_first
from ..tables.schema import table_lines
from .formats import number_format
from .names import candidates, looks_like_format, plain, shortened, squeeze, told_formats
from .shapes import ModelShape


@dataclass(frozen=True)
class Model:
    """A public model: its shape, and what its release says.

    aliases: other names of models of this shape; published_parameters, published_active,
    training_tokens: as stated, None where not; dtype: format that the asked-for name tells, else
    that of the release; kv_dtype: that of the cache, where told; called: the name that was asked
    for; remarks: what was assumed of it.
    """

    shape: ModelShape
    aliases: tuple[str, ...]
    hub: str
    published_parameters: int
    published_active: int | None
    training_tokens: int | None
    year: int
    source: str
    notes: str
    dtype: str
    called: str = ""
    kv_dtype: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name in the table."""
        return self.shape.name


@cache
def _header() -> tuple[str, ...]:
    return tuple(next(csv.reader(table_lines(__package__, "models"))))


@cache
def _cells() -> MappingProxyType[str, list[str]]:
    """The cells of every row by name, unread: most questions need a few models only."""
    rows = csv.reader(table_lines(__package__, "models"))
    next(rows)
    return MappingProxyType({cells[0]: cells for cells in rows})


_READ: dict[str, Callable[[str], object]] = {
    "bool": "yes".__eq__, "float": float, "int": int, "str": str,
}  # fmt: skip


def typed(cls: Any, row: Mapping[str, str]) -> dict[str, Any]:
    """The cells of a row for the fields of a dataclass, as their types say; without empty ones."""
    return {f.name: _READ[str(f.type)](row[f.name]) for f in fields(cls) if row[f.name]}


@cache
def _entry(name: str) -> Model:
    """The model of a row."""
    row = dict(zip(_header(), _cells()[name], strict=True))
    active, tokens = row["published_active"], row["training_tokens"]
    return Model(
        shape=ModelShape(**typed(ModelShape, row)),
        aliases=tuple(alias for alias in row["aliases"].split(";") if alias),
        hub=row["hub"],
        published_parameters=int(row["published_parameters"]),
        published_active=int(active) if active else None,
        training_tokens=int(tokens) if tokens else None,
        year=int(row["year"]),
        source=row["source"],
        notes=row["notes"],
        dtype=row["weights"],
        called=row["name"],
    )


@cache
def models() -> MappingProxyType[str, Model]:
    """All models of the table by name, in its order."""
    return MappingProxyType({name: _entry(name) for name in _cells()})


@cache
def _called() -> MappingProxyType[str, str]:
    """Table name by name, alias and hub identifier; a name wins over an alias of another model."""
    aliases, hub = _header().index("aliases"), _header().index("hub")
    found: dict[str, str] = {}
    for name, cells in _cells().items():
        for other in (*cells[aliases].split(";"), cells[hub]):
            if other:
                found.setdefault(other, name)
    return MappingProxyType(found | {name: name for name in _cells()})


@cache
def _keys() -> MappingProxyType[str, str]:
    """Table name by squeezed name, alias and hub identifier."""
    found: dict[str, str] = {}
    for other, name in _called().items():
        found.setdefault(squeeze(other), name)
    return MappingProxyType(found | {squeeze(name): name for name in _cells()})


@cache
def _publishers() -> frozenset[str]:
    hub = _header().index("hub")
    return frozenset(cells[hub].split("/")[0].casefold() for cells in _cells().values())


def _unpublished(name: str) -> str:
    """Without a publisher before an underscore, as files are called: "Qwen_Qwen3-8B-Q8_0.gguf"."""
    publisher, _, rest = name.strip().rsplit("/", 1)[-1].partition("_")
    return rest if publisher.casefold() in _publishers() else name


def _sparse(key: str) -> str | None:
    """The only model of that name with its active parameters behind: "qwen3.5-35b"."""
    called = re.compile(re.escape(squeeze(key)) + r"a\d+b")
    found = {entry for other, entry in _keys().items() if called.fullmatch(other)}
    return found.pop() if len(found) == 1 and key[-1:] == "b" else None


@lru_cache(maxsize=4096)  # every question compares names of the tables with its own
def find_model(name: str) -> Model | None:
    """The model of a name, or None. Case, organisation, spaces and endings such as -Instruct,
    -it, -AWQ or -Q4_K_M do not matter; a format at the end becomes the model's ``dtype``, and that
    of "kv=fp8" its ``kv_dtype``. An ending that nobody lists is taken for a tuning where it is no
    size and no drafter, and ``remarks`` says so.
    """
    bare, weights, cache = told_formats(name)
    tried = dict.fromkeys((*candidates(bare), *candidates(_unpublished(bare))))
    for key, form in tried:
        entry = _keys().get(squeeze(key)) or _sparse(key)
        if entry is not None:
            return _found(entry, name, weights or form, cache)
    key, form = list(tried)[-1]
    for shorter, rest in shortened(key):
        entry = _keys().get(squeeze(shorter))
        if ":" in name and looks_like_format(rest):
            return None
        if entry is not None and any(c.isdigit() for c in shorter):
            found = _found(entry, name, weights or form, cache)
            return replace(found, remarks=(f"{rest} is taken for a tuning of {entry}",))
    return None


def _found(entry: str, name: str, form: str, cache: str) -> Model:
    found = _entry(entry)
    dtype = number_format(form).name if form else found.dtype
    if dtype == "mxfp4" and found.dtype != "mxfp4":  # that of a release holds its experts alone
        dtype = "mxfp4-layers"
    kept = number_format(cache).name if cache else ""
    return replace(found, dtype=dtype, kv_dtype=kept, called=name)


def model(name: str) -> Model:
    """Like `find_model`; raises ValueError naming the nearest models when there is none."""
    found = find_model(name)
    if found is None:
        best = nearest_models(name)
        raise ValueError(
            f"model must be a name of the table, nearest: {best}; got {name!r}; "
            "`howspec models` lists them"
        )
    return found


def nearest_models(name: str) -> str:
    """The names of the table most like ``name``, as text."""
    called = {plain(other): name for other, name in _called().items()}
    return nearest(candidates(name)[-1][0], called)


def family(name: str) -> tuple[Model, ...]:
    """The models of a family, smallest first. Raises ValueError for an unknown family."""
    wanted = squeeze(name)
    found = [m for m in models().values() if squeeze(m.shape.family) == wanted]
    if not found:
        known = {m.shape.family for m in models().values()}
        listed = ", ".join(nearest_first(name, known)[:5])
        raise ValueError(f"family must be one of the table's, nearest: {listed}; got {name!r}")
    return tuple(sorted(found, key=lambda m: m.shape.parameters()))
