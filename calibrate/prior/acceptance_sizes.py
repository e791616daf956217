"""Sizes of models: what a name says of its parameters, and the loss and layers usual at a size.

Source: constants of arXiv:2203.15556, A = 406.4, a = 0.34, B = 410.7, b = 0.28.
"""

from __future__ import annotations

import math
import re

from ..models.catalogue import find_model
from ..models.parameters import total

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


_SIZE = re.compile(r"(?<![\d.a-z])(\d+(?:\.\d+)?)\s*([bm])(?![a-z])", re.IGNORECASE)
_EXPERTS = re.compile(r"(?<![\d.a-z])(\d+)x(\d+(?:\.\d+)?)b(?![a-z])", re.IGNORECASE)
_UNIT = {"b": 1e9, "m": 1e6}
_LOOK_UP = re.compile(
    r"\b(?:n-?|uni|bi|tri)grams?\b|look-?up|look-?ahead|\bpld\b|\brest\b|retrieval|suffix|recycling|\bsamd?\b",
    re.IGNORECASE,
)
_HEAD = re.compile(
    r"eagle|medusa|hydra|\bmtp\b|\bheads?\b|re-?drafter|recurrent|dflash|dspark|kangaroo|hass\b"
    r"|mlp.?spec|layer-?skip|self-?spec|early.?exit|built-?in|parallel block",
    re.IGNORECASE,
)


def parameters_of(name: str) -> float | None:
    """Parameters of a model by its name, all experts counted; None where it does not say.

    The table of models knows some; of others the first size in the name is taken, as in
    "Big-7B-Instruct" or "tiny 68M".
    """
    known = find_model(name) if name.strip() else None
    if known is not None:
        return float(total(known.shape))
    spaced = name.replace("_", "-")
    experts = _EXPERTS.search(spaced)
    if experts:
        return float(experts[1]) * float(experts[2]) * 1e9
    size = _SIZE.search(spaced)
    return float(size[1]) * _UNIT[size[2].casefold()] if size else None


def drafting_kind(*texts: str) -> str:
    """``look-up`` or ``head`` where a text (a draft's name, a method) says so, else ``model``."""
    said = " | ".join(texts)
    if _LOOK_UP.search(said):
        return "look-up"
    return "head" if _HEAD.search(said) else "model"
