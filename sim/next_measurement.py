r"""What to measure next: commands, and what each is expected to leave of interval and regret.

What could be measured is in `next_options`. Which draws agree with an outcome, and what the choice
among these is worth, is in `theory.decision.expected_after`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..calibrate.doors import Pair
from ..calibrate.doors.costs import of_prediction
from ..theory import DepthAcceptance, tokens_by_gamma
from ..theory.decision import Ahead, at_hand, expected_after
from ..theory.domain import Floats
from .choice import DEFAULT_OBJECTIVE, Objective, sample_rule
from .known import GAMMA_MAX, Laws
from .next_options import Draft, Option, gammas_of_a_server, options_of

if TYPE_CHECKING:
    from ..calibrate.library.evidence import Measurement
    from .ranking import Candidate, DraftRanking
    from .scale import DraftScale
    from .sweep_answer import SweepPrediction

MOST = 3
_DRAWS = 1000  # draws that are weighed: more would not be seen in two digits
_SEED = 0  # of the outcomes: options are compared on the same ones
_RANKED = 3  # drafts of a ranking that are worth a measurement
_WORTH = 0.05  # share of the interval or of the regret that a measurement takes at least


@dataclass(frozen=True)
class NextMeasurement:
    """A measurement and what it leaves; see `Option`. after: interval and regret, on average."""

    command: str
    what: str
    then: str
    minutes: float | None
    after: Ahead


@dataclass(frozen=True)
class Next:
    """now: interval and expected regret at hand; level: of intervals; measurements: those that
    would tell most, the one that leaves the least regret first; evidence: what was measured of the
    pair, speed-ups first.
    """

    now: Ahead
    level: float
    measurements: tuple[NextMeasurement, ...]
    evidence: tuple[Measurement, ...] = ()


def next_of_pair(
    laws: Laws,
    *,
    objective: Objective = DEFAULT_OBJECTIVE,
    level: float = 0.9,
    batches: Sequence[float] = (),
) -> Next | None:
    """What to measure next of one pair, None where its laws leave nothing unsure.

    batches: at each of which a gamma is chosen, by default that of the pair.
    """
    at = laws.pair.at
    drafts = [_draft_of(laws, b) for b in batches or (at.batch,)]
    tables = [d.speedup for d in drafts]
    memory = laws.costs.memory
    if np.ptp(tables[0], axis=0).max() == 0.0 or (memory is not None and not memory.fits):
        return None
    options = options_of(drafts[0], objective)
    return weighed(options, tables, laws.pair, objective=objective, level=level)


def _draft_of(laws: Laws, batch: float) -> Draft:
    at, top = laws.pair.at, laws.gamma_max
    times = laws.costs.law.round_time(top, batch=batch, context=at.cached)
    tokens, times = laws.tokens(), np.asarray(times, dtype=float).reshape(-1, top + 1)
    shape = (max(len(tokens), len(times)), top + 1)
    tokens, times = np.broadcast_to(tokens, shape), np.broadcast_to(times, shape)
    return Draft(laws.pair, tokens, times, laws.costs)


def next_of_ranking(found: DraftRanking, *, level: float = 0.9) -> Next | None:
    """What to measure next of ranked drafts, of the best few of them; None where none fits."""
    by_name = {c.draft.called: (p, c) for p, c in found.candidates}
    first = found.rankings[0]
    able = [by_name[r.draft.called] for r in first.drafts if r.fits]
    if not able:
        return None
    drafts: list[Draft] = []
    tables: list[Floats] = []
    for ranking in found.rankings:
        own = [_candidate(p, c, ranking.batch, ranking.context) for p, c in able]
        drafts = drafts or own[:_RANKED]
        tables.append(np.concatenate([d.speedup for d in own], axis=1))
    rule = first.drafts[0].choice.objective
    options = [o for d in drafts for o in options_of(d, rule, into=f"predict --draft {d.name} ")]
    return weighed(options, tables, None, objective=rule, level=level)


def _candidate(pair: Pair, known: Candidate, batch: float, context: float) -> Draft:
    law, top = known.costs.law, known.tokens.shape[-1] - 1
    times = np.asarray(law.round_time(top, batch=batch, context=context)).reshape(-1, top + 1)
    return Draft(pair, known.tokens, np.broadcast_to(times, known.tokens.shape), known.costs)


def next_of_scale(found: DraftScale, *, level: float = 0.9) -> Next | None:
    """What to measure next of a curve of sizes: the best draft that exists, as far as it is of the
    curve: the point of its format that is nearest in size shows what it shows."""
    able = [(p, c) for p, c in zip(found.found.grid, found.found.costs, strict=True) if p.fits]
    if not able or not any(d.fits for d in found.existing):
        return None
    real = found.existing[0].draft
    pair, size = found.pair.with_draft(real.called), np.log(real.parameters)
    usual = [(p, c) for p, c in able if p.depth == 1.0]
    of_format = [(p, c) for p, c in usual if p.dtype == real.dtype] or usual
    point, law = min(of_format, key=lambda e: abs(float(np.log(e[0].parameters)) - size))
    top, at = GAMMA_MAX, found.pair.at
    tokens = np.asarray(tokens_by_gamma(DepthAcceptance(point.alpha), top))
    times = law.round_time(top, batch=at.batch, context=at.cached)
    draft = Draft(pair, tokens, times, of_prediction(law))
    table = np.stack([np.ones(len(tokens)), *(p.choice.draws for p, _ in usual)], axis=1)
    rule = found.found.best.choice.objective
    options = options_of(draft, rule, into=f"predict --draft {real.called} ")
    return weighed(options, [table], None, objective=rule, level=level)


def next_of_sweep(found: SweepPrediction) -> Next | None:
    """What to measure next of a sweep: the gamma whose measurement tells most of the best one."""
    options = gammas_of_a_server(found.draft, found.sample, found.scatter)
    known = found.sample[:, found.sample.all(axis=0)]
    return weighed(
        options, [known], None, objective=found.prediction.objective,
        level=found.prediction.speedup.level,
    )  # fmt: skip


def weighed(
    options: Sequence[Option],
    tables: Sequence[Floats],
    pair: Pair | None,
    *,
    objective: Objective,
    level: float,
) -> Next:
    """Options in the order of what they leave, without those that tell nothing.

    tables: speed-ups of what is chosen among, each (draws, choices) with the draws of the options;
    pair: whose measured rows are told as well; objective, level: of the choice and its interval.
    Energy and price count as latency: each draw's plain step as heavy as any other's.
    """
    rule = sample_rule(objective)
    some = [t[:: max(1, len(t) // _DRAWS)] for t in tables]
    _, now = at_hand(tables[0], objective=rule, level=level)
    regret = float(np.mean([at_hand(t, objective=rule)[1].regret for t in tables]))
    now = Ahead(now.low, now.high, regret)
    found = []
    for option in options:
        if np.ptp(option.shown, axis=0).max() < 1.0:  # all draws show the same
            continue
        shown = option.shown[:: max(1, len(option.shown) // _DRAWS)]
        rng = np.random.default_rng(_SEED)
        after = expected_after(
            rng, some, np.resize(shown, (len(some[0]), shown.shape[1])), objective=rule,
            level=level, outcomes=128,
        )  # fmt: skip
        narrower = 1.0 - (after.high - after.low) / max(now.high - now.low, 1e-12)
        less = 1.0 - after.regret / max(now.regret, 1e-12)
        if max(narrower, less) > _WORTH:
            found.append(
                NextMeasurement(option.command, option.what, option.then, option.minutes, after)
            )
    found.sort(key=lambda m: m.after.regret)
    return Next(now, level, tuple(found[:MOST]), () if pair is None else _evidence(pair))


def _evidence(pair: Pair) -> tuple[Measurement, ...]:
    """Measured rows of the very pair: its device and task first; speed-ups, else lengths."""
    at = pair.at
    if at.target is None or at.draft is None:
        return ()
    from ..calibrate.library.evidence import measured_pair
    from .published import SPEEDUPS

    rows = measured_pair(at.target, at.draft, metrics=(*SPEEDUPS, "tokens_per_round"))
    machine = "" if pair.machine is None else pair.machine.name
    order = sorted(
        rows, key=lambda r: (r.metric not in SPEEDUPS, r.device != machine, r.task != at.task)
    )
    return tuple(order)
