"""Every measured speed-up whose models and machine the tables know, from the names alone.

The question is the one that `howspec predict --target --draft --device` answers: names, number
format, engine, batch and task as the row states them, and nothing that was measured. What the study
of the row measured of acceptance, heads and step times is left out of the priors; the spreads of
the priors were fitted with it.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...calibrate.doors.acceptance import of_forecast
from ...calibrate.learned.measured import Measured
from ...calibrate.learned.stated import stack_of
from ...calibrate.models import device, number_format
from ...calibrate.prior.acceptance_tasks import canonical_task
from ...calibrate.prior.costs import PredictedCost
from ...calibrate.prior.heads import expected_head, head_costs, head_dtype, named_draft
from ...calibrate.prior.pair import (
    Load,
    NamedModel,
    Use,
    expected_acceptance,
    expected_costs,
    named,
)
from ...sim.prediction import Prediction, predict
from .result import LEVEL, Point, Test

CONTEXT = 1000.0  # cached tokens of a sequence, which no row states
DRAWS, _TOP = 2000, 16
_KIND = "draft model"


@dataclass(frozen=True)
class Question:
    """What a row asks: models, machine, load and use. head: kind of the draft, None for a model."""

    target: NamedModel
    draft: NamedModel
    head: str | None
    load: Load
    use: Use

    @property
    def group(self) -> str:
        """Kind of draft, and the stack that it ran on."""
        return f"{self.head or _KIND} on {self.load.stack}"


def names_test(rows: Iterable[Measured], *, seed: int = 0) -> tuple[Test, frozenset[Measured]]:
    """Speed-up at the row's gamma for every row that the tables know, and these rows.

    The notes have the errors of each kind of draft on each stack.
    """
    groups: dict[str, list[Point]] = defaultdict(list)
    skipped: Counter[str] = Counter()
    used = []
    for row in rows:
        if row.objection or not row.gamma or not math.isfinite(row.speedup):
            continue
        try:
            asked = question(row)
            found = answer(asked, max(row.gamma, _TOP), seed)
        except ValueError as error:
            skipped[_reason(str(error))] += 1
            continue
        ends = (v[row.gamma] for v in (found.speedup_by_gamma, found.low_by_gamma,
                                       found.high_by_gamma))  # fmt: skip
        middle, low, high = (float(v) for v in ends)
        used.append(row)
        groups[asked.group].append(Point(row.label, row.speedup, middle, low, high))
    parts = [Test(name, "", "relative", tuple(points)) for name, points in groups.items()]
    notes = [
        f"{t.name}: {len(t.points)} rows, median error {np.median(np.abs(t.errors())):.3f}, "
        f"bias {np.median(t.errors()):+.3f}, coverage {t.coverage:.2f}"
        for t in parts
    ]
    notes += [f"{n} rows not asked: {reason}" for reason, n in skipped.items()]
    test = Test(
        "speed-up of a named pair, its study unseen",
        "names, engine, batch and task of the row, context 1000; the priors of `predict` without "
        "its study, their spreads fitted to all",
        "relative",
        tuple(p for t in parts for p in t.points),
        notes=tuple(notes),
    )
    return test, frozenset(used)


def _costs(asked: Question, rng: np.random.Generator) -> PredictedCost:
    how: dict[str, Any] = {"load": asked.load, "rng": rng, "draws": DRAWS}
    if asked.head is not None:
        return head_costs(asked.target, asked.draft, **how)
    return expected_costs(asked.target, [asked.draft], **how)[0]


def _reason(message: str) -> str:
    return re.split(r"[:;]| must be one of | is not in | not found", message)[0][:70]


def question(row: Measured) -> Question:
    """The row as a question by names. Raises ValueError where the tables lack one of them."""
    target = named(row.target)
    draft, head = named_draft(row.draft, target)
    machine = device(row.hardware)
    batch = 1.0 if not row.batch else row.batch_size
    if not batch >= 1.0:
        raise ValueError("the batch is no number")
    dtype = _format(row.precision)
    load = Load(
        machine,
        dtype=dtype,
        draft_dtype="" if head is None else head_dtype(target, head, machine, dtype),
        stack=stack_of(row),
        batch=batch,
        context=CONTEXT,
        unseen=row.study,
    )
    use = Use(canonical_task(row.task), _temperature(row), unseen=row.study)
    return Question(target, draft, head, load, use)


def _format(precision: str) -> str:
    """The format of the weights that a row names, "" where it names none."""
    for word in re.split(r"[\s,;/()]+", re.sub(r"\S+ (?:KV|draft)\b", "", precision)):
        try:
            return number_format("int4" if word == "4-bit" else word).name if word else ""
        except ValueError:
            continue
    return ""


def _temperature(row: Measured) -> float | None:
    try:
        value = float(row.temperature)
    except ValueError:
        return None
    return value if 0.0 <= value < math.inf else None


def answer(asked: Question, gamma_max: int, seed: int) -> Prediction:
    """What is predicted of the pair. Raises ValueError where it does not fit in memory."""
    for_costs, for_acceptance = np.random.default_rng(seed).spawn(2)
    law = _costs(asked, for_costs)
    if law.memory is not None and not law.memory.fits:
        raise ValueError("the pair does not fit the machine as it is stated")
    if asked.head is not None:
        known = expected_head(
            asked.head, asked.target.called, for_acceptance, task=asked.use.task,
            temperature=asked.use.temperature, positions=gamma_max, draws=DRAWS,
            unseen=asked.use.unseen,
        )  # fmt: skip
    else:
        forecast = expected_acceptance(
            asked.target, [asked.draft], use=asked.use, dtype=law.dtype, rng=for_acceptance,
            draws=DRAWS,
        ).of(0)  # fmt: skip
        known = of_forecast(forecast, positions=gamma_max)
    return predict(
        known.law, law, gamma_max=gamma_max, level=LEVEL, batch=asked.load.batch,
        context=asked.load.context,
    )  # fmt: skip
