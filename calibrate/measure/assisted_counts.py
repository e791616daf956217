"""Counting the rounds of transformers' assisted generation from outside.

`generate(assistant_model=...)` tells nobody how much of a draft was accepted. Within `count_rounds`
it does, whatever drafts: an assistant model, one with another tokenizer, an early exit, the prompt
itself. Nothing of generate is replaced: the object that fetches candidates is watched.

    with count_rounds(model) as counts:
        model.generate(**inputs, assistant_model=draft)
    print(counts.summary())

Counts rely on two things, checked with transformers 5.17 and 5.23: a model makes one candidate
generator for a request (`_get_candidate_generator`), and the loop calls its `get_candidates` and
`update_candidate_strategy` once a round.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

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
