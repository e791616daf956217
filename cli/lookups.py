"""What is known already: published measurements, formulas, models and devices."""

from __future__ import annotations

from .answering import Given, answering
from .commands import Argument


@answering(
    "target draft device html as_json",
    draft="A draft model, or a kind: EAGLE-3, MTP, DFlash, n-gram.",
)
def evidence(given: Given) -> None:
    """List published measurements of a target, a draft or a device, each with its citation.

    Example:

    howspec evidence --target Llama-3.1-8B --draft EAGLE3 --device H100
    """


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


_SEARCH = Argument("Words that the name must hold, or one name as it is written.")


@answering("search as_json", asks="tables:model_table", search=_SEARCH)
def models(given: Given) -> None:
    """List the models that are known by name, with their sizes; or search them.

    Any other model of the hub is read from its config.json, or with --online from the hub.

    Example:

    howspec models qwen3
    """


@answering("search as_json", asks="tables:device_table", search=_SEARCH)
def devices(given: Given) -> None:
    """List the devices that are known by name, with their rates and memory; or search them.

    Several of one kind are written '4x H100' or 'H100 x4'. What a driver prints is known as well.

    Example:

    howspec devices h100
    """
