"""A campaign with stages that measure nothing: time, interrupts, kills, resuming, copies."""

from __future__ import annotations

import math
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from howspec.calibrate.campaign import Stage, StageOver, Work, plan, run_campaign
from howspec.calibrate.campaign.estimate import Estimate
from howspec.calibrate.campaign.runner import held, interruptible
from howspec.calibrate.records import read_record

ORIGIN = {"device": "fake", "dtype": "float32"}


class Clock:
    """A clock that a stage moves on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def spend(self, seconds: float) -> None:
        self.now += seconds


class Sleeping(Clock):
    """A clock on which every point takes some milliseconds, so that kills fall among them."""

    def spend(self, seconds: float) -> None:
        time.sleep(0.002)


def cost(tokens: int) -> dict[str, Any]:
    point = {"operation": "pass", "model": "a", "tokens": tokens, "batch": 1, "context": 0}
    return {**point, "mode": "eager", "times_s": [0.1]}


class Fake(Stage):
    """A stage of that many points, each of which takes 10 s on the clock of its work."""

    def __init__(
        self, name: str, *, points: int = 10, limit_s: float = math.inf, of_family: bool = False
    ) -> None:
        self.name, self.what, self.points = name, f"measure {name}", points
        self.limit_s, self.of_family = limit_s, of_family

    def run(self, work: Work) -> None:
        with work.journal(self.name, "costs", {}, provenance=ORIGIN) as journal:
            for tokens in range(1, self.points + 1):
                if ("pass", "a", tokens, 1, 0, "eager") not in journal.done:
                    if work.seconds_left() < 0:
                        raise StageOver
                    work.clock.spend(10.0)  # type: ignore[attr-defined]
                    journal.append(cost(tokens))
            journal.finish()

    def state(self, work: Work) -> str:
        begun = (work.records / f"{self.name}.part.jsonl").exists()
        return "done" if work.done(self.name) else "begun" if begun else "to do"

    def estimate(self) -> Estimate:
        return Estimate(self.points * 10.0, 1e6, self.points, 5e3, 7e3)


class Broken(Fake):
    """A stage that loads its models for 5 s, measures one point, or none, and stops so."""

    def __init__(self, error: BaseException, *, points: int = 1) -> None:
        super().__init__("one", points=points)
        self.error = error

    def run(self, work: Work) -> None:
        with work.journal(self.name, "costs", {}, provenance=ORIGIN) as journal:
            work.clock.spend(5.0)  # type: ignore[attr-defined]
            for tokens in range(1, self.points + 1):
                journal.append(cost(tokens))
            raise self.error


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lines() -> list[str]:
    """What a campaign says."""
    return []


@pytest.fixture
def work(tmp_path: Path, clock: Clock, lines: list[str]) -> Work:
    return Work(tmp_path / "out", clock=clock, say=lines.append)


def test_all_stages_run_in_one_call_each_no_longer_than_its_time(
    work: Work, lines: list[str]
) -> None:
    run = run_campaign([Fake("one"), Fake("two")], work, stage_s=35.0)
    assert run.complete
    assert run.done == ("one", "two")
    assert set(run.files) == {"one.json", "two.json"}
    # Ten points of 10 s: four fit before 35 s have passed, so a stage takes three runs.
    assert [line for line in lines if line.startswith("one")] == [
        "one stopped: its time is up after 40 s",
        "one stopped: its time is up after 40 s",
        "one complete after 20 s",
    ]
    points = read_record(work.records / "one.json").points
    assert [p["tokens"] for p in points] == list(range(1, 11))


def test_a_stage_over_its_own_limit_lets_the_next_begin_and_goes_on_behind_the_last(
    work: Work, lines: list[str]
) -> None:
    stages = [
        Fake("one", limit_s=35.0),
        Fake("ladder", points=2, of_family=True),
        Fake("two", points=2),
    ]
    first = run_campaign(stages, work, call_s=65.0)
    assert first.done == ("two",)  # there is no family, and one has 5 of its 10 points
    (work.out / "family").mkdir()
    (work.out / "family" / "family.json").touch()
    assert run_campaign(stages, work).complete
    assert [line.split(":")[0] for line in lines if line.startswith("stage")] == [
        "stage 1 of 3, one",
        "stage 3 of 3, two",
        "stage 1 of 3, one",
        "stage 1 of 3, one",
        "stage 2 of 3, ladder",
        "stage 1 of 3, one",
    ]


def test_a_call_stops_after_its_stages_or_seconds_and_the_next_goes_on(
    work: Work, clock: Clock
) -> None:
    stages = [Fake("one"), Fake("two")]
    first = run_campaign(stages, work, most=1)
    assert (first.complete, first.done, first.left) == (False, ("one",), ("two",))
    second = run_campaign(stages, work, call_s=25.0)
    assert second.left == ("two",)
    assert stages[1].state(work) == "begun"
    assert run_campaign(stages, work, only="two").complete
    before = clock.now
    assert run_campaign(stages, work).complete
    assert clock.now == before


def test_a_plan_says_what_is_done_and_what_is_to_come(work: Work) -> None:
    stages = [Fake("one"), Fake("two", points=3)]
    run_campaign(stages, work, most=1)
    run_campaign(stages, work, call_s=15.0)
    assert [p["state"] for p in plan(stages, work)] == ["done", "begun"]
    assert plan(stages, work)[1] == {
        "stage": "two",
        "what": "measure two",
        "state": "begun",
        "note": "",
        "expected_time_s": 30.0,
        "expected_memory_bytes": 1e6,
        "expected_record_bytes": 5e3,
        "carried_bytes": 7e3,
        "points": 3,
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"only": "three"}, "stage must be one of one, two, got 'three'"),
        ({"most": 0}, "stages must be a whole number >= 1, got 0"),
        ({"stage_s": 0.0}, r"stage seconds must be in \(0, inf\), got 0.0"),
        ({"call_s": float("nan")}, r"call seconds must be in \(0, inf\), got nan"),
    ],
)
def test_limits_out_of_range_are_refused(work: Work, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run_campaign([Fake("one"), Fake("two")], work, **given)
    assert not work.out.exists()


def test_a_second_run_into_the_folder_is_refused_in_one_line(work: Work) -> None:
    with held(work.out), pytest.raises(ValueError, match="another run of a campaign") as caught:
        run_campaign([Fake("one")], work)
    assert "\n" not in str(caught.value)
    assert run_campaign([Fake("one")], work).complete


def test_an_interrupted_stage_keeps_its_points_and_copies_them(work: Work, tmp_path: Path) -> None:
    work.copies = tmp_path / "copies"
    with pytest.raises(KeyboardInterrupt):
        run_campaign([Broken(KeyboardInterrupt())], work)
    assert [p.name for p in (tmp_path / "copies").iterdir()] == ["one.part.jsonl"]
    assert run_campaign([Fake("one")], work).complete
    assert [p.name for p in (tmp_path / "copies").iterdir()] == ["one.json"]
    assert len(read_record(tmp_path / "copies" / "one.json").points) == 10


def test_copies_carry_a_campaign_to_another_machine(
    work: Work, clock: Clock, tmp_path: Path
) -> None:
    stages = [Fake("one"), Fake("two")]
    work.copies = tmp_path / "copies"
    run_campaign(stages, work, call_s=125.0)
    there = Work(tmp_path / "elsewhere", clock=clock, copies=tmp_path / "copies")
    begun = clock.now
    assert run_campaign(stages, there).complete
    assert clock.now - begun == 70.0  # 13 of the 20 points were there
    names = sorted(p.name for p in (tmp_path / "copies").iterdir())
    assert names == ["one.json", "two.json"]


def test_what_a_killed_run_left_beside_a_finished_record_is_dropped(
    work: Work, tmp_path: Path
) -> None:
    work.copies = tmp_path / "copies"
    run_campaign([Fake("one")], work)
    for name in ("one.part.jsonl", ".one.json.abc.part"):  # killed before the journal was dropped
        (work.records / name).write_text("{}\n")
    assert run_campaign([Fake("one")], work).complete
    for folder in (work.records, tmp_path / "copies"):
        assert [p.name for p in folder.iterdir()] == ["one.json"]


def test_a_stage_that_fails_says_why_and_loses_nothing(work: Work, clock: Clock) -> None:
    sound, error = Fake("one"), ValueError("the target gave logits that are not finite numbers")
    with pytest.raises(ValueError, match="not finite"):
        run_campaign([Broken(error), Fake("two", points=1)], work)
    assert work.done("two")  # what comes behind it is not lost either
    assert sound.state(work) == "begun"
    assert run_campaign([sound], work).complete
    assert clock.now == 105.0  # no point is measured again


def test_a_stage_whose_time_is_too_short_for_any_point_is_refused(work: Work) -> None:
    slow = Broken(StageOver(), points=0)
    with pytest.raises(ValueError, match="stage one measured nothing within 3 s: give it more"):
        run_campaign([slow], work, stage_s=3.0)
    # Where it was the call that ended, the next call has the whole time again.
    assert run_campaign([slow], work, stage_s=30.0, call_s=3.0).left == ("one",)


def test_records_larger_than_allowed_are_named(
    work: Work, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("howspec.calibrate.campaign.runner.LARGEST_BYTES", 100)
    run_campaign([Fake("one")], work)
    assert any(line.startswith("one.json has 0.0 MB, more than") for line in lines)


def test_a_terminate_signal_interrupts_as_the_keyboard_does() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def terminated() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    with interruptible(), pytest.raises(KeyboardInterrupt):
        terminated()
    assert signal.getsignal(signal.SIGTERM) is before


def test_twenty_kills_at_random_moments_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    rng = random.Random(11)
    work = Work(tmp_path / "out", clock=Sleeping(), copies=tmp_path / "copies")
    stages = [Fake(name, points=40) for name in ("one", "two")]
    forked = multiprocessing.get_context("fork")
    finished = 0
    for _ in range(20):
        process = forked.Process(target=run_campaign, args=(stages, work))
        process.start()
        time.sleep(rng.uniform(0.0, 0.08))
        process.kill()
        process.join()
        if work.done("two"):
            _assert_whole(work.records)
            finished += 1
            for path in (*work.records.iterdir(), *(tmp_path / "copies").iterdir()):
                path.unlink()
    assert finished < 10  # otherwise the kills came after the end and showed nothing
    assert run_campaign(stages, work).complete
    for folder in (work.records, tmp_path / "copies"):
        _assert_whole(folder)
        # Nothing half-written is left either.
        assert sorted(p.name for p in folder.iterdir()) == ["one.json", "two.json"]


def _assert_whole(folder: Path) -> None:
    """Every point of both stages once, as an undisturbed run measures them."""
    for name in ("one", "two"):
        points = read_record(folder / f"{name}.json").points
        assert list(points) == [cost(tokens) for tokens in range(1, 41)]
