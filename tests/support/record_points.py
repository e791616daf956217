"""Points of records, where they were measured, and a journal of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from howspec.calibrate.records import Journal

ORIGIN: dict[str, Any] = {"device": "fake", "dtype": "float32", "models": {"a": {"layers": 2}}}


def cost(tokens: int = 1, **more: Any) -> dict[str, Any]:
    """A timed pass of the model a."""
    point = {"operation": "pass", "model": "a", "tokens": tokens, "batch": 1, "context": 0}
    return {**point, "mode": "eager", "warmup_s": [0.2], "times_s": [0.1, 0.11], **more}


def begun(folder: Path, **changes: Any) -> Journal:
    """A journal of costs, new or resumed."""
    origin = {**ORIGIN, "utc": "today", **changes.pop("origin", {})}
    given = {"kind": "costs", "settings": {"repeats": (2, 3)}, "provenance": origin, **changes}
    return Journal.open(folder, "costs", **given)
