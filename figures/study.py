"""What the figures show: the paper's measurements, fitted, predicted and confirmed.

One pass from records to laws to predictions, so that figures, tables and the command line print
the same numbers.

With how far the predictions come true on published measurements that were not fitted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..calibrate.latency import LatencyFit, LatencyPoints, fit_latency
from ..calibrate.library import Sweep, load_sweeps, specbundle_sweeps
from ..calibrate.library.load import load_table
from ..calibrate.rounds import fit_round_cost
from ..calibrate.tables.schema import number
from ..calibrate.tokens import fit_tokens
from ..sim.prediction import Prediction, predict
from ..sim.rounds.laws import Confirmation, confirm
from ..theory import AffineCost, DepthAcceptance, speedup, tokens_by_gamma
from ..theory.domain import Floats
from ..theory.interval import ends

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
    low, high = ends(noisy, LEVEL)
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


def specbundle_test(
    seed: int = 0, *, held_out: int = 5, progress: Progress | None = None
) -> tuple[HeldOut, HeldOut]:
    """Fit each serving sweep on its other gammas and predict gamma ``held_out``.

    Returns (speed-up, tokens per round). Sweeps whose plain baseline is suspect are left out.
    """
    rng = np.random.default_rng([seed, 3])
    sweeps = [s for s in specbundle_sweeps() if held_out in s.gamma and s.gamma.size >= 3]
    both = []
    for i, sweep in enumerate(sweeps):
        both.append(_predict_one(sweep, held_out, rng))
        if progress:
            progress(f"serving sweeps, gamma {held_out} held out", i + 1, len(sweeps))
    labels = tuple(s.label for s in sweeps)
    results = []
    for column, what in enumerate(("speed-up", "tokens per round")):
        error = np.array([b[column][0] for b in both])
        inside = np.array([b[column][1] for b in both])
        results.append(
            HeldOut(f"serving sweeps, {what} at gamma {held_out}", error, inside, labels)
        )
    return results[0], results[1]


def _predict_one(
    sweep: Sweep, held_out: int, rng: np.random.Generator
) -> tuple[tuple[float, bool], tuple[float, bool]]:
    """(relative error, inside the 90 % interval) of the speed-up and of the tokens per round."""
    assert sweep.tokens_per_round is not None
    kept = sweep.gamma != held_out
    at = int(np.flatnonzero(~kept)[0])
    gammas = sweep.gamma[kept].astype(np.int64)
    tokens = fit_tokens(gammas, sweep.tokens_per_round[kept], rng, draws=1000)
    times = (sweep.tokens_per_round / sweep.speedup)[kept]
    cost = fit_round_cost(gammas, times, rng, draws=1000)
    tau = tokens_by_gamma(tokens.law(), held_out)[:, held_out]
    gain = tau / cost.law().round_time(held_out)[:, held_out]
    gain_scatter = np.hypot(tokens.scatter, cost.scatter)
    return (
        _score(gain, gain_scatter, sweep.speedup[at], rng),
        _score(tau, tokens.scatter, sweep.tokens_per_round[at], rng),
    )


def _score(
    sample: Floats, scatter: Floats, measured: float, rng: np.random.Generator
) -> tuple[float, bool]:
    noisy = sample * np.exp(scatter * rng.standard_normal(sample.size))
    low, high = np.quantile(noisy, [0.05, 0.95])
    return float(sample.mean() / measured - 1.0), bool(low <= measured <= high)


@dataclass(frozen=True)
class LawRow:
    """One published speed-up beside the ideal law at its stated alpha, gamma and cost ratio."""

    label: str
    alpha: float
    gamma: int
    cost_ratio: float
    measured: float
    predicted: float

    @property
    def error(self) -> float:
        """predicted / measured - 1."""
        return self.predicted / self.measured - 1.0


def leviathan_rows() -> tuple[LawRow, ...]:
    """The twelve speed-ups of arXiv:2211.17192 predicted from their own alpha, gamma and c."""
    rows = []
    for r in load_table("leviathan_speedups").rows:
        alpha, gamma = number(r, "overlap_alpha"), int(number(r, "gamma_tokens"))
        c = number(r, "cost_ratio")
        rows.append(
            LawRow(
                f"{r['draft']}, {r['task']}, T = {r['temperature']:g}",
                alpha,
                gamma,
                c,
                number(r, "speedup"),
                float(speedup(alpha, gamma, c)),
            )
        )
    return tuple(rows)
