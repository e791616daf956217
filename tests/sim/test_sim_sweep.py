"""Sweeps: the same numbers on every backend, nothing lost to a kill."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from howspec.sim.parallel import grid, sweep
from howspec.theory import DepthAcceptance

SETTINGS = grid(alpha=[0.5, 0.8], gamma=[1, 3, 5])


def mean_tokens(rng: np.random.Generator, *, alpha: float, gamma: int) -> dict[str, Any]:
    accepted = DepthAcceptance(alpha).draw(rng, gamma=gamma, rounds=500)
    return {"mean": accepted.mean() + 1, "counts": np.bincount(accepted)}


def slow(rng: np.random.Generator, *, point: int, pause: float) -> list[float]:
    time.sleep(pause)
    return [point, float(rng.random())]


def fails_at_three(rng: np.random.Generator, *, point: int) -> float:
    if point == 3:
        raise ArithmeticError("no result")
    return float(rng.random())


def where(rng: np.random.Generator, *, point: int) -> int:
    time.sleep(0.1)
    return os.getpid()


@pytest.mark.parametrize(
    ("backend", "workers"),
    [("threading", 1), ("threading", 3), ("loky", 1), ("loky", 2), ("sequential", None)],
)
def test_results_do_not_depend_on_the_backend_or_the_workers(
    backend: str, workers: int | None
) -> None:
    plain = sweep(mean_tokens, SETTINGS, seed=1, backend="sequential", progress=False)
    with _without_loky_leftovers():
        assert sweep(mean_tokens, SETTINGS, seed=1, backend=backend, workers=workers) == plain
    assert len({p["mean"] for p in plain}) == len(SETTINGS)


def test_a_result_depends_on_its_setting_and_the_seed_alone() -> None:
    whole = sweep(mean_tokens, SETTINGS, seed=1, backend="sequential")
    turned = sweep(mean_tokens, SETTINGS[::-1], seed=1, backend="sequential")
    assert turned == whole[::-1]
    assert sweep(mean_tokens, SETTINGS[2:3], seed=1, backend="sequential") == whole[2:3]
    other = sweep(mean_tokens, SETTINGS, seed=2, backend="sequential")
    assert all(a != b for a, b in zip(whole, other, strict=True))
    # Two settings whose function ignores the difference still draw apart.
    pair = sweep(
        slow,
        [{"point": 1, "pause": 0.0}, {"point": 1, "pause": 1e-9}],
        seed=1,
        backend="sequential",
    )
    assert pair[0] != pair[1]


def test_results_come_back_as_json_reads_them(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Answer:
        values: tuple[float, ...]
        total: np.float64

    def answer(rng: np.random.Generator, *, n: int) -> Answer:
        return Answer((0.1, 1 / 3), np.float64(n))

    fresh = sweep(answer, [{"n": 2}], seed=0, backend="sequential", resume=tmp_path / "r")
    assert fresh == [{"values": [0.1, 1 / 3], "total": 2.0}]
    assert sweep(answer, [{"n": 2}], seed=0, backend="sequential", resume=tmp_path / "r") == fresh


def test_a_grid_is_every_combination_last_axis_fastest() -> None:
    assert grid(a=[1, 2], b="xy") == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]


def test_resume_runs_only_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    calls: list[float] = []

    def counted(rng: np.random.Generator, *, alpha: float, gamma: int) -> float:
        calls.append(alpha)
        return float(rng.random())

    first = sweep(counted, SETTINGS, seed=3, backend="sequential", resume=path)
    assert len(calls) == len(SETTINGS)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:3]))
    assert sweep(counted, SETTINGS, seed=3, backend="sequential", resume=path) == first
    assert len(calls) == len(SETTINGS) + len(SETTINGS) - 2
    assert sorted(path.read_text().splitlines()) == sorted(line.strip() for line in lines)


@pytest.mark.parametrize("left", [1, 20])
def test_a_cut_last_line_is_dropped_and_said(tmp_path: Path, left: int) -> None:
    path = tmp_path / "results.jsonl"
    whole = sweep(mean_tokens, SETTINGS, seed=1, backend="sequential", resume=path)
    data = path.read_bytes()
    last = data.rstrip(b"\n").rfind(b"\n") + 1
    path.write_bytes(data[: last + left])
    with pytest.warns(UserWarning, match=f"dropped a last line cut after {left} bytes"):
        again = sweep(mean_tokens, SETTINGS, seed=1, backend="sequential", resume=path)
    assert again == whole
    assert path.read_bytes() == data


def test_a_file_cut_within_its_header_starts_over(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(b'{"schema": "howspec.sw')
    with pytest.warns(UserWarning, match="dropped a last line"):
        sweep(mean_tokens, SETTINGS, seed=1, backend="sequential", resume=path)
    assert len(path.read_text().splitlines()) == len(SETTINGS) + 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 2}, "results of another seed: 1 there, 2 asked for"),
        ({"settings": SETTINGS[:5]}, "results of another settings"),
        ({"function": slow}, "results of another function: 'mean_tokens' there"),
    ],
)
def test_a_file_of_another_sweep_is_refused(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "results.jsonl"
    ask: dict[str, Any] = {"function": mean_tokens, "settings": SETTINGS, "seed": 1}
    sweep(ask["function"], ask["settings"], seed=1, backend="sequential", resume=path)
    before = path.read_bytes()
    ask |= change
    with pytest.raises(ValueError, match=message):
        sweep(ask["function"], ask["settings"], seed=ask["seed"], backend="sequential", resume=path)
    assert path.read_bytes() == before


def test_a_file_of_another_version_or_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    ask: dict[str, Any] = {"seed": 1, "backend": "sequential", "resume": path}
    sweep(mean_tokens, SETTINGS, **ask)
    header, *rest = path.read_text().splitlines(keepends=True)
    for old, message in (
        ({"version": "0.0.0"}, "results of another version: '0.0.0' there"),
        ({"schema": "howspec.sweep/0"}, "is not a file of howspec.sweep/1"),
    ):
        path.write_text(json.dumps(json.loads(header) | old) + "\n" + "".join(rest))
        with pytest.raises(ValueError, match=message):
            sweep(mean_tokens, SETTINGS, **ask)
    for text, message in (
        ("a,b\n1,2\n", "is not a file of howspec.sweep/1"),
        (header + "nonsense\n", "line 2: not a result"),
        (header + rest[0] + rest[0], "line 3: setting .* for the second time"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            sweep(mean_tokens, SETTINGS, **ask)


def test_two_sweeps_cannot_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"

    def nested(rng: np.random.Generator, *, n: int) -> int:
        with pytest.raises(ValueError, match="is being written by another sweep"):
            sweep(nested, [{"n": 1}], seed=0, backend="sequential", resume=path)
        return n

    assert sweep(nested, [{"n": 1}], seed=0, backend="sequential", resume=path) == [1]


def test_a_platform_without_file_locks_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(ValueError, match="file locks of Linux or macOS"):
        sweep(mean_tokens, SETTINGS, seed=0, backend="sequential", resume=tmp_path / "x.jsonl")


def test_an_exception_names_its_setting_and_keeps_what_was_done(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    points = grid(point=range(6))
    with pytest.raises(ArithmeticError) as caught:
        sweep(fails_at_three, points, seed=0, backend="sequential", resume=path)
    assert caught.value.__notes__ == ['at setting {"point": 3}']
    assert len(path.read_text().splitlines()) == 4


def test_progress_counts_every_point_and_is_silent_off_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[tuple[int, int]] = []
    ask: dict[str, Any] = {"seed": 1, "backend": "sequential", "resume": tmp_path / "r"}
    sweep(mean_tokens, SETTINGS, progress=lambda *at: seen.append(at), **ask)
    assert seen == [(k, 6) for k in range(7)]
    sweep(mean_tokens, SETTINGS, progress=lambda *at: seen.append(at), **ask)
    assert seen[7:] == [(6, 6)]
    sweep(mean_tokens, SETTINGS, seed=1, backend="sequential")
    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    sweep(mean_tokens, SETTINGS, seed=1, backend="sequential")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.endswith(f"[{'#' * 30}] 6/6\n")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backend": "mpi"}, "backend must be one of sequential, threading, loky, dask, ray"),
        ({"settings": [{"alpha": 0.5, "gamma": 1}] * 2}, "settings must differ, got 1 repeated"),
        ({"settings": [{"alpha": object()}]}, "a setting must be writable as JSON"),
        ({"settings": [{"alpha": float("nan")}]}, "a setting must be writable as JSON"),
        ({"seed": -1}, "seed must be an integer in"),
        ({"seed": 1.5}, "seed must be an integer in"),
        ({"workers": 0}, "workers must be an integer >= 1"),
        ({"address": "127.0.0.1:1"}, "an address is for dask and ray"),
    ],
)
def test_a_sweep_refuses_bad_arguments(change: dict[str, Any], message: str) -> None:
    ask: dict[str, Any] = {"settings": SETTINGS, "seed": 1, "backend": "sequential"} | change
    with pytest.raises(ValueError, match=message):
        sweep(mean_tokens, ask.pop("settings"), **ask)


@pytest.mark.parametrize(("backend", "package"), [("dask", "distributed"), ("ray", "ray")])
def test_a_missing_cluster_library_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, backend: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=f"backend {backend} needs the package {package}"):
        sweep(mean_tokens, SETTINGS, seed=1, backend=backend)


# Killed and resumed.

POINTS = grid(point=range(12), pause=[0.15])
DRIVER = """
import sys
sys.path.insert(0, {here!r})
from howspec.sim.parallel import sweep
from test_sim_sweep import POINTS, grid, slow, where
if {backend!r} == "loky":
    sweep(where, grid(point=range(200)), seed=4, backend="loky", workers=2, resume={path!r})
sweep(slow, POINTS, seed=4, backend={backend!r}, workers=2, resume={path!r})
"""


@contextlib.contextmanager
def _killed_after(lines: int, *, backend: str, path: Path) -> Iterator[None]:
    """A sweep of its own process that is killed once the file has this many lines."""
    here = str(Path(__file__).resolve().parent)
    code = DRIVER.format(here=here, backend=backend, path=str(path))
    driver = subprocess.Popen(
        [sys.executable, "-c", code], env=_environment(), stderr=subprocess.DEVNULL
    )
    try:
        _wait(lambda: _lines(path) >= lines, seconds=30)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        yield
    finally:
        driver.kill()
        driver.wait()


@pytest.mark.parametrize("backend", ["sequential", "threading"])
def test_a_killed_sweep_resumes_to_the_undisturbed_points(tmp_path: Path, backend: str) -> None:
    path = tmp_path / "results.jsonl"
    with _killed_after(4, backend=backend, path=path):
        survived = path.read_text().splitlines()[1:]
    assert 3 <= len(survived) < len(POINTS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the kill may have cut a line
        resumed = sweep(slow, POINTS, seed=4, backend="threading", workers=3, resume=path)
    assert resumed == sweep(slow, POINTS, seed=4, backend="threading", workers=12)
    lines = path.read_text().splitlines()[1:]
    assert set(survived[:3]) <= set(lines)
    assert len(lines) == len(POINTS)
    assert {json.loads(line)["setting"]["point"] for line in lines} == set(range(12))


def test_the_processes_of_a_killed_sweep_end_by_themselves(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with _killed_after(8, backend="loky", path=path):
        workers = {json.loads(line)["result"] for line in path.read_text().splitlines()[1:]}
    assert workers

    def gone(pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        status = Path(f"/proc/{pid}/stat")
        return status.exists() and status.read_text().split(") ")[1].startswith("Z")

    _wait(lambda: all(map(gone, workers)), seconds=10)


def test_a_dask_cluster_that_loses_a_worker_loses_no_point(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    points = grid(point=range(24), pause=[0.15])
    lost: list[int] = []
    path = tmp_path / "results.jsonl"
    with _cluster(tmp_path) as (address, processes), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the cluster libraries' own

        def kill_one(done: int, total: int) -> None:
            if done == 6 and not lost:
                lost.append(processes[-1].pid)
                processes[-1].kill()
                processes[-1].wait()

        found = sweep(
            slow, points, seed=5, backend="dask", address=address, resume=path, progress=kill_one
        )
        assert lost
    assert found == sweep(slow, points, seed=5, backend="threading", workers=24)
    named = [json.loads(line)["setting"]["point"] for line in path.read_text().splitlines()[1:]]
    assert sorted(named) == list(range(24))


@contextlib.contextmanager
def _cluster(folder: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers of one thread on the loopback interface, for 40 s at most.

    A sweep whose cluster is gone raises, so the limit also ends a test that would hang.
    """
    told = folder / "scheduler.json"
    quiet: dict[str, Any] = {
        "env": _environment(),
        "cwd": folder,
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
    }
    base = [sys.executable, "-m", "distributed.cli"]
    local = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(told)]
    scheduler = [f"{base[2]}.dask_scheduler", *local, "--port", "0"]
    worker = [
        f"{base[2]}.dask_worker", *local, "--nthreads", "1", "--no-nanny", "--death-timeout", "30",
        "--local-directory", str(folder),
    ]  # fmt: skip
    processes: list[subprocess.Popen[bytes]] = []
    limit = threading.Timer(40.0, lambda: [process.kill() for process in processes])
    limit.daemon = True
    limit.start()
    try:
        processes.append(subprocess.Popen([*base[:2], *scheduler], **quiet))
        _wait(told.exists, seconds=30)
        processes += [subprocess.Popen([*base[:2], *worker], **quiet) for _ in range(2)]
        address = json.loads(told.read_text())["address"]
        assert address.startswith("tcp://127.0.0.1:")
        _await_workers(address, 2)
        yield address, processes
    finally:
        limit.cancel()
        for process in reversed(processes):
            process.kill()
        for process in processes:
            process.wait()


def _await_workers(address: str, count: int) -> None:
    from distributed import Client

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=30)


def _environment() -> dict[str, str]:
    """Subprocesses find what this process finds."""
    here = str(Path(__file__).resolve().parent)
    return os.environ | {"PYTHONPATH": os.pathsep.join([here, *filter(None, sys.path)])}


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _wait(ready: Any, *, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@contextlib.contextmanager
def _without_loky_leftovers() -> Iterator[None]:
    """Stop the processes that loky keeps for the next call."""
    yield
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)
