"""Passes of a model over a batch whose rows stand at different lengths.

A round of speculative decoding extends every row by the drafted tokens and then takes back what
was not accepted, a different number for each row. `Runner` does this with a static cache, so that
the same shapes come again and again and a pass can be captured as a CUDA graph. All that it asks of
a model is the forward of transformers with a cache, a 4-D mask and positions.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .limits import (
    cache_keyword,
    context_limit,
    grouped,
    masks_of,
    query_groups,
    require_agreement,
    teach_rows,
)
from .rowcache import PassGraphs, RowCache

BUCKET = 64  # an eager pass reads the cache up to the next multiple of this
PREFILL_TOKENS = 4096  # of one chunk of a prefill, all rows together


@dataclass(frozen=True, slots=True)
class _Plan:
    """Tensors of a pass of n tokens that reads one bucket; made once, changed in place."""

    offsets: Tensor  # (n,): 0..n-1
    positions: Tensor  # (batch, n)
    queries: Tensor  # (batch, 1, groups, n, 1), a view of the positions
    keys: Tensor  # (bucket,): 0..bucket-1
    allowed: Tensor  # (batch, 1, groups, n, bucket), whether the query sees the key
    mask: Tensor  # same shape, 0 or the lowest number
    near: Tensor | None  # same shape, the mask of layers with a sliding window
    given: Any  # the masks as the model takes them, groups and n as one dimension


class Runner:
    """A model with a static cache of `capacity` tokens a row, each row at its own length.

    `lengths`, shape (batch,), int64 on the device, are the tokens of each row that count. With
    `graphs` (CUDA only) every shape of pass is captured once and then replayed.
    """

    def __init__(self, model: Any, *, batch: int, capacity: int, graphs: bool = False) -> None:
        if batch < 1:
            raise ValueError(f"batch must be at least 1, given {batch}")
        limit = context_limit(model)
        if not 1 <= capacity <= limit:
            raise ValueError(
                f"capacity must be 1 to {limit} tokens, the positions of this model, "
                f"given {capacity}"
            )
        weight = next(model.parameters())
        self.device, self.dtype = weight.device, weight.dtype
        if graphs and self.device.type != "cuda":
            raise ValueError(f"graphs need a CUDA device, the model is on {self.device.type}")
        self.model, self.batch, self.capacity = model, batch, capacity
        teach_rows(model)
        self._masks = masks_of(model, capacity)
        self._groups = query_groups(model)
        self._config = model.config.get_text_config()
        require_agreement(model, Runner)
        self._rows = -(-capacity // BUCKET) * BUCKET
        self._cache = RowCache(batch=batch, capacity=self._rows)
        self.lengths = torch.zeros(batch, dtype=torch.long, device=self.device)
        self._column = self.lengths[:, None]
        self._known: list[int] | None = [0] * batch
        self._most = 0
        self._zero = torch.zeros((), dtype=self.dtype, device=self.device)
        self._floor = torch.full_like(self._zero, torch.finfo(self.dtype).min)
        self._scratch: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
        self._plans: dict[tuple[int, int], _Plan] = {}
        self._cache_keyword = cache_keyword(model)
        self._takes_positions = "position_ids" in inspect.signature(model.forward).parameters
        self._graphs = PassGraphs(self._pass, self.lengths) if graphs else None

    @torch.inference_mode()
    def extend(self, tokens: Tensor, *, clone: bool = True) -> Tensor:
        """Append n tokens to every row: tokens (batch, n) to logits (batch, n, vocabulary).

        The logits have the model's dtype and are inference tensors. With graphs and `clone` False
        they are the graph's own buffer, which the next pass of as many tokens overwrites.
        """
        rows, n = tokens.shape
        if rows != self.batch or n < 1:
            raise ValueError(
                f"tokens must have shape ({self.batch}, n) with n >= 1, given {tuple(tokens.shape)}"
            )
        self._room(n)
        if self._graphs is None:
            logits = self._pass(tokens, self._bucket(n))
        else:
            logits = self._graphs.run(tokens, self._graph_bucket(n), clone=clone)
        self._advanced(n)
        return logits

    @torch.inference_mode()
    def prefill(self, prompts: Sequence[Sequence[int] | Tensor] | Tensor) -> Tensor:
        """Append a prompt to every row; the logits after each last token, (batch, vocabulary).

        Prompts may have different lengths; none may be empty.
        """
        rows = [torch.as_tensor(p, dtype=torch.long).reshape(-1) for p in prompts]
        sizes = [len(r) for r in rows]
        if len(rows) != self.batch:
            raise ValueError(f"prefill needs {self.batch} prompts, given {len(rows)}")
        if min(sizes) < 1:
            raise ValueError(f"prompt {sizes.index(0)} is empty: it must hold at least 1 token")
        if len(set(sizes)) == 1:
            return self._fed(torch.stack(rows).to(self.device))
        # Rows of different lengths: all but the last token of each, then those in one pass.
        heads = torch.zeros(self.batch, max(sizes) - 1, dtype=torch.long)
        for i, row in enumerate(rows):
            heads[i, : sizes[i] - 1] = row[:-1]
        start = self.lengths.clone()
        known = self._known
        self._fed(heads.to(self.device))
        taken = torch.tensor([s - 1 for s in sizes], device=self.device)
        if known is None:
            self.rollback(start + taken)
        else:
            self.rollback([k + s - 1 for k, s in zip(known, sizes, strict=True)])
        last = torch.stack([row[-1:] for row in rows]).to(self.device)
        return self.extend(last)[:, -1]

    def rollback(self, lengths: Sequence[int] | Tensor, *, most: int | None = None) -> None:
        """Set every row back to its length in `lengths`, none above the present one.

        Lengths on a GPU are read back once to know how far passes must read; `most`, an upper bound
        of them that the caller knows, saves this wait (the lengths are then not checked).
        """
        if most is not None and isinstance(lengths, Tensor):
            self.lengths.copy_(lengths)
            self._known, self._most = None, min(most, self._most)
            return
        wanted = [int(x) for x in (lengths.tolist() if isinstance(lengths, Tensor) else lengths)]
        now = self._known if self._known is not None else self.lengths.tolist()
        if len(wanted) != self.batch or any(
            not 0 <= w <= k for w, k in zip(wanted, now, strict=False)
        ):
            raise ValueError(
                f"rollback needs {self.batch} lengths between 0 and the present {now}, "
                f"given {wanted}"
            )
        self.lengths.copy_(torch.tensor(wanted, dtype=torch.long))
        self._known, self._most = wanted, max(wanted)

    def reset(self) -> None:
        """Forget all tokens."""
        self.lengths.zero_()
        self._known, self._most = [0] * self.batch, 0

    @torch.inference_mode()
    def occupy(self, length: int) -> None:
        """Let every row hold `length` tokens of random keys and values: for timing only."""
        if not 0 <= length <= self.capacity:
            raise ValueError(f"length must be 0 to {self.capacity} tokens, given {length}")
        self.reset()
        if not self._cache.rows:
            self._pass(self.lengths[:, None].clone(), self._bucket(1))
        for layer in self._cache.rows:
            if layer.is_initialized:
                layer.keys[:, :, :length].normal_()
                layer.values[:, :, :length].normal_()
        self.lengths.fill_(length)
        self._known, self._most = [length] * self.batch, length

    def _room(self, n: int) -> None:
        if self._most + n > self.capacity:
            raise ValueError(
                f"the longest row has {self._most} tokens and {n} more do not fit a capacity of "
                f"{self.capacity}"
            )

    def _advanced(self, n: int) -> None:
        self._most += n
        if self._known is not None:
            self._known = [k + n for k in self._known]

    def _bucket(self, n: int) -> int:
        return -(-(self._most + n) // BUCKET) * BUCKET

    def _graph_bucket(self, n: int) -> int:
        """Powers of two: few graphs, and a long capacity costs nothing at a short context."""
        return min(max(BUCKET, 1 << (self._most + n - 1).bit_length()), self._rows)

    def _fed(self, tokens: Tensor) -> Tensor:
        """Extend in chunks without graphs; the logits of the last position, (batch, vocabulary)."""
        self._room(tokens.shape[1])
        logits = torch.empty(0)
        chunk = max(1, PREFILL_TOKENS // self.batch)
        for part in torch.split(tokens, chunk, dim=1):
            logits = self._pass(part, self._bucket(part.shape[1]), logits_to_keep=1)
            self._advanced(part.shape[1])
        return logits[:, -1]

    def _pass(self, tokens: Tensor, bucket: int, **options: Any) -> Tensor:
        """One forward on the device alone, lengths included, so that a graph holds all of it."""
        n = tokens.shape[1]
        plan = self._plans.get((n, bucket)) or self._plan(n, bucket)
        torch.add(self._column, plan.offsets, out=plan.positions)
        torch.ge(plan.queries, plan.keys, out=plan.allowed)
        torch.where(plan.allowed, self._zero, self._floor, out=plan.mask)
        if plan.near is not None:
            plan.allowed.logical_and_(plan.keys > plan.queries - self._masks.window)
            torch.where(plan.allowed, self._zero, self._floor, out=plan.near)
        if self._takes_positions:
            options["position_ids"] = plan.positions
        self._cache.aim(plan.positions, bucket)
        options |= {"attention_mask": plan.given, self._cache_keyword: self._cache}
        if self._groups > 1:
            with grouped(self._config):
                logits: Tensor = self.model(input_ids=tokens, use_cache=True, **options).logits
        else:
            logits = self.model(input_ids=tokens, use_cache=True, **options).logits
        self.lengths.add_(n)
        return logits

    def _plan(self, n: int, bucket: int) -> _Plan:
        if n not in self._scratch:
            # One stretch of memory serves all buckets of n: a view is taken of its beginning.
            cells = self.batch * self._groups * n * self._rows
            self._scratch[n] = (
                torch.zeros(self.batch, n, dtype=torch.long, device=self.device),
                torch.empty(cells, dtype=torch.bool, device=self.device),
                torch.empty(
                    cells * (2 if self._masks.window else 1), dtype=self.dtype, device=self.device
                ),
            )
        positions, allowed, masks = self._scratch[n]
        shape = (self.batch, 1, self._groups, n, bucket)
        cells = self.batch * self._groups * n * bucket
        mask = masks[:cells].view(shape)
        near = masks[cells : 2 * cells].view(shape) if self._masks.window else None
        self._plans[n, bucket] = _Plan(
            offsets=torch.arange(n, device=self.device),
            positions=positions,
            queries=positions[:, None, None, :, None].expand(-1, 1, self._groups, -1, 1),
            keys=torch.arange(bucket, device=self.device),
            allowed=allowed[:cells].view(shape),
            mask=mask,
            near=near,
            given=self._masks.choose(
                mask.flatten(2, 3), near.flatten(2, 3) if near is not None else None
            ),
        )
        return self._plans[n, bucket]
