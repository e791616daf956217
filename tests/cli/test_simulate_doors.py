"""`howspec simulate`: rules of verification, the published replay, and the crossing of a fleet."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import command
import howspec
import numpy as np
import pytest
from howspec.sim.rounds.replay import StepTimes, replay_speedup
from howspec.sim.rounds.traces import load_trace
from howspec.theory import tokens_per_round

TIMES = "target_fixed=0.006,target_token=2e-5,target_kv=4e-8,draft_fixed=0.002,overhead=0.001"
RULE = "--alpha 0.7 --gamma 3 --cost-ratio 0.05 --rounds 100000"
# Small batches pay, large ones do not: verification of a token costs what a plain step does there.
LINEAR = {
    "law": "linear-step", "step_fixed": 6e-3, "step_per_token": 3e-4, "draft_fixed": 5e-4,
}  # fmt: skip


def call(capsys: pytest.CaptureFixture[str], text: str) -> str:
    status, out, err = command.call(capsys, "simulate", *shlex.split(text))
    assert (status, err) == (0, "")
    return out


def answer(capsys: pytest.CaptureFixture[str], text: str) -> dict[str, Any]:
    return command.answer(capsys, "simulate", *shlex.split(text))


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
    assert "lossless: " in call(capsys, f"--rule block {RULE}")


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
    assert call(capsys, f"--crossing {setting}").startswith(found["statement"])
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
