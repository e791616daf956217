"""Running a campaign: stage by stage, each for a limited time, each resumed where it was left."""

from __future__ import annotations

import contextlib
import math
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from ..files import held_folder
from .stage import Stage, StageOver, Work

LARGEST_BYTES = 16_000_000
MOST_FILES = 8


@dataclass(frozen=True)
class CampaignRun:
    """What a call did: whether all is done, the stages done and to do, bytes of every record."""

    complete: bool
    done: tuple[str, ...]
    left: tuple[str, ...]
    files: dict[str, int]


def run_campaign(
    stages: Sequence[Stage],
    work: Work,
    *,
    only: str | None = None,
    most: int | None = None,
    stage_s: float | None = None,
    call_s: float = math.inf,
) -> CampaignRun:
    """Run the stages that are not done, in order; one whose time is up goes on behind the last.

    only: the one stage to run; most: how many times a stage is run or resumed in this call;
    stage_s: after that long a stage stops cleanly, default its own limit; call_s: the same for the
    call. Raises
    ValueError for an unknown stage, a limit out of range, when another run holds the folder, and
    before anything is measured when the folder holds what is not of this campaign. Interrupted,
    everything measured is on disk, and the same call goes on from there.
    """
    chosen = choose(stages, only)
    for name, value in (("stage seconds", stage_s), ("call seconds", call_s)):
        if value is not None and not value > 0:
            raise ValueError(f"{name} must be in (0, inf), got {value}")
    if most is not None and most < 1:
        raise ValueError(f"stages must be a whole number >= 1, got {most}")
    end_s = work.clock() + call_s
    with held(work.out):
        _check(stages, work, taken=work.take_copies())
        try:
            _run(chosen, work, most, stage_s, end_s)
        finally:
            work.give_copies()
    return _account(stages, work)


def _check(stages: Sequence[Stage], work: Work, *, taken: Sequence[Path]) -> None:
    """Refuse what is not of this campaign, dropping what was just copied; remark on the rest."""
    try:
        done = [stage for stage in stages if stage.state(work) == "done"]
    except ValueError:
        for path in taken:
            path.unlink()
        raise
    for line in filter(None, (stage.remark(work) for stage in done)):
        work.say(line)


def _run(
    stages: Sequence[Stage], work: Work, most: int | None, stage_s: float | None, end_s: float
) -> None:
    """The stages in turns; one that fails is left, and its error is raised behind the others."""
    runs, failed = 0, dict[str, Exception]()
    while left := [s for s in stages if s.state(work) != "done" and s.name not in failed]:
        ready = [s for s in left if not s.of_family or work.has_family()]
        for stage in ready or left:  # alone without its family, a stage says so itself
            if work.clock() >= end_s or (most is not None and runs >= most):
                break
            runs += 1
            number = f"stage {stages.index(stage) + 1} of {len(stages)}"
            work.say(f"{number}, {stage.name}: {stage.what}")
            try:
                _run_once(stage, work, stage.limit_s if stage_s is None else stage_s, end_s)
            except Exception as error:
                failed[stage.name] = error
                work.say(f"{stage.name} failed: {error}")
        else:
            continue
        break
    for first in failed.values():
        raise first


def _run_once(stage: Stage, work: Work, stage_s: float, end_s: float) -> None:
    begun = work.clock()
    work.deadline_s, work.opened = min(begun + stage_s, end_s), None
    try:
        stage.run(work)
        how = "complete"
    except StageOver:
        how = "stopped: its time is up"
        if work.stands_still() and begun + stage_s <= end_s:
            raise ValueError(
                f"stage {stage.name} measured nothing within {stage_s:g} s: give it more "
                "with --stage-seconds"
            ) from None
    work.give_copies()
    work.say(f"{stage.name} {how} after {work.clock() - begun:.0f} s")


def choose(stages: Sequence[Stage], only: str | None) -> list[Stage]:
    """All stages, or the one named. Raises ValueError listing the names."""
    if only is None:
        return list(stages)
    found = [stage for stage in stages if stage.name == only]
    if not found:
        listed = ", ".join(stage.name for stage in stages)
        raise ValueError(f"stage must be one of {listed}, got {only!r}")
    return found


def _account(stages: Sequence[Stage], work: Work) -> CampaignRun:
    done = tuple(s.name for s in stages if s.state(work) == "done")
    left = tuple(s.name for s in stages if s.name not in done)
    files = work.files()
    for name, size in files.items():
        if size > LARGEST_BYTES:
            work.say(f"{name} has {size / 1e6:.1f} MB, more than {LARGEST_BYTES / 1e6:.0f} MB")
    if len(files) > MOST_FILES:
        work.say(f"there are {len(files)} records, more than {MOST_FILES}")
    return CampaignRun(not left, done, left, files)


def plan(stages: Sequence[Stage], work: Work) -> list[dict[str, Any]]:
    """Every stage with its state, expected time, memory and bytes, for printing.

    A stage whose result is not of this campaign has the state "refused", and its note says why.
    """
    found = []
    for stage in stages:
        estimate = stage.estimate()
        state, note = _state(stage, work)
        found.append(
            {
                "stage": stage.name,
                "what": stage.what,
                "state": state,
                "note": note,
                "expected_time_s": estimate.time_s,
                "expected_memory_bytes": estimate.memory_bytes,
                "expected_record_bytes": estimate.record_bytes,
                "carried_bytes": estimate.carried_bytes,
                "points": estimate.points,
            }
        )
    return found


def _state(stage: Stage, work: Work) -> tuple[str, str]:
    """The state of a stage and a note on it."""
    try:
        state = stage.state(work)
    except ValueError as error:
        return "refused", str(error)
    return state, stage.remark(work) if state == "done" else ""


def held(folder: Path) -> contextlib.AbstractContextManager[None]:
    """Hold the folder of a campaign against a second run into it."""
    wait = "wait for it, or choose another with --out"
    return held_folder(folder, f"{folder}: another run of a campaign holds this folder; {wait}")


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM interrupt as SIGINT does, so that a stage closes its files in either case."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
