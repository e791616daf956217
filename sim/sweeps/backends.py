"""Where the points of a sweep run: here, in threads, in processes, or on a cluster."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import islice
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

BACKENDS = ("sequential", "threading", "loky", "dask", "ray")


def outcomes(
    task: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    backend: str,
    address: str | None = None,
    workers: int | None = None,
) -> Generator[Result, None, None]:
    """Yield task(item) of every item as each finishes, in any order.

    Items are read a few ahead of the workers, never all at once. Raises ValueError for an unknown
    backend, a number of workers below 1, an address that the backend does not take, and a cluster
    library that is not installed. Where a process of ``loky`` dies, joblib's exception passes
    through; dask runs the points of a lost worker again on another.
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend must be one of {', '.join(BACKENDS)}, got {backend!r}")
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be an integer >= 1, got {workers}")
    if address is not None and backend not in ("dask", "ray"):
        raise ValueError(f"an address is for dask and ray, got {address!r} for {backend}")
    if backend == "sequential":
        yield from map(task, items)
    elif backend == "dask":
        yield from _dask(task, items, address, workers)
    elif backend == "ray":
        yield from _ray(task, items, address, workers)
    elif backend == "loky":
        yield from _joblib(_Orphaned(task, os.getpid()), items, workers, backend=backend)
    else:
        yield from _joblib(task, items, workers, backend=backend)


@dataclass(frozen=True)
class _Orphaned(Generic[Item, Result]):
    """A task whose worker process ends within a second of a parent that was killed."""

    task: Callable[[Item], Result]
    parent: int

    def __call__(self, item: Item) -> Result:
        if os.getpid() != self.parent:  # one worker is this very process
            _end_with(self.parent)
        return self.task(item)


@cache
def _end_with(parent: int) -> None:
    """Watch the parent from a thread, once a process; loky's workers wait for it for ever."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _joblib(
    task: Callable[[Item], Result], items: Iterable[Item], workers: int | None, **config: Any
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


def _dask(
    task: Callable[[Item], Result], items: Iterable[Item], address: str | None, workers: int | None
) -> Generator[Result, None, None]:
    distributed = _library("distributed", "dask")
    with distributed.Client(address, set_as_default=False) as client:
        yield from _joblib(task, items, workers, backend="dask", client=client)


def _ray(
    task: Callable[[Item], Result], items: Iterable[Item], address: str | None, workers: int | None
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
