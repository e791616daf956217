"""The bundled tables as rows: serving sweeps, chips, stated costs, acceptance with a speed-up.

Speeds are held against the plain decoding of the same work; rows that are said twice or not to be
used are left out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache

from ..library.load import load_table
from ..tables.schema import Row, number, text
from .measured import PLAIN_DECODING, MeasuredRow, squeezed, work_of

REPEATED = "the row repeats another"
# Share of a machine's rows whose speed-up exceeds tokens per round, from which its plain speed is
# called too slow, and the slack of one such row.
CONTRADICTED, SLACK = 0.2, 0.97


def against_plain(rows: Iterable[MeasuredRow]) -> list[MeasuredRow]:
    """The rows with speed-ups over the plain decoding of the same work, where rows state that.

    A row without a speed-up has the ratio of the two speeds; a speed-up of plain decoding other
    than 1 is that of another baseline, and the others are divided by it.
    """
    listed = list(rows)
    plain: dict[tuple[object, ...], list[MeasuredRow]] = {}
    for row in listed:
        if row.method == PLAIN_DECODING and not row.objection:
            plain.setdefault(work_of(row), []).append(row)
    return [_against(row, plain.get(work_of(row), [])) for row in listed]


def _against(row: MeasuredRow, plain: list[MeasuredRow]) -> MeasuredRow:
    if row.method == PLAIN_DECODING or row.objection:
        return row
    alike = [p for p in plain if (p.precision, p.temperature) == (row.precision, row.temperature)]
    speeds = {p.base_rate for p in alike or plain if p.base_rate > 0.0}
    gains = {p.speedup for p in alike or plain if p.speedup > 0.0}
    if math.isfinite(row.speedup):
        return replace(row, speedup=row.speedup / gains.pop()) if len(gains) == 1 else row
    if len(speeds) == 1 and row.spec_rate > 0.0:
        return replace(row, speedup=row.spec_rate / speeds.pop())
    return row


# Of what may be stated of the same rounds, what is closest to their tokens first.
_CLOSEST = ("", "accepted_over_drafted", "alpha_conditional", "overlap")


def closest(rows: Iterable[MeasuredRow]) -> list[MeasuredRow]:
    """The rows with one of those that state the acceptance of the same rounds in several ways.

    The others are marked as not to be used.
    """
    listed = list(rows)
    best: dict[tuple[object, ...], int] = {}
    for i, row in enumerate(listed):
        if not row.objection:
            key = _measurement(row)
            kept = best.setdefault(key, i)
            if _rank(row) < _rank(listed[kept]):
                best[key] = i
    chosen = set(best.values())
    return [
        row if row.objection or i in chosen else replace(row, objection=REPEATED)
        for i, row in enumerate(listed)
    ]


def _measurement(row: MeasuredRow) -> tuple[object, ...]:
    names = (row.draft, row.method, row.precision, row.temperature)
    return (*work_of(row), *(squeezed(n) for n in names), row.gamma, row.speedup, row.study)


def _rank(row: MeasuredRow) -> int:
    if math.isfinite(row.tau):
        return 0
    known = row.alpha_kind in _CLOSEST and math.isfinite(row.alpha)
    return _CLOSEST.index(row.alpha_kind) + 1 if known else len(_CLOSEST) + 1


def once(rows: Iterable[MeasuredRow]) -> list[MeasuredRow]:
    """Rows that say again what another says are marked as such."""
    seen: set[str] = set()
    out = []
    for row in rows:
        said = repr(replace(row, id="", source=""))
        repeated = said in seen and not row.objection
        out.append(replace(row, objection=REPEATED) if repeated else row)
        seen.add(said)
    return out


def suspected(rows: Sequence[MeasuredRow]) -> tuple[MeasuredRow, ...]:
    """The rows, those of a machine with a contradicted plain speed marked as not to be used.

    A round takes at least a plain step, so the speed-up cannot exceed the tokens per round; where
    it does in a fifth of a target's rows on one engine and machine, plain decoding was too slow.
    """
    seen: Counter[tuple[str, str, str]] = Counter()
    wrong: Counter[tuple[str, str, str]] = Counter()
    for r in rows:
        if math.isfinite(r.tau) and math.isfinite(r.speedup) and r.gamma and not r.objection:
            seen[_machine(r)] += 1
            wrong[_machine(r)] += r.tau / r.speedup < SLACK
    bad = {m for m in seen if wrong[m] >= max(2, CONTRADICTED * seen[m])}
    reason = "the plain baseline looks too slow: speed-ups exceed tokens per round"
    return tuple(
        replace(r, objection=reason) if _machine(r) in bad and not r.objection else r for r in rows
    )


def _machine(row: MeasuredRow) -> tuple[str, str, str]:
    return row.target, row.engine, row.hardware


TOKENS = ("tau_with_bonus",)  # metrics that are no rates


@cache
def library_rows() -> tuple[MeasuredRow, ...]:
    """The bundled measurements in the form of a file's rows."""
    plain = (_of_table(r) for name in ("specbundle", "redrafter_chips") for r in _chains(name))
    overlaps = (
        _of_table(r, alpha=number(r, "overlap_alpha"), alpha_kind="overlap")
        for r in _chains("leviathan_speedups")
    )
    serving = map(_serving, load_table("serving_speedups").rows)
    return (*plain, *overlaps, *serving, *_acceptance())


def _of_table(row: Row, **changes: object) -> MeasuredRow:
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
    return MeasuredRow(**(values | changes))  # type: ignore[arg-type]


def _chains(name: str) -> Iterable[Row]:
    return (r for r in load_table(name).rows if text(r, "drafting") == "chain")


def _serving(row: Row) -> MeasuredRow:
    gamma = number(row, "gamma_tokens")
    return _of_table(
        row,
        method=text(row, "method"),
        gamma=0 if math.isnan(gamma) else int(gamma),
        temperature=text(row, "temperature") or text(row, "sampling"),
        alpha=number(row, "stated_alpha"),
        alpha_kind=text(row, "alpha_kind"),
        tau_is_derived=text(row, "tokens_derived") == "yes",
    )


def _acceptance() -> tuple[MeasuredRow, ...]:
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
