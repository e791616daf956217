"""The page of the two turning points, in one file: formulas, curves, what was measured beside."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources

import numpy as np

from ..calibrate.ladder import fit_ladder
from ..calibrate.latency import LatencyPoints
from ..calibrate.library.load import load_table
from ..calibrate.library.own import campaign_names, load_campaign
from ..calibrate.library.sweeps import load_sweeps, sweep_names
from ..calibrate.measured.ladder import predict_ladder
from ..calibrate.models import find_model
from ..calibrate.sweeps import fit_sweeps
from ..calibrate.tables.schema import number, text
from ..calibrate.tables.sweep import Sweep
from ..sim.nearest import NAMES, Nearest
from ..theory.catalogue import find, page_script

PAPER = "paper_bloom_grid"
_DIGITS = 6  # of a number that begins the page: as many as its command line states
_OF_PAGE = dict(zip(NAMES, ("alpha", "decay", "cost", "verify", "overhead"), strict=True))
# Where a question says nothing of sizes: a target of 70 B, and the draft of the formula sheet.
_TARGET = 70e9
_BITS_SHARE = 0.1  # of the rejection, what rounding to 4 bits adds; an assumption the page states


@dataclass(frozen=True)
class Beside:
    """A measured sweep, as the page shows it.

    speedup: at each gamma; sizes: parameters of target and draft, None where not known; fit: the
    five numbers fitted to it, with exponent, floor and fixed where the ladder of its target was
    fitted, None where nothing was.
    """

    source: str
    target: str
    draft: str
    workload: str
    gamma: tuple[int, ...]
    speedup: tuple[float, ...]
    citation: str = ""
    sizes: tuple[float, float] | None = None
    fit: Mapping[str, float] | None = None


def digits(value: float) -> float:
    """The number to so many digits as a command line states."""
    return float(f"{value:.{_DIGITS}g}")


def page(
    middle: Mapping[str, float],
    *,
    gamma_max: int,
    sizes: tuple[float, float] | None = None,
    draws: Nearest | None = None,
    level: float = 0.9,
    measured: Sequence[Beside] = (),
    shown: int | None = None,
    about: Sequence[tuple[str, Sequence[str]]] = (),
) -> str:
    """The page. middle: the numbers that it begins with, as in `Beside.fit`.

    gamma_max: largest gamma it begins with; sizes: parameters of target and draft; draws: a
    posterior, whose bands are of ``level``; measured: what may be shown beside; shown: which is;
    about: headings and lines below.
    """
    target, draft = sizes or (_TARGET, find("cost_at_bits").worked["scale"] * _TARGET)
    worked = find("acceptance_at_bits").worked
    start = {
        "exponent": worked["rejection_exponent"], "floor": 0.2, "fixed": 0.3,
        **{_OF_PAGE.get(n, n): digits(v) for n, v in middle.items()},
        "target": target, "draft": draft, "bits": 16, "top": gamma_max,
        "measured": "" if shown is None else f"{shown}",
    }  # fmt: skip
    data = {
        "start": start, "level": level, "targetBits": 16,
        "bitsExponent": worked["bits_exponent"], "bitsShare": _BITS_SHARE,
        "draws": None if draws is None else _posterior(draws),
        "measured": [_entry(i, m) for i, m in enumerate(measured)], "about": about,
    }  # fmt: skip
    held = json.dumps(data, allow_nan=False, separators=(",", ":"))
    # Nothing in a name ends the element that holds it, or begins another.
    held = held.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    made = _part("explorer.html")
    for name in ("page.css", "explorer.css", "explorer.js"):
        made = made.replace(f"/*{name}*/", _part(name))
    library = f"/*! d3 7.9.0, {_part('d3.LICENSE').strip()} */\n{_part('d3.min.js')}"
    made = made.replace("/*formulas*/", page_script()).replace("/*d3.min.js*/", library)
    return made.replace("/*data*/", held)


def _part(name: str) -> str:
    return resources.files(__package__).joinpath("page", name).read_text(encoding="utf-8")


def _posterior(draws: Nearest) -> Mapping[str, object]:
    assert draws.draws is not None
    values = {_OF_PAGE[n]: [digits(v) for v in draws.draws[n].tolist()] for n in NAMES}
    # Odds of 0 and 1 have no distance to others.
    values["alpha"] = [min(max(v, 1e-6), 1.0 - 1e-6) for v in values["alpha"]]
    rows = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    return {"middle": {_OF_PAGE[n]: digits(draws.around[n]) for n in NAMES}, "sample": rows}


def _entry(index: int, m: Beside) -> Mapping[str, object]:
    more: dict[str, object] = {}
    if m.sizes is not None:
        target, draft = m.sizes
        more = {"targetSize": target, "draftSize": draft, "scale": draft / target}
    if m.fit is not None:
        more["fit"] = {_OF_PAGE.get(n, n): digits(v) for n, v in m.fit.items()}
    return {
        "id": f"{index}", "source": m.source, "target": m.target, "draft": m.draft,
        "workload": m.workload, "gamma": m.gamma,
        "speedup": [digits(v) for v in m.speedup], "citation": m.citation, **more,
    }  # fmt: skip


def beside(own: str | None = None, *, seed: int = 0) -> tuple[Beside, ...]:
    """What was measured: the user's own file first, the paper's grid, the bundled sweeps.

    own: a table of `load_sweeps`. Raises ValueError where it is none.
    """
    found: list[Beside] = []
    if own is not None:
        found += _fitted(load_sweeps(own), "your own", seed)
    found += _fitted(load_sweeps(PAPER), "the paper", seed)
    for name in sweep_names():
        if name not in (PAPER, own):
            found += [_beside(s, name) for s in load_sweeps(name)]
    return (*found, *(b for name in campaign_names() for b in _campaign(name, seed)))


def _fitted(sweeps: Sequence[Sweep], source: str, seed: int) -> list[Beside]:
    fits = fit_sweeps(sweeps, np.random.default_rng(seed), draws=64, size="coarse")
    found = [
        _beside(f.sweep, source, {
            "alpha": float(np.median(np.asarray(f.acceptance.alpha))),
            "decay": float(np.median(np.asarray(f.acceptance.decay))),
            "cost_ratio": float(np.median(np.asarray(f.cost.cost_ratio))),
            "verify_slope": float(np.median(np.asarray(f.cost.verify_slope))),
            "overhead": float(np.median(np.asarray(f.cost.overhead))),
        })
        for f in fits
    ]  # fmt: skip
    released = {text(r, "draft") for r in load_table("paper_ladders").rows}
    of_ladder = [b for b in found if b.sizes and (source != "the paper" or b.draft in released)]
    if len(of_ladder) < 3 or len({(b.target, b.workload) for b in of_ladder}) > 1:
        return found
    laws = dict(zip(map(id, of_ladder), _ladder(of_ladder, seed), strict=True))
    return [replace(b, fit=laws.get(id(b), b.fit)) for b in found]


def _ladder(some: Sequence[Beside], seed: int) -> list[Mapping[str, float]]:
    """The numbers of each draft by one law through all of them, with those of the ladder."""
    scales = np.array([b.sizes[1] / b.sizes[0] for b in some if b.sizes])
    points = [LatencyPoints(b.draft, np.array(b.gamma), 1.0 / np.array(b.speedup)) for b in some]
    law = fit_ladder(points, scales, np.random.default_rng(seed), draws=1)
    acceptance, cost = law.laws(scales)
    alphas, costs = np.asarray(acceptance.alpha)[0], np.asarray(cost.cost_ratio)[0]
    return [
        {"alpha": a, "decay": float(law.decay[0]), "cost_ratio": c, "verify_slope": 0.0,
         "overhead": float(law.overhead[0]), "exponent": float(law.exponent[0]), "floor": 0.0,
         "fixed": float(law.cost_floor[0]) / c}
        for a, c in zip(alphas.tolist(), costs.tolist(), strict=True)
    ]  # fmt: skip


def _beside(s: Sweep, source: str, fit: Mapping[str, float] | None = None) -> Beside:
    citation = s.source
    if s.relative_to:
        citation = f"{citation} Speed-ups are over K {s.relative_to}: no plain decoding.".strip()
    return Beside(
        source, s.target, s.draft, s.workload, tuple(int(g) for g in s.gamma),
        tuple(float(v) for v in s.speedup), citation, _sizes(s.target, s.draft), fit,
    )  # fmt: skip


def _sizes(target: str, draft: str) -> tuple[float, float] | None:
    """Parameters of both models, where the paper's table or that of models knows them."""
    for row in load_table(PAPER).rows:
        if (text(row, "target"), text(row, "draft")) == (target, draft):
            return number(row, "target_params"), number(row, "draft_params")
    models = find_model(target), find_model(draft)
    if models[0] is None or models[1] is None:
        return None
    return float(models[0].published_parameters), float(models[1].published_parameters)


def _campaign(name: str, seed: int) -> list[Beside]:
    """The sweep of a bundled ladder, each draft where its latency was measured."""
    ladder = load_campaign(name)
    found = []
    for p in predict_ladder(ladder, seed=seed):
        at = np.flatnonzero(np.isfinite(p.measured) & (np.arange(p.measured.size) > 0))
        sizes = (float(ladder.parameters[ladder.target]), float(ladder.parameters[p.draft]))
        found.append(Beside(
            f"own ladder {name}", ladder.target, p.draft, "", tuple(int(g) for g in at),
            tuple(float(v) for v in 1.0 / p.measured[at]), "measured here on two CPU cores", sizes,
        ))  # fmt: skip
    return found
