"""A row of measured speed-ups as tests state it: what they do not say is usual or not known."""

from __future__ import annotations

from typing import Any

from howspec.calibrate.learned.measured import MeasuredRow

NAN = float("nan")


def a_row(gamma: int = 3, **changes: Any) -> MeasuredRow:
    given: dict[str, Any] = {
        "id": "r", "target": "T", "draft": "d", "engine": "e", "hardware": "h", "precision": "",
        "method": "chain", "task": "chat", "temperature": "0", "batch": "1", "gamma": gamma,
        "alpha": NAN, "tau": NAN, "cost_ratio": NAN, "speedup": 2.0, "base_rate": NAN,
    }  # fmt: skip
    return MeasuredRow(**(given | changes))
