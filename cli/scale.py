"""`howspec scale`: how small the best draft of a target is, and in which number format."""

from __future__ import annotations

from . import options
from .answering import Given, answering
from .commands import Option


@answering(
    "target device draft batch context dtype draft_dtype stack task temperature sizes gamma_max "
    "objective level seed online figure html as_json",
    draft=options.drafts(
        "Drafts to name on the curve, such as Qwen2.5-1.5B:q4; several times, or with commas; "
        "default those of the family."
    ),
    draft_dtype=Option(
        "Number formats of drafts with commas; default the usual of the stack.",
        parse=options.words,
    ),
    sizes="Sizes tried from target/2 to target/1000.",
)
def scale(given: Given) -> None:
    """Find the best size and number format of a draft in the shape of the target's family.

    A smaller draft, and one of fewer bits, costs less and is accepted less: the speed-up turns at
    one size and one format. The tables are that curve for drafts with the layers usual for their
    size, each at its best gamma, and the drafts that exist.

    Examples:

    howspec scale --target Llama-3.1-70B --device "4x H100" --task chat

    howspec scale --target Qwen2.5-32B:q4 --device "M4 Max" --stack llama.cpp
    --draft-dtype q8,q4_k_m
    """
