"""The journal of a measurement in progress: killed, torn, full, contended, resumed."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from howspec.calibrate.records import Journal, read_record
from howspec.calibrate.records.merge import origin_of
from hypothesis import given, settings
from hypothesis import strategies as st
from record_points import ORIGIN, begun, cost

# A measurement of 60 points that takes about a second, so that it can be killed in the middle.
MEASUREMENT = """
import sys, time
from pathlib import Path
from howspec.calibrate.records import Journal
with Journal.open(Path(sys.argv[1]), "costs", kind="costs", settings={"repeats": 2},
                  provenance={"device": "fake", "utc": str(time.time())}) as journal:
    print("open", flush=True)
    for tokens in range(1, 61):
        if ("pass", "a", tokens, 1, 0, "eager") not in journal.done:
            time.sleep(0.002)
            journal.append(dict(operation="pass", model="a", tokens=tokens, batch=1, context=0,
                                mode="eager", times_s=[tokens * 0.5] * 2))
    journal.finish()
"""


def test_a_measurement_goes_on_where_it_was_left_and_lists_its_runs(tmp_path: Path) -> None:
    with begun(tmp_path) as journal:
        journal.append(cost(1))
    with begun(tmp_path, origin={"utc": "tomorrow", "commit": "new"}) as journal:
        assert journal.done == {("pass", "a", 1, 1, 0, "eager")}
        assert not journal.complete
        journal.append(cost(2))
        path = journal.finish()
    record = read_record(path)
    assert [p["tokens"] for p in record.points] == [1, 2]
    runs = [{"utc": "today"}, {"utc": "tomorrow", "commit": "new"}]
    assert record.provenance == {**ORIGIN, "runs": runs}
    assert [p.name for p in tmp_path.iterdir()] == ["costs.json"]


def test_a_finished_measurement_is_complete_and_takes_no_more_points(tmp_path: Path) -> None:
    with begun(tmp_path) as journal:
        journal.append(cost(1))
        journal.finish()
        with pytest.raises(ValueError, match="measurement is complete"):
            journal.append(cost(2))
    with begun(tmp_path, origin={"utc": "later"}) as again:
        assert again.complete
        assert [p["tokens"] for p in again.points] == [1]
        assert again.finish() == tmp_path / "costs.json"
        with pytest.raises(ValueError, match="measurement is complete"):
            again.append(cost(2))


def test_half_a_record_of_a_killed_run_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / ".costs.json.abc").write_bytes(b"{")
    (tmp_path / ".other.json.abc").write_bytes(b"{")
    with begun(tmp_path) as journal:
        journal.append(cost(1))
        journal.finish()
    assert sorted(p.name for p in tmp_path.iterdir()) == [".other.json.abc", "costs.json"]


def test_a_point_that_is_wrong_or_there_already_is_refused_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    with begun(tmp_path) as journal:
        journal.append(cost(1))
        before = journal.part.read_bytes()
        with pytest.raises(ValueError, match=r"is there already .*tokens = 1"):
            journal.append(cost(1, times_s=[0.3]))
        with pytest.raises(ValueError, match="times_s must be a list of numbers"):
            journal.append(cost(2, times_s=[float("nan")]))
        assert journal.part.read_bytes() == before
        journal.append(cost(2, times_s=(0.1, 0.2)))
        assert len(journal.done) == len(journal.points) == 2
    with pytest.raises(ValueError, match="measurement is closed"):
        journal.append(cost(3))


@settings(max_examples=40)
@given(cut=st.integers(1, 1_000))
def test_a_torn_last_line_costs_at_most_the_last_point(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("j")
    with begun(folder) as journal:
        for tokens in (1, 2, 3):
            journal.append(cost(tokens))
    data = journal.part.read_bytes()  # a header, a run and three points
    kept = max(len(data) - cut, 0)
    journal.part.write_bytes(data[:kept])
    whole = data[:kept].count(b"\n")
    with begun(folder) as again:
        assert [p["tokens"] for p in again.points] == [1, 2, 3][: max(whole - 2, 0)]
        for tokens in (1, 2, 3):
            if tokens > len(again.points):
                again.append(cost(tokens))
        again.finish()
    assert [p["tokens"] for p in read_record(again.path).points] == [1, 2, 3]


def test_a_last_line_of_garbage_is_dropped_and_one_before_it_is_refused(tmp_path: Path) -> None:
    with begun(tmp_path) as journal:
        journal.append(cost(1))
    lines = journal.part.read_bytes().splitlines(keepends=True)
    journal.part.write_bytes(b"".join([*lines, b"\0\0\0\0\n"]))
    with begun(tmp_path) as again:
        assert len(again.points) == 1
    journal.part.write_bytes(b"".join([*lines[:2], b'{"tok\n', lines[2]]))
    with pytest.raises(ValueError, match=r"costs\.part\.jsonl, line 3: is not JSON"):
        begun(tmp_path)
    journal.part.write_bytes(b"".join([*lines, lines[2]]))
    with pytest.raises(ValueError, match="line 4: is there already"):
        begun(tmp_path)


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"settings": {"repeats": [2]}}, r"settings.repeats is \[2\] here and \[2, 3\] there"),
        ({"origin": {"device": "faster"}}, 'provenance.device is "faster" here and "fake" there'),
        ({"origin": {"dtype": "bfloat16"}}, 'provenance.dtype is "bfloat16" here'),
        ({"origin": {"models": {"a": {"layers": 3}}}}, "provenance.models.a.layers is 3 here"),
        ({"kind": "sweep", "key": ("draft",)}, 'kind is "sweep" here and "costs" there'),
        ({"key": ("tokens",)}, "key is"),
    ],
)
def test_another_measurement_under_the_same_name_is_refused_and_the_key_named(
    tmp_path: Path, changes: dict[str, Any], message: str, finished: bool
) -> None:
    with begun(tmp_path) as journal:
        journal.append(cost(1))
        if finished:
            journal.finish()
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=message):
        begun(tmp_path, **changes)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_what_was_begun_without_a_point_is_begun_anew_with_other_settings(tmp_path: Path) -> None:
    begun(tmp_path).close()
    begun(tmp_path, origin={"utc": "later"}).close()
    assert origin_of(tmp_path, "costs") is None
    with begun(tmp_path, settings={"repeats": [9]}, origin={"device": "faster"}) as journal:
        journal.append(cost(1))
        path = journal.finish()
    record = read_record(path)
    assert record.settings == {"repeats": [9]}
    assert [run["utc"] for run in record.provenance["runs"]] == ["today"]


def test_a_second_run_is_refused_while_the_first_one_writes(tmp_path: Path) -> None:
    with begun(tmp_path) as journal:
        with pytest.raises(ValueError, match="another run is writing this measurement") as caught:
            begun(tmp_path)
        assert "\n" not in str(caught.value)
        journal.append(cost(1))
    with begun(tmp_path) as again:
        assert len(again.points) == 1


def test_a_kill_between_the_record_and_the_removal_of_the_journal_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = begun(tmp_path)
    journal.append(cost(1))
    monkeypatch.setattr(Path, "unlink", _killed)
    with pytest.raises(KeyboardInterrupt):
        journal.finish()
    journal.close()
    monkeypatch.undo()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["costs.json", "costs.part.jsonl"]
    with begun(tmp_path) as again:
        assert again.complete
        assert len(again.points) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["costs.json"]


def _killed(path: Path, missing_ok: bool = False) -> None:
    raise KeyboardInterrupt


def stop_writing(monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    """Writes end after 20 bytes, and fail from then on."""
    real = os.write

    def half(handle: int, data: bytes) -> int:
        if len(data) > 20:
            return real(handle, data[:20])
        raise error

    monkeypatch.setattr(os, "write", half)


def test_a_full_disk_is_one_line_and_the_points_before_it_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with begun(tmp_path) as journal:
        journal.append(cost(1))
        stop_writing(monkeypatch, OSError(28, "No space left on device"))
        with pytest.raises(OSError, match="No space left on device; the 1 points before are kept"):
            journal.append(cost(2))
        monkeypatch.undo()
        assert json.loads(journal.part.read_text().splitlines()[-1]) == cost(1)
        journal.append(cost(2))
    with begun(tmp_path) as again:
        assert [p["tokens"] for p in again.points] == [1, 2]


def test_where_half_a_line_cannot_be_cut_off_nothing_follows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> int:
        raise OSError(5, "Input/output error")

    with begun(tmp_path) as journal:
        journal.append(cost(1))
        stop_writing(monkeypatch, OSError(5, "Input/output error"))
        monkeypatch.setattr(os, "ftruncate", fail)
        with pytest.raises(OSError, match="Input/output error"):
            journal.append(cost(2))
        monkeypatch.undo()
        with pytest.raises(ValueError, match="measurement is closed"):
            journal.append(cost(3))
    with begun(tmp_path) as again:
        assert [p["tokens"] for p in again.points] == [1]


def test_twenty_kills_at_random_moments_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    rng = random.Random(5)
    kills = 0
    while kills < 20:
        with _start(tmp_path) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            # The 60 points take 0.2 s or more, so that most of the moments fall between them.
            time.sleep(rng.uniform(0.0, 0.03))
            process.kill()
        kills += 1
        if (tmp_path / "costs.json").exists():
            _assert_whole(tmp_path)
            for path in tmp_path.iterdir():
                path.unlink()
    _finish(tmp_path)


def _start(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", MEASUREMENT, str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _finish(folder: Path) -> None:
    with _start(folder) as process:
        assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 0
    _assert_whole(folder)
    assert [p.name for p in folder.iterdir()] == ["costs.json"]


def _assert_whole(folder: Path) -> None:
    """Every point once, as an undisturbed run measures them."""
    points = read_record(folder / "costs.json").points
    assert [p["tokens"] for p in points] == list(range(1, 61))
    assert [p["times_s"] for p in points] == [[n * 0.5] * 2 for n in range(1, 61)]


def test_a_platform_without_file_locks_is_told_so_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(ValueError, match="file locks of Linux or macOS") as caught:
        Journal.open(tmp_path, "costs", kind="costs", settings={}, provenance=ORIGIN)
    assert "\n" not in str(caught.value)
