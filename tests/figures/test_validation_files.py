"""Files of held-out rows come in many spellings; each gives its tests, or one clear line."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from howspec.calibrate.learned.bundled import against_plain, closest, once
from howspec.calibrate.library.load import study_of
from howspec.calibrate.tables.cells import Cells, number, parse_cells, read_cells
from howspec.figures.validation import suite
from howspec.figures.validation.long_rows import split
from howspec.figures.validation.rows import alpha_kind, percentages, rows_of
from howspec.theory import speedup, tokens_per_round
from hypothesis import given
from hypothesis import strategies as st
from measured_row import NAN, a_row

COLUMNS = (
    "target", "draft", "engine", "hardware", "task", "batch", "gamma", "alpha",
    "tau_mean_tokens_per_round", "cost_ratio_c", "speedup",
)  # fmt: skip


def swept(*gammas: int, **more: Any) -> list[dict[str, Any]]:
    """Rows of an exact law: alpha 0.7, cost ratio 0.05."""
    usual = {"target": "Big-7B", "draft": "Small-0.5B", "engine": "e", "hardware": "h",
             "task": "chat", "batch": 8}  # fmt: skip
    return [
        usual
        | {
            "gamma": g,
            "tau_mean_tokens_per_round": round(float(tokens_per_round(0.7, g)), 4),
            "speedup": round(float(speedup(0.7, g, 0.05)), 4),
        }
        | more
        for g in gammas
    ]


def written(
    rows: Sequence[Mapping[str, Any]], *, columns: Sequence[str] = COLUMNS, mark: str = ","
) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, delimiter=mark, extrasaction="ignore", restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def cells_of(text: str) -> Cells:
    return parse_cells(text.encode(), "file")


def values(text: str) -> list[tuple[str, int, float, float]]:
    return [(r.target, r.gamma, r.tau, r.speedup) for r in rows_of(cells_of(text)).rows]


# --- cells -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("0.8", 0.8), (" 80 % ", 0.8), ("80%", 0.8), ("1.8x", 1.8), ("2.1×", 2.1), ("~1.5", 1.5),
        ("1,071.29", 1071.29), ("12,345", 12345.0), ("-3", -3.0), (".5", 0.5), ("1e-2", 0.01),
    ],
)  # fmt: skip
def test_a_number_is_read_with_what_stands_around_it(cell: str, value: float) -> None:
    assert number(cell) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("cell", ["", "n/a", "0.6-0.8", "1_000", "fast", "1,2", "1e999", "nan"])
def test_what_is_no_number_is_not_stated(cell: str) -> None:
    assert np.isnan(number(cell))


@given(st.text(max_size=12))
def test_any_cell_is_a_finite_number_or_none(cell: str) -> None:
    value = number(cell)
    assert np.isnan(value) or np.isfinite(value)


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_separators_and_decimal_commas_do_not_matter(mark: str) -> None:
    text = written(swept(1, 3, 5), mark=mark)
    expected = values(written(swept(1, 3, 5)))
    assert values(text) == expected
    if mark != ",":
        assert values(text.replace("0.", "0,").replace("1.", "1,").replace("2.", "2,")) == expected


def test_json_is_read_as_a_list_or_line_by_line() -> None:
    rows, expected = swept(1, 3, 5), values(written(swept(1, 3, 5)))
    assert values(json.dumps(rows)) == expected
    assert values("\n".join(json.dumps(r) for r in rows) + "\n") == expected
    said = cells_of('[{"target": null, "Speed-up": 2, "quantised": true, "other": [1]}]')
    assert said.rows == ({"speed_up": "2", "quantised": "yes"},)


@pytest.mark.parametrize("text", ['{"a": 1', "[1]", '[{"a": 1}, 2]', '{"a": 1}\nx\n'])
def test_broken_json_is_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"^file: ") as error:
        cells_of(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_marks_of_order_do_not_matter(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(written(swept(1, 3, 5)), encoding=encoding)
    assert len(rows_of(read_cells(path)).rows) == 3
    assert read_cells(path).names[0] == "target"


def test_a_long_line_is_dropped_and_a_short_one_is_filled_up() -> None:
    text = "target,speedup,gamma\nA,1.5,3\nB,1.4,2,oops\nC,1.3\n\nD,1.2,1,,\n"
    cells = cells_of(text)
    assert [row["target"] for row in cells.rows] == ["A", "C", "D"]
    assert cells.dropped == ("line 3 has 4 cells, the header 3",)
    assert rows_of(cells).remarks == cells.dropped


def test_a_column_given_twice_is_one_line() -> None:
    with pytest.raises(ValueError, match="column speed_up: is given twice"):
        cells_of("target,Speed-up,speed up\na,1,2\n")


# --- rows --------------------------------------------------------------------------------------


def test_columns_may_stand_in_any_order_beside_others() -> None:
    rows = [r | {"weather": "fine"} for r in swept(1, 3, 5)]
    assert values(written(rows, columns=("weather", *reversed(COLUMNS)))) == values(written(rows))


@pytest.mark.parametrize(
    "names",
    [
        {"gamma": "gamma_tokens", "tau_mean_tokens_per_round": "tokens_per_round",
         "batch": "batch_sequences", "cost_ratio_c": "cost_ratio", "alpha": "stated_alpha"},
        {"gamma": "num_speculative_tokens", "tau_mean_tokens_per_round": "Acceptance length",
         "hardware": "GPU", "speedup": "Speed-up", "task": "Dataset", "target": "Model"},
    ],
)  # fmt: skip
def test_columns_have_other_names(names: dict[str, str]) -> None:
    rows = swept(1, 3, 5)
    renamed = [{names.get(k, k): v for k, v in r.items()} for r in rows]
    columns = [names.get(c, c) for c in COLUMNS]
    assert values(written(renamed, columns=columns)) == values(written(rows))


def test_the_bundled_table_of_serving_speed_ups_is_itself_such_a_file() -> None:
    from howspec.calibrate.library.load import load_table

    table = load_table("serving_speedups")
    rows = [{k: "" if v is None else v for k, v in r.items()} for r in table.rows]
    found = rows_of(cells_of(written(rows, columns=[c.name for c in table.columns]))).rows
    assert len(found) == len(rows)
    assert sum(r.gamma > 0 for r in found) > 200
    assert {r.alpha_kind for r in found} == {"", "accepted_over_drafted", "first_position"}
    by_id = {r.id: r for r in found}
    chinchilla = by_id["CHEN-001"]
    assert (chinchilla.gamma, chinchilla.cost_ratio, chinchilla.speedup) == (4, 0.1277, 1.92)
    assert (chinchilla.target_params, chinchilla.draft_params) == (70e9, 4e9)


@pytest.mark.parametrize("alpha", ["80%", "80 %", "80", "80.0"])
def test_acceptance_in_per_cent_is_a_rate(alpha: str) -> None:
    text = written([r | {"alpha": alpha, "cost_ratio_c": "5 %"} for r in swept(3)])
    read = rows_of(cells_of(text))
    assert (read.rows[0].alpha, read.rows[0].cost_ratio) == (0.8, 0.05)
    assert read.remarks == (
        () if "%" in alpha else ("alpha was read as per cent: every value is above 1",)
    )


def test_per_cent_is_not_guessed_where_a_rate_stands_too() -> None:
    assert percentages([80.0, 75.0, NAN, 0.0])
    assert not percentages([80.0, 0.75])
    assert not percentages([1.5, 3.0])
    assert not percentages([250.0, 80.0])
    assert not percentages([])


def test_rows_without_drafts_are_the_baseline_of_the_others() -> None:
    plain, *drafted = swept(0, 1, 3)
    rates = [r | {"speedup": "", "tokens_per_s_spec": 50.0 * f} for r, f in
             zip((plain, *drafted), (1.0, 1.3, 1.6), strict=True)]  # fmt: skip
    read = rows_of(cells_of(written(rates, columns=(*COLUMNS, "tokens_per_s_spec")))).rows
    assert [r.speedup for r in read[1:]] == pytest.approx([1.3, 1.6])
    other = [plain | {"speedup": 0.8}, *drafted]
    scaled = rows_of(cells_of(written(other))).rows
    assert [r.speedup for r in scaled[1:]] == pytest.approx([r["speedup"] / 0.8 for r in drafted])
    far = [plain | {"speedup": 0.8, "hardware": "another"}, *drafted]
    assert [r.speedup for r in rows_of(cells_of(written(far))).rows[1:]] == pytest.approx(
        [r["speedup"] for r in drafted]
    )


def test_two_speeds_of_a_row_are_its_speed_up() -> None:
    text = "target,gamma,tokens_per_s_base,tokens_per_s_spec\nA,3,100,150\n"
    assert values(text)[0][3] == 1.5


def test_a_row_that_is_said_twice_counts_once() -> None:
    rows = once([a_row(), a_row(id="again", source="elsewhere"), a_row(speedup=2.1)])
    assert [bool(r.objection) for r in rows] == [False, True, False]
    assert against_plain(rows) == rows


def test_of_several_metrics_of_the_same_rounds_the_closest_to_their_tokens_stays() -> None:
    rates = [a_row(alpha=0.7, alpha_kind=k) for k in ("alpha_conditional", "accepted_over_drafted")]
    rows = closest([*rates, a_row(alpha=0.7, alpha_kind="overlap", speedup=1.9)])
    assert [bool(r.objection) for r in rows] == [True, False, False]
    assert [bool(r.objection) for r in closest([*rates, a_row(tau=2.9)])] == [True, True, False]


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("alpha = E[sum min(p, q)]", "overlap"), ("overlap", "overlap"), ("", ""), ("measured", ""),
        ("accepted/drafted aggregate", "accepted_over_drafted"),
        ("accepted_over_drafted", "accepted_over_drafted"), ("first_position", "first_position"),
        ("alpha_conditional", "alpha_conditional"), ("position 0 acceptance", "first_position"),
    ],
)  # fmt: skip
def test_words_say_what_acceptance_is(said: str, kind: str) -> None:
    assert alpha_kind(said) == kind


@pytest.mark.parametrize(
    ("source", "study"),
    [
        ("arXiv:2211.17192 (ICML 2023) Table 2/4", "2211.17192"),
        ("https://arxiv.org/abs/2211.17192v2", "2211.17192"),
        ("github sgl-project/SpecForge@a6b6b02 docs/data.json", "sgl-project/specforge"),
        ("https://github.com/ggml-org/llama.cpp/pull/1", "ggml-org/llama.cpp"),
        ("My Notebook, page 3", "my notebook"), ("", ""),
    ],
)  # fmt: skip
def test_a_study_is_a_paper_or_a_repository(source: str, study: str) -> None:
    assert study_of(source) == study


# --- whole files -------------------------------------------------------------------------------


def reported(tmp_path: Path, text: str) -> tuple[dict[str, int], tuple[str, ...]]:
    """Points by the first words of a test, and what was not used."""
    path = tmp_path / "rows.csv"
    path.write_text(text, encoding="utf-8")
    report = suite.file_report(path)
    return {t.name.split(",")[0]: len(t.points) for t in report.tests}, report.skipped


SWEPT = {"sweeps: speed-up": 3, "sweeps: tokens per round": 3}


@pytest.mark.parametrize(
    ("change", "unused"),
    [
        ({}, ()),
        ({"batch": ""}, ()),
        ({"engine": "Mine 0.1-rc", "hardware": "Potato 9000", "target": "Frob-β"}, ()),
        ({"alpha": "n/a", "cost_ratio_c": "-"}, ()),
        ({"task": "", "draft": "none"}, ()),
    ],
)
def test_sweeps_are_tested_however_little_else_is_said(
    tmp_path: Path, change: dict[str, str], unused: tuple[str, ...]
) -> None:
    rows = [r | change for r in swept(5, 1, 3)]
    assert reported(tmp_path, written(rows)) == (SWEPT, unused)


def test_repeated_rows_and_plain_decoding_leave_a_sweep_as_it_is(tmp_path: Path) -> None:
    rows = swept(1, 3, 5)
    plain = rows[0] | {"gamma": 0, "tau_mean_tokens_per_round": "", "speedup": 1}
    tests, unused = reported(tmp_path, written([*rows, plain, rows[1]]))
    assert tests == SWEPT
    assert sorted(unused) == [
        "1 rows of Big-7B: the row repeats another",
        "1 rows: plain decoding, which others are measured against",
    ]


def test_slow_downs_are_predicted_as_well(tmp_path: Path) -> None:
    rows = [r | {"speedup": round(0.4 * r["speedup"], 4)} for r in swept(1, 3, 5)]
    assert reported(tmp_path, written(rows))[0] == SWEPT


def test_one_row_is_predicted_from_its_acceptance_or_named(tmp_path: Path) -> None:
    (row,) = swept(3, cost_ratio_c=0.05)
    assert reported(tmp_path, written([row])) == (
        {"speed-up from stated acceptance": 1}, (),
    )  # fmt: skip
    alone = row | {"cost_ratio_c": ""}
    assert reported(tmp_path, written([alone])) == (
        {}, ("1 rows: too few gammas, without acceptance and cost ratio",),
    )  # fmt: skip


ACCEPTED = {"target": "Olmo-9-32B", "draft": "Olmo-9-1B", "task": "HumanEval", "gamma": 4,
            "metric": "alpha_conditional", "value": 0.8, "temperature": 0}  # fmt: skip


def test_rows_of_acceptance_are_predicted_and_heads_and_look_up_are_named(tmp_path: Path) -> None:
    rows = [ACCEPTED | c for c in (
        {}, {"metric": "tau_with_bonus", "value": 3.4}, {"metric": "acceptance rate"},
        {"draft": "EAGLE-3 head"}, {"draft": "n-gram"}, {"value": ""}, {},
    )]  # fmt: skip
    tests, unused = reported(tmp_path, written(rows, columns=list(ACCEPTED), mark=";"))
    assert tests == {
        "acceptance rows: alpha": 2, "acceptance rows: alpha_conditional": 1,
        "acceptance rows: tau_with_bonus": 1,
    }  # fmt: skip
    assert len(unused) == 5
    for words in ("repeats another", "is not known", "a head on the target", "look-up", "no value"):
        assert sum(words in line for line in unused) == 1


def test_a_speed_up_beside_acceptance_is_predicted_too(tmp_path: Path) -> None:
    row = ACCEPTED | {"speedup": 1.6, "cost_ratio_c": 0.1}
    tests, _ = reported(tmp_path, written([row], columns=list(row)))
    assert tests["speed-up from stated acceptance"] == 1


def test_rates_of_acceptance_in_per_cent_are_rates(tmp_path: Path) -> None:
    rows = [ACCEPTED | {"value": v} for v in (80, 75)]
    path = tmp_path / "rows.csv"
    path.write_text(written(rows, columns=list(ACCEPTED)), encoding="utf-8")
    report = suite.file_report(path)
    assert [p.observed for p in report.tests[1].points] == [0.8, 0.75]
    assert report.skipped == ("values of rates were read as per cent: every one is above 1",)


NUMBERS = ("source", "target", "draft", "method", "engine", "hardware", "task", "batch", "gamma",
           "metric", "value")  # fmt: skip


def one_number_a_row(speed: str, value: Any, *, plain: bool = True) -> list[dict[str, Any]]:
    """Plain decoding and an EAGLE-3 head at gamma 1, 2, 3: speeds and tokens per round."""
    usual = {"source": "github a/b@1 run.log", "target": "Llama-3.1-8B", "draft": "no-such-head",
             "method": "eagle3", "engine": "vLLM", "hardware": "H100 SXM", "batch": 1}  # fmt: skip
    rows = [usual | {"gamma": k, "metric": speed, "value": value(s), "source": f"github a/b@1 {k}"}
            for k, s in ((1, 1.3), (2, 1.5), (3, 1.6))]  # fmt: skip
    rows += [usual | {"gamma": k, "metric": "tokens_per_round", "value": t}
             for k, t in ((1, 1.7), (2, 2.2), (3, 2.5))]  # fmt: skip
    alone = usual | {"draft": "", "method": "none", "gamma": "", "metric": speed}
    return [*rows, *([alone | {"value": value(1.0)}] if plain else [])]


@pytest.mark.parametrize(
    ("speed", "value"),
    [
        ("speedup", lambda s: s),
        ("throughput", lambda s: 80.0 * s),
        ("latency_ms", lambda s: 12.0 / s),
    ],
)
def test_one_number_a_row_is_a_table_of_speed_ups_too(speed: str, value: Any) -> None:
    cells = cells_of(written(one_number_a_row(speed, value), columns=list(NUMBERS)))
    acceptance, speeds, told = split(cells)
    assert len(acceptance.rows) == 3
    assert told == ()
    found = [r for r in rows_of(speeds).rows if r.gamma]
    assert [r.gamma for r in found] == [1, 2, 3]
    assert [r.speedup for r in found] == pytest.approx([1.3, 1.5, 1.6], rel=1e-5)
    assert [r.tau for r in found] == pytest.approx([1.7, 2.2, 2.5])
    assert {r.draft for r in found} == {"eagle3"}


def test_a_speed_that_plain_decoding_has_not_is_no_speed_up() -> None:
    """Decoding times beside a throughput of plain decoding are not compared."""
    rows = one_number_a_row("latency_ms", lambda s: 12.0 / s, plain=False)
    rows += one_number_a_row("throughput", lambda s: 80.0 * s)[-1:]
    _, speeds, _ = split(cells_of(written(rows, columns=list(NUMBERS))))
    assert all(math.isnan(r.speedup) for r in rows_of(speeds).rows)


def test_files_of_one_number_a_row_are_predicted_by_name(tmp_path: Path) -> None:
    rows = one_number_a_row("throughput", lambda s: 80.0 * s)
    rows.append(rows[0] | {"metric": "verify_ms", "value": 9.0})
    tests, unused = reported(tmp_path, written(rows, columns=list(NUMBERS)))
    assert tests["speed-up of a named pair"] == 3
    assert tests["sweeps: speed-up"] == 3
    assert "1 rows (row 8): verify_ms is not known: not predicted" in unused


GATED_ROWS = """target,draft,engine,hardware,task,batch,gamma,speedup,p_min
Qwen2.5-7B-Instruct Q8_0,Qwen2.5-0.5B-Instruct Q4_0,llama.cpp,M4 Max 128GB,code,1,<=16,1.5,
Qwen2.5-7B-Instruct Q8_0,Qwen2.5-0.5B-Instruct Q4_0,llama.cpp,M4 Max 128GB,code,1,up to 8,1.4,0.5
Qwen2.5-7B-Instruct Q8_0,Qwen2.5-0.5B-Instruct Q4_0,vLLM,H100 SXM,code,1,<=16,1.4,
"""


def test_drafts_that_end_by_their_confidence_are_predicted_by_name(tmp_path: Path) -> None:
    """llama.cpp's default confidence where a row of it states none; no chain for other tests."""
    rows = rows_of(cells_of(GATED_ROWS)).rows
    assert [(r.gamma, r.longest, r.p_min) for r in rows] == [
        (0, 16, 0.75),
        (0, 8, 0.5),
        (0, 0, None),
    ]
    tests, unused = reported(tmp_path, GATED_ROWS)
    assert tests == {"speed-up of a named pair": 2}
    assert unused == ("1 rows: the draft is no chain of a stated length",)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("tok/s", lambda s: 30.0 * s),
        ("TPOT (ms)", lambda s: 1e3 / (30.0 * s)),
        ("latency", lambda s: 1 / s),
    ],
)
def test_speeds_and_times_under_other_names_are_rows_too(column: str, value: Any) -> None:
    """The same table as a sweep takes: K as num_speculative_tokens, a plain row, no speed-up."""
    lines = [f"target,draft,num_speculative_tokens,{column}", f"T,D,0,{value(1.0)}"]
    lines += [f"T,D,{k},{value(s)}" for k, s in ((1, 1.3), (2, 1.5), (3, 1.6))]
    found = rows_of(cells_of("\n".join(lines) + "\n")).rows
    assert [r.gamma for r in found] == [0, 1, 2, 3]
    assert [r.speedup for r in found[1:]] == pytest.approx([1.3, 1.5, 1.6])
