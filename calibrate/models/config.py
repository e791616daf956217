"""Shapes from a configuration: a local ``config.json``, a loaded one, or one of the hub.

The keys are those that transformers writes. What a key does not say (biases, norms, which layers
attend to a window) follows from the ``model_type``, by its row of `architectures.csv`; what must be
computed of several keys, see `readers`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..tables.schema import table_lines
from .catalogue import nearest_models, typed
from .keys import Config, whole
from .readers import READERS
from .shapes import ModelShape

_DEEPEST = 100_000
_LARGEST = 16 * 2**20  # no configuration is longer; a file of weights given by mistake is
_KEYS = {
    "layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    "hidden": ("hidden_size", "n_embd", "d_model", "n_embed"),
    "heads": ("num_attention_heads", "n_head", "n_heads", "num_heads"),
    "kv_heads": ("num_key_value_heads",),
    "head_dim": ("head_dim",),
    "ffn": ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size"),
    "vocab": ("vocab_size",),
    "context": ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"),
    "experts": ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"),
    "active_experts": (
        "num_experts_per_tok",
        "num_experts_per_token",
        "top_k_experts",
        "moe_top_k",
        "moe_k",
        "moe_topk",
    ),
    "dense_first": ("first_k_dense_replace", "num_dense_layers", "moe_layer_start_index"),
    "shared": ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts"),
    "expert_ffn": ("moe_intermediate_size", "expert_hidden_dim"),
}
_DTYPES = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}
# What a type says of a shape by itself, under the names of its fields.
_FIXED = ("gated", "norm", "norms_per_layer", "qk_norm", "head_bias", "embedding_norm",
          "attention_gate", "recurrent")  # fmt: skip


@dataclass(frozen=True)
class Architecture:
    """What the type of a model says of its shape: a row of `architectures.csv`, which
    `schemas.csv` of `tables` describes; the other fields are those of `ModelShape`.
    """

    type: str
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
    recurrent: str = "none"
    attention_gate: bool = False
    keys: str = ""

    def named(self, config: Config) -> dict[str, int]:
        """Fields of the shape under keys of their own: ``field=key``, or ``key/other`` of which the
        first that is there counts; ``key?`` is 0 where it is absent.
        """
        found = {}
        for pair in self.keys.split():
            field, keys = pair.split("=")
            absent = 0 if keys.endswith("?") else None
            found[field] = whole(config, *keys.rstrip("?").split("/"), default=absent)
        return found


@cache
def architectures() -> dict[str, Architecture]:
    """The types of models that can be read, by ``model_type``."""
    rows = csv.DictReader(table_lines(__package__, "architectures"))
    return {row["type"]: Architecture(**typed(Architecture, row)) for row in rows}


def read_config(path: str | Path) -> ModelShape:
    """The shape that a local ``config.json``, or a folder with one, describes.

    Raises ValueError where the file cannot be read, is not a configuration, lacks a key, or is of
    a model type that is not known; the message names the key or the known types.
    """
    file = Path(path)
    file = file / "config.json" if file.is_dir() else file
    try:
        if file.stat().st_size > _LARGEST:
            raise ValueError(f"{file}: must be a configuration of a model, got a larger file")
        config = json.loads(file.read_text(encoding="utf-8"))
    except OSError as err:
        raise ValueError(f"{file}: cannot be read: {err.strerror}") from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise ValueError(f"{file}: must be a JSON file") from None
    if not isinstance(config, dict):
        raise ValueError(f"{file}: must hold a JSON object, got a {type(config).__name__}")
    name = config.get("_name_or_path") or file.resolve().parent.name
    try:
        return shape_of(config, name=str(name).rstrip("/").rsplit("/", 1)[-1] or "local model")
    except ValueError as err:
        raise ValueError(f"{file}: {err}") from None


def gguf_shape(path: str | Path) -> ModelShape:
    """The shape that a file of GGUF describes. Raises ValueError where it is none."""
    from transformers import AutoConfig

    from ..measure.sources import located, model_source

    folder, file = located(model_source(str(path), random_weights=False))
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, **file)
    except Exception as error:  # the reader of GGUF raises nothing narrower
        said = str(error).strip() or type(error).__name__
        raise ValueError(f"{path}: cannot be read: {said.splitlines()[0]}") from None
    return shape_of(config.to_dict(), name=Path(path).stem)


def auto_shape(name: str, *, role: str = "model") -> ModelShape:
    """The shape of a hub identifier, read with transformers' AutoConfig (no code of the release).

    Raises ValueError where transformers is missing, the hub is out of reach, or has no such model.
    """
    try:
        from transformers import AutoConfig

        from ..measure.sources import only_here
    except ImportError:
        raise ValueError(
            f"{role} must be in the table without transformers, got {name!r}"
        ) from None
    try:
        config = AutoConfig.from_pretrained(
            name, trust_remote_code=False, local_files_only=only_here(name)
        )
    except (OSError, ValueError) as err:
        reason = str(err).strip().splitlines()[0] if str(err).strip() else type(err).__name__
        near = nearest_models(name)
        raise ValueError(
            f"{role} must be in the table or on a hub within reach, nearest: {near}; "
            f"got {name!r} ({reason})"
        ) from None
    return shape_of(config.to_dict(), name=name.rsplit("/", 1)[-1])


def shape_of(config: Config, *, name: str) -> ModelShape:
    """The shape that a configuration describes, as a mapping with transformers' keys.

    Raises ValueError for an unknown model type, a missing key, or numbers that contradict.
    """
    config = _text_part(config)
    kind = str(config.get("model_type", ""))
    if kind not in architectures():
        listed = ", ".join(sorted(architectures()))
        raise ValueError(f"model_type must be one of {listed}; got {kind!r}")
    own = architectures()[kind]
    cells = {**_common(config, own), **_biases(config, own), **own.named(config)}
    cells.update(READERS[kind](config) if kind in READERS else {})
    cells.update(_experts(config, cells) if own.experts else {})
    cells.update(_latent(config) if own.latent else {})
    if "window" not in cells:
        cells.update(_window(config, own, cells["layers"]))
    return ModelShape(name=name, weights=_weights(config), **cells)


def _text_part(config: Config) -> Config:
    inner = config.get("text_config")
    if not isinstance(inner, Mapping):
        kinds = config.get("layers_block_type")
        counted = {"num_hidden_layers": len(kinds)} if isinstance(kinds, list) else {}
        return {**counted, **config}
    outer = {k: config[k] for k in ("quantization_config", "torch_dtype", "dtype") if k in config}
    return {**outer, **{k: v for k, v in inner.items() if v is not None}}


def _common(config: Config, own: Architecture) -> dict[str, Any]:
    heads, hidden = whole(config, *_KEYS["heads"]), whole(config, *_KEYS["hidden"])
    if heads < 1:
        raise ValueError(f"{_KEYS['heads'][0]} must be at least 1, got {heads}")
    layers = whole(config, *_KEYS["layers"])
    if not 1 <= layers <= _DEEPEST:
        raise ValueError(f"{_KEYS['layers'][0]} must be in [1, {_DEEPEST}], got {layers}")
    return {
        "layers": layers,
        "hidden": hidden,
        "heads": heads,
        "kv_heads": whole(config, *_KEYS["kv_heads"], default=heads),
        "head_dim": whole(config, *_KEYS["head_dim"], default=hidden // heads),
        "ffn": whole(config, *_KEYS["ffn"], default=4 * hidden),
        "vocab": whole(config, *_KEYS["vocab"]),
        "context": whole(config, *_KEYS["context"], default=2048),
        "family": str(config.get("model_type")),
        "tied": bool(config.get("tie_word_embeddings", own.tied)),
        **{name: getattr(own, name) for name in _FIXED},
    }


def _biases(config: Config, own: Architecture) -> dict[str, Any]:
    attention, ffn = own.attention_bias, own.ffn_bias
    if own.attention_key and not config.get(own.attention_key, own.attention_default):
        attention = "none"
    if own.ffn_key:
        ffn = bool(config.get(own.ffn_key, ffn))
    return {"attention_bias": attention, "ffn_bias": ffn}


def _experts(config: Config, cells: Mapping[str, Any]) -> dict[str, Any]:
    layers, step = cells["layers"], max(whole(config, "decoder_sparse_step", default=1), 1)
    first = whole(config, *_KEYS["dense_first"], default=0)
    dense = config.get("mlp_only_layers") or []
    if not isinstance(dense, list):
        raise ValueError(f"mlp_only_layers must be a list, got {dense!r:.60}")
    sparse = [i for i in range(first, layers) if (i + 1) % step == 0 and i not in dense]
    kinds = config.get("mlp_layer_types")
    count = kinds.count("sparse") if isinstance(kinds, list) and kinds else len(sparse)
    found = {"moe_layers": count}
    for name in ("experts", "active_experts"):
        if name not in cells:
            found[name] = whole(config, *_KEYS[name])
    width = cells.get("expert_ffn") or whole(config, *_KEYS["expert_ffn"], default=cells["ffn"])
    shared = whole(config, "shared_expert_intermediate_size", default=0)
    found["expert_ffn"] = width
    found["shared_ffn"] = shared or whole(config, *_KEYS["shared"], default=0) * width
    return found | {name: cells[name] for name in found if name in cells}


def _latent(config: Config) -> dict[str, Any]:
    return {
        "head_dim": whole(config, "qk_nope_head_dim"),
        "query_rank": whole(config, "q_lora_rank", default=0),
        "kv_rank": whole(config, "kv_lora_rank"),
        "rope_dim": whole(config, "qk_rope_head_dim"),
        "value_dim": whole(config, "v_head_dim"),
    }


def _window(config: Config, own: Architecture, layers: int) -> dict[str, Any]:
    """Windowed layers as listed, else as the type has them."""
    size = whole(config, "sliding_window", "attention_chunk_size", default=0)
    if not size or config.get("use_sliding_window") is False:
        return {"window": 0, "windowed_layers": 0}
    kinds = config.get("layer_types")
    if isinstance(kinds, list) and kinds:
        windowed = sum(kind in ("sliding_attention", "chunked_attention") for kind in kinds)
    else:
        every = whole(config, "sliding_window_pattern", "_sliding_window_pattern",
                      default=own.full_every)  # fmt: skip
        windowed = layers - (layers // every if every else 0)
    return {"window": size if windowed else 0, "windowed_layers": windowed}


def _weights(config: Config) -> str:
    quantised = config.get("quantization_config")
    if isinstance(quantised, Mapping):
        method = str(quantised.get("quant_method", ""))
        if method in ("fp8", "mxfp4"):
            return method
        if method in ("awq", "gptq", "bitsandbytes"):
            bits = quantised.get("bits", 4 if quantised.get("load_in_4bit") else 8)
            return "int4" if bits == 4 else "int8"
    dtype = str(config.get("dtype") or config.get("torch_dtype") or "bfloat16")
    return _DTYPES.get(dtype.removeprefix("torch."), "bf16")
