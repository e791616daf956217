"""What is known of the plain time per token, as an input of the costs."""

from __future__ import annotations

import numpy as np
import pytest
from howspec.calibrate.doors import Deployment, costs, resolve
from howspec.calibrate.doors.costs import plain_times
from howspec.calibrate.known import KnownCosts
from howspec.calibrate.prior.costs import PredictedCost
from howspec.calibrate.prior.costs_plain import PLAIN_ERROR
from hypothesis import given, settings
from hypothesis import strategies as st


def _known(plain_ms: object = None, target: str = "Qwen3-32B", draft: str = "Qwen3-1.7B",
           seed: int = 0, **changes: object) -> KnownCosts:  # fmt: skip
    at = Deployment(target, draft, "H100", **changes)  # type: ignore[arg-type]
    return costs(None, rng=np.random.default_rng(seed), pair=resolve(at), plain_ms=plain_ms)  # type: ignore[arg-type]


def _ln_step(known: KnownCosts, batch: float) -> np.ndarray:
    law = known.law
    assert isinstance(law, PredictedCost)
    return np.log(law.plain_step(batch=batch, context=1000.0))


def test_a_number_is_at_the_batch_asked_about_and_a_text_may_name_batches() -> None:
    assert plain_times(None, 4.0) == {}
    assert plain_times(34.2, 4.0) == {4.0: pytest.approx(0.0342)}
    assert plain_times("34.2", 4.0) == {4.0: pytest.approx(0.0342)}
    assert plain_times("1:34.2,32:51", 4.0) == plain_times({1: 34.2, 32: 51}, 4.0)


@pytest.mark.parametrize(
    ("given_ms", "message"),
    [
        ("fast", "plain_ms must be a time in ms, or batch:ms"),
        ("1:34,1:35", "plain_ms must state each batch once"),
        (0.0, r"plain_ms must be in \(0, inf\), got 0"),
        ("0.5:34", r"batch of plain_ms must be in \[1, inf\), got 0.5"),
    ],
)
def test_what_is_no_plain_time_is_said_in_one_line(given_ms: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        plain_times(given_ms, 1.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="plain_ms scales predicted costs"):
        costs(0.1, rng=np.random.default_rng(0), plain_ms=34.2)


@given(st.floats(15.0, 60.0), st.sampled_from([1.0, 16.0]))
@settings(max_examples=8)
def test_the_law_meets_the_plain_time_that_is_stated(ms: float, batch: float) -> None:
    steps = _ln_step(_known(ms, batch=batch), batch)
    assert np.median(steps) == pytest.approx(np.log(1e-3 * ms), abs=0.03)
    assert np.std(steps) < 3.0 * PLAIN_ERROR < np.std(_ln_step(_known(batch=batch), batch))


def test_a_slow_machine_makes_the_draft_slow_too() -> None:
    fast, slow = (_known(ms) for ms in (20.0, 40.0))
    steps = [np.median(np.asarray(k.law.draft.step_time([1.0]))) for k in (fast, slow)]  # type: ignore[attr-defined]
    assert steps[1] > 1.3 * steps[0]
    ratios = [np.median(np.asarray(k.cost_ratio())) for k in (fast, slow)]
    assert ratios[1] < 1.6 * ratios[0]


def test_several_loads_tell_what_verification_costs() -> None:
    one = _known({1: 24.0}, batch=64.0)
    steep, flat = (_known({1: 24.0, 64: at}, batch=64.0) for at in (45.0, 27.0))

    def growth(known: KnownCosts) -> np.ndarray:
        times = known.law.round_time(4, batch=64.0, context=1000.0)
        return np.log(times[:, 4] / times[:, 0])

    assert np.median(_ln_step(steep, 64.0)) == pytest.approx(np.log(0.045), abs=0.05)
    assert np.std(_ln_step(steep, 64.0)) < np.std(_ln_step(one, 64.0))
    assert np.median(growth(flat)) != pytest.approx(np.median(growth(steep)), abs=0.02)


def test_what_is_stated_is_named_in_the_answer() -> None:
    assert "plain time per token 34.2 ms at batch 1" in _known("34.2").given
