"""Ways in which a log reaches its reader changed: harmless ones, and damage."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable

from hypothesis import strategies as st

Mutation = Callable[[bytes], bytes]
_JUNK = [b"", b"\x00", b"\xff\xfe", b"NaN", b"inf", b"-1", b"1e308", b"9" * 30, b"null", b"%",
         b"{", b"}", b"[", b'"', b",", b"\n", b"\r", b"\xc3\x28", b"1.234,56", b" ms",
         b"Accepted: ", b"\x1b[31m", b"\xe2\x80\xa6"]  # fmt: skip


def _text_only(data: bytes) -> bool:
    return not data.lstrip().startswith((b"{", b"[")) and b"thinking_on" not in data


def crlf(data: bytes) -> bytes:
    """Windows line ends."""
    return data.replace(b"\n", b"\r\n")


def mark(data: bytes) -> bytes:
    """A byte-order mark."""
    return b"\xef\xbb\xbf" + data


def wide(data: bytes) -> bytes:
    """UTF-16 as PowerShell writes it."""
    return data.decode().encode("utf-16")


def packed(data: bytes) -> bytes:
    """A gzip file."""
    return gzip.compress(data)


def wrapped(data: bytes) -> bytes:
    """Lines as a container runtime keeps them; JSON and tables stay as they are."""
    if not _text_only(data) or data.startswith((b"commits", b"subset")):
        return data
    lines = data.decode().splitlines()
    return "".join(json.dumps({"log": s + "\n", "stream": "x"}) + "\n" for s in lines).encode()


def trailing(data: bytes) -> bytes:
    """Empty lines around."""
    return b"\n" + data + b"\n\n" if _text_only(data) and b"," not in data[:8] else data + b"\n\n"


HARMLESS: tuple[Mutation, ...] = (crlf, mark, wide, packed, wrapped)


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """The text after up to three blows: cut, reordered, doubled, overwritten, wrong numbers."""
    for _ in range(draw(st.integers(1, 3))):
        data = draw(_blow(data))
    return data


def _blow(data: bytes) -> st.SearchStrategy[bytes]:
    place = st.integers(0, len(data))
    return st.one_of(
        place.map(lambda i: data[:i]),
        place.map(lambda i: data[i:]),
        st.tuples(place, st.sampled_from(_JUNK)).map(lambda p: data[: p[0]] + p[1] + data[p[0] :]),
        st.tuples(place, st.binary(min_size=1, max_size=8)).map(
            lambda p: data[: p[0]] + p[1] + data[p[0] + len(p[1]) :]
        ),
        st.tuples(place, place).map(lambda p: data[: min(p)] + data[max(p) :]),
        st.permutations(range(min(4, data.count(b"\n") + 1))).map(lambda o: _reordered(data, o)),
        st.permutations(range(min(4, data.count(b",") + 1))).map(lambda o: _swapped(data, o)),
        st.integers(2, 3).map(lambda n: (data + b"\n") * n),
        st.tuples(st.integers(0, 30), _numbers()).map(lambda p: _renumbered(data, *p)),
        st.just(re.sub(rb"(\d)\.(\d)", rb"\1,\2", data)),
        st.just(data.decode("utf-8", "replace").encode("utf-16")),
        st.just(data.replace(b"%", b"").replace(b" tokens", b" ktokens")),
    )


def _numbers() -> st.SearchStrategy[bytes]:
    whole = st.integers(-(10**40), 10**40).map(lambda n: str(n).encode())
    real = st.floats(allow_nan=True).map(lambda x: repr(x).encode())
    return st.one_of(whole, real, st.integers(0, 2000).map(lambda n: str(n).encode()))


def _renumbered(data: bytes, which: int, number: bytes) -> bytes:
    found = list(re.finditer(rb"\d+(?:\.\d+)?", data))
    if not found:
        return data
    m = found[which % len(found)]
    return data[: m.start()] + number + data[m.end() :]


def _reordered(data: bytes, order: list[int]) -> bytes:
    lines = data.split(b"\n")
    return b"\n".join([lines[i] for i in order] + lines[len(order) :])


def _swapped(data: bytes, order: list[int]) -> bytes:
    pieces = data.split(b",")
    return b",".join([pieces[i] for i in order] + pieces[len(order) :])
