"""Lines of a source that can be larger than memory: a file, standard input, a gzip file, a URL.

Only lines that hold one of the wanted byte strings are cut out and decoded; the rest is skipped
block by block, so a log is read at the speed of a search for bytes.
"""

from __future__ import annotations

import codecs
import gzip
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

BLOCK_BYTES = 1 << 20
LINE_BYTES = 1 << 24
_GZIP = b"\x1f\x8b"
_WIDE = (
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)


class Body(NamedTuple):
    """Bytes that were fetched already; label: where they come from, for messages."""

    label: str
    data: bytes


Source = str | Body


def label_of(source: Source) -> str:
    """What a source is called in messages."""
    return source.label if isinstance(source, Body) else source


@contextmanager
def opened(source: Source) -> Iterator[BinaryIO]:
    """The bytes of a path, of "-" (standard input) or of an http(s) URL, unpacked and as UTF-8.

    Raises ValueError where the source cannot be read.
    """
    if isinstance(source, Body):
        yield _plain(io.BytesIO(source.data), source.label)
        return
    if source == "-":
        yield _plain(sys.stdin.buffer, "standard input")
        return
    if source.startswith(("http://", "https://")):
        from .fetch import fetch

        yield _plain(io.BytesIO(fetch(source)), source)
        return
    try:
        stream: BinaryIO = Path(source).open("rb")  # noqa: SIM115 - closed below
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ValueError(f"{source}: cannot be read: {reason}") from None
    with stream:
        yield _plain(stream, source)


def _plain(stream: BinaryIO, label: str) -> BinaryIO:
    """Unpack gzip and turn UTF-16 and UTF-32 into UTF-8."""
    buffered = io.BufferedReader(_Guarded(stream, label), BLOCK_BYTES)
    head = buffered.peek(4)[:4]
    if head.startswith(_GZIP):
        unpacked = gzip.GzipFile(fileobj=buffered)
        buffered = io.BufferedReader(_Guarded(unpacked, label), BLOCK_BYTES)  # type: ignore[arg-type]
        head = buffered.peek(4)[:4]
    for mark, encoding in _WIDE:
        if head.startswith(mark):
            buffered.read(len(mark))
            return io.BufferedReader(_Recoded(buffered, encoding), BLOCK_BYTES)
    if len(head) == 4 and head[0] and head[2] and not head[1] and not head[3]:
        return io.BufferedReader(_Recoded(buffered, "utf-16-le"), BLOCK_BYTES)
    if len(head) == 4 and head[1] and head[3] and not head[0] and not head[2]:
        return io.BufferedReader(_Recoded(buffered, "utf-16-be"), BLOCK_BYTES)
    if head.startswith(codecs.BOM_UTF8):
        buffered.read(3)
    return buffered


class _Guarded(io.RawIOBase):
    """A raw stream whose errors name the source."""

    def __init__(self, stream: BinaryIO, label: str) -> None:
        self._stream, self._label = stream, label

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        try:
            data = self._stream.read(len(view))
        except (OSError, EOFError, gzip.zlib.error) as error:  # type: ignore[attr-defined]
            raise ValueError(f"{self._label}: cannot be read: {error}") from None
        view[: len(data)] = data
        return len(data)


class _Recoded(io.RawIOBase):
    """A raw stream of UTF-8 from one of another encoding; what is malformed becomes U+FFFD."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        while not self._rest:
            data = self._stream.read(1 << 16)
            self._rest = self._decoder.decode(data, final=not data).encode("utf-8", "replace")
            if not data and not self._rest:
                return 0
        size = min(len(view), len(self._rest))
        view[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def marked_lines(
    stream: BinaryIO, markers: Sequence[bytes], *, follows: tuple[bytes, bytes] | None = None
) -> Iterator[tuple[int, bytes, tuple[bytes, ...]]]:
    """(number, line, markers in it) of the lines that hold one of the markers, in order.

    Lines count from 1 and come without their ends; one longer than 16 MiB is cut there. follows:
    (a marker, a word); a line with that marker comes with the line before it and a line end in
    front where that one holds the word. Memory stays at a few blocks.
    """
    rest, number = b"", 1
    while block := stream.read(BLOCK_BYTES):
        block = rest + block
        end = block.rfind(b"\n") + 1
        if not end and len(block) < LINE_BYTES:
            rest = block
            continue
        end = end or len(block)
        rest = block[end:]
        block = block[:end] if rest else block
        yield from _cut(block, markers, number, follows)
        number += block.count(b"\n")
    yield from _cut(rest, markers, number, follows)


def _cut(
    block: bytes, markers: Sequence[bytes], number: int, follows: tuple[bytes, bytes] | None
) -> Iterator[tuple[int, bytes, tuple[bytes, ...]]]:
    places, last = {m: at for m in markers if (at := block.find(m)) >= 0}, 0
    while places:
        first = min(places, key=places.__getitem__)
        at, alone = places[first], (first,)
        others = min((p for m, p in places.items() if m != first), default=len(block))
        word = follows[1] if follows is not None and follows[0] == first else b""
        # Where every line holds one marker, nothing else is looked at until another one comes.
        while at >= 0:
            start, end = _line_around(block, at)
            if end > others:
                break
            number, last = number + block.count(b"\n", last, start), start
            begin = _with_line_before(block, start, word) if word else start
            yield number, block[begin:end].rstrip(b"\r"), alone
            at = block.find(first, end)
        places[first] = at
        if at >= 0 and others >= start:
            held = tuple(m for m, place in places.items() if place < end)
            number, last = number + block.count(b"\n", last, start), start
            yield number, block[start:end].rstrip(b"\r"), held
            places |= {m: block.find(m, end) for m in held}
        places = {m: place for m, place in places.items() if place >= 0}


def _with_line_before(block: bytes, start: int, word: bytes) -> int:
    """Where the line before begins, or ``start`` where it does not hold the word."""
    begin = block.rfind(b"\n", 0, max(start - 1, 0)) + 1
    return begin if block.find(word, begin, start) >= 0 else start


def _line_around(block: bytes, at: int) -> tuple[int, int]:
    end = block.find(b"\n", at)
    return block.rfind(b"\n", 0, at) + 1, len(block) if end < 0 else end
