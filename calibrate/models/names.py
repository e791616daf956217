"""Names as people write them: of models, with organisations, tunings and number formats taken off,
and the words of devices that tell one from another.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache

from .formats import ALIASES, FORMATS

# Endings that say how a model was tuned or stored, not what its shape is.
_TUNING = (
    "instruct", "chat", "it", "hf", "base", "pt", "deduped", "instruct-2507", "thinking-2507",
    "2507", "thinking", "preview", "qat", "distill", "gguf", "mlx", "tuned", "sft", "dpo", "text",
    "unsloth", "vl-text", "v1.0", "moe", "think", "reasoning", "class", "hybrid", "gdn", "1m",
    "qat-it", "latest", "mtp", "nextn", "bnb", "dynamic", "128k", "32k", "16k", "ud", "i1", "mixed",
    "dwq",
)  # fmt: skip
# The same words before a date or a version: Mixtral-8x7B-Instruct-v0.1, Kimi-K2-Instruct-0905.
_INSIDE = re.compile(r"-(instruct|chat|it|base|thinking|think|reasoning)(?=-)")
_QUANTISED = tuple(sorted({*FORMATS, *ALIASES} - {"half", "float"}, key=len, reverse=True))
_SPACES = re.compile(r"[\s_\-–:]+")
# A file of llama.cpp: "-Q4_K_M.gguf", ".Q8_0.gguf", or of several "-00001-of-00003.gguf".
_GGUF = re.compile(r"(-\d{5}-of-\d{5})?\.gguf$", re.IGNORECASE)
_BEFORE_FORMAT = re.compile(r"\.(?=(i1-)?(i?q\d|f16|f32|bf16|mxfp4|tq\d)[^./]*$)", re.IGNORECASE)
_PARENTHESIS = re.compile(r"\(([^()]*)\)\s*$")
# What follows says how the weights were trained on, which leaves the shape as it was.
_TRAINED_ON = re.compile(r"\s+(\+|fine-?tuned\b|finetuned\b|lora\b).*$", re.IGNORECASE)
# Formats told apart: "weights=w4a16 kv=fp8".
_TOLD = re.compile(r"\b(weights|kv|cache)\s*=\s*(\S+)", re.IGNORECASE)
# Words that no tuning has: a size, or a drafter of some kind.
_NO_TUNING = re.compile(
    r"^(\d{1,3}([a-z.].*)?|a\d+(\.\d+)?b|eagle.*|mtp|nextn|dspark|dflash.*|dfly|medusa|hydra|pard|"
    r"speculators?|draft(er)?|heads?|lookup|embedding|reranker|reward|rm|assistant|lora|adapter|"
    r"accelerator)$"
)
# Words of sizes, unless a number of parameters stands before: GLM-5.3-Flash is not GLM-5.3.
_SIZES = frozenset({
    "air", "flash", "large", "lite", "max", "medium", "micro", "mini", "nano", "plus", "pro",
    "small", "super", "tiny", "ultra", "xl", "xs",
})  # fmt: skip
_PARAMETERS = re.compile(r"\d+(\.\d+)?[bm]$")
# Trade marks, clocks and numbers of cores beside the name of a device.
MARKS = re.compile(r"\((?:r|tm)\)|[®™]|@\s*[\d.]+\s*ghz|\b\d+[- ]cores?\b", re.IGNORECASE)
_NOISE = re.compile(r"[\s_\-–/(),]+")
# Words that say nothing of the kind: makers, brands, what drivers and people write beside a name.
_DROPPED = frozenset({
    "nvidia", "amd", "google", "intel", "apple", "aws", "amazon", "huawei", "tesla", "geforce",
    "gpu", "instinct", "radeon", "graphics", "generation", "processor", "accelerator", "oam", "vf",
    "hbm3", "hbm3e", "gddr6", "gddr6x", "gddr7", "bf16", "fp16", "fp8", "fp4", "fa2", "fa3", "cuda",
    "vulkan", "rocm", "metal", "mac", "macbook", "mini", "studio", "cards", "chips", "11th", "12th",
    "13th", "14th", "gen", "with", "w", "igpu", "unified", "shared", "memory", "ram", "vram",
    "lpddr5x",
})  # fmt: skip

# EXL2 and EXL3: "-exl2-4.5bpw", "-4.65bpw-h6-exl2"; h is the width of the head.
_PER_WEIGHT = re.compile(r"-(?:exl[23]-)?(\d(?:\.\d+)?)-?bpw(?:-h\d)?(?:-exl[23])?$")
_REPACKED = re.compile(r"-r[48]$")  # of ik_llama.cpp: "IQ4_KS_R4"


def plain(name: str) -> str:
    """The name in lower case, words joined by single hyphens, without the organisation."""
    last = _GGUF.sub("", name.strip().rstrip("/").rsplit("/", 1)[-1])
    return _SPACES.sub("-", _BEFORE_FORMAT.sub("-", last).casefold()).strip("-")


@cache
def _formats() -> dict[str, str]:
    """The formats as they end a name, e.g. -q4-k-m, longest first."""
    return {plain(f): f for f in _QUANTISED}


def take_format(name: str) -> tuple[str, str]:
    """(name without a number format at its end, that format or "").

    "Llama-3.1-8B-AWQ" gives ("llama-3.1-8b", "awq"); "LLaMA 7B (q8_0)" gives q8_0.
    """
    inner = _PARENTHESIS.search(name.strip())
    if inner and plain(inner[1]) in _formats():
        return plain(_PARENTHESIS.sub("", name.strip())), _formats()[plain(inner[1])]
    key = plain(name)
    if width := _PER_WEIGHT.search(key):
        return key[: width.start()], f"{width[1]}bpw"
    stored = _REPACKED.sub("", key)
    for ending, form in _formats().items():
        if stored.endswith("-" + ending):
            return stored[: -len(ending) - 1], form
    return key, ""


def told_formats(name: str) -> tuple[str, str, str]:
    """(name without them, format of the weights, of the cache) that a name tells by key, or ""."""
    told = {("kv" if k.casefold() == "cache" else k.casefold()): v for k, v in _TOLD.findall(name)}
    return _TOLD.sub(" ", name).strip(), told.get("weights", ""), told.get("kv", "")


def looks_like_format(ending: str) -> bool:
    """Whether an ending that no format has is written as one: the q9 of "Qwen2.5-0.5B:q9"."""
    return re.fullmatch(r"(i?q|fp|bf|int|nvfp|mxfp)\d+\S*", ending) is not None


def shortened(key: str) -> tuple[tuple[str, str], ...]:
    """Plain names with words taken off the end, each with these words, as long as they may be a
    tuning that nobody lists: no size, and no drafter.
    """
    words = key.split("-")
    found = []
    for left in range(len(words) - 1, 0, -1):
        counted = any(_PARAMETERS.search(word) for word in words[:left])
        if _NO_TUNING.match(words[left]) or (words[left] in _SIZES and not counted):
            break
        found.append(("-".join(words[:left]), "-".join(words[left:])))
    return tuple(found)


def candidates(name: str) -> tuple[tuple[str, str], ...]:
    """Plain names to look for, the most specific first, each with the format taken off so far."""
    bare = _TRAINED_ON.sub("", name.strip())
    inner = _PARENTHESIS.search(bare)
    if inner and plain(inner[1]) not in _formats():
        bare = _PARENTHESIS.sub("", bare)
    key, form = plain(bare), ""
    found = [(key, form)]
    while True:
        shorter, seen = take_format(bare if len(found) == 1 else key)
        if not seen:
            shorter = next((key[: -len(t) - 1] for t in _TUNING if key.endswith("-" + t)), "")
        if not shorter:
            inside = [(_INSIDE.sub("", key), form) for key, form in found]
            return (*found, *(c for c in inside if c not in found))
        key, form = shorter, form or seen
        found.append((key, form))


def squeeze(key: str) -> str:
    """A name for comparison: "llama-3.2-1b" and "Llama3.2 1B" are one."""
    return plain(key).replace("-", "")


@lru_cache(maxsize=4096)
def device_words(name: str) -> tuple[str, ...]:
    """The words of a name that tell one device from another, in small letters."""
    bare = MARKS.sub(" ", name).casefold()
    return tuple(w for w in _NOISE.split(bare) if w and w not in _DROPPED)


def device_key(name: str) -> str:
    """A name of a device for comparison."""
    return "".join(device_words(name))
