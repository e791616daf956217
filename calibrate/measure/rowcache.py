"""A static cache whose rows advance on their own, and CUDA graphs of the passes over it.

The caches of transformers know one length for the whole batch. After a verification each sequence
has accepted its own number of tokens, so here every row writes at its own positions: `update`
scatters the new keys and values there and returns the whole bucket; an explicit mask hides what
lies beyond a row's length. Rolling back is therefore a change of lengths: nothing is moved and
nothing is cleared.

With CUDA graphs of passes: one for each number of new tokens and bucket, all in one pool of memory.
A pass reads its lengths from a tensor on the device and advances it there, so a replay needs only
the new tokens. The buffers that it reads and writes live as long as the runner.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin


class RowLayer(CacheLayerMixin):  # type: ignore[misc]
    """Keys and values of one layer, (batch, heads, capacity, head size), made at the first use."""

    is_compileable = False
    is_croppable = False
    keys: Tensor
    values: Tensor

    def __init__(self, batch: int, capacity: int) -> None:
        super().__init__()
        self.batch, self.capacity = batch, capacity
        self.views: dict[int, tuple[Tensor, Tensor]] = {}

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        # Zeros, not empty: a hidden position has weight 0, and 0 times a stale NaN would be NaN.
        self.keys = key_states.new_zeros(
            self.batch, key_states.shape[1], self.capacity, key_states.shape[3]
        )
        self.values = value_states.new_zeros(
            self.batch, value_states.shape[1], self.capacity, value_states.shape[3]
        )
        self.is_initialized = True

    def bucket_view(self, bucket: int) -> tuple[Tensor, Tensor]:
        """The first `bucket` positions of keys and values; the views are kept."""
        view = self.views.get(bucket)
        if view is None:
            view = (self.keys[:, :, :bucket], self.values[:, :, :bucket])
            self.views[bucket] = view
        return view

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        raise RuntimeError("a row layer is written through its cache, which knows the positions")

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.capacity, 0

    def get_seq_length(self) -> int:
        return 0

    def get_max_length(self) -> int:
        return self.capacity

    def get_max_cache_shape(self) -> int:  # the older name of get_max_length
        return self.capacity


class RowCache(Cache):  # type: ignore[misc]
    """All layers of a model; `aim` says where the coming pass writes and how far it reads."""

    def __init__(self, *, batch: int, capacity: int) -> None:
        self.rows: list[RowLayer] = []
        super().__init__(layers=[])
        self.layers = self.rows
        self.batch, self.capacity = batch, capacity
        self.bucket = capacity
        self._positions: Tensor | None = None
        self._indices: dict[torch.Size, Tensor] = {}
        self._tables: dict[int, dict[torch.Size, Tensor]] = {}

    def aim(self, positions: Tensor, bucket: int) -> None:
        """Write at `positions`, shape (batch, n), and read the first `bucket` positions.

        There must be one tensor of positions for each n, changed in place: the indices into the
        layers are views of it and are kept.
        """
        self._positions = positions
        self._indices = self._tables.setdefault(positions.shape[1], {})
        self.bucket = bucket

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Scatter new keys and values to their rows' positions; return the bucket of the layer."""
        while len(self.rows) <= layer_idx:
            self.rows.append(RowLayer(self.batch, self.capacity))
        layer = self.rows[layer_idx]
        if not layer.is_initialized:
            layer.lazy_initialization(key_states, value_states)
        layer.keys.scatter_(2, self._index(key_states.shape), key_states)
        layer.values.scatter_(2, self._index(value_states.shape), value_states)
        return layer.bucket_view(self.bucket)

    def _index(self, shape: torch.Size) -> Tensor:
        index = self._indices.get(shape)
        if index is None:
            assert self._positions is not None, "aim before a pass"
            index = self._positions[:, None, :, None].expand(shape)
            self._indices[shape] = index
        return index

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return 0

    def get_mask_sizes(self, query_length: int, layer_idx: int = 0) -> tuple[int, int]:
        return self.bucket, 0

    def get_max_length(self, layer_idx: int | None = None) -> int:
        return self.capacity


WARM_UP_PASSES = 3  # before a capture: libraries choose their kernels and allocate


@dataclass(frozen=True, slots=True)
class _Captured:
    graph: torch.cuda.CUDAGraph
    tokens: Tensor
    logits: Tensor


class PassGraphs:
    """Captured passes; `run` captures a shape at its first use."""

    def __init__(self, forward: Callable[[Tensor, int], Tensor], lengths: Tensor) -> None:
        if lengths.device.type != "cuda":
            raise ValueError(f"graphs need a CUDA device, given {lengths.device.type}")
        self._forward, self._lengths = forward, lengths
        self._pool = torch.cuda.graph_pool_handle()
        self._captured: dict[tuple[int, int], _Captured] = {}

    def run(self, tokens: Tensor, bucket: int, *, clone: bool) -> Tensor:
        """Replay the pass of these tokens; the logits as a copy, or as the buffer of the graph."""
        key = (tokens.shape[1], bucket)
        captured = self._captured.get(key)
        if captured is None:
            captured = self._capture(tokens, bucket)
            self._captured[key] = captured
        captured.tokens.copy_(tokens)
        captured.graph.replay()
        return captured.logits.clone() if clone else captured.logits

    def _capture(self, tokens: Tensor, bucket: int) -> _Captured:
        device = self._lengths.device
        static = tokens.to(device).clone()
        before = self._lengths.clone()
        # Kernels are chosen and memory is allocated outside of the capture, on another stream,
        # because the default stream cannot be captured. A warm-up pass writes keys and values only
        # where the captured pass will write them again, and the lengths are put back.
        side = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            for _ in range(WARM_UP_PASSES):
                self._forward(static, bucket)
                self._lengths.copy_(before)
        torch.cuda.current_stream(device).wait_stream(side)
        torch.cuda.synchronize(device)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            logits = self._forward(static, bucket)
        return _Captured(graph, static, logits)
