"""Requests with their own counts, added up; metrics of vLLM and TensorRT-LLM, and AIPerf's records.

vLLM (v0.32, --per-request-spec-decode-metrics): metrics.speculative_decoding, AIPerf (ai-dynamo/
aiperf, SpecDecodeAcceptanceRecord): spec_decode_acceptance, both with acceptance_histogram (rounds
that accepted 0, 1, 2.. draft tokens), num_spec_steps, num_draft_tokens, num_accepted_draft_tokens
and num_spec_tokens (gamma). TensorRT-LLM names the tokens total_draft_tokens and
total_accepted_draft_tokens, with or without rounds. AIPerf's summary pools the histogram of a run.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from .completed import counts_as
from .counts import Check, EngineCounts, checks, ratio
from .numbers import Request, add_lists, count, counts_list, number, whole_list
from .row_sums import tallied

_OPEN = 20_000
_KEPT = 20_000
_CHECKS = 20


class Sums:
    """The accumulator of the formats that state requests one by one, and the base of their readers.

    A total is None as soon as one request leaves it open; so are the lists by position.
    bounds_rounds: whether each request bounds its rounds, where none are stated.
    Where the counts of a request run on from chunk to chunk, the latest of its chunks is kept until
    it is over: with its last chunk, with the end of the source, or when 20,000 others came after
    it, so that memory does not grow with the source.

    each: what bounds the rounds of every request; checks: of stated numbers against the counts, the
    first and those that disagree; replaced: chunks that a later one followed.
    """

    bounds_rounds = False

    def __init__(self) -> None:
        self.requests = 0
        self.totals: dict[str, Any] = dict.fromkeys(("rounds", "drafted", "accepted", "tokens"), 0)
        self.lists: dict[str, list[int] | None] = {"histogram": [], "tried": []}
        self.each: list[Request] = []
        self.checks: list[Check] = []
        self.replaced = 0
        self._open: dict[str, dict[str, Any]] = {}
        self._per_round: set[float] = set()

    def put(self, name: Any, request: dict[str, Any], *, last: bool = False) -> None:
        """Take a chunk; a request without a name, or with its last chunk, is over.

        Where its counts fell, two requests share the name and both count.
        """
        if not isinstance(name, str):
            self.over(request)
            return
        before = self._open.pop(name, None)
        if before is not None and self.follows(before, request):
            self.replaced += 1
        elif before is not None:
            self.over(before)
        self._open[name] = request
        if last:
            self.over(self._open.pop(name))
        elif len(self._open) > _OPEN:
            self.over(self._open.pop(next(iter(self._open))))

    def over(self, request: dict[str, Any]) -> None:
        """Take the last chunk of a request, here its counts by name."""
        self.add(**request)

    def follows(self, before: dict[str, Any], now: dict[str, Any]) -> bool:
        """Whether counts that run on during a request can have grown from the one to the other."""
        return all(now[name] >= before[name] for name in ("drafted", "accepted"))

    def ended(self) -> bool:
        """Take the requests that are still open; whether there was any at all."""
        while self._open:
            self.over(self._open.pop(next(iter(self._open))))
        return self.requests > 0

    def add(self, checks: list[Check] | None = None, **counts: Any) -> None:
        """Add a request: rounds, drafted, accepted, tokens, histogram, tried, where it states them.

        Raises ValueError for more accepted than drafted tokens.
        """
        rounds, drafted, accepted = (counts.get(n) for n in ("rounds", "drafted", "accepted"))
        if accepted is not None and drafted is not None and accepted > drafted:
            raise ValueError(f"accepted must be in [0, drafted = {drafted}], got {accepted}")
        for name, total in self.totals.items():
            part = counts.get(name)
            self.totals[name] = None if total is None or part is None else total + part
        for name, held in self.lists.items():
            if held is not None and (part := counts.get(name)) is not None:
                add_lists(held, part)
            else:
                self.lists[name] = None
        if rounds and drafted is not None and len(self._per_round) < 2:
            self._per_round.add(drafted / rounds)
        if len(self.each) <= _KEPT and drafted is not None and accepted is not None:
            self.each.append(Request(drafted, accepted, counts.get("tokens")))
        if len(self.checks) < _CHECKS:
            self.checks += [c for c in checks or () if not c.agrees or not self.requests]
        self.requests += 1

    def whole_draft(self) -> int | None:
        """Drafted tokens a round, where that is the same whole number in every request."""
        each = next(iter(self._per_round), 0.0)
        return (int(each) if len(self._per_round) == 1 and each.is_integer() else None) or None

    def counts(self, form: str, notes: list[str], **more: Any) -> EngineCounts:
        """The sums as counts, the requests one by one where they bound the rounds and are few."""
        if n := self.replaced:
            notes.insert(0, f"{n} chunks were followed by later counts of their request")
        few = self.bounds_rounds and self.totals["rounds"] is None and len(self.each) <= _KEPT
        own = {"requests": self.requests, "per_request": tuple(self.each) if few else ()}
        return counts_as(form, notes=notes, **{**own, **self.totals, **more})


_KEYS = ("num_spec_steps", "acceptance_histogram", "num_accepted_draft_tokens")
_TRT = ("total_accepted_draft_tokens", "total_draft_tokens")
_OWN = {"aiperf": "spec_decode_acceptance", "vllm": "speculative_decoding"}
_FORMATS = {"aiperf": "aiperf-records", "vllm": "vllm-per-request",
            "tensorrt-llm": "tensorrt-llm-perf-metrics"}  # fmt: skip
_POOLED = "pooled_spec_decode_acceptance_histogram"
_TOTALS = ("total_draft_tokens", "total_accepted_draft_tokens", "total_spec_decode_steps")


class RoundsJson(Sums):
    """Adds up the requests; ``engine`` is told by the key around them, or by their names."""

    keys = frozenset({*_KEYS, _POOLED, _TRT[0]})

    def __init__(self, engine: str) -> None:
        super().__init__()
        self.engine = engine
        self.gammas: set[int] = set()
        self.pooled: list[int] | None = None
        self.pooled_totals: dict[str, int | None] = {}

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take an object found under ``key``; False where it is another format's."""
        if self.engine == "aiperf" and _POOLED in entry:
            self._pooled(entry)
            return True
        if self.engine == "tensorrt-llm":
            if not all(isinstance(entry.get(name), int) for name in _TRT):
                return False
        elif (
            not any(k in entry for k in _KEYS)
            or (self.engine == "aiperf" and key != _OWN["aiperf"] and not _is_record(entry))
            or (self.engine == "vllm" and key == _OWN["aiperf"])
        ):
            return False
        self._request(entry)
        return True

    def _pooled(self, entry: dict[str, Any]) -> None:
        found = counts_list(entry[_POOLED], "pooled acceptance histogram")
        if found is None:
            return
        self.pooled = found
        for name in _TOTALS:
            value = entry.get(name)
            value = value.get("avg") if isinstance(value, dict) else value
            self.pooled_totals[name] = count(value, name)

    def _request(self, entry: dict[str, Any]) -> None:
        taken, made = _TRT if self.engine == "tensorrt-llm" else (_KEYS[2], "num_draft_tokens")
        names = ("num_spec_steps", taken, made, "completion_tokens", "num_spec_tokens")
        steps, accepted, drafted, tokens, gamma = (count(entry.get(n), n) for n in names)
        each = whole_list(entry.get("per_step_accepted"), "per_step_accepted")
        drafts = whole_list(entry.get("per_step_drafted"), "per_step_drafted")
        histogram = counts_list(entry.get("acceptance_histogram"), "acceptance_histogram")
        if histogram is None and each is not None:
            histogram = tallied(Counter((0, n) for n in each))[0]
        if histogram is not None:
            steps = _agree("num_spec_steps", steps, sum(histogram))
            accepted = _agree(taken, accepted, sum(k * n for k, n in enumerate(histogram)))
        if drafts is not None:
            drafted = _agree(made, drafted, sum(drafts))
        if gamma:
            self.gammas.add(gamma)
        tried = None
        if each is not None and drafts is not None and len(each) == len(drafts):
            tried = tallied(Counter(zip(drafts, each, strict=True)))[1]
        self.add(
            _stated(entry, steps, accepted, drafted),
            rounds=steps,
            drafted=drafted,
            accepted=accepted,
            tokens=tokens,
            histogram=histogram,
            tried=tried,
        )

    def result(self) -> EngineCounts | None:
        """The sum over requests, or the pooled run."""
        if not self.requests:
            return None if self.pooled is None else self._run(self.pooled)
        gamma = next(iter(self.gammas)) if len(self.gammas) == 1 else None
        shown = ", ".join(map(str, sorted(self.gammas))) or "not stated"
        notes = [f"gamma {gamma} is num_spec_tokens as the requests state it"]
        if gamma is None:
            notes = [f"num_spec_tokens is {shown}: gamma null"]
        wrong = [c for c in self.checks if not c.agrees]
        if wrong:
            notes.append(
                "some stated lengths or rates do not follow from the counts: see consistency"
            )
        if self.totals["rounds"] is None:
            notes.append("requests state no rounds: rounds, acceptance length and survival null")
        if self.engine == "tensorrt-llm" and not self.totals["drafted"]:
            notes.append("the PyTorch flow reported zeros before PR #17082")
        histogram, tried = self.lists["histogram"] or None, self.lists["tried"]
        return self.counts(
            _FORMATS[self.engine],
            notes,
            gamma=gamma,
            histogram=histogram,
            tried=tuple(tried[: gamma or None]) if tried and histogram else None,
            consistency=tuple(wrong or self.checks[:2]),
        )

    def _run(self, histogram: list[int]) -> EngineCounts:
        names = ("total_spec_decode_steps", "total_draft_tokens", "total_accepted_draft_tokens")
        rounds, drafted, accepted = (self.pooled_totals.get(n) for n in names)
        return counts_as(
            "aiperf-summary",
            rounds=rounds,
            drafted=drafted,
            accepted=accepted,
            histogram=histogram,
            notes=[
                "the histogram ends at the most tokens that a round accepted, which need not be "
                "gamma: gamma null"
            ],
        )


def _is_record(entry: dict[str, Any]) -> bool:
    """Whether an object is an AIPerf record on its own: it names the engine."""
    return isinstance(entry.get("engine"), str) and "acceptance_histogram" in entry


def _agree(name: str, stated: int | None, counted: int) -> int:
    if stated is not None and stated != counted:
        raise ValueError(f"{name} must be {counted} as the rounds add up to, got {stated}")
    return counted


def _stated(
    entry: dict[str, Any], steps: int | None, accepted: int | None, drafted: int | None
) -> list[Check]:
    """The length and the rate that a request states, against its counts."""
    length = number(entry.get("mean_acceptance_length"), "mean_acceptance_length")
    rate = entry.get("draft_acceptance_rate", entry.get("acceptance_rate"))
    rate = number(rate, "draft_acceptance_rate")
    if rate is not None and rate > 1.0:
        rate /= 100.0
    return checks(
        ("acceptance length", length, ratio(accepted, steps, 1.0)),
        ("drafted rate", rate, ratio(accepted, drafted)),
    )
