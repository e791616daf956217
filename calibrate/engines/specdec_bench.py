"""acceptance_rate.json of NVIDIA Model-Optimizer's specdec_bench.

The histogram counts steps by the tokens they gave, the bonus token included (1 and up).
"""

from __future__ import annotations

from typing import Any

from .completed import engine_counts
from .counts import EngineCounts
from .requests import counts_list, number


class SpecdecBench:
    """Takes the result of a run; of several the last."""

    engine = "specdec_bench"
    keys = frozenset({"Acceptance_Length_Histogram", "Average_AL"})

    def __init__(self) -> None:
        self.found: EngineCounts | None = None
        self.taken = 0

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take the result."""
        self.taken += 1
        name = "Acceptance_Length_Histogram"
        histogram = counts_list(entry.get(name), name)
        average = number(entry.get("Average_AL"), "Average_AL")
        notes = ["how many tokens a step drafts is not stated: gamma and drafted null"]
        if self.taken > 1:
            notes.append(f"{self.taken} results are given: the last is taken")
        if histogram is None:
            self.found = engine_counts(
                self.engine, "specdec-bench", definition="Average_AL: mean over requests",
                acceptance_length=average, notes=notes,
            )  # fmt: skip
            return True
        if histogram and histogram[0]:
            raise ValueError(
                f"a step gives at least 1 token, got {histogram[0]} steps of 0 in the histogram"
            )
        notes.append("Average_AL is a mean over requests; the length here is over all steps")
        self._histogram(histogram[1:], entry.get("Request_AL"), notes)
        return True

    def _histogram(self, histogram: list[int], requests: Any, notes: list[str]) -> None:
        self.found = engine_counts(
            self.engine,
            "specdec-bench",
            definition="specdec_bench: steps by the tokens they gave, the bonus token included",
            histogram=histogram,
            requests=len(requests) if isinstance(requests, dict | list) else None,
            notes=notes,
        )

    def result(self) -> EngineCounts | None:
        """The result."""
        return self.found
