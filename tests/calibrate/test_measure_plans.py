"""What is to be measured, as numbers: one out of its range is named before torch is imported."""

from __future__ import annotations

import math
from typing import Any

import pytest
from howspec.calibrate.measure.plans import (
    AcceptancePlan,
    PassGrid,
    RoundPlan,
    SweepPlan,
    check_temperature,
)


@pytest.mark.parametrize(
    ("plan", "values", "message"),
    [
        (AcceptancePlan, {"gamma": 0}, "gamma must be a whole number >= 1, got 0"),
        (AcceptancePlan, {"new_tokens": 0}, "new_tokens must be a whole number >= 1, got 0"),
        (AcceptancePlan, {"batch": -1}, "batch must be a whole number >= 1, got -1"),
        (AcceptancePlan, {"temperatures": ()}, "temperatures must be different numbers"),
        (AcceptancePlan, {"temperatures": (1.0, 1.0)}, "temperatures must be different numbers"),
        (AcceptancePlan, {"temperatures": (1e-9,)}, "temperature must be 0 or in"),
        (SweepPlan, {"gammas": (0, 1)}, "gammas must be different whole numbers >= 1"),
        (SweepPlan, {"batches": (2, 2)}, "batches must be different whole numbers >= 1"),
        (SweepPlan, {"plain_repeats": 0}, "plain_repeats must be a whole number >= 1, got 0"),
        (SweepPlan, {"gammas_by_draft": {"x": (0,)}}, "x must be different whole numbers >= 1"),
        (PassGrid, {"tokens": (0, 1)}, "tokens must be a whole number >= 1, got 0"),
        (PassGrid, {"tokens": ()}, "tokens must be a whole number >= 1, got none"),
        (PassGrid, {"shapes": ((0, 8),)}, "batch must be a whole number >= 1, got 0"),
        (PassGrid, {"shapes": ((1, -1),)}, "context must be a whole number >= 0, got -1"),
        (PassGrid, {"repeats": 0}, "repeats must be a whole number >= 1, got 0"),
        (PassGrid, {"warmup": 0}, "warmup must be a whole number >= 1, got 0"),
        (PassGrid, {"modes": ("fast",)}, "modes must be of eager, graph, got"),
        (RoundPlan, {"gammas": (0, 1)}, "gamma must be a whole number >= 1, got 0"),
        (RoundPlan, {"gammas": ()}, "gamma must be a whole number >= 1, got none"),
        (RoundPlan, {"shapes": ((0, 8),)}, "batch must be a whole number >= 1, got 0"),
        (RoundPlan, {"shapes": ((1, 0),)}, "context must be a whole number >= 1, got 0"),
        (RoundPlan, {"repeats": 0}, "repeats must be a whole number >= 1, got 0"),
        (RoundPlan, {"modes": ("compiled",)}, "modes must be of eager, graph, got"),
    ],
)
def test_a_number_out_of_range_is_named(plan: Any, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plan(**({"tokens": (1,)} if plan is PassGrid else {}) | values)


@pytest.mark.parametrize("temperature", [-1.0, 1e-4, math.nan, math.inf])
def test_a_temperature_out_of_range_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature must be 0 or in"):
        check_temperature(temperature)
