"""The shape of a decoder: what its parameters, bytes, cache and operations follow from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...theory.costs import experts_touched
from ...theory.domain import check
from . import parameters
from .dimensions import Dimensions
from .formats import NumberFormat, number_format


@dataclass(frozen=True)
class ModelShape(Dimensions):
    """A decoder by its `Dimensions`: its parameters, bytes, cache and operations."""

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
