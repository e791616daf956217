"""CUDA graphs of passes: one for each number of new tokens and bucket, all in one pool of memory.

A pass reads its lengths from a tensor on the device and advances it there, so a replay needs only
the new tokens. The buffers that it reads and writes live as long as the runner.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

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
