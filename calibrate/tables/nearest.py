"""Names most like one that is not known, for the messages that refuse it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping


def nearest(wanted: str, called: Mapping[str, str]) -> str:
    """What the five names most like ``wanted`` stand for, each once, as text."""
    found = dict.fromkeys(called[name] for name in nearest_first(wanted, called))
    return ", ".join(list(found)[:5])


def nearest_first(wanted: str, known: Iterable[str]) -> list[str]:
    """The known names, those most like ``wanted`` first."""

    def distance(name: str) -> float:
        return -difflib.SequenceMatcher(None, wanted.casefold(), name.casefold()).ratio()

    return sorted(known, key=distance)
