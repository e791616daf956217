"""llama.cpp's server log: a line for each request, or statistics since the start of the server.

Requests are added up (see `llama_cpp_requests`), statistics run on and the last line of each kind
of draft counts (see `llama_cpp_statistics`). Where a log has both, the statistics are taken.
"""

from __future__ import annotations

import re

from .counts import EngineCounts
from .lines import Damage, without_colours
from .llama_cpp_requests import Requests
from .llama_cpp_statistics import StatisticsLines

_GAMMA = re.compile(r"(?:--draft-max|--draft-n|--spec-draft-n-max|\bn_max)[ =]+(\d{1,4})\b")
_BUILD = re.compile(r"\bbuild(?:_info)?:\s*(b?\d[\w.-]*)")


class LlamaLog:
    """Hands each line on to the requests or to the statistics."""

    engine = "llama.cpp"
    needed: tuple[bytes, ...] = (b"draft acceptance", b"#gen tokens")
    markers: tuple[bytes, ...] = (*needed, b"draft-max", b"draft-n", b"n_max", b"build")

    def __init__(self) -> None:
        self.damage = Damage("draft acceptance or statistics")
        self.requests = Requests(self.damage)
        self.statistics = StatisticsLines()
        self.stated: set[int] = set()
        self.version: str | None = None

    def feed(self, line: str) -> None:
        """Take one line."""
        line = without_colours(line)
        try:
            if "#gen tokens" in line:
                self.statistics.feed(line)
            elif "draft acceptance" in line:
                self.requests.feed(line)
            elif found := _GAMMA.search(line):
                self.stated |= {int(found.group(1))} - {0}
            elif found := _BUILD.search(line):
                self.version = found.group(1)
        except ValueError as error:
            self.damage.add(str(error))

    def result(self) -> EngineCounts | None:
        """Statistics where they are there, else the sum of the requests."""
        self.damage.refuse_if_alone(self.requests.count + self.statistics.lines)
        notes = self.damage.notes()
        if len(self.stated) > 1:
            shown = ", ".join(map(str, sorted(self.stated)))
            notes.append(f"the log states several longest drafts ({shown}): none is taken")
        stated = next(iter(self.stated)) if len(self.stated) == 1 else None
        if self.statistics.last:
            if self.requests.count:
                notes += self.statistics.against(self.requests)
            counts = self.requests.count or None
            return self.statistics.result(stated, self.version, notes, requests=counts)
        return self.requests.result(stated, self.version, notes) if self.requests.count else None
