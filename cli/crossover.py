"""`howspec crossover`: batch, context and load at which a pair stops paying."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import pair_options as options
from .output import print_json, print_table
from .predict_pair import model_entry, one_thread

if TYPE_CHECKING:
    from ..calibrate.prior.pair_crossover import Crossing

UNITS = {"batch": "sequences", "context": "tokens", "load": "tokens/s"}


def crossover(
    target: options.Target,
    draft: options.Draft,
    device: options.DeviceName,
    batch: options.Batch = 1.0,
    context: options.Context = 1000.0,
    batch_max: Annotated[
        int, typer.Option(help="Largest batch looked at; less where memory ends before.")
    ] = 1024,
    dtype: options.Dtype = "",
    stack: options.Stack = "serving",
    task: options.Task = None,
    temperature: options.Temperature = None,
    gamma_max: options.GammaMax = 16,
    level: options.Level = 0.9,
    seed: options.Seed = 0,
    online: options.Online = False,
    as_json: options.Json = False,
) -> None:
    """Find the batch, context and load at which the best gamma becomes 0.

    Batch and load at --context tokens a sequence, context at --batch sequences. The load is of
    generated tokens, with the batch that keeps up with it.

    Example:

    howspec crossover --target Llama-3.1-8B --draft Llama-3.2-1B --device H100 --task chat
    """
    one_thread()
    import numpy as np

    from ..calibrate.models import device as device_of
    from ..calibrate.prior.pair import Load, Use, expect, named
    from ..calibrate.prior.pair_crossover import batches_up_to, crossings
    from ..calibrate.prior.pair_tables import damped, tokens_table

    options.check_numbers(gamma_max=gamma_max, level=level, batches=(batch,))
    if not 2 <= batch_max <= 10**6:
        raise ValueError(f"--batch-max must be in [2, 1e6], got {batch_max}")
    own, small = named(target, online=online), named(draft, online=online)
    load = Load(device_of(device), dtype=dtype, stack=stack, batch=batch, context=context)
    use = Use(task, temperature)
    rng = np.random.default_rng(seed)
    expected = expect(own, [small], load=load, use=use, rng=rng, draws=options.DRAWS)
    law = expected.costs[0]
    tokens = tokens_table(damped(expected.acceptance.of(0).law, gamma_max), gamma_max)
    longest = float(min(own.shape.context, small.shape.context))
    contexts = [c for c in _contexts(int(longest)) if _holds(law, batch, c)] or [0.0]
    largest = batch_max if law.memory is None else min(batch_max, law.memory.largest)
    found = crossings(
        tokens,
        law,
        batches=batches_up_to(largest),
        contexts=contexts,
        batch=batch,
        context=context,
        level=level,
    )
    notes = [*law.notes, *expected.acceptance.of(0).notes]
    if contexts[-1] < min(own.shape.context, small.shape.context):
        notes.append(f"memory ends before context {longest:g} at batch {batch:g}")
    if 1 <= largest < batch_max:
        notes.append(f"memory ends at batch {largest}, at context {context:g}")
    fits = largest >= 1
    entries = {str(name): _entry(c, level) for name, c in found.items()}
    if not fits:
        for entry in entries.values():
            entry |= {"pays": False, "stops_at": None, "low": None, "high": None}
    answer: dict[str, Any] = {
        **entries,
        "fits": fits,
        "largest_batch": largest,
        "target": model_entry(own),
        "draft": model_entry(small),
        "setting": options.setting_entry(load, law, use),
        "parts": {"acceptance": "predicted", "cost": "predicted"},
        "notes": list(dict.fromkeys(notes)),
    }
    if as_json:
        print_json(answer)
    else:
        _print(answer, batch, context)


def _contexts(longest: int) -> tuple[float, ...]:
    """Contexts from 0 to the longest that both models take."""
    top = max(int(longest), 1024)
    steps = [0.0, 256.0]
    while steps[-1] * 2.0 < top:
        steps.append(steps[-1] * 2.0)
    return (*steps, float(top))


def _holds(law: Any, batch: float, context: float) -> bool:
    """Whether both models and the caches of the batch fit at a context."""
    need = law.memory
    if need is None:
        return True
    caches = sum(p.model.cache_bytes(context) for p in (law.target, law.draft))
    return bool(need.weights + batch * caches <= need.usable)


def _entry(crossing: Crossing, level: float) -> dict[str, Any]:
    return {
        "pays": crossing.pays,
        "stops_at": crossing.at if crossing.pays else None,
        "low": crossing.low, "high": crossing.high, "level": level,
        "starts_at": crossing.starts, "looked_up_to": crossing.values[-1],
        "values": crossing.values, "gamma": crossing.gamma, "speedup": crossing.speedup,
        "speedup_low": crossing.speedup_low, "speedup_high": crossing.speedup_high,
        "probability_gain": crossing.probability_gain,
    }  # fmt: skip


def _line(name: str, entry: dict[str, Any], where: str) -> str:
    unit = UNITS[name]
    if not entry["pays"]:
        return f"{name}: NO, it pays at none up to {entry['looked_up_to']:.5g} {unit} ({where})"
    end = entry["stops_at"]
    begin = ""
    if entry["starts_at"] is not None:
        begin = f"pays from {entry['starts_at']:.5g} on; "
    ends = [
        f"{v:.4g}" if v is not None else f"beyond {entry['looked_up_to']:.4g}"
        for v in (entry["low"], entry["high"])
    ]
    if entry["low"] is None:
        ends = [ends[0]]
    sure = f"{100 * entry['level']:g} % interval {' to '.join(ends)}"
    if end is None:
        return (
            f"{name}: {begin}pays up to {entry['looked_up_to']:.5g} {unit}, the largest looked at "
            f"({where}; stops: {sure})"
        )
    return f"{name}: {begin}stops paying at {end:.4g} {unit} ({where}; {sure})"


def _print(answer: dict[str, Any], batch: float, context: float) -> None:
    if not answer["fits"]:
        print("NO: target and draft do not fit in memory")
        for note in answer["notes"]:
            print(f"note: {note}")
        return
    print(_line("batch", answer["batch"], f"context {context:g}"))
    print(_line("context", answer["context"], f"batch {batch:g}"))
    print(_line("load", answer["load"], f"context {context:g}"))
    for name in ("batch", "context"):
        entry = answer[name]
        shown = range(0, len(entry["values"]), 3 if name == "batch" else 1)
        rows = [
            [
                f"{entry['values'][i]:g}", f"{entry['gamma'][i]}", f"{entry['speedup'][i]:.3f}",
                f"{entry['speedup_low'][i]:.3f}-{entry['speedup_high'][i]:.3f}"
                if entry["gamma"][i] else "-",
                options.percent(entry["probability_gain"][i]),
            ]
            for i in shown
        ]  # fmt: skip
        print_table([name, "gamma", "speed-up", "interval", "pays"], rows)
    for note in answer["notes"]:
        print(f"note: {note}")
