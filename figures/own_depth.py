"""Drafts of equal size and different depth: what depth costs, what it buys, and what remains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..calibrate.library.own import OwnCampaign
from ..calibrate.measured.costs import sampled
from ..calibrate.measured.ladder import Predicted, request_contexts
from ..calibrate.measured.rounds import rounds_of
from ..theory.domain import Floats
from .own_ladder import setting
from .style import COLOURS, MARKERS, PAGE, figure, save, styled, write_csv

_DRAWS = 400
_TAILS = (0.05, 0.95)


@dataclass(frozen=True)
class _Depth:
    """One draft; costs, rates and latencies as (middle, low, high), 90 % intervals."""

    draft: str
    layers: int
    in_round: Floats
    alone: float
    accepted: Floats
    latency: Floats
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
    made, axes = figure(PAGE, 2.3, 1, 3)
    for ax, i, series, label in (
        (axes[0], 0, [d.in_round for d in found], "in a round, 90 %"),
        (axes[1], 1, [d.accepted for d in found], "rounds of all requests, 90 %"),
        (axes[2], 6, [d.latency for d in found], "measured, 90 %"),
    ):
        values = np.array(series)
        ax.errorbar(
            layers, values[:, 0], yerr=_bars(values), fmt=MARKERS[i % 5], color=COLOURS[i],
            lw=0.8, label=label,
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
    made.suptitle(f"drafts of {size / 1e6:.2g} M parameters for {ladder.target}")
    rows = [
        (d.draft, d.layers, *map(float, d.in_round), d.alone, *map(float, d.accepted),
         *map(float, d.latency), d.predicted)
        for d in found
    ]  # fmt: skip
    headings = [
        "draft", "layers", "cost_ratio_in_a_round", "cost_low", "cost_high", "cost_ratio_alone",
        "accepted_over_decided", "accepted_low", "accepted_high", "relative_latency",
        "latency_low", "latency_high", "predicted",
    ]  # fmt: skip
    stem = f"{name}_depth"
    caption = (
        "Drafts of equal size and different depth: more layers cost more time (left) and change "
        "acceptance little (middle), so that latency at the best number of draft tokens rises "
        f"(right). {setting(ladder)} The cost is that of the first draft pass in a round, whose "
        "weights the target's pass has driven out of the cache; the dashed line is the same pass "
        "timed by itself."
    )
    return [*save(made, out, stem, caption), write_csv(out, stem, headings, rows)]


def _bars(values: Floats) -> Floats:
    """Lengths of the bars below and above of rows (middle, low, high), (2, rows)."""
    low, high = values[:, 0] - values[:, 1], values[:, 2] - values[:, 0]
    return np.maximum(np.stack([low, high]), 0.0)


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
    error = 1.645 * p.error[best]
    return _Depth(
        p.draft,
        ladder.layers[p.draft],
        np.array([np.median(ratio), *np.quantile(ratio, _TAILS)]),
        one / plain,
        np.array([p.survival[1:].sum() / p.survival[:-1].sum(), *np.quantile(rates, _TAILS)]),
        np.array([p.measured[best], p.measured[best] - error, p.measured[best] + error]),
        float(p.center[best]),
    )
