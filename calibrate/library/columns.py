"""The columns and rules that several bundled tables share."""

from __future__ import annotations

import math
from dataclasses import replace

from .schema import Column, Row, Rule, number

ID = Column("id", "identifier of the row, stable across versions")
TARGET = Column("target", "name of the target model, as the source writes it")
DRAFT = Column("draft", "name of the draft model, as the source writes it")
TARGET_PARAMS = Column(
    "target_params",
    "parameters of the target, nominal; a mixture of experts counts all experts",
    "number",
    "parameter",
    low=0,
    open_low=True,
)
DRAFT_PARAMS = replace(
    TARGET_PARAMS, name="draft_params", meaning="parameters of the draft, nominal"
)
GAMMA = Column(
    "gamma_tokens",
    "tokens drafted in a round, without the bonus token",
    "whole",
    "token",
    low=0,
    high=10_000,
)
SPEEDUP = Column(
    "speedup",
    "speed with drafting over speed of plain decoding",
    "number",
    "1",
    low=0,
    open_low=True,
)
TOKENS = Column(
    "tokens_per_round",
    "mean tokens emitted by a round, the bonus token included",
    "number",
    "token",
    low=1,
)
ALPHA = Column(
    "overlap_alpha",
    "acceptance as the mean of sum min(p, q) over contexts, p of the target and q of the draft",
    "number",
    "1",
    low=0,
    high=1,
)
TASK = Column("task", "data set or kind of prompt")
TEMPERATURE = Column("temperature", "sampling temperature, 0 for greedy", "number", "1", low=0)
BATCH = Column(
    "batch_sequences", "sequences decoded together", "whole", "sequence", low=1, high=1e6
)
PLAIN_RATE = Column(
    "plain_tokens_per_s",
    "throughput of plain decoding, all sequences together",
    "number",
    "token/s",
    low=0,
    open_low=True,
)
SPEC_RATE = replace(
    PLAIN_RATE, name="spec_tokens_per_s", meaning="throughput with drafting, all sequences"
)
ENGINE = Column("engine", "software that ran it")
HARDWARE = Column("hardware", "device that ran it, as the source states it")
PRECISION = Column("precision", "number format of the weights")
SOURCE = Column("source", "citation of the number")
NOTES = Column("notes", "what else the source says, and what was changed here", nullable=True)


def _ratio_is_the_speedup(row: Row) -> bool:
    ratio = number(row, "spec_tokens_per_s") / number(row, "plain_tokens_per_s")
    return math.isnan(ratio) or abs(number(row, "speedup") / ratio - 1) <= 0.01


RATES_AGREE = Rule(
    "speedup",
    "must be spec_tokens_per_s / plain_tokens_per_s within 1 %",
    _ratio_is_the_speedup,
)


def tokens_fit(drafted: str) -> Rule:
    """tokens_per_round is at most one above the column ``drafted``; empty cells pass."""
    return Rule(
        "tokens_per_round",
        f"must be at most {drafted} + 1",
        lambda row: not number(row, "tokens_per_round") > number(row, drafted) + 1,
    )
