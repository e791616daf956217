"""`howspec scale`: how small, and how deep, the best draft of a target is."""

from __future__ import annotations

from typing import Annotated

import typer

from . import options
from .answering import Given, answering


@answering(
    "target device batch context dtype stack task temperature sizes gamma_max objective level "
    "seed online figure html as_json"
)
def scale(
    given: Given,
    target: Annotated[str, options.TARGET],
    device: Annotated[str, options.DEVICE],
    sizes: Annotated[int, typer.Option(help="Sizes tried from target/2 to target/1000.")] = 19,
) -> None:
    """Find the best size and depth of a draft in the shape of the target's family.

    A smaller draft costs less and is accepted less: the speed-up turns at one size. The table is
    that curve for drafts with the layers usual for their size, each at its best gamma.

    Example:

    howspec scale --target Llama-3.1-70B --device "4x H100" --task chat
    """
