"""Sizes of usual models: the loss that a number of parameters reaches, and the layers it has.

Source: constants of arXiv:2203.15556, A = 406.4, a = 0.34, B = 410.7, b = 0.28.
"""

from __future__ import annotations

import math

A, SIZE_EXPONENT, B, TOKENS_EXPONENT, ENTROPY = 406.4, 0.34, 410.7, 0.28, 1.69
USUAL_TOKENS = 2e12


def loss(parameters: float, tokens: float = USUAL_TOKENS) -> float:
    """Loss of a model of that size after that training [nat/token]."""
    return float(ENTROPY + A / parameters**SIZE_EXPONENT + B / tokens**TOKENS_EXPONENT)


def usual_layers(parameters: float) -> float:
    """Layers of a usual decoder of that size: 24 at 0.5, 36 at 3, 72 at 70 billion parameters."""
    return float(24.0 * (parameters / 5e8) ** 0.22)


def positive(name: str, value: float) -> None:
    """Raise ValueError unless the value is a finite number above 0."""
    if not (value > 0.0 and math.isfinite(value)):
        raise ValueError(f"{name} must be in (0, inf), got {value:g}")
