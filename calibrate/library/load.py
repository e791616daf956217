"""The bundled tables by name, wherever the package is installed: what rows must satisfy beyond the
columns that `schemas.csv` of `tables` tells, and what is meant by the names and citations in them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from ..files import bundled
from ..tables.nearest import nearest_first
from ..tables.read import Table, parse_table
from ..tables.schema import Row, Rule, Schema, columns_of, number, text

if TYPE_CHECKING:
    import pandas as pd

# Metrics of the table `measured`: unit, and what each counts.
METRICS = {c.name: (c.unit, c.meaning) for c in columns_of("metrics")}


def _apart(part: float, whole: float) -> float:
    """By how much two numbers differ, as a share; NaN where one is not stated."""
    return abs(part / whole - 1)


def _ratio_is_the_speedup(row: Row) -> bool:
    ratio = number(row, "spec_tokens_per_s") / number(row, "plain_tokens_per_s")
    return math.isnan(ratio) or _apart(number(row, "speedup"), ratio) <= 0.01


def _tokens_fit(drafted: str) -> Rule:
    """tokens_per_round is at most one above the column ``drafted``; empty cells pass."""
    return Rule(
        "tokens_per_round",
        f"must be at most {drafted} + 1",
        lambda row: not number(row, "tokens_per_round") > number(row, drafted) + 1,
    )


def _value_fits(text_of_rule: str, greatest: Callable[[Row], float]) -> Rule:
    """The value is at most the greatest that its metric can have; NaN is no bound."""
    return Rule("value", text_of_rule, lambda row: not number(row, "value") > greatest(row))


def _greatest_acceptance(row: Row) -> float:
    return number(row, "gamma_tokens") + 1 if text(row, "metric").startswith("tau") else 1.0


def _greatest_measured(row: Row) -> float:
    metric = text(row, "metric")
    if metric == "tokens_per_round":
        return number(row, "gamma_tokens") + 1
    return 1.0 if metric.startswith(("accepted_over_drafted", "position_rate")) else math.inf


_RATES_AGREE = Rule(
    "speedup", "must be spec_tokens_per_s / plain_tokens_per_s within 1 %", _ratio_is_the_speedup
)
_PAIR = ("target", "draft")
_MEASUREMENTS = (
    Schema("paper_table", ("target", "method"), (
        Rule("size_ratio", "must be target_params / draft_params within 1 %",
             lambda r: _apart(number(r, "size_ratio") * number(r, "draft_params"),
                              number(r, "target_params")) <= 0.01),
    )),
    Schema("paper_bloom_grid", (*_PAIR, "gamma_tokens")),
    Schema("paper_ladders", _PAIR),
    Schema("leviathan_speedups", (*_PAIR, "task", "temperature")),
    Schema("leviathan_acceptance", (*_PAIR, "task", "temperature")),
    Schema("acceptance", ("id",), (
        _value_fits("must be at most 1 for a rate, and at most gamma_tokens + 1 for a length",
                    _greatest_acceptance),
        Rule("gamma_tokens", "must be empty unless the draft is a chain",
             lambda r: r["gamma_tokens"] is None or text(r, "drafting") == "chain"),
    )),
    Schema("specbundle", (*_PAIR, "drafting", "draft_steps", "task", "batch_sequences"), (
        _RATES_AGREE,
        _tokens_fit("draft_steps"),
        Rule("gamma_tokens", "must be draft_steps for a chain and empty for a tree",
             lambda r: r["gamma_tokens"]
             == (r["draft_steps"] if text(r, "drafting") == "chain" else None)),
        Rule("tree_shape", "must be empty for a chain and given for a tree",
             lambda r: (text(r, "tree_shape") != "") == (text(r, "drafting") == "tree")),
    )),
    Schema("redrafter_chips", ("chip", "precision", "beam_width", "beam_length_tokens"), (
        _RATES_AGREE,
        _tokens_fit("beam_length_tokens"),
        Rule("round_s", "must be tokens_per_round * plain_token_s / speedup within 2 %",
             lambda r: not _apart(number(r, "tokens_per_round") * number(r, "plain_token_s"),
                                  number(r, "speedup") * number(r, "round_s")) > 0.02),
    )),
    Schema("serving_speedups", ("id",), (_tokens_fit("gamma_tokens"),)),
    Schema("measured", ("id",), (
        _value_fits("must be at most gamma_tokens + 1 for a length, and at most 1 for a share",
                    _greatest_measured),
        Rule("position", "must be given for a rate by position, and only then",
             lambda r: text(r, "metric").startswith("position") == (r["position"] is not None)),
        Rule("objection", "must say why a row is not to be scored",
             lambda r: text(r, "status") == "measured" or text(r, "objection") != ""),
    )),
    Schema("measured_sources", ("source",)),
)  # fmt: skip
# The bundled tables of measurements by name.
TABLES = {schema.name: schema for schema in _MEASUREMENTS}


def names() -> tuple[str, ...]:
    """Names of the bundled tables."""
    return tuple(TABLES)


def load(name: str) -> pd.DataFrame:
    """A bundled table as a pandas DataFrame; its columns are those of `describe`.

    Raises ValueError listing the bundled names when there is no such table.
    """
    return load_table(name).frame()


@cache
def load_table(name: str) -> Table:
    """A bundled table as checked rows, read once: whoever changes a row copies it first.

    Raises ValueError as `load` does.
    """
    known(name)
    return parse_table(bundled_bytes(name), f"{name}.csv", TABLES[name])


def bundled_bytes(name: str) -> bytes:
    """The file of a bundled table, from wherever the package is installed."""
    return bundled(__package__, f"{name}.csv")


def describe(name: str) -> dict[str, tuple[str, str]]:
    """Unit and meaning of every column of a bundled table, by the column's name.

    The unit is "1" for a pure number and "" for text. Raises ValueError as `load` does.
    """
    known(name)
    return TABLES[name].describe()


def known(name: str) -> None:
    """Raise ValueError, nearest names first, unless ``name`` is a bundled table."""
    if name not in TABLES:
        listed = ", ".join(nearest_first(name, TABLES))
        raise ValueError(f"table must be one of {listed}, got {name!r}")


def study_of(source: str) -> str:
    """The paper (without its version) or the repository of a citation, else its first words."""
    found = re.search(r"(?:arxiv[:. ]\s*(?:org/abs/)?)(\d{4}\.\d{4,5})", source, re.IGNORECASE)
    if found:
        return found[1]
    repository = re.search(r"github(?:\.com/|\s+)([\w.-]+/[\w.-]+)", source, re.IGNORECASE)
    named = repository[1] if repository else re.split(r"[,;@]", source)[0].strip()
    return named.casefold()


def same_study(one: str, other: str) -> bool:
    """Whether two citations, or studies, are of one study; a repository counts by its own name."""
    first, second = (study_of(s).rstrip("/").rsplit("/", 1)[-1] for s in (one, other))
    return bool(first) and first == second


@lru_cache(maxsize=4096)
def model_name(name: str) -> str:
    """The name of a model in the table of models, "" where it has none."""
    from ..models.catalogue import find_model

    found = find_model(name) if name else None
    return found.name if found else ""


@lru_cache(maxsize=1024)
def device_name(name: str) -> tuple[str, int | None]:
    """(device of the table of devices, how many), ("", None) where the name means none."""
    from ..models.devices import find_device

    try:
        found = find_device(name)
    except ValueError:  # a count that no machine has
        return "", None
    return ("", None) if found is None else (found.name, found.count)


@lru_cache(maxsize=4096)
def drafter_of(draft: str, method: str = "") -> str:
    """Kind of a drafter by its name or method, "model" for any other draft."""
    from ..models.drafters import drafter_kind

    if model_name(draft) and not drafter_kind(draft):
        return "model"
    return drafter_kind(draft) or drafter_kind(method) or ("model" if draft else "")
