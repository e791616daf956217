"""Measurements of acceptance as the prior takes them: one cell a pair, task, setting and source.

Rows of one cell (other numbers of draft tokens, other metrics, other loads) saw the same prompts,
so they are one measurement and their mean has the error of the best of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .acceptance_metrics import alpha_from_metric, convertible
from .acceptance_model import DESIGN_EFFECT, Cell, family_of
from .acceptance_tasks import canonical_task

UNSTATED_TRIALS = 300.0
TOKENS_OF_A_PROMPT = 100.0
# Where a source names no sizes: a small target and a tenth of it, and the doubt on ln h it brings.
USUAL_TARGET, USUAL_SHARE, DOUBT = 7e9, 0.1, 0.3


def source_of(text: str) -> str:
    """The paper or repository of a citation."""
    paper, repository = r"arXiv[: ]\s*(\d{4}\.\d{5})", r"github(?:\.com/|\s+)([\w.-]+/[\w.-]+)"
    match = re.search(rf"{paper}|{repository}|(https?://(?!github\.com/)[^\s,]+)", text)
    known = next(filter(None, match.groups())) if match else text.strip()
    return known.casefold()


def cell_from_row(row: Mapping[str, Any]) -> Cell:
    """A row in the columns of the bundled table `acceptance` as a cell; unknown stays unknown."""
    training = re.search(r"(?:\w+ )?[\w-]+-epoch", row["notes"].casefold())
    tuned = re.search(r"fine-?tuned|\bsft\b|\bkd\b|distill|lora", row["draft"].casefold())
    cross = row["family"].casefold() == "cross-family"
    alpha, error = _alpha(row)
    target, draft = row["target_params"], row["draft_params"]
    prompts = re.sub(r"\s*\(concurrency \d+\)", "", row["task"].casefold())
    setting = (prompts, row["temperature"], row["sampling"], training and training[0])
    large = target or (draft / USUAL_SHARE if draft else USUAL_TARGET)
    return Cell(
        target_parameters=large,
        draft_parameters=draft or USUAL_SHARE * large,
        draft_layers=row["draft_layers"],
        family=family_of(row["target"] if cross or not row["family"] else row["family"]),
        source=source_of(row["source"]),
        target=row["target"].casefold(),
        draft=row["draft"].casefold(),
        task=canonical_task(row["task"]),
        setting="|".join(str(x) for x in setting),
        temperature=row["temperature"],
        quantised={"yes": True, "no": False}.get(row["quantised"]),
        tuned=bool(training or tuned),
        cross=cross,
        overlap=row["metric"] in ("overlap", "argmax_agreement"),
        doubt=0.0 if target and draft else DOUBT,
        alpha=alpha,
        error=error,
        ids=(row["id"],),
    )


def _alpha(row: Mapping[str, Any]) -> tuple[float, float]:
    """alpha behind a row and its standard error, NaN where there is none."""
    gamma, value = row["gamma_tokens"], row["value"]
    if value is None or not convertible(row["metric"], row["drafting"]):
        return math.nan, math.nan
    try:
        alpha, unsure = alpha_from_metric(row["metric"], value, gamma)
    except ValueError:
        return math.nan, math.nan
    return alpha, math.hypot(sampling_error(alpha, trials(row["sample"], alpha, gamma)), unsure)


def sampling_error(alpha: float, decided: float) -> float:
    """Standard error of alpha after so many decided draft tokens of several prompts."""
    # One success and one failure more: an alpha of 1 after ten tokens is not certain.
    shrunk = (alpha * decided + 1.0) / (decided + 2.0)
    return math.sqrt(DESIGN_EFFECT * shrunk * (1.0 - shrunk) / (decided + 2.0))


def trials(sample: str, alpha: float, gamma: int | None) -> float:
    """Draft tokens whose fate was decided, from what a source says of its sample."""
    numbers = [float(n.replace(",", "")) for n in re.findall(r"\d[\d,]*(?:\.\d+)?", sample)]
    if not numbers or numbers[0] <= 0.0:
        return UNSTATED_TRIALS
    drafted = gamma or 4
    per_round = (1.0 - alpha**drafted) / (1.0 - alpha) if alpha < 1.0 else float(drafted)
    if "round" in sample:
        return numbers[0] * per_round
    if "drafted" in sample:
        return numbers[0] / drafted * per_round
    if len(numbers) > 1:
        return numbers[0] * numbers[1]
    return numbers[0] * (1.0 if "tok" in sample else TOKENS_OF_A_PROMPT)


def merge(cells: Iterable[Cell]) -> list[Cell]:
    """One cell for all of a pair, source, setting and kind of metric: the weighted mean."""
    groups: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in cells:
        key = (cell.pair, cell.source, cell.setting, cell.overlap)
        groups.setdefault(key, []).append(cell)
    return [_mean(group) for group in groups.values()]


def _mean(group: Sequence[Cell]) -> Cell:
    weight = np.array([c.error**-2 for c in group])
    return replace(
        group[0],
        alpha=float((weight * [c.alpha for c in group]).sum() / weight.sum()),
        error=min(c.error for c in group),
        ids=tuple(i for c in group for i in c.ids),
    )
