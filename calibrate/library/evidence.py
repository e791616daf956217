"""What has been measured of a target, a draft or a device: typed rows, each with its citation.

All bundled tables of published numbers speak through one row, `Measurement`. Rows are found by the
models and devices that their names mean, not by how a source spells them.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cache, lru_cache

from ..prior.stacks import stack_in
from .load import METRICS, bundled_bytes, device_name, drafter_of, model_name

Row = dict[str, str]


@dataclass(frozen=True)
class Measurement:
    """One published number with its definition and conditions; None and "" where not stated.

    metric, value, unit: see `METRICS`; target_model, draft_model, device: as the tables of models
    and devices have them, "" where they have none; drafter: its kind, "" for plain decoding.
    gamma: tokens drafted in a round; batch: sequences in flight; rates: share of rounds that accept
    positions 1, 2, ...; plain: plain decoding in the unit of the value. status: measured, computed,
    approximate, assumed or secondary; objection: why not to score it.
    """

    id: str
    table: str
    citation: str
    metric: str
    value: float
    target: str = ""
    target_model: str = ""
    target_format: str = ""
    draft: str = ""
    drafter: str = ""
    draft_model: str = ""
    draft_format: str = ""
    kv_format: str = ""
    engine: str = ""
    stack: str = ""
    hardware: str = ""
    device: str = ""
    devices: int | None = None
    task: str = ""
    batch: float | None = None
    context: float | None = None
    temperature: float | None = None
    gamma: int | None = None
    drafting: str = ""
    execution: str = ""
    p_min: float | None = None
    position: int | None = None
    rates: tuple[float, ...] = ()
    plain: float | None = None
    round_ms: float | None = None
    sample: str = ""
    status: str = "measured"
    objection: str = ""
    notes: str = ""

    @property
    def unit(self) -> str:
        """Unit of the value, "1" for a pure number."""
        return METRICS[self.metric][0]

    @property
    def cost_stack(self) -> str:
        """The stack that `predict_costs` knows such software by, "" where none is stated."""
        if self.execution == "eager":
            return "eager"
        return "llama.cpp" if self.stack == "native" else self.stack

    @property
    def scored(self) -> bool:
        """Whether the number may be tested against: measured, and without an objection."""
        return self.status == "measured" and not self.objection


_NUMBERS: dict[str, type[float | int]] = {
    "value": float, "temperature": float, "p_min": float, "plain": float, "round_ms": float,
    "batch": float, "context": float, "devices": int, "gamma": int, "position": int,
}  # fmt: skip
_SAME = ("id", "target", "draft", "engine", "task", "drafting", "sample", "notes")
_RENAMED = {"batch_sequences": "batch", "context_tokens": "context", "gamma_tokens": "gamma"}


@cache
def _read(name: str) -> tuple[dict[str, int], tuple[list[str], ...]]:
    """(where each column stands, cells of the rows) of a bundled table as they are: the tests hold
    them against the schemas. Most questions make a `Row` of a few of them only.
    """
    lines = csv.reader(bundled_bytes(name).decode("utf-8").splitlines())
    header = next(lines)
    return {column: i for i, column in enumerate(header)}, tuple(lines)


def _row(name: str, cells: list[str]) -> Row:
    return dict(zip(_read(name)[0], cells, strict=True))


@cache
def _citations() -> dict[str, str]:
    rows = (_row("measured_sources", cells) for cells in _read("measured_sources")[1])
    return {r["source"]: r["citation"] + (f" ({r['terms']})" if r["terms"] else "") for r in rows}


def _of_2026(row: Row) -> Iterator[Measurement]:
    cells: dict[str, object] = {"table": "measured"}
    for key, value in row.items():
        name = _RENAMED.get(key, key)
        if name in _NUMBERS:
            cells[name] = _NUMBERS[name](value) if value else None
        elif name == "rates":
            cells[name] = tuple(float(v) for v in value.split())
        elif name not in ("source", "place"):
            cells[name] = value
    place = f", {row['place']}" if row["place"] else ""
    cells["citation"] = _citations()[row["source"]] + place
    yield Measurement(**cells)  # type: ignore[arg-type]


def _stack(engine: str) -> str:
    named = stack_in(engine)
    return "native" if named == "llama.cpp" else named


def _number(row: Row, name: str) -> float | None:
    value = row.get(name, "")
    return float(value) if value else None


def _common(row: Row, table: str, **changed: object) -> dict[str, object]:
    """What the older tables share; several values of a row become rows of their own."""
    hardware, draft = row.get("hardware", "") or row.get("chip", ""), row.get("draft", "")
    device, count = device_name(hardware)
    gamma, drafter = _number(row, "gamma_tokens"), drafter_of(draft, row.get("method", ""))
    same = {name: row.get(name, "") for name in _SAME}
    return same | {
        "table": table, "citation": row.get("source", ""),
        "target_model": model_name(same["target"]), "drafter": drafter,
        "draft_model": model_name(draft) if drafter == "model" else "",
        "target_format": row.get("precision", ""), "stack": _stack(same["engine"] or hardware),
        "device": device, "devices": count, "hardware": hardware,
        "batch": _number(row, "batch_sequences"), "temperature": _number(row, "temperature"),
        "gamma": None if gamma is None else int(gamma), "objection": row.get("suspect", ""),
        **changed,
    }  # fmt: skip


def _several(
    row: Row, table: str, values: Iterable[tuple[str, str]], **changed: object
) -> Iterator[Measurement]:
    for column, metric in values:
        value = _number(row, column)
        if value is not None:
            cells = _common(row, table, **changed) | {"metric": metric, "value": value}
            yield Measurement(**cells)  # type: ignore[arg-type]


# Columns of a table, with the metric that each states.
_RATES = (
    ("tokens_per_round", "tokens_per_round"), ("speedup", "speedup_run"),
    ("spec_tokens_per_s", "throughput_run"),
)  # fmt: skip
_LEVIATHAN = (("overlap_alpha", "overlap"), ("speedup", "speedup_decode"))


def _serving(row: Row) -> Iterator[Measurement]:
    shape = row.get("draft_shape", "").casefold()
    method = row.get("method", "").casefold()
    drafting = "tree" if "tree" in shape + method else "chain" if row["gamma_tokens"] else ""
    values = [v for v in _RATES if v[0] != "tokens_per_round" or not row.get("tokens_derived", "")]
    yield from _several(row, "serving_speedups", values, drafting=drafting)
    kind = row.get("alpha_kind", "")
    if kind:
        metric = "position_rate" if kind == "first_position" else kind
        first = 1 if kind == "first_position" else None
        yield from _several(row, "serving_speedups", [("stated_alpha", metric)], position=first)


_OF_ACCEPTANCE = {
    "alpha_conditional": "acceptance_conditional", "tau_with_bonus": "tokens_per_round",
    "accepted_over_drafted": "accepted_over_drafted", "argmax_agreement": "argmax_agreement",
}  # fmt: skip


def _acceptance(row: Row) -> Iterator[Measurement]:
    stated = (("value", _OF_ACCEPTANCE[row["metric"]]), ("speedup", "speedup_run"))
    yield from _several(row, "acceptance", stated)


_TABLES: dict[str, Callable[[Row], Iterator[Measurement]]] = {
    "measured": _of_2026, "specbundle": lambda row: _several(row, "specbundle", _RATES),
    "serving_speedups": _serving, "acceptance": _acceptance,
    "leviathan_speedups": lambda row: _several(row, "leviathan_speedups", _LEVIATHAN),
}  # fmt: skip


@lru_cache(maxsize=64)
def measurements(target: str | None = None) -> tuple[Measurement, ...]:
    """The bundled measurements of a target, or all, in the order of the tables; others are not
    built."""
    fits: dict[str, bool] = {}
    found: list[Measurement] = []
    for table, build in _TABLES.items():
        at, lines = _read(table)
        model = at.get("target_model")
        for cells in lines:
            name = cells[at["target"]]
            if target is not None and name not in fits:
                fits[name] = _same(target, name, "" if model is None else cells[model])
            if target is None or fits[name]:
                found += build(_row(table, cells))
    return tuple(found)


def measured_with(drafter: str, metrics: Container[str]) -> tuple[Measurement, ...]:
    """Rows of the table `measured` of a kind of drafter and of these metrics."""
    rows = (m for m in measurements() if m.table == "measured" and m.drafter == drafter)
    return tuple(m for m in rows if m.metric in metrics)


def evidence(
    target: str | None = None, draft: str | None = None, device: str | None = None
) -> tuple[Measurement, ...]:
    """What has been measured of a target, with a draft, on a device; None: any of them.

    target, draft: names as people write them, or for the draft a kind of drafter ("EAGLE-3",
    "MTP", "n-gram"), of which any head counts. device: a name; how many of them does not matter.
    Raises ValueError where none of the three is given, and for a device that is none.
    """
    if target is None and draft is None and device is None:
        raise ValueError("evidence needs a target, a draft or a device, got none of them")
    machine = "" if device is None else device_name(device)[0]
    kind = "" if draft is None else drafter_of(draft)
    if device is not None and not machine:
        from ..models.devices import device as known

        known(device)  # raises with the nearest names
    return tuple(
        m for m in (measurements() if target is None else measurements(target))
        if (device is None or m.device == machine)
        and (draft is None or (m.drafter == kind and (kind != "model" or _same(draft, m.draft))))
    )  # fmt: skip


def _same(asked: str, called: str, model: str = "") -> bool:
    """Whether two names mean one model; names of none are compared as they are written.

    model: what the second is called in the table of models, "" where no row says so.
    """
    from ..models.names import squeeze

    wanted = model_name(asked)
    if not wanted:
        return squeeze(asked) == squeeze(called)
    return wanted == (model or model_name(called))


def measured_pair(
    target: str,
    draft: str,
    device: str | None = None,
    *,
    stack: str | None = None,
    task: str | None = None,
    batch: float | None = None,
    metrics: Iterable[str] = (),
) -> tuple[Measurement, ...]:
    """Scored rows of this very target and draft, and of the device, stack, task and batch given.

    What is None is any; a row that does not state what is asked for does not count. task: compared
    by the task that the names mean ("gsm8k" is math); metrics: those wanted, () for all. The rows
    with the most conditions stated come first. Chains, blocks and look-up only: a tree is not what
    a number of draft tokens describes, and adaptive drafts have none.
    """
    from ..prior.acceptance_cells import canonical_task

    wanted, kinds = None if task is None else canonical_task(task) or task, tuple(metrics)
    found = [
        m for m in evidence(target, draft, device)
        if m.scored and m.drafting not in ("tree", "adaptive")
        and (not kinds or m.metric in kinds)
        and (stack is None or m.stack == stack)
        and (batch is None or m.batch == batch)
        and (wanted is None or canonical_task(m.task) == wanted or m.task == task)
    ]  # fmt: skip
    stated = [f.name for f in fields(Measurement)]
    found.sort(key=lambda m: -sum(getattr(m, n) not in ("", None, ()) for n in stated))
    return tuple(found)
