"""Where the prior's measurements come from: bundled tables, files of rows, records of one's own."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...theory.acceptance import round_counts
from ..library.load import load_table
from .acceptance_cells import DESIGN_EFFECT, Cell, cell_from_row, family_of, merge, sampling_error
from .acceptance_tasks import canonical_task

if TYPE_CHECKING:
    from ..records import Record

_NO_ROW: dict[str, Any] = {
    "id": "", "family": "", "target": "", "target_params": None, "target_layers": None,
    "draft": "", "draft_params": None, "draft_layers": None, "precision": "", "quantised": "",
    "task": "", "temperature": None, "sampling": "", "gamma_tokens": None, "drafting": "chain",
    "metric": "", "value": None, "sample": "", "source": "", "notes": "",
}  # fmt: skip


def library_rows() -> list[dict[str, Any]]:
    """Rows of the bundled tables that the prior is fitted to, in the columns of `acceptance`.

    Rows with an objection and count-based drafts are left out.
    """
    rows = [dict(row) for row in load_table("acceptance").rows if not row["suspect"]]
    for name in ("leviathan_speedups", "leviathan_acceptance"):
        for row in load_table(name).rows:
            if row["draft_params"] is not None:
                own = {
                    "family": family_of(str(row["target"])),
                    "metric": "overlap",
                    "value": row["overlap_alpha"],
                    "sample": "10,000 tokens",
                    "gamma_tokens": None,
                    "drafting": "chain",
                }
                rows.append(_NO_ROW | dict(row) | own)
    return rows


@cache
def library_cells() -> tuple[Cell, ...]:
    """The measurements of the bundled tables that determine an alpha."""
    cells = (cell_from_row(row) for row in library_rows())
    return tuple(merge(c for c in cells if c.measured and not c.doubt))


def published_rows(path: str | Path) -> list[dict[str, str]]:
    """Rows of a comma-separated file with a header, as texts. ValueError where there are none."""
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
        rows = [dict(row) for row in csv.DictReader(io.StringIO(text, newline=""), strict=True)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from None
    if not rows:
        raise ValueError(f"{path}: the file has no rows")
    return [{k: (v or "").strip() for k, v in row.items() if isinstance(k, str)} for row in rows]


def row_from_published(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row in the columns of a collection (`target_params_b`, `gamma`, `n`, ...) as one of ours.

    Absent, empty and unreadable cells are unknown; nothing raises but a row that is no mapping.
    """
    cells = {key: str(row.get(key) or "").strip() for key in row}
    temperature, gamma = cells.get("temperature", ""), cells.get("gamma", "")
    billions = (_number(cells.get(f"{who}_params_b", "")) for who in ("target", "draft"))
    target, draft = (b * 1e9 if b and b > 0.0 else None for b in billions)
    whole = re.fullmatch(r"\d+(\.0+)?", gamma)
    drafting = "adaptive" if "adaptive" in gamma else "tree" if "tree" in gamma else "chain"
    layers = _number(cells.get("draft_layers", ""))
    same = ("id", "family", "target", "draft", "task", "metric", "source", "notes", "quantised")
    leading = re.match(r"(\d+(?:\.\d+)?)(?:\s*\((.*)\))?$", temperature)
    return _NO_ROW | {
        **{key: cells.get(key, "") for key in same},
        "target_params": target,
        "draft_params": draft,
        "draft_layers": int(layers) if layers and layers >= 1.0 else None,
        "temperature": float(leading[1]) if leading else None,
        "sampling": (leading[2] or "") if leading else temperature,
        "gamma_tokens": int(float(gamma)) if whole and float(gamma) >= 1.0 else None,
        "drafting": drafting,
        "value": _number(cells.get("value", "")),
        "sample": cells.get("n", ""),
    }


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def rows_from_record(
    record: Record, parameters: Mapping[str, float], *, layers: Mapping[str, int] | None = None
) -> list[Cell]:
    """Cells of a record of kind "acceptance": one for each draft, domain and temperature.

    parameters: of the models by name, the record's target among them (its settings' or
    provenance's "target"); layers: of drafts, where known. The error is that of the spread between
    requests. Raises ValueError for another kind of record or a model without parameters.
    """
    if record.kind != "acceptance":
        raise ValueError(f"record must be of kind 'acceptance', got {record.kind!r}")
    target = _target(record)
    groups: dict[tuple[str, str, float], list[Mapping[str, Any]]] = {}
    for point in record.points:
        if point["type"] == "rounds" and point.get("accepted"):
            key = (point["draft"], point["domain"], float(point["temperature"]))
            groups.setdefault(key, []).append(point)
    unknown = {target, *(draft for draft, _, _ in groups)} - set(parameters)
    if unknown:
        raise ValueError(f"parameters must name {', '.join(sorted(unknown))}")
    cells = []
    for (draft, domain, temperature), points in groups.items():
        alpha, error = _counted(points)
        cells.append(
            Cell(
                target_parameters=parameters[target],
                draft_parameters=parameters[draft],
                draft_layers=(layers or {}).get(draft),
                family=family_of(target),
                source="own record",
                target=target.casefold(),
                draft=draft.casefold(),
                task=canonical_task(domain),
                setting=f"{domain}|{temperature:g}",
                temperature=temperature,
                alpha=alpha,
                error=error,
            )
        )
    return cells


def _target(record: Record) -> str:
    for where in (record.settings, record.provenance):
        target = where.get("target")
        name = target.get("name") if isinstance(target, dict) else target
        if isinstance(name, str) and name:
            return name
    raise ValueError("record must name its target in its settings, got none")


def _counted(points: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Pooled alpha of rounds and its standard error between requests."""
    accepted = np.concatenate([np.asarray(p["accepted"]) for p in points])
    drafted = np.concatenate([np.broadcast_to(p["drafted"], len(p["accepted"])) for p in points])
    request = np.repeat(np.arange(len(points)), [len(p["accepted"]) for p in points])
    counts = round_counts(accepted, drafted, request=request)
    kept, tried = counts.by_request()
    alpha = float(kept.sum() / tried.sum())
    independent = sampling_error(alpha, float(tried.sum())) / np.sqrt(DESIGN_EFFECT)
    if kept.size < 5:
        return alpha, sampling_error(alpha, float(tried.sum()))
    spread = float(np.sqrt(np.square(kept - alpha * tried).sum() * kept.size / (kept.size - 1)))
    return alpha, float(max(spread / tried.sum(), independent))
