"""`howspec evidence`: what has been measured of a target, a draft or a device, with citations."""

from __future__ import annotations

from .answering import Given, answering


@answering(
    "target draft device html as_json",
    draft="A draft model, or a kind: EAGLE-3, MTP, DFlash, n-gram.",
)
def evidence(given: Given) -> None:
    """List published measurements of a target, a draft or a device, each with its citation.

    Example:

    howspec evidence --target Llama-3.1-8B --draft EAGLE3 --device H100
    """
