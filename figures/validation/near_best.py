"""Measured sweeps over gamma asked by names alone, and how often the choice came near the best.

A sweep is one pair on one machine under one load, measured at several gammas, with plain decoding
where it was measured beside them. Each is asked as `howspec predict --target --draft --device`
is, its study left out of the priors, and the choice is among the gammas that were measured.

    python -m howspec.figures.validation.near_best

asks every one, and writes what answers from names say of themselves; to be run when priors or
sweeps change. It takes some seconds.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from ...calibrate.doors import Deployment
from ...calibrate.learned.near_best import FILE, correlation, to_text
from ...calibrate.learned.stated import weights_format
from ...calibrate.library.evidence import Measurement, measurements
from ...calibrate.library.load import load_table, study_of
from ...calibrate.prior.acceptance_cells import canonical_task
from ...calibrate.tables.schema import number, text
from ...sim.choice import DEFAULT_OBJECTIVE, OBJECTIVES, TOLERANCE, Choice, Objective, choose
from ...sim.known import GAMMA_MAX, Laws
from ...sim.laws import both_laws
from ...sim.pair import near_best_of
from ...sim.prediction import speedup_table
from .names import reason

DEVICE = "A100 80GB"  # of the paper, which names none
# What is measured of a speed, the best first, and whether more of it is faster.
METRICS = {
    "speedup_decode": True, "speedup_request": True, "speedup_run": True, "tpot_ms": False,
    "throughput_decode": True, "throughput_user": True, "throughput_run": True,
}  # fmt: skip
# Raw logs of one host: which machine it was is told by the traces beside them.
_ACCEPTED = ("", "hardware inferred from traces of the same hosts")


@dataclass(frozen=True)
class MeasuredSweep:
    """Speeds of one pair by gamma, in one unit of its own; 0 is plain decoding.

    at: what to ask, its study unseen; study: who measured.
    """

    at: Deployment
    study: str
    label: str
    speeds: dict[int, float]

    @property
    def gammas(self) -> tuple[int, ...]:
        """Gammas that were measured, rising; 0 for plain decoding."""
        return tuple(sorted(self.speeds))

    def regret(self, gamma: int) -> float:
        """Share of the fastest measured speed that a measured gamma gives up, in [0, 1)."""
        return 1.0 - self.speeds[gamma] / max(self.speeds.values())


def measured_sweeps(*, least: int = 3) -> tuple[MeasuredSweep, ...]:
    """The bundled sweeps with ``least`` gammas or more, plain decoding counted, each once."""
    found = [*_of_evidence(measurements()), *_of_paper()]
    return tuple(s for s in found if len(s.gammas) >= least and max(s.gammas) > 0)


def _of_evidence(rows: Iterable[Measurement]) -> Iterator[MeasuredSweep]:
    groups: dict[tuple[object, ...], list[Measurement]] = defaultdict(list)
    plain: dict[tuple[object, ...], list[Measurement]] = defaultdict(list)
    for row in rows:
        if row.metric in METRICS and row.objection in _ACCEPTED and row.value > 0.0:
            if not row.draft and not row.drafter:
                plain[_work(row)].append(row)
            elif row.gamma and row.drafting not in ("tree", "adaptive"):
                groups[(*_work(row)[:-1], row.draft, row.drafter, row.draft_format)].append(row)
    for rows_of in groups.values():
        by_metric = [[r for r in rows_of if r.metric == m] for m in METRICS]
        mine = max(by_metric, key=lambda some: len({r.gamma for r in some}))  # the first of equals
        yield _sweep(mine, plain.get(_work(mine[0]), []))


def _work(row: Measurement) -> tuple[object, ...]:
    """What two speeds must share to be compared."""
    return (
        study_of(row.citation), row.target, row.target_format, row.kv_format, row.engine,
        row.execution, row.hardware, row.task, row.batch, row.context, row.temperature, row.metric,
    )  # fmt: skip


def _sweep(rows: list[Measurement], plain: list[Measurement]) -> MeasuredSweep:
    """Rows of one metric: their mean at each gamma, with plain decoding where it is known."""
    first = rows[0]
    by_gamma: dict[int, list[float]] = defaultdict(list)
    rising = METRICS[first.metric]
    for row in rows:
        by_gamma[row.gamma or 0].append(row.value if rising else 1.0 / row.value)
    if first.metric.startswith("speedup"):
        by_gamma[0] = [1.0]
    elif base := [r.value for r in plain] or [r.plain for r in rows if r.plain]:
        by_gamma[0] = [v if rising else 1.0 / v for v in base]
    machine = first.hardware
    if first.device:
        machine = first.device if first.devices in (None, 1) else f"{first.devices}x {first.device}"
    study = study_of(first.citation)
    at = Deployment(
        first.target, first.draft or first.drafter, machine, weights_format(first.target_format),
        weights_format(first.draft_format), first.cost_stack or None,
        first.batch or 1.0, first.context,
        canonical_task(first.task), first.temperature, unseen=study,
    )  # fmt: skip
    label = f"{first.target} + {first.draft or first.drafter}, {machine}, {first.task}"
    if first.batch:
        label += f", batch {first.batch:g}"
    return MeasuredSweep(at, study, label, {g: float(np.mean(v)) for g, v in by_gamma.items()})


def _of_paper() -> Iterator[MeasuredSweep]:
    """The paper's grid of latencies: drafts of one target, on a machine that it does not name."""
    drafts: dict[str, dict[int, float]] = defaultdict(dict)
    source = ""
    for row in load_table("paper_bloom_grid").rows:
        source = text(row, "source")
        drafts[text(row, "draft")][int(number(row, "gamma_tokens"))] = 1.0 / number(row, "latency")
    for draft, speeds in drafts.items():
        at = Deployment("BLOOM-7.1B", draft, DEVICE, unseen=study_of(source))
        yield MeasuredSweep(at, study_of(source), f"BLOOM-7.1B + {draft}", speeds)


@dataclass(frozen=True)
class Asked:
    """A sweep with the choices that each objective makes among its gammas, by the names alone.

    laws: that the choices rest on.
    """

    sweep: MeasuredSweep
    choices: dict[Objective, Choice]
    laws: Laws

    def gamma(self, objective: Objective) -> int:
        """The measured gamma that is chosen."""
        return self.sweep.gammas[self.choices[objective].gamma]

    def regret(self, objective: Objective) -> float:
        """Share of the time that the fastest measured gamma would have saved."""
        return self.sweep.regret(self.gamma(objective))

    def within(self, objective: Objective) -> float:
        """How often such a choice gives up no more than 5 %, as the answer says."""
        known = near_best_of(self.laws, objective)
        return self.choices[objective].within if known is None else known.rate


def asked(sweep: MeasuredSweep, *, seed: int = 0) -> Asked:
    """The choices for a sweep. Raises ValueError where the tables lack a name."""
    at, top = sweep.at, max(*sweep.gammas, GAMMA_MAX)
    laws = both_laws(at, gamma_max=top, seed=seed)
    law = laws.costs.law
    table = speedup_table(laws.acceptance.law, law, top, batch=at.batch, context=at.cached)
    known = np.ascontiguousarray(table.reshape(-1, top + 1)[:, list(sweep.gammas)])
    plain = law.round_time(0, batch=at.batch, context=at.cached)[..., 0]
    return Asked(sweep, {o: choose(known, objective=o, plain=plain) for o in OBJECTIVES}, laws)


def asked_sweeps(*, seed: int = 0) -> tuple[list[Asked], Counter[str]]:
    """The sweeps of three gammas or more that the tables know, and why others were not asked."""
    found: list[Asked] = []
    skipped: Counter[str] = Counter()
    for sweep in measured_sweeps(least=3):
        try:
            found.append(asked(sweep, seed=seed))
        except ValueError as error:
            skipped[reason(str(error))] += 1
    return found, skipped


def counted(found: Sequence[Asked]) -> dict[Objective, dict[str, tuple[int, int]]]:
    """(choices near the best, sweeps) by objective and study."""
    counts: dict[Objective, dict[str, tuple[int, int]]] = {o: {} for o in OBJECTIVES}
    for objective, own in counts.items():
        near: dict[str, list[bool]] = defaultdict(list)
        for a in found:
            near[a.sweep.study].append(a.regret(objective) <= TOLERANCE)
        own.update({study: (sum(v), len(v)) for study, v in near.items()})
    return counts


if __name__ == "__main__":
    counts = counted(asked_sweeps()[0])
    folder = Path(str(resources.files("howspec.calibrate.learned")))
    written = to_text(counts, correlation(counts[DEFAULT_OBJECTIVE]))
    (folder / FILE).write_text(written, encoding="utf-8")
