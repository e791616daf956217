"""Does a model give the same logits through rows of a static cache as in one plain forward?

Asked once of every architecture that has not been proven here: one that ignores the mask or the
positions it is given would be measured without an error and decode wrongly.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch

PROVEN = frozenset({"llama", "gpt2", "gpt_neox", "bloom", "qwen2", "qwen3"})
TOKENS = 9  # of the probe

_agreed: weakref.WeakSet[Any] = weakref.WeakSet()


def require_agreement(model: Any, runner: Any) -> None:
    """Refuse an unproven model whose logits through a `runner` differ from its plain forward's."""
    if model.config.model_type in PROVEN or model in _agreed:
        return
    _agreed.add(model)  # the probe itself builds a runner
    try:
        worst, allowed = probe(model, runner)
    except (TypeError, RuntimeError, IndexError, AttributeError, KeyError) as error:
        _agreed.discard(model)
        raise ValueError(
            f"the architecture {model.config.model_type} does not run with a 4-D mask and "
            f"positions for each row: {error}"
        ) from error
    if not worst <= allowed:
        _agreed.discard(model)
        raise ValueError(
            f"the architecture {model.config.model_type} gives other logits with a cache whose "
            f"rows advance on their own (by {worst:.3g}, allowed {allowed:.3g}) and cannot be "
            "measured"
        )


@torch.inference_mode()
def probe(model: Any, runner: Any) -> tuple[float, float]:
    """Largest difference of two rows at different lengths, and what rounding explains."""
    device = next(model.parameters()).device
    words = model.get_input_embeddings().num_embeddings
    tokens = (torch.arange(2 * TOKENS, device=device).view(2, TOKENS) * 7919 + 13) % words
    plain = model(input_ids=tokens, use_cache=False).logits.float()
    rows = runner(model, batch=2, capacity=2 * TOKENS)
    rows.extend(tokens[:, :4])
    rows.rollback([4, 2])
    parts = torch.stack([tokens[0, 4:7], tokens[1, 2:5]])
    seen = rows.extend(parts).float()
    expected = torch.stack([plain[0, 4:7], plain[1, 2:5]])
    scale = max(1.0, float(plain.abs().max()))
    return float((seen - expected).abs().max()), scale * 64 * torch.finfo(model.dtype).eps
