"""Acceptance as a sentence states it: "draft_n 231, accepted 121, 79 verify steps, 57.67 tok/s".

The last that is tried. A quantity that the text states with two values is left out, since nothing
says which of them belongs to which setting.
"""

from __future__ import annotations

import re

from ..tables.layouts import setting_of
from .counts import EngineCounts
from .row_sums import counted, kind_of
from .rows import Row

_IS = r"[\s*`_]*(?:[=:≈~(]|\b(?:of|was|were|is|are|at|about|around|roughly|only|stays|near)\b|\s)*"
_COUNT = r"(?<![\d.,])(\d+(?:,\d{3})*)(?!\d|,\d|\.\d|\s*%)"
_NUMBER = r"(\d+\.\d+)"
_TOKENS = r"(?:draft(?:ed)?|candidate|proposed|specul\w+)(?: draft)?(?: tokens?)?"
_PATTERNS = {
    "length": (
        rf"accept(?:ance|ed)?[ _-]len(?:gth)?s?(?: \([^)]*\))?{_IS}{_NUMBER}",
        rf"(?<![\w.])(?:AL|τ|tau){_IS}{_NUMBER}",
    ),
    "accepted": (
        rf"\baccept(?:ed)?(?:_n|_tokens| tokens)?{_IS}{_COUNT}(?!\s*(?:/|of\b|out of\b|tok/s))",
        rf"{_COUNT}(?: tokens)?(?: were)? accepted",
    ),
    "drafted": (
        rf"\b(?:drafted|draft_n|draft[ _]tokens|proposed){_IS}{_COUNT}",
        rf"(?<!of ){_COUNT}(?: tokens)?(?: were)? (?:drafted|proposed)",
    ),
    "both": (
        rf"(?:accept\w*|match\w*)\W+{_COUNT}\s*(?:/|of|out of)\s*(?:the )?{_COUNT} {_TOKENS}",
    ),
    "rounds": (
        rf"{_COUNT} (?:verify|verification|target|draft(?:ing)?|spec\w*)?[ -]?"
        r"(?:steps|rounds|passes)\b",
    ),
    "rate": (rf"accept(?:ance|ed)?(?: rate)?{_IS}(\d+(?:\.\d+)?\s*%|0?\.\d+(?![\d.]*\s*[%/\d]))",),
    "tokens": (rf"{_COUNT} (?:output|generated|new|predicted) tokens",),
    "listed": (
        r"per[- ]pos\w*[\w ]*?[\s*`:=(\[]*((?:\d?\.\d+%?\s*(?:[,/;]\s*|\s+)){1,}\d?\.\d+)",
        r"\bmarginal\s*[:=]\s*\[([\d.,\s]+)\]",
    ),
}
_READ = {role: [re.compile(p, re.IGNORECASE) for p in ps] for role, ps in _PATTERNS.items()}
_SPEECH = 20  # below it "4 out of 5" is a way to say a share


def read_prose(text: str) -> EngineCounts | None:
    """The statistics of a sentence or two, None where they do not state any.

    Raises ValueError where what they state cannot be.
    """
    if not re.search(r"accept|match|\bAL\b|τ", text, re.IGNORECASE):
        return None
    found, left = {}, []
    for role, patterns in _READ.items():
        said = {_plain(m.groups()) for p in patterns for m in p.finditer(text)}
        if len(said) > 1:
            left.append(role)
        elif said:
            found[role] = said.pop()
    row = Row("")
    if "both" in found and int(found["both"].split("/")[1]) >= _SPEECH:
        found.pop("accepted", None), found.pop("drafted", None)
        row.put("accepted", found["both"])
    for role, cell in found.items():
        if role != "both":
            row.put(role, cell.replace("/", ",") if role == "listed" else cell)
    settings = {s[0] for line in text.splitlines() if (s := setting_of(line)) is not None}
    if len(settings) == 1 and (k := int(settings.pop())) > 0:
        row.gamma = k
    row.close()
    if row.length is None and row.rate is None and not {"accepted", "drafted"} <= row.counts.keys():
        return None
    notes = ["read from a sentence: what it leaves out is not known"]
    if left:
        notes.append(f"stated with several values, and left out: {', '.join(left)}")
    return counted([row], kind_of(set()), notes)


def _plain(groups: tuple[str | None, ...]) -> str:
    return "/".join(re.sub(r"(?<=\d),(?=\d{3})", "", g.strip()) for g in groups if g)
