"""Counting the parameters of a model from its shape, block by block."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .shapes import ModelShape


def total(s: ModelShape) -> int:
    """All parameters: outside the layers, decoder layers, encoder."""
    return outer(s) + layers(s) + encoder(s)


def read(s: ModelShape) -> int:
    """What every decoding pass reads, routed experts aside."""
    routed = s.experts * expert(s)
    cached = s.layers * 2 * s.hidden * s.kv_heads * s.head_dim if s.encoder_layers else 0
    return head(s) + layers(s) - routed - cached


def outer(s: ModelShape) -> int:
    """Embedding, learned positions, output matrix, and the projections between widths."""
    narrow = s.embedding_width or s.hidden
    own_head = 0 if s.tied else s.vocab * narrow
    bridge = 2 * narrow * s.hidden if s.embedding_width else 0
    positions = s.positions * s.hidden
    return s.vocab * narrow + own_head + bridge + positions + (s.vocab if s.head_bias else 0)


def head(s: ModelShape) -> int:
    """The output matrix with what a pass reads around it; it is read whether tied or not."""
    narrow = s.embedding_width or s.hidden
    bridge = 2 * narrow * s.hidden if s.embedding_width else 0
    return s.vocab * narrow + bridge + (s.vocab if s.head_bias else 0)


def layers(s: ModelShape) -> int:
    """All decoder layers, with the norms before and after them."""
    dense = (s.layers - s.moe_layers) * feed_forward(s, s.ffn)
    sparse = s.moe_layers * (_router(s) + _shared(s)) + s.experts * expert(s)
    crossed = 2 if s.encoder_layers else 1
    blocks = s.layers * (crossed * attention(s) + s.norms_per_layer * _norm(s) + _qk_norm(s))
    return blocks + dense + sparse + _norm(s) * (2 if s.embedding_norm else 1)


def encoder(s: ModelShape) -> int:
    """Encoder of the same width: one attention and one norm a layer fewer than the decoder."""
    if not s.encoder_layers:
        return 0
    layer = attention(s) + feed_forward(s, s.ffn) + (s.norms_per_layer - 1) * _norm(s)
    return s.encoder_layers * layer + _norm(s)


def attention(s: ModelShape) -> int:
    """Projections of one attention block with their biases."""
    if s.kv_rank:
        return _latent_attention(s)
    query, key = s.heads * s.head_dim, s.kv_heads * s.head_dim
    weights = s.hidden * (2 * query + 2 * key)
    bias = {"none": 0, "qkv": query + 2 * key, "o": s.hidden, "qkvo": query + 2 * key + s.hidden}
    return weights + bias[s.attention_bias]


def _latent_attention(s: ModelShape) -> int:
    """Multi-head latent attention (arXiv:2405.04434): low-rank queries, keys and values."""
    size = s.heads * (s.head_dim + s.rope_dim)
    if s.query_rank:
        query = s.hidden * s.query_rank + s.query_rank + s.query_rank * size
    else:
        query = s.hidden * size
    down = s.hidden * (s.kv_rank + s.rope_dim) + s.kv_rank
    up = s.kv_rank * s.heads * (s.head_dim + s.value_dim)
    return query + down + up + s.heads * s.value_dim * s.hidden


def feed_forward(s: ModelShape, width: int) -> int:
    """One feed-forward block of that width: three matrices where gated, two otherwise."""
    inner = 2 if s.gated else 1
    bias = inner * width + s.hidden if s.ffn_bias else 0
    return (inner + 1) * s.hidden * width + bias


def expert(s: ModelShape) -> int:
    """One routed expert in every layer that has it."""
    return s.moe_layers * feed_forward(s, s.expert_ffn) if s.moe_layers else 0


def _router(s: ModelShape) -> int:
    return s.experts * (s.hidden + (1 if s.ffn_bias else 0))


def _shared(s: ModelShape) -> int:
    return feed_forward(s, s.shared_ffn) if s.shared_ffn else 0


def _norm(s: ModelShape) -> int:
    return {"none": 0, "rms": 1, "layer": 2}[s.norm] * s.hidden


def _qk_norm(s: ModelShape) -> int:
    whole = (s.heads + s.kv_heads) * s.head_dim
    return {"none": 0, "head": 2 * s.head_dim, "width": whole}[s.qk_norm]
