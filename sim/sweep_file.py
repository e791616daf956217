"""The partial results of a sweep: one JSON line each, appended whole, safe against a kill."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any


class ResultFile:
    """A file of results, or nothing where ``path`` is None; a context manager.

    The first line is the header, each further line {"setting": ..., "result": ...}, written by a
    single call, so that a killed process leaves at most its last line cut; such a line is dropped
    on opening, with a warning. A lock refuses a second writer. The operating system is not asked
    to sync: a power failure may cost more than a line.
    """

    def __init__(self, path: str | Path | None, header: dict[str, Any]) -> None:
        self.found: dict[str, Any] = {}
        self._handle: int | None = None
        if path is None:
            return
        self._path = Path(path)
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            self._lock()
            self._load(header)
        except BaseException:
            os.close(self._handle)
            raise

    def __enter__(self) -> ResultFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def append(self, name: str, result: str) -> None:
        """Add the result of a setting, both as JSON text."""
        if self._handle is not None:
            self._write(f'{{"setting": {name}, "result": {result}}}\n')

    def _write(self, line: str) -> None:
        assert self._handle is not None
        data = line.encode()
        written = os.write(self._handle, data)
        if written != len(data):
            raise OSError(f"{self._path}: the disk took {written} of {len(data)} bytes")

    def _lock(self) -> None:
        from ..calibrate.records.lock import lock

        assert self._handle is not None
        if not lock(self._handle):
            raise ValueError(f"{self._path} is being written by another sweep")

    def _load(self, header: dict[str, Any]) -> None:
        assert self._handle is not None
        data = self._path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            warnings.warn(
                f"{self._path}: dropped a last line cut after {len(data) - whole} bytes",
                stacklevel=4,
            )
            os.ftruncate(self._handle, whole)
        if not whole:
            self._write(json.dumps(header) + "\n")
            return
        first, *rest = data[:whole].decode().splitlines()
        self._check(first, header)
        for number, line in enumerate(rest, 2):
            self._take(number, line)

    def _check(self, first: str, header: dict[str, Any]) -> None:
        try:
            there = dict(json.loads(first))
        except (ValueError, TypeError):
            there = {}
        if there.get("schema") != header["schema"]:
            raise ValueError(f"{self._path} is not a file of {header['schema']}")
        for key, value in header.items():
            if there.get(key) != value:
                raise ValueError(
                    f"{self._path} holds results of another {key}: "
                    f"{there.get(key)!r} there, {value!r} asked for"
                )

    def _take(self, number: int, line: str) -> None:
        try:
            entry = json.loads(line)
            name = json.dumps(entry["setting"], sort_keys=True)
            result = entry["result"]
        except (ValueError, TypeError, KeyError):
            raise ValueError(f"{self._path}, line {number}: not a result of a sweep") from None
        if name in self.found:
            raise ValueError(f"{self._path}, line {number}: setting {name} for the second time")
        self.found[name] = result
