"""Attention of queries that share keys and values, without repeating these in memory.

With a mask, transformers repeats keys and values for every query head of a group, a copy of the
whole cache in every layer and pass. Here the heads of a group become rows of one attention instead:
the same sums, and the cache is read once. The runner hands in masks that have these rows already.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

NAME = "howspec_grouped"


def grouped_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[Tensor, Tensor | None]:
    """Attention in the interface of transformers, of groups where the mask has their rows."""
    batch, heads, n, size = query.shape
    shared = key.shape[1]
    groups = heads // shared
    if attention_mask is None or groups == 1 or attention_mask.shape[2] != groups * n:
        found: tuple[Tensor, Tensor | None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **options
        )
        return found
    rows = query.reshape(batch, shared, groups * n, size)
    out = torch.nn.functional.scaled_dot_product_attention(
        rows, key, value, attn_mask=attention_mask, scale=scaling
    )
    out = out.reshape(batch, heads, n, value.shape[-1])
    return out.transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, grouped_attention)


def query_groups(model: Any) -> int:
    """Query heads that share a key where `grouped` can be used, else 1."""
    config = model.config.get_text_config()
    shared = getattr(config, "num_key_value_heads", None)
    usable = getattr(model, "_supports_attention_backend", False)
    if not shared or not usable or config._attn_implementation != "sdpa":
        return 1
    return int(config.num_attention_heads // shared)


@contextmanager
def grouped(config: Any) -> Iterator[None]:
    """Let the model of this configuration attend in groups, for the passes of a runner alone."""
    before = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = before
