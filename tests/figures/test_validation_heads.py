"""Drafting heads, their study left out: how far off the answers are, and what they cover."""

from __future__ import annotations

import numpy as np
from howspec.figures.validation.heads import (
    CONSTANT,
    INDEPENDENT,
    OTHERS,
    depth_test,
    heads_test,
    measured_test,
)


def test_unmeasured_heads_are_inside_their_intervals_kind_by_kind() -> None:
    found = heads_test()
    assert len(found.points) > 400
    assert found.coverage is not None
    assert 0.85 <= found.coverage <= 0.97
    assert np.median(np.abs(found.errors())) < 0.14
    assert np.median(np.abs(found.errors())) < np.median(np.abs(found.errors(CONSTANT)))
    for kind in ("EAGLE-3", "EAGLE", "MTP", "DSpark", "DFlash"):
        mine = [p.inside for p in found.points if p.label.startswith(f"{kind} of")]
        assert len(mine) >= 20
        assert np.mean(mine) >= 0.85


def test_what_other_studies_found_of_a_head_counts_as_much_as_studies_agree() -> None:
    found = measured_test()
    assert len(found.points) > 150
    error, alone = np.abs(found.errors()), np.abs(found.errors(OTHERS))
    assert np.median(error) < np.median(alone)
    assert error.mean() < alone.mean()
    assert found.coverage is not None
    assert 0.85 <= found.coverage <= 0.97


def test_the_longest_draft_follows_from_a_short_one() -> None:
    found = depth_test()
    assert len(found.points) > 80
    assert np.median(np.abs(found.errors())) < 0.05
    assert np.median(np.abs(found.errors())) < 0.6 * np.median(np.abs(found.errors(INDEPENDENT)))
    assert found.coverage is not None
    assert 0.85 <= found.coverage <= 0.98
    golden = [p for p in found.points if "thinking_o" in p.label]
    assert len(golden) == 6
    assert np.median([abs(p.predicted / p.observed - 1.0) for p in golden]) <= 0.06
