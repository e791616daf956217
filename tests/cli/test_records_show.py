"""`howspec calibrate show` and the groups it prints: medians and counts, checked by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from howspec.calibrate.records import Record, write_record
from howspec.calibrate.summary import summarise
from howspec.cli.calibrate import show

ORIGIN: dict[str, Any] = {
    "device": "fake",
    "dtype": "float32",
    "models": {"a": {}, "b": {}},
    "libraries": {"torch": "2"},
    "runs": [{"utc": "2026-01-01T00:00:00+00:00", "commit": "abc"}],
}


def costs() -> Record:
    base = {"operation": "pass", "model": "a", "batch": 1, "context": 64, "mode": "eager"}
    points = [
        {**base, "tokens": 1, "times_s": [0.001, 0.003, 0.002]},
        {**base, "tokens": 2, "times_s": [0.004, 0.004, 0.004]},
        {**base, "tokens": 3, "times_s": [], "error": "out of memory"},
        {"operation": "copy_bandwidth", "times_s": [0.5], "copied_bytes": 10**9},
    ]
    return Record("costs", {}, ORIGIN, tuple(points))


def acceptance() -> Record:
    base = {"draft": "b", "domain": "code", "temperature": 1.0}
    points = [
        {"type": "rounds", **base, "request": 0, "drafted": 3, "accepted": [3, 0]},
        {"type": "rounds", **base, "request": 1, "drafted": 3, "accepted": [1]},
        {"type": "overlap", **base, "request": 0, "overlap": [0.25, 0.75]},
    ]
    return Record("acceptance", {}, ORIGIN, tuple(points))


def sweep() -> Record:
    base = {"draft": "b", "method": "sps", "gamma": 3, "batch": 2, "prompt": 0}
    counts = {"tokens": [10, 10], "rounds": [4, 5], "accepted": [7, 6], "drafted": [12, 15]}
    points = [
        {**base, **counts, "repeat": r, "prefill_s": 0.1, "decode_s": d, "total_s": 0.1 + d}
        for r, d in enumerate((1.0, 2.0, 4.0))
    ]
    return Record("sweep", {}, ORIGIN, tuple(points))


def run(*arguments: str) -> Any:
    app = show
    return CliRunner().invoke(app, list(arguments))


def test_costs_are_grouped_with_the_median_of_every_number_of_tokens() -> None:
    rows = summarise(costs()).rows
    assert rows[0]["median_s_by_tokens"] == {1: 0.002, 2: 0.004}
    assert (rows[0]["points"], rows[0]["failed"], rows[0]["repeats"]) == (3, 1, 3)
    assert rows[0]["spread"] == pytest.approx(0.5)  # of 1.0 and 0
    assert rows[1]["operation"] == "copy_bandwidth"
    assert rows[1]["median_s_by_tokens"] == {None: 0.5}


def test_acceptance_is_grouped_with_tokens_per_round_and_overlap() -> None:
    rounds, overlap = summarise(acceptance()).rows
    assert (rounds["requests"], rounds["rounds"]) == (2, 3)
    assert rounds["tokens_per_round"] == pytest.approx(1 + 4 / 3)
    assert rounds["mean_overlap"] is None
    assert (overlap["positions"], overlap["mean_overlap"]) == (2, 0.5)


def test_a_sweep_is_grouped_with_time_and_tokens_of_one_sequence() -> None:
    (row,) = summarise(sweep()).rows
    assert row["median_total_s"] == pytest.approx(2.1)
    assert row["median_decode_s_per_token"] == pytest.approx(2.0 * 2 / 20)
    assert row["tokens_per_round"] == pytest.approx(60 / 27)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (costs(), ["costs: 4 points, 1 of them failed", "ms at 1", "copy_bandwidth"]),
        (acceptance(), ["acceptance: 3 points", "tokens_per_round", "2.333"]),
        (sweep(), ["sweep: 3 points", "median_total_s", "2.1", "sps"]),
    ],
)
def test_show_prints_origin_and_table(tmp_path: Path, record: Record, expected: list[str]) -> None:
    path = write_record(record, tmp_path / "r.json.gz")
    done = run(str(path))
    assert done.exit_code == 0, done.output
    for text in (*expected, "device: fake", "libraries: torch 2", "commit: abc", "models: a, b"):
        assert text in done.output
    assert "  measured: 2026-01-01" in done.output


@pytest.mark.parametrize("record", [costs(), acceptance(), sweep()])
def test_show_prints_one_json_object(tmp_path: Path, record: Record) -> None:
    found = json.loads(run(str(write_record(record, tmp_path / "r.json")), "--json").stdout)
    assert found["kind"] == record.kind
    assert found["points"] == len(record.points)
    assert len(found["groups"]) == len(summarise(record).rows)
