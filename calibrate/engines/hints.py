"""What a source without statistics looks like, so that its refusal says more than no."""

from __future__ import annotations

_SIGNS = (
    (b'"speculative_decoding"', "speculative_decoding is null: speculation was off, or the "
                                "server does not report it per request"),
    (b"Decode batch", "SGLang's decode lines hold no accept length: speculation was off"),
    (b"Avg generation throughput", "vLLM's log has no line of SpecDecoding metrics: speculation "
                                   "was off, or nothing was drafted"),
    (b"vllm:", "vLLM's metrics have no spec_decode series: speculation was off"),
    (b"sglang:", "SGLang's metrics have no spec_accept series: speculation was off"),
    (b"llamacpp:", "llama.cpp's metrics have no spec_decode series: speculation was off, or the "
                   "build is older than them"),
    (b"trtllm_", "TensorRT-LLM's metrics have no spec_decode series: speculation was off"),
    (b"iterLatencyMS", "TensorRT-LLM's iterations hold no specDecodingStats: speculation was off"),
    (b"predicted_per_second", "llama.cpp's timings hold no draft_n: speculation was off"),
    (b"print_timing", "llama.cpp's log has no line of draft acceptance: speculation was off"),
    (b"cached_tokens", "SGLang's meta_info holds no spec_verify_ct: speculation was off"),
    (b"worker_id", "AIPerf's records hold no spec_decode_acceptance: speculation was off, or the "
                   "server does not report it per request"),
    (b"request_throughput", "the benchmark's result has no spec_decode entries: speculation was "
                            "off"),
)  # fmt: skip


def hint(head: bytes) -> str:
    """One clause on the first bytes of a source that held no statistics, "" where none fits."""
    return next((said for sign, said in _SIGNS if sign in head), "")
