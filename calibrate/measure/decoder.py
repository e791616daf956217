r"""Decoding: batches by our own passes and the exact rejection rule, requests by transformers,
plainly or by its assisted generation (AsG), `generate(assistant_model=...)`.

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

How transformers 5.17 and 5.23 read the settings: the number of draft tokens, its schedule and the
confidence threshold are taken from the generation config of the ASSISTANT, and from nowhere else
(given to `generate` they are ignored). Left alone they are 20 tokens, constant, cut short where
the draft's confidence falls below 0.4. With the schedule "heuristic" the number that a request ends
with is written back and starts the next one. Here all three are set for the request, the threshold
to 0, which turns it off. The rest of both generation configs is transformers' default: what comes
with a model (beams, a repetition penalty, the 20 likeliest tokens, an end token) would change the
law of the text. The configs of the models are put back after every request.

The last rounds draft less: never more than is missing up to the last token but one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig

from .assisted_counts import AssistedRound, count_rounds
from .device import NotMeasurableError, Stopwatch
from .plans import check_temperature
from .rounds import SpeculativeRounds, pick, require_finite, uniforms_of, until_stop
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
        u = uniforms_of(target.batch, new_tokens, temperature, generator)
        target.reset()
        token, size = pick(target.prefill(prompts)[:, :vocabulary], temperature, u, 0)
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
            token, size = pick(logits, temperature, u, step)
            tokens.append(token)
            sizes.append(size)
        rows = torch.stack(tokens, 1).tolist()
        require_finite(sizes, "target")
        done = clock()
    cut = [until_stop(row, stop_token) for row in rows]
    return Generation(
        cut, [[] for _ in cut], 0, [0] * len(cut), prefilled - started, done - prefilled
    )


def decode_speculative(
    target: Runner,
    draft: Runner,
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

    target, draft: of the same batch, with room for the prompt, new_tokens and gamma more.
    vocabulary: tokens that both models know, where their logits are padded to different numbers.
    Raises ValueError as `decode_plain` does, and for gamma below 1.
    """
    if gamma < 1:
        raise ValueError(f"gamma must be a whole number >= 1 to speculate, got {gamma}")
    temperature = _checked([target, draft], prompts, new_tokens, temperature, surplus=gamma)
    with torch.inference_mode():
        rounds = SpeculativeRounds(target, draft, gamma, temperature, seed, vocabulary)
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


def _checked(
    models: Sequence[Runner],
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


def _waiter(device: Any) -> Callable[[], None]:
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return lambda: None


SCHEDULES = ("constant", "heuristic")


@dataclass(frozen=True)
class AssistedGeneration:
    """tokens: the new ones; rounds: as counted, or None for plain; total_s: of the call."""

    tokens: list[int]
    rounds: list[AssistedRound] | None
    total_s: float


def generate_assisted(
    target: Any,
    draft: Any,
    prompt: Sequence[int],
    *,
    gamma: int,
    schedule: str = "constant",
    new_tokens: int,
    temperature: float,
    seed: int,
    clock: Callable[[], float] = time.perf_counter,
) -> AssistedGeneration:
    """One request by assisted generation; target, draft: transformers models on one device.

    gamma: draft tokens of a round, or what the heuristic starts from. End tokens are off, so that
    the request has new_tokens tokens. Raises ValueError for arguments out of range.
    """
    if gamma < 1:
        raise ValueError(f"gamma must be a whole number >= 1 to speculate, got {gamma}")
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule must be one of {', '.join(SCHEDULES)}, got {schedule!r}")
    rows, others = (m.config.get_text_config().vocab_size for m in (target, draft))
    if rows != others:
        raise NotMeasurableError(
            f"transformers assists with equally many logits only: target {rows}, draft {others}"
        )
    assistant = {
        "num_assistant_tokens": gamma,
        "num_assistant_tokens_schedule": schedule,
        "assistant_confidence_threshold": 0.0,
    }
    with _generation(draft, **assistant), count_rounds(target) as counts:
        tokens, total_s = _generate(
            target, prompt, new_tokens, temperature, seed, clock, assistant_model=draft
        )
    return AssistedGeneration(tokens, counts.requests[0], total_s)


def generate_plain(
    target: Any,
    prompt: Sequence[int],
    *,
    new_tokens: int,
    temperature: float,
    seed: int,
    clock: Callable[[], float] = time.perf_counter,
) -> AssistedGeneration:
    """One request by transformers' own plain generate: what assisted generation speeds up."""
    tokens, total_s = _generate(target, prompt, new_tokens, temperature, seed, clock)
    return AssistedGeneration(tokens, None, total_s)


def _generate(
    target: Any,
    prompt: Sequence[int],
    new_tokens: int,
    temperature: float,
    seed: int,
    clock: Callable[[], float],
    **more: Any,
) -> tuple[list[int], float]:
    temperature = check_temperature(temperature)
    if not prompt:
        raise ValueError("prompt is empty: it must hold at least 1 token")
    if new_tokens < 1:
        raise ValueError(f"new_tokens must be a whole number >= 1, got {new_tokens}")
    device = next(target.parameters()).device
    ids = torch.tensor([list(prompt)], device=device)
    # Sampling from the law as it is: by default transformers keeps the 50 likeliest tokens.
    sampling: dict[str, Any] = {"do_sample": False}
    if temperature > 0.0:
        sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda), _generation(target):
        torch.manual_seed(seed)
        if cuda:
            torch.cuda.synchronize(device)
        started = clock()
        out = target.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=new_tokens,
            min_new_tokens=None,
            pad_token_id=0,
            **sampling,
            **more,
        )
        tokens = out[0, ids.shape[1] :].tolist()
        total_s = clock() - started
    return tokens, total_s


@contextmanager
def _generation(model: Any, **values: Any) -> Iterator[None]:
    """The model with a generation config of these values alone, its own put back afterwards."""
    make: Any = GenerationConfig
    before, model.generation_config = model.generation_config, make(**values)
    try:
        yield
    finally:
        model.generation_config = before
