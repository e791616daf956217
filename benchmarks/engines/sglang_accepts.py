"""Run by a Python that has SGLang's wheel: does its argument parser take these options?

Reads a JSON list of {"command": options, "target": folder} and prints a list of what was wrong with
each, "" where nothing was. The parser and the adaptive schedule's own reader are all that runs
without an accelerator.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import shlex
import sys

from sglang.srt.server_args import ServerArgs


def wrong(parser: argparse.ArgumentParser, command: str, target: str) -> str:
    """What SGLang says of the options, "" where it takes them."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            given = parser.parse_args(["--model-path", target, *shlex.split(command)])
    except SystemExit:
        return " ".join(said.getvalue().split())[-300:]
    if not command:
        return ""
    steps, drafted = given.speculative_num_steps, given.speculative_num_draft_tokens
    if given.speculative_algorithm is None and steps is None and drafted is None:
        return "no speculation came of it"
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    ServerArgs.add_cli_args(parser)
    found = [wrong(parser, one["command"], one["target"]) for one in json.load(sys.stdin)]
    print("ACCEPTED " + json.dumps(found))


main()
