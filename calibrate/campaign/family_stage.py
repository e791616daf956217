"""The family of a campaign: the stage that trains it, whether it is there, and loading it.

A plan is made without torch, so that what loads models is imported where it does.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ..family.corpus import folder_domains
from ..family.record import read_family
from ..family.shapes import preset_named
from ..records.merge import difference
from .estimate import Estimate, family_sizes
from .presets import Campaign
from .stage import Stage, StageOver, Work

if TYPE_CHECKING:
    from ..measure.ladders import Ladder

# A step of training moves weights, gradients and the optimiser's state, and keeps activations.
TRAINING_NUMBERS = 10.0
FAMILY_BYTES = 1_000.0  # of a model in the family's record
DOMAINS = 4


class FamilyStage(Stage):
    """Trains what is missing of the family."""

    name = "family"

    def __init__(self, campaign: Campaign) -> None:
        super().__init__(campaign)
        self.preset = preset_named(campaign.family)
        self.what = f"train the family {campaign.family}, if there is none"

    def run(self, work: Work) -> None:
        from ..family import train_family

        def progress(done: int, total: int, text: str) -> None:
            work.report(f"training {text.split()[0]}", done, total)

        folder = work.family
        run = train_family(
            folder,
            self.preset,
            text=work.text,
            stage_s=max(work.seconds_left(), 1e-3),
            device=self.campaign.device,
            progress=progress,
            say=work.say,
            clock=work.clock,
        )
        if not run.complete:
            work.say(f"{len(run.trained)} of {len(self.preset.shapes)} models are trained")
            raise StageOver
        for line in run.disorder:
            work.say(line)
        work.records.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / "family.json", work.records / "family.json")

    def state(self, work: Work) -> str:
        """Whether the family is "done", "begun" or "to do".

        A family that was named counts as it is, of another preset too. One in the campaign's own
        folder must be of the campaign's preset, with the settings and models that this has now.
        Raises ValueError saying what differs.
        """
        folder, wanted = work.family, self.campaign.family
        if not folder.exists():
            return "to do"
        if not (folder / "family.json").exists():
            return "begun"
        family = read_family(folder)
        if work.given_family is not None:
            return "done"
        models = [s.name for s in self.preset.shapes]
        own = {**self.preset.training_settings(), "models": models}
        held = {**family["settings"], "models": [m["name"] for m in family["models"]]}
        if held.get("preset") != wanted:
            raise ValueError(
                f"{folder} holds the family {held.get('preset')!r}, the campaign "
                f"{self.campaign.name} needs {wanted!r}: choose another --out, or name the folder "
                "with --family"
            )
        differs = difference(own, held)
        if differs:
            raise ValueError(
                f"{folder} holds a family {wanted!r} of other settings: {differs}: choose "
                "another --out, or name the folder with --family"
            )
        return "done"

    def estimate(self) -> Estimate:
        """Training: 6 operations a parameter and token, and the launches of every step."""
        preset, machine = self.preset, self.campaign.machine
        corpus = min(1.02 * preset.longest_tokens, preset.domain_tokens) + preset.held_out_tokens
        total = Estimate(
            10.0 * machine.start_s,
            record_bytes=FAMILY_BYTES * len(preset.shapes),
            carried_bytes=DOMAINS * 2.0 * corpus,
        )
        for shape, size in zip(preset.shapes, family_sizes(preset.name), strict=True):
            steps = -(-shape.tokens // (shape.batch * preset.sequence))
            work_s = 6.0 * size.parameters * shape.tokens / machine.operations_per_s
            # A step is three passes long, and the optimiser about one more.
            time_s = work_s + steps * 4.0 * size.layers * machine.launch_s
            rows = min(shape.batch, preset.at_once) * preset.sequence
            activations = rows * (12.0 * shape.hidden * shape.layers + 2.0 * preset.vocabulary)
            memory = 4.0 * (TRAINING_NUMBERS * size.parameters + activations)
            total += Estimate(time_s + machine.start_s, memory, 1)
        return total


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


def load_family(folder: Path, campaign: Campaign) -> Ladder:
    """The models of a trained family, the largest draft first. Raises ValueError as `ladder_of`."""
    from ..measure.ladders import load_ladder

    models = read_family(folder)["models"]
    models.sort(key=lambda m: (m["role"] != "target", -m["parameters"]))
    target, *drafts = (str(folder / m["name"]) for m in models)
    return load_ladder(target, drafts, device=campaign.device, dtype=campaign.dtype)
