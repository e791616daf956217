"""What stands under the keys of a configuration: whole numbers, objects and lists."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

Config = Mapping[str, Any]


def whole(config: Config, *keys: str, default: int | None = None) -> int:
    """The first of the keys that holds a whole number; ValueError naming them without a default."""
    for key in keys:
        value = config.get(key)
        if value is None:
            continue
        good = isinstance(value, int | float) and not isinstance(value, bool)
        if not (good and math.isfinite(value) and value == int(value)):
            raise ValueError(f"{key} must be a whole number, got {value!r:.60}")
        return int(value)
    if default is None:
        raise ValueError(f"{keys[0]} is missing, needed for the shape")
    return default


def inner(config: Config, key: str) -> Config:
    """The object under a key, empty where it is absent; ValueError where it is none."""
    found = config.get(key) or {}
    if not isinstance(found, Mapping):
        raise ValueError(f"{key} must be an object, got {found!r:.60}")
    return found


def listed(c: Config, key: str) -> list[str]:
    """The words of a list under a key, or of a text with a letter a layer; empty where absent."""
    found = c.get(key) or []
    if isinstance(found, str):  # a letter a layer
        return list(found)
    if not isinstance(found, list):
        raise ValueError(f"{key} must be a list, got {found!r:.60}")
    return [str(kind) for kind in found]
