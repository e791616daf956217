"""The report of what is bundled, every study left out where it is asked for: bounds on its tests.

The bounds are there to notice a change for the worse, not to promise more.
"""

from __future__ import annotations

import numpy as np
import pytest
from howspec.calibrate.learned import sweeps as learned_sweeps
from howspec.figures.validation import machines, suite
from howspec.figures.validation import result as rivals
from howspec.figures.validation.result import Test
from howspec.figures.validation.timed import timed_speedups
from howspec.figures.validation.unmeasured import CONSTANT, INDEPENDENT, OTHERS


@pytest.fixture(scope="module")
def bundled() -> dict[str, Test]:
    """The whole report, once, of a few drafts and batches of machines; its names are unique."""
    ladder = [r for r in timed_speedups() if r.p_min is not None]
    rows = [r for r in timed_speedups() if r.p_min is None and r.batch in (1.0, 32.0)]
    rows += [r for r in ladder if r.machine == ladder[0].machine][::5]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(learned_sweeps, "DRAWS", 300)
        patch.setattr(machines, "timed_speedups", lambda: rows)
        report = suite.library_report()
    assert any("plain baseline looks too slow" in line for line in report.skipped)
    assert all(t.points for t in report.tests)
    names = [t.name for t in report.tests if not t.name.startswith("own ladder")]
    assert len(set(names)) == len(names)
    return {t.name: t for t in report.tests}


def test_a_gamma_of_a_serving_engine_is_predicted_within_a_percent(
    bundled: dict[str, Test],
) -> None:
    summary = bundled["serving engines: speed-up, one gamma left out"].summary()
    assert summary["points"] >= 140
    assert summary["median_abs_error"] <= 0.01
    assert summary["p95_abs_error"] <= 0.05
    assert summary["coverage_90"] >= 0.85
    assert summary["median_abs_error"] < 0.5 * summary["rivals"][rivals.PLAIN]
    assert summary["median_abs_error"] < 0.5 * summary["rivals"][rivals.NEAREST]


def test_a_chip_is_predicted_from_the_other_within_three_percent(bundled: dict[str, Test]) -> None:
    test = bundled["one chip from the other: speed-up"]
    assert len(test.points) >= 6
    assert np.abs(test.errors()).max() <= 0.03
    assert test.coverage >= 0.85


def test_gamma_set_for_a_task_left_out_loses_less_than_a_percent(bundled: dict[str, Test]) -> None:
    known = bundled["one task left out: speed-up"]
    assert len(known.regret) >= 40
    assert np.mean(np.array(known.regret) <= 0.01) >= 0.95
    blind = bundled["one task left out: speed-up, tokens at one gamma"]
    assert np.mean(blind.regret) <= 0.02


def test_acceptance_of_unmeasured_pairs_beats_every_rival(bundled: dict[str, Test]) -> None:
    summary = bundled["acceptance of unmeasured pairs: alpha, family left out"].summary()
    assert summary["points"] >= 120
    assert summary["median_abs_error"] <= 0.1
    assert 0.85 <= summary["coverage_90"] <= 0.98
    assert summary["median_abs_error"] < min(summary["rivals"].values())
    sessions = bundled["acceptance after 200 tokens of the pair itself: alpha"]
    after = sessions.summary()
    assert after["median_abs_error"] <= 0.03
    assert abs(np.median(sessions.errors())) <= 0.005
    assert 0.85 <= after["coverage_90"] <= 0.95


def test_named_pairs_are_predicted_with_their_study_unseen(bundled: dict[str, Test]) -> None:
    test = bundled["speed-up of a named pair, its study unseen"]
    assert len(test.points) >= 190
    assert test.coverage is not None
    assert test.coverage >= 0.85
    assert test.summary()["median_abs_error"] <= 0.3
    assert sum(": " in note and "coverage" in note for note in test.notes) >= 5


def test_a_measured_gamma_measured_again_on_other_prompts_is_inside(
    bundled: dict[str, Test],
) -> None:
    test = bundled["own ladder: speed-up at a measured gamma, measured again on other prompts"]
    assert len(test.points) >= 60
    assert test.coverage is not None
    assert 0.8 <= test.coverage <= 0.98
    assert test.summary()["median_abs_error"] <= 0.04


def test_unmeasured_heads_are_inside_their_intervals_kind_by_kind(bundled: dict[str, Test]) -> None:
    found = bundled["tokens per round of an unmeasured head, its study unseen"]
    assert len(found.points) > 400
    assert found.coverage is not None
    assert 0.85 <= found.coverage <= 0.97
    assert np.median(np.abs(found.errors())) < 0.14
    assert np.median(np.abs(found.errors())) < np.median(np.abs(found.errors(CONSTANT)))
    for kind in ("EAGLE-3", "EAGLE", "MTP", "DSpark", "DFlash"):
        mine = [p.inside for p in found.points if p.label.startswith(f"{kind} of")]
        assert len(mine) >= 20
        assert np.mean(mine) >= 0.85


def test_what_other_studies_found_of_a_head_counts_as_much_as_studies_agree(
    bundled: dict[str, Test],
) -> None:
    found = bundled["tokens per round of a head that other studies measured"]
    assert len(found.points) > 150
    error, alone = np.abs(found.errors()), np.abs(found.errors(OTHERS))
    assert np.median(error) < np.median(alone)
    assert error.mean() < alone.mean()
    assert found.coverage is not None
    assert 0.85 <= found.coverage <= 0.97


def test_the_longest_draft_follows_from_a_short_one(bundled: dict[str, Test]) -> None:
    found = bundled["tokens per round at the longest gamma, from gamma 3"]
    assert len(found.points) > 80
    assert np.median(np.abs(found.errors())) < 0.05
    assert np.median(np.abs(found.errors())) < 0.6 * np.median(np.abs(found.errors(INDEPENDENT)))
    assert found.coverage is not None
    assert 0.85 <= found.coverage <= 0.98
    golden = [p for p in found.points if "thinking_o" in p.label]
    assert len(golden) == 6
    assert np.median([abs(p.predicted / p.observed - 1.0) for p in golden]) <= 0.06
