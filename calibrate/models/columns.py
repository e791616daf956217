"""What the two tables of this folder hold: every column with its unit, range and meaning."""

from __future__ import annotations

from ..library.schema import Column, Rule, Schema, number, positive, share
from .shapes import BIASES, NORMS, QK_NORMS, RECURRENCES

_YES_NO = ("yes", "no")


def _text(name: str, meaning: str, *, choices: tuple[str, ...] = ()) -> Column:
    return Column(name, meaning, choices=choices, nullable=not choices)


def _count(name: str, unit: str, meaning: str, *, low: int = 0, nullable: bool = False) -> Column:
    return Column(name, meaning, "whole", unit, low=low, nullable=nullable)


def _rate(name: str, meaning: str) -> Column:
    return positive(name, meaning, "Top/s", nullable=True)


_ATTENTION = (
    _count("layers", "layer", "transformer layers; of the decoder, where there are two", low=1),
    _count("hidden", "1", "width of the residual stream", low=1),
    _count("heads", "head", "query heads of a layer", low=1),
    _count("kv_heads", "head", "key-value heads of a layer", low=1),
    _count(
        "head_dim", "1", "numbers of a head; with latent attention those without position", low=1
    ),
)
_BLOCKS = (
    _count("ffn", "1", "inner width of a dense feed-forward block"),
    _text("gated", "whether feed-forward blocks have three matrices, not two", choices=_YES_NO),
    _count("vocab", "token", "rows of the embedding, padding included", low=1),
    _text("tied", "whether the output matrix is the embedding", choices=_YES_NO),
    _count("embedding_width", "1", "width of the embedding where it is not hidden, else 0"),
    _count("positions", "token", "rows of learned positions, 0 for none"),
    _text("attention_bias", "which projections of attention have a bias", choices=BIASES),
    _text("ffn_bias", "whether feed-forward matrices have a bias", choices=_YES_NO),
    _text("head_bias", "whether the output matrix has a bias", choices=_YES_NO),
    _text("norm", "rms: a weight; layer: weight and bias; none: neither", choices=NORMS),
    _count("norms_per_layer", "1", "norms of the residual stream in a layer"),
    _text("qk_norm", "norm of queries and keys: by head, or the full width", choices=QK_NORMS),
    _text("embedding_norm", "whether a norm follows the embedding", choices=_YES_NO),
)
_EXPERTS = (
    _count("experts", "expert", "routed experts of a layer, 0 for a dense model"),
    _count("active_experts", "expert", "routed experts that a token is sent to"),
    _count("expert_ffn", "1", "inner width of one routed expert"),
    _count("shared_ffn", "1", "inner width of all shared experts of a layer together"),
    _count(
        "moe_layers", "layer", "layers with experts; the others have a dense block of width ffn"
    ),
)


def _part(name: str, unit: str, meaning: str) -> Column:
    """A count that is empty where every layer is alike."""
    return _count(name, unit, meaning, nullable=True)


def _switch(name: str, meaning: str) -> Column:
    return Column(name, meaning, choices=_YES_NO, nullable=True)


_UNLIKE = (
    _part("attention_layers", "layer", "layers with attention, where not all but the recurrent"),
    _part("ffn_layers", "layer", "layers with a feed-forward block, where not all"),
    _switch("attention_gate", "whether the output of attention is gated"),
    _part("global_head_dim", "1", "head_dim of layers without a window, where it differs"),
    _part("global_kv_heads", "head", "kv_heads of layers without a window, where they differ"),
    _switch("keys_are_values", "whether layers without a window have no values of their own"),
    Column("recurrent", "kind of the recurrent layers", choices=RECURRENCES, nullable=True),
    _part("recurrent_layers", "layer", "layers that keep a state instead of a cache"),
    _part("state_heads", "head", "heads of a recurrent layer, each with a state"),
    _part("state_groups", "head", "heads of keys of a recurrent layer, shared by the others"),
    _part("state_key", "1", "rows of a head's state"),
    _part("state_value", "1", "columns of a head's state"),
    _part("conv", "token", "tokens that the convolution of a recurrent layer sees"),
    _part("expert_hidden", "1", "width that experts work in, where not hidden"),
    _part("output_rank", "1", "rank of each group of a low-rank output projection"),
    _part("output_groups", "1", "groups of a low-rank output projection"),
    _part("sparse_tokens", "token", "tokens of its cache that a layer reads at most, by an index"),
    share(
        "cache_share", "share of the tokens that a compressed cache keeps, where not all",
        open_low=True, nullable=True,
    ),
    _part("extra", "parameter", "parameters of the layers that no other column counts"),
    _part("lookup", "parameter", "parameters of tables of which a pass reads a row a token"),
)  # fmt: skip
_CACHE = (
    _count("query_rank", "1", "rank of the queries of latent attention, 0 for full rank"),
    _count("kv_rank", "1", "rank of keys and values of latent attention, 0 without it"),
    _count("rope_dim", "1", "further numbers of a head that carry position, latent attention"),
    _count("value_dim", "1", "numbers of a value head, latent attention"),
    _count("window", "token", "tokens that a windowed layer attends to, 0 without windows"),
    _count("windowed_layers", "layer", "layers that attend to a window only"),
    _count("encoder_layers", "layer", "layers of the encoder, 0 without one"),
    *_UNLIKE,
    _count("context", "token", "longest context of the release", low=1),
    _text("weights", "number format of the release"),
)
_RELEASE = (
    _count("published_parameters", "parameter", "total as published", low=1),
    _count("published_active", "parameter", "parameters a token uses, as published", nullable=True),
    _count("training_tokens", "token", "tokens of the first training, where stated", nullable=True),
    _count("year", "year", "year of the release", low=2015),
    Column("source", "where the shape is published"),
    _text("notes", "what else to know, and why a count differs from the published total"),
)
MODELS = Schema(
    "models",
    "Shapes of public models",
    (
        Column("name", "name of the model, without organisation and without suffixes of a tuning"),
        _text("aliases", "other names of models of this shape, separated by semicolons"),
        _text("hub", "identifier of the release on the Hugging Face hub"),
        Column("family", "models of one tokenizer and design, between which drafts are chosen"),
        *_ATTENTION,
        *_BLOCKS,
        *_EXPERTS,
        *_CACHE,
        *_RELEASE,
    ),
    key=("name",),
)
DEVICES = Schema(
    "devices",
    "Peak rates of accelerators and CPUs",
    (
        Column("name", "name of the device"),
        _text("aliases", "other names of it, separated by semicolons"),
        _text("vendor", "who makes it"),
        Column("kind", "gpu, tpu, npu (another accelerator) or cpu",
               choices=("gpu", "tpu", "npu", "cpu")),
        _rate("fp32", "operations per second in 32 bits, without tensor units"),
        _rate("tf32", "the same in 32 bits shortened for tensor units"),
        _rate("bf16", "the same in bfloat16, dense"),
        _rate("fp16", "the same in IEEE 16 bits, dense"),
        _rate("fp8", "the same in 8-bit floats, dense"),
        _rate("int8", "the same in 8-bit integers, dense"),
        _rate("fp4", "the same in 4-bit floats, dense"),
        positive("bandwidth", "peak memory bandwidth", "GB/s"),
        positive("memory", "memory of one device", "GB"),
        _text(
            "memories", "sizes that it is sold with [GB], separated by semicolons, where several"
        ),
        Column("link", "bandwidth to the other devices, both directions together, 0 without a "
               "link", "number", "GB/s", low=0),
        _count("year", "year", "year of the release", low=2015),
        Column("source", "where the numbers are published"),
        _text("notes", "what was converted, and what is approximate"),
    ),
    key=("name",),
    rules=(
        Rule("fp32", "must be stated, or bf16 or fp16 be",
             lambda row: any(number(row, rate) > 0 for rate in ("fp32", "bf16", "fp16"))),
    ),
)  # fmt: skip
