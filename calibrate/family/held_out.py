"""Held-out text: losses of a model on it, and prompts from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .batches import Ids, stream
from .shapes import Preset
from .training import token_losses

EVALUATED_AT_ONCE = 16


def held_out_losses(
    model: Any, streams: dict[str, Ids], preset: Preset, *, device: torch.device
) -> dict[str, dict[str, float]]:
    """Mean loss in nats per token and its standard error, by domain.

    The standard error is that of the means of separate sequences, whose tokens are not
    independent of each other.
    """
    model.eval()
    found = {}
    for name, ids in streams.items():
        count = (len(ids) - 1) // preset.sequence
        if count < 2:
            raise ValueError(
                f"domain {name} needs {2 * preset.sequence + 1} held-out tokens, got {len(ids)}"
            )
        rows = torch.from_numpy(held_out_rows(ids, preset))
        with torch.inference_mode():
            means = torch.cat(
                [
                    token_losses(model, part.to(device), preset).mean(1).cpu()
                    for part in torch.split(rows, min(preset.at_once, EVALUATED_AT_ONCE))
                ]
            ).double()
        found[name] = {
            "loss_nats": float(means.mean()),
            "standard_error_nats": float(means.std() / count**0.5),
        }
    return found


def held_out_rows(ids: Ids, preset: Preset) -> NDArray[np.int64]:
    """The rows of held-out text, each one token longer than a sequence."""
    starts = np.arange((len(ids) - 1) // preset.sequence)[:, None] * preset.sequence
    rows: NDArray[np.int64] = ids[starts + np.arange(preset.sequence + 1)].astype(np.int64)
    return rows


def mean_held_out(losses: dict[str, dict[str, float]]) -> dict[str, float]:
    """The mean over domains, each counting alike, with its standard error."""
    mean = sum(v["loss_nats"] for v in losses.values()) / len(losses)
    squares = sum(v["standard_error_nats"] ** 2 for v in losses.values())
    return {"loss_nats": mean, "standard_error_nats": squares**0.5 / len(losses)}


def held_out_streams(folder: Path, domains: Sequence[str]) -> dict[str, Ids]:
    return {name: stream(folder, name, "held-out") for name in domains}


def held_out_prompts(
    folder: Path, domain: str, tokenizer: Any, *, count: int, tokens: int
) -> list[list[int]]:
    """Token ids of `count` prompts of `tokens` tokens each, from text that was not trained on.

    Each starts at a document or a paragraph; documents are taken in turn, so that the prompts are
    as far apart as the text allows.
    """
    path = folder / "corpus" / f"{domain}-held-out.txt"
    if not path.exists():
        known = sorted(p.name[: -len("-held-out.txt")] for p in path.parent.glob("*-held-out.txt"))
        raise ValueError(f"the family has domains {', '.join(known)}, got {domain}")
    if count < 1 or tokens < 1:
        raise ValueError(f"count and tokens must be at least 1, got {count} and {tokens}")
    documents = path.read_text(encoding="utf-8").split("\0")
    paragraphs = [_paragraph_starts(d) for d in documents]
    found: list[list[int]] = []
    for turn in range(max(map(len, paragraphs))):
        for document, starts in zip(documents, paragraphs, strict=True):
            if turn >= len(starts):
                continue
            # More text than so many tokens can cover, and not a whole book.
            text = document[starts[turn] : starts[turn] + 32 * tokens]
            ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
            if len(ids) >= tokens:
                found.append(ids[:tokens])
            if len(found) == count:
                return found
    raise ValueError(
        f"domain {domain} has {len(found)} held-out prompts of {tokens} tokens, wanted {count}"
    )


def _paragraph_starts(document: str) -> list[int]:
    """Where prompts may start, at least 600 characters apart."""
    starts, place = [0], 0
    while (place := document.find("\n\n", starts[-1] + 600)) >= 0:
        starts.append(place + 2)
    return starts
