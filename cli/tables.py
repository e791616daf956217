"""`howspec models` and `howspec devices`: what the tables know, listed and searched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .answering import printing
from .commands import Argument
from .output import print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..calibrate.models import Device, Model

_SEARCH = Argument("Words that the name must hold, or one name as it is written.")


@printing(
    search=_SEARCH,
)
def models(
    search: str | None = None,
    as_json: bool = False,
) -> None:
    """List the models that are known by name, with their sizes; or search them.

    Any other model of the hub is read from its config.json, or with --online from the hub.

    Example:

    howspec models qwen3
    """
    from ..calibrate.models import find_model, nearest_models
    from ..calibrate.models import models as table

    exact = find_model(search) if search else None
    found = _matching(search, table().values(), exact, lambda m: (m.name, m.hub, *m.aliases))
    if not found:
        raise ValueError(f"no model is named {search!r}; nearest: {nearest_models(search or '')}")
    entries = [_model(m) for m in found]
    if as_json:
        print_json({"search": search, "models": entries})
        return
    columns = ["model", "parameters", "active", "layers", "vocabulary", "context", "format", "year"]
    print_table(columns, [
        [e["name"], _size(e["parameters"]), _size(e["active_parameters"]), f"{e['layers']}",
         f"{e['vocab']:,}", f"{e['context_tokens']:,}", e["dtype"], f"{e['year']}"]
        for e in entries
    ])  # fmt: skip
    _ending(len(found), len(table()), "models")


@printing(
    search=_SEARCH,
)
def devices(
    search: str | None = None,
    as_json: bool = False,
) -> None:
    """List the devices that are known by name, with their rates and memory; or search them.

    Several of one kind are written '4x H100' or 'H100 x4'. What a driver prints is known as well.

    Example:

    howspec devices h100
    """
    from ..calibrate.models import device
    from ..calibrate.models import devices as table

    exact, why = None, ""
    if search:
        try:
            exact = device(search)
        except ValueError as error:
            why = str(error)
    found = _matching(search, table().values(), exact, lambda d: (d.name,))
    if not found:
        raise ValueError(why.partition("; `howspec")[0])
    entries = [_device(d) for d in found]
    if as_json:
        print_json({"search": search, "devices": entries})
        return
    columns = ["device", "kind", "GB", "GB/s", "16 bit Top/s", "8 bit Top/s", "link GB/s"]
    print_table(columns, [
        [e["name"], e["kind"], f"{e['memory_gb']:g}", f"{e['bandwidth_gb_s']:g}",
         _rate(e["rates_top_s"], "bf16", "fp16"), _rate(e["rates_top_s"], "fp8", "int8"),
         "-" if not e["link_gb_s"] > 0.0 else f"{e['link_gb_s']:g}"]
        for e in entries
    ])  # fmt: skip
    for remark in exact.remarks if exact is not None else ():
        print(f"note: {remark}")
    _ending(len(found), len(table()), "devices")


def _matching(search: str | None, table: Iterable[Any], exact: Any, names: Any) -> list[Any]:
    """All, those whose names hold every word, or else the one that the text names."""
    words = [w for w in (search or "").casefold().split() if w]
    held = [e for e in table if all(any(w in n.casefold() for n in names(e)) for w in words)]
    if exact is not None and exact.name not in [e.name for e in held]:
        held.insert(0, exact)
    return held


def _model(m: Model) -> dict[str, Any]:
    shape = m.shape
    return {
        "name": m.name, "aliases": m.aliases, "hub": m.hub, "parameters": m.published_parameters,
        "active_parameters": m.published_active or m.published_parameters,
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


def _ending(shown: int, known: int, what: str) -> None:
    print(f"{shown} of {known} {what}; --json has all that is known of them")
