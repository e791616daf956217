r"""The exact rejection rule, batched: how many draft tokens stand, and which token comes next.

A draft token x, drawn from q, is accepted with probability min(1, p(x) / q(x)), up to the first
rejection; the next token comes from the residual max(p - q, 0) at the rejected position, or from p
behind the last draft token where all were accepted. The emitted tokens then have the law of the
target alone.

No Python loop over positions, no branch that needs a value on the host: on a GPU nothing waits.
Draws invert the cumulated law in double precision, which on a CPU takes an eighth of the time of
exponential draws for every token of the vocabulary, and never returns a token of probability 0.
Source: arXiv:2211.17192v2, algorithm 1; arXiv:2302.01318v1, algorithm 2.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

# The residual of a rejected token has a mass of at least the rounding of a float, about 1e-8. This
# share of p changes it by less than rounding does, and stands in where rounding left nothing.
_SHARE = 1e-20


class Verdict(NamedTuple):
    """accepted: leading draft tokens that stand, 0..gamma; token: the one emitted after them;
    sound: whether the laws at the deciding position were finite. Each of shape (batch,)."""

    accepted: Tensor
    token: Tensor
    sound: Tensor


def token_law(logits: Tensor, temperature: float, *, out: Tensor | None = None) -> Tensor:
    """Probabilities of logits (..., vocabulary) at a temperature > 0, in single precision."""
    scaled = logits.float()
    if temperature != 1.0:
        scaled = scaled / temperature
    return torch.softmax(scaled, dim=-1, out=out)


def draw(weights: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """(token, total weight), each of shape (batch,): one token a row in proportion to its weight.

    weights: (batch, vocabulary), >= 0; uniform: (batch,) in [0, 1), double precision. The token is
    the first whose cumulated weight exceeds uniform x total, so one of weight 0 is never drawn.
    """
    cumulated = weights.cumsum(-1, dtype=torch.float64)
    total = cumulated[:, -1]
    at = torch.searchsorted(cumulated, (uniform * total)[:, None], right=True)[:, 0]
    # Only a law that is not finite can end beyond the vocabulary.
    return at.clamp_max_(weights.shape[-1] - 1), total


def verify(
    draft_law: Tensor | None,
    target_logits: Tensor,
    *,
    draft_tokens: Tensor,
    uniforms: Tensor | None,
    temperature: float,
) -> Verdict:
    """Apply the rule to one round of every row.

    draft_law: probabilities that the draft tokens were drawn from, (batch, gamma, vocabulary), at
    the same temperature. target_logits: (batch, gamma + 1, vocabulary). draft_tokens: (batch,
    gamma). uniforms: (batch, gamma + 1) in [0, 1), double precision: one for each test and one for
    the next token. At temperature 0 a draft token stands where it is the target's largest logit,
    and neither draft_law nor uniforms is read.
    """
    if temperature == 0.0:
        return _verify_largest(target_logits, draft_tokens)
    assert draft_law is not None
    assert uniforms is not None
    batch, gamma = draft_tokens.shape
    p = token_law(target_logits, temperature)
    index = draft_tokens[:, :, None]
    p_token = p[:, :gamma].gather(2, index)[:, :, 0]
    q_token = draft_law.gather(2, index)[:, :, 0]
    # u < p / q without the division; a token with p = 0 never stands.
    stands = uniforms[:, :gamma] * q_token < p_token
    accepted = stands.cumprod(1, dtype=torch.int64).sum(1)
    row = torch.arange(batch, device=p.device)
    p_here = p[row, accepted]
    q_here = draft_law[row, accepted.clamp_max(gamma - 1)]
    rejected = (accepted < gamma)[:, None]
    residual = torch.addcmul(p_here, q_here, rejected.to(q_here.dtype), value=-1.0).clamp_min_(0.0)
    token, total = draw(residual.add_(p_here, alpha=_SHARE), uniforms[:, gamma])
    return Verdict(accepted, token, total.isfinite())


def _verify_largest(target_logits: Tensor, draft_tokens: Tensor) -> Verdict:
    largest, choice = target_logits.max(-1)
    stands = choice[:, :-1] == draft_tokens
    accepted = stands.cumprod(1, dtype=torch.int64).sum(1)
    token = choice.gather(1, accepted[:, None])[:, 0]
    return Verdict(accepted, token, largest.isfinite().all(-1))
