"""A verb as a command of click: a docstring is its help, a signature the types of its options.

The signature is that of the function of `howspec` which the verb asks, or that of the verb itself;
a verb adds what the help says of each option, and what an option has otherwise than its argument.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import click

CONTEXT = {"help_option_names": ["-h", "--help"]}


@dataclass(frozen=True)
class Option:
    """An option, with what it has otherwise than the argument that it fills.

    names: as it is written; kind: of what is given; several: whether it may be given several times;
    to: the argument, where its name is another; parse: (text, option) to what the argument takes,
    of what was given several times with commas between. An option that is parsed or given several
    times leaves its argument at the usual where it is not given.
    """

    help: str
    names: tuple[str, ...] = ()
    kind: type | None = None
    default: object = ...
    to: str = ""
    several: bool = False
    parse: Callable[[str, str], object] | None = None


class Argument(Option):
    """The same of an argument, which is given by its place."""


@dataclass(frozen=True)
class Asked:
    """An option of a verb, with what the signature says of it; no default: it must be given."""

    name: str
    option: Option
    kind: type
    several: bool
    default: object

    @property
    def needed(self) -> bool:
        """Whether it must be given."""
        return self.default is inspect.Parameter.empty

    def parameter(self) -> click.Parameter:
        """As click knows it."""
        kind = click.Path(path_type=Path) if self.kind is Path else self.kind
        given: dict[str, Any] = {} if self.needed else {"default": self.default}
        given |= {"required": self.needed, "type": kind}
        if isinstance(self.option, Argument):
            return click.Argument([self.name], nargs=-1 if self.several else 1, **given)
        names = self.option.names or (f"--{self.name.replace('_', '-')}",)
        if self.kind is bool:
            given |= {"is_flag": True}
        else:
            shown = "list[str]" if self.several else self.kind.__name__.lower()
            given |= {"multiple": self.several, "metavar": f"<{shown}>"}
        given["show_default"] = not self.needed and self.default not in (None, "")
        return click.Option([self.name, *names], help=self.option.help, **given)

    def fill(self, given: dict[str, Any]) -> None:
        """Put what the argument takes in the place of what was given of the option."""
        value = given.pop(self.name)
        if value is None and (self.option.parse is not None or self.several):
            return
        if self.option.parse is not None:
            text = ",".join(value) if self.several else value
            value = self.option.parse(text, f"--{self.name.replace('_', '-')}")
        given[self.option.to or self.name] = value


def asked(
    names: list[str], options: Mapping[str, Option], signature: inspect.Signature
) -> list[Asked]:
    """The options of these names, of the types and defaults of a signature's arguments."""
    found = []
    for name in names:
        option = options[name]
        argument = signature.parameters.get(option.to or name)
        said = "str" if argument is None else argument.annotation
        several = option.several or said.startswith(("Sequence[str", "list[str"))
        kind = str if option.parse is not None else _kind(said)
        default: object = None
        if argument is not None:
            spoken = option.parse is None and not several
            empty = argument.default is inspect.Parameter.empty
            default = argument.default if empty or spoken else None
        if option.default is not ...:
            default = option.default
        found.append(Asked(name, option, option.kind or kind, several, default))
    return found


def _kind(annotation: str) -> type:
    """What a text is read as: a number where no text will do."""
    kinds = {"int": int, "float": float, "bool": bool, "Path": Path}
    parts = annotation.split(" | ")
    return str if "str" in parts else kinds.get(parts[0], str)


class Verb(click.Command):
    """A verb: its options are looked up when it is asked for, its help has its arguments too."""

    def __init__(
        self,
        verb: Callable[..., object],
        options: Callable[[], list[Asked]],
        answer: Callable[[dict[str, Any]], None],
    ) -> None:
        text = inspect.cleandoc(verb.__doc__ or "")
        short = " ".join(text.split("\n\n")[0].split())
        super().__init__(
            verb.__name__, callback=self.ask, help=text, short_help=short, context_settings=CONTEXT
        )
        self.options, self.answer = cache(options), answer

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The options, made when they are first asked for."""
        self.params = self.params or [a.parameter() for a in self.options()]
        return super().get_params(ctx)

    def ask(self, **given: Any) -> None:
        """Answer; what is not given is at its default."""
        whole = {a.name: a.default for a in self.options() if not a.needed} | given
        self.answer({n: list(v) or None if isinstance(v, tuple) else v for n, v in whole.items()})

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the arguments, then the options."""
        about = {a.name: a.option.help for a in self.options()}
        found = [p for p in self.get_params(ctx) if isinstance(p, click.Argument)]
        if found:
            with formatter.section("Arguments"):
                formatter.write_dl([(p.human_readable_name, about[p.name or ""]) for p in found])
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
        found: click.Command = getattr(import_module(f".{module}", __package__), function or name)
        return found
