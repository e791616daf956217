"""A verb as a command of click: its signature says the options, its docstring the help.

    def verb(gamma: Annotated[int | None, Option(help="Draft tokens of a round.")] = None) -> None:

A parameter is the option --gamma, of its own type and default; one without a default is required.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, wraps
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

import click

CONTEXT = {"help_option_names": ["-h", "--help"]}


@dataclass(frozen=True, init=False)
class Option:
    """What the help says of an option, and its name where that is not the parameter's."""

    names: tuple[str, ...]
    help: str

    def __init__(self, *names: str, help: str) -> None:  # noqa: A002
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "help", help)


class Argument(Option):
    """The same of an argument, which is given by its place."""


class Verb(click.Command):
    """A command whose help has its arguments too, in every release of click."""

    about: Mapping[str | None, str] = {}  # by the name of an argument

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the arguments, then the options."""
        found = [p for p in self.params if isinstance(p, click.Argument)]
        if found:
            with formatter.section("Arguments"):
                formatter.write_dl([(p.human_readable_name, self.about[p.name]) for p in found])
        super().format_options(ctx, formatter)


class Verbs(click.Group):
    """Commands by name; each is `module` or `module:function`, imported when it is asked for."""

    def __init__(self, name: str, *, verbs: Mapping[str, str], **more: Any) -> None:
        super().__init__(
            name, context_settings=CONTEXT, subcommand_metavar="COMMAND [ARGS]...", **more
        )
        self.verbs = verbs
        self.made = cache(self._made)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order of the help."""
        return [*self.verbs]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name; ValueError's kin, with the nearest name, where there is none."""
        if cmd_name in self.verbs:
            return self.made(cmd_name)
        if ctx.resilient_parsing or cmd_name.startswith("-"):
            return None
        from difflib import get_close_matches

        near = get_close_matches(cmd_name, self.verbs, 1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        raise click.UsageError(f"No such command {cmd_name!r}.{meant}", ctx)

    def _made(self, name: str) -> click.Command:
        module, _, function = self.verbs[name].partition(":")
        found = getattr(import_module(f".{module}", __package__), function or name)
        return found if isinstance(found, click.Command) else command(found, name)


def command(verb: Callable[..., object], name: str | None = None) -> click.Command:
    """The command that calls the verb with its options; by the name of the verb or another."""
    text = inspect.cleandoc(verb.__doc__ or "")
    found = list(_parameters(verb))

    @wraps(verb)
    def called(**given: Any) -> None:
        verb(**{n: list(v) or None if isinstance(v, tuple) else v for n, v in given.items()})

    made = Verb(
        name or verb.__name__,
        params=[p for p, _ in found],
        callback=called,
        help=text,
        short_help=" ".join(text.split("\n\n")[0].split()),
        context_settings=CONTEXT,
    )
    made.about = {p.name: about for p, about in found}
    return made


def _parameters(verb: Callable[..., object]) -> Iterator[tuple[Any, str]]:
    """Parameters of click, with what is said of them."""
    for name, parameter in inspect.signature(verb, eval_str=True).parameters.items():
        annotation, about = get_args(parameter.annotation)
        if get_origin(annotation) is UnionType:
            annotation = get_args(annotation)[0]  # str | None
        several = get_origin(annotation) is list
        kind = str if several else annotation
        needed = parameter.default is inspect.Parameter.empty
        given: dict[str, Any] = {} if needed else {"default": parameter.default}
        given |= {"required": needed, "type": click.Path(path_type=Path) if kind is Path else kind}
        if isinstance(about, Argument):
            yield click.Argument([name], nargs=-1 if several else 1, **given), about.help
            continue
        long = name.replace("_", "-")
        if kind is bool:
            names = about.names or (f"--{long}/--no-{long}",)
            given |= {"is_flag": True}
        else:
            names = about.names or (f"--{long}",)
            shown = "list[str]" if several else kind.__name__.lower()
            given |= {"multiple": several, "metavar": f"<{shown}>"}
        given["show_default"] = not needed and parameter.default not in (None, "")
        yield click.Option([name, *names], help=about.help, **given), about.help
