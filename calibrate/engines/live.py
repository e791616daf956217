"""Servers that run: counters over an interval, from scrapes of the metrics of a URL."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

from .counts import EngineCounts, Group
from .fetch import SCHEMES, fetch
from .load import import_counts
from .reader import Body

LONGEST_S, SHORTEST_S = 86_400.0, 0.1


def watch(
    url: str,
    engine: str = "auto",
    *,
    every_s: float,
    for_s: float,
    model: str | None = None,
    gamma: int | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    get: Callable[[str], bytes] = fetch,
) -> EngineCounts:
    """The counts of an interval of a server, from scrapes ``every_s`` seconds for ``for_s``.

    url: of Prometheus metrics; every_s in [0.1, for_s], for_s in [0.1, 86,400] s. A server that was
    started again in between counts from zero. Each scrape less the one before it is a group.
    Raises ValueError outside the ranges, for an answer that holds no counters, and where nothing
    was drafted.
    """
    if not url.lower().startswith(SCHEMES):
        raise ValueError(f"--every and --for watch an http(s) URL of metrics, got {url}")
    if not SHORTEST_S <= for_s <= LONGEST_S:
        raise ValueError(f"--for must be in [{SHORTEST_S:g}, {LONGEST_S:g}] s, got {for_s:g}")
    if not SHORTEST_S <= every_s <= for_s:
        raise ValueError(
            f"--every must be in [{SHORTEST_S:g}, --for = {for_s:g}] s, got {every_s:g}"
        )
    scrapes, start = [get(url)], clock()
    times = [0.0]
    while times[-1] < for_s - 1e-9:
        due = min(len(times) * every_s, for_s)
        sleep(max(start + due - clock(), 0.0))
        scrapes.append(get(url))
        times.append(max(clock() - start, due))

    def between(before: bytes, now: bytes) -> EngineCounts:
        bodies = Body(url, now), Body(url, before)
        return import_counts(bodies[0], engine, before=bodies[1], model=model, gamma=gamma)

    parts = [between(a, b) for a, b in pairwise(scrapes)]
    whole = between(scrapes[0], scrapes[-1])
    if not whole.drafted:
        raise ValueError(f"{url}: no token was drafted within {times[-1]:.3g} s")
    names = ("gamma", "rounds", "drafted", "accepted", "acceptance_length", "survival", "tokens")
    groups = tuple(
        Group(f"{start:.3g}-{end:.3g} s", **{n: getattr(part, n) for n in names})
        for part, (start, end) in zip(parts, pairwise(times), strict=True)
    )
    note = f"{len(scrapes)} scrapes within {times[-1]:.3g} s"
    return replace(
        whole,
        groups=groups if len(groups) > 1 else whole.groups,
        intervals=len(groups),
        durations_s={**whole.durations_s, "interval_s": times[-1]},
        notes=(*whole.notes, note),
    )


def watch_asked(
    source: object, every_s: float | None, for_s: float | None, engine: str = "auto", **more: Any
) -> EngineCounts:
    """`watch` as --every and --for ask for it: without --every, two scrapes. Raises ValueError."""
    if for_s is None:
        raise ValueError("--every needs --for, the seconds to watch")
    if not isinstance(source, str):
        raise ValueError("--every and --for need --acceptance with a metrics URL, got none")
    return watch(source, engine, every_s=every_s or for_s, for_s=for_s, **more)
