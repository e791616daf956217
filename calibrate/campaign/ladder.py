"""The trained family of a campaign: its models loaded, checked against each other, its prompts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..family import read_family
from ..measure.pairs import LoadedModel, load_model, pair_of
from ..measure.prompts import family_prompts
from .presets import Campaign

Prompts = dict[str, list[list[int]]]


@dataclass(frozen=True)
class Ladder:
    """A family's target and its drafts by name, the largest first."""

    folder: Path
    target: LoadedModel
    drafts: dict[str, LoadedModel]

    @property
    def models(self) -> dict[str, LoadedModel]:
        """All of them, the target first."""
        return {self.target.name: self.target, **self.drafts}

    @property
    def identities(self) -> dict[str, Any]:
        """What each model is, for the provenance of a record."""
        return {name: model.identity for name, model in self.models.items()}

    @property
    def plain(self) -> dict[str, Any]:
        """The drafts' transformers models by name."""
        return {name: draft.model for name, draft in self.drafts.items()}

    def prompts(self, *, count: int, tokens: int) -> Prompts:
        """Prompts of every domain, from text that no model was trained on."""
        return family_prompts(self.folder, self.target.tokenizer, count=count, tokens=tokens)


def load_ladder(folder: Path, campaign: Campaign) -> Ladder:
    """Load the models of a trained family. Raises ValueError where a vocabulary differs."""
    from transformers.utils import logging

    # A campaign has its own progress bars.
    logging.disable_progress_bar()
    models = read_family(folder)["models"]
    loaded = [
        load_model(folder / m["name"], device=campaign.device, dtype=campaign.dtype)
        for m in sorted(models, key=lambda m: (m["role"] != "target", -m["parameters"]))
    ]
    target, *drafts = loaded
    for draft in drafts:
        pair_of(target, draft)
    return Ladder(folder, target, {d.name: d for d in drafts})
