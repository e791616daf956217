"""Rounds of a known alpha, written in an engine's words and imported, give that alpha back."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_samples import read
from howspec.calibrate.engines import EngineCounts
from howspec.calibrate.engines.alpha import alpha_interval, fit_engine_counts
from howspec.calibrate.engines.completed import counts_as
from howspec.calibrate.engines.write import FORMATS, log, sample
from howspec.theory import DepthAcceptance
from scipy.special import betaincinv
from scipy.stats import beta

EXACT = [name for name in FORMATS if name not in ("sglang-log", "tensorrt-llm-metrics")]


def imported(name: str, kept: np.ndarray, gamma: int, folder: Path) -> EngineCounts:
    write = partial(log, "sglang-log", lines=20) if name == "sglang-log" else FORMATS[name]
    return read(folder, write(kept, gamma))


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_written_is_read_back(name: str, tmp_path: Path) -> None:
    kept = DepthAcceptance(0.7).draw(np.random.default_rng(5), gamma=5, rounds=700)
    found = imported(name, kept, 5, tmp_path)
    assert found.gamma == 5
    assert found.acceptance_length == pytest.approx(1 + kept.mean(), abs=0.005)
    if name != "sglang-log":
        assert (found.rounds, found.drafted, found.accepted) == (700, 3500, kept.sum())
    if name in EXACT:
        assert found.per_position_accepted == tuple((kept >= k).sum() for k in range(1, 6))


@pytest.mark.parametrize(
    "name", ["vllm-log", "llama.cpp-request", "aiperf-record", "sglang-log", "tensorrt-llm-metrics"]
)
def test_alpha_is_inside_its_interval_as_often_as_the_interval_says(
    name: str, tmp_path: Path
) -> None:
    """200 runs, 95 % intervals: no fewer inside than 3 standard errors below; 1,000 and all formats
    are in benchmarks/import_round_trip.py."""
    rng, inside, runs = np.random.default_rng(11), 0, 200
    for _ in range(runs):
        alpha, gamma = rng.uniform(0.3, 0.95), int(rng.integers(2, 8))
        kept = DepthAcceptance(alpha).draw(rng, gamma=gamma, rounds=400)
        found = alpha_interval(imported(name, kept, gamma, tmp_path))
        inside += found.low <= alpha <= found.high
        if name not in ("sglang-log", "tensorrt-llm-metrics"):
            # What is printed knows no more than the rounds: their own interval lies within.
            accepted, rejected = int(kept.sum()), int((kept < gamma).sum())
            low, high = beta.ppf([0.025, 0.975], accepted + 0.5, rejected + 0.5)
            assert found.low <= low
            assert high <= found.high
            assert found.high - found.low < 1.2 * (high - low) + 1e-3
    assert inside / runs > 0.95 - 3 * (0.95 * 0.05 / runs) ** 0.5


@pytest.mark.parametrize(("gamma", "rounds"), [(1, 20), (3, 10)])
@pytest.mark.parametrize("alpha", [0.05, 0.3, 0.5, 0.71, 0.9, 0.98])
def test_an_interval_from_the_sum_covers_alpha_at_its_level_in_the_exact_distribution(
    alpha: float, gamma: int, rounds: int
) -> None:
    one = [alpha**k * (1 - alpha) for k in range(gamma)] + [alpha**gamma]
    total = np.array([1.0])
    for _ in range(rounds):
        total = np.convolve(total, one)
    held = 0.0
    for accepted, chance in enumerate(total):
        found = alpha_interval(_counts(rounds=rounds, accepted=accepted, gamma=gamma))
        held += chance * (found.low <= alpha <= found.high)
    assert held >= 0.95


def test_printed_digits_widen_the_interval_and_short_rounds_too() -> None:
    survival = [0.8, 0.6, 0.45]
    known = {"rounds": 10_000, "accepted": 18_500, "gamma": 3, "survival": survival}
    sharp = alpha_interval(_counts(**known))
    told = _counts(**known).to_json()["alpha"]
    assert (told["low"], told["estimate"], told["high"]) == (sharp.low, sharp.estimate, sharp.high)
    printed = alpha_interval(_counts(**known, survival_half_width=0.05))
    short = alpha_interval(_counts(**known, drafted=29_800))
    assert sharp.low == pytest.approx(betaincinv(18_500, 5_501, 0.025))
    assert sharp.high == pytest.approx(betaincinv(18_501, 5_500, 0.975))
    assert printed.low == pytest.approx(betaincinv(18_500, 6_001, 0.025))
    assert printed.high == pytest.approx(betaincinv(18_501, 5_000, 0.975))
    assert short.low == sharp.low
    assert short.high == pytest.approx(betaincinv(18_501, 5_300, 0.975))


@pytest.mark.parametrize(("accepted", "low", "high"), [(0, 0.0, None), (40, None, 1.0)])
def test_intervals_end_at_the_limits(accepted: int, low: float | None, high: float | None) -> None:
    survival = [accepted / 40] * 2
    for counts in (
        _counts(rounds=20, accepted=accepted, gamma=2),
        _counts(rounds=20, accepted=accepted, gamma=2, survival=survival),
    ):
        found = alpha_interval(counts)
        assert found.estimate == accepted / 40
        assert low is None or (found.low == low and 0.0 < found.high < 0.3)
        assert high is None or (found.high == high and 0.7 < found.low < 1.0)


def test_what_determines_no_interval_is_null_and_refused() -> None:
    counts = counts_as("sglang-decode-log", gamma=3, acceptance_length=2.5)
    assert counts.to_json()["alpha"] is None
    with pytest.raises(ValueError, match="determines none of them"):
        alpha_interval(counts)
    with pytest.raises(ValueError, match=r"level must be in \(0, 1\)"):
        alpha_interval(_counts(rounds=9, accepted=5, gamma=1), level=1.0)


def _counts(*, rounds: int, accepted: int, gamma: int, **known: Any) -> EngineCounts:
    known = {"drafted": rounds * gamma, **known}
    return counts_as("vllm-per-request", rounds=rounds, accepted=accepted, gamma=gamma, **known)


def test_counts_feed_the_fit(tmp_path: Path) -> None:
    kept = DepthAcceptance(0.8).draw(np.random.default_rng(3), gamma=4, rounds=3000)
    found = imported("vllm-prometheus", kept, 4, tmp_path)
    fit = fit_engine_counts(found, np.random.default_rng(0))
    low, high = np.quantile(fit.alpha, [0.005, 0.995])
    assert low < 0.8 < high
    assert high - low < 0.06


def test_a_length_with_gamma_can_be_fitted_and_counts_alone_cannot(tmp_path: Path) -> None:
    kept = DepthAcceptance(0.7).draw(np.random.default_rng(4), gamma=4, rounds=900)
    fit = fit_engine_counts(imported("sglang-log", kept, 4, tmp_path), np.random.default_rng(0))
    assert np.quantile(fit.alpha, 0.005) < 0.7 < np.quantile(fit.alpha, 0.995)
    found = read(tmp_path, '{"timings": {"draft_n": 9, "draft_n_accepted": 5}}')
    with pytest.raises(ValueError, match="determines neither"):
        fit_engine_counts(found, np.random.default_rng(0))


@pytest.mark.parametrize(
    "engine", ["vllm", "sglang", "llama.cpp", "tensorrt-llm", "transformers", "aiperf"]
)
def test_a_printed_sample_is_read_as_its_engine(engine: str, tmp_path: Path) -> None:
    assert read(tmp_path, sample(engine), engine).engine == engine
