"""The account of a measured speed-up: it adds up, says what it does not know, and names causes."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import howspec
import numpy as np
import pytest
from fake_server import Fake, serving
from howspec.calibrate.evidence import from_alpha, from_length
from howspec.calibrate.known import KnownAcceptance
from howspec.calibrate.serving import ServingPlan, measure_server, served_of
from howspec.calibrate.stated import Stated, stated
from howspec.cli.questions import explain as verb
from howspec.figures.answers import waterfall
from howspec.figures.style import write
from howspec.sim.explain.account import Account, explain
from howspec.sim.explain.changes import best_setting, changes
from howspec.sim.explain.explanation import reasons
from howspec.sim.explain.measured import Measured
from howspec.sim.explain.terms import shapley
from howspec.theory import speedup
from hypothesis import assume, given
from hypothesis import strategies as st


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def ran(batch: float = 1.0, **values: float) -> Measured:
    """What was measured, to all its digits."""
    return Measured(batch=batch, **{k: Stated(v) for k, v in values.items()})


def at_speeds(plain: float, fast: float, batch: float = 1.0, **values: float) -> Measured:
    """The same with both speeds."""
    return ran(batch, baseline_tokens_per_s=plain, speculative_tokens_per_s=fast, **values)


def system(alpha: float = 0.8, gamma: int = 4, c: float = 0.06) -> Measured:
    """A run whose parts are all known, with the speeds that follow from them."""
    fast = float(speedup(alpha, gamma, c, verify_slope=0.03, overhead=0.1))
    return at_speeds(50.0, 50.0 * fast, cost_ratio=c, verify_slope=0.03)


def product(account: Account) -> float:
    return account.ideal * math.prod(t.factor.estimate for t in account.terms)


def by_name(account: Account) -> dict[str, float]:
    return {t.name: t.factor.estimate for t in account.terms}


# --- it adds up --------------------------------------------------------------------------------
costs = st.floats(0.0, 0.6)


@given(
    gamma=st.integers(1, 12),
    share=st.floats(0.01, 1.0),
    base=st.floats(1.0, 5000.0),
    fast=st.floats(0.3, 4.0),
    draft=st.none() | costs,
    slope=st.none() | st.floats(0.0, 0.2),
    over=st.none() | costs,
    prefill=st.none() | st.floats(0.01, 0.6),
    batch=st.sampled_from([1.0, 8.0, 64.0]),
)
def test_the_factors_multiply_to_the_measured_ratio(
    gamma: int, share: float, base: float, fast: float, draft: float | None, slope: float | None,
    over: float | None, prefill: float | None, batch: float,
) -> None:  # fmt: skip
    given_ = {"baseline_tokens_per_s": base, "speculative_tokens_per_s": base * fast,
              "cost_ratio": draft, "verify_slope": slope, "overhead": over}  # fmt: skip
    if prefill is not None:
        given_ |= {"prefill_s": prefill * min(1.0, 1.0 / fast) * batch * 100.0 / base,
                   "output_tokens": 100.0}  # fmt: skip
    measured = Measured(batch=batch, **{k: Stated(v) for k, v in given_.items() if v is not None})
    evidence = from_length(1.0 + share * gamma, gamma, rng(), draws=20)
    known = (draft or 0.0) * gamma + (slope or 0.0) * gamma + (over or 0.0)
    # The parts that are named must fit into the round, which lasts this many plain steps.
    before = (prefill or 0.0) * min(1.0, 1.0 / fast)
    steps = (1.0 + share * gamma) * (1.0 / fast - before) / (1.0 - before)
    assume(known < steps * (1.0 - 1e-9))
    account = explain(measured, evidence, rng(), draws=20)
    assert account.speedup.estimate == pytest.approx(fast, rel=1e-9)
    assert product(account) == pytest.approx(fast, rel=1e-9)
    inside = sum(t.plain_steps.estimate for t in account.terms if t.plain_steps is not None)
    assert 1.0 + inside == pytest.approx(account.round_steps.estimate, rel=1e-9)


def test_shares_equal_the_mean_over_all_orders() -> None:
    tokens, prefill = np.array([2.7]), np.array([0.4])
    cost = np.array([[0.3], [0.15], [0.2]])
    shares = shapley(tokens, cost, prefill, 4, True)

    def log_speed(members: frozenset[int]) -> float:
        n = 2.7 if 0 in members else 5.0
        x = 1.0 + sum(float(cost[i - 1, 0]) for i in members if i in (1, 2, 3))
        p = 0.4 if 4 in members else 0.0
        return math.log((1.0 + p) / (p + x / n))

    total = np.zeros(5)
    orders = list(permutations(range(5)))
    for order in orders:
        seen: frozenset[int] = frozenset()
        for player in order:
            total[player] += log_speed(seen | {player}) - log_speed(seen)
            seen |= {player}
    assert shares[:, 0] == pytest.approx(total / len(orders), abs=1e-12)


def test_a_part_that_costs_nothing_has_the_factor_one_and_order_does_not_matter() -> None:
    tokens, none = np.array([2.7]), np.array([0.0])
    a = shapley(tokens, np.array([[0.3], [0.0], [0.2]]), none, 4, False)
    b = shapley(tokens, np.array([[0.2], [0.3], [0.0]]), none, 4, False)
    assert a[2, 0] == pytest.approx(0.0, abs=1e-14)
    assert [a[1, 0], a[3, 0]] == pytest.approx([b[2, 0], b[1, 0]], abs=1e-14)


def test_known_parts_are_found_again() -> None:
    account = explain(system(), from_alpha(0.8, rng(), gamma=4), rng())
    parts = {t.name: t.plain_steps.estimate for t in account.terms if t.plain_steps is not None}
    expected = {"draft": 0.24, "verification growth": 0.12, "overhead": 0.1}
    assert parts == pytest.approx(expected, abs=1e-9)
    assert account.contradiction is None
    assert account.notes == ()


def test_times_in_another_unit_change_nothing() -> None:
    times = {"plain_step_s": 0.02, "round_s": 0.031, "draft_step_s": 0.0015, "verify_s": 0.022}
    evidence = from_length(2.6, 3, rng())
    one = explain(Measured(**{k: Stated(v) for k, v in times.items()}), evidence, rng())
    other = explain(Measured(**{k: Stated(9 * v) for k, v in times.items()}), evidence, rng())
    assert by_name(one) == pytest.approx(by_name(other), rel=1e-12)
    assert other.plain_step_s == pytest.approx(9 * 0.02)
    assert one.speedup.estimate == pytest.approx(2.6 * 0.02 / 0.031)


def test_speeds_and_step_times_of_the_same_run_give_the_same_account() -> None:
    evidence = from_length(2.6, 3, rng())
    steps = ran(batch=8.0, plain_step_s=0.02, round_s=0.031)
    speeds = at_speeds(8 / 0.02, 8 * 2.6 / 0.031, batch=8.0)
    assert by_name(explain(steps, evidence, rng())) == pytest.approx(
        by_name(explain(speeds, evidence, rng())), rel=1e-12
    )


# --- what the inputs do not determine ----------------------------------------------------------
@pytest.mark.parametrize(
    ("given_", "name", "wanted"),
    [
        ({}, "draft, verification growth and overhead", "--draft-step-ms"),
        ({"cost_ratio": 0.05}, "verification growth and overhead", "--verify-ms"),
        ({"verify_slope": 0.05}, "draft and overhead", "--draft-step-ms"),
        ({"overhead": 0.05}, "draft and verification growth", "--draft-step-ms"),
    ],
)
def test_what_is_only_known_as_a_sum_is_one_term(
    given_: dict[str, float], name: str, wanted: str
) -> None:
    measured = Measured(
        baseline_tokens_per_s=Stated(40.0), speculative_tokens_per_s=Stated(70.0),
        **{k: Stated(v) for k, v in given_.items()},
    )  # fmt: skip
    account = explain(measured, from_length(2.9, 3, rng()), rng())
    term = next(t for t in account.terms if t.name == name)
    assert len(term.parts) == 3 - len(given_)
    assert any(name in note and wanted in note for note in account.notes)
    assert product(account) == pytest.approx(70 / 40)


def test_a_wider_question_gets_a_wider_interval() -> None:
    evidence = from_length(2.9, 3, rng())
    speeds = {"baseline_tokens_per_s": Stated(40.0), "speculative_tokens_per_s": Stated(70.0)}
    blind = changes(explain(Measured(**speeds), evidence, rng()), evidence, rng())
    measured = Measured(**speeds, cost_ratio=Stated(0.1), verify_slope=Stated(0.05))
    known = changes(explain(measured, evidence, rng()), evidence, rng())
    name = "drafting twice as fast"
    wide = next(c for c in blind if c.name == name).gain
    narrow = next(c for c in known if c.name == name).gain
    assert wide.high - wide.low > 10 * (narrow.high - narrow.low)
    assert wide.low < narrow.estimate < wide.high


def test_the_batch_is_a_term_of_its_own_when_batch_one_is_known() -> None:
    measured = at_speeds(
        800.0, 900.0, batch=16.0, draft_step_s=0.001, verify_s=0.030, verify_ratio_batch_1=1.1
    )
    account = explain(measured, from_length(2.4, 4, rng()), rng())
    steps = {t.name: t.plain_steps.estimate for t in account.terms if t.plain_steps is not None}
    assert steps["verification growth at batch 1"] == pytest.approx(0.1)
    assert steps["batch"] == pytest.approx(0.030 / 0.020 - 1.1)
    drawn = account.sample
    total = 1.0 + drawn.parts.sum(axis=0)
    assert (1.0 + drawn.prefill) / (drawn.prefill + total / drawn.tokens) == pytest.approx(
        drawn.speedup
    )
    assert product(account) == pytest.approx(900 / 800)


def test_prefill_is_taken_out_before_the_rounds_are_judged() -> None:
    # 100 tokens at 10 ms and 0.5 s of prefill, decoding twice as fast.
    measured = at_speeds(100 / 1.5, 100 / 1.0, prefill_s=0.5, output_tokens=100.0)
    account = explain(measured, from_length(3.0, 4, rng()), rng())
    assert account.speedup.estimate == pytest.approx(1.5)
    assert account.decode_speedup.estimate == pytest.approx(2.0)
    assert account.prefill_share.estimate == pytest.approx(1 / 3)
    assert account.round_steps.estimate == pytest.approx(1.5)
    assert product(account) == pytest.approx(1.5)


# --- inputs that cannot be ---------------------------------------------------------------------
def test_a_speed_up_above_the_tokens_per_round_is_a_contradiction() -> None:
    measured = at_speeds(20.0, 60.0)
    evidence = from_length(2.5, 4, rng())
    account = explain(measured, evidence, rng())
    assert account.contradiction is not None
    assert "baseline" in account.contradiction
    assert product(account) == pytest.approx(3.0)
    assert [c.name for c in changes(account, evidence, rng())] == ["speculation off"]
    near = Measured(
        baseline_tokens_per_s=stated("20", "b"), speculative_tokens_per_s=stated("50.2", "s")
    )
    assert "within the rounding" in str(explain(near, evidence, rng()).contradiction)


def test_passes_that_overlap_leave_a_negative_rest_and_say_so() -> None:
    measured = ran(plain_step_s=0.02, round_s=0.024, draft_step_s=0.004, verify_s=0.022)
    account = explain(measured, from_length(2.5, 3, rng()), rng())
    rest = next(t for t in account.terms if t.name == "overhead")
    assert rest.plain_steps is not None
    assert rest.plain_steps.estimate < 0.0 < rest.factor.estimate - 1.0
    assert any("negative" in note for note in account.notes)


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"baseline_tokens_per_s": 10.0}, "not determined"),
        ({"plain_step_s": 0.1, "draft_step_s": 0.01}, "not determined"),
        ({"baseline_tokens_per_s": 0.0, "round_s": 1.0}, "baseline_tokens_per_s must be in"),
        ({"baseline_tokens_per_s": 9.0, "round_s": 0.1, "prefill_s": 1.0}, "output_tokens"),
        ({"cost_ratio": 0.1, "draft_step_s": 0.1}, "not both"),
        (
            {"baseline_tokens_per_s": 10.0, "speculative_tokens_per_s": 20.0, "prefill_s": 6.0,
             "output_tokens": 100.0},
            "prefill_s must be below",
        ),
        ({"plain_step_s": 0.1, "round_s": 0.1, "draft_step_s": 0.2}, "exceed the round"),
    ],
)  # fmt: skip
def test_inputs_that_cannot_be_are_refused(given_: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        explain(
            Measured(**{k: Stated(v) for k, v in given_.items()}),
            from_length(2.5, 8, rng()),
            rng(),
        )


# --- what a change would bring -----------------------------------------------------------------
def test_gains_are_those_of_the_formula_when_everything_is_known() -> None:
    evidence = from_alpha(0.8, rng(), gamma=4)
    account = explain(system(), evidence, rng())
    found = {c.gamma: c.gain.estimate for c in changes(account, evidence, rng())
             if c.kind == "setting"}  # fmt: skip
    now = float(speedup(0.8, 4, 0.06, verify_slope=0.03, overhead=0.1))
    for gamma in found.keys() - {0}:
        then = float(speedup(0.8, gamma, 0.06, verify_slope=0.03, overhead=0.1))
        assert found[gamma] == pytest.approx(then / now, rel=1e-9)
    assert found[0] == pytest.approx(1 / now)
    named = {c.name: c.gain.estimate for c in changes(account, evidence, rng())}
    half = float(speedup(0.8, 4, 0.03, verify_slope=0.03, overhead=0.1))
    assert named["drafting twice as fast"] == pytest.approx(half / now, rel=1e-9)
    better = float(speedup(0.9, 4, 0.06, verify_slope=0.03, overhead=0.1))
    assert named["half the rejections"] == pytest.approx(better / now, rel=1e-9)


def test_the_gain_of_turning_off_is_one_over_the_measured_ratio() -> None:
    measured = Measured(
        baseline_tokens_per_s=stated("40", "b"), speculative_tokens_per_s=stated("70", "s")
    )
    evidence = from_length(2.9, 3, rng())
    account = explain(measured, evidence, rng())
    off = next(c.gain for c in changes(account, evidence, rng()) if c.gamma == 0)
    speed = account.speedup
    assert (off.low, off.estimate, off.high) == pytest.approx(
        (1 / speed.high, 1 / speed.estimate, 1 / speed.low), rel=1e-3
    )


def test_a_bad_draft_is_told_to_be_switched_off_and_a_short_one_to_go_on() -> None:
    slow = from_alpha(0.2, rng(), gamma=5)
    account = explain(system(0.2, 5, 0.2), slow, rng())
    best = best_setting(changes(account, slow, rng()))
    assert best is not None
    assert best.gamma == 0
    short = from_alpha(0.9, rng(), gamma=1)
    account = explain(system(0.9, 1, 0.02), short, rng())
    best = best_setting(changes(account, short, rng()))
    assert best is not None
    assert best.gamma > 1
    tuned = from_alpha(0.8, rng(), gamma=6)
    assert best_setting(changes(explain(system(0.8, 6), tuned, rng()), tuned, rng())) is None


def test_a_round_known_in_all_its_parts_needs_no_speed() -> None:
    parts = {"plain_step_s": 0.02, "draft_step_s": 0.002, "verify_s": 0.023, "overhead": 0.1}
    account = explain(
        Measured(**{k: Stated(v) for k, v in parts.items()}), from_length(2.6, 3, rng()), rng()
    )
    seconds = 0.023 + 3 * 0.002 + 0.1 * 0.02
    assert account.speedup.estimate == pytest.approx(2.6 * 0.02 / seconds)
    assert product(account) == pytest.approx(account.speedup.estimate)


# --- reasons -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("alpha", "said"),
    [("0.475", "accepted over drafted"), ("0.58", "bonus token counted on both"),
     ("0.9", "disagree")],
)  # fmt: skip
def test_a_rate_of_another_definition_is_recognised(alpha: str, said: str) -> None:
    evidence = from_length("2.90", 4, rng())
    measured = at_speeds(40.0, 60.0)
    account = explain(measured, evidence, rng())
    found = reasons(account, measured, alpha=stated(alpha, "alpha"))
    assert len(found) == 1
    assert said in found[0]
    right = stated("0.7236", "alpha")
    assert from_alpha(right, rng()).tokens(4)[0] == pytest.approx(2.90, abs=0.002)
    assert reasons(account, measured, alpha=right) == ()


def test_prefill_batch_temperature_and_step_times_are_pointed_at() -> None:
    evidence = from_length(2.4, 4, rng())
    measured = at_speeds(800.0, 700.0, batch=16.0, verify_s=0.05, plain_step_s=0.03)
    found = reasons(
        explain(measured, evidence, rng()), measured, prompt_tokens=900, temperature=1.0
    )
    for said in ("plain step", "include the prefill", "temperature 1", "no longer free"):
        assert sum(said in note for note in found) >= 1


# --- command and figure ------------------------------------------------------------------------
def test_the_command_prints_the_account(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "account.png"
    verb.ask(
        baseline_tokens_per_s="41.0", speculative_tokens_per_s="72.5", acceptance_length="2.92",
        gamma=3, draft_step_ms="2.1", figure=out, as_json=True,
    )  # fmt: skip
    answer = json.loads(capsys.readouterr().out)
    factors = [t["factor"]["estimate"] for t in answer["terms"]]
    assert answer["ideal"] * math.prod(factors) == pytest.approx(72.5 / 41.0)
    assert answer["terms"][1]["milliseconds"] == pytest.approx(6.3)
    assert answer["best_change"]["name"] == answer["changes"][0]["name"]
    assert out.read_bytes().startswith(b"\x89PNG")
    assert len(out.read_bytes()) > 10_000
    verb.ask(baseline_tokens_per_s="41.0", round_ms="40", alpha="0.8", gamma=3)
    text = capsys.readouterr().out
    assert "tokens per round" in text
    assert "note: draft, verification growth and overhead" in text


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"gamma": 3}, "needs acceptance"),
        ({"alpha": "0.8"}, "needs gamma"),
        ({"alpha": "1.8", "gamma": 3}, r"alpha must be in \[0, 1\]"),
        ({"alpha": "0.8", "gamma": 3, "figure": Path("a.jpg")}, "figure must end in"),
        ({"alpha": "0.8", "gamma": 0}, "gamma must be an integer"),
    ],
)
def test_the_command_says_what_is_missing(given_: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        verb.ask(baseline_tokens_per_s="40", speculative_tokens_per_s="50", **given_)


def served(folder: Path, gammas: tuple[int, ...] = (0, 3), batch: int = 1) -> Path:
    """Records of a server whose round takes twice a plain step and accepts 2 of 3."""
    plan = ServingPlan((batch,), 2, 12)
    for gamma in gammas:
        fake = Fake(gamma=gamma, pattern=(2,), step_s=0.02 if gamma else 0.01, places=[0] * gamma)
        with serving(fake) as url:
            measure_server(url, folder / f"k{gamma}.json", plan=plan, gamma=gamma)
    return folder


def test_a_folder_of_measured_servers_has_the_speeds_and_the_acceptance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(served(tmp_path))
    found = howspec.explain(acceptance=folder)
    account = found.found.account
    assert account.gamma == 3
    assert account.tokens_per_round.estimate == pytest.approx(3.0, rel=0.05)
    waves = served_of(folder)
    assert waves is not None
    rates = [
        sum(w.window_tokens for w in some) / sum(w.window_s for w in some)
        for some in (waves.plain()[1], waves.of_draft()[3][1])
    ]
    assert account.speedup.estimate == pytest.approx(rates[1] / rates[0])
    assert account.speedup.low < account.speedup.estimate < account.speedup.high
    assert found.notes[0].startswith("speeds are of")
    assert howspec.explain(costs=folder).speedup.estimate == pytest.approx(found.speedup.estimate)
    told = howspec.explain(acceptance=folder, baseline_tokens_per_s=1e-3)
    assert told.speedup.estimate > 1000.0
    # One timed part of a round splits it, and does not stand in the way of the measured speed.
    for part in ({"verify_slope": 0.1}, {"verify_ms": 12.0}, {"overhead": 0.05}):
        split = howspec.explain(acceptance=folder, **part)
        assert split.speedup.estimate == pytest.approx(found.speedup.estimate)
    timed = howspec.explain(acceptance=folder, cost_ratio=0.1, verify_slope=0.1, overhead=0.05)
    assert timed.found.account.round_steps.estimate == pytest.approx(1.65, rel=0.01)
    verb.ask(source=folder, as_json=True)
    assert json.loads(capsys.readouterr().out)["speedup"]["estimate"] == pytest.approx(
        found.speedup.estimate, rel=1e-5
    )
    for asked, said in (
        ({"gamma": 2}, "gamma must be one that was measured, 3, got 2"),
        ({"batch": 4.0}, "batch must be one that was measured, 1, got 4"),
    ):
        with pytest.raises(ValueError, match=said):
            howspec.explain(acceptance=folder, **asked)
    with pytest.raises(ValueError, match="plain decoding was not measured at batch 1: measure"):
        howspec.explain(acceptance=str(tmp_path / "k3.json"))
    with pytest.raises(ValueError, match="SOURCE and --acceptance both state acceptance"):
        verb.ask(source=folder, acceptance="0.7", gamma=3)


def test_a_running_server_is_explained_by_its_url(capsys: pytest.CaptureFixture[str]) -> None:
    fake = Fake(gamma=3, pattern=(2,), places=[40, 40, 0])
    fake.counts = {"rounds": 40, "drafted": 120, "accepted": 80, "tokens": 120}
    with serving(fake) as url:
        verb.ask(source=f"{url}/metrics", baseline_tokens_per_s="40", speculative_tokens_per_s="60")
    assert "measured 1.500 times plain decoding" in capsys.readouterr().out


def test_costs_that_were_measured_are_not_called_unmeasured() -> None:
    def notes(source: Any) -> str:
        return "\n".join(howspec.explain(
            baseline_tokens_per_s=50, speculative_tokens_per_s=60, alpha=0.8, gamma=3, costs=source
        ).notes)  # fmt: skip

    said = notes(0.05)
    assert "not timed in this run: a draft step (0.05 plain steps)" in said
    assert "not measured but" not in said


def test_the_waterfall_stands_for_gains_and_losses(tmp_path: Path) -> None:
    measured = ran(plain_step_s=0.02, round_s=0.024, draft_step_s=0.004, verify_s=0.022)
    account = explain(measured, from_length(2.5, 3, rng()), rng())
    for suffix in ("png", "pdf", "svg"):
        path = tmp_path / f"w.{suffix}"
        assert write(waterfall(account), path).stat().st_size > 5000
    again = write(waterfall(account), tmp_path / "again.png")
    assert again.read_bytes() == (tmp_path / "w.png").read_bytes()


def _looked_up(coverage: float | None) -> KnownAcceptance:
    found = from_alpha(0.8, rng(), gamma=4, draws=50)
    share = None if coverage is None else np.full(50, coverage)
    return replace(found, coverage=share)


@pytest.mark.parametrize("coverage", [0.2, 0.55, 1.0])
def test_steps_without_drafts_are_a_term_and_the_factors_still_multiply(coverage: float) -> None:
    measured = at_speeds(40.0, 60.0)
    made = explain(measured, _looked_up(coverage), rng(), draws=50)
    product = made.ideal * np.prod([t.factor.estimate for t in made.terms])
    assert product == pytest.approx(1.5)
    per_step = 1 - coverage + coverage * made.tokens_per_round.estimate
    assert made.tokens_per_target_step.estimate == pytest.approx(per_step)
    assert made.round_steps.estimate == pytest.approx(per_step / 1.5)
    idle = [t for t in made.terms if t.name == "steps without drafts"]
    assert len(idle) == (coverage < 1.0)
    assert all(t.factor.estimate < 1.0 for t in idle)


def test_fewer_draft_tokens_are_no_gain_for_a_block_drafter() -> None:
    measured = at_speeds(40.0, 30.0)
    evidence = _looked_up(None)
    made = explain(measured, evidence, rng(), draws=50)
    for drafter, gains in (("serial", True), ("block", False)):
        found = changes(made, evidence, rng(), drafter=drafter)  # type: ignore[arg-type]
        fewer = [c.gain.estimate for c in found if 0 < c.gamma < 4]
        assert any(g > 1.0 for g in fewer) == gains


_LOG = (
    "INFO [loggers.py] Engine 000: Avg prompt throughput: 0.0 tokens/s, Avg generation throughput: "
    "60.0 tokens/s, Running: 1 reqs\nINFO [metrics.py] SpecDecoding metrics: Mean acceptance "
    "length: 2.50, Accepted: 30 tokens, Drafted: 60 tokens, Per-position acceptance rate: 0.800, "
    "0.500, 0.200\n"
)


def test_the_speed_in_the_log_is_the_measured_one_where_none_is_given(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(_LOG)
    options: dict[str, Any] = {"baseline_tokens_per_s": 40, "acceptance": str(tmp_path / "log")}
    taken, told = (howspec.explain(**options, speculative_tokens_per_s=v) for v in (None, 80))
    assert taken.found.account.decode_speedup.estimate == pytest.approx(1.5, rel=0.01)
    assert any("speculative_tokens_per_s is 60 as the source states it" in n for n in taken.notes)
    assert told.found.account.decode_speedup.estimate == pytest.approx(2.0, rel=0.01)
    assert not any("as the source states it" in note for note in told.notes)
