"""Kill a real tiny campaign at random moments, resume it, and compare with an undisturbed one.

    python benchmarks/campaign_kills.py --kills 20 --seed 1

Trains the tiny family once (or takes --family); then the tiny campaign runs in its own process,
is killed (SIGKILL) at a random moment of its measuring, started again, and so on; at last it may
finish. One that ends before its kill is compared, cleared and begun again. Prints where every kill
fell, and for every record the number of points and of runs, whether their keys are those of the
undisturbed campaign, and whether any is there twice; exit status 1 where not. The processes are
forked, so that torch is imported once.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import howspec.calibrate.campaign.measuring  # noqa: F401 - imported once, before the forks
import torch
from howspec.calibrate.campaign import call_campaign
from howspec.calibrate.family import tiny_family
from howspec.calibrate.records import Record, read_record


def forked(work: Callable[[], object]) -> int:
    """Do the work in a process of its own; its id."""
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        work()
        status = 0
    finally:
        os._exit(status)


def ended(process: int, within_s: float) -> bool:
    """Wait for the process; whether it ended in time, with status 0 or not at all."""
    limit = time.monotonic() + within_s
    while True:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            if status:
                raise SystemExit(
                    f"the campaign ended with status {os.waitstatus_to_exitcode(status)}"
                )
            return True
        if time.monotonic() >= limit:
            return False
        time.sleep(0.002)


def started(folder: Path, family: Path) -> int:
    """The campaign in a process of its own."""
    return forked(lambda: call_campaign("tiny", folder, family=family))


def undisturbed(folder: Path, family: Path) -> float:
    """Run the campaign to its end; the seconds that it took."""
    began = time.monotonic()
    ended(started(folder, family), math.inf)
    return time.monotonic() - began


def disturbed(
    folder: Path, whole: Path, family: Path, *, rng: random.Random, kills: int, measuring_s: float
) -> bool:
    """Kill the campaign that many times, then let it finish; whether all that ended agree."""
    good, done = True, 0
    while done < kills:
        process = started(folder, family)
        # Resumed, it has less to do: kills soon after the start spread over the stages.
        if not ended(process, rng.uniform(0.0, 3.0 * measuring_s / kills)):
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
            done += 1
            print(f"kill {done}: {_place(folder)}", flush=True)
            continue
        print("it ended before its kill:")
        good &= compare(whole / "records", folder / "records")
        shutil.rmtree(folder)
    undisturbed(folder, family)
    return compare(whole / "records", folder / "records") and good


def _place(folder: Path) -> str:
    records = folder / "records"
    begun = sorted(p.name for p in records.glob("*.part.jsonl")) if records.exists() else []
    finished = len(list(records.glob("*.json"))) if records.exists() else 0
    if not begun:
        return f"{finished} finished, none begun"
    points = (records / begun[0]).read_bytes().count(b"\n") - 2
    return f"{finished} finished, {begun[0]} with about {max(points, 0)} lines"


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
    parser.add_argument("--family", type=Path, help="folder of a trained tiny family")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as base:
        whole, killed = Path(base) / "whole", Path(base) / "killed"
        family = given.family or Path(base) / "family"
        if given.family is None:
            ended(forked(lambda: tiny_family(family)), math.inf)
        measuring_s = undisturbed(whole, family)
        print(f"undisturbed: {measuring_s:.1f} s of measuring", flush=True)
        rng = random.Random(given.seed)
        good = disturbed(killed, whole, family, rng=rng, kills=given.kills, measuring_s=measuring_s)
        return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
