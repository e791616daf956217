"""What was tuned in an engine's own words: one configuration to start, or all batches to paste.

What is believed of a grid of drafts, gammas and batches before anything is measured.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...calibrate.doors import Deployment, Pair, resolve
from ...theory.domain import Floats
from ...theory.interval import Interval
from ..choice import DEFAULT_OBJECTIVE
from ..emit import Emission, emit, one_line
from ..known import DRAWS, Sources, check_gamma_max, check_seed
from ..next_options import released
from ..pair_schedule import PairSchedule
from ..ranking import Candidate, candidates
from ..schedule import Range, Schedule
from .belief import Belief, Chosen, with_misfits

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


_UNKNOWN = 1.5  # spread of ln(tokens/s) of a machine whose costs are stated in plain steps
GAMMAS = tuple(range(1, 9))  # of a grid, where none are named


def believed(
    at: Deployment,
    drafts: Sequence[str],
    given: Sources = Sources(),  # noqa: B008 - frozen
    *,
    batches: Sequence[int] = (1,),
    gammas: Sequence[int] = GAMMAS,
    seed: int = 0,
) -> tuple[Belief, tuple[Pair, ...], tuple[str, ...]]:
    """The belief of named drafts of a target on a machine, their pairs, and notes.

    drafts: one or more; batches, gammas: whole numbers >= 1. Draws of all drafts are of one
    machine: they are put in the order of their plain step. Raises ValueError outside the ranges,
    where nothing fits in memory, and as the laws do.
    """
    names, loads, many = list(dict.fromkeys(drafts)), sorted(set(batches)), sorted(set(gammas))
    if not names:
        raise ValueError("drafts must name one draft or more, got none")
    if not loads or loads[0] < 1 or any(int(b) != b for b in loads):
        raise ValueError(f"batch must be whole numbers in [1, inf), got {list(batches)}")
    if not many or many[0] < 1 or any(int(g) != g for g in many):
        raise ValueError(f"gamma must be whole numbers in [1, inf), got {list(gammas)}")
    check_gamma_max(many[-1])
    at.needs("tune", "target")
    base = resolve(replace(at, draft=None, batch=float(loads[-1])))
    pairs = [base.with_draft(name) for name in names]
    found = candidates(pairs, given, many[-1], check_seed(seed))
    notes = [n for p in pairs for n in p.notes] + list(found.notes)
    able = []
    for name, pair, known in zip(names, pairs, found.drafts, strict=True):
        memory = known.costs.memory
        if memory is None or memory.holds(loads[-1]):
            able.append((name, pair, known))
        else:
            notes.append(f"{name} is left out: {memory.line}")
    if not able:
        raise ValueError(f"no draft can be tuned: {notes[-1]}")
    rng = np.random.default_rng([seed, 1])
    logs, lengths = _tables([k for *_, k in able], many, loads, base.at.cached, rng)
    belief = with_misfits(
        rng, logs, lengths, drafts=[n for n, *_ in able], gammas=many,
        batches=loads,
    )  # fmt: skip
    return belief, tuple(p for _, p, _ in able), tuple(dict.fromkeys(notes))


def _tables(
    known: Sequence[Candidate],
    gammas: Sequence[int],
    batches: Sequence[int],
    context: float,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """(ln tokens/s of the points, ln tokens a step), draws in the order of the plain step."""
    draws, top, own = DRAWS, gammas[-1], list(gammas)
    plain: Floats | None = None
    speeds, lengths = [], []
    machine = _UNKNOWN * rng.standard_normal((draws, 1, 1))
    for k in known:
        per_batch = [
            np.asarray(k.costs.law.round_time(top, batch=b, context=context)).reshape(-1, top + 1)
            for b in batches
        ]
        times = np.stack([np.resize(t, (draws, top + 1)) for t in per_batch], axis=2)
        order = times[:, 0, 0].argsort(kind="stable") if k.costs.seconds else np.arange(draws)
        tokens = np.log(np.resize(k.tokens, (draws, top + 1)))[order]
        whole = tokens[:, :, None] - np.log(times[order]) + np.log(batches)
        whole = whole if k.costs.seconds else whole + machine
        plain = whole[:, 0] if plain is None else plain
        speeds.append(whole[:, own].reshape(draws, -1))
        lengths.append(tokens[:, own])
    assert plain is not None
    return np.concatenate([plain, *speeds], axis=1), np.concatenate(lengths, axis=1)
