"""`howspec calibrate show`: a record as a table."""

from __future__ import annotations

from .answering import Given, answering
from .commands import Argument


@answering(
    "file limits as_json",
    file=Argument("A record: .json or .json.gz."),
    limits="Of costs: passes of one token beside the least time that memory and computing "
    "allow, and what takes their time: launches, memory or computing.",
)
def show(given: Given) -> None:
    """Print a record of costs, acceptance or a sweep: medians, counts, and where it comes from.

    The family.json of a trained family is printed too: its models with their held-out losses.

    Example:

    howspec calibrate show campaign/records/costs.json
    """
