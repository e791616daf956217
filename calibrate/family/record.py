"""The record of a family: its models with their sizes and held-out losses, and their order.
With the JSON files of a family.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..files import atomic_write


def write_json(path: Path, value: Any) -> None:
    """Write a JSON object, whole or not at all. Raises ValueError for NaN or infinity."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, text.encode())


def read_json(path: Path, *needed: str, remedy: str = "delete it to go on") -> dict[str, Any]:
    """A JSON object of a family, with the entries that are needed.

    Raises ValueError naming the file, and what to do, where it is missing or damaged.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, FileNotFoundError):
        value = None
    if not isinstance(value, dict) or not all(name in value for name in needed):
        place = f"{path.parent.name}/{path.name}"
        raise ValueError(f"{place} of the family is damaged or not there: {remedy}")
    return value


def same_settings(kept: dict[str, Any], wanted: dict[str, Any], what: str) -> None:
    """Refuse to go on with other settings, and name the first key that differs."""
    for key in sorted(set(kept) | set(wanted)):
        if kept.get(key) != wanted.get(key):
            raise ValueError(
                f"{what} was begun with {key} {kept.get(key)}, now {wanted.get(key)}:"
                " give the same settings or another --out"
            )


SCHEMA = "howspec-family"
VERSION = 1
# What every model of a family is known by, and the kind of each entry.
MODEL = {
    "name": str,
    "role": str,
    "parameters": int,
    "layers": int,
    "hidden": int,
    "trained_tokens": int,
    "held_out": dict,
}
LOSS = ("loss_nats", "standard_error_nats")


def read_family(folder: Path) -> dict[str, Any]:
    """family.json of a folder, its schema, version and models checked.

    Raises ValueError where there is none, where it is of another version, and where it is damaged:
    models must be one target and its drafts, each with a name that is that of a folder.
    """
    path = Path(folder) / "family.json"
    if not path.exists():
        raise ValueError(f"{folder} holds no family.json: no family was trained there")
    record = read_json(path)
    if record.get("schema") != SCHEMA:
        raise ValueError(f"{path.name} is not a family record")
    if record.get("version") != VERSION:
        raise ValueError(
            f"{path.name} has version {record.get('version')}, this program reads {VERSION}"
        )
    _check(path, record)
    return record


def _check(path: Path, record: dict[str, Any]) -> None:
    """Raise ValueError for entries that are missing, or none of a family."""
    for name, whole in {"settings": dict, "corpus": dict | list, "models": list}.items():
        if not isinstance(record.get(name), whole):
            raise ValueError(f"{path}: {name} is missing or damaged")
    for number, model in enumerate(record["models"], start=1):
        place = f"{path}, model {number}"
        if not isinstance(model, dict):
            raise ValueError(f"{place}: must be an object, got {type(model).__name__}")
        for name, kind in MODEL.items():
            if not isinstance(model.get(name), kind) or isinstance(model[name], bool):
                raise ValueError(f"{place}: {name} is missing or damaged")
        if Path(model["name"]).name != model["name"]:
            raise ValueError(f"{place}: its name must be that of a folder, got {model['name']!r}")
        if not all(isinstance(model["held_out"].get(name), float | int) for name in LOSS):
            raise ValueError(f"{place}: held_out must have {' and '.join(LOSS)}")
    targets = sum(model["role"] == "target" for model in record["models"])
    if targets != 1:
        raise ValueError(f"{path}: a family has one target, got {targets}")


def family_domains(family: Mapping[str, Any]) -> list[str]:
    """Names of the domains of a family's text, from its record."""
    return [d["name"] if isinstance(d, dict) else str(d) for d in family["corpus"]]


def disorder(models: list[dict[str, Any]]) -> list[str]:
    """Sentences on models of the ladder that are larger than another but no better."""
    ladder = [m for m in models if m["role"] in ("target", "ladder")]
    ladder.sort(key=lambda m: -m["parameters"])
    found = []
    for large, small in pairwise(ladder):
        gap = small["held_out"]["loss_nats"] - large["held_out"]["loss_nats"]
        if gap <= 0.0:
            found.append(
                f"{large['name']} is larger than {small['name']} but its held-out loss is not"
                f" lower ({large['held_out']['loss_nats']:.3f} against"
                f" {small['held_out']['loss_nats']:.3f} nats)"
            )
    return found
