r"""What to measure next: commands, and what each is expected to leave of interval and regret.

A measurement shows numbers that the draws know as well. Of n decided draft tokens it shows rates r,
as 2 arcsin sqrt r, whose error is sqrt(D / n) whatever the rate; D, the design effect, is that of
prompts which differ. Of timed rounds it shows ln C(gamma) / C(0), with the scatter between runs.
Which draws agree with an outcome, and what the choice among these is worth, is in
`theory.decision.expected_after`.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..calibrate.doors import Pair
from ..calibrate.doors.costs import of_prediction
from ..calibrate.known import KnownCosts
from ..calibrate.measured.sampled import BETWEEN_RUNS
from ..calibrate.prior.acceptance_cells import DESIGN_EFFECT
from ..calibrate.prior.pair import NamedModel, same_vocabulary
from ..theory import DepthAcceptance, tokens_by_gamma
from ..theory.decision import Ahead, at_hand, expected_after
from ..theory.domain import Floats
from .choice import DEFAULT_OBJECTIVE, Objective, sample_rule
from .known import GAMMA_MAX, Laws

if TYPE_CHECKING:
    from ..calibrate.library.evidence import Measurement
    from .ranking import Candidate, DraftRanking
    from .scale import DraftScale

MOST = 3
_DRAWS = 1000  # draws that are weighed: more would not be seen in two digits
_SEED = 0  # of the outcomes: options are compared on the same ones
_RANKED = 3  # drafts of a ranking that are worth a measurement
_WORTH = 0.05  # share of the interval or of the regret that a measurement takes at least
# Of `howspec calibrate acceptance`: draft tokens of a round, requests together, prompts of each of
# five domains, new tokens of each.
_GAMMA, _TOGETHER, _PROMPTS, _NEW = 8, 16, 4, 96
_LOG_TOKENS = 2000.0  # decided draft tokens of a server's log: a minute of one that speculates
_REQUESTS, _LONG = 12, 128  # of `howspec measure`: requests at a batch, new tokens of each
_LOCAL = ("eager", "graphs")  # stacks that are measured in this process, without a server
_PASSES = 18 * 17  # timed and untimed passes of a point, and points, of `howspec calibrate costs`
_LOG = "howspec import auto server.log"
_READ = 1e9  # bytes of weights read from a disk in a second


@dataclass(frozen=True)
class Option:
    """A measurement that could be made.

    command: as it is typed; what: is measured by it; then: what the same question is asked with
    afterwards; minutes: of device time, None where not known; shown: what each draw shows in it, in
    standard deviations of its error, shape (draws, numbers).
    """

    command: str
    what: str
    then: str
    minutes: float | None
    shown: Floats


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


@dataclass(frozen=True)
class Draft:
    """What is known of one draft: tokens per round and round times at gamma = 0.., (draws,
    gammas); costs: of which the times are.
    """

    pair: Pair
    tokens: Floats
    times: Floats
    costs: KnownCosts

    @property
    def name(self) -> str:
        """As it was asked for."""
        return self.pair.at.draft or "the draft"

    @property
    def speedup(self) -> Floats:
        """Speed-ups, shape (draws, gammas)."""
        return np.asarray(self.tokens * self.times[:, :1] / self.times)


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
    return measure_next(drafts[0], tables, objective=objective, level=level)


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
    options = [o for d in drafts for o in options_of(d, into=f"predict --draft {d.name} ")]
    return weighed(options, tables, None, objective=first.drafts[0].choice.objective, level=level)


def _candidate(pair: Pair, known: Candidate, batch: float, context: float) -> Draft:
    law, top = known.costs.law, known.tokens.shape[-1] - 1
    times = np.asarray(law.round_time(top, batch=batch, context=context)).reshape(-1, top + 1)
    return Draft(pair, known.tokens, np.broadcast_to(times, known.tokens.shape), known.costs)


def next_of_scale(found: DraftScale, *, level: float = 0.9) -> Next | None:
    """What to measure next of a curve of sizes: the released draft that is nearest to the best."""
    able = [(p, c) for p, c in zip(found.found.grid, found.found.costs, strict=True) if p.fits]
    name = None if not able or found.pair.target is None else _released_near(found)
    if name is None:
        return None
    pair = found.pair.with_draft(name)
    size = np.log(pair.models[1].parameters)
    usual = [(p, c) for p, c in able if p.depth == 1.0]
    point, law = min(usual, key=lambda e: abs(float(np.log(e[0].parameters)) - size))
    top, at = GAMMA_MAX, found.pair.at
    tokens = np.asarray(tokens_by_gamma(DepthAcceptance(point.alpha), top))
    times = law.round_time(top, batch=at.batch, context=at.cached)
    draft = Draft(pair, tokens, times, of_prediction(law))
    table = np.stack([np.ones(len(tokens)), *(p.choice.draws for p, _ in able)], axis=1)
    options = options_of(draft, into=f"predict --draft {name} ")
    rule = found.found.best.choice.objective
    return weighed(options, [table], None, objective=rule, level=level)


def _released_near(found: DraftScale) -> str | None:
    """The model of the tables with the target's vocabulary that is nearest in size to the best."""
    from ..calibrate.models.catalogue import models

    target, best = found.pair.target, found.found.best.parameters
    assert target is not None
    same = {
        name: m.shape.parameters()
        for name, m in models().items()
        if m.shape.parameters() < 0.5 * target.parameters
        and same_vocabulary(target, NamedModel(name, m.shape, m.dtype))
    }
    return min(same, key=lambda n: abs(float(np.log(same[n] / best))), default=None)


def measure_next(
    draft: Draft, tables: Sequence[Floats], *, objective: Objective, level: float = 0.9
) -> Next:
    """The measurements of one draft that would narrow a choice most.

    tables: speed-ups of what is chosen among, each (draws, choices) with the draws of ``draft``;
    objective, level: of the choice and its interval.
    """
    return weighed(options_of(draft), tables, draft.pair, objective=objective, level=level)


def weighed(
    options: Sequence[Option],
    tables: Sequence[Floats],
    pair: Pair | None,
    *,
    objective: Objective,
    level: float,
) -> Next:
    """Options in the order of what they leave, without those that tell nothing.

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


def options_of(draft: Draft, *, into: str = "") -> list[Option]:
    """What can be measured of a draft where it runs, unsure or not; into: the question after it."""
    pair, costs, found = draft.pair, draft.costs, []
    names = _loadable(draft)
    top = draft.tokens.shape[1] - 1
    if names and pair.head is None:
        found.append(_acceptance_here(draft, names))
    if top >= 1:
        found.append(_acceptance_of_a_log(draft))
    if costs.seconds and costs.stack not in _LOCAL:
        found.append(_of_a_server(draft))
    if names and pair.head is None and costs.stack in _LOCAL and costs.seconds:
        found.append(_costs_here(draft, names))
    return [replace(o, then=into + o.then) for o in found]


def _acceptance_here(draft: Draft, names: tuple[str, str]) -> Option:
    at = draft.pair.at
    gamma = min(_GAMMA, draft.tokens.shape[1] - 1)
    words = ["howspec", "calibrate", "acceptance", "--target", names[0], "--draft", names[1],
             "--temperature", f"{at.temperature or 0:g}", "--requests", str(_PROMPTS),
             "--out", "acceptance.json"]  # fmt: skip
    requests = 5.0 * _PROMPTS
    rounds = requests * _NEW / float(draft.tokens[:, gamma].mean())
    shown = rates_shown(draft.tokens, gamma, rounds * _decided(draft.tokens, gamma))
    minutes = None
    if draft.costs.seconds:
        time, length = np.median(draft.times, axis=0), float(draft.tokens[:, gamma].mean())
        turns = np.ceil(requests / _TOGETHER) * _NEW
        minutes = (_loading(draft) + turns * float(time[gamma] / length + time[0])) / 60.0
    what = f"rounds of {requests:.0f} requests with {draft.name}"
    return Option(shlex.join(words), what, "--acceptance acceptance.json", minutes, shown)


def _acceptance_of_a_log(draft: Draft) -> Option:
    gamma = min(4, draft.tokens.shape[1] - 1)
    shown = rates_shown(draft.tokens, gamma, _LOG_TOKENS)
    what = f"{_LOG_TOKENS:.0f} decided draft tokens of {draft.name}"
    return Option(_LOG, what, "--acceptance server.log", 0.0, shown)


def _of_a_server(draft: Draft) -> Option:
    """Plain decoding and one gamma, the best at hand, of a server under the load asked for."""
    batch, top = max(1, round(draft.pair.at.batch)), draft.tokens.shape[1] - 1
    gamma = min(max(1, int(draft.speedup.mean(axis=0).argmax())), _GAMMA, top)
    words = ["howspec", "measure", "http://localhost:8000", "--gamma", str(gamma), "--batch",
             str(batch), "--out", f"served/gamma-{gamma}.json"]  # fmt: skip
    length, times = float(draft.tokens[:, gamma].mean()), np.median(draft.times, axis=0)
    waves = max(2.0, np.ceil(_REQUESTS / batch))
    decided = waves * batch * _LONG / length * _decided(draft.tokens, gamma)
    shown = [rates_shown(draft.tokens, gamma, decided), times_shown(draft.times, [gamma])]
    seconds = 2.0 * _loading(draft) + waves * _LONG * float(times[gamma] / length + times[0])
    what = f"a server with {draft.name}; the same without it: --gamma 0 --out served/plain.json"
    return Option(
        shlex.join(words), what, "--acceptance served --costs served", seconds / 60.0,
        np.concatenate(shown, axis=1),
    )  # fmt: skip


def _costs_here(draft: Draft, names: tuple[str, str]) -> Option:
    at, top = draft.pair.at, draft.times.shape[1] - 1
    mode = "eager" if draft.costs.stack == "eager" else "graph"
    words = ["howspec", "calibrate", "costs", "--target", names[0], "--draft", names[1],
             "--random-weights", "--batch", f"{at.batch:g}", "--context", f"{at.cached:g}",
             "--mode", mode, "--out", "costs.json"]  # fmt: skip
    gammas = sorted({min(2, top), min(8, top)})
    time = float(np.median(draft.times[:, gammas[-1]]))
    minutes = (_loading(draft) + _PASSES * 2.0 * time) / 60.0
    what, shown = f"passes and rounds with {draft.name}", times_shown(draft.times, gammas)
    return Option(shlex.join(words), what, "--costs costs.json", minutes, shown)


def rates_shown(tokens: Floats, gamma: int, decided: float) -> Floats:
    """The rate of the first position, and of the later ones together, in units of their errors.

    tokens: per round at gamma = 0.., (draws, gammas); decided: draft tokens whose fate is seen in
    rounds of gamma. Shape (draws, 1 or 2).
    """
    kept = np.diff(tokens[:, : gamma + 1], axis=1)
    tried = np.concatenate([np.ones((len(kept), 1)), kept[:, :-1]], axis=1)
    rounds = decided / _decided(tokens, gamma)
    found = []
    for part in (slice(0, 1), slice(1, gamma)):
        seen = tried[:, part].sum(axis=1)
        if seen.mean() > 0.0:
            rate = np.divide(
                kept[:, part].sum(axis=1), seen, out=np.zeros_like(seen), where=seen > 0
            )
            scale = np.sqrt(rounds * seen.mean() / DESIGN_EFFECT)
            found.append(2.0 * scale * np.arcsin(np.sqrt(np.minimum(np.maximum(rate, 0.0), 1.0))))
    return np.stack(found, axis=1)


def _decided(tokens: Floats, gamma: int) -> float:
    """Mean number of draft tokens of a round whose fate is decided: those up to a rejection."""
    return float(tokens[:, gamma - 1].mean())


def times_shown(times: Floats, gammas: Sequence[int]) -> Floats:
    """ln of round times over that of a plain step, in units of the scatter between runs."""
    return np.asarray(np.log(times[:, list(gammas)] / times[:, :1]) / BETWEEN_RUNS)


def _loading(draft: Draft) -> float:
    """Seconds that both models take to be read."""
    memory = draft.costs.memory
    return 0.0 if memory is None else memory.weights_bytes / _READ


def _loadable(draft: Draft) -> tuple[str, str] | None:
    """What both models are called where they are loaded from, None where they cannot be.

    transformers runs on one accelerator here, so both must fit there.
    """
    pair, memory = draft.pair, draft.costs.memory
    if pair.at.target is None or pair.at.draft is None:
        return None
    if (pair.machine is not None and pair.machine.count > 1) or (memory and not memory.fits):
        return None
    found = [released(n) for n in (pair.at.target, pair.at.draft)]
    return (found[0], found[1]) if found[0] and found[1] else None


def released(name: str) -> str:
    """The hub's name of a model of the tables, or a folder with weights; "" for any other."""
    from ..calibrate.models.catalogue import find_model

    known = find_model(name)
    if known is not None:
        return known.hub
    from ..calibrate.measure.sources import model_source

    try:
        return name if model_source(name, random_weights=False) else ""
    except ValueError:
        return ""


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
