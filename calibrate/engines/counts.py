"""What an engine reported, in one schema: rounds, drafted and accepted tokens, by position.

Words: a round drafts tokens and verifies them once; gamma is the drafted tokens of a round, the
bonus token not counted; the acceptance length is the tokens of a round with the bonus token;
survival is the share of all rounds in which the k-th draft token was accepted. What the source
does not determine is None, and the notes say why.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .printed import Printed

ENGINES = ("vllm", "sglang", "llama.cpp", "tensorrt-llm", "transformers", "aiperf")
LARGEST = 2**63 - 1
_ROUND_LIMIT = 20_000_000


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
    """Counts of one part of the source: one batch size, gamma, model or category.

    label: what the part is, in the source's words. Units: tokens, rounds, seconds.
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


@dataclass(frozen=True)
class EngineCounts:
    """Statistics of one source; build with :func:`engine_counts`, which checks and completes them.

    engine, format, version, definition: where they come from and what the source calls accepted.
    rounds, drafted, accepted: totals. gamma: drafted tokens of a full round.
    survival: share of rounds in which draft token k was accepted, k = 1..; never rising.
    per_position_accepted: the counts behind it. acceptance_length: tokens per round, bonus counted.
    rounds_range: where rounds are None, the fewest and most that the printed digits allow.
    survival_half_width: half a unit of the last digit of printed shares; None where counts give
    them. length_error: standard error of the length, from its scatter between intervals.
    drafted_rate: accepted / drafted. histogram: rounds that accepted 0, 1, 2.. draft tokens.
    tried: how often draft token k was put to the test (all before it accepted).
    by_batch, groups: the same by batch size, and by any other label of the source.
    accepted_is_prefix: False where the source counts accepted tokens behind a rejected one; the
    length is then not 1 + accepted / rounds.
    requests, intervals: how many requests or log intervals were added up.
    durations_s: times the source states, by name. consistency: printed against recomputed.
    """

    engine: str
    format: str
    definition: str
    version: str | None = None
    rounds: int | None = None
    drafted: int | None = None
    accepted: int | None = None
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
    durations_s: Mapping[str, float] = field(default_factory=dict)
    consistency: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The fields as plain JSON values, None where not determined.

        "alpha" is the interval of `alpha_interval` at 95 %, None where it is not determined.
        """
        from .alpha import interval_or_none  # it needs this module

        found = {f.name: _plain(getattr(self, f.name)) for f in fields(self)}
        return {**found, "alpha": interval_or_none(self)}

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

    def round_counts(self) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """(accepted, drafted) of every round, in no order, for `theory.acceptance.round_counts`.

        None where the source does not determine them. Raises ValueError above 20 million rounds.
        """
        histogram = self.histogram
        if histogram is None and self.fixed_gamma and self.per_position_accepted is not None:
            assert self.rounds is not None
            ladder = (self.rounds, *self.per_position_accepted, 0)
            histogram = tuple(a - b for a, b in pairwise(ladder))
        if histogram is None or not self.fixed_gamma:
            return None
        if sum(histogram) > _ROUND_LIMIT:
            raise ValueError(
                f"rounds one by one must be at most {_ROUND_LIMIT}, got {sum(histogram)}"
            )
        kept = np.repeat(np.arange(len(histogram), dtype=np.int64), histogram)
        return kept, np.full(kept.size, self.gamma, dtype=np.int64)


def _plain(value: Any) -> Any:
    if isinstance(value, Check | Group):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def compare(quantity: str, stated: Printed, recomputed: float) -> Check:
    """A :class:`Check` of a printed number; what is printed as NaN agrees with nothing known."""
    return Check(quantity, stated.text, recomputed, stated.covers(recomputed))


def engine_counts(
    engine: str,
    format: str,  # noqa: A002 - the field's name
    *,
    definition: str,
    histogram: Sequence[int] | None = None,
    per_position_accepted: Sequence[int] | None = None,
    survival: Sequence[float] | None = None,
    notes: Sequence[str] = (),
    **known: Any,
) -> EngineCounts:
    """Check what a source states and complete it by counting; see :class:`EngineCounts`.

    A histogram gives rounds, accepted and the counts by position; counts by position give the
    survival and the accepted tokens; rounds and accepted give the acceptance length.
    Raises ValueError for counts that cannot be.
    """
    rounds, drafted = known.pop("rounds", None), known.pop("drafted", None)
    accepted, gamma = known.pop("accepted", None), known.pop("gamma", None)
    length = known.pop("acceptance_length", None)
    said = list(dict.fromkeys(notes))
    positions = None if per_position_accepted is None else tuple(per_position_accepted)
    if histogram is not None:
        histogram = tuple(histogram)
        _check_count("rounds by accepted tokens", *histogram)
        total = sum(k * n for k, n in enumerate(histogram))
        rounds = _same("rounds", rounds, sum(histogram))
        accepted = _same("accepted", accepted, total)
        if positions is None:
            left = np.asarray(histogram, dtype=object)[::-1].cumsum()[::-1][1:]
            positions = tuple(int(n) for n in left[: gamma if gamma else None])
    _check_count("rounds", rounds)
    _check_count("drafted", drafted)
    _check_count("accepted", accepted)
    if positions is not None:
        positions = positions if gamma is None else _trimmed(positions, gamma)
        _check_positions(positions, rounds)
        accepted = sum(positions) if accepted is None else accepted
    if accepted is not None and drafted is not None and accepted > drafted:
        raise ValueError(f"accepted must be in [0, drafted = {drafted}], got {accepted}")
    most = None if rounds is None or gamma is None else gamma * rounds
    if most is not None and accepted is not None and accepted > most:
        raise ValueError(f"accepted must be in [0, gamma x rounds = {most}], got {accepted}")
    if survival is None and positions is not None and rounds:
        survival = [n / rounds for n in positions]
    if length is None and rounds and accepted is not None and known.get("accepted_is_prefix", True):
        length = 1.0 + accepted / rounds
    if rounds == 0:
        said.append("no speculative round was counted, so there is no share to give")
    elif rounds and gamma and drafted is not None and drafted != most:
        said.append(
            f"rounds drafted {drafted / rounds:.4g} tokens on average, not gamma = {gamma}: some "
            f"drafted less"
        )
    if length is not None and not (math.isfinite(length) and length >= 1.0 - 1e-9):
        raise ValueError(f"acceptance length with the bonus token must be >= 1, got {length:g}")
    return EngineCounts(
        engine=engine,
        format=format,
        definition=definition,
        rounds=rounds,
        drafted=drafted,
        accepted=accepted,
        gamma=gamma,
        survival=None if survival is None else _check_survival(survival),
        per_position_accepted=positions,
        acceptance_length=length,
        drafted_rate=accepted / drafted if drafted and accepted is not None else None,
        histogram=None if histogram is None else tuple(histogram),
        notes=tuple(said),
        **known,
    )


def _check_count(name: str, *values: int | None) -> None:
    for value in values:
        if value is not None and not 0 <= value <= LARGEST:
            raise ValueError(f"{name} must be a whole number in [0, 2^63), got {value}")


def _same(name: str, stated: int | None, counted: int) -> int:
    if stated is not None and stated != counted:
        raise ValueError(f"{name} must agree with the histogram, {counted}, got {stated}")
    return counted


def _trimmed(positions: tuple[int, ...], gamma: int) -> tuple[int, ...]:
    if any(positions[gamma:]):
        raise ValueError(f"accepted positions must be at most gamma = {gamma}, got more")
    return (positions + (0,) * (min(gamma, 4096) - len(positions)))[:gamma]


def _check_positions(positions: tuple[int, ...], rounds: int | None) -> None:
    _check_count("accepted by position", *positions)
    ladder = positions if rounds is None else (rounds, *positions)
    for k, (before, after) in enumerate(pairwise(ladder)):
        if after > before:
            at = k + 1 + (rounds is None)
            raise ValueError(
                f"accepted at position {at} must be at most {before} (those before it), got {after}"
            )


def _check_survival(survival: Sequence[float]) -> tuple[float, ...]:
    values = tuple(float(s) for s in survival)
    for k, s in enumerate(values):
        if not 0.0 <= s <= 1.0:
            raise ValueError(f"survival must be in [0, 1], got {s:g} at position {k + 1}")
        if k and s > values[k - 1] + 1e-9:
            raise ValueError(
                f"survival must not rise with position, got {s:g} at position {k + 1} after "
                f"{values[k - 1]:g}; conditional rates are another metric"
            )
    return values
