"""Requests with their own counts: metrics of vLLM and of TensorRT-LLM, and AIPerf's records.

vLLM (v0.32, --per-request-spec-decode-metrics): metrics.speculative_decoding, AIPerf (ai-dynamo/
aiperf, SpecDecodeAcceptanceRecord): spec_decode_acceptance, both with acceptance_histogram (rounds
that accepted 0, 1, 2.. draft tokens), num_spec_steps, num_draft_tokens, num_accepted_draft_tokens
and num_spec_tokens (gamma). TensorRT-LLM names the tokens total_draft_tokens and
total_accepted_draft_tokens, with or without rounds. AIPerf's summary pools the histogram of a run.
"""

from __future__ import annotations

from typing import Any

from .completed import engine_counts
from .counts import Check, EngineCounts, check_number
from .numbers import (
    count,
    counts_list,
    number,
    whole_list,
)
from .sums import Sums

_KEYS = ("num_spec_steps", "acceptance_histogram", "num_accepted_draft_tokens")
_TRT = ("total_accepted_draft_tokens", "total_draft_tokens")
_OWN = {"aiperf": "spec_decode_acceptance", "vllm": "speculative_decoding"}
_FORMATS = {"aiperf": "aiperf-records", "vllm": "vllm-per-request",
            "tensorrt-llm": "tensorrt-llm-perf-metrics"}  # fmt: skip
_POOLED = "pooled_spec_decode_acceptance_histogram"
_TOTALS = ("total_draft_tokens", "total_accepted_draft_tokens", "total_spec_decode_steps")
_DEFINITION = (
    "per request: rounds = num_spec_steps, accepted = leading draft tokens kept; "
    "mean_acceptance_length = 1 + accepted / rounds (bonus counted)"
)


class RoundsJson:
    """Adds up the requests; ``engine`` is told by the key around them, or by their names."""

    keys = frozenset({*_KEYS, _POOLED, _TRT[0]})

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.sums = Sums()
        self.gammas: set[int] = set()
        self.pooled: list[int] | None = None
        self.totals: dict[str, int | None] = {}

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
            self.totals[name] = count(value, name)

    def _request(self, entry: dict[str, Any]) -> None:
        steps = count(entry.get("num_spec_steps"), "num_spec_steps")
        taken, made = _TRT if self.engine == "tensorrt-llm" else (_KEYS[2], "num_draft_tokens")
        accepted, drafted = count(entry.get(taken), taken), count(entry.get(made), made)
        tokens = count(entry.get("completion_tokens"), "completion_tokens")
        gamma = count(entry.get("num_spec_tokens"), "num_spec_tokens")
        each = whole_list(entry.get("per_step_accepted"), "per_step_accepted")
        drafts = whole_list(entry.get("per_step_drafted"), "per_step_drafted")
        histogram = counts_list(entry.get("acceptance_histogram"), "acceptance_histogram")
        if histogram is None and each is not None:
            histogram = [0] * (max(each, default=-1) + 1)
            for n in each:
                histogram[n] += 1
        if histogram is not None:
            steps = _agree("num_spec_steps", steps, sum(histogram))
            total = sum(k * n for k, n in enumerate(histogram))
            accepted = _agree(taken, accepted, total)
        if drafts is not None:
            drafted = _agree(made, drafted, sum(drafts))
        if gamma:
            self.gammas.add(gamma)
        self.sums.add(
            _stated(entry, steps, accepted, drafted),
            rounds=steps,
            drafted=drafted,
            accepted=accepted,
            tokens=tokens,
            histogram=histogram,
            tried=_tried(each, drafts),
        )

    def result(self) -> EngineCounts | None:
        """The sum over requests, or the pooled run."""
        sums = self.sums
        if self.pooled is not None and not sums.requests:
            return self._run()
        if not sums.requests:
            return None
        notes = []
        gamma = self.gammas.copy().pop() if len(self.gammas) == 1 else None
        if gamma is None:
            shown = ", ".join(map(str, sorted(self.gammas))) or "not stated"
            notes.append(f"num_spec_tokens is {shown}: gamma null")
        else:
            notes.append(f"gamma {gamma} is num_spec_tokens as the requests state it")
        wrong = [c for c in sums.checks if not c.agrees]
        if wrong:
            notes.append(
                "some stated lengths or rates do not follow from the counts: see consistency"
            )
        if sums.totals["rounds"] is None:
            notes.append("requests state no rounds: rounds, acceptance length and survival null")
        if self.engine == "tensorrt-llm" and not sums.totals["drafted"]:
            notes.append("the PyTorch flow reported zeros before PR #17082")
        histogram, tried = sums.lists["histogram"] or None, sums.lists["tried"]
        return engine_counts(
            self.engine,
            _FORMATS[self.engine],
            definition=_DEFINITION,
            gamma=gamma,
            histogram=histogram,
            tried=tuple(tried[: gamma or None]) if tried and histogram else None,
            requests=sums.requests,
            consistency=tuple(wrong or sums.checks[:2]),
            notes=notes,
            **sums.totals,
        )

    def _run(self) -> EngineCounts:
        assert self.pooled is not None
        return engine_counts(
            "aiperf",
            "aiperf-summary",
            definition="AIPerf: rounds of all requests by the draft tokens they accepted",
            rounds=self.totals.get("total_spec_decode_steps"),
            drafted=self.totals.get("total_draft_tokens"),
            accepted=self.totals.get("total_accepted_draft_tokens"),
            histogram=self.pooled,
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


def _tried(each: list[int] | None, drafts: list[int] | None) -> list[int] | None:
    """How often each position was put to the test, where the rounds are stated one by one."""
    if each is None or drafts is None or len(each) != len(drafts):
        return None
    tried = [0] * max(drafts, default=0)
    for kept, size in zip(each, drafts, strict=True):
        for k in range(min(kept + 1, size)):
            tried[k] += 1
    return tried


def _stated(
    entry: dict[str, Any], steps: int | None, accepted: int | None, drafted: int | None
) -> list[Check]:
    """The length and the rate that a request states, against its counts."""
    length = number(entry.get("mean_acceptance_length"), "mean_acceptance_length")
    rate = entry.get("draft_acceptance_rate", entry.get("acceptance_rate"))
    rate = number(rate, "draft_acceptance_rate")
    found = []
    if steps and accepted is not None:
        found += check_number("acceptance length", length, 1.0 + accepted / steps)
    if drafted and accepted is not None:
        stated = rate / 100.0 if rate is not None and rate > 1.0 else rate
        found += check_number("drafted rate", stated, accepted / drafted)
    return found
