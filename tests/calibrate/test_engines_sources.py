"""Sources: standard input, packed files, URLs with limits, long logs in little memory; the verb."""

from __future__ import annotations

import io
import json
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import howspec
import pytest
from command import answer, call
from engine_samples import SAMPLES, V1_LINE
from fake_clock import FakeClock
from howspec.calibrate.engines import EngineCounts, import_counts
from howspec.calibrate.engines.fetch import fetch
from howspec.calibrate.engines.live import watch
from howspec.calibrate.engines.reader import marked_lines
from howspec.cli.answering import answering
from howspec.cli.main import VERBS, application
from howspec.sources import fit_statistics


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "file:///etc/hostname")
            self.end_headers()
            return
        body = b"x" * 5000 if self.path == "/large" else SAMPLES["vllm prometheus"][0].encode()
        self.send_response(404 if self.path == "/none" else 200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        return


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    httpd = HTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()


def test_a_url_is_read_like_a_file(server: str) -> None:
    assert import_counts(f"{server}/metrics").rounds == 87


@pytest.mark.parametrize(
    ("path", "message"),
    [("/away", "is not allowed"), ("/none", "answered 404")],
)
def test_redirects_to_files_and_errors_are_refused(server: str, path: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        import_counts(server + path)


def test_a_large_answer_is_refused(server: str) -> None:
    with pytest.raises(ValueError, match="must be at most 1000 bytes"):
        fetch(f"{server}/large", limit_bytes=1000)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://x/y"])
def test_other_schemes_are_no_urls(url: str) -> None:
    with pytest.raises(ValueError, match="must start with http"):
        fetch(url)
    with pytest.raises(ValueError, match="cannot be read"):
        import_counts(url)


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(V1_LINE.encode()))
    monkeypatch.setattr(sys, "stdin", stream)
    assert import_counts("-").rounds == 65


def test_lines_across_blocks_are_whole_and_each_comes_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("howspec.calibrate.engines.reader.BLOCK_BYTES", 7)
    lines = [b"a MARK %d" % i if i % 3 else b"other %d MARQ" % i for i in range(50)]
    found = list(marked_lines(io.BytesIO(b"\r\n".join(lines)), (b"MARK", b"a M", b" 7")))
    assert [line for _, line, _ in found] == [n for n in lines if b"MARK" in n or b" 7" in n]
    for number, line, held in found:
        assert set(held) == {m for m in (b"MARK", b"a M", b" 7") if m in line}
        assert line == lines[number - 1]


def test_a_long_log_is_read_in_little_memory(tmp_path: Path) -> None:
    other = "INFO 05-18 11:19:54 [loggers.py:118] Engine 000: Avg prompt throughput: 1.1 tokens/s\n"
    path = tmp_path / "log"
    path.write_text((other * 3000 + V1_LINE + "\n") * 60)
    tracemalloc.start()
    found = import_counts(str(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.rounds == 65 * 60
    assert path.stat().st_size > 14e6
    assert peak < 12e6


@pytest.mark.parametrize("name", ["vllm v1", "sglang log", "golden yaml"])
def test_the_verb_prints_the_schema(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "source"
    path.write_text(SAMPLES[name][0])
    found = answer(capsys, "import", "auto", path)
    assert found["engine"] == SAMPLES[name][1]
    for key in ("rounds", "drafted", "accepted", "survival", "acceptance_length", "gamma"):
        assert key in found
    assert found["alpha"] is None or 0 <= found["alpha"]["low"] <= found["alpha"]["high"] <= 1
    assert isinstance(found["notes"], list)
    assert found["engine"] in call(capsys, "import", "auto", path)[1]


def test_the_verb_fits_and_prints_samples(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "source"
    path.write_text(call(capsys, "import", "vllm", "--example")[1])
    fitted = answer(capsys, "import", "vllm", path, "--fit")["fit"]["alpha"]
    assert 0 < fitted["low"] < fitted["high"] < 1
    assert "alpha" in call(capsys, "import", "vllm", path, "--fit")[1]


def _scrape(rounds: int, tokens: int) -> bytes:
    where = 'engine="0",model_name="m"'
    rows = [("drafts", rounds), ("draft_tokens", 3 * rounds), ("accepted_tokens", rounds)]
    text = "".join(f"vllm:spec_decode_num_{n}_total{{{where}}} {v}.0\n" for n, v in rows)
    return f"{text}vllm:generation_tokens_total{{{where}}} {tokens}.0\n".encode()


def _watched(*scrapes: bytes, url: str = "http://x", every_s: float, for_s: float) -> EngineCounts:
    """A server that is watched with a clock that only sleeping moves; the last scrape stays."""
    clock, left = FakeClock(), list(scrapes)
    found = watch(
        url, every_s=every_s, for_s=for_s, sleep=clock.spend, clock=lambda: clock.now_s,
        get=lambda _: left.pop(0) if len(left) > 1 else left[0],
    )  # fmt: skip
    assert clock.now_s == for_s
    return found


def test_scrapes_of_a_server_make_the_counts_of_an_interval() -> None:
    scrapes = (_scrape(100, 300), _scrape(130, 390), _scrape(190, 600))
    found = _watched(*scrapes, every_s=10, for_s=20)
    assert (found.rounds, found.accepted, found.tokens) == (90, 90, 300)
    assert [g.rounds for g in found.groups] == [30, 60]
    assert [g.label for g in found.groups] == ["0-10 s", "10-20 s"]
    assert found.target_steps == 210


def test_a_server_that_was_started_again_counts_from_zero() -> None:
    found = _watched(_scrape(100, 300), _scrape(30, 90), every_s=5, for_s=5)
    assert found.rounds == 30
    assert any("started again" in note for note in found.notes)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"url": "server.log", "every_s": 1, "for_s": 2}, r"an http\(s\) URL"),
        ({"every_s": 3, "for_s": 2}, "--every must be in"),
        ({"every_s": 1, "for_s": 1e9}, "--for must be in"),
        ({"every_s": 1, "for_s": 1}, "no token was drafted"),
    ],
)
def test_what_cannot_be_watched_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        _watched(_scrape(5, 9), **options)


def test_every_verb_with_acceptance_takes_the_interval_of_a_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import howspec.calibrate.engines.live as live

    seen: dict[str, object] = {}
    monkeypatch.setattr(live, "watch", lambda url, *a, **k: seen.update(url=url, **k) or url)

    def verb(given: dict[str, Any]) -> dict[str, Any]:
        seen.update(given)
        return given

    watched = answering("acceptance gamma as_json", asks="predict", show_as=lambda *_: None)(verb)
    for name in VERBS:
        has = {o.name for o in application().made(name).options()}
        assert ({"every", "for_"} <= has) == (name == "import" or "acceptance" in has)
    watched.ask(acceptance="http://x", gamma=2, every=None, for_=5.0)
    assert seen == {"url": "http://x", "every_s": 5.0, "for_s": 5.0, "acceptance": "http://x",
                    "gamma": 2}  # fmt: skip
    with pytest.raises(ValueError, match="need --acceptance with a metrics URL"):
        watched.ask(acceptance=None, gamma=2, every=None, for_=5.0)
    with pytest.raises(ValueError, match="--every needs --for"):
        watched.ask(acceptance="http://x", gamma=2, every=1.0, for_=None)


def test_python_reads_statistics_as_the_verb_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "scrape"
    path.write_text(SAMPLES["vllm prometheus"][0])
    counts = howspec.read_statistics(path, gamma=3)
    assert counts == import_counts(str(path), gamma=3)
    found = answer(capsys, "import", path, "--gamma", 3, "--fit", "--seed", 5)
    for name, fitted in fit_statistics(counts, seed=5).items():
        assert found["fit"][name] == vars(fitted)
        assert fitted.low < fitted.estimate < fitted.high
    assert howspec.read_statistics(path, before=path).drafted == 0
    with pytest.raises(ValueError, match=r"gamma must be an integer in \[1, 4096\], got 0"):
        howspec.read_statistics(path, gamma=0)
    with pytest.raises(ValueError, match="before is an earlier scrape, for_s makes its own"):
        howspec.read_statistics("http://x/metrics", before=path, for_s=5.0)


def test_the_verb_watches_a_server_and_writes_records(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("import", f"{server}/metrics", "--every", 0.1, "--for", 0.1)
    status, out, said = call(capsys, *given)
    assert (status, out) == (2, "")
    assert "no token was drafted" in said
    (tmp_path / "scrape").write_text(SAMPLES["vllm prometheus"][0])
    record = json.loads(call(capsys, "import", tmp_path / "scrape", "--to", "aiperf")[1])
    assert record["acceptance_histogram"] == {"0": 17, "1": 15, "2": 13, "3": 42}
    first = call(capsys, "import", tmp_path / "scrape")[1].splitlines()[0]
    assert first == "health: nothing looks broken"
