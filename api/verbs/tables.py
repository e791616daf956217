"""What the tables know of models and devices, listed and searched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..listing import Listing
from ..table import Table, texts

if TYPE_CHECKING:
    from ..calibrate.models import Device, Model


def model_table(search: str | None = None) -> Listing:
    """List the models of `howspec.models`, with their sizes; raises ValueError where none is."""
    from ..calibrate.models import nearest_models
    from ..sources import models as known

    found = [_model(m) for m in known(search or "")]
    if not found:
        raise ValueError(f"no model is named {search!r}; nearest: {nearest_models(search or '')}")
    columns = ("model", "parameters", "active", "layers", "vocabulary", "context", "format", "year")
    rows = [
        [e["name"], _size(e["parameters"]), _size(e["active_parameters"]), f"{e['layers']}",
         f"{e['vocab']:,}", f"{e['context_tokens']:,}", e["dtype"], f"{e['year']}"]
        for e in found
    ]  # fmt: skip
    entry = {"search": search, "models": found}
    return Listing(entry, _listed(columns, rows, f"of {len(known())} models"))


def device_table(search: str | None = None) -> Listing:
    """List the devices of `howspec.devices`, with their rates; raises ValueError where none is."""
    from ..calibrate.models import device
    from ..sources import devices as known

    exact, why = None, ""
    if search:
        try:
            exact = device(search)
        except ValueError as error:
            why = str(error)
    found = [_device(d) for d in known(search or "")]
    if not found:
        raise ValueError(why.partition("; `howspec")[0])
    columns = ("device", "kind", "GB", "GB/s", "16 bit Top/s", "8 bit Top/s", "link GB/s")
    rows = [
        [e["name"], e["kind"], f"{e['memory_gb']:g}", f"{e['bandwidth_gb_s']:g}",
         _rate(e["rates_top_s"], "bf16", "fp16"), _rate(e["rates_top_s"], "fp8", "int8"),
         "-" if not e["link_gb_s"] > 0.0 else f"{e['link_gb_s']:g}"]
        for e in found
    ]  # fmt: skip
    remarks = () if exact is None else exact.remarks
    entry = {"search": search, "devices": found}
    return Listing(entry, _listed(columns, rows, f"of {len(known())} devices", remarks))


def _listed(
    columns: Sequence[str], rows: Sequence[Sequence[str]], of: str, remarks: Sequence[str] = ()
) -> tuple[str | Table, ...]:
    notes = (f"note: {remark}" for remark in remarks)
    ending = f"{len(rows)} {of}; --json has all that is known of them"
    return (texts(columns, rows), *notes, ending)


def _model(m: Model) -> dict[str, Any]:
    shape = m.shape
    active = shape.active_parameters() - shape.lookup if shape.experts else m.published_parameters
    return {
        "name": m.name, "aliases": m.aliases, "hub": m.hub, "parameters": m.published_parameters,
        "active_parameters": m.published_active or active,
        "layers": shape.layers, "hidden": shape.hidden, "heads": shape.heads,
        "kv_heads": shape.kv_heads, "experts": shape.experts, "vocab": shape.vocab,
        "context_tokens": shape.context, "dtype": m.dtype or shape.weights, "year": m.year,
        "training_tokens": m.training_tokens, "source": m.source, "notes": m.notes,
    }  # fmt: skip


def _device(d: Device) -> dict[str, Any]:
    return {
        "name": d.label, "kind": d.kind, "count": d.count, "memory_gb": d.memory / 1e9,
        "bandwidth_gb_s": d.bandwidth / 1e9, "link_gb_s": d.link / 1e9,
        "rates_top_s": {k: v / 1e12 for k, v in d.rates.items()}, "source": d.source,
        "notes": d.notes, "remarks": d.remarks,
    }  # fmt: skip


def _size(parameters: float) -> str:
    """Parameters the way names of models state them."""
    for unit, scale in (("T", 1e12), ("B", 1e9), ("M", 1e6)):
        if parameters >= scale:
            return f"{parameters / scale:.3g} {unit}"
    return f"{parameters:g}"


def _rate(rates: dict[str, float], *formats: str) -> str:
    return next((f"{rates[f]:g}" for f in formats if f in rates), "-")
