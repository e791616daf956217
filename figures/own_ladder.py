"""An own ladder as the paper measured its families: latency against K, draft scale and depth.

Drafts of equal size and different depth tell what depth costs, what it buys, and what remains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..calibrate.library.own import OwnCampaign
from ..calibrate.measured.costs import sampled
from ..calibrate.measured.ladder import Predicted, request_contexts
from ..calibrate.measured.rounds import rounds_of
from ..calibrate.measured.sizes import fit_sizes, latency_over_plain
from ..theory.domain import Floats
from ..theory.interval import Interval, interval, median_interval
from . import style
from .grids import ScaleStudy, draw_law, law_rows, scale_law
from .style import COLOURS, Row, save, styled
from .validation.result import LEVEL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 90


def size_study(
    ladder: OwnCampaign, predicted: tuple[Predicted, ...], *, seed: int = 0
) -> ScaleStudy:
    """Fit the ladder's law of size and find the best size under every draw of it.

    Measured is each draft of the usual depth at the gamma that is predicted to be its best.
    """
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
    # Where the prediction is lowest: the least of several noisy measurements would be too low.
    lowest = [int(p.gammas[p.center[p.gammas].argmin()]) for p in chain]
    return scale_law(
        ladder.target, tuple(p.draft for p in chain), scales,
        np.array([p.measured[k] for p, k in zip(chain, lowest, strict=True)]),
        np.array([p.error[k] for p, k in zip(chain, lowest, strict=True)]),
        fitted=np.ones(len(chain), dtype=bool), grid=grid, latency=relative,
        center=np.median(relative, axis=0),
    )  # fmt: skip


@styled
def latency_by_gamma(
    ladder: OwnCampaign, predicted: tuple[Predicted, ...], out: Path, *, name: str
) -> list[Path]:
    """Measured latency of every draft against gamma, with the lines that costs and rounds give.

    A draft that rises far above the others has a scale of its own, so that the others are seen.
    """
    made, axes = style.panels(len(predicted), most=4, height=1.5, sharex=True)
    rows: list[Row] = []
    tops = [float(np.nanmax([*p.measured, *p.center])) for p in predicted]
    usual = max(t for t in tops if t <= 1.3 * float(np.median(tops)))
    floor = min(float(np.nanmin([*p.measured, *p.center])) for p in predicted)
    for ax, p, top in zip(axes.flat, predicted, tops, strict=False):
        rows += _grid_panel(ax, p)
        ax.set_ylim(floor - 0.05, 1.05 * max(top, usual))
        parameters = ladder.parameters[p.draft] / ladder.parameters[ladder.target]
        own = ", own scale" if top > usual else ""
        ax.set_title(f"1/{1 / parameters:.0f}, {_layers(ladder.layers[p.draft])}{own}")
    style.one_legend(made, axes, "upper", columns=4)
    made.supxlabel("draft tokens a round, $\\gamma$")
    made.supylabel("latency / plain latency")
    caption = (
        f"Latency over plain decoding against the draft tokens of a round for {len(predicted)} "
        "drafts, named by their share of the target's parameters and their layers: measured, and "
        "predicted with a 90 % band from costs and acceptance alone; stars mark the predicted "
        f"optimum. {setting(ladder)} Bars are 90 % intervals over prompts; nothing is fitted to "
        "these latencies."
    )
    return save(made, out, f"{name}_grid", caption, rows)


def _layers(layers: int) -> str:
    return f"{layers} layer{'s' if layers > 1 else ''}"


def setting(ladder: OwnCampaign) -> str:
    """What was measured and how, as a sentence of a caption."""
    s, whole = ladder.sweep.settings, style.sized(ladder.parameters[ladder.target])
    return (
        f"Target {ladder.target} ({whole} parameters), batch 1, temperature "
        f"{float(s['temperature']):g}, prompts of {s['prompts']['tokens']} tokens, "
        f"{s['new_tokens']} new tokens, time of decoding without prefill."
    )


def _grid_panel(ax: Axes, p: Predicted) -> list[Row]:
    """One draft: points with their errors, the line with its band, and the optimum."""
    gammas = np.concatenate([[0], p.gammas])
    low, high = np.quantile(p.sample, [0.05, 0.95], axis=0)
    every = np.arange(p.center.size)
    ax.fill_between(
        every, low, high, color=COLOURS[0], alpha=0.2, lw=0, label="90 % band of the prediction"
    )
    ax.plot(every, p.center, color=COLOURS[0], label="predicted")
    ax.errorbar(
        gammas, p.measured[gammas], yerr=1.645 * p.error[gammas], fmt="o", color="black",
        ms=2.5, lw=0.8, label="measured",
    )  # fmt: skip
    best = int(p.center.argmin())
    style.star(ax, best, p.center[best], COLOURS[1], 9, ls="", label="predicted optimum")
    style.plain_line(ax, "0.7")
    ax.set_xticks(range(0, int(gammas.max()) + 1))
    ax.set_xlim(-0.3, gammas.max() + 0.3)
    return style.by_rows({
        "draft": p.draft, "gamma": gammas, "measured": p.measured[gammas],
        "standard_error": p.error[gammas], "predicted": p.center[gammas], "low_90": low[gammas],
        "high_90": high[gammas],
    })  # fmt: skip


@styled
def latency_by_size(ladder: OwnCampaign, result: ScaleStudy, out: Path, *, name: str) -> list[Path]:
    """Measured drafts, the law of the ladder with its band, and the turning point in scale."""
    made, ax = style.figure(style.COLUMN, 2.8)
    draw_law(ax, result)
    ax.errorbar(
        result.scales, result.measured, yerr=1.645 * result.error, fmt="o", color="black",
        lw=0.8, label="measured, 90 %",
    )  # fmt: skip
    first = int(result.measured.argmin())
    ax.annotate(
        f"best measured\n1/{1 / result.scales[first]:.0f}",
        (result.scales[first], result.measured[first]), xytext=(6, 0),
        textcoords="offset points", fontsize="small", va="center",
    )  # fmt: skip
    lowest = float(min(result.low.min(), (result.measured - 1.645 * result.error).min()))
    highest = float(max(result.high.max(), (result.measured + 1.645 * result.error).max()))
    ax.set_ylim(lowest - 0.25 * (highest - lowest), highest + 0.25 * (highest - lowest))
    ax.legend(loc="upper center", ncols=2)
    flat = result.grid[result.center <= 1.01 * result.center.min()]
    caption = (
        "Latency over plain decoding against the size of the draft: measured drafts, the law of "
        "the ladder with its 90 % band, and the best size with its 90 % interval (star and bar). "
        f"{setting(ladder)} Drafts of the ladder's usual depth, each at the number of draft "
        f"tokens predicted to be its best. The law is flat: within 1 % of its lowest point from "
        f"1/{1 / flat[0]:.0f} to 1/{1 / flat[-1]:.0f} of the target."
    )
    return save(made, out, f"{name}_scale", caption, law_rows(result))


_DRAWS = 400


@dataclass(frozen=True)
class _Depth:
    """One draft; costs, rates and latencies with their 90 % intervals."""

    draft: str
    layers: int
    in_round: Interval
    alone: float
    accepted: Interval
    latency: Interval
    predicted: float


@styled
def latency_by_depth(
    ladder: OwnCampaign, predicted: tuple[Predicted, ...], out: Path, *, name: str
) -> list[Path]:
    """Cost, acceptance and latency against layers; () where the ladder has no such drafts."""
    chosen = _equal_sizes(ladder, predicted)
    if not chosen:
        return []
    found = [_depth(ladder, p) for p in chosen]
    layers = [d.layers for d in found]
    made, axes = style.figure(style.PAGE, 2.3, 1, 3)
    for ax, i, series, label in (
        (axes[0], 0, [d.in_round for d in found], "in a round, 90 %"),
        (axes[1], 1, [d.accepted for d in found], "rounds of all requests, 90 %"),
        (axes[2], 6, [d.latency for d in found], "measured, 90 %"),
    ):
        ax.errorbar(
            layers, [v.estimate for v in series], yerr=_bars(series), fmt=style.MARKERS[i % 5],
            color=COLOURS[i], lw=0.8, label=label,
        )  # fmt: skip
    axes[0].plot(layers, [d.alone for d in found], "--", color="0.4", label="timed by itself")
    axes[2].plot(layers, [d.predicted for d in found], color=COLOURS[0], label="predicted")
    size = float(np.median([ladder.parameters[p.draft] for p in chosen]))
    for ax, label in zip(
        axes,
        (
            "draft pass / plain step, $c$",
            "accepted / decided, $\\alpha$",
            "latency / plain latency",
        ),
        strict=True,
    ):
        ax.set_ylabel(label)
        ax.set_xlabel("layers of the draft")
        ax.set_xticks(layers)
        ax.margins(y=0.3)
        ax.legend(loc="upper left")
    made.suptitle(f"drafts of {style.sized(size, 2)} parameters for {ladder.target}")
    rows = [
        {
            "draft": d.draft, "layers": d.layers,
            **style.ends_of(d.in_round, "cost_ratio_in_a_round", "cost"),
            "cost_ratio_alone": d.alone,
            **style.ends_of(d.accepted, "accepted_over_decided", "accepted"),
            **style.ends_of(d.latency, "relative_latency", "latency"), "predicted": d.predicted,
        }
        for d in found
    ]  # fmt: skip
    caption = (
        "Drafts of equal size and different depth: more layers cost more time (left) and change "
        "acceptance little (middle), so that latency at the best number of draft tokens rises "
        f"(right). {setting(ladder)} The cost is that of the first draft pass in a round, whose "
        "weights the target's pass has driven out of the cache; the dashed line is the same pass "
        "timed by itself."
    )
    return save(made, out, f"{name}_depth", caption, rows)


def _bars(series: Sequence[Interval]) -> Floats:
    """Lengths of the bars below and above, (2, intervals)."""
    return np.array([(v.estimate - v.low, v.high - v.estimate) for v in series]).T


def _equal_sizes(ladder: OwnCampaign, predicted: Sequence[Predicted]) -> list[Predicted]:
    """The drafts that differ in depth alone, with the one of the ladder of their size."""
    deep = [p for p in predicted if ladder.roles[p.draft] == "depth"]
    if not deep:
        return []
    size = float(np.median([ladder.parameters[p.draft] for p in deep]))
    near = min(
        (p for p in predicted if ladder.roles[p.draft] == "ladder"),
        key=lambda p: abs(np.log(ladder.parameters[p.draft] / size)),
    )
    return sorted((*deep, near), key=lambda p: ladder.layers[p.draft])


def _depth(ladder: OwnCampaign, p: Predicted) -> _Depth:
    rng = np.random.default_rng([0, 61])
    context = float(np.median(request_contexts(ladder)))
    ratio = sampled(p.cost, rng, draws=_DRAWS).cost_ratio(context=context)
    one, plain = (
        float(law.step_time(np.ones(1), batch=1.0, context=context)[0])
        for law in (p.cost.draft, p.cost.target)
    )
    rounds = rounds_of(
        ladder.acceptance, p.draft, temperature=float(ladder.sweep.settings["temperature"])
    )
    survival = rounds.sample(rng, draws=_DRAWS)
    rates = survival[:, 1:].sum(axis=1) / survival[:, :-1].sum(axis=1)
    best = int(p.gammas[p.center[p.gammas].argmin()])
    seen, error = float(p.measured[best]), 1.645 * float(p.error[best])
    return _Depth(
        p.draft,
        ladder.layers[p.draft],
        median_interval(ratio, LEVEL),
        one / plain,
        interval(rates, LEVEL, estimate=float(p.survival[1:].sum() / p.survival[:-1].sum())),
        Interval(seen, seen - error, seen + error, LEVEL),
        float(p.center[best]),
    )
