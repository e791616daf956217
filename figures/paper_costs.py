"""The paper's main table with costs that were timed: c, V(n), draws and the rejection rule.

The costs are those of the paper's own architectures, timed with random weights on the machine of
the record, which is not the paper's; the acceptance is the one that `transfer` carries over from
other published pairs. Beside the prediction stands the acceptance per token that the published
speed-up needs at these costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..calibrate.library.load import load_table
from ..calibrate.measured import MeasuredCost, measured_cost
from ..calibrate.records import Record
from ..calibrate.tables.schema import Row, number, text
from ..sim.prediction import speedup_table
from ..theory import DepthAcceptance
from ..theory.interval import Interval, interval
from .roofline_record import MODES
from .study import GridStudy
from .style import COLOURS, PAGE, bracket, ends_of, figure, save, styled, write_csv, write_latex
from .transfer import GAMMA_MAX, TransferLaws, transfer_laws
from .validation.result import LEVEL

TEMPERATURES = {"SpS": 1.0, "AsG": 0.0}  # assisted generation is greedy unless told otherwise


@dataclass(frozen=True)
class PaperCostRow:
    """One row of the main table at measured costs.

    cost_ratio: draft over target, one token at batch 1; verify_ratio: V(K + 1) / V(1) of the
    target; speedup: predicted at the paper's draft and K; best_gamma: of that draft; needed_alpha:
    acceptance of every token, alike and independent, with which the published speed-up would
    follow, None where no acceptance is enough.
    """

    target: str
    method: str
    draft: str
    gamma: int
    published: float
    mode: str
    context: int
    cost_ratio: float
    verify_ratio: float
    speedup: Interval
    best_gamma: int
    needed_alpha: float | None

    @property
    def inside(self) -> bool:
        """Whether the published speed-up is in the predicted interval."""
        return self.speedup.low <= self.published <= self.speedup.high


def has_paper_pairs(record: Record) -> bool:
    """Whether a cost record has a target and a draft of some row of the main table."""
    timed = {p["model"] for p in record.points if p["operation"] == "pass" and p.get("times_s")}
    return any({r["target"], r["draft"]} <= timed for r in load_table("paper_table").rows)


def paper_cost_rows(
    record: Record, laws: TransferLaws, *, seed: int = 0
) -> tuple[PaperCostRow, ...]:
    """The rows whose target and draft a cost record has, in every mode; () where it has none."""
    rng = np.random.default_rng([seed, 97])
    ladders = {(r["target"], r["draft"]): r for r in load_table("paper_ladders").rows}
    out = []
    for row in load_table("paper_table").rows:
        pair = ladders[row["target"], row["draft"]]
        ratio = number(pair, "draft_params") / number(pair, "target_params")
        acceptance = DepthAcceptance(laws.rejection.alpha(ratio, rng), laws.decay)
        for mode in MODES:
            place = _context(record, text(row, "target"), text(row, "draft"), mode)
            if place is not None:
                out.append(_row(record, row, acceptance, mode, place))
    return tuple(out)


def paper_rows(record: Record, study: GridStudy, *, seed: int = 0) -> tuple[PaperCostRow, ...]:
    """The paper's main table at the costs of a record; () where it has none of its pairs."""
    if not has_paper_pairs(record):
        return ()
    laws = transfer_laws(study, np.random.default_rng([seed, 101]))
    return paper_cost_rows(record, laws, seed=seed)


def _context(record: Record, target: str, draft: str, mode: str) -> int | None:
    """The shortest context of batch 1 at which both were timed with one token and with two."""
    found: dict[str, dict[int, set[int]]] = {target: {}, draft: {}}
    for p in record.points:
        own = p["operation"] == "pass" and p["model"] in found and p.get("times_s")
        if own and p["mode"] == mode and p["batch"] == 1:
            found[p["model"]].setdefault(p["context"], set()).add(p["tokens"])
    known = [
        c for c, tokens in found[target].items() if {1, 2} <= tokens & found[draft].get(c, set())
    ]
    return min(known) if known else None


def _row(
    record: Record, row: Row, acceptance: DepthAcceptance, mode: str, context: int
) -> PaperCostRow:
    target, draft, method = (text(row, c) for c in ("target", "draft", "method"))
    gamma, published = int(number(row, "gamma_tokens")), number(row, "speedup")
    whole = acceptance.survival(GAMMA_MAX).mean(axis=0)
    cost = measured_cost(
        record, target, draft, whole=whole, temperature=TEMPERATURES[method], mode=mode
    )
    table = speedup_table(acceptance, cost, GAMMA_MAX, context=context)
    target_s = cost.target.step_time(np.array([1.0, gamma + 1.0]), batch=1, context=context)
    draft_s = cost.draft.step_time(np.ones(1), batch=1, context=context)
    return PaperCostRow(
        target=target,
        method=method,
        draft=draft,
        gamma=gamma,
        published=published,
        mode=mode,
        context=context,
        cost_ratio=float(draft_s[0] / target_s[0]),
        verify_ratio=float(target_s[1] / target_s[0]),
        speedup=interval(table[:, gamma], LEVEL),
        best_gamma=int(table.mean(axis=0).argmax()),
        needed_alpha=needed_alpha(cost, published, gamma=gamma, context=context),
    )


def needed_alpha(cost: MeasuredCost, speedup: float, *, gamma: int, context: float) -> float | None:
    """The alpha, one for all tokens, at which these costs give a speed-up.

    0 where they give it even if nothing is accepted, None where all accepted is not enough.
    """

    def at(alpha: float) -> float:
        law = DepthAcceptance(np.array([alpha]))
        return float(speedup_table(law, cost, gamma, context=context)[0, gamma])

    if at(1.0) < speedup:
        return None
    if at(0.0) >= speedup:
        return 0.0
    from scipy.optimize import brentq

    return float(brentq(lambda alpha: at(alpha) - speedup, 0.0, 1.0, xtol=1e-15))


@styled
def paper_cost_table(rows: tuple[PaperCostRow, ...], out: Path, *, name: str) -> list[Path]:
    """The table as CSV and LaTeX, and a picture of it; nothing where there are no rows."""
    if not rows:
        return []
    numbers = [
        {
            "target": r.target, "method": r.method, "draft": r.draft, "gamma": r.gamma,
            "published_speedup": r.published, "mode": r.mode, "context": r.context,
            "cost_ratio": r.cost_ratio, "verify_ratio": r.verify_ratio,
            **ends_of(r.speedup, "predicted_speedup", "predicted"), "inside": int(r.inside),
            "best_gamma": r.best_gamma,
            "needed_alpha": "" if r.needed_alpha is None else r.needed_alpha,
        }
        for r in rows
    ]  # fmt: skip
    heads = [
        "Target", "Method", "Draft", r"$\gamma$", "Mode", "$c$", r"$V(\gamma+1)/V(1)$",
        "Published", r"Predicted [90\,\%]", r"Needed $\alpha$",
    ]  # fmt: skip
    cells = [
        [
            r.target, r.method, r.draft, f"{r.gamma}", r.mode, f"{r.cost_ratio:.3f}",
            f"{r.verify_ratio:.2f}", f"{r.published:.2f}", bracket(r.speedup),
            "--" if r.needed_alpha is None else f"{r.needed_alpha:.2f}",
        ]
        for r in rows
    ]  # fmt: skip
    stem = f"{name}_paper"
    return [
        write_csv(out, stem, numbers),
        write_latex(out, stem, heads, cells, align="lllrlrrrlr"),
        *_picture(rows, out, stem),
    ]


def _picture(rows: tuple[PaperCostRow, ...], out: Path, stem: str) -> list[Path]:
    from matplotlib.lines import Line2D

    names = list(dict.fromkeys((r.target, r.method, r.draft, r.gamma) for r in rows))
    modes = [m for m in MODES if any(r.mode == m for r in rows)]
    made, ax = figure(PAGE, 0.3 * len(names) + 0.8)
    colours = {"eager": COLOURS[1], "graph": COLOURS[0]}
    for r in rows:
        step = modes.index(r.mode) - 0.5 * (len(modes) - 1)
        y = len(names) - 1 - names.index((r.target, r.method, r.draft, r.gamma)) - 0.3 * step
        ax.plot([r.speedup.low, r.speedup.high], [y, y], color=colours[r.mode], lw=2.5, alpha=0.5)
        ax.plot(r.speedup.estimate, y, "|", color=colours[r.mode], ms=7, mew=1.6)
    for i, key in enumerate(names):
        published = next(r.published for r in rows if key == (r.target, r.method, r.draft, r.gamma))
        ax.plot(published, len(names) - 1 - i, "o", color="black", ms=4, zorder=5)
    labels = [f"{t}, {m}: {d}, $\\gamma$ = {k}" for t, m, d, k in reversed(names)]
    ax.set_yticks(range(len(names)), labels)
    ax.set_ylim(-0.6, len(names) - 0.4)
    ax.axvline(1.0, color="0.6", lw=0.6, zorder=0)
    ax.set_xlabel("speed-up at the paper's draft and $\\gamma$")
    handles = [Line2D([], [], marker="o", ls="", color="black", label="published")]
    handles += [
        Line2D([], [], color=colours[m], lw=2.5, alpha=0.5, label=f"costs timed, {m}, 90 %")
        for m in modes
    ]
    made.legend(handles=handles, loc="outside upper center", ncols=3)
    caption = (
        "Published speed-ups (dots) beside what the costs that were timed predict of them, with "
        "90 % intervals. The paper's architectures with random weights, timed on the machine of "
        "the record, which is not the paper's; acceptance is that of other published pairs."
    )
    return save(made, out, stem, caption)
