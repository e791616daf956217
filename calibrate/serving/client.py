"""Requests to one server: no redirect is followed, and sizes, counts and times are bounded.

An API key is taken from the environment variable HOWSPEC_API_KEY alone; it is sent to the given
server and nowhere else, and is neither stored nor printed.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import httpx2

KEY = "HOWSPEC_API_KEY"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_CONNECT_S = 10.0
_LARGEST_JSON = 4 << 20
_LARGEST_METRICS = 64 << 20
_LARGEST_EVENT = 1 << 20
_EVENTS_A_TOKEN = 4  # events without a token: roles, progress, usage


@dataclass
class Reply:
    """What came back for one request; times in seconds since the start of its wave.

    arrivals_s, arrived: when tokens came, and how many had come by then; counted: whether the
    server said so, else its pieces of text count; drafted, accepted: of the server's own timings,
    None where it has none; text: of the answer.
    """

    start_s: float
    arrivals_s: list[float] = field(default_factory=list)
    arrived: list[int] = field(default_factory=list)
    counted: bool = True
    tokens: int = 0
    prompt_tokens: int | None = None
    drafted: int | None = None
    accepted: int | None = None
    text: str = ""


def base_of(url: str) -> str:
    """The address of a server without /v1 and what follows. Raises ValueError for no http URL."""
    found = urlsplit(url)
    if found.scheme not in ("http", "https") or not found.hostname:
        raise ValueError(f"a server's URL must start with http:// or https://, got {url}")
    if found.username or found.password:
        raise ValueError(f"a server's URL must hold no password; a key goes into {KEY}")
    path = found.path.rstrip("/")
    for end in ("/chat/completions", "/completions", "/models", "/v1"):
        path = path.removesuffix(end)
    return f"{found.scheme}://{found.netloc}{path}"


class Client:
    """One server; used as an asynchronous context."""

    def __init__(self, url: str, *, timeout_s: float, transport: Any = None) -> None:
        import httpx2

        self.url = base_of(url)
        self.timeout_s = timeout_s
        self.local = urlsplit(self.url).hostname in LOOPBACK
        key = os.environ.get(KEY, "")
        self._http = httpx2.AsyncClient(
            timeout=httpx2.Timeout(timeout_s, connect=min(_CONNECT_S, timeout_s)),
            limits=httpx2.Limits(max_connections=None),
            headers={"Authorization": f"Bearer {key}"} if key else {},
            follow_redirects=False, trust_env=not self.local, transport=transport,
        )  # fmt: skip

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def get_json(self, path: str) -> Any:
        """The JSON of a path, None where there is none. Raises ValueError for a silent server."""
        found = await self.get(path, _LARGEST_JSON)
        try:
            return None if found is None else json.loads(found)
        except ValueError:
            return None

    async def metrics(self) -> bytes | None:
        """The Prometheus text of the server, None where it gives none."""
        return await self.get("/metrics", _LARGEST_METRICS)

    async def get(self, path: str, most: int) -> bytes | None:
        """The body of a path, None for any status but 200."""
        async with self._sent("GET", path) as answer:
            _check_admitted(answer, f"{self.url}{path}")
            if answer.status_code == 503:
                said = _error(await self._body(answer, 1 << 16))
                raise ValueError(f"{self.url}: is not ready, it answered 503: {said}")
            return await self._body(answer, most) if answer.status_code == 200 else None

    async def ask(self, path: str, body: Mapping[str, Any], begun: float) -> Reply:
        """Stream one answer; begun: the wave's start on `time.perf_counter`."""
        reply = Reply(time.perf_counter() - begun)
        most = _EVENTS_A_TOKEN * int(body["max_tokens"]) + 64
        import httpx2

        async with self._sent("POST", path, json=body) as answer:
            await self._check(answer, path)
            events, ended = 0, False
            async for event in httpx2.EventSource(answer, max_event_size=_LARGEST_EVENT):
                now = time.perf_counter() - begun
                if event.data.strip() == "[DONE]":
                    ended = True
                    break
                events += 1
                if events > most:
                    raise ValueError(f"{self.url}: sent more than {most} events for one request")
                take(reply, self._event(event.data), now)
        if not reply.arrivals_s:
            raise ValueError(f"{self.url}{path}: an answer held no token")
        if not ended and reply.tokens < int(body["max_tokens"]):
            raise ValueError(f"{self.url}: broke off in the middle of an answer")
        return finished(reply)

    def _event(self, data: str) -> dict[str, Any]:
        try:
            value = json.loads(data)
        except ValueError:
            raise ValueError(f"{self.url}: sent an event that is not JSON: {data[:80]!r}") from None
        if not isinstance(value, dict):
            raise ValueError(f"{self.url}: sent an event that is no object: {data[:80]!r}")
        if error := value.get("error"):
            raise ValueError(f"{self.url}: failed in the middle of an answer: {_message(error)}")
        return value

    async def _check(self, answer: httpx2.Response, path: str) -> None:
        """Raise ValueError unless the answer is a stream of events."""
        _check_admitted(answer, f"{self.url}{path}")
        if answer.status_code != 200:
            said = await self._body(answer, 1 << 16)
            raise ValueError(f"{self.url}{path}: answered {answer.status_code}: {_error(said)}")
        kind = answer.headers.get("content-type", "").partition(";")[0]
        if kind.strip().lower() != "text/event-stream":
            raise ValueError(f"{self.url}{path}: does not stream, it answered {kind or 'nothing'}")

    async def _body(self, answer: httpx2.Response, most: int) -> bytes:
        parts, size = [], 0
        async for part in answer.aiter_bytes():
            parts.append(part)
            size += len(part)
            if size > most:
                raise ValueError(f"{answer.url}: must be at most {most} bytes, got more")
        return b"".join(parts)

    @asynccontextmanager
    async def _sent(self, method: str, path: str, **more: Any) -> AsyncIterator[httpx2.Response]:
        """A request whose failures are told in one line."""
        import httpx2

        try:
            async with self._http.stream(method, self.url + path, **more) as answer:
                yield answer
        except httpx2.ConnectError as error:
            raise ValueError(f"{self.url}: no server answers: {_reason(error)}") from None
        except httpx2.TimeoutException:
            raise ValueError(f"{self.url}: was silent for {self.timeout_s:g} s") from None
        except (httpx2.TransportError, httpx2.DecodingError, httpx2.SSEError) as error:
            raise ValueError(f"{self.url}: the connection broke: {_reason(error)}") from None
        except httpx2.InvalidURL as error:
            raise ValueError(f"{self.url}: is no URL: {error}") from None


def take(reply: Reply, event: Mapping[str, Any], now: float) -> None:
    """Add an event of a stream to a reply."""
    choices = event.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else {}
    first = first if isinstance(first, Mapping) else {}
    delta = first.get("delta")
    text = _text(delta if isinstance(delta, Mapping) else first)
    usage, timings = event.get("usage"), event.get("timings")
    total = None
    if isinstance(usage, Mapping):
        total = _count(usage.get("completion_tokens"))
        reply.prompt_tokens = _count(usage.get("prompt_tokens")) or reply.prompt_tokens
    if isinstance(timings, Mapping):
        total = _count(timings.get("predicted_n")) or total
        reply.drafted = _count(timings.get("draft_n")) or reply.drafted
        reply.accepted = (
            reply.accepted if reply.drafted is None else _count(timings.get("draft_n_accepted"))
        )
    reply.text += text
    if not choices:
        reply.tokens = total or reply.tokens
        return
    before = reply.arrived[-1] if reply.arrived else 0
    if total is not None and total > before:
        reply.tokens = total
        reply.arrivals_s.append(now)
        reply.arrived.append(total)
    elif total is None and text:
        reply.counted = False
        reply.arrivals_s.append(now)
        reply.arrived.append(before + 1)


def finished(reply: Reply) -> Reply:
    """A reply whose pieces are spread evenly over its tokens, where the server did not count."""
    pieces = reply.arrived[-1]
    if reply.counted:
        reply.tokens = max(reply.tokens, pieces)
        reply.arrived[-1] = reply.tokens
        return reply
    reply.tokens = reply.tokens or pieces
    reply.arrived = [max(1, round(n * reply.tokens / pieces)) for n in reply.arrived]
    return reply


def _text(piece: Mapping[str, Any]) -> str:
    parts = (piece.get(n) for n in ("content", "reasoning_content", "reasoning", "text"))
    return "".join(p for p in parts if isinstance(p, str))


def _count(value: Any) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53
    return value if whole else None


def _check_admitted(answer: httpx2.Response, where: str) -> None:
    """Raise ValueError for a redirect, and where the server wants a key or another one."""
    if 300 <= answer.status_code < 400:
        to = answer.headers.get("location", "nowhere")
        raise ValueError(
            f"{answer.url}: redirects to {to}, which is not followed: give that URL instead"
        )
    if answer.status_code in (401, 403):
        key = (
            f"the key in {KEY} was refused" if os.environ.get(KEY) else f"no key: {KEY} is not set"
        )
        raise ValueError(f"{where}: answered {answer.status_code}; {key}")


def _error(said: bytes) -> str:
    """What an error body says, in one short line."""
    try:
        value = json.loads(said)
    except ValueError:
        return " ".join(said.decode("utf-8", "replace").split())[:200]
    return _message(value.get("error", value) if isinstance(value, dict) else value)


def _message(error: Any) -> str:
    found = error.get("message", error) if isinstance(error, Mapping) else error
    return " ".join(str(found).split())[:200]


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


async def together(seconds: float, *asked: Any) -> list[Reply]:
    """All replies of a wave; the first failure ends the others. Raises ValueError when too long."""
    tasks = [asyncio.ensure_future(one) for one in asked]
    try:
        async with asyncio.timeout(seconds):
            return list(await asyncio.gather(*tasks))
    except TimeoutError:
        raise ValueError(f"a wave must end within {seconds:g} s") from None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
