"""The tasks that acceptance is told apart by, and the words that name them in a table."""

from __future__ import annotations

import re

# What a name of a data set or a free description says. A text that names several tasks, or says
# that it averages over some, is `mixed`; one that names none is unknown.
WORDS: dict[str, tuple[str, ...]] = {
    "chat": (
        "chat", "dialog", "dialogue", "mt-bench", "mtbench", "mt_bench", "alpaca", "alpacaeval",
        "sharegpt", "ultrachat", "conversation", "conversational", "assistant", "instruction",
        "instructions", "lmsys", "wildchat", "oasst", "dolly", "arena", "arena-hard", "roleplay",
        "vicuna", "q&a", "perfectblend",
    ),
    "code": (
        "code", "coding", "code-generation", "humaneval", "human-eval", "humaneval+", "mbpp",
        "livecodebench", "bigcodebench", "bash", "python", "programming", "swe-bench", "apps",
        "codealpaca", "instructcoder", "sql", "spider", "script", "function", "refactor", "debug",
        "json", "agent", "agentic", "tool-use", "bfcl", "structured",
    ),
    "math": (
        "math", "maths", "mathematics", "gsm8k", "math-500", "math500", "mathbench",
        "olympiadbench", "aime", "aime24", "aime25", "aime2024", "aime2025", "amc", "arithmetic",
        "mathqa", "svamp", "asdiv", "minerva",
    ),
    "reasoning": ("reasoning", "logic", "bbh", "gpqa", "puzzle", "arc", "hellaswag"),
    "factual": (
        "factual", "fact", "facts", "qa", "question", "natural-questions", "natural_questions",
        "naturalquestions", "nq", "triviaqa", "squad", "mmlu", "rag", "retrieval", "knowledge",
        "encyclopedic", "factoid", "web-questions", "hotpotqa",
        "narrativeqa", "ceval", "c-eval",
    ),
    "prose": (
        "prose", "story", "stories", "essay", "creative", "litbench", "writing", "novel", "fiction",
        "pg19", "pg-19", "books", "literature", "poem", "poetry", "tinystories",
    ),
    # Running text without an instruction: a base model goes on, often in loops.
    "continuation": (
        "continuation", "c4", "openwebtext", "wikitext", "wikitext-103", "wikitext103", "lm1b",
        "text8", "pile", "ptb", "webtext", "fineweb",
    ),
    "summarisation": (
        "summarisation", "summarization", "summarise", "summarize", "summary", "summaries",
        "cnn", "cnndm", "cnn/dm", "cnn_dm", "cnn-dm", "xsum", "dailymail", "govreport", "samsum",
        "arxiv",
    ),
    "translation": (
        "translation", "translate", "opus", "wmt", "wmt14", "ende", "en-de", "deen", "de-en",
        "iwslt", "flores", "enfr",
    ),
    "documentation": ("documentation", "docs", "technical", "readme", "manual", "api", "docstring"),
    "copy": (
        "copy", "copying", "edit", "editing", "rewrite", "rewriting", "extraction", "grounded",
        "rephrase", "paraphrase", "repeat",
    ),
}  # fmt: skip
# Prompts of several tasks; the words of the second line only where no task is named as well.
SEVERAL = ("mixed", "diverse", "several", "various")
AVERAGES = (
    "mean", "average", "avg", "overall", "spec-bench", "spec_bench", "specbench", "longbench",
    "all", "pooled", "general",
)  # fmt: skip
NAMED = tuple(WORDS)
TASKS = (*NAMED, "mixed")

_BY_WORD = {word: task for task, words in WORDS.items() for word in words}
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
