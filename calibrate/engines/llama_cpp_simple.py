"""The summary that llama-speculative-simple and llama-speculative print at their end."""

from __future__ import annotations

import re

from .completed import engine_counts
from .counts import EngineCounts, compare
from .lines import without_colours
from .printed import NUMBER, Printed, printed, whole

_FIELDS = {
    "n_draft": re.compile(r"\bn_draft\s*=\s*(\d+)"),
    "n_predict": re.compile(r"\bn_predict\s*=\s*(\d+)"),
    "n_drafted": re.compile(r"\bn_drafted\s*=\s*(\d+)"),
    "n_accept": re.compile(r"\bn_accept\s*=\s*(\d+)"),
}
_SHARE = re.compile(rf"^\D*?\baccept\s*=\s*({NUMBER})\s*%", re.MULTILINE)
_DEFINITION = (
    "llama-speculative-simple (@08d0baac): n_predict counts the tokens of all rounds with the "
    "bonus, n_accept the accepted draft tokens, so rounds = n_predict - n_accept, those that "
    "drafted nothing included"
)


class SimpleLog:
    """Adds up the runs."""

    engine = "llama.cpp"
    needed: tuple[bytes, ...] = (b"n_drafted", b"n_accept")
    markers: tuple[bytes, ...] = (*needed, b"n_draft ", b"n_predict", b"accept  ")

    def __init__(self) -> None:
        self.runs: list[dict[str, int]] = []
        self.shares: list[Printed] = []
        self.open: dict[str, int] = {}

    def feed(self, line: str) -> None:
        """Take one line."""
        line = without_colours(line)
        for name, pattern in _FIELDS.items():
            if found := pattern.search(line):
                if name in self.open and "n_accept" in self.open:
                    self._close()
                self.open[name] = whole(found.group(1), name)
        if (found := _SHARE.search(line)) and "n_accept" in self.open:
            self.shares.append(printed(found.group(1)).scaled(0.01))

    def _close(self) -> None:
        if "n_drafted" in self.open and "n_accept" in self.open:
            self.runs.append(self.open)
        self.open = {}

    def result(self) -> EngineCounts | None:
        """The sum over the runs."""
        lonely = {"n_drafted", "n_accept"} & set(self.open)
        self._close()
        if not self.runs:
            if lonely:
                raise ValueError("llama-speculative prints n_drafted and n_accept, got only one")
            return None
        runs, notes = self.runs, ["shares by position are not printed"]
        gammas = {r.get("n_draft") for r in runs}
        gamma = next(iter(gammas)) if len(gammas) == 1 else None
        checks = [
            compare("drafted rate", s, r["n_accept"] / r["n_drafted"])
            for s, r in zip(self.shares, runs, strict=False)
            if r["n_drafted"]
        ]
        return engine_counts(
            "llama.cpp",
            "llama-speculative",
            definition=_DEFINITION,
            rounds=_rounds(runs, notes),
            drafted=sum(r["n_drafted"] for r in runs),
            accepted=sum(r["n_accept"] for r in runs),
            gamma=gamma or None,
            requests=len(runs),
            consistency=tuple(checks),
            notes=notes,
        )


def _rounds(runs: list[dict[str, int]], notes: list[str]) -> int | None:
    if not all(r.get("n_predict", -1) >= r["n_accept"] for r in runs):
        notes.append("n_predict is missing, so rounds are not determined")
        return None
    notes.append(
        "rounds = n_predict - n_accept: every round, also one that drafted nothing, gives one "
        "token of its own"
    )
    return sum(r["n_predict"] - r["n_accept"] for r in runs)
