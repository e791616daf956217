r"""Rounds of a record as laws: what they accepted, and what they and plain steps took.

Of a cost record, rounds and plain steps that were timed as they follow one another:

    round(gamma) = first pass + (gamma - 1) later passes + gamma draws + verify(gamma) + the rest

Every part is a trimmed mean over the repeats at one context. The draft's passes and draws are of
all gammas together. The verifying pass is the target's whatever the draft: its time in plain steps
is shrunk towards the mean over the record's drafts, as far as they do not differ by more than their
errors (an empirical Bayes estimate with the between-draft variance of DerSimonian and Laird, 1986).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...theory.acceptance import PositionalAcceptance
from ...theory.domain import Floats
from ..records import Record

Point = Mapping[str, Any]
TRIMMED = 0.2  # of the times, on either side
STRETCHES = 4  # of a block of repeats: neighbours share the state that the machine was in


@dataclass(frozen=True)
class Rounds:
    """Speculative rounds of one draft: accepted tokens of every request, domains apart.

    drafted: tokens drafted in every round; accepted: one array a request; domains: of each.
    """

    drafted: int
    accepted: tuple[NDArray[np.int64], ...]
    domains: tuple[str, ...]

    @cached_property
    def reached(self) -> Floats:
        """Rounds of every request that accepted at least k tokens, (requests, drafted + 1)."""
        at = np.arange(self.drafted + 1)
        return np.array([(a[:, None] >= at).sum(axis=0) for a in self.accepted], dtype=float)

    def survival(self, weights: Floats | None = None) -> Floats:
        """s_0..s_drafted, requests counted ``weights`` times (default once), (drafted + 1,)."""
        w = np.ones(len(self.accepted)) if weights is None else weights
        total = w @ self.reached
        return np.asarray(total / total[0])

    def law(self) -> PositionalAcceptance:
        """The survival as an acceptance law, hazards by position."""
        return PositionalAcceptance(_hazards(self.survival()))

    def sample(self, rng: np.random.Generator, *, draws: int) -> Floats:
        """Survivals of bootstrap samples of requests, each domain resampled on its own.

        Requests are drawn with Dirichlet weights; shape (draws, drafted + 1).
        """
        domains = np.array(self.domains)
        weights = np.zeros((draws, domains.size))
        for name in dict.fromkeys(self.domains):
            own = np.flatnonzero(domains == name)
            weights[:, own] = rng.dirichlet(np.ones(own.size), draws) * own.size
        return np.array([self.survival(w) for w in weights])


def _hazards(survival: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = survival[1:] / survival[:-1]
    return np.where(np.isfinite(rates), rates, 0.0)


def rounds_of(
    record: Record, draft: str, *, temperature: float, domains: Sequence[str] | None = None
) -> Rounds:
    """The rounds of a draft in an acceptance record. Raises ValueError where there are none."""
    found = [
        p
        for p in record.points
        if p.get("type") == "rounds"
        and p["draft"] == draft
        and p["temperature"] == temperature
        and (domains is None or p["domain"] in domains)
        and p.get("accepted")
    ]
    if not found:
        raise ValueError(
            f"the acceptance record must hold rounds of {draft} at temperature {temperature:g}"
        )
    if len({str(p["drafted"]) for p in found}) > 1 or not isinstance(found[0]["drafted"], int):
        raise ValueError(
            f"drafted must be one number in all rounds of {draft}, got {found[0]['drafted']}, "
            f"... {found[-1]['drafted']}"
        )
    return Rounds(
        int(found[0]["drafted"]),
        tuple(np.array(p["accepted"], dtype=np.int64) for p in found),
        tuple(str(p["domain"]) for p in found),
    )


@dataclass(frozen=True)
class TimedRounds:
    """Rounds of a draft and the plain steps among them, at one batch [s].

    contexts: (c,), increasing; gammas: (g,), increasing from 0, the plain step; times_s, draft_s:
    (2, c, g), whole rounds and the draft's passes in them, where the first of these read one token
    and where it read two; error: (g,) standard error of ln(round / plain step), from what stretches
    of repeats differ by.
    """

    contexts: Floats
    gammas: NDArray[np.int64]
    times_s: Floats
    draft_s: Floats
    error: Floats

    def round_time(self, context: float) -> Floats:
        """Rounds at the timed gammas, (2, g) [s]; beyond the timed contexts as at the nearest."""
        return self._at(self.times_s, context)

    def draft_time(self, context: float) -> Floats:
        """The draft's passes in them, (2, g) [s]."""
        return self._at(self.draft_s, context)

    def _at(self, values: Floats, context: float) -> Floats:
        return np.array(
            [[np.interp(context, self.contexts, line) for line in start.T] for start in values]
        )


def timed_rounds(
    record: Record, target: str, draft: str, *, batch: int = 1, mode: str = "eager"
) -> TimedRounds | None:
    """The rounds of two models in a cost record, or None where it has none.

    Contexts at which a round or the plain step could not be measured are left out.
    """
    cells = _cells(record, target, batch, mode)
    gammas = sorted(set().union(*(set(cell) for (d, _), cell in cells.items() if d == draft)))
    if len(gammas) < 2 or gammas[0] != 0:
        return None
    whole = {place: cell for place, cell in cells.items() if set(gammas) <= set(cell)}
    contexts = sorted(c for d, c in whole if d == draft)
    if not contexts:
        return None
    times, drafting, errors = [], [], []
    for context in contexts:
        beside = {d: _Parts(cell, gammas) for (d, c), cell in whole.items() if c == context}
        own = beside[draft]
        verify = shrunk(
            np.array([parts.verify for parts in beside.values()]),
            np.array([parts.verify_error for parts in beside.values()]),
        )[list(beside).index(draft)]
        passes = own.passes()
        rounds = passes + own.around() + own.step_s * np.append(0.0, verify)
        rounds[:, 0] = own.step_s
        times.append(rounds)
        drafting.append(passes)
        errors.append(own.error())
    error = np.sqrt((np.array(errors) ** 2).mean(axis=0) / len(contexts))
    return TimedRounds(
        np.array(contexts, dtype=float),
        np.array(gammas),
        np.stack(times, axis=1),
        np.stack(drafting, axis=1),
        error,
    )


def shrunk(values: Floats, errors: Floats) -> Floats:
    """Values of several drafts drawn to their mean as far as their errors explain the differences.

    values, errors: shape (drafts, n), standard errors > 0 or all 0; the variance between drafts is
    one number for all columns, after DerSimonian and Laird.
    """
    drafts = len(values)
    if drafts < 2 or not (errors > 0).all():
        return values
    weight = 1.0 / errors**2
    mean = (weight * values).sum(axis=0) / weight.sum(axis=0)
    excess = (weight * (values - mean) ** 2).sum() - (drafts - 1) * values.shape[1]
    scale = (weight.sum(axis=0) - (weight**2).sum(axis=0) / weight.sum(axis=0)).sum()
    between = max(0.0, float(excess / scale))
    weight = 1.0 / (errors**2 + between)
    mean = (weight * values).sum(axis=0) / weight.sum(axis=0)
    return np.asarray(mean + between / (between + errors**2) * (values - mean))


class _Parts:
    """What the rounds of one draft at one context are made of."""

    def __init__(self, cell: Mapping[int, Point], gammas: Sequence[int]) -> None:
        self.cell, self.gammas = cell, np.array(gammas)
        self.rounds = [cell[g] for g in gammas if g]
        self.step_s = _mean(cell[0]["times_s"])
        self.verify = np.array([_mean(p["verify_s"]) for p in self.rounds]) / self.step_s
        # A few stretches say little of one round's error, so all rounds share theirs.
        passes = np.mean([_error(p["verify_s"]) ** 2 for p in self.rounds])
        self.verify_error = self.verify * np.sqrt(passes + _error(cell[0]["times_s"]) ** 2)

    def passes(self) -> Floats:
        """The draft's passes, (2, g): the first reads one token, or two."""
        first = [
            np.concatenate([np.array(p["first_draft_s"])[_behind(p) == b] for p in self.rounds])
            for b in (1, 2)
        ]
        one, two = (first[b] if first[b].size else first[1 - b] for b in (0, 1))
        later = [np.array(p["draft_s"]) / (p["tokens"] - 1) for p in self.rounds if "draft_s" in p]
        more = np.maximum(self.gammas - 1, 0) * (_mean(np.concatenate(later)) if later else 0.0)
        times = [np.where(self.gammas > 0, _mean(f) + more, 0.0) for f in (one, two)]
        return np.array(times)

    def around(self) -> Floats:
        """Draws, the rule and what is left of a round, (g,)."""
        draw_s = _mean(np.concatenate([np.array(p["draw_s"]) / p["tokens"] for p in self.rounds]))
        rest = [_mean(np.array(p["rule_s"]) + np.array(p["other_s"])) for p in self.rounds]
        return np.asarray(self.gammas * draw_s + np.append(0.0, rest))

    def error(self) -> Floats:
        """Relative error of rounds over plain steps, (g,), entry 0 being 0."""
        steps = _stretches(self.cell[0]["times_s"])
        found = [0.0]
        for point in self.rounds:
            rounds = _stretches(point["times_s"])
            count = min(len(rounds), len(steps))
            ratio = np.log(rounds[:count] / steps[:count])
            found.append(float(ratio.std(ddof=1) / np.sqrt(count)) if count > 1 else 0.0)
        return np.array(found)


def _cells(
    record: Record, target: str, batch: int, mode: str
) -> dict[tuple[str, int], dict[int, Point]]:
    """Points by (draft, context) and gamma, 0 for the plain steps; those with an error left out."""
    found: dict[tuple[str, int], dict[int, Point]] = defaultdict(dict)
    for p in record.points:
        if p["operation"] not in ("round", "step") or not p.get("times_s"):
            continue
        if (p["target"], p["batch"], p["mode"]) == (target, batch, mode):
            gamma = 0 if p["operation"] == "step" else int(p["tokens"])
            found[str(p["model"]), int(p["context"])][gamma] = p
    return found


def _behind(point: Point) -> NDArray[np.int64]:
    return np.array(point["behind"], dtype=np.int64)


def _mean(times: Any) -> float:
    """Mean without the `TRIMMED` share of the times on either side."""
    values = np.sort(np.asarray(times, dtype=float))
    cut = int(TRIMMED * values.size)
    return float(values[cut : values.size - cut].mean())


def _stretches(times: Sequence[float]) -> Floats:
    """Means of consecutive stretches of the times, as they were taken."""
    parts = np.array_split(np.asarray(times, dtype=float), min(STRETCHES, len(times)))
    return np.array([_mean(part) for part in parts])


def _error(times: Sequence[float]) -> float:
    """Relative standard error of the mean, by stretches; 0 where there is only one."""
    means = _stretches(times)
    if means.size < 2:
        return 0.0
    return float(means.std(ddof=1) / means.mean() / np.sqrt(means.size))
