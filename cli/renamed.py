"""Former spellings of options: they work on, with a line on stderr that names the present one."""

from __future__ import annotations

import sys

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
