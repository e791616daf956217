"""`howspec evidence`: what has been measured of a target, a draft or a device, with citations."""

from __future__ import annotations

from typing import Annotated

from .answering import Given, answering
from .commands import Option


@answering("target draft device html as_json")
def evidence(
    given: Given,
    draft: Annotated[
        str | None, Option(help="A draft model, or a kind: EAGLE-3, MTP, DFlash, n-gram.")
    ] = None,
) -> None:
    """List published measurements of a target, a draft or a device, each with its citation.

    Example:

    howspec evidence --target Llama-3.1-8B --draft EAGLE3 --device H100
    """
