"""Our own campaigns: records of a ladder of trained models, bundled as they were measured."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..records import Record

_KINDS = ("costs", "acceptance", "sweep")
FAMILY = "-family.json"


@dataclass(frozen=True)
class OwnCampaign:
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
    def models(self) -> dict[str, dict[str, Any]]:
        """What the family says of each model, by name, the target first."""
        return {m["name"]: m for m in self.family["models"]}


def campaign_names() -> tuple[str, ...]:
    """Names of the bundled campaigns."""
    found = (p.name for p in resources.files(__package__).iterdir())
    return tuple(sorted(n.removesuffix(FAMILY) for n in found if n.endswith(FAMILY)))


def load_campaign(name: str) -> OwnCampaign:
    """A bundled campaign. Raises ValueError listing those that are bundled."""
    if name not in campaign_names():
        raise ValueError(f"campaign must be one of {', '.join(campaign_names())}, got {name!r}")
    with resources.as_file(resources.files(__package__).joinpath(f"{name}{FAMILY}")) as path:
        return read_campaign(path.parent, prefix=f"{name}-", name=name)


def read_campaign(folder: str | Path, *, prefix: str = "", name: str = "") -> OwnCampaign:
    """The campaign whose records lie in a folder, as `howspec calibrate campaign` leaves them.

    Records may be .json or .json.gz. Raises ValueError naming the file that is missing or bad.
    """
    from ..records import read_record

    place = Path(folder)
    found = {}
    for kind in _KINDS:
        paths = [place / f"{prefix}{kind}{suffix}" for suffix in (".json", ".json.gz")]
        path = next((p for p in paths if p.is_file()), None)
        if path is None:
            raise ValueError(f"{place}: holds no record {prefix}{kind}.json or .json.gz")
        found[kind] = read_record(path)
    family = place / f"{prefix}family.json"
    try:
        content = json.loads(family.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{family}: cannot be read: {error}") from None
    return OwnCampaign(name or place.name, **found, family=content)
