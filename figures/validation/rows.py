"""Published measurements as rows, one form for the bundled tables and for a file of the user's.

The columns are those in which published speed-ups are usually collected: target, draft, engine,
hardware, task, batch, gamma, acceptance, tokens per round, cost ratio, speed-up.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ...calibrate.learned.bundled import TOKENS, against_plain, once
from ...calibrate.learned.measured import PLAIN_DECODING, MeasuredRow
from ...calibrate.prior.acceptance_library import drafting_kind, metric_name, parameters_of
from ...calibrate.tables import columns
from ...calibrate.tables.cells import Cells, number
from .timed import GATED

GAMMA_MAX = 1000  # fits keep the law at every position up to gamma
# Columns, each with the other names under which a file may carry it, as `plain_name` spells them.
COLUMNS: dict[str, tuple[str, ...]] = {
    "target": ("target_model", "model", "base_model", "verifier"),
    "draft": ("draft_model", "drafter", "speculator", "assistant", "assistant_model"),
    "id": (),
    "source": ("citation", "url"),
    "engine": ("framework", "backend", "stack", "server"),
    "hardware": ("gpu", "device", "chip", "accelerator"),
    "precision": ("dtype", "quantisation", "quantization"),
    "method": ("drafting", "algorithm"),
    "task": ("dataset", "workload", "benchmark", "domain"),
    "temperature": ("temp", "sampling"),
    "batch": columns.BATCH[1:],
    "gamma": (*columns.GAMMA[1:], *columns.WEAK_GAMMA),
    "alpha": ("stated_alpha", "overlap_alpha", "acceptance", "acceptance_rate"),
    "alpha_kind": ("alpha_metric", "metric"),
    "tau_mean_tokens_per_round": columns.TOKENS,
    "tokens_derived": ("tau_derived",),
    "cost_ratio_c": ("cost_ratio", "c"),
    "speedup": ("speed_up", "speedup_x"),
    "target_params_b": ("target_params", "target_parameters"),
    "draft_params_b": ("draft_params", "draft_parameters"),
    "tokens_per_s_base": ("plain_tokens_per_s", "base_tokens_per_s", "baseline_tokens_per_s"),
    "tokens_per_s_spec": ("spec_tokens_per_s", "tokens_per_s"),
    "p_min": ("draft_p_min", "spec_draft_p_min"),
    "suspect": (),
    "notes": ("note", "comment", "comments"),
}  # fmt: skip
_TEXTS = ("engine", "hardware", "precision", "method", "task", "temperature", "batch", "source")
_PLAIN = re.compile(
    r"plain( decoding)?|vanilla|autoregressive|ar|baseline|base|off|none|no[ -]spec\w*( decoding)?",
    re.IGNORECASE,
)
_GAMMA = re.compile(
    r"(?:k|n|gamma|γ)?\s*=?\s*(\d+)(?:\.0+)?(?:\s*(?:draft(?:ed)?\s*)?tokens?)?", re.IGNORECASE
)
# Drafts of at most so many tokens, which end by their confidence.
_UP_TO = re.compile(r"(?:<=|≤|up to)\s*(\d+)(?:\s*tokens?)?", re.IGNORECASE)
# What a source may call its acceptance, in words of a column or of notes; the first that fits.
_KINDS = (
    ("overlap", r"min\(p|overlap|total variation|\btv\b"),
    ("first_position", r"first[ _]position|position[- _]0|position[- _]1\b|first token"),
    ("accepted_over_drafted", r"accepted\s*(?:/|_?\s?over_?\s?)\s*drafted|draft rate"),
    ("alpha_conditional", r"conditional|accepted\s*/\s*(?:decided|tried)"),
)


@dataclass(frozen=True)
class FileRows:
    """Rows of a file, and what was made of it: lines dropped, numbers read as percentages."""

    rows: tuple[MeasuredRow, ...]
    remarks: tuple[str, ...]


def rows_of(cells: Cells) -> FileRows:
    """The rows of a file that is read: measured against its own plain decoding where it has some.

    Speed-ups may be left to the speeds, those of rows without drafts (gamma 0) included.
    """
    cells = _with_speeds(cells)
    _require(cells)
    named = [_columns(row) for row in cells.rows]
    percent = percentages(_value(row, "alpha") for row in named)
    rows = [_measured(row, i, percent) for i, row in enumerate(named)]
    remarks = [*cells.dropped]
    if percent:
        remarks.append("alpha was read as per cent: every value is above 1")
    return FileRows(tuple(once(against_plain(rows))), tuple(remarks))


def percentages(values: Iterable[float]) -> bool:
    """Whether rates can only be percentages: all stated are above 1, some of them above 10."""
    known = [v for v in values if math.isfinite(v) and v != 0.0]
    return bool(known) and min(known) > 1.0 and 10.0 < max(known) <= 100.0


def _with_speeds(cells: Cells) -> Cells:
    """The cells with a throughput or a time under any usual name as tokens per second.

    Where the file states speed-ups or speeds under the names of `COLUMNS`, they are as they are.
    """
    stated = {n for c in ("speedup", "tokens_per_s_base", "tokens_per_s_spec")
              for n in (c, *COLUMNS[c])}  # fmt: skip
    measure = None if stated & set(cells.names) else columns.measure_of(cells.names)
    if measure is None:
        return cells
    names = {"speedup": "speedup", "rate": "tokens_per_s_spec", "time": "tokens_per_s_spec"}
    rows = []
    for row in cells.rows:
        added = dict(row)
        for column, name in ((measure.column, names[measure.kind]),
                             (measure.base, "tokens_per_s_base")):  # fmt: skip
            value = columns.value_of(row.get(column or "", ""))
            if measure.kind == "time" and value > 0.0:
                value = 1.0 / (value * measure.factor)
            if math.isfinite(value) and name not in row:
                added[name] = repr(value)
        rows.append(added)
    more = [names[measure.kind], *(["tokens_per_s_base"] if measure.base else [])]
    return replace(cells, names=(*cells.names, *more), rows=tuple(rows))


def _require(cells: Cells) -> None:
    names = set(cells.names)
    speeds = {"tokens_per_s_base", "tokens_per_s_spec"}
    have = {name for name, others in COLUMNS.items() if names & {name, *others}}
    for name, there in (("target", "target" in have), ("speedup", "speedup" in have)):
        if there or (name == "speedup" and speeds & have):
            continue
        given = ", ".join(cells.names)
        given = given if len(given) <= 200 else given[:197] + "..."
        others = ", ".join(COLUMNS[name])
        raise ValueError(f"{cells.label}: column {name}: is missing (or {others}), got {given}")


def _columns(row: Mapping[str, str]) -> dict[str, str]:
    """The stated cells of a row by the names of `COLUMNS`."""
    found = {}
    for name, others in COLUMNS.items():
        value = next((row[n] for n in (name, *others) if n in row), "")
        if value:
            found[name] = value
    if "overlap_alpha" in row and "alpha_kind" not in found:
        found["alpha_kind"] = "overlap"
    if "value" in row and "metric" in row:  # rows of acceptance, of which some state a speed-up
        metric = metric_name(row["metric"])
        found["tau_mean_tokens_per_round" if metric in TOKENS else "alpha"] = row["value"]
        found["alpha_kind"] = metric
    return found


def _value(row: Mapping[str, str], name: str) -> float:
    return number(row.get(name, ""))


def _parameters(row: Mapping[str, str], who: str) -> float:
    """Parameters as stated, in billions or in all, else as the name says; NaN for a head's."""
    cell = row.get(f"{who}_params_b", "")
    stated = _value(row, f"{who}_params_b")
    if math.isfinite(stated):
        return stated if stated >= 1e5 else 1e9 * stated
    name = cell or row.get(who, "")
    if who == "draft" and drafting_kind(name, row.get("method", "")) != "model":
        return math.nan
    return parameters_of(name) or math.nan


def _gamma(row: Mapping[str, str]) -> tuple[int, bool]:
    """(gamma, whether the row is plain decoding); 0 for a draft that is no chain."""
    cell = row.get("gamma", "")
    match = _GAMMA.fullmatch(cell)
    gamma = int(match[1]) if match else 0
    plain = match is not None and gamma == 0
    if not cell:
        plain = any(_PLAIN.fullmatch(row.get(n, "")) for n in ("method", "draft"))
    return gamma, plain


def _gate(row: Mapping[str, str]) -> tuple[int, float | None]:
    """(longest draft, confidence at which it ends) of drafts that end early, (0, None) of others.

    llama.cpp's default stands where a row of it states none.
    """
    match = _UP_TO.fullmatch(row.get("gamma", ""))
    stated = _value(row, "p_min")
    if match and math.isnan(stated) and "llama.cpp" in row.get("engine", "").casefold():
        stated = GATED
    known = match is not None and 0.0 <= stated <= 1.0 and int(match[1]) >= 1
    return (int(match[1]), stated) if match is not None and known else (0, None)


def alpha_kind(*texts: str) -> str:
    """What is meant by acceptance: a metric's name, "" where no text says."""
    said = " | ".join(texts).casefold()
    return next((kind for kind, pattern in _KINDS if re.search(pattern, said)), "")


def _measured(row: Mapping[str, str], index: int, percent: bool) -> MeasuredRow:
    gamma, plain = _gamma(row)
    longest, p_min = _gate(row)
    notes = row.get("notes", "").casefold()
    names = {name: row.get(name, "") for name in _TEXTS}
    if math.isfinite(batch := number(names["batch"])):
        names["batch"] = f"{batch:.12g}"
    base, spec = _value(row, "tokens_per_s_base"), _value(row, "tokens_per_s_spec")
    speedup = _value(row, "speedup")
    if math.isnan(speedup) and base > 0.0 and spec > 0.0:
        speedup = spec / base
    if plain:
        names["method"] = PLAIN_DECODING
        base = base if math.isfinite(base) else spec
    derived = row.get("tokens_derived", "").casefold() in ("yes", "true", "1")
    kind = row.get("alpha_kind", "")
    found = MeasuredRow(
        id=row.get("id", "") or f"row {index + 1}",
        target=row.get("target", ""),
        draft=row.get("draft", ""),
        gamma=gamma,
        alpha=_value(row, "alpha") / (100.0 if percent else 1.0),
        tau=_value(row, "tau_mean_tokens_per_round"),
        cost_ratio=_value(row, "cost_ratio_c"),
        speedup=speedup,
        base_rate=base,
        spec_rate=spec,
        target_params=_parameters(row, "target"),
        draft_params=_parameters(row, "draft"),
        alpha_kind=alpha_kind(kind) or alpha_kind(notes),
        speedup_step=_last_digit(row.get("speedup", "")),
        tau_is_derived=derived or "tau derived" in notes or "tau = 1" in notes,
        longest=longest,
        p_min=p_min,
        **names,
    )
    if plain:
        found = replace(found, gamma=0)
    suspect = row.get("suspect", "")
    return replace(found, objection=_objection(found) or suspect)


def _last_digit(cell: str) -> float:
    """One unit of the last printed digit; a whole number is taken to be good to a tenth."""
    if math.isnan(number(cell)):
        return 0.0
    decimals = re.search(r"\.(\d+)", cell)
    return 10.0 ** -len(decimals[1]) if decimals else 0.1


def _objection(row: MeasuredRow) -> str:
    """What cannot be true in a row, "" where all of it can."""
    limits = (
        ("speedup", row.speedup, 0.0, 1e6),
        ("gamma", row.longest or row.gamma or 1, 1.0, GAMMA_MAX),
        ("tau_mean_tokens_per_round", row.tau, 1.0, row.gamma + 1.0 if row.gamma else 1e6),
        ("alpha", row.alpha, 0.0, 1.0),
        ("cost_ratio_c", row.cost_ratio, 0.0, 1e6),
        ("batch", row.batch_size, 1.0, 1e6),
    )
    for name, value, low, high in limits:
        if math.isfinite(value) and not low <= value <= high:
            return f"{name} must be in [{low:g}, {high:g}], got {value:.9g}"
    return "speedup must be above 0, got 0" if row.speedup == 0 else ""
