r"""The passes of a cost record, and which limit each meets: launches, moving bytes, or computing.

    T = t_0 + t_l l + k w

The passes of single tokens of one mode, over all models of a record: t_0 a pass and t_l a layer
are what does not depend on size, l the layers, w the least time of the work, k how many times that
the work takes. Non-negative least squares of relative errors; derived here.

Where a pass was timed both with every operation launched from the host (eager) and replayed from a
captured graph, the difference is time spent on launching, whatever the law says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..calibrate.records import Record
from ..theory.domain import Floats
from .roofline import TimedModel, timed_models
from .roofline_record import MODES, Machine, PassRow, machine_of, pass_rows

LAUNCHES, MEMORY, COMPUTE, UNKNOWN = "launches", "memory", "compute", "unknown"
_LEAST_MODELS = 4  # one more than there are coefficients
_DRAWS = 200


@dataclass(frozen=True)
class FixedLaw:
    """The law of one mode [s], each coefficient as (low, estimate, high), a 90 % interval.

    pass_s, layer_s, work: t_0, t_l, k; rms: relative misfit; models: how many it was fitted to.
    """

    mode: str
    pass_s: tuple[float, float, float]
    layer_s: tuple[float, float, float]
    work: tuple[float, float, float]
    rms: float
    models: int

    def fixed_s(self, layers: int) -> float:
        """Time of a pass that does not depend on the size of its layers [s]."""
        return self.pass_s[1] + layers * self.layer_s[1]

    @property
    def line(self) -> str:
        """One line that states the law."""
        return (
            f"{self.mode}: {1e6 * self.pass_s[1]:.3g} us a pass + {1e6 * self.layer_s[1]:.3g} us "
            f"[{1e6 * self.layer_s[0]:.3g}, {1e6 * self.layer_s[2]:.3g}] a layer + "
            f"{self.work[1]:.3g} times the work's least time "
            f"({self.models} models, rms {self.rms:.0%})"
        )


def fixed_law(passes: Sequence[PassRow], mode: str, *, seed: int = 0) -> FixedLaw | None:
    """The law of a mode, None where there are too few models, or all of one depth, to tell it.

    Intervals are of resampled models, not of repeats: models differ from the law by more.
    """
    rows = [r for r in passes if r.tokens == 1 and r.batch == 1 and r.work_s is not None]
    rows = [r for r in rows if mode in r.times]
    names = sorted({r.model.name for r in rows})
    if len(names) < _LEAST_MODELS or len({r.model.layers for r in rows}) < 2:
        return None
    features = np.array([[1.0, r.model.layers, r.work_s] for r in rows])
    times = np.array([r.times[mode].median for r in rows])
    estimate, misfit = _solve(features, times)
    rng = np.random.default_rng([seed, 83])
    groups = [np.flatnonzero([r.model.name == n for r in rows]) for n in names]
    sample: list[Floats] = []
    while len(sample) < _DRAWS:
        picked = np.concatenate([groups[i] for i in rng.integers(len(names), size=len(names))])
        if len(set(features[picked, 1])) > 1:
            sample.append(_solve(features[picked], times[picked])[0])
    low, high = np.quantile(sample, (0.05, 0.95), axis=0)
    first, second, third = (
        (float(a), float(e), float(b)) for a, e, b in zip(low, estimate, high, strict=True)
    )
    return FixedLaw(mode, first, second, third, misfit, len(names))


def _solve(features: Floats, times: Floats) -> tuple[Floats, float]:
    """Coefficients that are not negative, and the rms of the relative errors."""
    from scipy.optimize import nnls

    scale = features.max(axis=0)
    scale[scale == 0.0] = 1.0
    found, _ = nnls(features / scale / times[:, None], np.ones(times.size))
    coefficients = found / scale
    return coefficients, float(np.sqrt(np.mean((features @ coefficients / times - 1.0) ** 2)))


@dataclass(frozen=True)
class Bound:
    """What takes most of a pass: launches, memory, compute, or unknown; share of the time."""

    what: str
    share: float
    reason: str


def bound_of(row: PassRow, mode: str, laws: Mapping[str, FixedLaw | None]) -> Bound:
    """What bounds a pass in a mode. Raises ValueError where it was not timed in it."""
    time_s = row.median_s(mode)
    if time_s is None:
        raise ValueError(f"mode must be one in which the pass was timed, got {mode}")
    launched, reason = _launched(row, mode, laws, time_s)
    if launched is not None and launched >= 0.5:
        return Bound(LAUNCHES, launched, reason)
    least = row.work_s
    if least is None:
        return Bound(UNKNOWN, float("nan"), "the shape of the model or the bandwidth is not known")
    if launched is None and least < 0.5 * time_s:
        return Bound(UNKNOWN, least / time_s, "no second mode, and too few models for a law")
    what, why = _work(row, least / time_s)
    if launched is None:
        return Bound(what, min(1.0, least / time_s), why)
    return Bound(what, 1.0 - launched, f"{why}, launches {launched:.0%}")


def _launched(
    row: PassRow, mode: str, laws: Mapping[str, FixedLaw | None], time_s: float
) -> tuple[float | None, str]:
    """(share of the time that does not depend on size, why); None where nothing tells it."""
    law = laws.get(mode)
    fixed = law.fixed_s(row.model.layers) if law else 0.0
    graph = row.median_s("graph")
    if mode == "eager" and graph is not None:
        graph_law = laws.get("graph")
        replayed = min(graph, graph_law.fixed_s(row.model.layers)) if graph_law else 0.0
        share = max(0.0, 1.0 - (graph - replayed) / time_s)
        text = f"replayed from a graph it takes {graph / time_s:.0%} of the time"
        if replayed > 0.0:
            text += f", {replayed / graph:.0%} of that in kernels too short for their data"
        return share, text
    if law is None:
        return None, ""
    what = "kernels too short for their data" if mode == "graph" else "operations one by one"
    return min(1.0, fixed / time_s), (
        f"{what}: {1e6 * law.layer_s[1]:.3g} us a layer and {1e6 * law.pass_s[1]:.3g} us a pass"
    )


def _work(row: PassRow, share: float) -> tuple[str, str]:
    """(memory or compute, why); share: of the time that the work takes at the least."""
    compute = row.compute_s or row.reached_s or 0.0
    if compute > (row.memory_s or 0.0):
        rate = "peak rate" if row.compute_s else "highest rate of the record"
        return COMPUTE, f"at the {rate} its operations take {share:.0%} of the time"
    reason = f"at the copy's bandwidth its bytes take {share:.0%} of the time"
    if row.cached == "no":
        return MEMORY, reason
    where = "fit" if row.cached == "yes" else "may fit"
    return MEMORY, f"{reason} (they {where} into a cache: no floor)"


@dataclass(frozen=True)
class CostLimits:
    """Machine and passes of a cost record, the largest model first, and what bounds them."""

    machine: Machine
    rows: tuple[PassRow, ...]

    @property
    def models(self) -> dict[str, TimedModel]:
        """By name, the largest first."""
        return {r.model.name: r.model for r in self.rows}

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes that were measured."""
        return tuple(m for m in MODES if any(m in r.times for r in self.rows))

    @property
    def tokens(self) -> tuple[int, ...]:
        """The numbers of new tokens that were measured."""
        return tuple(sorted({r.tokens for r in self.rows}))

    @property
    def single(self) -> tuple[PassRow, ...]:
        """The passes over one new token."""
        return tuple(r for r in self.rows if r.tokens == 1)

    def at(self, model: str, place: tuple[int, int], tokens: int = 1) -> PassRow | None:
        """One pass, None where it was not measured."""
        return self._index.get((model, *place, tokens))

    @cached_property
    def _index(self) -> dict[tuple[str, int, int, int], PassRow]:
        return {r.key: r for r in self.rows}

    @property
    def places(self) -> tuple[tuple[int, int], ...]:
        """(batch, context) of single tokens: those that most models have first, then the smallest.

        A usual place of drafting, batch 1 at a short context, comes before all others.
        """
        count = Counter(r.place for r in self.single)
        return tuple(sorted(count, key=lambda p: (-count[p], p)))

    @cached_property
    def laws(self) -> dict[str, FixedLaw | None]:
        """The laws of the modes, None for a mode that has too few models."""
        return {mode: fixed_law(self.rows, mode) for mode in self.modes}

    @cached_property
    def _bounds(self) -> dict[tuple[object, ...], Bound]:
        return {(*r.key, m): bound_of(r, m, self.laws) for r in self.rows for m in r.times}

    def bound(self, row: PassRow, mode: str) -> Bound | None:
        """What bounds a pass in a mode, None where it was not timed in it."""
        return self._bounds.get((*row.key, mode))


def cost_limits(record: Record, family: Mapping[str, Any] | None = None) -> CostLimits:
    """Every pass of a cost record beside its floor.

    family: of a trained ladder, which knows the widths of its models. Raises ValueError for another
    kind of record, an unknown mode, and where no pass has times.
    """
    models = timed_models(record, family)
    machine = machine_of(record, models)
    return CostLimits(machine, tuple(pass_rows(record, models, machine)))
