"""Models of one layer with random weights, for tests that run real forwards."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from howspec.calibrate.measure.pairs import LoadedModel
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, LlamaForCausalLM


def llama(
    seed: int,
    *,
    like: Any = None,
    share: float = 0.0,
    sharpness: float = 20.0,
    hidden_size: int = 16,
    heads: int = 2,
    **config: Any,
) -> Any:
    """A Llama whose logits are multiplied by `sharpness`: 20 gives laws far from uniform.

    With `like`, every weight is `share` parts of that model's and the rest its own: a draft that
    often agrees with it.
    """
    torch.manual_seed(seed)
    sizes = {
        "vocab_size": 40,
        "hidden_size": hidden_size,
        "intermediate_size": 2 * hidden_size,
        "num_hidden_layers": 1,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "max_position_embeddings": 256,
    }
    model = LlamaForCausalLM(LlamaConfig(**sizes | config)).eval()
    with torch.no_grad():
        model.lm_head.weight.mul_(sharpness)
        if like is not None:
            for ours, theirs in zip(model.parameters(), like.parameters(), strict=True):
                ours.mul_(1.0 - share).add_(theirs, alpha=share)
    return model


@cache
def loaded_gpt2(
    name: str = "small", *, seed: int = 2, layers: int = 1, positions: int = 256
) -> LoadedModel:
    """A GPT-2 as `load_model` gives it, without a tokenizer; built once for equal arguments."""
    config = GPT2Config(n_embd=16, n_layer=layers, n_head=2, vocab_size=40, n_positions=positions)
    config.bos_token_id = config.eos_token_id = 0
    torch.manual_seed(seed)
    built = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    return LoadedModel(name, built, config, None, {"name": name})
