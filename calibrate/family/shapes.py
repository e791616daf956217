"""Presets: the shapes of a family's models and how long each is trained."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

# Layers of a teacher are healed, not learnt: an update of .2 rate an element, a third of a percent
# of a pretrained weight's usual size.
RATE_OF_TAKEN = 1.2e-3
HEAD = 32  # the narrowest attention head that vLLM runs on a CPU


@dataclass(frozen=True)
class Shape:
    """One Llama-style model: widths, depth, and how it is trained.

    tokens: length of the training; batch: sequences of a step; learning_rate: its peak;
    layer_parameters: of a draft that starts with layers of its teacher, parameters of each.
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
    layer_parameters: int | None = None

    def __post_init__(self) -> None:
        if self.hidden % self.heads or self.hidden // self.heads % 2:
            raise ValueError(f"{self.name}: hidden must be an even multiple of heads")

    def parameters(self, vocabulary: int) -> int:
        """Parameters, the tied embedding counted once."""
        return vocabulary * self.hidden + self.non_embedding_parameters()

    def non_embedding_parameters(self) -> int:
        h = self.hidden
        own = 4 * h * h + 3 * h * self.feed_forward + 2 * h
        return self.layers * (self.layer_parameters or own) + h


@dataclass(frozen=True)
class Preset:
    """A family: its shapes (the target first), its vocabulary and how its batches are cut.

    at_once: sequences that go through a model together; a larger batch is taken in parts;
    domain_tokens: at most so many of a domain are encoded, and repeated where more are needed.
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
    domain_tokens: int = 1 << 40

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


def draft_shapes(
    compute: float,
    *,
    vocabulary: int,
    hidden: int,
    layers: int,
    sizes: Sequence[float],
    tokens: int,
    batch: int,
    feed_forward: int,
    heads: int,
) -> tuple[Shape, ...]:
    r"""Drafts that compute some times less than a teacher, the largest first.

        compute / size = vocabulary h + 12 layers h^2,  rounded to widths of whole heads

    A draft with room for layers of the teacher's own width starts with those, evenly chosen.
    compute: parameters that a token of the teacher multiplies; hidden, layers, feed_forward, heads:
    the teacher's; sizes: how many times less. Depth falls with the square root of the size; the
    size nearest to 10 has a draft of one layer as well. Raises ValueError where no draft is so
    small or so large.
    """
    chosen = sorted(set(sizes))
    if not chosen or not all(1.0 < size < math.inf for size in chosen):
        raise ValueError(f"sizes must be in (1, inf), got {', '.join(f'{s:g}' for s in sizes)}")
    middle = min(chosen, key=lambda size: abs(math.log(size / 10.0)))
    wanted = [(s, max(1, round(layers / (2.0 * s**0.5))), "ladder") for s in chosen]
    if (middle, 1, "ladder") not in wanted:
        wanted.append((middle, 1, "depth"))
    layer = (compute - vocabulary * hidden) / layers
    found: dict[str, Shape] = {}
    for size, depth, role in sorted(wanted):
        taken = round((compute / size - vocabulary * hidden) / layer)
        if role == "ladder" and 0 < taken < layers:
            words = f"draft-{_words(vocabulary * hidden + taken * layer)}"
            shape = Shape(
                words, hidden, taken, feed_forward, heads, tokens, batch, RATE_OF_TAKEN,
                layer_parameters=round(layer),
            )  # fmt: skip
            found.setdefault(words, shape)
            continue
        least = HEAD if hidden >= 8 * HEAD else 8
        while (
            width := _width(compute / size, depth, vocabulary, least)
        ) >= hidden and depth < layers:
            depth += 1  # never wider than the teacher
        if not 0 < width < hidden:
            raise ValueError(
                f"no draft computes {size:g} times less than this teacher: its width would be "
                f"{width}, it must be in [{least}, {hidden})"
            )
        head = next(h for h in (64, 32, 16, 8) if width % h == 0)
        rate = 0.14 / width**0.5  # near the rates of the presets below
        inner = max(8, round(width / 3) * 8)
        shape = Shape("", width, depth, inner, width // head, tokens, batch, rate, role)
        name = f"draft-{_words(shape.parameters(vocabulary))}"
        name += "" if role == "ladder" else f"-depth{depth}"
        found.setdefault(name, replace(shape, name=name))
    return tuple(found.values())


def _width(parameters: float, layers: int, vocabulary: int, least: int) -> int:
    """The width of a model of so many parameters, a multiple of 64 where it is large."""
    a, b = 12.0 * layers, float(vocabulary)
    exact = (math.sqrt(b * b + 4.0 * a * parameters) - b) / (2.0 * a)
    step = max(
        least, next(n for low, n in ((256, 64), (128, 32), (64, 16), (0, 8)) if exact >= low)
    )
    return round(exact / step) * step


def _words(parameters: float) -> str:
    """A size in two digits: 45m, 910k."""
    rounded = float(f"{parameters:.2g}")
    return next(
        (
            f"{rounded / n:g}{unit}"
            for unit, n in (("b", 1e9), ("m", 1e6), ("k", 1e3))
            if rounded >= n
        ),
        f"{rounded:g}",
    )


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
# The target takes 120 M x 6 x 20 M tokens = 1.4e16 operations, some 70 s at 200 TFLOP/s; the small
# ones are bound by the launching of kernels, so batches are large and steps few.
_GPU_TOKENS = 16_000_000
GPU = Preset(
    "gpu",
    vocabulary=8192,
    sequence=512,
    context=2048,
    precision="bfloat16",
    held_out_tokens=65_536,
    domain_tokens=6_000_000,
    at_once=64,
    shapes=(
        Shape("target-120m", 896, 12, 2304, 14, 20_000_000, 64, 3e-3, "target"),
        Shape("draft-40m", 576, 9, 1536, 9, _GPU_TOKENS, 64, 5e-3),
        Shape("draft-11m", 320, 7, 864, 5, _GPU_TOKENS, 64, 8e-3),
        Shape("draft-11m-depth2", 512, 2, 1632, 8, _GPU_TOKENS, 64, 8e-3, "depth"),
        Shape("draft-4m", 192, 6, 448, 6, _GPU_TOKENS, 64, 1e-2),
        Shape("draft-1200k", 96, 4, 232, 3, _GPU_TOKENS, 64, 1.5e-2),
        Shape("draft-370k", 40, 2, 112, 2, _GPU_TOKENS, 64, 2.5e-2),
    ),
)
PRESETS = {p.name: p for p in (CPU, GPU, TINY)}


def preset_named(name: str) -> Preset:
    """A preset by name. Raises ValueError listing the names."""
    if name not in PRESETS:
        raise ValueError(f"--preset must be one of {', '.join(PRESETS)}, got {name}")
    return PRESETS[name]
