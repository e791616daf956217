"""Lines of mtp-bench, and of scripts like it, with the counts of a request as key = value.

    code_python   pred= 192 draft= 166 acc= 107 rate=0.645 tok/s=93.6

pred: all tokens of the request; draft, acc: drafted and accepted tokens, of llama.cpp's timings.
The aggregate that follows as JSON sums them up.
"""

from __future__ import annotations

import re
from typing import Any

from .bounds import Request
from .completed import engine_counts
from .counts import EngineCounts, Group, compare
from .lines import Damage, without_colours
from .printed import NUMBER, Printed, printed, whole
from .requests import check_number, count, number

_DRAFT = re.compile(r"\bdraft(?:ed|_n)?\s*[=:]\s*(\d+)\b")
_ACCEPTED = re.compile(r"\bacc(?:ept(?:ed)?)?(?:_n)?\s*[=:]\s*(\d+)\b")
_TOKENS = re.compile(r"\b(?:pred(?:icted)?(?:_n)?|tokens|n_tokens)\s*[=:]\s*(\d+)\b")
_RATE = re.compile(rf"\brate\s*[=:]\s*({NUMBER})\s*(%?)")
_SPEED = re.compile(rf"\b(?:tok/s|t/s|tps)\s*[=:]\s*({NUMBER})")
_LABEL = re.compile(r"^\W*([\w][\w./ -]*?)\s+(?:pred|draft|tokens|acc)")
_TOTAL = re.compile(r'"(total_predicted|total_draft|total_draft_accepted)"\s*:\s*(\d+)')
_TOTALS = {
    "total_predicted": "tokens",
    "total_draft": "drafted",
    "total_draft_accepted": "accepted",
}
_MOST_GROUPS = 1_000
DEFINITION = (
    "mtp-bench: draft generated, acc accepted draft tokens of a request, pred all its tokens"
)


class KeyValueLines:
    """Adds up the requests; the aggregate alone counts where no line stands before it."""

    engine = "llama.cpp"
    needed: tuple[bytes, ...] = (b"acc=", b"accepted=", b'"total_draft')
    markers: tuple[bytes, ...] = (*needed, b'"total_predicted')

    def __init__(self) -> None:
        self.damage = Damage("draft= acc=")
        self.requests: list[Request] = []
        self.groups: list[Group] = []
        self.wrong: list[Any] = []
        self.totals: dict[str, int] = {}

    def feed(self, line: str) -> None:
        """Take one line."""
        line = without_colours(line)
        for name, value in _TOTAL.findall(line):
            self.totals[_TOTALS[name]] = whole(value, name)
        drafted, accepted = _DRAFT.search(line), _ACCEPTED.search(line)
        if drafted is None or accepted is None:
            return
        try:
            self._add(line, whole(drafted.group(1), "draft"), whole(accepted.group(1), "acc"))
        except ValueError as error:
            self.damage.add(str(error))

    def _add(self, line: str, drafted: int, accepted: int) -> None:
        if accepted > drafted:
            raise ValueError(f"acc must be in [0, draft = {drafted}], got {accepted}")
        tokens, rate, speed = _TOKENS.search(line), _RATE.search(line), _SPEED.search(line)
        label = _LABEL.match(line)
        n = None if tokens is None else whole(tokens.group(1), "pred")
        self.requests.append(Request(drafted, accepted, n))
        if rate is not None and drafted:
            stated = printed(rate.group(1)).scaled(0.01 if rate.group(2) else 1.0)
            # The script rounds twice, to four digits and then to three.
            half = 0.5 * (stated.high - stated.low)
            wide = Printed(stated.text, stated.value, stated.low - half, stated.high + half)
            check = compare("drafted rate", wide, accepted / drafted)
            if not check.agrees and len(self.wrong) < 20:
                self.wrong.append(check)
        if len(self.groups) < _MOST_GROUPS:
            self.groups.append(
                Group(
                    label=label.group(1) if label else f"request {len(self.requests)}",
                    drafted=drafted,
                    accepted=accepted,
                    tokens=n,
                    drafted_rate=accepted / drafted if drafted else None,
                    tokens_per_s=printed(speed.group(1)).value if speed else None,
                )
            )

    def result(self) -> EngineCounts | None:
        """The sum over requests, or the aggregate."""
        if not self.requests:
            self.damage.refuse_if_alone(len(self.totals))
            if not {"drafted", "accepted"} <= self.totals.keys():
                return None
            return _counts(self.damage.notes(), **self.totals)
        notes = self.damage.notes()
        tokens = [r.tokens for r in self.requests]
        known = {
            "drafted": sum(r.drafted for r in self.requests),
            "accepted": sum(r.accepted for r in self.requests),
            "tokens": None if None in tokens else sum(t or 0 for t in tokens),
        }
        for name, value in self.totals.items():
            if known[name] is not None and value != known[name]:
                notes.append(
                    f"the aggregate states {value} {name}, the lines add up to {known[name]}: "
                    "lines are missing or were added; the lines are believed"
                )
        return _counts(
            notes,
            requests=len(self.requests),
            per_request=tuple(self.requests),
            groups=tuple(self.groups) if len(self.groups) > 1 else (),
            consistency=tuple(self.wrong),
            **known,
        )


class Aggregate:
    """The same aggregate within a JSON document, where no request of it states its timings."""

    engine = "llama.cpp"
    keys = frozenset({"total_draft_accepted"})

    def __init__(self) -> None:
        self.found: dict[str, Any] | None = None
        self.checks: list[Any] = []

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take the aggregate."""
        totals = {_TOTALS[n]: count(entry.get(n), n) for n in _TOTALS}
        if totals["drafted"] is None or totals["accepted"] is None:
            return False
        rate = number(entry.get("aggregate_accept_rate"), "aggregate_accept_rate")
        if totals["drafted"]:
            share = totals["accepted"] / totals["drafted"]
            self.checks = check_number("drafted rate", rate, share)
        self.found = {**totals, "requests": count(entry.get("n_requests"), "n_requests")}
        return True

    def result(self) -> EngineCounts | None:
        """The aggregate."""
        if self.found is None:
            return None
        return _counts([], consistency=tuple(self.checks), **self.found)


def _counts(notes: list[str], **known: Any) -> EngineCounts:
    notes.append(
        "rounds are not counted: tokens - accepted bounds them, --gamma, the longest draft, more"
    )
    return engine_counts("llama.cpp", "mtp-bench", definition=DEFINITION, notes=notes, **known)
