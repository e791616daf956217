"""Kill `howspec tune` at random moments, let it go on, and see that nothing is measured twice.

    python tune_kills.py [--kills 20] [--seed 1]

The server is a small one of the tests, started by the search. Every kill (SIGKILL) falls at a
moment drawn evenly from the first seconds of a run; behind it no server may be left, and the
records that were finished must stay as they are. At last the search may finish. Exit status 1 where
not all is well.
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from howspec.calibrate.records import read_record
from howspec.calibrate.serving.launch import answers

SERVER = Path(__file__).parents[1] / "tests" / "support" / "launched_server.py"
PORT = 8947
URL = f"http://127.0.0.1:{PORT}"


def command(folder: Path) -> list[str]:
    server = shlex.join([sys.executable, str(SERVER), str(PORT), str(folder / "starts")])
    return [
        sys.executable, "-m", "howspec", "tune", "--target", "Llama-3.1-8B", "--draft",
        "Llama-3.2-1B", "--device", "H100 SXM", "--batch", "1,2,4", "--gamma", "1-4",
        "--requests", "2", "--new-tokens", "10", "--tolerance", "0.0001", "--json",
        "--launch", f"{server} {{flags}}", "--url", URL, "--out", str(folder / "tuned"),
    ]  # fmt: skip


def finished(folder: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in (folder / "tuned").glob("*.json")}


def killed(folder: Path, seconds: float) -> tuple[bool, float]:
    """(whether it was killed before it ended, seconds until its server was gone)."""
    with subprocess.Popen(command(folder), stdout=subprocess.DEVNULL) as search:
        time.sleep(seconds)
        ran = search.poll() is None
        search.kill()  # SIGKILL
    begun = time.monotonic()
    while answers(URL) and time.monotonic() < begun + 60.0:
        time.sleep(0.05)
    return ran, time.monotonic() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=15.0, help="latest moment of a kill")
    given = parser.parse_args()
    rng, well = random.Random(given.seed), True
    with tempfile.TemporaryDirectory() as name:
        folder, kills = Path(name), 0
        while kills < given.kills:
            before = finished(folder)
            moment = rng.uniform(0.2, given.seconds)
            ran, gone = killed(folder, moment)
            after = finished(folder)
            same = all(after.get(p) == data for p, data in before.items())
            well = well and same and not answers(URL)
            kills += ran
            print(f"kill {kills:2} after {moment:4.1f} s: {len(before)} -> {len(after)} records, "
                  f"kept {same}, server gone after {gone:.1f} s", flush=True)  # fmt: skip
            if not ran:  # it ended before its kill: begun anew
                for path in (folder / "tuned").iterdir():
                    path.unlink()
        done = subprocess.run(command(folder), capture_output=True, text=True, check=True)
        answer = json.loads(done.stdout)
        records = [read_record(p) for p in finished(folder)]
        points = [(p["gamma"], p["batch"], p["wave"]) for r in records for p in r.points]
        once = len(points) == len(set(points))
        runs = sum(len(r.provenance["runs"]) for r in records)
        print(f"{len(answer['measured'])} points, {len(points)} waves, none twice: {once}; "
              f"{runs} runs wrote {len(records)} records")  # fmt: skip
        raise SystemExit(not (well and once))


if __name__ == "__main__":
    main()
