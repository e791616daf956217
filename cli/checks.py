"""Checks of options that the verbs share; each raises ValueError before anything is computed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


def check_seed(seed: int) -> None:
    """A seed that every generator takes."""
    if seed < 0:
        raise ValueError(f"--seed must be an integer in [0, inf), got {seed}")


def check_outputs(figure: Path | None, html: Path | None) -> None:
    """A figure and a page that can be written: known before any work."""
    check_file(figure, "--figure", (".png", ".pdf", ".svg"))
    check_file(html, "--html", (".html", ".htm"))


def check_file(path: Path | None, option: str, endings: Sequence[str]) -> None:
    """A file that can be written, with one of the endings."""
    if path is None:
        return
    if path.suffix.lower() not in endings:
        *others, last = endings
        raise ValueError(f"{option} must end in {', '.join(others)} or {last}, got {path.name!r}")
    if path.is_dir():
        raise ValueError(f"{option} must be a file, got the folder {path}")
    if path.exists() and not os.access(path, os.W_OK):
        raise ValueError(f"{option} must be a file that can be written, got {path}")
    if not path.parent.is_dir():
        raise ValueError(f"{option} must be in a folder that is there, got {path}")
    from ..calibrate.files import check_folder

    check_folder(path.parent, option)
