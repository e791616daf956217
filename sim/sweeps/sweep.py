"""One function over many settings: on any number of workers, with the same numbers, resumable.

The partial results of a sweep: one JSON line each, appended whole, safe against a kill.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .backends import BACKENDS, outcomes

Setting = Mapping[str, Any]
Progress = Callable[[int, int], None]


def grid(**axes: Iterable[Any]) -> list[dict[str, Any]]:
    """Every combination of the values of the named axes, the last axis fastest."""
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def sweep(
    function: Callable[..., Any],
    settings: Sequence[Setting],
    *,
    seed: int,
    backend: str = "loky",
    address: str | None = None,
    workers: int | None = None,
    resume: str | Path | None = None,
    progress: bool | Progress = True,
) -> list[Any]:
    """Return function(generator, **setting) of every setting, in the order of the settings.

    Each setting draws from its own child of ``seed``, found from the setting's values alone, so a
    result does not depend on the number of workers, on the order, or on the other settings.
    Results come back as JSON reads them: lists for tuples and arrays, dicts for dataclasses.

    function: importable or picklable; must not change what it is given. settings: keyword
    arguments that JSON can hold, no two alike. backend: sequential, threading, loky (processes),
    dask or ray; address: of the cluster's scheduler; workers: all cores or the whole cluster where
    None. resume: a file that receives every result as it finishes; the settings that it already
    holds are not run again. Killing the process loses the points then running, nothing else.
    progress: True draws a bar on stderr where that is a terminal; or a function of (done, total).

    Raises ValueError for an unknown backend, repeated settings, or a file of another function,
    seed, version or set of settings. An exception of ``function`` passes through with a note
    naming its setting; the results that finished before it stay in the file.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}")
    named = {_name(setting): setting for setting in settings}
    if len(named) != len(settings):
        raise ValueError(f"settings must differ, got {len(settings) - len(named)} repeated")
    task = _Task(function, _whole_seed(seed))
    show = _bar if progress is True and sys.stderr.isatty() else progress
    with _results(resume, _header(function, seed, list(named))) as (found, append):
        left = [(name, dict(named[name])) for name in named if name not in found]
        if callable(show):
            show(len(found), len(named))
        run = outcomes(task, left, backend=backend, address=address, workers=workers)
        with closing(run) as finished:
            for name, text in finished:
                append(name, text)
                found[name] = json.loads(text)
                if callable(show):
                    show(len(found), len(named))
    return [found[name] for name in named]


@dataclass(frozen=True)
class _Task:
    function: Callable[..., Any]
    seed: int

    def __call__(self, item: tuple[str, dict[str, Any]]) -> tuple[str, str]:
        name, setting = item
        words = np.frombuffer(hashlib.sha256(name.encode()).digest(), np.uint32)
        child = np.random.SeedSequence(self.seed, spawn_key=tuple(map(int, words)))
        try:
            result = self.function(np.random.default_rng(child), **setting)
            return name, json.dumps(result, default=_plain)
        except Exception as error:
            error.add_note(f"at setting {name}")
            raise


def _plain(value: Any) -> Any:
    """What JSON cannot write, in terms of what it can."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _name(setting: Setting) -> str:
    """The setting as canonical JSON: its name in the file and the source of its seed."""
    try:
        return json.dumps(dict(setting), default=_plain, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"a setting must be writable as JSON, got {setting!r}: {error}") from None


def _whole_seed(seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise ValueError(f"seed must be an integer in [0, inf), got {seed!r}")
    return int(seed)


def _header(function: Callable[..., Any], seed: int, names: list[str]) -> dict[str, Any]:
    from importlib.metadata import PackageNotFoundError, version

    try:
        release = version("howspec")
    except PackageNotFoundError:  # run from the source tree
        release = "source"
    return {
        "schema": "howspec.sweep/1",
        "version": release,
        "function": getattr(function, "__qualname__", type(function).__name__),
        "seed": int(seed),
        "settings": hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest(),
        "count": len(names),
    }


def _bar(done: int, total: int, *, width: int = 30) -> None:
    """A bar on one line of the terminal."""
    filled = width * done // max(total, 1)
    line = f"\r[{'#' * filled}{'.' * (width - filled)}] {done}/{total}"
    print(line, end="\n" if done == total else "", file=sys.stderr, flush=True)


@contextmanager
def _results(
    path: str | Path | None, header: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], Callable[[str, str], None]]]:
    """(results by setting that a file holds, what adds one as JSON text); no file where None.

    The first line is the header, each further line {"setting": ..., "result": ...}, written by a
    single call, so that a killed process leaves at most its last line cut; such a line is dropped
    on opening, with a warning. A lock refuses a second writer. The operating system is not asked
    to sync: a power failure may cost more than a line.
    """
    if path is None:
        yield {}, lambda name, result: None
        return
    from ...calibrate.files import lock

    with open(path, "ab+", buffering=0) as file:

        def write(line: str) -> None:
            data = f"{line}\n".encode()
            written = file.write(data)
            if written != len(data):
                raise OSError(f"{path}: the disk took {written} of {len(data)} bytes")

        if not lock(file.fileno()):
            raise ValueError(f"{path} is being written by another sweep")
        data = Path(path).read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            cut = len(data) - whole
            warnings.warn(f"{path}: dropped a last line cut after {cut} bytes", stacklevel=2)
            file.truncate(whole)
        if not whole:
            write(json.dumps(header))
        found = _found(path, data[:whole].decode().splitlines(), header)
        yield found, lambda name, text: write(f'{{"setting": {name}, "result": {text}}}')


def _found(path: str | Path, lines: list[str], header: dict[str, Any]) -> dict[str, Any]:
    """Results by setting, of a file of this sweep, or ValueError."""
    if not lines:
        return {}
    try:
        there = dict(json.loads(lines[0]))
    except (ValueError, TypeError):
        there = {}
    if there.get("schema") != header["schema"]:
        raise ValueError(f"{path} is not a file of {header['schema']}")
    for key, value in header.items():
        if there.get(key) != value:
            raise ValueError(
                f"{path} holds results of another {key}: {there.get(key)!r} there, {value!r} "
                "asked for"
            )
    found: dict[str, Any] = {}
    for number, line in enumerate(lines[1:], 2):
        try:
            entry = json.loads(line)
            name, result = json.dumps(entry["setting"], sort_keys=True), entry["result"]
        except (ValueError, TypeError, KeyError):
            raise ValueError(f"{path}, line {number}: not a result of a sweep") from None
        if name in found:
            raise ValueError(f"{path}, line {number}: setting {name} for the second time")
        found[name] = result
    return found
