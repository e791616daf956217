"""Times of passes: V(n) of every model at every batch and context, and of what surrounds a pass.

All numbers of new tokens of one model, batch and context are timed in turns, in a new order each
turn, so that a slow minute of the machine hits all of them alike; where several models are held
together, the turns go through the models too. A turn begins with an untimed pass of its model, so
that its weights are where they are in a loop of drafting.

A round is passes plus what surrounds them: drawing, the rejection rule; large copies and launches
tell of the machine. They depend on the vocabulary and the batch, not on the model's size.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ..records import Journal
from .cost_blocks import Block, Point, Work, rounded
from .device import Clock, MachineState, Step, clock_of, lack_of_memory, let_go
from .pairs import LoadedModel
from .plans import TEMPERATURES, PassGrid, Progress, pass_points
from .rejection import draw, token_law, verify

COPY_BYTES = {"cuda": 1 << 30, "cpu": 1 << 27}  # far beyond any cache
LAUNCHES = 100  # of one timed step: a single one is too short for a clock

Loader = Callable[[], LoadedModel]


def measure_costs(
    models: Mapping[str, LoadedModel | Loader],
    journal: Journal,
    grid: PassGrid,
    *,
    clock: Clock | None = None,
    seconds_left: Callable[[], float] = lambda: math.inf,
    progress: Progress = lambda what, done, total: None,
) -> bool:
    """Time every model at every point that the journal does not have yet; whether all are there.

    On a CPU models that are loaded are timed in turns; otherwise each has its turn, for which a
    loader is called and after which its model is let go. clock: default that of the device. Stops
    between two blocks of points when seconds_left() does not cover another block.
    """
    if not models:
        raise ValueError("models must hold at least 1 model, given none")
    total = pass_points(len(models), [grid])
    ordered = replace(grid, tokens=tuple(sorted(set(grid.tokens))))
    work = Work(journal, ordered, clock, seconds_left, progress, total, random.Random(0))
    together = all(isinstance(m, LoadedModel) and m.device.type == "cpu" for m in models.values())
    groups = [list(models)] if together else [[name] for name in models]
    return all(_group(work, {n: models[n] for n in names}) for names in groups)


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
            _refuse_all(work, name, f"{lack_of_memory(error)} while loading the model")
    if not held:
        return True
    device = next(iter(held.values())).device
    work.state = MachineState(device)
    complete = _machine_points(work, device) and _measured(work, held)
    held.clear()
    let_go()
    return complete


def _unfinished(work: Work, name: str) -> bool:
    grid = work.grid
    passes = any(work.missing("pass", name, s, m) for s in grid.shapes for m in grid.modes)
    return passes or any(_around_missing(work, name, batch) for batch in work.batches)


def _measured(work: Work, held: dict[str, LoadedModel]) -> bool:
    for batch in work.batches:
        for name, loaded in held.items():
            if work.seconds_left() <= 0:
                return False
            _around_points(work, name, loaded, batch)
    for shape in work.grid.shapes:
        for mode in work.grid.modes:
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
    for batch, context in work.grid.shapes:
        for mode in work.grid.modes:
            for n in work.missing("pass", name, (batch, context), mode):
                point = {"operation": "pass", "model": name, "tokens": n, "batch": batch}
                work.add(point | {"context": context, "mode": mode, "error": reason})
    for batch in work.batches:
        for point in _around_missing(work, name, batch):
            work.add(point | {"error": reason})


def draw_step(logits: Tensor, temperature: float) -> Callable[[], object]:
    """From the logits of the last position, (batch, vocabulary), to one token a row."""
    if temperature == 0.0:
        return lambda: logits.max(-1)
    batch, vocabulary = logits.shape
    law = torch.empty(batch, vocabulary, dtype=torch.float32, device=logits.device)
    uniforms = torch.rand(batch, dtype=torch.float64, device=logits.device)
    return lambda: draw(token_law(logits, temperature, out=law), uniforms)


def verify_step(logits: Tensor, temperature: float) -> Callable[[], object]:
    """The rejection rule on logits (batch, gamma + 1, vocabulary) and as many random draft laws."""
    batch, width, vocabulary = logits.shape
    gamma = width - 1
    device = logits.device
    tokens = torch.randint(vocabulary, (batch, gamma), device=device)
    law = uniforms = None
    if temperature != 0.0:
        law = torch.softmax(torch.randn(batch, gamma, vocabulary, device=device), -1)
        uniforms = torch.rand(batch, gamma + 1, dtype=torch.float64, device=device)
    return lambda: verify(
        law, logits, draft_tokens=tokens, uniforms=uniforms, temperature=temperature
    )


def copy_step(device: torch.device) -> tuple[Callable[[], object], int]:
    """(copying a large tensor, the bytes that it reads and writes)."""
    size = COPY_BYTES[device.type if device.type in COPY_BYTES else "cpu"]
    source = torch.ones(size // 4, dtype=torch.float32, device=device)
    goal = torch.zeros_like(source)
    return lambda: goal.copy_(source), 2 * size


def launch_step(device: torch.device) -> Callable[[], object]:
    """`LAUNCHES` operations on one number: what is left of an operation when it does nothing."""
    one = torch.zeros(1, device=device)

    def work() -> None:
        for _ in range(LAUNCHES):
            one.zero_()

    return work


def in_inference(work: Callable[[], object]) -> Step:
    """A step that needs no preparation, without the bookkeeping of gradients."""
    guarded: Callable[[], object] = torch.inference_mode()(work)
    return lambda: None, guarded


def _around_missing(work: Work, name: str, batch: int) -> list[Point]:
    """The draws and verifications that are not there yet, without their times."""
    wanted = [("draw", 1, t) for t in TEMPERATURES]
    wanted += [("verify", n - 1, t) for n in work.grid.tokens if n > 1 for t in TEMPERATURES]
    found = []
    for operation, n, t in wanted:
        mode = f"temperature {t:g}"
        if (operation, name, n, batch, None, mode) not in work.journal.done:
            point: Point = {"operation": operation, "model": name, "tokens": n, "batch": batch}
            found.append(point | {"mode": mode, "temperature": t})
    return found


def _around_points(work: Work, name: str, loaded: LoadedModel, batch: int) -> None:
    """Time drawing a token and the rejection rule on logits of this model's vocabulary."""
    clock = work.clock or clock_of(loaded.device)
    steps: list[Step] = []
    points: list[Point] = []
    for point in _around_missing(work, name, batch):
        point["vocabulary"] = loaded.logits
        try:
            step = in_inference(_around_step(loaded, point))
            warmups = clock.time([step] * work.grid.warmup)
        except (RuntimeError, MemoryError) as error:
            work.add(point | {"error": lack_of_memory(error)})
            continue
        steps.append(step)
        points.append(point | {"warmup_s": rounded(warmups)})
    if not points:
        return
    turns = [clock.time(steps) for _ in range(work.grid.repeats)]
    for point, times in zip(points, zip(*turns, strict=True), strict=True):
        work.add(point | {"times_s": rounded(times)})


def _around_step(loaded: LoadedModel, point: Point) -> Callable[[], object]:
    draws = point["operation"] == "draw"
    between = () if draws else (point["tokens"] + 1,)
    shape = (point["batch"], *between, loaded.logits)
    logits = torch.randn(shape, dtype=loaded.model.dtype, device=loaded.device)
    return (draw_step if draws else verify_step)(logits, point["temperature"])


def _machine_points(work: Work, device: torch.device) -> bool:
    """Time a large copy and an operation that does nothing, once."""
    clock = work.clock or clock_of(device)
    for operation in ("copy_bandwidth", "launch"):
        if (operation, None, None, None, None, None) in work.journal.done:
            continue
        if work.seconds_left() <= 0:
            return False
        if operation == "launch":
            piece, about = launch_step(device), {"launches": LAUNCHES}
        else:
            piece, moved = copy_step(device)
            about = {"bytes": moved}
        step = in_inference(piece)
        warmups = clock.time([step] * work.grid.warmup)
        times = [clock.time([step])[0] for _ in range(work.grid.repeats)]
        del step, piece
        let_go()
        timed = {"warmup_s": rounded(warmups), "times_s": rounded(times)}
        work.add({"operation": operation, **about, **timed})
    return True
