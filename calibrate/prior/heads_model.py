r"""The hierarchy of heads: what the measured curves of a kind say of a head that nobody measured.

For a curve (y, b) of `head_curves`, of kind k, task t, family f, target m, head i and study s,

    y = level + kind + task + kind x task + family + target + target x task + head + study
        + study x task + prompts + setting
        + temperature's slope + (slope + head's own) ln(context / 4000), of contexts beyond 4000
    b = level + kind + head + study + setting

Effects are normal, with a spread of their own; a label that was never seen draws a new effect from
that spread. Settings alone are Student's: most repeat within a tenth, some are far off (a template
that a head was not trained on), and those few must neither widen what is said of all the others nor
outweigh them. So the curves of a target, of its family, or of the kind on other tasks move what is
asked as far as the spreads of all heads allow. The spreads are sampled, the effects given them are
integrated in closed form, as in `acceptance_model`.
What a setting is off counts by a weight, iterated to where it repeats itself, as in the EM
algorithm of Student's errors (Lange, Little, Taylor 1989, JASA 84, 881).
Assumes: spreads are the same for all kinds; a curve is linear in (y, b) around its own fit.
Wrong when: the head was trained on little data.
Source: derived here.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count

import numpy as np

from ...theory.domain import Floats
from ..library.load import study_of
from ..models.catalogue import find_model
from ..models.drafters import DRAFTERS
from ..models.names import squeeze
from ..tables.schema import table_lines
from .acceptance_model import solve_lower
from .head_curves import LOOK_UP, SHORT, HeadCurve, linearised


def _spreads(kind: str) -> dict[str, tuple[float, float]]:
    rows = csv.DictReader(table_lines(__package__, "heads_spreads"))
    return {r["effect"]: (float(r[f"{kind}median"]), float(r[f"{kind}width"])) for r in rows}


# Spreads: (median, spread of ln) of their log-normal priors. The first are of y, the rest of b.
SPREADS = _spreads("")
# Those of look-up: a text repeats itself or does not, whoever writes it and whatever looks it up,
# so what differs is the text, also of two studies of one task (translation: 1.2 and 3.9 tokens).
LOOK_UP_SPREADS = _spreads("look_up_")
_OF_Y = 12  # the first of them
# Level and slopes shared by all: mean and standard deviation.
COMMON_Y = {"level": (-1.2, 0.7), "temperature": (0.0, 0.2), "context": (0.4, 0.4)}
LEVEL_B = (0.3, 0.3)
# The levels of look-up: it accepts less at first, and rounds that found a match go on.
LOOK_UP_Y, LOOK_UP_B = (0.2, 0.6), (-0.6, 0.4)
# Draws are Student's. The spreads are those between all kinds; of a kind that fewer than three
# studies measured nobody has seen how far the next one may be off (without this, intervals of
# DFlash held 82 % of what the study left out had measured).
DEGREES, FEW_DEGREES, FEW_STUDIES = 12, 4, 3
SETTING_DEGREES = 4
_WEIGHING = 5  # iterations of the weights of settings
LEAST_VARIANCE = 1e-9
_KINDS = {squeeze(kind) for kind in DRAFTERS}
_BARE = re.compile(r"builtin|heads?|chain")
_SETTING = [list(SPREADS).index(name) for name in ("setting", "b_setting")]
_new = count()
_codes: dict[str, int] = {}


def _code(label: str) -> int:
    """A number for a label, the same for the same; comparing numbers is faster."""
    return _codes.setdefault(label, len(_codes))


@dataclass(frozen=True)
class Question:
    """What is asked, or what a curve is of; "" and None for what is not known."""

    kind: str
    target: str = ""
    head: str = ""
    task: str | None = None
    study: str = ""
    temperature: float | None = None
    context: float | None = None
    prompts: str = ""

    @classmethod
    def of(cls, curve: HeadCurve) -> Question:
        """The question that a curve answers."""
        prompts = squeeze(re.split(r"[,(]", curve.task)[0])
        return cls(
            curve.kind, curve.target, curve.head, curve.canonical, study_of(curve.source),
            curve.temperature, curve.context, prompts,
        )  # fmt: skip

    @property
    def labels(self) -> list[str]:
        """Labels of the effects, in the order of `SPREADS`; an unknown one is like no other."""
        model = find_model(self.target) if self.target else None
        target = model.name if model else self.target
        called = squeeze(self.head.split("/")[-1])
        if _BARE.sub("", called) in _KINDS:
            called = "usual"  # "EAGLE head", "EAGLE-3 chain": the one that is published
        if self.head and DRAFTERS[self.kind].weights == "shipped":
            called = "own"  # a release comes with one, however it is called
        head = f"{self.kind}|{target}|{called}" if target and called else ""
        pooled = f"{self.study}|{self.task}" if self.study and self.task else ""
        of_target = f"{self.kind}|{target}|{self.task}" if target and self.task else ""
        known = [
            self.kind, self.task or "", f"{self.kind}|{self.task}" if self.task else "",
            model.shape.family if model else "", target, of_target, head, self.study, pooled,
            self.prompts, "", head, self.kind, head, self.study, "",
        ]  # fmt: skip
        return [label or f"?{next(_new)}" for label in known]

    @property
    def long(self) -> float:
        """ln of the context beyond what drafters are trained on, 0 for a short or unknown one."""
        return float(np.log(max((self.context or 0.0) / SHORT, 1.0)))


class Design:
    """What the hierarchy needs of a list of questions."""

    def __init__(self, asked: Sequence[Question]) -> None:
        size = len(asked)
        self.labels = np.array([[_code(v) for v in q.labels] for q in asked], dtype=np.int64)
        self.labels = self.labels.reshape(size, len(SPREADS))
        self.long = np.array([q.long for q in asked])
        self.slopes = np.array([[1.0, q.temperature or 0.0, q.long] for q in asked])
        self.slopes = self.slopes.reshape(size, len(COMMON_Y))
        self.look_up = any(q.kind in LOOK_UP for q in asked)
        common = COMMON_Y | ({"level": LOOK_UP_Y} if self.look_up else {})
        self.common, self.width = (np.array(v) for v in zip(*common.values(), strict=True))
        self.b = LOOK_UP_B if self.look_up else LEVEL_B

    @property
    def mean(self) -> Floats:
        """Known part of (y, b), shape (questions, 2)."""
        y = self.slopes @ self.common
        return np.stack([y, np.full(y.shape, self.b[0])], axis=-1)


class Kernel:
    """Covariance of (y, b) between two lists of questions, as a function of the spreads."""

    def __init__(self, one: Design, other: Design) -> None:
        same = np.moveaxis(one.labels[:, None] == other.labels[None], -1, 0).astype(float)
        context = list(SPREADS).index("context")
        same[context] *= np.outer(one.long, other.long)
        self.parts = same
        self.common = (one.slopes * one.width**2) @ other.slopes.T
        self.level = one.b[1] ** 2

    def __call__(self, theta: Floats) -> tuple[Floats, Floats]:
        """Of y and of b, each (draws, one, other), for spreads of shape (draws, 16)."""
        squares = np.square(theta)
        y = self.common + np.tensordot(squares[:, :_OF_Y], self.parts[:_OF_Y], axes=1)
        return y, self.level + np.tensordot(squares[:, _OF_Y:], self.parts[_OF_Y:], axes=1)


class Observed:
    """Curves as equations: rows of (A_y, A_b) on the questions behind them, with unit errors."""

    def __init__(self, curves: Sequence[HeadCurve]) -> None:
        self.design = Design([Question.of(c) for c in curves])
        rows = linearised(curves)
        self.at = np.repeat(np.arange(len(curves)), [len(c) for _, _, c in rows])
        self.a = np.concatenate([a for _, a, _ in rows]).reshape(-1, 2)
        self.c = np.concatenate([c for _, _, c in rows])

    @cached_property
    def kernel(self) -> Kernel:
        return Kernel(self.design, self.design)

    @cached_property
    def residual(self) -> Floats:
        """Right sides less what the known parts give, shape (equations,)."""
        return np.asarray(self.c - (self.a * self.design.mean[self.at]).sum(axis=-1))

    def weigh(self, theta: Floats) -> Floats:
        """Let settings that are far off count less, given spreads of shape (draws, 16).

        Returns the variance of each setting over that of the spread, (curves,).
        """
        usual = np.sqrt(np.square(theta).mean(axis=0))
        share = np.ones(len(self.design.labels))
        for _ in range(_WEIGHING):
            self.take(share)
            share = (SETTING_DEGREES + self._off(usual, share)) / (SETTING_DEGREES + 2.0)
        self.take(share)
        return share

    def take(self, share: Floats) -> None:
        """Give each setting a variance over that of the spread, (curves,), as `weigh` finds it."""
        self.kernel.parts[_SETTING] = np.diag(share)

    def _off(self, usual: Floats, share: Floats) -> Floats:
        """Expected square of what each curve's setting adds, over its spread, of y and b."""
        half = np.linalg.inv(self.root(usual[None])[0])
        precision = half.T @ half
        off = np.zeros(share.size)
        for own, k in zip(self.a.T, _SETTING, strict=True):
            across = np.zeros((share.size, own.size))
            across[self.at, np.arange(own.size)] = own * usual[k] * share[self.at]
            mean = across @ (precision @ self.residual)
            off += mean**2 + share - ((across @ precision) * across).sum(axis=1)
        return off

    def root(self, theta: Floats) -> Floats:
        """Cholesky factor of the covariance of the right sides, (draws, equations, equations)."""
        total = np.eye(self.c.size)
        for own, k in zip(self.a.T, self.kernel(theta), strict=True):
            total = total + np.outer(own, own) * k[:, self.at[:, None], self.at[None]]
        return np.asarray(np.linalg.cholesky(total))


class Conditioned:
    """The hierarchy given measured curves, at draws of its spreads of shape (draws, 16).

    share: variances of the settings where `Observed.weigh` found them already, (curves,).
    """

    def __init__(
        self, curves: Sequence[HeadCurve], theta: Floats, share: Floats | None = None
    ) -> None:
        self.theta = theta
        known = {(_pool(c.kind), study_of(c.source)) for c in curves}
        self.studies = Counter(pool for pool, _ in known)
        self.seen = Observed(curves) if curves else None
        if self.seen is not None:
            if share is None:
                self.seen.weigh(theta)
            else:
                self.seen.take(share)
            self.root = self.seen.root(theta)
            self.solved = solve_lower(self.root, self.seen.residual[None, :, None])

    def predict(self, asked: Question) -> tuple[Floats, Floats]:
        """Mean (draws, 2) and covariance (draws, 2, 2) of (y, b)."""
        design = Design([asked])
        own_y, own_b = Kernel(design, design)(self.theta)
        mean = np.broadcast_to(design.mean[0], (len(self.theta), 2)).copy()
        covariance = np.zeros((len(self.theta), 2, 2))
        covariance[:, 0, 0], covariance[:, 1, 1] = own_y[:, 0, 0], own_b[:, 0, 0]
        if self.seen is not None:
            both = Kernel(self.seen.design, design)(self.theta)
            across = np.stack([k[:, self.seen.at, 0] for k in both], axis=-1) * self.seen.a
            turned = solve_lower(self.root, across)
            mean += (np.swapaxes(turned, 1, 2) @ self.solved)[..., 0]
            covariance -= np.swapaxes(turned, 1, 2) @ turned
        return mean, covariance

    def draw(self, asked: Question, rng: np.random.Generator, draws: int) -> tuple[Floats, Floats]:
        """Draws of (y, b), each of shape (draws,)."""
        mean, covariance = self.predict(asked)
        setting = self.theta[:, _SETTING]
        covariance -= np.square(setting)[:, None] * np.eye(2)
        root = np.linalg.cholesky(covariance + LEAST_VARIANCE * np.eye(2))
        which = rng.permutation(np.resize(np.arange(len(mean)), draws))
        few = self.studies[_pool(asked.kind)] < FEW_STUDIES
        known = _student(rng, draws, FEW_DEGREES if few else DEGREES)
        z = mean[which] + np.einsum("dij,dj->di", root[which], known)
        z += setting[which] * _student(rng, draws, SETTING_DEGREES)
        return z[:, 0], z[:, 1]


def _pool(kind: str) -> str:
    """The kind that studies are counted for: all look-up is one."""
    return LOOK_UP[0] if kind in LOOK_UP else kind


def _student(rng: np.random.Generator, draws: int, degrees: int) -> Floats:
    """Pairs of normal numbers of one Student's scale, shape (draws, 2)."""
    scale = np.sqrt(rng.chisquare(degrees, draws) / degrees)
    return np.asarray(rng.standard_normal((draws, 2)) / scale[:, None])
