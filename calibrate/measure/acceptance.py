"""Measuring acceptance: real speculative rounds, and overlap along the target's own text.

For every domain and temperature the target first writes one text for each prompt; then every draft
runs real rounds at one gamma from the same prompts, and is laid along the texts. Rounds and texts
are drawn apart, with seeds of their own, so that each checks the other (`walk.compare_rounds`).

Points are appended as soon as a batch of requests is done. A batch that was cut off is drawn again
with the same seed, and only what is missing is appended.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..records import Journal
from ..records.points import point_key
from .decoder import decode_plain, decode_speculative
from .device import point_failure, seed_of
from .overlap import Text, TextLaws
from .plans import AcceptancePlan, Progress
from .runner import Runner

DIGITS = 4


def measure_acceptance(
    target: Any,
    drafts: Mapping[str, Any],
    journal: Journal,
    *,
    prompts: Mapping[str, Sequence[Sequence[int]]],
    plan: AcceptancePlan = AcceptancePlan(),  # noqa: B008 - frozen
    vocabulary: int | None = None,
    seconds_left: Callable[[], float] = lambda: math.inf,
    progress: Progress = lambda what, done, total: None,
) -> bool:
    """Append what the journal (kind acceptance) lacks; whether all of it is there now.

    target, drafts by name: transformers models. prompts: token ids by domain. vocabulary: tokens
    that all of them know, where their logits are padded to different numbers. seconds_left: asked
    before each batch; below 0 the measurement stops and can go on later. A model that runs out of
    memory or gives NaN has the reason as its point's `error`; the rest goes on.
    """
    bench = _Bench(target, drafts, journal, plan, vocabulary)
    work = list(_batches(prompts, drafts, plan))
    for number, some in enumerate(work):
        progress("acceptance", number, len(work))
        if any(bench.lacking(kind, some) for kind in some.kinds):
            if seconds_left() < 0.0:
                return False
            bench.measure(some, [list(prompts[some.domain][i]) for i in some.requests])
    progress("acceptance", len(work), len(work))
    return True


@dataclass(frozen=True)
class _Requests:
    """Requests that are decoded together; draft: None for the texts of the target."""

    domain: str
    temperature: float
    requests: tuple[int, ...]
    draft: str | None

    @property
    def kinds(self) -> tuple[str, ...]:
        return ("text",) if self.draft is None else ("rounds", "overlap")

    def point(self, kind: str, request: int) -> dict[str, Any]:
        """What identifies a point."""
        at = {"type": kind, "domain": self.domain, "temperature": self.temperature}
        return {**at, "request": request, "draft": self.draft}

    def seed(self, *purpose: object) -> int:
        return seed_of(*purpose, self.domain, self.temperature, min(self.requests))


def _batches(
    prompts: Mapping[str, Sequence[Sequence[int]]], drafts: Mapping[str, Any], plan: AcceptancePlan
) -> Iterator[_Requests]:
    """All requests in batches, texts before their drafts."""
    for temperature in plan.temperatures:
        for domain, rows in prompts.items():
            if not rows:
                raise ValueError(f"domain {domain} has no prompts")
            for first in range(0, len(rows), plan.batch):
                some = tuple(range(first, min(first + plan.batch, len(rows))))
                for draft in (None, *drafts):
                    yield _Requests(domain, temperature, some, draft)


@dataclass
class _Bench:
    """The models, and what is kept of the last batch."""

    target: Any
    drafts: Mapping[str, Any]
    journal: Journal
    plan: AcceptancePlan
    vocabulary: int | None
    kept_laws: tuple[_Requests, TextLaws] | None = None
    kept_runner: tuple[tuple[int, int], Runner] | None = None

    def lacking(self, kind: str, some: _Requests) -> list[int]:
        keys = {i: point_key(self.journal.key, some.point(kind, i)) for i in some.requests}
        return [i for i, key in keys.items() if key not in self.journal.done]

    def measure(self, some: _Requests, prompts: list[list[int]]) -> None:
        runs = {"text": self._texts, "rounds": self._rounds, "overlap": self._overlaps}
        for kind in some.kinds:
            lacking = self.lacking(kind, some)
            if not lacking:
                continue
            try:
                found = runs[kind](some, prompts)
            except Exception as error:
                found = [{"error": point_failure(error)}] * len(prompts)
            for i, values in zip(some.requests, found, strict=True):
                if i in lacking:
                    self.journal.append(some.point(kind, i) | values)

    def _texts(self, some: _Requests, prompts: list[list[int]]) -> list[dict[str, Any]]:
        got = decode_plain(
            self._target(prompts),
            prompts,
            new_tokens=self.plan.new_tokens,
            temperature=some.temperature,
            seed=some.seed("text", self.plan.seed),
            vocabulary=self.vocabulary,
        )
        texts = [Text(p, t) for p, t in zip(prompts, got.tokens, strict=True)]
        entropies = self._laws_of(texts, some.temperature).entropies()
        return [
            {"prompt": text.prompt, "tokens": text.tokens, "entropy_nats": _rounded(entropy)}
            for text, entropy in zip(texts, entropies, strict=True)
        ]

    def _rounds(self, some: _Requests, prompts: list[list[int]]) -> list[dict[str, Any]]:
        plan, target, draft = self.plan, self._target(prompts), self.drafts[str(some.draft)]
        got = decode_speculative(
            target,
            Runner(draft, batch=target.batch, capacity=target.capacity, graphs=plan.graphs),
            prompts,
            gamma=plan.gamma,
            new_tokens=plan.new_tokens,
            temperature=some.temperature,
            seed=some.seed("rounds", plan.seed, some.draft),
            vocabulary=self.vocabulary,
        )
        return [
            {"drafted": plan.gamma, "accepted": accepted, "surplus_tokens": surplus}
            for accepted, surplus in zip(got.accepted, got.surplus, strict=True)
        ]

    def _overlaps(self, some: _Requests, prompts: list[list[int]]) -> list[dict[str, Any]]:
        laws = self._text_laws(replace(some, draft=None))
        if laws is None:
            return [{"error": "the target wrote no text"} for _ in prompts]
        return [
            {"overlap": _rounded(overlap), "ratio": _rounded(ratio)}
            for overlap, ratio in laws.overlaps(self.drafts[str(some.draft)])
        ]

    def _text_laws(self, some: _Requests) -> TextLaws | None:
        """The target's laws along its texts, kept for the drafts; None where it wrote none."""
        if self.kept_laws is None or self.kept_laws[0] != some:
            at = ("text", some.domain, some.temperature)
            written = {
                p["request"]: Text(p["prompt"], p["tokens"])
                for p in self.journal.points
                if (p["type"], p["domain"], p["temperature"]) == at and "tokens" in p
            }
            if not all(i in written for i in some.requests):
                return None
            texts = [written[i] for i in some.requests]
            self.kept_laws = (some, self._laws_of(texts, some.temperature))
        return self.kept_laws[1]

    def _laws_of(self, texts: Sequence[Text], temperature: float) -> TextLaws:
        return TextLaws(self.target, texts, temperature=temperature, vocabulary=self.vocabulary)

    def _target(self, prompts: list[list[int]]) -> Runner:
        room = max(len(p) for p in prompts) + self.plan.new_tokens + self.plan.gamma
        key = (len(prompts), room)
        if self.kept_runner is None or self.kept_runner[0] != key:
            self.kept_runner = None  # before the next one takes memory
            runner = Runner(self.target, batch=len(prompts), capacity=room, graphs=self.plan.graphs)
            self.kept_runner = (key, runner)
        return self.kept_runner[1]


def _rounded(values: Sequence[float]) -> list[float]:
    """Four digits are plenty beside the scatter of a text; whole numbers take one character."""
    short = [round(v, DIGITS) for v in values]
    return [int(v) if v == int(v) else v for v in short]
