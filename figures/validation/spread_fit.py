"""Writes the misfits of the bundled sweeps, from which spreads are learned, as `spread_table`.

    python -m howspec.figures.validation.spread_fit

Every gamma of every bundled sweep is predicted from the others of its sweep; and, where tokens per
round are stated, from each other one alone. It takes a minute or two; a test repeats parts of it.
"""

from __future__ import annotations

import re
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from .bundled import library_rows
from .grouping import GammaSweep, gamma_sweeps
from .spreads import Group, grouped
from .sweeps import LeftOut, left_out, speedup_misfit, tokens_misfit

MARK = "# --- written by spread_fit ---\n"


def bundled_sweeps() -> tuple[GammaSweep, ...]:
    """The sweeps of at least three gammas."""
    from .suite import suspected

    return gamma_sweeps(suspected(library_rows()), least=3)


def pairs_of(sweep: GammaSweep) -> list[GammaSweep]:
    """Every two gammas of a sweep as a sweep, where tokens per round are stated."""
    rows = sweep.rows if sweep.tau is not None else ()
    return [GammaSweep((a, b)) for i, a in enumerate(rows) for b in rows[i + 1 :]]


def groups_of(pool: Sequence[GammaSweep]) -> dict[str, list[Group]]:
    """Groups of misfits of speed-up and tokens of sweeps that are all pairs, or all longer."""
    own = left_out(pool, {s.family for s in pool})
    return {quantity: list(_groups(pool, own, quantity)) for quantity in ("speed-up", "tokens")}


def _groups(pool: Sequence[GammaSweep], own: Sequence[LeftOut], quantity: str) -> Iterable[Group]:
    found: dict[tuple[object, ...], list[tuple[GammaSweep, float]]] = defaultdict(list)
    for o in own:
        misfit = speedup_misfit(o, pool) if quantity == "speed-up" else tokens_misfit(o, pool)
        if misfit is not None:
            sweep = pool[o.sweep]
            found[(sweep.study, sweep.family, o.at)].append((sweep, misfit))
    for members in found.values():
        sweep = members[0][0]
        # A family of pairs is the family of the sweeps that they are taken from.
        family = "|".join(str(part) for part in sweep.family[:5])
        engine = re.split(r"[\s(]", sweep.rows[0].engine.casefold())[0]
        yield grouped(sweep.study, engine, family, np.array([m for _, m in members]))


def written(groups: dict[str, list[Group]]) -> str:
    """The groups as the lines of the table: families are numbered within their study."""
    lines = [MARK, "MISFITS: Misfits = {\n"]
    for name, some in groups.items():
        lines.append(f'    "{name}": {{\n')
        for study, engine in dict.fromkeys((g.study, g.engine) for g in some):
            own = [g for g in some if (g.study, g.engine) == (study, engine)]
            numbers = {f: i for i, f in enumerate(dict.fromkeys(g.family for g in own))}
            rows = [f"({numbers[g.family]}, {g.count}, {g.mean:.4g}, {g.around:.4g})" for g in own]
            packed = textwrap.wrap(", ".join(f.replace(" ", "_") for f in rows), 86)
            lines.append(f'        ("{study}", "{engine}"): (\n')
            lines += [f"            {line.replace('_', ' ')}\n" for line in packed[:-1]]
            lines.append(f"            {packed[-1].replace('_', ' ')},\n        ),\n")
        lines.append("    },\n")
    return "".join([*lines, "}  # fmt: skip\n"])


def fitted() -> dict[str, list[Group]]:
    """All groups by name, see `spread_table.prior_of`."""
    sweeps = bundled_sweeps()
    several, one = groups_of(sweeps), groups_of([p for s in sweeps for p in pairs_of(s)])
    named = {f"{quantity}, several": some for quantity, some in several.items()}
    return named | {f"{quantity}, one": some for quantity, some in one.items()}


if __name__ == "__main__":
    path = Path(__file__).with_name("spread_table.py")
    before = path.read_text("utf-8").split(MARK)[0]
    path.write_text(before + written(fitted()), "utf-8")
