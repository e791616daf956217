"""What every stage of a campaign is given: folders, time, and someone to tell."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..files import replace_file
from ..records import Journal, collect_provenance
from ..records.provenance import split
from .presets import Campaign

Report = Callable[[str, int, int], None]
SUFFIXES = (".json", ".json.gz", ".part.jsonl")


class StageOver(Exception):  # noqa: N818 - not an error: the time of a stage is up
    """The time of a stage is up; what it measured is on disk."""


@dataclass
class Work:
    """The campaign's folders and what its stages share.

    out: everything large (models, corpus), with the records and their journals in its folder
    records; given_family: folder of a trained family to use instead of out/family; copies: a
    second folder that holds the same records after every stage, and from which missing ones are
    taken, or None; deadline_s: reading of ``clock`` at which a stage stops; opened: the journal
    opened last with the points it had.
    """

    out: Path
    text: Path | None = None
    given_family: Path | None = None
    copies: Path | None = None
    deadline_s: float = math.inf
    clock: Callable[[], float] = time.monotonic
    report: Report = lambda what, done, total: None
    say: Callable[[str], None] = lambda line: None
    opened: tuple[Journal, int] | None = None

    @property
    def records(self) -> Path:
        """The folder of the records."""
        return self.out / "records"

    @property
    def family(self) -> Path:
        """The folder of the family."""
        return self.given_family or self.out / "family"

    @property
    def own_family(self) -> bool:
        """Whether the family was named, rather than trained here."""
        return self.given_family is not None

    def has_family(self) -> bool:
        """Whether there is a trained family."""
        return (self.family / "family.json").exists()

    def seconds_left(self) -> float:
        """Time that the stage still has, below 0 when it is up."""
        return self.deadline_s - self.clock()

    def stands_still(self) -> bool:
        """Whether the record opened last has got no point since."""
        return self.opened is not None and len(self.opened[0].points) == self.opened[1]

    def done(self, name: str) -> bool:
        """Whether the record ``name`` is finished."""
        return (self.records / f"{name}.json").exists()

    def begun(self, name: str) -> bool:
        """Whether the record ``name`` was begun and is not finished."""
        return not self.done(name) and (self.records / f"{name}.part.jsonl").exists()

    def journal(
        self,
        name: str,
        kind: str,
        settings: Mapping[str, Any],
        *,
        provenance: Mapping[str, Any],
    ) -> Journal:
        """The journal of the record ``name``, new or resumed."""
        journal = Journal.open(
            self.records, name, kind=kind, settings=settings, provenance=provenance
        )
        self.opened = (journal, len(journal.points))
        return journal

    def provenance(self, campaign: Campaign, models: Mapping[str, Any]) -> dict[str, Any]:
        """Provenance of what is measured now for a campaign, of these models."""
        return collect_provenance(
            campaign.device, campaign.dtype, models=models, seed=campaign.seed
        )

    def machine(self, campaign: Campaign) -> dict[str, Any]:
        """The machine and software in use, as the provenance of a record has them."""
        return split(collect_provenance(campaign.device))[0]

    def take_copies(self) -> list[Path]:
        """Take from ``copies`` what is missing here, for a campaign that changed machines.

        Returns the files made here.
        """
        if self.copies is None:
            return []
        self.copies.mkdir(parents=True, exist_ok=True)
        self.records.mkdir(parents=True, exist_ok=True)
        taken = []
        for path in _files(self.copies):
            name = path.name.split(".")[0]
            if not self.done(name) and not (self.records / path.name).exists():
                replace_file(self.records / path.name, partial(shutil.copyfile, path))
                taken.append(self.records / path.name)
        return taken

    def give_copies(self) -> None:
        """Bring ``copies`` up to date: finished records and the journals of begun ones."""
        if self.copies is None or not self.records.exists():
            return
        for half in self.copies.glob(".*.part"):
            half.unlink()  # of a run that was killed
        for path in _files(self.records):
            replace_file(self.copies / path.name, partial(shutil.copyfile, path))
        for path in _files(self.copies):
            if path.name.endswith(".part.jsonl") and not (self.records / path.name).exists():
                path.unlink()

    def files(self) -> dict[str, int]:
        """Bytes of every finished record."""
        if not self.records.exists():
            return {}
        return {
            p.name: p.stat().st_size
            for p in _files(self.records)
            if not p.name.endswith(".part.jsonl")
        }


def _files(folder: Path) -> list[Path]:
    return sorted(
        p for p in folder.iterdir() if p.name.endswith(SUFFIXES) and not p.name.startswith(".")
    )
