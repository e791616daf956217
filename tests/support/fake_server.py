"""A small OpenAI-compatible server on loopback: streams, counts as an engine does, and fails."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

OWNERS = {"vllm": "vllm", "llama.cpp": "llamacpp", "unknown": "somebody"}


@dataclass
class Fake:
    """What the server does. step_s: of a round; gamma: 0 for plain decoding; pattern: accepted
    tokens of the rounds of a request, over and over; fault: how it fails, in the answer to request
    number ``at``.
    """

    engine: str = "vllm"
    gamma: int = 0
    pattern: tuple[int, ...] = (0,)
    step_s: float = 0.001
    metrics: bool = True
    fault: str = ""
    at: int = 0
    model: str = "small"
    key: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    places: list[int] = field(default_factory=list)
    seen: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def round(self, number: int, left: int) -> int:
        """Tokens that a round gives, counted; number: of the round in its request."""
        accepted = self.pattern[number % len(self.pattern)] if self.gamma else 0
        with self.lock:
            for name, n in (("rounds", 1), ("drafted", self.gamma), ("accepted", accepted)):
                self.counts[name] = self.counts.get(name, 0) + n
            for k in range(accepted):
                self.places[k] += 1
        return min(1 + accepted, left)

    def text(self) -> str:
        """The metrics in the engine's words."""
        prefix, total = {"llama.cpp": ("llamacpp", "tokens_predicted_total")}.get(
            self.engine, ("vllm", "generation_tokens_total")
        )
        label = '{engine="0",model_name="small"}' if prefix == "vllm" else ""
        lines = [f"{prefix}:{total}{label} {self.counts.get('tokens', 0)}"]
        names = {"rounds": "num_drafts", "drafted": "num_draft_tokens",
                 "accepted": "num_accepted_tokens"}  # fmt: skip
        if self.gamma or prefix == "llamacpp":
            lines += [
                f"{prefix}:spec_decode_{word}_total{label} {self.counts.get(n, 0)}"
                for n, word in names.items()
            ]
        for k, n in enumerate(self.places):
            held = f'{label[:-1]},position="{k}"}}' if label else f'{{position="{k}"}}'
            lines.append(f"{prefix}:spec_decode_num_accepted_tokens_per_pos_total{held} {n}")
        return "\n".join(lines) + "\n"


class _Handler(BaseHTTPRequestHandler):
    fake: Fake
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def _send(self, body: bytes, status: int = 200, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if status == 307:
            self.send_header("Location", "http://elsewhere.invalid/v1")
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        fake = self.fake
        if fake.key and self.headers.get("Authorization") != f"Bearer {fake.key}":
            self._send(b"{}", 401)
        elif fake.fault == "redirect":
            self._send(b"", 307)
        elif fake.fault == "no api":
            self._send(b"<html>welcome</html>", kind="text/html")
        elif self.path == "/v1/models":
            row = {"id": fake.model, "owned_by": OWNERS[fake.engine], "max_model_len": 2048}
            self._send(json.dumps({"data": [row]}).encode())
        elif self.path == "/version" and fake.engine == "vllm":
            self._send(b'{"version": "0.32.0"}')
        elif self.path == "/props" and fake.engine == "llama.cpp":
            # What llama.cpp says with speculation as well as without.
            settings = {"params": {"speculative.types": "none"}, "n_ctx": 2048}
            self._send(json.dumps(
                {"default_generation_settings": settings, "build_info": "b1-abc"}
            ).encode())  # fmt: skip
        elif self.path == "/slots" and fake.engine == "llama.cpp":
            self._send(json.dumps([{"id": 0, "speculative": fake.gamma > 0}]).encode())
        elif self.path == "/metrics" and fake.metrics:
            with fake.lock:
                self._send(fake.text().encode(), kind="text/plain")
        else:
            self._send(b"{}", 404)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        fake = self.fake
        with fake.lock:
            number = len(fake.seen)
            fake.seen.append(body)
        fault = fake.fault if number == fake.at else ""
        if fault == "error":
            self._send(b'{"error": {"message": "out of memory"}}', 500)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        done = rounds = accepted = 0
        most = body["max_tokens"]
        while done < most:
            time.sleep(fake.step_s)
            if fault == "hang" and done > 3:
                time.sleep(3.0)
                return
            if fault == "die" and done > 3:
                return
            before = done
            done += 1 if done == 0 else fake.round(rounds, most - done)
            rounds += before > 0
            accepted += done - before - 1
            self._tokens(body, before, done, rounds, accepted)
        with fake.lock:
            fake.counts["tokens"] = fake.counts.get("tokens", 0) + done
        self._event({"choices": [], "usage": {"completion_tokens": done, "prompt_tokens": 7}})
        self.wfile.write(b"data: [DONE]\n\n")

    def _tokens(self, body: Any, before: int, done: int, rounds: int, accepted: int) -> None:
        fake = self.fake
        if fake.engine == "vllm":
            text = {"delta": {"content": "x" * (done - before)}}
            usage = {"completion_tokens": done, "prompt_tokens": 7}
            self._event({"choices": [text], "usage": usage})
            return
        for n in range(before + 1, done + 1):
            event: dict[str, Any] = {"choices": [{"delta": {"content": "x"}}]}
            if fake.engine == "llama.cpp":
                event["timings"] = {"predicted_n": n}
                if fake.gamma:
                    drafts = {"draft_n": rounds * fake.gamma, "draft_n_accepted": accepted}
                    event["timings"] |= drafts
            self._event(event)

    def _event(self, value: Any) -> None:
        self.wfile.write(f"data: {json.dumps(value)}\n\n".encode())


@contextmanager
def serving(fake: Fake) -> Iterator[str]:
    """The server's URL while it runs."""
    fake.places = fake.places or [0] * fake.gamma
    handler = type("Handler", (_Handler,), {"fake": fake})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return int(some.getsockname()[1])
