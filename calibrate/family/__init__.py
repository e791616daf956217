"""A ladder of small models, trained on any text, to measure speculation on.

`train_family` makes or resumes one, `distill_family` one of drafts of a pretrained model,
`read_family` reads its record. What trains imports torch, when it is first named.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .corpus import Domain, read_domains
from .record import read_family
from .shapes import PRESETS, Preset, Shape, preset_named

if TYPE_CHECKING:
    from .build import FamilyRun, tiny_family, train_family
    from .distill import distill_family

__all__ = [
    "PRESETS",
    "Domain",
    "FamilyRun",
    "Preset",
    "Shape",
    "distill_family",
    "preset_named",
    "read_domains",
    "read_family",
    "tiny_family",
    "train_family",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = ".distill" if name == "distill_family" else ".build"
    return getattr(import_module(module, __name__), name)
