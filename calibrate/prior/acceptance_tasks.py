"""The tasks that acceptance is told apart by, and the words that name them in a table."""

from __future__ import annotations

import csv
import re

from ..tables.schema import table_lines

# What a name of a data set or a free description says. A text that names several tasks, or says
# that it averages over some, is `mixed`; one that names none is unknown. Continuation is running
# text without an instruction: a base model goes on, often in loops.
_WORDS = {
    row["task"]: row["words"].split() for row in csv.DictReader(table_lines(__package__, "tasks"))
}
# Prompts of several tasks; the words of the second line only where no task is named as well.
SEVERAL = ("mixed", "diverse", "several", "various")
AVERAGES = (
    "mean", "average", "avg", "overall", "spec-bench", "spec_bench", "specbench", "longbench",
    "all", "pooled", "general",
)  # fmt: skip
NAMED = tuple(_WORDS)
TASKS = (*NAMED, "mixed")

_BY_WORD = {word: task for task, words in _WORDS.items() for word in words}
_SPLIT = re.compile(r"[\s,;:()\[\]\"']+")


def canonical_task(text: str | None) -> str | None:
    """The task that a free text names: one of `TASKS`, or None where it names none.

    Words are compared whole, then without their digits and joined parts ("math-500 (vLLM)",
    "open_chat", "long_context_summarization").
    """
    found: dict[str, None] = {}
    parts: set[str] = set()
    for word in _SPLIT.split((text or "").casefold().replace("natural questions", "nq")):
        whole, inside = [word, word.rstrip("0123456789.+-")], re.split(r"[_/\-.+]", word)
        parts |= {*whole, *inside}
        # A word that is one names its task alone; one that joins several may name several.
        one = next((_BY_WORD[w] for w in whole if w in _BY_WORD), None)
        found |= dict.fromkeys([one] if one else (_BY_WORD[w] for w in inside if w in _BY_WORD))
    if len(found) > 1:
        found.pop("reasoning", None)  # "math reasoning" is math
    if len(found) > 1 or parts & set(SEVERAL) or (not found and parts & set(AVERAGES)):
        return "mixed"
    return next(iter(found), None)


def known_task(text: str) -> str:
    """One of `TASKS` for a text that must name one; ValueError lists them otherwise."""
    task = canonical_task(text)
    if task is None:
        raise ValueError(f"task must name one of {', '.join(TASKS)}, got {text!r}")
    return task
