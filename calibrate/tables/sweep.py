"""A latency sweep: speed-up against the number of draft tokens for one pair of models."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .read import Table
from .schema import Row, Rule, Schema, number, text

Floats = NDArray[np.float64]

SWEEP = Schema(
    "sweep",
    key=("target", "draft", "gamma"),
    rules=(
        Rule("draft", "must be given where gamma is above 0",
             lambda row: row["gamma"] == 0 or text(row, "draft") != ""),
        Rule("speedup", "must be 1 where gamma is 0",
             lambda row: row["gamma"] != 0 or not abs(number(row, "speedup") - 1) > 1e-3),
        Rule("tokens_per_round", "must be at most gamma + 1",
             lambda row: not number(row, "tokens_per_round") > number(row, "gamma") + 1 + 1e-9),
        Rule("latency", "must be given, or the speedup",
             lambda row: row["latency"] is not None or row["speedup"] is not None),
    ),
    closed=False,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Sweep:
    """Speed-up against the number of draft tokens, for one pair and one workload.

    gamma: (n,) tokens drafted in a round, whole, ascending, all above 0.
    speedup: (n,) as stated, or plain_latency / latency where the source states none.
    latency: (n,) in ``unit``, or None where only speed-ups are known; plain_latency: that of
    gamma = 0 in the same unit, or None.
    tokens_per_round: (n,) with the bonus token, or None.
    workload: what else tells this sweep from others of the pair, e.g. "gsm8k, batch 8".
    setting: engine, machine and formats, where sweeps of the pair differ in them.
    digit: one unit of the last digit that speed-ups are printed with, 0 where they are not rounded.
    suspect: why the sweep should not be fitted, "" without objection.
    source: citation or file. The arrays are read-only. relative_to: the number of draft tokens that
    ``speedup`` is over, 0 being plain decoding; batch, context: of the workload, None where not
    stated; notes: what was left out.
    """

    target: str
    draft: str
    gamma: Floats
    speedup: Floats
    latency: Floats | None = None
    plain_latency: float | None = None
    tokens_per_round: Floats | None = None
    unit: str = ""
    workload: str = ""
    suspect: str = ""
    source: str = ""
    relative_to: int = 0
    batch: float | None = None
    context: float | None = None
    notes: tuple[str, ...] = ()
    setting: str = ""
    digit: float = 0.0

    def without(self, gamma: int) -> Sweep:
        """The same sweep less the point at one gamma, if it has one; maybe without any."""
        kept = self.gamma != gamma

        def part(values: Floats | None) -> Floats | None:
            return None if values is None else read_only(values[kept])

        return replace(
            self,
            gamma=read_only(self.gamma[kept]),
            speedup=read_only(self.speedup[kept]),
            latency=part(self.latency),
            tokens_per_round=part(self.tokens_per_round),
        )

    @property
    def label(self) -> str:
        """Target, draft and workload in one line."""
        return f"{self.target} + {self.draft}" + (f" ({self.workload})" if self.workload else "")

    @property
    def relative_latency(self) -> Floats:
        """(n,) latency over that of plain decoding, 1 / speedup."""
        return 1.0 / self.speedup


def read_only(values: Iterable[float]) -> Floats:
    """The values as a float64 array that cannot be written to."""
    out = np.array(list(values), dtype=np.float64)
    out.setflags(write=False)
    return out


def printed_digit(values: Iterable[float]) -> float:
    """One unit of the last digit that speed-ups seem to be printed with.

    0 where there are more than four decimals; whole numbers are taken to be good to a tenth.
    """
    decimals = max(len(f"{v:.12g}".partition(".")[2]) for v in values)
    return float(10.0 ** -max(decimals, 1)) if decimals <= 4 else 0.0


def sweeps_of(table: Table) -> tuple[Sweep, ...]:
    """The sweeps of a table of schema `SWEEP`, whose rows may hold workload, batch and context."""
    pairs: dict[tuple[str, str, str], list[int]] = {}
    for i, row in enumerate(table.rows):
        if row["gamma"] != 0:
            key = (text(row, "target"), text(row, "draft"), text(row, "workload"))
            pairs.setdefault(key, []).append(i)
    if not pairs:
        last = len(table.rows) - 1
        raise table.error(last, "gamma", "must be above 0 in some row, got plain decoding only")
    relative = _stated_relative(table, pairs)
    alone = [p for p, at in pairs.items() if len(at) == 1 and _plain_row(table, p) is None
             and table.rows[at[0]]["speedup"] is None]  # fmt: skip
    alone = alone if len(alone) < len(pairs) else []
    left = tuple(
        f"gamma {number(table.rows[pairs[p][0]], 'gamma'):g} ({p[2] or p[1]}) stands alone, "
        "without plain decoding, and is left out" for p in alone
    )  # fmt: skip
    found = (_sweep(table, p, at, relative) for p, at in pairs.items() if p not in alone)
    return tuple(replace(s, notes=(*s.notes, *left)) for s in found)


def _stated_relative(table: Table, pairs: dict[tuple[str, str, str], list[int]]) -> bool:
    """Whether stated speed-ups are over the smallest K: exactly 1 there in every sweep."""
    if any(row["gamma"] == 0 for row in table.rows):
        return False
    least = [min(rows, key=lambda i: number(table.rows[i], "gamma")) for rows in pairs.values()]
    several = all(len(rows) > 1 for rows in pairs.values())
    return several and all(number(table.rows[i], "speedup") == 1.0 for i in least)


def _sweep(table: Table, pair: tuple[str, str, str], rows: list[int], relative: bool) -> Sweep:
    target, draft, workload = pair
    rows = sorted(rows, key=lambda i: number(table.rows[i], "gamma"))
    plain = _plain_row(table, pair)
    unit = _one_unit(table, rows if plain is None else [plain, *rows])
    latency = _whole(table, rows, "latency")
    plain_latency = None if plain is None else number(table.rows[plain], "latency")
    speedup, over = _whole(table, rows, "speedup"), 0
    if speedup is not None and relative:
        over = int(number(table.rows[rows[0]], "gamma"))
    if speedup is None:
        if latency is None or (plain_latency is None and len(rows) < 2):
            message = (
                f"target {target!r} needs a row with gamma = 0 (plain decoding) and a latency, "
                "or a speedup in each row, got neither"
            )
            raise table.error(rows[0], "gamma", message)
        if plain_latency is None:
            over = int(number(table.rows[rows[0]], "gamma"))
        with np.errstate(over="ignore", under="ignore"):
            speedup = read_only((plain_latency or float(latency[0])) / latency)
        for i, value in zip(rows, speedup, strict=True):
            if not 1e-6 <= value <= 1e6:
                message = f"must give a speed-up in [1e-06, 1e+06], got {value:g}"
                raise table.error(i, "latency", message)
    notes = []
    tokens, stated_in = _tokens(table, rows)
    if tokens is None and stated_in:
        notes.append(
            f"tokens per round are stated in {stated_in} of {len(rows)} rows, so they are left out"
        )
    first = table.rows[rows[0]]
    return Sweep(
        target,
        draft,
        read_only(number(table.rows[i], "gamma") for i in rows),
        speedup,
        latency=latency,
        plain_latency=plain_latency,
        tokens_per_round=tokens,
        unit=unit,
        workload=workload,
        source=text(first, "source") or table.label,
        relative_to=over,
        batch=_stated(first, "batch"),
        context=_stated(first, "context"),
        notes=tuple(notes),
        digit=0.0 if latency is not None else printed_digit(speedup),
    )


def _stated(row: Row, name: str) -> float | None:
    value = number(row, name)
    return None if math.isnan(value) else value


def _tokens(table: Table, rows: Sequence[int]) -> tuple[Floats | None, int]:
    """Tokens per round where every row states them, and in how many rows they are stated."""
    found = [number(table.rows[i], "tokens_per_round") for i in rows]
    known = [v for v in found if not math.isnan(v)]
    return (read_only(found), len(known)) if len(known) == len(found) else (None, len(known))


def _plain_row(table: Table, pair: tuple[str, str, str]) -> int | None:
    """The row of plain decoding: the pair's own, or the target's where that is one number."""
    found = [
        i
        for i, row in enumerate(table.rows)
        if row["gamma"] == 0 and text(row, "target") == pair[0] and row["latency"] is not None
    ]
    same = [i for i in found if text(table.rows[i], "workload") == pair[2]]
    found = same or [i for i in found if not text(table.rows[i], "workload")]
    own = [i for i in found if text(table.rows[i], "draft") == pair[1]]
    if own or not found:
        return own[0] if own else None
    if len({table.rows[i]["latency"] for i in found}) > 1:
        message = f"must be one number for target {pair[0]!r} where draft {pair[1]!r} has none"
        given = ", ".join(f"{number(table.rows[i], 'latency'):g}" for i in found)
        raise table.error(found[-1], "latency", f"{message}, got {given}")
    return found[0]


def _one_unit(table: Table, rows: Sequence[int]) -> str:
    units = {i: text(table.rows[i], "unit") for i in rows if table.rows[i]["latency"] is not None}
    first = next(iter(units.values()), "")
    for i, unit in units.items():
        if unit != first:
            raise table.error(i, "unit", f"must be one unit in a sweep, {first!r}, got {unit!r}")
    return first


def _whole(table: Table, rows: Sequence[int], name: str) -> Floats | None:
    """A column of a sweep, None where no row states it; some rows only is an error."""
    missing = [i for i in rows if table.rows[i].get(name) is None]
    if len(missing) == len(rows):
        return None
    if missing:
        raise table.error(missing[0], name, "must be in all rows of a sweep or none, got empty")
    return read_only(number(table.rows[i], name) for i in rows)
