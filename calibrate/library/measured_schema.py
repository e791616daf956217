"""The table of measurements of 2026: one number a row, its definition and its conditions apart."""

from __future__ import annotations

from dataclasses import replace

from . import schema as s
from .schema import Column, Rule, Schema, counted, number, optional, positive, share, text, told

# What a value is, its unit, and what it counts.
METRICS: dict[str, tuple[str, str]] = {
    "tokens_per_round": ("token", "tokens emitted by a round, the bonus token included"),
    "accepted_over_drafted": ("1", "accepted over drafted tokens, all positions together"),
    "accepted_over_drafted_cut": ("1", "the same where drafts end early by their confidence"),
    "position_rate": ("1", "share of rounds that accept this position and all before it"),
    "position_rate_conditional": ("1", "acceptance of a position, those before it accepted"),
    "acceptance_conditional": ("1", "accepted over decided draft tokens"),
    "overlap": ("1", "mean of sum min(p, q) over contexts"),
    "argmax_agreement": ("1", "share of a text's tokens at which both models' argmax agrees"),
    "throughput_run": ("token/s", "output tokens of a whole run over its time, prefill included"),
    "throughput_decode": ("token/s", "output tokens over the time of decoding"),
    "throughput_user": ("token/s", "output tokens of one request, or of one rank, over its time"),
    "throughput_forward": ("token/s", "tokens of one pass over its time"),
    "tpot_ms": ("ms", "time per output token after the first"),
    "request_ms": ("ms", "time of a whole request, prefill included"),
    "step_ms": ("ms", "time of a step, of a kind that the notes name"),
    "plain_step_ms": ("ms", "time of a plain step of the target"),
    "verify_ms": ("ms", "time of a pass of the target over gamma_tokens + 1 tokens"),
    "draft_ms": ("ms", "time of a draft step"),
    "overhead_ms": ("ms", "time of a round beside its passes"),
    "relative_cost": ("1", "time of a pass over that of a pass of one token"),
    "speedup_run": ("1", "ratio of throughputs, or not stated of what"),
    "speedup_request": ("1", "ratio of times of whole requests, prefill included"),
    "speedup_decode": ("1", "ratio of times per output token"),
}
DRAFTINGS = ("chain", "block", "tree", "adaptive", "look-up", "not stated")
STATUSES = ("measured", "computed", "approximate", "assumed", "secondary")

MEASURED = Schema(
    "measured",
    "Measurements of 2026, one number a row, definitions and conditions in columns",
    (
        s.ID,
        Column("source", "key of the citation in `measured_sources.csv`"),
        told("place", "file, table or run within the source"),
        optional(s.TARGET),
        told("target_model", "the target as the table of models has it, empty where it has none"),
        told("target_format", "number format of the target's weights, where its name tells it"),
        optional(s.DRAFT),
        told("drafter", "kind of drafter, empty for plain decoding and single passes"),
        told("draft_model", "a draft that is a model, as the table of models has it"),
        told("draft_format", "number format of the draft's weights, where its name tells it"),
        told("kv_format", "number format of the cache, where told"),
        replace(s.ENGINE, meaning="engine and version, as the source states them"),
        told("stack", "kind of software: serving, native (llama.cpp and alike), eager, or mlx",
             choices=("serving", "native", "eager", "mlx")),
        optional(s.HARDWARE),
        told("device", "the device as the table of devices has it, empty where unclear"),
        counted("devices", "devices together", "device", nullable=True),
        optional(s.TASK),
        optional(s.BATCH, meaning="sequences decoded together, or requests in flight"),
        Column("context_tokens", "tokens of context, if stated", "whole", "token", nullable=True),
        optional(s.TEMPERATURE),
        optional(s.GAMMA, meaning="tokens drafted in a round; one less than those of a pass in "
                 "rows of single passes"),
        told("drafting", "shape of the drafts", choices=DRAFTINGS),
        told("execution", "eager or with graphs", choices=("eager", "graphs")),
        share("p_min", "confidence below which drafts end", nullable=True),
        Column("metric", "what the value is, see below", choices=tuple(METRICS)),
        counted("position", "position in the draft, from 1", "token", nullable=True),
        Column("value", "the number", "number", "see metric", low=0),
        told("rates", "share of rounds that accept positions 1, 2, ..., separated by spaces"),
        positive("plain", "plain decoding beside it", "as value", nullable=True),
        positive("round_ms", "mean time of a round beside it", "ms", nullable=True),
        told("sample", "how much was measured"),
        Column("status", "measured, or why it is not to be scored", choices=STATUSES),
        told("objection", "why the row should not be scored, or what is uncertain"),
        told("notes", "what else the source says"),
    ),
    key=("id",),
    rules=(
        Rule(
            "value",
            "must be at most gamma_tokens + 1 for a length, and at most 1 for a share",
            lambda r: not number(r, "value") > {
                "tokens_per_round": number(r, "gamma_tokens") + 1,
                "accepted_over_drafted": 1.0, "accepted_over_drafted_cut": 1.0,
                "position_rate": 1.0, "position_rate_conditional": 1.0,
            }.get(text(r, "metric"), number(r, "value")),
        ),
        Rule("position", "must be given for a rate by position, and only then",
             lambda r: (text(r, "metric")[:8] == "position") == (r["position"] is not None)),
        Rule("objection", "must say why a row is not to be scored",
             lambda r: text(r, "status") == "measured" or text(r, "objection") != ""),
    ),
)  # fmt: skip
MEASURED_SOURCES = Schema(
    "measured_sources",
    "Citations of the measurements of 2026",
    (
        Column("source", "key, as in `measured.csv`"),
        Column("citation", "paper, page, thread, or repository at a commit"),
        told("terms", "conditions that all its rows share"),
    ),
    key=("source",),
)
