"""What the figures show: the paper's measurements, fitted, predicted and confirmed.

One pass from records to laws to predictions, so that figures, tables and the command line print
the same numbers.

With how far the predictions come true on published measurements that were not fitted.
"""

from __future__ import annotations

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
from .validation.result import LEVEL, Point, Progress, Test

GRID = "paper_bloom_grid"


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
    held_out: tuple[Test, ...]
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
    simulated = confirm(rng, single[0], cost=single[1], gamma=max(prediction.gamma, 1))
    return Panel(
        points.draft, points.gammas, points.relative, curve.mean(axis=0), low, high, prediction,
        simulated, measured_best in prediction.gamma_window,
    )  # fmt: skip


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
    return GridStudy(target, fit, panels, float(np.sqrt((residual**2).mean())), tests, plain)


def leave_one_out(
    points: list[LatencyPoints],
    rng: np.random.Generator,
    *,
    joint: bool,
    progress: Progress | None = None,
) -> Test:
    """Leave each point out in turn and predict it.

    joint: from the draft's other points and all points of the other drafts; otherwise from the
    draft's other points alone.
    """
    name = "one K of a draft, other drafts known" if joint else "one K of a draft, nothing else"
    found: list[Point] = []
    total = sum(p.gammas.size for p in points)
    for i, p in enumerate(points):
        for j, gamma in enumerate(p.gammas):
            kept = p.without(int(gamma))
            others = [*points[:i], kept, *points[i + 1 :]] if joint else [kept]
            fit = fit_latency(others, rng, draws=1000, size="coarse")
            curve = fit.relative_latency(p.draft, int(gamma))[:, gamma]
            noisy = curve * np.exp(fit.scatter * rng.standard_normal(curve.size))
            found.append(_point(f"{p.draft} K={gamma}", p.relative[j], curve, noisy))
            if progress:
                progress(name, len(found), total)
    return Test(name, "the other points of the grid", tuple(found))


def _point(label: str, measured: float, sample: Floats, noisy: Floats) -> Point:
    """The mean of a sample of predictions, with the interval of a measurement of it."""
    low, high = ends(noisy, LEVEL)
    return Point(label, float(measured), float(sample.mean()), float(low), float(high))


def specbundle_test(
    seed: int = 0, *, held_out: int = 5, progress: Progress | None = None
) -> tuple[Test, Test]:
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
    gain, tokens = (
        Test(f"serving sweeps, {what} at gamma {held_out}", "the other gammas of the sweep",
             points)
        for what, points in zip(("speed-up", "tokens per round"), zip(*both, strict=True),
                                strict=True)
    )  # fmt: skip
    return gain, tokens


def _predict_one(sweep: Sweep, held_out: int, rng: np.random.Generator) -> tuple[Point, Point]:
    """The speed-up and the tokens per round at the gamma left out."""
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
    found = []
    for sample, scatter, measured in (
        (gain, gain_scatter, sweep.speedup[at]),
        (tau, tokens.scatter, sweep.tokens_per_round[at]),
    ):
        noisy = sample * np.exp(scatter * rng.standard_normal(sample.size))
        found.append(_point(sweep.label, measured, sample, noisy))
    return found[0], found[1]


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
        c, label = number(r, "cost_ratio"), f"{r['draft']}, {r['task']}, T = {r['temperature']:g}"
        predicted = float(speedup(alpha, gamma, c))
        rows.append(LawRow(label, alpha, gamma, c, number(r, "speedup"), predicted))
    return tuple(rows)
