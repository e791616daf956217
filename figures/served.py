"""A ladder of drafts on a serving engine: speed-up against gamma, and against the draft's size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..calibrate.library.own import ServedCampaign
from ..calibrate.serving import Served
from .style import COLOURS, PAGE, figure, one_legend, save, styled, write_csv
from .validation.served import KNOWN, ServedPoint, served_points

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@styled
def served_ladder(campaign: ServedCampaign, out: Path, *, seed: int = 0) -> list[Path]:
    """One panel a batch: every draft against gamma; and the best of each against its size."""
    served = Served((campaign.record,))
    points = served_points(served, seed=seed)
    batches = sorted({p.batch for p in points})
    drafts = sorted({p.draft for p in points}, key=lambda d: -campaign.parameters.get(d, 0.0))
    colours = {d: COLOURS[i % len(COLOURS)] for i, d in enumerate(drafts)}
    made, axes = figure(PAGE, 2.4, 1, len(batches) + 1, squeeze=False)
    for ax, batch in zip(axes.flat, batches, strict=False):
        for draft in drafts:
            own = [p for p in points if (p.draft, p.batch) == (draft, batch)]
            _against_gamma(ax, own, colours[draft], campaign.called(draft))
        ax.axhline(1.0, color="0.6", lw=0.6, zorder=0)
        ax.set_title(f"batch {batch}")
        ax.set_xlabel("draft tokens a round, $\\gamma$")
    axes.flat[0].set_ylabel("speed-up over plain decoding")
    one_legend(made, axes[:1, :1], "lower", columns=6)
    _against_size(axes.flat[-1], campaign, points)
    stem = f"{campaign.name}_served"
    sizes = {name: float(size) for name, size in campaign.parameters.items()}
    headings = ["draft", "parameters", "batch", "gamma", "measured", "standard_error", "predicted",
                "low_90", "high_90", "given"]  # fmt: skip
    table = [
        (p.draft, sizes.get(p.draft, ""), p.batch, p.gamma, p.measured, p.error,
         p.predicted, p.low, p.high, int(p.given))
        for p in points
    ]  # fmt: skip
    caption = (
        f"Speed-up of {served.model} on {served.engine} against the draft tokens of a round, for "
        f"drafts named by their share of the target's parameters: measured (points, with standard "
        f"errors), and predicted with 90 % bands from plain decoding and gamma {KNOWN} (filled "
        "points) alone. Right: the fastest measured gamma of each draft against its size; a line "
        "joins the drafts of the ladder."
    )
    return [*save(made, out, stem, caption), write_csv(out, stem, headings, table)]


def _against_gamma(ax: Axes, own: list[ServedPoint], colour: str, label: str) -> None:
    own = sorted(own, key=lambda p: p.gamma)
    gammas = [p.gamma for p in own]
    ax.fill_between(
        gammas, [p.low for p in own], [p.high for p in own], color=colour, alpha=0.15, lw=0
    )
    ax.plot(gammas, [p.predicted for p in own], color=colour, lw=0.9, label=label)
    for p in own:
        ax.errorbar(
            p.gamma, p.measured, p.error, fmt="o", ms=2.6, color=colour, lw=0.7,
            mfc=colour if p.given else "white",
        )  # fmt: skip


def _against_size(ax: Axes, campaign: ServedCampaign, points: tuple[ServedPoint, ...]) -> None:
    """The fastest gamma of each draft that has a size, by batch; the ladder in a line."""
    whole = campaign.parameters[campaign.target]
    for i, batch in enumerate(sorted({p.batch for p in points})):
        colour, marker = COLOURS[i % len(COLOURS)], "osD^"[i % 4]
        best = [
            max((p for p in points if (p.draft, p.batch) == (draft, batch)), key=_measured)
            for draft in dict.fromkeys(p.draft for p in points)
            if draft in campaign.parameters
        ]
        best.sort(key=lambda p: campaign.parameters[p.draft])
        ladder = [p for p in best if p.draft in campaign.ladder]
        ax.plot(
            [campaign.parameters[p.draft] / whole for p in ladder], [p.measured for p in ladder],
            lw=0.8, color=colour,
        )  # fmt: skip
        ax.errorbar(
            [campaign.parameters[p.draft] / whole for p in best], [p.measured for p in best],
            [p.error for p in best], fmt=marker, ms=3, lw=0.7, color=colour,
            label=f"batch {batch}",
        )  # fmt: skip
    ax.axhline(1.0, color="0.6", lw=0.6, zorder=0)
    ax.set_xscale("log")
    sizes = {campaign.parameters[p.draft] for p in points if p.draft in campaign.parameters}
    ax.set_xticks(*share_ticks([size / whole for size in sizes]))
    ax.minorticks_off()
    ax.set_title("fastest of each draft")
    ax.set_xlabel("draft / target parameters")
    ax.legend(fontsize="x-small")


def share_ticks(shares: Sequence[float]) -> tuple[list[float], list[str]]:
    """Places and labels of shares in (0, 1], rising, less those whose labels would touch."""
    places: list[float] = []
    for share in sorted(shares):
        if not places or share > 1.3 * places[-1]:
            places.append(share)
    return places, ["1" if s == 1.0 else f"1/{1.0 / s:.2g}" for s in places]


def _measured(point: ServedPoint) -> float:
    return point.measured
