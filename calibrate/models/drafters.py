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

The shape of a drafter that is trained for one target alone, or cut out of it, follows from the
target's:

EAGLE-3 (arXiv:2503.01840): one dense layer, its attention twice as wide at the entry, and an output
matrix of fewer tokens. EAGLE, EAGLE-2 (arXiv:2401.15077, 2406.16858): one dense layer behind a
matrix of 2h x h, and the target's output matrix. MTP (arXiv:2412.19437): the same with a layer of
the target's kind. P-EAGLE: four layers behind EAGLE-3's entry, all tokens in one pass. DFlash
(arXiv:2602.06036) and DSpark: five dense layers over the whole block, the target's output matrix.
Medusa (arXiv:2401.10774): five heads, each a residual matrix h x h and an output matrix.
Layer-skip (arXiv:2404.16710): the first layers of the target and its output matrix.

Embedding and, but for EAGLE-3, the output matrix are the target's own. EAGLE-3's 3h x h matrix is
read once a round, not once a step, and left out. Look-up reads no parameters.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

from ..tables.schema import table_lines
from .names import plain
from .shapes import ModelShape

Passes = Literal["serial", "block", "none"]
Engine = Literal["vllm", "sglang", "llama.cpp", "tensorrt-llm", "transformers"]
# Flags of SGLang by what they say of a round of K draft tokens.
STEPS, TOPK, TOKENS, BLOCK, PATH = (
    "--speculative-num-steps", "--speculative-eagle-topk", "--speculative-num-draft-tokens",
    "--speculative-dspark-block-size", "--speculative-draft-model-path",
)  # fmt: skip
_FLAGS = {"steps": STEPS, "topk": TOPK, "tokens": TOKENS, "block": BLOCK}


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


def _kind(row: Mapping[str, str]) -> DrafterKind:
    """The kind of a row of `drafters.csv`."""
    return DrafterKind(
        row["name"],
        re.compile(row["words"]),
        row["passes"],  # type: ignore[arg-type]
        row["weights"],  # type: ignore[arg-type]
        {engine: row[engine] for engine in get_args(Engine) if row[engine]},
        row["source"],
        options=tuple((name, True) for name in row["vllm_options"].split()),
        sglang_flags=tuple(_FLAGS[name] for name in row["sglang_flags"].split()),
    )


# A name that several kinds fit is of the first of them in the table.
DRAFTERS = {row["name"]: _kind(row) for row in csv.DictReader(table_lines(__package__, "drafters"))}
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
    return next((kind.name for kind in DRAFTERS.values() if kind.words.search(key)), None)


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


KINDS = tuple(k.name for k in DRAFTERS.values() if k.weights != "model")
_SHORT_VOCABULARY = 32_000  # rows of the output matrix of published EAGLE-3 heads
_LAYERS = {"P-EAGLE": 4, "DFlash": 5, "DSpark": 5}
_MEDUSA_HEADS = 5
_EXIT_SHARE = 4  # a quarter of the layers: layer 8 of 32 in the released models
_EXIT = re.compile(r"(?:exit|layers?)-?(?:at-|after-|block-|layer-)*(\d+)")


def head_shape(target: ModelShape, kind: str, *, name: str = "") -> ModelShape:
    """The shape of a target's drafter, one of `KINDS`; its parameters count what a pass reads once.

    The matrix at a head's entry is counted in the width of its feed-forward block: the bytes and
    operations of a step are right, the block is wider than the real one. name: of the drafter, for
    the layer at which a part of the target stops. Raises ValueError for another kind, and for an
    exit that the target does not have.
    """
    if kind not in KINDS:
        raise ValueError(f"drafter must be one of {', '.join(KINDS)}, got {kind!r}")
    if DRAFTERS[kind].passes == "none":
        return _nothing(target, kind)
    if kind == "layer-skip":
        return _first_layers(target, name)
    own = replace(
        target, name=f"{kind} head of {target.name}", layers=_LAYERS.get(kind, 1), moe_layers=0,
        experts=0, active_experts=0, expert_ffn=0, shared_ffn=0, encoder_layers=0, window=0,
        windowed_layers=0, tied=True, positions=0, weights="bf16", attention_layers=0,
        ffn_layers=0, recurrent="none", recurrent_layers=0, global_head_dim=0, global_kv_heads=0,
        keys_are_values=False, expert_hidden=0, sparse_tokens=0, cache_share=1.0, extra=0, lookup=0,
    )  # fmt: skip
    if kind == "Medusa":
        wide = _widened(own, _MEDUSA_HEADS * own.hidden)
        return replace(
            own, vocab=_MEDUSA_HEADS * own.vocab, ffn=wide, heads=1, kv_heads=1, head_dim=1,
            qk_norm="none", kv_rank=0, query_rank=0, rope_dim=0, value_dim=0, attention_gate=False,
            output_rank=0, output_groups=0,
        )  # fmt: skip
    if kind == "MTP":
        sparse = target.moe_layers > 0
        own = replace(
            own, weights=target.weights, moe_layers=int(sparse), experts=target.experts,
            active_experts=target.active_experts, expert_ffn=target.expert_ffn,
            expert_hidden=target.expert_hidden, shared_ffn=target.shared_ffn,
        )  # fmt: skip
        if sparse:  # the entry is then beside the experts
            return replace(own, shared_ffn=own.shared_ffn + _widened(own, 2 * own.hidden))
    elif target.kv_rank:  # heads of latent-attention targets are plain decoders
        own = replace(own, kv_rank=0, query_rank=0, rope_dim=0, value_dim=0)
    entry = 2 * own.hidden
    if kind in ("EAGLE-3", "P-EAGLE"):
        own = replace(own, vocab=min(own.vocab, _SHORT_VOCABULARY))
        entry = (own.heads + 2 * own.kv_heads) * own.head_dim // own.layers
    elif kind in _LAYERS:
        entry = 0
    return replace(own, ffn=_dense_width(target) + _widened(own, entry))


def _nothing(target: ModelShape, kind: str) -> ModelShape:
    """A drafter that reads no weights; one number stands for what a shape must have."""
    return ModelShape(
        name=f"{kind} for {target.name}", layers=1, hidden=1, heads=1, kv_heads=1, head_dim=1,
        ffn=0, vocab=1, context=target.context, family=target.family, tied=True,
    )  # fmt: skip


def _first_layers(target: ModelShape, name: str) -> ModelShape:
    """The first layers of the target, up to the exit that a name tells, else a quarter of them."""
    told = _EXIT.search(plain(name))
    layers = int(told[1]) if told else max(1, target.layers // _EXIT_SHARE)
    if not 1 <= layers < target.layers:
        raise ValueError(f"exit layer must be in [1, {target.layers - 1}], got {layers}")

    def part(count: int) -> int:
        return round(count * layers / target.layers)

    recurrent = min(part(target.recurrent_layers), layers - 1)
    return replace(
        target, name=f"first {layers} layers of {target.name}", layers=layers,
        moe_layers=min(part(target.moe_layers), layers), extra=part(target.extra),
        windowed_layers=min(part(target.windowed_layers), layers - recurrent),
        recurrent_layers=recurrent, recurrent=target.recurrent if recurrent else "none",
        attention_layers=min(part(target.attention_layers) or 1, layers - recurrent)
        if target.attention_layers else 0,
        ffn_layers=part(target.ffn_layers), encoder_layers=0, lookup=0,
    )  # fmt: skip


def _dense_width(target: ModelShape) -> int:
    """Width of a dense block of the target: of its experts together where it has no other."""
    blocks = target.ffn_layers or target.layers
    if target.moe_layers < blocks or not target.moe_layers:
        return target.ffn
    return max(target.ffn, target.active_experts * target.expert_ffn + target.shared_ffn)


def _widened(shape: ModelShape, columns: int) -> int:
    """Width of feed-forward that holds as much as a matrix of so many columns."""
    return columns // (3 if shape.gated else 2)
