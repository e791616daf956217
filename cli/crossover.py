"""`howspec crossover`: batch, context and load at which a pair stops paying."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import pair_options as options
from .output import print_json, print_table, whole
from .predict_pair import model_entry, one_thread

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..calibrate.prior.costs import PredictedCost
    from ..calibrate.prior.pair import Load, NamedModel, Use
    from ..sim.crossover import Crossing

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
    from ..calibrate.models import device as device_of
    from ..calibrate.prior.heads import head_dtype, named_draft
    from ..calibrate.prior.pair import Load, Use, named
    from ..sim.crossover import batches_up_to, crossings

    options.check_numbers(
        gamma_max=gamma_max, level=level, seed=seed, batches=(batch,), context=context
    )
    if not 2 <= batch_max <= 10**6:
        raise ValueError(f"--batch-max must be in [2, 1e6], got {batch_max}")
    own = named(target, online=online)
    small, head = named_draft(draft, own, online=online)
    machine = device_of(device)
    load = Load(
        machine, dtype=dtype, stack=stack, batch=batch, context=context,
        draft_dtype=head_dtype(own, head, machine, dtype) if head else "",
    )  # fmt: skip
    use = Use(task, temperature)
    law, tokens, about = _laws(own, small, head, load, use, seed, gamma_max)
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
    notes = [*law.notes, *about]
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


def _laws(
    own: NamedModel,
    small: NamedModel,
    head: str | None,
    load: Load,
    use: Use,
    seed: int,
    gamma_max: int,
) -> tuple[PredictedCost, NDArray[np.float64], tuple[str, ...]]:
    """(costs, tokens per round of shape (draws, gammas), notes on the acceptance)."""
    import numpy as np

    from ..calibrate.depth import damped
    from ..sim.choice import tokens_table
    from ..theory import tokens_by_gamma

    if head is None:
        expected = options.expectation(own, [small], load=load, use=use, seed=seed)
        forecast = expected.acceptance.of(0)
        law = damped(forecast.law, gamma_max)
        return expected.costs[0], tokens_table(law, gamma_max), forecast.notes
    from ..calibrate.prior.heads import expected_head, head_costs

    for_costs, for_acceptance = np.random.default_rng(seed).spawn(2)
    cost = head_costs(own, small, load=load, rng=for_costs, draws=options.DRAWS)
    known = expected_head(
        head, own.called, for_acceptance, task=use.task, temperature=use.temperature,
        positions=gamma_max, draws=options.DRAWS,
    )  # fmt: skip
    return cost, tokens_by_gamma(known.law, gamma_max), known.notes


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
        return f"{name}: NO, it pays at none up to {whole(entry['looked_up_to'])} {unit} ({where})"
    end = entry["stops_at"]
    begin = ""
    if entry["starts_at"] is not None:
        begin = f"pays from {whole(entry['starts_at'])} on; "
    ends = [
        f"{whole(v)}" if v is not None else f"beyond {whole(entry['looked_up_to'])}"
        for v in (entry["low"], entry["high"])
    ]
    if entry["low"] is None:
        ends = [ends[0]]
    sure = f"{100 * entry['level']:g} % interval {' to '.join(ends)}"
    if end is None:
        return (
            f"{name}: {begin}pays up to {whole(entry['looked_up_to'])} {unit}, "
            f"the largest looked at ({where}; stops: {sure})"
        )
    return f"{name}: {begin}stops paying at {whole(end)} {unit} ({where}; {sure})"


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
                whole(entry['values'][i]), f"{entry['gamma'][i]}", f"{entry['speedup'][i]:.3f}",
                f"{entry['speedup_low'][i]:.3f}-{entry['speedup_high'][i]:.3f}"
                if entry["gamma"][i] else "-",
                options.percent(entry["probability_gain"][i]),
            ]
            for i in shown
        ]  # fmt: skip
        print_table([name, "gamma", "speed-up", "interval", "pays"], rows)
    for note in answer["notes"]:
        print(f"note: {note}")
