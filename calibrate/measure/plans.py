"""What is to be measured: numbers alone, which are checked before torch is imported."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

TEMPERATURES = (0.0, 1.0)  # at which the drawing of tokens and the rule are timed
STEPS = 4  # consecutive plain steps of one timing, behind an untimed one
STEP_TURNS = 3  # timings of plain steps in a turn through all gammas
_COLDEST = 1e-3


def check_temperature(temperature: float) -> float:
    """The temperature, if it is 0 (the largest logit wins) or at least 0.001."""
    value = float(temperature)
    if not (value == 0.0 or (math.isfinite(value) and value >= _COLDEST)):
        raise ValueError(f"temperature must be 0 or in [{_COLDEST:g}, inf), got {temperature}")
    return value


@dataclass(frozen=True)
class AcceptancePlan:
    """What to measure; `asdict` of it belongs into the settings of the record.

    gamma: draft tokens of a round; new_tokens: of every request and text; batch: requests decoded
    together at most; graphs: CUDA graphs for the passes. Raises ValueError for a number out of
    range, and for no temperature or the same one twice.
    """

    temperatures: tuple[float, ...] = (0.0, 0.7, 1.0)
    gamma: int = 8
    new_tokens: int = 96
    batch: int = 16
    seed: int = 0
    graphs: bool = False

    def __post_init__(self) -> None:
        for name in ("gamma", "new_tokens", "batch"):
            value = getattr(self, name)
            if value < 1:
                raise ValueError(f"{name} must be a whole number >= 1, got {value}")
        if not self.temperatures or len(set(self.temperatures)) < len(self.temperatures):
            raise ValueError(f"temperatures must be different numbers, got {self.temperatures}")
        for temperature in self.temperatures:
            check_temperature(temperature)

    def settings(self) -> dict[str, Any]:
        """As a record stores it."""
        return {**asdict(self), "temperatures": list(self.temperatures)}


@dataclass(frozen=True)
class SweepPlan:
    """What to measure; `settings` of it belongs into the record.

    gammas: of SpS; gammas_by_draft: others for the drafts named. assisted_gammas: of AsG with a
    constant number of draft tokens; heuristic_gamma: what AsG's heuristic starts from, 0 to leave
    it out. batches: batch sizes, AsG at 1 only. assisted_blocks: blocks in which AsG takes part,
    over all domains, for it is slow; plain_repeats: turns of plain decoding in a block. graphs:
    CUDA graphs for SpS and plain.
    """

    gammas: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7)
    gammas_by_draft: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    assisted_gammas: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7)
    heuristic_gamma: int = 5
    new_tokens: int = 96
    temperature: float = 1.0
    batches: tuple[int, ...] = (1,)
    assisted_blocks: int = 4
    plain_repeats: int = 4
    seed: int = 0
    graphs: bool = False

    def __post_init__(self) -> None:
        lists = {name: getattr(self, name) for name in ("gammas", "assisted_gammas", "batches")}
        for name, values in (lists | dict(self.gammas_by_draft)).items():
            if any(v < 1 for v in values) or len(set(values)) < len(values):
                raise ValueError(f"{name} must be different whole numbers >= 1, got {values}")
        least = {"plain_repeats": 1, "new_tokens": 1, "assisted_blocks": 0, "heuristic_gamma": 0}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ValueError(f"{name} must be at least {low}, got {getattr(self, name)}")
        check_temperature(self.temperature)

    def settings(self) -> dict[str, Any]:
        """As a record stores it."""
        values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
        return {**values, "gammas_by_draft": {k: list(v) for k, v in self.gammas_by_draft.items()}}

    def gammas_of(self, draft: str) -> tuple[int, ...]:
        """The gammas of SpS with this draft."""
        return tuple(self.gammas_by_draft.get(draft, self.gammas))


@dataclass(frozen=True)
class PassPlan:
    """Which passes and rounds to time: numbers of new tokens, batches, contexts, gammas of rounds.

    mode: eager, graph, both, or auto, both on CUDA; repeats, warmup: passes of a point.
    """

    tokens: tuple[int, ...]
    batches: tuple[int, ...] = (1,)
    contexts: tuple[int, ...] = (128,)
    gammas: tuple[int, ...] = ()
    mode: str = "auto"
    repeats: int = 15
    warmup: int = 3

    def __post_init__(self) -> None:
        for name, values, least in (
            ("tokens", self.tokens, 1), ("batch", self.batches, 1),
            ("context", self.contexts, 1 if self.gammas else 0), ("gamma", self.gammas, 1),
            ("repeats", [self.repeats], 1), ("warmup", [self.warmup], 0),
        ):  # fmt: skip
            odd = [v for v in values if v < least]
            if odd or (not values and name != "gamma"):
                raise ValueError(f"{name} must be a whole number >= {least}, got {odd or 'none'}")

    def modes(self, device: str) -> list[str]:
        """The ways to run a pass on a device, auto or one that there is."""
        known = {"eager": ["eager"], "graph": ["graph"], "both": ["eager", "graph"]}
        known["auto"] = known["both"] if device.startswith("cuda") else known["eager"]
        if self.mode not in known:
            raise ValueError(f"mode must be one of {', '.join(known)}, got {self.mode!r}")
        if device == "cpu" and "graph" in known[self.mode]:
            raise ValueError(f"mode must be eager on a CPU, got {self.mode}")
        return known[self.mode]

    def settings(self, device: str) -> dict[str, Any]:
        """As a record stores it."""
        return {
            "tokens": sorted(set(self.tokens)), "batches": sorted(set(self.batches)),
            "contexts": sorted(set(self.contexts)), "modes": self.modes(device),
            "repeats": self.repeats, "warmup": self.warmup, "gammas": sorted(set(self.gammas)),
        }  # fmt: skip


@dataclass(frozen=True)
class RoundPlan:
    """Which rounds to time: gammas, (batch, context) shapes, modes; repeats: times of each.

    temperature: of the draws and of the rule.
    """

    gammas: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    shapes: tuple[tuple[int, int], ...] = ((1, 128),)
    modes: tuple[str, ...] = ("eager",)
    repeats: int = 12
    temperature: float = 1.0

    def __post_init__(self) -> None:
        for name, values, least in (
            ("gammas", self.gammas, 1),
            ("batches", [b for b, _ in self.shapes], 1),
            ("contexts", [c for _, c in self.shapes], 1),
            ("repeats", [self.repeats], 1),
        ):
            if not values or min(values) < least:
                raise ValueError(f"{name} must be at least {least}, given {list(values)}")
        strange = [m for m in self.modes if m not in ("eager", "graph")]
        if strange or not self.modes:
            raise ValueError(f"modes must be of eager, graph, given {list(self.modes)}")

    def count(self, drafts: int) -> int:
        """Points of a full measurement: every round, and the plain steps beside each draft."""
        return drafts * len(self.shapes) * len(self.modes) * (len(self.gammas) + 1)
