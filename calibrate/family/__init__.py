"""A ladder of small models, trained on any text, to measure speculation on.

`train_family` makes or resumes one, `read_family` reads its record, `held_out_prompts` gives
prompts from text that it was not trained on.
"""

from .build import FamilyRun, tiny_family, train_family
from .corpus import Domain, read_domains
from .held_out import held_out_prompts
from .record import read_family
from .shapes import PRESETS, Preset, Shape, preset_named

__all__ = [
    "PRESETS",
    "Domain",
    "FamilyRun",
    "Preset",
    "Shape",
    "held_out_prompts",
    "preset_named",
    "read_domains",
    "read_family",
    "tiny_family",
    "train_family",
]
