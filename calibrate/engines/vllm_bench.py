"""What `vllm bench serve` gives: JSON of counters after a run less before, and a printed table."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from .completed import engine_counts
from .counts import Check, EngineCounts, compare
from .lines import without_colours
from .printed import NUMBER, WHOLE, Printed, printed, whole
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


_FIELDS = {
    "rate": re.compile(rf"\bAcceptance rate \(%\):\s*({NUMBER})"),
    "length": re.compile(rf"\bAcceptance length:\s*({NUMBER})"),
    "rounds": re.compile(rf"^\W*Drafts:\s*({WHOLE})\s*$"),
    "drafted": re.compile(rf"^\W*Draft tokens:\s*({WHOLE})\s*$"),
    "accepted": re.compile(rf"^\W*Accepted tokens:\s*({WHOLE})\s*$"),
}
_POSITION = re.compile(rf"^\W*Position (\d{{1,4}}):\s*({NUMBER})\s*$")


@dataclass
class _Table:
    found: dict[str, str] = field(default_factory=dict)
    positions: dict[int, Printed] = field(default_factory=dict)

    @property
    def stated(self) -> bool:
        return "rate" in self.found or "length" in self.found


class VllmConsole:
    """Takes the last table; a field that comes a second time begins another one."""

    engine = "vllm"
    needed: tuple[bytes, ...] = (b"Acceptance rate (%)", b"Acceptance length:")
    markers: tuple[bytes, ...] = (*needed, b"Drafts:", b"Draft tokens:", b"Accepted tokens:",
                                  b"Position ")  # fmt: skip

    def __init__(self) -> None:
        self.table = _Table()
        self.before: list[_Table] = []

    def feed(self, line: str) -> None:
        """Take one line."""
        line = without_colours(line).rstrip()
        for name, pattern in _FIELDS.items():
            if m := pattern.search(line):
                if name in self.table.found:
                    self._close()
                self.table.found[name] = m.group(1)
        if m := _POSITION.search(line):
            if int(m.group(1)) in self.table.positions:
                self._close()
            self.table.positions[int(m.group(1))] = printed(m.group(2)).scaled(0.01)

    def _close(self) -> None:
        if self.table.stated:
            self.before.append(self.table)
        self.table = _Table()

    def result(self) -> EngineCounts | None:
        """The last table."""
        if not self.table.stated and not self.before:
            return None
        table = self.table if self.table.stated else self.before.pop()
        notes = []
        if self.before:
            notes.append(f"{len(self.before) + 1} tables are printed: the last is taken")
        gamma = len(table.positions) or None
        if gamma and set(table.positions) != set(range(gamma)):
            raise ValueError("positions must be without gaps from 0 on, as vllm prints them")
        shares = [table.positions[k] for k in range(gamma or 0)]
        notes.append(
            f"gamma is the {gamma} positions that are printed" if gamma else "gamma is not printed"
        )
        return _of_table(table, gamma, shares, notes)


def _of_table(
    table: _Table, gamma: int | None, shares: list[Printed], notes: list[str]
) -> EngineCounts:
    totals: dict[str, Any] = {
        name: whole(table.found[name], name)
        for name in ("rounds", "drafted", "accepted")
        if name in table.found
    }
    length = printed(table.found["length"]) if "length" in table.found else None
    known = totals.get("rounds") and totals.get("accepted") is not None
    return engine_counts(
        "vllm",
        "vllm-bench-console",
        definition=DEFINITION.replace("as fractions", "in per cent"),
        gamma=gamma,
        survival=[s.value for s in shares] or None,
        survival_half_width=max((0.5 * (s.high - s.low) for s in shares), default=None),
        acceptance_length=length.value if length is not None and not known else None,
        consistency=_table_checks(table, length, totals),
        notes=notes,
        **totals,
    )


def _table_checks(
    table: _Table, length: Printed | None, totals: dict[str, Any]
) -> tuple[Check, ...]:
    rounds, accepted, drafted = (totals.get(n) for n in ("rounds", "accepted", "drafted"))
    found = []
    if length is not None and rounds and accepted is not None:
        found.append(compare("acceptance length", length, 1.0 + accepted / rounds))
    if "rate" in table.found and drafted and accepted is not None:
        stated = printed(table.found["rate"])
        found.append(compare("drafted rate, per cent", stated, 100.0 * accepted / drafted))
    return tuple(found)
