"""Cost records of a machine whose law is known: what is measured follows from it exactly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from howspec.calibrate.measure.sources import family_model
from howspec.calibrate.models.config import shape_of
from howspec.calibrate.records import Record

SPREAD = (0.97, 0.99, 1.0, 1.01, 1.05)  # the repeats of a point over its median
COPIED = 2 * 2**30


def llama(layers: int, hidden: int, ffn: int, *, vocab: int = 8192, tied: bool = True) -> Any:
    """A configuration of transformers with as many keys as queries."""
    return {
        "model_type": "llama",
        "vocab_size": vocab,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": hidden // 64,
        "num_key_value_heads": hidden // 64,
        "intermediate_size": ffn,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": tied,
    }


def named(*names: str) -> dict[str, Any]:
    """The configurations of released models, as a campaign records them."""
    found = {}
    for name in names:
        model = family_model(name)
        assert model is not None
        found[name] = {"model_type": model.model_type, **model.architecture}
    return found


@dataclass(frozen=True)
class KnownMachine:
    """Times of passes in bfloat16 [s].

    graph: pass_s + layer_s a layer + work times the larger of memory and computing time; eager:
    the larger of that and host_s a layer. bandwidth [byte/s], rate [op/s].
    """

    device: str = "NVIDIA H200"
    bandwidth: float = 4e12
    rate: float = 989.4e12
    pass_s: float = 2e-5
    layer_s: float = 8e-6
    work: float = 1.25
    host_s: float = 2.2e-4

    def least_s(self, config: Any, tokens: int, *, batch: int, context: int) -> float:
        """The larger of memory and computing time, counted here once more."""
        shape = shape_of(config, name="x")
        rows = batch * tokens
        weights = shape.read_parameters()
        looked_up = (0 if shape.tied else rows * shape.hidden) + (
            tokens * shape.hidden if shape.positions else 0
        )
        kv = 2 * shape.layers * shape.kv_heads * shape.head_dim
        numbers = weights + looked_up + rows * shape.vocab + batch * (context + tokens) * kv
        ops = sum(
            batch * (2 * weights + 4 * shape.layers * shape.heads * shape.head_dim * (context + i))
            for i in range(1, tokens + 1)
        )
        return max(2.0 * numbers / self.bandwidth, ops / self.rate)

    def pass_time(self, config: Any, tokens: int, *, batch: int, context: int, mode: str) -> float:
        """The median of a pass."""
        shape = shape_of(config, name="x")
        least = self.least_s(config, tokens, batch=batch, context=context)
        graph = self.pass_s + shape.layers * self.layer_s + self.work * least
        return graph if mode == "graph" else max(shape.layers * self.host_s, graph)

    def record(
        self,
        models: Mapping[str, Any],
        *,
        tokens: Iterable[int] = (1, 2, 5, 9),
        shapes: Iterable[tuple[int, int]] = ((1, 128), (1, 2048), (16, 128)),
        modes: Iterable[str] = ("eager", "graph"),
        copy: bool = True,
    ) -> Record:
        """All passes, with draws and verifications that take 10 and 20 us."""
        grid = [(b, c) for b, c in shapes]
        points: list[dict[str, Any]] = [
            {"operation": "launch", "launches": 100, "times_s": _times(3e-4)}
        ]
        if copy:
            points.append({"operation": "copy_bandwidth", "bytes": COPIED,
                           "times_s": _times(COPIED / self.bandwidth)})  # fmt: skip
        for name, config in models.items():
            points += self._around(name, tokens, {b for b, _ in grid})
            for mode in modes:
                for batch, context in grid:
                    for n in tokens:
                        time_s = self.pass_time(config, n, batch=batch, context=context, mode=mode)
                        points.append(
                            {"operation": "pass", "model": name, "tokens": n, "batch": batch,
                             "context": context, "mode": mode, "times_s": _times(time_s)}
                        )  # fmt: skip
        origin = {"device": self.device, "dtype": "bfloat16", "models": dict(models)}
        return Record("costs", {"campaign": "known"}, origin, tuple(points))

    def _around(
        self, name: str, tokens: Iterable[int], batches: Iterable[int]
    ) -> list[dict[str, Any]]:
        out = []
        for batch in sorted(batches):
            for t in (0.0, 1.0):
                base = {"model": name, "batch": batch, "temperature": t, "mode": f"t {t:g}"}
                out.append({**base, "operation": "draw", "tokens": 1, "times_s": _times(1e-5)})
                out += [
                    {**base, "operation": "verify", "tokens": n - 1, "times_s": _times(2e-5)}
                    for n in tokens
                    if n > 1
                ]
        return out


def _times(median_s: float) -> list[float]:
    return [median_s * factor for factor in SPREAD]


# A ladder of sizes and depths, and models of equal size in three depths.
MODELS = {
    "big": llama(32, 4096, 11008, vocab=32000, tied=False),
    "wide": llama(16, 4096, 11008, vocab=32000, tied=False),
    "middle": llama(16, 2048, 5632),
    "small": llama(12, 768, 2048),
    "tiny": llama(4, 256, 768),
    "least": llama(2, 128, 384),
}
