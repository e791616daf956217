"""Samples of every format that engines and their benchmarks write, with the counts they state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine_field import FIELD
from howspec.calibrate.engines import EngineCounts, import_counts

_SPECULATIVE = {
    "mean_acceptance_length": 3.25,
    "draft_acceptance_rate": 0.5625,
    "num_spec_steps": 8,
    "num_accepted_draft_tokens": 18,
    "num_draft_tokens": 32,
    "num_spec_tokens": 4,
}
_SERIES = (
    ("num_drafts_total", "", 87),
    ("num_draft_tokens_total", "", 259),
    ("num_accepted_tokens_total", "", 167),
    ("num_accepted_tokens_per_pos_total", 'position="0"', 70),
    ("num_accepted_tokens_per_pos_total", 'position="1"', 55),
    ("num_accepted_tokens_per_pos_total", 'position="2"', 42),
)


def read(folder: Path, text: str | bytes, engine: str = "auto", **options: Any) -> EngineCounts:
    """What a text is read as, from a file in a folder."""
    (folder / "source").write_bytes(text if isinstance(text, bytes) else text.encode())
    return import_counts(str(folder / "source"), engine, **options)


def series(prefix: str, labels: str, factor: int = 1) -> str:
    """Counters of 87 rounds under the names that vLLM and llama.cpp share."""
    rows = ["# HELP x y", f"{prefix}:spec_decode_num_drafts_created{{{labels}}} 1.7e+09"]
    for name, position, value in _SERIES:
        inside = ",".join(part for part in (labels, position) if part)
        rows.append(f"{prefix}:spec_decode_{name}{{{inside}}} {float(value * factor)}")
    return "\n".join(rows) + "\n"


def trt_iteration(number: int, rank: int = 0, drafted: int = 24, accepted: int = 12) -> Any:
    """One iteration of eight requests."""
    return {
        "iter": number,
        "iterLatencyMS": 20.0,
        "attentionDpRank": rank,
        "specDecodingStats": {
            "numDraftTokens": drafted,
            "numAcceptedTokens": accepted,
            "numRequestsWithDraftTokens": 8,
            "acceptanceLength": (accepted + 8) / 8,
            "iterLatencyMS": 3.0,
            "draftOverhead": 0.15,
        },
    }


def _meta(accepted: str, drafted: str) -> str:
    meta = {"id": "q", "completion_tokens": 101, "spec_verify_ct": 40, "spec_accept_length": 2.525}
    return json.dumps({"text": "a", "meta_info": {**meta, accepted: 60, drafted: 160}})


V1 = (
    "SpecDecoding metrics: Mean acceptance length: {length}, Accepted throughput: 8.90 tokens/s, "
    "Drafted throughput: 97.50 tokens/s, Accepted: {accepted} tokens, Drafted: {drafted} tokens, "
    "Per-position acceptance rate: {rates}, Avg Draft acceptance rate: {rate}%"
)
V1_LINE = V1.format(
    length="2.37", accepted=89, drafted=975, rate="9.1",
    rates="0.600, 0.385, 0.200, 0.092, 0.046, 0.015, 0.015, 0.015" + 7 * ", 0.000",
)  # fmt: skip
_RATES = (0.805, 0.632, 0.483)

# name: (text, engine, what the import must give); a float is compared to the printed digits
SAMPLES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "vllm v1": (V1_LINE, "vllm", {"rounds": 65, "drafted": 975, "accepted": 89, "gamma": 15,
                "acceptance_length": (2.37, 0.005), "rate": (0.091, 0.0005)}),
    "vllm v1, list cut off": (
        V1.format(length="2.37", accepted=89, drafted=975, rates="0.600, 0.385, …", rate="9.1"),
        "vllm", {"rounds": 65, "gamma": None, "acceptance_length": (2.37, 0.005),
                 "survival": ((0.600, 0.385), 0.0005)}),
    "vllm v1, real log": (
        "(APIServer pid=1) INFO 05-18 11:19:54 [metrics.py:101] "
        + V1.format(length="3.42", accepted=676, drafted=837, rates="0.921, 0.828, 0.674",
                    rate="80.8"),
        "vllm", {"rounds": 279, "gamma": 3, "acceptance_length": (3.42, 0.005),
                 "survival": ((0.921, 0.828, 0.674), 0.0005)}),
    "vllm v1, stated depth": (
        "SpecDecoding metrics: Mean acceptance length: 6.82, Current speculative depth: 7, "
        "Accepted throughput: 6.46 tokens/s, Drafted throughput: 7.77 tokens/s, Accepted: 256 "
        "tokens, Drafted: 308 tokens, Per-position acceptance rate: 1.000, 1.000, 1.000, 1.000, "
        "0.795, 0.614, 0.409, Avg Draft acceptance rate: 83.1%",
        "vllm", {"rounds": 44, "gamma": 7, "acceptance_length": (6.82, 0.005)}),
    "vllm v1, early": (
        "SpecDecoding metrics: Draft acceptance rate: 80.5%, Accepted: 66 tokens, Drafted: 82 "
        "tokens", "vllm", {"rounds": None, "drafted": 82, "accepted": 66, "gamma": None,
                           "acceptance_length": None, "survival": None}),
    "vllm v0": (
        "INFO 12-16 16:46:04 metrics.py:482] Speculative metrics: Draft acceptance rate: 0.607, "
        "System efficiency: 0.510, Number of speculative tokens: 4, Number of accepted tokens: "
        "32594, Number of draft tokens: 53716, Number of emitted tokens: 34244.",
        "vllm", {"rounds": 13429, "drafted": 53716, "accepted": 32594, "gamma": 4,
                 "acceptance_length": (0.510 * 5, 0.0025), "rate": (0.607, 0.0005),
                 "survival": None}),
    "vllm prometheus": (series("vllm", 'engine="0",model_name="m"'), "vllm",
                        {"rounds": 87, "drafted": 259, "accepted": 167, "gamma": 3,
                         "survival": (_RATES, 0.0005)}),
    "vllm request": (
        json.dumps({"id": "c", "metrics": {"speculative_decoding": {
            **_SPECULATIVE, "acceptance_histogram": [1, 1, 2, 3, 1],
            "per_step_accepted": [2, 3, 1, 4, 2, 0, 3, 3], "per_step_drafted": [4] * 8}}}),
        "vllm", {"rounds": 8, "drafted": 32, "accepted": 18, "gamma": 4, "requests": 1,
                 "acceptance_length": (3.25, 1e-12),
                 "survival": ((0.875, 0.75, 0.5, 0.125), 1e-12)}),
    "vllm bench json": (
        json.dumps({"spec_decode_acceptance_rate": 51.5, "spec_decode_acceptance_length": 2.03,
                    "spec_decode_num_drafts": 1000, "spec_decode_draft_tokens": 2000,
                    "spec_decode_accepted_tokens": 1030,
                    "spec_decode_per_position_acceptance_rates": [0.736, 0.294]}, indent=2),
        "vllm", {"rounds": 1000, "drafted": 2000, "accepted": 1030, "gamma": 2,
                 "acceptance_length": (2.03, 1e-12), "survival": ((0.736, 0.294), 1e-12)}),
    "vllm bench console": (
        "Acceptance rate (%):                     51.50     \n"
        "Acceptance length:                       2.03      \nDrafts:          1000      \n"
        "Draft tokens:    2000      \nAccepted tokens:     1030      \n"
        "Per-position acceptance (%):\n  Position 0:   73.59     \n  Position 1:   29.41     \n",
        "vllm", {"rounds": 1000, "drafted": 2000, "accepted": 1030, "gamma": 2,
                 "survival": ((0.7359, 0.2941), 0.00005)}),
    "sglang log": (
        "[2025-10-02 23:42:16 TP0] Decode batch. #running-req: 32, #token: 7352, token usage: "
        "0.01, accept len: 2.54, gen throughput (token/s): 39.33, #queue-req: 0",
        "sglang", {"rounds": None, "accepted": None, "gamma": None, "survival": None,
                   "acceptance_length": (2.54, 1e-12)}),
    "sglang log, newer": (
        "Decode batch, #running-req: 8, #token: 7352, accept len: 6.90, accept rate: 0.84, cuda "
        "graph: True, gen throughput (token/s): 39.33",
        "sglang", {"gamma": 7, "acceptance_length": (6.90, 1e-12)}),
    "sglang log, older rate": (
        "Decode batch, #running-req: 8, #token: 7352, accept len: 3.31, accept rate: 0.83, cuda "
        "graph: True, gen throughput (token/s): 39.33",
        "sglang", {"gamma": 3, "acceptance_length": (3.31, 1e-12)}),
    "sglang gauges": (
        'sglang:spec_accept_length{model_name="m",tp_rank="0"} 2.9\n'
        'sglang:spec_accept_rate{model_name="m",tp_rank="0"} 0.475\n'
        'sglang:spec_accept_length{model_name="m",tp_rank="1"} NaN\n',
        "sglang", {"rounds": None, "gamma": 4, "acceptance_length": (2.9, 1e-12)}),
    "sglang server info": (
        json.dumps({"speculative_num_steps": 5, "speculative_eagle_topk": 1,
                    "speculative_num_draft_tokens": 6, "version": "0.5.2",
                    "internal_states": [{"avg_spec_accept_length": 3.1,
                                         "step_time_dict": {"1": [0.01, 0.012], "8": [0.02]}}]}),
        "sglang", {"gamma": 5, "acceptance_length": (3.1, 1e-12), "rounds": None,
                   "version": "0.5.2"}),
    **{f"sglang meta_info {a}": (_meta(a, d), "sglang",
        {"rounds": 40, "drafted": 160, "accepted": 60, "gamma": 4,
         "acceptance_length": (2.5, 1e-12)})
       for a, d in (("spec_accept_token_num", "spec_draft_token_num"),
                    ("spec_accepted_drafts", "spec_proposed_drafts"),
                    ("spec_num_correct_drafts", "spec_num_proposed_drafts"))},
    "sglang bench": (
        '{"batch_size": 1, "steps": 3, "topk": 1, "num_draft_tokens": 4, "acc_length": 2.31, '
        '"step_time": 0.012, "speed": 190.1, "completion_tokens": 512.0}\n',
        "sglang", {"gamma": 3, "acceptance_length": (2.31, 1e-12), "rounds": None}),
    "llama.cpp timings": (
        json.dumps({"content": "x", "timings": {"predicted_n": 100, "draft_n": 90,
                                                "draft_n_accepted": 60}}),
        "llama.cpp", {"rounds": None, "drafted": 90, "accepted": 60, "gamma": None,
                      "acceptance_length": None, "survival": None}),
    "llama.cpp old request": (
        "draft acceptance rate = 0.57576 (  171 accepted /   297 generated)",
        "llama.cpp", {"rounds": None, "drafted": 297, "accepted": 171, "gamma": None,
                      "acceptance_length": None, "rate": (0.57576, 5e-6)}),
    "llama.cpp request": (
        "draft acceptance = 0.64479 (  167 accepted /   259 generated), mean acceptance length =  "
        "2.92, acceptance rate per position = (0.805, 0.632, 0.483)",
        "llama.cpp", {"rounds": 87, "drafted": 259, "accepted": 167, "gamma": 3,
                      "acceptance_length": (2.92, 0.005), "survival": (_RATES, 0.0005)}),
    "llama.cpp request, mean len": (
        "0.22.856.327 I slot print_timing: id  0 | task 0 | draft acceptance = 0.76049 (  308 "
        "accepted /   405 generated), mean len =  2.52",
        "llama.cpp", {"drafted": 405, "accepted": 308, "gamma": None,
                      "acceptance_length": (2.52, 0.005), "survival": None}),
    "llama.cpp statistics": (
        "statistics draft-eagle3: #calls(b,g,a) = 1 87 87, #gen drafts = 87, #acc drafts = 70, "
        "#gen tokens = 259, #acc tokens = 167, #mean acc len = 2.92, #acc rate/pos = (0.805, "
        "0.632, 0.483), dur(b,g,a) = 0.005, 325.555, 0.114 ms",
        "llama.cpp", {"rounds": 87, "drafted": 259, "accepted": 167, "gamma": 3,
                      "acceptance_length": (2.92, 0.005), "survival": (_RATES, 0.0005)}),
    "llama.cpp prometheus": (series("llamacpp", ""), "llama.cpp",
                             {"rounds": 87, "drafted": 259, "accepted": 167, "gamma": 3,
                              "survival": (_RATES, 0.0005)}),
    "llama-speculative-simple": (
        "encoded   12 tokens in    0.1 seconds, speed:  100.000 t/s\n\nn_draft   = 5\n"
        "n_predict = 261\nn_drafted = 260\nn_accept  = 208\naccept    = 80.000%\n",
        "llama.cpp", {"rounds": 53, "drafted": 260, "accepted": 208, "gamma": 5,
                      "acceptance_length": (261 / 53, 1e-12), "rate": (0.8, 5e-6)}),
    "tensorrt-llm iterations": (
        json.dumps([trt_iteration(1, 0), trt_iteration(1, 1)]), "tensorrt-llm",
        {"rounds": 8, "drafted": 24, "accepted": 12, "gamma": 3,
         "acceptance_length": (2.5, 1e-12)}),
    "tensorrt-llm prometheus": (
        'trtllm_spec_decode_num_draft_tokens_total{model_name="m"} 2400.0\n'
        'trtllm_spec_decode_num_accepted_tokens_total{model_name="m"} 1200.0\n'
        'trtllm_spec_decode_acceptance_length{model_name="m"} 2.5\n'
        'trtllm_spec_decode_draft_overhead{model_name="m"} 0.1\n',
        "tensorrt-llm", {"rounds": None, "drafted": 2400, "accepted": 1200, "gamma": None}),
    "tensorrt-llm perf_metrics": (
        json.dumps([{"perf_metrics": {"speculative_decoding": {
            "acceptance_rate": 0.5, "total_accepted_draft_tokens": 60,
            "total_draft_tokens": 120}}}]),
        "tensorrt-llm", {"rounds": None, "drafted": 120, "accepted": 60}),
    "aiperf records": (
        json.dumps({"metrics": {}, "spec_decode_acceptance": {
            "engine": "vllm", **_SPECULATIVE,
            "acceptance_histogram": {"0": 1, "1": 1, "2": 2, "3": 3, "4": 1}}}),
        "aiperf", {"rounds": 8, "drafted": 32, "accepted": 18, "gamma": 4,
                   "acceptance_length": (3.25, 1e-12)}),
    "aiperf summary": (
        json.dumps({"pooled_spec_decode_acceptance_histogram": {"0": 2, "1": 3, "2": 2, "3": 3,
                                                                "4": 1},
                    "total_draft_tokens": {"avg": 44}, "total_spec_decode_steps": {"avg": 11}},
                   indent=1),
        "aiperf", {"rounds": 11, "drafted": 44, "accepted": 20, "gamma": None}),
    "transformers hook": (
        '{"summary": {"transformers": "5.23.0", "requests": 1, "rounds": 3, "drafted": 13, '
        '"accepted": 7}}\n{"request": 0, "round": 0, "drafted": 5, "accepted": 5}\n'
        '{"request": 0, "round": 1, "drafted": 5, "accepted": 2}\n'
        '{"request": 0, "round": 2, "drafted": 3, "accepted": 0}\n',
        "transformers", {"rounds": 3, "drafted": 13, "accepted": 7, "gamma": None,
                         "version": "5.23.0", "tried": (3, 2, 2, 1, 1)}),
    "specdec_bench": (
        json.dumps({"Request_AL": {"0": 2.0, "1": 1.8}, "Average_AL": 1.9,
                    "Acceptance_Length_Histogram": {"1": 40, "2": 30, "3": 30},
                    "Conditional_Acceptance_Rate": {"1": 1.0, "2": 0.6, "3": 0.5},
                    "Joint_Acceptance_Rate": {"1": 1.0, "2": 0.6, "3": 0.3}}),
        "specdec_bench", {"rounds": 100, "accepted": 90, "gamma": None,
                          "acceptance_length": (1.9, 1e-12), "survival": ((0.6, 0.3), 1e-12)}),
    "spec-bench with bonus": (
        json.dumps({"question_id": 1, "choices": [{"new_tokens": [10, 8], "wall_time": [0.5, 0.4],
                                                   "accept_lengths": [3, 4, 3, 4, 4]}]}),
        "spec-bench", {"rounds": 5, "accepted": 13, "acceptance_length": (3.6, 1e-12)}),
    "spec-bench without bonus": (
        json.dumps({"question_id": 1, "choices": [{"new_tokens": [80], "wall_time": [0.5],
                                                   "accept_lengths": [3] * 20}]}),
        "spec-bench", {"rounds": 20, "accepted": 60, "acceptance_length": (4.0, 1e-12)}),
    "speculators csv": (
        "subset,num_drafts,num_draft_tokens,num_accepted_tokens,acceptance_length,"
        "acceptance_at_pos_0,acceptance_at_pos_1\nmath,100,200,110,2.1,0.7,0.4\n",
        "speculators", {"rounds": 100, "drafted": 200, "accepted": 110, "gamma": 2,
                        "acceptance_length": (2.1, 1e-12), "survival": ((0.7, 0.4), 1e-12)}),
    "trace rounds csv": (
        "commits,category,a0,a1,a2\n3,code,1,1,1\n0,code,0,0,0\n1,chat,1,0,0\n",
        "inference-lab", {"rounds": 3, "drafted": 9, "accepted": 4, "gamma": 3}),
    "golden yaml": (
        "qwen:\n  thinking_on:\n    1: 1.8\n    2: 2.4\n    3: 2.9\n"
        "  thinking_off: {1: 1.7, 2: 2.2}\n",
        "inferencex", {"rounds": None, "gamma": None, "acceptance_length": None}),
}  # fmt: skip
SAMPLES |= FIELD
