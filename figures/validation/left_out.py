"""The prior put to the test: families left out, and rows of a file that it has not seen.

Its rivals are simpler laws, fitted to the same measurements, that the prior must beat.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...calibrate.prior.acceptance import AcceptancePrior, stored_fit
from ...calibrate.prior.acceptance_cells import cell_from_row, convertible, metric_value, trials
from ...calibrate.prior.acceptance_forecast import ALPHAS, RISE_WEIGHTS, RISES, mixture, quantile
from ...calibrate.prior.acceptance_library import library_rows, row_from_published
from ...calibrate.prior.acceptance_model import DESIGN_EFFECT, Cell
from ...theory.scale import training_loss
from ...theory.scale.other_laws import SDSL

Floats = NDArray[np.float64]
_DRAWS = 4000
Rival = Callable[[Cell], float]
_PRINTED = tuple(float(digits) for digits in SDSL)
_USUAL_TOKENS = 2e12  # of the training of a model that does not say
_NO_MODEL = {"head": "a head on the target", "look-up": "look-up"}


@dataclass(frozen=True)
class HeldOut:
    """One measurement predicted without its family.

    weight: 1 over the measurements of its pair and task, so that means are over pairs and tasks;
    predicted: median, low and high: 90 % interval, of alpha as measured; sessions: the same three
    of alpha after tokens of the pair itself, shape (sessions, 3); rivals: predictions by name.
    """

    ids: tuple[str, ...]
    family: str
    pair: str
    task: str | None
    observed: float
    predicted: float
    low: float
    high: float
    sessions: Floats
    rivals: Mapping[str, float]
    weight: float

    @property
    def after(self) -> float:
        """Mean absolute error of alpha after the tokens of the pair itself, NaN without any."""
        return float(np.abs(self.sessions[:, 0] - self.observed).mean())


@dataclass(frozen=True)
class RowPrediction:
    """A row of a file: median and 90 % interval of what would be measured.

    observed, predicted, low, high, rivals: in the row's own metric; alpha: the same four as the
    pooled conditional rate, so that rows of several metrics can be averaged. None or empty where
    the metric does not determine alpha, or the row has no number; ``note`` says so.
    """

    id: str
    metric: str
    task: str | None
    observed: float | None
    predicted: float | None
    low: float | None
    high: float | None
    rivals: Mapping[str, float]
    alpha: Mapping[str, float]
    alpha_rivals: Mapping[str, float]
    note: str


def leave_one_family_out(
    rng: np.random.Generator,
    *,
    prior: AcceptancePrior | None = None,
    lines: bool = True,
    tokens: int = 200,
    sessions: int = 40,
) -> list[HeldOut]:
    """Every measurement of the library, predicted from those of the other families.

    The law's numbers are those fitted without the family, and the source counts as unseen. lines:
    leave out whole lines of models (all of Qwen2.5 together); False: families as the tables name
    them, sisters kept. tokens, sessions: of the pair itself that are simulated at the measured
    alpha, in rounds of 4, for ``sessions``.
    """
    prior = prior or AcceptancePrior.load()
    stored = stored_fit()["left_out"]
    groups = [c.family if lines else _named_family(c) for c in prior.cells]
    same = Counter((c.pair, c.task) for c in prior.cells)
    out = []
    for group in dict.fromkeys(groups):
        held = [c for c, g in zip(prior.cells, groups, strict=True) if g == group]
        rest = tuple(c for c, g in zip(prior.cells, groups, strict=True) if g != group)
        theta = np.array(stored.get(held[0].family, prior.parameters))
        others = rivals(rest)
        questions = [replace(c, source="", setting="") for c in held]
        mean, covariance = AcceptancePrior(rest, theta).conditioned.predict(questions)
        variance = np.diagonal(covariance, axis1=1, axis2=2)
        density = mixture(mean, variance)[..., None]
        middle = np.asarray(quantile(density, 0.5))
        measured = mixture(mean, variance + _noise(held, middle))[..., None]
        low, high = (np.asarray(quantile(measured, q)) for q in (0.05, 0.95))
        for i, cell in enumerate(held):
            out.append(
                HeldOut(
                    ids=cell.ids,
                    family=group,
                    pair=cell.pair,
                    task=cell.task,
                    observed=cell.alpha,
                    predicted=float(middle[i]),
                    low=float(low[i]),
                    high=float(high[i]),
                    sessions=_after(rng, cell.alpha, density[i], tokens, sessions),
                    rivals={name: rival(cell) for name, rival in others.items()},
                    weight=1.0 / same[cell.pair, cell.task],
                )
            )
    return out


def _noise(cells: Sequence[Cell], alpha: Floats) -> Floats:
    """Variance of a measured ln h at samples of these cells' sizes where the rate is alpha."""
    sizes = np.array([c.alpha * (1.0 - c.alpha) / c.error**2 for c in cells])
    return np.asarray((1.0 - alpha) / (alpha * sizes * np.log(alpha) ** 2))


@cache
def _families_by_id() -> dict[str, str]:
    return {row["id"]: row["family"] for row in library_rows()}


def _named_family(cell: Cell) -> str:
    return _families_by_id().get(cell.ids[0] if cell.ids else "") or cell.family


def _after(
    rng: np.random.Generator, alpha: float, density: Floats, tokens: int, sessions: int
) -> Floats:
    """Median and 90 % interval after so many tokens, in simulated sessions, (sessions, 3)."""
    if tokens < 1:
        return np.full((sessions, 3), np.nan)
    kept = (rng.random((sessions, tokens, 4)) < alpha).cumprod(axis=-1).sum(axis=-1)
    emitted = np.cumsum(kept + 1, axis=1)
    used = emitted - (kept + 1) < tokens
    accepted = (kept * used).sum(axis=1)
    tried = ((kept + (kept < 4)) * used).sum(axis=1)
    score = np.outer(accepted, np.log(ALPHAS)) + np.outer(tried - accepted, np.log1p(-ALPHAS))
    posterior = np.exp(score - score.max(axis=1, keepdims=True)) * density.sum(axis=-1)
    return np.stack([quantile(posterior[..., None], q) for q in (0.5, 0.05, 0.95)], axis=-1)


def summary(rows: Sequence[HeldOut]) -> dict[str, float]:
    """Weighted means: error, coverage, width, error after tokens, and the rivals' errors."""
    weight = np.array([r.weight for r in rows])

    def mean(values: Iterable[float]) -> float:
        return float(np.average(np.array(list(values), dtype=float), weights=weight))

    names = rows[0].rivals if rows else {}
    return {
        "error": mean(abs(r.predicted - r.observed) for r in rows),
        "coverage_90": mean(r.low <= r.observed <= r.high for r in rows),
        "width_90": mean(r.high - r.low for r in rows),
        "error_after": mean(r.after for r in rows),
        **{name: mean(abs(r.rivals[name] - r.observed) for r in rows) for name in names},
    }


def predict_rows(
    rows: Iterable[Mapping[str, Any]],
    rng: np.random.Generator,
    *,
    prior: AcceptancePrior | None = None,
) -> list[RowPrediction]:
    """Predictions of rows in the columns of a published collection, in each row's own metric.

    The rows inform nothing, each other included. A row that the library has (by its id) is
    predicted without its family; of the others family, pair and source are used where they were
    measured. Missing sizes and unknown texts widen the interval.
    """
    prior = prior or AcceptancePrior.load()
    stored = stored_fit()["left_out"]
    known = {i: c.family for c in prior.cells for i in c.ids}
    out: dict[int, RowPrediction] = {}
    parsed = [row_from_published(row) for row in rows]
    groups: dict[str | None, list[int]] = {}
    for index, row in enumerate(parsed):
        groups.setdefault(known.get(row["id"]), []).append(index)
    for family, members in groups.items():
        used = prior
        if family is not None:
            rest = tuple(c for c in prior.cells if c.family != family)
            used = AcceptancePrior(rest, np.array(stored.get(family, prior.parameters)))
        others = rivals(used.cells)
        for start in range(0, len(members), 50):
            part = members[start : start + 50]
            cells = [cell_from_row(parsed[i]) for i in part]
            if family is not None:
                cells = [replace(c, source="", setting="") for c in cells]
            alphas = used.forecast(cells, rng, draws=_DRAWS).alpha
            for i, cell, alpha in zip(part, cells, alphas, strict=True):
                simple = {name: rival(cell) for name, rival in others.items()}
                out[i] = _row_prediction(parsed[i], cell, alpha, simple, rng)
    return [out[i] for i in range(len(parsed))]


def _row_prediction(
    row: Mapping[str, Any],
    cell: Cell,
    alpha: Floats,
    others: Mapping[str, float],
    rng: np.random.Generator,
) -> RowPrediction:
    metric, gamma, drafting = row["metric"], row["gamma_tokens"], row["drafting"]
    empty = RowPrediction(
        row["id"], metric, cell.task, row["value"], None, None, None, {}, {}, {}, ""
    )
    if drafting in _NO_MODEL:
        return replace(
            empty,
            note=f"drafts by {_NO_MODEL[drafting]}, the law is of draft models: not predicted",
        )
    if not convertible(metric, drafting):
        shape = {"tree": "of a tree", "adaptive": "of a varying number of draft tokens"}
        reason = shape[drafting] if convertible(metric) else "is not known"
        return replace(empty, note=f"{metric or 'the metric'} {reason}: not predicted")
    decided = trials(row["sample"], float(np.median(alpha)), gamma) / DESIGN_EFFECT
    bounded = np.clip(alpha, 1e-9, 1.0 - 1e-9)
    measured = rng.beta(bounded * decided, (1.0 - bounded) * decided)
    values = metric_value(
        metric, measured, gamma, rise=rng.choice(RISES, measured.size, p=RISE_WEIGHTS)
    )
    low, middle, high = (float(x) for x in np.quantile(values, [0.05, 0.5, 0.95]))
    rates = zip(("low", "predicted", "high"), np.quantile(measured, [0.05, 0.5, 0.95]), strict=True)
    known = np.isfinite(cell.alpha)
    notes = ["sizes not stated: a usual pair is taken"] if cell.doubt else []
    notes += [] if cell.task else ["the task is none that is known: any task is meant"]
    return replace(
        empty,
        predicted=middle,
        low=low,
        high=high,
        rivals={n: float(metric_value(metric, a, gamma)) for n, a in others.items()},
        alpha={n: float(x) for n, x in rates} | ({"observed": cell.alpha} if known else {}),
        alpha_rivals=dict(others),
        note="; ".join(notes),
    )


def perplexity(parameters: float) -> float:
    """Of a model of that size, by the loss law after a usual training: no row states its own."""
    return float(np.exp(training_loss(parameters, _USUAL_TOKENS)))


def affine_acceptance(
    draft_parameters: float,
    target_parameters: float,
    numbers: Sequence[float] | Floats = _PRINTED,
) -> float:
    """Acceptance in [0, 1], affine in the perplexities of draft and target."""
    seen = (1.0, perplexity(draft_parameters), perplexity(target_parameters))
    return float(np.clip(np.dot(numbers, seen), 0.0, 1.0))


def rivals(cells: Sequence[Cell]) -> dict[str, Rival]:
    """The rivals fitted to measured cells, each a function of a question.

    constant: the mean alpha; task constant: the mean of the task, the constant for a task without
    measurements; SDSL: as printed; SDSL refitted: its three numbers by least squares.
    """
    alpha = np.array([c.alpha for c in cells])
    mean = float(alpha.mean())
    tasks = {
        task: float(alpha[[c.task == task for c in cells]].mean())
        for task in {c.task for c in cells if c.task is not None}
    }
    sizes = [(c.draft_parameters, c.target_parameters) for c in cells]
    design = np.array([(1.0, perplexity(draft), perplexity(target)) for draft, target in sizes])
    refitted = np.linalg.lstsq(design, alpha, rcond=None)[0]
    return {
        "constant": lambda cell: mean,
        "task constant": lambda cell: tasks.get(cell.task or "", mean),
        "SDSL": lambda cell: affine_acceptance(cell.draft_parameters, cell.target_parameters),
        "SDSL refitted": lambda cell: affine_acceptance(
            cell.draft_parameters, cell.target_parameters, refitted
        ),
    }
