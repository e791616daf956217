"""Makes the curves of heads and of look-up from the bundled tables, fits the spreads of their
hierarchy to them, and stores both.

    python -m howspec.calibrate.prior.heads_fit

It takes a minute or two.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...theory.domain import Floats
from ..library.evidence import Measurement, measurements
from .acceptance_fit import store_rows, walk
from .acceptance_model import log_density
from .head_curves import HEADS, LOOK_UP, HeadCurve, head_curves, looked_up
from .heads_model import LOOK_UP_SPREADS, SPREADS, Observed

SEED = 20261128
KEPT = 12  # draws that are stored, of the walkers
_TABLES = ("measured", "specbundle", "serving_speedups")
_WARMEST = 1.0  # temperature; above it rows are of another rule of acceptance
# First acceptances that a paper states, where no tokens of a chain are published.
_STATED = (
    HeadCurve("Medusa", "Vicuna-7B", "Medusa", "", (1,), (1.6,),
              "arXiv:2401.10774, top-1 accuracy of the first head", scatter=0.06),
    HeadCurve("MTP", "DeepSeek-V3", "MTP depth 1", "", (1,), (1.875,),
              "arXiv:2412.19437 sec 5.4.3, 85 to 90 % over topics", scatter=0.03),
)  # fmt: skip


def built_curves() -> tuple[HeadCurve, ...]:
    """The curves of `head_curves`, made of the rows of the tables."""
    return tuple(c for kind in (*HEADS, *LOOK_UP) for c in _of_kind(kind))


def _of_kind(kind: str) -> tuple[HeadCurve, ...]:
    found: dict[tuple[object, ...], dict[int, list[float]]] = {}
    first: dict[tuple[object, ...], Measurement] = {}
    for m in lengths(kind):
        usual = m.temperature is None or m.temperature <= _WARMEST
        if m.gamma and usual and 1.0 < m.value < m.gamma + 1.0:
            target = m.target_model or m.target
            key = (target, m.draft, m.task, m.temperature, m.context, m.citation.split(",")[0])
            found.setdefault(key, {}).setdefault(m.gamma, []).append(m.value)
            first.setdefault(key, m)
    curves = [
        HeadCurve(
            kind, m.target_model or m.target, m.draft, m.task, tuple(sorted(found[key])),
            tuple(float(np.mean(found[key][g])) for g in sorted(found[key])),
            m.citation, m.temperature, m.context,
        )
        for key, m in first.items()
    ]  # fmt: skip
    return (*curves, *(c for c in _STATED if c.kind == kind))


def lengths(drafter: str) -> tuple[Measurement, ...]:
    """Tokens per round of a kind of drafter, of chains, blocks and look-up: those that are scored,
    and those that were counted from raw traces.

    Accepted over drafted tokens and rates by position say the same where gamma is stated, and are
    turned into it; a gamma that has a printed length keeps that.
    """
    found = [m for m in measurements() if m.table in _TABLES and m.drafter == drafter]
    kept = [
        m for m in found
        if (m.scored or m.status == "computed") and m.drafting not in ("tree", "adaptive")
    ]  # fmt: skip
    printed = [m for m in kept if m.metric == "tokens_per_round"]
    seen = {(_setting(m), m.gamma) for m in printed}
    return (*printed, *(m for m in _derived(kept) if (_setting(m), m.gamma) not in seen))


def _setting(m: Measurement) -> tuple[object, ...]:
    return (m.citation, m.target, m.draft, m.task, m.temperature, m.context)


def _derived(rows: Iterable[Measurement]) -> Iterator[Measurement]:
    """Lengths that accepted over drafted tokens, or rates of all positions up to one, amount to."""
    by_position: dict[tuple[object, ...], dict[int, Measurement]] = {}
    for m in rows:
        if m.metric == "accepted_over_drafted" and m.gamma:
            yield replace(m, metric="tokens_per_round", value=1.0 + m.gamma * m.value)
        elif m.metric == "position_rate" and m.position and m.gamma:
            by_position.setdefault((_setting(m), m.gamma), {}).setdefault(m.position, m)
    for rates in by_position.values():
        value = 1.0
        for k in range(1, len(rates) + 1):
            if k not in rates:
                break
            value += rates[k].value
            yield replace(rates[k], metric="tokens_per_round", gamma=k, position=None, value=value)


def fit() -> dict[str, object]:
    """The content of the stored file."""
    curves, texts = head_curves(), looked_up()
    return {
        "about": "posterior draws of the spreads between heads, and of look-up; see heads_model",
        "seed": SEED, "curves": len(curves), "spreads": list(SPREADS),
        "look_up_curves": len(texts), **fitted(curves), **fitted(texts, "look_up_"),
    }  # fmt: skip


def fitted(
    curves: Sequence[HeadCurve], name: str = "", draws: list[list[float]] | None = None
) -> dict[str, object]:
    """Draws of the spreads, fitted where none are given, and the weights of settings with them."""
    draws = _draws(curves) if draws is None else draws
    shares = Observed(curves).weigh(np.array(draws))
    return {f"{name}draws": draws, f"{name}shares": shares.tolist()}


def _draws(curves: Sequence[HeadCurve]) -> list[list[float]]:
    found = sample_spreads(curves, np.random.default_rng(SEED))[:KEPT]
    return [[float(f"{x:.4g}") for x in row] for row in found]


def sample_spreads(
    curves: Sequence[HeadCurve],
    rng: np.random.Generator,
    *,
    draws: int = 36,
    steps: Sequence[int] = (60, 60, 160),
) -> Floats:
    """Draws of the spreads given measured curves, shape (draws, 16): an ensemble of walkers.

    steps: of the ensemble in each of its runs; the settings are weighed anew before the next.
    """
    seen = Observed(curves)
    prior = np.array(list((LOOK_UP_SPREADS if seen.design.look_up else SPREADS).values()))

    def log_posterior(log_theta: Floats) -> Floats:
        z = (log_theta - np.log(prior[:, 0])) / prior[:, 1]
        root = seen.root(np.exp(log_theta))
        return np.asarray(log_density(root, seen.residual) - 0.5 * (z**2).sum(axis=1))

    found = prior[None, :, 0]
    for run in steps:
        seen.weigh(found)
        center = np.log(found).mean(axis=0)
        found = np.exp(walk(log_posterior, center, rng, draws=draws, steps=run))
    return found


if __name__ == "__main__":
    store_rows(Path(__file__).with_name("head_curves.json"), "curves", built_curves())
    text = json.dumps(fit()).replace("], ", "],\n") + "\n"
    Path(__file__).with_name("heads_fit.json").write_text(text, "utf-8")
