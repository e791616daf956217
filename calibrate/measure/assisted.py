"""Assisted generation (AsG): transformers' own `generate(assistant_model=...)`, timed and counted.

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
from .failures import NotMeasurableError
from .plans import check_temperature

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
