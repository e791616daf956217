"""What an engine calls the method of a draft, and the model that it needs.

vLLM: docs/features/speculative_decoding (method draft_model, ngram, suffix, eagle, eagle3, medusa,
mtp, dflash). SGLang: --speculative-algorithm STANDALONE, NGRAM, EAGLE, EAGLE3, NEXTN, DFLASH.
TensorRT-LLM: decoding_type DraftTarget, Eagle, Eagle3, MTP, NGram, Medusa.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...calibrate.doors import Pair

# By the kind of the draft: "" is a model of its own.
METHODS: dict[str, dict[str, str]] = {
    "vllm": {"": "draft_model", "EAGLE": "eagle", "EAGLE-3": "eagle3", "MTP": "mtp"},
    "sglang": {"": "STANDALONE", "EAGLE": "EAGLE", "EAGLE-3": "EAGLE3", "MTP": "NEXTN"},
    "tensorrt-llm": {"": "DraftTarget", "EAGLE": "Eagle", "EAGLE-3": "Eagle3", "MTP": "MTP"},
    "llama.cpp": {},
}
_OWN = ("MTP",)  # heads that ship within the target: no model is named


@dataclass(frozen=True)
class DraftWords:
    """method, model: of a draft in an engine's words, None where neither was named."""

    method: str | None
    model: str | None


def draft_words(
    pair: Pair, engine: str, *, method: str | None = None, model: str | None = None
) -> DraftWords:
    """The method and model of a pair's draft; what is stated wins."""
    if pair.at.draft is None:
        return DraftWords(method, model)
    kind = pair.head or ""
    found = method or METHODS[engine].get(kind)
    named = None if kind in _OWN or pair.draft is None else pair.at.draft
    # A head named by its kind alone is no path to load.
    if pair.head is not None and "/" not in pair.at.draft:
        named = None
    return DraftWords(found, model or named)
