"""What a model allows: its positions, the masks of its layers, the arguments of its forward."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

UNLIMITED = 1 << 40


def context_limit(model: Any) -> int:
    """Positions that a model has: the rows of a learned position table, else no limit."""
    words = {id(model.get_input_embeddings()), id(model.get_output_embeddings())}
    config = model.config.get_text_config()
    named = getattr(config, "max_position_embeddings", None) or UNLIMITED
    tables = [
        module.num_embeddings
        for module in model.modules()
        if isinstance(module, nn.Embedding)
        and id(module) not in words
        and module.num_embeddings != config.vocab_size
    ]
    return min([UNLIMITED, *(min(table, named) for table in tables)])


def cache_keyword(model: Any) -> str:
    """The name under which the forward takes a cache: `cache`, or the older `past_key_values`.

    transformers renamed it in 5.24, with a notice for the old name up to 5.40. The signature tells,
    whatever the release: code that comes with a model may keep the older name. A forward that hands
    any option on is given the name of transformers' own Llama. Raises ValueError for any other.
    """
    from transformers import LlamaForCausalLM

    own = inspect.signature(model.forward).parameters
    if name := _first(own):
        return name
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in own.values()):
        return _first(inspect.signature(LlamaForCausalLM.forward).parameters) or "cache"
    raise ValueError(
        f"{type(model).__name__}.forward must take keys and values as `cache` or "
        f"`past_key_values` to be measured, it takes {', '.join(own)}"
    )


def _first(parameters: Mapping[str, object]) -> str | None:
    return next((name for name in ("cache", "past_key_values") if name in parameters), None)


@dataclass(frozen=True, slots=True)
class Masks:
    """Which masks the forward is given: `window` 0 for none that slides."""

    window: int
    mixed: bool

    def choose(self, mask: Tensor, near: Tensor | None) -> Tensor | dict[str, Tensor]:
        if near is None:
            return mask
        return {"full_attention": mask, "sliding_attention": near} if self.mixed else near


def masks_of(model: Any, capacity: int) -> Masks:
    """The masks of a model whose rows hold up to `capacity` tokens; other layers are refused."""
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ())
    strange = kinds - {"full_attention", "sliding_attention"}
    if strange:
        raise ValueError(
            f"layers of kind {', '.join(sorted(strange))} ({config.model_type}) keep a state that "
            "cannot be taken back row by row: only full and sliding attention can be measured"
        )
    window = getattr(config, "sliding_window", None) or 0
    slides = "sliding_attention" in kinds if kinds else bool(window)
    if not slides or window >= capacity:
        return Masks(0, False)
    return Masks(window, len(kinds) > 0)
