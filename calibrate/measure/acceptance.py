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
from typing import Any

from ..records import Journal, Record
from ..records.points import point_key
from .decoder import decode_plain, decode_speculative
from .failures import point_failure, seed_of
from .overlap import Text, TextLaws
from .plans import AcceptancePlan
from .runner import Runner
from .walk import Comparison, compare_rounds

Progress = Callable[[str, int, int], None]
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
    stage = _Stage(target, drafts, journal, plan, vocabulary)
    work = list(_batches(prompts, drafts, plan))
    for number, (domain, temperature, rows, draft) in enumerate(work):
        progress("acceptance", number, len(work))
        wanted = {i: list(prompts[domain][i]) for i in rows}
        if stage.lacking(domain, temperature, rows, draft):
            if seconds_left() < 0.0:
                return False
            stage.measure(domain, temperature, wanted, draft)
    progress("acceptance", len(work), len(work))
    return True


def _batches(
    prompts: Mapping[str, Sequence[Sequence[int]]], drafts: Mapping[str, Any], plan: AcceptancePlan
) -> Iterator[tuple[str, float, tuple[int, ...], str | None]]:
    """(domain, temperature, requests, draft or None for the text), texts before their drafts."""
    for temperature in plan.temperatures:
        for domain, rows in prompts.items():
            if not rows:
                raise ValueError(f"domain {domain} has no prompts")
            for first in range(0, len(rows), plan.batch):
                some = tuple(range(first, min(first + plan.batch, len(rows))))
                for draft in (None, *drafts):
                    yield domain, temperature, some, draft


class _Stage:
    def __init__(
        self,
        target: Any,
        drafts: Mapping[str, Any],
        journal: Journal,
        plan: AcceptancePlan,
        vocabulary: int | None,
    ) -> None:
        self.vocabulary = vocabulary
        self.target, self.drafts, self.journal, self.plan = target, drafts, journal, plan
        self._laws: tuple[tuple[Any, ...], TextLaws] | None = None
        self._runner: tuple[tuple[int, int], Runner] | None = None

    def lacking(
        self, domain: str, temperature: float, rows: Sequence[int], draft: str | None
    ) -> bool:
        kinds = ("text",) if draft is None else ("rounds", "overlap")
        return any(
            not self._has(kind, draft, domain, temperature, i) for kind in kinds for i in rows
        )

    def measure(
        self, domain: str, temperature: float, wanted: Mapping[int, list[int]], draft: str | None
    ) -> None:
        if draft is None:
            self._append("text", None, domain, temperature, wanted, self._write_texts)
            return
        model = self.drafts[draft]
        self._append(
            "rounds", draft, domain, temperature, wanted,
            lambda *given: self._run_rounds(draft, model, *given),
        )  # fmt: skip
        self._append(
            "overlap", draft, domain, temperature, wanted,
            lambda *given: self._lay_along(model, *given),
        )  # fmt: skip

    def _append(
        self,
        kind: str,
        draft: str | None,
        domain: str,
        temperature: float,
        wanted: Mapping[int, list[int]],
        measured: Callable[[str, float, Mapping[int, list[int]]], list[dict[str, Any]]],
    ) -> None:
        if all(self._has(kind, draft, domain, temperature, i) for i in wanted):
            return
        try:
            found = measured(domain, temperature, wanted)
        except Exception as error:
            reason = point_failure(error)
            if reason is None:
                raise
            found = [{"error": reason} for _ in wanted]
        for i, values in zip(wanted, found, strict=True):
            if not self._has(kind, draft, domain, temperature, i):
                at = {"type": kind, "domain": domain, "temperature": temperature, "request": i}
                self.journal.append({**at, "draft": draft, **values})

    def _write_texts(
        self, domain: str, temperature: float, wanted: Mapping[int, list[int]]
    ) -> list[dict[str, Any]]:
        plan, prompts = self.plan, list(wanted.values())
        got = decode_plain(
            self._target_runner(prompts),
            prompts,
            new_tokens=plan.new_tokens,
            temperature=temperature,
            seed=seed_of("text", plan.seed, domain, temperature, min(wanted)),
            vocabulary=self.vocabulary,
        )
        texts = [Text(p, t) for p, t in zip(prompts, got.tokens, strict=True)]
        entropies = self._laws_of(texts, temperature).entropies()
        return [
            {"prompt": text.prompt, "tokens": text.tokens, "entropy_nats": _rounded(entropy)}
            for text, entropy in zip(texts, entropies, strict=True)
        ]

    def _run_rounds(
        self, name: str, draft: Any, domain: str, temperature: float,
        wanted: Mapping[int, list[int]],
    ) -> list[dict[str, Any]]:  # fmt: skip
        plan, prompts = self.plan, list(wanted.values())
        target = self._target_runner(prompts)
        got = decode_speculative(
            target,
            Runner(draft, batch=target.batch, capacity=target.capacity, graphs=plan.graphs),
            prompts,
            gamma=plan.gamma,
            new_tokens=plan.new_tokens,
            temperature=temperature,
            seed=seed_of("rounds", plan.seed, name, domain, temperature, min(wanted)),
            vocabulary=self.vocabulary,
        )
        return [
            {"drafted": plan.gamma, "accepted": accepted, "surplus_tokens": surplus}
            for accepted, surplus in zip(got.accepted, got.surplus, strict=True)
        ]

    def _lay_along(
        self, draft: Any, domain: str, temperature: float, wanted: Mapping[int, list[int]]
    ) -> list[dict[str, Any]]:
        laws = self._text_laws(domain, temperature, wanted)
        if laws is None:
            return [{"error": "the target wrote no text"} for _ in wanted]
        return [
            {"overlap": _rounded(o.overlap), "ratio": _rounded(o.ratio)}
            for o in laws.overlaps(draft)
        ]

    def _text_laws(
        self, domain: str, temperature: float, wanted: Mapping[int, list[int]]
    ) -> TextLaws | None:
        key = (domain, temperature, tuple(wanted))
        if self._laws is None or self._laws[0] != key:
            written = {
                p["request"]: p
                for p in self.journal.points
                if p["type"] == "text"
                and (p["domain"], p["temperature"]) == (domain, temperature)
                and "tokens" in p
            }
            if not all(i in written for i in wanted):
                return None
            texts = [Text(written[i]["prompt"], written[i]["tokens"]) for i in wanted]
            self._laws = (key, self._laws_of(texts, temperature))
        return self._laws[1]

    def _laws_of(self, texts: Sequence[Text], temperature: float) -> TextLaws:
        return TextLaws(self.target, texts, temperature=temperature, vocabulary=self.vocabulary)

    def _target_runner(self, prompts: Sequence[Sequence[int]]) -> Runner:
        room = max(len(p) for p in prompts) + self.plan.new_tokens + self.plan.gamma
        key = (len(prompts), room)
        if self._runner is None or self._runner[0] != key:
            self._runner = None  # before the next one takes memory
            runner = Runner(self.target, batch=len(prompts), capacity=room, graphs=self.plan.graphs)
            self._runner = (key, runner)
        return self._runner[1]

    def _has(
        self, kind: str, draft: str | None, domain: str, temperature: float, request: int
    ) -> bool:
        point = {
            "type": kind, "draft": draft, "domain": domain, "temperature": temperature,
            "request": request,
        }  # fmt: skip
        return point_key(self.journal.key, point) in self.journal.done


def _rounded(values: Sequence[float]) -> list[float]:
    """Four digits are plenty beside the scatter of a text; whole numbers take one character."""
    short = [round(v, DIGITS) for v in values]
    return [int(v) if v == int(v) else v for v in short]


def compare_record(record: Record) -> dict[tuple[str, float, str | None], Comparison]:
    """Rounds against overlap by (draft, temperature, domain), and with domain None for all of them.

    Requests with an error are left out; what has fewer than two left is not compared.
    """
    rounds: dict[tuple[str, float], dict[tuple[str, int], dict[str, Any]]] = {}
    overlaps: dict[tuple[str, float], dict[tuple[str, int], dict[str, Any]]] = {}
    for point in record.points:
        if point["type"] in ("rounds", "overlap") and "error" not in point:
            side = rounds if point["type"] == "rounds" else overlaps
            at = side.setdefault((point["draft"], point["temperature"]), {})
            at[point["domain"], point["request"]] = point
    found: dict[tuple[str, float, str | None], Comparison] = {}
    for (draft, temperature), real in rounds.items():
        along = overlaps.get((draft, temperature), {})
        both = [key for key in real if key in along]
        for domain in (*dict.fromkeys(d for d, _ in both), None):
            keys = [key for key in both if domain in (None, key[0])]
            if len(keys) >= 2:
                found[draft, temperature, domain] = compare_rounds(
                    [real[k]["accepted"] for k in keys],
                    [along[k]["ratio"] for k in keys],
                    [along[k]["overlap"] for k in keys],
                    gamma=int(real[keys[0]]["drafted"]),
                )
    return found
