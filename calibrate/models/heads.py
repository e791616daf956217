r"""Drafting heads: layers that read a target's hidden states and are trained for it alone.

A head has no table row of its own; its shape follows from the target's:

EAGLE-3 (arXiv:2503.01840): one dense layer, its attention twice as wide at the entry, and an output
matrix of fewer tokens. EAGLE, EAGLE-2 (arXiv:2401.15077, 2406.16858): one dense layer behind a
matrix of 2h x h, and the target's output matrix. MTP (arXiv:2412.19437): the same with a layer of
the target's kind.

Embedding and, but for EAGLE-3, the output matrix are the target's own. EAGLE-3's 3h x h matrix is
read once a round, not once a step, and left out. Engines decide on many heads of several layers or
of parallel positions (Medusa, P-EAGLE, DFlash): they are not described here.
"""

from __future__ import annotations

import re
from dataclasses import replace

from .names import plain
from .shapes import ModelShape

KINDS = ("EAGLE-3", "EAGLE", "MTP")
_SHORT_VOCABULARY = 32_000  # rows of the output matrix of published EAGLE-3 heads
_NAMES = (
    ("EAGLE-3", re.compile(r"(?<![a-z])eagle-?v?3")),
    ("EAGLE", re.compile(r"(?<![a-z])eagle(?!-?v?[3-9])")),
    ("MTP", re.compile(r"(?<![a-z])(mtp|nextn)(?![a-z])")),
)
_OTHER = re.compile(r"(?<![a-z])(p-eagle|hass|medusa|hydra|dflash)")


def head_kind(name: str) -> str | None:
    """The kind of head that a name tells, one of `KINDS`; None where it tells none.

    "EAGLE3", "yuhuili/EAGLE3-LLaMA3.1-Instruct-8B", "mtp" and "Llama-3.1-8B-speculator.eagle3" do.
    """
    key = plain(name)
    if _OTHER.search(key):
        return None
    return next((kind for kind, words in _NAMES if words.search(key)), None)


def head_shape(target: ModelShape, kind: str) -> ModelShape:
    """The shape of a target's head, one of `KINDS`; its parameters count the shared matrices once.

    The matrix at a head's entry is counted in the width of its feed-forward block: the bytes and
    operations of a step are right, the block is wider than the real one.
    Raises ValueError for another kind.
    """
    if kind not in KINDS:
        raise ValueError(f"head must be one of {', '.join(KINDS)}, got {kind!r}")
    own = replace(
        target, name=f"{kind} head of {target.name}", layers=1, moe_layers=0, experts=0,
        active_experts=0, expert_ffn=0, shared_ffn=0, encoder_layers=0, window=0,
        windowed_layers=0, tied=True, positions=0, weights="bf16", attention_layers=0,
        ffn_layers=0, recurrent="none", recurrent_layers=0, global_head_dim=0, global_kv_heads=0,
        keys_are_values=False, expert_hidden=0, sparse_tokens=0, cache_share=1.0, extra=0, lookup=0,
    )  # fmt: skip
    if kind == "MTP":
        sparse = target.moe_layers > 0
        own = replace(
            own, weights=target.weights, moe_layers=int(sparse), experts=target.experts,
            active_experts=target.active_experts, expert_ffn=target.expert_ffn,
            expert_hidden=target.expert_hidden,
            shared_ffn=target.shared_ffn,
        )  # fmt: skip
        if sparse:  # the entry is then beside the experts
            return replace(own, shared_ffn=own.shared_ffn + _widened(own, 2 * own.hidden))
    elif target.kv_rank:  # heads of latent-attention targets are plain decoders
        own = replace(own, kv_rank=0, query_rank=0, rope_dim=0, value_dim=0)
    entry = 2 * own.hidden
    if kind == "EAGLE-3":
        own = replace(own, vocab=min(own.vocab, _SHORT_VOCABULARY))
        entry = (own.heads + 2 * own.kv_heads) * own.head_dim
    return replace(own, ffn=_dense_width(target) + _widened(own, entry))


def _dense_width(target: ModelShape) -> int:
    """Width of a dense block of the target: of its experts together where it has no other."""
    if target.moe_layers < target.layers or not target.moe_layers:
        return target.ffn
    return max(target.ffn, target.active_experts * target.expert_ffn + target.shared_ffn)


def _widened(shape: ModelShape, columns: int) -> int:
    """Width of feed-forward that holds as much as a matrix of so many columns."""
    return columns // (3 if shape.gated else 2)
