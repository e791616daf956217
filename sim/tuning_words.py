"""What was tuned in an engine's own words: one configuration to start, or all batches to paste."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..calibrate.doors import Pair
from ..theory.interval import Interval
from .choice import DEFAULT_OBJECTIVE
from .emit import emit
from .emit.emission import Emission, one_line
from .next_options import released
from .schedule import PairSchedule, Range, Schedule
from .tuning import Chosen

_CONFIG, _FLAGS = "{config}", "{flags}"
_SURE = Interval(1.0, 1.0, 1.0, 0.9)


def words(
    pair: Pair, gammas: Mapping[int, int], engine: str, *, model: str | None = None,
    gain: Mapping[int, Interval] | None = None,
) -> Emission:  # fmt: skip
    """A draft with its gamma by batch in an engine's words.

    gammas: by measured batch, each holding half-way (in ln batch) to the next; model: of the draft
    as the engine loads it, by default its released name. llama.cpp takes one gamma, of the smallest
    batch.
    """
    batches = sorted(gammas)
    ranges: list[Range] = []
    for i, b in enumerate(batches):
        last = b if b == batches[-1] else max(math.isqrt(b * batches[i + 1]), b)
        first = ranges[-1].last + 1 if ranges else 1
        said = _SURE if gain is None else gain[b]
        if ranges and ranges[-1].gamma == gammas[b]:
            ranges[-1] = replace(ranges[-1], last=last)
        else:
            g = gammas[b]
            ranges.append(Range(first, last, g, said, (g, g), (g,), 0.0))
    best = np.concatenate([np.full(r.last - r.first + 1, r.gamma) for r in ranges])
    made = Schedule(
        tuple(ranges), max(gammas.values()), (pair.at.cached,), 0.0, DEFAULT_OBJECTIVE, best,
        np.ones(best.size), tuple((r.gamma,) for r in ranges), (),
    )  # fmt: skip
    named = model or (released(pair.at.draft) if pair.at.draft and pair.head is None else "")
    found = PairSchedule(None, made, (), pair, "tuned")
    if not any(gammas.values()):
        return Emission(engine, notes=("run without speculation: nothing pays",))
    return emit(
        found, engine, model=named or None, batch=batches[0] if engine == "llama.cpp" else 1
    )


def pasted(pair: Pair, chosen: Chosen, engine: str, *, model: str | None = None) -> Emission:
    """What was chosen, to paste."""
    return words(pair, chosen.gammas, engine, model=model, gain=chosen.gain)


def check_template(template: str) -> None:
    """Raise ValueError for a command that no configuration can be put into."""
    try:
        parts = shlex.split(template)
    except ValueError as error:
        raise ValueError(f"launch must be a command line, got {template!r}: {error}") from None
    if sum((_CONFIG in p) + (p == _FLAGS) for p in parts) != 1 or parts[0] in (_CONFIG, _FLAGS):
        raise ValueError(
            "launch must hold {config} or {flags} once, where a configuration goes, got "
            f"{template!r}"
        )


def engine_of(template: str | None) -> str:
    """The engine that a command starts: vLLM takes a {config}, llama.cpp {flags}."""
    return "llama.cpp" if template is not None and _FLAGS in template else "vllm"


def launch_words(template: str, emission: Emission | None) -> list[str]:
    """The command with a configuration put in, or without speculation where it is None.

    {config}: the configuration as JSON, and without one neither it nor the option before it;
    {flags}: the options of a command line, and without a configuration none.
    """
    found: list[str] = []
    for part in shlex.split(template):
        if part == _FLAGS:
            found += [] if emission is None else shlex.split(emission.command)
        elif _CONFIG in part and emission is None:
            if part == _CONFIG and found[-1].startswith("-"):
                found.pop()
        elif _CONFIG in part:
            assert emission is not None
            found.append(part.replace(_CONFIG, one_line(emission.config)))
        else:
            found.append(part)
    return found
