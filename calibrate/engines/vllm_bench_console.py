"""The table that `vllm bench serve` prints at its end; rates in per cent throughout."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from .completed import engine_counts
from .counts import Check, EngineCounts, compare
from .lines import without_colours
from .printed import NUMBER, WHOLE, Printed, printed, whole
from .vllm_bench import DEFINITION

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
        return _counts(table, gamma, shares, notes)


def _counts(
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
        consistency=_checks(table, length, totals),
        notes=notes,
        **totals,
    )


def _checks(table: _Table, length: Printed | None, totals: dict[str, Any]) -> tuple[Check, ...]:
    rounds, accepted, drafted = (totals.get(n) for n in ("rounds", "accepted", "drafted"))
    found = []
    if length is not None and rounds and accepted is not None:
        found.append(compare("acceptance length", length, 1.0 + accepted / rounds))
    if "rate" in table.found and drafted and accepted is not None:
        stated = printed(table.found["rate"])
        found.append(compare("drafted rate, per cent", stated, 100.0 * accepted / drafted))
    return tuple(found)
