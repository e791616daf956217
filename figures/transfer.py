"""The paper's main table, row by row: what it reports, and what howspec predicts without it; drawn.

Costs come from the BLOOM grid (by depth and size, with its overhead and decay), acceptance from the
separate draft models of arXiv:2211.17192. No row of the table enters a prediction; only the BLOOM
rows share their family with the grid, and their fitted value is given apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..calibrate.library.load import load_table
from ..calibrate.scaling import CostShapeFit, RejectionFit, fit_cost_shape, fit_rejection
from ..calibrate.tables.schema import Row, number, text
from ..sim.prediction import speedup_table
from ..theory import AffineCost, DepthAcceptance
from ..theory.domain import Floats
from ..theory.interval import Interval, interval
from .study import GridStudy
from .style import COLOURS, PAGE, bracket, ends_of, figure, save, styled, write_csv, write_latex
from .validation.result import LEVEL

GAMMA_MAX = 7  # the paper's range of K


@dataclass(frozen=True)
class TransferLaws:
    """Laws carried to families that were not measured, posterior samples of shape (draws,)."""

    rejection: RejectionFit
    cost: CostShapeFit
    overhead: Floats
    decay: Floats


@dataclass(frozen=True)
class TableRow:
    """One row of the main table.

    paper_*: as printed; draft, gamma, speedup: predicted, speedup being that of the predicted best
    draft at its best gamma; probability_draft: share of the sample in which that draft is the best
    of its ladder; at_paper_choice: predicted speed-up at the paper's own draft and K; inside:
    whether the paper's speed-up is in that interval; fitted: speed-up at the paper's draft and K
    from the grid itself, where it was measured there.
    """

    target: str
    method: str
    paper_draft: str
    paper_gamma: int
    paper_speedup: float
    draft: str
    gamma: int
    gamma_window: tuple[int, int]
    speedup: Interval
    probability_draft: float
    at_paper_choice: Interval
    inside: bool
    fitted: Interval | None


def transfer_laws(study: GridStudy, rng: np.random.Generator) -> TransferLaws:
    """Fit what carries over: rejection of published pairs, cost of the grid's released drafts."""
    ladder = {(r["target"], r["draft"]): r for r in load_table("paper_ladders").rows}
    known = [(i, d) for i, d in enumerate(study.fit.drafts) if (study.target, d) in ladder]
    rows = [ladder[study.target, d] for _, d in known]
    depth = np.array([_ratio(r, "layers") for r in rows])
    scale = np.array([_ratio(r, "params") for r in rows])
    cost = fit_cost_shape(depth, scale, study.fit.slope[[i for i, _ in known]])
    return TransferLaws(
        published_rejection(rng, study.fit.decay.size), cost, study.fit.overhead, study.fit.decay
    )


def _ratio(row: Row, what: str) -> float:
    return number(row, f"draft_{what}") / number(row, f"target_{what}")


def published_rejection(rng: np.random.Generator, draws: int) -> RejectionFit:
    """The rejection law of the separate draft models of arXiv:2211.17192, a group a task."""
    groups, scale, alpha = [], [], []
    for name in ("leviathan_speedups", "leviathan_acceptance"):
        for row in load_table(name).rows:
            if row["draft_params"] is None:
                continue  # n-gram drafts have no size
            groups.append((row["target"], row["task"], row["temperature"]))
            scale.append(_ratio(row, "params"))
            alpha.append(number(row, "overlap_alpha"))
    return fit_rejection(groups, np.array(scale), np.array(alpha), rng, draws=draws)


def predict_ladder(laws: TransferLaws, target: str, rng: np.random.Generator) -> dict[str, Floats]:
    """Speed-up of every draft of a target's ladder, shape (draws, GAMMA_MAX + 1) each.

    The drafts of a ladder share the family's level of rejection, draw by draw.
    """
    out = {}
    for row in load_table("paper_ladders").rows:
        if row["target"] != target:
            continue
        depth, scale = _ratio(row, "layers"), _ratio(row, "params")
        acceptance = DepthAcceptance(laws.rejection.alpha(scale, rng), laws.decay)
        cost = AffineCost(laws.cost.slope(depth, scale, rng), overhead=laws.overhead)
        out[text(row, "draft")] = speedup_table(acceptance, cost, GAMMA_MAX)
    return out


def _fitted(study: GridStudy, target: str, method: str, draft: str, gamma: int) -> Interval | None:
    if target != study.target or method != "SpS" or draft not in study.fit.drafts:
        return None
    return interval(1.0 / study.fit.relative_latency(draft, gamma)[:, gamma], LEVEL)


def main_table(study: GridStudy, seed: int = 0) -> tuple[TableRow, ...]:
    """Every row of the paper's main table beside its prediction."""
    rng = np.random.default_rng([seed, 2])
    laws = transfer_laws(study, rng)
    ladders: dict[str, dict[str, Floats]] = {}
    rows = []
    for row in load_table("paper_table").rows:
        target, draft = text(row, "target"), text(row, "draft")
        if target not in ladders:
            ladders[target] = predict_ladder(laws, target, rng)
        ladder = ladders[target]
        names = list(ladder)
        best_of = np.stack([ladder[n].max(axis=1) for n in names])
        centers = [ladder[n].mean(axis=0) for n in names]
        pick = int(np.argmax([c.max() for c in centers]))
        gamma = int(centers[pick].argmax())
        window = np.flatnonzero(centers[pick] >= 0.99 * centers[pick].max())
        k, speedup = int(number(row, "gamma_tokens")), number(row, "speedup")
        there = interval(ladder[draft][:, k], LEVEL)
        rows.append(
            TableRow(
                target=target,
                method=text(row, "method"),
                paper_draft=draft,
                paper_gamma=k,
                paper_speedup=speedup,
                draft=names[pick],
                gamma=gamma,
                gamma_window=(int(window[0]), int(window[-1])),
                speedup=interval(ladder[names[pick]][:, gamma], LEVEL),
                probability_draft=float((best_of.argmax(axis=0) == pick).mean()),
                at_paper_choice=there,
                inside=there.low <= speedup <= there.high,
                fitted=_fitted(study, target, text(row, "method"), draft, k),
            )
        )
    return tuple(rows)


def draw_table(rows: tuple[TableRow, ...], out: Path) -> list[Path]:
    """The paper's main table beside ours: LaTeX, CSV, and a picture of the intervals."""
    name = "main_table"
    numbers = [
        {
            "target": r.target, "method": r.method, "paper_draft": r.paper_draft,
            "paper_gamma": r.paper_gamma, "paper_speedup": r.paper_speedup,
            "fitted_speedup": "" if r.fitted is None else r.fitted.estimate,
            "predicted_draft": r.draft, "predicted_gamma": r.gamma,
            "gamma_low_1_percent": r.gamma_window[0], "gamma_high_1_percent": r.gamma_window[1],
            **ends_of(r.speedup, "predicted_speedup", "predicted"),
            "probability_draft": r.probability_draft,
            **ends_of(r.at_paper_choice, "at_paper_choice", "at_paper_choice"),
            "inside": int(r.inside),
        }
        for r in rows
    ]  # fmt: skip
    cells = [
        [
            r.target, r.method, r.paper_draft, f"{r.paper_gamma}", f"{r.paper_speedup:.2f}",
            "--" if r.fitted is None else f"{r.fitted.estimate:.2f}",
            r.draft, f"{r.gamma}", bracket(r.speedup), bracket(r.at_paper_choice),
        ]
        for r in rows
    ]  # fmt: skip
    heads = [
        "Target", "Method", "Draft", r"$\gamma$", "Speed-up", "Fitted", "Best draft", r"$\gamma$",
        r"Speed-up [90\,\%]", r"At the paper's choice [90\,\%]",
    ]  # fmt: skip
    return [
        write_csv(out, name, numbers),
        write_latex(out, name, heads, cells, align="llllrrllll"),
        *_table_picture(rows, out),
    ]


@styled
def _table_picture(rows: tuple[TableRow, ...], out: Path) -> list[Path]:
    from matplotlib.lines import Line2D

    made, ax = figure(PAGE, 3.1)
    for i, r in enumerate(rows):
        y = len(rows) - 1 - i
        there = r.at_paper_choice
        ax.plot([there.low, there.high], [y, y], color=COLOURS[0], lw=2.5, alpha=0.5)
        ax.plot(there.estimate, y, "|", color=COLOURS[0], ms=9, mew=1.6)
        if r.fitted is not None:
            ax.plot(r.fitted.estimate, y, "D", color=COLOURS[2], ms=4.5, zorder=4)
        ax.plot(r.paper_speedup, y, "o", color=COLOURS[1], ms=4.5, zorder=5)
    named = [f"{r.target}, {r.method}: {r.paper_draft}, $\\gamma$ = {r.paper_gamma}" for r in rows]
    ax.set_yticks(range(len(rows)), named[::-1])
    ax.axvline(1.0, color="0.6", lw=0.6, zorder=0)
    ax.set_xlabel("speed-up at the paper's draft and $\\gamma$")
    handles = [
        Line2D([], [], marker="o", ls="", color=COLOURS[1], label="paper"),
        Line2D([], [], marker="|", ls="", color=COLOURS[0], ms=9, mew=1.6, label="predicted"),
        Line2D([], [], color=COLOURS[0], lw=2.5, alpha=0.5, label="90 % interval"),
        Line2D([], [], marker="D", ls="", color=COLOURS[2], label="fitted to the grid"),
    ]
    made.legend(handles=handles, loc="outside upper center", ncols=4)
    hits = sum(r.inside for r in rows)
    caption = (
        "Speed-ups of the paper's main table (dots) beside what is predicted without any row of "
        f"it (ticks with 90 % intervals); {hits} of {len(rows)} lie inside. SpS: speculative "
        "sampling, AsG: assisted generation, at the paper's own draft and number of draft tokens "
        "γ; acceptance is that of other published pairs, costs follow depth and size as on the "
        "BLOOM grid; the diamond is the one row that is also a point of that grid."
    )
    return save(made, out, "main_table", caption)
