"""The command `howspec`: the verbs and where they are, one line for whatever goes wrong.

Former spellings of options work on, with a line on stderr that names the present one.
"""

from __future__ import annotations

import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import NoReturn

import click

from .commands import Verb, Verbs
from .completion import COMPLETE, completion_options
from .output import COMMAND, print_json

# By verb; of a verb under calibrate, both words. Other verbs say --engine for an engine's format.
FORMER: dict[str, dict[str, str]] = {
    "predict": {"--statistics": "--acceptance", "--engine": "--stack"},
    "rank": {"--drafts": "--draft", "--engine": "--stack"},
    "scale": {"--engine": "--stack"},
    "crossover": {"--engine": "--stack"},
    "schedule": {"--cost": "--costs", "--passes": "--costs", "--statistics": "--acceptance"},
    "explain": {"--statistics": "--acceptance", "--plain-step-ms": "--plain-ms"},
    "calibrate costs": {"--seconds": "--stage-seconds"},
}


def present(arguments: list[str]) -> list[str]:
    """The arguments with former spellings of options replaced, each with a notice on stderr."""
    words = [a for a in arguments if not a.startswith("-")][:2]
    known = FORMER.get(" ".join(words[:1]), {}) | FORMER.get(" ".join(words), {})
    written = []
    for place, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name in known and "--" not in arguments[:place]:
            print(f"howspec: {name} is now called {known[name]}", file=sys.stderr)
            argument = known[name] + equals + value
        written.append(argument)
    return written


# Verbs in the order of the help, each with the module that has it, and its function where that has
# another name.
VERBS: dict[str, str] = {
    "predict": "questions", "rank": "questions", "scale": "questions", "crossover": "questions",
    "measure": "servers", "compare": "servers", "tune": "servers",
    "import": "servers:import_statistics", "explain": "questions", "evidence": "lookups",
    "schedule": "questions", "synthetic": "servers", "hook": "servers", "simulate": "simulate",
    "validate": "studies", "explore": "studies", "paper": "studies", "figures": "studies",
    "formulas": "lookups", "models": "lookups", "devices": "lookups",
}  # fmt: skip
_MODELS = "torch transformers safetensors tokenizers huggingface_hub gguf accelerate"
EXTRAS = dict.fromkeys(_MODELS.split(), "calibrate") | {"httpx2": "measure"}  # what they bring


def _version(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from .. import __version__

        print(f"howspec {__version__}")
        context.exit()


@cache
def application() -> Verbs:
    """The command line; a verb is imported when it is asked for."""
    version = click.Option(
        ["--version"], is_flag=True, expose_value=False, is_eager=True, callback=_version,
        help="Print the version.",
    )  # fmt: skip
    return Verbs(
        "howspec",
        verbs=VERBS | {"calibrate": "calibrate"},
        params=[version, *completion_options()],
        help="How many tokens to draft, and how small a draft: predictions for speculative "
        "decoding.",
    )


def run(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit status: 0, or 2 with one line on stderr.

    With --json among the arguments, the error is an object on stdout as well.
    """
    given = sys.argv[1:] if arguments is None else arguments
    COMMAND.set(tuple(given))
    try:
        asked = present(given) or ["--help"]
        if asked[0] in VERBS:  # models that are measured keep all threads
            one_thread()
        status = _status(asked)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None
    except (KeyboardInterrupt, click.Abort) as stopped:
        _fail(str(stopped) or "interrupted", 130, given)
    except OSError as error:
        known = error.filename is not None and error.strerror is not None
        _fail(f"{error.filename}: {error.strerror}" if known else str(error), 2, given)
    except ValueError as error:
        _fail(str(error), 2, given)
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in EXTRAS:
            raise
        _fail(f"this needs {name}: pip install 'howspec[{EXTRAS[name]}]'", 2, given)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        more = "" if context is None else f"; see {context.command_path} --help"
        _fail(_usage(error).rstrip(".") + more, 2, given)
    raise SystemExit(status)


def one_thread() -> None:
    """Keep linear algebra on one thread: small matrices gain nothing from more, and threads that
    wait for each other on a busy machine take seconds. Before the first import of numpy only.
    """
    if "numpy" not in sys.modules:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _usage(error: click.ClickException) -> str:
    """What is wrong with the words, the same in every release of click."""
    if not isinstance(error, click.NoSuchOption):
        return error.format_message()
    near = f" (Possible options: {', '.join(error.possibilities)})" if error.possibilities else ""
    return f"No such option: {error.option_name}{near}"


def _status(asked: list[str]) -> int:
    """The exit status of the verb that is asked for, run; errors and interrupts are raised."""
    if COMPLETE in os.environ:
        application().main(asked, prog_name="howspec")
    try:
        with application().make_context("howspec", list(asked)) as context:
            application().invoke(context)
    except click.exceptions.Exit as left:
        return left.exit_code
    return 0


def _with_options(message: str, given: list[str]) -> str:
    """The message with names of a verb's arguments as its options: alpha_tokens, --alpha-tokens.

    What is wrong in a file is told with the names that stand in the file.
    """
    files = [w.partition("=")[2] if w.startswith("-") else w for w in given]
    if any(Path(file).suffix and message.startswith(file) for file in files):
        return message
    words = [w for w in given if not w.startswith("-")]
    at = application()
    asked = at.made(words[0]) if words[:1] and words[0] in at.verbs else None
    if isinstance(asked, Verbs):
        asked = asked.made(words[1]) if words[1:] and words[1] in asked.verbs else None
    known = {o.name for o in asked.options()} if isinstance(asked, Verb) else set()

    def option(found: re.Match[str]) -> str:
        name = found[0]
        return f"--{name.replace('_', '-')}" if name in known else name

    message = re.sub(r"^[a-z_]+(?= (?:must be|needs|goes with) )", option, message)
    return re.sub(r"(?<![\w./-])[a-z]+(?:_[a-z0-9]+)+(?![\w./-])", option, message)


def _fail(message: str, status: int, given: list[str]) -> NoReturn:
    line = _with_options(" ".join(message.split()), given)
    if "--json" in given:
        print_json({"error": line, "status": status})
    print(f"howspec: {line}", file=sys.stderr)
    raise SystemExit(status)
