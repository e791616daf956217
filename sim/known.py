"""What is known of acceptance and of costs, and both laws that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..calibrate.doors import Deployment, Pair, acceptance, costs, resolve
from ..calibrate.known import KnownAcceptance, KnownCosts
from ..theory import tokens_by_gamma
from ..theory.acceptance import PositionalAcceptance
from ..theory.acceptance.law import accepted_whole
from ..theory.domain import Floats
from .published import Published, published

if TYPE_CHECKING:
    from ..calibrate.doors.acceptance import AcceptanceSource
    from ..calibrate.doors.costs import CostSource, PlainTimes

KnownDrafts = str | Mapping[tuple[str, int], float] | None
DRAWS = 2000
# Beyond, tables take minutes and no engine drafts so far; of draws, each has a table.
GAMMA_LIMIT, GAMMA_LIMIT_DRAWS = 10_000, 256
# Largest gamma tried: fewer where the acceptance is only predicted, and seen at some five tokens.
GAMMA_MAX, GAMMA_MAX_STATED = 16, 32
_LEAST = 8  # gamma that is tried in any case, however short the measured rounds were


@dataclass(frozen=True)
class Sources:
    """What is known, as it was given; see `howspec.calibrate.doors` for what each may be."""

    acceptance: AcceptanceSource = None
    acceptance_length: str | float | None = None
    gamma: int | None = None
    alpha_tokens: float | None = None
    decay: float = 1.0
    costs: CostSource = None
    verify_slope: float = 0.0
    overhead: float = 0.0
    overhead_ms: float = 0.0
    plain_ms: PlainTimes = None
    known_draft: KnownDrafts = None

    @property
    def open(self) -> bool:
        """Whether both laws are to be predicted."""
        return self.acceptance is None and self.acceptance_length is None and self.costs is None

    def check_gamma(self) -> None:
        """Raise ValueError for a gamma of measured rounds beside acceptance that has none."""
        if self.gamma is None or self.acceptance_length is not None:
            return
        if self.acceptance is None or isinstance(self.acceptance, int | float):
            raise ValueError("gamma goes with acceptance_length or statistics, got neither")

    @property
    def exact_alpha(self) -> bool:
        """Whether acceptance is a number that is taken as it is."""
        return isinstance(self.acceptance, int | float) and self.alpha_tokens is None


@dataclass(frozen=True)
class Laws:
    """What one question rests on: the pair, both laws, and the largest gamma that they cover.

    published: measurements of the pair that the laws were weighed by; drafts_known: whether they
    were weighed by what other drafts gave on the machine.
    """

    pair: Pair
    acceptance: KnownAcceptance
    costs: KnownCosts
    gamma_max: int
    published: Published | None = None
    drafts_known: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know of the pair and of both laws, each once."""
        known = () if self.published is None else self.published.notes
        both = (*self.costs.notes, *self.acceptance.notes)
        return tuple(dict.fromkeys((*known, *self.pair.notes, *both)))

    def tokens(self, gamma_max: int | None = None) -> Floats:
        """Tokens per round at gamma = 0.., by default ..gamma_max, shape (draws or 1, gammas)."""
        top = self.gamma_max if gamma_max is None else gamma_max
        return np.asarray(tokens_by_gamma(self.acceptance.law, top)).reshape(-1, top + 1)


def laws_of(
    at: Deployment,
    given: Sources = Sources(),
    *,
    gamma_max: int | None = None,
    seed: int = 0,
    member: int | None = None,
) -> Laws:
    """Both laws, from what was given of each, or predicted for the pair; measured speed-ups of
    other drafts are left to `sim.laws.both_laws`.

    They are drawn from generators of their own: what is given of one leaves the other alone, and
    every verb answers with the same draws. gamma_max: largest gamma, by default what the laws
    cover. seed: >= 0; member: of a ranking, whose errors are its own. Raises ValueError where one
    of them is not determined.
    """
    check_seed(seed)
    if gamma_max is not None:
        check_gamma_max(gamma_max, GAMMA_LIMIT if given.exact_alpha else GAMMA_LIMIT_DRAWS)
    source = np.random.default_rng(seed if member is None else [seed, member])
    for_costs, for_acceptance = source.spawn(2)
    pair = resolve(at)
    known = costs(
        given.costs, rng=for_costs, pair=pair, verify_slope=given.verify_slope,
        overhead=given.overhead, overhead_ms=given.overhead_ms,
        plain_ms=given.plain_ms, draws=DRAWS,
    )  # fmt: skip
    if at.context is None and known.contexts is not None:
        measured = float(np.clip(at.cached, *known.contexts))
        pair = replace(pair, at=replace(pair.at, context=measured))
    top = gamma_max
    if top is None:
        top = GAMMA_MAX_STATED if given.exact_alpha else GAMMA_MAX
        top = min(top, known.gamma_max or top)
    accepted = acceptance(
        given.acceptance, rng=for_acceptance, pair=pair, length=given.acceptance_length,
        gamma=given.gamma, tokens=given.alpha_tokens, decay=given.decay, positions=top,
        dtype=known.dtype, draws=DRAWS,
    )  # fmt: skip
    if gamma_max is None and accepted.gamma is not None:
        from ..calibrate.evidence import reach

        top = min(max(reach(accepted.gamma), _LEAST), top)
    if known.kind == "measured" and hasattr(known.law, "after"):
        # Timed rounds take longer where they are accepted whole.
        whole = accepted_whole(accepted.law, top).reshape(-1, top + 1)
        known = replace(known, law=known.law.after(whole.mean(axis=0)))
    if at.p_min is not None:
        from .rounds.gate import gated

        accepted, known = gated(accepted, known, p_min=at.p_min, gamma=top, rng=source)
        return Laws(pair, accepted, known, top)
    laws = Laws(pair, accepted, known, top)
    return _with_published(laws, source) if accepted.kind == known.kind == "predicted" else laws


def _with_published(laws: Laws, rng: np.random.Generator) -> Laws:
    """The laws weighed by what was measured of the pair: what the user knows of it weighs more."""
    found = published(laws.pair, laws.tokens(), laws.costs, rng)
    if found is None:
        return laws
    known = laws.acceptance
    rates = np.asarray(known.rates(laws.gamma_max))[found.keep]
    accepted = replace(
        known, law=PositionalAcceptance(rates), alpha=known.alpha[found.keep], middle=None,
        sources=found.citations,
    )  # fmt: skip
    return replace(laws, acceptance=accepted, costs=found.costs(laws.costs), published=found)


def check_seed(seed: int) -> int:
    """Return a seed that every generator takes, or raise ValueError."""
    if seed < 0:
        raise ValueError(f"seed must be an integer in [0, inf), got {seed}")
    return seed


def check_gamma_max(gamma_max: int, most: int = GAMMA_LIMIT_DRAWS) -> int:
    """Return a largest gamma that can be tabulated, or raise ValueError."""
    if not (1 <= gamma_max <= most and int(gamma_max) == gamma_max):
        raise ValueError(f"gamma_max must be an integer in [1, {most}], got {gamma_max}")
    return int(gamma_max)
