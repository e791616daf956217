"""The comparison of objectives on measured sweeps: what a sweep is, what a choice loses."""

from __future__ import annotations

import numpy as np
import pytest
from howspec.calibrate.doors import Deployment
from howspec.calibrate.learned.near_best import correlation, near_best
from howspec.calibrate.library.evidence import Measurement
from howspec.figures.validation import near_best as measured
from howspec.figures.validation.choices import reliability
from howspec.figures.validation.near_best import MeasuredSweep, asked, counted, measured_sweeps
from howspec.sim.choice import OBJECTIVES, TOLERANCE
from howspec.sim.laws import both_laws
from howspec.sim.pair import predict_pair

AT = Deployment("Llama-3.1-8B", "Llama-3.2-1B", "H100", batch=4.0, task="code", unseen="none")


def row(gamma: int | None, value: float, metric: str = "tpot_ms", **more: object) -> Measurement:
    cells = {"id": "x", "table": "t", "citation": "github a/b", "target": "T", "task": "code",
             "hardware": "H100", "batch": 4.0, "metric": metric, "value": value}  # fmt: skip
    drafted = {"draft": "d", "drafter": "model", "gamma": gamma} if gamma else {}
    return Measurement(**(cells | drafted | more))  # type: ignore[arg-type]


def test_a_sweep_has_its_plain_decoding_and_one_metric_and_leaves_out_what_is_not_comparable() -> (
    None
):
    rows = [row(None, 10.0), row(1, 8.0), row(3, 5.0), row(3, 5.0, batch=8.0), row(5, 7.0),
            row(1, 50.0, "throughput_run"), row(7, 1.0, objection="odd"),
            row(6, 1.0, drafting="tree")]  # fmt: skip
    found = [s for s in measured._of_evidence(rows) if len(s.gammas) > 2]
    (sweep,) = found
    assert sweep.gammas == (0, 1, 3, 5)
    assert [sweep.regret(g) for g in sweep.gammas] == pytest.approx([0.5, 0.375, 0.0, 2 / 7])
    assert (sweep.study, sweep.at.unseen, sweep.at.batch) == ("a/b", "a/b", 4.0)


def test_a_sweep_is_asked_as_predict_is_among_the_gammas_that_were_measured() -> None:
    sweep = MeasuredSweep(AT, "none", "", dict.fromkeys(range(17), 1.0))
    found = asked(sweep)
    for objective in OBJECTIVES:
        said = predict_pair(both_laws(AT), objective=objective).prediction
        assert found.gamma(objective) == said.gamma
        assert found.choices[objective].regret == pytest.approx(said.regret)
    few = asked(MeasuredSweep(AT, "none", "", {0: 1.0, 9: 0.5, 12: 0.25}))
    assert {few.gamma(o) for o in OBJECTIVES} <= {0, 9, 12}
    assert few.regret("regret") in (0.0, 0.5, 0.75)


def test_the_bundled_sweeps_are_many_and_of_many_studies() -> None:
    found = measured_sweeps(least=3)
    assert len(found) >= 130
    assert len({s.study for s in found}) >= 12
    for sweep in found:
        assert all(np.isfinite(v) and v > 0.0 for v in sweep.speeds.values())
        assert min(sweep.regret(g) for g in sweep.gammas) == 0.0
        assert sweep.at.unseen == sweep.study


def test_a_reliability_table_holds_what_was_said_against_what_came_true() -> None:
    said = [0.5, 0.5, 0.9, 0.9, 0.9]
    lines = [*reliability(said, [True, False, True, True, False], ["a", "b", "a", "a", "b"])]
    assert lines[1:] == [
        "said 0.4 to 0.6: 0.50 said, 0.50 came true, 2 sweeps; over 2 studies +0.00 +- 0.50",
        "said 0.8 to 1: 0.90 said, 0.67 came true, 3 sweeps; over 2 studies -0.40 +- 0.50",
    ]
    assert lines[0].startswith("said 0 to 1: 0.74 said, 0.60 came true, 5 sweeps; ")


def test_what_answers_from_names_say_rests_on_the_bundled_sweeps_of_other_studies() -> None:
    known = near_best("safe")
    sweeps = measured_sweeps(least=3)
    assert known.sweeps <= len(sweeps)
    assert known.studies <= len({s.study for s in sweeps})
    assert 0.5 < known.rate < 0.9
    own = max((s.study for s in sweeps), key=[s.study for s in sweeps].count)
    without = near_best("safe", unseen=own)
    assert without.studies == known.studies - 1
    assert known.sweeps - without.sweeps <= [s.study for s in sweeps].count(own)
    assert {near_best(o).sweeps for o in OBJECTIVES} == {known.sweeps}


def test_a_sweep_is_scored_by_what_the_answer_says_and_counted_by_study() -> None:
    speeds = {0: 1.0, 3: 2.0, 12: 0.5}
    found = [asked(MeasuredSweep(AT, study, "", speeds)) for study in ("one", "one", "two")]
    assert found[0].within("safe") == near_best("safe", unseen=AT.unseen).rate
    near = int(found[0].regret("safe") <= TOLERANCE)
    assert counted(found)["safe"] == {"one": (2 * near, 2), "two": (near, 1)}


def test_studies_that_agree_within_and_differ_between_are_called_alike() -> None:
    assert correlation({"a": (9, 9), "b": (0, 9), "c": (9, 9), "d": (0, 9)}) > 0.8
    assert correlation(dict.fromkeys("abcdef", (5, 10))) < 0.05
