"""Stacks: the kinds of software that costs are told apart by, and the engines that each stands for.

`stacks.csv` lists them, one stack a row.
"""

from __future__ import annotations

import csv
import re
from functools import cache

from ..tables.nearest import nearest_first
from ..tables.schema import table_lines

_ENGINES = {
    row["stack"]: row["engines"].split(";")
    for row in csv.DictReader(table_lines(__package__, "stacks"))
}
STACKS = tuple(_ENGINES)
ENGINES = {engine: stack for stack, engines in _ENGINES.items() for engine in engines}
_SHOWN = ("vllm", "sglang", "tensorrt-llm", "transformers", "gpt-fast", "ollama", "mlx_lm", "jax")
# What people write behind an engine: its version, its build, its branch or its program.
_VERSION = re.compile(
    r"[\s@=-]+\(?[vb]?\d[\w.+-]*\)?$|\s+\(?(main|master|nightly|latest|serve|server)\)?$"
)


def stack_name(name: str) -> str:
    """The stack of that name, or of an engine of that name: ``vLLM``, ``vllm 0.11`` and the image
    ``vllm/vllm-openai:v0.11.0`` are ``serving``.

    Raises ValueError listing the stacks, and the engines nearest to an unknown name.
    """
    key = name.strip().casefold()
    for short in (key, _VERSION.sub("", key), *reversed(key.rsplit(":", 1)[0].split("/"))):
        stack = ENGINES.get(short, short)
        if stack in STACKS:
            return stack
    near = ", ".join(nearest_first(key, ENGINES)[:3])
    raise ValueError(
        f"stack must be one of {', '.join(STACKS)}, or an engine such as {', '.join(_SHOWN)}; "
        f"nearest: {near}; got {name!r}"
    )


def stack_in(text: str) -> str:
    """The stack of the first engine that a text names as a word of its own, "" where it names none:
    ``llama.cpp b10451 draft-mtp`` is ``llama.cpp``.
    """
    found = _named().search(text.casefold())
    return "" if found is None else ENGINES.get(found[0], found[0])


@cache
def _named() -> re.Pattern[str]:
    longest_first = sorted({*ENGINES, *STACKS}, key=len, reverse=True)
    return re.compile(rf"(?<!\w)({'|'.join(map(re.escape, longest_first))})(?!\w)")
