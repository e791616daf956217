"""The schemas of the bundled tables, one for each CSV file of this folder."""

from __future__ import annotations

from dataclasses import replace

from .measured_schema import MEASURED, MEASURED_SOURCES
from .schema import (
    ALPHA,
    BATCH,
    DRAFT,
    DRAFT_PARAMS,
    ENGINE,
    GAMMA,
    HARDWARE,
    ID,
    NOTES,
    PLAIN_RATE,
    PRECISION,
    RATES_AGREE,
    SOURCE,
    SPEC_RATE,
    SPEEDUP,
    TARGET,
    TARGET_PARAMS,
    TASK,
    TEMPERATURE,
    TOKENS,
    Column,
    Rule,
    Schema,
    number,
    text,
    tokens_fit,
)

PAPER_TABLE = Schema(
    "paper_table",
    "Best draft and best number of draft tokens for five targets and two methods",
    (
        ID,
        TARGET,
        TARGET_PARAMS,
        Column(
            "method",
            "SpS: speculative sampling; AsG: assisted generation of transformers",
            choices=("SpS", "AsG"),
        ),
        replace(DRAFT, meaning="name of the fastest draft of the family"),
        DRAFT_PARAMS,
        replace(GAMMA, meaning="the fastest number of draft tokens, K in the paper", high=7),
        replace(SPEEDUP, meaning="latency of plain decoding over the lowest latency"),
        Column(
            "size_ratio",
            "parameters of the target over those of the draft, as printed",
            "number",
            "1",
            low=1,
        ),
        SOURCE,
        NOTES,
    ),
    key=("target", "method"),
    rules=(
        Rule(
            "size_ratio",
            "must be target_params / draft_params within 1 %",
            lambda r: (
                abs(
                    number(r, "size_ratio") * number(r, "draft_params") / number(r, "target_params")
                    - 1
                )
                <= 0.01
            ),
        ),
    ),
)

PAPER_BLOOM_GRID = Schema(
    "paper_bloom_grid",
    "Latency against the number of draft tokens for BLOOM-7.1B and five drafts",
    (
        TARGET,
        TARGET_PARAMS,
        DRAFT,
        DRAFT_PARAMS,
        replace(GAMMA, meaning="tokens drafted in a round; 0 is plain decoding", high=7),
        Column(
            "latency",
            "mean generation latency, in the unit of the figure's axis, which is not stated",
            "number",
            "axis unit",
            low=0,
            open_low=True,
        ),
        Column(
            "latency_error",
            "half-width of the reading error of the digitised latency",
            "number",
            "axis unit",
            low=0,
        ),
        Column("unit", "unit of the latency, for `load_sweep`"),
        Column("method", "SpS: speculative sampling", choices=("SpS",)),
        SOURCE,
    ),
    key=("target", "draft", "gamma_tokens"),
)

_LAYERS = Column("target_layers", "transformer layers of the target", "whole", "layer", low=1)

PAPER_LADDERS = Schema(
    "paper_ladders",
    "Released drafts of the paper's five targets, with parameters and layers",
    (
        TARGET,
        TARGET_PARAMS,
        _LAYERS,
        DRAFT,
        DRAFT_PARAMS,
        replace(_LAYERS, name="draft_layers", meaning="transformer layers of the draft"),
        SOURCE,
    ),
    key=("target", "draft"),
)

LEVIATHAN_SPEEDUPS = Schema(
    "leviathan_speedups",
    "Acceptance, cost ratio and measured speed-up of T5-XXL with three drafts",
    (
        ID,
        TARGET,
        TARGET_PARAMS,
        DRAFT,
        DRAFT_PARAMS,
        Column("drafting", "shape of the draft", choices=("chain",)),
        TASK,
        TEMPERATURE,
        BATCH,
        replace(GAMMA, low=1),
        ALPHA,
        Column(
            "cost_ratio",
            "time of one draft step over time of one plain target step, by the authors' profiler",
            "number",
            "1",
            low=0,
        ),
        replace(SPEEDUP, meaning="measured wall-clock speed-up, near pure decoding"),
        replace(
            SPEEDUP,
            name="predicted_speedup",
            meaning="the authors' own prediction under independent acceptance, for comparison",
        ),
        ENGINE,
        HARDWARE,
        SOURCE,
        NOTES,
    ),
    key=("target", "draft", "task", "temperature"),
)

LEVIATHAN_ACCEPTANCE = Schema(
    "leviathan_acceptance",
    "Acceptance against the size of the draft and the task, without wall-clock times",
    (
        ID,
        TARGET,
        TARGET_PARAMS,
        DRAFT,
        replace(
            DRAFT_PARAMS,
            meaning="parameters of the draft, nominal; empty for a count-based model",
            nullable=True,
        ),
        TASK,
        TEMPERATURE,
        ALPHA,
        Column(
            "sample_tokens",
            "tokens over which the mean was taken",
            "whole",
            "token",
            low=1,
            high=1e9,
        ),
        SOURCE,
        NOTES,
    ),
    key=("target", "draft", "task", "temperature"),
)

SPECBUNDLE = Schema(
    "specbundle",
    "EAGLE-3 heads on five targets and seven tasks: chains of 3, 5, 7 and two trees",
    (
        ID,
        TARGET,
        TARGET_PARAMS,
        DRAFT,
        Column("drafting", "shape of the draft", choices=("chain", "tree")),
        replace(
            GAMMA,
            meaning="tokens drafted in a round of a chain; empty for a tree",
            low=1,
            nullable=True,
        ),
        Column(
            "tree_shape",
            "steps of the draft, candidates kept at each, tokens verified; empty for a chain",
            nullable=True,
        ),
        Column(
            "draft_steps",
            "sequential steps of the draft in a round",
            "whole",
            "step",
            low=1,
            high=10_000,
        ),
        Column(
            "verified_tokens",
            "tokens in one verification per sequence, the last emitted one included",
            "whole",
            "token",
            low=2,
            high=10_000,
        ),
        TASK,
        TEMPERATURE,
        BATCH,
        TOKENS,
        replace(SPEEDUP, meaning="spec_tokens_per_s / plain_tokens_per_s, prefill included"),
        PLAIN_RATE,
        SPEC_RATE,
        ENGINE,
        HARDWARE,
        PRECISION,
        Column(
            "suspect",
            "why the row should not be fitted; empty for a row without objection",
            nullable=True,
        ),
        SOURCE,
        NOTES,
    ),
    key=("target", "draft", "drafting", "draft_steps", "task", "batch_sequences"),
    rules=(
        RATES_AGREE,
        tokens_fit("draft_steps"),
        Rule(
            "gamma_tokens",
            "must be draft_steps for a chain and empty for a tree",
            lambda row: (
                row["gamma_tokens"]
                == (row["draft_steps"] if text(row, "drafting") == "chain" else None)
            ),
        ),
        Rule(
            "tree_shape",
            "must be empty for a chain and given for a tree",
            lambda row: (text(row, "tree_shape") != "") == (text(row, "drafting") == "tree"),
        ),
    ),
)

REDRAFTER_CHIPS = Schema(
    "redrafter_chips",
    "One target and one recurrent draft on two chips in two precisions: chains and beams",
    (
        ID,
        replace(HARDWARE, name="chip", meaning="the chip"),
        PRECISION,
        TARGET,
        TARGET_PARAMS,
        DRAFT,
        Column(
            "drafting", "shape of the draft: a chain is a beam of one", choices=("chain", "beam")
        ),
        replace(
            GAMMA,
            meaning="tokens drafted in a round of a chain; empty for a beam",
            low=1,
            nullable=True,
        ),
        Column(
            "beam_width",
            "beams drafted in a round",
            "whole",
            "beam",
            low=1,
            high=10_000,
            nullable=True,
        ),
        Column(
            "beam_length_tokens",
            "tokens of each beam",
            "whole",
            "token",
            low=1,
            high=10_000,
            nullable=True,
        ),
        replace(TASK, nullable=True),
        replace(TEMPERATURE, nullable=True),
        BATCH,
        replace(
            TOKENS,
            meaning="tokens emitted by a round: 200 tokens over `rounds`, good to one token in 200",
            nullable=True,
        ),
        Column(
            "rounds",
            "rounds that the 200 tokens took",
            "whole",
            "round",
            low=1,
            high=1e9,
            nullable=True,
        ),
        Column(
            "round_s",
            "mean time of a round, as stated with the row",
            "number",
            "s",
            low=0,
            open_low=True,
            nullable=True,
        ),
        Column(
            "plain_token_s",
            "time of one token of plain decoding on the same chip, as stated with the row",
            "number",
            "s",
            low=0,
            open_low=True,
            nullable=True,
        ),
        replace(SPEEDUP, meaning="by the authors' formula: the mean prompt time is taken out"),
        replace(PLAIN_RATE, nullable=True),
        replace(SPEC_RATE, nullable=True),
        ENGINE,
        SOURCE,
        NOTES,
    ),
    key=("chip", "precision", "beam_width", "beam_length_tokens"),
    rules=(
        RATES_AGREE,
        tokens_fit("beam_length_tokens"),
        Rule(
            "round_s",
            "must be tokens_per_round * plain_token_s / speedup within 2 %",
            lambda row: (
                not (
                    abs(
                        number(row, "tokens_per_round")
                        * number(row, "plain_token_s")
                        / (number(row, "speedup") * number(row, "round_s"))
                        - 1
                    )
                    > 0.02
                )
            ),
        ),
    ),
)

ACCEPTANCE = Schema(
    "acceptance",
    "Acceptance of separate draft models on some forty pairs of target and draft",
    (
        ID,
        Column("family", "line of models, as collected; cross-family where the two differ"),
        TARGET,
        replace(TARGET_PARAMS, nullable=True),
        replace(_LAYERS, nullable=True),
        DRAFT,
        replace(DRAFT_PARAMS, nullable=True),
        replace(
            _LAYERS,
            name="draft_layers",
            meaning="transformer layers of the draft",
            nullable=True,
        ),
        replace(PRECISION, nullable=True),
        Column("quantised", "whether the weights are", choices=("yes", "no"), nullable=True),
        TASK,
        replace(TEMPERATURE, nullable=True),
        Column("sampling", "what else is said of the sampling, in words", nullable=True),
        replace(GAMMA, low=1, nullable=True),
        Column(
            "drafting",
            "chain; pooled: chains of several lengths; adaptive: of varying length; tree",
            choices=("chain", "pooled", "adaptive", "tree"),
        ),
        Column(
            "metric",
            "what the value is",
            choices=(
                "alpha_conditional",
                "accepted_over_drafted",
                "tau_with_bonus",
                "argmax_agreement",
            ),
        ),
        Column("value", "the number", "number", "1 or token", low=0),
        Column("sample", "how much was measured, in words", nullable=True),
        replace(SPEEDUP, meaning="measured speed-up, where stated", nullable=True),
        Column(
            "cost_ratio",
            "time of one draft step over time of one plain target step, where stated",
            "number",
            "1",
            low=0,
            nullable=True,
        ),
        replace(HARDWARE, nullable=True),
        Column(
            "suspect",
            "why the row should not be fitted; empty for a row without objection",
            nullable=True,
        ),
        SOURCE,
        NOTES,
    ),
    key=("id",),
    rules=(
        Rule(
            "value",
            "must be at most 1 for a rate, and at most gamma_tokens + 1 for a length",
            lambda row: (
                not number(row, "value")
                > (number(row, "gamma_tokens") + 1 if text(row, "metric")[:3] == "tau" else 1)
            ),
        ),
        Rule(
            "gamma_tokens",
            "must be empty unless the draft is a chain",
            lambda row: row["gamma_tokens"] is None or text(row, "drafting") == "chain",
        ),
    ),
)

_STATED = Column(
    "stated_alpha", "acceptance as stated", "number", "1", low=0, high=1, nullable=True
)

SERVING_SPEEDUPS = Schema(
    "serving_speedups",
    "Speed-ups of heads, draft models and look-up on serving engines, over gamma, batch and device",
    (
        ID,
        TARGET,
        replace(TARGET_PARAMS, nullable=True),
        DRAFT,
        replace(DRAFT_PARAMS, nullable=True),
        Column("method", "how tokens are drafted, in the words of the source"),
        replace(GAMMA, low=1, nullable=True),
        Column("draft_shape", "shape of a draft that is no chain", nullable=True),
        replace(TASK, nullable=True),
        replace(TEMPERATURE, nullable=True),
        Column("sampling", "the temperature, where it is a text", nullable=True),
        replace(BATCH, nullable=True),
        _STATED,
        Column(
            "alpha_kind",
            "what stated_alpha is",
            choices=("accepted_over_drafted", "first_position"),
            nullable=True,
        ),
        Column("alpha_text", "acceptance that is stated as a range", nullable=True),
        replace(TOKENS, nullable=True),
        Column(
            "tokens_derived",
            "yes where tokens_per_round was computed from stated_alpha",
            choices=("yes",),
            nullable=True,
        ),
        Column(
            "cost_ratio",
            "time of one draft step over time of one plain target step, where stated",
            "number",
            "1",
            low=0,
            nullable=True,
        ),
        replace(SPEEDUP, nullable=True),
        replace(PLAIN_RATE, nullable=True),
        replace(SPEC_RATE, nullable=True),
        ENGINE,
        replace(HARDWARE, nullable=True),
        replace(PRECISION, nullable=True),
        SOURCE,
        NOTES,
    ),
    key=("id",),
    rules=(tokens_fit("gamma_tokens"),),
)

TABLES: dict[str, Schema] = {
    schema.name: schema
    for schema in (
        PAPER_TABLE,
        PAPER_BLOOM_GRID,
        PAPER_LADDERS,
        LEVIATHAN_SPEEDUPS,
        LEVIATHAN_ACCEPTANCE,
        ACCEPTANCE,
        SPECBUNDLE,
        REDRAFTER_CHIPS,
        SERVING_SPEEDUPS,
        MEASURED,
        MEASURED_SOURCES,
    )
}
