"""Hypothetical drafts in the shape of a target's family, by size and depth.

Layers follow size as in the bundled table of models: within its families they grow as the power
0.29 of the parameters. A draft of n parameters and twice its usual layers is narrower, not larger.
"""

from __future__ import annotations

from dataclasses import replace

from ..calibrate.models import ModelShape
from ..theory.domain import check

LAYERS_EXPONENT = 0.29  # slope of ln layers in ln parameters within families, dense models
_STEP = 16  # widths are multiples of it


def hypothetical(target: ModelShape, parameters: float, *, depth: float = 1.0) -> ModelShape:
    """A dense decoder of about so many parameters, in the proportions of the target's family.

    parameters: > 0, embedding included; depth: layers in units of those usual for the size, > 0.
    The embedding is shared with the output matrix below a tenth of the target, as small releases
    do. Sizes below one narrow layer give that layer.
    """
    check("parameters", parameters)
    share = min(parameters / target.parameters(), 1.0)
    layers = max(1, round(depth * target.layers * share**LAYERS_EXPONENT))
    # A dense draft of a mixture of experts may be wider than the target.
    low, high = 1, 1 + (8 if target.is_moe else 1) * target.hidden // _STEP
    while low < high:  # the widest that is not too large
        middle = (low + high + 1) // 2
        wide = _shaped(target, layers, middle * _STEP, tied=target.tied or share < 0.1)
        low, high = (middle, high) if wide.parameters() <= parameters else (low, middle - 1)
    return _shaped(target, layers, low * _STEP, tied=target.tied or share < 0.1)


def _shaped(target: ModelShape, layers: int, hidden: int, *, tied: bool) -> ModelShape:
    size = 64 if target.kv_rank else target.head_dim
    heads = max(1, round(hidden * target.heads / target.hidden)) if not target.kv_rank else 0
    heads = heads or max(1, hidden // size)
    wanted = max(1, round(heads * target.kv_heads / target.heads)) if not target.kv_rank else heads
    kv_heads = max(k for k in range(1, wanted + 1) if heads % k == 0)
    wide = target.ffn or 4 * target.hidden
    windowed = round(layers * target.windowed_layers / target.layers)
    return replace(
        target,
        name=f"{layers} layers x {hidden}", layers=layers, hidden=hidden, heads=heads,
        kv_heads=kv_heads, head_dim=size, ffn=max(1, round(hidden * wide / target.hidden)),
        tied=tied, embedding_width=0, experts=0, active_experts=0, expert_ffn=0, shared_ffn=0,
        moe_layers=0, query_rank=0, kv_rank=0, rope_dim=0, value_dim=0,
        windowed_layers=windowed, window=target.window if windowed else 0, encoder_layers=0,
        weights="bf16" if target.is_moe else target.weights,
    )  # fmt: skip
