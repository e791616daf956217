"""Our own campaigns: records of ladders and architectures, bundled as they were measured.

The files of a campaign NAME are NAME-family.json, and as .json or .json.gz NAME-costs,
NAME-acceptance and NAME-sweep; a campaign may also have NAME-costs-architectures, passes of named
architectures, and NAME-costs-equal, of models of equal size and different depth. A cost record
counts on its own, whether or not the rest of its campaign is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..records import Record

_KINDS = ("costs", "acceptance", "sweep")
FAMILY = "-family.json"
# Records of costs, those of the ladder first: of named architectures and of equal sizes.
COSTS = ("costs", "costs-architectures", "costs-equal")
_SUFFIXES = (".json", ".json.gz")
SERVED = "-served.json.gz"


class _OfFamily:
    """What a campaign's family says of its models."""

    family: dict[str, Any]

    @property
    def models(self) -> dict[str, dict[str, Any]]:
        """What the family says of each model, by name, the target first."""
        return {m["name"]: m for m in self.family["models"]}

    @cached_property
    def parameters(self) -> dict[str, int]:
        """Parameters by model."""
        return {n: int(m["parameters"]) for n, m in self.models.items()}

    @cached_property
    def layers(self) -> dict[str, int]:
        """Layers by model."""
        return {n: int(m["layers"]) for n, m in self.models.items()}

    @cached_property
    def roles(self) -> dict[str, str]:
        """``target``, ``ladder`` or ``depth`` by model."""
        return {n: str(m["role"]) for n, m in self.models.items()}

    @property
    def target(self) -> str:
        """The model whose tokens are decoded."""
        return next(m for m, role in self.roles.items() if role == "target")


@dataclass(frozen=True)
class OwnCampaign(_OfFamily):
    """One ladder on one machine.

    costs, acceptance, sweep: records; family: sizes, training and held-out losses of its models,
    as the training wrote them.
    """

    name: str
    costs: Record
    acceptance: Record
    sweep: Record
    family: dict[str, Any]

    @property
    def drafts(self) -> tuple[str, ...]:
        """The drafts of the sweep, the largest first."""
        seen = {str(p["draft"]) for p in self.sweep.points if p["method"] == "sps"}
        return tuple(sorted(seen, key=lambda m: -self.parameters[m]))


@dataclass(frozen=True)
class OwnCosts:
    """One cost record of a campaign.

    what: ``costs``, ``costs-architectures`` or ``costs-equal``; family: of the ladder, None for
    the records of other models and where it is not there.
    """

    campaign: str
    what: str
    record: Record
    family: dict[str, Any] | None = None

    @property
    def stem(self) -> str:
        """A name for files, such as ``cpu_costs`` or ``gpu_costs_equal``."""
        return f"{self.campaign}_{self.what}".replace("-", "_")


@dataclass(frozen=True)
class ServedCampaign(_OfFamily):
    """A ladder on a serving engine: a record of kind "serving" and the family that it ran.

    The files of NAME are NAME-served.json.gz and NAME-served-family.json.
    """

    name: str
    record: Record
    family: dict[str, Any]

    @property
    def ladder(self) -> tuple[str, ...]:
        """Drafts that differ in size or depth."""
        return tuple(m for m, role in self.roles.items() if role in ("ladder", "depth"))

    def called(self, draft: str) -> str:
        """A draft by its share of the target, and by its layers."""
        if draft not in self.models:
            return draft
        if "called" in self.models[draft]:
            return str(self.models[draft]["called"])
        share, layers = self.parameters[self.target] / self.parameters[draft], self.layers[draft]
        return f"1/{share:.2g}, {layers} layer{'s' if layers > 1 else ''}"


def served_campaigns() -> tuple[ServedCampaign, ...]:
    """The bundled ladders on serving engines."""
    from ..records import read_record

    with resources.as_file(resources.files(__package__)) as place:
        names = sorted(p.name.removesuffix(SERVED) for p in place.glob(f"*{SERVED}"))
        return tuple(
            ServedCampaign(
                n, read_record(place / f"{n}{SERVED}"), _family(place / f"{n}-served{FAMILY}")
            )
            for n in names
        )


def campaign_names() -> tuple[str, ...]:
    """Names of the bundled campaigns that have a family and all records of a ladder."""
    with resources.as_file(resources.files(__package__)) as place:
        names = sorted(p.name.removesuffix(FAMILY) for p in place.glob(f"*{FAMILY}"))
        return tuple(n for n in names if all(_file(place, f"{n}-{kind}") for kind in _KINDS))


def load_campaign(name: str) -> OwnCampaign:
    """A bundled campaign. Raises ValueError listing those that are bundled."""
    if name not in campaign_names():
        raise ValueError(f"campaign must be one of {', '.join(campaign_names())}, got {name!r}")
    with resources.as_file(resources.files(__package__).joinpath(f"{name}{FAMILY}")) as path:
        return read_campaign(path.parent, prefix=f"{name}-", name=name)


def read_campaign(folder: str | Path, *, prefix: str = "", name: str = "") -> OwnCampaign:
    """The campaign whose records lie in a folder, as `howspec calibrate campaign` leaves them.

    Records may be .json or .json.gz, in the folder or in its folder ``records``. Without a family
    beside them the largest model that they name is the target, and the others are its ladder.
    Raises ValueError naming the file that is missing or bad.
    """
    from ..records import read_record

    place = Path(folder)
    if (place / "records").is_dir():
        place = place / "records"
    found = {}
    for kind in _KINDS:
        path = _file(place, f"{prefix}{kind}")
        if path is None:
            raise ValueError(f"{place}: holds no record {prefix}{kind}.json or .json.gz")
        found[kind] = read_record(path)
    family = _family_of(place, prefix, found["costs"])
    return OwnCampaign(name or Path(folder).name, **found, family=family)


def _family_of(place: Path, prefix: str, costs: Record) -> dict[str, Any]:
    """The family beside records, or as much of it as the cost record says of its models."""
    for path in (place / f"{prefix}family.json", place.parent / "family" / "family.json"):
        if path.is_file():
            return _family(path)
    said = costs.provenance.get("models")
    models = [m for m in said.values() if isinstance(m, dict)] if isinstance(said, dict) else []
    sized = [m for m in models if {"name", "parameters", "layers"} <= set(m)]
    if len(sized) < 2:
        raise ValueError(
            f"{place}: holds no {prefix}family.json, and the record of costs says parameters and "
            f"layers of {len(sized)} models, where a target and a draft are needed"
        )
    sized.sort(key=lambda m: -int(m["parameters"]))
    return {
        "models": [{**m, "role": "target" if i == 0 else "ladder"} for i, m in enumerate(sized)]
    }


def bundled_costs() -> tuple[OwnCosts, ...]:
    """All bundled cost records, campaign by campaign."""
    with resources.as_file(resources.files(__package__)) as place:
        files = ((p.name, f"-{what}.json") for what in COSTS for p in place.glob(f"*-{what}.json*"))
        campaigns = {name[: name.rindex(end)] for name, end in files}
        return tuple(costs_in(place, sorted(campaigns)))


def family_beside(path: str | Path) -> dict[str, Any] | None:
    """The family of the ladder that a cost record timed, from the file that belongs to it.

    Looked for beside the record (family.json, or NAME-family.json of NAME-costs.json), and in the
    folder ``family`` of the campaign that wrote it. None where there is none.
    """
    record = Path(path)
    stem = record.name.removesuffix(".gz").removesuffix(".json")
    if not stem.endswith("costs"):
        return None
    beside = record.with_name(f"{stem.removesuffix('costs')}family.json")
    for found in (beside, record.parent.parent / "family" / "family.json"):
        if found.is_file():
            return _family(found)
    return None


def costs_in(place: Path, campaigns: Iterable[str]) -> Iterator[OwnCosts]:
    """The cost records of campaigns in a folder, CAMPAIGN-costs.json and so on."""
    from ..records import read_record

    for campaign in campaigns:
        family = place / f"{campaign}{FAMILY}"
        for what in COSTS:
            path = _file(place, f"{campaign}-{what}")
            if path is None:
                continue
            own = _family(family) if what == "costs" and family.is_file() else None
            yield OwnCosts(campaign, what, read_record(path), own)


def _file(place: Path, stem: str) -> Path | None:
    paths = (place / f"{stem}{suffix}" for suffix in _SUFFIXES)
    return next((p for p in paths if p.is_file()), None)


def _family(path: Path) -> dict[str, Any]:
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from None
    if isinstance(content, dict):
        models = content.get("models")
        if isinstance(models, list) and all(isinstance(m, dict) and "name" in m for m in models):
            return content
    raise ValueError(f"{path}: must hold an object with a list of named models")
