"""What is believed of a grid of drafts, gammas and batches before anything is measured.

The pair prior, draw by draw with one machine and one task for all drafts, and what laws miss
besides,

    plain decoding by batch         spread PLAIN, alike at batches that are near
    a verifying pass, gamma, batch  spread VERIFY, alike for all drafts
    a draft, by its gamma           spread DRAFT
    a single point                  spread POINT
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...calibrate.doors import Deployment, Pair, resolve
from ...theory.domain import Floats
from ..known import DRAWS, Sources, check_gamma_max, check_seed
from ..ranking import Candidate, candidates
from .belief import Belief, alike, roots

# Checked on two measured grids of one engine (32B and 70B on H100, batch 1 to 128), their study not
# in the prior: intervals of gains held 97 % of 75; on simulated engines 88 % of 120.
PLAIN, VERIFY, DRAFT, POINT = 0.05, 0.05, 0.05, 0.015


def misfits(
    rng: np.random.Generator,
    draws: int,
    *,
    drafts: int,
    gammas: Sequence[int],
    batches: Sequence[int],
) -> tuple[Floats, Floats]:
    """Of ln speed at every point, (draws, points), and of ln tokens a step, (draws, drafts x
    gammas).
    """
    d, g, b = drafts, len(gammas), len(batches)
    of_batch, of_gamma = roots(gammas, batches)

    def normal(*shape: int) -> Floats:
        return rng.standard_normal((draws, *shape))

    plain = PLAIN * normal(b) @ of_batch.T
    verify = VERIFY * alike(rng, draws, gammas, batches)
    own = DRAFT * np.einsum("gh,ndh->ndg", of_gamma, normal(d, g))
    point = POINT * normal(d, g, b)
    drafted = (plain[:, None, None, :] + verify[:, None] + own[..., None] + point).reshape(
        draws, -1
    )
    missed = np.concatenate([plain + POINT * normal(b), drafted], axis=1)
    rates = POINT * normal(d * g)  # what is accepted moves the speed with it
    missed[:, b:] += np.repeat(rates, b, axis=1)
    return missed, rates


def with_misfits(
    rng: np.random.Generator,
    logs: Floats,
    lengths: Floats,
    *,
    drafts: Sequence[str],
    gammas: Sequence[int],
    batches: Sequence[int],
) -> Belief:
    """The belief of laws' draws with what laws miss; logs and lengths as of `Belief`."""
    missed, rates = misfits(rng, len(logs), drafts=len(drafts), gammas=gammas, batches=batches)
    return Belief(tuple(drafts), tuple(gammas), tuple(batches), logs + missed, lengths + rates)


_UNKNOWN = 1.5  # spread of ln(tokens/s) of a machine whose costs are stated in plain steps
GAMMAS = tuple(range(1, 9))  # of a grid, where none are named


def believed(
    at: Deployment,
    drafts: Sequence[str],
    given: Sources = Sources(),  # noqa: B008 - frozen
    *,
    batches: Sequence[int] = (1,),
    gammas: Sequence[int] = GAMMAS,
    seed: int = 0,
) -> tuple[Belief, tuple[Pair, ...], tuple[str, ...]]:
    """The belief of named drafts of a target on a machine, their pairs, and notes.

    drafts: one or more; batches, gammas: whole numbers >= 1. Draws of all drafts are of one
    machine: they are put in the order of their plain step. Raises ValueError outside the ranges,
    where nothing fits in memory, and as the laws do.
    """
    names, loads, many = list(dict.fromkeys(drafts)), sorted(set(batches)), sorted(set(gammas))
    if not names:
        raise ValueError("drafts must name one draft or more, got none")
    if not loads or loads[0] < 1 or any(int(b) != b for b in loads):
        raise ValueError(f"batch must be whole numbers in [1, inf), got {list(batches)}")
    if not many or many[0] < 1 or any(int(g) != g for g in many):
        raise ValueError(f"gamma must be whole numbers in [1, inf), got {list(gammas)}")
    check_gamma_max(many[-1])
    at.needs("tune", "target")
    base = resolve(replace(at, draft=None, batch=float(loads[-1])))
    pairs = [base.with_draft(name) for name in names]
    found = candidates(pairs, given, many[-1], check_seed(seed))
    notes = [n for p in pairs for n in p.notes] + list(found.notes)
    able = []
    for name, pair, known in zip(names, pairs, found.drafts, strict=True):
        memory = known.costs.memory
        if memory is None or memory.holds(loads[-1]):
            able.append((name, pair, known))
        else:
            notes.append(f"{name} is left out: {memory.line}")
    if not able:
        raise ValueError(f"no draft can be tuned: {notes[-1]}")
    rng = np.random.default_rng([seed, 1])
    logs, lengths = _tables([k for *_, k in able], many, loads, base.at.cached, rng)
    belief = with_misfits(
        rng, logs, lengths, drafts=[n for n, *_ in able], gammas=many,
        batches=loads,
    )  # fmt: skip
    return belief, tuple(p for _, p, _ in able), tuple(dict.fromkeys(notes))


def _tables(
    known: Sequence[Candidate],
    gammas: Sequence[int],
    batches: Sequence[int],
    context: float,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """(ln tokens/s of the points, ln tokens a step), draws in the order of the plain step."""
    draws, top, own = DRAWS, gammas[-1], list(gammas)
    plain: Floats | None = None
    speeds, lengths = [], []
    machine = _UNKNOWN * rng.standard_normal((draws, 1, 1))
    for k in known:
        per_batch = [
            np.asarray(k.costs.law.round_time(top, batch=b, context=context)).reshape(-1, top + 1)
            for b in batches
        ]
        times = np.stack([np.resize(t, (draws, top + 1)) for t in per_batch], axis=2)
        order = times[:, 0, 0].argsort(kind="stable") if k.costs.seconds else np.arange(draws)
        tokens = np.log(np.resize(k.tokens, (draws, top + 1)))[order]
        whole = tokens[:, :, None] - np.log(times[order]) + np.log(batches)
        whole = whole if k.costs.seconds else whole + machine
        plain = whole[:, 0] if plain is None else plain
        speeds.append(whole[:, own].reshape(draws, -1))
        lengths.append(tokens[:, own])
    assert plain is not None
    return np.concatenate([plain, *speeds], axis=1), np.concatenate(lengths, axis=1)
