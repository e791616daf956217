"""The shape of a decoder: what its parameters, bytes, cache and operations follow from."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...theory.costs import experts_touched
from ...theory.domain import check
from . import parameters
from .formats import NumberFormat, number_format

BIASES = ("none", "qkv", "o", "qkvo")
NORMS = ("rms", "layer", "none")
QK_NORMS = ("none", "head", "width")
RECURRENCES = ("none", "delta", "kda", "mamba", "conv")
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
    attention_layers, ffn_layers: layers with attention and with a feed-forward block, where not all
    (0: all but the recurrent ones, and all). attention_gate: the output of attention is gated.
    global_head_dim, global_kv_heads: of layers that attend to everything, where they differ from
    the windowed ones; keys_are_values: those layers have no values of their own.
    recurrent: kind of the recurrent_layers, one of `RECURRENCES`; each keeps, for a sequence, a
    state of state_heads x state_key x state_value numbers in 32 bits, and the last conv - 1 inputs
    of a convolution; state_groups: heads of keys, or groups that share them.
    expert_hidden: width in which experts work, where not hidden. output_rank, output_groups: of a
    low-rank output projection. sparse_tokens: tokens of its cache that a layer reads at most, by an
    index; cache_share: share of the tokens that a compressed cache keeps.
    extra: parameters of layers that nothing else counts; lookup: those of tables of which a pass
    reads a row a token.
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
    attention_layers: int = 0
    ffn_layers: int = 0
    attention_gate: bool = False
    global_head_dim: int = 0
    global_kv_heads: int = 0
    keys_are_values: bool = False
    recurrent: str = "none"
    recurrent_layers: int = 0
    state_heads: int = 0
    state_groups: int = 0
    state_key: int = 0
    state_value: int = 0
    conv: int = 0
    expert_hidden: int = 0
    output_rank: int = 0
    output_groups: int = 0
    sparse_tokens: int = 0
    cache_share: float = 1.0
    extra: int = 0
    lookup: int = 0
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
        good = self.kv_rank == 0 or self.value_dim > 0
        self._require("value_dim", good, "be positive with latent attention")
        self._require("attention_bias", self.attention_bias in BIASES, f"be one of {BIASES}")
        self._require("norm", self.norm in NORMS, f"be one of {NORMS}")
        self._require("qk_norm", self.qk_norm in QK_NORMS, f"be one of {QK_NORMS}")
        self._require("recurrent", self.recurrent in RECURRENCES, f"be one of {RECURRENCES}")
        good = (self.recurrent == "none") == (self.recurrent_layers == 0)
        self._require("recurrent_layers", good, "be positive with a recurrence, and only then")
        used = self.attending + self.recurrent_layers
        self._require(
            "recurrent_layers",
            used <= self.layers,
            f"be at most {self.layers} with those of attention",
        )
        self._require("cache_share", 0.0 < self.cache_share <= 1.0, "be in (0, 1]")
        number_format(self.weights)

    def _require(self, field: str, holds: bool, what: str) -> None:
        if not holds:
            raise ValueError(f"{self.name}: {field} must {what}, got {getattr(self, field)!r}")

    @property
    def attending(self) -> int:
        """Layers with attention to a cache."""
        return self.attention_layers or self.layers - self.recurrent_layers

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
        """Bytes of cache that one token takes while every layer still attends to it [byte].

        Recurrent layers keep a state instead, see `state_bytes`.
        """
        return parameters.cached_numbers(self) * self.cache_share * number_format(dtype).bytes

    def state_bytes(self) -> float:
        """Bytes of the recurrent state of one sequence, whatever its length [byte].

        A pass reads and writes it. It cannot be cut back to an earlier token as a cache can: where
        draft tokens are rejected, the state before them must be kept or restored.
        """
        return parameters.state_bytes(self)

    def cached_tokens(self, context: ArrayLike) -> Any:
        """Tokens that a layer with a cache holds on average at a context, windows considered."""
        ctx = check("context", context)
        share = parameters.windowed_share(self) if self.window else 0.0
        return (1.0 - share) * ctx + (share * np.minimum(ctx, self.window) if share else 0.0)

    def read_tokens(self, context: ArrayLike) -> Any:
        """Tokens whose cache a pass reads for one sequence: of `cached_tokens` those that an index
        chooses, and the recurrent state, read and written, as so many tokens more.
        """
        ctx = check("context", context)
        limit = self.sparse_tokens / self.cache_share if self.sparse_tokens else np.inf
        token = self.kv_bytes_per_token()
        return self.cached_tokens(np.minimum(ctx, limit)) + 2.0 * self.state_bytes() / token

    def cache_bytes(self, context: ArrayLike, dtype: str = "bf16") -> Any:
        """Bytes of cache and state that one sequence of ``context`` tokens holds [byte]."""
        return self.kv_bytes_per_token(dtype) * self.cached_tokens(context) + self.state_bytes()

    def token_ops(self) -> float:
        """Operations of a pass per token, attention to the cache aside: two a parameter [op]."""
        used = self.read_parameters() + self.active_experts * parameters.expert(self)
        return 2.0 * used

    def attention_ops(self) -> float:
        """Operations per token and per cached token that every layer attends to [op]."""
        if self.kv_rank:  # scores and values both against the compressed cache
            return 2.0 * self.attending * self.heads * (2 * self.kv_rank + self.rope_dim)
        return 4.0 * self.attending * self.heads * self.head_dim * self.cache_share
