"""Runs a command in a process group of its own, and ends the group when its own input ends.

    python keeper.py LOG COMMAND ARGUMENT...

Whoever started it holds its standard input: when that process closes it, or dies in whatever way,
the command ends with all that it started. Run as a file, so that nothing else is imported.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

PATIENCE_S = 20.0  # between asking the group to end and ending it


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
    until = time.monotonic() + PATIENCE_S
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
