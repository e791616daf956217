"""What configurations of some types of models compute of their shape from keys of their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from .keys import Config, inner, listed, whole

Reader = Callable[[Config], dict[str, Any]]


def _gated_delta(c: Config) -> dict[str, Any]:
    """Qwen3-Next, Qwen3.5: three layers of the gated delta rule to one of gated attention."""
    layers, kinds = whole(c, "num_hidden_layers"), listed(c, "layer_types")
    every = max(whole(c, "full_attention_interval", default=4), 1)
    full = kinds.count("full_attention") if kinds else layers // every
    cells = {"recurrent_layers": layers - full}
    if "num_experts" not in c:
        return cells
    width, hidden = whole(c, "moe_intermediate_size"), whole(c, "hidden_size")
    return cells | {"ffn": width, "extra": layers * hidden}


def _nemotron(c: Config) -> dict[str, Any]:
    """Nemotron-H: every layer is one block, of a state space, of attention, or feed-forward."""
    kinds = listed(c, "layers_block_type") or listed(c, "hybrid_override_pattern")
    count = {
        name: sum(kind in names for kind in kinds)
        for name, names in {
            "mamba": ("mamba", "linear_attention", "M"), "moe": ("moe", "E"),
            "attention": ("attention", "full_attention", "*"), "mlp": ("mlp", "-"),
        }.items()
    }  # fmt: skip
    cells = {
        "layers": len(kinds), "recurrent_layers": count["mamba"],
        "attention_layers": count["attention"], "ffn_layers": count["moe"] + count["mlp"],
    }  # fmt: skip
    if not count["moe"]:
        return cells
    return cells | {
        "moe_layers": count["moe"], "experts": whole(c, "n_routed_experts"),
        "active_experts": whole(c, "num_experts_per_tok"),
        "expert_ffn": whole(c, "moe_intermediate_size"),
        "expert_hidden": whole(c, "moe_latent_size", default=0),
        "shared_ffn": whole(c, "moe_shared_expert_intermediate_size", default=0),
    }  # fmt: skip


def _granite(c: Config) -> dict[str, Any]:
    kinds = listed(c, "layer_types")
    shared = whole(c, "shared_intermediate_size", default=0)
    experts = whole(c, "num_local_experts", default=0)
    recurrent = sum(kind in ("mamba", "linear_attention") for kind in kinds)
    cells = {"recurrent_layers": recurrent}
    if not experts:
        return cells | {"ffn": shared}
    return cells | {
        "moe_layers": len(kinds), "experts": experts, "shared_ffn": shared,
        "active_experts": whole(c, "num_experts_per_tok"),
        "expert_ffn": whole(c, "intermediate_size"),
    }  # fmt: skip


def _lfm2(c: Config) -> dict[str, Any]:
    kinds, width = listed(c, "layer_types"), whole(c, "block_ff_dim", "intermediate_size")
    if c.get("block_auto_adjust_ff_dim", True):
        factor = c.get("block_ffn_dim_multiplier", 1.0)
        if not isinstance(factor, int | float) or not 0.0 < factor <= 1e3:
            raise ValueError(f"block_ffn_dim_multiplier must be in (0, 1000], got {factor!r:.60}")
        step = whole(c, "block_multiple_of", default=256)
        if step < 1:
            raise ValueError(f"block_multiple_of must be at least 1, got {step}")
        width = math.ceil(int(factor * int(2 * width / 3)) / step) * step
    return {"recurrent_layers": kinds.count("conv"), "ffn": width}


def _mimo(c: Config) -> dict[str, Any]:
    """MiMo-V2: which layers have a window, and which have experts, are lists of 0 and 1.

    Values are narrower than keys: weights, cache and operations are those of their mean width.
    """
    windowed = listed(c, "hybrid_layer_pattern").count("1")
    windowed = windowed or listed(c, "layer_types").count("sliding_attention")
    key, heads = whole(c, "head_dim"), whole(c, "num_key_value_heads")
    size = (key + whole(c, "v_head_dim", default=key)) // 2
    sparse = listed(c, "moe_layer_freq").count("1")
    usual = 2 * heads if c.get("model_type") == "mimo_v2_flash" else heads
    near = whole(c, "swa_num_key_value_heads", default=usual)
    wide = {"global_head_dim": size, "global_kv_heads": heads} if near != heads else {}
    return {
        "head_dim": size, "kv_heads": near, **wide,
        "window": whole(c, "sliding_window", default=0) if windowed else 0,
        "windowed_layers": windowed,
        **({"moe_layers": sparse} if sparse else {}),
    }  # fmt: skip


def _longcat(c: Config) -> dict[str, Any]:
    """LongCat-Flash: a layer is two of attention and a dense block each, and one of experts.

    Experts that compute nothing are chosen like the others: they have a row of the router only.
    """
    layers, experts = whole(c, "num_layers"), whole(c, "n_routed_experts")
    chosen, idle = whole(c, "moe_topk"), whole(c, "zero_expert_num", default=0)
    return {
        "layers": 2 * layers, "moe_layers": layers, "ffn_layers": 3 * layers,
        "active_experts": round(chosen * experts / max(experts + idle, 1)),
        "extra": layers * idle * whole(c, "hidden_size"),
    }  # fmt: skip


def _kimi_linear(c: Config) -> dict[str, Any]:
    """Kimi Linear, K3: delta rule with a decay of every channel, and latent attention."""
    linear = c.get("linear_attn_config")
    if not isinstance(linear, Mapping):
        raise ValueError(f"linear_attn_config must be an object, got {linear!r:.60}")
    heads, size = whole(linear, "num_heads"), whole(linear, "head_dim")
    return {
        "recurrent_layers": len(listed(linear, "kda_layers")),
        "state_heads": heads, "state_groups": heads, "state_key": size, "state_value": size,
        "conv": whole(linear, "short_conv_kernel_size"),
        "attention_gate": bool(c.get("mla_use_output_gate")),
    }  # fmt: skip


def _indexed(c: Config) -> dict[str, Any]:
    """DeepSeek-V3.2, GLM-5: an index of keys chooses the tokens that a layer attends to."""
    heads, size = whole(c, "index_n_heads"), whole(c, "index_head_dim")
    hidden, rank = whole(c, "hidden_size"), whole(c, "q_lora_rank")
    kinds = listed(c, "indexer_types")  # the others share the choice of an earlier layer
    layers = kinds.count("full") if kinds else whole(c, "num_hidden_layers")
    own = rank * heads * size + hidden * (size + heads) + 2 * size
    return {"extra": layers * own}


def _compressed(c: Config) -> dict[str, Any]:
    """DeepSeek-V4: keys that are values, compressed; the finer ones are chosen by an index."""
    ratios = c.get("compress_ratios")
    layers = whole(c, "num_hidden_layers")
    if not isinstance(ratios, list):
        raise ValueError(f"compress_ratios must be a list, got {ratios!r:.60}")
    kept = [r for r in ratios[:layers] if r]
    hidden, size = whole(c, "hidden_size"), whole(c, "head_dim")
    heads, index = whole(c, "index_n_heads"), whole(c, "index_head_dim")
    extra = sum(2 * hidden * size * (2 if r == 4 else 1) for r in kept)
    fine = kept.count(4)
    extra += fine * (whole(c, "q_lora_rank") * heads * index + hidden * (4 * index + heads))
    streams = whole(c, "hc_mult", default=1)  # residual streams and what mixes them
    extra += 2 * layers * streams * hidden * (2 + streams) * streams
    return {
        "kv_heads": 1, "keys_are_values": True, "windowed_layers": layers - len(kept),
        "cache_share": sum(1.0 / r for r in kept) / len(kept), "extra": extra,
    }  # fmt: skip


def _gemma4(c: Config) -> dict[str, Any]:
    layers, hidden = whole(c, "num_hidden_layers"), whole(c, "hidden_size")
    layers_apart = c.get("per_layer_config")  # as transformers 5 writes it
    wide: Config = (
        next(iter(layers_apart.values()), {}) if isinstance(layers_apart, Mapping) else {}
    )
    cells: dict[str, Any] = {
        "global_head_dim": whole(c, "global_head_dim", default=whole(wide, "head_dim", default=0)),
        "global_kv_heads": whole(
            c, "num_global_key_value_heads", default=whole(wide, "num_key_value_heads", default=0)
        ),
        "keys_are_values": bool(c.get("attention_k_eq_v")),
    }
    own = whole(c, "hidden_size_per_layer_input", default=0)
    if own:  # embeddings of every layer, a row of which is read a token
        rows = whole(c, "vocab_size_per_layer_input", "vocab_size")
        cells |= {
            "lookup": rows * layers * own,
            "extra": layers * (3 * hidden * own + hidden) + own,
        }
    if c.get("enable_moe_block"):
        experts = whole(c, "num_experts")
        cells |= {
            "experts": experts, "active_experts": whole(c, "top_k_experts"), "moe_layers": layers,
            "expert_ffn": whole(c, "moe_intermediate_size"), "norms_per_layer": 7,
            "shared_ffn": whole(c, "intermediate_size"), "extra": layers * (hidden + experts),
        }  # fmt: skip
    return cells


def _minimax3(c: Config) -> dict[str, Any]:
    sparse = c.get("sparse_attention_config")
    sparse = sparse if isinstance(sparse, Mapping) else {}
    layers, dense = whole(c, "num_hidden_layers"), whole(c, "first_k_dense_replace", default=0)
    heads = whole(sparse, "sparse_num_index_heads", default=0)
    size = whole(sparse, "sparse_index_dim", default=0)
    blocks = whole(sparse, "sparse_topk_blocks", default=0)
    read = blocks * whole(sparse, "sparse_block_size", default=0)
    return {
        "moe_layers": layers - dense, "sparse_tokens": read,
        "extra": (layers - dense) * whole(c, "hidden_size") * size * (heads + 1),
    }  # fmt: skip


def _step(c: Config) -> dict[str, Any]:
    listed = str(c.get("moe_layers_enum", ""))
    return {"moe_layers": listed.count(",") + 1} if listed else {}


def _big_code(c: Config) -> dict[str, Any]:
    return {"kv_heads": 1} if c.get("multi_query", True) else {}


def _gpt_neo(c: Config) -> dict[str, Any]:
    try:
        kinds = c.get("attention_layers") or [
            kind for pattern, times in c.get("attention_types", []) for kind in pattern * times
        ]
        kinds = list(kinds)
    except (TypeError, ValueError):
        given = c.get("attention_layers") or c.get("attention_types")
        raise ValueError(f"attention_types must list kinds of layers, got {given!r:.60}") from None
    local = sum(kind == "local" for kind in kinds)
    window = whole(c, "window_size", default=0) if local else 0
    return {"window": window, "windowed_layers": local}


def _opt(c: Config) -> dict[str, Any]:
    narrow, hidden = whole(c, "word_embed_proj_dim", default=0), whole(c, "hidden_size")
    positions = whole(c, "max_position_embeddings") + 2  # two rows before the first are padding
    return {"positions": positions, "embedding_width": narrow if narrow != hidden else 0}


def _falcon(c: Config) -> dict[str, Any]:
    if c.get("new_decoder_architecture"):
        given = c.get("num_ln_in_parallel_attn")
        norms = 2 if given is None else whole(c, "num_ln_in_parallel_attn")
        return {"kv_heads": whole(c, "num_kv_heads"), "norms_per_layer": norms}
    cells = {"norms_per_layer": 1 if c.get("parallel_attn", True) else 2}
    return cells | ({"kv_heads": 1} if c.get("multi_query", True) else {})


def _stablelm(c: Config) -> dict[str, Any]:
    cells: dict[str, Any] = {"norms_per_layer": 1} if c.get("use_parallel_residual") else {}
    return cells | ({"qk_norm": "width"} if c.get("qk_layernorm") else {})


def _mpt(c: Config) -> dict[str, Any]:
    heads, attention = whole(c, "n_heads"), inner(c, "attn_config")
    learned = c.get("learned_pos_emb", True) and not attention.get("alibi", False)
    return {
        "ffn": whole(c, "expansion_ratio", default=4) * whole(c, "d_model"),
        "kv_heads": whole(attention, "kv_n_heads", default=heads),
        "positions": whole(c, "max_seq_len") if learned else 0,
    }


def _dbrx(c: Config) -> dict[str, Any]:
    attention, ffn = inner(c, "attn_config"), inner(c, "ffn_config")
    width = whole(ffn, "ffn_hidden_size")
    return {
        "kv_heads": whole(attention, "kv_n_heads"), "ffn": width, "expert_ffn": width,
        "experts": whole(ffn, "moe_num_experts"), "active_experts": whole(ffn, "moe_top_k"),
    }  # fmt: skip


def _llama4(c: Config) -> dict[str, Any]:
    layers = whole(c, "num_hidden_layers")
    step = max(whole(c, "interleave_moe_layer_step", default=1), 1)
    listed = c.get("moe_layers")
    return {"moe_layers": len(listed) if isinstance(listed, list) else layers // step}


def _cohere(c: Config) -> dict[str, Any]:
    return {"qk_norm": "width"} if c.get("use_qk_norm") else {}


def _t5(c: Config) -> dict[str, Any]:
    encoder = whole(c, "num_layers")
    return {
        "layers": whole(c, "num_decoder_layers", default=encoder),
        "context": whole(c, "n_positions", default=512),
        "gated": str(c.get("feed_forward_proj", "relu")).startswith("gated"),
    }  # fmt: skip


READERS: dict[str, Reader] = {
    "gpt_bigcode": _big_code, "gpt_neo": _gpt_neo, "opt": _opt, "falcon": _falcon,
    "stablelm": _stablelm, "mpt": _mpt, "dbrx": _dbrx, "llama4": _llama4, "llama4_text": _llama4,
    "cohere": _cohere, "t5": _t5,
    "phimoe": lambda c: {"head_bias": bool(c.get("lm_head_bias"))},
    "glm4_moe": lambda c: {"qk_norm": "head"} if c.get("use_qk_norm") else {},
    "qwen3_next": _gated_delta, "qwen3_5_text": _gated_delta, "qwen3_5_moe_text": _gated_delta,
    "nemotron_h": _nemotron, "granitemoehybrid": _granite, "lfm2": _lfm2,
    "lfm2_moe": lambda c: {"recurrent_layers": listed(c, "layer_types").count("conv")},
    "mimo_v2": _mimo, "mimo_v2_flash": _mimo, "longcat_flash": _longcat,
    "kimi_linear": _kimi_linear, "deepseek_v32": _indexed, "glm_moe_dsa": _indexed,
    "deepseek_v4": _compressed, "gemma4_text": _gemma4, "minimax_m3": _minimax3, "step3p5": _step,
}  # fmt: skip
