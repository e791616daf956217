r"""Which passes are worth timing on a CPU and on a GPU, and about how long that takes.

    pass = max(bytes moved / bandwidth, operations / rate) + layers x launch
Derived here: the weights are read once a pass, the cache of every row once; two operations a weight
and token. A plan's time is a guide to how many calls it needs, never a measurement.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

TOKENS = (*range(1, 10), 12, 16, 24, 33)


@dataclass(frozen=True)
class CostMachine:
    """Bandwidth [byte/s], operations [1/s], launches of a layer [s], bytes of a number."""

    bytes_per_s: float
    operations_per_s: float
    eager_layer_s: float
    graph_layer_s: float
    number_bytes: int
    start_s: float


TWO_CORES = CostMachine(8e9, 6e10, 4e-4, 4e-4, 4, 0.5)
LARGE_GPU = CostMachine(3.5e12, 4e14, 2e-4, 1e-5, 2, 4.0)


@dataclass(frozen=True)
class ModelSize:
    """What the time of a pass depends on: parameters, layers, numbers cached for a token."""

    name: str
    parameters: int
    layers: int
    cached: int


@dataclass(frozen=True)
class CostPlan:
    """New tokens of a pass, (batch, context) shapes, modes, timed and untimed passes of a point."""

    tokens: tuple[int, ...]
    shapes: tuple[tuple[int, int], ...]
    modes: tuple[str, ...]
    repeats: int
    warmup: int
    machine: CostMachine

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments of `measure_costs`."""
        return {
            "tokens": self.tokens,
            "shapes": self.shapes,
            "modes": self.modes,
            "repeats": self.repeats,
            "warmup": self.warmup,
        }

    def points(self, sizes: Iterable[ModelSize]) -> list[dict[str, Any]]:
        """Every pass to time, with expected_s, the expected time of all its repeats."""
        return [
            {
                "model": size.name,
                "tokens": n,
                "batch": batch,
                "context": context,
                "mode": mode,
                "expected_s": (self.repeats + self.warmup + 1)
                * self.pass_s(size, n, batch=batch, context=context, mode=mode),
            }
            for size in sizes
            for batch, context in self.shapes
            for mode in self.modes
            for n in self.tokens
        ]

    def expected_s(self, sizes: Iterable[ModelSize]) -> float:
        """Expected time of the whole plan [s]: passes, loading, captures of graphs."""
        models = list(sizes)
        captures = 4 * len(models) * len(self.shapes) * len(self.tokens) * ("graph" in self.modes)
        typical = sum(s.layers for s in models) / max(1, len(models)) * self.machine.eager_layer_s
        passes = sum(p["expected_s"] for p in self.points(models))
        return float(passes + captures * typical + len(models) * self.machine.start_s)

    def pass_s(self, size: ModelSize, tokens: int, *, batch: int, context: int, mode: str) -> float:
        """Expected time of one pass [s]."""
        machine = self.machine
        moved = size.parameters + batch * (context + tokens) * size.cached
        work = max(
            moved * machine.number_bytes / machine.bytes_per_s,
            2.0 * size.parameters * tokens * batch / machine.operations_per_s,
        )
        layer_s = machine.graph_layer_s if mode == "graph" else machine.eager_layer_s
        return work + size.layers * layer_s


def cpu_cost_plan() -> CostPlan:
    """A ladder of models of up to some 10 million parameters on two cores, within 8 minutes."""
    shapes = tuple((b, c) for b in (1, 4) for c in (32, 96, 160, 256))
    return CostPlan(TOKENS, shapes, ("eager",), 15, 3, TWO_CORES)


def gpu_cost_plan() -> CostPlan:
    """The bundled architectures on one large GPU: batch 1 to 64, context 128 to 8192.

    Shapes whose cache no model of 7 billion parameters and more could hold beside its weights are
    left out; others that turn out too large become error points.
    """
    shapes = tuple(
        (b, c)
        for b, c in (
            *((1, c) for c in (128, 512, 2048, 8192)),
            *((4, c) for c in (128, 2048, 8192)),
            *((16, c) for c in (128, 2048)),
            *((64, c) for c in (128, 1024)),
        )
    )
    return CostPlan(TOKENS, shapes, ("eager", "graph"), 9, 2, LARGE_GPU)


def size_of(name: str, config: Any, parameters: int) -> ModelSize:
    """The size of a model from its configuration."""
    text = config.get_text_config()
    heads = text.num_attention_heads
    groups = getattr(text, "num_key_value_heads", None) or heads
    width = getattr(text, "head_dim", None) or text.hidden_size // heads
    layers = text.num_hidden_layers
    return ModelSize(name, parameters, layers, 2 * layers * groups * width)
