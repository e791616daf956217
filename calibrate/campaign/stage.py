"""What a stage of a campaign is, and what it is given: folders, time, and someone to tell.

The state of a record is told from the files alone, so that a plan needs no model and a resumed
campaign loads none in vain.
"""

from __future__ import annotations

import math
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

from ..family.record import read_family
from ..files import replace_file
from ..measure.plans import Progress
from ..measure.sources import folder_hash
from ..records import Journal, collect_provenance
from ..records.merge import difference, origin_of
from ..records.provenance import split
from .estimate import Estimate
from .presets import Campaign

SUFFIXES = (".json", ".json.gz", ".part.jsonl")
# A stage of a campaign with a limit may take so many times what is expected of it.
LIMIT = 1.5


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
    report: Progress = lambda what, done, total: None
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

    def tidy(self) -> None:
        """Drop what a killed run left: half-written files, and journals of finished records."""
        for left in self.records.glob(".*.part"):
            left.unlink()
        for left in self.records.glob("*.part.jsonl"):
            if self.done(left.name.split(".")[0]):
                left.unlink()

    def take_copies(self) -> list[Path]:
        """Take from ``copies`` what is missing here, for a campaign that changed machines.

        Returns the files made here.
        """
        if self.copies is None:
            return []
        self.copies.mkdir(parents=True, exist_ok=True)
        self.records.mkdir(parents=True, exist_ok=True)
        taken = []
        for path in record_files(self.copies):
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
        for path in record_files(self.records):
            replace_file(self.copies / path.name, partial(shutil.copyfile, path))
        for path in record_files(self.copies):
            if path.name.endswith(".part.jsonl") and not (self.records / path.name).exists():
                path.unlink()


def record_files(folder: Path) -> list[Path]:
    """The records of a folder and the journals of those in progress, by name."""
    seen = (p for p in folder.iterdir() if not p.name.startswith("."))
    return sorted(p for p in seen if p.name.endswith(SUFFIXES))


class Stage(ABC):
    """One part of a campaign: its name, what it does, and after how long the next may begin.

    of_family: whether it needs the trained family.
    """

    name: str
    what: str
    of_family = False

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign

    @cached_property
    def limit_s(self) -> float:
        """After so long the next stage may begin: `LIMIT` times what is expected, if at all."""
        return LIMIT * self.estimate().time_s if self.campaign.limited else math.inf

    @abstractmethod
    def run(self, work: Work) -> None:
        """Do the work, from what is on disk, until it is complete or raise StageOver."""

    @abstractmethod
    def state(self, work: Work) -> str:
        """ "done", "begun" or "to do", from what is on disk.

        Raises ValueError for what is not of this campaign.
        """

    @abstractmethod
    def estimate(self) -> Estimate:
        """Expected time, memory and bytes."""

    def remark(self, work: Work) -> str:
        """A line to say of the stage when it is done, "" for none."""
        return ""


class RecordStage(Stage):
    """A stage that makes the record of its name."""

    kind: str

    @abstractmethod
    def settings(self, family: Mapping[str, Any]) -> dict[str, Any]:
        """The settings of the record, of a family where the stage needs one, {} otherwise."""

    @abstractmethod
    def load(self, work: Work) -> tuple[Any, dict[str, Any]]:
        """(what `measure` is given, what each model is for the provenance of the record)."""

    @abstractmethod
    def measure(self, work: Work, journal: Journal, given: Any) -> bool:
        """Append what the journal lacks; whether all of it is there now."""

    def models(self, work: Work, family: Mapping[str, Any]) -> dict[str, Any] | None:
        """What tells each model in the record without loading it, None where it is not here.

        Of the family that is the hash of the model's folder.
        """
        return _hashes(work.family, family)

    def run(self, work: Work) -> None:
        campaign, (given, models) = self.campaign, self.load(work)
        settings = self.settings(self._family(work))
        origin = collect_provenance(
            campaign.device, campaign.dtype, models=models, seed=campaign.seed
        )
        with work.journal(self.name, self.kind, settings, provenance=origin) as journal:
            if not self.measure(work, journal, given):
                raise StageOver
            journal.finish()

    def state(self, work: Work) -> str:
        """Whether the record is "done", "begun" or "to do".

        A record that is there must be the one that the campaign would make: the same kind, settings
        (preset, grids, prompts), number format and seed, and the same models, told by the hash of
        their weights or by their configuration. Machine and software may differ: a campaign may
        change machines between two stages (`remark` says so of a finished record; within one stage
        `Journal.open` refuses it). Raises ValueError naming the file and the entry that differs.
        """
        found = origin_of(work.records, self.name)
        if found is None:
            return "to do"
        if not self.of_family or work.has_family():
            family = self._family(work)
            differs = found.differs(self.kind, self.settings(family)) or self._other_models(
                self.models(work, family), found.provenance
            )
            if differs:
                raise ValueError(
                    f"{found.path}: is another measurement than the campaign {self.campaign.name} "
                    f"would make: {differs}; choose another --out, or move the file away to "
                    "measure it again"
                )
        return "done" if found.finished else "begun"

    def remark(self, work: Work) -> str:
        """A line on a finished record of another machine or software, "" where there is none."""
        found = origin_of(work.records, self.name)
        if found is None or not found.finished:
            return ""
        try:
            from ..measure.pairs import choose_device

            choose_device(self.campaign.device)
        except ModuleNotFoundError as error:
            differs = f"{error.name} is not installed here"
        except ValueError as error:
            differs = f"{error}, that was {found.provenance.get('device')}"
        else:
            stays = ("models", "dtype", "seed")
            there = {k: v for k, v in found.provenance.items() if k not in stays}
            differs = difference(split(collect_provenance(self.campaign.device))[0], there)
        if not differs:
            return ""
        return f"{found.path.name} counts as done and was measured elsewhere: {differs}"

    def _family(self, work: Work) -> dict[str, Any]:
        return read_family(work.family) if self.of_family else {}

    def _other_models(self, models: Mapping[str, Any] | None, provenance: Mapping[str, Any]) -> str:
        """The first difference in number format, seed and models, "" where there is none."""
        own = {"dtype": self.campaign.dtype, "seed": self.campaign.seed}
        differs = difference(own, {name: provenance.get(name) for name in own}, "provenance.")
        if differs or models is None:
            return differs
        given = provenance.get("models")
        said = given if isinstance(given, dict) else {}
        known = {name: _what_tells(model) for name, model in said.items()}
        return difference(dict(models), known, "provenance.models.")


def _what_tells(model: Any) -> Any:
    """Of what a record says of a model the hash of its folder, where there is one."""
    hashed = isinstance(model, dict) and "sha256_16" in model
    return {"sha256_16": model["sha256_16"]} if hashed else model


def _hashes(folder: Path, family: Mapping[str, Any]) -> dict[str, Any] | None:
    """The hash of every model of a family, None where the weights of one are not here."""
    found = {}
    for name in (model["name"] for model in family["models"]):
        files = [folder / name / "config.json", *sorted((folder / name).glob("*.safetensors"))]
        if len(files) < 2 or not files[0].exists():
            return None
        marks = ((f, f.stat().st_mtime_ns, f.stat().st_size) for f in files)
        found[name] = {"sha256_16": _hash(folder / name, tuple(marks))}
    return found


@lru_cache(maxsize=64)
def _hash(folder: Path, marks: tuple[tuple[Path, int, int], ...]) -> str:
    """The hash of a model, worked out again only where one of its files has changed."""
    return folder_hash(folder)
