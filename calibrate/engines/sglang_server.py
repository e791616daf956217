"""SGLang's /server_info: avg_spec_accept_length since the start of the server, and step times.

step_time_dict holds step times by batch size, where SGLANG_RECORD_STEP_TIME=1 is set.
"""

from __future__ import annotations

import statistics
from typing import Any

from .completed import engine_counts
from .counts import EngineCounts, Group
from .requests import count, number
from .sglang_gamma import DEFINITION, SETTINGS, Settings, gamma_of


class ServerInfo:
    """/server_info or /get_server_info of a running server."""

    engine = "sglang"
    keys = frozenset({*SETTINGS.values(), "internal_states", "avg_spec_accept_length",
                      "step_time_dict"})  # fmt: skip

    def __init__(self) -> None:
        self.settings = Settings()
        self.lengths: list[float] = []
        self.steps: dict[int, list[float]] = {}
        self.version: str | None = None
        self.seen = False

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take the settings of the server and the states of its schedulers."""
        for name, setting in SETTINGS.items():
            value = entry.get(setting)
            if isinstance(value, int) and not isinstance(value, bool):
                self.settings.add(name, value)
        if "internal_states" in entry and isinstance(entry.get("version"), str):
            self.version = entry["version"]
        if "avg_spec_accept_length" not in entry and "step_time_dict" not in entry:
            return False
        self.seen = True
        length = number(entry.get("avg_spec_accept_length"), "avg_spec_accept_length")
        if length is not None:
            if length < 1.0 and length != 0.0:
                raise ValueError(f"avg_spec_accept_length must be >= 1, got {length:g}")
            self.lengths.append(length)
        self._step_times(entry.get("step_time_dict"))
        return True

    def _step_times(self, times: Any) -> None:
        for batch, values in times.items() if isinstance(times, dict) else ():
            size = count(int(batch) if str(batch).isdigit() else batch, "batch of step_time_dict")
            values = values if isinstance(values, list) else [values]
            found = [t for v in values if (t := number(v, "step time")) is not None and t >= 0]
            self.steps.setdefault(size or 0, []).extend(found)

    def result(self) -> EngineCounts | None:
        """The average since the start, and step times by batch."""
        if not self.seen:
            return None
        notes = [
            "the server states neither rounds nor drafted nor accepted tokens: null",
            "the length is the average since the start of the server",
        ]
        lengths = {v for v in self.lengths if v > 0.0}
        length = lengths.copy().pop() if len(lengths) == 1 else None
        if len(lengths) > 1:
            shown = ", ".join(f"{v:g}" for v in sorted(lengths))
            notes.append(f"schedulers differ ({shown}) and have no weights: length null")
        if not lengths:
            notes.append("no round was counted yet, or speculation is off: length null")
        gamma = gamma_of(self.settings, [], notes)
        return engine_counts(
            "sglang",
            "sglang-server-info",
            definition=DEFINITION,
            version=self.version,
            gamma=gamma,
            acceptance_length=length,
            by_batch=tuple(
                _group(batch, times, gamma) for batch, times in sorted(self.steps.items()) if times
            ),
            notes=notes,
        )


def _group(batch: int, times: list[float], gamma: int | None) -> Group:
    return Group(
        label=f"batch {batch}",
        batch=batch,
        gamma=gamma,
        step_s=statistics.fmean(times),
        intervals=len(times),
    )
