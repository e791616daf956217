"""Time and memory of importing large sources of each format, scaled to 1 GB.

python benchmarks/import_speed.py [megabytes] [formats..] [--against COMMIT]

Every line of a source is one of interest but for "vllm log" and "docker json", where one in twenty
is. Times are of one core, without starting Python. --against imports the same files with the tree
of a commit too, in turn, three times each, and prints the least of both.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from howspec.calibrate.engines import write as written
from howspec.theory import DepthAcceptance

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("calibrate", "cli", "figures", "sim", "theory")
_OTHER = (
    "(APIServer pid=1) INFO 05-18 11:19:54 [loggers.py:118] Engine 000: Avg prompt throughput: "
    "40.1 tokens/s, Avg generation throughput: 10.0 tokens/s, Running: 8 reqs, Waiting: 0\n"
)
_SGLANG = (
    "[2025-10-02 23:42:16 TP0] Decode batch, #running-req: {n}, #token: {n}, token usage: "
    "0.01, accept len: {length:.2f}, accept rate: {rate:.2f}, cuda graph: True, gen throughput "
    "(token/s): 39.33, #queue-req: 0\n"
)
_STATISTICS = (
    "statistics draft: #calls(b,g,a) = 1 {n} {n}, #gen drafts = {n}, #acc drafts = {n}, "
    "#gen tokens = {g}, #acc tokens = {a}, #mean acc len = 3.00\n"
)
_V0 = (
    "INFO 12-16 16:46:04 metrics.py:482] Speculative metrics: Draft acceptance rate: 0.500, System "
    "efficiency: 0.510, Number of speculative tokens: 4, Number of accepted tokens: {a}, Number of "
    "draft tokens: {d}, Number of emitted tokens: {e}.\n"
)
_CHILD = (
    "import os, resource, sys, time\n"
    "from howspec.calibrate.engines import import_counts\n"
    "start = time.process_time()\n"
    "found = import_counts(sys.argv[1])\n"
    "used = (time.process_time() - start) / os.path.getsize(sys.argv[1]) * 1e9\n"
    "peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
    "print(f'{found.format}: {used:.0f} s of CPU per GB, peak {peak:.0f} MB')\n"
)
Line = Callable[[int], str]


def _repeated(write: Callable[[written.Whole, int], str], distinct: int) -> Line:
    rng, law = np.random.default_rng(0), DepthAcceptance(0.7)
    sizes = (int(rng.integers(20, 400)) for _ in range(distinct))
    pool = [write(law.draw(rng, gamma=4, rounds=size), 4) for size in sizes]
    return lambda i: pool[i % distinct]


def _sglang(i: int) -> str:
    length = 1.5 + i % 250 / 100
    return _SGLANG.format(n=i % 32 + 1, length=length, rate=(length - 1) / 3)


def _iteration(i: int) -> str:
    stats = {"numDraftTokens": 24, "numAcceptedTokens": i % 25, "numRequestsWithDraftTokens": 8,
             "acceptanceLength": (i % 25 + 8) / 8, "iterLatencyMS": 3.0}  # fmt: skip
    return json.dumps({"iter": i, "iterLatencyMS": 20.0, "specDecodingStats": stats}) + "\n"


def _request(i: int) -> str:
    meta = {"id": f"{i:032x}", "spec_verify_ct": 25, "spec_accepted_drafts": 39,
            "spec_proposed_drafts": 75, "completion_tokens": 64}  # fmt: skip
    return json.dumps({"text": "word " * 200, "meta_info": meta}) + "\n"


def sources() -> dict[str, Line]:
    """A writer of the i-th line, or few lines, of each source."""
    vllm = _repeated(written.FORMATS["vllm-log"], 5000)
    return {
        "vllm log": lambda i: _OTHER * 20 + vllm(i),
        "vllm log, dense": vllm,
        "vllm v0 log": lambda i: _V0.format(a=2 * i, d=4 * i, e=int(2.5 * i)),
        "docker json": lambda i: json.dumps({"log": vllm(i) if i % 20 == 0 else _OTHER}) + "\n",
        "vllm requests": _repeated(written.vllm_request, 500),
        "sglang log": _sglang,
        "sglang responses": _request,
        "llama.cpp requests": _repeated(written.FORMATS["llama.cpp-request"], 5000),
        "llama.cpp statistics": lambda i: _STATISTICS.format(n=i + 1, g=3 * i + 3, a=2 * i + 2),
        "tensorrt-llm iterations": _iteration,
        "transformers hook": lambda i: json.dumps(
            {"request": i // 80, "round": i % 80, "drafted": 4, "accepted": i % 5}
        ) + "\n",
        "aiperf records": _repeated(written.aiperf_request, 500),
        "prometheus": lambda i: (
            f'vllm:spec_decode_num_drafts_total{{engine="{i % 64}",model_name="m"}} {i}.0\n'
        ),
        "round trace": lambda i: "commits,category,a0,a1,a2\n" if i == 0 else f"{i % 4},c,1,1,0\n",
    }  # fmt: skip


def write(path: Path, line: Line, size: int) -> None:
    """Write a source of at least ``size`` bytes."""
    done = i = 0
    with path.open("w") as stream:
        while done < size:
            done += stream.write(line(i))
            i += 1


def tree_of(commit: str, folder: Path) -> Path:
    """A place from which Python imports howspec as it was at a commit."""
    root, linked = folder / "tree", folder / "linked" / "howspec"
    root.mkdir()
    linked.mkdir(parents=True)
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True)
    subprocess.run(["tar", "x", "-C", str(root)], input=packed.stdout, check=True)
    for part in (*(root / "api").iterdir(), *(root / n for n in ROOMS)):
        (linked / part.name).symlink_to(part)
    return linked.parent


def timed(path: Path, place: Path | None) -> tuple[float, str]:
    """CPU seconds a GB, and the line that says it, of one import in a process of its own."""
    more = {} if place is None else {"PYTHONPATH": str(place)}
    done = subprocess.run([sys.executable, "-c", _CHILD, str(path)], check=True, text=True,
                          capture_output=True, env={**os.environ, **more})  # fmt: skip
    return float(done.stdout.split(": ")[1].split()[0]), done.stdout.strip()


def main() -> None:
    """Write, import in a process of its own, print its time and peak memory."""
    parser = argparse.ArgumentParser()
    parser.add_argument("megabytes", nargs="?", type=int, default=100)
    parser.add_argument("formats", nargs="*")
    parser.add_argument("--against")
    given, chosen = parser.parse_args(), sources()
    unknown = [name for name in given.formats if name not in chosen]
    if unknown:
        sys.exit(f"formats must be of {', '.join(chosen)}; got {', '.join(unknown)}")
    with tempfile.TemporaryDirectory() as folder:
        before = tree_of(given.against, Path(folder)) if given.against else None
        for name in given.formats or list(chosen):
            path = Path(folder) / "log"
            write(path, chosen[name], given.megabytes * 10**6)
            if before is None:
                print(f"{name}: {timed(path, None)[1]}", flush=True)
                continue
            pairs = [[timed(path, place)[0] for place in (before, None)] for _ in range(3)]
            old, new = map(min, zip(*pairs, strict=True))
            print(f"{name}: {old:.0f} -> {new:.0f} s of CPU per GB", flush=True)


if __name__ == "__main__":
    main()
