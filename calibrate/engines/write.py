"""The writer's side: rounds in each engine's own words, for samples and for round trips.

Rounds are (accepted, drafted) of every round, all of one gamma; what a format does not print is
lost on the way, as it is in the engine. Imported counts are written as AIPerf's record, the
engine-neutral schema (ai-dynamo/aiperf, common/models/spec_decode_models.py): the histogram adds up
to the steps, its weighted sum is accepted, and accepted <= drafted.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...theory import DepthAcceptance
from .completed import counts_as
from .counts import EngineCounts

Whole = NDArray[np.int64]


def _positions(kept: Whole, gamma: int) -> list[int]:
    return [int((kept >= k).sum()) for k in range(1, gamma + 1)]


_TEXTS = {
    "vllm-log": (
        "(APIServer pid=1) INFO 05-18 11:19:54 [metrics.py:101] SpecDecoding metrics: "
        "Mean acceptance length: {length:.2f}, Accepted throughput: {accepted_rate:.2f} tokens/s, "
        "Drafted throughput: {drafted_rate:.2f} tokens/s, Accepted: {accepted} tokens, "
        "Drafted: {drafted} tokens, Per-position acceptance rate: {shares}, "
        "Avg Draft acceptance rate: {percent:.1f}%\n"
    ),
    "sglang-log": (
        "[2025-10-02 23:42:16] Decode batch, #running-req: 1, #token: 7352, token usage: 0.01, "
        "accept len: {length:.2f}, accept rate: {rate:.2f}, "
        "cuda graph: True, gen throughput (token/s): 39.33, #queue-req: 0\n"
    ),
    "llama.cpp-statistics": (
        "0.16.519.216 I statistics        draft-mtp: #calls(b,g,a) =    1 {n:6d} {n:6d}, "
        "#gen drafts = {n:6d}, #acc drafts = {some:5d}, "
        "#gen tokens = {drafted:6d}, #acc tokens = {accepted:5d}, "
        "#mean acc len = {length:.2f}, #acc rate/pos = ({shares}), "
        "dur(b,g,a) = 0.005, 325.555, 0.114 ms\n"
    ),
    "llama.cpp-request": (
        "0.16.519.195 I slot print_timing: id  0 | task 42 | draft acceptance = "
        "{rate:.5f} ({accepted:5d} accepted / {drafted:5d} generated), "
        "mean acceptance length = {length:5.2f}, acceptance rate per position = ({shares})\n"
    ),
}


def log(engine: str, kept: Whole, gamma: int, *, lines: int = 1) -> str:
    """A log of one of `_TEXTS`: vLLM's V1 engine and SGLang (one request running) in so many lines
    of an interval each, llama.cpp's statistics and its line for a request.
    """
    said = []
    for part in np.array_split(kept, lines):
        n, accepted, drafted = part.size, int(part.sum()), part.size * gamma
        said.append(
            _TEXTS[engine].format(
                n=n, accepted=accepted, drafted=drafted, length=1 + accepted / n,
                rate=accepted / drafted, percent=100 * accepted / drafted,
                accepted_rate=accepted / 10, drafted_rate=drafted / 10,
                some=int((part > 0).sum()),
                shares=", ".join(f"{p / n:.3f}" for p in _positions(part, gamma)),
            )
        )  # fmt: skip
    return "".join(said)


def _prometheus(prefix: str, kept: Whole, gamma: int) -> str:
    labels = 'engine="0",model_name="target"'
    rows = [
        ("num_drafts_total", labels, kept.size),
        ("num_draft_tokens_total", labels, kept.size * gamma),
        ("num_accepted_tokens_total", labels, int(kept.sum())),
    ]
    rows += [
        ("num_accepted_tokens_per_pos_total", f'{labels},position="{k}"', n)
        for k, n in enumerate(_positions(kept, gamma))
    ]
    return "".join(f"{prefix}:spec_decode_{n}{{{where}}} {float(v)}\n" for n, where, v in rows)


def _histogram(kept: Whole, gamma: int) -> list[int]:
    return [int(n) for n in np.bincount(kept, minlength=gamma + 1)]


def _record(kept: Whole, gamma: int) -> dict[str, Any]:
    """What vLLM and AIPerf state of a request."""
    histogram, drafted = _histogram(kept, gamma), kept.size * gamma
    counts = counts_as("vllm-per-request", gamma=gamma, drafted=drafted, histogram=histogram)
    return aiperf_record(counts)


def vllm_request(kept: Whole, gamma: int) -> str:
    """vLLM's response with metrics of the request."""
    entry = _record(kept, gamma) | {"acceptance_histogram": _histogram(kept, gamma)}
    del entry["engine"]
    return json.dumps({"id": "cmpl-1", "metrics": {"speculative_decoding": entry}}) + "\n"


def aiperf_request(kept: Whole, gamma: int) -> str:
    """AIPerf's profile_export.jsonl, one request."""
    entry = _record(kept, gamma)
    return json.dumps({"metadata": {"session_num": 0}, "spec_decode_acceptance": entry}) + "\n"


def sglang_response(kept: Whole, gamma: int) -> str:
    """SGLang's response with its meta_info."""
    entry = {
        "id": "1",
        "completion_tokens": int(kept.sum()) + kept.size,
        "spec_verify_ct": kept.size,
        "spec_num_correct_drafts": int(kept.sum()),
        "spec_num_proposed_drafts": kept.size * gamma,
        "spec_correct_drafts_histogram": _histogram(kept, gamma),
        "spec_accept_length": (int(kept.sum()) + kept.size) / kept.size,
    }
    return json.dumps({"text": "", "meta_info": entry}) + "\n"


def tensorrt_llm_metrics(kept: Whole, gamma: int, *, batch: int = 4) -> str:
    """TensorRT-LLM's /metrics: iterations of so many requests, the rest in the last one."""
    stats = []
    for i, start in enumerate(range(0, kept.size, batch)):
        part = kept[start : start + batch]
        stats.append(
            {
                "iter": i,
                "iterLatencyMS": 20.0,
                "specDecodingStats": {
                    "numDraftTokens": part.size * gamma,
                    "numAcceptedTokens": int(part.sum()),
                    "numRequestsWithDraftTokens": part.size,
                    "acceptanceLength": (int(part.sum()) + part.size) / part.size,
                    "iterLatencyMS": 3.0,
                    "draftOverhead": 0.15,
                },
            }
        )
    return json.dumps(stats) + "\n"


def transformers_hook(kept: Whole, gamma: int) -> str:
    """The lines of the hook around transformers' assisted generation."""
    summary = {
        "transformers": "5.23.0",
        "requests": 1,
        "rounds": kept.size,
        "drafted": kept.size * gamma,
        "accepted": int(kept.sum()),
    }
    lines: list[dict[str, object]] = [{"summary": summary}]
    lines += [
        {"request": 0, "round": i, "drafted": gamma, "accepted": int(a)} for i, a in enumerate(kept)
    ]
    return "".join(json.dumps(line) + "\n" for line in lines)


FORMATS: dict[str, Callable[[Whole, int], str]] = {
    "vllm-log": partial(log, "vllm-log"),
    "vllm-prometheus": partial(_prometheus, "vllm"),
    "vllm-request": vllm_request,
    "sglang-response": sglang_response,
    "sglang-log": partial(log, "sglang-log"),
    "llama.cpp-statistics": partial(log, "llama.cpp-statistics"),
    "llama.cpp-request": partial(log, "llama.cpp-request"),
    "llama.cpp-prometheus": partial(_prometheus, "llamacpp"),
    "tensorrt-llm-metrics": tensorrt_llm_metrics,
    "transformers-hook": transformers_hook,
    "aiperf-record": aiperf_request,
}
_SAMPLES = {
    "vllm": "vllm-log",
    "sglang": "sglang-log",
    "llama.cpp": "llama.cpp-statistics",
    "tensorrt-llm": "tensorrt-llm-metrics",
    "transformers": "transformers-hook",
    "aiperf": "aiperf-record",
}


def sample(engine: str, *, seed: int = 0) -> str:
    """Twenty rounds of 4 draft tokens in the main format of an engine, or in any of `FORMATS`."""
    name = _SAMPLES.get(engine, engine)
    if name not in FORMATS:
        allowed = ", ".join((*_SAMPLES, *FORMATS))
        raise ValueError(f"a sample must be of one of {allowed}, got {engine!r}")
    kept = DepthAcceptance(0.75).draw(np.random.default_rng(seed), gamma=4, rounds=20)
    return FORMATS[name](kept, 4)


_ENGINES = {"llama.cpp": "llama_cpp", "tensorrt-llm": "tensorrt_llm", "lm-studio": "lm_studio"}


def aiperf_record(counts: EngineCounts) -> dict[str, Any]:
    """The record of all rounds of a source, as plain JSON values.

    acceptance_histogram is sparse, keys are strings as JSON has them. Raises ValueError where the
    source does not determine how many rounds accepted 0, 1, 2.. draft tokens.
    """
    histogram = _by_accepted(counts)
    steps = sum(histogram)
    accepted = sum(k * n for k, n in enumerate(histogram))
    drafted = counts.drafted
    if drafted is None and counts.gamma is not None:
        drafted = counts.gamma * steps
    if drafted is None or not steps:
        what = "drafted tokens" if steps else "a round"
        raise ValueError(f"{counts.format}: an AIPerf record needs {what}, which is not known")
    record: dict[str, Any] = {
        "engine": _ENGINES.get(counts.engine, counts.engine),
        "mean_acceptance_length": 1.0 + accepted / steps,
        "draft_acceptance_rate": accepted / drafted if drafted else 0.0,
        "acceptance_histogram": {str(k): n for k, n in enumerate(histogram) if n},
        "num_accepted_draft_tokens": accepted,
        "num_draft_tokens": drafted,
        "num_spec_steps": steps,
        "num_spec_tokens": counts.gamma,
        "completion_tokens": counts.tokens,
    }
    return {name: value for name, value in record.items() if value is not None}


def _by_accepted(counts: EngineCounts) -> list[int]:
    if counts.histogram is not None:
        return list(counts.histogram)
    kept = counts.per_position_accepted
    if kept is not None and counts.rounds is not None and counts.accepted == sum(kept):
        return [a - b for a, b in pairwise((counts.rounds, *kept, 0))]
    raise ValueError(
        f"{counts.format}: an AIPerf record needs the rounds that accepted 0, 1, 2.. draft tokens: "
        "a histogram, or rounds with accepted tokens by position; the source holds neither"
    )
