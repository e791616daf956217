"""What a server counted between two scrapes of its metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..engines.prometheus import PrometheusText
from ..engines.prometheus_counts import Key, by_position
from .client import Client

_ENGINES = ("vllm", "llama.cpp", "tensorrt-llm", "sglang")
_PAUSE_S, _PATIENCE = 0.05, 40


@dataclass(frozen=True)
class Counted:
    """Counters of one engine in a scrape; see `Counted.since`."""

    engine: str
    counters: Mapping[Key, int]

    def since(self, before: Counted) -> dict[str, Any]:
        """What was counted since an earlier scrape, by the names of a point of a record.

        Raises ValueError where the server was started again in between.
        """
        gained = {key: n - before.counters.get(key, 0) for key, n in self.counters.items()}
        if min(gained.values(), default=0) < 0:
            raise ValueError("the server was started again: its counters fell")
        totals: dict[str, int] = {}
        for (kind, _), n in gained.items():
            if kind != "position":
                totals[kind] = totals.get(kind, 0) + n
        found: dict[str, Any] = {n: totals.get(n) for n in ("rounds", "drafted", "accepted")}
        ladder = by_position(gained)
        return found | {"accepted_by_position": ladder, "counted_tokens": totals.get("tokens")}


def counted(text: bytes | None, model: str) -> Counted | None:
    """The counters of a scrape, of the model where its series are labelled; None without any."""
    lines = (text or b"").decode("utf-8", "replace").splitlines()
    for engine in _ENGINES:
        reader = PrometheusText(engine)
        for line in lines:
            reader.feed(line)
        scrape = reader.scrape
        if model in scrape.models():
            scrape = scrape.of_model(model)
        if scrape.counters:
            return Counted(engine, dict(scrape.counters))
    return None


async def settled(client: Client, model: str) -> Counted | None:
    """The counters once two scrapes agree: engines count a moment after they answer."""
    last = counted(await client.metrics(), model)
    for _ in range(_PATIENCE if last is not None else 0):
        await asyncio.sleep(_PAUSE_S)
        now = counted(await client.metrics(), model)
        if now == last:
            break
        last = now
    return last
