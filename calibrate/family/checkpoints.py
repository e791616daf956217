"""Checkpoints: one safetensors file with weights, optimizer state and, in its header, JSON.

One file, so that weights and position cannot disagree; written whole or not at all.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from ..whole import replace_file


def save_checkpoint(path: Path, tensors: dict[str, torch.Tensor], state: dict[str, Any]) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    plain = {name: t.detach().to("cpu").contiguous() for name, t in tensors.items()}
    metadata = {"format": "pt", "state": json.dumps(state, allow_nan=False)}

    def write(place: Path) -> None:
        try:
            save_file(plain, place, metadata=metadata)
        except SafetensorError as error:
            raise OSError(f"a checkpoint: {error}") from None

    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, write)


def load_checkpoint(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as handle:
            state: dict[str, Any] = json.loads((handle.metadata() or {})["state"])
            return {name: handle.get_tensor(name) for name in handle.keys()}, state  # noqa: SIM118
    except (SafetensorError, KeyError, json.JSONDecodeError):
        raise ValueError(
            f"the checkpoint {path.name} is damaged: delete it to train that model anew"
        ) from None
