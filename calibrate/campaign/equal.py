r"""Models of equal size and different depth, for their time alone: depth against width.

    parameters = layers * (4 h^2 + 3 h f + 2 h) + (vocabulary + 1) h,  h a multiple of the head

with f near 8 h / 3, chosen so that the sizes agree. At few new tokens a deep model and a wide one
of the same size move the same bytes, but the deep one launches more. Derived here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

HEADS = (128, 64, 32, 16, 8)


@dataclass(frozen=True)
class EqualShape:
    """A Llama-style model; parameters: what it has, within a few per cent of what was asked for."""

    name: str
    layers: int
    hidden: int
    feed_forward: int
    heads: int
    vocabulary: int

    @property
    def parameters(self) -> int:
        h = self.hidden
        layer = 4 * h * h + 3 * h * self.feed_forward + 2 * h
        return self.layers * layer + h + self.vocabulary * h


def equal_shape(parameters: float, layers: int, *, vocabulary: int) -> EqualShape:
    """The shape with ``layers`` layers whose size is nearest to ``parameters``.

    The tied embedding counts. Raises ValueError where no such model can be made.
    """
    if not (parameters > 0 and math.isfinite(parameters)) or layers < 1:
        raise ValueError(
            f"parameters must be in (0, inf) and layers >= 1, got {parameters} and {layers}"
        )
    # 12 layers h^2 + vocabulary h = parameters
    a, b = 12.0 * layers, float(vocabulary)
    exact = (math.sqrt(b * b + 4.0 * a * parameters) - b) / (2.0 * a)
    head = next((h for h in HEADS if exact >= 4 * h), HEADS[-1])
    lower = max(1, math.floor(exact / head)) * head
    shapes = [
        shape
        for hidden in (lower, lower + head)
        if (shape := _shape(parameters, layers, hidden, head, vocabulary)) is not None
    ]
    if not shapes:
        raise ValueError(
            f"no model of {layers} layers and a vocabulary of {vocabulary} has {parameters:g} "
            "parameters"
        )
    return min(shapes, key=lambda s: abs(s.feed_forward / s.hidden - 8.0 / 3.0))


def _shape(
    parameters: float, layers: int, hidden: int, head: int, vocabulary: int
) -> EqualShape | None:
    """The shape of that width, the feed-forward part taking the rest; None if nothing is left."""
    rest = parameters - vocabulary * hidden - hidden - layers * (4 * hidden**2 + 2 * hidden)
    feed_forward = round(rest / (3 * hidden * layers) / 8) * 8
    if feed_forward < 8:
        return None
    name = f"equal-{_words(parameters)}-depth{layers}"
    return EqualShape(name, layers, hidden, feed_forward, hidden // head, vocabulary)


def _words(parameters: float) -> str:
    for unit, size in (("b", 1e9), ("m", 1e6), ("k", 1e3)):
        if parameters >= size:
            return f"{parameters / size:g}{unit}"
    return f"{parameters:g}"
