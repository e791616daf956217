"""Running a campaign: stage by stage, each for a limited time, each resumed where it was left.

`call_campaign` and `plan_campaign` are what the command line and the module both do.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from ..files import held_folder
from ..measure.plans import Progress
from .check_stage import CheckStage
from .costs_stage import FamilyCosts, RandomCosts
from .family_stages import Acceptance, FamilyStage, Sweep, same_text
from .presets import Campaign, campaign_named
from .stage import Stage, StageOver, Work, record_files

RESUME = "interrupted: what was measured is on disk, the same command continues from there"
LARGEST_BYTES, MOST_FILES = 16_000_000, 8


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
    call. Raises ValueError for an unknown stage, a limit out of range, when another run holds the
    folder, and before anything is measured when the folder holds what is not of this campaign.
    Interrupted, everything measured is on disk, and the same call goes on from there.
    """
    chosen = choose(stages, only)
    for name, value in (("stage seconds", stage_s), ("call seconds", call_s)):
        if value is not None and not value > 0:
            raise ValueError(f"{name} must be in (0, inf), got {value}")
    if most is not None and most < 1:
        raise ValueError(f"stages must be a whole number >= 1, got {most}")
    end_s = work.clock() + call_s
    with held(work.out):
        work.tidy()
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
    kept = record_files(work.records) if work.records.exists() else []
    files = {p.name: p.stat().st_size for p in kept if not p.name.endswith(".part.jsonl")}
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
        try:
            state = stage.state(work)
            note = stage.remark(work) if state == "done" else ""
        except ValueError as error:
            state, note = "refused", str(error)
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


def stages_of(campaign: Campaign) -> tuple[Stage, ...]:
    """The stages in the order they run, the most valuable first."""
    random = (RandomCosts(campaign),) if campaign.architecture_costs else ()
    ladder = (FamilyCosts(campaign), Acceptance(campaign), Sweep(campaign))
    return (CheckStage(campaign), *random, FamilyStage(campaign), *ladder)


def call_campaign(
    name: str,
    out: Path,
    *,
    text: Path | None = None,
    family: Path | None = None,
    copies: Path | None = None,
    only: str | None = None,
    most: int | None = None,
    stage_s: float | None = None,
    call_s: float | None = None,
    dry_run: bool = False,
    report: Progress = lambda what, done, total: None,
    say: Callable[[str], None] = lambda line: None,
) -> CampaignRun:
    """Run or resume a campaign in the folder ``out``.

    text: folder of texts for the family, beside the standard library; family: folder of a trained
    family, used instead of training one; copies: folder that holds the records as well; only, most,
    stage_s, call_s: as `run_campaign` has them, the last by default as long as the campaign says;
    dry_run: every stage on tiny models, always from the beginning. Raises ValueError for what is
    wrong and KeyboardInterrupt when interrupted, with everything measured on disk.
    """
    # Nothing is looked up in a network, whatever a model's folder says of its origin.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from ..measure.pairs import quieten

    campaign = campaign_named(name, dry_run=dry_run)
    stages = stages_of(campaign)
    choose(stages, only)
    # A dry run has a folder of its own, so that it leaves nothing else.
    folder = Path(out, "dry-run") if dry_run else Path(out)
    given = None if dry_run else family
    _check_folders(folder, text, given)
    if dry_run and folder.exists():
        with held(folder):
            shutil.rmtree(folder)
    if text is not None and given is not None:
        say("--text is not read: it is for training a family, and --family names one")
    work = Work(folder, text, given, copies=copies, report=report, say=say)
    quieten()
    with interruptible():
        return run_campaign(
            stages,
            work,
            only=only,
            most=most,
            stage_s=stage_s,
            call_s=campaign.call_s if call_s is None else call_s,
        )


def _check_folders(folder: Path, text: Path | None, family: Path | None) -> None:
    """Refuse a text that is none, or not that of the family that is there, and a missing family."""
    if family is not None and not (family / "family.json").exists():
        raise ValueError(f"--family must be the folder of a trained family, got {family}")
    if text is None:
        return
    if not text.is_dir():
        raise ValueError(f"--text must be a folder of texts, got {text}")
    if family is None and (folder / "family" / "family.json").exists():
        same_text(folder / "family", text)


def plan_campaign(
    name: str,
    out: Path,
    *,
    family: Path | None = None,
    only: str | None = None,
    dry_run: bool = False,
) -> list[dict[str, Any]]:
    """Every stage with what it does, its state in ``out``, expected time and memory."""
    stages = choose(stages_of(campaign_named(name, dry_run=dry_run)), only)
    given = None if dry_run else family
    return plan(stages, Work(Path(out, "dry-run" if dry_run else ""), given_family=given))


def commands(name: str, out: Path) -> list[tuple[str, str]]:
    """What to type for a campaign on a lent machine: where, and the command.

    Two calls of the same command do it all; a third would resume what a slow machine left.
    """
    campaign, family = campaign_named(name), f"{out}/family"
    prepare = f"howspec calibrate family --preset {campaign.family} --text TEXTS --out {family}"
    call = f"python -m howspec.calibrate.campaign {name} --out {out} --records RECORDS"
    return [
        ("here, the corpus alone; carry the folder", f"{prepare} --stage-seconds 0.001"),
        ("there, first call", call),
        ("there, second call", call),
        ("here, the sweep predicted from costs and acceptance", "howspec paper --records RECORDS"),
    ]
