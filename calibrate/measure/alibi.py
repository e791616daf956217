"""Position biases of BLOOM for rows of different lengths.

BLOOM builds its bias from a 2-D mask of padding. The bias of a key is the head's slope times the
key's position, and adding one number to all scores of a query changes no softmax; so in a cache
whose position is the index, one bias serves rows of every length. Source: arXiv:2108.12409.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


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
