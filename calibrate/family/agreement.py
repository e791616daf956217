r"""How far a draft q is from its teacher p, over the teacher's k likeliest tokens and the rest.

    divergence = sum_k p_k log(p_k / q_k) + p_rest log(p_rest / q_rest),  p_rest = 1 - sum p_k
    overlap = sum_k min(p_k, q_k) + min(p_rest, q_rest)

Merging tokens lowers the one and raises the other: at most KL(p, q), at least sum min(p, q), which
is the chance that a draft token is accepted.
"""

from __future__ import annotations

import torch

LEAST = 1e-6  # of probability, where the likeliest tokens have all of it


def divergence(logits: torch.Tensor, ids: torch.Tensor, logs: torch.Tensor) -> torch.Tensor:
    """From the teacher to the draft, over its likeliest tokens and the rest: (...) in nats.

    logits: (..., vocabulary) of the draft; ids, logs: (..., k) of the teacher.
    """
    own = logits.gather(-1, ids) - logits.logsumexp(-1, keepdim=True)
    p = logs.exp()
    rest, own_rest = _rest(p), _rest(own.exp())
    return (p * (logs - own)).sum(-1) + rest * (rest.log() - own_rest.log())


def overlap(logits: torch.Tensor, ids: torch.Tensor, logs: torch.Tensor) -> torch.Tensor:
    """sum min(p, q) over the same tokens and the rest: at least the chance to be accepted."""
    own = (logits.gather(-1, ids) - logits.logsumexp(-1, keepdim=True)).exp()
    p = logs.exp()
    return torch.minimum(p, own).sum(-1) + torch.minimum(_rest(p), _rest(own))


def _rest(shares: torch.Tensor) -> torch.Tensor:
    return (1.0 - shares.sum(-1)).clamp_min(LEAST)
