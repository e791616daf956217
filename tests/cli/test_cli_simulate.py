"""`howspec simulate` on the command line: numbers, JSON, help and one-line errors."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from howspec.cli.simulate import simulate
from howspec.sim.fleet.inputs import mean_rounds
from howspec.theory import DepthAcceptance, speedup, tokens_per_round
from howspec.theory.acceptance import BetaRequestAcceptance, MarkovAcceptance, tokens_by_gamma

APP = simulate
LINEAR = {"law": "linear-step", "step_fixed": 6e-3, "step_per_token": 2e-5, "draft_fixed": 4e-4}
BASIC = "--alpha 0.8 --gamma 5 --cost-ratio 0.05 --rounds 64000"


def invoke(text: str) -> str:
    found = CliRunner().invoke(APP, shlex.split(text), catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout


def numbers(text: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(invoke(text + " --json"))
    return answer


def costs(folder: Path, law: Any) -> str:
    path = folder / "costs.json"
    path.write_text(law if isinstance(law, str) else json.dumps(law))
    return str(path)


def trace(folder: Path, lengths: list[list[int]]) -> str:
    path = folder / "trace.jsonl"
    lines = [{"prompt_tokens": 10, "accept_len_eagle": each} for each in lengths]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def test_endless_requests_agree_with_the_formulas() -> None:
    found = numbers("--alpha 0.8 --gamma 5 --cost-ratio 0.05 --seed 3")
    for name, truth in (
        ("tokens_per_round", tokens_per_round(0.8, 5)),
        ("speedup", speedup(0.8, 5, 0.05)),
    ):
        assert set(found[name]) == {"mean", "se"}
        assert abs(found[name]["mean"] - truth) < 4 * found[name]["se"]
        assert 0 < found[name]["se"] < 0.01
    assert found["rounds"] == 1_000_000
    assert found["seed"] == 3
    assert "latency_s" not in found


def test_the_seed_alone_decides_the_numbers() -> None:
    def without_clock(text: str) -> dict[str, Any]:
        return {k: v for k, v in numbers(text).items() if k not in ("inputs", "seed")}

    once = without_clock(f"{BASIC} --seed 1")
    assert without_clock(f"{BASIC} --seed 1") == once
    assert without_clock(f"{BASIC} --seed 2") != once


def test_requests_of_a_length_end_where_they_end() -> None:
    found = numbers("--alpha 0.8 --gamma 5 --cost-ratio 0.05 --tokens 20 --requests 3000")
    rounds = mean_rounds(DepthAcceptance(0.8).survival(5), 20)
    expected = 20 / (rounds * 1.25)
    assert abs(found["speedup"]["mean"] - expected) < 4 * found["speedup"]["se"]
    assert expected < 0.95 * speedup(0.8, 5, 0.05)
    error = 4 * found["latency_steps"]["mean"] * 0.4 / np.sqrt(3000)
    assert abs(found["latency_steps"]["mean"] - rounds * 1.25) < error
    assert found["request_tokens"] == 20
    assert found["requests"] == 3000
    assert found["rounds"] == pytest.approx(3000 * rounds, rel=0.02)


@pytest.mark.parametrize("length", ["", " --tokens 256"])
def test_costs_in_seconds_give_latencies_in_seconds(tmp_path: Path, length: str) -> None:
    law = {"law": "affine", "cost_ratio": 0.05, "step": 0.01}
    found = numbers(f"--alpha 0.8 --gamma 5 --costs {costs(tmp_path, law)}{length}")
    latency = found["latency_s"]
    assert list(latency) == ["mean", "p50", "p90", "p95", "p99"]
    assert latency["p50"] < latency["p90"] < latency["p95"] < latency["p99"]
    rounds = mean_rounds(DepthAcceptance(0.8).survival(5), 256)
    assert latency["mean"] == pytest.approx(rounds * 1.25 * 0.01, rel=0.01)
    assert found["request_tokens"] == 256


def test_the_unit_of_a_cost_file_can_be_said(tmp_path: Path) -> None:
    law = {"law": "affine", "cost_ratio": 0.05, "step": 1.0, "unit": "step"}
    found = numbers(f"--alpha 0.8 --gamma 5 --costs {costs(tmp_path, law)} --tokens 50")
    assert "latency_steps" in found
    assert "latency_s" not in found


def test_passes_of_target_and_draft_are_read_from_the_cost_file(tmp_path: Path) -> None:
    law = {
        "law": "sequential-draft",
        "target": {"law": "linear", "fixed": 0.01, "per_token": 1e-4},
        "draft": {"law": "table", "tokens": [1, 2], "times": [1e-3, 1e-3], "extrapolate": True},
        "overhead": 5e-4,
    }
    found = numbers(f"--alpha 1 --gamma 4 --costs {costs(tmp_path, law)} --rounds 64")
    plain, fast = 0.01 + 1e-4, 0.01 + 5e-4 + 4e-3 + 5e-4
    assert found["speedup"]["mean"] == pytest.approx(5 * plain / fast, rel=1e-9)


def test_a_batch_pays_the_times_of_its_size(tmp_path: Path) -> None:
    path = costs(tmp_path, LINEAR)
    one, many = (numbers(f"--alpha 1 --gamma 4 --costs {path} --batch {b}") for b in (1, 64))
    for found, batch in ((one, 1), (many, 64)):
        fast = 6e-3 + 2e-5 * 5 * batch + 4 * 4e-4
        plain = 6e-3 + 2e-5 * batch
        assert found["speedup"]["mean"] == pytest.approx(5 * plain / fast, rel=1e-9)
        # 256 tokens in 52 rounds, the batch full until its end.
        assert found["latency_s"]["p50"] == pytest.approx(52 * fast, rel=1e-9)


@pytest.mark.parametrize(
    ("text", "law"),
    [
        ("depth:alpha=0.8,decay=0.95", DepthAcceptance(0.8, 0.95)),
        ("markov:accept_after_accept=0.9,accept_after_reject=0.5", MarkovAcceptance(0.9, 0.5)),
        ("beta-request:shape_accept=6,shape_reject=2.5", BetaRequestAcceptance(6.0, 2.5)),
        ("positional:rates=0.9/0.8/0.7", None),
        ("beta-round:shape_accept=6,shape_reject=2.5", None),
    ],
)
def test_every_acceptance_law_is_taken_by_name(text: str, law: Any) -> None:
    found = numbers(f"--law {text} --gamma 3 --cost-ratio 0.1 --rounds 200000")
    if law is not None:
        truth = tokens_by_gamma(law, 3)[3]
        error = found["tokens_per_round"]["se"]
        assert abs(found["tokens_per_round"]["mean"] - truth) < 4 * error


def test_requests_with_a_rate_of_their_own_spread_wide(tmp_path: Path) -> None:
    path = costs(tmp_path, LINEAR)
    tail = f"--gamma 3 --costs {path} --tokens 100 --requests 2000"
    own = numbers(f"--law beta-request:shape_accept=6,shape_reject=2.5 {tail}")
    fresh = numbers(f"--law beta-round:shape_accept=6,shape_reject=2.5 {tail}")
    assert own["latency_s"]["p95"] / own["latency_s"]["p50"] > 1.3
    assert fresh["latency_s"]["p95"] / fresh["latency_s"]["p50"] < 1.25
    loaded = numbers(
        f"--law beta-request:shape_accept=6,shape_reject=2.5 --gamma 3 --costs {path} "
        "--tokens 100 --requests 500 --arrival-rate 1 --batch 8"
    )
    assert loaded["latency_s"]["p95"] / loaded["latency_s"]["p50"] > 1.3


def test_a_trace_is_walked_from_round_to_round(tmp_path: Path) -> None:
    path = trace(tmp_path, [[3] * 12, [1] * 12])
    found = numbers(f"--trace {path} --gamma 5 --cost-ratio 0.1")
    assert found["rounds"] == 4 + 12
    assert found["tokens_per_round"]["mean"] == pytest.approx(24 / 16)
    assert found["speedup"]["mean"] == pytest.approx(24 / (16 * 1.5))
    short = numbers(f"--trace {path} --gamma 1 --cost-ratio 0.1")
    assert short["rounds"] == 6 + 12


def test_a_rule_that_learns_comes_near_the_best_gamma_and_best_finds_it() -> None:
    tail = "--alpha 0.8 --cost-ratio 0.1"
    best = numbers(f"--policy best {tail}")
    truth = {g: tokens_per_round(0.8, g) / (1 + 0.1 * g) for g in range(12)}
    assert truth[best["gamma"]] > 0.997 * max(truth.values())
    assert best["decided"]
    assert abs(best["speedup"]["mean"] - truth[best["gamma"]]) < 4 * best["speedup"]["se"]
    learnt = numbers(f"--policy controller:gamma_max=8 --tokens 100 --requests 120 {tail}")
    excess = learnt["excess_over_best_constant"]
    assert -4 * excess["se"] < excess["mean"] < 0.08
    assert truth[learnt["best_constant"]] > 0.98 * max(truth.values())
    assert sum(learnt["gamma_share"]) == pytest.approx(1.0)
    assert 1 < learnt["tokens_per_round"]["mean"] < 5


def test_the_oracle_policy_beats_every_gamma() -> None:
    tail = "--alpha 0.7 --cost-ratio 0.1 --tokens 100 --requests 400"
    oracle = numbers(f"--policy oracle {tail}")["speedup"]["mean"]
    fixed = [numbers(f"--gamma {g} {tail}")["speedup"]["mean"] for g in (1, 3, 6)]
    assert oracle > max(fixed)
    constant = numbers(f"--policy constant:gamma=3 {tail}")
    assert constant["speedup"]["mean"] == fixed[1]
    for policy in ("heuristic:initial=5,gamma_max=8", "moving-average:candidates=1/3/5"):
        assert 1 < numbers(f"--policy {policy} {tail}")["speedup"]["mean"] < oracle


def test_a_draft_ends_by_its_own_confidence_and_the_answer_says_what_is_assumed() -> None:
    tail = "--alpha 0.8 --cost-ratio 0.05 --tokens 100 --requests 100"
    for policy in ("confidence-threshold:threshold=0.4", "survival-threshold:threshold=0.17",
                   "heuristic:threshold=0.4"):  # fmt: skip
        found = numbers(f"--policy {policy} {tail}")
        drafted, tokens = found["drafted_per_round"]["mean"], found["tokens_per_round"]["mean"]
        assert tokens - 1 < drafted < 20
        assert "confidences are assumed, not measured" in found["notes"][0]
    grid = '--cost-ratio 0.05 --tokens 50 --requests 9 --grid "alpha=0.6,0.8" --backend sequential'
    text = invoke(f"--policy confidence-threshold:threshold=0.4 {grid}")
    assert text.count("note: confidences are assumed") == 1


def test_a_fleet_under_light_load_has_the_latency_of_lone_requests(tmp_path: Path) -> None:
    tail = "--tokens 50 --requests 400 --arrival-rate 0.01"
    found = numbers(f"--alpha 0.8 --gamma 4 --costs {costs(tmp_path, LINEAR)} {tail}")
    rounds = mean_rounds(DepthAcceptance(0.8).survival(4), 50)
    each = 6e-3 + 5 * 2e-5 + 4 * 4e-4
    assert found["latency_s"]["mean"] == pytest.approx(rounds * each, rel=0.01)
    assert found["ttft_s"]["p50"] == pytest.approx(each, rel=1e-6)
    plain = 50 * (6e-3 + 2e-5)
    speed = found["speedup"]
    assert abs(speed["mean"] - plain / (rounds * each)) < 4 * speed["se"] + 0.001
    assert not found["saturated"]
    assert found["notes"] == []
    assert found["utilisation"]["mean"] < 0.01


def test_a_fleet_that_cannot_keep_up_says_so(tmp_path: Path) -> None:
    path = costs(tmp_path, LINEAR)
    tail = f"--costs {path} --tokens 50 --requests 300 --arrival-rate 20 --batch 2"
    text = invoke(f"--alpha 0.8 --gamma 4 {tail}")
    assert "note: saturated: 20 requests/s arrive" in text
    assert "note: plain decoding is saturated" in text
    scheduled = numbers(f"--alpha 0.8 --policy batch-table:1=4,2=0 {tail}")
    assert scheduled["tokens_per_round"]["mean"] < 1.2


def test_text_shows_estimates_with_errors_and_the_seed() -> None:
    text = invoke(f"{BASIC} --seed 4")
    assert re.search(r"speedup +2\.9\d+ +0\.0\d+", text)
    assert re.search(r"tokens_per_round +3\.\d+ +0\.0\d+", text)
    assert re.search(r"64000 rounds, seed 4", text)


GRID = '--cost-ratio 0.05 --rounds 64000 --grid "alpha=0.6,0.8 gamma=1,3"'


def test_a_grid_gives_every_combination_wherever_it_runs() -> None:
    here = numbers(f"{GRID} --backend sequential")
    there = numbers(f"{GRID} --backend loky --workers 2")
    assert [p["setting"] for p in here["points"]] == [
        {"alpha": a, "gamma": g} for a in (0.6, 0.8) for g in (1, 3)
    ]
    assert here["points"] == there["points"]
    assert here["rounds"] == 4 * 64000
    for point in here["points"]:
        truth = tokens_per_round(**point["setting"])
        found = point["tokens_per_round"]
        assert abs(found["mean"] - truth) < 4 * found["se"]
    assert "0.8" in invoke(f"{GRID} --backend sequential")


def test_a_grid_resumes_from_its_file_and_refuses_that_of_another(tmp_path: Path) -> None:
    path = tmp_path / "points.jsonl"
    first = numbers(f"{GRID} --backend sequential --resume {path}")
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:3]) + "\n")  # the header and two points
    again = numbers(f"{GRID} --backend sequential --resume {path}")
    assert again["points"] == first["points"]
    assert len(path.read_text().splitlines()) == len(lines)
    with pytest.raises(ValueError, match="seed"):
        invoke(f"{GRID} --backend sequential --resume {path} --seed 9")
