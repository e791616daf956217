"""Clocks, power and temperature of the device while something is measured, where readable."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import torch

_QUERY = {
    "clocks.sm": "sm_mhz",
    "clocks.mem": "memory_mhz",
    "power.draw": "power_w",
    "temperature.gpu": "temperature_c",
    "pstate": "power_state",
}
_FRESH_S = 5.0  # asking takes tens of milliseconds, and the answer changes slowly


class MachineState:
    """What the device says about itself, asked again when the last answer is some seconds old."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._asked = -_FRESH_S
        self._answer: dict[str, float | str] = {}

    def read(self) -> dict[str, float | str]:
        """sm_mhz, memory_mhz, power_w, temperature_c and power_state, or cpu_mhz, and threads."""
        now = time.monotonic()
        if now - self._asked >= _FRESH_S:
            self._asked = now
            self._answer = _gpu(self._device) if self._device.type == "cuda" else _cpu()
        return dict(self._answer)


def _gpu(device: torch.device) -> dict[str, float | str]:
    index = device.index if device.index is not None else torch.cuda.current_device()
    command = ["nvidia-smi", "-i", str(index), f"--query-gpu={','.join(_QUERY)}"]
    command.append("--format=csv,noheader,nounits")
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return {}
    cells = [c.strip() for c in done.stdout.splitlines()[0].split(",")] if done.stdout else []
    if done.returncode or len(cells) != len(_QUERY):
        return {}
    found: dict[str, float | str] = {}
    for name, cell in zip(_QUERY.values(), cells, strict=True):
        try:
            found[name] = float(cell)
        except ValueError:
            if name == "power_state":
                found[name] = cell
    return found


def _cpu() -> dict[str, float | str]:
    found: dict[str, float | str] = {"threads": torch.get_num_threads()}
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return found
    clocks = [float(line.partition(":")[2]) for line in lines if line.startswith("cpu MHz")]
    if clocks:
        found["cpu_mhz"] = max(clocks)
    return found
