"""The command line: one object as JSON, the answer in the first line, one line per error."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command import call


def _json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    status, out, err = call(capsys, *arguments, "--json")
    assert status == 0, err
    return json.loads(out)


def test_predict_with_numbers_answers_with_every_promised_key(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = _json(capsys, "predict", "--alpha", "0.8", "--cost-ratio", "0.05")
    assert answer["gamma"] == 8
    speedup = answer["speedup"]
    assert speedup["low"] == speedup["high"] == speedup["estimate"]
    assert speedup["estimate"] == pytest.approx(3.0920795428571433, rel=1e-12)
    assert len(answer["speedup_by_gamma"]) == 33
    assert answer["speedup_by_gamma"][0] == 1.0
    assert answer["gamma_real"] == pytest.approx(7.8566544588706915, rel=1e-12)
    assert answer["gamma_window"] == [7, 8, 9]
    assert answer["break_even_alpha"] == pytest.approx(0.05, abs=1e-12)
    assert answer["inputs"]["acceptance"] == 0.8
    assert (answer["schema"], answer["version"]) == ("howspec.prediction", 2)
    assert isinstance(answer["notes"], list)


def test_verification_slope_counts_like_draft_cost_and_overhead_only_when_speculating(
    capsys: pytest.CaptureFixture[str],
) -> None:
    split = _json(
        capsys, "predict", "--alpha", ".8", "--cost-ratio", ".03", "--verify-slope", ".02"
    )
    whole = _json(capsys, "predict", "--alpha", ".8", "--cost-ratio", ".05")
    assert split["speedup_by_gamma"] == pytest.approx(whole["speedup_by_gamma"], rel=1e-12)
    paid = _json(
        capsys, "predict", "--alpha", ".8", "--cost-ratio", ".05", "--overhead", ".5",
        "--gamma-max", "10",
    )  # fmt: skip
    assert paid["speedup_by_gamma"][0] == 1.0
    assert paid["speedup_by_gamma"][1] == pytest.approx(1.8 / 1.55)
    assert len(paid["speedup_by_gamma"]) == 11


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


def test_a_sweep_is_fitted_and_answered_for_every_draft(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = _json(capsys, "predict", "--sweep", "paper_bloom_grid", "--target", "BLOOM-7.1B")
    assert answer["draft"] == "BLOOM-1.1B"
    assert answer["gamma"] == 4
    assert answer["speedup"]["low"] < 1.552 < answer["speedup"]["high"]
    assert len(answer["drafts"]) == 5
    assert len(answer["speedup_by_gamma"]) == 8
    assert answer["parameters"]["alpha"]["low"] < answer["parameters"]["alpha"]["high"]


def test_one_draft_of_a_sweep_from_a_file_and_extrapolation_is_noted(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "mine.csv"
    rows = ["target,draft,k,latency", "T,,0,100", "T,D,1,80", "T,D,2,72", "T,D,3,70", "T,D,5,74"]
    path.write_text("\n".join(rows) + "\n")
    answer = _json(
        capsys, "predict", "--sweep", str(path), "--target", "T", "--draft", "D",
        "--gamma-max", "9",
    )  # fmt: skip
    assert answer["gamma"] in (2, 3, 4)
    assert any("above 5 was not measured" in n for n in answer["notes"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--alpha", "1.2", "--cost-ratio", "0.1"], "alpha must be in [0, 1], got 1.2"),
        (["--alpha", "nan", "--cost-ratio", "0.1"], "alpha must be in [0, 1], got nan"),
        (["--alpha", "0.5", "--cost-ratio", "-0.1"], "--cost-ratio must be in [0, inf), got -0.1"),
        (
            ["--alpha", "0.5", "--cost-ratio", "0.1", "--gamma-max", "0"],
            "--gamma-max must be an integer in [1, 10000], got 0",
        ),
        (["--alpha", "0.5"], "missing target and draft and device"),
        (["--alpha", "0.5", "--cost-ratio", "0.1", "--target", "T"], "target must be a name"),
        (
            ["--target", "no/such", "--device", "H100"],
            "target must be a name of the table, a config.json or a folder with one (--online",
        ),
        (["--sweep", "paper_bloom_grid", "--alpha", "0.5"], "--alpha cannot be given"),
        (["--sweep", "paper_bloom_grid", "--target", "GPT-9"], "BLOOM-7.1B"),
        (["--sweep", "paper_bloom_grid", "--draft", "BLOOM-1B"], "BLOOM-1.1B"),
        (["--sweep", "absent.csv"], "absent.csv"),
        (["--alpha", "x", "--cost-ratio", "0.1"], "x"),
        (["--bogus"], "--bogus"),
    ],
)
def test_bad_input_is_one_line_on_stderr_and_status_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    status, out, err = call(capsys, "predict", *arguments)
    assert status == 2
    assert out == ""
    assert err.count("\n") == 1
    assert message in err
    assert "Traceback" not in err


def test_a_csv_with_a_missing_column_names_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("target,draft,latency\nT,d,1\nT,d,2\n")
    status, _, err = call(capsys, "predict", "--sweep", str(path))
    assert status == 2
    assert "bad.csv, line 1, column gamma: is missing" in err
    assert err.count("\n") == 1


def test_nothing_is_written_when_the_folder_is_a_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_text("kept")
    status, _, err = call(capsys, "figures", "--out", str(path))
    assert status == 2
    assert "out must be a folder" in err
    assert path.read_text() == "kept"


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


@pytest.mark.parametrize("verb", ["predict", "paper", "figures", "formulas", "simulate"])
def test_help_shows_an_example_that_names_the_verb(
    capsys: pytest.CaptureFixture[str], verb: str
) -> None:
    status, out, _ = call(capsys, verb, "--help")
    assert status == 0
    assert re.search(rf"howspec {verb}\b", out)


def test_a_prediction_starts_without_the_heavy_libraries_and_the_tables_of_models() -> None:
    code = (
        "import sys\nfrom howspec.cli.main import run\n"
        "try: run(['predict', '--alpha', '.8', '--cost-ratio', '.05', '--json'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'matplotlib', 'sympy', 'pandas', 'scipy', 'transformers', 'numba'}\n"
        "heavy |= {'howspec.calibrate.models', 'howspec.calibrate.records'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert json.loads(done.stdout)["gamma"] == 8
