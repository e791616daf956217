"""All texts with their readings in one table, and what an import must be to agree with one."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from engine_field import OFF
from engine_logs import LOGS
from engine_pasted import PASTED
from engine_samples import SAMPLES
from howspec.calibrate.engines import EngineCounts
from howspec.calibrate.engines.health import Case, findings

_BROKEN = ("vllm v0, doubled word",)
# name: (text, reading); a reading is words of the refusal, or what the counts must be
TEXTS: dict[str, tuple[str, dict[str, Any] | str]] = {
    **{n: (text, {"engine": engine, **more}) for n, (text, engine, more) in SAMPLES.items()},
    **{n: (text, {"engine": n.split(",")[0], "said": said, **more})
       for n, (text, more, said) in LOGS.items()},
    **{f"pasted: {n}": (text, reading) for n, text, reading in PASTED},
    **{f"off: {n}": reading for n, reading in OFF.items()},
}  # fmt: skip


def consistent(found: EngineCounts) -> None:
    """What must hold of every answer, whatever the input."""
    for value in (found.rounds, found.drafted, found.accepted):
        assert value is None or 0 <= value < 2**63
    if found.accepted is not None and found.drafted is not None:
        assert found.accepted <= found.drafted
    if found.survival is not None:
        ladder = (1.0, *found.survival)
        assert all(b <= a + 1e-9 for a, b in pairwise(ladder))
    assert found.acceptance_length is None or found.acceptance_length >= 1.0 - 1e-9
    if found.accepted_is_prefix and found.rounds and found.accepted is not None:
        expected = 1 + found.accepted / found.rounds
        assert abs((found.acceptance_length or 0.0) - expected) <= 1e-6 * expected
    if not found.drafted and not found.accepted and found.acceptance_length is None:
        assert found.notes or found.groups or found.by_batch
    alpha = found.to_json()["alpha"]
    assert alpha is None or 0.0 <= alpha["low"] <= alpha["estimate"] <= alpha["high"] <= 1.0


def agree(name: str, found: EngineCounts) -> None:
    """Check counts against the reading of a text, and what holds of every text.

    A reading names attributes of the counts; "first" is the survival at position 1, "groups" their
    number, "said" words of a note. A pair of a value and a float is the value with its tolerance;
    of a survival the start is compared.
    """
    reading = TEXTS[name][1]
    assert isinstance(reading, dict)
    derived = {
        "first": (found.survival or (None,))[0], "groups": len(found.groups),
        "speeds": [g.tokens_per_s for g in found.groups], "rate": found.drafted_rate,
        "batches": [g.batch for g in found.by_batch],
        "said": next((n for n in found.notes if reading.get("said", "") in n), None),
    }  # fmt: skip
    for what, value in reading.items():
        got = derived[what] if what in derived else getattr(found, what)
        if what == "said":
            assert got is not None, value
        elif isinstance(value, tuple) and isinstance(value[-1], float):
            got = got[: len(value[0])] if what == "survival" else got
            assert got == pytest.approx(value[0], abs=value[1]), (what, got)
        else:
            assert got == (pytest.approx(value) if isinstance(value, float) else value), (what, got)
    if found.per_position_accepted and found.rounds:
        assert sum(found.per_position_accepted) == found.accepted
        assert found.survival == tuple(n / found.rounds for n in found.per_position_accepted)
    consistent(found)
    assert found.notes
    assert found.definition
    assert name in _BROKEN or findings(Case(found)) == ()
    answer = json.loads(json.dumps(found.to_json(), allow_nan=False))
    for what in ("rounds", "survival", "acceptance_length", "gamma", "alpha", "rounds_range"):
        assert what in answer
