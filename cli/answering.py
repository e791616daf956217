"""A verb that asks one function of `howspec` and shows what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from inspect import signature
from typing import Any

from . import options
from .commands import Asked, Option, Verb, asked
from .output import check_outputs, progress_bar, say, show

# What is given, by the names of the function's arguments. A verb may change it; it returns nothing,
# or the answer of another function.
Given = dict[str, Any]
_OURS = ("figure", "html", "as_json")


def answering(
    names: str,
    *,
    asks: str = "",
    shared: Mapping[str, Option] = options.SHARED,
    show_as: Callable[[Any, Given], None] | None = None,
    **own: Option | str,
) -> Callable[[Callable[[Given], object]], Verb]:
    """Make a verb of a function of `howspec`, called alike unless ``asks`` names it,
    with its module where that has another name.

    names: of all options in the order of the help; own: those that are not shared with others,
    as text where its help is all that one has of its own. show_as: prints the answer, given the
    options too.
    """
    listed = names.split()
    if "acceptance" in listed:  # of a metrics URL, over an interval
        at = listed.index("acceptance") + 1
        listed[at:at] = ["every", "for_"]

    def command(verb: Callable[[Given], object]) -> Verb:
        module, _, function = (asks or verb.__name__).partition(":")

        def ask() -> Callable[..., Any]:
            place = import_module(f"..verbs.{module}", __package__)
            found: Callable[..., Any] = getattr(place, function or module)
            return found

        def options_of() -> list[Asked]:
            return asked(listed, {**shared, **said(own)}, signature(ask()))

        def answer(given: Given) -> None:
            check_outputs(given.get("figure"), given.get("html"))
            _watch(given)
            rest = {n: v for n, v in given.items() if n not in _OURS}
            for option in made.options():
                if option.name in rest:
                    option.fill(rest)
            other = verb(rest)
            found: Any = _answer(ask(), rest) if other is None else other
            if show_as is None:
                show(found, given["as_json"], given.get("figure"), given.get("html"))
            else:
                show_as(found, given)

        made = Verb(verb, options_of, answer)
        return made

    return command


def said(own: Mapping[str, Option | str]) -> dict[str, Option]:
    """Options, of which some are given by their help alone."""
    return {n: Option(o) if isinstance(o, str) else o for n, o in own.items()}


def _watch(given: Given) -> None:
    """Put the counts of the interval of --every and --for in the place of their URL."""
    if "acceptance" not in given:
        return
    every, seconds = given.pop("every", None), given.pop("for_", None)
    if every is not None or seconds is not None:
        from ..calibrate.engines.live import watch_asked

        url = options.one_of(given, "SOURCE", "--acceptance")
        given["acceptance"] = watch_asked(url, every, seconds)


def _answer(ask: Callable[..., Any], rest: Given) -> Any:
    """What the function answers; acceptance and costs may be numbers of their own options.

    What it tells while it works is shown.
    """
    takes = signature(ask).parameters
    if "acceptance" in rest and "alpha" not in takes:
        rest["acceptance"] = options.exact(options.one_of(rest, "--acceptance", "--alpha"))
    if "costs" in rest:
        own = () if "cost_ratio" in takes else ("--cost-ratio",)
        rest["costs"] = options.exact(options.one_of(rest, "--costs", *own))
    if "say" in takes:
        rest["say"] = say
    if "progress" not in takes:
        return ask(**rest)
    with progress_bar() as progress:
        return ask(**rest, progress=progress)
