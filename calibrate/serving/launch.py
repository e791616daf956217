"""A server that is started for a measurement, waited for, and stopped with all that it started.

    python launch.py LOG COMMAND ARGUMENT...

runs a command in a process group of its own, and ends the group when its own input ends: whoever
started it holds its standard input, and when that process closes it, or dies in whatever way, the
command ends with all that it started. Run as a file, so that nothing else is imported.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PATIENCE_S = 1200.0  # for a server to answer: large weights are read from a disk
_LINES = 4096  # bytes of a log that its last line is looked for in
_ENDING_S = 20.0  # between asking the group to end and ending it


@contextmanager
def launched(
    command: Sequence[str], url: str, log: Path, *, patience_s: float = PATIENCE_S
) -> Iterator[None]:
    """Run a server until the end of the block.

    command: program and arguments, no shell; url: at which it answers; log: a file that its output
    is added to; patience_s: longest wait for an answer. The server ends with the block, however
    that ends, and with this process, however that ends. Raises ValueError, one line, where another
    server answers already, the program is not there, it ends by itself, or does not answer.
    """
    if answers(url):
        raise ValueError(f"{url}: another server answers there: stop it, or name another port")
    if shutil.which(command[0]) is None:
        raise ValueError(f"launch must start a program that is there, got {command[0]!r}")
    log.parent.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, "-S", __file__, str(log), *command]
    kept = subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True)
    try:
        _wait(kept, url, log, patience_s)
        yield
    finally:
        assert kept.stdin is not None
        kept.stdin.close()
        kept.wait()


def answers(url: str) -> bool:
    """Whether a server lists its models there."""
    request = urllib.request.Request(f"{url.rstrip('/')}/v1/models")
    opener = urllib.request.build_opener(_Unmoved())
    try:
        with opener.open(request, timeout=2.0) as reply:
            return bool(reply.status == 200)
    except urllib.error.HTTPError as error:
        return error.code in (401, 403)  # it is there, and wants a key
    except (OSError, ValueError):
        return False


class _Unmoved(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *given: object, **more: object) -> None:
        return None


def _wait(kept: subprocess.Popen[bytes], url: str, log: Path, patience_s: float) -> None:
    until = time.monotonic() + patience_s
    while not answers(url):
        if kept.poll() is not None:
            raise ValueError(f"the server ended before it answered: {last_line(log)}; see {log}")
        if time.monotonic() > until:
            raise ValueError(f"{url}: no server answered within {patience_s:g} s; see {log}")
        time.sleep(0.2)


def last_line(log: Path) -> str:
    """The last line of a log that says anything."""
    if not log.exists():
        return "it wrote nothing"
    lines = log.read_bytes()[-_LINES:].decode("utf-8", errors="replace").splitlines()
    return next((x.strip() for x in reversed(lines) if x.strip()), "it wrote nothing")


def keep(log: str, command: list[str]) -> int:
    """Exit status of the command, once it ended by itself or was ended."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    with open(log, "ab") as out:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
            preexec_fn=_as_usual,
        )  # fmt: skip

    def watch() -> None:
        while os.read(0, 1 << 10):
            pass
        end(child)

    threading.Thread(target=watch, daemon=True).start()
    status = child.wait()
    _signal(child.pid, signal.SIGKILL)  # what the command left behind in its group
    return status


def _as_usual() -> None:
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_DFL)


def end(child: subprocess.Popen[bytes]) -> None:
    """End the group of a child: asked first, then made to."""
    _signal(child.pid, signal.SIGTERM)
    until = time.monotonic() + _ENDING_S
    while child.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    _signal(child.pid, signal.SIGKILL)


def _signal(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return


if __name__ == "__main__":
    raise SystemExit(keep(sys.argv[1], sys.argv[2:]) and 1)
