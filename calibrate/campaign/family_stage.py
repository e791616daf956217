"""The stage that trains the family of a campaign, and whether it is there."""

from __future__ import annotations

import shutil

from ..family import FamilyRun, preset_named, read_family, train_family
from .presets import Campaign
from .work import StageOver, Work


def run_family(campaign: Campaign, work: Work) -> None:
    """Train what is missing; raises StageOver when the time is up before the last model."""
    folder = work.family
    preset = preset_named(campaign.family)
    models = len(preset.shapes)

    def progress(done: int, total: int, text: str) -> None:
        work.report(f"training {text.split()[0]}", done, total)

    run: FamilyRun = train_family(
        folder,
        preset,
        text=work.text,
        stage_s=max(work.seconds_left(), 1e-3),
        device=campaign.device,
        progress=progress,
        say=work.say,
        clock=work.clock,
    )
    if not run.complete:
        work.say(f"{len(run.trained)} of {models} models are trained")
        raise StageOver
    for line in run.disorder:
        work.say(line)
    work.records.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(folder / "family.json", work.records / "family.json")


def family_state(campaign: Campaign, work: Work) -> str:
    """Whether the family is there: "done" for one of another preset too, where it was named."""
    folder = work.family
    if not folder.exists():
        return "to do"
    if not (folder / "family.json").exists():
        return "begun"
    settings = read_family(folder)["settings"]
    if not work.own_family and settings.get("preset") != campaign.family:
        raise ValueError(
            f"{folder} holds the family {settings.get('preset')!r}, the campaign {campaign.name} "
            f"needs {campaign.family!r}: choose another --out, or name the folder with --family"
        )
    return "done"
