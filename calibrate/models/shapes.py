"""The shape of a decoder: what its parameters, bytes, cache and operations follow from."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...theory.costs import experts_touched, kv_bytes_per_token
from ...theory.domain import check
from . import parameters
from .formats import NumberFormat, number_format

BIASES = ("none", "qkv", "o", "qkvo")
NORMS = ("rms", "layer", "none")
QK_NORMS = ("none", "head", "width")
_WHOLE_FROM_ONE = ("layers", "hidden", "heads", "kv_heads", "head_dim", "vocab", "context")
_DEFAULT_WEIGHTS = "bf16"


@dataclass(frozen=True)
class ModelShape:
    """Numbers of a released decoder-only model, or of the decoder of an encoder-decoder.

    layers, hidden, heads, kv_heads, head_dim: attention; ffn: width of a dense feed-forward block,
    with three matrices where ``gated`` and two otherwise. vocab: rows of the embedding, padding
    included; tied: the output matrix is the embedding; embedding_width: width of the embedding
    where it is not ``hidden`` (else 0); positions: rows of learned positions.
    attention_bias, ffn_bias, head_bias; norm, norms_per_layer, qk_norm (per head, or over the full
    width), embedding_norm: the small parameters.
    experts, active_experts, expert_ffn: routed experts of each of moe_layers layers; shared_ffn:
    width of all shared experts together.
    kv_rank, query_rank, rope_dim, value_dim: multi-head latent attention (kv_rank 0: none);
    head_dim is then the part of a head without position.
    window: tokens that each of windowed_layers layers attends to; encoder_layers: layers of the
    encoder, which a decoding step does not read; context: longest context of the release.
    weights: number format of the release.
    Raises ValueError where the numbers contradict each other.
    """

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    context: int = 1
    family: str = ""
    gated: bool = True
    tied: bool = False
    embedding_width: int = 0
    positions: int = 0
    attention_bias: str = "none"
    ffn_bias: bool = False
    head_bias: bool = False
    norm: str = "rms"
    norms_per_layer: int = 2
    qk_norm: str = "none"
    embedding_norm: bool = False
    experts: int = 0
    active_experts: int = 0
    expert_ffn: int = 0
    shared_ffn: int = 0
    moe_layers: int = 0
    query_rank: int = 0
    kv_rank: int = 0
    rope_dim: int = 0
    value_dim: int = 0
    window: int = 0
    windowed_layers: int = 0
    encoder_layers: int = 0
    weights: str = _DEFAULT_WEIGHTS

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type != "int":
                continue
            low = 1 if field.name in _WHOLE_FROM_ONE else 0
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value < 2**53:
                allowed = f"a whole number in [{low}, 2^53)"
                raise ValueError(f"{self.name}: {field.name} must be {allowed}, got {value!r}")
        self._require("kv_heads", self.heads % self.kv_heads == 0, f"divide heads {self.heads}")
        self._require("moe_layers", self.moe_layers <= self.layers, f"be at most {self.layers}")
        self._require(
            "windowed_layers", self.windowed_layers <= self.layers, f"be at most {self.layers}"
        )
        good = self.moe_layers == 0 or 1 <= self.active_experts <= self.experts
        self._require("active_experts", good, f"be in [1, {self.experts}]")
        good = self.moe_layers == 0 or self.expert_ffn > 0
        self._require("expert_ffn", good, "be positive for a mixture of experts")
        good = self.kv_rank == 0 or (self.rope_dim > 0 and self.value_dim > 0)
        self._require("rope_dim", good, "be positive, as value_dim, with latent attention")
        self._require("attention_bias", self.attention_bias in BIASES, f"be one of {BIASES}")
        self._require("norm", self.norm in NORMS, f"be one of {NORMS}")
        self._require("qk_norm", self.qk_norm in QK_NORMS, f"be one of {QK_NORMS}")
        number_format(self.weights)

    def _require(self, field: str, holds: bool, what: str) -> None:
        if not holds:
            raise ValueError(f"{self.name}: {field} must {what}, got {getattr(self, field)!r}")

    @property
    def is_moe(self) -> bool:
        """Whether some layers route tokens to experts."""
        return self.moe_layers > 0

    def parameters(self) -> int:
        """All parameters of the release: embedding, encoder and every expert included."""
        return parameters.total(self)

    def active_parameters(self) -> int:
        """Parameters that one token uses: all but the experts it is not sent to."""
        idle = (self.experts - self.active_experts) * parameters.expert(self)
        return self.parameters() - idle

    def read_parameters(self) -> int:
        """Parameters that every decoding pass reads, routed experts aside.

        Neither the rows of an embedding that is not also the output matrix, nor learned positions,
        nor an encoder, nor the projections of its output, which are cached.
        """
        return parameters.read(self)

    def expert_parameters(self) -> int:
        """Parameters of one routed expert in every layer that has it; 0 for a dense model."""
        return parameters.expert(self)

    def bytes(self, dtype: str = "") -> float:
        """Bytes of all weights in a format, by default that of the release [byte]."""
        form = number_format(dtype or self.weights)
        outer = parameters.outer(self)
        experts = self.experts * parameters.expert(self)
        return self._stored(form, outer, self.parameters() - outer - experts, experts)

    def read_bytes(self, dtype: str = "") -> float:
        """Bytes that every decoding pass reads, routed experts aside [byte]."""
        form = number_format(dtype or self.weights)
        head = parameters.head(self)
        return self._stored(form, head, self.read_parameters() - head, 0)

    def expert_bytes(self, dtype: str = "") -> float:
        """Bytes of one routed expert in every layer that has it [byte]."""
        return self._stored(number_format(dtype or self.weights), 0, 0, parameters.expert(self))

    def _stored(self, form: NumberFormat, outer: int, layers: int, experts: int) -> float:
        """Bytes of so many parameters outside the layers, in the layers, and in the experts."""
        rest = 2.0 if form.holds != "all" else form.bytes
        # A release whose experts alone are packed is dense when it has none.
        inner = form.bytes if form.holds != "experts" else 2.0
        return outer * rest + layers * inner + experts * form.bytes

    def pass_bytes(self, tokens: ArrayLike, dtype: str = "") -> Any:
        """Mean bytes of weights that a pass over ``tokens`` tokens, all sequences together, reads.

        A mixture of experts touches more of them with every token, routed uniformly [byte].
        """
        read = self.read_bytes(dtype)
        if not self.is_moe:
            return read + np.zeros_like(check("pass_tokens", tokens, label="tokens"))
        touched = experts_touched(
            tokens, 1.0, experts=self.experts, active_experts=self.active_experts
        )
        return read + self.expert_bytes(dtype) * touched

    def kv_bytes_per_token(self, dtype: str = "bf16") -> float:
        """Bytes of cache that one token takes while every layer still attends to it [byte]."""
        size = number_format(dtype).bytes
        if self.kv_rank:
            return self.layers * (self.kv_rank + self.rope_dim) * size
        return float(
            kv_bytes_per_token(
                self.layers, self.kv_heads, head_size=self.head_dim, value_bytes=size
            )
        )

    def cached_tokens(self, context: ArrayLike) -> Any:
        """Tokens that a layer attends to on average at a context, windows taken into account."""
        ctx = check("context", context)
        if not self.window:
            return ctx
        share = self.windowed_layers / self.layers
        return (1.0 - share) * ctx + share * np.minimum(ctx, self.window)

    def cache_bytes(self, context: ArrayLike, dtype: str = "bf16") -> Any:
        """Bytes of cache that one sequence of ``context`` tokens holds and a pass reads [byte]."""
        return self.kv_bytes_per_token(dtype) * self.cached_tokens(context)

    def token_ops(self) -> float:
        """Operations of a pass per token, attention to the cache aside: two a parameter [op]."""
        used = self.read_parameters() + self.active_experts * parameters.expert(self)
        return 2.0 * used

    def attention_ops(self) -> float:
        """Operations per token and per cached token that every layer attends to [op]."""
        if self.kv_rank:  # scores and values both against the compressed cache
            return 2.0 * self.layers * self.heads * (2 * self.kv_rank + self.rope_dim)
        return 4.0 * self.layers * self.heads * self.head_dim

    def flops_per_token(self, context: ArrayLike = 0.0) -> Any:
        """Operations of a pass per token at a context [op]."""
        return self.token_ops() + self.attention_ops() * self.cached_tokens(context)
