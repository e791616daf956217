"""A server that is started for a measurement: waited for, ended with all that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_server import Fake, free_port, serving
from howspec.calibrate.serving.launch import answers, launched

SERVER = Path(__file__).parents[1] / "support" / "launched_server.py"


def command(port: int, folder: Path, *flags: str) -> list[str]:
    return [sys.executable, str(SERVER), str(port), str(folder / "starts"), *flags]


def alive(url: str, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while answers(url) and time.monotonic() < until:
        time.sleep(0.05)
    return answers(url)


def test_a_server_runs_within_the_block_and_not_behind_it(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with launched(command(port, tmp_path), url, tmp_path / "log"):
        assert answers(url)
    assert not answers(url)
    with (
        pytest.raises(KeyboardInterrupt),
        launched(command(port, tmp_path), url, tmp_path / "log"),
    ):
        raise KeyboardInterrupt
    assert not answers(url)


def test_a_server_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    code = (
        "from pathlib import Path; import time\n"
        "from howspec.calibrate.serving.launch import launched\n"
        f"with launched({command(port, tmp_path)!r}, {url!r}, Path({str(tmp_path / 'log')!r})):\n"
        "    print('up', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"up\n"
        os.kill(owner.pid, signal.SIGKILL)
    assert not alive(url, 30.0)


def test_servers_that_do_not_come_up_are_told_in_one_line(tmp_path: Path) -> None:
    port = free_port()
    url, log = f"http://127.0.0.1:{port}", tmp_path / "log"
    with (
        pytest.raises(ValueError, match="ended before it answered: no such model; see"),
        launched(command(port, tmp_path, "--spec-draft-n-max", "1", "broken"), url, log),
    ):
        pass
    with (
        pytest.raises(ValueError, match=r"no server answered within 0.3 s"),
        launched([sys.executable, "-c", "import time; time.sleep(9)"], url, log, patience_s=0.3),
    ):
        pass
    with (
        pytest.raises(ValueError, match="must start a program that is there, got 'nowhere'"),
        launched(["nowhere"], url, log),
    ):
        pass
    with (
        serving(Fake()) as other,
        pytest.raises(ValueError, match="another server answers there"),
        launched(["true"], other, log),
    ):
        pass


def test_no_answer_is_no_server() -> None:
    assert not answers("http://127.0.0.1:9/")
    with serving(Fake(key="secret")) as url:
        assert answers(url)
    with serving(Fake(fault="redirect")) as url:
        assert not answers(url)
