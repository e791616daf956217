"""The paper's measurements: fits, held-out predictions, confirmations, figures and tables."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from howspec.figures.checks import leviathan_rows, specbundle_test
from howspec.figures.draw import draw_all
from howspec.figures.scales import ScaleStudy, scale_study
from howspec.figures.study import GridStudy, grid_study, leave_one_out
from howspec.figures.transfer import TableRow, main_table


@pytest.fixture(scope="module")
def study() -> GridStudy:
    return grid_study(held_out=False)


@pytest.fixture(scope="module")
def table(study: GridStudy) -> tuple[TableRow, ...]:
    return main_table(study)


@pytest.fixture(scope="module")
def scale(study: GridStudy) -> ScaleStudy:
    return scale_study(study)


def test_the_joint_fit_of_the_grid_is_close_and_every_best_k_is_in_the_window(
    study: GridStudy,
) -> None:
    assert study.rms <= 0.013
    assert sum(p.measured.size for p in study.panels) == 35
    assert all(p.window_hit for p in study.panels)


def test_every_printed_prediction_is_confirmed_by_simulation(study: GridStudy) -> None:
    for panel in study.panels:
        assert abs(panel.confirmation.z) < 4
        near = panel.prediction.speedup.estimate
        assert panel.confirmation.predicted == pytest.approx(near, rel=0.01)


def test_a_held_out_k_is_predicted_with_and_without_the_other_drafts(study: GridStudy) -> None:
    points = list(study.fit.points)
    joint = leave_one_out(points, np.random.default_rng(0), joint=True)
    alone = leave_one_out(points, np.random.default_rng(0), joint=False)
    assert joint.mean_abs <= 0.015
    assert alone.mean_abs <= 0.016
    assert joint.coverage >= 0.8
    assert alone.coverage >= 0.8


def test_serving_sweeps_are_predicted_at_the_gamma_that_was_left_out() -> None:
    gain, tokens = specbundle_test()
    assert len(gain.labels) == 49
    assert gain.median_abs <= 0.01
    assert tokens.median_abs <= 0.01
    assert gain.coverage >= 0.85
    assert not any("Scout" in label for label in gain.labels)


def test_the_ideal_law_misses_its_own_papers_speedups_by_what_is_known() -> None:
    rows = leviathan_rows()
    assert len(rows) == 12
    errors = np.array([r.error for r in rows])
    assert np.abs(errors).mean() == pytest.approx(0.177, abs=0.002)
    assert errors.max() == pytest.approx(0.47, abs=0.01)


def test_the_main_table_keeps_fitted_and_predicted_apart(table: tuple[TableRow, ...]) -> None:
    assert len(table) == 10
    fitted = [r for r in table if r.fitted is not None]
    assert [(r.target, r.method) for r in fitted] == [("BLOOM-7.1B", "SpS")]
    assert sum(r.inside for r in table) >= 8
    for row in table:
        assert row.speedup.low < row.speedup.estimate < row.speedup.high
        assert abs(row.gamma - row.paper_gamma) <= 2


def test_predictions_of_the_table_do_not_read_the_table(
    study: GridStudy, table: tuple[TableRow, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    import howspec.figures.transfer as transfer
    from howspec.calibrate.library.load import load_table

    class Doubled:
        def __init__(self, name: str) -> None:
            rows = load_table(name).rows
            double = name == "paper_table"
            self.rows = [
                {**r, "speedup": 2 * float(str(r["speedup"]))} if double else r for r in rows
            ]

    monkeypatch.setattr(transfer, "load_table", Doubled)
    again = main_table(study)
    assert [r.speedup for r in again] == [r.speedup for r in table]
    assert [r.paper_speedup for r in again] == [2 * r.paper_speedup for r in table]


def test_the_turning_point_in_scale_is_inside_the_ladder(scale: ScaleStudy) -> None:
    result = scale
    turn = result.turning_point
    assert turn.low <= turn.estimate <= turn.high
    assert 0.05 < turn.estimate < 0.3
    assert result.at_edge < 0.1
    assert list(result.fitted) == [False, True, True, True, True]


def test_every_figure_comes_as_pdf_png_and_csv_and_twice_the_same(
    study: GridStudy, table: tuple[TableRow, ...], scale: ScaleStudy, tmp_path: Path
) -> None:
    first = draw_all(tmp_path / "a", study=study, rows=table, scale=scale)
    second = draw_all(tmp_path / "b", study=study, rows=table, scale=scale)
    names = {p.name for p in first}
    stems = {p.stem for p in first}
    for stem in stems:
        assert {f"{stem}.pdf", f"{stem}.png", f"{stem}.csv"} <= names
    assert "main_table.tex" in names
    for one, two in zip(first, second, strict=True):
        # Depth at equal size is three drafts; everything else is a curve.
        assert one.stat().st_size > (200 if one.name.endswith("_depth.csv") else 300)
        assert one.read_bytes() == two.read_bytes(), one.name
    for path in first:
        if path.suffix == ".csv":
            rows = list(csv.reader(path.read_text().splitlines()))
            assert len(rows) > (3 if path.stem.endswith("_depth") else 5)
            assert all(len(r) == len(rows[0]) for r in rows)
    tex = (tmp_path / "a" / "main_table.tex").read_text()
    assert tex.count(r"\\") == 11
    assert "%" not in tex.replace(r"\%", "")
