"""Layouts in which people write measurements, brought to one: a row a setting, a column a quantity.

Read here beside plain tables: the number of draft tokens K within a cell that says the setting
("--spec-draft-n-max 3", "MTP n=2", "EAGLE-3 (num_steps=5)"), a table turned by ninety degrees (a
column a setting), a grid of K by batch, plain speeds in a column of their own, and lines of text
("n_max 3: 48.1 t/s").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from . import columns
from .cells import Cells, plain_name

Rows = Sequence[Mapping[str, str]]
_OPTION = (
    r"(?:spec-|speculative-)?draft-(?:n-max|max|tokens|len)|n[_-]max|"
    r"(?:num|n)[_ -](?:spec(?:ulative)?[_ -])?(?:draft[_ -])?(?:tokens|steps)|"
    r"(?:speculative|spec|draft)[_ -](?:num[_ -])?(?:tokens|steps|len|k)|"
    r"num[_ -]assistant[_ -]tokens|spec[_ -]?k|gamma|γ|mtp|drafts?|k"
)
_K_IN = (
    re.compile(rf"(?<![\w.])(?:-{{0,2}})(?:{_OPTION})\s*[=: /-]?\s*(\d{{1,3}})(?![\d.%/])", re.I),
    re.compile(
        r"(?<![\w./])(?<!of )(?<!/ )(\d{1,3})[ -](?:spec(?:ulative)?|draft(?:ed)?)[ -]?tokens?\b",
        re.I,
    ),
    re.compile(r"(?<![\w.])\(?(\d{1,2})[-/,] ?1[-/,] ?\d{1,3}\)?(?![\d.])"),  # steps, top-k, tokens
    re.compile(r"(?<![\w.])n\s*=?\s*(\d{1,3})(?![\w.%])", re.I),
)
_PLAIN = re.compile(
    r"(?:plain|vanilla|auto-?regressive|base(?:line)?|off|none|disabled)\b(?!.*(?:draft|mtp|spec\w*)"
    r"\s*=?\s*[1-9])|(?:no|without|w/o|non)[ -]?(?:mtp|spec\w*|draft\w*|eagle\w*|flag)\b|"
    r"(?:mtp|spec\w*|draft\w*)[ :=-]*(?:off|none|disabled)\b|ar",
    re.IGNORECASE,
)
_SPEED = re.compile(
    r"(\d[\d,]*(?:\.\d+)?)\s*(?:tok(?:en)?s?\s?(?:/|per )\s?s(?:ec(?:ond)?)?|t/s|tps)\b", re.I
)
_LENGTH = re.compile(
    r"(?<![a-z])acc(?:e?pt(?:ance|ed)?)?[ _-]len(?:gth)?\w*\W{1,3}(\d+\.\d+)", re.IGNORECASE
)
_BAR = re.compile(r"\[\d+:\d\d<.*")  # what a bar of progress says of itself
_OUTPUT = re.compile(rf"\b(?:output|generation|decode)\W{{1,3}}(?={_SPEED.pattern})", re.IGNORECASE)
_ACCEPTANCE = re.compile(
    r"accept(?:ance|ed)?(?: rate)?[\s=:(~]{1,3}(\d+(?:\.\d+)?\s*%|0?\.\d+)(?!\d)", re.IGNORECASE
)
_LOAD = re.compile(
    r"(?:(?:bs|batch(?:[_ ]size)?|c|conc(?:urrency)?|b|users?|reqs?|n)[_ ]*[=:]?[_ ]*)?(\d{1,5})",
    re.IGNORECASE,
)
_GAINED = re.compile(r"\(\s*(\+?-?\d+(?:\.\d+)?\s*[%x×])\s*\)")


def setting_of(text: str) -> tuple[str, str] | None:
    """(K as digits, the words beside it) of a setting, None where it states no K.

    "0" and no words are plain decoding: "no speculation", "baseline", "MTP off".
    """
    plain = text.strip(" *`#:-•\t")
    if _PLAIN.match(plain):
        return "0", ""
    for pattern in _K_IN:
        if found := pattern.search(text):
            rest = f"{text[: found.start()]} {text[found.end() :]}"
            return str(int(found[1])), " ".join(re.sub(r"[\s`*,:;()\[\]|]+", " ", rest).split())
    return None


def sweep_cells(cells: Cells) -> Cells | None:
    """The cells with a column of K and one that was measured, None where no layout gives both."""
    ways: tuple[Callable[[Cells], Cells | None], ...] = (
        _within, by_setting, _grid, _unnamed, _by_unit,
    )  # fmt: skip
    for found in (cells, *(way(cells) for way in ways)):
        if found is not None and found.rows and _is_sweep(found):
            return found
    return None


def _is_sweep(cells: Cells) -> bool:
    return bool(columns.gamma_columns(cells.names)) and columns.measure_of(cells.names) is not None


def _within(cells: Cells) -> Cells | None:
    """K in the cells of a column that says the setting: the first where two or more state it."""
    if columns.gamma_columns(cells.names):
        return None
    for name in cells.names:
        found = [setting_of(row.get(name, "")) for row in cells.rows]
        left = [n for n, s in zip(cells.lines, found, strict=True) if s is None]
        if sum(s is not None and s[0] != "0" for s in found) < 2:
            continue
        rest = {s[1] for s in found if s is not None and s[0] != "0"}
        rows = [
            {**{n: c for n, c in row.items() if n != name}, "k": s[0],
             **({"method": s[1] or "draft"} if s[0] != "0" and len(rest) > 1 else {})}
            for row, s in zip(cells.rows, found, strict=True) if s is not None
        ]  # fmt: skip
        lines = tuple(n for n, s in zip(cells.lines, found, strict=True) if s is not None)
        made = _table(cells, rows, lines)
        said = f"{len(left)} rows whose {name} states no number of draft tokens are left out"
        return replace(made, notes=(said,)) if left else made
    return None


def by_setting(cells: Cells) -> Cells | None:
    """A table whose columns are settings, turned: a row each, K where its name states it."""
    settings = cells.names[1:]
    known = [(n, s) for n in settings if (s := setting_of(n.replace("_", " "))) is not None]
    if sum(s[0] != "0" for _, s in known) < 2:
        return None
    return turned(cells, [n for n, _ in known], {n: s[0] for n, s in known})


def turned(cells: Cells, settings: Sequence[str], k: Mapping[str, str]) -> Cells:
    """The cells with a row for each of the columns ``settings``; k: their number of draft tokens.

    The first column names what the others state.
    """
    first = cells.names[0]
    named: dict[str, Mapping[str, str]] = {}
    for row in cells.rows:
        named.setdefault(plain_name(row.get(first, "")), row)
    gamma = any(n in columns.GAMMA for n in named)
    rows = []
    for setting in settings:
        row = {"setting": setting} | {n: r[setting] for n, r in named.items() if r.get(setting)}
        if setting in k and not gamma:
            row["gamma"] = k[setting]
        rows.append(row)
    return _table(cells, rows, tuple(range(1, len(rows) + 1)))


def _grid(cells: Cells) -> Cells | None:
    """A grid of K by batch: the first column K and the others a batch each, or the other way."""
    first, *rest = cells.names
    loads = [(n, m[1]) for n in rest if (m := _LOAD.fullmatch(n.replace("_", " ")))]
    named = first.split("_")[0] in columns.GAMMA or bool(columns.gamma_columns((first,)))
    settings = [(r, _corner(r.get(first, ""), named)) for r in cells.rows]
    rows: list[dict[str, str]] = []
    if len(loads) > 1 and sum(s is not None for _, s in settings) > 1:
        rows = [
            {"k": s, "batch": load, _measured(cells): row[n]}
            for row, s in settings if s is not None for n, load in loads if n in row
        ]  # fmt: skip
    elif len(rest) > 1 and first.split("_")[0] in columns.BATCH:
        ks = [(n, s[0]) for n in rest if (s := setting_of(n.replace("_", " "))) is not None]
        rows = [{"k": k, "batch": row[first], _measured(cells): row[n]}
                for row in cells.rows for n, k in ks if n in row and first in row]  # fmt: skip
    return _table(cells, rows, tuple(range(1, len(rows) + 1))) if rows else None


def _corner(cell: str, named: bool) -> str | None:
    """K of a cell of the first column; a bare number is one where the column is named so."""
    if re.fullmatch(r"\d{1,3}", cell.strip()):
        return cell.strip() if named else None
    found = setting_of(cell)
    return found[0] if found else None


def _measured(cells: Cells) -> str:
    """What the cells of a grid state, by the words in its corner and above it.

    Raises ValueError where nothing says it.
    """
    said = f"{cells.names[0].replace('_', ' ')} {cells.caption}".casefold()
    for word, name in (
        ("speed-?up|gain", "speedup"), (r"tpot|itl|\bms\b|latency", "tpot_ms"),
        (r"tok\w* ?(?:/|per| )? ?s\b|t/s|tps|throughput|speed", "tok_s"),
    ):  # fmt: skip
        if re.search(word, said):
            return name
    raise ValueError(
        f"{cells.label}, line 1, column speedup: a grid must say what it states, tok/s, TPOT, or "
        "speed-up, in its first cell or above it"
    )


def _unnamed(cells: Cells) -> Cells | None:
    """Speeds under "Baseline" and "With MTP", told to be speeds by the gain beside one of them."""
    base = next((n for n in cells.names if columns.is_base(n)), None)
    known = (base, *columns.GAMMA, *columns.WEAK_GAMMA, *columns.BATCH, *columns.CONTEXT)
    for name in cells.names if base is not None else ():
        gains = [(r, m) for r in cells.rows if (m := _GAINED.search(r.get(name, "")))]
        if name in known or not gains:
            continue
        row, gain = gains[0]
        own, plain = columns.value_of(row[name]), columns.value_of(row.get(base or "", ""))
        if abs(own / plain - columns.speedup_of(gain[1])) < 0.02:
            rows = [{**{n: c for n, c in r.items() if n not in (name, base)},
                     "tok_s": r.get(name, ""), "baseline_tok_s": r.get(base or "", "")}
                    for r in cells.rows]  # fmt: skip
            return _table(cells, rows, cells.lines)
    return None


def _by_unit(cells: Cells) -> Cells | None:
    """Speeds told by the unit in every cell of a column: the first such column."""
    for name in cells.names:
        if cells.rows and all(_SPEED.match(r.get(name, "").strip("*` ")) for r in cells.rows):
            rows = [{("tok_s" if n == name else n): c for n, c in r.items()} for r in cells.rows]
            said = f"speeds are those of the column {name}, told by their unit"
            return replace(_table(cells, rows, cells.lines), notes=(said,))
    return None


def lines_of(text: str, label: str) -> Cells | None:
    """Lines such as "n_max 3: 48.1 t/s", or a heading with the setting and the speed below it."""
    rows: list[dict[str, str]] = []
    heading = ""
    for line in text.splitlines():
        output = _OUTPUT.search(line)  # beside that of reading the prompt
        speed = _SPEED.search(line, output.end() if output else 0)
        if speed is None:
            heading = line if line.strip() else ""
            continue
        before = _BAR.sub("", _before(line, (_SPEED.search(line) or speed).start()))
        found = setting_of(before) or setting_of(heading)
        if found is not None and "|" not in line:
            row = {"k": found[0], "tok_s": speed[1].replace(",", "")}
            if found[0] != "0" and found[1]:
                row["method"] = found[1]
            if length := _LENGTH.search(line):
                row["acceptance_length"] = length[1]
            if rate := _ACCEPTANCE.search(line):
                row["acceptance_rate"] = rate[1].replace(" ", "")
            rows.append(row)
    if len({r["k"] for r in rows} - {"0"}) < 2:
        return None
    if len({r.get("method", "") for r in rows if r["k"] != "0"}) == 1:
        rows = [{n: c for n, c in r.items() if n != "method"} for r in rows]
    lines = tuple(range(1, len(rows) + 1))
    return _table(Cells(label, (), ()), rows, lines)


def _before(line: str, end: int) -> str:
    """The words before a speed, less the name of the speed itself."""
    return re.sub(r"(?:output |decode )?(?:throughput|speed)\W*$", "", line[:end], flags=re.I)


def _table(cells: Cells, rows: Rows, lines: tuple[int, ...]) -> Cells:
    names = tuple(dict.fromkeys(n for row in rows for n in row))
    return replace(cells, names=names, rows=tuple(rows), lines=lines, dropped=())
