"""The schemas of the tables: what rows must satisfy beyond the columns that `schemas.csv` tells."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..tables.schema import Row, Rule, Schema, columns_of, number, text

# Metrics of the table `measured`: unit, and what each counts.
METRICS = {c.name: (c.unit, c.meaning) for c in columns_of("metrics")}


def _apart(part: float, whole: float) -> float:
    """By how much two numbers differ, as a share; NaN where one is not stated."""
    return abs(part / whole - 1)


def _ratio_is_the_speedup(row: Row) -> bool:
    ratio = number(row, "spec_tokens_per_s") / number(row, "plain_tokens_per_s")
    return math.isnan(ratio) or _apart(number(row, "speedup"), ratio) <= 0.01


def _tokens_fit(drafted: str) -> Rule:
    """tokens_per_round is at most one above the column ``drafted``; empty cells pass."""
    return Rule(
        "tokens_per_round",
        f"must be at most {drafted} + 1",
        lambda row: not number(row, "tokens_per_round") > number(row, drafted) + 1,
    )


def _value_fits(text_of_rule: str, greatest: Callable[[Row], float]) -> Rule:
    """The value is at most the greatest that its metric can have; NaN is no bound."""
    return Rule("value", text_of_rule, lambda row: not number(row, "value") > greatest(row))


def _greatest_acceptance(row: Row) -> float:
    return number(row, "gamma_tokens") + 1 if text(row, "metric").startswith("tau") else 1.0


def _greatest_measured(row: Row) -> float:
    metric = text(row, "metric")
    if metric == "tokens_per_round":
        return number(row, "gamma_tokens") + 1
    return 1.0 if metric.startswith(("accepted_over_drafted", "position_rate")) else math.inf


_RATES_AGREE = Rule(
    "speedup", "must be spec_tokens_per_s / plain_tokens_per_s within 1 %", _ratio_is_the_speedup
)
_PAIR = ("target", "draft")
_MEASUREMENTS = (
    Schema("paper_table", ("target", "method"), (
        Rule("size_ratio", "must be target_params / draft_params within 1 %",
             lambda r: _apart(number(r, "size_ratio") * number(r, "draft_params"),
                              number(r, "target_params")) <= 0.01),
    )),
    Schema("paper_bloom_grid", (*_PAIR, "gamma_tokens")),
    Schema("paper_ladders", _PAIR),
    Schema("leviathan_speedups", (*_PAIR, "task", "temperature")),
    Schema("leviathan_acceptance", (*_PAIR, "task", "temperature")),
    Schema("acceptance", ("id",), (
        _value_fits("must be at most 1 for a rate, and at most gamma_tokens + 1 for a length",
                    _greatest_acceptance),
        Rule("gamma_tokens", "must be empty unless the draft is a chain",
             lambda r: r["gamma_tokens"] is None or text(r, "drafting") == "chain"),
    )),
    Schema("specbundle", (*_PAIR, "drafting", "draft_steps", "task", "batch_sequences"), (
        _RATES_AGREE,
        _tokens_fit("draft_steps"),
        Rule("gamma_tokens", "must be draft_steps for a chain and empty for a tree",
             lambda r: r["gamma_tokens"]
             == (r["draft_steps"] if text(r, "drafting") == "chain" else None)),
        Rule("tree_shape", "must be empty for a chain and given for a tree",
             lambda r: (text(r, "tree_shape") != "") == (text(r, "drafting") == "tree")),
    )),
    Schema("redrafter_chips", ("chip", "precision", "beam_width", "beam_length_tokens"), (
        _RATES_AGREE,
        _tokens_fit("beam_length_tokens"),
        Rule("round_s", "must be tokens_per_round * plain_token_s / speedup within 2 %",
             lambda r: not _apart(number(r, "tokens_per_round") * number(r, "plain_token_s"),
                                  number(r, "speedup") * number(r, "round_s")) > 0.02),
    )),
    Schema("serving_speedups", ("id",), (_tokens_fit("gamma_tokens"),)),
    Schema("measured", ("id",), (
        _value_fits("must be at most gamma_tokens + 1 for a length, and at most 1 for a share",
                    _greatest_measured),
        Rule("position", "must be given for a rate by position, and only then",
             lambda r: text(r, "metric").startswith("position") == (r["position"] is not None)),
        Rule("objection", "must say why a row is not to be scored",
             lambda r: text(r, "status") == "measured" or text(r, "objection") != ""),
    )),
    Schema("measured_sources", ("source",)),
)  # fmt: skip
# The bundled tables of measurements by name.
TABLES = {schema.name: schema for schema in _MEASUREMENTS}
# Tables of facts, in the folders of what reads them.
FACTS = {
    schema.name: schema
    for schema in (
        Schema("models", ("name",)),
        Schema("architectures", ("type",)),
        Schema("devices", ("name",), (
            Rule("fp32", "must be stated, or bf16 or fp16 be",
                 lambda r: any(number(r, rate) > 0 for rate in ("fp32", "bf16", "fp16"))),
        )),
        Schema("machines", ("name",)),
        Schema("formats", ("name",)),
        Schema("drafters", ("name",)),
        Schema("stacks", ("stack",)),
        Schema("tasks", ("task",)),
    )
}  # fmt: skip
