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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...calibrate.evidence import check_gamma
from ...calibrate.known import KnownAcceptance, KnownCosts
from ...theory.domain import Floats
from ...theory.interval import Interval, check_level, interval
from .measured import PARTS, Measured, Solved, check_solved, given_values, solve
from .terms import Term, terms_of

_LEAST_SHARE = 0.02  # of the draws of costs; fewer that fit the measured round are chance


@dataclass(frozen=True)
class Sample:
    """Draws behind an account, shape (draws,); parts: of the cost terms in turn, (terms, draws).

    tokens: of a drafting round; coverage: share of the target's steps that draft.
    """

    tokens: Floats
    coverage: Floats
    parts: Floats
    prefill: Floats
    speedup: Floats


@dataclass(frozen=True)
class Account:
    """The account of one measurement; see the module.

    gamma; ideal = gamma + 1; speedup: measured, end to end; decode_speedup: without the prefill;
    tokens_per_round: of a step that drafted; coverage: share of the target's steps that draft, 1
    where nothing else is known; tokens_per_target_step: 1 - coverage + coverage x tokens_per_round,
    what decides time; round_steps: time of a mean step, a round where all draft, in plain steps;
    plain_step_s: None where only ratios are known. terms multiply with ``ideal`` to ``speedup``.
    contradiction: why the inputs cannot all be right, or None. sample: draws in the order of the
    terms, for predictions.
    """

    gamma: int
    ideal: float
    speedup: Interval
    decode_speedup: Interval
    tokens_per_round: Interval
    tokens_per_target_step: Interval
    coverage: float
    round_steps: Interval
    plain_step_s: float | None
    prefill_share: Interval
    terms: tuple[Term, ...]
    contradiction: str | None
    notes: tuple[str, ...]
    sample: Sample


def explain(
    measured: Measured,
    known: KnownAcceptance,
    rng: np.random.Generator,
    *,
    gamma: int | None = None,
    level: float = 0.9,
    costs: KnownCosts | None = None,
    context: float = 0.0,
    draws: int = 2000,
) -> Account:
    """The account of a measured speed-up; see the module for the terms.

    measured: at least two of the four speeds and times that give a ratio; known: acceptance at
    gamma, `gamma` where it does not say. costs: of the pair, at ``context`` cached tokens; they
    split what the measurement shows only as a sum, the last part being what is left. Raises
    ValueError for inputs that leave the speed-up open or cannot be.
    """
    check_level(level)
    g = _gamma(known, gamma)
    middle_tokens, tokens = known.tokens(g)
    tokens = np.resize(tokens, draws)
    shares = np.ones(1) if known.coverage is None else known.coverage
    coverage = np.resize(shares, draws)
    at = {k: v for k, v in given_values(measured).items() if v is not None}
    given = {k: np.array([v.value]) for k, v in at.items()}
    center = (np.array([middle_tokens]), np.array([np.median(shares)]))
    split: dict[str, Floats] = {}
    if costs is not None:
        left = solve(given, measured.batch, g, *center)
        split = _split(measured, left, costs, g, context)
    given |= {k: np.array([np.median(v)]) for k, v in split.items()}
    middle = solve(given, measured.batch, g, *center)
    check_solved(middle)
    drawn = {k: np.maximum(v.draw(rng, draws), 1e-6 * max(v.value, 1e-300)) for k, v in at.items()}
    drawn |= {k: np.resize(v, draws) for k, v in split.items()}
    sample = solve(drawn, measured.batch, g, tokens, coverage)
    good = np.isfinite(sample.speedup) & (sample.decode > 0.0) & (sample.steps > 0.0)
    if good.sum() < 0.5 * draws:
        raise ValueError("the inputs agree only by their rounding: too few digits for an account")
    keep = np.resize(np.flatnonzero(good), draws)
    terms, parts = terms_of(middle, sample, keep, g, level)
    q = float(middle.coverage[0])
    per_step = 1.0 - coverage[keep] + coverage[keep] * sample.tokens[keep]
    step = interval(per_step, level, estimate=1.0 - q + q * float(middle.tokens[0]))
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
        tokens_per_target_step=step,
        coverage=q,
        round_steps=spans["steps"],
        plain_step_s=None if middle.plain_s is None else float(middle.plain_s[0]),
        prefill_share=interval(share, level, estimate=p / (1.0 + p)),
        terms=terms,
        contradiction=_contradiction(spans["decode"], step, spans["steps"]),
        notes=(*_splitting(split, costs), *_open(terms, measured)),
        sample=Sample(
            sample.tokens[keep], coverage[keep], parts, sample.prefill[keep], sample.speedup[keep]
        ),
    )


def _gamma(known: KnownAcceptance, gamma: int | None) -> int:
    stated = known.gamma if gamma is None else gamma
    if stated is None:
        raise ValueError("gamma, the draft tokens of a round, is needed and was not given")
    g = check_gamma(stated)
    if g > known.positions:
        raise ValueError(f"gamma must be at most {known.positions}, got {g}")
    return g


def _split(
    measured: Measured, left: Solved, costs: KnownCosts, gamma: int, context: float
) -> dict[str, Floats]:
    """Draws of the parts that were not measured, all but the last of them, which is what is left.

    left: the account without costs. A draft step and the growth of the verifying pass per token, in
    plain steps; only draws whose sum the measured round has room for, all of them scaled down where
    it has room for none.
    """
    load = {"batch": measured.batch, "context": context}
    names = {
        "draft": ("cost_ratio", "draft_step_s"),
        "verification growth": ("verify_slope", "verify_s"),
        "overhead": ("overhead",),
    }  # fmt: skip
    missing = tuple(
        part for part, keys in names.items() if all(getattr(measured, k) is None for k in keys)
    )
    if len(missing) < 2:
        return {}
    found: dict[str, Floats] = {}
    ratio, growth = costs.cost_ratio(**load), costs.growth(gamma, **load)
    if "draft" in missing[:-1] and ratio is not None:
        found["cost_ratio"] = ratio
    if "verification growth" in missing[:-1] and growth is not None:
        found["verify_slope"] = growth / gamma
    if not found:
        return {}
    sizes = {k: v.size for k, v in found.items()}
    found = {k: np.resize(v, max(sizes.values())) for k, v in found.items()}
    total = gamma * sum(found.values(), np.zeros(1))
    room = max(float(left.parts[missing][0]), 0.0)
    holds = np.flatnonzero(total <= room)
    if holds.size < _LEAST_SHARE * total.size:
        return {k: v * np.minimum(room / np.maximum(total, 1e-300), 1.0) for k, v in found.items()}
    return {k: v[holds] for k, v in found.items()}


def _splitting(split: Mapping[str, Floats], costs: KnownCosts | None) -> list[str]:
    """A note on the parts that were not measured."""
    if not split or costs is None:
        return []
    words = {"cost_ratio": "a draft step", "verify_slope": "the growth of the verifying pass"}
    parts = " and ".join(f"{words[k]} ({np.median(v):.3g} plain steps)" for k, v in split.items())
    return [
        f"not timed in this run: {parts}; these are {costs.kind} ({costs.given}), and overhead is "
        "what is left"
    ]


def _contradiction(decode: Interval, tokens: Interval, steps: Interval) -> str | None:
    """Why speed-up and tokens per round cannot both be right, or None."""
    if steps.estimate >= 1.0:
        return None
    sure = "" if steps.high < 1.0 else " (within the rounding of the inputs they may still agree)"
    return (
        f"the measured speed-up of decoding, {decode.estimate:.3g}, exceeds the tokens per step of "
        f"the target, {tokens.estimate:.3g}{sure}: a step would take less than a plain step. The "
        "baseline is too slow (another batch, eager mode, no graphs), the tokens are counted "
        "without the bonus token or over other rounds, or the two speeds count different things"
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
