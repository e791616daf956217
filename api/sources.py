"""What is known, and the tables to look things up in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .calibrate.doors.acceptance import AcceptanceSource
    from .calibrate.doors.costs import CostSource, PlainTimes
    from .calibrate.engines import EngineCounts
    from .calibrate.known import KnownAcceptance, KnownCosts
    from .calibrate.models.catalogue import Model
    from .calibrate.models.devices import Device
    from .calibrate.records import Record
    from .theory import Formula
    from .theory.interval import Interval


def acceptance(
    source: AcceptanceSource = None,
    *,
    acceptance_length: str | float | None = None,
    gamma: int | None = None,
    alpha_tokens: float | None = None,
    decay: float = 1.0,
    target: str | None = None,
    draft: str | None = None,
    task: str | None = None,
    temperature: float | None = None,
    tuned: bool = False,
    positions: int = 32,
    seed: int = 0,
) -> KnownAcceptance:
    """What is known of acceptance: a law, its kind (stated, measured, imported, predicted), notes.

    source: a number (the conditional rate alpha), the text of a law, a law, the path of a record,
    of an engine's log or metrics, "-", a URL, counts that were read, or None: predicted for target
    and draft. acceptance_length: with the bonus token, at gamma, instead of a source. alpha_tokens:
    draft tokens behind a stated alpha; decay: of it with depth; positions: that the law covers.
    Every verb takes what this gives as its ``acceptance``. Raises ValueError for what determines
    nothing, OSError for what cannot be read.
    """
    import numpy as np

    from .calibrate.doors import Deployment, resolve
    from .calibrate.doors import acceptance as door

    at = Deployment(target, draft, task=task, temperature=temperature, tuned=tuned)
    return door(
        source, rng=np.random.default_rng(seed), pair=resolve(at), length=acceptance_length,
        gamma=gamma, tokens=alpha_tokens, decay=decay, positions=positions,
    )  # fmt: skip


def costs(
    source: CostSource = None,
    *,
    verify_slope: float = 0.0,
    overhead: float = 0.0,
    overhead_ms: float = 0.0,
    plain_ms: PlainTimes = None,
    target: str | None = None,
    draft: str | None = None,
    device: str | None = None,
    dtype: str = "",
    draft_dtype: str = "",
    stack: str | None = None,
    batch: float = 1.0,
    context: float | None = None,
    seed: int = 0,
) -> KnownCosts:
    """What is known of the time of a round: a law, its kind, notes.

    source: a number (the cost ratio, with verify_slope and overhead in plain steps), a law, the
    path of a cost record, of a law as JSON, or of a CSV of measured passes, or None: predicted for
    target, draft and device. Every verb takes what this gives as its ``costs``.
    plain_ms: plain time per token that a prediction is to meet [ms], at the batch, or by batch: a
    mapping, or a text such as ``1:34.2,32:51``. Several tell bandwidth from work around a pass.
    Raises ValueError for what determines nothing, OSError for what cannot be read.
    """
    import numpy as np

    from .calibrate.doors import Deployment, resolve
    from .calibrate.doors import costs as door

    at = Deployment(target, draft, device, dtype, draft_dtype, stack, batch, context)
    return door(
        source, rng=np.random.default_rng(seed), pair=resolve(at), verify_slope=verify_slope,
        overhead=overhead, overhead_ms=overhead_ms,
        plain_ms=plain_ms,
    )  # fmt: skip


def read_statistics(
    source: str | Path,
    engine: str = "auto",
    *,
    before: str | Path | None = None,
    model: str | None = None,
    gamma: int | None = None,
    every_s: float | None = None,
    for_s: float | None = None,
) -> EngineCounts:
    """What an engine reports of acceptance: a log, metrics, a response, a benchmark's result.

    source: a path, "-" for standard input, or a URL; engine: a name of `howspec import`, or auto.
    before: an earlier scrape, which is subtracted; model: only its series of Prometheus; gamma: the
    most that a round drafts, where the source does not say.
    for_s: seconds to watch a metrics URL, with a scrape every every_s [s]; the counts are those of
    the interval, and every function takes them as its acceptance. Raises ValueError where nothing
    of acceptance is found, OSError for what cannot be read.
    """
    from .calibrate.engines import import_counts
    from .calibrate.engines.live import watch_asked

    if gamma is not None and not 1 <= gamma <= 4096:
        raise ValueError(f"gamma must be an integer in [1, 4096], got {gamma}")
    if every_s is None and for_s is None:
        earlier = None if before is None else str(before)
        return import_counts(str(source), engine, before=earlier, model=model, gamma=gamma)
    if before is not None:
        raise ValueError("before is an earlier scrape, for_s makes its own: give one of them")
    return watch_asked(str(source), every_s, for_s, engine, model=model, gamma=gamma)


def fit_statistics(
    counts: EngineCounts, *, level: float = 0.9, seed: int = 0
) -> dict[str, Interval]:
    """Alpha and its decay from one draft token to the next, fitted to an engine's counts."""
    import numpy as np

    from .calibrate.engines.alpha import fit_engine_counts
    from .theory.interval import median_interval

    fit = fit_engine_counts(counts, np.random.default_rng(seed))
    return {"alpha": median_interval(fit.alpha, level), "decay": median_interval(fit.decay, level)}


def read_record(path: str | Path) -> Record:
    """A record of measured costs, acceptance or sweeps; raises ValueError for any other file."""
    from .calibrate.records import read_record as read

    return read(path)


def formula(name: str) -> Formula:
    """A formula of the sheet by its name: statement, assumptions, source; see `howspec formulas`.

    Raises ValueError, nearest names first, for an unknown one.
    """
    from .theory.catalogue import find

    return find(name)


def models(search: str = "") -> tuple[Model, ...]:
    """The models of the table whose names hold every word of ``search``, or the one it names."""
    from .calibrate.models.catalogue import find_model
    from .calibrate.models.catalogue import models as table

    held = tuple(m for m in table().values() if _holds((m.name, m.hub, *m.aliases), search))
    exact = find_model(search) if search else None
    return held if exact is None or exact.name in [m.name for m in held] else (exact, *held)


def devices(search: str = "") -> tuple[Device, ...]:
    """The devices of the table whose names hold every word of ``search``, or what it describes."""
    from .calibrate.models.devices import device
    from .calibrate.models.devices import devices as table

    held = tuple(d for d in table().values() if _holds((d.name,), search))
    try:
        exact = device(search) if search else None
    except ValueError:
        return held
    return held if exact is None or exact.name in [d.name for d in held] else (exact, *held)


def _holds(names: Iterable[str], search: str) -> bool:
    """Whether each word is in one of the names."""
    return all(any(w in n.casefold() for n in names) for w in search.casefold().split())
