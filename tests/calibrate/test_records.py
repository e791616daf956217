"""Records: what is written can be read, and what is damaged is refused."""

from __future__ import annotations

import gzip
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

import pytest
from howspec.calibrate.records import (
    Record,
    collect_provenance,
    difference,
    read_record,
    write_record,
)
from hypothesis import given
from hypothesis import strategies as st
from record_points import ORIGIN, cost

FINITE = st.floats(min_value=0.0, allow_nan=False, allow_infinity=False)


def rounds(request: int = 0, **more: Any) -> dict[str, Any]:
    point = {"type": "rounds", "draft": "d", "domain": "code", "temperature": 0.7}
    return {**point, "request": request, "drafted": 4, "accepted": [4, 0, 2], **more}


def swept(repeat: int = 0, **more: Any) -> dict[str, Any]:
    point = {"draft": "d", "method": "sps", "gamma": 4, "batch": 1, "prompt": 0, "repeat": repeat}
    counts = {"tokens": 20, "rounds": 6, "accepted": 14, "drafted": 24}
    return {**point, **counts, "prefill_s": 0.01, "decode_s": 0.3, "total_s": 0.31, **more}


def a_record(*points: dict[str, Any], **more: Any) -> Record:
    kind = more.pop("kind", "costs")
    origin = {**ORIGIN, **more, "runs": [{"utc": "2026-01-01T00:00:00+00:00", "commit": "c"}]}
    return Record(kind, {"repeats": 2}, origin, points or (cost(1), cost(2)))


def saved(folder: Path, **changes: Any) -> Path:
    """A good record on disk with some of its top-level entries changed."""
    path = write_record(a_record(), folder / "r.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return path


@pytest.mark.parametrize("suffix", [".json", ".json.gz"])
@pytest.mark.parametrize(
    ("kind", "point"),
    [
        ("costs", cost()),
        ("costs", cost(state={"sm_mhz": 1980.0, "power_state": "P0"}, pairs=[[1, 2]], quiet=True)),
        ("costs", cost(times_s=[], error="out of memory")),
        ("acceptance", rounds()),
        ("acceptance", rounds(type="overlap", overlap=[0.0, 0.5, 1.0])),
        ("sweep", swept()),
        ("sweep", swept(draft=None, method="plain", gamma=0, rounds=None)),
    ],
)
def test_a_record_comes_back_as_it_was_written(
    tmp_path: Path, kind: str, point: dict[str, Any], suffix: str
) -> None:
    record = a_record(point, kind=kind)
    path = write_record(record, tmp_path / f"r{suffix}")
    assert read_record(path) == record
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@given(times=st.lists(FINITE, min_size=1, max_size=5), tokens=st.integers(1, 10**6))
def test_times_are_kept_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, times: list[float], tokens: int
) -> None:
    path = tmp_path_factory.mktemp("r") / "r.json"
    write_record(a_record(cost(tokens, times_s=times)), path)
    assert read_record(path).points[0]["times_s"] == times


@given(cut=st.floats(0.0, 1.0, exclude_max=True), zipped=st.booleans())
def test_a_record_cut_off_anywhere_is_refused_with_its_name(
    tmp_path_factory: pytest.TempPathFactory, cut: float, zipped: bool
) -> None:
    path = tmp_path_factory.mktemp("r") / ("r.json.gz" if zipped else "r.json")
    write_record(a_record(), path)
    whole = path.read_bytes()
    # The last two bytes of the plain file are the closing brace and the line end.
    path.write_bytes(whole[: int(cut * (len(whole) - 1))])
    with pytest.raises(ValueError, match=r"r\.json") as caught:
        read_record(path)
    assert "\n" not in str(caught.value)


@given(at=st.integers(0, 10**6), byte=st.integers(0, 255))
def test_a_record_with_one_wrong_byte_is_refused_or_another_record(
    tmp_path_factory: pytest.TempPathFactory, at: int, byte: int
) -> None:
    path = tmp_path_factory.mktemp("r") / "r.json"
    data = bytearray(write_record(a_record(), path).read_bytes())
    data[at % len(data)] = byte
    path.write_bytes(bytes(data))
    refused, found = "", None
    try:
        found = read_record(path)
    except ValueError as error:
        refused = str(error)
    if found is None:
        assert refused.startswith(str(path))
    else:  # what was read is what the file says: written again, it has the same values
        said, again = json.loads(data), json.loads(write_record(found, path).read_bytes())
        assert again.keys() - said.keys() <= {"key"}  # the only one that may be absent
        assert {k: v for k, v in said.items() if k in again} == {
            k: again[k] for k in said if k in again
        }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "version must be 1, the only one this howspec reads, got 2"),
        ({"version": True}, "version must be 1"),
        ({"version": None}, "version must be 1"),
        ({"schema": "other"}, "schema must be 'howspec.record', got 'other'"),
        (
            {"kind": "latency"},
            "kind must be one of costs, acceptance, sweep, serving, got 'latency'",
        ),
        ({"kind": ["costs"]}, "kind must be one of"),
        ({"points": []}, "points must hold at least one point"),
        ({"points": {}}, "points must be a list, got dict"),
        ({"points": [3]}, "point 1: a point must be an object, got int"),
        ({"points": [cost(1), cost(2), cost(1)]}, "point 3: is point 1 again .*tokens = 1"),
        ({"points": [cost(0)]}, r"point 1: tokens must be a whole number in \[1, inf\), got 0"),
        ({"points": [cost(1.5)]}, "tokens must be a whole number"),  # type: ignore[arg-type]
        ({"points": [cost(True)]}, "tokens must be a whole number"),
        ({"points": [cost(times_s=[0.1, -1e-9])]}, r"times_s must be a list .* with -1e-09"),
        ({"points": [cost(times_s=["0.1"])]}, "times_s must be a list of numbers"),
        ({"points": [cost(times_s=0.1)]}, "times_s must be a list of numbers"),
        ({"points": [cost(times_s=[])]}, "needs times_s or an error"),
        ({"points": [cost(error="out of memory")]}, "needs times_s or an error, not both"),
        ({"points": [cost(latency=0.1)]}, "latency is a latency and its name must end with _s"),
        ({"points": [cost(operation="guess")]}, "operation must be one of pass, round"),
        *(
            ({"points": [{k: v for k, v in cost().items() if k != n}]}, f"point 1: {n} is missing")
            for n in ("model", "batch", "context", "mode")
        ),
        ({"points": [cost(note={"a": {"b": {"c": 1}}})]}, "note must be text"),
        ({"settings": []}, "settings must be an object"),
        ({"provenance": "here"}, "provenance must be an object"),
        ({"key": "tokens"}, "key must be a list of names"),
        ({"key": ["times_s"]}, "times_s identifies a point"),
    ],
)
def test_a_wrong_record_is_refused_in_one_line_that_names_the_file_and_the_entry(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    path = saved(tmp_path, **changes)
    with pytest.raises(ValueError, match=message) as caught:
        read_record(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"howspec", "is not JSON or is cut off"),
        (b"[1]", "is not a record"),
        (b"null", "is not a record"),
        (b"\xff\xfe", "is damaged"),
        (b"[" * 100_000, "nested too deeply|not JSON"),
        (b'{"schema": "howspec.record", "schema": "howspec.record"}', "holds 'schema' twice"),
        (b'{"schema": "howspec.record", "version": 1}', "kind is missing"),
    ],
)
def test_a_file_that_is_no_record_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "r.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_record(path)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_not_finite_are_refused_when_read(tmp_path: Path, number: str) -> None:
    path = write_record(a_record(), tmp_path / "r.json")
    path.write_text(path.read_text().replace("0.11", number, 1))
    with pytest.raises(ValueError, match="numbers must be finite"):
        read_record(path)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused_when_made_or_written(
    tmp_path: Path, number: float
) -> None:
    with pytest.raises(ValueError, match="times_s must be a list of numbers"):
        a_record(cost(times_s=[number]))
    with pytest.raises(ValueError, match="speed must be text, a finite number"):
        a_record(cost(speed=number))
    with pytest.raises(ValueError, match="finite numbers, got NaN or infinity"):
        write_record(a_record(temperature=number), tmp_path / "r.json")
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_absent_or_misnamed_or_no_gzip_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.json: cannot be read: No such file"):
        read_record(tmp_path / "none.json")
    with pytest.raises(ValueError, match=r"must end with \.json or \.json\.gz"):
        write_record(a_record(), tmp_path / "r.txt")
    (tmp_path / "r.json.gz").write_bytes(b"{}")
    with pytest.raises(ValueError, match=r"cannot be read|is damaged"):
        read_record(tmp_path / "r.json.gz")


@pytest.mark.parametrize("place", [(os, "fsync"), (Path, "write_bytes")])
def test_a_write_that_fails_leaves_the_record_that_was_there(
    place: tuple[Any, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_record(a_record(cost(1)), tmp_path / "r.json")

    def full(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*place, full)
    with pytest.raises(OSError, match=r"r\.json: cannot be written: No space left"):
        write_record(a_record(cost(2)), path)
    assert read_record(path).points[0]["tokens"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["r.json"]


def test_differences_are_found_in_depth_and_a_tuple_is_a_list() -> None:
    assert difference({"a": (1, 2)}, {"a": [1, 2]}) == ""
    assert difference({"a": {"b": None}}, {"a": {}}) == ""
    assert difference({"a": {"b": None}, "c": 1}, {"a": {}, "c": 2}) == "c is 1 here and 2 there"
    assert difference({}, {"b": 1}) == "b is null here and 1 there"
    grids: list[dict[str, Any]] = [{"tokens": [1] * 90, "repeats": 3}, {"repeats": 5}]
    other = [grids[0], {"repeats": 7}]
    assert difference({"a": grids}, {"a": other}) == "a[1].repeats is 5 here and 7 there"
    assert difference({"a": [{"b": None}], "c": 1}, {"a": [{}], "c": 1}) == ""
    assert "(2 entries) here" in difference({"a": grids}, {"a": grids[:1]})


def says(folder: Path, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An nvidia-smi that answers with this line."""
    (folder / "nvidia-smi").write_text(f"#!/bin/sh\necho '{line}'\n")
    (folder / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_a_gpu_is_told_by_what_nvidia_smi_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    says(tmp_path, "H100, 550.54, 1980, 2619, 1980, 700.00, 31, P0", monkeypatch)
    found = collect_provenance("cuda:0")
    assert (found["device"], found["driver"]) == ("H100", "550.54")
    assert found["clocks"] == {
        "sm_mhz": 1980.0, "memory_mhz": 2619.0, "sm_max_mhz": 1980.0, "power_limit_w": 700.0,
        "temperature_c": 31.0, "power_state": "P0",
    }  # fmt: skip
    says(tmp_path, "no devices were found", monkeypatch)
    assert "driver" not in collect_provenance("cuda:0")


def test_provenance_says_what_ran_and_neither_host_nor_path(tmp_path: Path) -> None:
    models = {"a": {"folder": str(tmp_path / "secret" / "model-a"), "files": [tmp_path / "b"]}}
    found = collect_provenance("cpu", "torch.float32", models=models, seed=3)
    text = json.dumps(found)
    assert found["dtype"] == "float32"
    assert found["models"] == {"a": {"folder": "model-a", "files": ["b"]}}
    assert found["seed"] == 3
    assert found["cores"] == os.cpu_count()
    assert found["libraries"]["numpy"].count(".") == 2
    assert found["utc"].endswith("+00:00")
    assert str(tmp_path.parent) not in text
    assert platform.node() not in text or len(platform.node()) < 4
    assert str(Path.home()) not in text or str(Path.home()) == "/"


def test_a_zipped_record_is_the_same_file_whenever_it_is_written(tmp_path: Path) -> None:
    one = write_record(a_record(), tmp_path / "one.json.gz").read_bytes()
    assert one == write_record(a_record(), tmp_path / "two.json.gz").read_bytes()
    assert json.loads(gzip.decompress(one))["version"] == 1


def test_a_folder_stands_for_the_record_that_it_holds(tmp_path: Path) -> None:
    point = {"operation": "launch", "launches": 100, "times_s": [1e-4]}
    record = Record("costs", {}, {"device": "cpu"}, (point,))
    with pytest.raises(ValueError, match=r"a folder must hold one of costs.json.*it holds none"):
        read_record(tmp_path)
    write_record(record, tmp_path / "costs.json")
    assert read_record(tmp_path).points == read_record(tmp_path / "costs.json").points
    (tmp_path / "sweep.json").write_text("{}")
    with pytest.raises(ValueError, match=r"it holds costs.json, sweep.json"):
        read_record(tmp_path)
    assert read_record(tmp_path, "costs").points == record.points
