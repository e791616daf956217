"""All tests of truth: over the bundled measurements, or over a file of held-out rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...calibrate.learned.bundled import closest, library_rows, suspected
from ...calibrate.learned.measured import PLAIN_DECODING, GammaSweep, MeasuredRow, gamma_sweeps
from ...calibrate.learned.stated import usable
from ...calibrate.library.own import OwnCampaign, campaign_names, load_campaign, served_campaigns
from ...calibrate.measured.ladder import predict_ladder
from ...calibrate.serving import Served
from ...calibrate.tables.cells import Cells, read_cells
from . import unmeasured
from .choices import choices_tests
from .combined import chips_test, serving_test, task_test
from .ladder import campaign_test, leave_one_draft_out, second_measurement_test
from .long_rows import is_long, split
from .machines import machines_tests
from .names import names_test, paper_rows_test
from .result import Progress, Test
from .rows import rows_of
from .served import served_test
from .sweeps import leave_one_gamma_out, stated_tests


@dataclass(frozen=True)
class Report:
    """Tests that have points, and what could not be tested, with how often."""

    tests: tuple[Test, ...]
    skipped: tuple[str, ...]


def library_report(*, seed: int = 0, progress: Progress | None = None) -> Report:
    """Every test of truth over what is bundled."""
    rows = suspected(library_rows())
    tests: list[Test] = []
    for name, some in _kinds(rows).items():
        tests += leave_one_gamma_out(
            gamma_sweeps(some, least=3), name=name, seed=seed, progress=progress
        )
    tests += _tasks(gamma_sweeps(_kinds(rows)["serving engines"], least=3), seed)
    tests.append(chips_test())
    tests += stated_tests(rows)
    tests.append(serving_test(rows))
    tests.append(names_test(rows, seed=seed)[0])
    tests += machines_tests(seed=seed)
    tests += choices_tests(seed=seed)
    tests += unmeasured.families_test(seed=seed)
    tests += [unmeasured.heads_test(seed=seed), unmeasured.look_up_test(seed=seed)]
    tests += [unmeasured.measured_test(seed=seed), unmeasured.depth_test(seed=seed)]
    tests.append(paper_rows_test(seed=seed))
    for name in campaign_names():
        tests += campaign_tests(load_campaign(name), seed=seed)
    tests += [served_test(Served((c.record,)), seed=seed) for c in served_campaigns()]
    return Report(tuple(t for t in tests if t.points), _objections(rows))


def _kinds(rows: Sequence[MeasuredRow]) -> dict[str, list[MeasuredRow]]:
    """The bundled rows by where their sweeps were run."""
    kinds: dict[str, list[MeasuredRow]] = {
        "serving engines": [], "threads and papers": [], "chips": [], "a laptop": [],
    }  # fmt: skip
    for r in rows:
        if r.engine == "SGLang" and r.method == "chain":
            kinds["serving engines"].append(r)
        elif "mlx_lm" in r.engine:
            kinds["a laptop"].append(r)
        else:
            kinds["chips" if "MLX" in r.engine else "threads and papers"].append(r)
    return kinds


def file_report(path: str | Path, *, seed: int = 0, progress: Progress | None = None) -> Report:
    """The tests that a file of rows allows: speed-ups in the form of `rows.ROWS`, or acceptance.

    Sweeps over gamma are predicted with one gamma left out; rows that state acceptance, gamma and
    cost ratio from these, and those whose models and machine are known from the names; rows of
    acceptance (columns ``metric`` and ``value``) from the prior.
    Raises ValueError for a file that is neither.
    """
    cells = read_cells(path)
    if not is_long(cells):
        return _speedups(cells, seed, progress)
    acceptance, speeds, told = split(cells)
    tests, skipped = unmeasured.rows_test(acceptance.rows, seed=seed)
    more = Report((), ())
    if any({"speedup", "tokens_per_s_spec"} & row.keys() for row in speeds.rows):
        more = _speedups(speeds, seed, progress)
    found = (*tests, *_stated(acceptance), *more.tests)
    return Report(found, (*cells.dropped, *told, *skipped, *more.skipped))


def _speedups(cells: Cells, seed: int, progress: Progress | None) -> Report:
    """The tests of rows that state speed-ups, or speeds with those of plain decoding."""
    read = rows_of(cells)
    rows = suspected(read.rows)
    sweeps = gamma_sweeps(rows, least=3)
    twos = [s for s in gamma_sweeps(rows, least=2) if len(s.rows) == 2]
    pairs = [s for s in twos if s.tau is not None]  # one speed-up alone determines no law
    sisters = gamma_sweeps(library_rows(), least=3)
    found: list[Test] = []
    for name, some in (("sweeps", sweeps), ("pairs of gammas", pairs)):
        if some:
            found += leave_one_gamma_out(
                some, sisters=sisters, name=name, seed=seed, progress=progress
            )
    found += _tasks(sweeps, seed)
    found += stated_tests(rows)
    by_name, named = names_test(rows, seed=seed)
    found.append(by_name)
    used = {r for s in (*sweeps, *pairs) for r in s.rows} | {r for r in rows if usable(r)} | named
    unused = (*read.remarks, *_objections(rows), *_unused(rows, used))
    return Report(tuple(t for t in found if t.points), unused)


def campaign_tests(ladder: OwnCampaign, *, seed: int = 0) -> list[Test]:
    """The tests of one ladder: its sweep from its costs and rounds, and one draft left out."""
    predicted = predict_ladder(ladder, seed=seed)
    return [
        campaign_test(ladder, predicted, seed=seed),
        second_measurement_test(ladder, seed=seed),
        *leave_one_draft_out(ladder, predicted, seed=seed),
    ]


def _tasks(sweeps: Sequence[GammaSweep], seed: int) -> list[Test]:
    """A task left out, its tokens per round known at every gamma, and at the smallest only."""
    name = "one task left out: speed-up"
    return [
        task_test(sweeps, name=name, everywhere=True, seed=seed),
        task_test(sweeps, name=f"{name}, tokens at one gamma", everywhere=False, seed=seed),
    ]


def _stated(cells: Cells) -> list[Test]:
    """The rows of acceptance that state a speed-up, gamma and cost ratio as well."""
    if not {"speedup", "target"} <= set(cells.names):
        return []
    return [t for t in stated_tests(closest(rows_of(cells).rows)) if t.points]


def _objections(rows: Sequence[MeasuredRow]) -> tuple[str, ...]:
    counted = Counter(f"{r.target}: {r.objection}" for r in rows if r.objection)
    return tuple(f"{n} rows of {what}" for what, n in counted.items())


def _unused(rows: Sequence[MeasuredRow], used: set[MeasuredRow]) -> tuple[str, ...]:
    counted = Counter(_why(r) for r in rows if r not in used and not r.objection)
    return tuple(f"{n} rows: {what}" for what, n in counted.items())


def _why(row: MeasuredRow) -> str:
    """Why a row without objection takes part in no test."""
    if row.method == PLAIN_DECODING:
        return "plain decoding, which others are measured against"
    if not math.isfinite(row.speedup):
        return "no speed-up stated"
    if not row.gamma:
        return "the draft is no chain of a stated length"
    return "too few gammas, without acceptance and cost ratio"
