"""Rounds of a known alpha, written in an engine's words and imported, give that alpha back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from howspec.calibrate.engines import EngineCounts, import_counts
from howspec.calibrate.engines.fit import fit_engine_counts
from howspec.calibrate.engines.write import FORMATS, draw_rounds, sample
from howspec.theory.acceptance import estimate_alpha, round_counts
from scipy.stats import beta

EXACT = [name for name in FORMATS if name not in ("sglang-log", "tensorrt-llm-metrics")]


def imported(name: str, kept: np.ndarray, gamma: int, folder: Path) -> EngineCounts:
    path = folder / "written"
    path.write_text(FORMATS[name](kept, gamma))
    return import_counts(str(path))


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_written_is_read_back(name: str, tmp_path: Path) -> None:
    kept = draw_rounds(np.random.default_rng(5), alpha=0.7, gamma=5, rounds=700)
    found = imported(name, kept, 5, tmp_path)
    assert found.gamma == 5
    assert found.acceptance_length == pytest.approx(1 + kept.mean(), abs=0.005)
    if name != "sglang-log":
        assert (found.rounds, found.drafted, found.accepted) == (700, 3500, kept.sum())
    if name in EXACT:
        assert found.per_position_accepted == tuple((kept >= k).sum() for k in range(1, 6))
        rounds = found.round_counts()
        assert rounds is not None
        assert sorted(rounds[0]) == sorted(kept)


@pytest.mark.parametrize("name", ["vllm-log", "llama.cpp-statistics", "aiperf-record"])
def test_alpha_is_inside_its_interval_as_often_as_the_interval_says(
    name: str, tmp_path: Path
) -> None:
    """1,000 runs, 95 % intervals: the share inside is within 4 standard errors of 0.95."""
    rng, inside = np.random.default_rng(11), 0
    for _ in range(1000):
        alpha, gamma = rng.uniform(0.3, 0.95), int(rng.integers(2, 8))
        kept = draw_rounds(rng, alpha=alpha, gamma=gamma, rounds=400)
        found = imported(name, kept, gamma, tmp_path)
        counts = found.position_counts()
        assert counts is not None
        accepted = float(counts[1].sum())
        rejected = float(counts[0].sum()) - accepted
        low, high = beta.ppf([0.025, 0.975], accepted + 0.5, rejected + 0.5)
        inside += bool(low <= alpha <= high)
    assert abs(inside / 1000 - 0.95) < 4 * (0.95 * 0.05 / 1000) ** 0.5


def test_counts_feed_the_estimate_of_theory_and_the_fit(tmp_path: Path) -> None:
    kept = draw_rounds(np.random.default_rng(3), alpha=0.8, gamma=4, rounds=3000)
    found = imported("vllm-prometheus", kept, 4, tmp_path)
    rounds = found.round_counts()
    assert rounds is not None
    direct = estimate_alpha(round_counts(kept, 4))
    assert estimate_alpha(round_counts(rounds[0], rounds[1])).alpha == pytest.approx(direct.alpha)
    fit = fit_engine_counts(found, np.random.default_rng(0))
    low, high = np.quantile(fit.alpha, [0.005, 0.995])
    assert low < 0.8 < high
    assert high - low < 0.06


def test_a_length_with_gamma_can_be_fitted_and_counts_alone_cannot(tmp_path: Path) -> None:
    kept = draw_rounds(np.random.default_rng(4), alpha=0.7, gamma=4, rounds=900)
    fit = fit_engine_counts(imported("sglang-log", kept, 4, tmp_path), np.random.default_rng(0))
    assert np.quantile(fit.alpha, 0.005) < 0.7 < np.quantile(fit.alpha, 0.995)
    (tmp_path / "timings").write_text('{"timings": {"draft_n": 9, "draft_n_accepted": 5}}')
    with pytest.raises(ValueError, match="determines neither"):
        fit_engine_counts(import_counts(str(tmp_path / "timings")), np.random.default_rng(0))


@pytest.mark.parametrize(
    "engine", ["vllm", "sglang", "llama.cpp", "tensorrt-llm", "transformers", "aiperf"]
)
def test_a_printed_sample_is_read_as_its_engine(engine: str, tmp_path: Path) -> None:
    (tmp_path / "sample").write_text(sample(engine))
    assert import_counts(str(tmp_path / "sample"), engine).engine == engine
