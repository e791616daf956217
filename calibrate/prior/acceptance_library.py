"""Where the prior's measurements come from: bundled tables, and files of rows."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from ..library.evidence import Measurement, measured_with
from ..library.load import load_table
from ..models import number_format
from ..models.catalogue import find_model
from ..models.parameters import total
from ..tables.cells import number, plain_name
from .acceptance_cells import cell_from_row, merge
from .acceptance_model import Cell, family_of

_NO_ROW: dict[str, Any] = {
    "id": "", "family": "", "target": "", "target_params": None, "target_layers": None,
    "draft": "", "draft_params": None, "draft_layers": None, "precision": "", "quantised": "",
    "task": "", "temperature": None, "sampling": "", "gamma_tokens": None, "drafting": "chain",
    "metric": "", "value": None, "sample": "", "source": "", "notes": "", "hardware": "",
}  # fmt: skip


_OF_MEASURED = {
    "tokens_per_round": "tau_with_bonus", "accepted_over_drafted": "accepted_over_drafted",
}  # fmt: skip
MEASURED = ("measured", "measured_sources")
_WHOLE_BITS = 16  # of weights that are not quantised


def library_rows() -> list[dict[str, Any]]:
    """Rows of the bundled tables that the prior is fitted to, in the columns of `acceptance`.

    Rows with an objection and count-based drafts are left out. Which machine it was says nothing
    of what was accepted, so a machine that is only inferred is none.
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
    chains = filter(_of_chain, measured_with("model", _OF_MEASURED))
    return [*rows, *map(_of_measurement, chains)]


def _of_chain(m: Measurement) -> bool:
    """Whether a row states the acceptance of whole chains, and may be learned from."""
    whole = m.drafting == "chain" and m.p_min is None and m.status == "measured"
    return whole and (not m.objection or m.objection.startswith("hardware"))


def _of_measurement(m: Measurement) -> dict[str, Any]:
    target, draft = m.target_model or m.target, m.draft_model or m.draft
    bits = number_format(m.target_format).bits if m.target_format else None
    return _NO_ROW | {
        "id": m.id, "target": target, "target_params": parameters_of(target), "draft": draft,
        "draft_params": parameters_of(draft), "precision": m.target_format,
        "quantised": "" if bits is None else "yes" if bits < _WHOLE_BITS else "no",
        "task": m.task, "temperature": m.temperature, "gamma_tokens": m.gamma,
        "metric": _OF_MEASURED[m.metric], "value": m.value, "sample": m.sample,
        "source": m.citation, "hardware": m.hardware, "notes": m.notes,
    }  # fmt: skip


def built_cells() -> tuple[Cell, ...]:
    """The cells of `library_cells`, made of the rows of the tables.

    To be stored by `acceptance_fit` when a row or the reading of rows changes.
    """
    cells = (cell_from_row(row) for row in library_rows())
    return tuple(merge(c for c in cells if c.measured and not c.doubt))


# The columns of a published row, each with the other names under which a table may carry it.
_COLUMNS: dict[str, tuple[str, ...]] = {
    "target": ("target_model", "model"),
    "draft": ("draft_model", "drafter", "assistant"),
    "task": ("dataset", "workload", "benchmark", "domain"),
    "gamma": ("gamma_tokens", "k", "num_speculative_tokens", "draft_tokens"),
    "n": ("sample", "samples"),
    "quantised": ("quantized",),
    "value": ("acceptance",),
    "metric": ("alpha_kind",),
    "source": ("citation", "url"),
    "target_params_b": ("target_params", "target_parameters"),
    "draft_params_b": ("draft_params", "draft_parameters"),
    "temperature": ("temp",),
}
# Metrics as tables also call them, in small letters and underlines. An acceptance rate alone is
# none of them: it has too many meanings.
_METRICS = {
    "accepted_drafted": "accepted_over_drafted",
    "alpha": "alpha_conditional",
    "conditional": "alpha_conditional",
    "tau": "tau_with_bonus",
    "tokens_per_round": "tau_with_bonus",
    "mean_tokens_per_round": "tau_with_bonus",
    "tau_mean_tokens_per_round": "tau_with_bonus",
    "acceptance_length": "tau_with_bonus",
    "mean_acceptance_length": "tau_with_bonus",
    "overlap_alpha": "overlap",
    "sum_min_p_q": "overlap",
    "top_1_agreement": "argmax_agreement",
    "first_position_acceptance": "first_position",
}
_UNSTATED = {"", "-", "–", "—", "?", "n/a", "na", "nan", "none", "null"}


def metric_name(text: str) -> str:
    """A metric by any of its names, as `acceptance_cells` calls it; other texts stay."""
    plain = plain_name(text)
    return _METRICS.get(plain, plain)


def row_from_published(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row in the columns of a collection (`target_params_b`, `gamma`, `n`, ...) as one of ours.

    Absent, empty and unreadable cells are unknown, sizes are then taken from the names; a size
    below 100,000 is in billions. Nothing raises but a row that is no mapping.
    """
    cells = {str(key).strip().casefold(): _stated(value) for key, value in row.items()}
    for name, others in _COLUMNS.items():
        cells[name] = next((cells[n] for n in (name, *others) if cells.get(n)), "")
    temperature, gamma = cells["temperature"], cells["gamma"]
    kind = drafting_kind(cells["draft"], cells.get("method", ""))
    whole = re.fullmatch(r"\d+(\.0+)?", gamma)
    shape = f"{gamma} {cells.get('drafting', '')}".casefold()
    drafting = next((s for s in ("adaptive", "tree") if s in shape), "chain")
    layers = _number(cells.get("draft_layers", ""))
    same = ("id", "family", "target", "draft", "task", "source", "notes", "quantised", "hardware")
    leading = re.match(r"(\d+(?:\.\d+)?)(?:\s*\((.*)\))?$", temperature)
    metric = metric_name(cells["metric"])
    return _NO_ROW | {
        **{key: cells.get(key, "") for key in same},
        "metric": metric,
        "target_params": _size(cells, "target"),
        "draft_params": None if kind != "model" else _size(cells, "draft"),
        "draft_layers": int(layers) if layers and layers >= 1.0 else None,
        "temperature": float(leading[1]) if leading else None,
        "sampling": (leading[2] or "") if leading else temperature or cells.get("sampling", ""),
        "gamma_tokens": int(float(gamma)) if whole and float(gamma) >= 1.0 else None,
        "drafting": drafting if kind == "model" else kind,
        "value": _number(cells["value"]),
        "sample": cells["n"],
    }


def _stated(value: Any) -> str:
    text = "" if value is None else str(value).strip()
    return "" if text.casefold() in _UNSTATED else text


def _size(cells: Mapping[str, str], who: str) -> float | None:
    """Parameters as stated, in all or in billions, else as the name says."""
    stated = _number(cells[f"{who}_params_b"])
    if stated is not None and stated > 0.0:
        return stated if stated >= 1e5 else stated * 1e9
    return parameters_of(cells[f"{who}_params_b"]) or parameters_of(cells[who])


def _number(text: str) -> float | None:
    value = number(text)
    return value if math.isfinite(value) else None


_SIZE = re.compile(r"(?<![\d.a-z])(\d+(?:\.\d+)?)\s*([bm])(?![a-z])", re.IGNORECASE)
_EXPERTS = re.compile(r"(?<![\d.a-z])(\d+)x(\d+(?:\.\d+)?)b(?![a-z])", re.IGNORECASE)
_UNIT = {"b": 1e9, "m": 1e6}
_LOOK_UP = re.compile(
    r"\b(?:n-?|uni|bi|tri)grams?\b|look-?up|look-?ahead|\bpld\b|\brest\b|retrieval|suffix|recycling|\bsamd?\b",
    re.IGNORECASE,
)
_HEAD = re.compile(
    r"eagle|medusa|hydra|\bmtp\b|\bheads?\b|re-?drafter|recurrent|dflash|dspark|kangaroo|hass\b"
    r"|mlp.?spec|layer-?skip|self-?spec|early.?exit|built-?in|parallel block",
    re.IGNORECASE,
)


def parameters_of(name: str) -> float | None:
    """Parameters of a model by its name, all experts counted; None where it does not say.

    The table of models knows some; of others the first size in the name is taken, as in
    "Big-7B-Instruct" or "tiny 68M".
    """
    known = find_model(name) if name.strip() else None
    if known is not None:
        return float(total(known.shape))
    spaced = name.replace("_", "-")
    experts = _EXPERTS.search(spaced)
    if experts:
        return float(experts[1]) * float(experts[2]) * 1e9
    size = _SIZE.search(spaced)
    return float(size[1]) * _UNIT[size[2].casefold()] if size else None


def drafting_kind(*texts: str) -> str:
    """``look-up`` or ``head`` where a text (a draft's name, a method) says so, else ``model``."""
    said = " | ".join(texts)
    if _LOOK_UP.search(said):
        return "look-up"
    return "head" if _HEAD.search(said) else "model"
