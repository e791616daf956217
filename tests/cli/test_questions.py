"""Every question has one answer, from Python and from the command line, and it stays what it was.

`goldens.json` holds the answers to six digits; `python test_questions.py` writes it anew, in a
commit that says what changed and why.
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import howspec
import pytest
from howspec.cli.main import run
from questions import QUESTIONS, command, write_files

GOLDENS = Path(__file__).with_name("goldens.json")
IDS = [f"{i}-{verb}" for i, (verb, _) in enumerate(QUESTIONS)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("questions")
    write_files(folder)
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


@cache
def kept() -> dict[str, Any]:
    """Answers by the command that asks for them."""
    return dict(json.loads(GOLDENS.read_text(encoding="utf-8")))


def ask(verb: str, given: dict[str, Any]) -> dict[str, Any]:
    """The answer of Python as JSON, without what was asked."""
    answer = json.loads(json.dumps(getattr(howspec, verb)(**given).to_json(), allow_nan=False))
    answer.pop("inputs")
    return answer


def digits(value: Any) -> Any:
    """Numbers to six digits; anything else as it is."""
    if isinstance(value, dict):
        return {k: digits(v) for k, v in value.items()}
    if isinstance(value, list):
        return [digits(v) for v in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def differences(one: Any, two: Any, where: str = "") -> list[str]:
    """Where two answers differ by more than rounding and another library's last digits."""
    if isinstance(one, dict) and isinstance(two, dict):
        keys = sorted(one.keys() | two.keys())
        return [d for k in keys for d in differences(one.get(k), two.get(k), f"{where}.{k}")]
    if isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        pairs = enumerate(zip(one, two, strict=True))
        return [d for i, (a, b) in pairs for d in differences(a, b, f"{where}[{i}]")]
    number = isinstance(one, int | float) and isinstance(two, int | float)
    if number and math.isclose(one, two, rel_tol=2e-4, abs_tol=1e-3):
        return []
    return [] if one == two else [f"{where}: {one!r} is now {two!r}"]


@pytest.mark.parametrize(("verb", "given"), QUESTIONS, ids=IDS)
def test_python_and_the_command_line_give_one_answer_and_it_is_the_one_that_was_kept(
    files: Path, capsys: pytest.CaptureFixture[str], verb: str, given: dict[str, Any]
) -> None:
    with pytest.raises(SystemExit) as stop:
        run(command(verb, given))
    out, err = capsys.readouterr()
    assert stop.value.code in (0, None), err
    found = json.loads(out)
    found.pop("inputs")
    assert found == ask(verb, given)
    assert differences(kept()[" ".join(command(verb, given))], digits(found)) == []


def test_a_changed_number_and_a_lost_key_are_seen() -> None:
    assert differences({"a": [1.0]}, {"a": [1.01]}) == [".a[0]: 1.0 is now 1.01"]
    assert differences({"a": 1, "b": 2}, {"a": 1}) == [".b: 2 is now None"]
    assert differences({"a": 1.00001}, {"a": 1.0}) == []


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder))
        os.chdir(folder)
        answers = {" ".join(command(v, g)): digits(ask(v, g)) for v, g in QUESTIONS}
    GOLDENS.write_text(json.dumps(answers, indent=0, sort_keys=True) + "\n", encoding="utf-8")
