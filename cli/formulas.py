"""`howspec formulas`: the formula sheet."""

from __future__ import annotations

from .answering import Given, answering
from .commands import Argument


@answering(
    "name latex as_json",
    name=Argument("One formula, with a worked value."),
    latex="Print the formulas as LaTeX.",
)
def formulas(given: Given) -> None:
    """Print the symbols and the formulas, with assumptions and sources.

    Examples:

    howspec formulas

    howspec formulas tokens_per_round --latex
    """
