"""Presets: the shapes of a family's models and how long each is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Shape:
    """One Llama-style model: widths, depth, and how it is trained.

    tokens: length of the training; batch: sequences of a step; learning_rate: its peak.
    """

    name: str
    hidden: int
    layers: int
    feed_forward: int
    heads: int
    tokens: int
    batch: int
    learning_rate: float
    role: str = "ladder"

    def __post_init__(self) -> None:
        if self.hidden % self.heads or self.hidden // self.heads % 2:
            raise ValueError(f"{self.name}: hidden must be an even multiple of heads")

    def parameters(self, vocabulary: int) -> int:
        """Parameters, the tied embedding counted once."""
        return vocabulary * self.hidden + self.non_embedding_parameters()

    def non_embedding_parameters(self) -> int:
        h = self.hidden
        return self.layers * (4 * h * h + 3 * h * self.feed_forward + 2 * h) + h


@dataclass(frozen=True)
class Preset:
    """A family: its shapes (the target first), its vocabulary and how its batches are cut.

    at_once: sequences that go through a model together; a larger batch is taken in parts.
    """

    name: str
    vocabulary: int
    sequence: int
    context: int
    shapes: tuple[Shape, ...]
    seed: int = 0
    precision: str = "float32"
    held_out_tokens: int = 20_480
    at_once: int = 32

    @property
    def longest_tokens(self) -> int:
        return max(s.tokens for s in self.shapes)

    def training_settings(self) -> dict[str, Any]:
        return {
            "preset": self.name,
            "vocabulary": self.vocabulary,
            "sequence_tokens": self.sequence,
            "context_tokens": self.context,
            "seed": self.seed,
            "precision": self.precision,
        }


CPU = Preset(
    "cpu",
    vocabulary=1024,
    sequence=256,
    context=1024,
    shapes=(
        Shape("target-8m", 288, 8, 768, 9, 2_400_000, 16, 8e-3, "target"),
        Shape("draft-2800k", 192, 6, 512, 6, 1_900_000, 8, 1e-2),
        Shape("draft-910k", 128, 4, 336, 4, 1_900_000, 8, 1.2e-2),
        Shape("draft-430k", 96, 3, 256, 3, 1_900_000, 8, 1.5e-2),
        Shape("draft-430k-depth1", 152, 1, 400, 4, 1_900_000, 8, 1.5e-2, "depth"),
        Shape("draft-430k-depth8", 64, 8, 152, 2, 1_900_000, 8, 1.5e-2, "depth"),
        Shape("draft-160k", 64, 2, 168, 2, 1_900_000, 8, 2e-2),
        Shape("draft-105k", 48, 2, 128, 3, 1_900_000, 8, 2e-2),
        Shape("draft-45k", 32, 1, 88, 2, 1_900_000, 8, 2.5e-2),
        Shape("draft-31k", 24, 1, 64, 2, 1_900_000, 8, 2.5e-2),
        Shape("draft-19k", 16, 1, 40, 1, 1_900_000, 8, 3e-2),
        Shape("draft-14k", 12, 1, 32, 1, 1_900_000, 8, 3e-2),
    ),
)
TINY = Preset(
    "tiny",
    vocabulary=300,
    sequence=64,
    context=512,
    held_out_tokens=2_048,
    shapes=(
        Shape("target-100k", 64, 2, 128, 2, 40_000, 8, 1e-2, "target"),
        Shape("draft-25k", 32, 1, 80, 2, 40_000, 8, 1.5e-2),
        Shape("draft-6k", 16, 1, 24, 1, 40_000, 8, 2e-2),
        Shape("draft-25k-depth2", 28, 2, 40, 2, 40_000, 8, 1.5e-2, "depth"),
        Shape("draft-25k-depth4", 20, 4, 36, 1, 40_000, 8, 1.5e-2, "depth"),
    ),
)
# The target takes 300 M x 6 x 40 M tokens = 7e16 operations, under five minutes at 250 TFLOP/s; the
# small ones are bound by the launching of kernels, so batches are large and steps few.
_GPU_TOKENS = 32_000_000
GPU = Preset(
    "gpu",
    vocabulary=8192,
    sequence=1024,
    context=2048,
    precision="bfloat16",
    held_out_tokens=65_536,
    shapes=(
        Shape("target-300m", 1024, 22, 2944, 16, 40_000_000, 64, 2.5e-3, "target"),
        Shape("draft-120m", 896, 12, 2304, 14, _GPU_TOKENS, 64, 3e-3),
        Shape("draft-50m", 640, 9, 1728, 10, _GPU_TOKENS, 64, 4e-3),
        Shape("draft-20m", 448, 6, 1424, 7, _GPU_TOKENS, 64, 5e-3),
        Shape("draft-20m-depth2", 768, 2, 1944, 12, _GPU_TOKENS, 64, 5e-3, "depth"),
        Shape("draft-20m-depth16", 288, 16, 888, 9, _GPU_TOKENS, 64, 5e-3, "depth"),
        Shape("draft-8m", 288, 6, 704, 9, _GPU_TOKENS, 64, 8e-3),
        Shape("draft-4m", 192, 6, 448, 6, _GPU_TOKENS, 64, 1e-2),
        Shape("draft-2m", 128, 5, 320, 4, _GPU_TOKENS, 64, 1.2e-2),
        Shape("draft-1200k", 96, 4, 232, 3, _GPU_TOKENS, 64, 1.5e-2),
        Shape("draft-700k", 64, 3, 216, 2, _GPU_TOKENS, 64, 2e-2),
        Shape("draft-450k", 48, 2, 128, 3, _GPU_TOKENS, 64, 2e-2),
        Shape("draft-300k", 32, 2, 128, 2, _GPU_TOKENS, 64, 2.5e-2),
    ),
)
PRESETS = {p.name: p for p in (CPU, GPU, TINY)}


def preset_named(name: str) -> Preset:
    """A preset by name. Raises ValueError listing the names."""
    if name not in PRESETS:
        raise ValueError(f"--preset must be one of {', '.join(PRESETS)}, got {name}")
    return PRESETS[name]
