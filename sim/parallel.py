"""One function over many settings: on any number of workers, with the same numbers, resumable.

Settings run here, in threads, in processes, or on a cluster; what has finished is kept in a file,
one JSON line a setting, appended whole, safe against a kill.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from functools import cache
from importlib import import_module
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np

from .rounds.compiled import check_count

BACKENDS = ("sequential", "threading", "loky", "dask", "ray")
Setting = Mapping[str, Any]
Item = tuple[str, dict[str, Any]]  # name of a setting, and the setting
Result = tuple[str, str]  # the name, and the result as JSON
Task = Callable[[Item], Result]
Progress = Callable[[int, int], None]


def grid(**axes: Iterable[Any]) -> list[dict[str, Any]]:
    """Every combination of the values of the named axes, the last axis fastest."""
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


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

    Raises ValueError for an unknown backend, a number of workers below 1, an address that the
    backend does not take, a cluster library that is not installed, repeated settings, or a file of
    another function, seed, version or set of settings. An exception of ``function`` passes through
    with a note naming its setting; the results that finished before it stay in the file.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}")
    named = {_name(setting): setting for setting in settings}
    if len(named) != len(settings):
        raise ValueError(f"settings must differ, got {len(settings) - len(named)} repeated")
    parent = os.getpid() if backend == "loky" else None
    task = _Task(function, check_count("seed", seed, low=0), parent)
    show = _bar if progress is True and sys.stderr.isatty() else progress
    with _results(resume, _header(function, seed, list(named))) as (found, append):
        left = [(name, dict(named[name])) for name in named if name not in found]
        if callable(show):
            show(len(found), len(named))
        run = _outcomes(task, left, backend, address, workers)
        with closing(run) as finished:
            for name, text in finished:
                append(name, text)
                found[name] = json.loads(text)
                if callable(show):
                    show(len(found), len(named))
    return [found[name] for name in named]


@dataclass(frozen=True)
class _Task:
    """The function at one setting; in a worker of a process of ``parent``, which it ends with."""

    function: Callable[..., Any]
    seed: int
    parent: int | None

    def __call__(self, item: Item) -> Result:
        if self.parent is not None and os.getpid() != self.parent:
            _end_with(self.parent)
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
    from ..calibrate.files import lock

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


def _outcomes(
    task: Task, items: Iterable[Item], backend: str, address: str | None, workers: int | None
) -> Generator[Result, None, None]:
    """Yield task(item) of every item as each finishes, in any order.

    Items are read a few ahead of the workers, never all at once. Where a process of ``loky`` dies,
    joblib's exception passes through; dask runs the points of a lost worker again on another.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be an integer >= 1, got {workers}")
    if address is not None and backend not in ("dask", "ray"):
        raise ValueError(f"an address is for dask and ray, got {address!r} for {backend}")
    if backend == "sequential":
        yield from map(task, items)
    elif backend == "dask":
        distributed = _library("distributed", "dask")
        with distributed.Client(address, set_as_default=False) as client:
            yield from _joblib(task, items, workers, backend="dask", client=client)
    elif backend == "ray":
        yield from _ray(task, items, address, workers)
    else:
        yield from _joblib(task, items, workers, backend=backend)


@cache
def _end_with(parent: int) -> None:
    """End this process within a second of a parent that is killed, watched from a thread once.

    loky's workers would wait for it for ever.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _joblib(
    task: Task, items: Iterable[Item], workers: int | None, **config: Any
) -> Generator[Result, None, None]:
    from joblib import Parallel, delayed, parallel_config

    # One item a batch: joblib would otherwise hand back quick points in groups.
    with parallel_config(**config):
        pool = Parallel(n_jobs=workers or -1, batch_size=1, return_as="generator_unordered")
        finished = pool(delayed(task)(item) for item in items)
    try:
        yield from finished
    finally:
        finished.close()


def _ray(
    task: Task, items: Iterable[Item], address: str | None, workers: int | None
) -> Generator[Result, None, None]:
    """Ray's pool hands back a whole call only, so a call takes one item a worker."""
    ray = _library("ray", "ray")
    bridge = _library("ray.util.joblib", "ray")
    from joblib import Parallel, delayed, parallel_config

    ray.init(address=address, ignore_reinit_error=True)
    bridge.register_ray()
    count = workers or int(ray.cluster_resources().get("CPU", os.cpu_count() or 1))
    ahead = iter(items)
    with parallel_config(backend="ray"):
        while chunk := list(islice(ahead, count)):
            yield from Parallel(n_jobs=count, batch_size=1)(delayed(task)(i) for i in chunk)


def _library(name: str, backend: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise ValueError(f"backend {backend} needs the package {name.split('.')[0]}") from None
