r"""How far a draft agrees with a target along text that the target wrote.

At each new token of the text, with p and q the laws of target and draft given what is before it:

    overlap = sum over v of min(p_v, q_v)     the probability that a draft token is accepted there
    ratio   = min(1, q_x / p_x)               the same, given that the text goes on with token x

The overlap is the mean of the ratio over x drawn from p. The temperature applies to p and q alike;
at 0 they are 1 where the largest logit of the draft is the target's (the text's token), else 0. The
ratio is what `walk` needs to tell exactly which rounds would have produced the text.
Source: overlap from arXiv:2211.17192v2, theorem 3.5; ratio derived here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .device import NotFiniteError
from .plans import check_temperature
from .runner import Runner

# Logits of both models and what is made of them, held at once.
MEMORY_BYTES = 256 * 2**20
_COPIES = 6


@dataclass(frozen=True)
class Text:
    """prompt: token ids before the text; tokens: those that the target wrote."""

    prompt: list[int]
    tokens: list[int]


class TextLaws:
    """Logits of a target at every new token of some texts, kept for several drafts.

    Texts are read in groups whose logits fit into ``memory_bytes``; a text that does not fit by
    itself is still read, alone.
    """

    def __init__(
        self,
        target: Any,
        texts: Sequence[Text],
        *,
        temperature: float,
        vocabulary: int | None = None,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self.vocabulary = vocabulary
        self.temperature = check_temperature(temperature)
        self.target = target
        self.texts = list(texts)
        self.memory_bytes = memory_bytes
        self._kept: dict[tuple[int, int], Tensor] = {}
        for i, text in enumerate(self.texts):
            if not text.prompt or not text.tokens:
                raise ValueError(f"text {i} needs a prompt and tokens behind it, got none")

    def entropies(self) -> list[list[float]]:
        """Entropy of the target's law at each new token [nat]; at temperature 0 that at 1."""
        found: list[list[float]] = []
        for first, last in self._groups():
            logits = self._logits(first, last)
            if self.temperature not in (0.0, 1.0):
                logits = logits / self.temperature
            log_p = logits.log_softmax(-1)
            values = -(log_p.exp() * log_p).nan_to_num(0.0).sum(-1)
            found += self._by_text(values, first, last)
        return found

    def overlaps(self, draft: Any) -> list[tuple[list[float], list[float]]]:
        """(overlap, ratio) at each new token of every text."""
        found: list[tuple[list[float], list[float]]] = []
        for first, last in self._groups():
            both = self._agreement(self._logits(first, last), draft, first, last)
            rows = (self._by_text(values, first, last) for values in both)
            found += zip(*rows, strict=True)
        return found

    @torch.inference_mode()
    def _agreement(
        self, target: Tensor, draft: Any, first: int, last: int
    ) -> tuple[Tensor, Tensor]:
        own = self._tokens(first, last, target.device)[..., None]
        other = new_token_logits(draft, self.texts[first:last], "draft")[..., : self.vocabulary]
        if other.shape != target.shape:
            raise ValueError(
                "draft must have the target's vocabulary, "
                f"got {other.shape[-1]} tokens for {target.shape[-1]}"
            )
        if self.temperature == 0.0:
            choice = other.argmax(-1)
            return (choice == target.argmax(-1)).double(), (choice == own[..., 0]).double()
        p = (target / self.temperature).softmax(-1)
        q = (other / self.temperature).softmax(-1)
        overlap = torch.minimum(p, q).sum(-1).clamp_max(1.0)
        # The target wrote the token, so p > 0 but for rounding; q / p would then be above 1.
        ratio = (q.gather(-1, own) / p.gather(-1, own).clamp_min(1e-38)).clamp_max(1.0)
        return overlap, ratio[..., 0]

    def _groups(self) -> list[tuple[int, int]]:
        """Ranges of texts, each within the memory."""
        vocabulary = self.target.config.get_text_config().vocab_size
        longest = max(len(t.prompt) + len(t.tokens) for t in self.texts)
        size = max(1, self.memory_bytes // (_COPIES * 4 * longest * vocabulary))
        return [(i, min(i + size, len(self.texts))) for i in range(0, len(self.texts), size)]

    def _logits(self, first: int, last: int) -> Tensor:
        if (first, last) not in self._kept:
            self._kept.clear()
            logits = new_token_logits(self.target, self.texts[first:last], "target")
            self._kept[first, last] = logits[..., : self.vocabulary]
        return self._kept[first, last]

    def _tokens(self, first: int, last: int, device: torch.device) -> Tensor:
        return _padded([t.tokens for t in self.texts[first:last]], device)

    def _by_text(self, values: Tensor, first: int, last: int) -> list[list[float]]:
        rows = values.double().tolist()
        return [r[: len(t.tokens)] for r, t in zip(rows, self.texts[first:last], strict=True)]


@torch.inference_mode()
def new_token_logits(model: Any, texts: Sequence[Text], name: str) -> Tensor:
    """Logits behind the tokens before each new token: (texts, longest, vocabulary), float32.

    Rows of shorter texts are padded with what follows from padding. Raises NotFiniteError.
    """
    rows = [[*t.prompt, *t.tokens] for t in texts]
    device = next(model.parameters()).device
    longest = max(len(r) for r in rows) - 1
    new = max(len(t.tokens) for t in texts)
    runner = Runner(model, batch=len(rows), capacity=longest)
    runner_logits = runner.extend(_padded([r[:-1] for r in rows], device))
    starts = torch.tensor([len(t.prompt) - 1 for t in texts], device=device)
    at = (starts[:, None] + torch.arange(new, device=device)).clamp_max(longest - 1)
    logits = runner_logits[torch.arange(len(rows), device=device)[:, None], at].float()
    if not bool(logits.isfinite().all()):
        raise NotFiniteError(f"the {name} gave logits that are not finite numbers")
    return logits


def _padded(rows: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    longest = max(len(r) for r in rows)
    return torch.tensor([[*r, *[0] * (longest - len(r))] for r in rows], device=device)
