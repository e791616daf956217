"""What has been measured of a target, a draft or a device, with citations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ..answer import Answer
from ..table import Column, Table

if TYPE_CHECKING:
    from ..calibrate.library.evidence import Measurement


@dataclass(frozen=True, repr=False)
class Evidence(Answer):
    """Published measurements; see `howspec.evidence`."""

    SCHEMA = "evidence"

    measurements: tuple[Measurement, ...]
    target: str | None
    draft: str | None
    device: str | None

    @property
    def citations(self) -> tuple[str, ...]:
        """Sources of the rows, each once."""
        return tuple(dict.fromkeys(m.citation for m in self.measurements))

    def data(self) -> Mapping[str, object]:
        rows = [asdict(m) | {"unit": m.unit, "scored": m.scored} for m in self.measurements]
        return {
            "target": self.target, "draft": self.draft, "device": self.device,
            "measurements": rows,
        }  # fmt: skip

    def headline(self) -> str:
        if not self.measurements:
            return "nothing published of it is in the library"
        sources = len(self.citations)
        return f"{len(self.measurements)} measurements from {sources} source{'s'[: sources > 1]}"

    def blocks(self) -> Iterator[str | Table]:
        rows = self.measurements
        if not rows:
            return
        units = ["" if m.unit == "1" else f" {m.unit}" for m in rows]
        shown = [f"{m.value:g}{unit}" for m, unit in zip(rows, units, strict=True)]
        yield Table((
            Column("metric", [m.metric for m in rows]), Column("value", shown),
            Column("target", [m.target for m in rows]),
            Column("draft", [m.draft or m.drafter for m in rows]),
            Column("gamma", [m.gamma for m in rows]),
            Column("batch", [m.batch for m in rows], "g"),
            Column("device", [m.device or m.hardware for m in rows]),
            Column("engine", [m.engine for m in rows]), Column("task", [m.task for m in rows]),
            Column("status", [m.status for m in rows]),
        ))  # fmt: skip
        yield from (f"source: {citation}" for citation in self.citations)


def evidence(
    target: str | None = None, *, draft: str | None = None, device: str | None = None
) -> Evidence:
    """List published measurements of a target, a draft or a device, each with its citation.

    target, draft, device: any of their names; draft may be a kind: EAGLE-3, MTP, DFlash, n-gram.
    Raises ValueError where none of the three is given, and for a device that is none.
    """
    from ..calibrate.library.evidence import evidence as measured

    return Evidence(measured(target, draft, device), target, draft, device)
