"""A record of costs, acceptance or a sweep from names of models, measured and resumed in one call.

Whatever is wrong with what was asked is said before torch is imported.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import record_place
from ..records import Journal, Record, collect_provenance
from .inputs import Prompts, built_in_texts, encode_prompts, family_prompts, file_texts
from .plans import AcceptancePlan, PassPlan, Progress, SweepPlan, check_whole
from .sources import check_device, check_dtype, check_models, named_models

if TYPE_CHECKING:
    from .inputs import Ladder

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
        modes = plan.modes(place.type)
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
            if not measure_costs(models, journal, plan.passes(modes), **given):
                return False
            rounds = plan.rounds(modes)
            if rounds is None or not drafts:
                return True
            own = {m.name: m for m in loaded[1:]}
            return measure_rounds(loaded[0], own, journal, plan=rounds, **given)

        return _resumed(folder, name, "costs", plan.settings(modes), origin, run)


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

    target, drafts: names or folders of models; or family: the folder of a trained family, with its
    target, all of its drafts (or those named) and prompts from its held-out text. prompts: a file
    of them instead, of whose objects ``field`` is the text; without one the built-in prompts.
    requests: prompts of each domain, of a family 4 by default; prompt_tokens: length that they are
    cut to. Raises ValueError for what is missing or does not fit together, or the record.
    """
    sweep = isinstance(plan, SweepPlan)
    kind = "sweep" if sweep else "acceptance"
    folder, name = record_place(out, kind)
    _check_run(device, dtype, stage_seconds)
    for quantity, value in (("prompt_tokens", prompt_tokens), ("requests", requests)):
        if value is not None:
            check_whole(quantity, value)
    named = named_models(target, drafts, family)
    if prompts is not None:
        file_texts(prompts, field=field)
    _require_extra()
    check_models((named[0], *named[1]))
    with _quiet():
        from .acceptance import measure_acceptance
        from .inputs import load_ladder
        from .sweep import measure_sweep

        ladder = load_ladder(
            *named, device=device, dtype=dtype, trust_remote_code=trust_remote_code
        )
        target_model = ladder.target
        rows, source = _prompts(
            target_model.tokenizer, family, prompts, field, count=requests, tokens=prompt_tokens
        )
        most = max(plan.gammas) if isinstance(plan, SweepPlan) else plan.gamma
        _require_positions(ladder, rows, plan.new_tokens, most)
        origin = collect_provenance(
            str(target_model.device), target_model.identity["dtype"], models=ladder.identities,
            seed=plan.seed,
        )  # fmt: skip
        settings = {
            **asdict(plan),
            "target": target_model.name,
            "drafts": list(ladder.drafts),
            "prompts": source,
            "prompts_sha256_16": _hash(rows),
            "requests_by_domain": {domain: len(own) for domain, own in rows.items()},
            "vocabulary": ladder.vocabulary,
            "prompt_tokens": prompt_tokens,
        }
        measure: Callable[..., bool] = measure_sweep if sweep else measure_acceptance

        def run(journal: Journal) -> bool:
            return measure(
                target_model.model, ladder.plain, journal, prompts=rows, plan=plan,
                vocabulary=ladder.vocabulary, seconds_left=_clock(stage_seconds),
                progress=progress,
            )  # fmt: skip

        return _resumed(folder, name, kind, settings, origin, run, ladder.notes)


def _prompts(
    tokenizer: Any,
    family: str | Path | None,
    prompts: str | Path | None,
    field: str,
    *,
    count: int | None,
    tokens: int,
) -> tuple[Prompts, str]:
    """(prompts, where they come from, in words): a file, a family's held-out text, or built in."""
    if prompts is None and family is not None:
        rows = family_prompts(family, tokenizer, count=count or 4, tokens=tokens)
        return rows, "held-out text of the family"
    if prompts is None:
        texts, source = built_in_texts(), "built-in"
    else:
        texts, source = file_texts(prompts, field=field), f"{Path(prompts).name}, field {field}"
    return encode_prompts(texts, tokenizer, count=count, tokens=tokens), source


def _require_positions(
    ladder: Ladder, prompts: Prompts, new_tokens: int, draft_tokens: int
) -> None:
    """Raise ValueError where requests so long leave the positions that a model was made for.

    A model with rotary positions runs beyond them as well, and what it says there is noise.
    """
    longest = max(len(row) for rows in prompts.values() for row in rows)
    needed = longest + new_tokens + draft_tokens
    for model in ladder.models.values():
        limit = getattr(model.config.get_text_config(), "max_position_embeddings", None) or 0
        if 0 < limit < needed:
            raise ValueError(
                f"prompts of up to {longest} tokens, {new_tokens} new ones and {draft_tokens} "
                f"draft tokens need {needed} positions, {model.name} has {limit}: ask for fewer"
            )


def _hash(prompts: Prompts) -> str:
    """The first 16 digits of a hash of the token ids, which tells files of one name apart."""
    content = json.dumps(list(prompts.items()))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


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
    from .pairs import quieten

    with warnings.catch_warnings():
        for name in _LOUD:
            warnings.filterwarnings("ignore", module=rf"{name}(\..*)?$")
        quieten()
        yield
