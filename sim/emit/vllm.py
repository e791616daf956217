"""Schedules for vLLM: `--speculative-config` with `num_speculative_tokens_per_batch_size`.

    [[first, last, K], ...]    inclusive ranges of running requests, K <= num_speculative_tokens

Rules of vllm/v1/spec_decode/dynamic/utils.py and of docs/features/speculative_decoding/
dynamic_speculative_decoding.md (vllm-project/vllm at 015a47e1 and 002e77c1): the first range starts
at 1, ranges do not overlap, K >= 0. vLLM carries K over gaps and beyond the last range; here gaps
are refused, because a gap says something other than what its author meant. An axis for the context
is proposed and not merged (pull requests 48944 and 54801, September 2026); `disable_by_batch_size`
went with the older engine.
"""

from __future__ import annotations

import shlex
from typing import Any

from ..schedule import Schedule
from .emission import DraftWords, Emission, one_line, whole

_TOP, _TABLE = "num_speculative_tokens", "num_speculative_tokens_per_batch_size"
_NOT_TAKEN = {
    "disable_by_batch_size": f"end {_TABLE} with a range of K 0",
    "num_speculative_tokens_per_seq_len": f"{_TABLE} is its only axis",
}


def emit_vllm(schedule: Schedule, words: DraftWords = DraftWords(None, None)) -> Emission:  # noqa: B008 - frozen
    """The schedule as vLLM takes it; method, model and options are copied into it."""
    named = {"method": words.method, "model": words.model}
    config: dict[str, Any] = {k: v for k, v in named.items() if v is not None}
    config |= dict(words.options)
    most = max(r.gamma for r in schedule.ranges)
    if most == 0:
        return Emission(
            "vllm",
            notes=("do not pass --speculative-config: num_speculative_tokens must be above 0",),
        )
    config[_TOP] = most
    notes = [*words.notes]
    if words.method == "ngram":
        notes.append("prompt_lookup_max and prompt_lookup_min bound the text that is looked up")
    if not config.keys() & {"method", "model"}:
        notes.append("add the method and model of your draft to the configuration")
    if len(schedule.ranges) > 1:
        config[_TABLE] = [[r.first, r.last, r.gamma] for r in schedule.ranges]
        notes += [
            "the table needs a vLLM with dynamic speculative decoding (pull request 32374, 2026)",
            f"above batch {schedule.batch_max} vLLM keeps the last entry",
            "vLLM ignores the table, and uses num_speculative_tokens, with data parallelism",
            "the older model runner captures the changing drafts piece by piece only: whole graphs "
            "need model runner V2",
        ]
    validate_vllm(config)
    command = f"--speculative-config {shlex.quote(one_line(config))}"
    return Emission("vllm", command, config=config, notes=tuple(notes))


def validate_vllm(config: Any) -> None:
    """Raise ValueError where a speculative configuration breaks a rule of the table."""
    if not isinstance(config, dict):
        raise ValueError(f"speculative-config must be an object, got {type(config).__name__}")
    most = whole(_TOP, config.get(_TOP), low=1)
    for key, instead in _NOT_TAKEN.items():
        if key in config:
            raise ValueError(f"vLLM does not take {key}: {instead}")
    if _TABLE not in config:
        return
    table = config[_TABLE]
    if not isinstance(table, list) or not table:
        raise ValueError(f"{_TABLE} must be a list of one or more [first, last, K], got {table!r}")
    expected = 1
    for entry in table:
        if not isinstance(entry, list | tuple) or len(entry) != 3:
            raise ValueError(f"{_TABLE} entries must be [first, last, K], got {entry!r}")
        first, last = whole("first batch", entry[0], low=1), whole("last batch", entry[1], low=1)
        k = whole("K", entry[2])
        if first != expected:
            where = "start at 1" if expected == 1 else f"follow on {expected - 1}"
            raise ValueError(f"{_TABLE} ranges must {where} without gap or overlap, got {entry!r}")
        if last < first:
            raise ValueError(f"{_TABLE} ranges must not end before they start, got {entry!r}")
        if k > most:
            raise ValueError(f"{_TABLE} must be at most {_TOP} = {most}, got {entry!r}")
        expected = last + 1
