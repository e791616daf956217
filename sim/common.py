"""Laws of drafts of one target that share their draws, and what a measured one says of the others.

Draw i of every draft has one machine, one task and one family, so that what one draft is measured
to gain on this machine tells of these, and with them of every other draft and gamma: draws weigh
by how well they meet it, as for published rows of a pair (`sim.published`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..calibrate.doors import Pair
from ..calibrate.doors.acceptance import of_forecast
from ..calibrate.doors.costs import of_prediction, plain_times
from ..calibrate.models.formats import format_in
from ..calibrate.prior.acceptance import expected_acceptance
from ..calibrate.prior.costs import expected_costs
from ..calibrate.prior.costs_plain import at_plain_times
from ..theory.acceptance import PositionalAcceptance
from .known import DRAWS, KnownDrafts, Laws, Sources, laws_of
from .published import resampled, taken
from .rounds.gate import gated

_REPEATS = 0.04  # of a speed-up, from one run of one setting to the next


@dataclass(frozen=True)
class MeasuredDraft:
    """A speed-up over plain decoding that a draft was measured to give at so many draft tokens."""

    draft: str
    gamma: int
    speedup: float


def measured_drafts(known: KnownDrafts) -> tuple[MeasuredDraft, ...]:
    """Measured drafts from ``DRAFT:K:SPEEDUP`` (DRAFT may end with its format; several with commas)
    or from a mapping {(draft, gamma): speed-up}.

    Raises ValueError for anything else, gamma outside [1, 256] and speed-ups outside (0, inf).
    """
    if known is None:
        return ()
    if isinstance(known, str):
        parts = [part.strip().rsplit(":", 2) for part in known.split(",")]
        try:
            found = [MeasuredDraft(d, int(k), float(s)) for d, k, s in parts]
        except ValueError:
            raise ValueError(
                "known_draft must be DRAFT:K:SPEEDUP, such as Qwen2.5-0.5B:q4:4:1.42; "
                f"got {known!r}"
            ) from None
    else:
        found = [MeasuredDraft(d, int(k), float(s)) for (d, k), s in known.items()]
    for one in found:
        if not 1 <= one.gamma <= 256:
            raise ValueError(f"gamma of known_draft must be in [1, 256], got {one.gamma}")
        if not 0.0 < one.speedup < math.inf:
            raise ValueError(f"speed-up of known_draft must be in (0, inf), got {one.speedup:g}")
    return tuple(found)


def common_laws(pairs: Sequence[Pair], given: Sources, top: int, seed: int) -> list[Laws]:
    """Predicted laws of drafts of one target at gamma = 0..top, with draws in common.

    given: what is known of plain times and measured drafts; heads share the machine alone.
    """
    measured = measured_drafts(given.known_draft)
    reach = max(top, *(m.gamma for m in measured)) if measured else top
    first = pairs[0]
    asked = {_key(p): p for p in pairs}
    behind = [first.with_draft(m.draft) for m in measured]
    asked |= {_key(p): p for p in behind if _key(p) not in asked}
    laws = dict(zip(asked, _laws(list(asked.values()), given, reach, seed), strict=True))
    if measured:
        misfit = 0.0
        for m, p in zip(measured, behind, strict=True):
            misfit = misfit + np.square(np.log(_gain(laws[_key(p)], m.gamma)) - math.log(m.speedup))
        rng = np.random.default_rng([seed, len(measured)])
        keep, _ = resampled(np.asarray(misfit), _REPEATS, rng)
        laws = {k: _kept(law, keep, measured) for k, law in laws.items()}
    return [replace(laws[_key(p)], gamma_max=top) for p in pairs]


def _key(pair: Pair) -> tuple[str, str]:
    _, draft = pair.models
    bare, _ = format_in(draft.called)
    return bare.casefold(), draft.dtype_stated or pair.at.draft_dtype


def _laws(pairs: Sequence[Pair], given: Sources, top: int, seed: int) -> list[Laws]:
    models = [p.draft for p in pairs if p.head is None and p.draft is not None]
    first = pairs[0]
    at = replace(first.at, p_min=None)
    load, target = first.load(), first.target
    if models:
        at.needs("rank", "target", "device", instead="costs")
        assert load is not None
        assert target is not None
        # Generators of their own, so that what is given of one leaves the other alone.
        for_costs, for_acceptance = np.random.default_rng(seed).spawn(2)
        expected = expected_costs(target, models, load=load, rng=for_costs, draws=DRAWS)
        forecast = expected_acceptance(
            target, models, use=first.use, dtype=expected[0].dtype, draft_dtype=load.draft_dtype,
            rng=for_acceptance, draws=DRAWS,
        )  # fmt: skip
        times = plain_times(given.plain_ms, load.batch)
        own = iter(range(len(models)))
    found = []
    for p in pairs:
        if p.head is not None:
            laws = laws_of(replace(p.at, p_min=None), given, gamma_max=top, seed=seed)
        else:
            i = next(own)
            law = expected[i]
            if times and load is not None:
                law = at_plain_times(
                    law, times, context=load.context, rng=np.random.default_rng([seed, 1])
                )
            accepted = of_forecast(forecast.of(i), positions=top)
            laws = Laws(p, accepted, of_prediction(law), top)
        if p.at.p_min is not None:
            rng = np.random.default_rng([seed, 2])
            accepted, costs = gated(
                laws.acceptance, laws.costs, p_min=p.at.p_min, gamma=top, rng=rng
            )
            laws = Laws(p, accepted, costs, top)
        found.append(laws)
    return found


def _gain(laws: Laws, gamma: int) -> np.ndarray:
    at = laws.pair.at
    times = laws.costs.law.round_time(gamma, batch=at.batch, context=at.cached)
    return np.asarray(laws.tokens(gamma)[:, gamma] * times[..., 0] / times[..., gamma])


def _kept(laws: Laws, keep: np.ndarray, measured: Sequence[MeasuredDraft]) -> Laws:
    known = laws.acceptance
    said = ", ".join(f"{m.draft} {m.speedup:g} at gamma {m.gamma}" for m in measured)
    accepted = replace(
        known, law=PositionalAcceptance(np.asarray(known.rates(laws.gamma_max))[keep]),
        alpha=known.alpha[keep], middle=None,
    )  # fmt: skip
    costs = replace(laws.costs, law=taken(laws.costs.law, keep))
    note = f"rests on measured speed-ups on this machine: {said}"
    accepted = replace(accepted, notes=(note, *accepted.notes))
    return replace(laws, acceptance=accepted, costs=costs)
