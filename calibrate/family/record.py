"""The record of a family: its models with their sizes and held-out losses, and their order."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from .files import read_json

SCHEMA = "howspec-family"
VERSION = 1


def read_family(folder: Path) -> dict[str, Any]:
    """family.json of a folder, its schema and version checked."""
    path = folder / "family.json"
    if not path.exists():
        raise ValueError(f"{folder} holds no family.json: no family was trained there")
    record = read_json(path)
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise ValueError(f"{path.name} is not a family record")
    if record.get("version") != VERSION:
        raise ValueError(
            f"{path.name} has version {record.get('version')}, this program reads {VERSION}"
        )
    return record


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
