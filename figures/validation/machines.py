"""Speed-ups on machines whose plain step was measured too: from names, and with what users know.

The rows of one target and draft on one machine under one load are a sweep over gamma; rows of
several drafts are a ladder. Each is predicted from the names alone, with tokens per round at one
gamma, and with the plain time per token besides; the study of the row is left out of every prior.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...calibrate.doors import Deployment, resolve
from ...calibrate.models import model, number_format
from ...calibrate.prior.acceptance_cells import canonical_task
from ...sim.choice import between, choose
from ...sim.common import common_laws
from ...sim.known import GAMMA_MAX, Laws, Sources
from ...sim.laws import both_laws
from ...sim.pair import PairPrediction, predict_pair
from ...sim.prediction import speedup_table
from ...theory import speedup
from ...theory.acceptance import alpha_from_length
from .result import LEVEL, PLAIN, SDSL, Point, Test, group_notes, plain_from_numbers, sdsl_alpha
from .timed import TimedSpeedup, timed_speedups

GIVEN_GAMMA = 3  # draft tokens of the rounds whose tokens are known
_SERVING, _A100 = "vllm-scripts", "specdecoding-study"
_LADDER_CONTEXT = 500.0  # tokens: built-in prompts, answers of up to 1024


@dataclass(frozen=True)
class Given:
    """What is known beside the names: tokens per round, at the gamma of the row or at
    `GIVEN_GAMMA`, the plain time per token, and the speed-up of one other draft.
    """

    tokens: bool = False
    plain: bool = False
    draft: bool = False

    @property
    def words(self) -> str:
        """In words, for the test."""
        parts = ["names, formats, engine, batch and task"]
        parts += ["tokens per round at one gamma"] if self.tokens else []
        parts += ["the plain time per token at the load"] if self.plain else []
        parts += ["the speed-up of one other draft"] if self.draft else []
        return ", ".join(parts) + "; every prior without the study"


def machines_tests(*, seed: int = 0) -> list[Test]:
    """All tests of the kind over the bundled tables, by what is given."""
    rows = [r for r in timed_speedups() if r.p_min is None and not r.kv_dtype.startswith("fp8")]
    tests = []
    for name, key in (("H100, 70B and 32B", _SERVING), ("A100, EAGLE-3", _A100)):
        mine = [r for r in rows if key in r.study]
        for given in (Given(), Given(tokens=True), Given(tokens=True, plain=True)):
            tests.append(sweeps_test(name, mine, given, seed=seed))
    ladder = [r for r in timed_speedups() if r.p_min is not None]
    for given in (Given(), Given(plain=True), Given(plain=True, draft=True)):
        tests.append(ladder_test(ladder, given, seed=seed))
    return tests


def sweeps_test(name: str, rows: Iterable[TimedSpeedup], given: Given, *, seed: int = 0) -> Test:
    """Speed-up of every row, and the share of the best measured one that the choice loses.

    Where tokens at one gamma are given, that gamma is predicted too: its tokens are known, its
    time is not.
    """
    sweeps: dict[tuple[object, ...], list[TimedSpeedup]] = defaultdict(list)
    for row in rows:
        sweeps[(*row.machine, row.draft)].append(row)
    points: list[Point] = []
    regret = []
    for sweep in sweeps.values():
        found = _predicted(sweep, given, seed)
        points += (_point(row, found, given) for row in sweep)
        if len(sweep) > 1:
            best = max(sweep, key=lambda r: found.prediction.speedup_by_gamma[r.gamma])
            regret.append(1.0 - best.speedup / max(r.speedup for r in sweep))
    what = "speed-up" + " from tokens at one gamma" * given.tokens
    what += " and the plain time" * given.plain
    if given == Given():
        what = "speed-up on a machine by its name"
    return Test(f"{name}: {what}", given.words, tuple(points), tuple(regret), _by(points))


def ladder_test(rows: Iterable[TimedSpeedup], given: Given, *, seed: int = 0) -> Test:
    """Speed-up of every draft of a ladder that ends its drafts by confidence; what is lost by the
    draft that `rank` puts first at that gamma, one share a target.

    Where one draft is given, it is the one in the middle of its target's by size and format, and
    the others alone are predicted.
    """
    points: list[Point] = []
    regret = []
    ladders: dict[tuple[object, ...], list[TimedSpeedup]] = defaultdict(list)
    for row in rows:
        ladders[row.machine].append(row)
    for mine in ladders.values():
        order = sorted(mine, key=_size_and_format)
        known = order[len(order) // 2] if given.draft else None
        asked = [r for r in mine if r is not known]
        sources = Sources(
            plain_ms=1e3 * asked[0].plain if given.plain else None,
            known_draft=None if known is None else {(_named(known), known.gamma): known.speedup},
        )
        base = resolve(replace(deployment(asked[0], context=_LADDER_CONTEXT), draft_dtype=""))
        pairs = [base.with_draft(_named(r)) for r in asked]
        laws = common_laws(pairs, sources, asked[0].gamma, seed)
        answers = [predict_pair(known, level=LEVEL) for known in laws]
        found = [_point(r, a, given) for r, a in zip(asked, answers, strict=True)]
        points += found
        chosen = asked[_first(laws, asked[0].gamma)]
        regret.append(1.0 - chosen.speedup / max(r.speedup for r in asked))
    near = np.mean([r <= 0.05 for r in regret])
    what = "draft ladder of llama.cpp: speed-up"
    what += " from" * (given.plain or given.draft) + " the plain time" * given.plain
    what += " and" * (given.plain and given.draft) + " one draft" * given.draft
    note = (
        f"best draft within 5 % of the best measured in {100 * near:.0f} % of {len(regret)} targets"
    )
    return Test(what, given.words, tuple(points), tuple(regret), (note,))


def _first(laws: Sequence[Laws], gamma: int) -> int:
    """The draft that comes first by the default objective, all at one gamma."""
    at = laws[0].pair.at
    drawn = [
        speedup_table(known.acceptance.law, known.costs.law, gamma, batch=at.batch,
                      context=at.cached)[..., [0, gamma]].reshape(-1, 2)
        for known in laws
    ]  # fmt: skip
    return int(between([choose(table) for table in drawn]).argmax())


def _named(row: TimedSpeedup) -> str:
    return f"{row.draft}:{_format(row.draft_dtype)}"


def _size_and_format(row: TimedSpeedup) -> tuple[float, float]:
    return float(model(row.draft).shape.parameters()), number_format(row.draft_dtype).bits


def _by(points: Sequence[Point]) -> tuple[str, ...]:
    """Errors by batch, which the label holds."""
    groups: dict[str, list[Point]] = defaultdict(list)
    for p in points:
        found = re.search(r"batch [\d.]+", p.label)
        groups[found[0] if found else ""].append(p)
    return group_notes(groups, "rows")


def deployment(row: TimedSpeedup, *, context: float | None = None) -> Deployment:
    """The question of a row."""
    return Deployment(
        row.target, row.draft, row.device, _format(row.dtype), _format(row.draft_dtype), row.stack,
        row.batch, context, canonical_task(row.task), temperature=0.0, unseen=row.study,
        p_min=row.p_min,
    )  # fmt: skip


def _format(name: str) -> str:
    return number_format(name).name if name else ""


def _predicted(sweep: Sequence[TimedSpeedup], given: Given, seed: int) -> PairPrediction:
    row = next((r for r in sweep if r.gamma == GIVEN_GAMMA), sweep[0])
    top = max(GAMMA_MAX, *(r.gamma for r in sweep))
    sources = Sources(
        acceptance_length=row.tokens if given.tokens else None,
        gamma=row.gamma if given.tokens else None,
        plain_ms=1e3 * row.plain if given.plain else None,
    )
    return predict_pair(both_laws(deployment(row), sources, gamma_max=top, seed=seed), level=LEVEL)


def _point(row: TimedSpeedup, found: PairPrediction, given: Given) -> Point:
    answer = found.prediction
    ends = (answer.speedup_by_gamma, answer.low_by_gamma, answer.high_by_gamma)
    middle, low, high = (float(v[row.gamma]) for v in ends)
    return Point(row.label, row.speedup, middle, low, high, _rivals(row, found.laws, given))


def _rivals(row: TimedSpeedup, laws: Laws, given: Given) -> Mapping[str, float | None]:
    """The plain formula and SDSL with the acceptance and the cost ratio of the same laws."""
    ratio = laws.costs.cost_ratio(batch=row.batch, context=laws.pair.at.cached)
    target, draft = laws.pair.models
    c = 0.0 if ratio is None else float(np.median(ratio))
    alpha = float(np.median(laws.acceptance.alpha))
    if given.tokens and row.tokens is not None:
        alpha = float(alpha_from_length(row.tokens, row.gamma))
    other = sdsl_alpha(draft.parameters, target.parameters)
    return {
        PLAIN: plain_from_numbers(alpha, float("nan"), row.gamma, c),
        SDSL: None if other is None else float(speedup(other, row.gamma, c)),
    }
