"""What the README shows is what happens."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

import pytest
from howspec.cli.main import run

README = Path(__file__).resolve().parents[2] / "README.md"
SHOWN = re.findall(r"^\$ howspec (.+)\n(\w.*)$", README.read_text(encoding="utf-8"), re.MULTILINE)


def test_the_python_of_the_readme_runs_as_printed() -> None:
    result = doctest.testfile(str(README), module_relative=False)
    assert result.attempted >= 4
    assert result.failed == 0


@pytest.mark.parametrize(("command", "first_line"), SHOWN)
def test_a_command_of_the_readme_answers_as_printed(
    command: str, first_line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        run(shlex.split(command))
    assert stop.value.code == 0
    assert capsys.readouterr().out.splitlines()[0] == first_line


def test_the_readme_shows_a_prediction_a_sweep_and_a_plain_no() -> None:
    assert len(SHOWN) == 3
