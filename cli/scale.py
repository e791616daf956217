"""`howspec scale`: how small the best draft of a target is, and in which number format."""

from __future__ import annotations

from typing import Annotated

from . import options
from .answering import Given, answering
from .commands import Option


@answering(
    "target device draft batch context dtype draft_dtype stack task temperature sizes gamma_max "
    "objective level seed online figure html as_json"
)
def scale(
    given: Given,
    target: Annotated[str, options.TARGET],
    device: Annotated[str, options.DEVICE],
    draft: Annotated[
        list[str] | None,
        Option(
            help="Drafts to name on the curve, such as Qwen2.5-1.5B:q4; several times, or with "
            "commas; default those of the family."
        ),
    ] = None,
    draft_dtype: Annotated[
        str,
        Option(help="Number formats of drafts with commas; default the usual of the stack."),
    ] = "",
    sizes: Annotated[int, Option(help="Sizes tried from target/2 to target/1000.")] = 19,
) -> None:
    """Find the best size and number format of a draft in the shape of the target's family.

    A smaller draft, and one of fewer bits, costs less and is accepted less: the speed-up turns at
    one size and one format. The tables are that curve for drafts with the layers usual for their
    size, each at its best gamma, and the drafts that exist.

    Examples:

    howspec scale --target Llama-3.1-70B --device "4x H100" --task chat

    howspec scale --target Qwen2.5-32B:q4 --device "M4 Max" --stack llama.cpp
    --draft-dtype q8,q4_k_m
    """
    named = given.pop("draft") or ()
    given["drafts"] = [n.strip() for text in named for n in text.split(",") if n.strip()]
    given["draft_dtype"] = [f.strip() for f in draft_dtype.split(",") if f.strip()]
