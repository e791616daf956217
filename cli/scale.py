"""`howspec scale`: how small and how deep a draft of a target should be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import pair_options as options
from .output import print_json, print_table
from .predict_pair import model_entry, one_thread, summary

if TYPE_CHECKING:
    from ..sim.scale import ScaleAnswer, ScalePoint


def scale(
    target: options.Target,
    device: options.DeviceName,
    batch: options.Batch = 1.0,
    context: options.Context = 0.0,
    dtype: options.Dtype = "",
    stack: options.Stack = "serving",
    task: options.Task = None,
    temperature: options.Temperature = None,
    sizes: Annotated[int, typer.Option(help="Sizes tried from target/2 to target/1000.")] = 19,
    gamma_max: options.GammaMax = 16,
    level: options.Level = 0.9,
    seed: options.Seed = 0,
    online: options.Online = False,
    figure: Annotated[
        Path | None, typer.Option(help="Draw the turning point curve: a .pdf, .png or .svg file.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Find the best size and depth of a draft in the shape of the target's family.

    A smaller draft costs less and is accepted less: the speed-up turns at one size. The table is
    that curve for drafts with the layers usual for their size, each at its best gamma.

    Example:

    howspec scale --target Llama-3.1-70B --device "4x H100" --task chat
    """
    one_thread()
    import numpy as np

    from ..calibrate.models import device as device_of
    from ..calibrate.prior.pair import Load, Use, named
    from ..sim.scale import best_scale

    options.check_numbers(
        gamma_max=gamma_max, level=level, seed=seed, batches=(batch,), context=context
    )
    if not 3 <= sizes <= 60:
        raise ValueError(f"--sizes must be in [3, 60], got {sizes}")
    own = named(target, online=online)
    load = Load(device_of(device), dtype=dtype, stack=stack, batch=batch, context=context)
    use = Use(task, temperature)
    found = best_scale(
        own, load=load, use=use, rng=np.random.default_rng(seed), sizes=sizes,
        gamma_max=gamma_max, draws=options.DRAWS, level=level,
    )  # fmt: skip
    answer = _answer(found, level)
    answer["target"] = model_entry(own)
    answer["setting"] = options.setting_entry(load, found.costs[0], use)
    if figure is not None:
        answer["figure"] = str(_draw(found, own.parameters, own.called, figure))
    if as_json:
        print_json(answer)
    else:
        _print(answer, own.parameters, found)


def _answer(found: ScaleAnswer, level: float) -> dict[str, Any]:
    best = found.best
    pays = best.fits and best.choice.gamma > 0
    notes = list(found.notes)
    if not best.fits:
        line = "" if found.costs[0].memory is None else f": {found.costs[0].memory.line}"
        notes.insert(0, f"NO: no draft fits beside the target{line}")
    elif not pays:
        notes.insert(0, "NO: no size pays here; plain decoding is fastest")
    able = [p for p in found.curve if p.fits]
    turn = max(able, key=lambda p: p.choice.speedup) if able else None
    if turn is not None and pays and turn in (able[0], able[-1]):
        notes.append("the best size is at the end of those tried: the turning point lies beyond")
    if pays and best.depth in (found.depths[0], found.depths[-1]):
        notes.append(
            f"the best depth, {best.depth:g} of the usual layers, is at the end of those tried; "
            "few published pairs tell depth from size"
        )
    interval = found.size_interval
    return {
        "pays": pays,
        "best": _entry(best, level),
        "size_interval": None
        if interval is None
        else {"low": interval[0], "high": interval[1], "level": level},
        "turning_point": None if turn is None else _entry(turn, level),
        "probability_none_pays": found.probability_plain,
        "curve": [_entry(p, level) for p in found.curve],
        "grid": [_entry(p, level) for p in found.grid],
        "parts": {"acceptance": "predicted", "cost": "predicted"},
        "notes": notes,
    }


def _entry(point: ScalePoint, level: float) -> dict[str, Any]:
    choice = point.choice
    return {
        "parameters": point.parameters, "layers": point.shape.layers,
        "hidden": point.shape.hidden, "depth": point.depth, "gamma": choice.gamma,
        "speedup": {
            "estimate": choice.speedup, "low": choice.low, "high": choice.high, "level": level
        },
        "probability_best": point.probability_best,
        "alpha": summary(point.alpha, level),
        "cost_ratio": summary(point.cost_ratio, level),
        "fits": point.fits,
    }  # fmt: skip


def _draw(found: ScaleAnswer, target: float, name: str, path: Path) -> Path:
    from ..figures.turning_curve import turning_curve

    rows = [
        (
            p.parameters / target, p.choice.gamma, p.choice.speedup, p.choice.low, p.choice.high,
            p.probability_best,
        )
        for p in found.curve
    ]  # fmt: skip
    return turning_curve(rows, path, title=name)


def _size(parameters: float) -> str:
    for unit, scale_of in (("B", 1e9), ("M", 1e6)):
        if parameters >= scale_of:
            return f"{parameters / scale_of:.3g}{unit}"
    return f"{parameters:.0f}"


def _print(answer: dict[str, Any], target: float, found: ScaleAnswer) -> None:
    best, interval = answer["best"], answer["size_interval"]
    if answer["pays"]:
        speedup = best["speedup"]
        print(
            f"best draft: {_size(best['parameters'])} parameters "
            f"(1/{target / best['parameters']:.0f} of the target) in {best['layers']} layers "
            f"of width {best['hidden']}, gamma {best['gamma']}: speed-up {speedup['estimate']:.3f} "
            f"({speedup['low']:.3f}-{speedup['high']:.3f})"
        )
        if interval is not None:
            print(
                f"best size, {100 * interval['level']:g} % interval: {_size(interval['low'])} to "
                f"{_size(interval['high'])}"
            )
    else:
        print(answer["notes"][0])
    rows = [
        [
            _size(p["parameters"]), f"1/{target / p['parameters']:.0f}", f"{p['layers']}",
            f"{p['alpha']['estimate']:.3f}", f"{p['cost_ratio']['estimate']:.3f}", f"{p['gamma']}",
            f"{p['speedup']['estimate']:.3f}",
            f"{p['speedup']['low']:.3f}-{p['speedup']['high']:.3f}",
            options.percent(p["probability_best"]),
        ]
        for p in answer["curve"]
    ]  # fmt: skip
    print_table(
        [
            "draft",
            "share",
            "layers",
            "alpha",
            "cost ratio",
            "gamma",
            "speed-up",
            "interval",
            "best",
        ],
        rows,
    )
    depths = sorted({p["depth"] for p in answer["grid"]})
    rows = []
    for depth in depths:
        mine = [p for p in answer["grid"] if p["depth"] == depth and p["fits"]]
        if mine:
            top = max(mine, key=lambda p: p["speedup"]["estimate"])
            rows.append([
                f"{depth:g}", _size(top["parameters"]), f"{top['layers']}", f"{top['hidden']}",
                f"{top['gamma']}", f"{top['speedup']['estimate']:.3f}",
            ])  # fmt: skip
    print_table(["depth / usual", "best size", "layers", "width", "gamma", "speed-up"], rows)
    for note in answer["notes"]:
        print(f"note: {note}")
    if "figure" in answer:
        print(f"figure: {answer['figure']}")
