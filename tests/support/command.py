"""The command line, called in the process of the test."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

import pytest
from howspec.cli.main import run


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Status, output and messages of `howspec ARGUMENTS`."""
    with pytest.raises(SystemExit) as stop:
        run([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


def answer(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    """What `howspec ARGUMENTS --json` answers, without a message."""
    status, out, err = call(capsys, *arguments, "--json")
    assert (status, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


def shown_examples(capsys: pytest.CaptureFixture[str], *verb: str) -> list[list[str]]:
    """The examples that the help of a verb shows, each the words after `howspec`."""
    parts = re.split(r"\n\s*\n", call(capsys, *verb, "--help")[1])
    return [shlex.split(" ".join(p.split()))[1:] for p in parts if p.split()[:1] == ["howspec"]]
