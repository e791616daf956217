"""Servers that run: fetching a URL, and counters over an interval, scrapes of its metrics.

Nothing is sent but GET requests, http or https only, with a time and a size limit.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

from .counts import EngineCounts, Group
from .load import import_counts
from .reader import Body

TIMEOUT_S = 10.0
TOTAL_S = 60.0
LIMIT_BYTES = 64 << 20
_SCHEMES = ("http://", "https://")


class _SameScheme(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https only."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if not newurl.lower().startswith(_SCHEMES):
            raise ValueError(f"{req.full_url}: redirects must stay with http(s), got {newurl}")
        if req.full_url.lower().startswith("https://") and not newurl.lower().startswith("https"):
            raise ValueError(f"{req.full_url}: must not be redirected from https to {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(url: str, *, timeout_s: float = TIMEOUT_S, limit_bytes: int = LIMIT_BYTES) -> bytes:
    """The body of an http(s) URL. Raises ValueError on failure, delay or size."""
    if not url.lower().startswith(_SCHEMES):
        raise ValueError(f"a URL must start with http:// or https://, got {url}")
    opener = urllib.request.OpenerDirector()
    for name in ("ProxyHandler", "HTTPHandler", "HTTPSHandler", "HTTPDefaultErrorHandler",
                 "HTTPErrorProcessor", "UnknownHandler"):  # fmt: skip
        opener.add_handler(getattr(urllib.request, name)())
    opener.add_handler(_SameScheme())
    end, parts, size = time.monotonic() + TOTAL_S, [], 0
    try:
        with opener.open(url, timeout=timeout_s) as answer:
            while block := answer.read1(1 << 16):
                parts.append(block)
                size += len(block)
                if size > limit_bytes:
                    raise ValueError(f"{url}: must be at most {limit_bytes} bytes, got more")
                if time.monotonic() > end:
                    raise ValueError(f"{url}: took more than {TOTAL_S:g} s")
    except urllib.error.HTTPError as error:
        raise ValueError(f"{url}: answered {error.code} {error.reason}") from None
    except (OSError, urllib.error.URLError, UnicodeError) as error:
        raise ValueError(f"{url}: cannot be read: {error}") from None
    except Exception as error:
        if isinstance(error, ValueError):
            raise
        raise ValueError(f"{url}: is no answer of a server: {error}") from None
    return b"".join(parts)


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
    if not url.lower().startswith(_SCHEMES):
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
