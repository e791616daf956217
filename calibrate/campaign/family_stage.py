"""The stage that trains the family of a campaign, and whether it is there."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..family import preset_named, read_family
from ..family.corpus import folder_domains
from ..records import difference
from .presets import Campaign
from .work import StageOver, Work


def run_family(campaign: Campaign, work: Work) -> None:
    """Train what is missing; raises StageOver when the time is up before the last model."""
    from ..family import train_family

    folder = work.family
    preset = preset_named(campaign.family)
    models = len(preset.shapes)

    def progress(done: int, total: int, text: str) -> None:
        work.report(f"training {text.split()[0]}", done, total)

    run = train_family(
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
    """Whether the family is "done", "begun" or "to do".

    A family that was named counts as it is, of another preset too. One in the campaign's own folder
    must be of the campaign's preset, with the settings and models that this has now. Raises
    ValueError saying what differs.
    """
    folder = work.family
    if not folder.exists():
        return "to do"
    if not (folder / "family.json").exists():
        return "begun"
    family = read_family(folder)
    if work.own_family:
        return "done"
    preset = preset_named(campaign.family)
    wanted = {**preset.training_settings(), "models": [s.name for s in preset.shapes]}
    held = {**family["settings"], "models": [m["name"] for m in family["models"]]}
    if held.get("preset") != campaign.family:
        raise ValueError(
            f"{folder} holds the family {held.get('preset')!r}, the campaign {campaign.name} "
            f"needs {campaign.family!r}: choose another --out, or name the folder with --family"
        )
    differs = difference(wanted, held)
    if differs:
        raise ValueError(
            f"{folder} holds a family {campaign.family!r} of other settings: {differs}: choose "
            "another --out, or name the folder with --family"
        )
    return "done"


def same_text(folder: Path, text: Path) -> None:
    """Raise ValueError where a trained family has read other text than that of a folder.

    Compared by the domains of the folder: the standard library's code differs between machines.
    """
    from ..family.batches import fingerprint

    kept = read_family(folder).get("text_sha256_16", {})
    given = {domain.name: fingerprint(domain) for domain in folder_domains(text)}
    differs = difference(given, {name: kept.get(name) for name in given})
    if differs:
        raise ValueError(
            f"the family in {folder} was trained on other text than {text}: {differs}; give the "
            "same text, none, or another --out"
        )
