"""Every measured speed-up whose models and machine the tables know, from the names alone.

The question is the one that `howspec predict --target --draft --device` answers: names, number
format, engine, batch and task as the row states them, and nothing that was measured. What the study
of the row measured of acceptance, heads and step times is left out of the priors; the spreads of
the priors were fitted with it.

The paper's table from names alone: draft, number of draft tokens and speed-up of five families.
Nothing of the table is used but the names of the targets and of the drafts that exist; the device
is a generic one, since the paper's is not part of the question.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import cache
from itertools import chain

from ...calibrate.doors import Deployment
from ...calibrate.learned.measured import MeasuredRow
from ...calibrate.learned.stated import stack_of, weights_format
from ...calibrate.library.load import load_table
from ...calibrate.prior.acceptance_cells import canonical_task
from ...calibrate.tables.schema import number, text
from ...sim.known import GAMMA_MAX
from ...sim.laws import both_laws
from ...sim.pair import PairPrediction, predict_pair
from ...sim.ranking import Ranking, rank_drafts
from .result import LEVEL, Point, Test, group_notes

_NEARLY = 1.1  # of the usable memory, which leaves a tenth of all for activations


def names_test(
    rows: Iterable[MeasuredRow], *, seed: int = 0
) -> tuple[Test, frozenset[MeasuredRow]]:
    """Speed-up at the row's gamma for every row that the tables know, and these rows.

    The notes have the errors of each kind of draft on each stack.
    """
    groups: dict[str, list[Point]] = defaultdict(list)
    skipped: Counter[str] = Counter()
    used = []

    @cache  # rows of other gammas ask the same
    def asked(at: Deployment, gamma_max: int) -> PairPrediction | str:
        try:
            return predicted(at, gamma_max, seed)
        except ValueError as error:
            return reason(str(error))

    for row in rows:
        gamma = row.longest or row.gamma
        if row.objection or not gamma or not math.isfinite(row.speedup):
            continue
        if row.batch and not row.batch_size >= 1.0:
            skipped["the batch is no number"] += 1
            continue
        answer = asked(_question(row), row.longest or max(gamma, GAMMA_MAX))
        if isinstance(answer, str):
            skipped[answer] += 1
            continue
        found = answer.if_it_fitted or answer.prediction
        ends = (v[gamma] for v in (found.speedup_by_gamma, found.low_by_gamma,
                                   found.high_by_gamma))  # fmt: skip
        middle, low, high = (float(v) for v in ends)
        used.append(row)
        groups[_group(answer)].append(Point(row.label, row.speedup, middle, low, high))
    notes = group_notes(groups, "rows")
    notes += tuple(f"{n} rows not asked: {reason}" for reason, n in skipped.items())
    test = Test(
        "speed-up of a named pair, its study unseen",
        "names, engine, batch and task of the row; the call of `predict`, its priors without the "
        "study, their spreads fitted to all",
        tuple(chain(*groups.values())),
        notes=notes,
    )
    return test, frozenset(used)


def reason(message: str) -> str:
    return re.split(r"[:;]| must be one of | is not in | not found", message)[0][:70]


def _question(row: MeasuredRow) -> Deployment:
    return Deployment(
        row.target, row.draft, row.hardware, dtype=weights_format(row.precision),
        stack=stack_of(row), batch=row.batch_size if row.batch else 1.0,
        task=canonical_task(row.task), temperature=_temperature(row), unseen=row.study,
        p_min=row.p_min,
    )  # fmt: skip


def predicted(at: Deployment, gamma_max: int, seed: int) -> PairPrediction:
    """The answer. Raises ValueError where the tables lack a name, and for a pair that needs far
    more memory than the machine has as it is stated: what was measured did run.
    """
    found = predict_pair(both_laws(at, gamma_max=gamma_max, seed=seed), level=LEVEL)
    memory = found.laws.costs.memory
    need = 0.0 if memory is None else memory.weights_bytes + memory.caches_bytes
    if memory is not None and need > _NEARLY * memory.usable_bytes:
        raise ValueError("the pair does not fit the machine as it is stated")
    return found


def _group(answer: PairPrediction) -> str:
    """Kind of draft, and the stack that it ran on."""
    pair = answer.laws.pair
    return f"{pair.head or 'draft model'} on {pair.at.stack}"


def _temperature(row: MeasuredRow) -> float | None:
    try:
        value = float(row.temperature)
    except ValueError:
        return None
    return value if 0.0 <= value < math.inf else None


DEVICE, STACK, DTYPE = "A100 80GB", "eager", "fp16"
# Speculative sampling draws its tokens; assisted generation is greedy unless told otherwise.
METHODS = {"SpS": 1.0, "AsG": 0.0}


def paper_rows_test(*, seed: int = 0) -> Test:
    """Ten rows: five families in two methods. Points are speed-ups of the predicted best draft at
    its predicted gamma, against the published speed-up; notes say how often draft and K are met.
    """
    published = load_table("paper_table")
    ladders: dict[str, list[str]] = {}
    for row in load_table("paper_ladders").rows:
        ladders.setdefault(text(row, "target"), []).append(text(row, "draft"))
    points, notes = [], []
    draft_hits = gamma_hits = near = 0
    for row in published.rows:
        target, method = text(row, "target"), text(row, "method")
        ranking = _ranking(target, ladders[target], method=method, seed=seed)
        best = ranking.drafts[0]
        label = f"{target}, {method}"
        choice = best.choice
        points.append(Point(label, number(row, "speedup"), choice.speedup, choice.low, choice.high))
        draft, gamma = text(row, "draft"), int(number(row, "gamma_tokens"))
        draft_hits += best.draft.called == draft
        gamma_hits += choice.gamma == gamma
        near += abs(choice.gamma - gamma) <= 1
        chance = next(d.probability_best for d in ranking.drafts if d.draft.called == draft)
        notes.append(
            f"{label}: predicted {best.draft.called} at K = {choice.gamma}, published {draft} at "
            f"K = {gamma} (predicted to be the best with probability {chance:.2f})"
        )
    inside = sum(p.inside for p in points)
    total = len(points)
    notes.insert(
        0,
        f"{inside} of {total} rows inside their interval; best draft met in {draft_hits}, K in "
        f"{gamma_hits} (within one in {near})",
    )
    return Test(
        "the paper's table: speed-up of the best draft",
        f"names of targets and drafts, {DEVICE} {STACK} {DTYPE} at batch 1, any task; by the call "
        "of `rank`",
        tuple(points),
        notes=tuple(notes),
    )


def _ranking(target: str, drafts: list[str], *, method: str, seed: int = 0) -> Ranking:
    """The drafts of one target in the order predicted for a method of the paper."""
    at = Deployment(
        target, device=DEVICE, dtype=DTYPE, draft_dtype=DTYPE, stack=STACK, context=0.0,
        temperature=METHODS[method],
    )  # fmt: skip
    return rank_drafts(at, drafts, level=LEVEL, seed=seed).rankings[0]
