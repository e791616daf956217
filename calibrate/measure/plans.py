"""What is to be measured: numbers alone, which are checked before torch is imported."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

TEMPERATURES = (0.0, 1.0)  # at which the drawing of tokens and the rule are timed
STEPS = 4  # consecutive plain steps of one timing, behind an untimed one
STEP_TURNS = 3  # timings of plain steps in a turn through all gammas
MODES = ("eager", "graph")
_COLDEST = 1e-3
Progress = Callable[[str, int, int], None]  # told (what, points done, points in all)


def check_temperature(temperature: float) -> float:
    """The temperature, if it is 0 (the largest logit wins) or at least 0.001."""
    value = float(temperature)
    if not (value == 0.0 or (math.isfinite(value) and value >= _COLDEST)):
        raise ValueError(f"temperature must be 0 or in [{_COLDEST:g}, inf), got {temperature}")
    return value


def check_whole(name: str, values: int | Sequence[int], least: int = 1) -> None:
    """Raise ValueError unless there are values, none of them below ``least``."""
    given = (values,) if isinstance(values, int) else values
    odd = [v for v in given if v < least]
    if odd or not given:
        listed = ", ".join(map(str, odd)) or "none"
        raise ValueError(f"{name} must be a whole number >= {least}, got {listed}")


@dataclass(frozen=True)
class AcceptancePlan:
    """What to measure; a record has it among its settings.

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
            check_whole(name, getattr(self, name))
        if not self.temperatures or len(set(self.temperatures)) < len(self.temperatures):
            raise ValueError(f"temperatures must be different numbers, got {self.temperatures}")
        for temperature in self.temperatures:
            check_temperature(temperature)


@dataclass(frozen=True)
class SweepPlan:
    """What to measure; a record has it among its settings.

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
        for name in ("plain_repeats", "new_tokens"):
            check_whole(name, getattr(self, name))
        for name in ("assisted_blocks", "heuristic_gamma"):
            check_whole(name, getattr(self, name), 0)
        check_temperature(self.temperature)

    def gammas_of(self, draft: str) -> tuple[int, ...]:
        """The gammas of SpS with this draft."""
        return tuple(self.gammas_by_draft.get(draft, self.gammas))


def _check_grid(
    shapes: Sequence[tuple[int, int]], modes: Sequence[str], repeats: int, *, least_context: int
) -> None:
    check_whole("batch", [b for b, _ in shapes])
    check_whole("context", [c for _, c in shapes], least_context)
    check_whole("repeats", repeats)
    if not modes or set(modes) - set(MODES):
        raise ValueError(f"modes must be of {', '.join(MODES)}, got {list(modes)}")


@dataclass(frozen=True)
class PassGrid:
    """Passes to time: every number of tokens at every (batch, context) in every mode.

    tokens: new tokens of a pass; shapes: (batch, context [token]); modes: eager, graph; repeats,
    warmup: timed and untimed passes of a point. Raises ValueError for a number out of range.
    """

    tokens: tuple[int, ...]
    shapes: tuple[tuple[int, int], ...] = ((1, 128),)
    modes: tuple[str, ...] = ("eager",)
    repeats: int = 11
    warmup: int = 3

    def __post_init__(self) -> None:
        check_whole("tokens", self.tokens)
        _check_grid(self.shapes, self.modes, self.repeats, least_context=0)
        check_whole("warmup", self.warmup)


def pass_points(models: int, grids: Sequence[PassGrid]) -> int:
    """Points of a record of these grids: passes, draws, verifications, the copy and the launch.

    What two grids share is measured once.
    """
    passes = {at for g in grids for at in product(g.tokens, g.shapes, g.modes)}
    around = {(n, batch) for g in grids for n in (1, *g.tokens) for batch, _ in g.shapes}
    return models * (len(passes) + len(TEMPERATURES) * len(around)) + 2


@dataclass(frozen=True)
class RoundPlan:
    """Which rounds to time: gammas, (batch, context) shapes, modes; repeats: times of each.

    temperature: of the draws and of the rule. Raises ValueError for a number out of range.
    """

    gammas: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    shapes: tuple[tuple[int, int], ...] = ((1, 128),)
    modes: tuple[str, ...] = ("eager",)
    repeats: int = 12
    temperature: float = 1.0

    def __post_init__(self) -> None:
        check_whole("gamma", self.gammas)
        _check_grid(self.shapes, self.modes, self.repeats, least_context=1)

    def count(self, drafts: int) -> int:
        """Points of a full measurement: every round, and the plain steps beside each draft."""
        return drafts * len(self.shapes) * len(self.modes) * (len(self.gammas) + 1)


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
        check_whole("batch", self.batches)
        check_whole("context", self.contexts, 0)
        self.passes(MODES)
        self.rounds(MODES)

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Every batch with every context."""
        return tuple(product(sorted(set(self.batches)), sorted(set(self.contexts))))

    def passes(self, modes: tuple[str, ...]) -> PassGrid:
        """The passes, in modes that there are."""
        tokens = tuple(sorted(set(self.tokens)))
        return PassGrid(tokens, self.shapes, modes, self.repeats, self.warmup)

    def rounds(self, modes: tuple[str, ...]) -> RoundPlan | None:
        """The rounds, in modes that there are; None without a gamma."""
        gammas = tuple(sorted(set(self.gammas)))
        return RoundPlan(gammas, self.shapes, modes, self.repeats) if gammas else None

    def modes(self, device: str) -> tuple[str, ...]:
        """The ways to run a pass on a device, auto or one that there is."""
        known = {"eager": MODES[:1], "graph": MODES[1:], "both": MODES}
        known["auto"] = MODES if device.startswith("cuda") else MODES[:1]
        if self.mode not in known:
            raise ValueError(f"mode must be one of {', '.join(known)}, got {self.mode!r}")
        if device == "cpu" and "graph" in known[self.mode]:
            raise ValueError(f"mode must be eager on a CPU, got {self.mode}")
        return known[self.mode]

    def settings(self, modes: tuple[str, ...]) -> dict[str, Any]:
        """As a record stores it."""
        lists = {n: sorted(set(getattr(self, n))) for n in ("tokens", "batches", "contexts")}
        timed = {"modes": list(modes), "repeats": self.repeats, "warmup": self.warmup}
        return {**lists, **timed, "gammas": sorted(set(self.gammas))}
