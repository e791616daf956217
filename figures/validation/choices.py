"""Which objective chooses best: the gamma of every measured sweep, asked by the names alone.

A sweep is one pair on one machine under one load, measured at several gammas, with plain decoding
where it was measured beside them. Each is asked as `howspec predict --target --draft --device`
is, its study left out of the priors, and the choice is among the gammas that were measured; the
regret is the share of the time that the fastest of them would save. Sweeps of one study are alike,
so one objective is compared with another by resampling studies.

A reliability curve says whether "within 5 % of the best with probability p" comes true with it.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from ...calibrate.doors import Deployment
from ...calibrate.learned.stated import weights_format
from ...calibrate.library.evidence import Measurement, measurements
from ...calibrate.library.load import load_table, study_of
from ...calibrate.prior.acceptance_tasks import canonical_task
from ...calibrate.tables.schema import number, text
from ...sim.choice import DEFAULT_OBJECTIVE, OBJECTIVES, TOLERANCE, Choice, Objective, choose
from ...sim.known import GAMMA_MAX, Laws, both_laws
from ...sim.pair import near_best_of
from ...sim.prediction import speedup_table
from ...theory.domain import Floats
from .names import reason
from .result import Point, Test

DEVICE = "A100 80GB"  # of the paper, which names none
COMPARED: tuple[Objective, ...] = ("safe", "latency", "throughput", "regret")
# What is measured of a speed, the best first, and whether more of it is faster.
METRICS = {
    "speedup_decode": True, "speedup_request": True, "speedup_run": True, "tpot_ms": False,
    "throughput_decode": True, "throughput_user": True, "throughput_run": True,
}  # fmt: skip
_STACKS = {"native": "llama.cpp"}
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
        weights_format(first.draft_format), _STACKS.get(first.stack, first.stack or None),
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


def choices_tests(*, seed: int = 0) -> tuple[Test, ...]:
    """One test an objective: what its gammas lose, beside what it says they lose on average.

    Sweeps of three gammas or more, plain decoding among them, and two or more beside it. The notes
    of the default have the regret by study, how surely it beats the others, and what is chosen for
    the paper's five pairs.
    """
    found, skipped = asked_sweeps(seed=seed)
    tests = [_test(found, objective) for objective in COMPARED]
    more = (*_by_study(found), *_compared(found, seed), *_paper(seed),
            *(f"{n} sweeps not asked: {why}" for why, n in skipped.items()))  # fmt: skip
    at = COMPARED.index(DEFAULT_OBJECTIVE)
    tests[at] = replace(tests[at], notes=(*tests[at].notes, *more))
    return tuple(tests)


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


def _test(found: Sequence[Asked], objective: Objective) -> Test:
    points = tuple(
        Point(f"{a.sweep.label}, gamma {a.gamma(objective)}", a.regret(objective),
              a.choices[objective].regret, math.nan, math.nan)
        for a in found
    )  # fmt: skip
    lost = tuple(p.observed for p in points)
    near = np.array(lost) <= TOLERANCE
    said = np.array([a.within(objective) for a in found])
    drawn = np.array([a.choices[objective].within for a in found])
    usual = " (the default)" if objective == DEFAULT_OBJECTIVE else ""
    return Test(
        f"time lost by the gamma of a named pair, {objective}{usual}",
        "names, engine, batch and task of the sweep; the call of `predict`, its study unseen",
        "absolute",
        points,
        regret=lost,
        notes=(
            f"{len(lost)} sweeps of {len(_studies(found))} studies: regret {_share(lost)} in the "
            f"mean, {_share(_means(found, objective))} in the mean over studies; within 5 % of the "
            f"best in {near.mean():.2f} of them, {said.mean():.2f} expected",
            f"squared error of that probability {((said - near) ** 2).mean():.3f}; of the shares "
            f"of draws, {drawn.mean():.2f} in the mean, {((drawn - near) ** 2).mean():.3f}; of a "
            f"rate that knew the outcome {near.var():.3f}",
            *reliability(said, near, [a.sweep.study for a in found]),
        ),
    )


def _share(values: Sequence[float] | Floats) -> str:
    return f"{100 * float(np.mean(values)):.1f} %"


def _studies(found: Sequence[Asked]) -> list[str]:
    return sorted({a.sweep.study for a in found})


def _means(found: Sequence[Asked], objective: Objective) -> Floats:
    """Mean regret of each study, (studies,)."""
    lost: dict[str, list[float]] = {study: [] for study in _studies(found)}
    for a in found:
        lost[a.sweep.study].append(a.regret(objective))
    return np.array([np.mean(v) for v in lost.values()])


def _by_study(found: Sequence[Asked]) -> Iterator[str]:
    counts = Counter(a.sweep.study for a in found)
    columns = [_means(found, o) for o in COMPARED]
    for i, study in enumerate(_studies(found)):
        shown = ", ".join(f"{o} {100 * c[i]:.1f} %" for o, c in zip(COMPARED, columns, strict=True))
        yield f"{study}, {counts[study]} sweeps: {shown}"


def _compared(found: Sequence[Asked], seed: int) -> Iterator[str]:
    """How surely the default loses less than another, by resampling studies with their sweeps."""
    order = _studies(found)
    place = np.array([order.index(a.sweep.study) for a in found])
    drawn = np.random.default_rng([seed, 17]).multinomial(
        len(order), np.full(len(order), 1.0 / len(order)), 4000
    )
    sweeps = np.bincount(place, minlength=len(order))
    for other in COMPARED:
        if other == DEFAULT_OBJECTIVE:
            continue
        gap = np.array([a.regret(other) - a.regret(DEFAULT_OBJECTIVE) for a in found])
        sums = np.bincount(place, weights=gap, minlength=len(order))
        sweep_gap, study_gap = drawn @ sums / (drawn @ sweeps), drawn @ (sums / sweeps) / len(order)
        low, high = np.quantile(sweep_gap, [0.05, 0.95])
        yield (
            f"{other} loses {100 * gap.mean():+.1f} % of the time beside {DEFAULT_OBJECTIVE} (90 % "
            f"interval over studies {100 * low:+.1f} to {100 * high:+.1f}); {DEFAULT_OBJECTIVE} "
            f"loses less with probability {(sweep_gap > 0).mean():.2f} over sweeps, "
            f"{(study_gap > 0).mean():.2f} over studies"
        )


def _paper(seed: int) -> Iterator[str]:
    """The gammas of the paper's five pairs beside the published ones; its speeds are not known."""
    chosen: dict[Objective, list[int]] = {o: [] for o in COMPARED}
    best = []
    for row in load_table("paper_table").rows:
        if text(row, "method") != "SpS":
            continue
        source = study_of(text(row, "source"))
        at = Deployment(text(row, "target"), text(row, "draft"), DEVICE, unseen=source)
        pair = asked(MeasuredSweep(at, source, "", dict.fromkeys(range(8), 1.0)), seed=seed)
        best.append(int(number(row, "gamma_tokens")))
        for objective in COMPARED:
            chosen[objective].append(pair.gamma(objective))
    lines = "; ".join(f"{o} {', '.join(map(str, g))}" for o, g in chosen.items())
    yield f"the paper's five pairs on {DEVICE}, best measured {', '.join(map(str, best))}: {lines}"


EDGES = (0.0, 0.4, 0.6, 0.8, 1.0)  # of the probabilities that are compared together


def reliability(said: ArrayLike, true: ArrayLike, study: Sequence[str]) -> Iterator[str]:
    """Lines of a reliability table: what was said and how often it came true.

    said: probabilities in [0, 1]; true: whether it did; study: of each, since those of one study
    are alike. All of one length. The error is that of a mean over the studies of a line.
    """
    p, hit, of = np.asarray(said, dtype=float), np.asarray(true, dtype=float), np.asarray(study)
    groups = [(EDGES[0], EDGES[-1]), *pairwise(EDGES)]
    for low, high in groups:
        mine = (p >= low) & ((p < high) | (high == EDGES[-1]))
        if not mine.any():
            continue
        names = sorted(set(of[mine]))
        gaps = np.array([(hit - p)[mine & (of == name)].mean() for name in names])
        error = f" +- {gaps.std(ddof=1) / np.sqrt(gaps.size):.2f}" if gaps.size > 1 else ""
        yield (
            f"said {low:g} to {high:g}: {p[mine].mean():.2f} said, {hit[mine].mean():.2f} came "
            f"true, {int(mine.sum())} sweeps; over {gaps.size} studies {gaps.mean():+.2f}{error}"
        )
