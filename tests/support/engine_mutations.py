"""Ways in which a log reaches its reader changed: harmless ones, and damage."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Callable

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
    return gzip.compress(data, mtime=0)


def wrapped(data: bytes) -> bytes:
    """Lines as a container runtime keeps them; JSON and tables stay as they are."""
    if not _text_only(data) or data.startswith((b"commits", b"subset")):
        return data
    lines = data.decode().splitlines()
    return "".join(json.dumps({"log": s + "\n", "stream": "x"}) + "\n" for s in lines).encode()


HARMLESS: tuple[Mutation, ...] = (crlf, mark, wide, packed, wrapped)


def damage(data: bytes, rng: random.Random) -> bytes:
    """The text after up to three blows: cut, reordered, doubled, overwritten, wrong numbers."""
    for _ in range(rng.randint(1, 3)):
        data = rng.choice(_BLOWS)(data, rng)
    return data


def _cut(data: bytes, rng: random.Random) -> bytes:
    i, j = sorted(rng.randint(0, len(data)) for _ in range(2))
    return rng.choice((data[:i], data[i:], data[:i] + data[j:]))


def _put(data: bytes, rng: random.Random) -> bytes:
    i = rng.randint(0, len(data))
    return data[:i] + rng.choice(_JUNK) + data[i:]


def _overwrite(data: bytes, rng: random.Random) -> bytes:
    i, noise = rng.randint(0, len(data)), rng.randbytes(rng.randint(1, 8))
    return data[:i] + noise + data[i + len(noise) :]


def _reorder(data: bytes, rng: random.Random) -> bytes:
    mark = rng.choice((b"\n", b",", b" "))
    pieces = data.split(mark)
    first = pieces[:12]
    rng.shuffle(first)
    return mark.join(first + pieces[12:])


def _double(data: bytes, rng: random.Random) -> bytes:
    return (data + b"\n") * rng.randint(2, 3)


def _renumber(data: bytes, rng: random.Random) -> bytes:
    found = list(re.finditer(rb"\d+(?:\.\d+)?", data))
    if not found:
        return data
    m = rng.choice(found)
    other = rng.choice(
        (
            str(rng.randint(-(10**40), 10**40)),
            repr(rng.choice((rng.random(), -rng.random(), 1e300 * rng.random()))),
            str(rng.randint(0, 2000)),
            rng.choice(("nan", "inf", "-inf", "1e999", "9" * 400, "1_000", "0x10")),
        )
    )
    return data[: m.start()] + other.encode() + data[m.end() :]


def _locale(data: bytes, rng: random.Random) -> bytes:
    return re.sub(rb"(\d)\.(\d)", rb"\1,\2", data)


def _units(data: bytes, rng: random.Random) -> bytes:
    return data.replace(b"%", b"").replace(b" tokens", b" ktokens").replace(b" ms", b" s")


def _recode(data: bytes, rng: random.Random) -> bytes:
    encoding = rng.choice(("utf-16", "utf-16-be", "utf-32", "latin-1"))
    return data.decode("utf-8", "replace").encode(encoding, "replace")


_BLOWS = (_cut, _put, _overwrite, _reorder, _double, _renumber, _renumber, _locale, _units, _recode)
