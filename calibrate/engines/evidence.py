"""What is known of acceptance, as one law in the middle and a sample of laws around it.

Counts by draft position give each position its own conditional rate; an acceptance length with
gamma, or a stated alpha, gives less, and the sample is then wide where the input is silent. Beyond
the positions that were measured a fall of the rates goes on as before, while a rise dies out: one
that went on would promise long drafts that nobody has seen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...theory import DepthAcceptance, tokens_by_gamma
from ...theory.acceptance import PositionalAcceptance, Survival, alpha_from_length, conditional_rate
from ..grid import Priors
from ..tokens import fit_counts, fit_tokens
from .stated import Stated, stated

Floats = NDArray[np.float64]
LARGEST_GAMMA = 256
_LARGEST_JSON = 2**24
# Rounds at the end of requests draft less; up to this share of drafted tokens it is neglected.
_SHORT = 0.02
# Share of a rise that is left from one position beyond the measured ones to the next.
_DAMPING = 0.7


@dataclass(frozen=True)
class Evidence:
    """Acceptance with its uncertainty, for gammas up to the positions of the laws.

    middle: single law, in agreement with what was measured; sample: law with rates of shape
    (draws, positions). gamma: draft tokens of the measured rounds, None where none was stated.
    given: what it rests on; notes: what to know before relying on it.
    """

    middle: PositionalAcceptance
    sample: PositionalAcceptance
    gamma: int | None
    given: str
    notes: tuple[str, ...] = ()

    @property
    def positions(self) -> int:
        """Draft positions that the laws cover."""
        return int(np.shape(self.middle.rates)[-1])

    def tokens(self, gamma: int) -> tuple[float, Floats]:
        """Tokens per round at gamma: (middle, draws of shape (draws,)), the bonus token counted."""
        middle = tokens_by_gamma(self.middle, gamma)[gamma]
        return float(middle), np.asarray(tokens_by_gamma(self.sample, gamma)[:, gamma])


def check_gamma(gamma: int, *, low: int = 1, name: str = "gamma") -> int:
    """Return gamma as a whole number in [low, 256], or raise ValueError."""
    if int(gamma) != gamma or not low <= gamma <= LARGEST_GAMMA:
        raise ValueError(f"{name} must be an integer in [{low}, {LARGEST_GAMMA}], got {gamma}")
    return int(gamma)


def reach(gamma: int) -> int:
    """The largest gamma to consider when acceptance was measured at ``gamma``: twice it, or + 4.

    Beyond, acceptance is too far from what was seen.
    """
    return max(2 * gamma, gamma + 4)


def from_alpha(
    alpha: str | float | Stated,
    rng: np.random.Generator,
    *,
    decay: float = 1.0,
    gamma: int | None = None,
    positions: int = 32,
    draws: int = 2000,
) -> Evidence:
    """Acceptance from a conditional rate, known to its digits; decay: factor per position, > 0."""
    number = stated(alpha, "alpha")
    values = np.clip(number.draw(rng, draws), 0.0, 1.0)
    wide = max(gamma or 1, check_gamma(positions, name="gamma_max"))
    at = np.arange(1.0, wide + 1.0)
    middle = np.asarray(conditional_rate(number.value, decay, at))
    sample = np.asarray(conditional_rate(values[:, None], decay, at))
    law = "independent acceptance" if decay == 1.0 else f"a rate falling by {decay:g} a position"
    return Evidence(
        PositionalAcceptance(middle),
        PositionalAcceptance(sample),
        None if gamma is None else check_gamma(gamma),
        f"alpha {number.value:g}",
        (f"alpha is taken as the conditional rate, with {law}",),
    )


def from_length(
    length: str | float | Stated,
    gamma: int,
    rng: np.random.Generator,
    *,
    positions: int = 32,
    draws: int = 2000,
) -> Evidence:
    """Acceptance from an acceptance length (bonus token counted) at gamma.

    The length fixes one number; how rates change with depth is drawn from a normal law of the
    width in `howspec.calibrate.grid`. Every draw meets the length within its digits.
    """
    number, g = stated(length, "acceptance_length"), check_gamma(gamma)
    if not 1.0 <= number.value <= g + 1.0:
        raise ValueError(
            f"acceptance_length must be in [1, gamma + 1 = {g + 1}], the bonus token counted, got "
            f"{number.value:g}"
        )
    return _from_lengths(number, np.clip(number.draw(rng, draws), 1.0, g + 1.0), g, rng, positions)


def _from_lengths(
    number: Stated, lengths: Floats, gamma: int, rng: np.random.Generator, positions: int
) -> Evidence:
    wide = max(gamma, check_gamma(positions, name="gamma_max"))
    spread = np.exp(Priors().log_decay * rng.standard_normal(lengths.size))
    alpha, decay = _meeting(lengths, spread, gamma)
    middle = np.full(wide, float(alpha_from_length(number.value, gamma)))
    return Evidence(
        PositionalAcceptance(middle),
        PositionalAcceptance(_continued(alpha, decay, gamma, wide)),
        gamma,
        f"acceptance length {number.value:g} at gamma {gamma}",
        (
            "an acceptance length alone does not show how acceptance changes with depth; other "
            "gammas lean on a prior for that",
        ),
    )


def _continued(alpha: Floats, decay: Floats, gamma: int, wide: int) -> Floats:
    """Rates of the depth law at positions 1..gamma; beyond them a fall goes on, a rise dies out."""
    inside = conditional_rate(alpha[:, None], decay[:, None], np.arange(1.0, gamma + 1.0))
    steps = np.arange(1.0, wide - gamma + 1.0)
    rise = _DAMPING * (1.0 - _DAMPING**steps) / (1.0 - _DAMPING)
    trend = decay[:, None] ** np.where(decay[:, None] > 1.0, rise, steps)
    return np.concatenate([inside, np.minimum(inside[:, -1:] * trend, 1.0)], axis=1)


def _meeting(lengths: Floats, decay: Floats, gamma: int) -> tuple[Floats, Floats]:
    """(alpha, decay) whose tokens per round at gamma are ``lengths``, by bisection.

    Where a falling rate cannot reach the length even from alpha = 1, the decay is set to 1.
    """
    most = tokens_by_gamma(DepthAcceptance(1.0, decay), gamma)[:, gamma]
    decay = np.where(most < lengths, 1.0, decay)
    low, high = np.zeros_like(lengths), np.ones_like(lengths)
    for _ in range(60):
        middle = 0.5 * (low + high)
        short = tokens_by_gamma(DepthAcceptance(middle, decay), gamma)[:, gamma] < lengths
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return 0.5 * (low + high), decay


def from_counts(
    tried: Floats,
    accepted: Floats,
    rng: np.random.Generator,
    *,
    positions: int = 32,
    draws: int = 2000,
    given: str = "counts by position",
) -> Evidence:
    """Acceptance from how often each draft position was put to the test and accepted.

    tried, accepted: shape (gamma,). Positions have Jeffreys' posterior each; those beyond gamma, or
    never tried, go on by the depth law fitted to the same counts. Rounds count as independent.
    """
    g = check_gamma(tried.size)
    wide = max(g, check_gamma(positions, name="gamma_max"))
    whole = (np.rint(tried).astype(np.int64), np.rint(np.minimum(accepted, tried)).astype(np.int64))
    if not whole[0][0] > 0:
        raise ValueError(f"tried must be in [1, inf) at position 1, got {tried[0]:g}")
    seen = np.flatnonzero(tried > 0)
    if wide > g or seen.size < g:
        fit = fit_counts(*whole, rng, draws=draws)
        sample = _continued(fit.alpha, fit.decay, g, wide)
    else:
        sample = np.zeros((draws, wide))
    middle = sample.mean(axis=0)
    sample[:, seen] = rng.beta(
        accepted[seen] + 0.5, np.maximum(tried - accepted, 0.0)[seen] + 0.5, (draws, seen.size)
    )
    middle[seen] = np.minimum(accepted[seen] / tried[seen], 1.0)
    notes = ("rounds count as independent: where requests differ, the intervals are too narrow",)
    return Evidence(PositionalAcceptance(middle), PositionalAcceptance(sample), g, given, notes)


def _from_survival(
    survival: Floats, rng: np.random.Generator, *, positions: int, draws: int, given: str
) -> Evidence:
    """Acceptance from printed survival by position, without the number of rounds."""
    g = check_gamma(survival.size)
    wide = max(g, positions)
    tokens = 1.0 + np.cumsum(survival)
    fit = fit_tokens(np.arange(1, g + 1), tokens, rng, draws=draws)
    sample = _continued(fit.alpha, fit.decay, g, wide)
    middle = sample.mean(axis=0)
    rates = Survival(survival).conditional().values
    middle[:g], sample[:, :g] = rates, rates
    notes = (
        "how often each position was tried is not known, so the acceptance is taken as printed",
    )
    return Evidence(PositionalAcceptance(middle), PositionalAcceptance(sample), g, given, notes)


def from_statistics(
    counts: Mapping[str, Any],
    rng: np.random.Generator,
    *,
    gamma: int | None = None,
    positions: int = 32,
    draws: int = 2000,
) -> Evidence:
    """Acceptance from imported statistics: the object that `howspec import --json` prints.

    gamma: where the statistics leave it open. Raises ValueError where they determine nothing.
    """
    engine = counts.get("engine") or "an engine"
    given = f"statistics of {engine}"
    said = counts.get("gamma")
    if said is not None and gamma is not None and int(said) != gamma:
        raise ValueError(f"gamma must agree with the statistics, {said}, got {gamma}")
    known = said if said is not None else gamma
    known = _whole_drafts(counts) if known is None else known
    options: dict[str, Any] = {"positions": positions, "draws": draws}
    survival = _padded(counts.get("survival"), known)
    rounds, accepted = counts.get("rounds"), counts.get("accepted")
    length = counts.get("acceptance_length")
    if length is None and rounds and accepted is not None:
        length = 1.0 + float(accepted) / float(rounds)
    found: Evidence | None = None
    if survival is not None:
        share = survival
        tried = _tried(counts, share)
        if tried is not None:
            kept = counts.get("per_position_accepted")
            passed = share * float(rounds or 0) if kept is None else _filled(kept, share.size)
            found = from_counts(tried, np.minimum(passed, tried), rng, given=given, **options)
        else:
            found = _from_survival(share, rng, given=given, **options)
    elif length is not None and known is not None:
        found = _counted_length(float(length), int(known), rounds, rng, **options)
        found = replace(found, given=given)
    if found is None:
        raise ValueError(
            f"{given} do not determine the acceptance: they need survival by position, or an "
            "acceptance length (or rounds and accepted) with gamma; give --gamma"
        )
    notes = [*found.notes, *_disagreements(counts, found, length)]
    notes += [str(n) for n in counts.get("notes") or ()]
    return replace(found, notes=tuple(notes), gamma=known or found.gamma)


def _whole_drafts(counts: Mapping[str, Any]) -> int | None:
    """Drafted tokens a round, where that is a whole number."""
    rounds, drafted = counts.get("rounds"), counts.get("drafted")
    if not rounds or not drafted or int(drafted) % int(rounds):
        return None
    return int(drafted) // int(rounds)


def _disagreements(counts: Mapping[str, Any], found: Evidence, length: Any) -> list[str]:
    """What the statistics say of themselves that does not fit together."""
    notes = []
    rounds, drafted, gamma = counts.get("rounds"), counts.get("drafted"), found.gamma
    if rounds and drafted and gamma and abs(drafted / rounds / gamma - 1.0) > 0.01:
        notes.append(
            f"rounds drafted {drafted / rounds:.2f} tokens on average, not {gamma}: costs that are "
            "counted for gamma are too high for the shorter ones"
        )
    if length is not None and gamma and gamma <= found.positions:
        tokens = found.tokens(gamma)[0]
        if abs(tokens / float(length) - 1.0) > 0.01:
            notes.append(
                f"survival by position gives {tokens:.3f} tokens per round, the stated acceptance "
                f"length is {float(length):.3f}: they count different rounds"
            )
    return notes


def _padded(survival: Any, gamma: int | None) -> Floats | None:
    """Survival at positions 1..gamma; those that a source leaves out at the end are 0."""
    if not survival:
        return None
    share = np.asarray(survival, dtype=np.float64)
    if gamma is not None and share.size > int(gamma):
        raise ValueError(f"gamma must be at least the {share.size} positions given, got {gamma}")
    return share if gamma is None else _filled(share, int(gamma))


def _filled(values: Any, size: int) -> Floats:
    held = np.asarray(values, dtype=np.float64)[:size]
    return np.concatenate([held, np.zeros(size - held.size)])


def _tried(counts: Mapping[str, Any], survival: Floats) -> Floats | None:
    """How often each position was put to the test, where the statistics show it."""
    if counts.get("tried") is not None:
        return _filled(counts["tried"], survival.size)
    rounds, gamma, drafted = counts.get("rounds"), counts.get("gamma"), counts.get("drafted")
    if not rounds:
        return None
    if gamma is not None and drafted is not None:
        full = int(gamma) * int(rounds)
        if not (1.0 - _SHORT) * full <= int(drafted) <= full:
            return None  # rounds of several lengths: a position was not tried in each of them
    kept = counts.get("per_position_accepted")
    passed = survival * float(rounds) if kept is None else _filled(kept, survival.size)
    return np.concatenate([[float(rounds)], passed[:-1]])


def _counted_length(
    length: float,
    gamma: int,
    rounds: Any,
    rng: np.random.Generator,
    *,
    positions: int,
    draws: int,
) -> Evidence:
    """A mean over rounds: its error is that of independent rounds with the same mean."""
    if not rounds:
        return from_length(length, gamma, rng, positions=positions, draws=draws)
    g = check_gamma(gamma)
    if not 1.0 <= length <= g + 1.0:
        raise ValueError(f"acceptance_length must be in [1, gamma + 1 = {g + 1}], got {length:g}")
    survival = DepthAcceptance(float(alpha_from_length(length, g))).survival(g)
    squares = float(((2.0 * np.arange(g + 1.0) + 1.0) * survival).sum())
    error = np.sqrt(max(squares - length * length, 0.0) / float(rounds))
    lengths = np.clip(length + error * rng.standard_normal(draws), 1.0, g + 1.0)
    return _from_lengths(Stated(length, 0.0, float(error)), lengths, g, rng, positions)


def json_object(path: Path) -> dict[str, Any] | None:
    """The object that a file holds as JSON, None for any other file and for very large ones."""
    with path.open("rb") as file:
        start = file.read(64).lstrip()
    if not start.startswith(b"{") or path.stat().st_size > _LARGEST_JSON:
        return None
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:  # a log may begin with a brace as well
        return None
    return value if isinstance(value, dict) else None


def read_statistics(source: str | Path) -> dict[str, Any]:
    """Statistics from a file: the JSON of `howspec import --json`, or an engine's own log.

    Raises ValueError for text that is neither, OSError for a file that cannot be read.
    """
    found = json_object(Path(source))
    if found is not None and {"acceptance_length", "rounds", "gamma"} <= found.keys():
        return found
    from .load import import_counts  # the importers are many and only needed here

    return import_counts(str(source)).to_json()
