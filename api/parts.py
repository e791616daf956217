"""Parts that several answers share: models, settings, what an answer rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from .table import Column, Table, between, percent, span, sure

if TYPE_CHECKING:
    from .calibrate.doors import Pair
    from .calibrate.known import KnownCosts, MemoryUse
    from .calibrate.learned.near_best import NearBest
    from .calibrate.named import NamedModel
    from .sim.choice import Objective
    from .sim.known import Laws
    from .sim.pair import PairPrediction, Speed
    from .sim.prediction import Prediction
    from .theory.domain import Floats
    from .theory.interval import Interval

CLEAR = 0.9  # probability within 5 % of the best from which on an optimum is called clear


def model_entry(model: NamedModel | None, name: str | None = None) -> object:
    """A model as it stands in an answer; the name alone where no table knows it."""
    if model is None:
        return name
    return {
        "name": model.called, "table_name": model.shape.name, "parameters": model.parameters,
        "layers": model.shape.layers, "vocab": model.shape.vocab,
    }  # fmt: skip


def pair_entry(pair: Pair) -> Mapping[str, object]:
    """The pair and its load."""
    at = pair.at
    entry: dict[str, object] = {
        "target": model_entry(pair.target, at.target), "draft": model_entry(pair.draft, at.draft),
        "device": at.device, "task": at.task, "temperature": at.temperature, "batch": at.batch,
        "context": at.cached, "head": pair.head,
    }  # fmt: skip
    if pair.target is not None and pair.draft is not None:
        from .calibrate.named import same_vocabulary

        entry["same_vocabulary"] = pair.head is not None or same_vocabulary(
            *(m.shape for m in pair.models)
        )
    return entry


def setting_entry(pair: Pair, costs: KnownCosts) -> Mapping[str, object]:
    """What ran where."""
    return {
        "device": costs.device or pair.at.device, "stack": costs.stack, "dtype": costs.dtype,
        "draft_dtype": costs.draft_dtype, "batch": pair.at.batch, "context": pair.at.cached,
        "task": pair.at.task, "temperature": pair.at.temperature,
    }  # fmt: skip


def objective_entry(objective: Objective, estimate: str = "") -> Mapping[str, object]:
    """What was made largest, and which mean over the draws the estimates are, or what else."""
    from .sim.choice import MEANINGS

    meaning, mean = MEANINGS[objective]
    return {"name": objective, "meaning": meaning, "estimate": estimate or mean}


def stakes_entry(said: Prediction, estimate: str = "") -> Mapping[str, object]:
    """The objective of a choice, how safe it is and what not knowing costs, and so every gamma."""
    return {
        "objective": objective_entry(said.objective, estimate),
        "probability_within_5_percent": said.within,
        "expected_regret": said.regret,
        "probability_within_5_percent_by_gamma": said.probability_within,
        "expected_regret_by_gamma": said.expected_regret,
        "score_by_gamma": said.score,
    }  # fmt: skip


def prediction_entry(
    said: Prediction, *, pays: bool, break_even: float | None
) -> dict[str, object]:
    """The best gamma, and every gamma, as they stand in an answer."""
    return {
        "gamma": said.gamma, "speedup": said.speedup, "pays": pays,
        "speedup_by_gamma": said.speedup_by_gamma, "low_by_gamma": said.low_by_gamma,
        "high_by_gamma": said.high_by_gamma, "gamma_real": said.gamma_real,
        "gamma_window": said.gamma_window, "break_even_alpha": break_even,
        "probability_best": said.probability_best, "probability_gain": said.probability_gain,
    }  # fmt: skip


def by_gamma_table(
    said: Prediction,
    first: int,
    *,
    exact: bool = False,
    measured: Mapping[int, float] | None = None,
) -> Table:
    """Speed-up by gamma from the first one on, with intervals unless all is exact."""
    at = range(first, min(len(said.speedup_by_gamma), max(said.gamma_window[-1] + 4, 9)))
    columns = [
        Column("gamma", list(at)),
        Column("speed-up", [float(said.speedup_by_gamma[g]) for g in at], ".3f"),
    ]
    if not exact:
        ends = [(said.low_by_gamma[g], said.high_by_gamma[g]) if g else None for g in at]
        columns += [
            Column("interval", ends, between),
            Column("within 5 %", [float(said.probability_within[g]) for g in at], percent),
            Column("time lost", [float(said.expected_regret[g]) for g in at], lost),
            *asked_column(said.objective, [float(said.score[g]) for g in at]),
        ]
    if measured is not None:
        columns.append(Column("measured", [measured.get(g) for g in at], ".3f"))
    return Table(tuple(columns))


def break_even_line(alpha: float) -> str:
    """Where speculation begins to pay."""
    return f"break-even: speculation pays where alpha is above {alpha:.3f}"


def objective_line(objective: Objective) -> str:
    """The objective and its estimates in words."""
    from .sim.choice import MEANINGS

    meaning, mean = MEANINGS[objective]
    return f"objective: {objective} ({meaning}); speed-ups: {mean} over what may be true"


def safe(within: float, of: str = "the best") -> str:
    """How safe a choice is, in words: a share of the draws is no frequency that was tested."""
    return f"within 5 % of {of} in {percent(within)} of draws"


def shares_line() -> str:
    """What shares of draws are worth where nothing of the drafts is measured."""
    return (
        "shares are of draws of what may be true: in published sweeps that were asked by their "
        "names, such shares did not tell which choices came near the best"
    )


def near_line(known: NearBest) -> str:
    """What stands behind the rate at which choices from names alone came near the best."""
    return (
        f"cases like it: {known.sweeps} published sweeps of {known.studies} studies, asked by "
        "their names; the gamma chosen came within 5 % of the best in "
        f"{percent(known.rate)}, alike sweeps of a study counted less; the shares of draws in the "
        "column did not tell which"
    )


def optimum(said: Prediction) -> str:
    """How the best gamma stands out, in words."""
    window = said.gamma_window
    if len(window) > 1:
        return f"flat: {window[0]}-{window[-1]} within 1 %"
    return "a clear optimum" if said.within >= CLEAR else "an uncertain optimum"


def asked_column(objective: Objective, scores: Iterable[float | None]) -> tuple[Column, ...]:
    """What the default objective makes least, where it is asked: the loss in the worst tenth."""
    if objective != "safe":
        return ()
    return (Column("worst tenth", [None if s is None else 1.0 - s for s in scores], lost),)


def lost(regret: object) -> str:
    """An expected regret as a share of the time."""
    assert isinstance(regret, float)
    return f"{100 * regret:.1f} %"


def or_more(said: Prediction) -> str:
    """The best gamma, which is the largest one tried or more than that."""
    last = len(said.speedup_by_gamma) - 1
    return f"{said.gamma} or more" if said.gamma == last else f"{said.gamma}"


def stake(regret: float) -> str:
    """What not knowing more costs, in words."""
    return f"not knowing more costs {lost(regret)} of the time"


def parts_entry(laws: Laws, found: PairPrediction) -> Mapping[str, object]:
    """Where acceptance and costs come from, and what they come to."""
    known, costs = laws.acceptance, laws.costs
    return {
        "acceptance": {
            "kind": known.kind, "source": known.given, "alpha": found.alpha,
            "citations": known.sources,
        },
        "cost": {
            "kind": costs.kind, "source": costs.given, "cost_ratio": found.cost_ratio,
            "plain_step_s": None if found.plain is None else seconds(found.plain),
            "stack": costs.stack or None, "device": costs.device or None,
            "dtype": costs.dtype or None, "draft_dtype": costs.draft_dtype or None,
            "memory": None if costs.memory is None else _memory_entry(costs.memory),
            "citations": costs.sources,
        },
    }  # fmt: skip


def _memory_entry(memory: MemoryUse) -> Mapping[str, object]:
    names = ("fits", "line", "weights_bytes", "target_bytes", "caches_bytes", "usable_bytes",
             "largest_batch")  # fmt: skip
    return {name: getattr(memory, name) for name in names}


def seconds(speed: Speed) -> Interval:
    """Time of a token of one sequence in seconds."""
    from .theory.interval import Interval

    ms = speed.ms_per_token
    return Interval(1e-3 * ms.estimate, 1e-3 * ms.low, 1e-3 * ms.high, ms.level)


def part_lines(laws: Laws, alpha: Interval | None, ratio: Interval | None) -> Iterator[str]:
    """Lines that say where acceptance and costs come from."""
    known, costs = laws.acceptance, laws.costs
    for name, kind, given, quantity, value in (
        ("acceptance", known.kind, known.given, "alpha", alpha),
        ("costs", costs.kind, costs.given, "cost ratio", ratio),
    ):
        line = f"{name}: {kind} ({given})"
        if value is not None:
            line += f"; {quantity} {value.estimate:.3f}"
            if not value.exact:
                line += f" ({sure(value)})"
        yield line


def speed_table(plain: Speed, speculative: Speed, gamma: int, batch: float) -> Table:
    """Absolute speeds of plain decoding and of speculating, medians with their intervals."""
    ways = [plain, speculative] if gamma else [plain]
    names = {
        "ms_per_token": "ms a token", "tokens_per_s": "tokens/s",
        "batch_tokens_per_s": f"tokens/s of {batch:g}",
        "price_per_million_tokens": "price a million tokens",
        "wh_per_million_tokens": "Wh a million tokens",
    }  # fmt: skip
    if batch == 1.0:
        names.pop("batch_tokens_per_s")
    columns = [Column("way", ["plain", f"gamma {gamma}"][: len(ways)])]
    for field, name in names.items():
        values = [getattr(w, field) for w in ways]
        if values[0] is not None:
            columns.append(Column(name, values, _shown))
    return Table(tuple(columns))


def _shown(value: object) -> str:
    middle = value.estimate  # type: ignore[attr-defined]
    digits = 2 if middle < 10 else 1 if middle < 100 else 0
    return f"{middle:.{digits}f} ({span(value, digits)})"


def interval_of(sample: Floats | None, level: float) -> Interval | None:
    """The median of draws with its interval, None without draws."""
    from .theory.interval import median_interval

    return None if sample is None else median_interval(sample, level)


def asked(given: Mapping[str, object], verb: Callable[..., object]) -> dict[str, object]:
    """What a verb was asked, without what was left at its default."""
    from inspect import signature

    usual = {name: p.default for name, p in signature(verb).parameters.items()}
    return {
        name: value if isinstance(value, int | float | str | list | tuple) else str(value)
        for name, value in given.items()
        if value is not None
        and not callable(value)
        and not (isinstance(value, type(usual[name])) and value == usual[name])
    }
