"""InferenceX golden_al_distribution: acceptance lengths by model, mode and draft length, in YAML.

model:
  thinking_on: {1: 1.8, 2: 2.4}       or one "K: length" a line
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from .completed import engine_counts
from .counts import EngineCounts, Group

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
