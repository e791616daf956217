"""Names as people write them, one a row of `names.csv`, and what they are found to mean."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from howspec.calibrate.models import device, find_model
from howspec.calibrate.models.drafters import drafter_kind
from howspec.calibrate.prior.acceptance_cells import canonical_task
from howspec.calibrate.prior.acceptance_library import drafting_kind, parameters_of
from howspec.calibrate.prior.acceptance_model import family_of
from howspec.calibrate.prior.stacks import stack_name

with Path(__file__).with_name("names.csv").open(encoding="utf-8", newline="") as file:
    NAMES = [(row["what"], row["written"], row["found"]) for row in csv.DictReader(file)]


def _model(written: str) -> str:
    """The name in the table, and the format that the name tells; "" for no model."""
    found = find_model(written)
    if found is None:
        return ""
    assert found.called == written
    return f"{found.name} {found.dtype}"


def _device(written: str) -> str:
    found = device(written)
    assert found.total_memory == found.count * found.memory
    return found.label


def _memory(written: str) -> str:
    """The device with the memory that the name tells, or the table's."""
    return f"{_device(written)} {device(written).memory / 1e9:g} GB"


def _size(written: str) -> str:
    """Parameters by the name, "" where it does not say."""
    found = parameters_of(written)
    return "" if found is None else f"{found / 1e9:.2g} B"


FIND: dict[str, Callable[[str], str | None]] = {
    "model": _model, "device": _device, "memory": _memory, "drafter": drafter_kind,
    "line of models": family_of, "task": canonical_task, "size": _size, "drafting": drafting_kind,
    "stack": stack_name,
}  # fmt: skip


@pytest.mark.parametrize(("what", "written", "found"), NAMES)
def test_a_name_means_what_people_mean_by_it(what: str, written: str, found: str) -> None:
    assert (FIND[what](written) or "") == found


def test_names_of_every_kind_are_there() -> None:
    assert {what for what, _, _ in NAMES} == set(FIND)
