"""The stages of a family: training it, and decoding with it, for acceptance and for latency.

A plan is made without torch, so that what loads models is imported where it does.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..family.corpus import folder_domains
from ..family.record import family_domains, read_family
from ..family.shapes import preset_named
from ..records.merge import difference
from .estimate import (
    REQUEST_BYTES,
    TURN_BYTES,
    Estimate,
    Size,
    decode_s,
    family_sizes,
    memory_bytes,
    pass_s,
)
from .presets import Campaign, Decoding
from .stage import RecordStage, Stage, StageOver, Work

if TYPE_CHECKING:
    from ..measure.inputs import Ladder
    from ..records import Journal

# A step of training moves weights, gradients and the optimiser's state, and keeps activations.
TRAINING_NUMBERS = 10.0
FAMILY_BYTES = 1_000.0  # of a model in the family's record
# Domains of the default texts: code, and with a folder of texts three more.
DOMAINS = 4
# Tokens of a round that the slowest row of a batch is expected to emit.
BATCH_TOKENS = 1.6


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
    from ..measure.inputs import load_ladder

    models = read_family(folder)["models"]
    models.sort(key=lambda m: (m["role"] != "target", -m["parameters"]))
    target, *drafts = (str(folder / m["name"]) for m in models)
    return load_ladder(target, drafts, device=campaign.device, dtype=campaign.dtype)


class DecodingStage(RecordStage):
    """A stage that measures the family on prompts of its own domains."""

    of_family = True
    counted: str  # what the record's settings call the number of prompts of a domain

    @property
    def decoding(self) -> Decoding[Any]:
        """The campaign's plan for the stage, and the prompts."""
        found: Decoding[Any] = getattr(self.campaign, self.name)
        return found

    @property
    def plan(self) -> Any:
        """The plan with what holds for all of the campaign."""
        return replace(self.decoding.plan, seed=self.campaign.seed, graphs=self.campaign.graphs)

    def settings(self, family: Mapping[str, Any]) -> dict[str, Any]:
        prompts = {
            "source": "held-out text of the family",
            "domains": list(family_domains(family)),
            "tokens": self.decoding.tokens,
        }
        settings = {"campaign": self.campaign.name, **asdict(self.plan), "prompts": prompts}
        return {**settings, self.counted: self.decoding.prompts}

    def load(self, work: Work) -> tuple[Any, dict[str, Any]]:
        ladder = load_family(work.family, self.campaign)
        return ladder, ladder.identities

    def measure(self, work: Work, journal: Journal, ladder: Ladder) -> bool:
        """Measure by the plan, on prompts from text that no model was trained on."""
        from ..measure.acceptance import measure_acceptance
        from ..measure.inputs import family_prompts
        from ..measure.sweep import measure_sweep

        measure: Callable[..., bool]
        measure = measure_sweep if self.kind == "sweep" else measure_acceptance
        return measure(
            ladder.target.model,
            ladder.plain,
            journal,
            prompts=family_prompts(
                work.family,
                ladder.target.tokenizer,
                count=self.decoding.prompts,
                tokens=self.decoding.tokens,
            ),
            plan=self.plan,
            seconds_left=work.seconds_left,
            progress=work.report,
        )


class Acceptance(DecodingStage):
    """Rounds and overlaps of every draft of the family."""

    name, kind, counted = "acceptance", "acceptance", "requests"

    def __init__(self, campaign: Campaign) -> None:
        super().__init__(campaign)
        wanted = _listed(campaign.acceptance.plan.temperatures)
        self.what = f"rounds and overlaps of every draft at temperatures {wanted}"

    def estimate(self) -> Estimate:
        """The target's texts, rounds of every draft and the overlaps along the texts."""
        machine, asked = self.campaign.machine, self.campaign.acceptance
        wanted = asked.plan
        target, *drafts = family_sizes(self.campaign.family)
        groups = DOMAINS * len(wanted.temperatures) * -(-asked.prompts // wanted.batch)
        requests = DOMAINS * len(wanted.temperatures) * asked.prompts
        length = asked.tokens + wanted.new_tokens
        how: dict[str, Any] = {"new_tokens": wanted.new_tokens, "batch": wanted.batch}
        how["graphs"] = self.campaign.graphs
        texts_s = groups * decode_s(machine, target, None, gamma=0, **how)
        written = requests * wanted.new_tokens * REQUEST_BYTES
        total = Estimate(texts_s + machine.start_s, 0.0, requests, written)
        for draft in drafts:
            # The slowest row of a batch decides, so a round is worth little more than a token.
            rounds_s = groups * decode_s(
                machine, target, draft, gamma=wanted.gamma, tokens_per_round=BATCH_TOKENS, **how
            )
            overlap_s = requests * pass_s(machine, draft, tokens=length)
            memory = memory_bytes(machine, target, draft, batch=wanted.batch, context=length)
            time_s = rounds_s + overlap_s + machine.start_s
            total += Estimate(time_s, memory, 2 * requests, 2.0 * written)
        return total


class Sweep(DecodingStage):
    """End-to-end latency of every draft, number of draft tokens, method and batch."""

    name, kind, counted = "sweep", "sweep", "prompts_of_a_domain"

    def __init__(self, campaign: Campaign) -> None:
        super().__init__(campaign)
        wanted = campaign.sweep.plan
        most, batches = max(wanted.gammas), _listed(wanted.batches)
        self.what = f"latency of every draft, 0 to {most} draft tokens, batch {batches}"

    def estimate(self) -> Estimate:
        """End-to-end decoding of every draft, gamma, method and batch."""
        wanted = self.campaign.sweep.plan
        target, *drafts = family_sizes(self.campaign.family)
        total = Estimate(len(drafts) * self.campaign.machine.start_s)
        for batch in wanted.batches:
            blocks = max(DOMAINS * self.campaign.sweep.prompts // batch, 1)
            total += self._turn(target, None, 0, batch) * (blocks * wanted.plain_repeats)
            for draft in drafts:
                for gamma in wanted.gammas:
                    total += self._turn(target, draft, gamma, batch) * blocks
                if batch == 1:
                    # One more for the heuristic schedule, about as long as at 5 draft tokens.
                    for gamma in (*wanted.assisted_gammas, 5):
                        one = self._turn(target, draft, gamma, batch, assisted=True)
                        total += one * wanted.assisted_blocks
        return total

    def _turn(
        self, target: Size, draft: Size | None, gamma: int, batch: int, *, assisted: bool = False
    ) -> Estimate:
        """One generation; assisted: by the generate of transformers, without graphs."""
        machine, wanted = self.campaign.machine, self.campaign.sweep.plan
        length = self.campaign.sweep.tokens + wanted.new_tokens
        time_s = decode_s(
            machine,
            target,
            draft,
            new_tokens=wanted.new_tokens,
            gamma=gamma,
            batch=batch,
            tokens_per_round=2.0 if batch == 1 else BATCH_TOKENS,
            graphs=self.campaign.graphs and not assisted,
        )
        models = [target] if draft is None else [target, draft]
        memory = memory_bytes(machine, *models, batch=batch, context=length)
        return Estimate(time_s, memory, 1, batch * wanted.new_tokens * TURN_BYTES)


def _listed(values: tuple[float, ...] | tuple[int, ...]) -> str:
    return ", ".join(f"{v:g}" for v in values)
