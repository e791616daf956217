"""Time and memory of importing a log of 1 GB: vLLM (few lines of interest) and SGLang (every line).

python benchmarks/import_speed.py [megabytes]
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_OTHER = (
    '(APIServer pid=1) INFO:     127.0.0.1:{port} - "POST /v1/chat/completions HTTP/1.1" 200 OK\n'
    "(APIServer pid=1) INFO 05-18 11:19:54 [loggers.py:118] Engine 000: Avg prompt throughput: "
    "{port}.1 tokens/s, Avg generation throughput: 10.0 tokens/s, Running: 8 reqs, Waiting: 0\n"
)
_VLLM = (
    "(APIServer pid=1) INFO 05-18 11:19:54 [metrics.py:101] SpecDecoding metrics: Mean acceptance "
    "length: 3.42, Accepted throughput: 67.60 tokens/s, Drafted throughput: 83.70 tokens/s, "
    "Accepted: {a} tokens, Drafted: {d} tokens, Per-position acceptance rate: 0.921, 0.828, "
    "0.674, Avg Draft acceptance rate: 80.8%\n"
)
_SGLANG = (
    "[2025-10-02 23:42:16 TP0] Decode batch, #running-req: {n}, #token: {port}, token usage: "
    "0.01, accept len: {length:.2f}, accept rate: {rate:.2f}, cuda graph: True, gen throughput "
    "(token/s): 39.33, #queue-req: 0\n"
)
_CHILD = (
    "import resource, sys, time\n"
    "from howspec.calibrate.engines import import_counts\n"
    "start = time.perf_counter()\n"
    "found = import_counts(sys.argv[1])\n"
    "wall = time.perf_counter() - start\n"
    "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
    "print(f'{found.engine}: {found.intervals} lines, {wall:.1f} s, peak {peak:.0f} MB')\n"
)


def write(path: Path, engine: str, size: int) -> None:
    """Write a log of ``size`` bytes."""
    if engine == "vllm":
        block = "".join(
            "".join(_OTHER.format(port=40000 + i) for i in range(20 * j, 20 * j + 20))
            + _VLLM.format(a=676, d=837)
            for j in range(200)
        )
    else:
        rows = ((i % 32 + 1, 1.5 + i % 250 / 100) for i in range(5000))
        block = "".join(
            _SGLANG.format(n=n, port=7000 + n, length=x, rate=(x - 1) / 3) for n, x in rows
        )
    data = block.encode()
    with path.open("wb") as stream:
        for _ in range(max(1, size // len(data))):
            stream.write(data)


def main() -> None:
    """Write, import in a process of its own, print wall time and peak memory."""
    size = int(sys.argv[1]) * 10**6 if len(sys.argv) > 1 else 10**9
    with tempfile.TemporaryDirectory() as folder:
        for engine in ("vllm", "sglang"):
            path = Path(folder) / "log"
            write(path, engine, size)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", _CHILD, str(path)], check=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            print(
                f"  {path.stat().st_size / 1e9:.2f} GB, process {time.perf_counter() - start:.1f} "
                f"s wall, {cpu:.1f} s of one core"
            )


if __name__ == "__main__":
    main()
