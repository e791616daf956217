"""What the figures show: the paper's measurements, fitted, predicted and confirmed.

One pass from records to laws to predictions, so that figures, tables and the command line print
the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..calibrate.latency import LatencyFit, LatencyPoints, fit_latency
from ..calibrate.library import load_sweeps
from ..sim.prediction import Prediction, predict
from ..sim.rounds.laws import Confirmation, confirm
from ..theory import AffineCost, DepthAcceptance

Floats = NDArray[np.float64]
Progress = Callable[[str, int, int], None]
GRID = "paper_bloom_grid"
LEVEL = 0.9


@dataclass(frozen=True)
class HeldOut:
    """Predictions of points that were left out of the fit.

    name: of the test; error: predicted / measured - 1, shape (points,); inside: whether the
    90 % interval of a measurement held each point; labels: what each point is.
    """

    name: str
    error: Floats
    inside: NDArray[np.bool_]
    labels: tuple[str, ...]

    @property
    def mean_abs(self) -> float:
        """Mean absolute relative error."""
        return float(np.abs(self.error).mean())

    @property
    def median_abs(self) -> float:
        """Median absolute relative error."""
        return float(np.median(np.abs(self.error)))

    @property
    def p95_abs(self) -> float:
        """95th percentile of the absolute relative error."""
        return float(np.quantile(np.abs(self.error), 0.95))

    @property
    def coverage(self) -> float:
        """Share of the points inside their interval."""
        return float(self.inside.mean())


@dataclass(frozen=True)
class Panel:
    """One draft of the grid: measured points, fitted curve with its interval, prediction.

    gammas, measured: shape (points,), latency over plain latency; center, low, high: index =
    gamma, shape (gamma_max + 1,), the interval that of a measurement; confirmation: the speed-up at
    the best gamma, simulated; window_hit: whether the measured best gamma is in the 1 % window.
    """

    draft: str
    gammas: NDArray[np.int64]
    measured: Floats
    center: Floats
    low: Floats
    high: Floats
    prediction: Prediction
    confirmation: Confirmation
    window_hit: bool


@dataclass(frozen=True)
class GridStudy:
    """The paper's latency grid: joint fit, held-out tests, one panel a draft."""

    target: str
    fit: LatencyFit
    panels: tuple[Panel, ...]
    rms: float
    held_out: tuple[HeldOut, ...]
    plain_latency: float


def grid_points() -> tuple[list[LatencyPoints], str, float]:
    """The paper's grid as points for a fit, with its target and plain latency."""
    sweeps = load_sweeps(GRID)
    points = [
        LatencyPoints(s.draft, s.gamma.astype(np.int64), np.array(s.relative_latency))
        for s in sweeps
    ]
    return points, sweeps[0].target, float(sweeps[0].plain_latency or np.nan)


def typical(acceptance: DepthAcceptance, cost: AffineCost) -> tuple[DepthAcceptance, AffineCost]:
    """One draw that stands for a posterior sample: the one nearest the middle of its speed-ups.

    Medians of parameters that trade off against each other need not lie on the ridge; a draw does.
    """
    from ..sim.prediction import speedup_table

    table = np.log(speedup_table(acceptance, cost, 7))
    nearest = int(((table - table.mean(axis=0)) ** 2).sum(axis=1).argmin())
    take = [np.broadcast_to(np.asarray(v), acceptance.shape)[nearest] for v in (
        acceptance.alpha, acceptance.decay, cost.cost_ratio, cost.overhead)]  # fmt: skip
    alpha, decay, slope, overhead = (float(v) for v in take)
    return DepthAcceptance(alpha, decay), AffineCost(slope, overhead=overhead)


def _panel(fit: LatencyFit, points: LatencyPoints, rng: np.random.Generator) -> Panel:
    acceptance, cost = fit.laws(points.draft)
    top = int(points.gammas.max())
    prediction = predict(acceptance, cost, gamma_max=top, level=LEVEL, scatter=fit.scatter, rng=rng)
    curve = fit.relative_latency(points.draft, top)
    noisy = curve * np.exp(fit.scatter[:, None] * rng.standard_normal(curve.shape))
    tails = [0.5 * (1 - LEVEL), 0.5 * (1 + LEVEL)]
    low, high = np.quantile(noisy, tails, axis=0)
    single = typical(acceptance, cost)
    measured_best = int(points.gammas[points.relative.argmin()])
    return Panel(
        points.draft,
        points.gammas,
        points.relative,
        curve.mean(axis=0),
        low,
        high,
        prediction,
        confirm(rng, single[0], cost=single[1], gamma=max(prediction.gamma, 1)),
        measured_best in prediction.gamma_window,
    )


def grid_study(
    seed: int = 0,
    progress: Progress | None = None,
    *,
    held_out: bool = True,
    grid: tuple[list[LatencyPoints], str, float] | None = None,
) -> GridStudy:
    """Fit a grid jointly and predict every draft; with ``held_out`` leave one gamma out in turn.

    progress: called with (what, done, total); grid: points, target and plain latency, by default
    the paper's.
    """
    rng = np.random.default_rng([seed, 1])
    points, target, plain = grid or grid_points()
    fit = fit_latency(points, rng)
    residual = fit.residuals()
    panels = tuple(_panel(fit, p, rng) for p in points)
    tests = tuple(
        leave_one_out(points, rng, joint=joint, progress=progress)
        for joint in ((True, False) if held_out else ())
    )
    return GridStudy(
        target,
        fit,
        panels,
        float(np.sqrt((residual**2).mean())),
        tests,
        plain,
    )


def leave_one_out(
    points: list[LatencyPoints],
    rng: np.random.Generator,
    *,
    joint: bool,
    progress: Progress | None = None,
) -> HeldOut:
    """Leave each point out in turn and predict it.

    joint: from the draft's other points and all points of the other drafts; otherwise from the
    draft's other points alone.
    """
    name = "one K of a draft, other drafts known" if joint else "one K of a draft, nothing else"
    error, inside, labels = [], [], []
    total = sum(p.gammas.size for p in points)
    for i, p in enumerate(points):
        for j, gamma in enumerate(p.gammas):
            kept = p.without(int(gamma))
            others = [*points[:i], kept, *points[i + 1 :]] if joint else [kept]
            fit = fit_latency(others, rng, draws=1000, size="coarse")
            curve = fit.relative_latency(p.draft, int(gamma))[:, gamma]
            noisy = curve * np.exp(fit.scatter * rng.standard_normal(curve.size))
            low, high = np.quantile(noisy, [0.05, 0.95])
            error.append(curve.mean() / p.relative[j] - 1.0)
            inside.append(bool(low <= p.relative[j] <= high))
            labels.append(f"{p.draft} K={gamma}")
            if progress:
                progress(name, len(error), total)
    return HeldOut(name, np.array(error), np.array(inside), tuple(labels))
