"""What is known of acceptance, as one law in the middle and a sample of laws around it.

Counts by draft position give each position its own conditional rate; an acceptance length with
gamma, or a stated alpha, gives less, and the sample is then wide where the input is silent. Beyond
the positions that were measured a fall of the rates goes on as before, while a rise dies out: one
that went on would promise long drafts that nobody has seen.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..theory import DepthAcceptance, tokens_by_gamma
from ..theory.acceptance import PositionalAcceptance, Survival, alpha_from_length, conditional_rate
from ..theory.acceptance.positional import powered, trend
from ..theory.domain import Floats, bisect
from .grid import Priors
from .known import LARGEST_GAMMA, Kind, KnownAcceptance, around
from .stated import Stated, stated
from .tokens import fit_counts, fit_tokens


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


def _known(
    middle: Floats,
    sample: Floats | PositionalAcceptance,
    kind: Kind,
    given: str,
    gamma: int | None,
    note: str,
) -> KnownAcceptance:
    """The law of the rates in the middle, with the laws of a sample around it."""
    laws = sample if isinstance(sample, PositionalAcceptance) else PositionalAcceptance(sample)
    return around(PositionalAcceptance(middle), laws, kind, given, gamma, (note,))


def from_alpha(
    alpha: str | float | Stated,
    rng: np.random.Generator,
    *,
    decay: float = 1.0,
    gamma: int | None = None,
    positions: int = 32,
    draws: int = 2000,
) -> KnownAcceptance:
    """Acceptance from a conditional rate, known to its digits; decay: factor per position, > 0."""
    number = stated(alpha, "alpha")
    values = np.clip(number.draw(rng, draws), 0.0, 1.0)
    wide = max(gamma or 1, check_gamma(positions, name="gamma_max"))
    at = np.arange(1.0, wide + 1.0)
    middle = np.asarray(conditional_rate(number.value, decay, at))
    sample = np.asarray(conditional_rate(values[:, None], decay, at))
    law = "independent acceptance" if decay == 1.0 else f"a rate falling by {decay:g} a position"
    gamma = None if gamma is None else check_gamma(gamma)
    note = f"alpha is taken as the conditional rate, with {law}"
    return _known(middle, sample, "stated", f"alpha {number.value:g}", gamma, note)


def from_length(
    length: str | float | Stated,
    gamma: int,
    rng: np.random.Generator,
    *,
    positions: int = 32,
    draws: int = 2000,
    growth: Floats | None = None,
) -> KnownAcceptance:
    """Acceptance from an acceptance length (bonus token counted) at gamma.

    The length fixes one number. How rates change with depth is drawn: rejection grows as k^growth,
    where draws of shape (draws,) are known for the kind of drafter, else from a normal law of the
    width in `howspec.calibrate.grid`. Every draw meets the length within its digits.
    """
    number, g = stated(length, "acceptance_length"), check_gamma(gamma)
    if not 1.0 <= number.value <= g + 1.0:
        raise ValueError(
            f"acceptance_length must be in [1, gamma + 1 = {g + 1}], the bonus token counted, got "
            f"{number.value:g}"
        )
    lengths = np.clip(number.draw(rng, draws), 1.0, g + 1.0)
    if growth is None:
        return from_lengths(number, lengths, g, rng, positions)
    wide = max(g, check_gamma(positions, name="gamma_max"))
    usual = np.array([float(np.median(growth))])
    middle = powered(_hazard(np.array([number.value]), usual, g), usual, wide)
    sample = powered(_hazard(lengths, growth, g), growth, wide)
    given = f"acceptance length {number.value:g} at gamma {g}"
    note = "other gammas lean on how published drafters of this kind change with depth"
    return _known(np.asarray(middle.rates)[0], sample, "stated", given, g, note)


def _hazard(lengths: Floats, growth: Floats, gamma: int) -> Floats:
    """ln h of the first position with which tokens per round at gamma are ``lengths``."""
    low, high = np.full_like(lengths, -16.0), np.full_like(lengths, 3.0)
    for _ in range(50):
        middle = 0.5 * (low + high)
        short = tokens_by_gamma(powered(middle, growth, gamma), gamma)[:, gamma] < lengths
        low, high = np.where(short, low, middle), np.where(short, middle, high)
    return 0.5 * (low + high)


def from_lengths(
    number: Stated, lengths: Floats, gamma: int, rng: np.random.Generator, positions: int
) -> KnownAcceptance:
    """Acceptance from draws of the acceptance length at gamma, shape (draws,), in [1, gamma + 1].

    number: the length in the middle; see `from_length` for how rates change with depth.
    """
    wide = max(gamma, check_gamma(positions, name="gamma_max"))
    spread = np.exp(Priors().log_decay * rng.standard_normal(lengths.size))
    alpha, decay = _meeting(lengths, spread, gamma)
    middle = np.full(wide, float(alpha_from_length(number.value, gamma)))
    note = (
        "an acceptance length alone does not show how acceptance changes with depth; other gammas "
        "lean on a prior for that"
    )
    given = f"acceptance length {number.value:g} at gamma {gamma}"
    return _known(middle, _continued(alpha, decay, gamma, wide), "stated", given, gamma, note)


def _continued(alpha: Floats, decay: Floats, gamma: int, wide: int) -> Floats:
    """Rates of the depth law at positions 1..gamma; beyond them a fall goes on, a rise dies out."""
    inside = conditional_rate(alpha[:, None], decay[:, None], np.arange(1.0, gamma + 1.0))
    steps = np.arange(1.0, wide - gamma + 1.0)
    beyond = np.minimum(inside[:, -1:] * trend(decay[:, None], steps), 1.0)
    return np.concatenate([inside, beyond], axis=1)


def _meeting(lengths: Floats, decay: Floats, gamma: int) -> tuple[Floats, Floats]:
    """(alpha, decay) whose tokens per round at gamma are ``lengths``, by bisection.

    Where a falling rate cannot reach the length even from alpha = 1, the decay is set to 1.
    """
    most = tokens_by_gamma(DepthAcceptance(1.0, decay), gamma)[:, gamma]
    decay = np.where(most < lengths, 1.0, decay)
    low, high = bisect(
        lambda a: tokens_by_gamma(DepthAcceptance(a, decay), gamma)[:, gamma] >= lengths,
        np.zeros_like(lengths), np.ones_like(lengths),
    )  # fmt: skip
    return 0.5 * (low + high), decay


def from_counts(
    tried: Floats,
    accepted: Floats,
    rng: np.random.Generator,
    *,
    positions: int = 32,
    draws: int = 2000,
    given: str = "counts by position",
) -> KnownAcceptance:
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
    note = "rounds count as independent: where requests differ, the intervals are too narrow"
    return _known(middle, sample, "imported", given, g, note)


def from_survival(
    survival: Floats, rng: np.random.Generator, *, positions: int, draws: int, given: str
) -> KnownAcceptance:
    """Acceptance from printed survival by position, without the number of rounds."""
    g = check_gamma(survival.size)
    wide = max(g, positions)
    tokens = 1.0 + np.cumsum(survival)
    fit = fit_tokens(np.arange(1, g + 1), tokens, rng, draws=draws)
    sample = _continued(fit.alpha, fit.decay, g, wide)
    middle = sample.mean(axis=0)
    rates = Survival(survival).conditional().values
    middle[:g], sample[:, :g] = rates, rates
    note = "how often each position was tried is not known, so the acceptance is taken as printed"
    return _known(middle, sample, "imported", given, g, note)


def from_requests(
    tried: Floats,
    kept: Floats,
    rng: np.random.Generator,
    *,
    positions: int,
    draws: int,
    given: str,
) -> KnownAcceptance:
    """Acceptance from how often each position was tried and accepted, (requests, positions) each.

    Requests are resampled; of a single one the rounds count as independent.
    """
    most = tried.shape[1]
    total = from_counts(
        tried.sum(axis=0), kept.sum(axis=0), rng, positions=positions, draws=draws, given=given
    )
    if len(tried) == 1:
        return replace(total, kind="measured")
    assert isinstance(total.law, PositionalAcceptance)
    assert total.middle is not None
    sample = np.array(total.law.rates)
    weights = rng.multinomial(len(tried), np.full(len(tried), 1.0 / len(tried)), size=draws)
    seen = weights @ tried
    # Positions that a resample never reaches keep the draw from all requests.
    share = np.divide(weights @ kept, seen, out=sample[:, :most].copy(), where=seen > 0.0)
    sample[:, :most] = share
    return around(total.middle, PositionalAcceptance(sample), "measured", given, most)
