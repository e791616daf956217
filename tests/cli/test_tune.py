"""`howspec tune`: told by hand, run by itself, killed and going on; bad input in one line."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import howspec
import pytest
from command import answer, shown_examples
from fake_server import Fake, free_port, serving
from howspec.calibrate.records import read_record
from howspec.cli.main import run

SERVER = Path(__file__).parents[1] / "support" / "launched_server.py"
GRID: dict[str, Any] = {
    "target": "Llama-3.1-8B", "drafts": ["Llama-3.2-1B"], "device": "H100 SXM", "batch": (1, 4),
    "gamma": (1, 2, 4), "requests": 2, "new_tokens": 10,
}  # fmt: skip


def launching(folder: Path, port: int) -> dict[str, Any]:
    words = [sys.executable, str(SERVER), str(port), str(folder / "starts")]
    return {"launch": f"{shlex.join(words)} {{flags}}", "url": f"http://127.0.0.1:{port}"}


def test_servers_are_started_measured_and_stopped_until_it_is_known(tmp_path: Path) -> None:
    out = tmp_path / "tuned"
    given = GRID | launching(tmp_path, free_port())
    answer = howspec.tune(out=out, tolerance=0.05, **given)
    assert answer.finished
    assert answer.draft == "Llama-3.2-1B"
    assert answer.chosen.regret < 0.05
    assert "--spec-draft-n-max" in answer.emission.command
    found = answer.to_json()
    assert found["measured"][0]["draft"] is None  # type: ignore[index,call-overload]
    assert len(found["measured"]) + len(found["not_tried"]) == 8  # type: ignore[arg-type]
    assert answer.emission.command in str(answer)
    starts = (tmp_path / "starts").read_text().split()
    assert len(starts) == len({s.point.configuration for s in answer.found.seen})
    before = {p: p.read_bytes() for p in out.glob("*.json")}
    again = howspec.tune(out=out, tolerance=0.051, **given)
    assert again.chosen == answer.chosen
    assert (tmp_path / "starts").read_text().split() == starts
    assert {p: p.read_bytes() for p in out.glob("*.json")} == before


def test_by_hand_each_command_runs_as_printed_and_is_taken_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = []
    for _ in range(2):
        with serving(Fake(step_s=0.01)) as url:
            step = howspec.tune(out=tmp_path / "tuned", url=url, **GRID).following
            assert step is not None
            seen.append(step.point)
            gamma = step.point.gamma
        pattern = tuple(min(n, gamma) for n in (2, 0, 4))
        with serving(Fake(step_s=0.01, gamma=gamma, pattern=pattern)) as url:
            words = shlex.split(re.sub(r"http://\S+", url, step.measure))
            with pytest.raises(SystemExit) as stop:
                run(words[1:])
            assert stop.value.code == 0, capsys.readouterr().err
    assert seen[0].draft == ""
    assert seen[1].draft == "Llama-3.2-1B"
    answer = howspec.tune(out=tmp_path / "tuned", **GRID)
    assert [s.point for s in answer.found.seen] == sorted(seen)
    elsewhere = [str(p) for p in (tmp_path / "tuned").glob("*.json")]
    other = howspec.tune(out=tmp_path / "other", records=elsewhere, **GRID)
    assert {s.point for s in other.found.seen} == set(seen)


def test_the_example_of_the_help_that_launches_runs_with_another_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = shown_examples(capsys, "tune")[1]
    port, launch = free_port(), words[-1].split()
    assert launch[:3] == ["vllm", "serve", "Qwen/Qwen3-8B"]
    server = launching(tmp_path, port)["launch"].removesuffix(" {flags}")
    given = [*words[:-1], f"{server} {shlex.join(launch[3:])}"]
    short = ("--url", f"http://127.0.0.1:{port}", "--gamma", "1,2", "--requests", "2")
    found = answer(capsys, *given, *short, "--new-tokens", "10", "--tolerance", "0.2")
    assert found["finished"]
    assert found["engine"] == "vllm"
    assert len(found["measured"]) == len((tmp_path / "starts").read_text().split()) > 0


def test_a_killed_search_goes_on_and_measures_nothing_twice(tmp_path: Path) -> None:
    given = launching(tmp_path, free_port())
    words = [
        sys.executable, "-m", "howspec", "tune", "--target", "Llama-3.1-8B", "--draft",
        "Llama-3.2-1B", "--device", "H100 SXM", "--batch", "1,4", "--gamma", "1,2", "--requests",
        "2", "--new-tokens", "10", "--tolerance", "0.0001", "--json", "--launch", given["launch"],
        "--url", given["url"], "--out", str(tmp_path / "tuned"),
    ]  # fmt: skip
    folder = tmp_path / "tuned"
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, start_new_session=True) as search:
        until = time.monotonic() + 120.0
        while len(list(folder.glob("*.json"))) < 2:
            assert search.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        os.kill(search.pid, signal.SIGKILL)
    kept = {p: p.read_bytes() for p in folder.glob("*.json")}
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    assert {p: p.read_bytes() for p in kept} == kept
    assert len(answer["measured"]) + len(answer["not_tried"]) == 6
    records = [read_record(p) for p in folder.glob("*.json")]
    points = [(p["gamma"], p["batch"], p["wave"]) for r in records for p in r.points]
    assert len(set(points)) == len(points) == 2 * len(answer["measured"])


BAD = {
    "launch must hold {config} or {flags} once": {"launch": "vllm serve"},
    "launch must start a program that is there": {"launch": "no-such-program {flags}"},
    "engine must be one of": {"engine": "tgi"},
    "batch must be": {"batch": (0,)},
    "gamma must be": {"gamma": (0,)},
    "tolerance must be": {"tolerance": 2.0},
    "minutes must be": {"minutes": -1.0},
    "requests must be": {"requests": 0},
    "level must be": {"level": 1.5},
    "drafts must name": {"drafts": []},
    "is no record of howspec measure": {"records": ["starts.json"]},
}


@pytest.mark.parametrize("said", BAD)
def test_bad_input_is_one_line(said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "starts.json").write_text("{}")
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        howspec.tune(out=tmp_path / "tuned", **(GRID | BAD[said]))
    assert "\n" not in str(caught.value)


def test_a_server_that_does_not_start_is_told_and_points_are_kept(tmp_path: Path) -> None:
    given = GRID | launching(tmp_path, free_port())
    broken = tmp_path / "server.py"
    broken.write_text(
        "import sys, runpy\n"
        f"sys.path.insert(0, {str(SERVER.parent)!r})\n"
        "if len(sys.argv) > 3: raise SystemExit('out of memory')\n"
        f"runpy.run_path({str(SERVER)!r}, run_name='__main__')\n"
    )
    given["launch"] = given["launch"].replace(str(SERVER), str(broken))
    with pytest.raises(ValueError, match="ended before it answered: out of memory"):
        howspec.tune(out=tmp_path / "tuned", tolerance=0.001, **given)
    kept = sorted(p.name for p in (tmp_path / "tuned").glob("*.json"))
    assert kept
    assert all(name.startswith("plain") for name in kept)
