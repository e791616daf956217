"""Published and own step times that the cost prior is fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

from ..library.load import study_of
from ..models import Device, ModelShape, device, model
from ..models.drafters import Passes
from ..tables.read import Table, parse_table
from ..tables.schema import Row, Rule, Schema, number, text

POINTS = Schema(
    "costs_points",
    key=("id",),
    rules=(
        Rule("draft", "must be given for a ratio, and only there",
             lambda row: bool(text(row, "draft")) == (text(row, "quantity") == "ratio")),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class CostPoint:
    """One time of a pass or of a round, or one ratio of two.

    group: source and device whose deviations it shares; stack: kind of software; target, dtype:
    what ran; draft, draft_dtype: for a ratio or a round, else None; gamma: draft tokens of a round,
    0 where it is none; drafting: how often the draft runs in it; over_plain: the number is in plain
    steps; tokens, batch, context: of the pass; value: [s], or the ratio; error: relative standard
    error of the number; forward: without the engine's work; fitted: whether the prior may use it.
    """

    group: str
    stack: str
    device: Device
    target: ModelShape
    dtype: str
    value: float
    error: float
    draft: ModelShape | None = None
    draft_dtype: str = ""
    gamma: int = 0
    drafting: Passes = "serial"
    over_plain: bool = False
    tokens: float = 1.0
    batch: float = 1.0
    context: float = 0.0
    forward: bool = False
    fitted: bool = True
    label: str = ""
    study: str = ""

    @property
    def models(self) -> tuple[ModelShape, ...]:
        """The models whose passes are timed."""
        return tuple(dict.fromkeys(t.shape for t in terms_of(self)))


@dataclass(frozen=True)
class Term:
    """Passes of one model in a number: how many times, and whether the number is divided by them.

    kind: "step", by itself; "verify", with what a round adds; "draft", within a round.
    """

    shape: ModelShape
    dtype: str
    tokens: float
    kind: Literal["step", "verify", "draft"] = "step"
    times: float = 1.0
    below: bool = False


def terms_of(p: CostPoint) -> tuple[Term, ...]:
    """The passes that a point's number is made of."""
    if p.draft is None and not p.gamma:
        return (Term(p.target, p.dtype, p.tokens),)
    drafts = p.draft_dtype or p.dtype
    if not p.gamma:
        assert p.draft is not None
        return (Term(p.draft, drafts, 1.0), Term(p.target, p.dtype, p.tokens, below=True))
    found = [Term(p.target, p.dtype, p.gamma + 1.0, "verify")]
    if p.draft is not None and p.drafting == "serial":
        found.append(Term(p.draft, drafts, 1.0, "draft", float(p.gamma)))
    elif p.draft is not None and p.drafting == "block":
        found.append(Term(p.draft, drafts, float(p.gamma), "draft"))
    if p.over_plain:
        found.append(Term(p.target, p.dtype, 1.0, below=True))
    return tuple(found)


def points_table() -> Table:
    """The bundled rows, checked."""
    data = resources.files(__package__).joinpath("costs_points.csv").read_bytes()
    return parse_table(data, "costs_points.csv", POINTS)


@cache
def bundled_points() -> tuple[CostPoint, ...]:
    """The bundled step times and ratios."""
    return tuple(_point(row) for row in points_table().rows)


def _point(row: Row) -> CostPoint:
    ratio = text(row, "quantity") == "ratio"
    return CostPoint(
        group=text(row, "group"),
        stack=text(row, "stack"),
        device=device(text(row, "device")),
        target=model(text(row, "model")).shape,
        dtype=text(row, "dtype"),
        value=number(row, "value"),
        error=number(row, "error"),
        draft=model(text(row, "draft")).shape if ratio else None,
        tokens=number(row, "tokens"),
        batch=number(row, "batch"),
        context=number(row, "context"),
        forward=text(row, "quantity") == "forward",
        fitted=text(row, "fitted") == "yes",
        label=text(row, "id"),
        study=study_of(text(row, "source")),
    )
