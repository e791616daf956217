"""acceptance_rate.json and speculation_profile.json of NVIDIA Model-Optimizer.

The histogram counts steps by the tokens they gave, the bonus token included (1 and up).
"""

from __future__ import annotations

from typing import Any

from .completed import engine_counts
from .counts import EngineCounts
from .printed import MOST_POSITIONS
from .requests import count, counts_list, number, survival_of


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


class SpeculationProfile:
    """speculation_profile.json of Model-Optimizer (PR #2247): the rates of a draft checkpoint.

    marginal_accept_rates: share of steps in which the first k drafts are accepted;
    conditional_accept_rates: of those that accepted the ones before; the histogram counts steps by
    their tokens, the bonus token included.
    """

    engine = "specdec_bench"
    keys = frozenset({"marginal_accept_rates", "conditional_accept_rates"})

    def __init__(self) -> None:
        self.found: EngineCounts | None = None

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take the profile; of several the last. Raises ValueError for one without measurements."""
        if entry.get("measured") is False:
            raise ValueError("the speculation profile states measured: false, so it holds no rates")
        shares = _rates(entry.get("marginal_accept_rates"))
        if shares is None:
            rates = _rates(entry.get("conditional_accept_rates"))
            shares = None if rates is None else survival_of(rates)
        gamma = count(entry.get("num_speculative_tokens"), "num_speculative_tokens")
        histogram = counts_list(entry.get("acceptance_length_histogram"), "histogram")
        notes = ["gamma is num_speculative_tokens" if gamma else "gamma is not stated"]
        if entry.get("accept_length_model") == "measured_per_k":
            notes.append(
                "the draft plans its whole block: other gammas must be measured on their own"
            )
        if histogram and histogram[0]:
            raise ValueError(f"a step gives at least 1 token, got {histogram[0]} steps of 0")
        length = number(entry.get("mean_accept_length"), "mean_accept_length")
        whole = histogram is not None and (not gamma or len(histogram) - 2 <= gamma)
        if histogram is not None and not whole:
            notes.append(f"the histogram goes beyond gamma = {gamma}: the rates are taken alone")
        self.found = engine_counts(
            self.engine,
            "speculation-profile",
            definition="marginal rates: share of steps in which the first k drafts are accepted",
            gamma=gamma,
            histogram=histogram[1:] if histogram and whole else None,
            survival=None if histogram and whole else shares,
            survival_half_width=None if histogram and whole else 5e-7,
            acceptance_length=length if length or not shares else 1.0 + sum(shares),
            notes=notes,
        )
        return True

    def result(self) -> EngineCounts | None:
        """The profile."""
        return self.found


def _rates(value: Any) -> list[float] | None:
    if not isinstance(value, list) or len(value) > MOST_POSITIONS:
        return None
    found = [number(v, "accept rates") for v in value]
    return [r for r in found if r is not None] if None not in found else None
