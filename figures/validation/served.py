"""A real server: from plain decoding and one gamma, all its other configurations.

The answer is that of `howspec predict` with the record as its acceptance and its costs. Drawn:
speed-up against gamma, and against the size of the draft.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...calibrate.doors import Deployment
from ...calibrate.library.own import ServedCampaign
from ...calibrate.serving import Served
from ...calibrate.serving.served import Configuration, Wave
from ...sim.choice import check_objective
from ...sim.known import Sources
from ...sim.laws import both_laws
from ...sim.pair import predict_pair
from ..style import COLOURS, PAGE, figure, one_legend, plain_line, save, styled
from .result import Point, Test

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KNOWN = 3


@dataclass(frozen=True)
class ServedPoint:
    """A draft, gamma and batch of a server: speed-up over plain decoding, measured with its
    standard error, and predicted with its interval; given: whether the prediction rests on it.
    """

    draft: str
    gamma: int
    batch: int
    measured: float
    error: float
    predicted: float
    low: float
    high: float
    given: bool


def tokens_per_s(waves: list[Wave]) -> float:
    """Tokens/s of all sequences together, over waves."""
    return sum(w.window_tokens for w in waves) / sum(w.window_s for w in waves)


def served_points(served: Served, *, known: int = KNOWN, seed: int = 0) -> tuple[ServedPoint, ...]:
    """Every draft that was measured at the known gamma, from that gamma and plain decoding."""
    found = []
    plain = served.plain()
    for draft in served.drafts:
        own = served.of_draft(draft)
        if not any(w.accepted for waves in own.get(known, {}).values() for w in waves):
            continue  # look-up that found nothing says nothing of longer ones
        few = served.only(_known_of(draft, known))
        for batch in sorted({b for levels in own.values() for b in levels} & plain.keys()):
            laws = both_laws(
                Deployment(batch=batch), Sources(few, costs=few), gamma_max=max(own), seed=seed
            )
            said = predict_pair(laws, objective=check_objective(None)).prediction
            rows = (said.speedup_by_gamma, said.low_by_gamma, said.high_by_gamma)
            for gamma, levels in own.items():
                if batch in levels:
                    speedup = tokens_per_s(levels[batch]) / tokens_per_s(plain[batch])
                    error = speedup * float(np.hypot(_spread(levels[batch]), _spread(plain[batch])))
                    middle, low, high = (float(row[gamma]) for row in rows)
                    found.append(
                        ServedPoint(
                            draft, gamma, batch, speedup, error, middle, low, high, gamma == known
                        )
                    )
    return tuple(found)


def served_test(served: Served, *, known: int = KNOWN, seed: int = 0) -> Test:
    """Speed-ups of a server at every draft, gamma and batch but the known gamma; and the regret of
    the gamma that would be run, among those that were measured.
    """
    points = served_points(served, known=known, seed=seed)
    regrets = []
    for draft, batch in dict.fromkeys((p.draft, p.batch) for p in points):
        own = [p for p in points if (p.draft, p.batch) == (draft, batch)]
        chosen = max(own, key=lambda p: p.predicted)
        worth = chosen.measured if chosen.predicted > 1.0 else 1.0
        regrets.append(1.0 - worth / max(1.0, *(p.measured for p in own)))
    return Test(
        f"a server of {served.engine}: speed-up of other gammas",
        f"plain decoding and gamma {known} at each batch, draft by draft",
        tuple(
            Point(f"{p.draft}, gamma {p.gamma}, batch {p.batch}", p.measured, p.predicted, p.low,
                  p.high)
            for p in points if not p.given
        ),
        tuple(regrets),
    )  # fmt: skip


def _spread(waves: list[Wave]) -> float:
    """Standard error of ln(tokens/s) over the waves."""
    logs = [np.log(tokens_per_s([w])) for w in waves]
    return float(np.std(logs, ddof=1) / np.sqrt(len(logs))) if len(logs) > 1 else float("nan")


def _known_of(draft: str, gamma: int) -> Callable[[Configuration], bool]:
    def keep(what: Configuration) -> bool:
        return not what.gamma or (what.gamma == gamma and draft in (what.draft, what.method))

    return keep


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
        plain_line(ax)
        ax.set_title(f"batch {batch}")
        ax.set_xlabel("draft tokens a round, $\\gamma$")
    axes.flat[0].set_ylabel("speed-up over plain decoding")
    one_legend(made, axes[:1, :1], "lower", columns=6)
    _against_size(axes.flat[-1], campaign, points)
    sizes = {name: float(size) for name, size in campaign.parameters.items()}
    rows = [
        {
            "draft": p.draft, "parameters": sizes.get(p.draft, ""), "batch": p.batch,
            "gamma": p.gamma, "measured": p.measured, "standard_error": p.error,
            "predicted": p.predicted, "low_90": p.low, "high_90": p.high, "given": int(p.given),
        }
        for p in points
    ]  # fmt: skip
    caption = (
        f"Speed-up of {served.model} on {served.engine} against the draft tokens of a round, for "
        f"drafts named by their share of the target's parameters: measured (points, with standard "
        f"errors), and predicted with 90 % bands from plain decoding and gamma {KNOWN} (filled "
        "points) alone. Right: the fastest measured gamma of each draft against its size; a line "
        "joins the drafts of the ladder."
    )
    return save(made, out, f"{campaign.name}_served", caption, rows)


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
            max(
                (p for p in points if (p.draft, p.batch) == (draft, batch)),
                key=lambda p: p.measured,
            )
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
    plain_line(ax)
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
