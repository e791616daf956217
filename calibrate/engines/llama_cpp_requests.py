"""llama.cpp's line for a request: "draft acceptance = 0.6 ( 167 accepted / 259 generated)".

Source: ggml-org/llama.cpp, tools/server. With the mean length and the shares by position from PR
#24536 on; earlier "draft acceptance rate = ...", whose denominator changed with PR #14104 from all
tokens of a request to the generated draft tokens.
"""

from __future__ import annotations

import re

from .completed import engine_counts
from .counts import EngineCounts
from .intervals import Interval
from .lines import Damage
from .printed import NUMBER, number_list, printed, whole
from .tally import Digits, Intervals

_REQUEST = re.compile(
    rf"draft acceptance(?: rate)?\s*=\s*({NUMBER})"
    r"\s*\(\s*(\d+)\s+accepted\s*/\s*(\d+)\s+generated\)"
    rf"(?:,\s*mean (?:acceptance length|len)\s*=\s*({NUMBER}))?"
    r"(?:,\s*acceptance rate per position\s*=\s*\(([^)]*)\)?)?"
)
_DEFINITION = (
    "llama.cpp requests: accepted / generated draft tokens; mean length = 1 + accepted / rounds "
    "(bonus counted) and shares by position over all rounds, where printed"
)


class Requests:
    """Adds up the requests of a log."""

    def __init__(self, damage: Damage) -> None:
        # The list of positions is as long as the longest draft, so it bounds a round.
        self.parts = Intervals(_interval, damage, exact=False)

    @property
    def count(self) -> int:
        """Requests so far."""
        self.parts.settle()
        return self.parts.lines

    def feed(self, line: str) -> None:
        """Take the requests of one line. Raises ValueError where one cannot be."""
        found = list(_REQUEST.finditer(line))
        if not found:
            raise ValueError(f"needs accepted / generated counts, got {line.strip()[-120:]!r}")
        for m in found:
            self.parts.add(m.groups())

    def result(self, stated: int | None, version: str | None, notes: list[str]) -> EngineCounts:
        """The sum; stated: the longest draft that the log's settings state."""
        total = self.parts.total(stated)
        gamma = listed_gamma(self.parts.depths, stated, notes)
        notes += total.notes()
        if self.parts.without_length:
            notes.append(
                "accepted and generated without a length do not determine rounds, acceptance "
                "length or survival"
            )
            notes.append("before PR #14104 generated counted every token of a request")
        return engine_counts(
            "llama.cpp",
            "llama.cpp-request-log",
            definition=_DEFINITION,
            version=version,
            gamma=gamma,
            acceptance_length=None if self.parts.without_length else total.length(),
            requests=self.count,
            consistency=self.parts.checks(),
            notes=notes,
            **total.known(),
        )


def listed_gamma(depths: set[int], stated: int | None, notes: list[str]) -> int | None:
    """Drafted tokens of a full round: the positions that lines list, else what settings state.

    depths: numbers of positions that are listed; ``notes`` get the reason.
    """
    if len(depths) == 1:
        gamma = next(iter(depths))
        notes.append(f"gamma is the {gamma} positions that the lines list")
        if stated is not None and stated != gamma:
            notes.append(f"the settings allow drafts of {stated}, which no line lists")
        return gamma
    if stated is not None and stated >= max(depths, default=0):
        notes.append(f"gamma {stated} is the largest draft that the log's settings state")
        return stated
    shown = f" (lines list {', '.join(map(str, sorted(depths)))} positions)" if depths else ""
    notes.append(f"the log does not state how many tokens a round drafts{shown}: gamma null")
    return None


def _interval(digits: Digits) -> Interval:
    """The interval of (rate, accepted, generated, mean length, list of shares)."""
    rate, accepted, generated, length, shown = digits
    part = Interval(
        accepted=whole(accepted or "", "accepted"),
        drafted=whole(generated or "", "generated"),
        length=printed(length) if length else None,
        rates=tuple(number_list(shown or "")),
        whole_list=not re.search(r"…|\.\.\.", shown or ""),
        rate=printed(rate or ""),
    )
    part.check("generated")
    return part
