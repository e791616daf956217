"""Counting the parameters of a model from its shape, block by block."""

from __future__ import annotations

from .dimensions import Dimensions


def total(s: Dimensions) -> int:
    """All parameters: outside the layers, decoder layers, encoder."""
    return outer(s) + layers(s) + encoder(s)


def read(s: Dimensions) -> int:
    """What every decoding pass reads, routed experts aside."""
    routed = s.experts * expert(s)
    cached = s.layers * 2 * s.hidden * s.kv_heads * s.head_dim if s.encoder_layers else 0
    return head(s) + layers(s) - routed - cached


def outer(s: Dimensions) -> int:
    """Embedding, learned positions, output matrix, and the projections between widths."""
    narrow = s.embedding_width or s.hidden
    own_head = 0 if s.tied else s.vocab * narrow
    bridge = 2 * narrow * s.hidden if s.embedding_width else 0
    looked_up = s.positions * s.hidden + s.lookup
    return s.vocab * narrow + own_head + bridge + looked_up + (s.vocab if s.head_bias else 0)


def head(s: Dimensions) -> int:
    """The output matrix with what a pass reads around it; it is read whether tied or not."""
    narrow = s.embedding_width or s.hidden
    bridge = 2 * narrow * s.hidden if s.embedding_width else 0
    return s.vocab * narrow + bridge + (s.vocab if s.head_bias else 0)


def layers(s: Dimensions) -> int:
    """All decoder layers, with the norms before and after them."""
    dense = ((s.ffn_layers or s.layers) - s.moe_layers) * feed_forward(s, s.ffn)
    latent = 2 * s.hidden * s.expert_hidden
    sparse = s.moe_layers * (_router(s) + _shared(s) + latent) + s.experts * expert(s)
    crossed = 2 if s.encoder_layers else 1
    blocks = crossed * _attentions(s) + s.layers * s.norms_per_layer * _norm(s)
    blocks += _qk_norms(s) + s.recurrent_layers * recurrence(s) + s.extra
    return blocks + dense + sparse + _norm(s) * (2 if s.embedding_norm else 1)


def _attentions(s: Dimensions) -> int:
    """The attention blocks of all layers that have one."""
    wide = s.attending - s.windowed_layers if s.global_head_dim else 0
    own = (s.attending - wide) * attention(s)
    if not wide:
        return own
    query = s.heads * s.global_head_dim
    key = (s.global_kv_heads or s.kv_heads) * s.global_head_dim
    return own + wide * s.hidden * (2 * query + (1 if s.keys_are_values else 2) * key)


def recurrence(s: Dimensions) -> int:
    """One recurrent layer: projections, convolution, gates and its norm.

    delta: gated delta rule (arXiv:2412.06464); kda: with a decay of every channel
    (arXiv:2510.26692); mamba: Mamba-2 (arXiv:2405.21060); conv: a gated short convolution.
    """
    value, key = s.state_heads * s.state_value, s.state_groups * s.state_key
    if s.recurrent == "conv":
        return 4 * s.hidden * s.hidden + s.conv * s.hidden
    if s.recurrent == "mamba":
        mixed = value + 2 * key
        return (
            s.hidden * (value + mixed + s.state_heads)
            + value * s.hidden
            + ((s.conv + 1) * mixed + 3 * s.state_heads + value)
        )
    if s.recurrent == "delta":
        wide = s.hidden * (2 * key + 2 * value + 2 * s.state_heads) + value * s.hidden
        return wide + s.conv * (2 * key + value) + 2 * s.state_heads + s.state_value
    # Decay through a width of one head; the output gate has the full width.
    narrow = s.state_key * (s.hidden + value)
    wide = s.hidden * (2 * key + 3 * value + s.state_heads) + narrow
    return wide + s.conv * (2 * key + value) + s.state_heads + value + s.state_value


def state_bytes(s: Dimensions) -> float:
    """Bytes that the recurrent layers keep for one sequence: state in 32 bits, inputs in 16."""
    value, key = s.state_heads * s.state_value, s.state_groups * s.state_key
    inputs = s.hidden if s.recurrent == "conv" else value + 2 * key
    state = 4.0 * s.state_heads * s.state_key * s.state_value
    return s.recurrent_layers * (state + 2.0 * max(s.conv - 1, 0) * inputs)


def cached_numbers(s: Dimensions) -> float:
    """Numbers that one token leaves in the caches of all layers that attend to it."""
    if s.kv_rank:
        return float(s.attending * (s.kv_rank + s.rope_dim))
    sides = 1 if s.keys_are_values else 2
    if not s.global_head_dim:
        return float(s.attending * sides * s.kv_heads * s.head_dim)
    wide = (s.attending - s.windowed_layers) * (s.global_kv_heads or s.kv_heads)
    return float(s.windowed_layers * 2 * s.kv_heads * s.head_dim + wide * 2 * s.global_head_dim)


def encoder(s: Dimensions) -> int:
    """Encoder of the same width: one attention and one norm a layer fewer than the decoder."""
    if not s.encoder_layers:
        return 0
    layer = attention(s) + feed_forward(s, s.ffn) + (s.norms_per_layer - 1) * _norm(s)
    return s.encoder_layers * layer + _norm(s)


def windowed_share(s: Dimensions) -> float:
    """Share of a token's numbers in the caches that layers with a window hold."""
    if not s.global_head_dim:
        return min(s.windowed_layers / s.attending, 1.0)
    return s.windowed_layers * 2 * s.kv_heads * s.head_dim / cached_numbers(s)


def attention(s: Dimensions) -> int:
    """Projections of one attention block with their biases."""
    if s.kv_rank:
        return _latent_attention(s)
    query, key = s.heads * s.head_dim, s.kv_heads * s.head_dim
    sides = 1 if s.keys_are_values and not s.global_head_dim else 2
    first = s.hidden * query
    if s.query_rank:
        first = s.hidden * s.query_rank + s.query_rank + s.query_rank * query
    last = query * s.hidden
    if s.output_rank:
        last = query * s.output_rank + s.output_groups * s.output_rank * s.hidden
    gate = s.hidden * query if s.attention_gate else 0
    weights = first + sides * s.hidden * key + last + gate
    bias = {"none": 0, "qkv": query + 2 * key, "o": s.hidden, "qkvo": query + 2 * key + s.hidden}
    return weights + bias[s.attention_bias]


def _latent_attention(s: Dimensions) -> int:
    """Multi-head latent attention (arXiv:2405.04434): low-rank queries, keys and values."""
    size = s.heads * (s.head_dim + s.rope_dim)
    if s.query_rank:
        query = s.hidden * s.query_rank + s.query_rank + s.query_rank * size
    else:
        query = s.hidden * size
    down = s.hidden * (s.kv_rank + s.rope_dim) + s.kv_rank
    up = s.kv_rank * s.heads * (s.head_dim + s.value_dim)
    out = s.heads * s.value_dim * s.hidden
    return query + down + up + out * (2 if s.attention_gate else 1)


def feed_forward(s: Dimensions, width: int, hidden: int = 0) -> int:
    """One feed-forward block of that width: three matrices where gated, two otherwise."""
    inner, outside = 2 if s.gated else 1, hidden or s.hidden
    bias = inner * width + outside if s.ffn_bias else 0
    return (inner + 1) * outside * width + bias


def expert(s: Dimensions) -> int:
    """One routed expert in every layer that has it."""
    if not s.moe_layers:
        return 0
    return s.moe_layers * feed_forward(s, s.expert_ffn, s.expert_hidden)


def _router(s: Dimensions) -> int:
    return s.experts * (s.hidden + (1 if s.ffn_bias else 0))


def _shared(s: Dimensions) -> int:
    return feed_forward(s, s.shared_ffn) if s.shared_ffn else 0


def _norm(s: Dimensions) -> int:
    return {"none": 0, "rms": 1, "layer": 2}[s.norm] * s.hidden


def _qk_norms(s: Dimensions) -> int:
    if s.qk_norm != "head":
        return s.attending * (s.heads + s.kv_heads) * s.head_dim if s.qk_norm == "width" else 0
    wide = s.attending - s.windowed_layers if s.global_head_dim else 0
    return 2 * (s.attending * s.head_dim + wide * (s.global_head_dim - s.head_dim))
