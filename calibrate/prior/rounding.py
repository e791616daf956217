r"""What packing the weights of a draft costs it in acceptance.

    1 - alpha' = sqrt((1 - alpha)^2 + r_w^2)

r_w is how often a model packed into w bits prefers another token than it did before. Rounding moves
logits at random and knows nothing of what parts draft and target, so that the two errors add as
variances do, and rejection, which grows with the size of the error, as their root. r_w of
llama.cpp's formats of nested blocks is the geometric mean of LLaMA-2-7B and LLaMA-3-8B over
Wikitext (4.0 and 2.3 % of the tokens for q6_K and q8_0 of the latter); formats without nested
blocks, such as q4_0, lose 1.25 times as much at the same bits, by the root of their divergences.
Assumes: the draft is as robust as those two models; rounding to the nearest, without training.
Source: github.com/ggml-org/llama.cpp, examples/perplexity/README.md (pull request 6936); the sum is
derived here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...theory.domain import Floats
from ..models import number_format
from .acceptance_forecast import AcceptanceForecast

# Bits a number, and the share of tokens on which the packed model disagrees with itself.
_BITS = (3.0, 4.85, 6.5625, 8.5)
_DISAGREES = (0.204, 0.0657, 0.0314, 0.0164)
_UNNESTED = 1.25
_PLAIN = 16.0  # bits that lose nothing


def disagreement(dtype: str) -> float:
    """Share of tokens on which a model in a format prefers another one than in 16 bits, "" none."""
    if not dtype or number_format(dtype).bits >= _PLAIN:
        return 0.0
    form = number_format(dtype)
    share = float(np.exp(np.interp(form.bits, _BITS, np.log(_DISAGREES))))
    return share * (1.0 if form.nested else _UNNESTED)


def rounded(forecast: AcceptanceForecast, dtypes: Sequence[str]) -> AcceptanceForecast:
    """The forecast of drafts, alpha of shape (drafts, draws), with their weights packed.

    dtypes: one a draft, "" for 16 bits.
    """
    share = np.array([disagreement(d) for d in dtypes])
    if not share.any():
        return forecast
    assert isinstance(forecast.belief, tuple)
    mean, variance = forecast.belief
    moved = np.log(-np.log(_with(np.exp(-np.exp(np.minimum(mean, 6.0))), share)))
    alpha = _with(forecast.alpha, share[:, None])
    return replace(forecast, alpha=alpha, belief=(np.where(share > 0.0, moved, mean), variance))


def _with(alpha: Floats, share: Floats) -> Floats:
    return np.asarray(np.maximum(1.0 - np.hypot(1.0 - alpha, share), 1e-9))
