"""Logs as they are found: other versions, prefixes, colours, ranks, restarts, speculation off."""

from __future__ import annotations

import json
from typing import Any

from engine_samples import V1, trt_iteration

_FIRST = V1.format(
    length="3.42", accepted=676, drafted=837, rates="0.921, 0.828, 0.674", rate="80.8"
)
_SECOND = V1.format(
    length="3.52", accepted=699, drafted=831, rates="0.942, 0.859, 0.722", rate="84.1"
)
_BOTH = {"rounds": 556, "drafted": 1668, "accepted": 1375, "gamma": 3, "intervals": 2}
_TIME = "INFO 05-18 11:19:54 [metrics.py:101] "
_DECODE = (
    "[2026-04-02 23:42:16{rank}] Decode batch, #running-req: 4, #token: 7352, token usage: 0.01, "
    "accept len: {length}, accept rate: {rate}, cuda graph: True, gen throughput (token/s): "
    "39.33, #queue-req: 0\n"
)
_PLAIN = _DECODE.replace("accept len: {length}, accept rate: {rate}, ", "").format(rank="")
_SETTINGS = (
    "server_args=ServerArgs(speculative_num_steps={steps}, speculative_eagle_topk=1, "
    "speculative_num_draft_tokens={slots})\n"
)
_STATISTICS = (
    "statistics draft: #calls(b,g,a) = 1 {n} {n}, #gen drafts = {n}, #acc drafts = {n}, "
    "#gen tokens = {g}, #acc tokens = {a}\n"
)
_REQUEST = (
    "draft acceptance = 0.52500 (  210 accepted /   400 generated), mean acceptance length =  3.10"
    ", acceptance rate per position = (0.800, 0.600, 0.400, 0.300)\n"
)
_HOOK = "".join(
    json.dumps({"request": 0, "round": i, "drafted": 5, "accepted": i % 6}) + "\n"
    for i in range(12)
)


def _lines(*prefixes: str) -> str:
    return "".join(prefix + text + "\n" for text in (_FIRST, _SECOND) for prefix in prefixes)


def _decode(*ranks: str) -> str:
    pairs = (("2.80", "0.60"), ("3.10", "0.70"))
    return "".join(_DECODE.format(rank=r, length=n, rate=s) for n, s in pairs for r in ranks)


def _series(model: str, positions: int, rounds: int = 100) -> str:
    where = f'engine="0",model_name="{model}"'
    counts = [rounds * (positions - k) // 10 for k in range(positions)]
    rows = [
        f"num_drafts_total{{{where}}} {rounds}",
        f"num_draft_tokens_total{{{where}}} {rounds * positions}",
        f"num_accepted_tokens_total{{{where}}} {sum(counts)}",
    ]
    rows += [
        f'num_accepted_tokens_per_pos_total{{{where},position="{k}"}} {n}'
        for k, n in enumerate(counts)
    ]
    return "".join(f"vllm:spec_decode_{row}\n" for row in rows)


def _table(length: str, rounds: int, shares: tuple[float, ...]) -> str:
    drafted, accepted = rounds * len(shares), round(rounds * sum(shares) / 100)
    rows = "".join(f"  Position {k}:   {s:.2f}\n" for k, s in enumerate(shares))
    return (
        f"Acceptance rate (%):   {100 * accepted / drafted:.2f}\nAcceptance length:   {length}\n"
        f"Drafts:   {rounds}\nDraft tokens:   {drafted}\nAccepted tokens:   {accepted}\n"
        f"Per-position acceptance (%):\n{rows}"
    )


def _meta(rounds: int, accepted: int, **more: Any) -> str:
    meta = {"id": "a", "spec_verify_ct": rounds, "spec_accept_token_num": accepted,
            "spec_draft_token_num": 3 * rounds, **more}  # fmt: skip
    return json.dumps({"text": "a", "meta_info": meta}) + "\n"


def _iterations(*ranks: int | None) -> list[Any]:
    found = []
    for number in range(5):
        for rank in ranks:
            entry = trt_iteration(number, rank or 0)
            if rank is None:
                del entry["attentionDpRank"]
            found.append(entry)
    return found


# name: (text, what the import must give, a word of one of its notes)
LOGS: dict[str, tuple[str, dict[str, Any], str]] = {
    "vllm, tensor-parallel ranks": (
        _lines(*(f"(VllmWorker TP{k} pid={k}) {_TIME}" for k in range(4))), _BOTH,
        "those of TP1, TP2, TP3 are left out"),
    "vllm, data-parallel ranks": (
        f"(EngineCore_DP0 pid=1) {_TIME}{_FIRST}\n(EngineCore_DP1 pid=2) {_TIME}{_SECOND}\n",
        _BOTH, "2 lines of one interval"),
    "vllm, kubernetes": (
        _lines("2026-05-18T11:19:54.123456789Z stdout F " + _TIME).replace("\n", "\r\n"), _BOTH,
        "2 lines of one interval"),
    "vllm, two services of docker compose": (
        f"\x1b[36mvllm-a-1  |\x1b[0m {_TIME}{_FIRST}\n\x1b[33mvllm-b-1  |\x1b[0m {_TIME}{_SECOND}",
        _BOTH, "several services are taken together: vllm-a-1, vllm-b-1"),
    "vllm, structured log": (
        "".join(json.dumps({"level": "INFO", "message": m}) + "\n" for m in (_FIRST, _SECOND)),
        _BOTH, "2 lines of one interval"),
    "vllm, JSON line first": (
        '{"event": "start"}\nbanner\n' + _lines(_TIME), _BOTH, "2 lines of one interval"),
    "vllm, Python dictionary first": (
        "{'model': 'x'}\n" + _lines(_TIME), _BOTH, "1 line is no JSON"),
    "vllm, interval without a draft": (
        _lines(_TIME) + V1.format(length="nan", accepted=0, drafted=0, rates="", rate="nan"),
        {**_BOTH, "intervals": 3}, "3 lines"),
    "vllm, two draft lengths": (
        _FIRST + "\n" + V1.format(length="2.50", accepted=300, drafted=400, rates="0.850, 0.650",
                                  rate="75.0"),
        {"rounds": 479, "gamma": None}, "changes between lines (2, 3)"),
    "vllm, restart within the scrapes": (
        _series("m", 3) + _series("m", 3, 200) + _series("m", 3, 50),
        {"rounds": 250, "drafted": 750, "accepted": 150, "gamma": 3}, "started again"),
    "vllm, two models of different gamma": (
        _series("a", 2) + _series("b", 4),
        {"rounds": 200, "drafted": 600, "gamma": None}, "--model takes one"),
    "vllm, two tables": (
        _table("2.54", 1000, (73.6, 50.4, 30.4)) + _table("2.03", 500, (73.6, 29.4)),
        {"rounds": 500, "drafted": 1000, "accepted": 515, "gamma": 2}, "2 summaries"),
    "sglang, tensor-parallel ranks": (
        _decode(*(f" TP{k}" for k in range(4))),
        {"gamma": 3, "acceptance_length": 2.95, "intervals": 2}, "TP1, TP2, TP3 are left out"),
    "sglang, data-parallel ranks": (
        _decode(*(f" DP{k} TP{k} EP{k}" for k in range(2))),
        {"gamma": 3, "acceptance_length": 2.95, "intervals": 4}, "the mean of 4 intervals"),
    "sglang, more fields": (
        _decode("").replace("#token: 7352", "#full token: 7352, mamba num: 3")
        .replace("cuda graph", "#retracted-req: 0, cuda graph").replace("batch,", "batch [12],"),
        {"gamma": 3, "acceptance_length": 2.95, "intervals": 2}, "the mean of 2 intervals"),
    "sglang, speculation off for a while": (
        _PLAIN + _decode("") + _PLAIN,
        {"gamma": 3, "acceptance_length": 2.95, "intervals": 2}, "the mean of 2 intervals"),
    "sglang, colours within the line": (
        _decode("").replace("accept len: ", "accept len: \x1b[1m").replace(", accept r",
                                                                         "\x1b[0m, accept r"),
        {"gamma": 3, "acceptance_length": 2.95}, "the mean of 2 intervals"),
    "sglang, two servers": (
        _SETTINGS.format(steps=3, slots=4) + _DECODE.format(rank="", length="2.80", rate="0.60")
        + _SETTINGS.format(steps=5, slots=6) + _DECODE.format(rank="", length="4.00", rate="0.60"),
        {"gamma": None, "acceptance_length": 3.4}, "speculative_num_steps is 3, 5"),
    "sglang, chunks of a stream": (
        _meta(10, 12) + _meta(25, 39), {"rounds": 25, "accepted": 39, "requests": 1}, "1 chunks"),
    "sglang, requests of one name": (
        _meta(25, 39, finish_reason={"type": "stop"}) + _meta(30, 41),
        {"rounds": 55, "accepted": 80, "requests": 2}, "gamma 3"),
    "llama.cpp, restarts of two services": (
        "".join(f"{service}-1 | " + _STATISTICS.format(n=n, g=3 * n, a=2 * n)
                for n in (100, 200, 50) for service in "ab"),
        {"rounds": 500, "drafted": 1500, "accepted": 1000}, "fell 2 times"),
    "llama.cpp, a larger limit in the settings": (
        "main: --draft-max 16\n" + _REQUEST, {"rounds": 100, "gamma": 4},
        "the settings allow drafts of 16"),
    "llama.cpp, brackets first": (
        "[ 1234.5] " + _REQUEST, {"rounds": 100, "gamma": 4, "accepted": 210}, "gamma is the 4"),
    "llama.cpp, docker's JSON": (
        json.dumps({"log": _REQUEST, "stream": "stderr"}), {"rounds": 100, "accepted": 210},
        "gamma is the 4"),
    "llama.cpp, some responses without a draft": (
        json.dumps({"timings": {"predicted_n": 9, "draft_n": 90, "draft_n_accepted": 60}}) + "\n"
        + json.dumps({"timings": {"predicted_n": 9}}),
        {"drafted": 90, "accepted": 60, "requests": 1}, "1 responses drafted nothing"),
    "tensorrt-llm, ranks that repeat": (
        json.dumps(_iterations(0, 1, 2)), {"rounds": 40, "drafted": 120, "gamma": 3},
        "10 entries repeat"),
    "tensorrt-llm, a restart": (
        json.dumps(_iterations(0) + _iterations(0)), {"rounds": 80, "intervals": 10}, "gamma 3"),
    "tensorrt-llm, the same answer twice": (
        json.dumps(_iterations(None) + _iterations(None)), {"rounds": 40, "intervals": 5},
        "5 entries repeat"),
    "transformers, a header": (
        "# rounds\n" + _HOOK, {"rounds": 12, "accepted": 30, "gamma": 5}, "every round drafted"),
    "transformers, cut off": (
        _HOOK[:-20], {"rounds": 11, "accepted": 25}, "1 line is no JSON"),
}  # fmt: skip

# name: (text, a word of the refusal)
OFF: dict[str, tuple[str, str]] = {
    "vllm log": ("Engine 000: Avg generation throughput: 10.0 tokens/s\n", "vLLM's log"),
    "vllm metrics": ('vllm:num_requests_running{engine="0"} 0.0\n', "vLLM's metrics"),
    "vllm request": ('{"metrics": {"speculative_decoding": null}}', "is null"),
    "vllm bench": ('{"request_throughput": 1.0}', "benchmark"),
    "sglang log": (_PLAIN, "SGLang's decode lines"),
    "llama.cpp log": ("slot print_timing: id 0 | eval time = 10 ms\n", "llama.cpp's log"),
    "llama.cpp timings": ('{"timings": {"predicted_per_second": 3.0}}', "llama.cpp's timings"),
    "tensorrt-llm": ('[{"iter": 1, "iterLatencyMS": 2.0}]', "TensorRT-LLM's iterations"),
    "aiperf": ('{"metadata": {"worker_id": "w"}}\n', "AIPerf's records"),
}
