"""The bundled measurements are sound, and a damaged file is one clear line."""

from __future__ import annotations

import csv
import io
import itertools
import math
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from collection import collected
from howspec.calibrate.library import (
    SWEEP,
    TABLES,
    Column,
    Schema,
    describe,
    load,
    load_sweep,
    load_sweeps,
    names,
    read_csv,
    redrafter_sweeps,
    specbundle_sweeps,
    sweep_names,
)
from howspec.calibrate.library.load import METRICS
from howspec.calibrate.tables.read import parse_table
from howspec.calibrate.tables.schema import Row, columns_of
from hypothesis import given
from hypothesis import strategies as st

FOLDER = Path(__file__).resolve().parents[2] / "calibrate" / "library"
SCHEMAS = FOLDER.parent / "tables" / "schemas.csv"
ROWS = {
    "paper_table": 10,
    "paper_bloom_grid": 40,
    "leviathan_speedups": 12,
    "leviathan_acceptance": 20,
    "specbundle": 315,
    "redrafter_chips": 65,
    "serving_speedups": 273,
}


@cache
def raw(name: str) -> bytes:
    return (FOLDER / f"{name}.csv").read_bytes()


@cache
def _cells(name: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(raw(name).decode())))


def cells_of(name: str) -> list[list[str]]:
    return [list(row) for row in _cells(name)]


def write(path: Path, rows: list[list[str]], *, delimiter: str = ",", end: str = "\n") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter, lineterminator=end).writerows(rows)
    return path


def message(path: Path, schema: Schema) -> str:
    """The error of reading a file: one line that begins with the file."""
    with pytest.raises(ValueError, match=re.escape(str(path))) as caught:
        read_csv(path, schema)
    line = str(caught.value)
    assert len(line.splitlines()) == 1
    assert line.startswith(str(path))
    return line


# --- the bundled tables ----------------------------------------------------------------------


def test_every_csv_of_the_folder_is_a_table_and_every_table_a_csv() -> None:
    assert {p.stem for p in FOLDER.glob("*.csv")} == set(names()) == set(TABLES) >= set(ROWS)


@pytest.mark.parametrize("name", names())
def test_a_bundled_table_is_valid_and_has_its_columns_and_rows(name: str) -> None:
    frame = load(name)
    assert frame.shape == (len(cells_of(name)) - 1, len(TABLES[name].columns))
    assert len(frame) == ROWS.get(name, len(frame))
    assert list(frame.columns) == list(describe(name)) == cells_of(name)[0]
    for column in TABLES[name].columns:
        kinds = {"text": "O", "number": "f", "whole": "i"}
        assert frame[column.name].dtype.kind == kinds[column.kind], column.name
        if not column.nullable:
            assert frame[column.name].notna().all()


@pytest.mark.parametrize("name", names())
def test_every_row_has_a_citation_and_ids_are_unique(name: str) -> None:
    frame = load(name)
    identified = (
        r"arXiv:\d{4}\.\d{5}|github \S+@[0-9a-f]{7}|2024\.lrec-main\.725|\b(?:19|20)\d\d\b|"
        r"\.io@[0-9a-f]{7}|github \S+ (?:PR|issue|v[\d.]+)|PyPI \S+ [\d.]+|github\.com/\S+/\d+|"
        r"SECONDARY"
    )
    if name == "measured":
        assert set(frame["source"]) == set(load("measured_sources")["source"])
    else:
        cited = frame["citation" if name == "measured_sources" else "source"]
        assert cited.str.contains(identified).all()
    if "id" in frame:
        assert frame["id"].is_unique


def test_every_row_of_the_columns_is_of_a_table_and_said_once() -> None:
    rows = list(csv.reader(SCHEMAS.read_text(encoding="utf-8").splitlines()))[1:]
    assert len({tuple(row[:2]) for row in rows}) == len(rows)
    folders = (FOLDER, FOLDER.parent / "models", FOLDER.parent / "prior")
    tables = {"sweep", "passes", "metrics", *(p.stem for f in folders for p in f.glob("*.csv"))}
    assert {table for table, *_ in rows} == {"any", *tables}
    used = {column for table, column, *_ in rows if table != "any"}
    assert {column for table, column, *_ in rows if table == "any"} <= used
    for column in itertools.chain.from_iterable(map(columns_of, tables)):
        assert column.meaning
        assert (column.unit == "") == (column.kind == "text")
        assert column.low < column.high
    metric = next(c for c in columns_of("measured") if c.name == "metric")
    assert metric.choices == tuple(METRICS)


def test_a_table_whose_columns_are_nowhere_told_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"schemas\.csv tells, got 'aceptance'"):
        Schema("aceptance", ("id",))


def test_the_figures_in_the_readme_follow_from_the_tables() -> None:
    lev = load("leviathan_speedups")
    miss = lev["predicted_speedup"] / lev["speedup"] - 1
    assert [round(100 * x, 1) for x in (miss.abs().mean(), miss.min(), miss.max())] == [
        17.6,
        -22.6,
        47.1,
    ]
    chips = load("redrafter_chips").dropna(subset=["rounds"])
    assert len(chips) == 64
    assert np.allclose(chips["tokens_per_round"], 200 / chips["rounds"].astype(float), atol=5e-5)
    spec = load("specbundle")
    scout = spec[(spec["suspect"] != "") & (spec["drafting"] == "chain")]
    ratio = scout["tokens_per_round"] / scout["speedup"]
    gamma = scout["gamma_tokens"].astype(float)
    assert np.polyfit(gamma, ratio, 1)[1] == pytest.approx(0.76, abs=0.005)
    assert "0.76" in scout["suspect"].iloc[0]
    assert (len(scout), int((ratio < 1).sum())) == (42, 19)
    for _, other in spec[(spec["suspect"] == "") & (spec["drafting"] == "chain")].groupby("target"):
        rest = other["tokens_per_round"] / other["speedup"]
        assert np.polyfit(other["gamma_tokens"].astype(float), rest, 1)[1] > 1
    assert set(spec.loc[spec["suspect"] != "", "target"]) == {"Llama-4-Scout-17B-16E-Instruct"}
    assert not spec["draft"].str.contains(" ").any()


def test_the_paper_tables_agree_with_the_collection() -> None:
    table = load("paper_table")
    for (_, ours), theirs in zip(table.iterrows(), collected("seed_table"), strict=True):
        assert (ours["target"], ours["method"]) == (theirs["target"], theirs["method"])
        assert ours["draft"] == theirs["draft"]
        assert ours["gamma_tokens"] == int(theirs["k"])
        for column in ("target_params", "draft_params", "speedup", "size_ratio"):
            assert ours[column] == float(theirs[column])
    grid = load("paper_bloom_grid")
    ours_cells = grid[["target", "draft", "gamma_tokens", "latency"]].values.tolist()
    assert ours_cells == [
        [r["target"], r["draft"], int(r["k"]), float(r["latency"])]
        for r in collected("seed_bloom_grid")
    ]


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("leviathan_speedups", "LEV-"),
        ("leviathan_acceptance", "LEVA-"),
        ("specbundle", "SPBU-"),
        ("redrafter_chips", "APL-"),
    ],
)
def test_the_other_tables_agree_with_the_collection(name: str, prefix: str) -> None:
    theirs = [r for r in collected("measurements") if r["id"].startswith(prefix)]
    same = {
        "overlap_alpha": "alpha",
        "tokens_per_round": "tau_mean_tokens_per_round",
        "cost_ratio": "cost_ratio_c",
        "speedup": "speedup",
        "plain_tokens_per_s": "tokens_per_s_base",
        "spec_tokens_per_s": "tokens_per_s_spec",
        "batch_sequences": "batch",
        "temperature": "temperature",
        "task": "task",
        "hardware": "hardware",
        "chip": "hardware",
        "precision": "precision",
        "source": "source",
    }
    header, *ours = cells_of(name)
    assert len(ours) == len(theirs)
    for cells, original in zip(ours, theirs, strict=True):
        row = dict(zip(header, cells, strict=True))
        assert row["id"] == original["id"]
        assert row["draft"].replace("Specforge", "") == original["draft"].replace(
            "Specforge", ""
        ).replace("Spec for ge", "")
        for own, other in same.items():
            if own in row:
                assert row[own] == original[other], (row["id"], own)
        for own, other in (("target", "target_params_b"), ("draft", "draft_params_b")):
            given = row.get(f"{own}_params", "")
            expected = float(original[other]) * 1e9 if original[other] else None
            assert (float(given) if given else None) == pytest.approx(expected)
        if row.get("gamma_tokens"):
            assert original["gamma"] == row["gamma_tokens"]
        elif row.get("tree_shape"):
            steps, top, verified = re.findall(r"\d+", row["tree_shape"])
            assert original["gamma"] == f"tree steps={steps} topk={top} N={verified}"
            assert (row["draft_steps"], row["verified_tokens"]) == (steps, verified)
        elif row.get("beam_width"):
            length = row["beam_length_tokens"]
            assert original["gamma"] == f"beam {row['beam_width']} x len {length}"
        else:
            assert original["gamma"] == ""
        if row.get("round_s"):
            stated = f"round time {1e3 * float(row['round_s']):.1f} ms vs AR token "
            assert stated + f"{1e3 * float(row['plain_token_s']):.1f} ms" in original["notes"]
            assert f"tokens/{row['rounds']} steps" in original["notes"]
        if row.get("predicted_speedup"):
            assert f"Exp={row['predicted_speedup']}," in original["notes"]


# --- damaged files ---------------------------------------------------------------------------

COLUMNS = [(n, c) for n in names() for c in TABLES[n].columns]
COLUMN_IDS = [f"{n}-{c.name}" for n, c in COLUMNS]


@pytest.mark.parametrize(("name", "column"), COLUMNS, ids=COLUMN_IDS)
def test_a_missing_unknown_or_repeated_column_is_named(
    name: str, column: Column, tmp_path: Path
) -> None:
    rows = cells_of(name)[:3]
    at = rows[0].index(column.name)
    path = write(tmp_path / "cut.csv", [r[:at] + r[at + 1 :] for r in rows])
    assert f"line 1, column {column.name}: is missing" in message(path, TABLES[name])
    renamed = [[*rows[0][:at], "surprise", *rows[0][at + 1 :]], *rows[1:]]
    path = write(tmp_path / "odd.csv", renamed)
    assert "line 1, column 'surprise': is unknown" in message(path, TABLES[name])
    path = write(tmp_path / "twice.csv", [[*r, r[at]] for r in rows])
    assert f"line 1, column {column.name}: is given twice" in message(path, TABLES[name])


def bad_cells(column: Column) -> list[str]:
    bad = ["nan", "NaN", "a\nb"] + ([] if column.nullable else ["", "  "])
    if column.kind != "text":
        bad += ["fast", "1,5", "1_000", "inf", "-inf", "1e999", "0x10", "--1", "١"]
        bad += [f"{column.low - 1:g}"] if math.isfinite(column.low) else []
        bad += [f"{2 * column.high + 1:.17g}"] if math.isfinite(column.high) else []
        bad += [f"{column.low:g}"] if column.open_low else []
    if column.kind == "whole":
        bad += ["1.5"]
    if column.choices:
        bad += [column.choices[0] + "x"]
    return bad


@pytest.mark.parametrize(("name", "column"), COLUMNS, ids=COLUMN_IDS)
def test_a_bad_cell_is_named_with_its_line_column_range_and_value(
    name: str, column: Column, tmp_path: Path
) -> None:
    rows = cells_of(name)[:4]
    at = rows[0].index(column.name)
    for cell in bad_cells(column):
        spoilt = [*rows[:2], [*rows[2][:at], cell, *rows[2][at + 1 :]], rows[3]]
        line = message(write(tmp_path / "bad.csv", spoilt), TABLES[name])
        number = 4 if "\n" in cell else 3  # the line on which the record ends
        given = repr(cell.strip()) if cell.strip() else "an empty cell"
        place = f"line {number}, column {column.name}: must be {column.allowed}"
        assert line.endswith(f"{place}, got {given}"), line


@pytest.mark.parametrize("name", names())
def test_a_truncated_last_line_is_named_with_its_first_missing_column(
    name: str, tmp_path: Path
) -> None:
    rows = cells_of(name)[:300]
    for keep in range(1, len(rows[0])):
        cut = [*rows[:-1], rows[-1][:keep]]
        path = write(tmp_path / "cut.csv", cut)
        if not any(rows[-1][:keep]):
            continue
        line = message(path, TABLES[name])
        assert f"line {len(rows)}, column {rows[0][keep]}: " in line
        assert line.endswith(f"got {keep}")
    path = write(tmp_path / "long.csv", [*rows, [*rows[-1], "more"]])
    assert f"line {len(rows) + 1}: a row must have {len(rows[0])} cells" in message(
        path, TABLES[name]
    )


@pytest.mark.parametrize("name", names())
def test_a_repeated_row_is_named_with_the_line_it_repeats(name: str, tmp_path: Path) -> None:
    rows = cells_of(name)
    line = message(write(tmp_path / "twice.csv", [*rows, rows[2]]), TABLES[name])
    key = ", ".join(TABLES[name].key)
    assert f"line {len(rows) + 1}, column {key}: a row must be unique, got that of line 3" in line


@pytest.mark.parametrize("name", names())
def test_byte_order_mark_other_line_ends_and_blank_lines_are_harmless(
    name: str, tmp_path: Path
) -> None:
    expected = load(name)
    path = tmp_path / "same.csv"
    path.write_bytes(b"\xef\xbb\xbf" + raw(name))
    assert read_csv(path, TABLES[name]).equals(expected)
    for end in ("\r\n", "\r", "\n\n"):
        assert read_csv(write(path, cells_of(name), end=end), TABLES[name]).equals(expected)
    path.write_bytes(raw(name).rstrip(b"\n") + b"\n" + b"," * (len(expected.columns) - 1) + b"\n")
    assert read_csv(path, TABLES[name]).equals(expected)
    header, *rows = cells_of(name)
    write(path, [[c.upper() for c in header], *rows])
    assert read_csv(path, TABLES[name]).equals(expected)


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("mark", [";", "\t", "|"])
def test_another_delimiter_is_named(name: str, mark: str, tmp_path: Path) -> None:
    line = message(write(tmp_path / "x.csv", cells_of(name), delimiter=mark), TABLES[name])
    first = cells_of(name)[0][0]
    assert f"line 1, column {first}: cells must be separated by commas" in line
    assert repr(mark) in line


@pytest.mark.parametrize("name", names())
def test_files_that_are_no_table_at_all_are_one_line(name: str, tmp_path: Path) -> None:
    schema, path = TABLES[name], tmp_path / "x.csv"
    for data in (b"", b"\n\n", b"\xef\xbb\xbf"):
        path.write_bytes(data)
        assert "the file is empty" in message(path, schema)
    write(path, cells_of(name)[:1])
    assert "a header and no rows" in message(path, schema)
    path.write_bytes(raw(name).replace(b"\n", b"\n\xff", 1))
    assert "line 2: must be UTF-8 text, got the byte 0xff" in message(path, schema)
    path.write_bytes(raw(name).decode().encode("utf-16"))
    assert "line 1: must be UTF-8 text" in message(path, schema)
    path.write_bytes(raw(name) + b'"open')
    assert f"line {len(cells_of(name)) + 1}: is not a comma-separated record" in message(
        path, schema
    )
    write(path, [["two\nlines", "x" * 5000], ["1", "2"]])
    assert len(message(path, schema)) < 1000
    with pytest.raises(ValueError, match=r"is missing, got two lines, xxx") as caught:
        read_csv(path, SWEEP)
    assert len(str(caught.value)) < 500
    assert "cannot be read" in message(tmp_path, schema)
    assert "cannot be read" in message(tmp_path / "none.csv", schema)


@given(data=st.data(), name=st.sampled_from(names()))
def test_any_damage_is_either_harmless_or_one_line_with_the_file(
    data: st.DataObject, name: str
) -> None:
    good = raw(name)[:3000].rpartition(b"\n")[0]
    at = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(at, min(at + 40, len(good))))
    spoilt = good[:at] + data.draw(st.binary(max_size=8)) + good[end:]
    for schema in (TABLES[name], SWEEP):
        rows: tuple[Row, ...] = ()
        said = "some.csv"
        try:
            rows = parse_table(spoilt, "some.csv", schema).rows
        except ValueError as err:
            said = str(err)
        assert said.startswith("some.csv")
        assert len(said.splitlines()) == 1
        for row, column in itertools.product(rows, schema.columns):
            value = row[column.name]
            if column.kind != "text" and value is not None:
                assert column.low <= float(value) <= column.high


@pytest.mark.parametrize(
    ("name", "column", "cell", "text"),
    [
        ("paper_table", "size_ratio", "41", "within 1 %"),
        ("specbundle", "speedup", "1.5", "within 1 %"),
        ("specbundle", "tokens_per_round", "4.1", "at most draft_steps + 1"),
        ("specbundle", "gamma_tokens", "", "must be draft_steps for a chain"),
        ("specbundle", "tree_shape", "5 steps", "must be empty for a chain"),
        ("redrafter_chips", "tokens_per_round", "3.1", "at most beam_length_tokens + 1"),
        ("redrafter_chips", "round_s", "0.0721", "within 2 %"),
    ],
)
def test_cells_that_contradict_each_other_are_named(
    name: str, column: str, cell: str, text: str, tmp_path: Path
) -> None:
    rows = cells_of(name)[:3]
    rows[1][rows[0].index(column)] = cell
    line = message(write(tmp_path / "x.csv", rows), TABLES[name])
    assert f"line 2, column {column}: " in line
    assert text in line


def test_an_unknown_table_is_answered_with_the_nearest_names_first() -> None:
    for function in (load, describe):
        with pytest.raises(ValueError, match="table must be one of paper_bloom_grid, paper_table"):
            function("paper_blom")


# --- sweeps ----------------------------------------------------------------------------------


def test_the_paper_grid_is_five_sweeps_relative_to_its_plain_decoding() -> None:
    sweeps = load_sweeps("paper_bloom_grid")
    assert [s.draft.split("-")[1] for s in sweeps] == ["460M", "560M", "1.1B", "1.7B", "3B"]
    for s in sweeps:
        assert s.target == "BLOOM-7.1B"
        assert s.gamma.tolist() == [1, 2, 3, 4, 5, 6, 7]
        assert s.plain_latency == 14620
        assert s.latency is not None
        assert np.allclose(s.speedup * s.latency, 14620)
        assert np.allclose(s.relative_latency, s.latency / 14620)
        assert s.tokens_per_round is None
        assert "2024.lrec-main.725" in s.source
        assert not s.gamma.flags.writeable
    best = load_sweep("paper_bloom_grid", draft="bloom-1.1b")
    assert best.speedup[3] == 14620 / 9421
    assert best.label == "BLOOM-7.1B + BLOOM-1.1B"


def test_specbundle_is_a_sweep_of_three_for_each_draft_and_task() -> None:
    frame = load("specbundle")
    chains = frame[frame["drafting"] == "chain"]
    sweeps = specbundle_sweeps(include_suspect=True)
    assert len(sweeps) == 63
    assert sum(s.gamma.size for s in sweeps) == len(chains) == 189
    assert [s.suspect for s in specbundle_sweeps()] == [""] * 49
    for s in sweeps:
        assert s.gamma.tolist() == [3, 5, 7]
        assert ("Scout" in s.target) == (s.suspect != "")
        task, batch = s.workload.split(", batch ")
        rows = chains[
            (chains["target"] == s.target)
            & (chains["draft"] == s.draft)
            & (chains["task"] == task)
            & (chains["batch_sequences"] == int(batch))
        ].sort_values("gamma_tokens")
        assert s.speedup.tolist() == rows["speedup"].tolist()
        assert s.tokens_per_round is not None
        assert s.tokens_per_round.tolist() == rows["tokens_per_round"].tolist()
        assert s.latency is s.plain_latency is None


def test_the_chips_are_four_sweeps_with_the_same_pair() -> None:
    sweeps = redrafter_sweeps()
    assert [s.gamma.tolist() for s in sweeps] == [[2, 3, 4, 5]] * 4
    assert [s.workload for s in sweeps] == [
        "Apple M1 Max, float16",
        "Apple M1 Max, bfloat16",
        "Apple M2, float16",
        "Apple M2, bfloat16",
    ]
    for one, two in ((0, 2), (1, 3)):
        assert np.array_equal(sweeps[one].tokens_per_round, sweeps[two].tokens_per_round)  # type: ignore[arg-type]
        assert (sweeps[one].speedup < sweeps[two].speedup).all()


def test_bundled_sweeps_resolve_by_name_and_suspects_stay_out() -> None:
    assert sweep_names() == ("paper_bloom_grid", "specbundle", "redrafter_chips")
    assert [len(load_sweeps(name)) for name in sweep_names()] == [5, 49, 4]
    assert len(load_sweeps("specbundle", include_suspect=True)) == 63
    scout = "Llama-4-Scout-17B-16E-Instruct"
    with pytest.raises(ValueError, match="is left out, the plain baseline looks too slow"):
        load_sweeps("specbundle", scout)
    assert len(load_sweeps("specbundle", scout, include_suspect=True)) == 14
    with pytest.raises(ValueError, match=r"must name one sweep of 5: BLOOM-7.1B"):
        load_sweep("paper_bloom_grid")
    with pytest.raises(ValueError, match=r"a file or one of paper_bloom_grid, .* 'paper_grid'"):
        load_sweeps("paper_grid")
    with pytest.raises(ValueError, match="cannot be read"):
        load_sweeps("paper_grid.csv")


def test_an_unknown_model_is_answered_with_the_nearest_first() -> None:
    with pytest.raises(ValueError, match=r"draft must be one of BLOOM-3B, .*, got 'bloom-3'"):
        load_sweeps("paper_bloom_grid", draft="bloom-3")
    with pytest.raises(ValueError, match=r"target must be one of Llama-3.1-8B-Instruct, "):
        load_sweeps("specbundle", "Llama-3.1-8B")


def sweep_file(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "mine.csv"
    path.write_text(content, encoding="utf-8")
    return path


def test_a_file_of_the_user_gives_sorted_sweeps_and_ignores_other_columns(tmp_path: Path) -> None:
    path = sweep_file(
        tmp_path,
        "K,Draft,target,latency,unit,GPU,tokens_per_round\n"
        "4,S,L,5,s,A100,2.5\n0,,L,10,s,A100,\n2,S,L,8,s,A100,2\n1,XS,L,20,s,A100,1.5\n",
    )
    big, small = load_sweeps(path)
    assert (big.target, big.draft, big.unit, big.source) == ("L", "S", "s", str(path))
    assert big.gamma.tolist() == [2, 4]
    assert big.speedup.tolist() == [1.25, 2.0]
    assert big.latency is not None
    assert big.latency.tolist() == [8, 5]
    assert big.plain_latency == small.plain_latency == 10
    assert big.tokens_per_round is not None
    assert big.tokens_per_round.tolist() == [2, 2.5]
    assert small.speedup.tolist() == [0.5]
    assert load_sweep(str(path), draft="xs").draft == "XS"


def test_the_example_in_the_readme_is_a_sweep(tmp_path: Path) -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    example = readme.split("```csv\n")[1].split("```")[0]
    sweep = load_sweep(sweep_file(tmp_path, example))
    assert sweep.speedup.tolist() == [20.1 / 14.9, 20.1 / 13.8]


def test_a_pair_has_its_own_plain_decoding_before_that_of_the_target(tmp_path: Path) -> None:
    text = "target,draft,gamma,latency\nL,A,0,10\nL,A,1,5\nL,B,0,12\nL,B,1,4\n"
    first, second = load_sweeps(sweep_file(tmp_path, text))
    assert (first.speedup[0], second.speedup[0]) == (2, 3)
    path = sweep_file(tmp_path, text + "L,C,1,4\n")
    with pytest.raises(ValueError, match=r"line 4, column latency: must be one number .* 10, 12"):
        load_sweeps(path)


def test_stated_speedups_need_no_latency_and_win_over_it(tmp_path: Path) -> None:
    sweep = load_sweep(sweep_file(tmp_path, "target,draft,k,speedup\nL,S,3,1.4\nL,S,1,1.2\n"))
    assert sweep.speedup.tolist() == [1.2, 1.4]
    assert sweep.latency is sweep.plain_latency is sweep.tokens_per_round is None
    text = "target,draft,k,latency,speedup\nL,,0,10,1\nL,S,3,5,1.9\n"
    both = load_sweep(sweep_file(tmp_path, text))
    assert (both.speedup[0], both.plain_latency) == (1.9, 10)


@pytest.mark.parametrize(
    ("content", "line", "column", "text"),
    [
        ("L,S,1,5,,\n", 2, "gamma", "needs a row with gamma = 0"),
        ("L,S,0,5,,\n", 2, "gamma", "must be above 0 in some row"),
        ("L,S,1,,,\n", 2, "latency", "must be given, or the speedup, got None"),
        ("L,,0,5,,\nL,,1,4,,\n", 3, "draft", "must be given where gamma is above 0, got ''"),
        ("L,,0,5,,\nL,S,1,-4,,\n", 3, "latency", "a number in (0, inf), or empty, got '-4'"),
        ("L,,0,5,,\nL,S,1.5,4,,\n", 3, "gamma", "a whole number in [0, 10000], got '1.5'"),
        ("L,,0,5,,\nL,S,-1,4,,\n", 3, "gamma", "a whole number in [0, 10000], got '-1'"),
        ("L,,0,5,2,\nL,S,1,4,,\n", 2, "speedup", "must be 1 where gamma is 0, got 2.0"),
        ("L,,0,5,,\nL,S,1,4,,2.1\n", 3, "tokens_per_round", "at most gamma + 1, got 2.1"),
        ("L,,0,5,,\nL,S,1,4,,0.9\n", 3, "tokens_per_round", "[1, inf), or empty, got '0.9'"),
        ("L,S,1,4,1,\nL,S,2,4,,\n", 3, "speedup", "in all rows of a sweep or none"),
        ("L,,0,1e300,,\nL,S,1,1e-300,,\n", 3, "latency", "a speed-up in [1e-06, 1e+06], got inf"),
        ("L,S,1,5,,\nL,S,1,6,,\n", 3, "target, draft, gamma", "got that of line 2 again"),
    ],
)
def test_a_sweep_that_cannot_be_used_is_named_by_line_and_column(
    content: str, line: int, column: str, text: str, tmp_path: Path
) -> None:
    path = sweep_file(tmp_path, "target,draft,k,latency,speedup,tokens_per_round\n" + content)
    with pytest.raises(ValueError, match="mine") as caught:
        load_sweeps(path)
    said = str(caught.value)
    assert said.startswith(f"{path}, line {line}, column {column}: ")
    assert text in said
    assert "\n" not in said


def test_a_sweep_with_two_units_or_two_names_for_gamma_is_refused(tmp_path: Path) -> None:
    path = sweep_file(tmp_path, "target,draft,k,latency,unit\nL,,0,5,s\nL,S,1,4,ms\n")
    with pytest.raises(ValueError, match=r"line 3, column unit: must be one unit .*'s', got 'ms'"):
        load_sweeps(path)
    path = sweep_file(tmp_path, "target,draft,k,gamma,latency\nL,,0,0,5\nL,S,1,1,4\n")
    with pytest.raises(ValueError, match="line 1, column gamma: is given twice"):
        load_sweeps(path)
    path = sweep_file(tmp_path, "target,draft,latency\nL,,5\nL,S,4\n")
    with pytest.raises(ValueError, match=r"column gamma: is missing \(or k, gamma_tokens, "):
        load_sweeps(path)


def test_importing_the_package_imports_neither_pandas_nor_scipy() -> None:
    code = (
        "import sys, howspec.calibrate.library as l; l.load_sweeps('specbundle');"
        "sys.exit(any(m in sys.modules for m in ('pandas', 'scipy', 'sympy', 'torch')))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_serving_speedups_agree_with_the_collection() -> None:
    theirs = {r["id"]: r for r in collected("measurements")}
    same = {
        "stated_alpha": "alpha",
        "tokens_per_round": "tau_mean_tokens_per_round",
        "cost_ratio": "cost_ratio_c",
        "speedup": "speedup",
        "gamma_tokens": "gamma",
        "batch_sequences": "batch",
        "plain_tokens_per_s": "tokens_per_s_base",
    }
    header, *ours = cells_of("serving_speedups")
    groups = {cells[0].split("-")[0] for cells in ours}
    assert len(ours) == sum(i.split("-")[0] in groups for i in theirs)
    for cells in ours:
        row = dict(zip(header, cells, strict=True))
        original = theirs[row["id"]]
        for own, other in same.items():
            assert row[own] in ("", original[other]), (row["id"], own)
            if not row[own]:
                assert not re.fullmatch(r"[\d.]+", original[other]), (row["id"], own)
