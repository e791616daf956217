"""Drafts of one target in order: each with its best gamma, and how likely it is the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..calibrate.doors import Deployment, Pair, resolve
from ..calibrate.known import Kind, KnownCosts, MemoryUse
from ..calibrate.named import NamedModel
from ..theory.domain import Floats
from ..theory.interval import check_level
from .choice import DEFAULT_OBJECTIVE, Choice, Objective, among, between, choose
from .common import common_laws
from .known import GAMMA_MAX, Laws, Sources, check_gamma_max, check_seed
from .laws import both_laws
from .published import Published, published

_SAME_VOCABULARY = 0.02  # padding moves the rows of one vocabulary by so much


@dataclass(frozen=True)
class Candidate:
    """One draft of a ranking: tokens per round at gamma = 0.., (draws, gammas), and what it costs.

    alpha: draws of the accepted over the decided draft tokens, (draws,).
    """

    draft: NamedModel
    tokens: Floats
    alpha: Floats
    costs: KnownCosts


@dataclass(frozen=True)
class RankedDraft:
    """choice: best gamma and its speed-up; probability_best: that it beats all others at its gamma,
    and plain decoding; probability_within: that it gives up no more than 5 % of the fastest of
    them; expected_regret: mean share of the time that knowing the fastest would save; alpha,
    cost_ratio: draws, (draws,), the latter None where the costs have no such number; fits: in
    memory; score: what the objective makes largest among the drafts that fit.
    """

    draft: NamedModel
    choice: Choice
    score: float
    probability_best: float
    probability_within: float
    expected_regret: float
    alpha: Floats
    cost_ratio: Floats | None
    memory: MemoryUse | None
    fits: bool


@dataclass(frozen=True)
class Ranking:
    """Drafts best first, those that do not fit last; probability_plain: that none of them pays."""

    batch: float
    context: float
    drafts: tuple[RankedDraft, ...]
    probability_plain: float


@dataclass(frozen=True)
class DraftRanking:
    """Drafts of one target in order, one ranking for each batch.

    pair: target, machine and the first draft; costs: of that draft; acceptance: the kind of what is
    known of it; notes: what to know before relying on it; candidates: what is known of each draft,
    with its pair.
    """

    pair: Pair
    rankings: tuple[Ranking, ...]
    costs: KnownCosts
    acceptance: Kind
    notes: tuple[str, ...]
    candidates: tuple[tuple[Pair, Candidate], ...] = ()


def rank_drafts(
    at: Deployment,
    drafts: Sequence[str],
    given: Sources = Sources(),  # noqa: B008 - frozen
    *,
    batches: Sequence[float] = (1.0,),
    gamma_max: int | None = None,
    objective: Objective = DEFAULT_OBJECTIVE,
    level: float = 0.9,
    seed: int = 0,
) -> DraftRanking:
    """Rank named drafts of a target, models of their own and heads alike, on one machine.

    given: sources that hold every draft, such as records of costs and acceptance; what they leave
    open is predicted, with draws in common where nothing is given. batches: each >= 1; gamma_max:
    default 16; objective: what each gamma and the order make largest. Raises ValueError without a
    draft, and as the laws do.
    """
    check_level(level)
    if not drafts:
        raise ValueError("drafts must name one draft or more, got none")
    if not batches:
        raise ValueError("batch must hold one number or more, got none")
    at.needs("rank", "target")
    top = GAMMA_MAX if gamma_max is None else check_gamma_max(gamma_max)
    places = [replace(at, draft=None, batch=float(b)) for b in batches]
    base = resolve(places[0])
    pairs, again = _once([base.with_draft(name) for name in drafts])
    found = candidates(pairs, given, top, check_seed(seed))
    rankings = tuple(
        _rank(found.drafts, batch=p.batch, context=p.cached, objective=objective, level=level)
        for p in places
    )
    about = [n for p in pairs for n in p.notes] + [n for c in found.drafts for n in c.costs.notes]
    return DraftRanking(
        pairs[0], rankings, found.drafts[0].costs, found.kind,
        _notes(rankings, (*again, *about, *found.notes)),
        tuple(zip(pairs, found.drafts, strict=True)),
    )  # fmt: skip


def _once(pairs: Sequence[Pair]) -> tuple[list[Pair], list[str]]:
    """Each pair once, however its draft is written, and notes on those that were named again."""
    kept: dict[object, Pair] = {}
    notes = []
    for pair in pairs:
        assert pair.draft is not None
        first = kept.setdefault((pair.draft.shape, pair.draft.dtype, pair.head), pair)
        if first is not pair:
            notes.append(f"{pair.at.draft} is the draft {first.at.draft} again: ranked once")
    return list(kept.values()), notes


def existing_drafts(pair: Pair, *, largest: float = 0.5) -> tuple[str, ...]:
    """Released models that share the family's name and the vocabulary of a target, small to large.

    largest: share of the target's parameters that a draft may have.
    """
    from ..calibrate.models import models

    target = pair.target
    assert target is not None
    line = target.shape.family.split("-")[0]
    found = [
        m.shape
        for m in models().values()
        if m.shape.family.split("-")[0] == line
        and m.shape.vocab
        and abs(m.shape.vocab / target.shape.vocab - 1.0) < _SAME_VOCABULARY
        and not m.shape.is_moe
        and m.shape.parameters() <= largest * target.parameters
    ]
    return tuple(s.name for s in sorted(found, key=lambda s: float(s.parameters())))


@dataclass(frozen=True)
class Found:
    """Candidates in the order of their names, the kind of their acceptance, and notes on it."""

    drafts: tuple[Candidate, ...]
    kind: Kind
    notes: tuple[str, ...]


def candidates(pairs: Sequence[Pair], given: Sources, top: int, seed: int) -> Found:
    """What is known of drafts of one target at gamma = 0..top, from sources or predicted."""
    if not given.open:
        laws = [
            both_laws(p.at, given, gamma_max=top, seed=seed, member=i) for i, p in enumerate(pairs)
        ]
        notes = tuple(n for known in laws for n in known.acceptance.notes)
        return Found(tuple(map(_candidate, laws)), laws[0].acceptance.kind, notes)
    made: list[Candidate] = []
    more: list[str] = []
    for i, one in enumerate(common_laws(pairs, given, top, seed)):
        mine, p = _candidate(one), one.pair
        more += one.acceptance.notes
        if p.head is None and p.at.p_min is None and given.known_draft is None:
            known = published(p, mine.tokens, mine.costs, np.random.default_rng([seed, i]))
            mine = mine if known is None else _kept(mine, known)
            more += () if known is None else known.notes
        made.append(mine)
    return Found(tuple(made), "predicted", tuple(more))


def _kept(mine: Candidate, known: Published) -> Candidate:
    """The draws that what was published of a pair leaves."""
    costs = known.costs(mine.costs)
    return replace(mine, tokens=mine.tokens[known.keep], alpha=mine.alpha[known.keep], costs=costs)


def _candidate(known: Laws) -> Candidate:
    draft = known.pair.models[1]
    return Candidate(draft, known.tokens(), known.acceptance.alpha, known.costs)


def _rank(
    candidates: Sequence[Candidate],
    *,
    batch: float,
    context: float,
    objective: Objective,
    level: float,
) -> Ranking:
    choices, fits = [], []
    for c in candidates:
        times = c.costs.law.round_time(c.tokens.shape[-1] - 1, batch=batch, context=context)
        table = c.tokens * (times[..., :1] / times)
        choices.append(choose(table, objective=objective, level=level, plain=times[..., 0]))
        fits.append(c.costs.memory is None or c.costs.memory.holds(batch))
    able = [i for i, good in enumerate(fits) if good]
    chance, near, regret = np.zeros((3, len(choices)))
    worth, plain = np.array([c.speedup for c in choices]), 1.0
    if able:
        those = [choices[i] for i in able]
        found = among(those)
        chance[able], plain = found.probability_best[1:], float(found.probability_best[0])
        near[able], regret[able] = found.probability_within[1:], found.expected_regret[1:]
        worth[able] = between(those)
    order = sorted(range(len(choices)), key=lambda i: (not fits[i], -worth[i]))
    ranked = tuple(
        RankedDraft(
            candidates[i].draft, choices[i], float(worth[i]), float(chance[i]), float(near[i]),
            float(regret[i]), candidates[i].alpha,
            candidates[i].costs.cost_ratio(batch=batch, context=context),
            candidates[i].costs.memory, fits[i],
        )
        for i in order
    )  # fmt: skip
    return Ranking(batch, context, ranked, plain)


def _notes(rankings: Sequence[Ranking], more: Sequence[str]) -> tuple[str, ...]:
    lines = []
    for ranking in rankings:
        tight = [d.draft.called for d in ranking.drafts if not d.fits]
        if tight:
            lines.append(f"does NOT fit at batch {ranking.batch:g}: {', '.join(tight)}")
            lines += [d.memory.line for d in ranking.drafts[-1:] if d.memory is not None]
        elif ranking.drafts[0].choice.gamma == 0:
            lines.append(f"NO: at batch {ranking.batch:g} none of the drafts pays")
        lines += _near(ranking)
    kept = [n for n in more if not n.startswith("does NOT fit")]
    return tuple(dict.fromkeys((*lines, *kept)))


def _near(ranking: Ranking) -> list[str]:
    """A note on drafts as fast as the best one."""
    best = ranking.drafts[0]
    if not best.fits or best.choice.gamma == 0:
        return []
    near = [
        d.draft.called
        for d in ranking.drafts[1:]
        if d.fits and d.choice.gamma and d.choice.speedup >= 0.99 * best.choice.speedup
    ]
    if not near:
        return []
    return [f"flat at batch {ranking.batch:g}: {', '.join(near)} within 1 % of {best.draft.called}"]
