"""The command `howspec`: one thin file a verb, one line for whatever goes wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn

import typer

from .calibrate import calibrate
from .crossover import crossover
from .explain import explain
from .figures import figures
from .formulas import formulas
from .hook import hook
from .import_ import import_statistics
from .paper import paper
from .predict import predict
from .rank import rank
from .scale import scale
from .schedule import schedule
from .simulate import simulate
from .synthetic import synthetic
from .validate import validate

app = typer.Typer(
    name="howspec",
    help="How many tokens to draft, and how small a draft: predictions for speculative decoding.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
VERBS: dict[str, Callable[..., None]] = {
    "predict": predict,
    "rank": rank,
    "scale": scale,
    "crossover": crossover,
    "import": import_statistics,
    "explain": explain,
    "schedule": schedule,
    "synthetic": synthetic,
    "hook": hook,
    "simulate": simulate,
    "validate": validate,
    "paper": paper,
    "figures": figures,
    "formulas": formulas,
}
for name, verb in VERBS.items():
    app.command(name)(verb)
app.add_typer(calibrate, name="calibrate")


def run(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit status: 0, or 2 with one line on stderr."""
    try:
        given = sys.argv[1:] if arguments is None else arguments
        status = app(args=given or ["--help"], standalone_mode=False, prog_name="howspec")
    except (KeyboardInterrupt, typer.Abort):
        _fail("interrupted", 130)
    except (ValueError, OSError) as error:
        _fail(str(error), 2)
    except Exception as error:
        # Errors of usage come from click or from the copy of it that typer carries.
        if not hasattr(error, "format_message"):
            raise
        _fail(error.format_message(), 2)
    raise SystemExit(status if isinstance(status, int) else 0)


def _fail(message: str, status: int) -> NoReturn:
    print("howspec: " + " ".join(message.split()), file=sys.stderr)
    raise SystemExit(status)
