"""The law across pairs and its posterior, against slow computations; what it says of the unseen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from howspec.calibrate.prior.acceptance import AcceptancePrior
from howspec.calibrate.prior.acceptance_fit import sample_parameters
from howspec.calibrate.prior.acceptance_forecast import density_of, quantile
from howspec.calibrate.prior.acceptance_model import (
    COMMON,
    PARAMETERS,
    Cell,
    Conditioned,
    Design,
    Kernel,
    observed,
    usual_layers,
)

ROOT = Path(__file__).resolve().parents[2]
PRIOR = AcceptancePrior.load()


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


# --- the law -----------------------------------------------------------------------------------


def slow_covariance(a: Cell, b: Cell, theta: dict[str, float], same: bool) -> float:
    """Effect by effect, from the definition."""

    def shared(*known: object) -> bool:
        return same or all(known)

    total = sum(
        width**2 * x * y
        for (_, width), x, y in zip(COMMON.values(), slopes(a), slopes(b), strict=True)
    )
    task = shared(a.task, a.task == b.task)
    family = shared(a.family, a.family == b.family)
    pair = shared(a.draft, a.pair == b.pair)
    total += theta["task"] ** 2 * task
    total += theta["family"] ** 2 * family
    total += theta["source"] ** 2 * shared(a.source, a.source == b.source)
    total += theta["pair"] ** 2 * pair
    total += theta["family_task"] ** 2 * (same or (task and family))
    total += theta["branch_task"] ** 2 * (same or (task and family and a.branch == b.branch))
    alike = a.setting == b.setting and a.source == b.source
    total += theta["setting"] ** 2 * shared(a.draft, a.source, a.pair == b.pair, alike)
    total += theta["temperature"] ** 2 * family * (a.temperature or 0) * (b.temperature or 0)
    sizes = [np.log(min(c.draft_parameters, c.target_parameters) / 5e8) for c in (a, b)]
    total += theta["task_size"] ** 2 * task * sizes[0] * sizes[1]
    return float(total + same * a.doubt**2)


def slopes(c: Cell) -> tuple[float, ...]:
    depth = 0.0
    if c.draft_layers:
        depth = np.log(c.draft_layers / usual_layers(c.draft_parameters))
    half = 0.0 if c.quantised is None else 0.5 if c.quantised else -0.5
    return (1.0, c.temperature or 0.0, half, c.tuned, c.cross, c.overlap, depth)


def some_cells() -> list[Cell]:
    cells = [replace(PRIOR.cells[i], doubt=0.1 * (i % 3)) for i in range(0, 130, 13)]
    hot = [c for c in PRIOR.cells if c.family == "t5" and c.temperature == 1.0]
    return [
        *cells,
        *hot[1:4:2],  # another task, the same family
        Cell(7e9, 1e9),
        replace(cells[0], setting="another"),
        Cell(1e9, 2e9, task="code"),
    ]


def test_the_covariance_is_the_sum_of_the_effects_that_two_cells_share() -> None:
    cells = some_cells()
    design, theta = Design(cells), PRIOR.parameters[:3]
    fast = Kernel(design, design)(theta)
    for k, numbers in enumerate(theta):
        named = dict(zip(PARAMETERS, numbers, strict=True))
        slow = [
            [slow_covariance(a, b, named, i == j) for j, b in enumerate(cells)]
            for i, a in enumerate(cells)
        ]
        assert fast[k] == pytest.approx(np.array(slow), abs=1e-12)
    assert (np.linalg.eigvalsh(fast) > -1e-12).all()


def test_the_prediction_is_the_conditional_normal_of_a_dense_solve() -> None:
    theta, questions = PRIOR.parameters[:2], some_cells()[:4]
    mean, covariance = Conditioned(PRIOR.cells, theta).predict(questions)
    y, noise = observed(PRIOR.cells)
    known, asked = Design(PRIOR.cells), Design(questions)
    for k in range(2):
        t = theta[k : k + 1]
        whole = Kernel(known, known)(t)[0] + np.diag(noise)
        cross = Kernel(asked, known)(t)[0]
        gain = cross @ np.linalg.inv(whole)
        assert mean[k] == pytest.approx(asked.mean(t)[0] + gain @ (y - known.mean(t)[0]), abs=1e-8)
        expected = Kernel(asked, asked)(t)[0] - gain @ cross.T
        assert covariance[k] == pytest.approx(expected, abs=1e-8)


def test_the_known_part_falls_with_the_draft_rises_with_the_target_and_ends_at_the_target() -> None:
    theta = PRIOR.parameters
    drafts = Design([Cell(7e9, s) for s in np.geomspace(1e7, 6.9e9, 30)]).mean(theta)
    assert (np.diff(drafts, axis=1) < 0).all()
    targets = Design([Cell(s, 1e8) for s in np.geomspace(1.1e8, 1e12, 30)]).mean(theta)
    assert (np.diff(targets, axis=1) > 0).all()
    assert (Design([Cell(7e9, 7e9)]).mean(theta) == -np.inf).all()
    swapped = Design([Cell(1e9, 7e9)]).mean(theta)
    assert swapped == pytest.approx(Design([Cell(7e9, 1e9)]).mean(theta))


def simulated(seed: int, theta: np.ndarray, cells: list[Cell]) -> list[Cell]:  # type: ignore[type-arg]
    """The cells with alphas drawn from the law."""
    design = Design(cells)
    mean, covariance = design.mean(theta[None])[0], Kernel(design, design)(theta[None])[0]
    draw = rng(seed).multivariate_normal(mean, covariance)
    alpha = np.exp(-np.exp(draw))
    return [
        replace(c, alpha=float(np.clip(a, 1e-3, 1 - 1e-3)), error=float(0.02 * a * (1 - a) + 1e-3))
        for c, a in zip(cells, alpha, strict=True)
    ]


def test_the_sampler_covers_the_parameters_it_was_simulated_from() -> None:
    inside = []
    for seed in range(4):
        truth = PRIOR.parameters[7 * seed]
        cells = simulated(seed, truth, list(PRIOR.cells))
        found = sample_parameters(cells, rng(seed), draws=32, steps=60)
        low, high = np.quantile(found, [0.01, 0.99], axis=0)
        inside.append((truth > 0.8 * low) & (truth < high / 0.8))
    assert np.mean(inside) > 0.9


def test_the_sampler_refuses_too_few_walkers() -> None:
    with pytest.raises(ValueError, match=r"draws must be even and in \(22, inf\), got 20"):
        sample_parameters(PRIOR.cells, rng(), draws=20)


def test_the_example_of_the_account_runs() -> None:
    account = (ROOT / "calibrate" / "prior" / "acceptance.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(account.split("```python\n")[1].split("```")[0], names)
    assert names["low"] < names["median"] < names["high"]
    assert names["law"].shape == (2000,)


def test_quantiles_of_a_density_are_those_of_its_mixture() -> None:
    mean, variance = np.array([-1.5, -0.5])[:, None], np.array([0.04, 0.25])[:, None]
    draws = rng().normal(mean[:, 0], np.sqrt(variance[:, 0]), (200_000, 2)).ravel()
    for q in (0.05, 0.5, 0.95):
        expected = np.quantile(np.exp(-np.exp(draws)), q)
        assert quantile(density_of(mean, variance), q) == pytest.approx(expected, abs=0.003)
