"""Public shapes of models and devices, and what follows from them: parameters, bytes, rates."""

from __future__ import annotations

from .catalogue import Model, family, find_model, model, models, nearest_models
from .devices import Device, device, devices
from .formats import FORMATS, NumberFormat, number_format
from .shapes import ModelShape

__all__ = [
    "FORMATS",
    "Device",
    "Model",
    "ModelShape",
    "NumberFormat",
    "device",
    "devices",
    "family",
    "find_model",
    "model",
    "models",
    "nearest_models",
    "number_format",
]
