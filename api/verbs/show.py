"""A record, or a trained family, as tables; and several records in one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..listing import Listing
from ..table import Table, texts

if TYPE_CHECKING:
    from ..calibrate.records import Record
    from ..calibrate.summary import Summary

# More numbers of tokens than these do not fit a line; the rest is in --json.
SHOWN_TOKENS = 5
WIDE = 0.5  # share of a median; a spread beyond it is no property of a model


def show(file: str | Path, *, limits: bool = False) -> Listing:
    """List a record of costs, acceptance or a sweep: medians, counts, and where it comes from.

    file: the record, .json or .json.gz, or the family.json of a trained family. limits: of costs,
    passes of one token beside the least time that memory and computing allow, and what takes their
    time. Raises ValueError for any other file, OSError for what cannot be read.
    """
    from ..calibrate.records import read_record
    from ..calibrate.summary import summarise

    if Path(file).name == "family.json":
        if limits:
            raise ValueError(f"--limits needs a record of costs, got {file}")
        return _family(Path(file))
    record = read_record(file)
    if limits:
        return _limits(record, str(file))
    found = summarise(record)
    head = {"kind": record.kind, "points": len(record.points), "settings": record.settings}
    entry = {**head, "provenance": record.provenance, "groups": found.rows}
    return Listing(entry, tuple(_record(record, found)))


def pool(files: Sequence[str | Path], *, out: str | Path) -> Listing:
    """Put the repeats of cost records of one machine behind one another, into the file ``out``.

    Raises ValueError for records of different machines or models.
    """
    from ..calibrate.records import pool_files

    points = len(pool_files([str(f) for f in files], str(out)).points)
    entry = {"record": str(out), "runs": len(files), "points": points}
    return Listing(entry, (f"{out}: {points} points of {len(files)} runs",))


def _record(record: Record, found: Summary) -> Iterator[str | Table]:
    yield from _origin(record)
    columns, rows = _wide(found.columns, found.rows)
    yield texts(columns, [[_cell(name, row.get(name)) for name in columns] for row in rows])
    spreads = [row["spread"] for row in rows if isinstance(row.get("spread"), float)]
    if spreads and max(spreads) > WIDE:
        yield (
            f"note: spreads above {WIDE:.0%}, the worst {max(spreads):.0%}, come of other work on "
            "the machine: measure again on a quiet one"
        )


def _family(path: Path) -> Listing:
    from ..calibrate.family.record import read_family

    family = read_family(path.parent)
    models = family["models"]
    domains = ", ".join(d["name"] if isinstance(d, dict) else str(d) for d in family["corpus"])
    columns = ("model", "role", "parameters", "layers", "hidden", "trained tokens", "loss nats")
    rows = [
        [m["name"], m["role"], f"{m['parameters']:,}", str(m["layers"]), str(m["hidden"]),
         f"{m['trained_tokens']:,}",
         f"{m['held_out']['loss_nats']:.4f} ± {m['held_out']['standard_error_nats']:.4f}"]
        for m in models
    ]  # fmt: skip
    line = f"family {family['settings']['preset']}: {len(models)} models, domains {domains}"
    return Listing(family, (line, texts(columns, rows)))


def _limits(record: Record, file: str) -> Listing:
    from ..calibrate.library.own import family_beside
    from ..figures.roofline_limits import cost_limits
    from ..figures.roofline_table import SHORT, cells_of, limit_lines, short_rows

    found = cost_limits(record, family_beside(file))
    laws = {mode: law for mode, law in found.laws.items() if law is not None}
    passes = [cells_of(found, row) for row in found.rows]
    entry = {"machine": found.machine, "laws": laws, "passes": passes}
    short = texts(SHORT, short_rows(found), "Passes over one new token")
    return Listing(entry, (*limit_lines(found), short))


def _origin(record: Record) -> Iterator[str]:
    origin = record.provenance
    runs = [r for r in origin.get("runs", [origin]) if isinstance(r, dict)]
    failed = sum("error" in p for p in record.points)
    bad = f", {failed} of them failed" if failed else ""
    several = "" if len(runs) == 1 else "s"
    yield (f"{record.kind}: {len(record.points)} points{bad}, {len(runs)} run{several}")
    for name in ("device", "driver", "cpu", "cores", "threads", "dtype", "seed"):
        if origin.get(name) is not None:
            yield (f"  {name}: {origin[name]}")
    libraries = origin.get("libraries")
    if isinstance(libraries, dict):
        yield ("  libraries: " + ", ".join(f"{n} {v}" for n, v in libraries.items()))
    dates = [str(r["utc"]) for r in runs if r.get("utc")]
    if dates:
        yield (f"  measured: {dates[0]}" + (f" to {dates[-1]}" if len(dates) > 1 else ""))
    commits = list(dict.fromkeys(str(r["commit"]) for r in runs if r.get("commit")))
    if commits:
        yield ("  commit: " + ", ".join(commits))
    models = origin.get("models")
    if isinstance(models, dict):
        yield ("  models: " + ", ".join(models))


def _wide(
    columns: tuple[str, ...], rows: tuple[dict[str, Any], ...]
) -> tuple[list[str], list[dict[str, Any]]]:
    """Costs with one column for each of a few numbers of tokens, in milliseconds."""
    if "median_s_by_tokens" not in columns:
        return list(columns), list(rows)
    known = sorted({n for row in rows for n in row["median_s_by_tokens"] if n is not None})
    step = max(1, -(-len(known) // SHOWN_TOKENS))
    chosen = sorted({*known[::step], *known[-1:]})
    out = []
    for row in rows:
        times = row["median_s_by_tokens"]
        cells = {_ms(n): 1e3 * times[n] for n in (*chosen, None) if n in times}
        out.append({**row, **cells})
    more = [_ms(n) for n in chosen]
    if any(None in row["median_s_by_tokens"] for row in rows):
        more.append(_ms(None))
    return [*(c for c in columns if c not in ("median_s_by_tokens", "repeats")), *more], out


def _ms(tokens: int | None) -> str:
    return "ms" if tokens is None else f"ms at {tokens}"


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.1%}" if name == "spread" else f"{value:.4g}"
    return str(value)
