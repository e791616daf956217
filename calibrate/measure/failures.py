"""What may go wrong at one point of a measurement without ending it."""

from __future__ import annotations

import gc
import hashlib

import torch

from .rounds import NotFiniteError

# What torch says when transformers draws from logits that are not finite.
_NOT_A_LAW = "probability tensor contains"
_ALLOCATION = ("out of memory", "can't allocate memory", "cannot allocate memory")


class NotMeasurableError(ValueError):
    """What a point asks for cannot be had of these models; the reason belongs into its record."""


def point_failure(error: BaseException) -> str | None:
    """Words for an error that belongs to a point: out of memory, logits that are no numbers, a
    method that does not take these models.

    None for any other error, which ends the measurement. Memory is freed for the next point.
    """
    if isinstance(error, NotFiniteError | NotMeasurableError):
        return str(error)
    if isinstance(error, RuntimeError) and _NOT_A_LAW in str(error):
        return "a model gave logits that are not finite numbers"
    allocation = isinstance(error, RuntimeError) and any(w in str(error) for w in _ALLOCATION)
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or allocation:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return "out of memory"
    return None


def seed_of(*parts: object) -> int:
    """A seed for a generator from what it is for, the same in every run: 0..2^62 - 1."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 2
