"""Drafts that end early by the draft's own confidence."""

from __future__ import annotations

import numpy as np
import pytest
from howspec.calibrate.doors import Deployment
from howspec.sim.known import Sources, both_laws
from howspec.sim.rounds.gate import GatedCost, _passing, gated
from howspec.theory import AffineCost
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta


@given(st.floats(0.05, 0.95), st.floats(-1.5, 1.5), st.sampled_from([0.3, 0.75, 0.9]))
@settings(max_examples=30)
def test_what_passes_the_gate_is_the_tail_of_a_beta_law(
    alpha: float, log_kappa: float, gate: float
) -> None:
    kappa = np.exp(log_kappa)
    g, kept = _passing(np.array([[alpha]]), np.array([log_kappa]), gate)
    law = beta(kappa * alpha, kappa * (1.0 - alpha))
    assert g[0, 0] == pytest.approx(law.sf(gate), abs=0.02)
    more = beta(kappa * alpha + 1.0, kappa * (1.0 - alpha))
    assert kept[0, 0] == pytest.approx(alpha * more.sf(gate), abs=0.02)


def test_a_gated_round_is_the_mean_over_the_lengths_of_its_drafts() -> None:
    passing = np.array([[0.8, 0.5, 0.9, 0.7]])
    law = GatedCost(AffineCost(0.1, 0.02, 0.05), passing)
    got = law.round_time(4)[0]
    reach = np.array([1.0, 0.8, 0.4, 0.36])  # probability of each length or more
    lengths = reach - np.append(reach[1:], 0.0)
    fixed = AffineCost(0.1, 0.02, 0.05).round_time(4)
    assert got[0] == fixed[0]
    assert got[4] == pytest.approx(float(lengths @ fixed[1:]))
    assert law.round_time(0).shape == (1, 1)
    assert law.cost_ratio() == pytest.approx(0.1)


def test_without_a_gate_nothing_changes_and_a_gate_costs_tokens_and_saves_time() -> None:
    plain = both_laws(Deployment(), Sources(acceptance=0.7, costs=0.1), gamma_max=8)
    found = [
        gated(plain.acceptance, plain.costs, p_min=p, gamma=8, rng=np.random.default_rng(0))
        for p in (0.0, 0.75)
    ]
    tokens = [np.asarray(a.law.survival(8)).sum() for a, _ in found]
    times = [c.law.round_time(8)[0, 8] for _, c in found]
    assert tokens[0] == pytest.approx(float(plain.tokens(8)[0, 8]), rel=1e-3)
    assert times[0] == pytest.approx(1.8, rel=1e-3)
    assert tokens[1] < tokens[0]
    assert times[1] < times[0]
    assert found[1][0].notes[-1].endswith("below 0.75")


def test_a_gate_is_asked_for_with_the_pair() -> None:
    with pytest.raises(ValueError, match=r"p_min must be in \[0, 1\], got 2"):
        Deployment(p_min=2.0)
    names = ("Qwen2.5-7B", "Qwen2.5-0.5B", "Apple M4 Max")
    free, cut = (
        both_laws(Deployment(*names, stack="llama.cpp", p_min=p), gamma_max=16)
        for p in (None, 0.75)
    )
    speed = []
    for laws in (free, cut):
        times = laws.costs.law.round_time(16, context=500.0)
        speed.append(np.median(laws.tokens(16)[:, 16] * times[:, 0] / times[:, 16]))
    assert speed[1] > 1.2 * speed[0]  # sixteen tokens in every round are far too many
