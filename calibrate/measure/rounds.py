r"""The rounds of speculative decoding over a batch, one after another, and what they emitted.

A round is gamma passes of the draft, each with a draw, one pass of the target over gamma + 1 tokens
and the rule of `rejection`. What decodes a text and what times a round both run this code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .device import NotFiniteError
from .rejection import draw, token_law, verify
from .runner import Runner

Mark = Callable[[str], None]  # of `Stopwatch`, where a round is timed by parts


class SpeculativeRounds:
    """The state of a batch between rounds.

    held: tokens of each row in the target's cache, all but `last`, which is pending; behind: tokens
    that the draft reads first, (batch, 1 or 2).
    """

    def __init__(
        self,
        target: Runner,
        draft: Runner,
        gamma: int,
        temperature: float,
        seed: int,
        vocabulary: int | None,
    ) -> None:
        self.vocabulary = vocabulary
        self.target, self.draft, self.gamma, self.temperature = target, draft, gamma, temperature
        self.device, self.batch = target.device, target.batch
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self.laws: Tensor | None = None
        self.fed: list[Tensor] = []
        self.next: list[Tensor] = []
        self.accepted: list[list[int]] = []
        self.sizes: list[Tensor] = []
        self.sound: list[Tensor] = []

    def hold_laws(self, vocabulary: int) -> None:
        """Make room for the laws of a round's draft tokens, which the rule needs above 0."""
        if self.temperature != 0.0:
            shape = (self.gamma, self.batch, vocabulary)
            self.laws = torch.empty(shape, device=self.device, dtype=torch.float32)

    def start(self, prompts: Sequence[Sequence[int]]) -> None:
        """Read the prompts with both models and draw each row's first token."""
        self.target.reset()
        self.draft.reset()
        u = uniforms_of(self.batch, 1, self.temperature, self.generator)
        logits = self.target.prefill(prompts)[:, : self.vocabulary]
        self.draft.prefill(prompts)
        token, size = pick(logits, self.temperature, u, 0)
        self.first, self.last = token, token
        self.first_size = [size]
        self.known = [len(p) for p in prompts]
        self.held = torch.tensor(self.known, device=self.device)
        self.hold_laws(logits.shape[-1])
        if self.batch > 1:
            before = torch.tensor([p[-1] for p in prompts], device=self.device)
            self.behind = torch.stack([before, token], 1)
            self.draft.rollback(self.held - 1, most=max(self.known) - 1)
        else:
            self.behind = token[:, None]

    def place(self, context: int, pending: Tensor, *, behind: int) -> None:
        """Go back to rows of ``context`` tokens, to time a round from there once more.

        pending: (batch, 2) tokens of which the last is pending; behind: how many of them the draft
        has not read, 1, or 2 as after a round that was accepted whole (several rows always 2). Both
        models must hold ``context`` tokens at least.
        """
        self.known, self.ends = [context] * self.batch, [context + self.gamma + 1] * self.batch
        self.held = torch.full((self.batch,), context, device=self.device)
        self.ceiling = self.held + self.gamma + 1
        self.last, self.behind = pending[:, 1], pending[:, 2 - behind :]
        self.target.rollback(self.held, most=context)
        self.draft.rollback(self.held + 1 - behind, most=context + 1 - behind)
        for kept in (self.fed, self.next, self.accepted, self.sizes, self.sound):
            kept.clear()

    def run(self, new_tokens: int, mark: Mark) -> None:
        """Rounds until every row has its tokens."""
        self.ends = [k + new_tokens - 1 for k in self.known]
        # An idle row stays where it ended, within its capacity; what it reads is of no account.
        self.ceiling = torch.tensor(self.ends, device=self.device)
        while self.known != self.ends:
            self.round(mark)
            mark("other_s")

    def round(self, mark: Mark = lambda part: None) -> None:
        """One round of every row. mark: told the name of each part where it ends."""
        fed = self._draft_tokens(mark)
        logits = self.target.extend(fed, clone=False)[..., : self.vocabulary]
        mark("verify_s")
        verdict = verify(
            self.laws.transpose(0, 1) if self.laws is not None else None,
            logits,
            draft_tokens=fed[:, 1:],
            uniforms=self.tests,
            temperature=self.temperature,
        )
        accepted = verdict.accepted.tolist()
        mark("rule_s")
        self._keep(fed, verdict.token, accepted, verdict.accepted)
        self.sound.append(verdict.sound)

    def _draft_tokens(self, mark: Mark) -> Tensor:
        """The pending token and gamma draft tokens behind it, (batch, gamma + 1)."""
        gamma, temperature = self.gamma, self.temperature
        u = uniforms_of(self.batch, 2 * gamma + 1, temperature, self.generator)
        self.tests = u[:, gamma:] if u is not None else None
        fed, feed = [self.last], self.behind
        for k in range(gamma):
            logits = self.draft.extend(feed, clone=False)[:, -1, : self.vocabulary]
            mark("draft_s" if k else "first_draft_s")
            token, size = pick(
                logits, temperature, u, k, out=self.laws[k] if self.laws is not None else None
            )
            fed.append(token)
            self.sizes.append(size)
            feed = token[:, None]
            mark("draw_s")
        return torch.stack(fed, 1)

    def _keep(
        self,
        fed: Tensor,
        token: Tensor,
        accepted: list[int],
        counts: Tensor,
    ) -> None:
        """Take note of the round and take back what was not accepted."""
        self.fed.append(fed)
        self.next.append(token)
        self.accepted.append(accepted)
        self.last = token
        self.held = torch.minimum(self.held + counts + 1, self.ceiling)
        self.known = [
            min(k + a + 1, e) for k, a, e in zip(self.known, accepted, self.ends, strict=True)
        ]
        most = max(self.known)
        self.target.rollback(self.held, most=most)
        if self.batch > 1:
            self.behind = torch.stack([fed.gather(1, counts[:, None])[:, 0], token], 1)
            self.draft.rollback(self.held - 1, most=most - 1)
        elif accepted[0] == self.gamma:
            # The draft has not read its own last token, so there is nothing to take back.
            self.behind = torch.stack([fed[:, -1], token], 1)
        else:
            self.draft.rollback(self.held, most=most)
            self.behind = token[:, None]

    def collected(self, new_tokens: int) -> tuple[list[list[int]], list[list[int]], list[int]]:
        """(tokens, accepted by round, surplus) of each request, on the host."""
        require_finite(self.first_size, "target")
        rows = [[int(t)] for t in self.first.tolist()]
        counts: list[list[int]] = [[] for _ in rows]
        if self.fed:
            drafted = torch.stack(self.fed)[:, :, 1:].tolist()
            following = torch.stack(self.next).tolist()
            # A draft without a law spoils the rule too, so it is asked first.
            require_finite(self.sizes, "draft")
            if not bool(torch.stack(self.sound).all()):
                raise NotFiniteError("the target gave logits that are not finite numbers")
            for tokens, next_tokens, accepted in zip(
                drafted, following, self.accepted, strict=True
            ):
                for b, row in enumerate(rows):
                    if len(row) < new_tokens:
                        row += [*tokens[b][: accepted[b]], next_tokens[b]]
                        counts[b].append(accepted[b])
        return [row[:new_tokens] for row in rows], counts, [len(row) - new_tokens for row in rows]


def uniforms_of(
    batch: int, count: int, temperature: float, generator: torch.Generator
) -> Tensor | None:
    """Uniform draws in [0, 1), (batch, count), double precision; None at temperature 0."""
    if temperature == 0.0:
        return None
    return torch.rand(
        batch, count, dtype=torch.float64, device=generator.device, generator=generator
    )


def pick(
    logits: Tensor,
    temperature: float,
    uniforms: Tensor | None,
    column: int,
    *,
    out: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """(token, size) of each row; the size is finite where the law is."""
    if uniforms is None:
        size, token = logits.max(-1)
        return token, size
    return draw(token_law(logits, temperature, out=out), uniforms[:, column])


def require_finite(sizes: list[Tensor], model: str) -> None:
    """Raise NotFiniteError, naming the model, where a size that `pick` gave is no finite number."""
    if not bool(torch.stack([s.double() for s in sizes]).isfinite().all()):
        raise NotFiniteError(f"the {model} gave logits that are not finite numbers")
