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


def _v0(accepted: int) -> str:
    return (
        "Speculative metrics: Draft acceptance rate: 0.5, System efficiency: 0.5, Number of "
        f"speculative tokens: 4, Number of accepted tokens: {accepted}, Number of draft tokens: "
        f"{2 * accepted}, Number of emitted tokens: {5 * accepted // 4}.\n"
    )


_METRICS = (
    "SpecDecoding metrics: Mean acceptance length: 3.41, Accepted throughput: 33.80 tokens/s, "
    "Drafted throughput: 42.00 tokens/s, Accepted: 338 tokens, Drafted: 420 tokens, "
    "Per-position acceptance rate: 0.921, 0.821, 0.671, Avg Draft acceptance rate: 80.5%\n"
)
_BEFORE = "Engine 000: Avg generation throughput: {} tokens/s, Running: 8\n"
_VLLM = (
    "INFO [loggers.py:271] Engine {e}: Avg prompt throughput: 0.1 tokens/s, Avg generation "
    "throughput: {s} tokens/s, Running: 1 reqs\nINFO [metrics.py:101] SpecDecoding metrics: Mean "
    "acceptance length: 2.50, Accepted: 30 tokens, Drafted: 60 tokens, Per-position acceptance "
    "rate: 0.800, 0.500, 0.200\n"
)
_SPEED = (
    "Decode batch, #running-req: {n}, accept len: {a}, gen throughput (token/s): {s}, "
    "#queue-req: 0\n"
)
_LLAMA = (
    "slot print_timing: id 0 | task {t} | eval time = {ms} ms / {n} tokens (9 ms per token)\nslot "
    "print_timing: id 0 | task {t} | draft acceptance = 0.50000 (   20 accepted /    40 generated)"
    "\n"
)

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
    "vllm, lines add up": (
        _lines("") + V1.format(length="3.38", accepted=670, drafted=843, rate="79.5",
                               rates="0.929, 0.811, 0.644"),
        {"rounds": 837, "drafted": 2511, "accepted": 2045, "intervals": 3,
         "per_position_accepted": (779, 697, 569)}, "3 lines"),
    "vllm, an interval that leaves its rounds open": (
        V1.format(length="2.51", accepted=151000, drafted=299998, rates="0.800, 0.450, 0.260",
                  rate="50.3"),
        {"rounds": None, "per_position_accepted": None, "acceptance_length": (2.51, 0.005),
         "survival": ((0.8, 0.45, 0.26), 1e-12)}, "rounds is null"),
    "vllm, a damaged line among whole ones": (
        f"{_FIRST}\n{_FIRST[:90]}", {"accepted": 676}, "left out"),
    "vllm, the V0 engine runs on": (_v0(200) + _v0(400), {"drafted": 800}, "since the start"),
    "vllm, the V0 engine again": (
        _v0(200) + _v0(400) + _v0(200),
        {"drafted": 1200, "rounds": 300, "acceptance_length": 2.5}, "restarts are added up"),
    # 140 rounds of 3 accept 338 in 10 s, in which 600 tokens were generated
    "vllm, throughput before the metrics": (
        (_BEFORE.format("60.0") + _METRICS) * 3,
        {"rounds": 420, "accepted": 1014, "tokens": 1800, "tokens_per_target_step": 1800 / 786},
        "printed throughput"),
    "vllm, no throughput": (_METRICS, {"tokens": None}, ""),
    # As many tokens as the rounds make: no step drafted nothing, to the digits.
    "vllm, a throughput without idle steps": (
        _BEFORE.format("47.8") + _METRICS, {"tokens": None}, ""),
    "vllm, speeds of one engine": (
        "".join(_VLLM.format(e="000", s=s) for s in (1.0, 40.0, 42.0)),
        {"tokens_per_s": 40.0, "request_tokens_per_s": None}, ""),
    "vllm, speeds of two engines": (
        "".join(_VLLM.format(e=e, s=s) for e, s in (("000", 40.0), ("001", 30.0))),
        {"tokens_per_s": 70.0}, ""),
    "sglang, speeds": (
        "".join(_SPEED.format(n=4, a="2.00", s=s) for s in (0.39, 160.0, 170.0)),
        {"tokens_per_s": 160.0, "request_tokens_per_s": None}, ""),
    "sglang, weighted with the running requests": (
        _SPEED.format(n=1, a="4.00", s=1.0) + _SPEED.format(n=3, a="2.00", s=1.0),
        {"acceptance_length": 2.5, "batches": [1, 3]}, "running requests"),
    **{f"sglang, {what} in the settings": (
        _SETTINGS.format(steps=3, slots=4).replace("topk=1", f"topk={k}") + _decode(""),
        {"gamma": gamma}, said)
       for what, k, gamma, said in (("a chain", 1, 3, "as the server prints"),
                                    ("a tree", 4, None, "a tree"))},
    "llama.cpp, speeds of requests": (
        _LLAMA.format(t=1, ms="500.0", n=50) + _LLAMA.format(t=2, ms="1500.0", n=50),
        {"tokens_per_s": None, "request_tokens_per_s": 50.0}, ""),
    "llama.cpp, rounds of one length": (
        "".join(f"slot update_slots: id 0 | accepted {a}/3 draft tokens\n" for a in (2, 3)),
        {"rounds": 2, "gamma": 3, "accepted": 5}, "gamma is the 3 tokens that every round drafted"),
    "llama.cpp, chunks of a stream": (
        "".join(f'data: {{"id": "a", "timings": {{"draft_n": {d}, "draft_n_accepted": {a}}}}}\n\n'
                for d, a in ((10, 5), (30, 21))) + "data: [DONE]\n",
        {"drafted": 30, "accepted": 21}, "1 chunks"),
    "tensorrt-llm, ranks with counts of their own": (
        json.dumps([trt_iteration(1), trt_iteration(1, 1), trt_iteration(2),
                    trt_iteration(2, 1, 24, 6)]),
        {"rounds": 24, "accepted": 30, "batches": [8]}, "1 entries repeat"),
}  # fmt: skip
