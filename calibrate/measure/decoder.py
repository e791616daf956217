r"""Plain and speculative decoding over a batch, with our own passes and the exact rejection rule.

A round of speculative decoding (SpS, arXiv:2302.01318) is gamma passes of the draft, one pass of
the target over gamma + 1 tokens, and the rule of `rejection`. The first pass of the draft also
catches up with what it has not read: one token, or two behind a fully accepted round. In a batch it
reads two in every row each time, the first of them again where need be, so that all rows run the
same shapes.

Both kinds of decoding draw the first token from the prefill, so `new_tokens` - 1 are decoded.
Rounds are never shortened: what the last one emits beyond `new_tokens` is thrown away and counted
as surplus. A row that has finished runs on, idle, until the slowest row of the batch has. Rows do
not stop at an end token unless one is named, so that every run has the same length.

The law of the tokens is that of the target. At temperature 0 they are the target's own as far as
its largest logit is unique in floating point: a pass over several tokens and a pass over one add up
in another order, and may settle an exact or almost exact tie differently.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from .rejection import check_temperature, draw, token_law, verify
from .stopwatch import Stopwatch


class Passes(Protocol):
    """What decoding asks of a model: `runner.Runner`, or anything with this interface."""

    @property
    def batch(self) -> int: ...
    @property
    def capacity(self) -> int: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def lengths(self) -> Tensor: ...
    def extend(self, tokens: Tensor, *, clone: bool = True) -> Tensor: ...
    def prefill(self, prompts: Sequence[Sequence[int]]) -> Tensor: ...
    def rollback(self, lengths: Tensor, *, most: int | None = None) -> None: ...
    def reset(self) -> None: ...


@dataclass(frozen=True)
class Generation:
    """What a batch of requests gave.

    tokens: the new tokens of each request, the prompt not among them. accepted: draft tokens
    accepted in each round of each request, the surplus of the last round included; empty for plain
    decoding. gamma: draft tokens of a round, 0 for plain. surplus: tokens that a request's last
    round emitted beyond the end. prefill_s: reading the prompts, with both models, and the first
    token. decode_s: all the rest. parts_s: decode_s by what it was spent on, where asked for.
    """

    tokens: list[list[int]]
    accepted: list[list[int]]
    gamma: int
    surplus: list[int]
    prefill_s: float
    decode_s: float
    parts_s: dict[str, float] | None = None


class NotFiniteError(ValueError):
    """A model gave logits that are not finite numbers."""


def decode_plain(
    target: Passes,
    prompts: Sequence[Sequence[int]],
    *,
    new_tokens: int,
    temperature: float,
    seed: int,
    stop_token: int | None = None,
    vocabulary: int | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Generation:
    """Decode token by token; one pass of the target each.

    vocabulary: tokens that count, where the logits have more of them for padding. Raises
    ValueError for an empty prompt, a length beyond the capacity, a temperature out of range, or
    logits that are not finite.
    """
    temperature = _checked([target], prompts, new_tokens, temperature, surplus=0)
    device = target.device
    wait = _waiter(device)
    generator = torch.Generator(device).manual_seed(seed)
    with torch.inference_mode():
        started = clock()
        u = _uniforms(target.batch, new_tokens, temperature, generator)
        target.reset()
        token, size = _pick(target.prefill(prompts)[:, :vocabulary], temperature, u, 0)
        tokens, sizes = [token], [size]
        wait()
        prefilled = clock()
        unstopped = set(range(target.batch)) if stop_token is not None else None
        for step in range(1, new_tokens):
            if unstopped is not None:
                seen = token.tolist()
                unstopped = {b for b in unstopped if seen[b] != stop_token}
                if not unstopped:
                    break
            logits = target.extend(token[:, None], clone=False)[:, -1, :vocabulary]
            token, size = _pick(logits, temperature, u, step)
            tokens.append(token)
            sizes.append(size)
        rows = torch.stack(tokens, 1).tolist()
        _require_finite(sizes, "target")
        done = clock()
    cut = [_until(row, stop_token) for row in rows]
    return Generation(
        cut, [[] for _ in cut], 0, [0] * len(cut), prefilled - started, done - prefilled
    )


def decode_speculative(
    target: Passes,
    draft: Passes,
    prompts: Sequence[Sequence[int]],
    *,
    gamma: int,
    new_tokens: int,
    temperature: float,
    seed: int,
    stop_token: int | None = None,
    vocabulary: int | None = None,
    timed: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> Generation:
    """Decode in rounds of gamma draft tokens. timed: also account for the time by parts.

    target, draft: passes over the same batch, with room for the prompt, new_tokens and gamma more.
    vocabulary: tokens that both models know, where their logits are padded to different numbers.
    Raises ValueError as `decode_plain` does, and for gamma below 1.
    """
    if gamma < 1:
        raise ValueError(f"gamma must be a whole number >= 1 to speculate, got {gamma}")
    temperature = _checked([target, draft], prompts, new_tokens, temperature, surplus=gamma)
    with torch.inference_mode():
        rounds = _Rounds(target, draft, gamma, temperature, seed, vocabulary)
        wait = _waiter(target.device)
        started = clock()
        rounds.start(prompts)
        wait()
        prefilled = clock()
        watch = Stopwatch(target.device, clock) if timed else None
        rounds.run(new_tokens, stop_token, watch)
        tokens, accepted, surplus = rounds.collected(new_tokens, stop_token)
        done = clock()
    parts = watch.seconds() if watch is not None else None
    return Generation(
        tokens, accepted, gamma, surplus, prefilled - started, done - prefilled, parts
    )


class _Rounds:
    """The state of a batch between rounds.

    held: tokens of each row in the target's cache, all but `last`, which is pending; behind: tokens
    that the draft reads first, (batch, 1 or 2).
    """

    def __init__(
        self,
        target: Passes,
        draft: Passes,
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

    def start(self, prompts: Sequence[Sequence[int]]) -> None:
        self.target.reset()
        self.draft.reset()
        u = _uniforms(self.batch, 1, self.temperature, self.generator)
        logits = self.target.prefill(prompts)[:, : self.vocabulary]
        self.draft.prefill(prompts)
        token, size = _pick(logits, self.temperature, u, 0)
        self.first, self.last = token, token
        self.first_size = [size]
        self.known = [len(p) for p in prompts]
        self.held = torch.tensor(self.known, device=self.device)
        if self.temperature != 0.0:
            self.laws = torch.empty(
                self.gamma, self.batch, logits.shape[-1], device=self.device, dtype=torch.float32
            )
        if self.batch > 1:
            before = torch.tensor([p[-1] for p in prompts], device=self.device)
            self.behind = torch.stack([before, token], 1)
            self.draft.rollback(self.held - 1, most=max(self.known) - 1)
        else:
            self.behind = token[:, None]

    def run(self, new_tokens: int, stop_token: int | None, watch: Stopwatch | None) -> None:
        ends = [k + new_tokens - 1 for k in self.known]
        # An idle row stays where it ended, within its capacity; what it reads is of no account.
        ceiling = torch.tensor(ends, device=self.device)
        stopped = [stop_token is not None and t == stop_token for t in self.first.tolist()]
        while not all(k >= e or s for k, e, s in zip(self.known, ends, stopped, strict=True)):
            fed = self._draft_tokens(watch)
            logits = self.target.extend(fed, clone=False)[..., : self.vocabulary]
            if watch is not None:
                watch.mark("verify_s")
            verdict = verify(
                self.laws.transpose(0, 1) if self.laws is not None else None,
                logits,
                draft_tokens=fed[:, 1:],
                uniforms=self.tests,
                temperature=self.temperature,
            )
            accepted = verdict.accepted.tolist()
            if watch is not None:
                watch.mark("rule_s")
            self._keep(fed, verdict.token, accepted, verdict.accepted, ends, ceiling)
            self.sound.append(verdict.sound)
            if stop_token is not None:
                for b, row in enumerate(
                    torch.cat([fed[:, 1:], verdict.token[:, None]], 1).tolist()
                ):
                    stopped[b] |= stop_token in [*row[: accepted[b]], row[-1]]
            if watch is not None:
                watch.mark("other_s")

    def _draft_tokens(self, watch: Stopwatch | None) -> Tensor:
        """The pending token and gamma draft tokens behind it, (batch, gamma + 1)."""
        gamma, temperature = self.gamma, self.temperature
        u = _uniforms(self.batch, 2 * gamma + 1, temperature, self.generator)
        self.tests = u[:, gamma:] if u is not None else None
        fed, feed = [self.last], self.behind
        for k in range(gamma):
            logits = self.draft.extend(feed, clone=False)[:, -1, : self.vocabulary]
            if watch is not None:
                watch.mark("draft_s")
            token, size = _pick(
                logits, temperature, u, k, out=self.laws[k] if self.laws is not None else None
            )
            fed.append(token)
            self.sizes.append(size)
            feed = token[:, None]
            if watch is not None:
                watch.mark("draw_s")
        return torch.stack(fed, 1)

    def _keep(
        self,
        fed: Tensor,
        token: Tensor,
        accepted: list[int],
        counts: Tensor,
        ends: list[int],
        ceiling: Tensor,
    ) -> None:
        """Take note of the round and take back what was not accepted."""
        self.fed.append(fed)
        self.next.append(token)
        self.accepted.append(accepted)
        self.last = token
        self.held = torch.minimum(self.held + counts + 1, ceiling)
        self.known = [min(k + a + 1, e) for k, a, e in zip(self.known, accepted, ends, strict=True)]
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

    def collected(
        self, new_tokens: int, stop_token: int | None
    ) -> tuple[list[list[int]], list[list[int]], list[int]]:
        """(tokens, accepted by round, surplus) of each request, on the host."""
        _require_finite(self.first_size, "target")
        rows = [[int(t)] for t in self.first.tolist()]
        counts: list[list[int]] = [[] for _ in rows]
        surplus = [0] * len(rows)
        if self.fed:
            drafted = torch.stack(self.fed)[:, :, 1:].tolist()
            following = torch.stack(self.next).tolist()
            # A draft without a law spoils the rule too, so it is asked first.
            _require_finite(self.sizes, "draft")
            if not bool(torch.stack(self.sound).all()):
                raise NotFiniteError("the target gave logits that are not finite numbers")
            for tokens, next_tokens, accepted in zip(
                drafted, following, self.accepted, strict=True
            ):
                for b, row in enumerate(rows):
                    if len(row) >= new_tokens or (stop_token is not None and stop_token in row):
                        continue
                    row += [*tokens[b][: accepted[b]], next_tokens[b]]
                    counts[b].append(accepted[b])
        for b, row in enumerate(rows):
            kept = _until(row[:new_tokens], stop_token)
            surplus[b] = len(row) - len(kept)
            rows[b] = kept
        return rows, counts, surplus


def _checked(
    models: Sequence[Passes],
    prompts: Sequence[Sequence[int]],
    new_tokens: int,
    temperature: float,
    *,
    surplus: int,
) -> float:
    if new_tokens < 1:
        raise ValueError(f"new_tokens must be a whole number >= 1, got {new_tokens}")
    for i, prompt in enumerate(prompts):
        if len(prompt) < 1:
            raise ValueError(f"prompt {i} is empty: it must hold at least 1 token")
    for model in models:
        if model.batch != len(prompts):
            raise ValueError(f"prompts must be {model.batch}, one a row, got {len(prompts)}")
        needed = max(len(p) for p in prompts) + new_tokens + surplus
        if needed > model.capacity:
            raise ValueError(
                f"capacity must be at least {needed} tokens (prompt, new tokens and a round), "
                f"got {model.capacity}"
            )
    return check_temperature(temperature)


def _uniforms(
    batch: int, count: int, temperature: float, generator: torch.Generator
) -> Tensor | None:
    if temperature == 0.0:
        return None
    return torch.rand(
        batch, count, dtype=torch.float64, device=generator.device, generator=generator
    )


def _pick(
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


def _require_finite(sizes: list[Tensor], model: str) -> None:
    if not bool(torch.stack([s.double() for s in sizes]).isfinite().all()):
        raise NotFiniteError(f"the {model} gave logits that are not finite numbers")


def _until(row: list[int], stop_token: int | None) -> list[int]:
    """The row up to and with the stop token."""
    if stop_token is None or stop_token not in row:
        return row
    return row[: row.index(stop_token) + 1]


def _waiter(device: Any) -> Callable[[], None]:
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return lambda: None
