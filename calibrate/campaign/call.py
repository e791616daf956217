"""One call of a campaign, and its plan: what the command line and the module both do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .check_stage import CheckStage
from .costs_stage import FamilyCosts, RandomCosts
from .decoding_stages import Acceptance, Sweep
from .family_stage import FamilyStage, same_text
from .presets import Campaign, campaign_named, dry
from .runner import CampaignRun, choose, held, interruptible, plan, run_campaign
from .stage import Report, Stage, Work

MODULE = "python -m howspec.calibrate.campaign"
RESUME = "interrupted: what was measured is on disk, the same command continues from there"


def campaign_of(name: str, *, dry_run: bool = False) -> Campaign:
    """The campaign of that name, or its dry run. Raises ValueError listing the names."""
    campaign = campaign_named(name)
    return dry(campaign) if dry_run else campaign


def stages_of(campaign: Campaign) -> tuple[Stage, ...]:
    """The stages in the order they run, the most valuable first."""
    random = (RandomCosts(campaign),) if campaign.architecture_costs else ()
    ladder = (FamilyCosts(campaign), Acceptance(campaign), Sweep(campaign))
    return (CheckStage(campaign), *random, FamilyStage(campaign), *ladder)


def folder_of(out: Path, dry_run: bool) -> Path:
    """Where a campaign works: a dry run in a folder of its own, so that it leaves nothing else."""
    return out / "dry-run" if dry_run else out


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
    report: Report = lambda what, done, total: None,
    say: Callable[[str], None] = lambda line: None,
) -> CampaignRun:
    """Run or resume a campaign in the folder ``out``.

    text: folder of texts for the family, beside the standard library; family: folder
    of a trained family, used instead of training one; copies: folder that holds the
    records as well; only, most, stage_s, call_s: as `run_campaign` has them, the
    last by default as long as the campaign says; dry_run: every stage
    on tiny models, always from the beginning. Raises ValueError for what is wrong and
    KeyboardInterrupt when interrupted, with everything measured on disk.
    """
    # Nothing is looked up in a network, whatever a model's folder says of its origin.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from ..measure.inputs import quieten

    campaign = campaign_of(name, dry_run=dry_run)
    stages = stages_of(campaign)
    choose(stages, only)
    folder = folder_of(Path(out), dry_run)
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
    stages = choose(stages_of(campaign_of(name, dry_run=dry_run)), only)
    given = None if dry_run else family
    return plan(stages, Work(folder_of(Path(out), dry_run), given_family=given))


def commands(name: str, out: Path) -> list[tuple[str, str]]:
    """What to type for a campaign on a lent machine: where, and the command.

    Two calls of the same command do it all; a third would resume what a slow machine left.
    """
    campaign, family = campaign_of(name), f"{out}/family"
    prepare = f"howspec calibrate family --preset {campaign.family} --text TEXTS --out {family}"
    call = f"{MODULE} {name} --out {out} --records RECORDS"
    return [
        ("here, the corpus alone; carry the folder", f"{prepare} --stage-seconds 0.001"),
        ("there, first call", call),
        ("there, second call", call),
        ("here, the sweep predicted from costs and acceptance", "howspec paper --records RECORDS"),
    ]
