"""Where a measurement comes from: software, machine, models; never a host name or a path.

Some of it may change from one run of a measurement to the next (the date, the clocks); the rest
must stay, because times of another machine or model do not belong into the same record.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

# What may differ between the runs of one measurement; kept for each run.
VARYING = ("utc", "commit", "clocks", "load")
_LIBRARIES = ("torch", "transformers", "tokenizers", "numpy")
_SMI_FIXED = {"name": "device", "driver_version": "driver"}
_SMI_CLOCKS = {
    "clocks.sm": "sm_mhz",
    "clocks.mem": "memory_mhz",
    "clocks.max.sm": "sm_max_mhz",
    "power.limit": "power_limit_w",
    "temperature.gpu": "temperature_c",
    "pstate": "power_state",
}


def collect_provenance(
    device: str = "cpu",
    dtype: str | None = None,
    *,
    models: Mapping[str, Any] | None = None,
    seed: int | None = None,
) -> dict[str, Any]:
    """Provenance of a measurement that starts now.

    device: "cpu" or "cuda" (with an index or not); models: identity of every model, by the name
    that the points use; absolute paths in it are cut to their last part. Nothing is imported for
    it: threads are those of torch where torch is loaded.
    """
    cpu = _cpu_model()
    found: dict[str, Any] = {
        "utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "device": cpu,
        "cpu": cpu,
        "cores": os.cpu_count(),
        "threads": _threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "libraries": _libraries(),
        "clocks": _cpu_clocks(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }
    if device.startswith("cuda"):
        found |= _cuda(device)
    if dtype is not None:
        found["dtype"] = dtype.removeprefix("torch.")
    if models is not None:
        found["models"] = _without_paths(dict(models))
    if seed is not None:
        found["seed"] = seed
    return found


def split(given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what must stay between runs, what may vary) of a provenance."""
    fixed = {k: v for k, v in given.items() if k not in (*VARYING, "runs")}
    return fixed, {k: v for k, v in given.items() if k in VARYING}


def runs_of(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The runs listed in a provenance, or its own varying part as the only run."""
    listed = given.get("runs")
    if isinstance(listed, list):
        return [r for r in listed if isinstance(r, dict)]
    run = split(given)[1]
    return [run] if run else []


def commit() -> str:
    """Commit of the checkout in use, "+changes" where files differ; else the package's version."""
    root = Path(__file__).resolve().parents[2]
    if (root / ".git").exists():
        head = _output("git", "-C", str(root), "rev-parse", "HEAD")
        if head:
            changed = _output("git", "-C", str(root), "status", "--porcelain", "-uno")
            return head + ("+changes" if changed else "")
    from importlib import metadata

    try:
        return "howspec " + metadata.version("howspec")
    except metadata.PackageNotFoundError:
        return "unknown"


def _libraries() -> dict[str, str]:
    from importlib import metadata

    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _threads() -> int | None:
    torch = sys.modules.get("torch")
    return int(torch.get_num_threads()) if torch is not None else None


def cpu_lines(name: str) -> list[str]:
    """What Linux says of every core under a name; [] elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [v.strip() for k, _, v in (line.partition(":") for line in lines) if k.strip() == name]


def _cpu_model() -> str:
    found = cpu_lines("model name")
    return found[0] if found else platform.processor() or platform.machine()


def _cpu_clocks() -> dict[str, Any]:
    mhz = [float(v) for v in cpu_lines("cpu MHz")]
    found: dict[str, Any] = {"cpu_mhz": mhz} if mhz else {}
    try:
        governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").read_text()
        found["governor"] = governor.strip()
    except OSError:
        pass
    return found


def _cuda(device: str) -> dict[str, Any]:
    """Name, driver and clocks of a CUDA device, from nvidia-smi, the name from torch if loaded."""
    said = ask_gpu(device.partition(":")[2] or "0", {**_SMI_FIXED, **_SMI_CLOCKS})
    found: dict[str, Any] = {name: said[name] for name in _SMI_FIXED.values() if name in said}
    clocks = {name: number(said[name]) for name in _SMI_CLOCKS.values() if name in said}
    if clocks:
        found["clocks"] = clocks
    torch = sys.modules.get("torch")
    if torch is not None:
        found["device"] = str(torch.cuda.get_device_name(device))
        found["cuda"] = str(torch.version.cuda)
    return found


def ask_gpu(index: str, names: Mapping[str, str]) -> dict[str, str]:
    """What nvidia-smi says of a GPU by our name of each of its fields; {} where it is silent."""
    line = _output(
        "nvidia-smi", "-i", index, f"--query-gpu={','.join(names)}", "--format=csv,noheader,nounits"
    )
    cells = [cell.strip() for cell in line.splitlines()[0].split(",")] if line else []
    return dict(zip(names.values(), cells, strict=True)) if len(cells) == len(names) else {}


def number(cell: str) -> float | str:
    """The number of a cell, the cell itself where it is none."""
    try:
        return float(cell)
    except ValueError:
        return cell


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _without_paths(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(_without_paths(k)): _without_paths(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_paths(v) for v in value]
    if isinstance(value, PurePath) or (isinstance(value, str) and os.path.isabs(value)):
        return PurePath(value).name
    return value
