"""The paper's figures, tests and table on a family that somebody else measured.

Two kinds of measurements: a table of speeds or latencies by number of draft tokens, which is fitted
as the paper's grid is, and the records of `howspec calibrate`, from whose costs and acceptance the
latencies of their sweep are predicted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ..calibrate.latency import LatencyPoints
from ..calibrate.library import load_sweeps
from ..calibrate.library.own import OwnCosts, read_campaign
from ..calibrate.measured.ladder import Predicted
from ..calibrate.models import find_model
from ..calibrate.tables.sweep import Sweep
from ..theory.interval import Interval
from .draw import Draw, OwnLadder, Studies, cost_figures, draw, ladder_figures
from .grids import draft_scale, latency_grid, size_study
from .own_ladder import setting
from .study import GridStudy, grid_study
from .style import bracket, latex_text, write_caption, write_csv, write_latex
from .validation.ladder import campaign_test, leave_one_draft_out
from .validation.result import LEVEL, Progress, Test

_SIZE = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)\s*([BMK])(?![a-z])", re.IGNORECASE)
_UNITS = {"B": 1e9, "M": 1e6, "K": 1e3}
_LADDER = 3  # drafts that a law of size needs


@dataclass(frozen=True)
class Row:
    """One draft: best gamma and speed-up as measured, and as fitted or predicted.

    parameters: of the draft, None where they are not known; window: gammas within 1 % of the best.
    """

    draft: str
    parameters: float | None
    measured_gamma: int
    measured_speedup: float
    gamma: int
    window: tuple[int, ...]
    speedup: Interval


@dataclass(frozen=True)
class Family:
    """What a family's measurements say: a row a draft, the tests, and the files drawn.

    given: how the rows were made, ``fitted`` or ``predicted``; best_scale: of the target's
    parameters, None where sizes are not known or too few.
    """

    target: str
    given: str
    rows: tuple[Row, ...]
    tests: tuple[Test, ...]
    best_scale: Interval | None
    notes: tuple[str, ...]
    files: tuple[Path, ...]


def parameters_of(name: str) -> float | None:
    """Parameters of a model by its name: from the table of models, else as the name says them."""
    found = find_model(name)
    if found is not None:
        return float(found.shape.parameters())
    sizes = _SIZE.findall(name)
    return float(sizes[-1][0]) * _UNITS[sizes[-1][1].upper()] if sizes else None


def sweep_family(
    source: str,
    out: Path,
    *,
    target: str | None = None,
    only: Sequence[str] = (),
    tests: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> Family:
    """Fit the sweeps of one target, test the fit on what is left out, draw, and write the table.

    Raises ValueError for a table of several targets, and for one without plain decoding.
    """
    sweeps = load_sweeps(source, target)
    targets = list(dict.fromkeys(s.target for s in sweeps))
    if len(targets) > 1:
        raise ValueError(f"target must be one of {', '.join(targets)} of {source}, got none")
    points = _points(sweeps, source)
    plain = next((s.plain_latency for s in sweeps if s.plain_latency is not None), float("nan"))
    study = grid_study(
        seed, progress, held_out=tests and all(p.gammas.size > 2 for p in points),
        grid=(points, targets[0], float(plain)),
    )  # fmt: skip
    notes = [] if study.held_out or not tests else ["a draft with two points: none is left out"]
    shares = _shares(study)
    named = f"sweep of {Path(source).name}"
    figures: dict[str, Draw] = {
        "latency_grid": lambda to: latency_grid(
            study, to, name="latency_grid", where=named, how=f"Measured: {named}"
        )
    }
    scale = None
    if len(shares) >= _LADDER and len(shares) == len(study.panels):
        if tests or not only or "draft_scale" in only:
            scale = size_study(study, shares, tuple(shares), seed=seed)
            figures["draft_scale"] = partial(draft_scale, scale, name="draft_scale")
    else:
        notes.append(
            f"no figure of draft scale: it needs {_LADDER} drafts or more, and the parameters of "
            f"all and of the target in their names, got them of {len(shares)} of "
            f"{len(study.panels)}"
        )
    rows = tuple(_fitted_row(study, i) for i in range(len(study.panels)))
    figures["main_table"] = partial(
        family_table, rows, caption=f"Best number of draft tokens for {targets[0]}, measured and "
        f"fitted, with the speed-up that another measurement would show. Measured: {named}.",
    )  # fmt: skip
    written = draw(figures, out, only=only, progress=progress)
    best = None if scale is None else scale.turning_point
    return Family(targets[0], "fitted", rows, study.held_out, best, tuple(notes), tuple(written))


def _points(sweeps: Sequence[Sweep], source: str) -> list[LatencyPoints]:
    several = len({s.draft for s in sweeps}) < len(sweeps)
    out = []
    for s in sweeps:
        if s.relative_to:
            raise ValueError(
                f"{source}: needs plain decoding (gamma 0) of {s.target}, or speed-ups over it, "
                f"got latencies relative to gamma {s.relative_to}"
            )
        name = f"{s.draft}, {s.workload}" if several and s.workload else s.draft
        out.append(LatencyPoints(name, s.gamma.astype(np.int64), np.array(s.relative_latency)))
    return out


def _shares(study: GridStudy) -> dict[str, float]:
    """Draft over target parameters, of the drafts whose names say them, none above 1."""
    whole = parameters_of(study.target)
    own = {p.draft: parameters_of(p.draft) for p in study.panels}
    return {d: n / whole for d, n in own.items() if whole and n and n <= whole}


def _fitted_row(study: GridStudy, i: int) -> Row:
    panel = study.panels[i]
    first = int(panel.measured.argmin())
    said = panel.prediction
    return Row(
        panel.draft, parameters_of(panel.draft), int(panel.gammas[first]),
        float(1.0 / panel.measured[first]), said.gamma, tuple(said.gamma_window), said.speedup,
    )  # fmt: skip


def records_family(
    folder: str,
    out: Path,
    *,
    only: Sequence[str] = (),
    tests: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> Family:
    """Predict a sweep from the costs and acceptance beside it, test, draw, and write the table."""
    campaign = read_campaign(folder)
    own = OwnLadder(campaign, seed)
    ladder = own.ladder
    if not ladder.drafts:
        raise ValueError(f"{folder}: the sweep must have speculative decoding, got none")
    chain = [d for d in ladder.drafts if ladder.roles[d] == "ladder"]
    figures = ladder_figures(own, "family")
    notes = []
    if len(chain) < _LADDER:
        del figures["family_scale"]
        notes.append(f"no figure of draft scale: it needs {_LADDER} drafts, got {len(chain)}")
    if not any(ladder.roles[d] == "depth" for d in ladder.drafts):
        del figures["family_depth"]
    costs = OwnCosts("family", "costs", campaign.costs, campaign.family)
    figures |= {
        name: part
        for name, part in cost_figures(costs, Studies(seed)).items()
        if not name.endswith("_paper")
    }
    rows = tuple(_predicted_row(p, ladder.parameters[p.draft]) for p in own.predicted)
    figures["main_table"] = partial(
        family_table, rows, caption=f"Best number of draft tokens for {ladder.target}, measured, "
        "and predicted from costs and acceptance alone: latency of the sweep was not used. "
        f"{setting(ladder)}",
    )  # fmt: skip
    written = draw(figures, out, only=only, progress=progress)
    found: list[Test] = []
    if tests:
        found.append(campaign_test(ladder, own.predicted, seed=seed))
        if len(chain) > _LADDER:
            found += leave_one_draft_out(ladder, own.predicted, seed=seed)
    scale = own.size_study.turning_point if len(chain) >= _LADDER else None
    return Family(
        ladder.target, "predicted", rows, tuple(found), scale, tuple(notes), tuple(written)
    )


def _predicted_row(p: Predicted, parameters: int) -> Row:
    seen = np.concatenate([[0], p.gammas])
    best = int(seen[p.center[seen].argmin()])
    window = tuple(int(g) for g in seen if p.center[g] <= 1.01 * p.center[best])
    low, middle, high = np.quantile(1.0 / p.sample[:, best], [0.05, 0.5, 0.95])
    first = int(np.nanargmin(p.measured))
    return Row(
        p.draft, float(parameters), first, float(1.0 / p.measured[first]), best, window,
        Interval(float(middle), float(low), float(high), LEVEL),
    )  # fmt: skip


def family_table(rows: Sequence[Row], out: Path, *, caption: str) -> list[Path]:
    """The main table as LaTeX and CSV, with its caption."""
    numbers = [
        {
            "draft": r.draft, "parameters": "" if r.parameters is None else r.parameters,
            "measured_gamma": r.measured_gamma, "measured_speedup": r.measured_speedup,
            "gamma": r.gamma, "gamma_low_1_percent": r.window[0],
            "gamma_high_1_percent": r.window[-1], "speedup": r.speedup.estimate,
            "low_90": r.speedup.low, "high_90": r.speedup.high,
        }
        for r in rows
    ]  # fmt: skip
    cells = [
        [
            latex_text(r.draft), f"{r.measured_gamma}", f"{r.measured_speedup:.2f}", f"{r.gamma}",
            f"{r.window[0]}--{r.window[-1]}" if len(r.window) > 1 else f"{r.gamma}",
            bracket(r.speedup),
        ]
        for r in rows
    ]  # fmt: skip
    heads = [
        "Draft", r"Measured $\gamma$", "Speed-up", r"$\gamma$", r"within 1\,\%",
        r"Speed-up [90\,\%]",
    ]  # fmt: skip
    return [
        write_csv(out, "main_table", numbers),
        write_latex(out, "main_table", heads, cells, align="lrrrrr"),
        write_caption(out, "main_table", caption),
    ]
