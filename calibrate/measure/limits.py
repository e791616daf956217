"""What a model's architecture allows: how many positions, and which masks its layers want."""

from __future__ import annotations

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
