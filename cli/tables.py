"""`howspec models` and `howspec devices`: what the tables know, listed and searched."""

from __future__ import annotations

from .answering import Given, answering
from .commands import Argument

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
