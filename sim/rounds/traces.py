"""Traces: for every position of many requests, how many draft tokens a round there would accept.

A trace is measured (JSON lines, one request a line) or drawn from an acceptance law. Rounds are
then walked through it: a round that starts at position t and drafts gamma tokens yields
min(accepted[t], gamma) + 1 tokens, and the next one starts that many positions later. Averaging
over all positions instead would be biased upward, because rounds start after rejections.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...theory.acceptance.law import AcceptanceLaw, GammaDependentLaw
from ...theory.domain import Floats, check
from .compiled import compiled


@dataclass(frozen=True)
class Trace:
    """Acceptance along the requests of a workload.

    offsets: shape (requests + 1,), entries of request r are offsets[r]..offsets[r + 1] - 1, one a
    token; accepted: shape (entries,), draft tokens that a round there would accept, without the
    bonus token [token]; prompts: shape (requests,), tokens in the cache at the start.
    by_round: entries are used one a round in their order, not one a position: rounds drawn from a
    law, which says nothing about positions that no round starts from.
    confidence: in [0, 1], what the draft reports for its token at that position, shape (entries,);
    by_round for each token of the round, (entries, gamma_max); or None.
    """

    offsets: NDArray[np.int64]
    accepted: NDArray[np.int16]
    prompts: NDArray[np.int64]
    by_round: bool = False
    confidence: Floats | None = None

    def __post_init__(self) -> None:
        if self.requests < 1 or self.lengths.min() < 1 or self.offsets[0] != 0:
            raise ValueError("a trace needs one or more requests of one or more tokens")
        if self.offsets[-1] != self.accepted.size or self.prompts.size != self.requests:
            raise ValueError(
                f"trace arrays must match: {self.offsets[-1]} entries by offsets, "
                f"{self.accepted.size} given; {self.requests} requests, {self.prompts.size} prompts"
            )
        if self.accepted.min() < 0 or self.prompts.min() < 0:
            raise ValueError("accepted and prompts must be in [0, inf), got a negative value")
        if self.confidence is not None and (
            self.confidence.shape[:1] != self.accepted.shape
            or self.confidence.ndim != 1 + self.by_round
        ):
            what = "token of each round" if self.by_round else "position"
            raise ValueError(f"confidence must be one a {what}, got {self.confidence.shape}")

    @property
    def requests(self) -> int:
        return int(self.offsets.size - 1)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens that each request generates, shape (requests,)."""
        return np.diff(self.offsets)


def _request_lengths(lengths: ArrayLike) -> NDArray[np.int64]:
    sizes = np.atleast_1d(check("length", lengths, label="lengths", whole=True)).astype(np.int64)
    if sizes.ndim != 1 or not sizes.size:
        raise ValueError(f"lengths must be one a request, got shape {sizes.shape}")
    return sizes


def _prompt_lengths(prompts: ArrayLike, requests: int) -> NDArray[np.int64]:
    tokens = check("context", prompts, label="prompts", whole=True).astype(np.int64)
    return np.array(np.broadcast_to(tokens, (requests,)))


def _offsets(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths)])


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{path}:{number}: not JSON: {error.msg}") from None
            if not isinstance(entry, dict):
                raise ValueError(f"{path}:{number}: expected an object, got {line[:40]!r}")
            yield number, entry


def load_trace(path: str | Path, drafter: str = "eagle") -> Trace:
    """Read a measured trace from JSON lines, gzipped where the name ends in ``.gz``.

    Each line needs ``prompt_tokens`` and ``accept_len_<drafter>``: one entry a generated position,
    the tokens that a round starting there yields, bonus token included, each a whole number >= 1.
    ``confidence_<drafter>`` may stand beside it: one number in [0, 1] a position, what the draft
    reports for its token there behind the target's own text; in every line or in none.
    Raises ValueError naming file and line where that does not hold, FileNotFoundError without it.
    """
    source, key, sure = Path(path), f"accept_len_{drafter}", f"confidence_{drafter}"
    parts: list[NDArray[np.int64]] = []
    confidences: list[Floats] = []
    prompts: list[int] = []
    for number, entry in _lines(source):
        missing = [k for k in (key, "prompt_tokens") if k not in entry]
        if missing:
            raise ValueError(f"{source}:{number}: no {missing[0]!r}, only {sorted(entry)}")
        try:
            lengths = check("position", entry[key], label=key).astype(np.int64)
            prompts.append(int(check("context", entry["prompt_tokens"], label="prompt_tokens")))
            if sure in entry:
                confidences.append(check("alpha", entry[sure], label=sure))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{source}:{number}: {error}") from None
        if lengths.ndim != 1 or not lengths.size:
            raise ValueError(f"{source}:{number}: {key} must be a list of one or more numbers")
        parts.append(lengths)
        if confidences and (
            len(confidences) != len(parts) or confidences[-1].shape != lengths.shape
        ):
            raise ValueError(
                f"{source}:{number}: {sure} must be one number for each of {key}, in every line or "
                "in none"
            )
    if not parts:
        raise ValueError(f"{source}: no requests")
    accepted = (np.concatenate(parts) - 1).astype(np.int16)
    sizes = np.array([p.size for p in parts], np.int64)
    confidence = np.concatenate(confidences) if confidences else None
    return Trace(_offsets(sizes), accepted, np.array(prompts, np.int64), confidence=confidence)


def trace_from_law(
    rng: np.random.Generator,
    law: AcceptanceLaw,
    *,
    gamma_max: int,
    lengths: ArrayLike,
    prompts: ArrayLike = 0,
    laws: list[AcceptanceLaw] | None = None,
) -> Trace:
    """Draw the rounds of each request from a law, with rounds of ``gamma_max`` draft tokens.

    lengths: tokens of each request, >= 1; prompts: tokens in the cache, scalar or one a request.
    laws: one law a request instead, such as one with each request's own rate. A round that drafts
    fewer tokens than gamma_max uses the same draw cut short: gammas share their randomness. Raises
    ValueError for a law whose rounds depend on gamma; see :func:`trace_from_flags` and ``laws``.
    """
    sizes = _request_lengths(lengths)
    gamma = int(check("gamma", gamma_max, label="gamma_max", whole=True))
    if laws is not None and len(laws) != sizes.size:
        raise ValueError(f"laws must be one a request, got {len(laws)} for {sizes.size}")
    for each in laws or [law]:
        if isinstance(each, GammaDependentLaw):
            raise ValueError(
                f"law must not depend on gamma, got {type(each).__name__}: rounds drawn at "
                f"gamma_max = {gamma} cannot be cut short"
            )
    if laws is None:
        drawn = law.draw(rng, gamma=gamma, rounds=int(sizes.sum()))
    else:
        pairs = zip(laws, sizes, strict=True)
        drawn = np.concatenate([x.draw(rng, gamma=gamma, rounds=int(n)) for x, n in pairs])
    prompt = _prompt_lengths(prompts, sizes.size)
    return Trace(_offsets(sizes), drawn.astype(np.int16), prompt, by_round=True)


def _runs(flags: NDArray[np.bool_], offsets: NDArray[np.int64]) -> NDArray[np.int16]:
    """Length of the run of True that starts at each position and ends within its request."""
    out = np.zeros(flags.size, np.int16)
    for r in range(offsets.size - 1):
        run = 0
        for t in range(offsets[r + 1] - 1, offsets[r] - 1, -1):
            run = min(run + 1, 32767) if flags[t] else 0
            out[t] = run
    return out


def trace_from_flags(flags: ArrayLike, *, lengths: ArrayLike, prompts: ArrayLike = 0) -> Trace:
    """The trace of a drafter of whom it is known which tokens it would get right.

    flags: booleans, one a token, request after request: whether the target accepts the draft's
    token there, given that all before it is the target's text. A chain of flags in which a token
    depends on the one before it gives bursts. lengths, prompts: as in :func:`trace_from_law`.
    """
    sizes = _request_lengths(lengths)
    offsets, right = _offsets(sizes), np.asarray(flags)
    if right.dtype != np.bool_ or right.shape != (int(offsets[-1]),):
        raise ValueError(
            f"flags must be {offsets[-1]} booleans, got {right.dtype} of shape {right.shape}"
        )
    accepted = compiled(_runs)(right, offsets)
    return Trace(offsets, accepted, _prompt_lengths(prompts, sizes.size))


def _walk(
    offsets: NDArray[np.int64],
    accepted: NDArray[np.int16],
    by_round: bool,
    gammas: NDArray[np.int64],
    rounds: NDArray[np.int64],
    emitted: NDArray[np.int64],
) -> None:
    for r in range(offsets.size - 1):
        first, size = offsets[r], offsets[r + 1] - offsets[r]
        for j in range(gammas.size):
            t, used = 0, 0
            while t < size:
                entry = accepted[first + (used if by_round else t)]
                t += min(entry, gammas[j]) + 1
                used += 1
            rounds[r, j], emitted[r, j] = used, t


def walk(trace: Trace, gammas: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Walk the rounds of every request at each gamma: (rounds, tokens), (requests, gammas) each.

    gammas: whole numbers >= 0, shape (gammas,). Tokens are those emitted, the ones beyond the end
    of the request included: tokens - trace.lengths[:, None] is the overshoot of the last round.
    """
    lengths = np.atleast_1d(check("gamma", gammas, label="gammas", whole=True)).astype(np.int64)
    rounds = np.empty((trace.requests, lengths.size), np.int64)
    emitted = np.empty_like(rounds)
    compiled(_walk)(trace.offsets, trace.accepted, trace.by_round, lengths, rounds, emitted)
    return rounds, emitted
