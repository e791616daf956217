"""The models of a campaign: the trained family, and configurations timed with random weights.

Configurations are written as files, so that nothing is looked up in a network. Scaled down, they
keep everything that makes an architecture (its layers, positions, grouped heads) at a few thousand
parameters. A plan is made without torch, so that what loads models is imported where it does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import atomic_write
from ..measure.sources import FamilyModel, family_model
from .estimate import Size
from .presets import Campaign

if TYPE_CHECKING:
    from ..measure.pairs import LoadedModel

# What each entry of a configuration is, under the names that the architectures give it.
_LAYERS = ("num_hidden_layers", "n_layer")
_HIDDEN = ("hidden_size", "n_embd")
_HEADS = ("num_attention_heads", "n_head")
_GROUPS = ("num_key_value_heads",)
_SCALED: dict[str, int] = {
    "num_hidden_layers": 2,
    "n_layer": 2,
    "hidden_size": 32,
    "n_embd": 32,
    "num_attention_heads": 4,
    "n_head": 4,
    "intermediate_size": 64,
    "n_inner": 64,
    "head_dim": 8,
    "vocab_size": 128,
    "max_position_embeddings": 256,
    "n_positions": 256,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}


def named(name: str) -> FamilyModel:
    """The model of that name with a bundled architecture. Raises ValueError where there is none."""
    found = family_model(name)
    if found is None or found.model_type is None:
        raise ValueError(f"no bundled architecture is named {name!r}")
    return found


def architecture_size(name: str) -> Size:
    """What the estimates need of a named model."""
    model = named(name)
    values = model.architecture
    layers, hidden = _first(values, _LAYERS), _first(values, _HIDDEN)
    heads = _first(values, _HEADS)
    groups = _first(values, (*_GROUPS, *_HEADS))
    head = int(values.get("head_dim", hidden // heads))
    return Size(model.name, float(model.parameters), layers, 2.0 * layers * groups * head)


def architecture_config(name: str, *, scaled: bool) -> dict[str, Any]:
    """The configuration of a named model, scaled down if asked for."""
    model = named(name)
    values: dict[str, Any] = {"model_type": model.model_type, **model.architecture}
    if scaled:
        values |= {key: size for key, size in _SCALED.items() if key in values}
        heads = _first(model.architecture, _HEADS)
        if _first(model.architecture, (*_GROUPS, *_HEADS)) < heads:
            values["num_key_value_heads"] = 2
        elif "num_key_value_heads" in values:
            values["num_key_value_heads"] = 4
    return values


def write_config(folder: Path, name: str, values: dict[str, Any]) -> Path:
    """Write a configuration as a file that a model with random weights can be made of."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    atomic_write(path, (json.dumps(values, indent=1) + "\n").encode())
    return path


def _first(values: dict[str, Any], names: tuple[str, ...]) -> int:
    return int(next(values[name] for name in names if name in values))


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
        from ..measure.prompts import family_prompts

        return family_prompts(self.folder, self.target.tokenizer, count=count, tokens=tokens)


def load_ladder(folder: Path, campaign: Campaign) -> Ladder:
    """Load the models of a trained family. Raises ValueError where a vocabulary differs."""
    from transformers.utils import logging

    from ..family import read_family
    from ..measure.pairs import load_model, pair_of

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
