"""What a model allows: its positions, the masks of its layers, the arguments of its forward.

Position biases for rows of different lengths: BLOOM builds its bias from a 2-D mask of padding. The
bias of a key is the head's slope times the key's position, and adding one number to all scores of a
query changes no softmax; so in a cache whose position is the index, one bias serves rows of every
length. Source: arXiv:2108.12409.

Attention of queries that share keys and values: with a mask, transformers repeats keys and values
for every query head of a group, a copy of the whole cache in every layer and pass. Here the heads
of a group become rows of one attention instead: the same sums, and the cache is read once. The
runner hands in masks that have these rows already.

Whether a model gives the same logits through rows of a static cache as in one plain forward is
asked once of every architecture that has not been proven here: one that ignores the mask or the
positions it is given would be measured without an error and decode wrongly.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

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


def teach_rows(model: nn.Module) -> bool:
    """Let the modules that build ALiBi from a 2-D mask also take a 4-D one; whether there were any.

    A 2-D mask goes the old way, so that the model stays as it was for every other caller.
    """
    modules: list[Any] = [m for m in model.modules() if hasattr(m, "build_alibi_tensor")]
    for module in modules:
        if not isinstance(module.build_alibi_tensor, _RowAlibi):
            module.build_alibi_tensor = _RowAlibi(module.build_alibi_tensor)
    return bool(modules)


class _RowAlibi:
    """The original builder, and one table of biases for each shape of 4-D mask."""

    def __init__(self, original: Any) -> None:
        self._original = original
        self._tables: dict[tuple[int, int, torch.dtype], Tensor] = {}

    def __call__(self, attention_mask: Tensor, num_heads: int, dtype: torch.dtype) -> Tensor:
        if attention_mask.ndim != 4:
            built: Tensor = self._original(attention_mask, num_heads, dtype)
            return built
        batch, _, _, length = attention_mask.shape
        table = self._tables.get((batch, length, dtype))
        if table is None:
            ones = attention_mask.new_ones((batch, length), dtype=torch.long)
            table = self._original(ones, num_heads, dtype)
            self._tables[batch, length, dtype] = table
        return table


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
