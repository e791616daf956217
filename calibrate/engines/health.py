"""Whether anything is broken, before any economics: one rule a function, each with its source.

A rule looks at a `Case` and is silent unless what it sees cannot be a healthy run. Thresholds are
bounds of intervals, so that few tokens say nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from scipy.special import betaincinv

from .counts import EngineCounts, Group


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


def share_bounds(hits: float, trials: float, *, level: float = 0.99) -> tuple[float, float]:
    """Interval of Clopper and Pearson of a share; level: of both ends together."""
    tail = 0.5 * (1.0 - level)
    low = float(betaincinv(hits, trials - hits + 1.0, tail)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1.0, trials - hits, 1.0 - tail)) if hits < trials else 1.0
    return low, high


_WORKING = 0.05  # a drafter that works at all is accepted more often at its first token
_TOKENS = 200


def nothing_accepted(case: Case) -> Finding | None:
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
    if share_bounds(hits, trials)[1] >= _WORKING:
        return None
    share = "nothing" if hits == 0 else f"{hits / trials:.1%}"
    return Finding(
        "position-1",
        f"the drafter does not work: {share} accepted at position 1",
        f"{counts.drafted} draft tokens, {counts.accepted} accepted",
        (
            "a head or draft of another target or revision",
            "another vocabulary or chat template",
            "hidden states of the wrong layers, or weights that were not loaded",
            "a kernel or quantisation that breaks the drafter",
        ),
        "vllm-project/vllm issues 6768 and 55605",
    )


_FALL, _LEAST, _TRIED = 0.4, 0.3, 100.0


def collapses(case: Case) -> Finding | None:
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
        if before >= _LEAST and share_bounds(kept[k], tried[k])[1] < _FALL * before:
            return Finding(
                "collapse",
                f"acceptance collapses after position {k}",
                f"{before:.1%} of the tokens tried at position {k} are accepted, {now:.1%} at "
                f"position {k + 1}",
                (
                    f"a head that was trained for {k} token{'s' if k > 1 else ''} drafts more: "
                    f"set {k}",
                    "layers of the draft with another attention than they were trained with",
                    "the state of the draft is not updated between its steps",
                    "positions or masks of the second step are wrong",
                ),
                "vllm-project/vllm pull request 40898",
            )
    return None


_ROUNDS, _APART, _Z = 200, 0.15, 6.0
# Rounds of one request are alike: the variance of a mean over requests is some times larger.
_DESIGN = 10.0
_LABEL = "(engine|instance|pod|dp_rank|engine_id|replica|endpoint_url)="
_REPLICA = re.compile(rf"\b{_LABEL}")


def replicas_differ(case: Case) -> Finding | None:
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
    return Finding(
        "replicas",
        "acceptance depends on the replica",
        f"{1 + _mean(worst):.3f} tokens a round at {worst.label}, {1 + _mean(best):.3f} at "
        f"{best.label}",
        (
            "replicas with other weights, builds or settings of the draft",
            "a router that sends them other work",
            "a drafter that is broken on one device",
        ),
        "ggml-org/llama.cpp issue 26750",
    )


def _mean(group: Group) -> float:
    return (group.accepted or 0) / (group.rounds or 1)


def _variance(group: Group) -> float:
    """Of a mean of geometric counts with the same mean."""
    mean = _mean(group)
    return mean * (1.0 + mean) / (group.rounds or 1)


_ROUNDED = 0.02  # numbers that were rounded twice differ by less


def columns_disagree(case: Case) -> Finding | None:
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
        return Finding(
            "columns",
            "columns disagree",
            f"{check.quantity} is stated as {check.printed}, the counts give "
            f"{check.recomputed:.4g}",
            (
                "positions of one of several data-parallel replicas over the drafts of all",
                "counters that were scraped at different moments, or a restart between",
                "another definition: with or without the bonus token, of all or of tested tokens",
            ),
            "vllm-project/speculators issue 1095",
        )
    return None


def baseline_differs(case: Case) -> Finding | None:
    """A baseline that is not comparable: the speed-up exceeds what the tokens allow.

    The whole interval of the speed-up above the tokens per step of the target. A step of the target
    cannot take less than a plain step, so decoding speeds up by at most the tokens per step.
    Source: this bound; vllm-project/vllm issue 54360 is a prefix cache that one side alone hits.
    """
    tokens, span = case.tokens_per_target_step, case.speedup_range
    if tokens is None or span is None or not span[0] > tokens:
        return None
    return Finding(
        "baseline",
        "the baseline is not comparable",
        f"decoding speeds up {case.decode_speedup or span[0]:.3g} times with {tokens:.3g} tokens "
        "per step of the target",
        (
            "a prefix cache that only one side hits",
            "outputs of another length, or ignore_eos on one side",
            "another batch or concurrency",
            "a plain run in eager mode, without graphs, or on an older runner",
        ),
        "vllm-project/vllm issue 54360",
    )


_DRAFTED, _SLOWER = 0.05, 0.97


def off_but_costs(case: Case) -> Finding | None:
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
    return Finding(
        "off-but-costs",
        "speculation is off in nearly all steps, and still costs",
        f"{coverage[1]:.1%} of the target's steps drafted, decoding at "
        f"{case.decode_speedup or span[1]:.3g} times the plain speed",
        (
            "a schedule with K = 0 that keeps the drafter's path (no full graph, steps in turn)",
            "a look-up that seldom matches and searches every time",
        ),
        "vllm-project/vllm issue 49548",
    )


_PER_STEP, _BATCH = 1.8, 8.0


def no_gain(case: Case) -> Finding | None:
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
    return Finding(
        "no-gain",
        "tokens are accepted, and nothing is gained",
        f"{tokens:.3g} tokens per step of the target, decoding at {case.decode_speedup or 1.0:.3g} "
        f"times the plain speed{ratio}",
        (
            "a state that is checkpointed and restored in every round (recurrent or hybrid layers)",
            "a graph that is not captured for the verified batch, or drafting in eager mode",
            "an older runner, or a draft on another device",
            "a draft that is as slow as its target",
        ),
        "ggml-org/llama.cpp issue 25908",
    )


RULES: tuple[Callable[[Case], Finding | None], ...] = (
    nothing_accepted,
    collapses,
    replicas_differ,
    columns_disagree,
    baseline_differs,
    off_but_costs,
    no_gain,
)


def findings(case: Case) -> tuple[Finding, ...]:
    """What the rules find, in their order: what is broken before what costs."""
    return tuple(f for f in (rule(case) for rule in RULES) if f is not None)
