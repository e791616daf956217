"""A verb whose options are the arguments of the function of `howspec` that has its name."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from inspect import Parameter, signature
from typing import Any

from . import options
from .checks import check_outputs
from .output import show

# A verb gets its options and changes those that the function has by another name or in another
# form; it returns nothing, or the answer of another function.
Given = dict[str, Any]
Verb = Callable[..., object]


def answering(
    names: str, *, show_as: Callable[[Any, Given], None] | None = None
) -> Callable[[Verb], Callable[..., None]]:
    """Make a command of a verb: check files, ask the function of the verb's name, show the answer.

    names: of all its options in the order of its help; those that the verb does not declare itself
    are the shared ones of `options.SHARED`. show_as: prints the answer, given the options too.
    """

    def command(verb: Verb) -> Callable[..., None]:
        own = signature(verb, eval_str=True).parameters
        listed = names.split()
        if "acceptance" in listed:  # of a metrics URL, over an interval
            at = listed.index("acceptance") + 1
            listed[at:at] = ["every", "for_"]
        asked = {name: own.get(name) or _shared(name) for name in listed}
        missing = [n for n in own if n not in asked and n != "given"]
        assert not missing, f"{verb.__name__}: {missing} are not among its options"

        @wraps(verb)
        def asking(**given: Any) -> None:
            given = {n: p.default for n, p in asked.items() if p.default is not p.empty} | given
            figure, html = given.get("figure"), given.get("html")
            check_outputs(figure, html)
            _watch(given)
            found = _answer(verb, {n: given[n] for n in own if n in given}, given)
            if show_as is None:
                show(found, given["as_json"], figure, html)
            else:
                show_as(found, given)

        keyword = [p.replace(kind=Parameter.KEYWORD_ONLY) for p in asked.values()]
        asking.__signature__ = signature(verb).replace(  # type: ignore[attr-defined]
            parameters=keyword, return_annotation=None
        )
        return asking

    return command


def _shared(name: str) -> Parameter:
    kind, default = options.SHARED[name]
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _watch(given: Given) -> None:
    """Put the counts of the interval of --every and --for in the place of their URL."""
    every, seconds = given.pop("every", None), given.pop("for_", None)
    if every is not None or seconds is not None:
        from ..calibrate.engines.live import watch_asked

        url = options.one_source(given.get("source"), given["acceptance"])
        given |= {"acceptance": watch_asked(url, every, seconds)}
        given |= {"source": None} if "source" in given else {}


def _answer(verb: Verb, own: Given, given: Given) -> Any:
    """What the function answers to the options as the verb changes them."""
    rest = {n: v for n, v in given.items() if n not in ("figure", "html", "as_json")}
    found = verb(rest, **own)
    if found is not None:
        return found
    ask = getattr(import_module(f"..verbs.{verb.__name__}", __package__), verb.__name__)
    takes = signature(ask).parameters
    if "acceptance" in rest and "alpha" not in takes:
        rest["acceptance"] = options.acceptance(rest["acceptance"], rest.pop("alpha", None))
    if "costs" in rest:
        ratio = None if "cost_ratio" in takes else rest.pop("cost_ratio", None)
        rest["costs"] = options.costs(rest["costs"], ratio)
    if "progress" not in takes:
        return ask(**rest)
    from .output import progress_bar

    with progress_bar() as progress:
        return ask(**rest, progress=progress)
