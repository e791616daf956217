"""`howspec rank`: drafts of one target in order, with how often each is the fastest."""

from __future__ import annotations

from . import options
from .answering import Given, answering
from .commands import Option


@answering(
    "target draft device acceptance costs plain_ms known_draft batch context dtype stack p_min "
    "task temperature gamma_max objective level seed online figure html as_json",
    draft=options.drafts(
        "Draft models and heads, such as Qwen2.5-1.5B:q4; several times, or with commas."
    ),
    batch=Option(
        "Sequences decoded together; several with commas.", default="1", parse=options.numbers
    ),
)
def rank(given: Given) -> None:
    """Rank drafts of a target on a device, each at its best gamma.

    Acceptance and costs are predicted with draws in common: one task, one family and one machine
    for all drafts, so that what is not known of these does not blur the order. Records that hold
    the drafts replace what would be predicted; a speed-up of one draft tells of the others.

    Examples:

    howspec rank --target Qwen2.5-32B --draft Qwen2.5-0.5B,Qwen2.5-1.5B,Qwen2.5-3B --device H200

    howspec rank --target Qwen2.5-32B:q4 --draft Qwen2.5-0.5B:q8,Qwen2.5-1.5B:q8 --device "M4 Max"
    --stack llama.cpp --known-draft Qwen2.5-0.5B:q4:4:1.3
    """
