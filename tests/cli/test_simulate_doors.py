"""`howspec simulate`: rules of verification, the published replay, and the crossing of a fleet."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import howspec
import numpy as np
import pytest
from howspec.cli.main import run
from howspec.sim.rounds.replay import StepTimes, replay_speedup
from howspec.sim.rounds.traces import load_trace
from howspec.theory import tokens_per_round

TIMES = "target_fixed=0.006,target_token=2e-5,target_kv=4e-8,draft_fixed=0.002,overhead=0.001"
RULE = "--alpha 0.7 --gamma 3 --cost-ratio 0.05 --rounds 100000"
# Small batches pay, large ones do not: verification of a token costs what a plain step does there.
LINEAR = {
    "law": "linear-step", "step_fixed": 6e-3, "step_per_token": 3e-4, "draft_fixed": 5e-4,
}  # fmt: skip


def call(capsys: pytest.CaptureFixture[str], text: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        run(["simulate", *shlex.split(text)])
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


def answer(capsys: pytest.CaptureFixture[str], text: str) -> dict[str, Any]:
    status, out, err = call(capsys, f"{text} --json")
    assert (status, err) == (0, "")
    return dict(json.loads(out))


def flags(folder: Path) -> str:
    """A trace of forty requests, of which each position says how many tokens follow it accepted."""
    rng = np.random.default_rng(5)
    path = folder / "trace.jsonl"
    lines = []
    for _ in range(40):
        kept, run_, lengths = rng.random(60) < 0.7, 0, []
        for flag in kept[::-1]:
            run_ = min(run_ + 1, 8) if flag else 0
            lengths.append(run_ + 1)
        lines.append(json.dumps({"prompt_tokens": 50, "accept_len_eagle": lengths[::-1]}))
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.mark.parametrize(
    "rule", ["token", "recursive", "recursive_distinct", "k_seq", "naive", "top"]
)
def test_a_rule_emits_what_theory_expects_and_the_targets_law(
    capsys: pytest.CaptureFixture[str], rule: str
) -> None:
    found = answer(capsys, f"--rule {rule} {RULE} --vocabulary 10")
    tokens = found["tokens_per_round"]
    assert abs(tokens["mean"] - found["expected_tokens_per_round"]) < 4.5 * tokens["se"]
    assert found["token_verification_tokens_per_round"] == pytest.approx(tokens_per_round(0.7, 3))
    assert found["p_value"] > 1e-4
    assert found["width"] == (1 if rule == "token" else 2)
    assert found["speedup"]["mean"] == pytest.approx(tokens["mean"] / 1.15)
    assert bool(found["notes"]) == (rule != "token")


def test_block_verification_gains_and_is_lossless(capsys: pytest.CaptureFixture[str]) -> None:
    small = answer(capsys, f"--rule block {RULE} --vocabulary 8")
    tokens = small["tokens_per_round"]
    assert abs(tokens["mean"] - small["expected_tokens_per_round"]) < 4.5 * tokens["se"]
    large = answer(capsys, f"--rule block {RULE}")
    assert large["expected_tokens_per_round"] is None
    gain = large["tokens_per_round"]["mean"] - large["token_verification_tokens_per_round"]
    assert gain > 10 * large["tokens_per_round"]["se"]
    assert "lossless: " in call(capsys, f"--rule block {RULE}")[1]


def test_rules_are_compared_in_a_grid(capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(
        capsys, f"{RULE} --vocabulary 10 --grid rule=token,naive,recursive --backend sequential"
    )
    means = {p["setting"]["rule"]: p["tokens_per_round"]["mean"] for p in found["points"]}
    assert means["naive"] < means["recursive"]
    assert means["token"] < means["recursive"]


def test_a_replay_is_the_published_simulators_speedup(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = flags(tmp_path)
    times = StepTimes(0.006, 2e-5, 4e-8, 0.002, 0.0, 0.0, 0.001)
    for words, lookahead in (("--gamma 3", 3), ("--policy oracle", None)):
        found = answer(capsys, f"--trace {path} --replay {TIMES} {words} --batch 4")
        wanted = replay_speedup(load_trace(path, "eagle"), times, lookahead=lookahead, batch=4)
        assert found["speedup"]["mean"] == pytest.approx(wanted, rel=1e-12)
        assert 0.0 < found["speedup"]["se"] < 0.1
    from_file = tmp_path / "times.json"
    named = (part.split("=") for part in TIMES.split(","))
    from_file.write_text(json.dumps({name: float(value) for name, value in named}))
    there = howspec.simulate(trace=path, replay=str(from_file), policy="oracle", batch=4)
    assert there.to_json()["speedup"] == found["speedup"]


def test_the_printed_number_of_the_published_traces_comes_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    inside = Path("shared") / "traces" / "llama31-8b-gsm8k.jsonl.gz"
    there = [p / inside for p in Path(__file__).resolve().parents if (p / inside).is_file()]
    if not there:
        pytest.skip("the published traces are not here")
    times = (
        "target_fixed=5.88590713e-3,target_token=2.10103129e-5,target_kv=3.92645679e-8,"
        "draft_fixed=2.13526175e-3,draft_token=8.41429603e-7,draft_kv=2.37768493e-9,"
        "overhead=1.20683946e-3"
    )
    found = answer(capsys, f"--trace {there[0]} --replay {times} --gamma 3 --batch 16")
    assert round(found["speedup"]["mean"], 2) == 1.65


def test_the_crossing_of_a_fleet_lies_where_its_latencies_cross(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    costs = tmp_path / "costs.json"
    costs.write_text(json.dumps(LINEAR))
    setting = f"--alpha 0.7 --gamma 4 --costs {costs} --tokens 50 --batch 64"
    found = answer(capsys, f"--crossing {setting}")
    assert found["schema"] == "howspec.fleet_crossing"
    low, rate, high = found["low"], found["rate"], found["high"]
    assert found["searched"][0] < low <= rate <= high < found["searched"][1]
    assert call(capsys, f"--crossing {setting}")[1].startswith(found["statement"])
    below, above = (
        answer(capsys, f"{setting} --arrival-rate {r} --requests 4000")["speedup"]["mean"]
        for r in (0.5 * rate, min(1.2 * rate, 0.999 * found["searched"][1]))
    )
    assert below > 1.0 > above
    there = howspec.simulate(
        crossing=True, acceptance=0.7, gamma=4, costs=str(costs), tokens=50, batch=64
    )
    assert there.to_json()["rate"] == rate
    assert len(repr(there)) < 200


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"--rule bloc {RULE}", "--rule must be one of token, block, recursive"),
        (f"--rule block {RULE} --width 2", "--width goes with rules of several drafts, got 2"),
        (f"{RULE} --width 2", "--width goes with a rule of verification, got 2 without one"),
        (f"--rule naive {RULE} --width 90", "its tree of depth 3 of at most 20000 nodes, got 90"),
        (f"--rule token {RULE} --vocabulary 1", "--vocabulary must be an integer in [2, 100000]"),
        (f"--rule token {RULE} --tokens 5", "endless requests, one gamma: tokens cannot be given"),
        ("--rule token --alpha 1 --gamma 2 --cost-ratio 0", "must be in (0, 1) with a rule, got 1"),
        (
            "--replay target_fixed=1 --gamma 3",
            "--trace must be a published trace of rounds for a replay, got none",
        ),
        ("--trace x --replay target_fixed=1 --gamma 3", "--replay needs target_token, target_kv"),
        (f"--trace x --replay {TIMES} --gamma 3 --alpha 0.5", "acceptance cannot be given with it"),
        (f"--trace x --replay {TIMES} --policy best", "takes a gamma or the policy oracle"),
        (f"{RULE} --match 0.5", "--match goes with a replay, got 0.5 without one"),
        (f"--crossing {RULE}", "a rate is per second: give costs in seconds"),
        (f"--crossing {RULE} --grid gamma=1,2", "no grid with it"),
        (f"--crossing {RULE} --rule token", "no rule with it"),
    ],
)
def test_one_line_says_what_does_not_fit(
    capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    status, out, err = call(capsys, text)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err
