"""An own ladder as the paper measured its families: latency against K, draft scale and depth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..calibrate.measured.ladder import Ladder, Predicted
from ..calibrate.measured.sizes import fit_sizes, latency_over_plain
from ..theory.interval import Interval
from .style import COLOURS, COLUMN, MARKERS, PAGE, figure, save, styled, write_csv
from .validation.result import LEVEL, Floats

POINTS = 90


@dataclass(frozen=True)
class SizeStudy:
    """Latency at the best gamma against draft parameters, at the ladder's usual depth.

    scales: draft over target parameters of the measured drafts; measured, error: of each at the
    gamma that is predicted to be its best; grid,
    center, low, high: the law; turning_point: best scale; at_edge: share of the sample whose best
    scale is an end of the ladder.
    """

    names: tuple[str, ...]
    scales: Floats
    measured: Floats
    error: Floats
    grid: Floats
    center: Floats
    low: Floats
    high: Floats
    turning_point: Interval
    at_edge: float


def size_study(ladder: Ladder, predicted: tuple[Predicted, ...], *, seed: int = 0) -> SizeStudy:
    """Fit the ladder's law of size and find the best size under every draw of it."""
    rng = np.random.default_rng([seed, 59])
    target = float(ladder.parameters[ladder.target])
    chain = [p for p in predicted if ladder.roles[p.draft] == "ladder"]
    scales = np.array([ladder.parameters[p.draft] / target for p in chain])
    law = fit_sizes(ladder, predicted, rng)
    grid = np.geomspace(scales.min(), scales.max(), POINTS)
    layers = law.usual_layers(grid * target)
    survival = law.survival(grid * target, layers, rng, own=False)
    rounds = law.drafting.at(grid * target, layers, rng, own=False)
    relative = latency_over_plain(ladder, survival, rounds)[..., 1:].min(axis=-1)
    best = relative.argmin(axis=1)
    tails = [0.5 * (1 - LEVEL), 0.5 * (1 + LEVEL)]
    low, high = np.quantile(relative, tails, axis=0)
    short, long = (float(q) for q in np.quantile(grid[best], tails))
    center = np.median(relative, axis=0)
    # Where the prediction is lowest: the least of several noisy measurements would be too low.
    lowest = [int(p.gammas[p.center[p.gammas].argmin()]) for p in chain]
    return SizeStudy(
        tuple(p.draft for p in chain),
        scales,
        np.array([p.measured[k] for p, k in zip(chain, lowest, strict=True)]),
        np.array([p.error[k] for p, k in zip(chain, lowest, strict=True)]),
        grid,
        center,
        low,
        high,
        Interval(float(grid[center.argmin()]), short, long, LEVEL),
        float(((best == 0) | (best == POINTS - 1)).mean()),
    )


@styled
def latency_by_gamma(predicted: tuple[Predicted, ...], out: Path, *, name: str) -> list[Path]:
    """Measured latency of every draft against gamma, with the lines that costs and rounds give."""
    columns = 4
    rows = -(-len(predicted) // columns)
    made, axes = figure(PAGE, 1.5 * rows, rows, columns, sharex=True, sharey=True, squeeze=False)
    table = []
    for ax, p in zip(axes.flat, predicted, strict=False):
        gammas = np.concatenate([[0], p.gammas])
        low, high = np.quantile(p.sample, [0.05, 0.95], axis=0)
        every = np.arange(p.center.size)
        ax.fill_between(every, low, high, color=COLOURS[0], alpha=0.2, lw=0)
        ax.plot(every, p.center, color=COLOURS[0], label="predicted, 90 % band")
        ax.errorbar(
            gammas, p.measured[gammas], yerr=1.645 * p.error[gammas], fmt="o", color="black",
            ms=2.5, lw=0.8, label="measured",
        )  # fmt: skip
        ax.axhline(1.0, color="0.7", lw=0.6, zorder=0)
        ax.set_title(p.draft)
        ax.set_xticks(range(0, int(gammas.max()) + 1))
        ax.set_xlim(-0.3, gammas.max() + 0.3)
        table += [
            (p.draft, int(g), float(p.measured[g]), float(p.error[g]), float(p.center[g]),
             float(low[g]), float(high[g])) for g in gammas
        ]  # fmt: skip
    for ax in list(axes.flat)[len(predicted) :]:
        ax.axis("off")
    axes[0, 0].legend(loc="best", handlelength=1.2)
    made.supxlabel("draft tokens a round, $\\gamma$", fontsize=8)
    made.supylabel("latency / plain latency", fontsize=8)
    headings = ["draft", "gamma", "measured", "standard_error", "predicted", "low_90", "high_90"]
    stem = f"{name}_grid"
    return [*save(made, out, stem), write_csv(out, stem, headings, table)]


@styled
def latency_by_size(result: SizeStudy, out: Path, *, name: str) -> list[Path]:
    """Measured drafts, the law of the ladder with its band, and the turning point in scale."""
    made, ax = figure(COLUMN, 2.6)
    ax.fill_between(result.grid, result.low, result.high, color=COLOURS[0], alpha=0.2, lw=0)
    ax.plot(result.grid, result.center, color=COLOURS[0], label="law, 90 % band")
    ax.errorbar(
        result.scales, result.measured, yerr=1.645 * result.error, fmt="o", color="black",
        lw=0.8, label="measured",
    )  # fmt: skip
    turn = result.turning_point
    base = float(min(result.low.min(), result.measured.min())) - 0.06
    ax.plot([turn.low, turn.high], [base, base], color=COLOURS[1], lw=3, solid_capstyle="butt")
    ax.plot(turn.estimate, base, "*", color=COLOURS[1], ms=10, mec="white", mew=0.6)
    ax.text(
        np.sqrt(turn.low * turn.high), base - 0.05,
        f"best scale 1/{1 / turn.estimate:.0f} [1/{1 / turn.low:.0f}, 1/{1 / turn.high:.0f}]",
        ha="center", va="top", fontsize=7, color=COLOURS[1],
    )  # fmt: skip
    ax.axhline(1.0, color="0.6", lw=0.6, zorder=0)
    ax.set_xscale("log")
    ax.set_ylim(bottom=base - 0.13)
    ax.set_xlabel("draft parameters / target parameters")
    ax.set_ylabel("latency at the best $\\gamma$ / plain latency")
    ax.legend(loc="upper center")
    rows = [("law", float(s), float(c), float(a), float(b)) for s, c, a, b in zip(
        result.grid, result.center, result.low, result.high, strict=True)]  # fmt: skip
    rows += [
        (n, float(s), float(m), float(m - 1.645 * e), float(m + 1.645 * e))
        for n, s, m, e in zip(
            result.names, result.scales, result.measured, result.error, strict=True
        )
    ]
    rows.append(("turning point", turn.estimate, float("nan"), turn.low, turn.high))
    stem = f"{name}_scale"
    headings = ["series", "scale", "relative_latency", "low_90", "high_90"]
    return [*save(made, out, stem), write_csv(out, stem, headings, rows)]


@styled
def latency_by_depth(
    ladder: Ladder, predicted: tuple[Predicted, ...], out: Path, *, name: str
) -> list[Path]:
    """Drafts of equal size and different depth: cost, acceptance and latency against layers."""
    deep = [p for p in predicted if ladder.roles[p.draft] == "depth"]
    size = float(np.median([ladder.parameters[p.draft] for p in deep]))
    near = min(
        (p for p in predicted if ladder.roles[p.draft] == "ladder"),
        key=lambda p: abs(np.log(ladder.parameters[p.draft] / size)),
    )
    chosen = sorted((*deep, near), key=lambda p: ladder.layers[p.draft])
    layers = [ladder.layers[p.draft] for p in chosen]
    made, axes = figure(PAGE, 2.1, 1, 3)
    cost = [float(p.passes[1]) for p in chosen]
    accepted = [float(p.survival[1:].sum() / p.survival[:-1].sum()) for p in chosen]
    fastest = [int(p.gammas[p.center[p.gammas].argmin()]) for p in chosen]
    latency = [float(p.measured[k]) for p, k in zip(chosen, fastest, strict=True)]
    error = [float(p.error[k]) for p, k in zip(chosen, fastest, strict=True)]
    law = [float(p.center[p.gammas].min()) for p in chosen]
    series = (
        (cost, "draft pass / plain step, $c$"),
        (accepted, "accepted / decided, $\\alpha$"),
    )
    for i, (values, label) in enumerate(series):
        axes[i].plot(layers, values, MARKERS[i] + "-", color=COLOURS[i])
        axes[i].set_ylabel(label)
    axes[2].errorbar(
        layers, latency, yerr=1.645 * np.array(error), fmt="o", color="black", label="measured"
    )
    axes[2].plot(layers, law, color=COLOURS[0], label="predicted")
    axes[2].set_ylabel("latency at the best $\\gamma$ / plain")
    axes[2].legend()
    for ax in axes:
        ax.set_xlabel("layers of the draft")
        ax.set_xticks(layers)
    made.suptitle(f"drafts of {size / 1e6:.2g} M parameters", fontsize=8)
    rows = [
        (p.draft, layers[i], cost[i], accepted[i], latency[i], error[i], law[i])
        for i, p in enumerate(chosen)
    ]
    headings = ["draft", "layers", "cost_ratio", "accepted_over_decided", "relative_latency",
                "standard_error", "predicted"]  # fmt: skip
    stem = f"{name}_depth"
    return [*save(made, out, stem), write_csv(out, stem, headings, rows)]
