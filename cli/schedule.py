"""`howspec schedule`: gamma by batch size, as a table or in an engine's own words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import pair_options as options
from .checks import check_gamma_max, check_level, check_seed, spelled, utf8
from .output import print_json, print_table
from .schedule_pair import PairOfSchedule, pair_laws

if TYPE_CHECKING:
    import numpy as np

    from ..calibrate.engines.evidence import Evidence
    from ..sim.emit.emission import Emission
    from ..sim.schedule import Schedule
    from ..theory import CostLaw

ENGINES = ("table", "vllm", "sglang", "tensorrt-llm", "llama.cpp")


def schedule(
    alpha: Annotated[
        str | None, typer.Option(help="Conditional acceptance rate of a draft token, [0, 1].")
    ] = None,
    decay: Annotated[
        float, typer.Option(help="Factor of alpha from one draft position to the next.")
    ] = 1.0,
    acceptance_length: Annotated[
        str | None,
        typer.Option(help="Tokens per round with the bonus token, measured at --gamma."),
    ] = None,
    gamma: Annotated[int | None, typer.Option(help="Draft tokens of the measured rounds.")] = None,
    statistics: Annotated[
        Path | None,
        typer.Option(
            help="Measured acceptance: JSON of `howspec import --json`, a log, or a record."
        ),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Target of a named pair, whose costs are then predicted.")
    ] = None,
    draft: Annotated[
        str | None,
        typer.Option(help="Draft of the pair, or within a record that holds several."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Device of the pair, such as H100 or '2x A100 80GB'.")
    ] = None,
    dtype: options.Dtype = "",
    stack: Annotated[
        str | None, typer.Option(help="Software of the pair: serving (default), or an engine.")
    ] = None,
    task: options.Task = None,
    temperature: options.Temperature = None,
    costs: Annotated[
        Path | None, typer.Option(help="Cost law, a JSON file as in `howspec simulate --costs`.")
    ] = None,
    passes: Annotated[
        Path | None,
        typer.Option(help="Measured passes: CSV with columns pass,batch,tokens,time_ms."),
    ] = None,
    cost_ratio: Annotated[
        float | None, typer.Option(help="Draft step in plain target steps, at every batch.")
    ] = None,
    verify_slope: Annotated[
        float, typer.Option(help="Plain steps that each further token adds to verifying.")
    ] = 0.0,
    overhead: Annotated[
        float, typer.Option(help="Plain steps that a round costs beyond its passes.")
    ] = 0.0,
    overhead_ms: Annotated[
        float, typer.Option(help="Milliseconds that a round costs beyond --passes.")
    ] = 0.0,
    engine: Annotated[str, typer.Option(help=f"One of {', '.join(ENGINES)}.")] = "table",
    batch_max: Annotated[
        int | None, typer.Option(help="Largest batch size; default 256, or the measured one.")
    ] = None,
    context: Annotated[
        str, typer.Option(help="Cached tokens of a sequence; several with commas, weighed alike.")
    ] = "0",
    gamma_max: Annotated[
        int | None,
        typer.Option(
            help="Largest gamma tried; default 16, less where costs or acceptance were measured."
        ),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="Share of speed that fewer changes of gamma may cost.")
    ] = 0.01,
    batch: Annotated[
        int, typer.Option(help="Batch size for engines without a table (llama.cpp).")
    ] = 1,
    method: Annotated[
        str | None, typer.Option(help="Method of the draft, in the engine's words.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Draft model, in the engine's words.")] = None,
    adapt: Annotated[
        bool, typer.Option("--adapt", help="SGLang: let its average choose among likely gammas.")
    ] = False,
    older: Annotated[
        bool, typer.Option("--older", help="Words of older TensorRT-LLM and llama.cpp versions.")
    ] = False,
    level: Annotated[float, typer.Option(help="Probability that an interval holds.")] = 0.9,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Make a schedule: the best gamma by batch size, with few changes, 0 where nothing pays.

    Acceptance comes from --statistics, --acceptance-length with --gamma, or --alpha; costs from a
    law in --costs, a table of measured --passes, or --cost-ratio. For a pair named by --target,
    --draft and --device costs are predicted, and acceptance where it is not given. Batch sizes next
    to each other share a gamma where that costs less than the tolerance.

    Examples:

    howspec schedule --alpha 0.73 --cost-ratio 0.08 --verify-slope 0.02 --engine vllm

    howspec schedule --target Llama-3.1-8B --draft EAGLE3 --device L40S --task chat --context 1000
    """
    import numpy as np

    from ..calibrate.engines.evidence import reach
    from ..calibrate.prior.pair_acceptance import KnownAcceptance
    from ..sim.schedule import make_schedule

    engine = spelled(engine, ENGINES)
    if engine not in ENGINES:
        raise ValueError(f"--engine must be one of {', '.join(ENGINES)}, got {engine!r}")
    for name, used, owners in (
        ("--adapt", adapt, ("sglang",)),
        ("--older", older, ("tensorrt-llm", "llama.cpp")),
        ("--batch", batch != 1, ("llama.cpp",)),
    ):
        if used and engine not in owners:
            raise ValueError(f"{name} goes with --engine {' or '.join(owners)}, got {engine}")
    check_seed(seed)
    check_level(level)
    if gamma_max is not None:
        check_gamma_max(gamma_max, 256)
    contexts = _contexts(context)
    stated = (alpha, acceptance_length, statistics)
    pair = PairOfSchedule(target, draft, device, dtype, stack, task, temperature)
    sources = (costs, passes, cost_ratio, verify_slope, overhead, overhead_ms)
    known: KnownAcceptance | Evidence | None = None
    about: tuple[str, ...] = ()
    law: CostLaw
    if pair.asked:
        _alone(*sources)
        law, known, about = pair_laws(
            pair, context=max(contexts), gamma_max=gamma_max or 16, seed=seed,
            acceptance=all(v is None for v in stated),
        )  # fmt: skip
        most_gamma, most_batch = 16, 256 if law.memory is None else min(256, law.memory.largest)
    else:
        law, most_gamma, most_batch = _cost(*sources)
    kind = "predicted"
    if known is None:
        rng, widest = np.random.default_rng(seed), max(most_gamma, gamma_max or 0)
        known = _evidence(
            rng, alpha, decay, acceptance_length, gamma, statistics, widest,
            None if pair.asked else draft,
        )  # fmt: skip
        kind = "measured" if statistics is None else "imported"
    if gamma_max is None:
        gamma_max = most_gamma if known.gamma is None else min(most_gamma, reach(known.gamma))
    made = make_schedule(
        known.law if isinstance(known, KnownAcceptance) else known.sample,
        law,
        batch_max=most_batch if batch_max is None else batch_max,
        contexts=contexts,
        gamma_max=gamma_max,
        tolerance=tolerance,
        level=level,
        falling=engine == "tensorrt-llm",
    )
    words = {"method": method, "model": model}
    emission = _emit(made, engine, words, batch=batch, adapt=adapt, older=older)
    notes = [*made.notes, *about, *known.notes]
    if known.gamma is not None and max(r.gamma for r in made.ranges) > known.gamma:
        notes.append(f"acceptance beyond position {known.gamma} was not measured, only continued")
    answer = _answer(made, emission, notes, known.given)
    answer["parts"] = {"acceptance": kind, "cost": "predicted" if pair.asked else "measured"}
    if as_json:
        print_json(answer)
    elif emission is None:
        print(f"acceptance: {kind} ({known.given}); costs: {answer['parts']['cost']}")
        _print(made, notes)
    else:
        print(emission.text())
        parts = f"acceptance {kind} ({known.given}), costs {answer['parts']['cost']}"
        for note in (parts, *emission.notes, *notes):
            typer.echo(f"note: {note}", err=True)


def _alone(*sources: Path | float | None) -> None:
    """Raise ValueError where costs are given beside a named pair."""
    names = ("--costs", "--passes", "--cost-ratio", "--verify-slope", "--overhead", "--overhead-ms")
    given = [name for name, value in zip(names, sources, strict=True) if value]
    if given:
        raise ValueError(
            f"costs come from a named pair or from {given[0]}, got both: without --target and "
            "--device, --draft chooses within a record"
        )


def _cost(
    costs: Path | None,
    passes: Path | None,
    cost_ratio: float | None,
    verify_slope: float,
    overhead: float,
    overhead_ms: float,
) -> tuple[CostLaw, int, int]:
    """(cost law, default largest gamma, default largest batch) from the one source given."""
    from ..theory import AffineCost
    from .laws import cost_law

    given = {"--costs": costs, "--passes": passes, "--cost-ratio": cost_ratio}
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        raise ValueError(
            f"schedule needs one of --costs, --passes and --cost-ratio, got {len(named)}"
        )
    if cost_ratio is None and (verify_slope or overhead):
        raise ValueError(f"--verify-slope and --overhead go with --cost-ratio, got {named[0]}")
    if passes is None and overhead_ms:
        raise ValueError(f"--overhead-ms goes with --passes, got {named[0]}")
    if costs is not None:
        return cost_law(str(costs))[0], 16, 256
    if passes is not None:
        from ..calibrate.engines.pass_table import read_pass_table, table_limits

        with utf8(passes):
            table = read_pass_table(passes, overhead_s=1e-3 * overhead_ms)
        gamma, batch = table_limits(table)
        return table, gamma, batch
    assert cost_ratio is not None
    return AffineCost(cost_ratio, verify_slope, overhead), 16, 256


def _evidence(
    rng: np.random.Generator,
    alpha: str | None,
    decay: float,
    acceptance_length: str | None,
    gamma: int | None,
    statistics: Path | None,
    positions: int,
    draft: str | None,
) -> Evidence:
    from ..calibrate.engines import evidence as sources

    given = {"--alpha": alpha, "--acceptance-length": acceptance_length, "--statistics": statistics}
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        raise ValueError(f"schedule needs one of {', '.join(given)}, got {len(named)}")
    if draft is not None and statistics is None:
        raise ValueError("--draft chooses within the record of --statistics, got none")
    if alpha is not None:
        if gamma is not None:
            raise ValueError("--gamma goes with --acceptance-length or --statistics, got --alpha")
        return sources.from_alpha(alpha, rng, decay=decay, positions=positions)
    if decay != 1.0:
        raise ValueError(f"--decay goes with --alpha, got {named[0]}")
    if statistics is not None:
        from ..calibrate.engines.recorded import load_evidence

        return load_evidence(statistics, rng, gamma=gamma, positions=positions, draft=draft)
    if gamma is None:
        raise ValueError("--acceptance-length needs --gamma, the draft tokens it was measured at")
    assert acceptance_length is not None
    return sources.from_length(acceptance_length, gamma, rng, positions=positions)


def _contexts(text: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--context must be numbers with commas, got {text!r}") from None
    if not all(0.0 <= v < float("inf") for v in values):
        raise ValueError(f"--context must be in [0, inf), got {text!r}")
    return values


def _emit(
    made: Schedule,
    engine: str,
    options: dict[str, str | None],
    *,
    batch: int,
    adapt: bool,
    older: bool,
) -> Emission | None:
    if engine == "vllm":
        from ..sim.emit.vllm import emit_vllm

        return emit_vllm(made, **options)
    if engine == "sglang":
        from ..sim.emit.sglang import emit_sglang

        return emit_sglang(
            made, adapt=adapt, method=options["method"] or "EAGLE", model=options["model"]
        )
    if engine == "tensorrt-llm":
        from ..sim.emit.tensorrt_llm import emit_tensorrt_llm

        return emit_tensorrt_llm(made, keys="smallest" if older else "largest", **options)
    if engine == "llama.cpp":
        from ..sim.emit.llama_cpp import emit_llama_cpp

        return emit_llama_cpp(
            made, batch=batch, names="older" if older else "current", model=options["model"]
        )
    return None


def _answer(
    made: Schedule, emission: Emission | None, notes: list[str], given: str
) -> dict[str, Any]:
    return {
        "schedule": [
            {
                "first_batch": r.first,
                "last_batch": r.last,
                "gamma": r.gamma,
                "speedup": r.speedup,
                "best_gamma": list(r.best),
                "gamma_window": list(r.window),
                "loss": r.loss,
                "likely_gammas": list(likely),
            }
            for r, likely in zip(made.ranges, made.likely, strict=True)
        ],
        "best_gamma_by_batch": made.best_gamma,
        "best_speedup_by_batch": made.best_speedup,
        "gamma_max": made.gamma_max,
        "contexts": list(made.contexts),
        "tolerance": made.tolerance,
        "acceptance_from": given,
        "engine": None if emission is None else emission.engine,
        "command": None if emission is None else emission.command,
        "environment": {} if emission is None else emission.environment,
        "files": {} if emission is None else emission.files,
        "config": None if emission is None else emission.config,
        "notes": [*(() if emission is None else emission.notes), *notes],
    }


def _print(made: Schedule, notes: list[str]) -> None:
    rows = []
    for r in made.ranges:
        span = f"{r.first}-{r.last}" if r.last > r.first else f"{r.first}"
        window = f"{r.window[0]}-{r.window[-1]}" if len(r.window) > 1 else f"{r.gamma}"
        best = f"{r.best[0]}-{r.best[1]}" if r.best[0] != r.best[1] else f"{r.best[0]}"
        rows.append([
            span, f"{r.gamma}", f"{r.speedup.estimate:.3f}",
            f"{r.speedup.low:.3f}-{r.speedup.high:.3f}" if r.gamma else "-",
            window, best, f"{100 * r.loss:.1f} %",
        ])  # fmt: skip
    columns = ["batch", "gamma", "least speed-up", "interval", "within tolerance", "best", "loss"]
    print_table(columns, rows)
    for note in notes:
        print(f"note: {note}")
