"""The acceptance of a draft model that nobody has measured with its target, with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..files import bundled_json
from ..library.load import same_study
from ..models import number_format
from ..models.formats import format_in
from ..models.names import plain
from ..named import NamedModel, draft_formats, same_vocabulary
from ..pair import Use
from .acceptance_cells import NAMED, known_task
from .acceptance_forecast import RISE_WEIGHTS, RISES, AcceptanceForecast, rounded
from .acceptance_model import PARAMETERS, Cell, Conditioned, family_of

Floats = NDArray[np.float64]
_PLAIN_BITS = 16
_YOURS = "?yours"  # one label for what all drafts of a question share and no measurement has


@dataclass(frozen=True, eq=False)
class AcceptancePrior:
    """The law of `acceptance_model` given measurements.

    cells: the measurements; parameters: draws of the law's numbers, shape (draws, 11).
    """

    cells: tuple[Cell, ...]
    parameters: Floats

    @classmethod
    def load(cls) -> AcceptancePrior:
        """The prior fitted to the bundled tables: read, not fitted again."""
        return _loaded()

    def families(self) -> tuple[str, ...]:
        """Families with measurements."""
        return tuple(sorted({c.family for c in self.cells}))

    @cached_property
    def conditioned(self) -> Conditioned:
        """The law given the measurements."""
        return Conditioned(self.cells, self.parameters)

    def predict(
        self,
        *,
        draft_parameters: ArrayLike,
        target_parameters: float,
        rng: np.random.Generator,
        task: str | None = None,
        temperature: float | None = None,
        family: str | None = None,
        target: str | None = None,
        draft: str | Sequence[str] | None = None,
        draft_layers: int | Sequence[int | None] | None = None,
        quantised: bool | None = None,
        tuned: bool = False,
        same_vocabulary: bool | Sequence[bool] = True,
        draws: int = 2000,
    ) -> AcceptanceForecast:
        """Forecast the acceptance of one draft or several.

        draft_parameters: > 0, a number or shape (drafts,); a mixture of experts counts all experts.
        task: one of the tasks, or a text that names one; None: any of them, with the spread.
        family, target: where known, for what was measured of them; draft: names, one a draft.
        Drafts without names are points of one curve: they share the effect of the pair.
        temperature: >= 0, None counts as greedy; quantised: weights of the target; tuned: the
        draft was trained towards the target; same_vocabulary: for all drafts, or one a draft.
        draws: >= 1.
        Raises ValueError outside the ranges.
        """
        sizes = np.atleast_1d(np.asarray(draft_parameters, dtype=float))
        names = _each("draft", draft, sizes.size)
        layers = _each("draft_layers", draft_layers, sizes.size)
        same = _each("same_vocabulary", same_vocabulary, sizes.size)
        if sizes.ndim != 1 or sizes.size == 0:
            raise ValueError(f"draft parameters must have shape (drafts,), got {sizes.shape}")
        if temperature is not None and not 0.0 <= temperature < np.inf:
            raise ValueError(f"temperature must be in [0, inf), got {temperature:g}")
        _check_positive("target parameters", target_parameters)
        for size in sizes:
            _check_positive("parameters", size)
        shared: dict[str, Any] = {
            "family": family_of(family or target or "") or _YOURS,
            "source": _YOURS,
            "target": (target or _YOURS).casefold(),
            "task": None if task is None else known_task(task),
            "temperature": temperature,
            "quantised": quantised,
            "tuned": tuned,
        }
        cells = [
            Cell(
                target_parameters=target_parameters,
                draft_parameters=float(size),
                draft=(name or _YOURS).casefold(),
                draft_layers=depth,
                cross=not alike,
                **shared,
            )
            for size, name, depth, alike in zip(sizes, names, layers, same, strict=True)
        ]
        if task is None:  # one unknown task for all drafts, drawn from the spread of tasks
            cells = [Cell(**{**vars(c), "task": _YOURS}) for c in cells]
        notes = _notes(self, shared, sizes, target_parameters)
        forecast = self.forecast(cells, rng, draws=draws, notes=notes)
        return forecast.of(0) if np.ndim(draft_parameters) == 0 else forecast

    def without(self, study: str) -> AcceptancePrior:
        """The prior less the measurements of a study (see `library.load.study_of`), "" for none.

        The spreads, which are fitted to all measurements, stay as they are.
        """
        return _without(self, study) if study else self

    def forecast(
        self,
        cells: Sequence[Cell],
        rng: np.random.Generator,
        *,
        draws: int = 2000,
        notes: tuple[str, ...] = (),
    ) -> AcceptanceForecast:
        """Joint forecast of questions, alpha of shape (cells, draws)."""
        if int(draws) != draws or draws < 1:
            raise ValueError(f"draws must be an integer in [1, inf), got {draws}")
        mean, covariance = self.conditioned.predict(cells)
        size = len(cells)
        root = np.linalg.cholesky(covariance + 1e-9 * np.eye(size))
        which = rng.permutation(np.resize(np.arange(len(mean)), draws))
        normal = rng.standard_normal((draws, size))
        log_h = np.empty((draws, size))
        for component in range(len(mean)):
            mine = which == component
            log_h[mine] = mean[component] + normal[mine] @ root[component].T
        variance = np.diagonal(covariance, axis1=1, axis2=2)
        return AcceptanceForecast(
            alpha=np.exp(-np.exp(np.minimum(log_h, 6.0))).T,
            rise=rng.choice(RISES, draws, p=RISE_WEIGHTS),
            belief=(mean, variance),
            notes=notes,
        )


def expected_acceptance(
    target: NamedModel,
    drafts: Sequence[NamedModel],
    *,
    use: Use,
    rng: np.random.Generator,
    dtype: str = "",
    draft_dtype: str = "",
    draws: int = 2000,
    layers: Sequence[int | None] | None = None,
    curve: bool = False,
) -> AcceptanceForecast:
    """Forecast of the acceptance of a target's drafts, alpha of shape (drafts, draws).

    dtype: of the target's weights, by default that of its name; draft_dtype: of the drafts that do
    not state one; where none is stated it is the target's, as in the published pairs. layers: one a
    draft, None where they are usual for the size; by default those of the shapes. curve: the drafts
    are points of one curve and no models of their own.
    """
    prior = AcceptancePrior.load().without(use.unseen)
    form = number_format(dtype or target.dtype)
    known = {plain(n): n for c in prior.cells for n in (c.target, c.draft) if n}
    bare = [format_in(d.called)[0] for d in (target, *drafts)]
    own, *names = [known.get(plain(name), name) for name in bare]
    forecast = prior.predict(
        draft_parameters=[d.parameters for d in drafts],
        target_parameters=target.parameters,
        rng=rng,
        task=use.task,
        temperature=use.temperature,
        tuned=use.tuned,
        target=own,
        draft=None if curve else names,
        draft_layers=[d.shape.layers for d in drafts] if layers is None else list(layers),
        quantised=form.bits < _PLAIN_BITS,
        same_vocabulary=[same_vocabulary(target.shape, d.shape) for d in drafts],
        draws=draws,
    )
    return rounded(forecast, draft_formats(drafts, draft_dtype))


def _check_positive(name: str, value: float) -> None:
    """Raise ValueError unless the value is a finite number above 0."""
    if not (value > 0.0 and math.isfinite(value)):
        raise ValueError(f"{name} must be in (0, inf), got {value:g}")


def _each(name: str, value: Any, size: int) -> list[Any]:
    """One value a draft."""
    if value is None or isinstance(value, str | int):
        return [value] * size
    if len(value) != size:
        raise ValueError(f"{name} must have one entry a draft, got {len(value)} for {size}")
    return list(value)


def _notes(
    prior: AcceptancePrior, shared: dict[str, Any], sizes: Floats, target: float
) -> tuple[str, ...]:
    notes = []
    if shared["task"] is None:
        notes.append(
            f"no task named: the interval covers {', '.join(NAMED)}; naming one narrows it"
        )
    elif shared["task"] not in {c.task for c in prior.cells}:
        notes.append(f"no measurement of {shared['task']}: the interval is that of any task")
    if shared["family"] not in prior.families():
        notes.append("no measurement of this family: the level is that of any family")
    if (sizes > target).any():
        notes.append("a draft is larger than the target: no published pair is like it")
    if (sizes == target).any():
        notes.append("a draft of the target's size is taken to be the target itself")
    return tuple(notes)


@cache
def library_cells() -> tuple[Cell, ...]:
    """The measurements of the bundled tables that determine an alpha."""
    stored = bundled_json(__package__, "acceptance_cells.json")
    return tuple(
        Cell(**dict(zip(stored["fields"], (*cell[:-1], tuple(cell[-1])), strict=True)))
        for cell in stored["cells"]
    )


@cache
def stored_fit() -> dict[str, Any]:
    """The fit to these measurements."""
    fit: dict[str, Any] = bundled_json(__package__, "acceptance_fit.json")
    if fit["parameters"] != list(PARAMETERS):
        raise ValueError("acceptance_fit.json is of another law: run acceptance_fit again")
    return fit


@cache
def _without(prior: AcceptancePrior, study: str) -> AcceptancePrior:
    rest = tuple(c for c in prior.cells if not same_study(c.source, study))
    return AcceptancePrior(rest, prior.parameters)


@cache
def _loaded() -> AcceptancePrior:
    return AcceptancePrior(library_cells(), np.array(stored_fit()["draws"]))
