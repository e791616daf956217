"""Completion of names of verbs and options at the tab key, in bash, zsh and fish."""

from __future__ import annotations

import os
from pathlib import Path

import click

COMPLETE = "_HOWSPEC_COMPLETE"  # set by the script that the shell reads
# File of the script, file of the shell's settings and what is added to it; fish finds its own.
_PLACES = {
    "bash": (".bash_completions/howspec.sh", ".bashrc", "source '{file}'"),
    "zsh": (".zfunc/_howspec", ".zshrc", "fpath+=~/.zfunc; autoload -Uz compinit; compinit"),
    "fish": (".config/fish/completions/howspec.fish", "", ""),
}


def completion_options() -> list[click.Option]:
    """--install-completion and --show-completion, for the shell of $SHELL."""
    return [
        click.Option(
            ["--install-completion"], is_flag=True, expose_value=False, is_eager=True,
            callback=_install, help="Install completion for the current shell.",
        ),
        click.Option(
            ["--show-completion"], is_flag=True, expose_value=False, is_eager=True, callback=_show,
            help="Show completion for the current shell, to copy it or customize the installation.",
        ),
    ]  # fmt: skip


def _show(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        print(_script(context)[1])
        context.exit()


def _install(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    shell, script = _script(context)
    place, settings, line = _PLACES[shell]
    file = Path.home() / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(script + "\n", encoding="utf-8")
    if settings:
        line, at = line.format(file=file), Path.home() / settings
        held = at.read_text(encoding="utf-8") if at.is_file() else ""
        if line not in held.splitlines():
            at.write_text(f"{held.rstrip()}\n\n{line}\n".lstrip(), encoding="utf-8")
    print(f"{shell} completion is in {file}; it works in the next terminal")
    context.exit()


def _script(context: click.Context) -> tuple[str, str]:
    """(shell, its script); ValueError for a shell that click does not complete in."""
    from click.shell_completion import get_completion_class

    shell = Path(os.environ.get("SHELL", "")).name
    made = get_completion_class(shell)
    if made is None or shell not in _PLACES:
        raise ValueError(f"SHELL must be {', '.join(_PLACES)} for completion, got {shell!r}")
    return shell, made(context.command, {}, "howspec", COMPLETE).source()
