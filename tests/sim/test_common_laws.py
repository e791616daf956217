"""Drafts of one target with draws in common, and what a measured draft says of the others."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import howspec as hs
import numpy as np
import pytest
from howspec.calibrate.doors import Deployment, resolve
from howspec.calibrate.models.formats import as_stored, format_in
from howspec.calibrate.named import named
from howspec.calibrate.pair import Use
from howspec.calibrate.prior.acceptance import expected_acceptance
from howspec.calibrate.prior.acceptance_forecast import disagreement
from howspec.sim.common import common_laws, measured_drafts
from howspec.sim.known import Laws, Sources

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
