"""Files: read as text, written whole or not at all, by one process at a time, where they may be."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any


def bundled(package: str, name: str) -> bytes:
    """The content of a file that lies beside the modules of a package, wherever it is installed."""
    return resources.files(package).joinpath(name).read_bytes()


def bundled_json(package: str, name: str) -> Any:
    """What a bundled file of JSON holds."""
    return json.loads(bundled(package, name))


@contextmanager
def utf8(path: str | Path) -> Iterator[None]:
    """Name the file whose bytes are no text."""
    try:
        yield
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise ValueError(f"{path}: must be UTF-8 text, got the byte 0x{byte:02x}") from None


def read_text(path: Path) -> str:
    """The text of a file, .gz and .xz unpacked. Raises ValueError where it holds none."""
    import gzip
    import lzma

    openers: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open}
    try:
        with openers.get(path.suffix, open)(path, "rt", encoding="utf-8-sig") as file:
            return str(file.read())
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, lzma.LZMAError) as error:
        raise ValueError(f"{path}: cannot be read as text: {error}") from None


def json_lines(content: str, source: str) -> Iterator[tuple[str, Any]]:
    """(place for messages, value) of every line but empty ones. Raises ValueError naming it."""
    # Not splitlines: other separators of lines may stand within a text of JSON.
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            place = f"{source}, line {number}"
            try:
                yield place, json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{place}: is not JSON: {error.msg}") from None


def check_folder(path: str | Path, name: str = "out") -> None:
    """A folder that is there or can be made; raises ValueError, naming the quantity, otherwise."""
    path = Path(path)
    for place in (path, *path.parents):
        if place.is_dir():
            if not os.access(place, os.W_OK):
                raise ValueError(f"{name} must be a folder that can be written, got {place}")
            return
        if place.exists():
            raise ValueError(f"{name} must be a folder, got the file {place}")


def record_place(out: str | Path, kind: str) -> tuple[Path, str]:
    """(folder, name without .json) of a record: a .json is its file, anything else its folder.

    kind: what the file is called in a folder. Raises ValueError where it cannot be written.
    """
    path = Path(out)
    if path.is_dir() or path.suffix != ".json":
        if path.suffix == ".gz":
            raise ValueError(f"out must be a .json file or a folder, got {out}")
        check_folder(path)
        return path, kind
    check_folder(path.parent)
    return path.parent, path.stem


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Have a file written beside ``path``, sync it, then rename: a killed run leaves no half file.

    write: is given the place beside, `.NAME.*.part`. Raises OSError naming ``path``.
    """
    import tempfile

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


@contextmanager
def held_folder(folder: Path, refused: str) -> Iterator[None]:
    """Hold a folder, made if need be, for one run; where another has it, ValueError ``refused``."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as handle:
        if not lock(handle.fileno()):
            raise ValueError(refused)
        yield


def lock(handle: int) -> bool:
    """Hold an open file until it is closed or the process ends; False where another holds it.

    Raises ValueError on a platform without the locks of POSIX.
    """
    try:
        import fcntl
    except ImportError:
        raise ValueError(
            "measurements and resumable simulations need the file locks of Linux or macOS (fcntl), "
            "which this platform does not have: on Windows use its subsystem for Linux"
        ) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
