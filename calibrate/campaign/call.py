"""One call of a campaign, and its plan: what the command line and the module both do."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .presets import Campaign, campaign_named, dry
from .runner import STAGE_S, CampaignRun, choose, held, interruptible, plan, run_campaign
from .work import Report, Work

RESUME = "interrupted: what was measured is on disk, the same command goes on from there"


def campaign_of(name: str, *, dry_run: bool = False) -> Campaign:
    """The campaign of that name, or its dry run. Raises ValueError listing the names."""
    campaign = campaign_named(name)
    return dry(campaign) if dry_run else campaign


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
    stage_s: float = STAGE_S,
    call_s: float = math.inf,
    dry_run: bool = False,
    report: Report = lambda what, done, total: None,
    say: Callable[[str], None] = lambda line: None,
) -> CampaignRun:
    """Run a campaign, or go on with it, in the folder ``out``.

    text: folder of texts for the family, beside the standard library; family: folder
    of a trained family, used instead of training one; copies: folder that holds the
    records as well; only, most, stage_s, call_s: as `run_campaign` has them; dry_run: every stage
    on tiny models, always from the beginning. Raises ValueError for what is wrong and
    KeyboardInterrupt when interrupted, with everything measured on disk.
    """
    # Nothing is looked up in a network, whatever a model's folder says of its origin.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from ..measure.inputs import quieten
    from .stages import stages_of

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
        return run_campaign(stages, work, only=only, most=most, stage_s=stage_s, call_s=call_s)


def _check_folders(folder: Path, text: Path | None, family: Path | None) -> None:
    """Refuse a text that is none, or not that of the family that is there, and a missing family."""
    if family is not None and not (family / "family.json").exists():
        raise ValueError(f"--family must be the folder of a trained family, got {family}")
    if text is None:
        return
    if not text.is_dir():
        raise ValueError(f"--text must be a folder of texts, got {text}")
    if family is None and (folder / "family" / "family.json").exists():
        from .family_stage import same_text

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
    from .stages import stages_of

    stages = choose(stages_of(campaign_of(name, dry_run=dry_run)), only)
    given = None if dry_run else family
    return plan(stages, Work(folder_of(Path(out), dry_run), given_family=given))
