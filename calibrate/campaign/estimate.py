r"""How long a stage may take and how much memory it needs, before anything has been measured.

    time of a pass = max(bytes / bandwidth, operations / peak) + layers * time to launch a layer

with the bytes of the weights and of the cache, and 2 operations a parameter and token. Good to a
factor of two: enough to see whether a stage fits its time. Derived here.

Architectures that are timed with random weights are written as files, so that nothing is looked up
in a network. Scaled down, they keep everything that makes an architecture (its layers, positions,
grouped heads) at a few thousand parameters.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..family.shapes import preset_named
from ..files import atomic_write
from ..measure.sources import FamilyModel, bundled_architecture
from ..models.config import shape_of
from ..models.shapes import ModelShape


@dataclass(frozen=True)
class Machine:
    """What the estimates assume of a machine; all of it is reached in practice, not on paper.

    launch_s: time that a layer costs when its operations are launched one by one; replay_s: the
    same in a captured graph; start_s: loading a model and its first passes.
    """

    bytes_per_s: float
    operations_per_s: float
    launch_s: float
    replay_s: float
    start_s: float
    number_bytes: int
    memory_bytes: float


CPU = Machine(8e9, 6e10, 2.5e-4, 2.5e-4, 2.0, 4, 8e9)  # 2 cores, float32
H100 = Machine(2.6e12, 2e14, 4e-4, 3e-5, 2.0, 2, 78e9)  # one GPU, bfloat16
# Bytes of a record: of a timed pass, a timed round, and by new token of a request for each draft,
# and of a turn of a sweep. Seen in the bundled records of the laptop's ladder.
COST_BYTES, ROUND_BYTES, REQUEST_BYTES, TURN_BYTES = 700.0, 350.0, 8.0, 7.0


@dataclass(frozen=True)
class Size:
    """What the estimates need to know of a model; cache_numbers: keys and values of one token."""

    parameters: float
    layers: int
    cache_numbers: float


@dataclass(frozen=True)
class Estimate:
    """Expected time and memory of a stage.

    points: how many it adds; record_bytes: of the record; carried_bytes: of what must be there.
    """

    time_s: float = 0.0
    memory_bytes: float = 0.0
    points: int = 0
    record_bytes: float = 0.0
    carried_bytes: float = 0.0

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(
            self.time_s + other.time_s,
            max(self.memory_bytes, other.memory_bytes),
            self.points + other.points,
            self.record_bytes + other.record_bytes,
            self.carried_bytes + other.carried_bytes,
        )

    def __mul__(self, times: int) -> Estimate:
        return replace(
            self,
            time_s=self.time_s * times,
            points=self.points * times,
            record_bytes=self.record_bytes * times,
        )


# Passes launched one by one that a captured graph takes before it can be replayed.
CAPTURE = 4


def family_sizes(preset: str) -> list[Size]:
    """Sizes of the models of a family's preset, the target first."""
    family = preset_named(preset)
    return [
        Size(s.parameters(family.vocabulary), s.layers, 2.0 * s.hidden * s.layers)
        for s in family.shapes
    ]


_SCALED: dict[str, int] = {
    "num_hidden_layers": 2,
    "n_layer": 2,
    "hidden_size": 32,
    "n_embd": 32,
    "num_attention_heads": 4,
    "n_head": 4,
    "intermediate_size": 64,
    "n_inner": 64,
    "head_dim": 8,
    "vocab_size": 128,
    "max_position_embeddings": 256,
    "n_positions": 256,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}


def architecture_size(name: str) -> Size:
    """What the estimates need of a named model."""
    model = bundled_architecture(name)
    shape = _shape(model)
    cache_numbers = 2.0 * shape.layers * shape.kv_heads * shape.head_dim
    return Size(float(model.parameters), shape.layers, cache_numbers)


def architecture_config(name: str, *, scaled: bool) -> dict[str, Any]:
    """The configuration of a named model, scaled down if asked for."""
    model = bundled_architecture(name)
    values: dict[str, Any] = {"model_type": model.model_type, **model.architecture}
    if scaled:
        values |= {key: size for key, size in _SCALED.items() if key in values}
        shape = _shape(model)
        if shape.kv_heads < shape.heads:
            values["num_key_value_heads"] = 2
        elif "num_key_value_heads" in values:
            values["num_key_value_heads"] = 4
    return values


def _shape(model: FamilyModel) -> ModelShape:
    return shape_of({"model_type": model.model_type, **model.architecture}, name=model.name)


def write_config(folder: Path, name: str, values: dict[str, Any]) -> Path:
    """Write a configuration as a file that a model with random weights can be made of."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    atomic_write(path, (json.dumps(values, indent=1) + "\n").encode())
    return path


def pass_s(
    machine: Machine,
    size: Size,
    *,
    tokens: int = 1,
    batch: int = 1,
    context: int = 0,
    graphs: bool = False,
) -> float:
    """Expected time of one pass over ``tokens`` new tokens of every row [s]."""
    cache = batch * (context + tokens) * size.cache_numbers
    moved = (size.parameters + cache) * machine.number_bytes
    operations = 2.0 * size.parameters * tokens * batch
    launch = machine.replay_s if graphs else machine.launch_s
    work = max(moved / machine.bytes_per_s, operations / machine.operations_per_s)
    return work + size.layers * launch


def memory_bytes(machine: Machine, *sizes: Size, batch: int, context: int) -> float:
    """Memory of the weights and of the caches [byte]."""
    numbers = sum(s.parameters + batch * context * s.cache_numbers for s in sizes)
    return numbers * machine.number_bytes


def decode_s(
    machine: Machine,
    target: Size,
    draft: Size | None,
    *,
    new_tokens: int,
    gamma: int,
    batch: int = 1,
    context: int = 128,
    tokens_per_round: float = 2.0,
    graphs: bool = False,
) -> float:
    """Expected time of decoding ``new_tokens`` in rounds of ``gamma`` draft tokens, 0 for plain."""

    def one(size: Size, tokens: int) -> float:
        return pass_s(machine, size, tokens=tokens, batch=batch, context=context, graphs=graphs)

    if draft is None or gamma == 0:
        return new_tokens * one(target, 1)
    rounds = new_tokens / min(tokens_per_round, gamma + 1.0)
    return rounds * (one(target, gamma + 1) + gamma * one(draft, 1))
