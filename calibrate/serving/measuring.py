"""Measure a running server: waves of requests, timed token by token, beside its own counters.

A level is a number of requests that start together, a wave of it is one point of the record, on
disk as soon as it ended. Levels take turns, and all of them, and every other configuration that is
measured with the same settings, go through the same prompts in the same order.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..records import Journal, Record, collect_provenance
from .client import Client, Reply, together
from .identity import Counted, Identity, gamma_of_metrics, identify, settled
from .plan import Prompts, ServingPlan, load_prompts
from .served import PLAIN, Configuration

Progress = Callable[[str, int, int], None]
_ANSWER = 1 << 20  # characters of an answer that are kept at most
_DIGITS = 5  # of seconds: hundredths of a millisecond


@dataclass(frozen=True)
class Measured:
    """path: of the record; record: of all points; notes: what to know of it."""

    path: Path
    record: Record
    notes: tuple[str, ...]


def measure_server(
    url: str,
    out: str | Path,
    *,
    plan: ServingPlan = ServingPlan(),  # noqa: B008 - frozen
    model: str | None = None,
    draft: str | None = None,
    method: str | None = None,
    gamma: int | None = None,
    prompts: str | Path | None = None,
    field: str = "prompt",
    keep_texts: bool = False,
    command: str = "",
    progress: Progress = lambda what, done, total: None,
    transport: Any = None,
) -> Measured:
    """Measure the server at ``url`` and write the record ``out``; a second call goes on.

    out: a .json file, or a folder, in which it is serving.json. model: that must be served; draft,
    method, gamma: of its speculation, where it does not say, gamma 0 for plain decoding. prompts: a
    file as `howspec calibrate` takes it, default the built-in ones; keep_texts: of prompts and
    answers in the record; command: by which the server was started, for the record. transport: of
    httpx2, in place of the network.
    Raises ValueError, one line, for a server that does not answer, is not OpenAI-compatible,
    redirects, breaks off or is silent, and where its words contradict what was given; the points
    measured before are kept.
    """
    path = Path(out)
    path = path if path.suffix == ".json" else path / "serving.json"
    loaded = load_prompts(prompts, field=field)
    work = _Work(plan, loaded, model, (draft, method, gamma), keep_texts, command, progress)
    return _run(work.measure(url, path, transport))


def _run(work: Coroutine[Any, Any, Measured]) -> Measured:
    """Run to the end, also within a notebook, which has a loop of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as other:
        return other.submit(asyncio.run, work).result()


@dataclass
class _Work:
    """One measurement; client, server and setting are known once the server answered."""

    plan: ServingPlan
    prompts: Prompts
    model: str | None
    stated: tuple[str | None, str | None, int | None]
    keep_texts: bool
    command: str
    progress: Progress
    client: Client = field(init=False)
    server: Identity = field(init=False)
    setting: Configuration = field(init=False)

    async def measure(self, url: str, path: Path, transport: Any) -> Measured:
        async with Client(url, timeout_s=self.plan.timeout_s, transport=transport) as client:
            self.client, self.server = client, await identify(client, self.model)
            await self._warm_up(self.plan.batches[0])
            self.setting = await self._setting()
            journal = Journal.open(
                path.parent, path.stem, kind="serving", settings=self._settings(),
                provenance=self._provenance(),
            )  # fmt: skip
            with journal:
                notes = await self._waves(journal)
                if not journal.complete:
                    journal.finish()
                return Measured(journal.path, journal.record(), tuple(dict.fromkeys(notes)))

    def _settings(self) -> dict[str, Any]:
        levels = {"batches": list(self.plan.batches), "requests": self.plan.requests}
        prompts = self.prompts.settings(keep=self.keep_texts)
        return {**self.plan.settings(), **levels, "prompts": prompts}

    def _provenance(self) -> dict[str, Any]:
        server = self.server
        told: dict[str, Any] = {
            "engine": server.engine, "version": server.version, "flags": dict(server.flags),
            **asdict(self.setting),
        }  # fmt: skip
        if self.command:
            told["command"] = self.command
        found = collect_provenance(models={server.called: {"role": "target"}}, seed=self.plan.seed)
        if not self.client.local:  # the machine here is not the one that is measured
            found = {n: found[n] for n in ("utc", "commit", "python", "models", "seed")}
        return {**found, "server": told}

    async def _setting(self) -> Configuration:
        """Draft, method and gamma; what the server says goes first, and must not be contradicted.

        Asked after the warm-up, when every counter that there will be is there.
        """
        draft, method, gamma = self.stated
        url, told, silent = self.client.url, self.server.gamma, ""
        if told is None:
            text = await self.client.metrics()
            told = gamma_of_metrics(text, self.server.engine)
            silent = "its metrics are off" if text is None else "its metrics show no drafts yet"
        if gamma is not None and told is not None and gamma != told and 0 in (gamma, told):
            does = "does not speculate" if told == 0 else f"drafts up to {told} tokens a round"
            raise ValueError(f"{url}: {does}, but gamma {gamma} was given")
        found = gamma if gamma is not None else told
        if found is None:
            raise ValueError(
                f"{url}: does not say whether it speculates ({silent}): give gamma, "
                "0 for plain decoding"
            )
        if found == 0:
            return Configuration(*PLAIN)
        return Configuration(draft, method or self.server.method or "draft", found)

    async def _warm_up(self, batch: int) -> None:
        for number in range(self.plan.warmup):
            texts = self.prompts.of_wave(1, len(self.prompts.texts) - 1 - number)
            await self._ask_all(texts * batch, most=16)

    async def _counted(self) -> Counted | None:
        return await settled(self.client, self.server.model)

    async def _waves(self, journal: Journal) -> list[str]:
        setting, turns, notes = self.setting, list(self.plan.turns()), []
        before, warm = await self._counted(), {self.plan.batches[0]}
        if before is None and setting.gamma:
            notes.append("the server's metrics are off or hold no counters of acceptance")
        for number, (batch, wave) in enumerate(turns):
            self.progress("measure", number, len(turns))
            if (setting.draft, setting.method, setting.gamma, batch, wave) in journal.done:
                continue
            if batch not in warm:
                await self._warm_up(batch)
                before = await self._counted()
                warm.add(batch)
            texts = self.prompts.of_wave(batch, wave)
            replies = await self._ask_all(texts, most=self.plan.new_tokens)
            self._check_plain(replies)
            after = await self._counted()
            counts = _counts(setting, replies, before, after)
            point = self._point(batch, wave, replies, counts)
            notes += _remarks(point, replies, self.plan.new_tokens)
            journal.append(point)
            before = after
        self.progress("measure", len(turns), len(turns))
        return notes

    async def _ask_all(self, texts: list[str], *, most: int) -> list[Reply]:
        server, chat = self.server, self.plan.api == "chat"
        common = {
            "model": server.model, "max_tokens": most, "temperature": self.plan.temperature,
            "stream": True, **server.asked,
        }  # fmt: skip
        if self.plan.temperature > 0.0:
            common["seed"] = self.plan.seed
        path = "/v1/chat/completions" if chat else "/v1/completions"
        begun = time.perf_counter()
        bodies = [
            {**common, "messages": [{"role": "user", "content": t}]}
            if chat
            else {**common, "prompt": t}
            for t in texts
        ]
        for number, body in enumerate(bodies):
            if server.engine == "vllm":  # nothing of a prompt that was seen before is skipped
                body["cache_salt"] = f"{time.time_ns()}-{number}"
        asked = (self.client.ask(path, body, begun) for body in bodies)
        return await together(self.plan.wave_s, *asked)

    def _check_plain(self, replies: list[Reply]) -> None:
        """Raise ValueError where plain decoding was stated and the server's timings hold drafts."""
        drafted = sum(r.drafted or 0 for r in replies)
        if self.setting.gamma == 0 and drafted:
            raise ValueError(
                f"{self.client.url}: speculates, it drafted {drafted} tokens for {len(replies)} "
                "requests, but gamma 0 was given"
            )

    def _point(
        self, batch: int, wave: int, replies: list[Reply], counts: Mapping[str, Any]
    ) -> dict[str, Any]:
        point: dict[str, Any] = {
            **asdict(self.setting),
            "batch": batch, "wave": wave, "prompts": self.prompts.numbers(batch, wave),
            "tokens": [r.tokens for r in replies],
            "prompt_tokens": [r.prompt_tokens or 0 for r in replies]
            if any(r.prompt_tokens for r in replies) else None,
            "start_s": [round(r.start_s, _DIGITS) for r in replies],
            "arrivals": [len(r.arrivals_s) for r in replies],
            "arrivals_s": [round(t, _DIGITS) for r in replies for t in r.arrivals_s],
            "arrived": [n for r in replies for n in r.arrived],
            "tokens_counted_by": "server" if all(r.counted for r in replies) else "pieces",
            **counts,
        }  # fmt: skip
        if self.keep_texts:
            point["answers"] = [r.text[:_ANSWER] for r in replies]
        return point


def _counts(
    setting: Configuration, replies: list[Reply], before: Counted | None, after: Counted | None
) -> Mapping[str, Any]:
    """Rounds, drafted and accepted tokens of a wave: from the metrics, else from the timings."""
    found: dict[str, Any] = dict.fromkeys(
        ("rounds", "drafted", "accepted", "accepted_by_position", "counted_tokens")
    )
    if before is not None and after is not None:
        found |= after.since(before)
    found["counted_in"] = "metrics"
    if not setting.gamma:
        return found | dict.fromkeys(("rounds", "drafted", "accepted", "accepted_by_position"))
    if found["drafted"] is None:
        timed = [r for r in replies if r.drafted is not None]
        found["counted_in"] = "timings" if timed else "nothing"
        if timed:
            found["drafted"] = sum(r.drafted or 0 for r in timed)
            found["accepted"] = sum(r.accepted or 0 for r in timed)
    return found


def _remarks(point: Mapping[str, Any], replies: list[Reply], wanted: int) -> list[str]:
    """What a wave says of the measurement."""
    notes, own = [], sum(point["tokens"])
    counted = point["counted_tokens"]
    if counted is not None and counted > 1.02 * own + len(replies):
        notes.append(
            f"the server counted {counted} tokens in a wave that asked for {own}: others used it, "
            "and its counters and times hold their requests too"
        )
    if any(r.tokens < wanted for r in replies):
        notes.append(f"some answers ended before {wanted} tokens")
    if not all(r.counted for r in replies):
        notes.append(
            "the server does not count tokens as it streams: its pieces of text are taken to hold "
            "equally many"
        )
    if point["counted_in"] == "nothing":
        notes.append("nothing tells how many tokens were accepted: only times were measured")
    return notes
