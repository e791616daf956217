r"""Replay of the published trace simulator of speculative decoding, to the digit it prints.

The simulator that accompanies arXiv:2601.11580 (github SpecDecode-Bench/simulator, read at
2fdccbd and before) runs each request as a batch of identical copies. Step times are additive,

    target = fixed + token n + kv m,   draft = fixed' + token' (gamma + 1) + kv' m

with n the tokens in the batch's forward pass and m the tokens in the cache of all copies, one
overhead a step and one prefill of the whole batch. Per request it takes tokens over the mean
latency of the copies, and its speed-up is the mean of that over requests, over the same for plain
decoding. Copies are processed in turn within a step, so a later copy's draft sees the tokens that
the earlier ones just added to the cache; that is kept, because it is what the numbers contain.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...calibrate.doors.written import check_names, split
from ...calibrate.files import utf8
from ...theory.domain import Floats, check
from .compiled import check_count, compiled
from .traces import Trace


@dataclass(frozen=True)
class StepTimes:
    """Additive step times [s], per step, per token in the pass, per token in the cache.

    draft_share: time of a draft that is a share of the target's pass instead (n-gram); where it
    is given the three draft times are not used. All finite and >= 0, target_fixed > 0.
    """

    target_fixed: float
    target_token: float
    target_kv: float
    draft_fixed: float = 0.0
    draft_token: float = 0.0
    draft_kv: float = 0.0
    overhead: float = 0.0
    draft_share: float | None = None

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value >= 0.0):
                raise ValueError(f"{name} must be in [0, inf), got {value}")
        if self.target_fixed == 0.0:
            raise ValueError("target_fixed must be in (0, inf), got 0")

    def as_array(self) -> Floats:
        """The seven additive times, then the share (0 where it is not used)."""
        values = [getattr(self, name) for name in self.__dataclass_fields__]
        return np.array([0.0 if v is None else v for v in values])


def _replay_copies(
    offsets: np.ndarray, accepted: np.ndarray, prompts: np.ndarray,
    lookahead: int, copies: int, t: np.ndarray, shared: bool, latency: np.ndarray,
) -> None:  # fmt: skip
    """Mean latency of the copies of each request; lookahead -1 drafts what will be accepted."""
    for r in range(offsets.size - 1):
        size, prompt = offsets[r + 1] - offsets[r], prompts[r]
        total = t[0] + t[1] * copies * prompt + t[6]
        cached, done = float(copies * (prompt + 1)), 1
        while done < size:
            yields = accepted[offsets[r] + done - 1] + 1
            width = yields if lookahead < 0 else lookahead + 1
            gain = min(yields, width)
            done += gain
            # Copy i sees the tokens that the i copies before it added, or released at their end.
            change = gain if done < size else gain - done - prompt
            verify = t[0] + t[1] * copies * width + t[2] * cached
            if shared:
                draft = verify * t[7] if width > 1 else 0.0
            else:
                draft = t[3] + t[4] * width + t[5] * (cached + 0.5 * (copies - 1) * change)
            total += verify + draft + t[6]
            cached += copies * change
        latency[r] = total


def _replay_matches(
    rng: np.random.Generator, offsets: np.ndarray, accepted: np.ndarray, prompts: np.ndarray,
    lookahead: int, copies: int, t: np.ndarray, match: float, latency: np.ndarray,
) -> None:  # fmt: skip
    """The same where a draft that would be rejected at once is found with probability ``match``.

    A round without a match verifies one token and pays no draft. Copies differ by these draws.
    """
    done, width = np.empty(copies, np.int64), np.empty(copies, np.int64)
    for r in range(offsets.size - 1):
        size, prompt = offsets[r + 1] - offsets[r], prompts[r]
        total = copies * (t[0] + t[1] * copies * prompt + t[6])
        cached, running = float(copies * (prompt + 1)), copies
        done[:] = 1
        while running > 0:
            tokens = 0
            for i in range(copies):
                if done[i] < size:
                    first = accepted[offsets[r] + done[i] - 1] == 0
                    width[i] = 1 if first and not rng.random() < match else lookahead + 1
                    tokens += width[i]
            verify = t[0] + t[1] * tokens + t[2] * cached
            for i in range(copies):
                if done[i] < size:
                    total += verify * (1.0 + (t[7] if width[i] > 1 else 0.0)) + t[6]
                    gain = min(accepted[offsets[r] + done[i] - 1] + 1, width[i])
                    done[i] += gain
                    cached += gain
                    if done[i] >= size:
                        cached -= done[i] + prompt
                        running -= 1
        latency[r] = total / copies


def replay_latencies(
    trace: Trace,
    times: StepTimes,
    *,
    lookahead: int | None,
    batch: int = 1,
    match: float | None = None,
    rng: np.random.Generator | None = None,
) -> Floats:
    """Latency of every request with speculation, mean over the copies of its batch [s].

    lookahead: draft tokens a round, >= 1, or None for the oracle, which drafts exactly what will be
    accepted. match: probability in [0, 1] that a drafter which looks up n-grams finds a
    continuation where the trace says that its first token is rejected; it needs ``rng`` and
    ``draft_share``, and the oracle ignores it. Returns shape (requests,).
    """
    copies = check_count("batch", batch)
    depth = -1 if lookahead is None else check_count("lookahead", lookahead)
    if trace.by_round:
        raise ValueError("a replay needs a trace by position, got one by round")
    latency = np.empty(trace.requests)
    shared = times.draft_share is not None
    data = (trace.offsets, trace.accepted.astype(np.int64), trace.prompts)
    if match is None or lookahead is None:
        compiled(_replay_copies)(*data, depth, copies, times.as_array(), shared, latency)
        return latency
    chance = float(check("alpha", match, label="match"))
    if rng is None or not shared:
        raise ValueError("match needs a random generator and StepTimes with draft_share")
    compiled(_replay_matches)(rng, *data, depth, copies, times.as_array(), chance, latency)
    return latency


def plain_latencies(trace: Trace, times: StepTimes, *, batch: int = 1) -> Floats:
    """Latency of every request without speculation, in a batch of copies [s], (requests,)."""
    copies, t = check_count("batch", batch), times.as_array()
    steps, cached = trace.lengths - 1.0, copies * (trace.prompts + 1.0)
    prefill = t[0] + t[1] * copies * trace.prompts + t[6]  # it yields the first token
    moved = cached * steps + copies * steps * (steps - 1.0) / 2.0
    return np.asarray(prefill + steps * (t[0] + t[1] * copies + t[6]) + t[2] * moved)


def replay_speedup(
    trace: Trace,
    times: StepTimes,
    *,
    lookahead: int | None,
    batch: int = 1,
    match: float | None = None,
    rng: np.random.Generator | None = None,
) -> float:
    """The speed-up by throughput that the published simulator prints for these settings.

    Mean over requests of tokens per second with speculation, over the same mean without.
    Arguments as in :func:`replay_latencies`.
    """
    fast = replay_latencies(trace, times, lookahead=lookahead, batch=batch, match=match, rng=rng)
    slow = plain_latencies(trace, times, batch=batch)
    return float((trace.lengths / fast).mean() / (trace.lengths / slow).mean())


def step_times(text: str) -> StepTimes:
    """Times as ``target_fixed=0.0059,target_token=2.1e-5,...`` or in a JSON file of these names.

    Raises ValueError for names that are not of `StepTimes` and values out of range, OSError for a
    file that cannot be read.
    """
    if text.endswith(".json"):
        with utf8(text):
            given = json.loads(Path(text).read_text(encoding="utf-8"))
        if not isinstance(given, dict) or any(isinstance(v, str | list) for v in given.values()):
            raise ValueError(f"{text}: must be an object of times by their names")
    else:
        given = split(f"replay:{text}")[1]
    needed = ["target_fixed", "target_token", "target_kv"]
    check_names("replay", given, set(StepTimes.__dataclass_fields__), needed)
    return StepTimes(**given)


def replayed(
    rng: np.random.Generator,
    trace: Trace,
    times: StepTimes,
    *,
    lookahead: int | None,
    batch: int,
    match: float | None,
) -> dict[str, Any]:
    """What `howspec simulate` answers of a replay: its speed-up, latencies, tokens a round.

    The speed-up is that of :func:`replay_speedup`; its standard error takes requests as the unit of
    chance. Arguments and errors as there.
    """
    if trace.requests < 2:
        raise ValueError(f"a standard error needs two requests or more, got {trace.requests}")
    fast = replay_latencies(trace, times, lookahead=lookahead, batch=batch, match=match, rng=rng)
    own, plain = trace.lengths / fast, trace.lengths / plain_latencies(trace, times, batch=batch)
    ratio = float(own.mean() / plain.mean())
    error = float((own - ratio * plain).std(ddof=1) / plain.mean() / np.sqrt(own.size))
    rounds, tokens = _rounds(trace, lookahead), trace.lengths - 1.0
    per_round = float(tokens.sum() / rounds.sum())
    spread = (tokens - per_round * rounds).std(ddof=1) / rounds.mean() / np.sqrt(own.size)
    shares = {f"p{p}": float(np.percentile(fast, p)) for p in (50, 90, 95, 99)}
    return {
        "tokens_per_round": {"mean": per_round, "se": float(spread)},
        "speedup": {"mean": ratio, "se": error},
        "latency_s": {"mean": float(fast.mean()), **shares},
        "requests": trace.requests,
        "rounds": int(rounds.sum()) * batch,
    }  # fmt: skip


def _rounds(trace: Trace, lookahead: int | None) -> Floats:
    """Rounds that one copy of each request takes; the first token comes from the prefill."""
    found = np.zeros(trace.requests)
    longest = np.inf if lookahead is None else lookahead + 1
    yields = np.minimum(trace.accepted + 1.0, longest).astype(np.int64)
    for r in range(trace.requests):
        at, end = int(trace.offsets[r]) + 1, int(trace.offsets[r + 1])
        while at < end:
            at += int(yields[at - 1])
            found[r] += 1.0
    return found
