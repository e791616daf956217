"""Costs of rounds from whatever is known of them; predicted for a named pair where nothing is."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...theory import AffineCost, CostLaw
from ...theory.domain import check
from ..known import KnownCosts
from ..pair import Load, Pair

if TYPE_CHECKING:  # readers and priors are imported where a source needs them
    from ..prior.costs import PredictedCost
    from ..records import Record
    from ..serving.served import Served

    PlainTimes = float | str | Mapping[float, float] | None
    CostSource = float | str | Path | CostLaw | Record | Served | KnownCosts | None

_NUMBER = re.compile(r"\s*[+-]?[\d.]+(?:e[+-]?\d+)?\s*", re.IGNORECASE)


def costs(
    source: CostSource = None,
    *,
    rng: np.random.Generator,
    pair: Pair | None = None,
    verify_slope: float = 0.0,
    overhead: float = 0.0,
    overhead_ms: float = 0.0,
    plain_ms: PlainTimes = None,
    draws: int = 2000,
) -> KnownCosts:
    """What is known of the time of a round.

    source: a number, the cost ratio (time of a draft step in plain steps of the target), with
    verify_slope and overhead in the same unit; a law; the path of a cost record, of a folder of
    records of servers, of a cost law as JSON, or of a CSV of measured passes; None: predicted for
    the pair and its machine.
    overhead_ms: what a round costs beyond the passes of a CSV. plain_ms: what is known of the plain
    time per token of a predicted pair [ms], at the batch asked about or by batch, see
    `plain_times`. draws: of the sample.
    Raises ValueError for what determines no costs, OSError for what cannot be read.
    """
    number = isinstance(source, int | float) or (
        isinstance(source, str) and _NUMBER.fullmatch(source) is not None
    )
    if (verify_slope or overhead) and not number:
        raise ValueError("verify_slope and overhead go with a number as costs, got none")
    table = isinstance(source, str | Path) and str(source).endswith(".csv")
    if overhead_ms and not table:
        raise ValueError("overhead_ms goes with a CSV of passes as costs, got none")
    if plain_ms is not None and source is not None:
        raise ValueError("plain_ms scales predicted costs, and costs were given: give one of them")
    if isinstance(source, KnownCosts):
        return source
    if source is None:
        return _predicted(pair, rng, draws, plain_ms)
    if isinstance(source, bool):
        raise ValueError(f"costs must be a number, a law or a path, got {source}")
    if number:
        assert isinstance(source, int | float | str)
        ratio = float(source)
        check("cost_ratio", ratio)
        law = AffineCost(ratio, verify_slope, overhead)
        notes: tuple[str, ...] = ()
        if pair is not None and (pair.at.batch != 1.0 or pair.at.context):
            notes = ("a cost ratio holds where it was measured: batch and context change nothing",)
        known = KnownCosts(law, "stated", f"cost ratio {ratio:g} as stated", notes)
        return _beside(known, pair, rng)
    if isinstance(source, CostLaw):
        return KnownCosts(source, "stated", f"law {type(source).__name__} as stated")
    assert not isinstance(source, int | float)
    return _beside(_of_file(source, pair, rng, overhead_ms, draws), pair, rng)


def _of_file(
    source: str | Path | Record | Served,
    pair: Pair | None,
    rng: np.random.Generator,
    overhead_ms: float,
    draws: int,
) -> KnownCosts:
    from ..records import Record, is_record, read_record
    from ..serving.served import Served, served_of

    of_passes = isinstance(source, str | Path) and str(source).endswith(".csv")
    if not of_passes and (served := served_of(source)) is not None:
        from ..serving.laws import served_costs

        draft = None if pair is None else pair.at.draft
        return served_costs(served, rng, draft=draft, draws=draws)
    assert not isinstance(source, Served)
    if isinstance(source, Record):
        return _of_record(source, "the record", pair, rng, draws)
    if of_passes:
        from ..tables.passes import read_pass_table, table_contexts, table_limits

        table = read_pass_table(source, overhead_s=1e-3 * overhead_ms)
        gamma, batch = table_limits(table)
        return KnownCosts(
            table, "measured", f"table of passes {source}", seconds=True, gamma_max=gamma,
            batch_max=batch, contexts=table_contexts(table),
        )  # fmt: skip
    path = Path(source)
    if path.is_dir() or is_record(path):
        return _of_record(read_record(path, "costs"), str(source), pair, rng, draws)
    from .written import cost_law

    law, seconds = cost_law(str(source))
    return KnownCosts(law, "stated", f"cost law {source}", seconds=seconds)


def _of_record(
    record: Record, name: str, pair: Pair | None, rng: np.random.Generator, draws: int
) -> KnownCosts:
    from ..prior.costs_points import measured_device
    from ..prior.pair_costs import recorded_costs, timed_costs

    if pair is None or pair.at.lacks("target", "draft"):
        raise ValueError("a cost record needs target and draft, got no pair")
    machine = measured_device(record, pair.machine)
    load = pair.load(machine)
    assert isinstance(load, Load)
    timed = timed_costs(
        record, *pair.models, load=load, rng=rng, temperature=pair.at.temperature or 0.0,
        draws=draws,
    )  # fmt: skip
    if timed is not None:
        given = f"rounds of this pair in {name}, stack {timed.stack}"
        return KnownCosts(
            timed.law, "measured", given, timed.notes, seconds=True, gamma_max=timed.gamma_max,
            contexts=timed.law.contexts, stack=timed.stack, device=machine.label,
        )  # fmt: skip
    found = recorded_costs(
        record, *pair.models, load=replace(load, device=machine), rng=rng, draws=draws, on=machine
    )
    lacking = [m.called for m in pair.models if m.called not in found.measured]
    given = f"cost record {name}, stack {found.stack}"
    if lacking:
        given += f"; {' and '.join(lacking)} from shape and machine"
    notes = list(found.law.notes)
    if pair.at.stack is not None and found.stack != load.stack:
        notes.append(f"the record is of the stack {found.stack}, not of {pair.at.stack}")
    known = of_prediction(found.law)
    return replace(
        known, kind="predicted" if lacking else "measured", given=given, notes=tuple(notes)
    )


def plain_times(plain_ms: PlainTimes, batch: float) -> dict[float, float]:
    """Plain times per token [s] by batch.

    plain_ms: a number [ms], at ``batch``; a mapping from batches to ms; or a text of one of them,
    ``34.2`` or ``1:34.2,32:51``. Raises ValueError for anything else, and for numbers that are
    not in (0, inf), or batches below 1.
    """
    if plain_ms is None:
        return {}
    if isinstance(plain_ms, str):
        parts = [part.rpartition(":") for part in plain_ms.split(",")]
        try:
            found = {float(b) if b else batch: float(t) for b, _, t in parts}
        except ValueError:
            raise ValueError(
                "plain_ms must be a time in ms, or batch:ms,... such as 1:34.2,32:51; "
                f"got {plain_ms!r}"
            ) from None
        if len(found) < len(parts):
            raise ValueError(f"plain_ms must state each batch once, got {plain_ms!r}")
    elif isinstance(plain_ms, Mapping):
        found = {float(b): float(t) for b, t in plain_ms.items()}
    else:
        found = {batch: float(plain_ms)}
    for at, time in found.items():
        if not 0.0 < time < math.inf:
            raise ValueError(f"plain_ms must be in (0, inf), got {time:g}")
        if not 1.0 <= at < math.inf:
            raise ValueError(f"batch of plain_ms must be in [1, inf), got {at:g}")
    return {at: 1e-3 * time for at, time in found.items()}


def _predicted(
    pair: Pair | None, rng: np.random.Generator, draws: int, plain_ms: PlainTimes = None
) -> KnownCosts:
    if pair is None:
        raise ValueError("costs need a source, or target, draft and device, got none")
    pair.at.needs("to predict costs", "target", "draft", "device", instead="costs")
    load = pair.load()
    assert load is not None
    from ..prior.costs import expected_costs

    target, draft = pair.models
    if pair.head is not None:
        from ..prior.heads import head_costs

        law = head_costs(target, draft, load=load, rng=rng, draws=draws)
    else:
        law = expected_costs(target, [draft], load=load, rng=rng, draws=draws)[0]
    times = plain_times(plain_ms, load.batch)
    if not times:
        return of_prediction(law)
    from ..prior.costs_plain import at_plain_times

    known = of_prediction(at_plain_times(law, times, context=load.context, rng=rng))
    stated = ", ".join(f"{1e3 * t:g} ms at batch {b:g}" for b, t in times.items())
    return replace(known, given=f"{known.given}; plain time per token {stated}")


def of_prediction(law: PredictedCost) -> KnownCosts:
    """A predicted law with what it says of itself."""
    return KnownCosts(
        law, "predicted", f"shapes and {law.device}, stack {law.stack}", law.notes, seconds=True,
        stack=law.stack, device=law.device, dtype=law.dtype, draft_dtype=law.draft_dtype,
        memory=law.memory,
    )  # fmt: skip


def _beside(known: KnownCosts, pair: Pair | None, rng: np.random.Generator) -> KnownCosts:
    """The costs with the memory that the pair takes, where models and machine are named."""
    if known.memory is not None or pair is None or pair.at.lacks("target", "draft", "device"):
        return known
    expected = _predicted(pair, rng, 1)
    notes = (*known.notes, *(n for n in expected.notes if "stack" not in n))
    return replace(
        known, memory=expected.memory, dtype=known.dtype or expected.dtype,
        notes=tuple(dict.fromkeys(notes)),
    )  # fmt: skip
