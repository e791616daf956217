"""The numbers that a model's release states of its decoder, checked against one another."""

from __future__ import annotations

from dataclasses import dataclass, fields

from .formats import number_format

BIASES = ("none", "qkv", "o", "qkvo")
NORMS = ("rms", "layer", "none")
QK_NORMS = ("none", "head", "width")
RECURRENCES = ("none", "delta", "kda", "mamba", "conv")
_WHOLE_FROM_ONE = ("layers", "hidden", "heads", "kv_heads", "head_dim", "vocab", "context")
_DEFAULT_WEIGHTS = "bf16"


@dataclass(frozen=True)
class Dimensions:
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
