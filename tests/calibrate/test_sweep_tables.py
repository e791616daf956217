"""Tables of measurements as people write them: one reader, steps that a smooth law misses."""

# ruff: noqa: E501 - tables as they are pasted

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from howspec.calibrate.library import load_sweeps
from howspec.calibrate.sweeps import find_step, fit_sweeps
from howspec.calibrate.tables.cells import parse_cells
from howspec.calibrate.tables.passes import read_pass_table
from howspec.calibrate.tables.sweep import Sweep, read_only
from howspec.calibrate.tables.sweeps import parse_sweeps, read_sweeps
from howspec.sim.pair_schedule import schedule_from_grid
from howspec.sim.sweep_answer import predict_sweep
from howspec.theory import AffineCost, DepthAcceptance, tokens_by_gamma

PLAIN, FAST = 30.0, {1: 39.0, 2: 45.0, 3: 48.0}
KS = ("gamma", "K", "num_speculative_tokens", "n_max", "draft tokens", "steps", "γ")


def speeds(k: str, unit: str, mark: str = ",", *, plain: bool = True) -> str:
    """A table of tok/s, TPOT or a speed-up, apart by a mark."""
    rows = [(0, PLAIN)] * plain + list(FAST.items())
    value = {
        "tok/s": lambda s: f"{s:.2f}",
        "TPOT (ms)": lambda s: f"{1e3 / s:.4f}",
        "itl_s": lambda s: f"{1 / s:.7f}",
        "latency": lambda s: f"{600 / s:.4f}",
        "speed-up": lambda s: f"{s / PLAIN:.5f}x",
    }[unit]
    lines = [mark.join(("target", "draft", k, unit))]
    lines += [mark.join(("T", "D", str(g), value(s))) for g, s in rows]
    return "\n".join(lines) + "\n"


def one(text: str) -> Sweep:
    (found,) = parse_sweeps(text.encode(), "table")
    return found


@pytest.mark.parametrize("k", KS)
@pytest.mark.parametrize("unit", ["tok/s", "TPOT (ms)", "itl_s", "latency", "speed-up"])
def test_every_name_of_k_and_every_unit_gives_the_same_sweep(k: str, unit: str) -> None:
    found = one(speeds(k, unit))
    assert found.gamma.tolist() == [1, 2, 3]
    assert found.speedup == pytest.approx([s / PLAIN for s in FAST.values()], rel=2e-4)
    assert found.relative_to == 0


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_every_mark_gives_the_same_sweep(mark: str) -> None:
    assert one(speeds("K", "tok/s", mark)).speedup == pytest.approx([1.3, 1.5, 1.6])


def test_markdown_json_lines_and_aligned_text_are_tables_too() -> None:
    rows = [r.split(",") for r in speeds("K", "tok/s").split()]
    bars = [f"| {' | '.join(r)} |" for r in rows]
    markdown = "Here is what I got:\n\n" + "\n".join((bars[0], "|---|---:|---|---|", *bars[1:]))
    aligned = "\n".join("  ".join(f"{c:<10}" for c in r) for r in rows)
    lines = "\n".join(json.dumps(dict(zip(rows[0], r, strict=True))) for r in rows[1:])
    for text in (markdown, aligned, lines, json.dumps([json.loads(s) for s in lines.split("\n")])):
        assert one(text).speedup == pytest.approx([1.3, 1.5, 1.6])


@pytest.mark.parametrize("unit", ["tok/s", "TPOT (ms)"])
def test_without_a_plain_row_speeds_are_over_the_smallest_k(unit: str) -> None:
    found = one(speeds("K", unit, plain=False))
    assert found.relative_to == 1
    assert found.speedup == pytest.approx([1.0, 45 / 39, 48 / 39], rel=1e-4)
    assert one("target,draft,K,speedup\nT,D,1,1.0\nT,D,2,1.1\n").relative_to == 1
    assert one("target,draft,K,speedup\nT,D,1,1.2\nT,D,2,1.1\n").relative_to == 0


def test_extra_columns_tell_sweeps_apart() -> None:
    rows = [
        f"M,H,{task},{batch},A100,{k},{(100 + 10 * k) / batch}"
        for task in ("code", "chat") for batch in (1, 8) for k in (0, 1, 2)
    ]  # fmt: skip
    text = "model,method,task,concurrency,gpu,k,tok/s\n" + "\n".join(rows) + "\n"
    found = parse_sweeps(text.encode(), "table")
    assert [s.workload for s in found] == [
        f"{task}, batch {b}" for task in ("code", "chat") for b in (1, 8)
    ]
    assert [s.batch for s in found] == [1, 8, 1, 8]
    assert all(s.speedup == pytest.approx([1.1, 1.2]) for s in found)


def test_lengths_that_some_rows_lack_are_left_out_with_a_note() -> None:
    found = one("target,draft,K,tok/s,acceptance_length\nT,D,0,30,\nT,D,1,39,1.9\nT,D,2,45,\n")
    assert found.tokens_per_round is None
    assert found.notes == ("tokens per round are stated in 1 of 2 rows, so they are left out",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("target,draft,tok/s\nT,D,3\n", "column gamma: is missing"),
        ("target,draft,K\nT,D,3\n", "column speedup: is missing"),
        ("target,K,tok/s\nT,1,3\n", "needs a row with gamma = 0"),
        ("K,tok/s\n1,3,9\n", "line 2 has 3 cells"),
        ("target,draft,K,tok/s,batch\nT,D,1,3,0\n", "column batch"),
        ("target,draft,K,tok/s\nT,D,1,-3\nT,D,2,4\n", "line 2, column latency"),
        ("target,draft,K,tok/s\nT,D,1,3\nT,D,1,4\n", "a row must be unique, got that of line 2"),
    ],
)
def test_a_table_that_is_no_sweep_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="table") as caught:
        parse_sweeps(text.encode(), "table")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


LAYOUTS = {
    "quoted": "> I see:\n> \n> | MTP n | tok/s |\n> |---|---|\n> | 0 | 30 |\n> | 1 | ~39 |\n> | 2 | **45** |\n> | 3 | 48 |\n",
    "a unit in the cells": "| num_speculative_tokens | TTFT | Single-stream |\n|---|---|---|\n| 0 | 99 ms | 30 tok/s |\n"
    "| 1 | 98 ms | 39 tok/s |\n| **2** | 97 ms | **45 tok/s** |\n| 3 | 96 ms | 48 tok/s |\n",
    "options in a cell": "| Config | Decode tok/s |\n|---|---:|\n| no speculation | 30 |\n"
    "| `--spec-draft-n-max 1 --draft-p-min 0` | 39 |\n| `--spec-draft-n-max 2 --draft-p-min 0` | 45 "
    "|\n| `--spec-draft-n-max 3 --draft-p-min 0` | **48.0** |\n",
    "words in a cell": "| setup | tok/s | gain |\n|---|---|---|\n| baseline, warm | 30 | |\n"
    "| MTP n=1 | 39 (+30%) | |\n| MTP n=2 | 45 | |\n| MTP n=3 | 48 | |\n",
    "a gain beside a speed": "| | Baseline | With flag | n-max | Acceptance |\n|---|---|---|---|---|\n"
    "| a | 30 | 39 (+30%) | 1 | 0.9 |\n| b | 30 | 45 (+50%) | 2 | 0.8 |\n| c | 30 | 48 | 3 | 0.7 |\n",
    "a column a setting": "| | baseline | K=1 | K=2 | K=3 |\n|---|---|---|---|---|\n"
    "| tok/s | 30 | 39 | 45 | 48 |\n| accept rate | - | 0.9 | 0.8 | 0.7 |\n",
    "no outer bars": "I measured:\n\nK | tok/s\n-- | --\n0 (plain) | 30\n1 | 39\n2 | 45\n3 | 48\n",
    "lines": "no spec: 30 t/s\nn_max 1: 39.0 t/s (acceptance 0.9)\nn_max 2: 45 t/s\nn_max 3: 48 t/s\n",
    "headings": "Without MTP:\nspeed: 30.0 tok/s\n\nMTP (num_steps=1):\n#questions: 80, Throughput: 39 "
    "token/s\n\nMTP (num_steps=2):\nThroughput: 45 token/s\n\nMTP (num_steps=3):\n48 token/s\n",
    "only one side of the pair named": "Method,K,tok/s\nbaseline,,30\nEAGLE,1,39\nEAGLE,2,45\nEAGLE,3,48\n",
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_same_sweep(name: str) -> None:
    found = one(LAYOUTS[name])
    assert found.gamma.tolist() == [1, 2, 3]
    assert found.speedup == pytest.approx([1.3, 1.5, 1.6])


def test_a_grid_of_draft_tokens_by_batch_is_one_sweep_a_batch() -> None:
    text = "tok/s:\n\n| K \\ concurrency | 1 | 8 |\n|---|---|---|\n| off | 30 | 200 |\n| 1 | 39 | 250 |\n"
    turned = "concurrency,K=0,K=1\n1,30,39\n8,200,250\n"
    sweeps = parse_sweeps(text.encode(), "grid")
    assert [s.batch for s in sweeps] == [1, 8]
    assert [s.speedup.tolist() for s in sweeps] == [[pytest.approx(1.3)], [pytest.approx(1.25)]]
    with pytest.raises(ValueError, match="a grid must say what"):
        parse_sweeps(turned.encode(), "grid")  # nothing says what its cells are


def test_a_single_speed_without_another_is_left_out_beside_a_sweep() -> None:
    found = one("MTP n,p-min,tok/s\n1,0,94.2\n2,0,109.2\n3,0,98.8\n16,0.8,50.9\n")
    assert (found.gamma.tolist(), found.relative_to) == ([1, 2, 3], 1)
    assert found.notes == ("gamma 16 (0.8) stands alone, without plain decoding, and is left out",)


def test_other_tables_are_no_sweeps() -> None:
    lengths = (
        "| TP \\ Concurrency | 1 | 2 |\n|---|---|---|\n| 1 | 6.36 | 6.34 |\n| 2 | 6.36 | 6.4 |\n"
    )
    with pytest.raises(ValueError, match="column gamma: is missing"):
        parse_sweeps(lengths.encode(), "table")


def test_a_sweep_of_one_gamma_is_left_out_beside_longer_ones() -> None:
    text = "draft,K,tok/s\nnone,0,30\nD,1,39\nD,2,45\nE,2,40\n"
    (found,) = predict_sweep(parse_sweeps(text.encode(), "t"), np.random.default_rng(0))
    assert found.notes[-1] == "measured at one gamma, and left out: target + E"


def test_a_file_and_its_bytes_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(speeds("K", "tok/s"))
    assert (
        read_sweeps(tmp_path / "s.csv")[0].speedup.tolist()
        == one(speeds("K", "tok/s")).speedup.tolist()
    )
    assert parse_cells(b"a,b\n1,2\n", "x").lines == (2,)


def _law(rng: np.random.Generator, points: int) -> np.ndarray:
    law = DepthAcceptance(rng.uniform(0.4, 0.95), rng.uniform(0.9, 1.02))
    cost = AffineCost(rng.uniform(0.01, 0.4), overhead=rng.uniform(0.0, 0.5))
    return np.asarray(tokens_by_gamma(law, points) / cost.round_time(points))[1:]


def test_steps_are_found_where_they_are_and_smooth_laws_have_none() -> None:
    """400 sweeps with 0.3 to 2 % scatter: no more than 1 % false, 95 % found at their place."""
    rng, runs, false, right = np.random.default_rng(1), 400, 0, 0
    for _ in range(runs):
        n = int(rng.integers(5, 11))
        gammas, smooth = np.arange(1.0, n + 1.0), _law(rng, n)
        seen = smooth * np.exp(rng.normal(0.0, rng.uniform(0.003, 0.02), n))
        false += find_step(gammas, seen, smooth) is not None
        k = int(rng.integers(1, n - 1))
        found = find_step(gammas, seen * np.where(np.arange(n) >= k, 0.78, 1.0), smooth)
        right += found is not None and (found.after, found.before) == (k, k + 1)
    assert false / runs <= 0.01
    assert right / runs >= 0.95


def test_a_block_drafter_with_a_cliff_is_said_to_have_one() -> None:
    sweep = Sweep(
        "T",
        "DSpark",
        read_only(range(1, 7)),
        read_only((0.745, 0.746, 0.759, 0.559, 0.556, 0.552)),
    )
    (fit,) = fit_sweeps([sweep], np.random.default_rng(0), draws=300, size="coarse")
    assert fit.step is not None
    assert (fit.step.after, fit.step.before) == (3, 4)
    assert fit.step.factor == pytest.approx(0.74, abs=0.03)
    assert "a step between gamma 3 and 4" in fit.notes[0]
    assert any("drafts a block at once" in note for note in fit.notes)


@pytest.mark.parametrize("name", ["paper_bloom_grid", "redrafter_chips"])
def test_bundled_sweeps_have_no_step(name: str) -> None:
    sweeps = load_sweeps(name)
    fits = fit_sweeps(sweeps, np.random.default_rng(0), draws=200, size="coarse")
    assert [f.step for f in fits] == [None] * len(sweeps)


def grid(*, plain: bool) -> tuple[Sweep, ...]:
    """Speeds that peak at gamma 4 for batch 1, at 2 for batch 16 and below plain at 64."""
    rows = []
    for batch, best, gain in ((1, 4, 1.6), (16, 2, 1.3), (64, 1, 0.8)):
        rows += [f"T,D,{batch},0,{100 * batch}"] * plain
        rows += [
            f"T,D,{batch},{k},{100 * batch * (gain - 0.08 * abs(k - best))}" for k in range(1, 7)
        ]
    text = "target,draft,batch,K,tok/s\n" + "\n".join(rows) + "\n"
    return parse_sweeps(text.encode(), "grid")


def test_a_grid_of_speeds_becomes_a_schedule() -> None:
    made = schedule_from_grid(grid(plain=True), np.random.default_rng(0))
    assert [made.gamma(b) for b in (1, 16, 64)] == [4, 2, 0]
    assert made.batch_max == 64
    assert made.best_speedup[0] == pytest.approx(1.6, rel=0.01)
    assert any("batch 1, 16, 64" in note for note in made.notes)


def test_a_grid_without_plain_decoding_ranks_the_gammas_and_says_so() -> None:
    made = schedule_from_grid(grid(plain=False), np.random.default_rng(0))
    assert [made.gamma(b) for b in (1, 16, 64)] == [4, 2, 1]
    assert any("plain decoding was not measured" in note for note in made.notes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("target,draft,K,tok/s\nT,D,0,1\nT,D,1,2\n", "needs a batch or concurrency column"),
        ("target,draft,batch,task,K,tok/s\nT,D,1,a,0,1\nT,D,1,a,1,2\nT,D,1,b,0,1\nT,D,1,b,1,2\n",
         "must be in one sweep of the grid, 1 is in several"),
        ("target,draft,batch,K,tok/s\nT,D,1,0,1\nT,D,1,1,2\nT,E,2,0,1\nT,E,2,1,2\n", "one pair"),
        ("target,draft,bs,K,tok/s\nT,D,1,0,1\nT,D,1,1,2\nT,D,2,0,1\nT,D,2,2,2\n", "no gamma was"),
    ],
)  # fmt: skip
def test_a_grid_that_makes_no_schedule_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        schedule_from_grid(parse_sweeps(text.encode(), "grid"), np.random.default_rng(0))


def test_without_plain_decoding_the_best_gamma_is_one_that_was_measured() -> None:
    """The smallest K is the fastest: it is told so, and plain decoding is not said to be faster."""
    (found,) = predict_sweep(
        [one("target,draft,K,tok/s\nT,D,1,50\nT,D,2,48\nT,D,3,45\n")], np.random.default_rng(0)
    )
    assert found.prediction.gamma == 1
    assert found.break_even_alpha is None
    assert any("plain decoding was not measured" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("pass,batch,tokens\ntarget,1,1\n", "line 2, column time_ms: must be given, or time_s"),
        ("batch,tokens,time_ms\n1,1,1\n", "column pass: is missing"),
        ("pass,batch,tokens,time_ms\nother,1,1,2\n", "line 2, column pass: must be one of target"),
        ("pass,batch,tokens,time_ms\ntarget,1,x,2\n", "line 2, column tokens: must be a number"),
        ("#a\npass,batch,tokens,time_ms\ntarget,1,1,2\ntarget,1,1,3\n", "got that of line 3 again"),
        ("pass,batch,tokens,time_ms\ntarget,1,1,2\ntarget,1,2,3\n", "no row with pass draft"),
        (
            "pass,batch,tokens,time_ms\ntarget,1,1,2\ntarget,1,2,-3\ndraft,1,1,1\n",
            "line 3, column time_ms",
        ),
        (
            "pass,batch,tokens,time_ms\ntarget,1,1,2\ntarget,2,4,3\ndraft,1,1,1\n",
            "no time at tokens",
        ),
    ],
)
def test_a_table_of_passes_that_is_none_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "passes.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        read_pass_table(path)
