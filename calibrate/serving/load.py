"""Prompts of a measurement of a server: built-in or of a file, in an order of their own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..measure.prompts import built_in_texts, file_texts


@dataclass(frozen=True)
class Prompts:
    """Texts, domains in turn; source: the name of the file."""

    texts: tuple[str, ...]
    source: str

    def of_wave(self, batch: int, wave: int) -> list[str]:
        """The prompts of a wave: every level goes through the same ones."""
        return [self.texts[i % len(self.texts)] for i in self.numbers(batch, wave)]

    def numbers(self, batch: int, wave: int) -> list[int]:
        """Their places in the list."""
        return [i % len(self.texts) for i in range(wave * batch, (wave + 1) * batch)]

    def settings(self, *, keep: bool) -> dict[str, Any]:
        """As a record stores them: a hash of the texts, and the texts only where asked to."""
        digest = hashlib.sha256(json.dumps(self.texts).encode()).hexdigest()[:16]
        found: dict[str, Any] = {"source": self.source, "count": len(self.texts), "sha256": digest}
        return found | ({"texts": list(self.texts)} if keep else {})


def load_prompts(path: str | Path | None, *, field: str = "prompt") -> Prompts:
    """The prompts of a file as `howspec calibrate` takes it, or the built-in ones."""
    found: Mapping[str, list[str]] = (
        built_in_texts() if path is None else file_texts(path, field=field)
    )
    most = max(map(len, found.values()))
    texts = [rows[i] for i in range(most) for rows in found.values() if i < len(rows)]
    return Prompts(tuple(texts), "built-in" if path is None else Path(path).name)
