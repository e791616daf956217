"""What surrounds the passes of a round: drawing, the rejection rule; large copies and launches.

A round is passes plus these. They depend on the vocabulary and the batch, not on the model's size.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .clock import Step, clock_of
from .cost_blocks import Point, Work, let_go, rounded, timed
from .failures import out_of_memory
from .pairs import LoadedModel
from .plans import TEMPERATURES
from .rejection import draw, token_law, verify

COPY_BYTES = {"cuda": 1 << 30, "cpu": 1 << 27}  # far beyond any cache
LAUNCHES = 100  # of one timed step: a single one is too short for a clock


def _nothing() -> None:
    return None


def draw_step(logits: Tensor, temperature: float) -> Step:
    """From the logits of the last position, (batch, vocabulary), to one token a row."""
    if temperature == 0.0:
        return _nothing, lambda: logits.max(-1)
    batch, vocabulary = logits.shape
    law = torch.empty(batch, vocabulary, dtype=torch.float32, device=logits.device)
    uniforms = torch.rand(batch, dtype=torch.float64, device=logits.device)
    return _nothing, lambda: draw(token_law(logits, temperature, out=law), uniforms)


def verify_step(logits: Tensor, temperature: float) -> Step:
    """The rejection rule on logits (batch, gamma + 1, vocabulary) and as many random draft laws."""
    batch, width, vocabulary = logits.shape
    gamma = width - 1
    device = logits.device
    tokens = torch.randint(vocabulary, (batch, gamma), device=device)
    law = uniforms = None
    if temperature != 0.0:
        law = torch.softmax(torch.randn(batch, gamma, vocabulary, device=device), -1)
        uniforms = torch.rand(batch, gamma + 1, dtype=torch.float64, device=device)
    return _nothing, lambda: verify(
        law, logits, draft_tokens=tokens, uniforms=uniforms, temperature=temperature
    )


def copy_step(device: torch.device) -> tuple[Step, int]:
    """(copying a large tensor, the bytes that it reads and writes)."""
    size = COPY_BYTES[device.type if device.type in COPY_BYTES else "cpu"]
    source = torch.ones(size // 4, dtype=torch.float32, device=device)
    goal = torch.zeros_like(source)
    return (_nothing, lambda: goal.copy_(source)), 2 * size


def launch_step(device: torch.device) -> Step:
    """`LAUNCHES` operations on one number: what is left of an operation when it does nothing."""
    one = torch.zeros(1, device=device)

    def work() -> None:
        for _ in range(LAUNCHES):
            one.zero_()

    return _nothing, work


def in_inference(step: Step) -> Step:
    """The same step without the bookkeeping of gradients."""
    prepare, work = step
    guarded: Callable[[], object] = torch.inference_mode()(work)
    return prepare, guarded


def around_missing(work: Work, name: str, batch: int) -> list[tuple[str, int, float]]:
    """(operation, tokens, temperature) of the draws and verifications that are not there yet."""
    wanted = [("draw", 1, t) for t in TEMPERATURES]
    wanted += [("verify", n - 1, t) for n in work.tokens if n > 1 for t in TEMPERATURES]
    return [
        (operation, n, t)
        for operation, n, t in wanted
        if (operation, name, n, batch, None, mode_of(t)) not in work.journal.done
    ]


def mode_of(temperature: float) -> str:
    return f"temperature {temperature:g}"


def around_points(work: Work, name: str, loaded: LoadedModel, batch: int) -> None:
    """Time drawing a token and the rejection rule on logits of this model's vocabulary."""
    missing = around_missing(work, name, batch)
    clock = work.clock or clock_of(loaded.device)
    steps: list[Step] = []
    points: list[Point] = []
    for operation, n, temperature in missing:
        point: Point = {"operation": operation, "model": name, "tokens": n, "batch": batch}
        point |= {"mode": mode_of(temperature), "temperature": temperature}
        point["vocabulary"] = loaded.logits
        try:
            step = in_inference(_around_step(loaded, operation, n, batch, temperature))
            warmups = clock.time([step] * work.warmup)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            let_go()
            work.add(point | {"error": "out of memory"})
            continue
        steps.append(step)
        points.append(point | {"warmup_s": rounded(warmups)})
    if not points:
        return
    turns = [clock.time(steps) for _ in range(work.repeats)]
    for point, times in zip(points, zip(*turns, strict=True), strict=True):
        work.add(point | {"times_s": rounded(times)})


def _around_step(
    loaded: LoadedModel, operation: str, n: int, batch: int, temperature: float
) -> Step:
    shape = (batch, loaded.logits) if operation == "draw" else (batch, n + 1, loaded.logits)
    logits = torch.randn(shape, dtype=loaded.model.dtype, device=loaded.device)
    return (
        draw_step(logits, temperature) if operation == "draw" else verify_step(logits, temperature)
    )


def machine_points(work: Work, device: torch.device) -> bool:
    """Time a large copy and an operation that does nothing, once."""
    clock = work.clock or clock_of(device)
    for operation in ("copy_bandwidth", "launch"):
        if (operation, None, None, None, None, None) in work.journal.done:
            continue
        if work.seconds_left() <= 0:
            return False
        point: Point = {"operation": operation}
        if operation == "launch":
            step = launch_step(device)
            point["launches"] = LAUNCHES
        else:
            step, moved = copy_step(device)
            point["bytes"] = moved
        step = in_inference(step)
        warmups = clock.time([step] * work.warmup)
        times = [clock.time([step])[0] for _ in range(work.repeats)]
        del step
        let_go()
        work.add(point | timed(warmups, times))
    return True
