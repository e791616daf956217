r"""The account of a measured speed-up: which loss takes how much of what gamma promises.

    S = (gamma + 1) * product of the factors of the terms

gamma + 1 is the speed-up of a drafter that is always right, drafts in no time, and whose tokens are
verified in the time of a plain step, on requests without a prompt. Each term is what one departure
from that costs: acceptance, drafting, growth of the verifying pass, the batch, overhead, prefill.

    S(T) = (1 + p) / (p + X(T) / N(T)),   ln factor_i = mean over orders of ln S(T + i) - ln S(T)

T is a set of departures, N the tokens of a round, X its time and p the prefill, in plain steps and
in plain decoding. The logarithm is shared out by Shapley's rule: the factors multiply exactly to
the measured ratio, and no order of the terms is preferred (2^n sets, n <= 6).
What the inputs only determine as a sum is one term: it is not split by a guess.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from .evidence import Evidence, check_gamma
from .stated import Interval, Stated, check_level, interval

Floats = NDArray[np.float64]
PARTS = ("draft", "verification growth", "overhead")


@dataclass(frozen=True)
class Measured:
    """What was measured, None where it was not. Times in seconds, speeds of all requests together.

    baseline_tokens_per_s, speculative_tokens_per_s: without and with speculation, same load.
    plain_step_s, round_s: a plain step of the target and a whole speculative round.
    draft_step_s, verify_s: one draft step, and the verifying pass over gamma + 1 tokens.
    cost_ratio, verify_slope, overhead: the same in plain steps, per token and per round.
    batch: sequences decoded together. verify_ratio_batch_1: verifying pass over plain step at
    batch 1, which separates the batch. prefill_s, output_tokens: of one request, where the speeds
    include the prefill.
    """

    baseline_tokens_per_s: Stated | None = None
    speculative_tokens_per_s: Stated | None = None
    plain_step_s: Stated | None = None
    round_s: Stated | None = None
    draft_step_s: Stated | None = None
    verify_s: Stated | None = None
    cost_ratio: Stated | None = None
    verify_slope: Stated | None = None
    overhead: Stated | None = None
    verify_ratio_batch_1: Stated | None = None
    prefill_s: Stated | None = None
    output_tokens: Stated | None = None
    batch: float = 1.0

    def __post_init__(self) -> None:
        free = ("cost_ratio", "verify_slope", "overhead")
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Stated):
                low_ok = value.value >= 0.0 if field.name in free else value.value > 0.0
                if not (low_ok and math.isfinite(value.value)):
                    start = "[0" if field.name in free else "(0"
                    raise ValueError(f"{field.name} must be in {start}, inf), got {value.value:g}")
        if not (math.isfinite(self.batch) and self.batch >= 1.0):
            raise ValueError(f"batch must be in [1, inf), got {self.batch:g}")
        if (self.prefill_s is None) != (self.output_tokens is None):
            raise ValueError("a prefill share needs both prefill_s and output_tokens")
        for one, other in (("draft_step_s", "cost_ratio"), ("verify_s", "verify_slope")):
            if getattr(self, one) is not None and getattr(self, other) is not None:
                raise ValueError(f"give {one} or {other}, not both")


@dataclass(frozen=True)
class Term:
    """One departure from the ideal.

    factor: what it multiplies the speed-up by; 1 where it costs nothing. plain_steps: what it adds
    to a round, None for acceptance and prefill. parts: the elementary parts it holds, more than one
    where the inputs do not separate them.
    """

    name: str
    factor: Interval
    plain_steps: Interval | None
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Sample:
    """Draws behind an account, all of shape (draws,); the first row of `parts` follows `names`."""

    tokens: Floats
    parts: Floats
    prefill: Floats
    speedup: Floats


@dataclass(frozen=True)
class Account:
    """The account of one measurement; see the module.

    gamma; ideal = gamma + 1; speedup: measured, end to end; decode_speedup: without the prefill;
    tokens_per_round; round_steps: time of a round in plain steps; plain_step_s: None where only
    ratios are known. terms multiply with ``ideal`` to ``speedup``. contradiction: why the inputs
    cannot all be right, or None. sample: draws in the order of the terms, for predictions.
    """

    gamma: int
    ideal: float
    speedup: Interval
    decode_speedup: Interval
    tokens_per_round: Interval
    round_steps: Interval
    plain_step_s: float | None
    prefill_share: Interval
    terms: tuple[Term, ...]
    contradiction: str | None
    notes: tuple[str, ...]
    sample: Sample


@dataclass(frozen=True)
class _Solved:
    """One solution of the inputs, arrays of one shape; ratios in plain steps."""

    speedup: Floats
    decode: Floats
    tokens: Floats
    steps: Floats
    prefill: Floats
    plain_s: Floats | None
    parts: dict[tuple[str, ...], Floats]
    batch: Floats | None


def explain(
    measured: Measured,
    evidence: Evidence,
    rng: np.random.Generator,
    *,
    gamma: int | None = None,
    level: float = 0.9,
    draws: int = 2000,
) -> Account:
    """The account of a measured speed-up; see the module for the terms.

    measured: at least two of the four speeds and times that give a ratio; evidence: acceptance at
    gamma, `gamma` where it does not say. Raises ValueError for inputs that leave the speed-up open
    or cannot be.
    """
    check_level(level)
    g = _gamma(evidence, gamma)
    middle_tokens, tokens = evidence.tokens(g)
    tokens = np.resize(tokens, draws)
    at = {k: v for k, v in _values(measured).items() if v is not None}
    middle = _solve({k: np.array([v.value]) for k, v in at.items()}, measured.batch, g,
                    np.array([middle_tokens]))  # fmt: skip
    _check(middle)
    drawn = {k: np.maximum(v.draw(rng, draws), 1e-6 * max(v.value, 1e-300)) for k, v in at.items()}
    sample = _solve(drawn, measured.batch, g, tokens)
    good = np.isfinite(sample.speedup) & (sample.decode > 0.0) & (sample.steps > 0.0)
    if good.sum() < 0.5 * draws:
        raise ValueError("the inputs agree only by their rounding: too few digits for an account")
    keep = np.resize(np.flatnonzero(good), draws)
    terms, parts = _terms(middle, sample, keep, g, level)
    spans = {
        name: interval(getattr(sample, name)[keep], level, estimate=float(getattr(middle, name)[0]))
        for name in ("speedup", "decode", "tokens", "steps")
    }
    share = sample.prefill[keep] / (1.0 + sample.prefill[keep])
    p = float(middle.prefill[0])
    return Account(
        gamma=g,
        ideal=g + 1.0,
        speedup=spans["speedup"],
        decode_speedup=spans["decode"],
        tokens_per_round=spans["tokens"],
        round_steps=spans["steps"],
        plain_step_s=None if middle.plain_s is None else float(middle.plain_s[0]),
        prefill_share=interval(share, level, estimate=p / (1.0 + p)),
        terms=terms,
        contradiction=_contradiction(spans["decode"], spans["tokens"], spans["steps"]),
        notes=tuple(_open(terms, measured)),
        sample=Sample(sample.tokens[keep], parts, sample.prefill[keep], sample.speedup[keep]),
    )


def _gamma(evidence: Evidence, gamma: int | None) -> int:
    known = evidence.gamma if gamma is None else gamma
    if known is None:
        raise ValueError("gamma, the draft tokens of a round, is needed and was not given")
    g = check_gamma(known)
    if g > evidence.positions:
        raise ValueError(f"gamma must be at most {evidence.positions}, got {g}")
    return g


def _values(measured: Measured) -> dict[str, Stated | None]:
    return {f.name: getattr(measured, f.name) for f in fields(measured) if f.name != "batch"}


def _solve(at: Mapping[str, Floats], batch: float, gamma: int, tokens: Floats) -> _Solved:
    """Speed-up, round time and its parts from whatever was measured."""
    base, fast = at.get("baseline_tokens_per_s"), at.get("speculative_tokens_per_s")
    plain, whole = at.get("plain_step_s"), at.get("round_s")
    prefill, length = at.get("prefill_s"), at.get("output_tokens")
    none = np.zeros_like(tokens)
    # Seconds of decoding per token of one sequence, without and with speculation.
    before = _per_token(base, batch, prefill, length, "baseline_tokens_per_s")
    after = _per_token(fast, batch, prefill, length, "speculative_tokens_per_s")
    slow = before if before is not None else plain
    quick = after if after is not None else (None if whole is None else whole / tokens)
    if slow is not None and quick is None:
        quick = _put_together(at, slow if plain is None else plain, gamma, tokens)
    if slow is None or quick is None:
        raise ValueError(
            "the speed-up is not determined: it needs baseline_tokens_per_s or plain_step_s, and "
            "speculative_tokens_per_s, round_s, or all parts of a round (draft, verify, overhead)"
        )
    p = none if prefill is None or length is None else prefill / (slow * length)
    decode = slow / quick
    steps = tokens / decode
    unit = plain if plain is not None else slow
    known: dict[tuple[str, ...], Floats] = {}
    if "cost_ratio" in at or "draft_step_s" in at:
        ratio = at["cost_ratio"] if "cost_ratio" in at else at["draft_step_s"] / unit
        known[("draft",)] = gamma * ratio
    if "verify_slope" in at or "verify_s" in at:
        grown = gamma * at["verify_slope"] if "verify_slope" in at else at["verify_s"] / unit - 1.0
        known[("verification growth",)] = grown
    if "overhead" in at:
        known[("overhead",)] = at["overhead"]
    rest = steps - 1.0 - sum(known.values(), none)
    left = tuple(name for name in PARTS if (name,) not in known)
    known[left or ("unexplained",)] = rest
    batch_one = at.get("verify_ratio_batch_1")
    return _Solved(
        speedup=(1.0 + p) / (p + 1.0 / decode),
        decode=decode,
        tokens=tokens,
        steps=steps,
        prefill=p,
        plain_s=unit,
        parts=known,
        batch=None if batch_one is None else batch_one - 1.0,
    )


def _put_together(
    at: Mapping[str, Floats], unit: Floats, gamma: int, tokens: Floats
) -> Floats | None:
    """Seconds per token of a round that was only measured in its parts, None unless in all."""
    draft = at["cost_ratio"] * unit if "cost_ratio" in at else at.get("draft_step_s")
    verify = at.get("verify_s")
    if "verify_slope" in at:
        verify = unit * (1.0 + gamma * at["verify_slope"])
    if draft is None or verify is None or "overhead" not in at:
        return None
    return np.asarray((verify + gamma * draft + at["overhead"] * unit) / tokens)


def _per_token(
    speed: Floats | None, batch: float, prefill: Floats | None, length: Floats | None, name: str
) -> Floats | None:
    """Seconds of decoding per token of one sequence, from a speed of all sequences together."""
    if speed is None:
        return None
    seconds = batch / speed
    if prefill is not None and length is not None:
        seconds = seconds - prefill / length
        if seconds.size == 1 and not seconds[0] > 0.0:
            raise ValueError(
                f"prefill_s must be below the whole request at {name}, "
                f"{float(batch * length[0] / speed[0]):.4g} s, got {float(prefill[0]):.4g}"
            )
    return np.asarray(seconds)


def _check(middle: _Solved) -> None:
    if not (np.isfinite(middle.speedup[0]) and middle.steps[0] > 0.0):
        raise ValueError(f"the speed-up must be in (0, inf), got {middle.speedup[0]:g}")
    least = 1.0 + sum(min(float(v[0]), 0.0) for v in middle.parts.values())
    if not least > 0.0:
        raise ValueError(
            "the parts of a round exceed the round itself by more than a plain step: passes that "
            "overlap, or times of different settings"
        )


def _terms(
    middle: _Solved, sample: _Solved, keep: NDArray[np.intp], gamma: int, level: float
) -> tuple[tuple[Term, ...], Floats]:
    """The terms, and the parts of the draws, shape (parts, draws), in plain steps.

    The parts come in the order of the cost terms, those between acceptance and prefill.
    """
    names, here, there = [], [], []
    for parts, value in middle.parts.items():
        name, drawn = " and ".join(_listed(parts)), sample.parts[parts][keep]
        batch = middle.batch if parts == ("verification growth",) else None
        if batch is not None and sample.batch is not None:
            names += [("verification growth at batch 1", parts), ("batch", ("batch",))]
            here += [batch, value - batch]
            there += [sample.batch[keep], drawn - sample.batch[keep]]
        else:
            names.append((name, parts))
            here.append(value)
            there.append(drawn)
    cost, drawn_cost = np.array(here), np.array(there)
    with_prefill = bool(middle.prefill[0] > 0.0)
    logs = shapley(middle.tokens, cost, middle.prefill, gamma, with_prefill)
    drawn_logs = shapley(sample.tokens[keep], drawn_cost, sample.prefill[keep], gamma, with_prefill)
    labels: list[tuple[str, tuple[str, ...]]] = [("acceptance", ("acceptance",)), *names]
    labels += [("prefill", ("prefill",))] if with_prefill else []
    terms = []
    for i, (name, parts) in enumerate(labels):
        inside = 1 <= i <= len(names)
        added = None
        if inside:
            added = interval(drawn_cost[i - 1], level, estimate=float(cost[i - 1, 0]))
        factor = interval(np.exp(drawn_logs[i]), level, estimate=math.exp(float(logs[i, 0])))
        terms.append(Term(name, factor, added, parts))
    return tuple(terms), drawn_cost


def _listed(parts: Sequence[str]) -> list[str]:
    return [", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else list(parts)


def shapley(
    tokens: Floats, cost: Floats, prefill: Floats, gamma: int, with_prefill: bool
) -> Floats:
    """Shares of ln S - ln(gamma + 1) by Shapley's rule, shape (terms, draws).

    tokens, prefill: shape (draws,); cost: what each part adds to a round, (parts, draws) [plain
    step]. Terms: acceptance, the parts, and the prefill where it counts. The shares sum to
    ln S - ln(gamma + 1) exactly, up to rounding.
    """
    players = 1 + cost.shape[0] + int(with_prefill)
    value: dict[frozenset[int], Floats] = {}
    for size in range(players + 1):
        for chosen in combinations(range(players), size):
            members = frozenset(chosen)
            n = tokens if 0 in members else np.full_like(tokens, gamma + 1.0)
            active = [i - 1 for i in members if 1 <= i <= cost.shape[0]]
            with np.errstate(invalid="ignore", divide="ignore"):
                x = np.maximum(1.0 + cost[active].sum(axis=0), 1e-9)
                p = prefill if players - 1 in members and with_prefill else np.zeros_like(prefill)
                value[members] = np.log((1.0 + p) / (p + x / n))
    shares = np.zeros((players, tokens.size))
    for members, worth in value.items():
        for i in range(players):
            if i not in members:
                size = len(members)
                weight = math.factorial(size) * math.factorial(players - size - 1)
                shares[i] += weight / math.factorial(players) * (value[members | {i}] - worth)
    return shares


def _contradiction(decode: Interval, tokens: Interval, steps: Interval) -> str | None:
    """Why speed-up and tokens per round cannot both be right, or None."""
    if steps.estimate >= 1.0:
        return None
    sure = "" if steps.high < 1.0 else " (within the rounding of the inputs they may still agree)"
    return (
        f"the measured speed-up of decoding, {decode.estimate:.3g}, exceeds the tokens per round, "
        f"{tokens.estimate:.3g}{sure}: a round would take less than a plain step. The baseline is "
        "too slow (another batch, eager mode, no graphs), the tokens are counted without the bonus "
        "token or over other rounds, or the two speeds count different things"
    )


def _open(terms: Sequence[Term], measured: Measured) -> list[str]:
    """What the inputs leave together, and the measurement that would separate it."""
    wanted = {
        frozenset(PARTS): "one draft step (--draft-step-ms) separates drafting, the verifying pass "
        "(--verify-ms) the rest",
        frozenset({"verification growth", "overhead"}): "the time of the verifying pass "
        "(--verify-ms) separates them",
        frozenset({"draft", "overhead"}): "the time of one draft step (--draft-step-ms) separates "
        "them",
        frozenset({"draft", "verification growth"}): "the time of one draft step (--draft-step-ms) "
        "separates them",
    }
    notes = []
    for term in terms:
        if len(term.parts) > 1:
            notes.append(f"{term.name} are known as a sum: {wanted[frozenset(term.parts)]}")
        added = term.plain_steps
        if added is not None and added.high < 0.0:
            notes.append(
                f"{term.name} comes out negative ({added.estimate:.3g} plain steps): passes "
                "overlap, or the parts were measured in other settings than the speeds"
            )
    grown = any(t.name == "verification growth" for t in terms)
    if measured.batch > 1 and grown:
        notes.append(
            f"growth at batch {measured.batch:g} holds what the batch adds: the verifying pass "
            "over the plain step at batch 1 (--verify-ratio-batch-1) separates it"
        )
    return notes
