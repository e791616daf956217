r"""Decoding batches by our own passes, plainly or in rounds by the exact rejection rule.

A round of speculative decoding (SpS, arXiv:2302.01318) is gamma passes of the draft, one pass of
the target over gamma + 1 tokens, and the rule of `rejection`. The first pass of the draft also
catches up with what it has not read: one token, or two behind a fully accepted round. In a batch it
reads two in every row each time, the first of them again where need be, so that all rows run the
same shapes.

Both kinds of decoding draw the first token from the prefill, so `new_tokens` - 1 are decoded.
Rounds are never shortened: what the last one emits beyond `new_tokens` is thrown away and counted
as surplus. A row that has finished runs on, idle, until the slowest row of the batch has. Rows do
not stop at an end token, so that every run has the same length.

The law of the tokens is that of the target. At temperature 0 they are the target's own as far as
its largest logit is unique in floating point: a pass over several tokens and a pass over one add up
in another order, and may settle an exact or almost exact tie differently.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .device import Stopwatch
from .plans import check_temperature, check_whole
from .rounds import SpeculativeRounds, pick, require_finite, uniforms_of
from .runner import Runner


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


def decode_plain(
    target: Runner,
    prompts: Sequence[Sequence[int]],
    *,
    new_tokens: int,
    temperature: float,
    seed: int,
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
        u = uniforms_of(target.batch, new_tokens, temperature, generator)
        target.reset()
        token, size = pick(target.prefill(prompts)[:, :vocabulary], temperature, u, 0)
        tokens, sizes = [token], [size]
        wait()
        prefilled = clock()
        for step in range(1, new_tokens):
            logits = target.extend(token[:, None], clone=False)[:, -1, :vocabulary]
            token, size = pick(logits, temperature, u, step)
            tokens.append(token)
            sizes.append(size)
        rows = torch.stack(tokens, 1).tolist()
        require_finite(sizes, "target")
        done = clock()
    none: list[list[int]] = [[] for _ in rows]
    return Generation(rows, none, 0, [0] * len(rows), prefilled - started, done - prefilled)


def decode_speculative(
    target: Runner,
    draft: Runner,
    prompts: Sequence[Sequence[int]],
    *,
    gamma: int,
    new_tokens: int,
    temperature: float,
    seed: int,
    vocabulary: int | None = None,
    timed: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> Generation:
    """Decode in rounds of gamma draft tokens. timed: also account for the time by parts.

    target, draft: of the same batch, with room for the prompt, new_tokens and gamma more.
    vocabulary: tokens that both models know, where their logits are padded to different numbers.
    Raises ValueError as `decode_plain` does, and for gamma below 1.
    """
    check_whole("gamma", gamma)
    temperature = _checked([target, draft], prompts, new_tokens, temperature, surplus=gamma)
    with torch.inference_mode():
        rounds = SpeculativeRounds(target, draft, gamma, temperature, seed, vocabulary)
        wait = _waiter(target.device)
        started = clock()
        rounds.start(prompts)
        wait()
        prefilled = clock()
        watch = Stopwatch(target.device, clock) if timed else None
        rounds.run(new_tokens, watch.mark if watch is not None else lambda part: None)
        tokens, accepted, surplus = rounds.collected(new_tokens)
        done = clock()
    parts = watch.seconds() if watch is not None else None
    return Generation(
        tokens, accepted, gamma, surplus, prefilled - started, done - prefilled, parts
    )


def _checked(
    models: Sequence[Runner],
    prompts: Sequence[Sequence[int]],
    new_tokens: int,
    temperature: float,
    *,
    surplus: int,
) -> float:
    check_whole("new_tokens", new_tokens)
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


def _waiter(device: Any) -> Callable[[], None]:
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return lambda: None
