"""Kill a real tiny campaign at random moments, resume it, and compare with an undisturbed one.

    python benchmarks/campaign_kills.py --kills 20 --seed 1

Runs `python -m howspec.calibrate.campaign tiny` in a process of its own, kills it (SIGKILL) after a
random time, starts it again, and so on; then lets it finish. Prints, for every record, the number
of points, whether their keys are those of the undisturbed run, and whether any is there twice; exit
status 1 where not. Takes some minutes: every start imports torch.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from howspec.calibrate.records import Record, read_record


def command(folder: Path) -> list[str]:
    return [sys.executable, "-m", "howspec.calibrate.campaign", "tiny", "--out", str(folder)]


def undisturbed(folder: Path) -> float:
    """Run the campaign to its end; the seconds it took."""
    began = time.monotonic()
    subprocess.run(command(folder), check=True, stderr=subprocess.DEVNULL)
    return time.monotonic() - began


def disturbed(folder: Path, rng: random.Random, kills: int, whole_s: float) -> list[str]:
    """Kill the campaign that many times, then let it finish; where it stood at every kill."""
    places = []
    start_s = 0.0
    for _ in range(kills):
        process = subprocess.Popen(command(folder), stderr=subprocess.PIPE, text=True)
        assert process.stderr is not None
        began = time.monotonic()
        process.stderr.readline()  # the first stage has been named: imports are behind
        start_s = max(start_s, time.monotonic() - began)
        time.sleep(rng.uniform(0.0, 2.0 * max(whole_s - start_s, 1.0) / kills))
        process.kill()
        process.wait()
        process.stderr.close()
        places.append(_place(folder))
    undisturbed(folder)
    return places


def _place(folder: Path) -> str:
    records = folder / "records"
    begun = sorted(p.name for p in records.glob("*.part.jsonl")) if records.exists() else []
    finished = len(list(records.glob("*.json"))) if records.exists() else 0
    return f"{finished} finished, in {begun[0]}" if begun else f"{finished} finished"


def keys(record: Record) -> list[tuple[object, ...]]:
    return [tuple(point.get(name) for name in record.key) for point in record.points]


def compare(whole: Path, killed: Path) -> bool:
    """Print a line for every record; whether all agree."""
    good = True
    for path in sorted(whole.glob("*.json")):
        if path.name == "family.json":
            continue
        expected, found = keys(read_record(path)), keys(read_record(killed / path.name))
        runs = len(read_record(killed / path.name).provenance["runs"])
        same, once = set(expected) == set(found), len(set(found)) == len(found)
        good &= same and once
        print(
            f"{path.name}: {len(found)} points in {runs} runs, "
            f"{'the same set' if same else 'ANOTHER SET'} as undisturbed, "
            f"{'none' if once else 'SOME'} twice"
        )
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as base:
        whole, killed = Path(base) / "whole", Path(base) / "killed"
        whole_s = undisturbed(whole)
        print(f"undisturbed: {whole_s:.0f} s")
        for place in disturbed(killed, random.Random(given.seed), given.kills, whole_s):
            print(f"killed: {place}")
        return 0 if compare(whole / "records", killed / "records") else 1


if __name__ == "__main__":
    raise SystemExit(main())
