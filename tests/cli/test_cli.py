"""The command line: one object as JSON, the answer in the first line, one line per error."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from command import call


def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    status, out, err = call(capsys, *arguments, "--json")
    assert status == 0, err
    return json.loads(out)


def test_plain_no_is_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = call(capsys, "predict", "--alpha", "0.1", "--cost-ratio", "0.5")
    assert status == 0
    assert out.splitlines()[0].startswith("NO: do not speculate (gamma 0)")


def test_limits_are_answered_without_nan(capsys: pytest.CaptureFixture[str]) -> None:
    sure = _json(capsys, "predict", "--alpha", "1", "--cost-ratio", "0.1")
    assert sure["gamma"] == 32
    assert sure["gamma_real"] is None
    hopeless = _json(capsys, "predict", "--alpha", "0.9", "--cost-ratio", "1.5")
    assert hopeless["break_even_alpha"] is None
    assert any("no acceptance" in n for n in hopeless["notes"])


def test_formulas_are_listed_and_shown_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    listed = _json(capsys, "formulas")
    names = {f["name"] for f in listed["formulas"]}
    assert {"tokens_per_round", "speedup", "optimal_gamma", "drafting_share"} <= names
    for entry in listed["formulas"]:
        assert entry["statement"]
        assert entry["latex"]
        assert entry["assumptions"]
        assert entry["source"]
    status, out, _ = call(capsys, "formulas", "tokens_per_round", "--latex")
    assert status == 0
    assert out.startswith(r"\mathrm{E}[N] = ")
    assert "worked: 3.68928 at alpha = 0.8, gamma = 5" in out
    status, _, err = call(capsys, "formulas", "tokens_per_rounds")
    assert status == 2
    assert "did you mean tokens_per_round" in err


@pytest.mark.parametrize(
    ("question", "more"),
    [
        ("--alpha .8 --cost-ratio .05", {"howspec.calibrate.models", "howspec.calibrate.records"}),
        ("--target Llama-3.1-8B --draft Llama-3.2-1B --device H100 --task chat", set()),
    ],
)
def test_a_prediction_starts_without_the_heavy_libraries_and_of_numbers_without_tables(
    question: str, more: set[str]
) -> None:
    code = (
        "import sys\nfrom howspec.cli.main import run\n"
        f"try: run(['predict', *{question.split()!r}, '--json'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'matplotlib', 'sympy', 'pandas', 'scipy', 'transformers', 'numba'}\n"
        f"print(sorted((heavy | {more!r}) & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert json.loads(done.stdout)["gamma"] > 0
