"""The paper's measurements: fits, held-out predictions, confirmations, figures and tables."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from howspec.figures.draw import BY_NAME, Studies, draw_all, figures
from howspec.figures.grids import ScaleStudy
from howspec.figures.study import GridStudy, leave_one_out, leviathan_rows, specbundle_test
from howspec.figures.style import Venue, latex_text, venue
from howspec.figures.transfer import TableRow, main_table
from howspec.figures.validation import suite
from howspec.figures.validation.result import Point, Test
from howspec.verbs.validate import Validation
from PIL import Image


@pytest.fixture(scope="module")
def studies() -> Studies:
    return Studies()


@pytest.fixture
def study(studies: Studies) -> GridStudy:
    return studies.study


@pytest.fixture
def table(studies: Studies) -> tuple[TableRow, ...]:
    return studies.rows


@pytest.fixture
def scale(studies: Studies) -> ScaleStudy:
    return studies.scale


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
    for found, most in ((joint, 0.015), (alone, 0.016)):
        assert np.abs(found.errors()).mean() <= most
        assert found.coverage is not None
        assert found.coverage >= 0.8


def test_serving_sweeps_are_predicted_at_the_gamma_that_was_left_out() -> None:
    gain, tokens = specbundle_test()
    assert len(gain.points) == 49
    assert np.median(np.abs(gain.errors())) <= 0.01
    assert np.median(np.abs(tokens.errors())) <= 0.01
    assert gain.coverage is not None
    assert gain.coverage >= 0.85
    assert not any("Scout" in p.label for p in gain.points)


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
    studies: Studies, tmp_path: Path
) -> None:
    first = draw_all(tmp_path / "a", studies=studies)
    again = ["bloom_grid", "main_table", "cpu_depth", "cpu_costs_floor"]
    second = draw_all(tmp_path / "b", only=again, studies=studies)
    names = {p.name for p in first}
    stems = {p.stem for p in first if p.suffix == ".pdf"}
    assert stems == set(figures(Studies())) - set(BY_NAME)
    for stem in stems:
        assert {f"{stem}.pdf", f"{stem}.png", f"{stem}.csv", f"{stem}_caption.tex"} <= names
        _is_fit_for_print(tmp_path / "a", stem)
    assert "main_table.tex" in names
    for two in second:
        assert two.read_bytes() == (tmp_path / "a" / two.name).read_bytes(), two.name
    for one in first:
        if one.name.endswith("_caption.tex"):
            continue
        # Depth at equal size is three drafts; everything else is a curve.
        assert one.stat().st_size > (200 if one.name.endswith("_depth.csv") else 300)
    for path in first:
        if path.suffix == ".csv":
            rows = list(csv.reader(path.read_text().splitlines()))
            assert len(rows) > (3 if path.stem.endswith("_depth") else 5)
            assert all(len(r) == len(rows[0]) for r in rows)
    tex = (tmp_path / "a" / "main_table.tex").read_text()
    assert tex.count(r"\\") == 11
    assert "%" not in tex.replace(r"\%", "")


def _is_fit_for_print(folder: Path, stem: str) -> None:
    """Fonts are embedded as TrueType, and the caption, escaped for LaTeX, has its setting."""
    pdf = (folder / f"{stem}.pdf").read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf.replace(b"/Type /Type3", b"")
    caption = (folder / f"{stem}_caption.tex").read_text(encoding="utf-8")
    assert caption.count(". ") >= 1
    assert not re.search(r"(?<!\\)[%&_#]", caption)
    assert not re.search(r"[^\x00-\x7f]", caption), caption
    with Image.open(folder / f"{stem}.png") as picture:
        assert latex_text(picture.info["Description"]) == caption.strip()


def test_the_tests_of_truth_are_one_figure_drawn_only_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = tuple(Point(f"p{i}", 1 + i / 9, 1 + i / 8, 0.9 + i / 9, 1.2 + i / 9) for i in range(7))
    tests = tuple(Test(f"one & {i} left out", "all others", points) for i in range(3))
    monkeypatch.setattr(suite, "library_report", lambda **_: suite.Report(tests, ()))
    files = draw_all(tmp_path, only=["truth"])
    assert [p.name[5:] for p in files] == [".pdf", ".png", "_caption.tex", ".csv"]
    _is_fit_for_print(tmp_path, "truth")
    assert len((tmp_path / "truth.csv").read_text().splitlines()) == 1 + 3 * 7
    pasted = Validation(suite.Report(tests, ()), "bundled").plot(tmp_path / "same.png")
    assert (tmp_path / "same.png").read_bytes() == (tmp_path / "truth.png").read_bytes()
    assert len(pasted.axes) == 3


def test_one_figure_is_drawn_by_its_name_in_the_width_and_type_of_a_venue(tmp_path: Path) -> None:
    with venue(Venue(column=3.03, page=6.3, font=9.0)):
        files = draw_all(tmp_path, only=["latency_by_scale", "latency_by_gamma"])
    assert {p.stem for p in files if p.suffix == ".pdf"} == {"latency_by_scale", "latency_by_gamma"}
    for stem, width in (("latency_by_scale", 3.03), ("latency_by_gamma", 6.3)):
        box = re.search(rb"/MediaBox \[ 0 0 ([0-9.]+)", (tmp_path / f"{stem}.pdf").read_bytes())
        assert box is not None
        assert float(box[1]) / 72 == pytest.approx(width, abs=1e-3)
    with pytest.raises(ValueError, match=r"figure must be one of bloom_grid, .*, got 'bloom_gird'"):
        draw_all(tmp_path, only=["bloom_gird"])


@pytest.mark.parametrize(
    ("sizes", "line"),
    [
        ({"column": 0.3}, r"width must be in \[1.5, 20\], got 0.3"),
        ({"column": float("nan")}, r"width must be in \[1.5, 20\], got nan"),
        ({"page": 2.0}, r"page width must be in \[3.35, 40\], got 2"),
        ({"font": 80.0}, r"font size must be in \[4, 24\], got 80"),
    ],
)
def test_a_venue_has_sizes_that_can_be_printed(sizes: dict[str, float], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        Venue(**sizes)
