"""Bundled times of passes and rounds as points of the cost prior: of tables, and of cost records.

A round's time follows from tokens per round and time per token (vLLM's time between tokens is the
round itself), or in plain steps from tokens per round over the speed-up. Rows of one setting, and
of several tasks, make one point. Serving measurements hold the prompts that were read meanwhile;
what they add is part of what the stack reaches under load.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from ..library.evidence import Measurement, measurements
from ..library.load import study_of
from ..library.own import FAMILY
from ..models import Device, ModelShape, device, model, number_format
from ..models.drafters import DRAFTERS, head_shape
from ..records import Record, read_record
from .costs_points import CostPoint, bundled_points, points_from_record

# Objections that concern who measures acceptance, or how a number was formed, not its time.
_TIMED = ("computed from the printed numbers", "hardware inferred")
# The law of a pass has no steps of kernels and no prompts beside it: its own error, for a time, for
# a pass of several tokens through packed weights, and for a ratio to a plain step.
_LAW, _STEPS, _RATIO = 0.04, 0.15, 0.04
_LEAST, _MOST = 1.0, 128.0  # sequences: beyond, these machines had no memory for all
# More of one study would only weigh one machine too heavily.
_SOME_BATCHES = (1.0, 8.0, 16.0, 32.0, 64.0, 128.0)
_SOME_GAMMAS = (1, 2, 3, 5, 7, 8)
_CONTEXT = {"serving": 500.0}  # where none is stated: short prompts and answers
# What the law does not hold for, and devices of which the number is not told.
_UNLIKE = ("no repack", "layer split", "kv=fp8", "+ CPU", "UMA")


@dataclass(frozen=True)
class _Key:
    """What rows must share to be one setting."""

    study: str
    target: str
    dtype: str
    draft: str
    drafter: str
    draft_dtype: str
    stack: str
    machine: str
    batch: float
    gamma: int
    context: float


def measured_points() -> tuple[CostPoint, ...]:
    """Plain steps, passes of several tokens and rounds of the bundled tables."""
    rows = [m for m in measurements() if _usable(m)]
    found: dict[tuple[_Key, bool], list[float]] = defaultdict(list)
    for key, mine in _settings(rows).items():
        for value, over_plain in _numbers(mine):
            found[key, over_plain].append(value)
    points = [_point(key, over, values) for (key, over), values in found.items()]
    return tuple(p for p in points if p is not None)


def _usable(m: Measurement) -> bool:
    formed = m.objection.startswith(_TIMED) and m.metric not in ("verify_ms", "draft_ms")
    timed = not m.objection or formed
    told = f"{m.target} {m.hardware} {m.notes}"
    here = m.device and m.devices and m.target_model and m.stack and m.drafting != "tree"
    return bool(timed and here and m.drafting != "adaptive") and not any(u in told for u in _UNLIKE)


def _stack(m: Measurement) -> str:
    """The stack of a row, "" for engines that are only like llama.cpp and for loops of papers."""
    alike = m.stack == "native" and "llama.cpp" not in m.engine.casefold()
    own_loop = m.stack == "eager" and m.execution != "eager"
    return "" if alike or own_loop else m.cost_stack


def _settings(rows: Iterable[Measurement]) -> dict[_Key, list[Measurement]]:
    found: dict[_Key, list[Measurement]] = defaultdict(list)
    for m in rows:
        stack, form = _stack(m), _format(m.target_format)
        batch = m.batch or 1.0
        if not stack or form is None or not _LEAST <= batch <= _MOST:
            continue
        if batch not in _SOME_BATCHES and m.metric != "verify_ms":
            continue
        context = m.context if m.context is not None else _CONTEXT.get(stack, 100.0)
        key = _Key(
            study_of(m.citation), m.target_model, form, m.draft_model, m.drafter,
            _format(m.draft_format) or "", stack, f"{m.devices}x {m.device}", batch, m.gamma or 0,
            context,
        )  # fmt: skip
        found[key].append(m)
    return found


def _format(name: str) -> str | None:
    """The first number format of a cell, "" for the usual one, None for one that is not known."""
    if not name or "default" in name:
        return ""
    for word in name.split(",")[0].split():
        try:
            return number_format("int4" if word == "4-bit" else word).name
        except ValueError:
            continue
    return None


def _numbers(rows: Sequence[Measurement]) -> list[tuple[float, bool]]:
    """(value, whether in plain steps) of the rows of one setting."""
    found = []
    for m in rows:
        tau = [t for other in rows if other.task == m.task and (t := _tokens(other)) is not None]
        if m.metric == "tpot_ms" and m.round_ms:
            found.append((1e-3 * m.round_ms, False))
        elif m.metric == "plain_step_ms" or (m.metric == "verify_ms" and not m.drafter):
            found.append((1e-3 * m.value, False))
        elif m.metric == "throughput_forward":
            found.append((((m.gamma or 0) + 1.0) / m.value, False))
        elif m.metric == "throughput_decode" and not m.drafter:
            found.append(((m.batch or 1.0) / m.value, False))
        elif m.metric in ("speedup_run", "speedup_decode") and tau and m.gamma:
            found.append((float(np.median(tau)) / m.value, True))
    return found


def _tokens(m: Measurement) -> float | None:
    """Tokens per round that a row states, or that accepted over drafted tokens amount to."""
    if m.metric == "accepted_over_drafted" and m.gamma:
        return 1.0 + m.gamma * m.value
    return m.value if m.metric == "tokens_per_round" else None


def _point(key: _Key, over_plain: bool, values: Sequence[float]) -> CostPoint | None:
    target = model(key.target).shape
    machine = device(key.machine)
    dtype = key.dtype or _usual(machine, target.weights)
    # A file for llama.cpp is seldom in the format of the release, and a model that needs more than
    # the stated devices ran on more of them.
    if (key.stack == "llama.cpp" and not key.dtype) or (
        target.bytes(dtype) > 0.95 * machine.total_memory
    ):
        return None
    draft, drafting = None, DRAFTERS["model"].passes
    form = key.draft_dtype or ("" if key.draft else _usual(machine, "bf16"))
    if key.drafter:
        if key.gamma not in _SOME_GAMMAS:
            return None
        kind = DRAFTERS.get(key.drafter)
        if kind is None or (kind.name == "model" and not key.draft):
            return None
        if kind.name == "model" and key.stack == "llama.cpp" and target.recurrent_layers:
            return None  # the state is restored from a copy after every rejection: another law
        if kind.weights == "shipped":
            form = key.draft_dtype
        drafting = kind.passes
        draft = model(key.draft).shape if key.draft else head_shape(target, kind.name)
    single = not key.drafter
    law = _RATIO if over_plain else _LAW
    if key.gamma and number_format(dtype).kernel in ("unpacked", "blocks"):
        law = _STEPS
    scatter = float(np.std(np.log(values))) / np.sqrt(len(values))
    return CostPoint(
        group=f"{key.study} {key.machine} {key.stack}",
        stack=key.stack,
        device=machine,
        target=target,
        dtype=dtype,
        value=float(np.median(values)),
        error=float(np.hypot(law, scatter)),
        draft=draft,
        draft_dtype=form,
        gamma=0 if single else key.gamma,
        drafting=drafting,
        over_plain=over_plain,
        tokens=key.gamma + 1.0 if single else 1.0,
        batch=key.batch,
        context=key.context,
        label=f"{key.study}: {key.target} {key.dtype}, {key.draft or key.drafter or 'alone'}, "
        f"{key.machine}, batch {key.batch:g}, gamma {key.gamma}",
        study=key.study,
    )


def _usual(machine: Device, weights: str) -> str:
    if weights in machine.rates or number_format(weights).arithmetic in machine.rates:
        return weights
    return "bf16" if "bf16" in machine.rates else "fp16"


# Of the measured numbers of tokens these tell a curve, of batches and contexts the ends do; more
# would only weigh one machine too heavily.
_TOKENS = frozenset({1, 2, 5, 9, 33})
_UNKNOWN_CPU = "Generic 2-core cloud CPU"


def library_points(folder: str | Path | None = None) -> tuple[CostPoint, ...]:
    """The passes of every cost record in a folder, by default the bundled library's.

    Records of a campaign on a family that was trained here (its family record beside them) are left
    out.

    One record is one source. Raises ValueError for a record that cannot be read or used.
    """
    place = _place(folder)
    points: list[CostPoint] = []
    for path in sorted((*place.glob("*.json"), *place.glob("*.json.gz"))):
        # A ladder of ours fits into the caches of its processor: its passes say nothing of models
        # that are read from memory, and only widen what is known of those.
        own = place / f"{path.name.split('-')[0]}{FAMILY}"
        if path.name.endswith(FAMILY) or own.is_file():
            continue
        record = read_record(path)
        if record.kind == "costs":
            points += record_points(record, path.name.split(".")[0])
    return tuple(points)


def all_points() -> tuple[CostPoint, ...]:
    """The published times, those in the tables of measurements, and the bundled cost records'."""
    return (*bundled_points(), *measured_points(), *library_points())


def record_points(record: Record, name: str) -> tuple[CostPoint, ...]:
    """Points of one record: some numbers of tokens, smallest and largest batch and context.

    name: of the record, for messages and as the name of the source.
    """
    try:
        found = points_from_record(
            record, group=f"own:{name}", on=_machine(record), shapes=family_shapes()
        )
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    batches, contexts = {p.batch for p in found}, {p.context for p in found}
    ends = {min(batches), max(batches)}, {min(contexts), max(contexts)}
    return tuple(
        p for p in found if p.tokens in _TOKENS and p.batch in ends[0] and p.context in ends[1]
    )


def family_shapes() -> dict[str, ModelShape]:
    """Shapes of the models that are trained here, by name."""
    from ..family.shapes import PRESETS

    return {
        s.name: ModelShape(
            name=s.name,
            family=f"own {preset.name}",
            layers=s.layers,
            hidden=s.hidden,
            heads=s.heads,
            kv_heads=s.heads,
            head_dim=s.hidden // s.heads,
            ffn=s.feed_forward,
            vocab=preset.vocabulary,
            tied=True,
            context=preset.context,
            weights="fp32" if preset.precision == "float32" else "bf16",
        )
        for preset in PRESETS.values()
        for s in preset.shapes
    }


def _place(folder: str | Path | None) -> Path:
    if folder is not None:
        return Path(folder)
    package = (__package__ or "").rsplit(".", 1)[0] + ".library"
    return Path(str(resources.files(package)))


def _machine(record: Record) -> Device | None:
    """None for a device of the table; a CPU that is not in it is a generic one."""
    named = str(record.provenance.get("device") or "")
    try:
        device(named)
    except ValueError:
        if named and named == record.provenance.get("cpu"):
            return device(_UNKNOWN_CPU)
        raise
    return None
