"""What is said of a source without statistics: whether speculation is known to be off, or not."""

from __future__ import annotations

_KNOWN_OFF = (
    (b"speculative_config=None", "speculative_config=None"),
    (b"speculative_algorithm=None", "speculative_algorithm=None"),
    (b'"speculative_algorithm": null', "speculative_algorithm null"),
    (b"--spec-type none", "--spec-type none"),
)
_LOOKED = (
    (b'"speculative_decoding"', "num_spec_steps in speculative_decoding, which is null"),
    (b"lmdeploy", "counts of drafts, which LMDeploy's log and metrics do not hold"),
    (b"Decode batch", "accept len in SGLang's decode lines"),
    (b"Avg generation throughput", "lines of SpecDecoding metrics in vLLM's log"),
    (b"vllm:", "spec_decode counters in vLLM's metrics"),
    (b"sglang:", "spec_accept gauges in SGLang's metrics"),
    (b"llamacpp:", "spec_decode counters in llama.cpp's metrics, which older builds do not have"),
    (b"trtllm_", "spec_decode counters in TensorRT-LLM's metrics"),
    (b"iterLatencyMS", "specDecodingStats in TensorRT-LLM's iterations"),
    (b"predicted_per_second", "draft_n in llama.cpp's timings"),
    (b"tokens generated in", "Draft: a / b tokens accepted in tabbyAPI's lines"),
    (b"tokens-per-sec", "draft_n_accepted; mlx-lm itself prints no acceptance, its responses state "
     "from_draft for each token"),
    (b"eval rate:", "lines of draft acceptance, which ollama writes to its server log alone"),
    (b"tgi_", "request_skipped_tokens in TGI's metrics, which --speculate turns on"),
    (b"synchronous@", "draft counts, which GuideLLM does not report: see the server's metrics"),
    (b"print_timing", "lines of draft acceptance in llama.cpp's log"),
    (b"eval time", "lines of draft acceptance in llama.cpp's log"),
    (b"meta_info", "spec_verify_ct in SGLang's meta_info"),
    (b"completion_tokens_details", "accepted_prediction_tokens above 0 in the usage"),
    (b"predictedTokensCount", "acceptedDraftTokensCount in LM Studio's stats"),
    (b"worker_id", "spec_decode_acceptance in AIPerf's records"),
    (b"request_throughput", "spec_decode entries and accept_length in the benchmark's result"),
    (b"Serving Benchmark Result", "acceptance and accept length in the benchmark's table"),
)  # fmt: skip
_ANY = (
    "counters, log lines, responses and tables of vLLM, SGLang, llama.cpp, TensorRT-LLM, "
    "transformers, TGI, AIPerf, LM Studio, tabbyAPI and benchmark tools"
)


def hint(head: bytes) -> str:
    """One clause on the first bytes of a source that held no statistics."""
    for sign, said in _KNOWN_OFF:
        if sign in head:
            return f"speculation was off: the source says {said}"
    looked = next((what for sign, what in _LOOKED if sign in head), _ANY)
    return f"no acceptance found: off, or not reported here; looked for {looked}"
