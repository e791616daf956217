"""`howspec calibrate costs`: what a pass of a target and its drafts takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .calibrate_pair import check_place, require_extra
from .checks import check_seconds, check_seed, names_of, record_place
from .output import print_json, print_table
from .progress import progress_bar, quiet_libraries

if TYPE_CHECKING:
    from pathlib import Path

    from ..calibrate.measure.pairs import LoadedModel


def costs(
    target: Annotated[
        str, typer.Option(help="The target: a hub name, a folder, or a name such as Pythia-2.8B.")
    ],
    out: Annotated[str, typer.Option(help="File of the record, .json, or its folder.")],
    draft: Annotated[
        list[str] | None, typer.Option(help="Draft, the same way; several times, or with commas.")
    ] = None,
    random_weights: Annotated[
        bool,
        typer.Option(
            "--random-weights", help="Weights drawn at random: nothing is downloaded, times hold."
        ),
    ] = False,
    tokens: Annotated[
        str, typer.Option(help="New tokens of a pass: numbers and ranges with commas.")
    ] = "1-9,12,16,24,33",
    batch: Annotated[str, typer.Option(help="Sequences of a pass, with commas.")] = "1",
    context: Annotated[str, typer.Option(help="Tokens before the pass, with commas.")] = "128",
    gamma: Annotated[
        str,
        typer.Option(help="Draft tokens of the rounds that are timed as a whole; 0 for none."),
    ] = "1-8",
    mode: Annotated[
        str, typer.Option(help="eager, graph (CUDA only), both, or auto: both on CUDA.")
    ] = "auto",
    repeats: Annotated[int, typer.Option(help="Timed passes of a point.")] = 15,
    warmup: Annotated[int, typer.Option(help="Untimed passes of a point, kept apart.")] = 3,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")] = "auto",
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run code that comes with the model.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of random weights.")] = 0,
    seconds: Annotated[
        float | None,
        typer.Option(help="Stop cleanly after about so long; the same command goes on."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Time passes of 1 to 33 new tokens: c = draft / target, and the verify curve V(n) / V(1).

    With a draft, whole rounds are timed too, because a pass between passes of another model can be
    slower than one that follows itself. The times, with warm-ups, are in the record; printed are
    medians and quartiles.

    Example:

    howspec calibrate costs --target GPT2 --draft DistilGPT2 --random-weights --tokens 1-4
    --context 64 --gamma 1-3 --repeats 5 --out costs.json
    """
    from ..calibrate.measure.sources import check_models

    folder, file_name = record_place(out, "costs")
    file = folder / f"{file_name}.json"
    check_place(device, dtype)
    check_seconds("--seconds", seconds)
    check_seed(seed)
    names = (target, *names_of(draft))
    settings = {
        "tokens": ranges(tokens, "--tokens"),
        "batches": ranges(batch, "--batch"),
        "contexts": ranges(context, "--context", least=0),
        "modes": _modes(mode, device),
        "repeats": _whole("--repeats", repeats, 1),
        "warmup": _whole("--warmup", warmup, 0),
        "gammas": ranges(gamma, "--gamma") if draft and gamma.strip() != "0" else [],
    }
    require_extra()
    check_models(names, random_weights=random_weights)
    with quiet_libraries():
        from ..calibrate.measure.cost_summary import cost_notes, cost_rows, round_rows
        from ..calibrate.measure.pairs import choose_device, choose_dtype, load_model

        place = choose_device(device)
        settings["modes"] = _modes(mode, place.type)
        number = str(choose_dtype(dtype, device=place)).removeprefix("torch.")
        models = {}
        for name in names:
            loaded = load_model(
                name,
                device=str(place),
                dtype=number,
                trust_remote_code=trust_remote_code,
                random_weights=random_weights,
                seed=seed,
            )
            models[loaded.name] = loaded
        points, complete = _measured(models, file, settings, place=str(place), seconds=seconds)
    first = next(iter(models))
    rows, rounds = cost_rows(points, target=first), round_rows(points)
    notes = cost_notes([*rows, *rounds])
    if as_json:
        pair = {"target": first, "drafts": list(models)[1:]}
        found = {"passes": rows, "rounds": rounds, "notes": notes}
        print_json({"record": str(file), "complete": complete, **pair, **found})
        return
    _print(rows, target=first)
    if rounds:
        print()
        _print_rounds(rounds)
    for note in notes:
        print(f"note: {note}")
    print(f"{file}: {len(points)} points" if complete else "not complete: run the command again")


def _measured(
    models: dict[str, LoadedModel],
    file: Path,
    settings: dict[str, Any],
    *,
    place: str,
    seconds: float | None,
) -> tuple[list[dict[str, Any]], bool]:
    """(all points there are, whether none is missing); the record is written when none is."""
    import time
    from itertools import product

    from ..calibrate.measure.costs import measure_costs
    from ..calibrate.measure.plans import RoundPlan
    from ..calibrate.measure.round_costs import measure_rounds
    from ..calibrate.records import Journal, collect_provenance

    identities = {name: model.identity for name, model in models.items()}
    number = next(iter(identities.values()))["dtype"]
    origin = collect_provenance(place, number, models=identities)
    ends = time.monotonic() + seconds if seconds is not None else float("inf")
    passes = {k: v for k, v in settings.items() if k != "gammas"}
    plan = None
    if settings["gammas"]:
        plan = RoundPlan(
            gammas=tuple(settings["gammas"]),
            shapes=tuple(product(settings["batches"], settings["contexts"])),
            modes=tuple(settings["modes"]),
            repeats=settings["repeats"],
        )
    with (
        Journal.open(
            file.parent, file.stem, kind="costs", settings=settings, provenance=origin
        ) as journal,
        progress_bar() as report,
    ):
        given: dict[str, Any] = {
            "seconds_left": lambda: ends - time.monotonic(),
            "progress": report,
        }
        complete = measure_costs(models, journal, **passes, **given)
        if complete and plan is not None:
            target, *drafts = models.values()
            named = {draft.name: draft for draft in drafts}
            complete = measure_rounds(target, named, journal, plan=plan, **given)
        if complete:
            journal.finish()
        return list(journal.points), complete


def _whole(name: str, value: int, least: int) -> int:
    if value < least:
        raise ValueError(f"{name} must be a whole number >= {least}, got {value}")
    return value


def ranges(text: str, name: str, *, least: int = 1) -> list[int]:
    """Numbers and ranges with commas: 1-3,8 is 1, 2, 3 and 8."""
    found: list[int] = []
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        if not low.isdecimal() or (dash and not high.isdecimal()):
            raise ValueError(f"{name} must be whole numbers and ranges like 1-9,12, given {text!r}")
        first, last = _whole(name, int(low), least), int(high) if dash else int(low)
        if last < first:
            raise ValueError(f"{name} has a range that falls: {part.strip()}")
        found += range(first, last + 1)
    return sorted(set(found))


def _modes(mode: str, device: str) -> list[str]:
    known = {"eager": ["eager"], "graph": ["graph"], "both": ["eager", "graph"]}
    known["auto"] = known["both"] if device.startswith("cuda") else known["eager"]
    if mode not in known:
        raise ValueError(f"--mode must be one of eager, graph, both, auto, given {mode!r}")
    if device == "cpu" and "graph" in known[mode]:
        raise ValueError(f"--mode {mode} needs a CUDA device, given {device}")
    return known[mode]


def _print(rows: list[dict[str, Any]], *, target: str) -> None:
    columns = ("model", "batch", "context", "mode", "n", "ms", "quartiles", "c", "V(n)/V(1)")
    table = []
    for row in rows:
        place = [row["model"], *(str(row[k]) for k in ("batch", "context", "mode", "tokens"))]
        if "error" in row:
            table.append([*place, row["error"], "", "", ""])
            continue
        spread = f"{1e3 * row['low_s']:.3g} to {1e3 * row['high_s']:.3g}"
        ratio = "" if row["model"] == target else _ratio(row["cost_ratio"])
        table.append(
            [*place, f"{1e3 * row['median_s']:.3g}", spread, ratio, _ratio(row["verify_ratio"])]
        )
    print_table(columns, table)


def _print_rounds(rows: list[dict[str, Any]]) -> None:
    columns = ("rounds of", "batch", "context", "mode", "gamma", "ms", "quartiles", "plain steps")
    table = []
    for row in rows:
        place = [row["draft"], *(str(row[k]) for k in ("batch", "context", "mode", "gamma"))]
        if "error" in row:
            table.append([*place, row["error"], "", ""])
            continue
        spread = f"{1e3 * row['low_s']:.3g} to {1e3 * row['high_s']:.3g}"
        table.append([*place, f"{1e3 * row['median_s']:.3g}", spread, _ratio(row["plain_steps"])])
    print_table(columns, table)


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
