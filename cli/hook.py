"""`howspec hook`: the lines to put around a call of an engine that reports no statistics."""

from __future__ import annotations

from .answering import printing
from .commands import Argument
from .options import spelled
from .output import Shown

TRANSFORMERS = """\
# Counts of assisted generation: put your call of generate inside the block.
from howspec.calibrate.measure.assisted_counts import count_rounds

with count_rounds(model) as counts:
    model.generate(**inputs, assistant_model=draft)

counts.write("rounds.jsonl")  # then: howspec import transformers rounds.jsonl
"""


@printing(engine=Argument("transformers."))
def hook(engine: str) -> Shown:
    """Print the lines that count the rounds of an engine which does not say what was accepted.

    Only transformers needs them: the other engines report their own counts.

    Example:

    howspec hook transformers
    """
    if spelled(engine, ("transformers",)) != "transformers":
        raise ValueError(f"engine must be transformers, the others report counts; got {engine!r}")
    return Shown({"engine": "transformers", "code": TRANSFORMERS}, TRANSFORMERS.splitlines())
