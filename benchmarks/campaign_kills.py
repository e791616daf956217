"""Kill a real tiny campaign at random moments, resume it, and compare with an undisturbed one.

    python benchmarks/campaign_kills.py --kills 20 --seed 1

Trains the tiny family once (or takes --family). The campaign first runs undisturbed, and the time
of each of its stages is taken. Then it runs again and again in a process of its own and is killed
(SIGKILL): the moment is drawn evenly over a stage drawn from those that it has not finished, or
over the loading of models. At last it may finish; one that ends before its kill is compared,
cleared and begun anew. Which stages there are and what they measure is read from what the campaign
wrote.

Prints where every kill fell, and for every record the number of points and of runs, whether its
points are those of the undisturbed campaign (all but the times), whether any is there twice,
whether its copy is the same, and how many kills each stage had; exit status 1 where not all is
well. The processes are forked, so that torch is imported once.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import howspec.calibrate.measure.costs  # noqa: F401 - imported once, before the forks
import torch
from howspec.calibrate.campaign import call_campaign
from howspec.calibrate.family import tiny_family
from howspec.calibrate.records import Record, read_record

LOADING = "loading"  # before the first record is in progress, and between two of them
POLL_S = 0.002
FORKED = multiprocessing.get_context("fork")
PART = ".part.jsonl"
NOT_RECORDS = {"check", "family"}  # files of their own kinds, without points


@dataclass(frozen=True)
class Place:
    """Where the campaign works and where the copies of its records go."""

    folder: Path

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def records(self) -> Path:
        return self.out / "records"

    @property
    def copies(self) -> Path:
        return self.folder / "copies"

    def begun(self) -> dict[str, int]:
        """Bytes of every record in progress, by stage."""
        return {p.name.removesuffix(PART): _size(p) for p in self.records.glob(f"*{PART}")}

    def finished(self) -> set[str]:
        """The stages whose record is there."""
        return {p.stem for p in self.records.glob("*.json")}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # finished in between
        return 0


def started(work: Callable[..., object], *given: Any, **more: Any) -> BaseProcess:
    """Work that is done in a process of its own."""
    process = FORKED.Process(target=work, args=given, kwargs=more)
    process.start()
    return process


def campaign(place: Place, family: Path) -> BaseProcess:
    """The campaign in a process of its own."""
    return started(call_campaign, "tiny", place.out, family=family, copies=place.copies)


def ended_when(process: BaseProcess, moment: Callable[[], bool] = lambda: False) -> bool:
    """Wait for the end of the process or for the moment; whether it was the end.

    Stops the benchmark where the process failed.
    """
    while process.is_alive():
        if moment():
            return False
        time.sleep(POLL_S)
    if process.exitcode:
        raise SystemExit(f"the campaign ended with status {process.exitcode}")
    return True


def stage_times(place: Place, family: Path) -> dict[str, float]:
    """Run the campaign to its end; seconds that each record was in progress, and that none was."""
    times: dict[str, float] = {LOADING: 0.0}
    last_s = time.monotonic()

    def timed() -> bool:
        nonlocal last_s
        now_s = time.monotonic()
        for stage in place.begun() or [LOADING]:
            times[stage] = times.get(stage, 0.0) + now_s - last_s
        last_s = now_s
        return False

    ended_when(campaign(place, family), timed)
    return times


def killed(place: Place, family: Path, rng: random.Random, times: dict[str, float]) -> str | None:
    """Start the campaign and kill it; the stage in which it was, or None where it ended first."""
    before = place.begun()
    aim = rng.choice(sorted(set(times) - place.finished()))
    wait_s = rng.uniform(0.0, times[aim])
    process = campaign(place, family)
    if aim != LOADING and ended_when(
        # A journal is longer as soon as it is gone on with; one of a later stage will do too.
        process,
        lambda: place.begun().get(aim, 0) > before.get(aim, 0) or aim in place.finished(),
    ):
        return None
    end_s = time.monotonic() + wait_s
    if ended_when(process, lambda: time.monotonic() >= end_s):
        return None
    process.kill()
    process.join()
    now = place.begun()
    changed = [stage for stage, size in now.items() if size > before.get(stage, 0)]
    return changed[0] if changed else LOADING


def disturbed(
    place: Place, whole: Place, family: Path, *, rng: random.Random, kills: int,
    times: dict[str, float],
) -> bool:  # fmt: skip
    """Kill the campaign that many times, then let it finish; whether all that ended agree."""
    good, where = True, Counter[str]()
    while where.total() < kills:
        stage = killed(place, family, rng, times)
        if stage is not None:
            where[stage] += 1
            print(f"kill {where.total()}: {stage}, {_state(place)}", flush=True)
            continue
        print("it ended before its kill:")
        good &= compare(whole, place)
        shutil.rmtree(place.folder)
    ended_when(campaign(place, family))
    good &= compare(whole, place)
    print("kills: " + ", ".join(f"{count} in {stage}" for stage, count in where.items()))
    spared = [stage for stage in times if stage != LOADING and not where[stage]]
    if spared:
        print(f"no kill fell into {', '.join(spared)}: give more --kills or another --seed")
    return good and not spared


def _state(place: Place) -> str:
    begun = ", ".join(f"{size:,} bytes of {stage}" for stage, size in sorted(place.begun().items()))
    return f"{len(place.finished())} finished, " + (begun or "none begun")


def keys(record: Record) -> list[tuple[object, ...]]:
    """What identifies each point."""
    return [tuple(point.get(name) for name in record.key) for point in record.points]


def untimed(record: Record) -> set[str]:
    """Every point without what differs from one run to the next: its times and clocks."""
    return {
        json.dumps({k: v for k, v in p.items() if not k.endswith(("_s", "_mhz"))}, sort_keys=True)
        for p in record.points
    }


def compare(whole: Place, other: Place) -> bool:
    """Print a line for every record; whether all agree."""
    if other.finished() != whole.finished() or other.begun():
        print(f"records are missing or not finished: {_state(other)}")
        return False
    good = True
    half = [p.name for p in (*other.records.iterdir(), *other.copies.iterdir()) if _hidden(p)]
    if half:
        print(f"half-written files are left: {', '.join(half)}")
    for stage in sorted(whole.finished() - NOT_RECORDS):
        expected = read_record(whole.records / f"{stage}.json")
        found = read_record(other.records / f"{stage}.json")
        marks = {
            "its keys": set(keys(expected)) == set(keys(found)),
            "each once": len(set(keys(found))) == len(found.points),
            "the same but for times": untimed(expected) == untimed(found),
            "copied": _bytes(other.records, stage) == _bytes(other.copies, stage),
        }
        good &= all(marks.values())
        told = ", ".join(name if right else f"NOT {name}" for name, right in marks.items())
        runs: list[Any] = found.provenance["runs"]
        print(f"{stage}.json: {len(found.points)} points in {len(runs)} runs: {told}")
    return good and not half


def _hidden(path: Path) -> bool:
    return path.name.startswith(".")


def _bytes(folder: Path, stage: str) -> bytes:
    return (folder / f"{stage}.json").read_bytes()


def main() -> int:
    """Run the benchmark; its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--family", type=Path, help="folder of a trained tiny family")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as base:
        whole, other = Place(Path(base) / "whole"), Place(Path(base) / "killed")
        family = given.family or Path(base) / "family"
        if given.family is None:
            ended_when(started(tiny_family, family))
        times = stage_times(whole, family)
        told = ", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in times.items())
        print(f"undisturbed: {told}", flush=True)
        rng = random.Random(given.seed)
        good = disturbed(other, whole, family, rng=rng, kills=given.kills, times=times)
    print("all is well" if good else "SOMETHING IS WRONG")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
