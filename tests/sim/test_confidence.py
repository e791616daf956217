"""Drafts that end by the draft's own confidence: drawn, recorded, and by closed form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confident_trace import confident_trace
from howspec.calibrate.doors import Deployment
from howspec.sim.known import Sources
from howspec.sim.laws import both_laws
from howspec.sim.rounds import gate
from howspec.sim.rounds.compared import PolicyChooser, compare, run_chooser
from howspec.sim.rounds.policies import (
    confidence_threshold,
    constant,
    heuristic,
    oracle,
    survival_threshold,
)
from howspec.sim.rounds.policy import Policy
from howspec.sim.rounds.requests import serve_batches
from howspec.sim.rounds.simulated import Point, served_requests
from howspec.sim.rounds.traces import Trace, load_trace, trace_from_flags, trace_from_law
from howspec.theory import AcceptanceLaw, AffineCost, DepthAcceptance
from howspec.theory.acceptance import (
    BetaRequestAcceptance,
    BetaRoundAcceptance,
    GatedAcceptance,
    PositionalAcceptance,
    tokens_by_gamma,
)
from howspec.theory.acceptance.gated import gated_last_tokens
from howspec.theory.rounds import geometric
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

COST = AffineCost(0.05)


def simulated(law: AcceptanceLaw, policy: Policy, tokens: int = 200, requests: int = 200) -> Any:
    """What `howspec simulate` finds for requests of a law."""
    point = Point(law, None, COST, False, policy, tokens, requests)
    return served_requests(np.random.default_rng(0), point)


def agrees(found: dict[str, float], truth: float) -> bool:
    return abs(found["mean"] - truth) <= 4 * found["se"] + 1e-9


def by_formula(alpha: Any, threshold: float, gamma: int) -> tuple[Any, Any]:
    """(tokens, drafted tokens) of a round, confidences Beta(alpha, 1 - alpha) and calibrated."""
    passing = beta.sf(threshold, alpha, 1 - alpha)
    kept = alpha * beta.sf(threshold, alpha + 1, 1 - alpha)
    failed = (alpha - kept) / np.maximum(1 - passing, 1e-300)
    tokens = gated_last_tokens(passing, kept / passing, np.minimum(failed, 1.0), gamma)
    return tokens, geometric(passing, gamma)


@settings(max_examples=25)
@given(alpha=st.floats(0.05, 0.98), threshold=st.floats(0.01, 0.95), gamma=st.integers(1, 12))
def test_a_threshold_gives_the_tokens_and_the_drafts_of_the_closed_form(
    alpha: float, threshold: float, gamma: int
) -> None:
    policy = confidence_threshold(threshold, gamma_max=gamma)
    found = simulated(DepthAcceptance(alpha), policy)
    tokens, drafted = by_formula(alpha, threshold, gamma)
    assert agrees(found["tokens_per_round"], float(tokens))
    assert agrees(found["drafted_per_round"], float(drafted))


def test_a_rate_that_falls_with_depth_gives_what_the_gate_of_a_pair_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gate, "_KAPPA", (1.0, 0.0))
    given = Sources(acceptance="depth:alpha=0.9,decay=0.9", costs=0.1)
    both = both_laws(Deployment(), given, gamma_max=8)
    accepted, costs = gate.gated(
        both.acceptance, both.costs, p_min=0.4, gamma=8, rng=np.random.default_rng(0)
    )
    found = simulated(DepthAcceptance(0.9, 0.9), confidence_threshold(0.4, gamma_max=8))
    assert agrees(found["tokens_per_round"], np.asarray(accepted.law.survival(8))[0].sum())
    drafted = (costs.law.round_time(8)[0, 8] - 1.0) / 0.1
    assert agrees(found["drafted_per_round"], drafted)


def test_every_request_draws_confidences_about_its_own_rate() -> None:
    policy = confidence_threshold(0.5, gamma_max=6)
    found = simulated(BetaRequestAcceptance(6.0, 2.5), policy, 1000, 300)
    rates = beta.ppf((np.arange(2000) + 0.5) / 2000, 6.0, 2.5)
    tokens, drafted = by_formula(rates, 0.5, 6)
    mean = 1.0 / np.mean(1.0 / tokens)  # every request has as many tokens, not as many rounds
    assert agrees(found["tokens_per_round"], mean)
    assert agrees(found["drafted_per_round"], mean * np.mean(drafted / tokens))


@pytest.mark.parametrize(
    "law",
    [
        DepthAcceptance(0.8),
        DepthAcceptance(0.8, 0.9),
        DepthAcceptance(0.0),
        DepthAcceptance(1.0),
        PositionalAcceptance([0.9, 0.3, 0.7, 0.0, 0.5]),
        BetaRoundAcceptance(3.0, 1.0),
    ],
    ids=repr,
)
def test_drawn_confidences_are_calibrated_and_leave_acceptance_as_it_is(law: AcceptanceLaw) -> None:
    n = 60_000
    accepted, confidence = gate.confident_rounds(np.random.default_rng(5), law, gamma=5, rounds=n)
    assert ((confidence >= 0) & (confidence <= 1)).all()
    tokens = accepted + 1.0
    error = 4 * tokens.std() / np.sqrt(n) + 1e-9
    assert abs(tokens.mean() - float(tokens_by_gamma(law, 5)[-1])) < error
    for k in range(5):  # of the rounds that got so far, those of a high and of a low confidence
        x = confidence[accepted >= k, k]
        took = (accepted[accepted >= k] > k).astype(float)
        for part in (x >= 0.6, x < 0.6):
            error = 4 * np.sqrt((x * (1 - x))[part].sum()) + 1e-9
            assert abs((took - x)[part].sum()) <= error


# --- the rules ---------------------------------------------------------------------------------
def test_drafting_stops_after_the_first_token_of_low_confidence() -> None:
    trace = Trace(
        np.array([0, 12]), np.zeros(12, np.int16), np.zeros(1, np.int64),
        confidence=np.array([0.9, 0.8, 0.3, 0.9, 0.2] + [0.95] * 7),
    )  # fmt: skip
    # Nothing is accepted: rounds start at 0, 1, ... and draft to the first confidence below 0.5.
    served = serve_batches(trace, COST, confidence_threshold(0.5, gamma_max=4))
    assert served.drafted[0] == 3 + 2 + 1 + 2 + 1 + 7 * 4
    short = serve_batches(trace, COST, survival_threshold(0.5, gamma_max=4))
    # Products: .9 .72 .216 | .8 .24 | .3 | .9 .18 | .2 | then .95^4 = .81, never below one half.
    assert short.drafted[0] == 3 + 2 + 1 + 2 + 1 + 7 * 4
    tight = serve_batches(trace, COST, survival_threshold(0.9, gamma_max=4))
    # .9 (kept) .72 | .8 | .3 | .9 .18 | .2 | .95 .9025 .857 six times over, to the end of the trace
    assert tight.drafted[0] == 2 + 1 + 1 + 2 + 1 + 5 * 3 + 4 + 4


def test_a_threshold_of_zero_changes_nothing() -> None:
    trace = confident_trace(np.random.default_rng(2), [0.3, 0.9], [500] * 4)
    for plain, stopping in (
        (constant(6), confidence_threshold(0.0, gamma_max=6)),
        (constant(6), survival_threshold(0.0, gamma_max=6)),
        (heuristic(5), heuristic(5, threshold=1e-300)),
    ):
        assert np.array_equal(
            serve_batches(trace, COST, plain).latency, serve_batches(trace, COST, stopping).latency
        )


def test_fixed_is_slower_than_a_good_threshold_is_slower_than_the_oracle() -> None:
    rng = np.random.default_rng(3)
    trace = confident_trace(rng, rng.beta(2.0, 0.6, 20_000), np.full(500, 300))
    fixed = min(serve_batches(trace, COST, constant(g)).latency.mean() for g in range(1, 12))
    stopped = serve_batches(trace, COST, survival_threshold(0.17)).latency.mean()
    foreseen = serve_batches(trace, COST, oracle()).latency.mean()
    assert foreseen < stopped < 0.98 * fixed


def test_a_trace_without_confidences_is_refused() -> None:
    trace = trace_from_flags(np.ones(5, bool), lengths=[5])
    with pytest.raises(ValueError, match="needs confidences"):
        serve_batches(trace, COST, confidence_threshold(0.4))
    drawn = trace_from_law(np.random.default_rng(0), DepthAcceptance(0.5), gamma_max=4, lengths=[4])
    with pytest.raises(ValueError, match="needs confidences"):
        serve_batches(drawn, COST, heuristic(5, threshold=0.4))
    short, cost = confident_rounds_trace(3), AffineCost(0.1)
    with pytest.raises(ValueError, match="may draft 4 tokens, rounds of the trace have 3"):
        serve_batches(short, cost, confidence_threshold(0.4, gamma_max=4))


@pytest.mark.parametrize("law", [GatedAcceptance(0.7, 0.9)], ids=repr)
def test_a_law_without_an_acceptance_of_each_token_is_refused(law: AcceptanceLaw) -> None:
    with pytest.raises(ValueError, match=r"each token has its own acceptance .* got Gated"):
        simulated(law, confidence_threshold(0.4))


def test_confidences_beyond_memory_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be in \[1, 1e\+08\], got 10000 times 1000 times"):
        simulated(DepthAcceptance(0.5), confidence_threshold(0.4), 1000, 10_000)


def test_recorded_confidences_end_drafts(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    line = {
        "prompt_tokens": 3, "accept_len_eagle": [1] * 4, "confidence_eagle": [0.9, 0.3, 0.8, 0.9],
    }  # fmt: skip
    path.write_text(f"{json.dumps(line)}\n" * 2)
    point = Point(None, load_trace(path), COST, False, confidence_threshold(0.5, gamma_max=3))
    found = served_requests(np.random.default_rng(0), point)
    # Nothing is accepted: .9 .3 | .3 | .8 .9 and one beyond the end | .9 and two beyond.
    assert found["drafted_per_round"]["mean"] == (2 + 1 + 3 + 3) / 4
    assert "recorded" in found["notes"][0]
    path.write_text(f"{json.dumps(line)}\n{json.dumps(line | {'accept_len_eagle': [1]})}\n")
    with pytest.raises(
        ValueError, match=r"t.jsonl:2: confidence_eagle must be one number for each"
    ):
        load_trace(path)


# --- against the best constant gamma -----------------------------------------------------------
def confident_rounds_trace(gamma: int, requests: int = 40, tokens: int = 100) -> Trace:
    """Rounds drawn with confidences, at acceptance 0.8."""
    accepted, confidence = gate.confident_rounds(
        np.random.default_rng(4), DepthAcceptance(0.8), gamma=gamma, rounds=requests * tokens
    )
    offsets, prompts = np.arange(requests + 1) * tokens, np.zeros(requests, np.int64)
    return Trace(offsets, accepted.astype(np.int16), prompts, True, confidence)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    "policy",
    [confidence_threshold(0.4, gamma_max=12), survival_threshold(0.3, gamma_max=12)],
    ids=lambda p: p.name,
)
@pytest.mark.parametrize("by_round", [True, False])
def test_a_run_in_order_takes_the_time_that_the_server_says(
    by_round: bool, policy: Policy, batch: int
) -> None:
    trace = confident_rounds_trace(12)
    if not by_round:
        trace = confident_trace(np.random.default_rng(6), [0.2, 0.7, 0.95], [60, 40, 50, 70, 30])
    served = serve_batches(trace, COST, policy, batch=batch)
    run = run_chooser(trace, COST, PolicyChooser(policy), batch=batch)
    last = [served.latency[i : i + batch].max() for i in range(0, trace.requests, batch)]
    assert run.time == pytest.approx(last, rel=1e-9)
    if batch == 1:
        assert run.drafted == served.drafted.sum()


def test_a_good_threshold_beats_the_best_constant_gamma() -> None:
    rules = {"survival": lambda: PolicyChooser(survival_threshold(0.17, gamma_max=16))}
    _, (_, found) = compare(confident_rounds_trace(16), COST, rules)
    assert found.excess.mean + 4 * found.excess.se < 0.0
    with pytest.raises(ValueError, match="needs confidences, the trace has none"):
        compare(trace_from_flags(np.ones(5, bool), lengths=[5]), COST, rules)
