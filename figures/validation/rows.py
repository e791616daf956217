"""Published measurements as rows, one form for the bundled tables and for a file of the user's.

The columns are those in which published speed-ups are usually collected: target, draft, engine,
hardware, task, batch, gamma, acceptance, tokens per round, cost ratio, speed-up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ...calibrate.library.load import load_table
from ...calibrate.library.read import read_table
from ...calibrate.library.schema import Column, Row, Schema, number, text

GAMMA_MAX = 1000  # fits keep the law at every position up to gamma
_TEXTS = ("engine", "hardware", "precision", "method", "task", "temperature", "batch")


def _free(name: str, meaning: str, *, required: bool = False) -> Column:
    return Column(name, meaning, nullable=True, required=required)


ROWS = Schema(
    "rows",
    "Measured speed-ups of target and draft, with what was known of their acceptance and cost",
    (
        Column("target", "name of the target model"),
        _free("draft", "name of the draft model"),
        _free("id", "identifier of the row"),
        _free("source", "where the row comes from"),
        *(_free(name, f"{name} of the measurement") for name in _TEXTS),
        _free("gamma", "tokens drafted in a round; text that is no whole number is a tree"),
        _free("alpha", "stated acceptance, E[sum min(p, q)] or accepted over drafted"),
        _free("tau_mean_tokens_per_round", "tokens per round, the bonus token included"),
        _free("cost_ratio_c", "time of a draft step over time of a plain step"),
        _free("speedup", "speed with drafting over speed of plain decoding", required=True),
        _free("target_params_b", "parameters of the target [10^9]"),
        _free("draft_params_b", "parameters of the draft [10^9]"),
        _free("tokens_per_s_base", "speed of plain decoding [token/s]"),
        _free("tokens_per_s_spec", "speed with drafting [token/s]"),
        _free("notes", "what to know of the row"),
    ),
    key=(),
    closed=False,
)


@dataclass(frozen=True)
class Measured:
    """One measurement; NaN is "not stated", gamma 0 where the draft is no chain.

    alpha: as stated; alpha_is_overlap: whether it is E[sum min(p, q)] rather than accepted over
    drafted; tau_is_derived: whether tau was computed from alpha; objection: why not to use it.
    """

    id: str
    target: str
    draft: str
    engine: str
    hardware: str
    precision: str
    method: str
    task: str
    temperature: str
    batch: str
    gamma: int
    alpha: float
    tau: float
    cost_ratio: float
    speedup: float
    base_rate: float
    target_params: float = math.nan
    draft_params: float = math.nan
    alpha_is_overlap: bool = False
    tau_is_derived: bool = False
    objection: str = ""

    @property
    def label(self) -> str:
        """Target, draft, task and batch, for tables and messages."""
        parts = (f"{self.target} + {self.draft}", self.task, self.hardware)
        batch = f"batch {self.batch}" if self.batch else ""
        return ", ".join(p for p in (*parts, batch, f"gamma {self.gamma}") if p)

    @property
    def batch_size(self) -> float:
        """The batch as a number, NaN where it is not one."""
        return _number(self.batch)


def _number(cell: str) -> float:
    """A cell that may hold text: its number where it is one, NaN otherwise."""
    try:
        value = float(cell)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _measured(row: Row, index: int) -> Measured:
    gamma = _number(text(row, "gamma"))
    whole = math.isfinite(gamma) and gamma >= 1 and gamma == int(gamma)
    notes = text(row, "notes").casefold()
    names = {name: text(row, name) for name in _TEXTS}
    found = Measured(
        id=text(row, "id") or f"row {index + 1}",
        target=text(row, "target"),
        draft=text(row, "draft"),
        gamma=int(gamma) if whole else 0,
        alpha=_number(text(row, "alpha")),
        tau=_number(text(row, "tau_mean_tokens_per_round")),
        cost_ratio=_number(text(row, "cost_ratio_c")),
        speedup=_number(text(row, "speedup")),
        base_rate=_number(text(row, "tokens_per_s_base")),
        target_params=1e9 * _number(text(row, "target_params_b")),
        draft_params=1e9 * _number(text(row, "draft_params_b")),
        alpha_is_overlap="min(p" in notes,
        tau_is_derived="tau derived" in notes or "tau = 1" in notes,
        **names,
    )
    return replace(found, objection=_objection(found))


def read_rows(path: str | Path) -> tuple[Measured, ...]:
    """The rows of a file in the form of `ROWS`; other columns are ignored.

    A row with a value that cannot be stays, with its objection, and is not used. Raises ValueError
    naming file, line and column for a file that is no such table and for an empty one.
    """
    return tuple(_measured(row, i) for i, row in enumerate(read_table(path, ROWS).rows))


def _objection(row: Measured) -> str:
    """What cannot be true in a row, "" where all of it can."""
    limits = (
        ("speedup", row.speedup, 0.0, 1e6),
        ("gamma", row.gamma or 1, 1.0, GAMMA_MAX),
        ("tau_mean_tokens_per_round", row.tau, 1.0, row.gamma + 1.0 if row.gamma else 1e6),
        ("alpha", row.alpha, 0.0, 1.0),
        ("cost_ratio_c", row.cost_ratio, 0.0, 1e6),
        ("batch", row.batch_size, 1.0, 1e6),
    )
    for name, value, low, high in limits:
        if math.isfinite(value) and not low <= value <= high:
            return f"{name} must be in [{low:g}, {high:g}], got {value:.9g}"
    return "speedup must be above 0, got 0" if row.speedup == 0 else ""


def library_rows() -> tuple[Measured, ...]:
    """The bundled measurements in the same form: serving sweeps, chips, stated costs."""
    return (*_specbundle(), *_redrafter(), *_leviathan(), *_serving())


def _of_table(row: Row, **changes: object) -> Measured:
    batch = number(row, "batch_sequences")
    values: dict[str, object] = {
        "id": text(row, "id"),
        "target": text(row, "target"),
        "draft": text(row, "draft"),
        "engine": text(row, "engine"),
        "hardware": text(row, "hardware") or text(row, "chip"),
        "precision": text(row, "precision"),
        "method": text(row, "drafting"),
        "task": text(row, "task"),
        "temperature": f"{number(row, 'temperature'):g}",
        "batch": f"{batch:g}" if math.isfinite(batch) else "",
        "gamma": 0 if text(row, "drafting") != "chain" else int(number(row, "gamma_tokens")),
        "alpha": math.nan,
        "tau": number(row, "tokens_per_round"),
        "cost_ratio": number(row, "cost_ratio"),
        "speedup": number(row, "speedup"),
        "base_rate": number(row, "plain_tokens_per_s"),
        "target_params": number(row, "target_params"),
        "draft_params": number(row, "draft_params"),
        "objection": text(row, "suspect"),
    }
    return Measured(**(values | changes))  # type: ignore[arg-type]


def _chains(name: str) -> Iterable[Row]:
    return (r for r in load_table(name).rows if text(r, "drafting") == "chain")


def _specbundle() -> tuple[Measured, ...]:
    return tuple(_of_table(r) for r in _chains("specbundle"))


def _redrafter() -> tuple[Measured, ...]:
    return tuple(_of_table(r) for r in _chains("redrafter_chips"))


def _leviathan() -> tuple[Measured, ...]:
    return tuple(
        _of_table(r, alpha=number(r, "overlap_alpha"), alpha_is_overlap=True)
        for r in _chains("leviathan_speedups")
    )


def _serving() -> tuple[Measured, ...]:
    return tuple(
        _of_table(
            r,
            method=text(r, "method"),
            gamma=0 if math.isnan(number(r, "gamma_tokens")) else int(number(r, "gamma_tokens")),
            temperature=text(r, "temperature") or text(r, "sampling"),
            alpha=number(r, "stated_alpha"),
            tau_is_derived=text(r, "tokens_derived") == "yes",
        )
        for r in load_table("serving_speedups").rows
    )
