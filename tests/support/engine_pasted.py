"""Variants of what people paste: (name, text, reading), None where it holds no acceptance.

A reading names attributes of the counts; "first" is the survival at position 1, "groups" their
number. Where nothing is to be read it is the words that the refusal must hold.
"""

# ruff: noqa: E501 - lines as they are pasted

from __future__ import annotations

import json
from typing import Any

_TOTALS = {"drafts": (50, 100), "draft_tokens": (150, 300), "accepted_tokens": (70, 150)}
_V1 = (
    "Mean acceptance length: 3.42,{0}Accepted throughput: 67.60 tokens/s, Drafted throughput: "
    "83.70 tokens/s, Accepted: 676{0}tokens, Drafted: 837 tokens, Per-position acceptance rate: "
    "0.921, 0.828,{0}0.674, Avg Draft acceptance rate: 80.8%"
)
_BENCH = (
    "============ Serving Benchmark Result ============\n{0}Successful requests:       80\n"
    "Failed requests:           0\nTotal input tokens:        8133\n"
    "Total generated tokens:    81920\nRequest throughput (req/s):       1.53\n"
)
_TABBY = (
    "INFO:     Metrics (ID: {0}): {1} tokens generated in 5.23 seconds (Queue: 0.0 s, Process: 0 "
    "cached tokens and 20 new tokens at 100.5 T/s, Generate: 60.2 T/s, Context: 20 tokens{2})\n"
)
_RANGE = {"status": "success", "data": {"resultType": "matrix", "result": [
    {"metric": {"__name__": f"vllm:spec_decode_num_{n}_total", "engine": "0"},
     "values": [[1.7e9, str(a)], [1.7e9 + 15, str(b)]]} for n, (a, b) in _TOTALS.items()]}}  # fmt: skip
_FINISH = (
    "[2025-10-02 23:42:16] Finish: obj=GenerateReqInput(rid='57'), out={'meta_info': {'id': '57', "
    "'finish_reason': {'type': 'stop', 'matched': 128009}, 'prompt_tokens': 41, "
    "'completion_tokens': 120, 'cached_tokens': 40, 'spec_accept_rate': 0.5, 'spec_accept_length': "
    "2.5, 'spec_accept_token_num': 72, 'spec_draft_token_num': 144, 'spec_verify_ct': 48, "
    "'e2e_latency': 1.2}}"
)
_TRT = (
    "Number of requests:             10\nAverage Output Length (tokens): 1024.0000\n"
    "= DECODING STATISTICS (MTP)\n[DT] MINIMUM: 900.00\n[DT] AVERAGE: 936.00\n[DT] P50    : 930.00\n"
    "[ADT] AVERAGE: 712.00\n[DAR] AVERAGE: 0.76\n[AL] AVERAGE: 3.28\n[AL] P50    : 3.28\n"
)
_TGI = "".join(f'tgi_request_skipped_tokens_bucket{{le="{k}"}} {n}\n'
               for k, n in (("0", 40), ("1", 70), ("2", 100), ("+Inf", 100)))  # fmt: skip
_IK = (
    "| Prompt | Variant | t/s | Accept rate | Draft stats |\n|---|---:|---:|---:|---|\n"
    "| code | baseline | 26.58 | N/A | - |\n"
    "| code | mtp | 62.6 +/- 0.1 | 76.8% +/- 0.0% | `mtp: drafts 266/302, tokens 696/906` |\n"
    "| story | mtp | 47.6 +/- 0.2 | 48.8% +/- 0.0% | `mtp: drafts 292/405, tokens 593/1215` |\n"
)

PASTED: list[tuple[str, str, dict[str, Any] | str]] = [
    ("vllm v1, broken by a terminal", f"SpecDecoding metrics: {_V1.format(chr(10))}",
     {"rounds": 279, "accepted": 676, "gamma": 3}),
    ("vllm v1, its end alone", _V1.format(" "), {"accepted": 676, "drafted": 837, "gamma": 3}),
    ("vllm v1, two clauses",
     "Per-position acceptance rate: 0.844, 0.599, 0.385, 0.271\nAvg Draft acceptance rate: 52.5%",
     {"first": 0.844, "gamma": 4}),
    ("vllm bench serve",
     _BENCH.format("") + "---------------Speculative Decoding---------------\n"
     "Acceptance rate (%):       83.39\nAcceptance length:         1.83\nDrafts:     26407\n"
     "Draft tokens:      26407\nAccepted tokens:     22021\nPer-position acceptance (%):\n"
     "  Position 0:          83.39\n",
     {"rounds": 26407, "accepted": 22021, "gamma": 1, "requests": 80, "engine": "vllm"}),
    ("vllm bench serve, no drafter", _BENCH.format(""), "accept length in the benchmark's table"),
    ("sglang bench_serving",
     _BENCH.format("Traffic request rate:     256.0\n") + "Accept length:     5.86\n",
     {"engine": "sglang", "acceptance_length": 5.86, "tokens": 81920}),
    ("sglang, a finished request", _FINISH, {"rounds": 48, "accepted": 72, "drafted": 144}),
    ("sglang, rates by position",
     "Decode batch, #running-req: 4, #token: 7352, accept len: 2.54, accept rate: 0.51, accept rate "
     "per position: [0.80, 0.60, 0.52], cuda graph: True, gen throughput (token/s): 39.33",
     {"acceptance_length": 2.54, "first": 0.8, "gamma": 3}),
    ("llama.cpp, look-up",
     "n_draft      = 5\nn_predict    = 128\nn_drafted    = 60\nt_draft_flat = 10.00 ms\n"
     "n_accept     = 40\naccept       = 66.667%\n", {"rounds": 88, "accepted": 40, "gamma": 5}),
    ("ollama's log",
     'time=2026-09-19T10:00:00Z level=INFO msg="draft acceptance = 0.93925 (  201 accepted /   214 '
     'generated), mean acceptance length =  2.88" component=llama.cpp',
     {"accepted": 201, "drafted": 214}),
    ("ollama --verbose", "eval count:           298 token(s)\neval rate:            63.4 tokens/s\n",
     "ollama writes to its server log"),
    ("mlx-lm", "Generation: 100 tokens, 58.3 tokens-per-sec\nPeak memory: 5.412 GB\n", "from_draft"),
    ("lm studio", "24.32 tok/sec • 512 tokens • 0.32s to first token • Accepted 64/82 draft tokens "
     "(78.0%)", {"accepted": 64, "drafted": 82, "tokens": 512, "engine": "lm-studio"}),
    ("tabbyAPI", _TABBY.format("a", 300, ", Draft: 120 / 150 tokens accepted (80.00%)")
     + _TABBY.format("b", 100, ", Draft: 20 / 50 tokens accepted (40.00%)"),
     {"accepted": 140, "drafted": 200, "tokens": 400, "requests": 2, "engine": "exllamav3"}),
    ("tabbyAPI, no drafter", _TABBY.format("a", 300, ""), "tokens accepted in tabbyAPI's lines"),
    ("trtllm-bench", _TRT,
     {"engine": "tensorrt-llm", "drafted": 9360, "accepted": 7120, "gamma": 3, "tokens": 10240}),
    ("ik_llama cli", _IK, {"rounds": 707, "drafted": 2121, "accepted": 1289, "gamma": 3}),
    ("a table of builds",
     "| build | draft_n | accepted | acceptance | verify steps | tok/s |\n|---|---|---|---|---|---|\n"
     "| b10261 `cf06` | 198 | 132 | **66.67%** | 68 | **69.23** |\n"
     "| b10532 `70af` | 231 | 121 | **52.38%** | 79 | **57.67** |\n",
     {"rounds": 147, "drafted": 429, "accepted": 253}),
    ("a table of names and values",
     "| Metric | Value |\n|---|:---:|\n| **Acceptance Rate** | **73.5%** |\n| Total rounds | 87 |\n"
     "| Drafted tokens | 671 |\n| Accepted tokens | 493 |\n",
     {"rounds": 87, "drafted": 671, "accepted": 493}),
    ("a table turned",
     "| Metric | MTP 1 | MTP 2 |\n|---|---|---|\n| Draft tokens | 100 | 200 |\n"
     "| Accepted tokens | 80 | 120 |\n| Output TPS | 50 | 55 |\n", {"groups": 2, "accepted": 200}),
    ("a cell with its counts", "| Draft Acceptance Rate | **`67.23%`** (`1307/1944`) | MTP |",
     {"accepted": 1307, "drafted": 1944}),
    ("a sentence", "speculative: 120/150 draft tokens accepted (80.0%)",
     {"accepted": 120, "drafted": 150}),
    ("a script", "Total draft tokens: 1,204\nTotal accepted: 903\nAcceptance rate: 75.00%\n"
     "Mean accepted length: 3.25\n", {"accepted": 903, "drafted": 1204}),
    ("objects of a script",
     json.dumps({"results": [{"task": t, "proposedDraftTokens": d, "acceptedDraftTokens": a}
                             for t, d, a in (("a", 100, 70), ("b", 200, 90))]}),
     {"accepted": 160, "drafted": 300, "groups": 2}),
    ("fastdeploy", json.dumps({"choices": [{"speculate_metrics": {
        "accepted_tokens": 128, "rejected_tokens": 112, "accept_ratio": 0.53125,
        "accepted_tokens_per_head": [60, 36, 23, 9]}}]}),
     {"rounds": 60, "accepted": 68, "drafted": 180, "gamma": 3}),
    ("promtool", "".join(f'vllm:spec_decode_num_{n}_total{{engine="0"}} => {b} @[1747560000.123]\n'
                         for n, (_, b) in _TOTALS.items()), {"rounds": 100, "accepted": 150}),
    ("a range query", json.dumps(_RANGE), {"rounds": 50, "drafted": 150, "accepted": 80}),
    ("grafana csv",
     "Time," + ",".join(f'"{{__name__=""vllm:spec_decode_num_{n}_total""}}"' for n in _TOTALS)
     + "".join("\n2026-05-18 11:00," + ",".join(str(v[k]) for v in _TOTALS.values())
               for k in (0, 1)), {"rounds": 50, "drafted": 150, "accepted": 80}),
    ("tgi", f"{_TGI}tgi_request_skipped_tokens_sum 90\ntgi_request_skipped_tokens_count 100\n",
     {"engine": "tgi", "rounds": 100, "accepted": 90, "gamma": 2, "first": 0.6}),
    ("lmdeploy", "[lmdeploy] INFO: DP: 0, Avg generation throughput: 10.0 tokens/s", "LMDeploy"),
    ("aiperf csv", "Metric,avg,min,max,p99,p95,p90,std\nTime to First Token (ms),12.1,10,15,15,14,13,"
     "1\nSpec Decode Acceptance Length,2.50,1.00,4.00,4,4,3,0.5\n", {"acceptance_length": 2.5}),
    ("aiperf console", "│      Time to First Token (ms) │  12.1 │  10.0 │\n"
     "│ Spec Decode Acceptance Length │  2.50 │  1.00 │\n", {"acceptance_length": 2.5}),
    ("guidellm", "| Benchmark | Per Second | Concurrency |\n|---|---|---|\n| synchronous@0.21 | 0.21 "
     "| 1.00 |\n", "GuideLLM does not report"),
    ("spec-bench speed", "#Mean accepted tokens:  3.21\nSpeedup ratio:  2.2\n",
     {"acceptance_length": 3.21}),
    ("a log of rounds", "request,round,drafted,accepted\n0,0,4,2\n0,1,4,4\n0,2,4,0\n",
     {"rounds": 3, "drafted": 12, "accepted": 6, "gamma": 4}),
    ("python's print", str({"num_drafts": 100, "num_draft_tokens": 300, "num_accepted_tokens": 200}),
     {"rounds": 100, "accepted": 200}),
    ("the inside of an object", '  "timings": {\n    "predicted_n": 100,\n    "draft_n": 90,\n'
     '    "draft_n_accepted": 60\n  }\n', {"accepted": 60, "drafted": 90, "tokens": 100}),
    ("vllm get_metrics", "".join(
        f"Counter(name='vllm:spec_decode_num_{n}', labels={{'engine': '0'}}, value={b})\n"
        for n, (_, b) in _TOTALS.items())
     + "Vector(name='vllm:spec_decode_num_accepted_tokens_per_pos', labels={'engine': '0'}, "
     "values=[70, 50, 30])", {"rounds": 100, "accepted": 150, "gamma": 3, "first": 0.7}),
    ("aiperf json", json.dumps({"spec_decode_acceptance_length": {"unit": "tokens", "avg": 2.5}}),
     {"acceptance_length": 2.5}),
    ("a letter", "τ = 3.21, speedup = 2.1x", {"acceptance_length": 3.21}),
    ("a table of lengths", "| Dataset | AL | AR |\n|---|---|---|\n| GSM8K | 3.1 | 0.70 |\n"
     "| HumanEval | 3.5 | 0.83 |\n", {"groups": 2}),
    ("a decimal comma", "Acceptance rate (%): 51,47\nAcceptance length: 2,54\n",
     {"acceptance_length": 2.54}),
    ("lengths by draft tokens", "| num_speculative_tokens | Mean acceptance length |\n|---|---|\n"
     "| 1 | 1.80 |\n| 2 | 2.40 |\n", {"groups": 2}),
    ("accepted tokens of a step", "Mean accepted draft tokens per step: 1.9\n", "looked for"),
    ("a list of lengths", "accept_length: [3, 4, 2, 1, 5]\n", "looked for"),
    ("a draft by name", "draft,target,num_drafts,num_draft_tokens,num_accepted_tokens\n"
     "Qwen3-0.6B,Qwen3-32B,100,300,210\n", {"rounds": 100, "accepted": 210}),
    ("a command and its answer", "$ curl -s localhost:8080/v1/completions -d '{\"n\": 1}' | jq .timings\n\n{\n"
     '  "predicted_n": 200,\n  "draft_n": 347,\n  "draft_n_accepted": 65\n}\n',
     {"accepted": 65, "drafted": 347, "tokens": 200}),
    ("requests on one line", "code python pred= 192 draft= 153 acc= 139 rate=0.908 tok/s=21.6 code cpp "
     "pred= 192 draft= 176 acc= 132 rate=0.750 tok/s=18.7", {"accepted": 271, "drafted": 329}),
    ("a range in a cell", "| model | acceptance | mean len |\n|---|---|---|\n| A | 0.55 | 3.00 |\n"
     "| B | 0.47 | 2.89 |\n| C | 0.36–0.47 | 2.4–2.9 |\n", {"groups": 2}),
    ("a list without blanks", "INFO [metrics.py:120] SpecDecoding metrics: Mean acceptance length: 1.50, "
     "Accepted: 10 tokens, Drafted: 80 tokens, Per-position acceptance rate: 0.350, 0.150,0.000, 0.000",
     {"rounds": 20, "accepted": 10, "gamma": 4}),
    ("clauses below a sentence", "The engine's own `SpecDecoding metrics` line:\n\nMean acceptance "
     "length: 5.00\nPer-position acceptance rate: 1.000, 1.000, 1.000, 1.000\n",
     {"acceptance_length": 5.0, "gamma": 4, "first": 1.0}),
    ("a table without outer bars", "draft | mean acceptance length\n-- | --\nvanilla | 2.39\nsmall | "
     "2.19\n", {"groups": 2}),
    ("counts beside a rate", "| cell | draft acceptance | tok/s |\n|---|---|---|\n| a | 0.238 (1312 "
     "accepted / 5512 generated) | 61.2 |\n| b | 0.101 (533 accepted / 5280 generated) | 33.9 |\n",
     {"accepted": 1845, "drafted": 10792}),
    ("a fork's decode line", "[ts] [2026-07-24 20:53:48,415 TP RANK 0] - INFO - Decode batch. "
     "#running-req: 2, #pages(active/cached/total): 18/19/1024, gen throughput (token/s): 539.35, "
     "avg_accept_len: 1.90, accept_rate: 0.30, #queue-req: 0", {"acceptance_length": 1.9, "engine": "sglang"}),
    ("aiperf console, all of it", "┏━━━━┳━━━━━┓\n┃ Metric ┃ avg ┃ min ┃\n┡━━━━╇━━━━━┩\n│ Acceptance Length "
     "(tokens/step) │ 2.84 │ 1.91 │\n│ Draft Acceptance Rate (%) │ 61.41 │ 30.30 │\n└────┴─────┘\n",
     {"acceptance_length": 2.84}),
    ("settings with their rates", "--draft-max 2: 41.0 tok/s (acceptance 0.81)\n--draft-max 4: 46.3 tok/s "
     "(acceptance 0.70)\nbaseline: 30.0 tok/s\n", {"groups": 2}),
    ("a column a setting", "| | baseline | K=1 | K=2 |\n|---|---|---|---|\n| tok/s | 30 | 39 | 45 |\n"
     "| accept rate | - | 0.82 | 0.75 |\n", {"groups": 2}),
    ("a plain row", "| num_speculative_tokens | speedup | acceptance length |\n|---|---|---|\n| 0 (baseline) "
     "| 1.00x | - |\n| 1 | 1.6x | 1.71 |\n| 2 | 1.8x | 2.09 |\n", {"groups": 2}),
    ("a grid of lengths", "Average accept length (tokens per verify step)\n| TP \\ Concurrency | 1 | 2 |\n"
     "| --- | --- | --- |\n| 1 | 6.36 | 6.34 |\n| 2 | 6.36 | 6.40 |\n", {"groups": 4}),
    ("python's print, line by line", "{'iter': 1, 'specDecodingStats': {'numDraftTokens': 12, "
     "'numAcceptedTokens': 7, 'numRequestsWithDraftTokens': 4}}\n{'iter': 2, 'specDecodingStats': "
     "{'numDraftTokens': 12, 'numAcceptedTokens': 9, 'numRequestsWithDraftTokens': 4}}\n",
     {"rounds": 8, "accepted": 16, "drafted": 24}),
    ("names that end in total", "draft_tokens_total=1944\naccepted_tokens_total=1307\nrounds=648\n",
     {"rounds": 648, "accepted": 1307, "drafted": 1944}),
    ("labels in parentheses", "".join(f"vllm:spec_decode_num_{n}_total (engine={e}) = {b + e}\n"
                                      for n, (_, b) in _TOTALS.items() for e in (0, 1)),
     {"rounds": 201, "accepted": 301, "drafted": 601}),
    ("a sentence with counts", "Of 200 output tokens: draft_n 231, accepted 121, acceptance 52.38%, 79 verify "
     "steps, 57.67 tok/s.", {"rounds": 79, "accepted": 121, "drafted": 231, "tokens": 200}),
    ("a sentence with one of another", "The draft matched 121 of the 231 candidate tokens in 79 verify steps.",
     {"rounds": 79, "accepted": 121, "drafted": 231}),
    ("a sentence with means", "acceptance was about 62% with num_speculative_tokens=5, mean acceptance length "
     "4.1 and 95 tok/s against 60 without.", {"acceptance_length": 4.1, "gamma": 5}),
    ("a way of speaking", "- **AL 3.41** = mean acceptance length\n- **Per-position accept 0.963 / 0.804 / "
     "0.640**\n- **Avg draft accept 80.2%** = 4 out of 5 drafted tokens accepted.\n",
     {"acceptance_length": 3.41, "gamma": 3, "first": 0.963}),
    ("a profile", "conditional : [0.816, 0.777, 0.750]\nmarginal    : [0.816, 0.634, 0.475]\nAL   : 2.925",
     {"acceptance_length": 2.925, "first": 0.816}),
    ("a table in a box of plus and minus", "+-------------+--------+------------+-----------------+\n"
     "| Latency (s) | Tokens | Acc Length | Speed (token/s) |\n+-------------+--------+------------+-----------------+\n"
     "|    3.128    |  512   |   2.560    |     163.68      |\n+-------------+--------+------------+-----------------+\n",
     {"acceptance_length": 2.56, "tokens": 512}),
    ("a length and a speed", "acc_length=2.20\nspeed=125.59 token/s\n", {"acceptance_length": 2.2}),
    ("bars of progress", "* vanilla, [02:08<00:00,  1.61s/it, est. speed input: 47.09 toks/s, output: 128.64 toks/s]\n"
     "* k=2: [01:34<00:00,  1.18s/it, est. speed input: 64.12 toks/s, output: 175.49 toks/s] **Accpt Len: 1.89**\n"
     "* k=4: [01:40<00:00,  1.25s/it, est. speed input: 60.52 toks/s, output: 165.65 toks/s] **Accpt Len: 2.08**\n",
     {"groups": 2, "speeds": [175.49, 165.65]}),
    ("accepted of drafted by position", "320/761 overall (42.0%):\n\n- position 1: 133/191 (69.6%)\n- position 2: "
     "85/191 (44.5%)\n- position 3: 62/190 (32.6%)\n- position 4: 40/189 (21.2%)\n",
     {"rounds": 191, "drafted": 761, "accepted": 320, "gamma": 4, "per_position_accepted": (133, 85, 62, 40)}),
    ("vllm v1, lines without counts", "INFO SpecDecoding metrics: Mean acceptance length: 2.81,\nPer-position "
     "acceptance rate: 0.758, 0.506, 0.341, 0.205,\nAvg Draft acceptance rate: 45.3%\n\nINFO SpecDecoding metrics: "
     "Mean acceptance length: 2.34,\nPer-position acceptance rate: 0.594, 0.370, 0.240, 0.136,\n", {"groups": 2, "gamma": 4}),
    ("vllm v1, an equal list", "SpecDecoding metrics: Mean acceptance length: 5.00, Drafted: 17.05 tokens/s,\n  "
     "Per-position acceptance rate: 1.000 ×4, Avg Draft acceptance rate: 100.0%\n",
     {"acceptance_length": 5.0, "gamma": 4, "first": 1.0}),
    ("a range of lengths", "Mean acceptance length: 2.51-2.70\nAvg Draft acceptance rate: 37.8-42.6%\nPer-position "
     "acceptance rate: 0.69-0.74, 0.43-0.48\n", "looked for"),
    ("proposals, and a list that is cut off", "Total output tokens: 2,466\nNumber of draft proposals: 1,000\nNumber of "
     "draft tokens generated: 4,000\nNumber of accepted tokens: 1,470\nMean acceptance length: 2.47\n\nAcceptance rate "
     "at token 0: 0.60\nAcceptance rate at token 1: 0.40\n",
     {"rounds": 1000, "accepted": 1470, "gamma": 4, "target_steps": 1000}),
    ("llama.cpp, rounds without what they drafted", "".join(
        f"slot update_slots: id  3 | task 0 | accepted {a}/0 draft tokens, new n_tokens = 741\n" for a in (11, 4, 0)),
     {"rounds": 3, "accepted": 15, "drafted": None, "acceptance_length": 6.0}),
    ("llama.cpp, numbers of a line", "MTP statistics:\n\n- `#gen tokens = 379`\n- `#acc tokens = 207`\n",
     {"accepted": 207, "drafted": 379}),
    ("eagle jsonl", "".join(json.dumps({"question_id": q, "choices": [{"index": 0, "idxs": [9, 19], "new_tokens":
        [40, 65], "wall_time": [1.0, 2.0]}]}) + "\n" for q in (81, 82)),
     {"rounds": 60, "accepted": 150, "acceptance_length": 3.5, "requests": 2}),
    ("a remark behind a row", "| block | tok/s | acc len |\n|---:|---:|---:|\n| 8 | 114.2 | 6.20 |\n| 12 | 144.9 | "
     "7.34 |  <-- peak\n", {"groups": 2}),
    ("a heading above lengths", "## Acceptance length by category\n\n### Qwen3.8-27B, both drafters\n\n| category | MTP | "
     "DFlash2 |\n|---|---:|---:|\n| coding | 2.86 | 3.82 |\n| math | 2.71 | 3.64 |\n| **overall** | **2.8** | **3.7** |\n",
     {"groups": 4}),
    ("full-width colons", "temperature=0:  accept length：1.70\ntemperature=1：accept length：1.50\n", {"groups": 2}),
    ("a table in Chinese", "Tokens\tBaseline (tok/s)\tDFlash (tok/s)\t加速比\t接受率\n\n256\t74.72\t194.80\t2.61×\t85.16%\n"
     "512\t73.76\t214.78\t2.91×\t86.91%\n", {"groups": 2, "speeds": [194.8, 214.78]}),
    ("sglang, steps and a length beside the rounds", 'sglang:spec_accept_length{model_name="m",tp_rank="0"} 2.3\n'
     'sglang:spec_num_steps{model_name="m"} 3\nsglang:spec_num_draft_tokens{model_name="m"} 4\n'
     'sglang:spec_verify_calls_total{model_name="m"} 50.0\n', {"acceptance_length": 2.3, "gamma": 3, "rounds": 50}),
    ("counts in words beside a rate", "Draft acceptance rate: **76%** (974 accepted / 1278 drafted). MTP is real.\n",
     {"accepted": 974, "drafted": 1278}),
    ("openvino genai", "MAIN MODEL\n  TTFT: 210.22 ± 0.00 ms\n  Num generated token: 100 tokens\n  Total iteration number: "
     "41\n  Num accepted token: 59 tokens\nDRAFT MODEL\n  Num generated token: 164 tokens\n  Total iteration number: 123\n",
     {"rounds": 41, "accepted": 59, "tokens": 100}),
    ("mlc llm", json.dumps({"usage": {"extra": {"completion_tokens_sum": 256, "spec_decode": {
        "draft_count": [96, 96, 96], "accept_count": [96, 70, 45], "accept_prob": {"accept_prob{step=0}": 1.0}}}}}),
     {"rounds": 96, "drafted": 192, "accepted": 115, "gamma": 2, "engine": "mlc-llm"}),
    ("tokens of a training step", "   Batch size:           8\n   Tokens/step:          262,144\n   Warmup steps:      500\n",
     "looked for"),
    ("another program", "GET /accept 200\naccepted: 5 connections\nrate: 5\n", "looked for"),
    ("a range in words", "- Mean acceptance length: about `2.25` to `2.26`.\nacceptance rate was 62% to 66% here\n"
     "AL 2.5~2.7\n", "looked for"),
    ("a number in code marks", "- Mean acceptance length: about `2.25`\n- MAL: `2.25`\n", {"acceptance_length": 2.25}),
    ("a training log", "epoch 1: loss=2.3 acc=0.91 tokens=1000\nepoch 2: acc=0.93", "looked for"),
]  # fmt: skip
