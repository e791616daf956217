"""How often a gamma that is chosen from names alone comes near the best measured one.

Draws of predicted laws say with which probability a gamma gives up no more than 5 % of the fastest.
Over the published sweeps of a pair on a machine, each asked by its names with its study left out,
that share does not tell which choices come near: the higher it is said, the more seldom it is met.
So answers from names say how often such choices came near, one rate for all. Sweeps of one study
are alike: of n sweeps a study weighs n / (1 + (n - 1) r), r the correlation of two of them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ..files import bundled_json
from ..library.load import same_study

FILE = "near_best.json"
_HEAD = {"schema": "howspec.near_best", "version": 1}
Counts = Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class NearBest:
    """rate: share of sweeps of a new study, in (0, 1), in which the choice came near the best;
    sweeps, studies: how many it rests on.
    """

    rate: float
    sweeps: int
    studies: int


def near_best(objective: str, *, unseen: str = "") -> NearBest:
    """What the sweeps of other studies than ``unseen`` say of choices under an objective."""
    counts, alike = _stored()
    kept = {s: c for s, c in counts[objective].items() if not same_study(s, unseen)}
    near, sweeps = np.array(list(kept.values()), dtype=float).T
    weight = 1.0 / (1.0 + (sweeps - 1.0) * alike)
    rate = float((weight * near).sum() / (weight * sweeps).sum())
    return NearBest(rate, int(sweeps.sum()), len(kept))


def correlation(counts: Counts) -> float:
    """The likeliest correlation of two sweeps of a study, on a grid: counts are beta-binomial."""
    from scipy.special import betaln

    near, sweeps = np.array(list(counts.values()), dtype=float).T
    mean, alike = np.meshgrid(np.linspace(0.02, 0.98, 97), np.linspace(0.01, 0.9, 90))
    total = 1.0 / alike - 1.0
    a, b = (mean * total)[..., None], ((1.0 - mean) * total)[..., None]
    likely = (betaln(a + near, b + sweeps - near) - betaln(a, b)).sum(axis=-1)
    return float(alike.flat[likely.argmax()])


def to_text(counts: Mapping[Any, Counts], alike: float) -> str:
    """The content of the file, one line a study and objective, so that a change can be read."""
    rows = [
        f'  "{objective}": {{\n'
        + ",\n".join(f"    {json.dumps(s)}: {list(c)}" for s, c in sorted(own.items()))
        + "\n  }"
        for objective, own in counts.items()
    ]
    head = ", ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in _HEAD.items())
    return f'{{{head}, "alike": {round(alike, 2):g},\n"studies": {{\n' + ",\n".join(rows) + "\n}}\n"


@cache
def _stored() -> tuple[Mapping[str, Counts], float]:
    """Counts by objective and study, (near, sweeps), and the correlation within a study."""
    found = bundled_json(__package__, FILE)
    if {name: found.get(name) for name in _HEAD} != _HEAD:
        raise ValueError(f"{FILE}: schema must be {_HEAD['schema']}, version {_HEAD['version']}")
    studies = {
        objective: {s: (int(n), int(of)) for s, (n, of) in own.items()}
        for objective, own in found["studies"].items()
    }
    return studies, float(found["alike"])
