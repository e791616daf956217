"""The command `howspec`: one thin file a verb, one line for whatever goes wrong.

Former spellings of options work on, with a line on stderr that names the present one.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from functools import cache
from inspect import signature
from typing import Annotated, NoReturn

import typer

from .calibrate import MEASURING, calibrate
from .compare import compare
from .crossover import crossover
from .evidence import evidence
from .explain import explain
from .explore import explore
from .figures import figures
from .formulas import formulas
from .hook import hook
from .import_ import import_statistics
from .measure import measure
from .options import one_thread, watched
from .output import COMMAND, print_json, purpose
from .paper import paper
from .predict import predict
from .rank import rank
from .scale import scale
from .schedule import schedule
from .simulate import simulate
from .synthetic import synthetic
from .tables import devices, models
from .tune import tune
from .validate import validate

# By verb; of a verb under calibrate, both words.
FORMER: dict[str, dict[str, str]] = {
    "predict": {"--statistics": "--acceptance"},
    "rank": {"--drafts": "--draft"},
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


VERBS: dict[str, Callable[..., None]] = {
    "predict": predict,
    "rank": rank,
    "scale": scale,
    "crossover": crossover,
    "measure": measure,
    "compare": compare,
    "tune": tune,
    "import": import_statistics,
    "explain": explain,
    "evidence": evidence,
    "schedule": schedule,
    "synthetic": synthetic,
    "hook": hook,
    "simulate": simulate,
    "validate": validate,
    "explore": explore,
    "paper": paper,
    "figures": figures,
    "formulas": formulas,
    "models": models,
    "devices": devices,
}
# What the extras bring.
EXTRAS = dict.fromkeys(
    (
        "torch",
        "transformers",
        "safetensors",
        "tokenizers",
        "huggingface_hub",
        "gguf",
        "accelerate",
    ),
    "calibrate",
) | {"httpx2": "measure"}


def _version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        print(f"howspec {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    pass


@cache
def application(only: str | None = None) -> typer.Typer:
    """The command line; of one verb only if that is a verb, which takes a tenth of the time."""
    app = typer.Typer(
        name="howspec",
        help=(
            "How many tokens to draft, and how small a draft: predictions for speculative decoding."
        ),
        context_settings={"help_option_names": ["-h", "--help"]},
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    known = only in VERBS or only == "calibrate"
    for name, verb in VERBS.items():
        if not known or name == only:
            app.command(name, short_help=purpose(verb))(watched(verb))
    if not known or only == "calibrate":
        app.add_typer(calibrate, name="calibrate", short_help=calibrate.info.help)
    return app


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
        app = application(asked[0])
        status = app(args=asked, standalone_mode=False, prog_name="howspec")
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None
    except (KeyboardInterrupt, typer.Abort):
        status = 130
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
    except Exception as error:
        # Errors of usage come from click or from the copy of it that typer carries.
        if not hasattr(error, "format_message"):
            raise
        context = getattr(error, "ctx", None)
        more = "" if context is None else f"; see {context.command_path} --help"
        _fail(error.format_message().rstrip(".") + more, 2, given)
    if status == 130:  # newer releases of typer catch the interrupt themselves
        _fail("interrupted", 130, given)
    raise SystemExit(status if isinstance(status, int) else 0)


def _with_options(message: str, given: list[str]) -> str:
    """The message with names of a verb's arguments as its options: alpha_tokens, --alpha-tokens."""
    verbs = VERBS | {f"calibrate {v.__name__}": v for v in MEASURING}
    words = [w for w in given if not w.startswith("-")]
    asked = verbs.get(" ".join(words[:2])) or verbs.get(" ".join(words[:1]))
    known = signature(asked).parameters if asked is not None else {}

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
