"""The published collection that the bundled tables were taken from, where it is at hand."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest


def collected(name: str) -> list[dict[str, str]]:
    """Rows of a table of the collection; skips the test where it is not there."""
    above = (p / "shared" / "published" / f"{name}.csv" for p in Path(__file__).resolve().parents)
    path = next((p for p in above if p.is_file()), None)
    if path is None:
        pytest.skip("the collection of published measurements is not beside this checkout")
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
