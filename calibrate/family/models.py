"""Models of a family: Llama-style, tied embeddings, from a shape or from their folder."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import torch

from .shapes import Preset, Shape

if TYPE_CHECKING:
    from transformers import LlamaConfig


def config_of(shape: Shape, preset: Preset, *, end_token: int) -> LlamaConfig:
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=preset.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=preset.context,
        tie_word_embeddings=True,
        bos_token_id=end_token,
        eos_token_id=end_token,
        pad_token_id=None,
    )


def new_model(shape: Shape, preset: Preset, *, end_token: int) -> Any:
    """An untrained model; its weights depend on its name and the preset's seed alone."""
    from transformers import LlamaForCausalLM

    config = config_of(shape, preset, end_token=end_token)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(preset.seed * 2**32 + zlib.crc32(shape.name.encode()))
        model: Any = LlamaForCausalLM(config)
    return model.float()
