"""`howspec evidence`: what has been measured of a target, a draft or a device, with citations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .output import print_json, print_table

if TYPE_CHECKING:
    from ..calibrate.library.evidence import Measurement


def evidence(
    target: Annotated[str | None, typer.Option(help="A target, by any of its names.")] = None,
    draft: Annotated[
        str | None, typer.Option(help="A draft model, or a kind: EAGLE-3, MTP, DFlash, n-gram.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="A device, by any of its names.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List published measurements of a target, a draft or a device, each with its citation.

    Example:

    howspec evidence --target Llama-3.1-8B --draft EAGLE3 --device H100
    """
    from dataclasses import asdict

    from ..calibrate.library.evidence import evidence as measured

    found = measured(target, draft, device)
    if as_json:
        rows = [asdict(m) | {"unit": m.unit, "scored": m.scored} for m in found]
        print_json({"target": target, "draft": draft, "device": device, "measurements": rows})
        return
    if not found:
        print("nothing published of it is in the library")
        return
    head = ["metric", "value", "target", "draft", "gamma", "batch", "device", "engine", "task"]
    print_table([*head, "status"], [_cells(m) for m in found])
    print()
    for citation in dict.fromkeys(m.citation for m in found):
        print(f"source: {citation}")


def _cells(m: Measurement) -> list[str]:
    unit = "" if m.unit == "1" else f" {m.unit}"
    return [
        m.metric, f"{m.value:g}{unit}", m.target, m.draft or m.drafter,
        "" if m.gamma is None else f"{m.gamma}", "" if m.batch is None else f"{m.batch:g}",
        m.device or m.hardware, m.engine, m.task, m.status,
    ]  # fmt: skip
