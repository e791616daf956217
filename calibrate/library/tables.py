"""The schemas of the bundled tables, one for each CSV file of this folder."""

from __future__ import annotations

from dataclasses import replace

from . import schema as s
from .measured_schema import MEASURED, MEASURED_SOURCES
from .schema import Column, Rule, Schema, counted, number, optional, positive, share, text, told

_LAYERS = counted("target_layers", "transformer layers of the target", "layer")
_DRAFT_LAYERS = replace(_LAYERS, name="draft_layers", meaning="transformer layers of the draft")
_COST_RATIO = Column(
    "cost_ratio", "time of one draft step over time of one plain target step, where stated",
    "number", "1", low=0, nullable=True,
)  # fmt: skip


def _off(part: float, whole: float) -> float:
    """By how much two numbers differ, as a share; NaN where one is not stated."""
    return abs(part / whole - 1)


PAPER_TABLE = Schema(
    "paper_table",
    "Best draft and best number of draft tokens for five targets and two methods",
    (
        s.ID,
        s.TARGET,
        s.TARGET_PARAMS,
        Column("method", "SpS: speculative sampling; AsG: assisted generation of transformers",
               choices=("SpS", "AsG")),
        replace(s.DRAFT, meaning="name of the fastest draft of the family"),
        s.DRAFT_PARAMS,
        replace(s.GAMMA, meaning="the fastest number of draft tokens, K in the paper", high=7),
        replace(s.SPEEDUP, meaning="latency of plain decoding over the lowest latency"),
        Column("size_ratio", "parameters of the target over those of the draft, as printed",
               "number", "1", low=1),
        s.SOURCE,
        s.NOTES,
    ),
    key=("target", "method"),
    rules=(
        Rule("size_ratio", "must be target_params / draft_params within 1 %",
             lambda r: _off(number(r, "size_ratio") * number(r, "draft_params"),
                            number(r, "target_params")) <= 0.01),
    ),
)  # fmt: skip
PAPER_BLOOM_GRID = Schema(
    "paper_bloom_grid",
    "Latency against the number of draft tokens for BLOOM-7.1B and five drafts",
    (
        s.TARGET,
        s.TARGET_PARAMS,
        s.DRAFT,
        s.DRAFT_PARAMS,
        replace(s.GAMMA, meaning="tokens drafted in a round; 0 is plain decoding", high=7),
        positive("latency", "mean generation latency, in the unit of the figure's axis, which is "
                 "not stated", "axis unit"),
        Column("latency_error", "half-width of the reading error of the digitised latency",
               "number", "axis unit", low=0),
        Column("unit", "unit of the latency, for `load_sweep`"),
        Column("method", "SpS: speculative sampling", choices=("SpS",)),
        s.SOURCE,
    ),
    key=("target", "draft", "gamma_tokens"),
)  # fmt: skip
PAPER_LADDERS = Schema(
    "paper_ladders",
    "Released drafts of the paper's five targets, with parameters and layers",
    (s.TARGET, s.TARGET_PARAMS, _LAYERS, s.DRAFT, s.DRAFT_PARAMS, _DRAFT_LAYERS, s.SOURCE),
    key=("target", "draft"),
)
LEVIATHAN_SPEEDUPS = Schema(
    "leviathan_speedups",
    "Acceptance, cost ratio and measured speed-up of T5-XXL with three drafts",
    (
        s.ID,
        s.TARGET,
        s.TARGET_PARAMS,
        s.DRAFT,
        s.DRAFT_PARAMS,
        Column("drafting", "shape of the draft", choices=("chain",)),
        s.TASK,
        s.TEMPERATURE,
        s.BATCH,
        replace(s.GAMMA, low=1),
        s.ALPHA,
        replace(_COST_RATIO, nullable=False, meaning="time of one draft step over time of one "
                "plain target step, by the authors' profiler"),
        replace(s.SPEEDUP, meaning="measured wall-clock speed-up, near pure decoding"),
        positive("predicted_speedup",
                 "the authors' own prediction under independent acceptance, for comparison"),
        s.ENGINE,
        s.HARDWARE,
        s.SOURCE,
        s.NOTES,
    ),
    key=("target", "draft", "task", "temperature"),
)  # fmt: skip
LEVIATHAN_ACCEPTANCE = Schema(
    "leviathan_acceptance",
    "Acceptance against the size of the draft and the task, without wall-clock times",
    (
        s.ID,
        s.TARGET,
        s.TARGET_PARAMS,
        s.DRAFT,
        optional(s.DRAFT_PARAMS,
                 meaning="parameters of the draft, nominal; empty for a count-based model"),
        s.TASK,
        s.TEMPERATURE,
        s.ALPHA,
        counted("sample_tokens", "tokens over which the mean was taken", "token", high=1e9),
        s.SOURCE,
        s.NOTES,
    ),
    key=("target", "draft", "task", "temperature"),
)  # fmt: skip
SPECBUNDLE = Schema(
    "specbundle",
    "EAGLE-3 heads on five targets and seven tasks: chains of 3, 5, 7 and two trees",
    (
        s.ID,
        s.TARGET,
        s.TARGET_PARAMS,
        s.DRAFT,
        Column("drafting", "shape of the draft", choices=("chain", "tree")),
        optional(s.GAMMA, meaning="tokens drafted in a round of a chain; empty for a tree", low=1),
        told("tree_shape", "steps of the draft, candidates kept at each, tokens verified; empty "
             "for a chain"),
        counted("draft_steps", "sequential steps of the draft in a round", "step", high=10_000),
        counted("verified_tokens", "tokens in one verification per sequence, the last emitted one "
                "included", "token", 2, high=10_000),
        s.TASK,
        s.TEMPERATURE,
        s.BATCH,
        s.TOKENS,
        replace(s.SPEEDUP, meaning="spec_tokens_per_s / plain_tokens_per_s, prefill included"),
        s.PLAIN_RATE,
        s.SPEC_RATE,
        s.ENGINE,
        s.HARDWARE,
        s.PRECISION,
        s.SUSPECT,
        s.SOURCE,
        s.NOTES,
    ),
    key=("target", "draft", "drafting", "draft_steps", "task", "batch_sequences"),
    rules=(
        s.RATES_AGREE,
        s.tokens_fit("draft_steps"),
        Rule(
            "gamma_tokens",
            "must be draft_steps for a chain and empty for a tree",
            lambda r: r["gamma_tokens"]
            == (r["draft_steps"] if text(r, "drafting") == "chain" else None),
        ),
        Rule("tree_shape", "must be empty for a chain and given for a tree",
             lambda r: (text(r, "tree_shape") != "") == (text(r, "drafting") == "tree")),
    ),
)  # fmt: skip
REDRAFTER_CHIPS = Schema(
    "redrafter_chips",
    "One target and one recurrent draft on two chips in two precisions: chains and beams",
    (
        s.ID,
        replace(s.HARDWARE, name="chip", meaning="the chip"),
        s.PRECISION,
        s.TARGET,
        s.TARGET_PARAMS,
        s.DRAFT,
        Column("drafting", "shape of the draft: a chain is a beam of one",
               choices=("chain", "beam")),
        optional(s.GAMMA, meaning="tokens drafted in a round of a chain; empty for a beam", low=1),
        counted("beam_width", "beams drafted in a round", "beam", high=10_000, nullable=True),
        counted("beam_length_tokens", "tokens of each beam", "token", high=10_000, nullable=True),
        optional(s.TASK),
        optional(s.TEMPERATURE),
        s.BATCH,
        optional(s.TOKENS, meaning="tokens emitted by a round: 200 tokens over `rounds`, good to "
                 "one token in 200"),
        counted("rounds", "rounds that the 200 tokens took", "round", high=1e9, nullable=True),
        positive("round_s", "mean time of a round, as stated with the row", "s", nullable=True),
        positive("plain_token_s", "time of one token of plain decoding on the same chip, as stated "
                 "with the row", "s", nullable=True),
        replace(s.SPEEDUP, meaning="by the authors' formula: the mean prompt time is taken out"),
        optional(s.PLAIN_RATE),
        optional(s.SPEC_RATE),
        s.ENGINE,
        s.SOURCE,
        s.NOTES,
    ),
    key=("chip", "precision", "beam_width", "beam_length_tokens"),
    rules=(
        s.RATES_AGREE,
        s.tokens_fit("beam_length_tokens"),
        Rule("round_s", "must be tokens_per_round * plain_token_s / speedup within 2 %",
             lambda r: not _off(number(r, "tokens_per_round") * number(r, "plain_token_s"),
                                number(r, "speedup") * number(r, "round_s")) > 0.02),
    ),
)  # fmt: skip
ACCEPTANCE = Schema(
    "acceptance",
    "Acceptance of separate draft models on some forty pairs of target and draft",
    (
        s.ID,
        Column("family", "line of models, as collected; cross-family where the two differ"),
        s.TARGET,
        optional(s.TARGET_PARAMS),
        optional(_LAYERS),
        s.DRAFT,
        optional(s.DRAFT_PARAMS),
        optional(_DRAFT_LAYERS),
        optional(s.PRECISION),
        told("quantised", "whether the weights are", choices=("yes", "no")),
        s.TASK,
        optional(s.TEMPERATURE),
        told("sampling", "what else is said of the sampling, in words"),
        optional(s.GAMMA, low=1),
        Column("drafting", "chain; pooled: chains of several lengths; adaptive: of varying length; "
               "tree", choices=("chain", "pooled", "adaptive", "tree")),
        Column("metric", "what the value is", choices=("alpha_conditional",
               "accepted_over_drafted", "tau_with_bonus", "argmax_agreement")),
        Column("value", "the number", "number", "1 or token", low=0),
        told("sample", "how much was measured, in words"),
        optional(s.SPEEDUP, meaning="measured speed-up, where stated"),
        _COST_RATIO,
        optional(s.HARDWARE),
        s.SUSPECT,
        s.SOURCE,
        s.NOTES,
    ),
    key=("id",),
    rules=(
        Rule(
            "value",
            "must be at most 1 for a rate, and at most gamma_tokens + 1 for a length",
            lambda r: not number(r, "value")
            > (number(r, "gamma_tokens") + 1 if text(r, "metric")[:3] == "tau" else 1),
        ),
        Rule("gamma_tokens", "must be empty unless the draft is a chain",
             lambda r: r["gamma_tokens"] is None or text(r, "drafting") == "chain"),
    ),
)  # fmt: skip
SERVING_SPEEDUPS = Schema(
    "serving_speedups",
    "Speed-ups of heads, draft models and look-up on serving engines, over gamma, batch and device",
    (
        s.ID,
        s.TARGET,
        optional(s.TARGET_PARAMS),
        s.DRAFT,
        optional(s.DRAFT_PARAMS),
        Column("method", "how tokens are drafted, in the words of the source"),
        optional(s.GAMMA, low=1),
        told("draft_shape", "shape of a draft that is no chain"),
        optional(s.TASK),
        optional(s.TEMPERATURE),
        told("sampling", "the temperature, where it is a text"),
        optional(s.BATCH),
        share("stated_alpha", "acceptance as stated", nullable=True),
        told("alpha_kind", "what stated_alpha is",
             choices=("accepted_over_drafted", "first_position")),
        told("alpha_text", "acceptance that is stated as a range"),
        optional(s.TOKENS),
        told("tokens_derived", "yes where tokens_per_round was computed from stated_alpha",
             choices=("yes",)),
        _COST_RATIO,
        optional(s.SPEEDUP),
        optional(s.PLAIN_RATE),
        optional(s.SPEC_RATE),
        s.ENGINE,
        optional(s.HARDWARE),
        optional(s.PRECISION),
        s.SOURCE,
        s.NOTES,
    ),
    key=("id",),
    rules=(s.tokens_fit("gamma_tokens"),),
)  # fmt: skip

TABLES: dict[str, Schema] = {
    schema.name: schema
    for schema in (
        PAPER_TABLE, PAPER_BLOOM_GRID, PAPER_LADDERS, LEVIATHAN_SPEEDUPS, LEVIATHAN_ACCEPTANCE,
        ACCEPTANCE, SPECBUNDLE, REDRAFTER_CHIPS, SERVING_SPEEDUPS, MEASURED, MEASURED_SOURCES,
    )
}  # fmt: skip
