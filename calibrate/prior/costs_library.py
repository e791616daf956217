"""Cost records that are bundled with the library, as points of the cost prior."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from ..library.own import FAMILY
from ..models import Device, ModelShape, device
from ..records import Record, read_record
from .costs_measured import measured_points
from .costs_points import CostPoint, bundled_points
from .costs_records import points_from_record

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
