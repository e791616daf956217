"""The bundled tables as rows: serving sweeps, chips, stated costs, acceptance with a speed-up."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache

from ..library.load import load_table
from ..library.schema import Row, number, text
from .baselines import closest
from .measured import Measured

TOKENS = ("tau_with_bonus",)  # metrics that are no rates


@cache
def library_rows() -> tuple[Measured, ...]:
    """The bundled measurements in the form of a file's rows."""
    return (*_specbundle(), *_redrafter(), *_leviathan(), *_serving(), *_acceptance())


def _of_table(row: Row, **changes: object) -> Measured:
    batch = number(row, "batch_sequences")
    temperature = number(row, "temperature")
    values: dict[str, object] = {
        "id": text(row, "id"),
        "source": text(row, "source"),
        "target": text(row, "target"),
        "draft": text(row, "draft"),
        "engine": text(row, "engine"),
        "hardware": text(row, "hardware") or text(row, "chip"),
        "precision": text(row, "precision"),
        "method": text(row, "drafting"),
        "task": text(row, "task"),
        "temperature": f"{temperature:g}",
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
        _of_table(r, alpha=number(r, "overlap_alpha"), alpha_kind="overlap")
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
            alpha_kind=text(r, "alpha_kind"),
            tau_is_derived=text(r, "tokens_derived") == "yes",
        )
        for r in load_table("serving_speedups").rows
    )


def _acceptance() -> tuple[Measured, ...]:
    """Rows of the table of acceptance that state a speed-up and a cost ratio, once each."""
    found = []
    for r in _chains("acceptance"):
        whole = math.isfinite(number(r, "speedup") * number(r, "cost_ratio"))
        if whole and math.isfinite(number(r, "gamma_tokens")):
            metric = text(r, "metric")
            stated = {"tau" if metric in TOKENS else "alpha": number(r, "value")}
            kind = "" if metric in TOKENS else metric
            found.append(
                _of_table(r, engine=text(r, "hardware"), batch="1", alpha_kind=kind, **stated)
            )
    return tuple(r for r in closest(found) if not r.objection)
