"""Writes what the bundled measurements teach of spreads and of what is realised.

    python -m howspec.calibrate.learned.fit

Every gamma of every bundled sweep is predicted from the others of its sweep; and, where tokens per
round are stated, from each other one alone. Every row that states acceptance, gamma and cost ratio
is compared with its ideal. It takes a minute; a test repeats parts of it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from .bundled import library_rows, suspected
from .measured import GammaSweep, gamma_sweeps
from .realisation import Learned
from .spreads import FILE, Group, Realised, Stored, grouped, to_text
from .stated import realised, usable
from .sweeps import misfits


def bundled_sweeps() -> tuple[GammaSweep, ...]:
    """The sweeps of at least three gammas."""
    return gamma_sweeps(suspected(library_rows()), least=3)


def pairs_of(sweep: GammaSweep) -> list[GammaSweep]:
    """Every two gammas of a sweep as a sweep, where tokens per round are stated."""
    rows = sweep.rows if sweep.tau is not None else ()
    return [GammaSweep((a, b)) for i, a in enumerate(rows) for b in rows[i + 1 :]]


def groups_of(pool: Sequence[GammaSweep]) -> dict[str, tuple[Group, ...]]:
    """Groups of misfits of speed-up and tokens of sweeps that are all pairs, or all longer."""
    found: dict[tuple[object, ...], list[tuple[float, float | None]]] = defaultdict(list)
    first: dict[tuple[object, ...], GammaSweep] = {}
    family = [s.sweep for s in pool]
    for s in pool:
        for row in s.rows:
            key = (s.study, s.family, row.gamma)
            first.setdefault(key, s)
            speed, tokens = misfits(s.sweep, row.gamma, family=family)
            found[key].append((speed, None if row.tau_is_derived else tokens))
    return {
        quantity: tuple(_groups(found, first, at))
        for at, quantity in enumerate(("speed-up", "tokens"))
    }


def _groups(
    found: dict[tuple[object, ...], list[tuple[float, float | None]]],
    first: dict[tuple[object, ...], GammaSweep],
    at: int,
) -> Iterable[Group]:
    numbers: dict[object, int] = {}
    for key, members in found.items():
        values = [u for m in members if (u := m[at]) is not None]
        if values:
            sweep = first[key]
            # A family of pairs is the family of the sweeps that they are taken from.
            family = str(numbers.setdefault((sweep.study, sweep.family[:5]), len(numbers)))
            engine = re.split(r"[\s(]", sweep.rows[0].engine.casefold())[0]
            yield grouped(sweep.study, engine, family, np.array(values))


def fitted() -> Stored:
    """All groups by name, see `spreads.prior_of`, and the realised rows."""
    sweeps = bundled_sweeps()
    several, one = groups_of(sweeps), groups_of([p for s in sweeps for p in pairs_of(s)])
    named = {f"{quantity}, several": some for quantity, some in several.items()}
    named |= {f"{quantity}, one": some for quantity, some in one.items()}
    rows = tuple(realised(r) for r in library_rows() if usable(r))
    new = Learned(rows).forecast(Realised("", "", 0.0)).distribution
    return Stored(named, rows, (tuple(new.at.tolist()), tuple(new.below.tolist())))


if __name__ == "__main__":
    Path(__file__).with_name(FILE).write_text(to_text(fitted()), "utf-8")
