"""What the bundled measurements teach, as `learned.fit` has written it beside this file.

Misfits of sweeps are grouped by sister sweeps at one gamma; realised speed-ups are one a row. Both
keep the study that they are of, so that it can be left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from functools import cache
from importlib import resources

FILE = "learned.json"
_HEAD = {"schema": "howspec.learned", "version": 1}


@dataclass(frozen=True)
class Group:
    """Misfits u of sister sweeps at one gamma: their number, mean and sum of squares around it.

    study, engine: whose; family: sweeps that are sisters; the positions of a family share a weight.
    """

    study: str
    engine: str
    family: str
    count: int
    mean: float
    around: float


@dataclass(frozen=True)
class Realised:
    """One row: its study, its pair of models, misfit y = ln(measured S / ideal S), the variance of
    y that is known of the row, and its task."""

    study: str
    pair: str
    misfit: float
    variance: float = 0.0
    task: str = ""


@dataclass(frozen=True)
class Stored:
    """What studies teach.

    misfits: groups by name, see `spreads.prior_of`; realised: rows that state acceptance;
    new_study: values of y, and how likely a measurement of a further study is below each.
    """

    misfits: Mapping[str, tuple[Group, ...]]
    realised: tuple[Realised, ...]
    new_study: tuple[tuple[float, ...], tuple[float, ...]]


def to_text(stored: Stored) -> str:
    """The content of the file, one line an entry, so that a change can be read."""

    def lines(entries: Sequence[Group | Realised]) -> str:
        rows = (json.dumps([_short(v) for v in astuple(e)], ensure_ascii=False) for e in entries)
        return "[\n" + ",\n".join(rows) + "\n]"

    head = ", ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in _HEAD.items())
    groups = ",\n".join(f"{json.dumps(k)}: {lines(v)}" for k, v in stored.misfits.items())
    new = ",\n".join(json.dumps([float(f"{v:.6g}") for v in part]) for part in stored.new_study)
    return (
        f'{{{head},\n"misfits": {{\n{groups}\n}},\n"realised": {lines(stored.realised)},\n'
        f'"new_study": [\n{new}\n]}}\n'
    )


def _short(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def from_text(text: str) -> Stored:
    """The content of a file. Raises ValueError for another schema or version."""
    found = json.loads(text)
    if {name: found.get(name) for name in _HEAD} != _HEAD:
        raise ValueError(f"{FILE}: schema must be {_HEAD['schema']}, version {_HEAD['version']}")
    misfits = {k: tuple(Group(*row) for row in rows) for k, rows in found["misfits"].items()}
    at, below = (tuple(part) for part in found["new_study"])
    return Stored(misfits, tuple(Realised(*row) for row in found["realised"]), (at, below))


@cache
def stored() -> Stored:
    """What the bundled measurements teach."""
    return from_text(resources.files(__package__).joinpath(FILE).read_text("utf-8"))
