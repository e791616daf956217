"""The paper's table from names alone: draft, number of draft tokens and speed-up of five families.

Nothing of the table is used but the names of the targets and of the drafts that exist; the device
is a generic one, since the paper's is not part of the question.
"""

from __future__ import annotations

from ...calibrate.doors import Deployment
from ...calibrate.library.load import load_table
from ...calibrate.library.schema import number, text
from ...sim.ranking import Ranking, rank_drafts
from .result import LEVEL, Point, Test

DEVICE, STACK, DTYPE = "A100 80GB", "eager", "fp16"
# Speculative sampling draws its tokens; assisted generation is greedy unless told otherwise.
METHODS = {"SpS": 1.0, "AsG": 0.0}


def paper_rows_test(*, seed: int = 0) -> Test:
    """Ten rows: five families in two methods. Points are speed-ups of the predicted best draft at
    its predicted gamma, against the published speed-up; notes say how often draft and K are met.
    """
    published = load_table("paper_table")
    ladders: dict[str, list[str]] = {}
    for row in load_table("paper_ladders").rows:
        ladders.setdefault(text(row, "target"), []).append(text(row, "draft"))
    points, notes = [], []
    draft_hits = gamma_hits = near = 0
    for row in published.rows:
        target, method = text(row, "target"), text(row, "method")
        ranking = predicted_ranking(target, ladders[target], method=method, seed=seed)
        best = ranking.drafts[0]
        label = f"{target}, {method}"
        choice = best.choice
        points.append(Point(label, number(row, "speedup"), choice.speedup, choice.low, choice.high))
        draft, gamma = text(row, "draft"), int(number(row, "gamma_tokens"))
        draft_hits += best.draft.called == draft
        gamma_hits += choice.gamma == gamma
        near += abs(choice.gamma - gamma) <= 1
        chance = next(d.probability_best for d in ranking.drafts if d.draft.called == draft)
        notes.append(
            f"{label}: predicted {best.draft.called} at K = {choice.gamma}, published {draft} at "
            f"K = {gamma} (predicted to be the best with probability {chance:.2f})"
        )
    inside = sum(p.inside for p in points)
    total = len(points)
    notes.insert(
        0,
        f"{inside} of {total} rows inside their interval; best draft met in {draft_hits}, K in "
        f"{gamma_hits} (within one in {near})",
    )
    return Test(
        "the paper's table: speed-up of the best draft",
        f"names of targets and drafts, {DEVICE} {STACK} {DTYPE} at batch 1, any task; by the call "
        "of `rank`",
        "relative",
        tuple(points),
        notes=tuple(notes),
    )


def predicted_ranking(target: str, drafts: list[str], *, method: str, seed: int = 0) -> Ranking:
    """The drafts of one target in the order predicted for a method of the paper."""
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    at = Deployment(
        target,
        device=DEVICE,
        dtype=DTYPE,
        draft_dtype=DTYPE,
        stack=STACK,
        context=0.0,
        temperature=METHODS[method],
    )
    return rank_drafts(at, drafts, level=LEVEL, seed=seed).rankings[0]
