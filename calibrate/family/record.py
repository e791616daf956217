"""The record of a family: its models with their sizes and held-out losses, and their order."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from .files import read_json

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
