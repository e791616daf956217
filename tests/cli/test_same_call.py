"""The intervals whose coverage is printed are those that users get."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import answer

SPEEDUPS = {1: 1.31, 2: 1.52, 4: 1.63, 6: 1.51}
TOKENS = {1: 1.72, 2: 2.23, 4: 2.91, 6: 3.24}


def a_file(path: Path, gammas: list[int], tokens: bool) -> str:
    lines = ["target,draft,gamma,speedup,tokens_per_round"]
    lines += [f"T,d,{g},{SPEEDUPS[g]},{TOKENS[g] if tokens else ''}" for g in gammas]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.mark.parametrize("tokens", [True, False])
def test_predict_without_a_row_prints_what_validate_scores_of_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, tokens: bool
) -> None:
    whole = a_file(tmp_path / "whole.csv", list(SPEEDUPS), tokens)
    tests = answer(capsys, "validate", "--rows", whole, "--points")["tests"]
    speed = tests[0]["rows"]
    assert [p["observed"] for p in speed] == list(SPEEDUPS.values())
    for i, gamma in enumerate(SPEEDUPS):
        rest = a_file(tmp_path / "rest.csv", [g for g in SPEEDUPS if g != gamma], tokens)
        found = answer(capsys, "predict", "--sweep", rest, "--gamma-max", "6")
        ends = [found[f"{n}_by_gamma"][gamma] for n in ("low", "speedup", "high")]
        assert ends == [speed[i][n] for n in ("low", "predicted", "high")]
        if tokens:
            round_ = found["tokens_per_round"][gamma - 1]
            scored = tests[1]["rows"][i]
            assert [round_["low"], round_["high"]] == [scored["low"], scored["high"]]


def test_a_second_measurement_at_a_measured_gamma_is_expected_near_the_first(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = a_file(tmp_path / "whole.csv", list(SPEEDUPS), tokens=True)
    found = answer(capsys, "predict", "--sweep", path)
    for gamma, speedup in SPEEDUPS.items():
        low, high = (found[f"{n}_by_gamma"][gamma] for n in ("low", "high"))
        assert low < speedup < high
        assert high / low < 1.15


def test_predict_of_a_named_pair_prints_what_validate_scores_of_its_row(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pair = {"target": "Llama-3.1-70B-Instruct", "draft": "Llama-3.2-1B-Instruct", "task": "code"}
    row = {**pair, "hardware": "4x H100", "batch": 8, "gamma": 4, "speedup": 2.2, "source": "mine"}
    path = tmp_path / "row.csv"
    path.write_text(f"{','.join(row)}\n{','.join(str(v) for v in row.values())}\n")
    (test,) = answer(capsys, "validate", "--rows", str(path), "--points")["tests"]
    options = [x for name, value in pair.items() for x in (f"--{name}", value)]
    found = answer(
        capsys, "predict", *options, "--device", "4x H100", "--batch", "8", "--context", "1000"
    )
    (point,) = test["rows"]
    ends = [found[f"{n}_by_gamma"][4] for n in ("low", "speedup", "high")]
    assert ends == [point[n] for n in ("low", "predicted", "high")]


def test_stated_numbers_are_expected_to_measure_what_validate_scores_of_such_a_row(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "row.csv"
    path.write_text(
        "target,draft,gamma,alpha,alpha_kind,cost_ratio,speedup,source\n"
        "T,d,7,0.8,alpha_conditional,0.0625,2.0000,mine\n"
    )
    seen, unseen = answer(capsys, "validate", "--rows", str(path), "--points")["tests"]
    found = answer(
        capsys, "predict", "--alpha", "0.8", "--cost-ratio", "0.0625", "--gamma-max", "7"
    )
    assert found["gamma"] == 7
    lands = found["expected_measurement"]
    for test in (seen, unseen):
        (point,) = test["rows"]
        assert [lands[n] for n in ("low", "estimate", "high")] == pytest.approx(
            [point[n] for n in ("low", "predicted", "high")], rel=2e-5
        )
