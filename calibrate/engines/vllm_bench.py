"""What `vllm bench serve` gives as JSON: counters after a run less before."""

from __future__ import annotations

from typing import Any

from .completed import engine_counts
from .counts import Check, EngineCounts
from .requests import check_number, count, number

DEFINITION = (
    "vllm bench serve: counters after minus before the run; acceptance length = 1 + accepted / "
    "drafts (bonus counted), rate in per cent, shares by position as fractions"
)
_PREFIX = "spec_decode_"
_TOTALS = {"rounds": "num_drafts", "drafted": "draft_tokens", "accepted": "accepted_tokens"}


class VllmBench:
    """Runs of the benchmark; several are added up."""

    engine = "vllm"
    keys = frozenset({f"{_PREFIX}num_drafts", f"{_PREFIX}acceptance_length"})

    def __init__(self) -> None:
        self.runs: list[dict[str, Any]] = []

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take a run."""
        if isinstance(entry.get(f"{_PREFIX}acceptance_length"), dict):
            return False
        self.runs.append({k: v for k, v in entry.items() if k.startswith(_PREFIX)})
        return True

    def result(self) -> EngineCounts | None:
        """The sums over runs."""
        if not self.runs:
            return None
        shares = [_shares(r.get(f"{_PREFIX}per_position_acceptance_rates")) for r in self.runs]
        weights = [count(r.get(f"{_PREFIX}num_drafts"), "num_drafts") or 0 for r in self.runs]
        totals: dict[str, Any] = {name: self._total(field) for name, field in _TOTALS.items()}
        notes = []
        depths = {len(s) for s in shares if s}
        gamma = depths.pop() if len(depths) == 1 and all(shares) else None
        if gamma is None:
            notes.append("the shares by position do not give one draft length: gamma null")
        else:
            notes.append(f"gamma is the {gamma} positions that have a share")
        if len(self.runs) > 1:
            notes.append(f"{len(self.runs)} runs are added up")
        positions = _exact_positions(shares, weights, gamma)
        return engine_counts(
            "vllm",
            "vllm-bench-serve",
            definition=DEFINITION,
            gamma=gamma,
            survival=None if positions else _mean_shares(shares, weights, gamma),
            per_position_accepted=positions,
            acceptance_length=None if totals["rounds"] else self._stated_length(),
            intervals=len(self.runs),
            consistency=tuple(c for r in self.runs for c in _run_checks(r)),
            notes=notes,
            **totals,
        )

    def _total(self, field: str) -> int | None:
        found = [count(r.get(_PREFIX + field), _PREFIX + field) for r in self.runs]
        return None if None in found else sum(n for n in found if n is not None)

    def _stated_length(self) -> float | None:
        """The printed length of a single run; several have no weights."""
        if len(self.runs) > 1:
            return None
        return number(self.runs[0].get(f"{_PREFIX}acceptance_length"), "acceptance length")


def _shares(value: Any) -> list[float]:
    if not isinstance(value, list):
        return []
    found = [number(v, "per-position acceptance rate") for v in value[:4096]]
    return [
        min(max(s, 0.0), 1.0) if -1e-12 <= s <= 1 + 1e-12 else s for s in found if s is not None
    ]


def _mean_shares(
    shares: list[list[float]], weights: list[int], gamma: int | None
) -> list[float] | None:
    """Shares by position, weighted with the rounds; those of a single run where it states none."""
    if not gamma:
        return None
    total = sum(weights)
    if not total:
        return shares[0] if len(shares) == 1 else None
    return [
        sum(w * s[k] for w, s in zip(weights, shares, strict=True)) / total for k in range(gamma)
    ]


def _exact_positions(
    shares: list[list[float]], weights: list[int], gamma: int | None
) -> list[int] | None:
    """Counts behind fractions with all their digits; None where they are rounded."""
    if not gamma or not all(weights):
        return None
    found = [0] * gamma
    for share, rounds in zip(shares, weights, strict=True):
        for k, s in enumerate(share):
            if abs(s * rounds - round(s * rounds)) > 1e-6 * max(1.0, rounds * 1e-6):
                return None
            found[k] += round(s * rounds)
    return found


def _run_checks(run: dict[str, Any]) -> list[Check]:
    rounds = count(run.get(f"{_PREFIX}num_drafts"), "num_drafts")
    drafted = count(run.get(f"{_PREFIX}draft_tokens"), "draft_tokens")
    accepted = count(run.get(f"{_PREFIX}accepted_tokens"), "accepted_tokens")
    rate = number(run.get(f"{_PREFIX}acceptance_rate"), "acceptance rate")
    length = number(run.get(f"{_PREFIX}acceptance_length"), "acceptance length")
    found = []
    if drafted and accepted is not None:
        found += check_number("drafted rate, per cent", rate, 100.0 * accepted / drafted)
    if rounds and accepted is not None:
        found += check_number("acceptance length", length, 1.0 + accepted / rounds)
    return found
