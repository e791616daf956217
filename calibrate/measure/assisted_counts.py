"""Assisted generation of transformers (AsG): its rounds, counted from outside, and single requests.

`generate(assistant_model=...)` tells nobody how much of a draft was accepted. Within `count_rounds`
it does, whatever drafts: an assistant model, one with another tokenizer, an early exit, the prompt
itself. Nothing of generate is replaced: the object that fetches candidates is watched.

    with count_rounds(model) as counts:
        model.generate(**inputs, assistant_model=draft)
    print(counts.summary())

Counts rely on two things, checked with transformers 5.17 and 5.23: a model makes one candidate
generator for a request (`_get_candidate_generator`), and the loop calls its `get_candidates` and
`update_candidate_strategy` once a round.

How transformers 5.17 and 5.23 read the settings: the number of draft tokens, its schedule and the
confidence threshold are taken from the generation config of the ASSISTANT, and from nowhere else
(given to `generate` they are ignored). Left alone they are 20 tokens, constant, cut short where
the draft's confidence falls below 0.4. With the schedule "heuristic" the number that a request ends
with is written back and starts the next one. Here all three are set for the request, the threshold
to 0, which turns it off. The rest of both generation configs is transformers' default: what comes
with a model (beams, a repetition penalty, the 20 likeliest tokens, an end token) would change the
law of the text. The configs of the models are put back after every request. The last rounds draft
less: never more than is missing up to the last token but one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from .plans import check_temperature, check_whole

_MAKER = "_get_candidate_generator"


@dataclass(frozen=True)
class AssistedRound:
    """drafted: candidate tokens, in the target's tokens; accepted: those that the round emitted
    before its last token. The round that ends a request at an end token counts up to that."""

    drafted: int
    accepted: int


@dataclass
class AssistedCounts:
    """What was counted: one list of rounds for each call of generate."""

    requests: list[list[AssistedRound]] = field(default_factory=list)

    def lines(self) -> list[dict[str, int]]:
        """One object a round: request, round, drafted, accepted; numbers from 0."""
        return [
            {"request": i, "round": j, "drafted": r.drafted, "accepted": r.accepted}
            for i, rounds in enumerate(self.requests)
            for j, r in enumerate(rounds)
        ]

    def summary(self) -> dict[str, Any]:
        """Totals: requests, rounds, drafted, accepted, and the version of transformers."""
        rounds = [r for request in self.requests for r in request]
        return {
            "transformers": metadata.version("transformers"),
            "requests": len(self.requests),
            "rounds": len(rounds),
            "drafted": sum(r.drafted for r in rounds),
            "accepted": sum(r.accepted for r in rounds),
        }

    def write(self, path: str | Path) -> Path:
        """Write the lines as JSONL, behind one with the summary; returns the path."""
        path = Path(path)
        content = [{"summary": self.summary()}, *self.lines()]
        path.write_text("".join(json.dumps(line) + "\n" for line in content), encoding="utf-8")
        return path


@contextmanager
def count_rounds(model: Any) -> Iterator[AssistedCounts]:
    """Count the rounds of every assisted `model.generate` within; model: the target.

    Raises ValueError where this version of transformers works in another way.
    """
    make = getattr(model, _MAKER, None)
    if make is None:
        raise ValueError(
            f"rounds are counted in transformers models that have {_MAKER}, "
            f"got {type(model).__name__} of transformers {metadata.version('transformers')}"
        )
    counts = AssistedCounts()

    def watched(*args: Any, **kwargs: Any) -> Any:
        generator = make(*args, **kwargs)
        rounds: list[AssistedRound] = []
        counts.requests.append(rounds)
        _watch(generator, rounds)
        return generator

    before = model.__dict__.get(_MAKER)
    model.__dict__[_MAKER] = watched
    try:
        yield counts
    finally:
        if before is None:
            del model.__dict__[_MAKER]
        else:
            model.__dict__[_MAKER] = before


def _watch(generator: Any, rounds: list[AssistedRound]) -> None:
    fetch, update = generator.get_candidates, generator.update_candidate_strategy
    known, drafted = 0, 0

    def get_candidates(input_ids: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal known, drafted
        candidates = fetch(input_ids, *args, **kwargs)
        known = input_ids.shape[1]
        drafted = candidates[0].shape[1] - known
        return candidates

    def update_candidate_strategy(input_ids: Any, *args: Any, **kwargs: Any) -> Any:
        # Lengths, not the number of matches: that may be a tensor whose value is still under way.
        emitted = input_ids.shape[1] - known
        rounds.append(AssistedRound(drafted, min(emitted - 1, drafted)))
        return update(input_ids, *args, **kwargs)

    generator.get_candidates = get_candidates
    generator.update_candidate_strategy = update_candidate_strategy


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
    from .device import NotMeasurableError

    check_whole("gamma", gamma)
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
    import torch

    temperature = check_temperature(temperature)
    if not prompt:
        raise ValueError("prompt is empty: it must hold at least 1 token")
    check_whole("new_tokens", new_tokens)
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
    from transformers import GenerationConfig

    make: Any = GenerationConfig
    before, model.generation_config = model.generation_config, make(**values)
    try:
        yield
    finally:
        model.generation_config = before
