"""The file that a measurement in progress writes: one line a point, synced, resumed after a kill.

A killed run loses at most the point in flight. A second run into the same file is refused, as is
one whose settings, machine, models or number format differ from those of the first.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from ..files import lock, sync_folder
from .merge import RUN, difference, same_origin
from .points import Point, check_point, in_words, kind_of, point_key
from .provenance import split
from .record import (
    SCHEMA,
    VERSION,
    Record,
    dump,
    parse,
    parse_head,
    read_record,
    write_record,
)


class Journal:
    """Points of one measurement, each on disk as soon as it is appended.

    points: those there are, in the order measured; done: their keys; complete: whether the
    measurement was finished by an earlier run, so that nothing is left to append.
    """

    def __init__(
        self, folder: Path, name: str, kind: str, settings: dict[str, Any], key: tuple[str, ...]
    ) -> None:
        self.path = folder / f"{name}.json"
        self.part = folder / f"{name}.part.jsonl"
        self.kind = kind
        self.settings = settings
        self.key = key
        self.provenance: dict[str, Any] = {}
        self.points: list[Point] = []
        self.done: set[tuple[Any, ...]] = set()
        self.complete = False
        self._handle = -1
        self._end = 0

    @classmethod
    def open(
        cls,
        folder: Path,
        name: str,
        *,
        kind: str,
        settings: Mapping[str, Any],
        provenance: Mapping[str, Any],
        key: tuple[str, ...] = (),
    ) -> Journal:
        """Start the measurement ``name`` in ``folder``, or go on where it was left.

        key: the entries that identify a point, default those of the kind. Raises ValueError when
        another run is writing it, when what is there was measured with other settings or on
        another machine or model (naming the key), or when it is damaged; OSError when the folder
        cannot be written. What was begun without measuring a point holds nothing and is begun anew.
        """
        key = tuple(key) or kind_of(kind).key
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        journal = cls(folder, name, kind, dict(settings), key)
        try:
            if not journal._load_finished(provenance):
                journal._lock()
                # A run that held the lock until now may have finished it.
                if journal._load_finished(provenance):
                    journal.close()
                else:
                    journal._resume(provenance)
            if journal.complete:
                journal.part.unlink(missing_ok=True)
        except BaseException:
            journal.close()
            raise
        return journal

    def append(self, point: Mapping[str, Any]) -> None:
        """Add one point and sync it to disk.

        Raises ValueError for a point that the kind does not allow or that is there already,
        OSError when the disk is full; the points before it are kept in either case.
        """
        if self._handle < 0:
            state = "complete" if self.complete else "closed"
            raise ValueError(f"{self.path.name}: the measurement is {state}, nothing can be added")
        point = {n: list(v) if isinstance(v, tuple) else v for n, v in point.items()}
        values = self._check(point, "a new point")
        self._write(dump(point))
        self.done.add(values)
        self.points.append(point)

    def finish(self) -> Path:
        """Write the record and drop the journal; returns the record's path."""
        if self.complete:
            return self.path
        if self._handle < 0:
            raise ValueError(f"{self.path.name}: the measurement is closed")
        write_record(self.record(), self.path)
        self.part.unlink(missing_ok=True)
        sync_folder(self.part.parent)
        self.complete = True
        self.close()
        return self.path

    def record(self) -> Record:
        """What has been measured so far, as a record. Raises ValueError when that is nothing."""
        return Record(self.kind, self.settings, self.provenance, tuple(self.points), self.key)

    def close(self) -> None:
        """Let go of the file; what was appended stays, for the next run to go on with."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _load_finished(self, provenance: Mapping[str, Any]) -> bool:
        if not self.path.exists():
            return False
        record = read_record(self.path)
        differs = difference(
            {"kind": self.kind, "key": list(self.key)},
            {"kind": record.kind, "key": list(record.key)},
        ) or same_origin(self.settings, provenance, record)
        if differs:
            raise ValueError(
                f"{self.path}: is another measurement: {differs}; choose another folder"
            )
        self.provenance = record.provenance
        self.points = list(record.points)
        self.done = {point_key(self.key, p) for p in self.points}
        self.complete = True
        return True

    def _lock(self) -> None:
        while True:
            self._handle = os.open(self.part, os.O_RDWR | os.O_CREAT, 0o644)
            if not lock(self._handle):
                raise ValueError(
                    f"{self.part}: another run is writing this measurement; wait for it, or choose "
                    "another folder"
                )
            with contextlib.suppress(FileNotFoundError):
                # The one that held the lock may have removed the file in between.
                if os.path.samestat(os.fstat(self._handle), os.stat(self.part)):
                    return
            self.close()

    def _resume(self, provenance: Mapping[str, Any]) -> None:
        for half in self.path.parent.glob(f".{self.path.name}.*"):
            half.unlink()  # a record that a killed run was writing
        fixed, run = split(provenance)
        lines, self._end = _whole_lines(self.part)
        if not any(map(_holds_point, lines[1:])):
            lines, self._end = [], 0
        os.ftruncate(self._handle, self._end)
        os.lseek(self._handle, self._end, os.SEEK_SET)
        if lines:
            self._check_header(lines[0], fixed)
            for number, line in enumerate(lines[1:], start=2):
                self._load(line, number)
        else:
            head = {"schema": SCHEMA, "version": VERSION, "part": True, "kind": self.kind}
            head |= {"key": list(self.key), "settings": self.settings, "provenance": fixed}
            self._write(dump(head))
            sync_folder(self.part.parent)
            self.provenance = {**fixed, "runs": []}
        self._write(dump({"run": run}))
        self.provenance["runs"].append(run)

    def _check_header(self, line: str, fixed: dict[str, Any]) -> None:
        head = parse_head(line, f"{self.part}, line 1")
        mine = {"kind": self.kind, "key": list(self.key), "settings": self.settings}
        differs = difference(
            {**mine, "provenance": fixed}, {n: head.get(n) for n in (*mine, "provenance")}
        )
        if differs:
            raise ValueError(
                f"{self.part}: was begun as another measurement: {differs}; choose another folder"
            )
        self.provenance = {**head["provenance"], "runs": []}

    def _load(self, line: str, number: int) -> None:
        place = f"{self.part}, line {number}"
        try:
            value = parse(line)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None
        if isinstance(value, dict) and set(value) == {"run"}:
            self.provenance["runs"].append(value["run"])
        else:
            self.done.add(self._check(value, place))
            self.points.append(value)

    def _check(self, point: Point, place: str) -> tuple[Any, ...]:
        try:
            check_point(kind_of(self.kind), point)
            values = point_key(self.key, point)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None
        if values in self.done:
            raise ValueError(f"{place}: is there already ({in_words(self.key, values)})")
        return values

    def _write(self, line: str) -> None:
        data = (line + "\n").encode()
        try:
            _write_all(self._handle, data)
            os.fsync(self._handle)
        except OSError as error:
            self._undo()
            reason = error.strerror or str(error)
            raise OSError(
                f"{self.part}: cannot be written: {reason}; the {len(self.points)} points "
                "before are kept, the same command goes on from there"
            ) from None
        except BaseException:
            self._undo()
            raise
        self._end += len(data)

    def _undo(self) -> None:
        """Cut a half-written line off; where that fails too, nothing more may follow it."""
        try:
            os.ftruncate(self._handle, self._end)
            os.lseek(self._handle, self._end, os.SEEK_SET)
        except OSError:
            self.close()


def _holds_point(line: str) -> bool:
    """Whether a line is anything but the mark of a run; one that is damaged is for `_load`."""
    return not line.encode().startswith(RUN)


def _write_all(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


def _whole_lines(path: Path) -> tuple[list[str], int]:
    """(lines that are complete, bytes they take). A last line that was cut off is left out."""
    data = path.read_bytes()
    lines = data.split(b"\n")
    lines.pop()  # what follows the last line end: nothing, or a line that was cut off
    texts = [line.decode("utf-8", errors="replace") for line in lines]
    if texts:
        try:
            parse(texts[-1])
        except ValueError:
            texts.pop()
            lines.pop()
    return texts, sum(len(line) + 1 for line in lines)
