r"""Ceilings that no draft passes: the entropy of the text, and the bandwidth of the memory.

    E[N] <= ln((k + 1)(V - 1) + 1) / H,   tokens/s <= E[N] / (time to read weights and cache)

A verifying pass over a tree of k draft tokens ends in one of (k + 1)(V - 1) + 1 ways. If each next
token has entropy H, the entropy of the way it ends is exactly H E[N]; it cannot exceed the
logarithm of the number of ways.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..costs.roofline import MEMORY_TIME, memory_time
from ..domain import check, unwrap
from ..formula import evaluates, formula
from ..rounds import TOKENS, tokens_per_round
from ..symbols import register

register(
    "verified_nodes",
    "k",
    "draft tokens that one verifying pass checks, in a chain or a tree",
    unit="token",
    integer=True,
)
register("vocabulary", "V", "tokens of the vocabulary", unit="token", low=2.0, integer=True)
register("entropy", "H", "entropy of the next token", unit="nat", open_low=True)


@formula(
    "entropy_ceiling", r"\mathrm{E}[N]_{\max}", group="headroom",
    verified_nodes=64, vocabulary=32000, entropy=1.5,
)  # fmt: skip
def ENTROPY_CEILING(s: Any) -> Any:
    """No draft of k tokens, chain or tree, makes a round emit more tokens than this on average.

    Assumes: next tokens independent with the same entropy, drafts fixed before the pass.
    Wrong when: entropy varies with the context; drafts then go where it is low.
    Source: derived here by counting the ways a pass ends; a bound of this kind is in
    arXiv:2504.15475.
    """
    import sympy

    ways = (s.verified_nodes + 1) * (s.vocabulary - 1) + 1
    return sympy.log(ways) / s.entropy


@formula(
    "hardware_ceiling", r"\mathrm{tok/s}_{\max}", group="headroom",
    alpha=0.8, gamma=5, weight_bytes=16e9, kv_bytes=131072, batch=8, context=4000, bandwidth=3e12,
)  # fmt: skip
def HARDWARE_CEILING(s: Any) -> Any:
    """Tokens per second of one sequence cannot exceed E[N] per reading of weights and caches.

    Assumes: independent acceptance, every verifying pass reads all weights and caches once;
    drafting is free.
    Wrong when: only some experts are read, or weights stay in a cache on the chip.
    Source: derived here.
    """
    return TOKENS.build(s) / MEMORY_TIME.build(s)


@evaluates(ENTROPY_CEILING)
def entropy_ceiling(verified_nodes: ArrayLike, vocabulary: ArrayLike, entropy: ArrayLike) -> Any:
    """ln((k + 1)(V - 1) + 1) / H: the most tokens that a round emits on average [token].

    verified_nodes: whole number >= 0 [token]; vocabulary: whole number >= 2; entropy: > 0 [nat].
    Shapes broadcast. At k = 0 it is ln V / H >= 1. Raises ValueError outside these ranges.
    """
    k, v = check("verified_nodes", verified_nodes), check("vocabulary", vocabulary)
    return unwrap(np.log((k + 1.0) * (v - 1.0) + 1.0) / check("entropy", entropy))


@evaluates(HARDWARE_CEILING)
def hardware_ceiling(
    alpha: ArrayLike,
    gamma: ArrayLike,
    *,
    weight_bytes: ArrayLike,
    kv_bytes: ArrayLike,
    bandwidth: ArrayLike,
    batch: ArrayLike = 1.0,
    context: ArrayLike = 0.0,
) -> Any:
    """The most tokens per second of one of ``batch`` sequences [token/s].

    alpha: in [0, 1]; gamma: >= 0 [token]; weight_bytes, bandwidth: > 0 [byte], [byte/s];
    kv_bytes: >= 0 [byte] of cache per token; batch: >= 1; context: >= 0 [token]. Shapes broadcast.
    Raises ValueError outside these ranges.
    """
    reading = memory_time(
        batch=batch,
        context=context,
        weight_bytes=weight_bytes,
        kv_bytes=kv_bytes,
        bandwidth=bandwidth,
    )
    return unwrap(np.asarray(tokens_per_round(alpha, gamma)) / np.asarray(reading))
