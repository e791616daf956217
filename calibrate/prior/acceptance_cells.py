r"""Measurements of acceptance as the prior takes them: one cell a pair, task, setting and source.

Rows of one cell (other numbers of draft tokens, other metrics, other loads) saw the same prompts,
so they are one measurement and their mean has the error of the best of them. Tasks are those of
`tasks.csv`, told by the words of a text.

The prior's alpha is the conditional rate pooled over a round: accepted draft tokens over those
whose fate was decided; what goes on inside a round is in `acceptance_forecast`.

| metric | back to alpha |
|---|---|
| `alpha_conditional`, `overlap`, `argmax_agreement` | itself |
| `accepted_over_drafted` = A / gamma, `tau_with_bonus` = 1 + A | with gamma, else unsure |
| `first_position` = alpha_1, `survival_K` = s_K | with the rise |
| any but the first row for a tree or a varying number of draft tokens | not convertible |

An overlap at temperature 0 is the agreement of the two most probable tokens. It averages over all
tokens of the text, and so does the pooled rate of rounds, which try every token but the bonus.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...theory.domain import Floats
from ..tables.schema import table_lines
from .acceptance_forecast import FIRST, POOLED_GAMMA, RISE, first_alpha, law_of, pooled_alpha
from .acceptance_model import DESIGN_EFFECT, Cell, family_of

# What a name of a data set or a free description says. A text that names several tasks, or says
# that it averages over some, is `mixed`; one that names none is unknown. Continuation is running
# text without an instruction: a base model goes on, often in loops.
_WORDS = {
    row["task"]: row["words"].split() for row in csv.DictReader(table_lines(__package__, "tasks"))
}
# Prompts of several tasks; the words of the second line only where no task is named as well.
SEVERAL = ("mixed", "diverse", "several", "various")
AVERAGES = (
    "mean", "average", "avg", "overall", "spec-bench", "spec_bench", "specbench", "longbench",
    "all", "pooled", "general",
)  # fmt: skip
NAMED = tuple(_WORDS)
TASKS = (*NAMED, "mixed")

_BY_WORD = {word: task for task, words in _WORDS.items() for word in words}
_SPLIT = re.compile(r"[\s,;:()\[\]\"']+")
UNSTATED_GAMMAS = (3, 4, 5, 6, 8)  # what engines and papers draft where they do not say
SAME = ("alpha_conditional", "overlap", "argmax_agreement")
LENGTHS = ("accepted_over_drafted", "tau_with_bonus")
UNSTATED_TRIALS = 300.0
TOKENS_OF_A_PROMPT = 100.0
# Where a source names no sizes: a small target and a tenth of it, and the doubt on ln h it brings.
USUAL_TARGET, USUAL_SHARE, DOUBT = 7e9, 0.1, 0.3


def canonical_task(text: str | None) -> str | None:
    """The task that a free text names: one of `TASKS`, or None where it names none.

    Words are compared whole, then without their digits and joined parts ("math-500 (vLLM)",
    "open_chat", "long_context_summarization").
    """
    found: dict[str, None] = {}
    parts: set[str] = set()
    for word in _SPLIT.split((text or "").casefold().replace("natural questions", "nq")):
        whole, inside = [word, word.rstrip("0123456789.+-")], re.split(r"[_/\-.+]", word)
        parts |= {*whole, *inside}
        # A word that is one names its task alone; one that joins several may name several.
        one = next((_BY_WORD[w] for w in whole if w in _BY_WORD), None)
        found |= dict.fromkeys([one] if one else (_BY_WORD[w] for w in inside if w in _BY_WORD))
    if len(found) > 1:
        found.pop("reasoning", None)  # "math reasoning" is math
    if len(found) > 1 or parts & set(SEVERAL) or (not found and parts & set(AVERAGES)):
        return "mixed"
    return next(iter(found), None)


def known_task(text: str) -> str:
    """One of `TASKS` for a text that must name one; ValueError lists them otherwise."""
    task = canonical_task(text)
    if task is None:
        raise ValueError(f"task must name one of {', '.join(TASKS)}, got {text!r}")
    return task


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


def convertible(metric: str, drafting: str = "chain") -> bool:
    """Whether a number of this metric determines the pooled alpha."""
    if drafting in ("tree", "adaptive"):
        return metric in SAME
    return metric in (*SAME, *LENGTHS, "first_position") or _position(metric) > 0


def metric_value(
    metric: str, alpha: ArrayLike, gamma: int | None, *, rise: ArrayLike = RISE
) -> Floats:
    """The number that rounds of pooled rate alpha give in this metric; shapes broadcast.

    gamma: None where the source does not state it, for the mean over the usual ones.
    Raises ValueError for a metric that alpha does not determine.
    """
    a = np.asarray(alpha, dtype=float)
    if metric in SAME:
        return a
    gammas = _gammas(metric, gamma)
    return np.asarray(
        np.mean([_of_first(metric, first_alpha(a, g, rise=rise), g, rise) for g in gammas], axis=0)
    )


def alpha_from_metric(
    metric: str, value: float, gamma: int | None, *, rise: float = RISE
) -> tuple[float, float]:
    """(alpha, its standard error from an unstated gamma) behind a published number.

    Raises ValueError where the number is outside the metric's range or does not determine alpha.
    """
    found = []
    for g in _gammas(metric, gamma):
        alpha = FIRST if metric in SAME else pooled_alpha(FIRST, g, rise=rise)
        curve = FIRST if metric in SAME else _of_first(metric, FIRST, g, rise)
        if not curve[0] <= value <= curve[-1]:
            raise ValueError(f"{metric} must be in [{curve[0]:g}, {curve[-1]:g}], got {value:g}")
        found.append(float(np.interp(value, curve, alpha)))
    return float(np.mean(found)), float(np.std(found))


def _gammas(metric: str, gamma: int | None) -> tuple[int, ...]:
    if not convertible(metric):
        known = ", ".join((*SAME, *LENGTHS, "first_position", "survival_K"))
        raise ValueError(f"metric must be one of {known}, got {metric!r}")
    if metric in LENGTHS and gamma is None:
        return UNSTATED_GAMMAS
    return (max(gamma or POOLED_GAMMA, _position(metric)),)


def _of_first(metric: str, first: ArrayLike, gamma: int, rise: ArrayLike) -> Floats:
    s = law_of(first, rise).survival(gamma)
    accepted = np.asarray(s[..., 1:].sum(axis=-1))
    if metric == "accepted_over_drafted":
        return accepted / gamma
    if metric == "tau_with_bonus":
        return 1.0 + accepted
    return np.asarray(s[..., _position(metric) or 1])


def _position(metric: str) -> int:
    """K of ``survival_K``, 0 for other metrics."""
    match = re.fullmatch(r"survival_([1-9]\d{0,2})", metric)
    return int(match[1]) if match else 0
