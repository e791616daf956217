"""What is counted in a source, and what follows from it: steps, coverage, bounds of rounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .numbers import Request, bounds_of, narrowed


def ratio(part: float | None, whole: float | None, plus: float = 0.0) -> float | None:
    """plus + part / whole, None where one of them is not known or there is no whole."""
    return None if part is None or not whole else plus + part / whole


@dataclass(frozen=True)
class Check:
    """A printed number against the one that follows from the counts.

    printed: the digits as they stand in the source; recomputed: from the counts;
    agrees: whether it prints as those digits.
    """

    quantity: str
    printed: str
    recomputed: float
    agrees: bool


@dataclass(frozen=True)
class Group:
    """Counts of one part of the source: one batch size, gamma, model, category or request.

    label: what the part is, in the source's words. Units: tokens, rounds, seconds. tokens: all that
    were generated; rounds_range: fewest and most rounds where they are not known; drafted_rate:
    accepted / drafted as the source states it; speedup: over plain decoding, as stated;
    plain_tokens_per_s: without speculation.
    """

    label: str
    batch: int | None = None
    gamma: int | None = None
    rounds: int | None = None
    drafted: int | None = None
    accepted: int | None = None
    acceptance_length: float | None = None
    survival: tuple[float, ...] | None = None
    step_s: float | None = None
    tokens_per_s: float | None = None
    intervals: int | None = None
    tokens: int | None = None
    rounds_range: tuple[int, int] | None = None
    drafted_rate: float | None = None
    speedup: float | None = None
    plain_tokens_per_s: float | None = None

    @classmethod
    def of(
        cls,
        label: str,
        rounds: int | None,
        drafted: int | None,
        accepted: int | None,
        **more: Any,
    ) -> Group:
        """A part whose acceptance length follows from its counts, where it has rounds."""
        if (length := ratio(accepted, rounds, 1.0)) is not None:
            more["acceptance_length"] = length
        return cls(label, rounds=rounds, drafted=drafted, accepted=accepted, **more)


@dataclass(frozen=True)
class Counted:
    """Statistics of one source and what follows from them, `counts.EngineCounts` without its JSON.

    engine, format, version, definition: where they come from and what the source calls accepted.
    rounds, drafted, accepted: totals. gamma: drafted tokens of a full round.
    survival: share of rounds in which draft token k was accepted, k = 1..; never rising.
    per_position_accepted: the counts behind it. acceptance_length: tokens per round, bonus counted.
    tokens: all that the same requests generated, those of steps that drafted nothing included.
    rounds_range: where rounds are None, the fewest and most that counts and printed digits allow.
    survival_half_width: half a unit of the last digit of printed shares; None where counts give
    them. length_error: standard error of the length, from its scatter between intervals.
    drafted_rate: accepted / drafted. histogram: rounds that accepted 0, 1, 2.. draft tokens.
    tried: how often draft token k was put to the test (all before it accepted).
    by_batch, groups: the same by batch size, and by any other label of the source.
    accepted_is_prefix: False where the source counts accepted tokens behind a rejected one; the
    length is then not 1 + accepted / rounds.
    requests, intervals: how many requests or log intervals were added up.
    tokens_per_s, request_tokens_per_s: speed of generation that the source states, of all requests
    together and of one. durations_s: times the source states, by name.
    consistency: printed against recomputed.
    per_request: counts of each request, kept where rounds are not known, to bound them.
    """

    engine: str
    format: str
    definition: str
    version: str | None = None
    rounds: int | None = None
    drafted: int | None = None
    accepted: int | None = None
    tokens: int | None = None
    gamma: int | None = None
    survival: tuple[float, ...] | None = None
    per_position_accepted: tuple[int, ...] | None = None
    acceptance_length: float | None = None
    rounds_range: tuple[int, int] | None = None
    survival_half_width: float | None = None
    length_error: float | None = None
    drafted_rate: float | None = None
    histogram: tuple[int, ...] | None = None
    tried: tuple[int, ...] | None = None
    accepted_is_prefix: bool = True
    by_batch: tuple[Group, ...] = ()
    groups: tuple[Group, ...] = ()
    requests: int | None = None
    intervals: int | None = None
    tokens_per_s: float | None = None
    request_tokens_per_s: float | None = None
    durations_s: Mapping[str, float] = field(default_factory=dict)
    consistency: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()
    per_request: tuple[Request, ...] = ()

    @property
    def target_steps(self) -> int | None:
        """Steps of the target, those that drafted nothing included: tokens - accepted.

        Every step gives one token of its own, unless it ends a request: the rounds are the fewest.
        The first token of a request, which its prefill gives, counts as one.
        """
        if self.tokens is None or self.accepted is None or not self.accepted_is_prefix:
            return None
        steps = max(self.tokens - self.accepted, self.rounds or 0)
        return steps if steps > 0 else None

    @property
    def tokens_per_target_step(self) -> float | None:
        """What decides time: tokens over the steps of the target; at most the tokens per round."""
        steps = self.target_steps
        return None if steps is None or self.tokens is None else self.tokens / steps

    def bounds(self, gamma: int | None = None) -> tuple[int, int] | None:
        """Fewest and most rounds; gamma: the most that one drafts, where the source is silent.

        Raises ValueError where a round of gamma cannot have drafted so much.
        """
        if self.rounds is not None:
            return self.rounds, self.rounds
        try:
            known = bounds_of(vars(self), self.gamma or gamma)
        except ValueError:
            if gamma is not None and self.gamma is None:
                raise
            return self.rounds_range
        if known is None or self.rounds_range is None:
            return known or self.rounds_range
        return narrowed(known, self.rounds_range)

    @property
    def coverage(self) -> tuple[float, float] | None:
        """Share of the target's steps that drafted: least and most, None where not known."""
        steps, rounds = self.target_steps, self.bounds()
        if steps is None or rounds is None or not rounds[1]:
            return None
        return min(rounds[0] / steps, 1.0), min(rounds[1] / steps, 1.0)

    @property
    def fixed_gamma(self) -> bool:
        """Whether the counts show that every round drafted exactly gamma tokens."""
        known = self.gamma is not None and self.rounds is not None and self.drafted is not None
        return known and self.drafted == (self.gamma or 0) * (self.rounds or 0)

    def position_counts(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """(tried, accepted) by draft position, for `howspec.calibrate.tokens.fit_counts`.

        From the counts where they are known, else from survival and rounds, which carries the
        rounding of the printed rates. None where the source leaves open how often a position was
        put to the test: rounds of different draft lengths without a histogram of each length.
        """
        if self.rounds is None or self.survival is None or self.rounds == 0:
            return None
        if self.per_position_accepted is not None:
            kept = np.asarray(self.per_position_accepted, dtype=np.float64)
        else:
            kept = np.asarray(self.survival) * self.rounds
        if self.tried is not None:
            return np.asarray(self.tried, dtype=np.float64), kept
        if not self.fixed_gamma or kept.size != self.gamma:
            return None
        return np.concatenate([[float(self.rounds)], kept[:-1]]), kept
