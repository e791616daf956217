"""Which measurement a file is of, and cost records of several runs as one: nothing is mixed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from howspec.calibrate.records import Record, pool, read_record, write_record
from howspec.calibrate.records.merge import origin_of
from howspec.cli.main import run
from record_points import ORIGIN, begun, cost

ABOUT = {"device": "fake", "dtype": "float32", "models": {"m": {"layers": 2}}}

ROUNDS = {"type": "rounds", "draft": "d", "domain": "x", "temperature": 0.0, "request": 0}


def a_pass(tokens: int, *times: float, **more: Any) -> dict[str, Any]:
    point = {"operation": "pass", "model": "m", "tokens": tokens, "batch": 1, "context": 8}
    return {**point, "mode": "eager", "times_s": list(times), "warmup_s": [9.0], **more}


def a_record(*points: dict[str, Any], utc: str = "a", **about: Any) -> Record:
    return Record("costs", {"repeats": len(points)}, {**ABOUT, "utc": utc, **about}, tuple(points))


def test_repeats_follow_one_another_and_every_point_is_there_once() -> None:
    first = a_record(a_pass(1, 1.0, 2.0), a_pass(2, 3.0))
    second = a_record(a_pass(2, 4.0), a_pass(4, 5.0), a_pass(1, 6.0), utc="b")
    found = pool([first, second])
    assert {p["tokens"]: p["times_s"] for p in found.points} == {
        1: [1.0, 2.0, 6.0], 2: [3.0, 4.0], 4: [5.0],
    }  # fmt: skip
    assert [p["warmup_s"] for p in found.points] == [[9.0, 9.0], [9.0, 9.0], [9.0]]
    assert found.settings == {"repeats": 3, "pooled_runs": 2}
    assert [run["utc"] for run in found.provenance["runs"]] == ["a", "b"]
    assert first.points[0]["times_s"] == [1.0, 2.0]  # what was given is as it was


def test_a_point_that_failed_once_has_the_times_of_the_other_run() -> None:
    failed = {k: v for k, v in a_pass(1).items() if not k.endswith("_s")} | {"error": "no memory"}
    for runs in ((failed, a_pass(1, 2.0)), (a_pass(1, 2.0), failed)):
        (point,) = pool([a_record(p) for p in runs]).points
        assert point["times_s"] == [2.0]
        assert "error" not in point
    (point,) = pool([a_record(failed), a_record(failed)]).points
    assert point["error"] == "no memory"


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([a_record(a_pass(1, 1.0))], "at least 2 to be pooled, got 1"),
        (
            [a_record(a_pass(1, 1.0)), a_record(a_pass(1, 1.0), device="other")],
            "records 1 and 2 cannot be pooled: provenance.device",
        ),
        (
            [a_record(a_pass(1, 1.0)), a_record(a_pass(1, 1.0), models={"m": {"layers": 3}})],
            "provenance.models.m.layers is 2 here and 3 there",
        ),
        (
            [a_record(a_pass(1, 1.0)), Record("costs", {}, ABOUT, (a_pass(1, 1.0),), ("tokens",))],
            "records 1 and 2 cannot be pooled: key is",
        ),
        (
            [a_record(a_pass(1, 1.0)), a_record(a_pass(1, 1.0, draw_s=[1.0]))],
            "points cannot be pooled, their lists differ",
        ),
        (
            [
                Record("acceptance", {}, ABOUT, (ROUNDS,)),
                a_record(a_pass(1, 1.0)),
            ],
            "of kind costs, got acceptance as record 1",
        ),
    ],
)
def test_what_does_not_belong_together_is_one_line(records: list[Record], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pool(records)


def test_the_command_writes_a_record_that_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = []
    for utc in "ab":
        path = write_record(a_record(a_pass(1, 1.0), utc=utc), tmp_path / f"{utc}.json")
        names.append(str(path))
    out = tmp_path / "all.json.gz"
    with pytest.raises(SystemExit) as stop:
        run(["calibrate", "pool", *names, "--out", str(out), "--json"])
    assert not stop.value.code
    assert json.loads(capsys.readouterr().out) == {"record": str(out), "runs": 2, "points": 1}
    assert read_record(out).points[0]["times_s"] == [1.0, 1.0]
    for wrong, message in ((names[0], "another file"), (str(tmp_path / "x.txt"), "--out must be")):
        with pytest.raises(SystemExit) as stop:
            run(["calibrate", "pool", *names, "--out", wrong])
        assert stop.value.code == 2
        assert message in capsys.readouterr().err


def test_what_a_measurement_is_can_be_told_before_and_after_its_end(tmp_path: Path) -> None:
    assert origin_of(tmp_path, "costs") is None
    with begun(tmp_path) as journal:
        journal.append(cost(1))
        found = origin_of(tmp_path, "costs")
        assert found is not None
        assert (found.path, found.finished) == (journal.part, False)
        assert found.provenance == ORIGIN
        assert found.differs("costs", {"repeats": (2, 3)}) == ""
        assert found.differs("sweep", {}) == 'kind is "sweep" here and "costs" there'
        assert "settings.repeats" in found.differs("costs", {"repeats": (2, 4)})
        path = journal.finish()
    done = origin_of(tmp_path, "costs")
    assert done is not None
    assert (done.path, done.finished, done.settings) == (path, True, found.settings)
    path.write_text(path.read_text()[:-9])
    with pytest.raises(ValueError, match=r"costs\.json: is not JSON or is cut off"):
        origin_of(tmp_path, "costs")


def test_a_journal_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    part = tmp_path / "costs.part.jsonl"
    with begun(tmp_path) as journal:
        journal.append(cost(1))
    part.write_text(part.read_text().replace('"version": 1', '"version": 7', 1))
    for look in (lambda: origin_of(tmp_path, "costs"), lambda: begun(tmp_path)):
        with pytest.raises(ValueError, match=r"part\.jsonl, line 1: version must be 1"):
            look()
    part.write_text('{"half')
    assert origin_of(tmp_path, "costs") is None
