"""Measurements of servers in rows, and two of them beside each other: what changed, and why.

    time of a token = time of a step of the target / tokens of a step

so that a change is one of the steps, of what they give, or of both. Waves of the same prompts are
compared with one another where both records have them; else their means are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...theory.interval import Interval, check_level, median_interval
from ..records import Record
from ..records.merge import difference
from .laws import between_starts
from .served import Configuration, Floats, Served, Wave

DRAWS = 4000


@dataclass(frozen=True)
class Change:
    """Second over first at one batch size.

    speed: tokens a second of all sequences; steps: target steps a second; tokens: tokens of a step;
    first_token: time to the first token; each as a ratio with its interval, None where one of the
    records does not tell. paired: whether waves of the same prompts were compared.
    """

    batch: int
    speed: Interval
    steps: Interval | None
    tokens: Interval | None
    first_token: Interval
    paired: bool

    @property
    def verdict(self) -> str:
        """What the interval of the speed says, in a word."""
        if self.speed.low > 1.0:
            return "faster"
        return "slower" if self.speed.high < 1.0 else "no difference seen"

    @property
    def explained(self) -> str:
        """Which of steps and tokens changed the speed more."""
        if self.steps is None or self.tokens is None:
            return "not told: the counters of one server are missing"
        by_steps, by_tokens = np.log(self.steps.estimate), np.log(self.tokens.estimate)
        if abs(by_steps) < 0.01 and abs(by_tokens) < 0.01:
            return "neither changed"
        more = f"tokens a step x{self.tokens.estimate:.2f}, steps/s x{self.steps.estimate:.2f}"
        opposed = by_steps * by_tokens < 0.0
        return more + (", against each other" if opposed else "")


def compare_records(
    first: Record, second: Record, rng: np.random.Generator, *, level: float = 0.9
) -> tuple[Change, ...]:
    """The changes at every batch that both records have.

    Raises ValueError for records of another kind, of several configurations, or without a common
    batch.
    """
    check_level(level)
    one, other = (_only(r)[1] for r in (first, second))
    common = [b for b in one if b in other]
    if not common:
        shown = (", ".join(map(str, levels)) for levels in (one, other))
        raise ValueError("records must share a batch, got {} and {}".format(*shown))
    alike = first.settings.get("prompts") == second.settings.get("prompts")
    between = between_starts(Served((first, second)))
    return tuple(_change(b, one[b], other[b], alike, between, rng, level) for b in common)


def configuration_of(record: Record) -> Configuration:
    """The one configuration of a record of kind "serving"."""
    return _only(record)[0]


def differences(first: Record, second: Record) -> tuple[str, ...]:
    """What differs between two servers and how they were measured, a line each."""
    lines = []
    for place in ("server", "models", "device"):
        here, there = (r.provenance.get(place) for r in (first, second))
        if isinstance(here, dict) and isinstance(there, dict):
            for name in dict.fromkeys((*here, *there)):
                lines.append(difference({name: here.get(name)}, {name: there.get(name)}))
        else:
            lines.append(difference({place: here}, {place: there}))
    for name in ("new_tokens", "temperature", "prompts", "api"):
        here, there = (r.settings.get(name) for r in (first, second))
        lines.append(difference({name: here}, {name: there}))
    words = (x.replace(" here and ", " in the first and ") for x in lines if x)
    return tuple(x.removesuffix(" there") + " in the second" for x in words)


def _only(record: Record) -> tuple[Configuration, dict[int, list[Wave]]]:
    if record.kind != "serving":
        raise ValueError(f"records must be of kind serving, got {record.kind}")
    waves = Served((record,)).waves
    if len(waves) > 1:
        raise ValueError(f"a record must be of one server, got {len(waves)} configurations")
    return next(iter(waves.items()))


def _change(
    batch: int,
    one: list[Wave],
    other: list[Wave],
    alike: bool,
    spread: float,
    rng: np.random.Generator,
    level: float,
) -> Change:
    both = {w.point["wave"] for w in one} & {w.point["wave"] for w in other} if alike else set()
    paired = len(both) > 1
    if paired:
        one, other = ([w for w in s if w.point["wave"] in both] for s in (one, other))
        one, other = (sorted(s, key=lambda w: int(w.point["wave"])) for s in (one, other))
    ours = rng.dirichlet(np.ones(len(one)), DRAWS)
    theirs = ours if paired else rng.dirichlet(np.ones(len(other)), DRAWS)
    between = np.exp(spread * np.sqrt(2.0) * rng.standard_normal(DRAWS))

    def interval(sample: Floats) -> Interval:
        return median_interval(sample, level)

    speed = _speed(other, theirs) / _speed(one, ours) * between
    known = all(w.tokens_per_step is not None for w in (*one, *other))
    tokens = _tokens(other, theirs) / _tokens(one, ours) if known else None
    first = _first(other, theirs) / _first(one, ours) * between
    return Change(
        batch, interval(speed), None if tokens is None else interval(speed / tokens),
        None if tokens is None else interval(tokens), interval(first), paired,
    )  # fmt: skip


def _speed(waves: list[Wave], weight: Floats) -> Floats:
    tokens = np.array([w.window_tokens for w in waves], dtype=np.float64)
    return np.asarray((weight @ tokens) / (weight @ np.array([w.window_s for w in waves])))


def _tokens(waves: list[Wave], weight: Floats) -> Floats:
    steps = np.array([w.steps or 0 for w in waves], dtype=np.float64)
    accepted = np.array([w.accepted or 0 for w in waves], dtype=np.float64)
    return np.asarray(1.0 + (weight @ accepted) / (weight @ steps))


def _first(waves: list[Wave], weight: Floats) -> Floats:
    return np.asarray(weight @ np.array([w.first_s.mean() for w in waves]))


@dataclass(frozen=True)
class Level:
    """One configuration at one batch size, means over its waves.

    configuration: in words; first_token_ms: median time to the first token; token_ms: time of a
    token of one sequence while all decode; gap_95_ms: between pieces of an answer, 95th percentile;
    tokens_per_s: of all sequences while all decode; step_ms: time of a step of the target;
    tokens_per_step, coverage, survival: tokens per step, share of steps that drafted, share of
    steps that accepted draft token k; None where the server tells nothing of it.
    """

    configuration: str
    batch: int
    requests: int
    tokens: int
    first_token_ms: float
    token_ms: float
    gap_95_ms: float
    tokens_per_s: float
    step_ms: float | None
    tokens_per_step: float | None
    coverage: float | None
    survival: tuple[float, ...] | None


def levels_of(record: Record) -> tuple[Level, ...]:
    """The levels of a record of kind "serving", by configuration and batch."""
    found = Served((record,))
    return tuple(
        _level(what.called, batch, waves)
        for what, levels in found.waves.items()
        for batch, waves in levels.items()
    )


def _level(called: str, batch: int, waves: list[Wave]) -> Level:
    time_s = sum(w.window_s for w in waves)
    tokens = sum(w.window_tokens for w in waves)
    token_s = time_s * batch / tokens
    gaps = np.concatenate([w.gaps_s for w in waves])
    known = [w for w in waves if w.tokens_per_step is not None]
    steps = sum(w.steps or 0 for w in known)
    per_step = 1.0 + sum(w.accepted or 0 for w in known) / steps if steps else None
    gamma = int(waves[0].point["gamma"])
    rounds = [w.point["rounds"] for w in known]
    counted = gamma and rounds and None not in rounds
    placed = [w.reached for w in known if w.reached is not None]
    kept = np.sum(np.array(placed), axis=0) if placed else None
    return Level(
        called, batch, sum(len(w.point["tokens"]) for w in waves), sum(w.tokens for w in waves),
        1e3 * float(np.median(np.concatenate([w.first_s for w in waves]))), 1e3 * token_s,
        1e3 * float(np.quantile(gaps, 0.95)) if gaps.size else 0.0, batch / token_s,
        None if per_step is None else 1e3 * token_s * per_step, per_step,
        min(sum(rounds) / steps, 1.0) if counted else None,
        None if kept is None else tuple(float(n) for n in kept / steps),
    )  # fmt: skip
