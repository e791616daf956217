"""Whether a drafter makes its tokens one after another, or a block of them at once.

A serial drafter's time grows with every token. A block drafter (diffusion heads such as DFlash and
DSpark, parallel heads such as Medusa, PARD) makes all of them in one pass: its cost is flat, or
rises in steps of the block, and fewer draft tokens are not cheaper.
"""

from __future__ import annotations

import re
from typing import Literal

from ..models.drafters import DRAFTERS, drafter_kind

Drafter = Literal["serial", "block"]
_BLOCK = re.compile(r"parallel[ -]?(?:draft|eagle)|block[ -]?diffusion", re.IGNORECASE)


def drafter_of(*names: str | None) -> Drafter:
    """Block where a name of the draft or of the method is one that drafts a block, else serial."""
    return "block" if any(n and _is_block(n) for n in names) else "serial"


def _is_block(name: str) -> bool:
    kind = drafter_kind(name)
    return _BLOCK.search(name) is not None or (
        kind is not None and DRAFTERS[kind].passes == "block"
    )
