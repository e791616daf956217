"""Times of passes: V(n) of every model at every batch and context, and of what surrounds a pass.

All numbers of new tokens of one model, batch and context are timed in turns, in a new order each
turn, so that a slow minute of the machine hits all of them alike; where several models are held
together, the turns go through the models too. A turn begins with an untimed pass of its model, so
that its weights are where they are in a loop of drafting.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .clock import Clock, MachineState
from .cost_blocks import Block, PointJournal, Work, let_go
from .failures import out_of_memory
from .operations import around_missing, around_points, machine_points, mode_of
from .pairs import LoadedModel
from .plans import TEMPERATURES

MODES = ("eager", "graph")

Loader = Callable[[], LoadedModel]


def measure_costs(
    models: Mapping[str, LoadedModel | Loader],
    journal: PointJournal,
    *,
    tokens: Sequence[int],
    batches: Sequence[int] = (1,),
    contexts: Sequence[int] = (128,),
    shapes: Sequence[tuple[int, int]] | None = None,
    modes: Sequence[str] = ("eager",),
    repeats: int = 15,
    warmup: int = 3,
    together: bool | None = None,
    clock: Clock | None = None,
    seconds_left: Callable[[], float] = lambda: math.inf,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> bool:
    """Time every model at every point that the journal does not have yet; whether all are there.

    shapes: (batch, context) pairs, default all of batches x contexts. together: whether all models
    are held at once and timed in turns, default on a CPU; otherwise a loader is called when its
    model's turn comes, and the model is let go after it. clock: default that of the device. Stops
    between two blocks of points when seconds_left() does not cover another block.
    """
    grid = tuple(shapes) if shapes is not None else tuple((b, c) for b in batches for c in contexts)
    numbers = tuple(sorted(set(tokens)))
    _check(models, numbers, grid, modes, repeats=repeats, warmup=warmup)
    work = Work(
        journal,
        numbers,
        grid,
        tuple(modes),
        repeats,
        warmup,
        clock,
        seconds_left,
        progress,
        count_points(len(models), numbers, grid, modes),
        random.Random(0),
    )
    if together is None:
        together = all(
            isinstance(m, LoadedModel) and m.device.type == "cpu" for m in models.values()
        )
    groups = [list(models)] if together else [[name] for name in models]
    return all(_group(work, {n: models[n] for n in names}) for names in groups)


def count_points(
    models: int, tokens: Sequence[int], shapes: Sequence[tuple[int, int]], modes: Sequence[str]
) -> int:
    """How many points a full measurement has: passes, draws, verifications, copies and launches."""
    batches = len({b for b, _ in shapes})
    verified = sum(1 for n in tokens if n > 1)
    around = batches * len(TEMPERATURES) * (1 + verified)
    return models * (len(tokens) * len(shapes) * len(modes) + around) + 2


def _check(
    models: Mapping[str, Any],
    tokens: tuple[int, ...],
    grid: tuple[tuple[int, int], ...],
    modes: Sequence[str],
    *,
    repeats: int,
    warmup: int,
) -> None:
    for name, values, least in (
        ("tokens", tokens, 1),
        ("batches", [b for b, _ in grid], 1),
        ("contexts", [c for _, c in grid], 0),
        ("repeats", [repeats], 1),
        ("warmup", [warmup], 1),
    ):
        if not values or min(values) < least:
            raise ValueError(f"{name} must be at least {least}, given {list(values)}")
    strange = [m for m in modes if m not in MODES]
    if strange or not modes:
        raise ValueError(f"modes must be of {', '.join(MODES)}, given {list(modes)}")
    if not models:
        raise ValueError("models must hold at least 1 model, given none")


def _group(work: Work, given: Mapping[str, LoadedModel | Loader]) -> bool:
    """Measure models that are held together; whether all their points are there."""
    if not any(_unfinished(work, name) for name in given):
        return True
    held: dict[str, LoadedModel] = {}
    for name, model in given.items():
        if work.seconds_left() <= 0:
            return False
        try:
            held[name] = model if isinstance(model, LoadedModel) else model()
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            _refuse_all(work, name, "out of memory while loading the model")
            let_go()
    if held:
        first = next(iter(held.values()))
        work.state = MachineState(first.device)
        complete = machine_points(work, first.device) and _measured(work, held)
        held.clear()
        del first
        let_go()
        return complete
    return True


def _unfinished(work: Work, name: str) -> bool:
    passes = any(work.missing("pass", name, s, m) for s in work.shapes for m in work.modes)
    return passes or any(around_missing(work, name, batch) for batch in work.batches)


def _measured(work: Work, held: dict[str, LoadedModel]) -> bool:
    for batch in work.batches:
        for name, loaded in held.items():
            if work.seconds_left() <= 0:
                return False
            around_points(work, name, loaded, batch)
    for shape in work.shapes:
        for mode in work.modes:
            block = {n: m for n, m in held.items() if work.missing("pass", n, shape, mode)}
            if not block:
                continue
            if work.seconds_left() <= work.slowest_s:
                return False
            before = work.seconds_left()
            Block(work, shape, mode).measure(block)
            spent = before - work.seconds_left()
            work.slowest_s = max(work.slowest_s, spent if math.isfinite(spent) else 0.0)
    return True


def _refuse_all(work: Work, name: str, reason: str) -> None:
    """An error at every point of a model that could not be loaded."""
    for batch, context in work.shapes:
        for mode in work.modes:
            for n in work.missing("pass", name, (batch, context), mode):
                point = {"operation": "pass", "model": name, "tokens": n, "batch": batch}
                work.add(point | {"context": context, "mode": mode, "error": reason})
    for batch in work.batches:
        for operation, n, t in around_missing(work, name, batch):
            point = {"operation": operation, "model": name, "tokens": n, "batch": batch}
            work.add(point | {"mode": mode_of(t), "temperature": t, "error": reason})
