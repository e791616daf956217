"""Who measured: the study of a citation, so that a study can be left out of what is learned."""

from __future__ import annotations

import re


def study_of(source: str) -> str:
    """The paper (without its version) or the repository of a citation, else its first words."""
    found = re.search(r"(?:arxiv[:. ]\s*(?:org/abs/)?)(\d{4}\.\d{4,5})", source, re.IGNORECASE)
    if found:
        return found[1]
    repository = re.search(r"github(?:\.com/|\s+)([\w.-]+/[\w.-]+)", source, re.IGNORECASE)
    named = repository[1] if repository else re.split(r"[,;@]", source)[0].strip()
    return named.casefold()


def same_study(one: str, other: str) -> bool:
    """Whether two citations, or studies, are of one study; a repository counts by its own name."""
    first, second = (study_of(s).rstrip("/").rsplit("/", 1)[-1] for s in (one, other))
    return bool(first) and first == second
