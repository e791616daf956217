"""Loading sweeps: from a bundled table by name, or from a file of the user's."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ..tables.nearest import nearest_first
from ..tables.schema import Row, number, text
from ..tables.sweep import Sweep, printed_digit, read_only
from .load import bundled_bytes, load_table


def sweep_names() -> tuple[str, ...]:
    """Names of the bundled tables that are sweeps, for `load_sweeps`."""
    return tuple(_BUNDLED)


def load_sweeps(
    source: str | Path,
    target: str | None = None,
    draft: str | None = None,
    *,
    include_suspect: bool = False,
) -> tuple[Sweep, ...]:
    """The sweeps of a file (see `howspec.calibrate.tables.sweeps`) or of a bundled table.

    A plain string that is a bundled name means the bundled table; give a Path to read a file of
    that name. ``target`` and ``draft`` keep the sweeps of one model, capitals aside. Sweeps with an
    objection (`Sweep.suspect`) are left out unless ``include_suspect``.
    Raises ValueError for a bad file (file, line, column), for a pair without plain decoding and
    without speed-ups, for an unknown target or draft (the known ones, nearest first), and when
    nothing but suspect sweeps would remain.
    """
    if isinstance(source, str) and source in _BUNDLED:
        sweeps = _BUNDLED[source]()
    elif isinstance(source, str) and not os.path.exists(source) and "." not in source:
        listed = ", ".join(nearest_first(source, _BUNDLED))
        raise ValueError(f"sweep must be a file or one of {listed}, got {source!r}")
    else:
        from ..tables.sweeps import read_sweeps  # patterns of layouts

        sweeps = read_sweeps(source)
    sweeps = _named("target", target, sweeps, lambda s: s.target)
    sweeps = _named("draft", draft, sweeps, lambda s: s.draft)
    kept = tuple(s for s in sweeps if include_suspect or not s.suspect)
    if not kept:
        reason = f"{sweeps[0].label} is left out, {sweeps[0].suspect}"
        raise ValueError(f"{source}: {reason}; include_suspect=True keeps it")
    return kept


def load_sweep(
    source: str | Path,
    target: str | None = None,
    draft: str | None = None,
    *,
    include_suspect: bool = False,
) -> Sweep:
    """The one sweep of `load_sweeps`; ValueError listing them when there are several."""
    sweeps = load_sweeps(source, target, draft, include_suspect=include_suspect)
    if len(sweeps) > 1:
        listed = "; ".join(s.label for s in sweeps[:8]) + ("; ..." if len(sweeps) > 8 else "")
        raise ValueError(
            f"{source}: target and draft must name one sweep of {len(sweeps)}: {listed}"
        )
    return sweeps[0]


def specbundle_sweeps(include_suspect: bool = False) -> tuple[Sweep, ...]:
    """The chains of `specbundle`: a sweep for each target, draft, task and batch.

    Rows whose baseline is in doubt are left out unless ``include_suspect``; the sweep says why.
    """
    sweeps = _grouped("specbundle", lambda r: f"{r['task']}, batch {r['batch_sequences']}")
    return tuple(s for s in sweeps if include_suspect or not s.suspect)


def redrafter_sweeps() -> tuple[Sweep, ...]:
    """The chains of `redrafter_chips`: a sweep for each chip and precision."""
    sweeps = _grouped("redrafter_chips", lambda r: f"{r['chip']}, {r['precision']}")
    return tuple(replace(s, setting=s.workload) for s in sweeps)  # no other passes are as these


def _paper_sweeps() -> tuple[Sweep, ...]:
    # The bundled file is a sweep file as a user would write one, and is read as such.
    from ..tables.sweeps import parse_sweeps  # patterns of layouts

    name = "paper_bloom_grid"
    return parse_sweeps(bundled_bytes(name), f"{name}.csv")


_BUNDLED: dict[str, Callable[[], tuple[Sweep, ...]]] = {
    "paper_bloom_grid": _paper_sweeps,
    "specbundle": lambda: specbundle_sweeps(include_suspect=True),
    "redrafter_chips": redrafter_sweeps,
}


def _grouped(name: str, workload: Callable[[Row], str]) -> tuple[Sweep, ...]:
    """Sweeps of the chain rows of a bundled table that states speed-ups; gamma ascends in it."""
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in load_table(name).rows:
        if row["drafting"] == "chain":
            key = (text(row, "target"), text(row, "draft"), workload(row))
            groups.setdefault(key, []).append(row)
    sweeps = []
    for (target, draft, label), rows in groups.items():
        sweeps.append(
            Sweep(
                target,
                draft,
                read_only(number(row, "gamma_tokens") for row in rows),
                read_only(number(row, "speedup") for row in rows),
                tokens_per_round=read_only(number(row, "tokens_per_round") for row in rows),
                workload=label,
                suspect=next((text(r, "suspect") for r in rows if text(r, "suspect")), ""),
                source=text(rows[0], "source"),
                digit=printed_digit(number(row, "speedup") for row in rows),
            )
        )
    return tuple(sweeps)


def _named(
    what: str, wanted: str | None, sweeps: tuple[Sweep, ...], of: Callable[[Sweep], str]
) -> tuple[Sweep, ...]:
    if wanted is None:
        return sweeps
    known = {of(s): None for s in sweeps}
    exact = [name for name in known if name == wanted]
    same = exact or [name for name in known if name.casefold() == wanted.casefold()]
    if not same:
        listed = ", ".join(nearest_first(wanted, known))
        raise ValueError(f"{what} must be one of {listed}, got {wanted!r}")
    return tuple(s for s in sweeps if of(s) in same)
