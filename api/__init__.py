"""How many tokens to draft, and how small a draft: predictions for speculative decoding."""

from __future__ import annotations


def __getattr__(name: str) -> str:
    # Reading the version of an installed package takes tens of milliseconds: only when asked.
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .version import version

    return version()
