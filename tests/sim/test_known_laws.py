"""Laws that know more: measured drafts, published rows of the pair, and drafts that end early."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from types import SimpleNamespace

import howspec as hs
import numpy as np
import pytest
from howspec.calibrate.doors import Deployment, resolve
from howspec.calibrate.library.evidence import Measurement
from howspec.calibrate.models.formats import as_stored, format_in
from howspec.calibrate.named import named
from howspec.calibrate.pair import Use
from howspec.calibrate.prior.acceptance import expected_acceptance
from howspec.calibrate.prior.acceptance_forecast import disagreement
from howspec.sim import published as module
from howspec.sim.common import common_laws, measured_drafts
from howspec.sim.known import Laws, Sources
from howspec.sim.laws import both_laws
from howspec.sim.rounds.gate import GatedCost, _passing, gated
from howspec.theory import AffineCost
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta

BASE = resolve(Deployment("Qwen2.5-32B:q4", None, "M4 Max", stack="llama.cpp", task="chat"))
SMALL, OTHER = "Qwen2.5-0.5B:q8", "Qwen2.5-1.5B:q4"


def _laws(known: object = None, drafts: tuple[str, ...] = (SMALL, OTHER)) -> list[Laws]:
    pairs = [BASE.with_draft(name) for name in drafts]
    return common_laws(pairs, Sources(known_draft=known), 6, 0)  # type: ignore[arg-type]


def _gain(laws: Laws, gamma: int) -> np.ndarray:
    times = laws.costs.law.round_time(gamma, batch=1.0, context=1000.0)
    return np.asarray(laws.tokens(gamma)[:, gamma] * times[..., 0] / times[..., gamma])


def test_a_measured_draft_is_met_and_moves_and_narrows_the_others() -> None:
    slow, fast = (_laws({(SMALL, 4): s}) for s in (0.9, 1.8))
    open_, seen = (np.log(_gain(laws[1], 4)) for laws in (_laws(), fast))
    assert np.median(_gain(fast[0], 4)) == pytest.approx(1.8, rel=0.05)
    assert np.median(_gain(slow[0], 4)) == pytest.approx(0.9, rel=0.05)
    assert np.median(_gain(fast[1], 3)) > 1.3 * np.median(_gain(slow[1], 3))
    assert np.std(seen) < 0.6 * np.std(open_)


def test_the_draft_that_is_measured_need_not_be_asked_about() -> None:
    alone = _laws({(SMALL, 4): 1.8}, (OTHER,))[0]
    assert np.median(_gain(alone, 4)) > 1.1 * np.median(_gain(_laws()[1], 4))
    assert "Qwen2.5-0.5B:q8 1.8 at gamma 4" in " ".join(alone.notes)
    answer = hs.predict(
        target="Qwen2.5-32B:q4", draft=OTHER, device="M4 Max", stack="llama.cpp", task="chat",
        known_draft=f"{SMALL}:4:1.8",
    )  # fmt: skip
    assert answer.speedup.high < 1.35 * answer.speedup.low
    # The rate of sweeps asked by their names is not that of answers with a measured draft.
    assert answer.found.near_best is None
    assert re.search(r"within 5 % of the best in \d+ % of draws, speed-up", answer.headline())


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ("Qwen2.5-0.5B", "known_draft must be DRAFT:K:SPEEDUP"),
        ("Qwen2.5-0.5B:x:1.4", "known_draft must be DRAFT:K:SPEEDUP"),
        ("Qwen2.5-0.5B:0:1.4", r"gamma of known_draft must be in \[1, 256\], got 0"),
        ("Qwen2.5-0.5B:4:0", r"speed-up of known_draft must be in \(0, inf\), got 0"),
    ],
)
def test_what_is_no_measured_draft_is_said_in_one_line(known: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        measured_drafts(known)
    with pytest.raises(ValueError, match="known_draft narrows predictions"):
        hs.predict(acceptance=0.8, costs=0.1, known_draft="Qwen2.5-0.5B:4:1.4")


def test_a_name_may_end_with_its_format_and_short_rows_are_stored_otherwise() -> None:
    assert format_in("Qwen2.5-1.5B:q4") == ("Qwen2.5-1.5B", "q4_0")
    assert format_in("llama3.1:8b") == ("llama3.1:8b", "")
    assert measured_drafts("A:q4:4:1.5, B:2:1.1")[0].draft == "A:q4"
    assert named("Qwen2.5-1.5B:bf16").dtype_stated == "bf16"
    assert as_stored("q2_k", 896).name == "iq4_nl"
    assert as_stored("q4_k_m", 896).name == "q5_0"
    assert as_stored("q4_k_m", 1536).name == "q4_k_m"


def test_a_release_in_a_format_that_the_device_lacks_runs_with_its_weights_unpacked() -> None:
    at = Deployment(target="Qwen/Qwen3-8B-FP8", draft="Qwen3-0.6B", device="RTX 3090")
    old, new = resolve(at), resolve(replace(at, device="H100"))
    assert [p.models[0].dtype_stated for p in (old, new)] == ["int8", "fp8"]
    assert [n for n in old.notes if "unpacked and multiplied in 16 bits, as int8" in n]
    assert not new.notes
    asked = resolve(replace(at, target="Qwen3-8B:fp8"))
    assert asked.models[0].dtype_stated == "fp8"  # who asks for a format means it


def test_rounding_costs_acceptance_as_the_root_of_summed_squares() -> None:
    target, forms = named("Qwen2.5-32B"), ("bf16", "q8_0", "q4_k_m", "q2_k")
    drafts = [named(f"Qwen2.5-1.5B:{form}") for form in forms]
    found = expected_acceptance(
        target, drafts, use=Use("chat"), rng=np.random.default_rng(0), draws=200
    )
    lost = [float(np.median(1.0 - a)) for a in found.alpha]
    assert lost == sorted(lost)
    wanted = math.hypot(lost[0], disagreement("q2_k"))
    assert lost[3] == pytest.approx(wanted, abs=0.02)
    assert disagreement("bf16") == disagreement("") == 0.0
    assert disagreement("q4_0") > disagreement("q4_k_m") > disagreement("q8_0") > 0.0


# --- published rows of the very pair -----------------------------------------------------------
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


# --- drafts that end early by the draft's own confidence ---------------------------------------
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
