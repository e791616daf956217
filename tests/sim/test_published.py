"""Predictions that know published speed-ups of the very pair."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from howspec.calibrate.library.evidence import Measurement
from howspec.sim import published as module

DRAWS = 40_000


def _log_gains(values: list[list[float]], monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Draws of ln speed-up at gamma 2 that are kept; values: speed-ups by study.

    Before, ln speed-up is normal about ln 2 with a standard deviation of 1.
    """
    rows = tuple(
        Measurement(f"{k}{i}", "table", f"study {k}", "speedup_run", v, gamma=2, batch=1.0)
        for k, study in enumerate(values)
        for i, v in enumerate(study)
    )
    monkeypatch.setattr(module, "_rows", lambda pair, gamma_max: rows)
    rng = np.random.default_rng(7)
    log_gain = math.log(2.0) + rng.standard_normal(DRAWS)
    tokens = np.stack([np.ones(DRAWS), np.ones(DRAWS), np.exp(log_gain)], axis=-1)
    law = SimpleNamespace(round_time=lambda gamma, **_: np.ones((DRAWS, 3)))
    pair = SimpleNamespace(at=SimpleNamespace(cached=0.0))
    found = module.published(pair, tokens, SimpleNamespace(law=law), rng)  # type: ignore[arg-type]
    assert found is not None
    return log_gain[found.keep]


@pytest.mark.parametrize("studies", [1, 2, 5])
def test_another_set_up_is_as_far_from_the_mean_as_those_published(
    studies: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = _log_gains([[1.5]] * studies, monkeypatch)
    variance = module._SIGMA**2 * (1.0 + 1.0 / studies)
    share = 1.0 / (1.0 + variance)  # of the published mean, against a prior of variance 1
    assert kept.mean() == pytest.approx(
        share * math.log(1.5) + (1.0 - share) * math.log(2.0), abs=0.02
    )
    assert kept.std() == pytest.approx(math.sqrt(variance * share), rel=0.04)


def test_rows_of_one_study_count_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    once = _log_gains([[1.5]], monkeypatch)
    often = _log_gains([[1.5] * 6], monkeypatch)
    assert np.array_equal(once, often)
