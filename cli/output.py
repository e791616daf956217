"""What the verbs share: JSON without NaN, and small text tables."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..calibrate.engines.health import Finding


def purpose(verb: Callable[..., None]) -> str:
    """The first sentence of a verb's docstring, for the list of verbs, in full."""
    return " ".join((verb.__doc__ or "").split("\n\n")[0].split())


def plain(value: Any) -> Any:
    """A value as JSON knows it: arrays as lists, dataclasses as objects, no NaN or infinity."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def print_json(value: Any) -> None:
    """Print one JSON object on stdout."""
    print(json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def health_lines(findings: Sequence[Finding]) -> list[str]:
    """What is broken, one line each with its source; one line where nothing is."""
    if not findings:
        return ["health: nothing looks broken"]
    return [f"check first: {f.line}; as in {f.source}" for f in findings]


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Print a small table on stdout; numbers to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    if title:
        print(title)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(columns):
        table.add_column(name, justify="left" if i == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False, soft_wrap=False)
    if not console.is_terminal:
        console.width = 150
    console.print(table)
