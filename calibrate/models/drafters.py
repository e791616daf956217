"""Kinds of drafters: what a round of them costs, what they need, and what engines call them.

A draft is a model of its own, a head on the target, a drafter of whole blocks, a look-up in the
text so far, or a part of the target. What differs for costs is how often the drafter runs in a
round: once a token (serial), once a round (block), or never (none).

Sources of the names: vllm/config/speculative.py (vllm-project/vllm at 002e77c), SGLang's flags and
v0.5.16 notes, llama.cpp's `--spec-type`, TensorRT-LLM's `decoding_type`, transformers'
`generation_config`; of the kinds: the papers cited.

A serial drafter's time grows with every token. A block drafter (diffusion heads such as DFlash and
DSpark, parallel heads such as Medusa, PARD) makes all of them in one pass: its cost is flat, or
rises in steps of the block, and fewer draft tokens are not cheaper.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from .names import plain

Passes = Literal["serial", "block", "none"]
Engine = Literal["vllm", "sglang", "llama.cpp", "tensorrt-llm", "transformers"]
# Flags of SGLang by what they say of a round of K draft tokens.
STEPS, TOPK, TOKENS, BLOCK, PATH = (
    "--speculative-num-steps", "--speculative-eagle-topk", "--speculative-num-draft-tokens",
    "--speculative-dspark-block-size", "--speculative-draft-model-path",
)  # fmt: skip
_CHAIN = (STEPS, TOPK, TOKENS)


@dataclass(frozen=True)
class DrafterKind:
    """One kind of drafter.

    name: as the field writes it; words: pattern of names that tell it; passes: runs of the drafter
    in a round; weights: "model" (its own checkpoint), "head" (trained for one target), "shipped"
    (with the target), "none". engines: what an engine calls it; an engine that is absent does not
    run it. options: what vLLM is given besides. sglang_flags: those that SGLang takes, besides the
    path; source: where the kind is described.
    """

    name: str
    words: re.Pattern[str]
    passes: Passes
    weights: Literal["model", "head", "shipped", "none"]
    engines: dict[Engine, str]
    source: str
    options: tuple[tuple[str, bool], ...] = ()
    sglang_flags: tuple[str, ...] = ()

    @property
    def is_head(self) -> bool:
        """Whether it is trained for one target, or comes with it."""
        return self.weights in ("head", "shipped")

    @property
    def needs_path(self) -> bool:
        """Whether an engine must be told where its weights are."""
        return self.weights in ("model", "head")


def _kind(
    name: str, words: str, passes: Passes, weights: str, source: str, **engines: str
) -> DrafterKind:
    spelled = {"llama_cpp": "llama.cpp", "tensorrt_llm": "tensorrt-llm"}
    named = {spelled.get(k, k): v for k, v in engines.items()}
    flags = {
        "DFLASH": (TOKENS,), "DSPARK": (BLOCK,), "NGRAM": (TOKENS,)
    }.get(engines.get("sglang", ""), _CHAIN)  # fmt: skip
    parallel = name in ("P-EAGLE", "PARD")
    return DrafterKind(
        name, re.compile(words), passes, weights, named, source,  # type: ignore[arg-type]
        options=(("parallel_drafting", True),) if parallel and "vllm" in engines else (),
        sglang_flags=flags if "sglang" in engines else (),
    )  # fmt: skip


_HEADS = (
    _kind("P-EAGLE", r"(?<![a-z])p-?eagle|parallel-eagle", "block", "head", "arXiv:2602.01469",
          vllm="eagle3"),
    _kind("EAGLE-3", r"(?<![a-z])eagle-?v?3", "serial", "head", "arXiv:2503.01840",
          vllm="eagle3", sglang="EAGLE3", llama_cpp="draft-eagle3", tensorrt_llm="Eagle3"),
    _kind("EAGLE", r"(?<![a-z])eagle(?!-?v?[3-9])|(?<![a-z])hass(?![a-z])", "serial", "head",
          "arXiv:2401.15077", vllm="eagle", sglang="EAGLE", tensorrt_llm="Eagle"),
    _kind("MTP", r"(?<![a-z])(mtp|nextn)(?![a-z])|gemma-?4(-.*)?-assistant", "serial", "shipped",
          "arXiv:2412.19437", vllm="mtp", sglang="NEXTN", llama_cpp="draft-mtp",
          tensorrt_llm="MTP"),
    _kind("Medusa", r"(?<![a-z])(medusa|hydra)", "block", "head", "arXiv:2401.10774",
          vllm="medusa", tensorrt_llm="Medusa"),
    _kind("DSpark", r"(?<![a-z])dspark", "block", "head", "SGLang v0.5.16, release notes",
          vllm="dspark", sglang="DSPARK", llama_cpp="draft-dspark"),
    _kind("DFlash", r"(?<![a-z])(dflash|dfly)", "block", "head", "arXiv:2602.06036",
          vllm="dflash", sglang="DFLASH", llama_cpp="draft-dflash"),
)  # fmt: skip
_OTHERS = (
    _kind("suffix", r"(?<![a-z])suffix(?![a-z])|samd|sam-decoding", "none", "none",
          "arXiv:2411.04975", vllm="suffix"),
    _kind("prompt look-up", r"prompt-look-?up|(?<![a-z])pld(?![a-z])", "none", "none",
          "github.com/apoorvumang/prompt-lookup-decoding", vllm="ngram",
          llama_cpp="ngram-simple", transformers="prompt_lookup_num_tokens"),
    _kind("n-gram", r"(?<![a-z])n-?gram|(?<![a-z])look-?up(?![a-z])|lookahead", "none", "none",
          "arXiv:2304.04487", vllm="ngram", sglang="NGRAM", llama_cpp="ngram-simple",
          tensorrt_llm="NGram"),
    _kind("layer-skip", r"layer-?skip|early-exit|self-?(exit|layers|spec)",
          "serial", "none", "arXiv:2404.16710", transformers="assistant_early_exit"),
    _kind("PARD", r"(?<![a-z])pard(?![a-z])", "block", "model", "arXiv:2504.18583",
          vllm="draft_model", tensorrt_llm="PARD"),
)  # fmt: skip
MODEL = _kind(
    "model", r"(?!)", "serial", "model", "arXiv:2211.17192", vllm="draft_model",
    sglang="STANDALONE", llama_cpp="draft-simple", tensorrt_llm="DraftTarget",
    transformers="assistant_model",
)  # fmt: skip
DRAFTERS: dict[str, DrafterKind] = {k.name: k for k in (MODEL, *_HEADS, *_OTHERS)}
# PARD before heads: "PARD-Llama-3.2-1B" holds a model's name, and no other kind's.
_ORDER = (*_HEADS, *_OTHERS)
# Whether releases of a target come with layers that predict further tokens.
_SHIPS = re.compile(
    r"^(deepseek-(v3|r1|v4)|glm-(4\.[5-7]|5)|qwen3\.[5-9]|qwen3\.x|qwen3-next|mimo|step-3|hy3|"
    r"minimax-m|nemotron-3-(super|ultra)|nemotron-3\.5|kimi-k3|gemma-4|ernie-4\.5|longcat|"
    r"exaone-4\.5)"
)


def drafter_kind(name: str) -> str | None:
    """The kind of drafter that a name tells, a key of `DRAFTERS`; None where it tells none.

    "EAGLE3", "yuhuili/EAGLE3-LLaMA3.1-Instruct-8B", "mtp", "z-lab/Qwen3-8B-DFlash" and "n-gram" do.
    A plain model tells none: a model as a draft is the kind "model".
    """
    key = plain(name)
    return next((kind.name for kind in _ORDER if kind.words.search(key)), None)


def ships_mtp(name: str) -> bool:
    """Whether releases of a model of that name come with layers that predict further tokens."""
    return bool(_SHIPS.search(plain(name)))


Drafter = Literal["serial", "block"]
_BLOCK = re.compile(r"parallel[ -]?(?:draft|eagle)|block[ -]?diffusion", re.IGNORECASE)


def drafter_of(*names: str | None) -> Drafter:
    """Block where a name of the draft or of the method is one that drafts a block, else serial."""
    return "block" if any(n and _is_block(n) for n in names) else "serial"


def _is_block(name: str) -> bool:
    kind = drafter_kind(name)
    return _BLOCK.search(name) is not None or (
        kind is not None and DRAFTERS[kind].passes == "block"
    )
