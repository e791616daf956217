"""Acceptance from counts, lengths, statistics and records, and numbers as they were stated."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from howspec.calibrate.engines.laws import from_record, from_statistics
from howspec.calibrate.engines.load import counts_of_json, read_statistics
from howspec.calibrate.evidence import from_counts, from_length
from howspec.calibrate.known import KnownAcceptance
from howspec.calibrate.records import Record, is_record, read_record, write_record
from howspec.calibrate.stated import stated
from howspec.theory import DepthAcceptance
from hypothesis import given
from hypothesis import strategies as st


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_the_interval_of_tokens_per_round_holds_the_truth_as_often_as_it_says() -> None:
    generator, gamma, rounds, inside = np.random.default_rng(3), 4, 400, 0
    rates = np.array([0.8, 0.75, 0.72, 0.7])
    truth = 1.0 + np.cumprod(rates).sum()
    for _ in range(200):
        tried, kept, left = np.empty(gamma), np.empty(gamma), rounds
        for k, rate in enumerate(rates):
            tried[k] = left
            left = int(generator.binomial(left, rate))
            kept[k] = left
        _, draws = from_counts(tried, kept, generator, positions=gamma, draws=400).tokens(gamma)
        low, high = np.quantile(draws, [0.05, 0.95])
        inside += int(low <= truth <= high)
    assert abs(inside / 200 - 0.9) < 4 * math.sqrt(0.09 / 200)


def test_a_stated_length_is_met_by_every_draw_and_beyond_it_only_a_fall_goes_on() -> None:
    evidence = from_length("2.92", 3, rng(), positions=12)
    middle, draws = evidence.tokens(3)
    assert middle == pytest.approx(2.92)
    assert draws.min() >= 2.915 - 1e-9
    assert draws.max() <= 2.925 + 1e-9
    assert draws.max() - draws.min() > 0.009
    steps = np.diff(np.log(np.asarray(evidence.law.rates)), axis=1)
    falls, rises = steps[steps[:, 0] < 0.0], steps[steps[:, 0] > 0.0]
    assert len(falls) > 500 < len(rises)
    assert falls == pytest.approx(np.repeat(falls[:, :1], steps.shape[1], axis=1))
    below_one = rises[np.asarray(evidence.law.rates)[steps[:, 0] > 0.0, -1] < 1.0]
    assert below_one[:, 1] == pytest.approx(below_one[:, 0])
    for k in range(2, steps.shape[1]):
        assert below_one[:, k] == pytest.approx(0.7 * below_one[:, k - 1], rel=1e-6)


@given(length=st.floats(1.0, 9.0), gamma=st.integers(1, 8))
def test_every_possible_length_gives_evidence_and_no_other(length: float, gamma: int) -> None:
    if length <= gamma + 1:
        middle, draws = from_length(length, gamma, rng(), draws=30).tokens(gamma)
        assert middle == pytest.approx(length, abs=1e-9)
        assert draws == pytest.approx(np.full(30, length), abs=1e-9)
    else:
        with pytest.raises(ValueError, match="acceptance_length must be in"):
            from_length(length, gamma, rng(), draws=30)


def stated_counts(stated: dict[str, Any], *given: Any, **options: Any) -> KnownAcceptance:
    """The acceptance from statistics as JSON has them."""
    return from_statistics(counts_of_json(stated), *given, **options)


def test_statistics_are_used_as_far_as_they_go() -> None:
    survival = [0.805, 0.632, 0.483]
    full = {"engine": "vllm", "rounds": 87, "drafted": 261, "gamma": 3, "survival": survival,
            "accepted": 167, "acceptance_length": 2.92, "notes": ["from a log"]}  # fmt: skip
    evidence = stated_counts(full, rng())
    assert evidence.gamma == 3
    assert evidence.tokens(3)[0] == pytest.approx(2.92)
    assert evidence.tokens(3)[1].std() == pytest.approx(0.13, abs=0.05)
    assert "from a log" in evidence.notes
    bare = {"engine": "sglang", "acceptance_length": 2.54}
    assert stated_counts(bare, rng(), gamma=3).tokens(3)[0] == pytest.approx(2.54)
    rates = {"engine": "vllm", "survival": survival}
    assert stated_counts(rates, rng()).tokens(3)[1].std() == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(ValueError, match="--gamma"):
        stated_counts(bare, rng())
    with pytest.raises(ValueError, match="agree"):
        stated_counts(full, rng(), gamma=5)


def test_statistics_are_read_from_json_and_from_a_log(tmp_path: Path) -> None:
    counts = {"engine": "vllm", "rounds": 10, "acceptance_length": 2.0, "gamma": 3}
    file = tmp_path / "counts.json"
    file.write_text(json.dumps(counts))
    read = read_statistics(file)
    assert {name: getattr(read, name) for name in counts} == counts
    log = tmp_path / "server.log"
    log.write_text(
        "INFO metrics.py:101] SpecDecoding metrics: Mean acceptance length: 2.37, Accepted "
        "throughput: 8.90 tokens/s, Drafted throughput: 13.00 tokens/s, Accepted: 89 tokens, "
        "Drafted: 130 tokens, Per-position acceptance rate: 0.785, 0.585, Avg Draft acceptance "
        "rate: 68.5%\n"
    )
    assert read_statistics(log).acceptance_length == pytest.approx(2.37, abs=0.005)


def test_statistics_that_do_not_fit_together_are_pointed_at() -> None:
    short = {"engine": "vllm", "rounds": 100, "drafted": 320, "gamma": 5, "accepted": 160,
             "survival": [0.7, 0.5, 0.4]}  # fmt: skip
    evidence = stated_counts(short, rng())
    assert evidence.tokens(5)[0] == pytest.approx(2.6)  # positions left out accepted nothing
    assert any("3.20 tokens on average" in n for n in evidence.notes)
    other = {"engine": "vllm", "gamma": 2, "survival": [0.8, 0.6], "acceptance_length": 2.9}
    assert any("count different rounds" in n for n in stated_counts(other, rng()).notes)
    whole = {"engine": "x", "rounds": 50, "drafted": 150, "accepted": 80}
    assert stated_counts(whole, rng()).gamma == 3
    with pytest.raises(ValueError, match="gamma must be at least the 3 positions"):
        stated_counts({"engine": "x", "survival": [0.9, 0.5, 0.4]}, rng(), gamma=2)


def record_of_rounds(alphas: list[float], drafts: tuple[str, ...] = ("small",)) -> Record:
    generator, points = np.random.default_rng(0), []
    for draft in drafts:
        for request, alpha in enumerate(alphas):
            accepted = DepthAcceptance(alpha).draw(generator, gamma=4, rounds=60)
            points.append({
                "type": "rounds", "draft": draft, "domain": "code", "temperature": 0.0,
                "request": request, "drafted": 4, "accepted": accepted.tolist(),
            })  # fmt: skip
    return Record("acceptance", {}, {}, tuple(points))


def test_a_record_counts_requests_and_not_rounds_as_independent(tmp_path: Path) -> None:
    record = record_of_rounds([0.3, 0.9] * 10)
    evidence = from_record(record, rng())
    accepted = np.concatenate([p["accepted"] for p in record.points])
    middle, draws = evidence.tokens(4)
    assert middle == pytest.approx(1.0 + accepted.mean(), abs=1e-9)
    # Between requests: the standard error of the mean of 20 requests, not of 1200 rounds.
    means = [np.mean(p["accepted"]) for p in record.points]
    assert draws.std() == pytest.approx(np.std(means) / math.sqrt(20), rel=0.25)
    path = tmp_path / "rounds.json"
    write_record(record, path)
    assert is_record(path)
    assert from_record(read_record(path), rng()).tokens(4)[0] == pytest.approx(middle)
    packed = tmp_path / "rounds.json.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert is_record(packed)
    assert from_record(read_record(packed), rng(), draft="small").gamma == 4


def test_recorded_rounds_of_several_lengths_try_a_position_only_where_they_draft_it() -> None:
    point = {"type": "rounds", "draft": "d", "domain": "x", "temperature": 0.0, "request": 0,
             "drafted": [2, 1, 3, 3], "accepted": [2, 1, 3, 0]}  # fmt: skip
    evidence = from_record(Record("acceptance", {}, {}, (point,)), rng())
    assert np.asarray(evidence.middle.rates)[:3] == pytest.approx([3 / 4, 2 / 2, 1 / 1])
    lower = {**point, "accepted": [1, 1, 3, 0]}
    evidence = from_record(Record("acceptance", {}, {}, (lower,)), rng())
    assert np.asarray(evidence.middle.rates)[:3] == pytest.approx([3 / 4, 1 / 2, 1 / 1])


def test_a_record_of_several_drafts_asks_which(tmp_path: Path) -> None:
    record = record_of_rounds([0.5, 0.6], ("small", "tiny"))
    with pytest.raises(ValueError, match=r"draft must be one of .*small, tiny"):
        from_record(record, rng())
    assert "tiny" in from_record(record, rng(), draft="tiny").given
    costs = Record("costs", {}, {}, ({"operation": "launch", "times_s": [1e-5]},))
    with pytest.raises(ValueError, match="of kind acceptance, got costs"):
        from_record(costs, rng())
    file = tmp_path / "counts.json"
    file.write_text(json.dumps({"engine": "x", "rounds": 9, "acceptance_length": 2, "gamma": 3}))
    assert not is_record(file)


# --- numbers as stated -------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "value", "half", "error"),
    [
        ("2.37", 2.37, 0.005, 0.0),
        ("40", 40.0, 0.5, 0.0),
        ("51.5 %", 0.515, 0.0005, 0.0),
        ("98.2+-1.5", 98.2, 0.0, 1.5),
        ("98.2±1.5", 98.2, 0.0, 1.5),
        ("1e-3", 1e-3, 5e-4, 0.0),
    ],
)
def test_digits_are_the_accuracy(text: str, value: float, half: float, error: float) -> None:
    number = stated(text, "speed")
    assert (number.value, number.half_width, number.error) == pytest.approx((value, half, error))
    draws = number.draw(rng(), 4000)
    assert abs(draws - value).max() <= half + 5 * error + 1e-12


@pytest.mark.parametrize("text", ["", "fast", "1,5", "nan", "2.3.4", "1e999"])
def test_what_is_no_number_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="speed must be"):
        stated(text, "speed")
