r"""What to expect of a drafter that is no model of its own and that nobody has measured.

A head is trained for its target, so its acceptance follows no ratio of sizes; what published
drafters reach, and how far kinds, tasks, targets, heads and studies differ, is all that is known
before a measurement: `heads_model`, given the curves of `head_curves`. Look-up accepts nothing
where the text has no match and much where it has one, so its later rates are higher; it has a
hierarchy of its own. A part of the target, and a model that drafts a block at once, are forecast as
a tuned draft of their size.
Assumes: chains and blocks, at temperatures of at most 1.
Wrong when: the head was trained on little data, or on other prompts than it meets.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from ...theory import tokens_by_gamma
from ...theory.acceptance.positional import damped, powered
from ...theory.domain import Floats
from ..files import bundled_json
from ..known import KnownAcceptance
from ..library.load import same_study
from ..models.drafters import DRAFTERS, drafter_kind
from ..named import NamedModel, named, named_draft, same_model, told_target
from ..pair import Load, Use
from .acceptance import expected_acceptance
from .acceptance_cells import known_task
from .costs import PredictedCost, expected_costs
from .head_curves import GREATEST, LOOK_UP, SHORT, HeadCurve, head_curves, looked_up
from .heads_model import SPREADS, Conditioned, Question

_BY_SIZE = ("layer-skip", "PARD")
_WARMEST = 1.0  # temperature of the warmest rows
_SHOWN = 4  # draft tokens of the rounds that alpha is stated for


def head_costs(
    target: NamedModel, head: NamedModel, *, load: Load, rng: np.random.Generator, draws: int = 2000
) -> PredictedCost:
    """Costs of a target with its drafter, run once a token, once a round, or never.

    A shorter table of tokens is no other vocabulary. Raises ValueError for a plain model, and as
    `expected_costs` does.
    """
    kind = head.kind or drafter_kind(head.called)
    if kind is None:
        raise ValueError(f"drafter must be of a kind of {', '.join(DRAFTERS)}, got {head.called!r}")
    law = expected_costs(target, [head], load=load, rng=rng, draws=draws)[0]
    notes = tuple(n for n in law.notes if not n.startswith("vocabularies"))
    return replace(law, drafting=DRAFTERS[kind].passes, notes=(*notes, *head.notes))


def expected_head(
    kind: str,
    target: str,
    rng: np.random.Generator,
    *,
    task: str | None = None,
    temperature: float | None = None,
    context: float | None = None,
    positions: int = 16,
    draws: int = 2000,
    draft: NamedModel | None = None,
    unseen: str = "",
) -> KnownAcceptance:
    """Acceptance of a drafter of that kind for a target, from published ones.

    target: a name; drafters of that very target count as its sisters. task: one that the prior
    knows, None for any; context: cached tokens, None for a short one. draft: the drafter as
    `named_draft` gives it, needed for PARD alone; unseen: a study whose drafters are left out.
    """
    if temperature is not None and not 0.0 <= temperature < np.inf:
        raise ValueError(f"temperature must be in [0, inf), got {temperature:g}")
    if kind in _BY_SIZE:
        use = Use(task, temperature, tuned=True, unseen=unseen)
        return _by_size(kind, target, rng, use, positions, draws, draft)
    asked = Question(
        kind, target, _known_head(kind, draft), None if task is None else known_task(task),
        temperature=temperature, context=context,
    )  # fmt: skip
    seen = _curves(kind, unseen)
    y, b = _conditioned(kind, unseen).draw(asked, rng, draws)
    law = powered(np.minimum(y, GREATEST), b, positions)
    chosen = [c for c in seen if c.kind == kind or kind in LOOK_UP]
    own = [c for c in chosen if same_model(c.target, target)]
    told = own or [c for c in chosen if c.canonical == asked.task] or chosen
    return KnownAcceptance(
        law, "predicted", _given(kind, own, chosen), _pooled(y, b), notes=_notes(asked, chosen),
        sources=tuple(dict.fromkeys(c.source for c in told if c.source)),
    )  # fmt: skip


def _pooled(y: Floats, b: Floats) -> Floats:
    """Accepted over decided draft tokens of rounds of four, shape (draws,)."""
    table = tokens_by_gamma(powered(np.minimum(y, GREATEST), b, _SHOWN), _SHOWN)
    return np.asarray((table[:, _SHOWN] - 1.0) / table[:, _SHOWN - 1])


def head_depth(
    kind: str, rng: np.random.Generator, draws: int, *, target: str = "", unseen: str = ""
) -> Floats:
    """Draws of the exponent b with which rejection grows with position, for a head of that kind.

    "" for a drafter of any kind. See `head_curves`.
    """
    return _conditioned(kind, unseen).draw(Question(kind, target), rng, draws)[1]


def _given(kind: str, own: list[HeadCurve], chosen: list[HeadCurve]) -> str:
    if own:
        heads = len({c.head for c in own})
        return f"{heads} published {kind} drafters of this very target"
    heads, targets = len({(c.target, c.head) for c in chosen}), len({c.target for c in chosen})
    return f"{heads} published {kind} drafters of {targets} targets"


def _notes(asked: Question, chosen: list[HeadCurve]) -> tuple[str, ...]:
    """What the question leaves open, or asks beyond what was measured."""
    kind, notes = asked.kind, []
    if asked.temperature is not None and asked.temperature > _WARMEST:
        notes.append(
            f"drafters were measured at temperatures up to 1, not at {asked.temperature:g}"
        )
    if asked.task is None:
        notes.append("no task named: the interval covers those of the published drafters")
    elif not any(c.canonical == asked.task for c in chosen):
        notes.append(f"no {kind} drafter was measured on {asked.task}: the interval is wider")
    if not chosen:
        notes.append(f"no {kind} drafter is published: the level is that of all kinds of heads")
    elif max(max(c.gammas) for c in chosen) == 1:
        notes.append(f"no chain of {kind} is published: {chosen[0].source}")
    if asked.long and DRAFTERS[kind].is_head:
        notes.append(
            f"heads are trained, and nearly all measured, on contexts below {SHORT:.0f} tokens; "
            f"at {asked.context:.0f} acceptance can collapse (an EAGLE-3 head of Llama-3.1-8B "
            "falls from 2.85 tokens a round to 1.14 at 7400), which widens the interval"
        )
    return tuple(notes)


def _known_head(kind: str, draft: NamedModel | None) -> str:
    """The head that a name means, "" for any head of its kind."""
    if DRAFTERS[kind].weights == "shipped":
        return "own"
    return draft.called if draft is not None and told_target(draft.called) else ""


@cache
def _curves(kind: str, unseen: str) -> tuple[HeadCurve, ...]:
    """The curves that teach of a kind: those of all heads, or of look-up, less those of a study."""
    if kind in LOOK_UP:
        return looked_up(unseen)
    return tuple(c for c in head_curves() if not same_study(c.source, unseen))


def _conditioned(kind: str, unseen: str) -> Conditioned:
    return _given_curves(LOOK_UP[0] if kind in LOOK_UP else "", unseen)


@cache
def _given_curves(kind: str, unseen: str) -> Conditioned:
    look_up, curves = kind in LOOK_UP, _curves(kind, unseen)
    share = _stored("shares", look_up)
    known = share if share.size == len(curves) else None
    return Conditioned(curves, stored_spreads(look_up=look_up), known)


def stored_spreads(*, look_up: bool = False) -> Floats:
    """Draws of the spreads of the hierarchy, (draws, 16)."""
    return _stored("draws", look_up)


@cache
def _stored(name: str, look_up: bool) -> Floats:
    """What `python -m howspec.calibrate.prior.heads_fit` writes."""
    fit = bundled_json(__package__, "heads_fit.json")
    if fit["spreads"] != list(SPREADS):
        raise ValueError("heads_fit.json is of another hierarchy: run heads_fit again")
    return np.array(fit[f"look_up_{name}" if look_up else name])


def _by_size(
    kind: str,
    target: str,
    rng: np.random.Generator,
    use: Use,
    positions: int,
    draws: int,
    draft: NamedModel | None,
) -> KnownAcceptance:
    """A part of the target, or a parallel model: as a tuned draft of its size."""
    model = named(target)
    if draft is None:
        draft = named_draft(kind, model)[0]
    forecast = expected_acceptance(model, [draft], use=use, rng=rng, draws=draws, curve=True)
    note = f"no acceptance of {kind} is published: taken as a tuned draft of its size"
    one = forecast.of(0)
    return KnownAcceptance(
        damped(one.law, positions), "predicted", "published and own pairs", one.alpha,
        notes=(*one.notes, note),
    )  # fmt: skip
