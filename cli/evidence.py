"""`howspec evidence`: what has been measured of a target, a draft or a device, with citations."""

from __future__ import annotations

from typing import Annotated

import typer

from . import options
from .checks import check_outputs
from .output import show


def evidence(
    target: options.Target = None,
    draft: Annotated[
        str | None, typer.Option(help="A draft model, or a kind: EAGLE-3, MTP, DFlash, n-gram.")
    ] = None,
    device: options.Device = None,
    html: options.Html = None,
    as_json: options.Json = False,
) -> None:
    """List published measurements of a target, a draft or a device, each with its citation.

    Example:

    howspec evidence --target Llama-3.1-8B --draft EAGLE3 --device H100
    """
    check_outputs(None, html)
    from ..verbs.evidence import evidence as ask

    show(ask(target, draft=draft, device=device), as_json, html=html)
