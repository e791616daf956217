"""Samples of what users paste: outputs of benchmarks, responses and tables, with their counts."""

from __future__ import annotations

import json
from typing import Any

_RATES = (0.81, 0.74, 0.70, 0.68, 0.66)
_DETAILS = {"accepted_prediction_tokens": 200, "rejected_prediction_tokens": 100}
_HISTOGRAM = {"1": 40, "2": 30, "3": 30}


def offline(drafts: int, drafted: int, accepted: int, tokens: int, rates: tuple[float, ...]) -> str:
    """vLLM's offline example."""
    shares = "".join(f"acceptance at token {k}: {r:.2f}\n" for k, r in enumerate(rates))
    return (
        f"{'-' * 50}\ntotal_num_output_tokens: {tokens}\nnum_drafts: {drafts}\n"
        f"num_draft_tokens: {drafted}\nnum_accepted_tokens: {accepted}\n"
        f"mean acceptance length: {1 + accepted / drafts:.2f}\n{'-' * 50}\n{shares}"
    )


def mtp_bench(*rows: tuple[str, int, int, int]) -> str:
    """mtp-bench: (task, all tokens, drafted, accepted)."""
    lines = [
        f"  {name:<18} pred={t:4d} draft={d:4d} acc={a:4d} rate={round(a / d, 4):.3f} tok/s=93.6"
        for name, t, d, a in rows
    ]
    totals = {
        "n_requests": len(rows),
        "total_predicted": sum(r[1] for r in rows),
        "total_draft": sum(r[2] for r in rows),
        "total_draft_accepted": sum(r[3] for r in rows),
    }
    return "\n".join(lines) + "\n\nAggregate: " + json.dumps(totals, indent=2) + "\n"


def llama_request(tokens: int, drafted: int, accepted: int, settings: str = "") -> str:
    """Two lines of llama.cpp's log for a request, behind the command."""
    return (
        f"llama-server --spec-type draft-mtp {settings}\n"
        f"eval time =   20397.76 ms /  {tokens} tokens (   12.76 ms per token)\n"
        f"draft acceptance = {accepted / drafted:.5f} ({accepted:5d} accepted / {drafted:5d} "
        "generated)\n"
    )


# name: (text, engine, what the import must give); a pair is a number and its tolerance
FIELD: dict[str, tuple[str, str, dict[str, Any]]] = {
    "vllm offline example": (
        offline(2189, 6567, 3187, 5376, (0.77, 0.45, 0.24)), "vllm",
        {"rounds": 2189, "drafted": 6567, "accepted": 3187, "gamma": 3, "tokens": 5376,
         "acceptance_length": (2.456, 0.0005), "tokens_per_target_step": (2.456, 0.0005)}),
    "vllm offline example, look-up": (
        offline(993, 4960, 3562, 5376, _RATES), "vllm",
        {"rounds": 993, "accepted": 3562, "gamma": 5, "target_steps": 1814,
         "acceptance_length": (4.587, 0.0005), "tokens_per_target_step": (2.964, 0.0005)}),
    "vllm v0, doubled word": (
        "Speculative metrics: Draft acceptance rate: 0.000, System efficiency: 0.059, Number of "
        "speculative tokens: 16, Number of accepted tokens: 0, Number of draft tokens tokens: "
        "42272, Number of emitted tokens tokens: 2642.", "vllm",
        {"rounds": 2642, "drafted": 42272, "accepted": 0, "gamma": 16}),
    "mtp-bench": (
        mtp_bench(("code", 192, 166, 107), ("story", 192, 184, 99)), "llama.cpp",
        {"rounds": None, "drafted": 350, "accepted": 206, "tokens": 384, "requests": 2}),
    "mtp-bench json": (
        json.dumps({"aggregate": {"n_requests": 9, "total_predicted": 1728, "total_draft": 1455,
                                  "total_draft_accepted": 986, "aggregate_accept_rate": 0.6777}}),
        "llama.cpp", {"drafted": 1455, "accepted": 986, "tokens": 1728, "requests": 9}),
    "llama.cpp request, one draft token": (
        llama_request(1598, 833, 764, "--spec-draft-n-max 1"), "llama.cpp",
        {"rounds": 833, "gamma": 1, "tokens": 1598, "acceptance_length": (1.917, 0.0005)}),
    "llama.cpp rounds": (
        "".join(f"1.3{i} I slot update_slots: task 6 | accepted {a:2d}/{d:2d} draft tokens\n"
                for i, (a, d) in enumerate(((64, 64), (64, 64), (56, 56), (1, 3), (0, 1))))
        + "1.39 I slot print_timing: id  0 | task 6 |        eval time = 1256.42 ms / 192 tokens\n",
        "llama.cpp", {"rounds": 5, "drafted": 188, "accepted": 185, "tokens": 192,
                      "target_steps": 7, "gamma": None}),
    "llama.cpp prometheus of a fork": (
        "llamacpp:draft_tokens_total 90\nllamacpp:draft_tokens_accepted_total 60\n"
        "llamacpp:draft_verify_steps_total 30\nllamacpp:tokens_predicted_total 95\n", "llama.cpp",
        {"rounds": 30, "drafted": 90, "accepted": 60, "tokens": 95,
         "tokens_per_target_step": (95 / 35, 1e-12)}),
    "mlx-vlm": (
        json.dumps({"usage": {"output_tokens": 111}, "timings": {
            "predicted_n": 111, "draft_kind": "mtp", "draft_rounds": 30, "draft_n": 90,
            "draft_n_accepted": 81}}), "mlx-vlm",
        {"rounds": 30, "gamma": 3, "accepted": 81, "acceptance_length": (3.7, 1e-12)}),
    "sglang bench_serving": (
        "============ Serving Benchmark Result ============\nBackend:              sglang\n"
        "Total generated tokens:                  23606     \nAccept length:          2.14      \n",
        "sglang", {"acceptance_length": (2.14, 1e-12), "tokens": 23606, "rounds": None}),
    "sglang bench_serving json": (
        '{"backend": "sglang", "request_rate": Infinity, "total_output_tokens": 23606, '
        '"accept_length": 2.14}\n',
        "sglang", {"acceptance_length": (2.14, 1e-12), "tokens": 23606, "rounds": None}),
    "sglang rates by position": (
        "".join(f'sglang:spec_total_accept_rate_per_position{{position="{k}",tp_rank="{t}"}} {r}\n'
                for t in (0, 1) for k, r in enumerate((0.8, 0.5))), "sglang",
        {"gamma": 2, "survival": ((0.8, 0.4), 1e-12)}),
    "trtllm-bench report": (
        json.dumps({"request_info": {"num_requests": 10, "avg_output_length": 1024.0},
                    "decoding_stats": {
                        "num_draft_tokens_percentiles": {"p50": 930.0, "average": 936.0},
                        "num_accepted_draft_tokens_percentiles": {"average": 712.0},
                        "draft_acceptance_rate_percentiles": {"average": 0.7607},
                        "acceptance_length_percentiles": {"p50": 3.28, "average": 3.282}}}),
        "tensorrt-llm", {"gamma": 3, "drafted": 9360, "accepted": 7120, "rate": (0.7607, 5e-5),
                         "acceptance_length": (3.282, 0.0005)}),
    "tensorrt-llm request": (
        json.dumps({"choices": [{"speculative_decoding": {
            "acceptance_rate": 0.5, "total_accepted_draft_tokens": 30, "total_draft_tokens": 60,
            "num_spec_steps": 20, "acceptance_histogram": [8, 0, 6, 6], "num_spec_tokens": 3}}]}),
        "tensorrt-llm", {"rounds": 20, "drafted": 60, "accepted": 30, "gamma": 3,
                         "acceptance_length": (2.5, 1e-12)}),
    "openai usage": (
        json.dumps({"id": "c", "usage": {"completion_tokens": 300,
                                         "completion_tokens_details": _DETAILS}}), "openai",
        {"rounds": None, "drafted": 300, "accepted": 200, "tokens": 300, "target_steps": 100,
         "tokens_per_target_step": (3.0, 1e-12)}),
    "lm studio": (
        json.dumps({"stats": {"predictedTokensCount": 120, "totalDraftTokensCount": 90,
                              "acceptedDraftTokensCount": 60, "rejectedDraftTokensCount": 20,
                              "ignoredDraftTokensCount": 10}}), "lm-studio",
        {"drafted": 80, "accepted": 60, "tokens": 120}),
    "speculation profile": (
        json.dumps({"measured": True, "num_speculative_tokens": 2, "method": "eagle3",
                    "marginal_accept_rates": [0.6, 0.3], "conditional_accept_rates": [0.6, 0.5],
                    "mean_accept_length": 1.9, "acceptance_length_histogram": _HISTOGRAM}),
        "specdec_bench", {"rounds": 100, "accepted": 90, "gamma": 2,
                          "acceptance_length": (1.9, 1e-12), "survival": ((0.6, 0.3), 1e-12)}),
    "ik_llama json": (
        json.dumps({"row_type": "attempt", "task": "code", "generated": 759, "decode_tps": 68.58,
                    "stages": [{"type": "mtp", "drafts": 220, "draft_tokens": 660, "accepted": 538,
                                "drafted_by_position": [220, 220, 220],
                                "accepted_by_position": [199, 177, 162]}]}) + "\n", "ik_llama.cpp",
        {"rounds": 220, "drafted": 660, "accepted": 538, "gamma": 3, "tokens": 759}),
    "ik_llama table": (
        "| task | run | tokens | tok/s | rounds | accepted |   rate | a.len | pos accept       |\n"
        "|------|-----|--------|-------|--------|----------|--------|-------|------------------|\n"
        "| code |   1 |    759 | 68.58 |    220 |  538/660 | 81.52% |  3.45 |90.5% 80.5% 73.6% |\n",
        "ik_llama.cpp",
        {"rounds": 220, "drafted": 660, "accepted": 538, "gamma": 3, "tokens": 759,
         "acceptance_length": (3.45, 0.005), "survival": ((0.905, 0.805, 0.736), 0.0005)}),
    "speed-bench table": (
        "category   base_avg_pred_t/s  spec_avg_pred_t/s  decode_speedup  accept_rate\n"
        "---------  -----------------  -----------------  --------------  -----------\n"
        "coding     58.16              123.57             2.12x           0.3219\n", "table",
        {"rounds": None, "rate": (0.3219, 5e-5)}),
    "promql rows": (
        'vllm:spec_decode_num_drafts_total{engine="0", model_name="m"} | 22\n-- | --\n'
        'vllm:spec_decode_num_draft_tokens_total{engine="0", model_name="m"} | 66\n'
        'vllm:spec_decode_num_accepted_tokens_total{engine="0", model_name="m"} | 40\n'
        'vllm:generation_tokens_total{engine="0", model_name="m"} | 70\n', "vllm",
        {"rounds": 22, "drafted": 66, "accepted": 40, "tokens": 70, "target_steps": 30}),
    "aiperf server metrics": (
        json.dumps({"metrics": {
            f"vllm:spec_decode_num_{name}": {"type": "counter", "series": [
                {"endpoint_url": "http://a/metrics", "labels": {"engine": "0"},
                 "stats": {"total": value, "rate": 1.0}}]}
            for name, value in (("drafts", 30.0), ("draft_tokens", 90.0),
                                ("accepted_tokens", 60.0))}}), "vllm",
        {"rounds": 30, "drafted": 90, "accepted": 60, "acceptance_length": (3.0, 1e-12)}),
}  # fmt: skip

# name: (text, a word of the refusal)
OFF: dict[str, tuple[str, str]] = {
    "vllm log": ("Engine 000: Avg generation throughput: 10.0 tokens/s\n", "vLLM's log"),
    "vllm metrics": ('vllm:num_requests_running{engine="0"} 0.0\n', "vLLM's metrics"),
    "vllm request": ('{"metrics": {"speculative_decoding": null}}', "is null"),
    "vllm bench": ('{"request_throughput": 1.0}', "benchmark"),
    "sglang log": ("Decode batch, #running-req: 4, #token: 7352, cuda graph: True, gen throughput "
                   "(token/s): 39.33, #queue-req: 0\n", "SGLang's decode lines"),
    "llama.cpp log": ("slot print_timing: id 0 | eval time = 10 ms\n", "llama.cpp's log"),
    "llama.cpp timings": ('{"timings": {"predicted_per_second": 3.0}}', "llama.cpp's timings"),
    "tensorrt-llm": ('[{"iter": 1, "iterLatencyMS": 2.0}]', "TensorRT-LLM's iterations"),
    "aiperf": ('{"metadata": {"worker_id": "w"}}\n', "AIPerf's records"),
    "an option of an engine": ("Engine 000: Avg generation throughput: 10.0 tokens/s\n",
                               "off, or not reported here"),
    "requests of llama.cpp": ("slot print_timing: id 0 | eval time = 10 ms / 5 tokens\n",
                              "lines of draft acceptance"),
    "a setting": ("LLM engine (v0.9) with config: speculative_config=None\n",
                  "speculation was off"),
    "nothing known": ("nothing known\n", "looked for counters, log lines"),
    "an empty file": ("", "is empty"),
    "a line without counts": ("SpecDecoding metrics: Mean acceptance length:",
                              "no line can be read"),
    "more accepted than drafted": ('{"timings": {"draft_n": 5, "draft_n_accepted": 9}}',
                                   "must be in"),
    "a count below 0": ('{"timings": {"draft_n": -5, "draft_n_accepted": 1}}',
                        "must be a whole number"),
    "half an object": ('{"timings": {"draft_n": 5', "is no whole JSON"),
    "commits beyond the draft": ("commits,category,a0\n7,x,1\n", "line 2: commits must be in"),
    "a length beyond the draft": ("q:\n  thinking_on:\n    2: 7.5\n", "must be in [1, 3]"),
    "a line of more than was drafted": ("draft acceptance = 0.5 ( 9 accepted / 5 generated)",
                                        "must be in"),
    "a round of too many": ('{"speculative_decoding": {"num_spec_steps": 1, "per_step_accepted": '
                            "[99999999999999]}}", "a round must be of at most 4096 tokens"),
    "a position without end": (f"accepted: pos 0: {'9' * 400}/4, pos 1: 2/3\n",
                               "no speculative statistics"),
}  # fmt: skip
