"""Files that are either whole or as they were."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Have a file written beside ``path``, sync it, then rename: a killed run leaves no half file.

    write: is given the place beside, `.NAME.*.part`. Raises OSError naming ``path``.
    """
    try:
        handle, name = tempfile.mkstemp(".part", f".{path.name}.", path.parent)
    except OSError as error:  # it names the file beside
        raise OSError(f"{path}: cannot be written: {error.strerror}") from None
    os.close(handle)
    beside = Path(name)
    try:
        write(beside)
        with beside.open("rb+") as written:
            os.fsync(written.fileno())
        beside.chmod(0o644)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise OSError(f"{path}: cannot be written: {error.strerror or error}") from None
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def atomic_write(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, whole or not at all; errors as of `replace_file`."""
    replace_file(path, lambda beside: beside.write_bytes(data))


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` last through a power cut, where the system allows it."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
