"""Rounds and plain steps timed as they follow one another: what passes alone do not show."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from fake_clock import FakeClock, Memory  # noqa: E402
from howspec.calibrate.measure import round_costs as module  # noqa: E402
from howspec.calibrate.measure.costs import measure_costs  # noqa: E402
from howspec.calibrate.measure.decoder import decode_plain, decode_speculative  # noqa: E402
from howspec.calibrate.measure.pairs import LoadedModel  # noqa: E402
from howspec.calibrate.measure.plans import PassGrid  # noqa: E402
from howspec.calibrate.measure.round_costs import (  # noqa: E402
    PARTS,
    STEP_TURNS,
    RoundPlan,
    measure_rounds,
)
from howspec.calibrate.measure.rounds import SpeculativeRounds  # noqa: E402
from howspec.calibrate.measure.runner import Runner  # noqa: E402
from howspec.calibrate.measured import measured_cost, timed_rounds  # noqa: E402
from howspec.calibrate.records import Record  # noqa: E402
from howspec.calibrate.records.points import check_point, kind_of  # noqa: E402
from small_models import loaded_gpt2  # noqa: E402

PASS_S = {"big": 1.0, "small": 0.125}
COLD_S = {"big": 0.25, "small": 0.0625}  # more, where another model ran the pass before
PLAN = RoundPlan((1, 2, 4), ((1, 8), (2, 8), (1, 24)), repeats=3)


def model(name: str) -> LoadedModel:
    return loaded_gpt2(name, seed=len(name))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """A clock on which a pass takes its model's time, and more where the other model ran before."""
    fake, before = FakeClock(), [""]
    extend = Runner.extend
    names = {id(model(name).model): name for name in PASS_S}

    def spend(runner: Runner, tokens: Any, *, clone: bool = True) -> Any:
        name = names[id(runner.model)]
        n = tokens.shape[1]
        fake.spend(PASS_S[name] * (1 + 0.25 * (n - 1)) + COLD_S[name] * (before[0] != name))
        before[0] = name
        return extend(runner, tokens, clone=clone)

    monkeypatch.setattr(Runner, "extend", spend)
    return fake


def measured(clock: FakeClock, plan: RoundPlan = PLAN, **more: Any) -> Memory:
    journal = more.pop("journal", None) or Memory()
    complete = measure_rounds(
        model("big"),
        {"small": model("small")},
        journal,
        plan=plan,
        clock=lambda: clock.now_s,
        **more,
    )
    assert complete
    return journal


def test_every_round_is_there_once_and_a_record_may_hold_it(clock: FakeClock) -> None:
    journal = measured(clock)
    assert len(journal.points) == PLAN.count(1) == 12
    found = {tuple(p[k] for k in Memory.KEY) for p in journal.points}
    assert found == {
        ("round" if g else "step", "small", g or 1, b, c, "eager")
        for g in (0, *PLAN.gammas)
        for b, c in PLAN.shapes
    }
    for point in journal.points:
        check_point(kind_of("costs"), point)
        assert point["target"] == "big"


def test_the_parts_of_a_round_are_those_of_its_passes_in_their_order(clock: FakeClock) -> None:
    for point in measured(clock).points:
        times = np.array(point["times_s"])
        if point["operation"] == "step":
            assert times == pytest.approx([1.0] * PLAN.repeats * STEP_TURNS)
            continue
        gamma, behind = point["tokens"], np.array(point["behind"])
        starts = [1, 2] if point["batch"] == 1 else [2]
        assert behind.tolist() == starts * PLAN.repeats
        first = 0.125 * (1 + 0.25 * (behind - 1)) + 0.0625
        assert point["first_draft_s"] == pytest.approx(first)
        if gamma > 1:
            assert point["draft_s"] == pytest.approx([0.125 * (gamma - 1)] * times.size)
        else:
            assert "draft_s" not in point
        assert point["verify_s"] == pytest.approx([1.0 + 0.25 * gamma + 0.25] * times.size)
        assert times == pytest.approx(sum(np.array(point[part]) for part in PARTS if part in point))


@pytest.mark.parametrize("behind", [1, 2])
def test_a_placed_round_leaves_the_draft_as_far_behind_as_it_says(behind: int) -> None:
    target, draft = (Runner(model(n).model, batch=1, capacity=40) for n in PASS_S)
    for runner in (target, draft):
        runner.occupy(12)
    rounds = SpeculativeRounds(target, draft, 3, 1.0, 0, 40)
    rounds.hold_laws(40)
    for _ in range(2):  # a round that ran changes nothing for the next one placed
        rounds.place(12, torch.tensor([[5, 6]]), behind=behind)
        assert target.lengths.tolist() == [12]
        assert draft.lengths.tolist() == [13 - behind]
        assert rounds.behind.tolist() == [[5, 6][2 - behind :]]
        with torch.inference_mode():
            rounds.round()
        (accepted,) = rounds.accepted[-1]
        assert target.lengths.tolist() == [12 + accepted + 1]


def test_an_interrupted_measurement_goes_on_and_repeats_nothing(clock: FakeClock) -> None:
    journal = Memory(limit=6)
    with pytest.raises(KeyboardInterrupt):
        measured(clock, journal=journal)
    journal.limit = math.inf
    # The shape that was under way is timed as a whole again, so its points come anew.
    kept = [p for p in journal.points if p["context"] == 8 and p["batch"] == 1]
    journal.points = list(kept)
    journal.done = {tuple(p[k] for k in Memory.KEY) for p in kept}
    assert len(measured(clock, journal=journal).points) == 12
    before = list(journal.points)
    assert measured(clock, journal=journal).points == before


def test_half_a_pair_in_the_journal_is_completed_and_not_doubled(clock: FakeClock) -> None:
    journal = Memory(limit=2)
    with pytest.raises(KeyboardInterrupt):
        measured(clock, journal=journal)
    journal.limit = math.inf
    assert len(measured(clock, journal=journal).points) == 12


def test_a_limit_on_time_ends_between_two_shapes(clock: FakeClock) -> None:
    journal = Memory()
    left = iter((50.0, 10.0, 10.0))
    complete = measure_rounds(
        model("big"), {"small": model("small")}, journal, plan=PLAN,
        clock=lambda: clock.now_s, seconds_left=lambda: next(left),
    )  # fmt: skip
    assert not complete
    assert len(journal.points) == len(PLAN.gammas) + 1


def test_what_does_not_fit_is_an_error_at_every_point(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "lacking", lambda *given: "out of memory: not tried")
    points = measured(clock).points
    assert len(points) == 12
    assert all(p["error"] == "out of memory: not tried" and "times_s" not in p for p in points)


def test_rounds_tell_the_time_of_decoding_where_passes_alone_do_not(clock: FakeClock) -> None:
    """The clock makes a pass slower behind the other model's: a cache too small for both."""
    journal = Memory()
    both = {"big": model("big"), "small": model("small")}
    measure_costs(
        both, journal, PassGrid((1, 2, 3, 4, 5), ((1, 8), (1, 24)), repeats=3), clock=clock
    )
    alone = Record("costs", {}, {}, tuple(journal.points))
    measured(clock, journal=journal)
    record = Record("costs", {}, {}, tuple(journal.points))
    runners = [Runner(m.model, batch=1, capacity=64) for m in both.values()]
    asked: dict[str, Any] = {"new_tokens": 40, "temperature": 1.0, "seed": 1}
    prompts = [[1, 2, 3, 4]]
    plain = decode_plain(runners[0], prompts, **asked, clock=lambda: clock.now_s)
    for gamma in (1, 2, 4):
        got = decode_speculative(*runners, prompts, gamma=gamma, **asked, clock=lambda: clock.now_s)
        accepted = got.accepted[0]
        whole = np.full(gamma + 1, np.mean([a == gamma for a in accepted[:-1]]))
        laws = {
            name: measured_cost(r, "big", "small", whole=whole)
            for name, r in (("alone", alone), ("rounds", record))
        }
        seen = got.decode_s / len(accepted)
        # The round behind the last is not run, nor its first pass over two tokens.
        slack = 0.125 * 0.25 / len(accepted)
        assert abs(float(laws["rounds"].round_time(gamma, context=8)[gamma]) - seen) <= slack + 1e-9
        assert float(laws["alone"].round_time(gamma, context=8)[gamma]) < 0.9 * seen
        steps = plain.decode_s / (asked["new_tokens"] - 1)
        assert laws["rounds"].round_time(gamma, context=8)[0] == pytest.approx(steps)


def test_the_record_of_another_target_or_mode_has_no_rounds(clock: FakeClock) -> None:
    record = Record("costs", {}, {}, tuple(measured(clock).points))
    assert timed_rounds(record, "big", "small") is not None
    assert timed_rounds(record, "other", "small") is None
    assert timed_rounds(record, "big", "small", mode="graph") is None
    assert timed_rounds(record, "big", "small", batch=3) is None
