"""Whether anything is broken, before any economics: one rule a function, each with its source.

A rule looks at a `Case` and is silent unless what it sees cannot be a healthy run. Thresholds are
bounds of intervals, so that few tokens say nothing. The usual causes stand in health.csv.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from scipy.special import betaincinv

from .counts import EngineCounts, Group

# What is broken, the evidence, and causes of this very case.
_Said = tuple[str, ...] | None


@dataclass(frozen=True)
class Case:
    """One run; None for what is not known.

    counts: its statistics; decode_speedup: of decoding over plain decoding, measured, with low and
    high end; step_ratio: time of a mean step over a plain step; batch: sequences decoded together;
    explained: whether the parts of a round were measured, so that a cost is no riddle.
    """

    counts: EngineCounts | None = None
    decode_speedup: float | None = None
    speedup_range: tuple[float, float] | None = None
    tokens_per_target_step: float | None = None
    step_ratio: float | None = None
    batch: float | None = None
    explained: bool = False


@dataclass(frozen=True)
class Finding:
    """Something that is broken.

    rule: its name; says: what, in one clause; evidence: the numbers; causes: the usual ones, the
    likeliest first; source: where such a case was reported.
    """

    rule: str
    says: str
    evidence: str
    causes: tuple[str, ...]
    source: str

    @property
    def line(self) -> str:
        """The finding in one line."""
        return f"{self.says} ({self.evidence}); usual causes: {'; '.join(self.causes)}"


def highest_share(hits: float, trials: float) -> float:
    """The upper end of the interval of Clopper and Pearson of a share at 99 %."""
    return float(betaincinv(hits + 1.0, trials - hits, 0.995)) if hits < trials else 1.0


_WORKING = 0.05  # a drafter that works at all is accepted more often at its first token
_TOKENS = 200


def nothing_accepted(case: Case) -> _Said:
    """Nothing accepted at position 1: the drafter does not work at all.

    Fewer than 5 % accepted at position 1, whatever the luck of the draw.
    Source: vllm-project/vllm issue 6768 (42,272 draft tokens of Medusa, none accepted) and issue
    55605 (MTP at most 2.4 % at position 1 on repetitive text, where a working head has 60 to 80 %).
    """
    counts = case.counts
    if counts is None or counts.drafted is None or counts.drafted < _TOKENS:
        return None
    rounds = counts.rounds or (counts.rounds_range or (0, 0))[0]
    if counts.accepted == 0:
        hits, trials = 0.0, float(rounds or counts.drafted)
    elif rounds and counts.survival and counts.accepted_is_prefix:
        hits, trials = counts.survival[0] * rounds, float(rounds)
    else:
        return None
    if highest_share(hits, trials) >= _WORKING:
        return None
    share = "nothing" if hits == 0 else f"{hits / trials:.1%}"
    return (
        f"the drafter does not work: {share} accepted at position 1",
        f"{counts.drafted} draft tokens, {counts.accepted} accepted",
    )


_FALL, _LEAST, _TRIED = 0.4, 0.3, 100.0


def collapses(case: Case) -> _Said:
    """Acceptance that collapses after a position: a head used beyond what it was trained for.

    A conditional rate below 40 % of the one before it, of positions tried 100 times and more.
    Source: AEON-7/Qwen3.6-27B-AEON-Ultimate-Uncensored-DFlash issue 6 (0.062 at position 5, none
    after it, and 0.242, 0.030, none): sliding-window layers of the draft run as full attention,
    mended in vllm-project/vllm pull request 40898. A head that is applied more often than it was
    trained for (issue 52688 there) falls as well, less steeply.
    """
    counts = case.counts
    found = None if counts is None or not counts.accepted_is_prefix else counts.position_counts()
    if found is None:
        return None
    tried, kept = found
    for k in range(1, kept.size):
        if tried[k] < _TRIED or not tried[k - 1]:
            return None
        before, now = kept[k - 1] / tried[k - 1], kept[k] / tried[k]
        if before >= _LEAST and highest_share(kept[k], tried[k]) < _FALL * before:
            return (
                f"acceptance collapses after position {k}",
                f"{before:.1%} of the tokens tried at position {k} are accepted, {now:.1%} at "
                f"position {k + 1}",
                f"a head that was trained for {k} token{'s' if k > 1 else ''} drafts more: set {k}",
            )
    return None


_ROUNDS, _APART, _Z = 200, 0.15, 6.0
# Rounds of one request are alike: the variance of a mean over requests is some times larger.
_DESIGN = 10.0
_LABEL = "(engine|instance|pod|dp_rank|engine_id|replica|endpoint_url)="
_REPLICA = re.compile(rf"\b{_LABEL}")


def replicas_differ(case: Case) -> _Said:
    """Acceptance that depends on the replica: one of several engines drafts worse than its twins.

    Acceptance lengths of two replicas further apart than 15 % and than their scatter.
    Source: ggml-org/llama.cpp issue 26750 (one draft on two devices: 41 % accepted, and 92 %);
    metrics by engine are those of vllm-project/vllm pull request 24049.
    """
    counts = case.counts
    if counts is None or not counts.format.endswith("prometheus"):
        return None
    parts = [
        g for g in counts.groups if g.rounds and g.rounds >= _ROUNDS and g.accepted is not None
    ]
    parts = [g for g in parts if _REPLICA.search(g.label)]
    alike = {re.sub(rf"{_LABEL}[^,]*,? ?", "", g.label) for g in parts}
    if len(parts) < 2 or len(alike) != 1:
        return None
    worst, best = (pick(parts, key=_mean) for pick in (min, max))
    gap = _mean(best) - _mean(worst)
    error = math.sqrt(_DESIGN * (_variance(best) + _variance(worst)))
    if gap < _APART * (1.0 + _mean(best)) or gap < _Z * error:
        return None
    return (
        "acceptance depends on the replica",
        f"{1 + _mean(worst):.3f} tokens a round at {worst.label}, {1 + _mean(best):.3f} at "
        f"{best.label}",
    )


def _mean(group: Group) -> float:
    return (group.accepted or 0) / (group.rounds or 1)


def _variance(group: Group) -> float:
    """Of a mean of geometric counts with the same mean."""
    mean = _mean(group)
    return mean * (1.0 + mean) / (group.rounds or 1)


_ROUNDED = 0.02  # numbers that were rounded twice differ by less


def columns_disagree(case: Case) -> _Said:
    """Columns that disagree: what a source says twice differs, so one side counts something else.

    A printed number more than 2 % away from what the counts give.
    Source: vllm-project/speculators issue 1095 (positions of one of two replicas over the drafts of
    both).
    """
    counts = case.counts
    for check in () if counts is None else counts.consistency:
        try:
            printed = float(check.printed.replace(",", "."))
        except ValueError:
            continue
        if check.agrees or abs(printed - check.recomputed) <= _ROUNDED * abs(check.recomputed):
            continue
        return (
            "columns disagree",
            f"{check.quantity} is stated as {check.printed}, the counts give "
            f"{check.recomputed:.4g}",
        )
    return None


def baseline_differs(case: Case) -> _Said:
    """A baseline that is not comparable: the speed-up exceeds what the tokens allow.

    The whole interval of the speed-up above the tokens per step of the target. A step of the target
    cannot take less than a plain step, so decoding speeds up by at most the tokens per step.
    Source: this bound; vllm-project/vllm issue 54360 is a prefix cache that one side alone hits.
    """
    tokens, span = case.tokens_per_target_step, case.speedup_range
    if tokens is None or span is None or not span[0] > tokens:
        return None
    return (
        "the baseline is not comparable",
        f"decoding speeds up {case.decode_speedup or span[0]:.3g} times with {tokens:.3g} tokens "
        "per step of the target",
    )


_DRAFTED, _SLOWER = 0.05, 0.97


def off_but_costs(case: Case) -> _Said:
    """Speculation that is off by its schedule, and still costs.

    Fewer than 5 % of the steps drafted, and the run is slower than plain decoding.
    Source: vllm-project/vllm issue 49548: a schedule of num_speculative_tokens_per_batch_size that
    is K = 0 throughout takes 6.56 % more time a token than no drafter at concurrency 2, 21.58 % at
    189.
    """
    counts, span = case.counts, case.speedup_range
    coverage = None if counts is None else counts.coverage
    if coverage is None or span is None or coverage[1] >= _DRAFTED or span[1] >= _SLOWER:
        return None
    return (
        "speculation is off in nearly all steps, and still costs",
        f"{coverage[1]:.1%} of the target's steps drafted, decoding at "
        f"{case.decode_speedup or span[1]:.3g} times the plain speed",
    )


_PER_STEP, _BATCH = 1.8, 8.0


def no_gain(case: Case) -> _Said:
    """Accepted tokens without a gain: a round has a cost that nobody measured.

    1.8 and more tokens per step, small batches, parts not measured, and no faster than plain.
    Source: ggml-org/llama.cpp issue 25908 (0.9 of the draft tokens accepted and slower than plain
    decoding).
    """
    tokens, span = case.tokens_per_target_step, case.speedup_range
    if tokens is None or span is None or case.explained or (case.batch or 1.0) > _BATCH:
        return None
    if tokens < _PER_STEP or span[1] >= 1.0:
        return None
    ratio = "" if case.step_ratio is None else f", a step takes {case.step_ratio:.3g} plain steps"
    return (
        "tokens are accepted, and nothing is gained",
        f"{tokens:.3g} tokens per step of the target, decoding at {case.decode_speedup or 1.0:.3g} "
        f"times the plain speed{ratio}",
    )


RULES: dict[str, Callable[[Case], _Said]] = {
    "position-1": nothing_accepted,
    "collapse": collapses,
    "replicas": replicas_differ,
    "columns": columns_disagree,
    "baseline": baseline_differs,
    "off-but-costs": off_but_costs,
    "no-gain": no_gain,
}


@cache
def _usual() -> dict[str, tuple[str, tuple[str, ...]]]:
    """The source and the usual causes of each rule."""
    with Path(__file__).with_name("health.csv").open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        return {r["rule"]: (r["source"], tuple(r["usual causes"].split("; "))) for r in rows}


def findings(case: Case) -> tuple[Finding, ...]:
    """What the rules find, in their order: what is broken before what costs."""
    found = []
    for name, look in RULES.items():
        if (said := look(case)) is not None:
            source, causes = _usual()[name]
            found.append(Finding(name, said[0], said[1], (*said[2:], *causes), source))
    return tuple(found)
