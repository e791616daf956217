"""Public shapes of models and devices, and what follows from them: parameters, bytes, rates."""

from __future__ import annotations

from .catalogue import Model, family, find_model, model, models, nearest_models
from .config import auto_shape, read_config, shape_of
from .devices import Device, device, devices
from .formats import FORMATS, NumberFormat, number_format
from .shapes import ModelShape

__all__ = [
    "FORMATS",
    "Device",
    "Model",
    "ModelShape",
    "NumberFormat",
    "auto_shape",
    "device",
    "devices",
    "family",
    "find_model",
    "model",
    "models",
    "nearest_models",
    "number_format",
    "read_config",
    "shape_of",
]
