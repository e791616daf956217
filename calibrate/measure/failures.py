"""What may go wrong at one point of a measurement without ending it.

With how much memory a pass will need, and whether an error says that there was none left.
"""

from __future__ import annotations

import gc
import hashlib
from pathlib import Path
from typing import Any

import torch

from .rounds import NotFiniteError

_SHARE = 0.92  # of the free memory that a pass may be predicted to fill


def pass_bytes(model: Any, *, batch: int, context: int, tokens: int, graphs: bool) -> float:
    """Memory that a cache and a pass take beyond the weights, roughly from above [byte]."""
    config = model.config.get_text_config()
    number = torch.finfo(model.dtype).bits // 8
    heads = config.num_attention_heads
    groups = getattr(config, "num_key_value_heads", None) or heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    rows = context + tokens
    cache = 2.0 * config.num_hidden_layers * batch * groups * rows * size * number
    # Every number of tokens has its mask; those of a usual list together are four of the largest.
    masks = 4.0 * batch * (heads // groups) * tokens * rows * (number + 1.0)
    fused = getattr(config, "_attn_implementation", "eager") != "eager"
    scores = 0.0 if fused else batch * heads * tokens * rows * (2.0 * number + 4.0)
    logits = batch * tokens * config.vocab_size * number
    inner = 12.0 * batch * tokens * config.hidden_size * number
    # Each captured graph keeps the logits of its own number of tokens: 1 to `tokens` together.
    kept = (tokens + 1) / 2 if graphs else 1.0
    return float(cache + masks + scores + inner + logits * (1.0 + kept))


def free_bytes(device: torch.device) -> float | None:
    """Free memory of the device [byte], or None where it cannot be read."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return float(free + held)
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return float(found[0]) * 1024 if found else None


def shortage(needed: float, free: float | None) -> str | None:
    """Why a point is not tried, or None where it should fit."""
    if free is None or needed <= _SHARE * free:
        return None
    return (
        f"out of memory: predicted to need {needed / 2**30:.3g} GiB where {free / 2**30:.3g} GiB "
        "are free, not tried"
    )


def let_go() -> None:
    """Give the memory of what is no longer held back to a CUDA device; a CPU needs no asking."""
    if torch.cuda.is_available():
        gc.collect()
        torch.cuda.empty_cache()


def lack_of_memory(error: BaseException) -> str:
    """Why a point has no times, with memory freed for the next; any other error is raised."""
    if not out_of_memory(error):
        raise error
    let_go()
    return "out of memory"


def out_of_memory(error: BaseException) -> bool:
    """Whether an error is the device or the host running out of memory."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(w in str(error).lower() for w in _ALLOCATION)


# What torch says when transformers draws from logits that are not finite.
_NOT_A_LAW = "probability tensor contains"
_ALLOCATION = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory",
)  # fmt: skip


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
    if out_of_memory(error):
        gc.collect()
        return lack_of_memory(error)
    return None


def seed_of(*parts: object) -> int:
    """A seed for a generator from what it is for, the same in every run: 0..2^62 - 1."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 2
