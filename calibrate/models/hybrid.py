"""Shapes of configurations whose layers are not all alike: recurrent, sparse, compressed ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .traits import TRAITS, Traits, whole

Config = Mapping[str, Any]
_LATENT = Traits(experts=True, latent=True)
_PLAIN = Traits()
HYBRIDS: dict[str, Traits] = {
    "qwen3_next": Traits(qk_norm="head", experts=True),
    "qwen3_5_text": Traits(qk_norm="head"),
    "qwen3_5_moe_text": Traits(qk_norm="head", experts=True),
    "nemotron_h": Traits(gated=False, norms_per_layer=1),
    "granitemoehybrid": Traits(tied=True),
    "lfm2": Traits(tied=True, qk_norm="head"),
    "kimi_linear": _LATENT,
    "deepseek_v32": _LATENT,
    "glm_moe_dsa": _LATENT,
    "glm4_moe_lite": _LATENT,
    "deepseek_v4": Traits(experts=True),
    "minicpm3": Traits(tied=True, latent=True),
    "gemma4_text": Traits(tied=True, norms_per_layer=4, qk_norm="head"),
    "minimax_m3": Traits(qk_norm="head", experts=True),
    "hy_v3": Traits(qk_norm="head", experts=True),
    "step3p5": Traits(qk_norm="head", experts=True),
}
TRAITS.update(HYBRIDS)


def _listed(c: Config, key: str) -> list[str]:
    found = c.get(key) or []
    if isinstance(found, str):  # a letter a layer
        return list(found)
    if not isinstance(found, list):
        raise ValueError(f"{key} must be a list, got {found!r:.60}")
    return [str(kind) for kind in found]


def _gated_delta(c: Config) -> dict[str, Any]:
    """Qwen3-Next, Qwen3.5: three layers of the gated delta rule to one of gated attention."""
    layers, kinds = whole(c, "num_hidden_layers"), _listed(c, "layer_types")
    every = max(whole(c, "full_attention_interval", default=4), 1)
    full = kinds.count("full_attention") if kinds else layers // every
    cells = {
        "attention_gate": True, "recurrent": "delta", "recurrent_layers": layers - full,
        "state_heads": whole(c, "linear_num_value_heads"),
        "state_groups": whole(c, "linear_num_key_heads"),
        "state_key": whole(c, "linear_key_head_dim"),
        "state_value": whole(c, "linear_value_head_dim"),
        "conv": whole(c, "linear_conv_kernel_dim"),
    }  # fmt: skip
    if "num_experts" not in c:
        return cells
    return {
        **cells,
        "ffn": whole(c, "moe_intermediate_size"),
        "extra": layers * whole(c, "hidden_size"),
    }


def _nemotron(c: Config) -> dict[str, Any]:
    """Nemotron-H: every layer is one block, of a state space, of attention, or feed-forward."""
    kinds = _listed(c, "layers_block_type") or _listed(c, "hybrid_override_pattern")
    count = {
        name: sum(kind in names for kind in kinds)
        for name, names in {
            "mamba": ("mamba", "linear_attention", "M"), "moe": ("moe", "E"),
            "attention": ("attention", "full_attention", "*"), "mlp": ("mlp", "-"),
        }.items()
    }  # fmt: skip
    cells = {
        "layers": len(kinds), "recurrent": "mamba", "recurrent_layers": count["mamba"],
        "attention_layers": count["attention"], "ffn_layers": count["moe"] + count["mlp"],
        "state_heads": whole(c, "mamba_num_heads"), "state_value": whole(c, "mamba_head_dim"),
        "state_groups": whole(c, "n_groups"), "state_key": whole(c, "ssm_state_size"),
        "conv": whole(c, "conv_kernel"),
        "head_dim": whole(c, "head_dim", "attention_head_dim"),
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
    kinds = _listed(c, "layer_types")
    shared, experts = (
        whole(c, "shared_intermediate_size", default=0),
        whole(c, "num_local_experts", default=0),
    )
    cells = {
        "recurrent": "mamba",
        "recurrent_layers": sum(kind in ("mamba", "linear_attention") for kind in kinds),
        "state_heads": whole(c, "mamba_n_heads"), "state_value": whole(c, "mamba_d_head"),
        "state_groups": whole(c, "mamba_n_groups"), "state_key": whole(c, "mamba_d_state"),
        "conv": whole(c, "mamba_d_conv"),
    }  # fmt: skip
    if not experts:
        return cells | {"ffn": shared}
    return cells | {
        "moe_layers": len(kinds), "experts": experts, "shared_ffn": shared,
        "active_experts": whole(c, "num_experts_per_tok"),
        "expert_ffn": whole(c, "intermediate_size"),
    }  # fmt: skip


def _lfm2(c: Config) -> dict[str, Any]:
    kinds, width = _listed(c, "layer_types"), whole(c, "block_ff_dim", "intermediate_size")
    if c.get("block_auto_adjust_ff_dim"):
        width = int(2 * width / 3)
    return {
        "recurrent": "conv", "recurrent_layers": kinds.count("conv"), "ffn": width,
        "conv": whole(c, "conv_L_cache"),
    }  # fmt: skip


def _kimi_linear(c: Config) -> dict[str, Any]:
    """Kimi Linear, K3: delta rule with a decay of every channel, and latent attention."""
    linear = c.get("linear_attn_config")
    if not isinstance(linear, Mapping):
        raise ValueError(f"linear_attn_config must be an object, got {linear!r:.60}")
    heads, size = whole(linear, "num_heads"), whole(linear, "head_dim")
    return {
        "recurrent": "kda", "recurrent_layers": len(_listed(linear, "kda_layers")),
        "state_heads": heads, "state_groups": heads, "state_key": size, "state_value": size,
        "conv": whole(linear, "short_conv_kernel_size"),
        "attention_gate": bool(c.get("mla_use_output_gate")),
        "expert_hidden": whole(c, "routed_expert_hidden_size", default=0),
    }  # fmt: skip


def _indexed(c: Config) -> dict[str, Any]:
    """DeepSeek-V3.2, GLM-5: an index of keys chooses the tokens that a layer attends to."""
    heads, size = whole(c, "index_n_heads"), whole(c, "index_head_dim")
    hidden, rank = whole(c, "hidden_size"), whole(c, "q_lora_rank")
    kinds = _listed(c, "indexer_types")  # the others share the choice of an earlier layer
    layers = kinds.count("full") if kinds else whole(c, "num_hidden_layers")
    own = rank * heads * size + hidden * (size + heads) + 2 * size
    return {"sparse_tokens": whole(c, "index_topk"), "extra": layers * own}


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
        "kv_heads": 1, "query_rank": whole(c, "q_lora_rank"), "keys_are_values": True,
        "output_rank": whole(c, "o_lora_rank"), "output_groups": whole(c, "o_groups"),
        "window": whole(c, "sliding_window"), "windowed_layers": layers - len(kept),
        "cache_share": sum(1.0 / r for r in kept) / len(kept), "extra": extra,
        "sparse_tokens": whole(c, "index_topk"), "ffn": whole(c, "moe_intermediate_size"),
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
    heads, size = (
        whole(sparse, "sparse_num_index_heads", default=0),
        whole(sparse, "sparse_index_dim", default=0),
    )
    read = whole(sparse, "sparse_topk_blocks", default=0) * whole(
        sparse, "sparse_block_size", default=0
    )
    return {
        "ffn": whole(c, "dense_intermediate_size"), "moe_layers": layers - dense,
        "shared_ffn": whole(c, "shared_intermediate_size", default=0), "sparse_tokens": read,
        "extra": (layers - dense) * whole(c, "hidden_size") * size * (heads + 1),
    }  # fmt: skip


def _step(c: Config) -> dict[str, Any]:
    listed = str(c.get("moe_layers_enum", ""))
    return {
        "kv_heads": whole(c, "num_attention_groups", "num_key_value_heads"),
        "shared_ffn": whole(c, "share_expert_dim", default=0),
        **({"moe_layers": listed.count(",") + 1} if listed else {}),
    }  # fmt: skip


READERS = {
    "qwen3_next": _gated_delta, "qwen3_5_text": _gated_delta, "qwen3_5_moe_text": _gated_delta,
    "nemotron_h": _nemotron, "granitemoehybrid": _granite, "lfm2": _lfm2,
    "kimi_linear": _kimi_linear, "deepseek_v32": _indexed, "glm_moe_dsa": _indexed,
    "deepseek_v4": _compressed, "gemma4_text": _gemma4, "minimax_m3": _minimax3, "step3p5": _step,
}  # fmt: skip
