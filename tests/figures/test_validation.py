"""Tests of truth are themselves tested: rows as they come, points that are never looked at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import call
from howspec.calibrate.learned.bundled import library_rows, suspected
from howspec.calibrate.learned.measured import GammaSweep, MeasuredRow, gamma_sweeps
from howspec.calibrate.learned.stated import tokens_of, usable
from howspec.calibrate.library.load import load_table
from howspec.calibrate.library.own import OwnCampaign
from howspec.calibrate.measured import ladder as own
from howspec.calibrate.records import Record
from howspec.calibrate.tables.cells import read_cells
from howspec.calibrate.tables.schema import text
from howspec.figures.validation import combined as serving
from howspec.figures.validation import ladder as ladder_tests
from howspec.figures.validation import result as rivals
from howspec.figures.validation import suite, sweeps
from howspec.figures.validation.combined import task_test
from howspec.figures.validation.result import Point, Test
from howspec.figures.validation.rows import rows_of
from howspec.figures.validation.sweeps import leave_one_gamma_out
from howspec.theory import DepthAcceptance, speedup, tokens_by_gamma, tokens_per_round
from hypothesis import given, settings
from hypothesis import strategies as st
from measured_row import NAN, a_row

HEADER = (
    "target,draft,engine,hardware,task,batch,gamma,alpha,tau_mean_tokens_per_round,cost_ratio_c,"
    "speedup,precision,notes"
)


def rows_in(path: Path) -> tuple[MeasuredRow, ...]:
    return rows_of(read_cells(path)).rows


def a_file(folder: Path, *lines: str, header: str = HEADER, mark: str = "") -> Path:
    path = folder / "rows.csv"
    path.write_text(mark + "\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def cells(**given: object) -> str:
    """One line of a file in the order of the header."""
    usual = {"target": "T", "draft": "d", "engine": "e", "hardware": "h", "task": "chat",
             "batch": 1, "gamma": 3, "speedup": 2.0}  # fmt: skip
    known = usual | given
    return ",".join(str(known.get(name, "")) for name in HEADER.split(","))


# --- rows --------------------------------------------------------------------------------------


def test_numbers_are_read_and_ranges_are_not_stated(tmp_path: Path) -> None:
    path = a_file(
        tmp_path,
        cells(gamma=4, alpha=0.7, tau_mean_tokens_per_round=2.5, cost_ratio_c=0.1),
        cells(gamma="tree 4x2", alpha="0.6-0.8", batch="1-8", speedup="2.0-2.5"),
        cells(gamma=3.5, alpha="n/a"),
        cells(gamma=0, speedup=1),
        mark="\ufeff",
    )
    first, second, third, fourth = rows_in(path)
    assert (first.gamma, first.alpha, first.tau, first.cost_ratio, first.speedup) == (
        4, 0.7, 2.5, 0.1, 2.0,
    )  # fmt: skip
    assert (first.target, first.batch_size, first.id) == ("T", 1.0, "row 1")
    assert (second.gamma, second.batch) == (0, "1-8")
    assert np.isnan([second.alpha, second.speedup, second.batch_size, third.alpha]).all()
    assert third.gamma == fourth.gamma == 0
    assert not any(r.objection for r in (first, second, third, fourth))


def test_only_target_and_speedup_must_be_there(tmp_path: Path) -> None:
    (row,) = rows_in(a_file(tmp_path, "1.5,L,3", header="speedup,target,something else"))
    assert (row.target, row.speedup, row.gamma, row.draft) == ("L", 1.5, 0, "")
    assert np.isnan([row.tau, row.alpha, row.cost_ratio, row.base_rate]).all()


def test_notes_say_what_alpha_and_tau_are(tmp_path: Path) -> None:
    said = ("alpha = E[sum min(p; q)] = min(p", "Tau derived here", "measured",
            "alpha = accepted/drafted", "alpha = position-0 acceptance")  # fmt: skip
    rows = rows_in(a_file(tmp_path, *(cells(notes=n) for n in said)))
    assert [r.alpha_kind for r in rows] == [
        "overlap", "", "", "accepted_over_drafted", "first_position",
    ]  # fmt: skip
    assert [r.tau_is_derived for r in rows] == [False, True, False, False, False]


IMPOSSIBLE = [
    {"speedup": -1}, {"speedup": 0}, {"alpha": 7.5}, {"alpha": -0.1}, {"cost_ratio_c": -0.2},
    {"tau_mean_tokens_per_round": 0.9}, {"tau_mean_tokens_per_round": 4.000001},
    {"gamma": 5000}, {"batch": 0}, {"batch": -3}, {"speedup": "1e9"},
]  # fmt: skip


@pytest.mark.parametrize("values", IMPOSSIBLE)
def test_a_row_that_cannot_be_stays_with_its_objection_and_is_not_used(
    tmp_path: Path, values: dict[str, object]
) -> None:
    complete = {"tau_mean_tokens_per_round": 2.0, "cost_ratio_c": 0.1, "alpha": 0.5}
    path = a_file(tmp_path, cells(**(complete | values)))
    (row,) = rows_in(path)
    (name,) = values
    assert row.objection.startswith(name)
    assert not usable(row)
    assert gamma_sweeps([row], least=1) == ()
    report = suite.file_report(path)
    assert report.tests == ()
    assert len(report.skipped) == 1
    assert report.skipped[0].startswith(f"1 rows of T: {name} must be")


def test_values_at_the_ends_of_their_ranges_are_possible(tmp_path: Path) -> None:
    ends = [cells(alpha=a, tau_mean_tokens_per_round=t, cost_ratio_c=0) for a, t in
            ((0, 1), (1, 4))]  # fmt: skip
    assert [r.objection for r in rows_in(a_file(tmp_path, *ends))] == ["", ""]


@given(st.lists(st.text(alphabet="0123456789.-+einfax% ", max_size=8), min_size=6, max_size=6))
def test_whatever_a_cell_holds_is_a_row_that_is_possible_or_not_used(
    tmp_path_factory: pytest.TempPathFactory, values: list[str]
) -> None:
    names = ("gamma", "alpha", "tau_mean_tokens_per_round", "cost_ratio_c", "speedup", "batch")
    path = a_file(tmp_path_factory.mktemp("junk"), cells(**dict(zip(names, values, strict=True))))
    (row,) = suspected(rows_in(path))
    if usable(row):
        assert row.gamma >= 1
        assert row.speedup > 0
        assert 1 <= tokens_of(row) <= row.gamma + 1


def test_the_bundled_rows_are_many_and_possible() -> None:
    rows = library_rows()
    assert len(rows) > 250
    assert sum(r.gamma > 0 for r in rows) > 200
    assert {"SGLang", "T5X (encoder-decoder)"} & {r.engine for r in rows}
    good = [r for r in rows if not r.objection]
    assert all(1 <= r.tau <= r.gamma + 1 for r in good if np.isfinite(r.tau) and r.gamma)
    assert all(r.speedup > 0 for r in good if np.isfinite(r.speedup))
    assert len({r.id for r in rows}) == len(rows)


def test_bundled_tokens_that_were_derived_follow_from_the_stated_acceptance() -> None:
    derived = [r for r in library_rows() if r.tau_is_derived]
    told = [row["id"] for row in load_table("serving_speedups").rows if row["tokens_derived"]]
    assert [r.id for r in derived] == told
    stated = [r for r in derived if np.isfinite(r.alpha)]
    assert len(stated) > 20
    assert all(r.tau == pytest.approx(1 + r.gamma * r.alpha, abs=0.01) for r in stated)


# --- grouping ----------------------------------------------------------------------------------


def test_a_sweep_is_one_target_draft_task_engine_machine_and_batch() -> None:
    base = [a_row(g) for g in (5, 1, 3)]
    for name in ("target", "draft", "task", "engine", "hardware", "batch"):
        other = [replace(r, **{name: "2"}) for r in base]
        found = gamma_sweeps([*base, *other])
        assert [list(s.gammas) for s in found] == [[1, 3, 5], [1, 3, 5]]
    mixed = [replace(r, precision=str(i)) for i, r in enumerate(base)]
    assert [list(s.gammas) for s in gamma_sweeps(mixed)] == [[1, 3, 5]]


@pytest.mark.parametrize("name", ["precision", "temperature", "method"])
def test_where_a_gamma_repeats_sweeps_are_split_further(name: str) -> None:
    rows = [a_row(g, **{name: v}) for g in (1, 3) for v in ("a", "b")]
    found = gamma_sweeps(rows)
    assert [list(s.gammas) for s in found] == [[1, 3], [1, 3]]
    assert [len({getattr(r, name) for r in s.rows}) for s in found] == [1, 1]
    assert gamma_sweeps([*rows, a_row(3, speedup=3.0, **{name: "a"})]) == (found[1],)
    apart = [replace(r, source=f"paper {i}, table 1") for i, r in enumerate((a_row(1), a_row(1)))]
    assert [len(s.rows) for s in gamma_sweeps(apart, least=1)] == [1, 1]


def test_rows_without_gamma_speed_or_with_an_objection_are_in_no_sweep() -> None:
    rows = [a_row(1), a_row(3), a_row(0), a_row(5, speedup=NAN), a_row(7, objection="no")]
    (sweep,) = gamma_sweeps(rows)
    assert list(sweep.gammas) == [1, 3]
    assert gamma_sweeps(rows, least=3) == ()
    assert sweep.tau is None
    stated_all = GammaSweep(tuple(replace(r, tau=1.5) for r in sweep.rows))
    assert stated_all.tau == pytest.approx([1.5, 1.5])


def test_a_machine_whose_speed_ups_exceed_its_tokens_is_suspected() -> None:
    slow = [a_row(g, tau=2.0, speedup=s) for g, s in ((1, 2.2), (3, 2.3), (5, 1.5), (7, 1.4))]
    fine = [replace(r, hardware="other", speedup=1.4) for r in slow]
    untouched = a_row(9, target="U")
    marked = suspected([*slow, *fine, untouched])
    assert all("plain baseline looks too slow" in r.objection for r in marked[:4])
    assert [r.objection for r in marked[4:]] == [""] * 5
    assert not any(r.objection for r in suspected([slow[0], *slow[2:]]))  # one may be noise


def test_rows_that_cannot_be_do_not_make_a_machine_suspected() -> None:
    wrong = [a_row(g, tau=0.5, speedup=2.0, objection="tau") for g in (1, 3, 5)]
    sound = a_row(7, tau=3.0, speedup=2.0)
    assert suspected([*wrong, sound])[3].objection == ""
    zero = a_row(2, tau=2.0, speedup=0.0, objection="speedup must be above 0, got 0")
    assert suspected([zero])[0].objection == zero.objection


# --- sweeps ------------------------------------------------------------------------------------

GAMMAS = (1, 2, 3, 5, 7)


def a_sweep(
    task: str = "chat",
    *,
    alpha: float = 0.8,
    slope: float = 0.06,
    rng: np.random.Generator | None = None,
    noise: float = 0.0,
    step_at: int = 0,
    step: float = 1.0,
    gammas: Sequence[int] = GAMMAS,
    tau: bool = True,
    **more: Any,
) -> GammaSweep:
    """Rows of a known law: overhead 0.1, decay 0.98; ``step`` times the round at ``step_at``."""
    law = DepthAcceptance(np.array(alpha), np.array(0.98))
    tokens = np.asarray(tokens_by_gamma(law, max(gammas)))[list(gammas)]
    rounds = 1.1 + slope * np.array(gammas)
    rounds[[g == step_at for g in gammas]] *= step
    errors = np.zeros((2, len(gammas))) if rng is None else noise * rng.standard_normal(
        (2, len(gammas)))  # fmt: skip
    tokens = np.clip(tokens * np.exp(errors[0]), 1.0, np.array(gammas) + 1.0)
    gains = tokens / rounds * np.exp(errors[1])
    return GammaSweep(tuple(
        a_row(g, task=task, speedup=float(s), tau=float(t) if tau else NAN, **more)
        for g, s, t in zip(gammas, gains, tokens, strict=True)
    ))  # fmt: skip


def changed(sweep: GammaSweep, at: int, **values: float) -> GammaSweep:
    rows = list(sweep.rows)
    rows[at] = replace(rows[at], **values)  # type: ignore[arg-type]
    return GammaSweep(tuple(rows))


@pytest.mark.parametrize("tau", [True, False])
def test_a_sweep_of_a_known_law_is_predicted_within_little(tau: bool) -> None:
    gain, tokens = leave_one_gamma_out([a_sweep(tau=tau)], name="x")
    assert len(gain.points) == len(GAMMAS)
    assert len(tokens.points) == (len(GAMMAS) if tau else 0)
    assert np.abs(gain.errors()).max() < 0.05
    assert np.abs(gain.errors())[1:-1].max() < 0.02
    assert gain.coverage == 1.0
    assert gain.name == "x: speed-up, one gamma left out"
    if tau:
        assert np.abs(tokens.errors()).max() < 0.03


@pytest.mark.parametrize("tau", [True, False])
def test_the_measurement_left_out_never_touches_its_own_prediction(tau: bool) -> None:
    family = [a_sweep(t, alpha=a, tau=tau, gammas=(1, 3, 5)) for t, a in (("a", 0.7), ("b", 0.8))]
    before = leave_one_gamma_out(family, name="x")
    other = changed(family[0], 1, speedup=3.1, **({"tau": 3.9} if tau else {}))
    after = leave_one_gamma_out([other, family[1]], name="x")
    for first, second in zip(before, after, strict=True):
        for i, (p, q) in enumerate(zip(first.points, second.points, strict=True)):
            same = (p.predicted, p.low, p.high) == (q.predicted, q.low, q.high)
            # Its own prediction stays; those of its sweep and of its sister move.
            assert same == (i == 1)
        if first.points:
            assert first.points[1].observed != second.points[1].observed


def test_a_step_that_sisters_share_is_seen_by_them() -> None:
    tasks = [(f"t{i}", a) for i, a in enumerate((0.6, 0.68, 0.75, 0.8))]
    family = [a_sweep(t, alpha=a, step_at=3, step=1.08, gammas=(1, 2, 3, 5)) for t, a in tasks]
    alone, _ = leave_one_gamma_out(family[:1], name="x")
    together, _ = leave_one_gamma_out(family[:1], sisters=family[1:], name="x")
    assert abs(together.errors()[2]) < 0.5 * abs(alone.errors()[2])
    assert alone.errors()[2] > 0.03
    assert len(together.points) == 4  # sisters lend, they are not tested
    far = [replace_all(s, hardware="another") for s in family[1:]]
    unmoved, _ = leave_one_gamma_out(family[:1], sisters=far, name="x")
    assert unmoved.points == alone.points


def replace_all(sweep: GammaSweep, **values: Any) -> GammaSweep:
    return GammaSweep(tuple(replace(r, **values) for r in sweep.rows))


@pytest.mark.parametrize(
    "twin", [{}, {"precision": "bf16"}, {"task": "CHAT"}, {"batch": "1.0"}, {"temperature": "1"}]
)
def test_a_sister_that_is_the_same_row_is_not_lent(twin: dict[str, str]) -> None:
    own = a_sweep(gammas=(1, 3, 5), step_at=3, step=1.1)
    same = replace_all(own, **twin)
    alone, _ = leave_one_gamma_out([own], name="x")
    beside, _ = leave_one_gamma_out([own], sisters=[same], name="x")
    assert beside.points == alone.points
    true_sister = replace_all(own, task="another")
    lent, _ = leave_one_gamma_out([own], sisters=[true_sister], name="x")
    assert lent.points != alone.points


def test_tokens_that_were_derived_are_not_scored() -> None:
    gain, tokens = leave_one_gamma_out(
        [replace_all(a_sweep(gammas=(1, 3, 5)), tau_is_derived=True)], name="x"
    )
    assert (len(gain.points), len(tokens.points)) == (3, 0)


def test_progress_counts_the_sweeps_that_are_fitted() -> None:
    seen: list[tuple[str, int, int]] = []
    family = [a_sweep(t, gammas=(1, 5)) for t in "ab"]
    other = replace_all(family[0], target="elsewhere")
    leave_one_gamma_out(family, sisters=[other], name="x", progress=lambda *call: seen.append(call))
    assert seen == [("x", 1, 2), ("x", 2, 2)]


# --- what sisters show -------------------------------------------------------------------------


def test_intervals_of_noisy_families_hold_their_measurements() -> None:
    rng = np.random.default_rng(29)
    inside = []
    for k in range(8):
        family = [
            a_sweep(f"t{i}", alpha=rng.uniform(0.5, 0.9), slope=0.08, rng=rng, noise=0.015,
                    gammas=(1, 3, 5, 7), target=f"T{k}", step_at=5, step=rng.uniform(0.95, 1.1))
            for i in range(3)
        ]  # fmt: skip
        gain, _ = leave_one_gamma_out(family, name="x")
        inside += [p.inside for p in gain.points]
    assert 0.85 <= np.mean(inside) <= 0.97


# --- tasks -------------------------------------------------------------------------------------


def tasks(*alphas: float) -> list[GammaSweep]:
    return [a_sweep(f"t{i}", alpha=a, gammas=(1, 3, 5)) for i, a in enumerate(alphas)]


def test_with_its_tokens_known_a_task_at_equal_costs_is_met_exactly() -> None:
    test = task_test(tasks(0.6, 0.7, 0.85), name="x", everywhere=True)
    assert len(test.points) == 9
    assert np.abs(test.errors()).max() < 1e-12
    assert max(test.regret) == 0.0


def test_from_one_gamma_a_task_is_met_within_little() -> None:
    test = task_test(tasks(0.6, 0.7, 0.85), name="x", everywhere=False)
    assert np.abs(test.errors()).max() < 0.12
    assert np.abs(test.errors())[::3].max() < 0.02  # at the gamma that was seen


@pytest.mark.parametrize("everywhere", [True, False])
def test_the_speed_of_the_task_is_never_looked_at(everywhere: bool) -> None:
    family = tasks(0.6, 0.7, 0.85)
    before = task_test(family, name="x", everywhere=everywhere)
    fast = [changed(family[0], 2, speedup=9.0), *family[1:]]
    after = task_test(fast, name="x", everywhere=everywhere)
    predicted = [[(p.predicted, p.low, p.high) for p in t.points] for t in (before, after)]
    assert predicted[0][:3] == predicted[1][:3]
    assert predicted[0][3:] != predicted[1][3:]
    gains = np.array([r.speedup for r in fast[0].rows])
    chosen = int(np.argmax([p[0] for p in predicted[1][:3]]))
    assert after.regret[0] == pytest.approx(1 - gains[chosen] / 9.0)


def test_two_tasks_are_too_few_and_batches_stay_apart() -> None:
    assert task_test(tasks(0.6, 0.7), name="x", everywhere=True).points == ()
    mixed = [*tasks(0.6, 0.7), replace_all(tasks(0.8)[0], batch="8")]
    assert task_test(mixed, name="x", everywhere=True).points == ()


# --- chips and serving -------------------------------------------------------------------------


def test_the_speed_of_a_chip_between_its_ends_is_never_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = serving.chips_test()
    table = load_table("redrafter_chips")
    ends: dict[tuple[str, str], list[float]] = {}
    for r in table.rows:
        if text(r, "drafting") == "chain":
            ends.setdefault((text(r, "chip"), text(r, "precision")), []).append(
                float(str(r["gamma_tokens"]))
            )
    rows = []
    for r in table.rows:
        own = ends.get((text(r, "chip"), text(r, "precision")), [])
        chain = text(r, "drafting") == "chain"
        inner = chain and min(own) < float(str(r["gamma_tokens"])) < max(own)
        rows.append({**r, "speedup": 9.0, "round_s": 5.0} if inner else r)
    monkeypatch.setattr(serving, "load_table", lambda name: replace(table, rows=tuple(rows)))
    after = serving.chips_test()
    assert len(before.points) >= 6
    assert [(p.predicted, p.low, p.high) for p in after.points] == [
        (p.predicted, p.low, p.high) for p in before.points
    ]
    assert {p.observed for p in after.points} == {9.0}


def served(**more: Any) -> MeasuredRow:
    given = {"target": serving.TARGET, "hardware": "H100", "task": "GSM8K", "batch": "16",
             "tau": 2.5, "speedup": 1.5, "method": "draft head"}  # fmt: skip
    return a_row(3, **(given | more))


def test_a_served_batch_is_the_published_law_step_by_step() -> None:
    (point,) = serving.serving_test([served()]).points
    cached = 16 * 190.0
    verify = 5.88590713e-3 + 2.10103129e-5 * 64 + 3.92645679e-8 * cached
    head = 2.13526175e-3 + 8.41429603e-7 * 64 + 2.37768493e-9 * cached
    plain = 5.88590713e-3 + 2.10103129e-5 * 16 + 3.92645679e-8 * cached + 1.20683946e-3
    assert point.predicted == pytest.approx(2.5 * plain / (verify + head + 1.20683946e-3))
    assert point.low < point.predicted < point.high


def test_rows_of_others_and_look_up_in_batches_are_not_served() -> None:
    others = [served(target="U"), served(hardware="A100"), served(task="other"), served(tau=NAN),
              served(batch="1-8"), served(method="n-gram"), replace(served(), gamma=0)]  # fmt: skip
    assert serving.serving_test(others).points == ()
    (alone,) = serving.serving_test([served(method="n-gram", batch="1")]).points
    (head,) = serving.serving_test([served(batch="1")]).points
    assert alone.predicted > head.predicted  # look-up costs next to nothing


# --- rivals ------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.floats(0.1, 0.95), st.floats(0.0, 0.5), st.integers(1, 12))
def test_the_plain_formula_is_exact_on_its_own_sweep(alpha: float, c: float, wanted: int) -> None:
    gammas = np.array([1, 2, 4, 8])
    tau = np.asarray(tokens_per_round(alpha, gammas))
    gains = np.asarray(speedup(alpha, gammas, c))
    found = rivals.plain_from_sweep(gammas, gains, tau, wanted)
    assert found == pytest.approx(float(speedup(alpha, wanted, c)), rel=1e-7)


def test_without_tokens_the_plain_formula_is_met_up_to_its_grid() -> None:
    gammas = np.array([1, 2, 4, 8])
    gains = np.asarray(speedup(0.8, gammas, 0.1))
    found = rivals.plain_from_sweep(gammas, gains, None, 6)
    assert found == pytest.approx(float(speedup(0.8, 6, 0.1)), rel=0.01)


def test_the_other_rivals_say_what_they_say_by_hand() -> None:
    gammas, gains = np.array([1, 3, 7]), np.array([1.2, 1.6, 1.4])
    assert [rivals.interpolated(gammas, gains, g) for g in (2, 5, 9)] == pytest.approx(
        [1.4, 1.5, 1.4]
    )
    assert rivals.plain_from_numbers(0.5, NAN, 2, 0.1) == pytest.approx(1.75 / 1.2)
    assert rivals.plain_from_numbers(0.5, 2.0, 2, 0.1) == pytest.approx(2.0 / 1.2)
    for sizes in ((NAN, 7e9), (7e9, NAN), (0.0, 7e9), (1e-21, 7e9), (-1.0, 7e9)):
        assert rivals.sdsl_alpha(*sizes) is None
        assert rivals.sdsl_speedup(*sizes, 4, 0.1) is None
    alpha = rivals.sdsl_alpha(0.5e9, 7e9)
    assert alpha is not None
    assert 0.3 < alpha < 1.0
    assert rivals.sdsl_speedup(0.5e9, 7e9, 4, 0.1) == pytest.approx(float(speedup(alpha, 4, 0.1)))


# --- results -----------------------------------------------------------------------------------


def test_the_numbers_of_a_test_are_those_by_hand() -> None:
    points = (
        Point("a", 2.0, 2.2, 1.9, 2.4, {"r": 2.0, "s": None}),
        Point("b", 1.0, 0.9, 0.95, 1.1, {"r": 1.5}),
        Point("c", 4.0, 4.0, 4.5, 5.0),
    )
    test = Test("n", "g", points, (0.0, 0.02, 0.04), ("note",))
    summary = test.summary()
    assert test.errors() == pytest.approx([0.1, -0.1, 0.0])
    assert summary["points"] == 3
    assert summary["median_abs_error"] == pytest.approx(0.1)
    assert summary["mean_abs_error"] == pytest.approx(0.2 / 3)
    assert summary["p95_abs_error"] == pytest.approx(0.1)
    assert summary["worst_abs_error"] == pytest.approx(0.1)
    assert summary["coverage_90"] == pytest.approx(2 / 3)
    assert summary["rivals"] == {"r": pytest.approx(0.25), "s": None}
    assert summary["median_beside_rival"] == {"r": pytest.approx(0.1), "s": None}
    assert summary["regret_mean"] == pytest.approx(0.02)
    assert summary["regret_p95"] == pytest.approx(0.038)
    assert summary["regret_within_1_percent"] == pytest.approx(1 / 3)
    assert summary["notes"] == ["note"]
    absolute = replace(test, error="absolute").summary()
    assert absolute["worst_abs_error"] == pytest.approx(0.2)


def test_a_test_without_points_has_no_numbers() -> None:
    summary = Test("n", "g", ()).summary()
    assert summary["points"] == 0
    for key in ("median_abs_error", "p95_abs_error", "coverage_90", "regret_mean"):
        assert summary[key] is None
    assert summary["rivals"] == {}


# --- files -------------------------------------------------------------------------------------

ACCEPTANCE = "id,target,target_params_b,draft,draft_params_b,task,temperature,gamma,metric,value,n"
ACCEPTED = (
    "A,Big-7B,7,Big-0.5B,0.5,code,0,4,alpha_conditional,0.75,2000",
    "B,Big-7B,7,Big-0.5B,0.5,chat,0,4,alpha_conditional,0.65,2000",
    "C,Big-7B,7,Big-0.5B,0.5,chat,0,tree,alpha_conditional,0.65,2000",
    "D,Big-7B,7,Big-0.5B,0.5,chat,0,4,alpha_conditional,unknown,2000",
    "E,Big-7B,7,Big-0.5B,0.5,chat,0,4,no such metric,0.65,2000",
)


@pytest.mark.parametrize("header", [ACCEPTANCE, ACCEPTANCE.upper()])
def test_rows_of_acceptance_are_predicted_and_the_others_are_named(
    tmp_path: Path, header: str
) -> None:
    report = suite.file_report(a_file(tmp_path, *ACCEPTED, header=header, mark="\ufeff"))
    alpha, metric = report.tests
    assert (alpha.name, metric.name) == (
        "acceptance rows: alpha", "acceptance rows: alpha_conditional",
    )  # fmt: skip
    assert {p.label for p in metric.points} >= {"A", "B"}
    assert not {"D", "E"} & {p.label for p in metric.points}
    observed = {p.label: p.observed for p in alpha.points}
    assert (observed["A"], observed["B"]) == (0.75, 0.65)
    for p in (*alpha.points, *metric.points):
        assert 0.0 <= p.low < p.predicted < p.high <= 1.0
        assert p.rivals
    assert any("(D)" in line and "no value" in line for line in report.skipped)
    assert any("(E)" in line and "is not known" in line for line in report.skipped)


def test_a_file_of_two_gammas_without_tokens_is_not_used_and_says_so(tmp_path: Path) -> None:
    path = a_file(tmp_path, cells(gamma=2, speedup=1.5), cells(gamma=4, speedup=1.7))
    report = suite.file_report(path)
    assert report.tests == ()
    assert report.skipped == ("2 rows: too few gammas, without acceptance and cost ratio",)


def test_every_row_is_tested_or_named(tmp_path: Path) -> None:
    path = a_file(
        tmp_path,
        cells(gamma=2, speedup=1.5, tau_mean_tokens_per_round=2.0),
        cells(gamma=4, speedup=1.7, tau_mean_tokens_per_round=2.6),
        cells(gamma=4, speedup="", task="x"), cells(gamma="tree", task="x"),
        cells(task="x"), cells(task="x", alpha=3, gamma=7),
    )  # fmt: skip
    report = suite.file_report(path)
    assert [(t.name, len(t.points)) for t in report.tests] == [
        ("pairs of gammas: speed-up, one gamma left out", 2),
        ("pairs of gammas: tokens per round, one gamma left out", 2),
    ]
    assert sorted(report.skipped) == [
        "1 rows of T: alpha must be in [0, 1], got 3", "1 rows: no speed-up stated",
        "1 rows: the draft is no chain of a stated length",
        "1 rows: too few gammas, without acceptance and cost ratio",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [b"", b"a,b\n1,2\n", b"\xff\xfe\x00", b"metric\n1\n", b"target,speedup\n", b"{}", b"[1]"],
)
def test_a_file_of_neither_form_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"rows\.csv") as error:
        suite.file_report(path)
    assert "\n" not in str(error.value)


def _swept(tmp_path: Path) -> Path:
    lines = [
        cells(gamma=r.gamma, speedup=r.speedup, tau_mean_tokens_per_round=r.tau, cost_ratio_c=0.05)
        for r in a_sweep(gammas=(1, 3, 5)).rows
    ]
    return a_file(tmp_path, *lines)


def test_the_json_of_a_file_has_the_tests_with_their_numbers(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = _swept(tmp_path)
    status, out, err = call(capsys, "validate", "--rows", str(path), "--json", "--points")
    assert status == 0, err
    answer = json.loads(out)
    assert answer["rows"] == str(path)
    assert answer["skipped"] == []
    assert [t["name"] for t in answer["tests"]] == [
        "sweeps: speed-up, one gamma left out", "sweeps: tokens per round, one gamma left out",
        sweeps.NAME, f"{sweeps.NAME}, its study unseen",
    ]  # fmt: skip
    wanted = {"name", "points", "median_abs_error", "p95_abs_error", "coverage_90", "rivals"}
    for test in answer["tests"]:
        assert wanted <= set(test)
        assert test["points"] == len(test["rows"]) == 3
        errors = [abs(r["predicted"] / r["observed"] - 1) for r in test["rows"]]
        assert test["median_abs_error"] == pytest.approx(np.median(errors))
        assert test["coverage_90"] == pytest.approx(np.mean([r["inside"] for r in test["rows"]]))


def test_the_table_of_a_file_names_every_test(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    status, out, _ = call(capsys, "validate", "--rows", str(_swept(tmp_path)), "--points")
    assert status == 0
    assert "sweeps: speed-up, one gamma left out" in out
    assert out.count("measured ") >= 9
    empty = a_file(tmp_path, cells(speedup=""))
    status, out, _ = call(capsys, "validate", "--rows", str(empty))
    assert status == 0
    assert out.splitlines() == [
        "nothing to test: no row states enough", "not used: 1 rows: no speed-up stated",
    ]  # fmt: skip


# --- an own ladder ------------------------------------------------------------------------------


def decoded(method: str, prompt: int, repeat: int, s: float | None, **more: Any) -> dict[str, Any]:
    point = {"method": method, "draft": None, "gamma": 0, "batch": 1, "prompt": prompt}
    return {**point, "repeat": repeat, "decode_s": s, **more}


def a_sweep_record(*points: dict[str, Any]) -> Record:
    sent = {"new_tokens": 21, "temperature": 1.0, "prompts": {"tokens": 32}}
    return Record("sweep", sent, {}, points)


def test_latency_over_plain_is_a_ratio_of_means_over_the_same_prompts() -> None:
    drafted = {"draft": "d", "gamma": 2}
    found = own.relative_latency(a_sweep_record(
        decoded("plain", 0, 0, 1.0), decoded("plain", 0, 1, 1.1), decoded("plain", 0, 2, 1.9),
        decoded("plain", 1, 0, 2.0),
        decoded("sps", 0, 0, 0.55, **drafted), decoded("sps", 0, 1, 0.65, **drafted),
        decoded("sps", 1, 0, 1.0, **drafted), decoded("sps", 2, 0, 77.0, **drafted),
        decoded("sps", 1, 1, None, **drafted), decoded("sps", 5, 0, 9.0, draft="d", gamma=5),
        decoded("sps", 1, 2, 9.0, draft="d", gamma=3, batch=4),
    ))  # fmt: skip
    assert set(found) == {"d"}
    assert set(found["d"]) == {2}  # gamma 5 has no plain decoding of its prompt
    ratio, error = found["d"][2]
    assert ratio == pytest.approx(1.6 / 3.1)
    apart = np.array([0.6 - ratio * 1.1, 1.0 - ratio * 2.0]) / 1.55
    assert error == pytest.approx(apart.std(ddof=1) / np.sqrt(2))


def a_ladder(*accepted: list[int], latencies: Sequence[float] = (0.8, 0.7, 0.75)) -> Any:
    passes = [
        {"operation": "pass", "model": m, "tokens": n, "batch": 1, "context": c, "mode": "eager",
         "times_s": [s * (1 + 0.02 * n)]}
        for m, s in (("big", 0.01), ("small", 0.001)) for n in (1, 2, 3, 4, 5) for c in (1, 512)
    ]  # fmt: skip
    draw = {"operation": "draw", "model": "big", "tokens": 1, "batch": 1, "mode": "temperature 1",
            "temperature": 1.0, "times_s": [1e-5]}  # fmt: skip
    timed = []
    for c in (1, 512):
        pair = {"model": "small", "target": "big", "batch": 1, "context": c, "mode": "eager"}
        step = {"operation": "step", "tokens": 1, **pair, "times_s": [0.0102] * 8}
        timed.append(step)
        for g in (1, 2, 3):
            parts = {"first_draft_s": [0.0015] * 8, "draw_s": [1e-5 * g] * 8, "rule_s": [0.0] * 8,
                     "verify_s": [0.0102 + 2e-4 * g] * 8, "other_s": [0.0] * 8}  # fmt: skip
            parts |= {"draft_s": [0.001 * (g - 1)] * 8} if g > 1 else {}
            total = np.sum(list(parts.values()), axis=0).tolist()
            timed.append({"operation": "round", "tokens": g, **pair, **parts,
                          "behind": [1, 2] * 4, "times_s": total})  # fmt: skip
    played = [{"type": "rounds", "draft": "small", "domain": "code", "temperature": 1.0,
               "request": i, "drafted": 3, "accepted": a}
              for i, a in enumerate(accepted)]  # fmt: skip
    swept = [decoded("plain", 0, 0, 1.0)]
    swept += [decoded("sps", 0, 0, s, draft="small", gamma=g) for g, s in enumerate(latencies, 1)]
    models = [
        {"name": "big", "role": "target", "parameters": 1000, "layers": 4},
        {"name": "small", "role": "ladder", "parameters": 100, "layers": 1},
    ]
    return OwnCampaign(
        "toy",
        Record("costs", {}, {}, (*passes, draw, *timed)),
        Record("acceptance", {}, {}, tuple(played)),
        a_sweep_record(*swept),
        {"models": models},
    )


@pytest.mark.parametrize("accepted", [[[3, 3], [3]], [[0, 0], [0]], [[3, 1, 0], [2, 3]]])
def test_a_ladder_is_predicted_from_costs_and_rounds_alone(accepted: list[list[int]]) -> None:
    ladder = a_ladder(*accepted)
    predicted = own.predict_ladder(ladder)
    test = ladder_tests.campaign_test(ladder, predicted)
    other = a_ladder(*accepted, latencies=(3.0, 2.0, 1.0))
    again = ladder_tests.campaign_test(other, own.predict_ladder(other))
    assert [p.predicted for p in test.points] == [p.predicted for p in again.points]
    assert [p.observed for p in test.points] == [0.8, 0.7, 0.75]
    for p in test.points:  # a single prompt states no error, and the interval is one all the same
        assert 0 < p.low < p.high < np.inf
        assert np.isfinite(float(p.rivals[rivals.PLAIN] or NAN))
    chosen = min(range(3), key=lambda k: test.points[k].predicted)
    if test.points[chosen].predicted < 1.0:
        assert test.regret[0] == pytest.approx((0.8, 0.7, 0.75)[chosen] / 0.7 - 1)
    else:
        assert test.regret[0] == pytest.approx(1 / 0.7 - 1)
    # Without an error of the measured latencies only the best gamma itself is as good as the best.
    same = int(test.regret[0] == pytest.approx(0.0, abs=1e-12))
    assert test.notes[0].endswith(f"within two standard errors of it: {same}")
