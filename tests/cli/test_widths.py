"""Tables at the width of the terminal: nothing is left out, no number or word is cut."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from command import call, shown_examples
from fake_server import Fake, serving
from howspec import text as text_of
from howspec.calibrate import library
from howspec.cli import output
from howspec.cli.main import run
from howspec.figures import draw as drawn_by
from howspec.table import Column, Table, texts
from howspec.text import table_text
from howspec.verbs import family as family_of
from hypothesis import given
from hypothesis import strategies as st

WIDTHS = (60, 80, 120)
PAIR = ("--target", "Qwen3-32B", "--device", "H100")
STATED = ("--alpha", "0.8", "--cost-ratio", "0.05")
SHORT = ("--requests", "2", "--new-tokens", "10", "--batch", "1,2")
VERBS = {
    "predict of numbers": ("predict", *STATED),
    "predict of a sweep": ("predict", "--sweep", "FOLDER/own.csv"),
    "predict of a pair": ("predict", *PAIR, "--draft", "Qwen3-0.6B"),
    "rank": ("rank", *PAIR, "--draft", "Qwen3-0.6B,Qwen3-1.7B,Qwen3-4B,Qwen3-8B"),
    "scale": ("scale", *PAIR, "--sizes", "5"),
    "crossover": ("crossover", *PAIR, "--draft", "Qwen3-0.6B"),
    "import": ("import", "vllm", "FOLDER/server.log", "--fit"),
    "explain": (
        "explain", "--baseline-tokens-per-s", "41", "--speculative-tokens-per-s", "72",
        "--alpha", "0.8", "--gamma", "3", "--plain-ms", "24", "--verify-ms", "27",
        "--draft-step-ms", "1.5",
    ),
    "schedule": ("schedule", *PAIR, "--draft", "Qwen3-0.6B"),
    "simulate": ("simulate", "--alpha", "0.8", "--gamma", "5", "--cost-ratio", "0.05",
                 "--tokens", "64", "--requests", "64"),
    "simulate a grid": ("simulate", "--cost-ratio", "0.05", "--rounds", "6400", "--backend",
                        "sequential", "--grid", "alpha=0.6,0.8 gamma=1,3,5"),
    "validate": ("validate", "--rows", "FOLDER/rows.csv"),
    "evidence": ("evidence", "--target", "Llama-3.1-8B", "--draft", "EAGLE3", "--device", "H100"),
    "tune": "EXAMPLE",
    "paper": "EXAMPLE",
    "paper of a family of one's own": ("paper", "--sweep", "FOLDER/own.csv", "--out", "FOLDER/own"),
    "measure": ("measure", "URL", *SHORT, "--out", "FOLDER/k3.json"),
    "compare": ("compare", "FOLDER/plain.json", "FOLDER/k3.json"),
    "formulas": ("formulas",),
    "models": ("models", "qwen3"),
    "devices": ("devices", "h100"),
    "calibrate show": ("calibrate", "show", "COSTS"),
    "calibrate show of limits": ("calibrate", "show", "COSTS", "--limits"),
    "calibrate campaign": ("calibrate", "campaign", "gpu", "--plan", "--out", "FOLDER/campaign"),
}  # fmt: skip
ROWS = """target,draft,engine,hardware,task,batch,gamma,alpha,tokens_per_round,cost_ratio,speedup
Llama-3.1-70B,Llama-3.2-1B,vllm,H100,chat,1,1,0.72,1.72,0.05,1.55
Llama-3.1-70B,Llama-3.2-1B,vllm,H100,chat,1,3,0.72,2.61,0.05,2.02
Llama-3.1-70B,Llama-3.2-1B,vllm,H100,chat,1,5,0.72,3.07,0.05,2.11
Llama-3.1-70B,Llama-3.2-1B,vllm,H100,chat,1,7,0.72,3.31,0.05,2.05
"""
OWN = """target,draft,k,speedup,tokens_per_round
T-12B,d-3B,1,1.31,1.78
T-12B,d-3B,3,1.52,2.67
T-12B,d-3B,5,1.49,3.19
T-12B,d-1B,1,1.35,1.66
T-12B,d-1B,3,1.63,2.29
T-12B,d-1B,5,1.62,2.58
"""
Printed = tuple[Sequence[str], Sequence[Sequence[str]], str]


def _tables(
    arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> list[Printed]:
    """The tables that a command prints."""
    found: list[Printed] = []
    plainly = text_of.table_text

    def kept(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> str:
        found.append((columns, rows, plainly(columns, rows, width)))
        return found[-1][2]

    monkeypatch.setattr(text_of, "table_text", kept)
    with pytest.raises(SystemExit) as stop:
        run(list(arguments))
    out, err = capsys.readouterr()
    assert stop.value.code == 0, err
    assert all(text in out for _, _, text in found)
    return found


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_keeps_its_numbers_at_every_width(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows.csv").write_text(ROWS)
    (tmp_path / "own.csv").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    if name == "paper":  # the tables alone, as below; what is left out is predicted in test_paper
        whole = drawn_by.grid_study
        monkeypatch.setattr(drawn_by, "draw_all", lambda *_, **__: [])
        monkeypatch.setattr(
            drawn_by, "grid_study", lambda *given, held_out: whole(*given, held_out=False)
        )
    if name.startswith("paper of"):  # the tables alone: figures are drawn by other tests
        drawn = partial(family_of.family, only=["main_table"])
        monkeypatch.setattr(family_of, "family", drawn)
    asked = shown_examples(capsys, name)[0] if VERBS[name] == "EXAMPLE" else VERBS[name]
    costs = str(Path(library.__file__).with_name("cpu-costs.json.gz"))
    if name == "import":
        with pytest.raises(SystemExit):
            run(["import", "vllm", "--example"])
        (tmp_path / "server.log").write_text(capsys.readouterr().out)
    if name == "compare":
        for served, gamma in (("plain", 0), ("k3", 3)):
            with (
                serving(Fake(gamma=gamma, pattern=(min(gamma, 2),))) as url,
                pytest.raises(SystemExit),
            ):
                run(["measure", url, *SHORT, "--out", str(tmp_path / f"{served}.json")])
        capsys.readouterr()
    with serving(Fake(gamma=3, pattern=(3, 0, 1))) as url:
        words = {"FOLDER": str(tmp_path), "COSTS": costs, "URL": url}
        given = [re.sub("FOLDER|COSTS|URL", lambda m: words[m[0]], a) for a in asked]
        tables = _tables(given, monkeypatch, capsys)
    assert tables
    for columns, rows, wide in tables:
        words = Counter(wide.split()) - Counter(wide.splitlines()[1:2])
        for width in WIDTHS:
            text = table_text(columns, rows, width)
            longest = max(len(w) for w in words)
            assert max(map(len, text.splitlines())) <= max(width, 2 * longest + 2)
            assert not words - Counter(text.split()), f"{width}: {words - Counter(text.split())}"


@pytest.mark.parametrize("verb", ["synthetic", "hook"])
def test_what_is_no_table_is_the_same_at_every_width(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = shown_examples(capsys, verb)[0]
    said = []
    for width in WIDTHS:
        monkeypatch.setattr(output, "terminal_width", lambda width=width: width)
        said.append(call(capsys, *words))
    assert said[0][0] == 0
    assert said[0][1]
    assert said == [said[0]] * len(WIDTHS)


def test_files_are_named_whole_on_a_narrow_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(output, "terminal_width", lambda: min(WIDTHS))
    (words,) = shown_examples(capsys, "figures")
    status, out, _ = call(capsys, *words)
    assert status == 0
    named = [Path(line) for line in out.splitlines()]
    assert all(path.is_file() for path in named)
    drawn = {path.stem for path in named if path.suffix == ".pdf"}
    assert drawn == {"latency_by_gamma", "speedup_surface"}
    status, out, _ = call(capsys, *shown_examples(capsys, "explore")[0])
    assert status == 0
    assert Path(out.split()[1]).is_file()


CELLS = st.text("abcdef 0123456789.,-", max_size=24).map(str.strip)


@given(st.data(), st.integers(2, 6), st.integers(1, 5), st.sampled_from((20, 40, 60, 80)))
def test_any_table_keeps_every_word_of_every_cell(
    data: st.DataObject, columns: int, rows: int, width: int
) -> None:
    table = data.draw(
        st.lists(st.lists(CELLS, min_size=columns, max_size=columns), min_size=rows, max_size=rows)
    )
    heads, *body = [[f"c{j}" for j in range(columns)], *table]
    found = Counter(table_text(heads, body, width).split())
    assert not Counter(w for row in body for cell in row for w in cell.split()) - found


def test_a_table_that_fits_is_one_and_a_wide_one_repeats_its_first_column() -> None:
    heads, rows = ["draft", "alpha", "speed-up"], [["Qwen3-0.6B", "0.812", "1.234"]] * 2
    assert table_text(heads, rows, 40) == table_text(heads, rows)
    text = table_text(heads, rows, 24)
    assert text.count("draft") == 2
    assert text.count("Qwen3-0.6B") == 4
    assert max(map(len, text.splitlines())) <= 24


def test_a_pipe_gets_the_full_width(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    output.print_blocks([texts(["a" * 30, "b" * 30], [["1", "2"]])])
    assert len(re.findall("^─+$", capsys.readouterr().out, re.MULTILINE)[0]) == 62


def test_a_column_without_a_value_is_not_printed() -> None:
    table = texts(["draft", "workload", "gamma"], [["a", "", "3"], ["b", "", "4"]])
    assert "workload" not in table.text()


def test_a_table_prints_in_python_as_at_the_command_line() -> None:
    names, rows = ["draft", "alpha", "gamma"], [["a", "0.5", "3"], ["b", "-", "4"]]
    columns = Column("draft", ["a", "b"]), Column("alpha", [0.5, None]), Column("gamma", [3, 4])
    table = Table(columns, title="two drafts")
    assert str(table) == f"two drafts\n{table_text(names, rows)}"
    assert table.text(12) == f"two drafts\n{table_text(names, rows, 12)}"
    assert max(map(len, table.text(12).splitlines())) == 12
