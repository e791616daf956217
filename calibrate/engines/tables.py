"""Tables of statistics: CSV of speculators and of round traces, YAML of acceptance lengths."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator

from .counts import EngineCounts, Group, engine_counts
from .printed import Printed, counts_behind, printed

_TRACE = re.compile(r"a(\d{1,4})")
_POSITION = re.compile(r"acceptance_at_pos_(\d{1,4})")


def is_table(header: str) -> bool:
    """Whether the first line is the header of a table that this module reads."""
    names = _names(header)
    return {"num_drafts", "num_accepted_tokens"} <= set(names) or (
        "commits" in names and "a0" in names
    )


def _names(header: str) -> list[str]:
    return [c.strip().strip('"').strip() for c in re.split(r"[,;\t]", header.strip())]


def read_csv(lines: Iterable[str]) -> EngineCounts:
    """Read a table; raises ValueError naming the line."""
    numbered = iter(lines)
    header = next(numbered, "")
    mark = next((c for c in ",;\t" if c in header), None)
    if mark is None:
        raise ValueError("line 1: a header of columns apart by commas is needed")
    names = _names(header)
    if len(set(names)) != len(names):
        raise ValueError("line 1: a column is given twice")
    rows = _rows(csv.reader(numbered, delimiter=mark), names)
    if "commits" in names:
        return _trace(rows, names)
    return _speculators(rows, names)


def _rows(reader: Iterator[list[str]], names: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    line = 1
    try:
        for line, cells in enumerate(reader, start=2):
            if not any(c.strip() for c in cells):
                continue
            if len(cells) != len(names):
                raise ValueError(
                    f"line {line}: a row must have {len(names)} cells as the header has, got "
                    f"{len(cells)}"
                )
            yield line, dict(zip(names, (c.strip() for c in cells), strict=True))
    except csv.Error as error:
        raise ValueError(f"line {line + 1}: is no record of a table: {error}") from None


def _whole(text: str, what: str, line: int) -> int:
    """A whole number, also as 12.0, as tables write counts."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (0 <= value <= 2.0**63 and value == int(value)):
        raise ValueError(f"line {line}: {what} must be a whole number >= 0, got {text!r}")
    return int(value)


def _trace(rows: Iterator[tuple[int, dict[str, str]]], names: list[str]) -> EngineCounts:
    """Rounds one by one: commits accepted tokens of D drafted, by category."""
    depth = sum(1 for n in names if _TRACE.fullmatch(n))
    if [n for n in names if _TRACE.fullmatch(n)] != [f"a{k}" for k in range(depth)]:
        raise ValueError("line 1: columns a0, a1, .. must be without gaps and in order")
    histogram = [0] * (depth + 1)
    parts: dict[str, list[int]] = {}
    for line, row in rows:
        kept = _whole(row["commits"], "commits", line)
        if kept > depth:
            raise ValueError(f"line {line}: commits must be in [0, {depth}], got {kept}")
        histogram[kept] += 1
        part = parts.setdefault(row.get("category", ""), [0] * (depth + 1))
        part[kept] += 1
        if len(parts) > 10_000:
            raise ValueError(f"line {line}: categories must be at most 10000, got more")
    rounds = sum(histogram)
    if not rounds:
        raise ValueError("the table has a header and no rounds")
    groups = []
    for name, part in parts.items():
        n, accepted = sum(part), sum(k * c for k, c in enumerate(part))
        groups.append(
            Group(
                label=name, gamma=depth, rounds=n, drafted=n * depth, accepted=accepted,
                acceptance_length=1.0 + accepted / n,
                survival=tuple(sum(part[k:]) / n for k in range(1, depth + 1)),
            )
        )  # fmt: skip
    notes = [f"gamma is the {depth} columns a0.. of the trace: every round drafts that many"]
    if rounds >= 100 and not histogram[depth]:
        notes.append(
            f"no round accepts {depth}: the last column may be the boundary after the last draft "
            f"token, and gamma {depth - 1}"
        )
    return engine_counts(
        "inference-lab",
        "trace-rounds-csv",
        definition="one row a round: commits = accepted draft tokens, the bonus not counted",
        drafted=rounds * depth,
        gamma=depth,
        histogram=histogram,
        groups=tuple(groups) if len(groups) > 1 else (),
        notes=notes,
    )


def _speculators(rows: Iterator[tuple[int, dict[str, str]]], names: list[str]) -> EngineCounts:
    """acceptance.csv of vllm-project/speculators: one row a subset, shares over all drafts."""
    places = sorted(int(m.group(1)) for n in names if (m := _POSITION.fullmatch(n)))
    if places != list(range(len(places))):
        raise ValueError("line 1: columns acceptance_at_pos_0, .. must be without gaps")
    gamma = len(places) or None
    rounds = drafted = accepted = 0
    weighted, positions = [0.0] * len(places), [0] * len(places)
    exact, groups = bool(places), []
    for line, row in rows:
        n = _whole(row["num_drafts"], "num_drafts", line)
        kept = _whole(row["num_accepted_tokens"], "num_accepted_tokens", line)
        tokens = _whole(row.get("num_draft_tokens") or "0", "num_draft_tokens", line)
        shares = [_share(row[f"acceptance_at_pos_{k}"] or "0", line) for k in places]
        counts = counts_behind(shares, n)
        exact = exact and counts is not None and sum(counts) == kept
        for k, share in enumerate(shares):
            weighted[k] += n * share.value
            positions[k] += counts[k] if counts else 0
        if kept > tokens and "num_draft_tokens" in names:
            raise ValueError(f"line {line}: accepted must be in [0, {tokens}], got {kept}")
        rounds, drafted, accepted = rounds + n, drafted + tokens, accepted + kept
        label = next((row[c] for c in names if not c.startswith(("num_", "accept"))), f"{line}")
        groups.append(
            Group(
                label=label, gamma=gamma, rounds=n, drafted=tokens, accepted=kept,
                acceptance_length=1.0 + kept / n if n else None,
                survival=tuple(s.value for s in shares) or None,
            )
        )  # fmt: skip
    if not groups:
        raise ValueError("the table has a header and no rows")
    notes = [f"gamma is the {gamma} positions that have a column"] if gamma else ["gamma null"]
    if len(groups) > 1:
        notes.append(f"{len(groups)} rows are added up: see groups for each")
    return engine_counts(
        "speculators",
        "speculators-acceptance-csv",
        definition="speculators (vLLM counters): acceptance_length = 1 + accepted / drafts, shares "
        "by position over all drafts",
        rounds=rounds,
        drafted=drafted if "num_draft_tokens" in names else None,
        accepted=accepted,
        gamma=gamma,
        per_position_accepted=positions if exact else None,
        survival=[w / rounds for w in weighted] if places and rounds and not exact else None,
        groups=tuple(groups) if len(groups) > 1 else (),
        notes=notes,
    )


def _share(text: str, line: int) -> Printed:
    try:
        share = printed(text)
    except ValueError:
        share = Printed(text, math.nan, math.nan, math.nan)
    if not 0.0 <= share.value <= 1.0:
        raise ValueError(f"line {line}: a share by position must be in [0, 1], got {text!r}")
    return share


_ENTRY = re.compile(r"^(\s*)(?:-\s+)?[\"']?([^\"':#{}][^\"':{}]*?)[\"']?\s*:\s*(.*?)\s*(?:#.*)?$")
_PAIR = re.compile(r"[\"']?(\d{1,4})[\"']?\s*:\s*[\"']?(\d+(?:\.\d+)?)[\"']?\s*(?:,|$)")


def is_golden(head: str) -> bool:
    """Whether a text looks like a YAML of acceptance lengths by model, mode and draft length."""
    return re.search(r"^\s+thinking_(?:on|off)\s*:", head, re.MULTILINE) is not None


def read_golden(lines: Iterable[str]) -> EngineCounts:
    """InferenceX golden_al_distribution: model -> thinking_on/off -> {K: acceptance length}."""
    path: list[tuple[int, str]] = []
    groups: list[Group] = []
    for line, raw in enumerate(lines, start=1):
        if not raw.strip() or raw.lstrip().startswith(("#", "---")):
            continue
        found = _ENTRY.match(raw.rstrip("\r\n"))
        if found is None:
            raise ValueError(f"line {line}: must be 'name: value', got {raw.strip()[:80]!r}")
        indent, name, value = len(found.group(1)), found.group(2).strip(), found.group(3)
        path = [p for p in path if p[0] < indent]
        label = " ".join(p[1] for p in path)
        if value.startswith("{"):
            inner = value.strip("{} ")
            pairs = _PAIR.findall(inner)
            if len(pairs) != inner.count(":"):
                raise ValueError(f"line {line}: must be {{K: length, ..}}, got {value[:80]!r}")
            groups += [_golden(f"{label} {name}".strip(), k, v, line) for k, v in pairs]
        elif value and name.isdigit():
            groups.append(_golden(label, name, value.strip("\"'"), line))
        elif not value:
            path.append((indent, name))
    if not groups:
        raise ValueError("holds no acceptance length under thinking_on or thinking_off")
    one = groups[0] if len(groups) == 1 else None
    return engine_counts(
        "inferencex",
        "inferencex-golden-al",
        definition="acceptance length by number of draft tokens, bonus counted",
        gamma=one.gamma if one else None,
        acceptance_length=one.acceptance_length if one else None,
        groups=tuple(groups),
        notes=[
            "lengths by gamma without counts: rounds, drafted, accepted and survival null; "
            "differences of the lengths of one curve are its survival only if a longer draft "
            "leaves the first tokens alone"
        ],
    )


def _golden(label: str, gamma: str, text: str, line: int) -> Group:
    k = int(gamma)
    try:
        length = float(text)
    except ValueError:
        length = math.nan
    if not 1.0 <= length <= k + 1:
        raise ValueError(
            f"line {line}: an acceptance length must be in [1, {k + 1}] at {k} draft tokens, got "
            f"{text!r}"
        )
    return Group(label=label, gamma=k, acceptance_length=length)
