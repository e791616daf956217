"""What the type of a model says about its shape beyond the numbers of its configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Traits:
    """Fixed traits of a model type; the fields are those of `ModelShape`.

    attention_key, ffn_key: keys that switch the biases on and off, "" where none does;
    attention_default: what an absent key means. experts, latent: whether the configuration has
    the keys of routed experts and of latent attention. full_every: of so many layers the last one
    attends to everything where there is a window; 0 where all of them are windowed.
    """

    gated: bool = True
    tied: bool = False
    norm: str = "rms"
    norms_per_layer: int = 2
    qk_norm: str = "none"
    attention_bias: str = "none"
    attention_key: str = ""
    attention_default: bool = False
    ffn_bias: bool = False
    ffn_key: str = ""
    head_bias: bool = False
    embedding_norm: bool = False
    experts: bool = False
    latent: bool = False
    full_every: int = 0


_LLAMA = Traits(attention_bias="qkvo", attention_key="attention_bias", ffn_key="mlp_bias")
_GPT = Traits(gated=False, tied=True, norm="layer", attention_bias="qkvo", ffn_bias=True)
_GPTJ = Traits(gated=False, norm="layer", norms_per_layer=1, ffn_bias=True, head_bias=True)
_DEEPSEEK = Traits(experts=True, latent=True)
_QWEN3 = replace(_LLAMA, qk_norm="head", ffn_key="")
_OLMO = replace(_LLAMA, ffn_key="")
_COHERE = replace(_OLMO, tied=True, norms_per_layer=1)
TRAITS: dict[str, Traits] = {
    "llama": _LLAMA,
    "llama4": Traits(full_every=4, experts=True),
    "llama4_text": Traits(full_every=4, experts=True),
    "mistral": Traits(),
    "ministral": Traits(),
    "mixtral": Traits(experts=True),
    "qwen2": Traits(attention_bias="qkv"),
    "qwen2_moe": Traits(
        attention_bias="qkv", attention_key="qkv_bias", attention_default=True, experts=True
    ),
    "qwen3": _QWEN3,
    "qwen3_moe": replace(_QWEN3, experts=True),
    "gemma": replace(_OLMO, tied=True),
    "gemma2": replace(_OLMO, tied=True, norms_per_layer=4, full_every=2),
    "gemma3": replace(_OLMO, tied=True, norms_per_layer=4, qk_norm="head", full_every=6),
    "gemma3_text": replace(_OLMO, tied=True, norms_per_layer=4, qk_norm="head", full_every=6),
    "gpt2": _GPT,
    "gpt_bigcode": _GPT,
    "gpt_neo": replace(_GPT, attention_bias="o"),
    "gpt_neox": replace(_GPT, tied=False, attention_key="attention_bias", attention_default=True),
    "gptj": _GPTJ,
    "codegen": _GPTJ,
    "bloom": replace(_GPT, embedding_norm=True),
    "opt": replace(
        _GPT, attention_key="enable_bias", attention_default=True, ffn_key="enable_bias"
    ),
    "phi": replace(_GPTJ, attention_bias="qkvo"),
    "phi3": Traits(),
    "phimoe": replace(_OLMO, norm="layer", experts=True),
    "deepseek_v2": _DEEPSEEK,
    "deepseek_v3": _DEEPSEEK,
    "kimi_k2": _DEEPSEEK,
    "falcon": Traits(
        gated=False, tied=True, norm="layer", attention_bias="qkvo", attention_key="bias",
        ffn_key="bias",
    ),
    "gpt_oss": Traits(
        attention_bias="qkvo", attention_key="attention_bias", attention_default=True,
        ffn_bias=True, experts=True, full_every=2,
    ),
    "stablelm": Traits(norm="layer", attention_bias="qkv", attention_key="use_qkv_bias"),
    "olmo": replace(_OLMO, norm="none"),
    "olmo2": replace(_OLMO, qk_norm="width"),
    "olmoe": replace(_OLMO, qk_norm="width", experts=True),
    "granite": _LLAMA,
    "starcoder2": replace(
        _GPT, attention_key="use_bias", attention_default=True, ffn_key="use_bias"
    ),
    "cohere": _COHERE,
    "cohere2": replace(_COHERE, full_every=4),
    "mpt": Traits(gated=False, tied=True),
    "dbrx": Traits(experts=True),
    "glm": Traits(attention_bias="qkv", attention_key="attention_bias", attention_default=True),
    "glm4": Traits(
        attention_bias="qkv", attention_key="attention_bias", attention_default=True,
        norms_per_layer=4,
    ),
    "glm4_moe": Traits(attention_bias="qkv", attention_key="attention_bias", experts=True),
    "nemotron": replace(_LLAMA, gated=False, norm="layer"),
    "apertus": replace(_OLMO, gated=False, qk_norm="head"),
    "minimax_m2": Traits(qk_norm="width", experts=True),
    "smollm3": _LLAMA,
    "internlm2": Traits(attention_bias="qkvo", attention_key="bias"),
    "t5": Traits(gated=False, tied=True, norms_per_layer=3),
}  # fmt: skip


def special(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that a type computes from keys of its own; they replace the common ones."""
    reader = _SPECIAL.get(kind)
    return reader(config) if reader else {}


def whole(config: Config, *keys: str, default: int | None = None) -> int:
    """The first of the keys that holds a whole number; ValueError naming them without a default."""
    for key in keys:
        value = config.get(key)
        if value is None:
            continue
        good = isinstance(value, int | float) and not isinstance(value, bool)
        if not (good and math.isfinite(value) and value == int(value)):
            raise ValueError(f"{key} must be a whole number, got {value!r:.60}")
        return int(value)
    if default is None:
        raise ValueError(f"{keys[0]} is missing, needed for the shape")
    return default


def _inner(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = config.get(key) or {}
    if not isinstance(found, Mapping):
        raise ValueError(f"{key} must be an object, got {found!r:.60}")
    return found


def _learned(key: str, extra: int = 0) -> Any:
    return lambda c: {"positions": whole(c, key) + extra}


def _big_code(c: Mapping[str, Any]) -> dict[str, Any]:
    cells = {"positions": whole(c, "n_positions")}
    return cells | ({"kv_heads": 1} if c.get("multi_query", True) else {})


def _gpt_neo(c: Mapping[str, Any]) -> dict[str, Any]:
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
    cells = {"positions": whole(c, "max_position_embeddings"), "window": window}
    return cells | {"windowed_layers": local}


def _opt(c: Mapping[str, Any]) -> dict[str, Any]:
    narrow, hidden = whole(c, "word_embed_proj_dim", default=0), whole(c, "hidden_size")
    # Two rows before the first position are padding.
    cells = {"positions": whole(c, "max_position_embeddings") + 2}
    return cells | {"embedding_width": narrow if narrow != hidden else 0}


def _falcon(c: Mapping[str, Any]) -> dict[str, Any]:
    if c.get("new_decoder_architecture"):
        given = c.get("num_ln_in_parallel_attn")
        norms = 2 if given is None else whole(c, "num_ln_in_parallel_attn")
        return {"kv_heads": whole(c, "num_kv_heads"), "norms_per_layer": norms}
    cells = {"norms_per_layer": 1 if c.get("parallel_attn", True) else 2}
    return cells | ({"kv_heads": 1} if c.get("multi_query", True) else {})


def _stablelm(c: Mapping[str, Any]) -> dict[str, Any]:
    cells: dict[str, Any] = {"norms_per_layer": 1} if c.get("use_parallel_residual") else {}
    return cells | ({"qk_norm": "width"} if c.get("qk_layernorm") else {})


def _mpt(c: Mapping[str, Any]) -> dict[str, Any]:
    heads, inner = whole(c, "n_heads"), _inner(c, "attn_config")
    learned = c.get("learned_pos_emb", True) and not inner.get("alibi", False)
    return {
        "ffn": whole(c, "expansion_ratio", default=4) * whole(c, "d_model"),
        "kv_heads": whole(inner, "kv_n_heads", default=heads),
        "positions": whole(c, "max_seq_len") if learned else 0,
    }


def _dbrx(c: Mapping[str, Any]) -> dict[str, Any]:
    attention, ffn = _inner(c, "attn_config"), _inner(c, "ffn_config")
    width = whole(ffn, "ffn_hidden_size")
    return {
        "kv_heads": whole(attention, "kv_n_heads"), "ffn": width, "expert_ffn": width,
        "experts": whole(ffn, "moe_num_experts"), "active_experts": whole(ffn, "moe_top_k"),
    }  # fmt: skip


def _llama4(c: Mapping[str, Any]) -> dict[str, Any]:
    layers, step = (
        whole(c, "num_hidden_layers"),
        max(whole(c, "interleave_moe_layer_step", default=1), 1),
    )
    listed = c.get("moe_layers")
    width = whole(c, "intermediate_size")
    return {
        "ffn": whole(c, "intermediate_size_mlp"), "expert_ffn": width, "shared_ffn": width,
        "moe_layers": len(listed) if isinstance(listed, list) else layers // step,
    }  # fmt: skip


def _cohere(c: Mapping[str, Any]) -> dict[str, Any]:
    return {"qk_norm": "width"} if c.get("use_qk_norm") else {}


def _t5(c: Mapping[str, Any]) -> dict[str, Any]:
    encoder = whole(c, "num_layers")
    return {
        "layers": whole(c, "num_decoder_layers", default=encoder), "encoder_layers": encoder,
        "head_dim": whole(c, "d_kv"), "ffn": whole(c, "d_ff"),
        "context": whole(c, "n_positions", default=512),
        "gated": str(c.get("feed_forward_proj", "relu")).startswith("gated"),
    }  # fmt: skip


_SPECIAL = {
    "gpt2": _learned("n_positions"), "gpt_bigcode": _big_code, "gpt_neo": _gpt_neo, "opt": _opt,
    "falcon": _falcon, "stablelm": _stablelm, "mpt": _mpt, "dbrx": _dbrx, "llama4": _llama4,
    "llama4_text": _llama4, "cohere": _cohere, "t5": _t5,
    "phimoe": lambda c: {"head_bias": bool(c.get("lm_head_bias"))},
    "glm4_moe": lambda c: {"qk_norm": "head"} if c.get("use_qk_norm") else {},
}  # fmt: skip
