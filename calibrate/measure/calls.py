"""A record of costs, acceptance or a sweep from names of models, measured and resumed in one call.

Whatever is wrong with what was asked is said before torch is imported.
"""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

from ..files import record_place
from ..records import Journal, Record, collect_provenance
from .plans import AcceptancePlan, PassPlan, RoundPlan, SweepPlan
from .prompts import file_texts
from .sources import check_device, check_dtype, check_models, named_models

Progress = Callable[[str, int, int], None]
_LOUD = ("torch", "transformers", "huggingface_hub", "tokenizers", "accelerate")


@dataclass(frozen=True)
class Measured:
    """What a call measured. record: all points so far, None where there are none; path: its file,
    or that of the part that a later call goes on with; complete: whether no point is missing."""

    complete: bool
    path: Path
    record: Record | None
    notes: tuple[str, ...] = ()


def measured_costs(
    target: str,
    drafts: Sequence[str],
    plan: PassPlan,
    *,
    out: str | Path,
    random_weights: bool,
    seed: int,
    stage_seconds: float | None,
    progress: Progress,
    device: str = "auto",
    dtype: str = "auto",
    trust_remote_code: bool = False,
) -> Measured:
    """Time the passes of target and drafts that the record ``out`` lacks, and their rounds.

    Raises ValueError for what cannot be measured, or does not fit the record.
    """
    folder, name = record_place(out, "costs")
    _check_run(device, dtype, stage_seconds)
    plan.modes(device)
    if seed < 0:
        raise ValueError(f"seed must be an integer in [0, inf), got {seed}")
    _require_extra()
    names = (target, *drafts)
    check_models(names, random_weights=random_weights)
    with _quiet():
        from .costs import measure_costs
        from .pairs import choose_device, choose_dtype, load_model
        from .round_costs import measure_rounds

        place = choose_device(device)
        settings = plan.settings(place.type)
        number = str(choose_dtype(dtype, device=place)).removeprefix("torch.")
        loaded = [
            load_model(
                one, device=str(place), dtype=number, trust_remote_code=trust_remote_code,
                random_weights=random_weights, seed=seed,
            )
            for one in names
        ]  # fmt: skip
        models = {m.name: m for m in loaded}
        origin = collect_provenance(
            str(place),
            loaded[0].identity["dtype"],
            models={n: m.identity for n, m in models.items()},
        )
        given: dict[str, Any] = {"seconds_left": _clock(stage_seconds), "progress": progress}

        def run(journal: Journal) -> bool:
            passes = {k: v for k, v in settings.items() if k != "gammas"}
            if not measure_costs(models, journal, **passes, **given):
                return False
            if not (settings["gammas"] and drafts):
                return True
            shapes = tuple(product(settings["batches"], settings["contexts"]))
            rounds = RoundPlan(
                tuple(settings["gammas"]), shapes, tuple(settings["modes"]), plan.repeats
            )
            own = {m.name: m for m in loaded[1:]}
            return measure_rounds(loaded[0], own, journal, plan=rounds, **given)

        return _resumed(folder, name, "costs", settings, origin, run)


def measured_pair(
    plan: AcceptancePlan | SweepPlan,
    *,
    out: str | Path,
    stage_seconds: float | None,
    progress: Progress,
    target: str | None,
    drafts: Sequence[str],
    family: str | Path | None,
    prompts: str | Path | None,
    field: str = "prompt",
    requests: int | None = None,
    prompt_tokens: int = 64,
    device: str = "auto",
    dtype: str = "auto",
    trust_remote_code: bool = False,
) -> Measured:
    """Measure the acceptance or the sweep of a plan, what of it the record ``out`` lacks.

    target, drafts, family, prompts and what follows: as `load_inputs` has them. Raises ValueError
    for what does not fit together, or does not fit the record.
    """
    sweep = isinstance(plan, SweepPlan)
    kind = "sweep" if sweep else "acceptance"
    folder, name = record_place(out, kind)
    _check_run(device, dtype, stage_seconds)
    for quantity, value in (("prompt_tokens", prompt_tokens), ("requests", requests)):
        if value is not None and value < 1:
            raise ValueError(f"{quantity} must be a whole number >= 1, got {value}")
    named = named_models(target, drafts, family)
    if prompts is not None:
        file_texts(prompts, field=field)
    _require_extra()
    check_models((named[0], *named[1]))
    with _quiet():
        from .acceptance import measure_acceptance
        from .inputs import load_inputs
        from .sweep import measure_sweep

        given = load_inputs(
            target=target, drafts=drafts, family=family, prompts=prompts, field=field,
            count=requests, prompt_tokens=prompt_tokens, device=device, dtype=dtype,
            trust_remote_code=trust_remote_code,
        )  # fmt: skip
        most = max(plan.gammas) if isinstance(plan, SweepPlan) else plan.gamma
        given.require_positions(new_tokens=plan.new_tokens, draft_tokens=most)
        first = given.target
        origin = collect_provenance(
            str(first.device), first.identity["dtype"], models=given.identities, seed=plan.seed
        )
        settings = {**plan.settings(), **given.settings(), "prompt_tokens": prompt_tokens}
        measure: Callable[..., bool] = measure_sweep if sweep else measure_acceptance

        def run(journal: Journal) -> bool:
            return measure(
                first.model, given.models, journal, prompts=given.prompts, plan=plan,
                vocabulary=given.vocabulary, seconds_left=_clock(stage_seconds), progress=progress,
            )  # fmt: skip

        return _resumed(folder, name, kind, settings, origin, run, given.notes)


def _resumed(
    folder: Path,
    name: str,
    kind: str,
    settings: Mapping[str, Any],
    origin: Mapping[str, Any],
    run: Callable[[Journal], bool],
    notes: tuple[str, ...] = (),
) -> Measured:
    """What there is once ``run`` has appended to the record what it lacks, or its time was up."""
    with Journal.open(folder, name, kind=kind, settings=settings, provenance=origin) as journal:
        complete = run(journal)
        if complete:
            journal.finish()
        record = journal.record() if journal.points else None
        return Measured(complete, journal.path if complete else journal.part, record, notes)


def _check_run(device: str, dtype: str, stage_seconds: float | None) -> None:
    check_device(device)
    check_dtype(dtype)
    if stage_seconds is not None and not stage_seconds >= 0.0:
        raise ValueError(f"stage_seconds must be in [0, inf), got {stage_seconds:g}")


def _clock(seconds: float | None) -> Callable[[], float]:
    end = math.inf if seconds is None else time.monotonic() + seconds
    return lambda: end - time.monotonic()


def _require_extra() -> None:
    """Raise ModuleNotFoundError where what measures is not installed, without importing it."""
    for name in ("torch", "transformers"):
        if find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep warnings and bars of torch, transformers and the hub's client from the output."""
    from .inputs import quieten

    with warnings.catch_warnings():
        for name in _LOUD:
            warnings.filterwarnings("ignore", module=rf"{name}(\..*)?$")
        quieten()
        yield
