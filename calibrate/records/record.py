"""A record: what was measured, raw, with settings and provenance; frozen, checked, on disk as JSON.

One file a measurement, `.json` or `.json.gz`. No derived number is stored, and nothing that JSON
does not know (NaN, infinity) is written or read.
"""

from __future__ import annotations

import gzip
import json
import math
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..files import atomic_write
from .points import KINDS, Point, check_point, in_words, kind_of, point_key

SCHEMA = "howspec.record"
VERSION = 1


@dataclass(frozen=True)
class Record:
    """One measurement.

    kind: ``costs``, ``acceptance``, ``sweep`` or ``serving``; settings: what was asked for;
    provenance: what it was measured on, with one entry of ``runs`` for each run that added points;
    points: what was measured, one dict a point; key: the entries that identify a point (default
    those of the kind). Raises ValueError for points that the kind does not allow, or the same point
    twice.
    """

    kind: str
    settings: dict[str, Any]
    provenance: dict[str, Any]
    points: tuple[Point, ...]
    key: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        kind = kind_of(self.kind)
        object.__setattr__(self, "key", tuple(self.key) or kind.key)
        object.__setattr__(self, "points", tuple(self.points))
        for name in ("settings", "provenance"):
            if not isinstance(getattr(self, name), dict):
                raise ValueError(f"{name} must be an object, got {getattr(self, name)!r:.60}")
        if not self.points:
            raise ValueError("points must hold at least one point, got none")
        seen: dict[tuple[Any, ...], int] = {}
        for number, point in enumerate(self.points, start=1):
            try:
                check_point(kind, point)
                values = point_key(self.key, point)
            except ValueError as error:
                raise ValueError(f"point {number}: {error}") from None
            first = seen.setdefault(values, number)
            if first != number:
                raise ValueError(
                    f"point {number}: is point {first} again ({in_words(self.key, values)})"
                )


def write_record(record: Record, path: str | Path) -> Path:
    """Write the record atomically, gzipped where the name ends with .gz; returns the path.

    The file appears complete or not at all. Raises ValueError for NaN or infinity and for a name
    that ends with neither .json nor .json.gz, OSError naming the file when it cannot be written.
    """
    path = Path(path)
    data = to_text(record).encode()
    if _is_gzip(path):
        data = gzip.compress(data, mtime=0)
    atomic_write(path, data)
    return path


def read_record(path: str | Path, kind: str | None = None) -> Record:
    """Read and check a record. Raises ValueError, one line naming the file and what is wrong.

    path: of its file, or of a folder that holds the record of a kind under the name of the kind, or
    one record alone.
    """
    path = _file_of(Path(path), kind)
    try:
        data = path.read_bytes()
        if _is_gzip(path):
            data = gzip.decompress(data)
        content = data.decode("utf-8")
    except OSError as error:
        reason = error.strerror or str(error)
        raise ValueError(f"{path}: cannot be read: {reason}") from None
    except (EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: is damaged or cut off: {error}") from None
    try:
        return from_json(parse(content))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def is_record(path: Path) -> bool:
    """Whether the file begins as a record does, gzipped or not."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            return f'"{SCHEMA}"'.encode() in file.read(256)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return False


def _file_of(path: Path, kind: str | None) -> Path:
    """The file of a record: the path itself, or what a folder holds."""
    if not path.is_dir():
        return path
    wanted = KINDS if kind is None else (kind,)
    held = [f for k in wanted for end in ("", ".gz") if (f := path / f"{k}.json{end}").is_file()]
    if len(held) != 1:
        names = ", ".join(f.name for f in held) or "none"
        raise ValueError(
            f"{path}: a folder must hold one of {', '.join(f'{k}.json' for k in wanted)}; "
            f"it holds {names}"
        )
    return held[0]


def from_json(value: Any) -> Record:
    """A record from its JSON object. Raises ValueError for another schema, version or kind."""
    check_header(value)
    for name in ("kind", "settings", "provenance", "points"):
        if name not in value:
            raise ValueError(f"{name} is missing: the record is not complete")
    if not isinstance(value["points"], list):
        raise ValueError(f"points must be a list, got {type(value['points']).__name__}")
    return Record(
        value["kind"],
        value["settings"],
        value["provenance"],
        tuple(value["points"]),
        check_key(value.get("key", [])),
    )


def check_header(value: Any) -> None:
    """Raise ValueError unless ``value`` is an object of this schema and version."""
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        given = value.get("schema") if isinstance(value, dict) else type(value).__name__
        raise ValueError(f"is not a record: schema must be {SCHEMA!r}, got {given!r:.60}")
    if value.get("version") != VERSION or isinstance(value.get("version"), bool):
        raise ValueError(
            f"version must be {VERSION}, the only one this howspec reads, "
            f"got {value.get('version')!r:.60}"
        )


def parse_head(line: str, place: str) -> dict[str, Any]:
    """The first line of a journal. Raises ValueError with its place for another schema."""
    try:
        head: dict[str, Any] = parse(line)
        check_header(head)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
    return head


def check_key(key: Any) -> tuple[str, ...]:
    """The names of a key as a tuple. Raises ValueError for anything but a list of texts."""
    if not isinstance(key, list | tuple) or not all(isinstance(name, str) for name in key):
        raise ValueError(f"key must be a list of names, got {key!r:.60}")
    return tuple(key)


def parse(content: str) -> Any:
    """JSON of finite numbers, no name twice in an object. Raises ValueError saying where."""
    if not content.strip():
        raise ValueError("is empty")
    try:
        return json.loads(
            content, parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_once
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON or is cut off: {error.msg} in line {error.lineno}") from None
    except RecursionError:
        raise ValueError("is nested too deeply to be a record") from None


def to_text(record: Record) -> str:
    """The JSON text of a record, one point a line."""
    head = {"schema": SCHEMA, "version": VERSION, "kind": record.kind, "key": list(record.key)}
    lines = [f" {dump(name)}: {dump(value)}," for name, value in head.items()]
    lines += [
        f' "settings": {dump(record.settings)},',
        f' "provenance": {dump(record.provenance)},',
        ' "points": [',
        ",\n".join("  " + dump(point) for point in record.points),
        " ]",
    ]
    return "{\n" + "\n".join(lines) + "\n}\n"


def dump(value: Any) -> str:
    """Compact JSON. Raises ValueError for NaN, infinity and what JSON has no form for."""
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"a record holds texts, numbers, lists and objects: {error}") from None
    except ValueError:
        raise ValueError("a record must hold finite numbers, got NaN or infinity") from None


def _is_gzip(path: Path) -> bool:
    name = path.name.casefold()
    if not name.endswith((".json", ".json.gz")):
        raise ValueError(f"{path}: the name of a record must end with .json or .json.gz")
    return name.endswith(".gz")


def _no_constant(name: str) -> Any:
    raise ValueError(f"numbers must be finite, got {name}")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"numbers must be finite, got {digits}")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object holds {twice!r} twice")
    return value
