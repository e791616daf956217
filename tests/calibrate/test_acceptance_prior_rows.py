"""Published numbers become one alpha and back, texts tasks, rows and records cells."""

from __future__ import annotations

import json
from dataclasses import astuple
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from collection import collected
from howspec.calibrate.library.load import load_table
from howspec.calibrate.prior.acceptance import library_cells
from howspec.calibrate.prior.acceptance_cells import (
    LENGTHS,
    SAME,
    TASKS,
    alpha_from_metric,
    canonical_task,
    cell_from_row,
    convertible,
    merge,
    metric_value,
    sampling_error,
    source_of,
    trials,
)
from howspec.calibrate.prior.acceptance_fit import store_rows
from howspec.calibrate.prior.acceptance_forecast import (
    RISE,
    RISE_SPREAD,
    RISE_WEIGHTS,
    RISES,
    first_alpha,
    pooled_alpha,
)
from howspec.calibrate.prior.acceptance_library import (
    built_cells,
    library_rows,
    row_from_published,
)
from howspec.calibrate.prior.acceptance_model import Cell, usual_layers
from howspec.theory import DepthAcceptance
from howspec.theory.acceptance import alpha_from_drafted_rate, alpha_from_length, round_counts
from hypothesis import given, settings
from hypothesis import strategies as st

METRICS = st.sampled_from([*SAME, *LENGTHS, "first_position", "survival_2"])


# --- metrics -----------------------------------------------------------------------------------


@given(METRICS, st.floats(0.02, 0.98), st.integers(2, 12), st.sampled_from([-0.2, 0.0, 0.13, 0.4]))
def test_a_metric_and_its_alpha_are_inverse(
    metric: str, alpha: float, gamma: int, rise: float
) -> None:
    value = float(metric_value(metric, alpha, gamma, rise=rise))
    back, unsure = alpha_from_metric(metric, value, gamma, rise=rise)
    # At depth a small alpha hardly shows in s_2, so the inverse loses digits.
    assert back == pytest.approx(alpha, abs=2e-4)
    assert unsure == pytest.approx(0.0, abs=1e-12)


@given(st.floats(0.05, 0.95), st.integers(1, 12))
def test_without_a_rise_it_is_the_conversion_of_independent_acceptance(
    alpha: float, gamma: int
) -> None:
    rate = float(metric_value("accepted_over_drafted", alpha, gamma, rise=0.0))
    assert alpha_from_drafted_rate(rate, gamma) == pytest.approx(alpha, abs=1e-5)
    length = float(metric_value("tau_with_bonus", alpha, gamma, rise=0.0))
    assert alpha_from_length(length, gamma) == pytest.approx(alpha, abs=1e-5)
    assert metric_value("first_position", alpha, gamma, rise=0.0) == pytest.approx(alpha, abs=1e-6)


@given(st.floats(0.01, 0.99), st.integers(2, 12), st.floats(0.01, 0.5))
def test_a_rise_with_position_puts_the_first_rate_below_the_pooled_one(
    alpha: float, gamma: int, rise: float
) -> None:
    first = float(first_alpha(alpha, gamma, rise=rise))
    assert first < alpha
    assert float(pooled_alpha(first, gamma, rise=rise)) == pytest.approx(alpha, abs=1e-5)


def test_pooled_alpha_is_accepted_over_decided_in_simulated_rounds() -> None:
    law = DepthAcceptance(0.7, 1.06)
    counts = round_counts(law.draw(np.random.default_rng(2), gamma=6, rounds=200_000), 6)
    kept, tried = int(counts.accepted.sum()), int(counts.trials.sum())
    error = np.sqrt(0.25 / tried)
    assert kept / tried == pytest.approx(float(pooled_alpha(0.7, 6, rise=0.2)), abs=8 * error)


def test_the_rise_follows_from_rows_that_state_both_rates_of_the_same_rounds() -> None:
    both: dict[tuple[Any, ...], dict[str, float]] = {}
    for row in load_table("acceptance").rows:
        if row["drafting"] == "chain" and not row["suspect"] and row["gamma_tokens"]:
            names = ("source", "target", "draft", "task", "gamma_tokens")
            both.setdefault(tuple(row[n] for n in names), {})[str(row["metric"])] = float(
                str(row["value"])
            )
    grid = np.linspace(-0.5, 0.5, 51)
    found = []
    for (*_, gamma), values in both.items():
        if gamma > 1 and "alpha_conditional" in values:
            for metric in set(LENGTHS) & set(values):
                curve = [
                    float(metric_value(metric, values["alpha_conditional"], gamma, rise=r))
                    for r in grid
                ]
                found.append(float(np.interp(-values[metric], -np.array(curve), grid)))
                break
    assert len(found) == 19
    assert np.median(found) == pytest.approx(RISE, abs=0.015)
    typical = 1.48 * np.median(np.abs(found - np.median(found)))
    assert typical < RISE_SPREAD < np.std(found)


def test_the_weights_of_the_rises_are_those_of_their_normal() -> None:
    assert RISE_WEIGHTS.sum() == pytest.approx(1.0)
    mean = float(RISES @ RISE_WEIGHTS)
    assert mean == pytest.approx(RISE)
    assert np.sqrt(((RISES - mean) ** 2) @ RISE_WEIGHTS) == pytest.approx(RISE_SPREAD, rel=0.01)


def test_an_unstated_gamma_leaves_a_doubt() -> None:
    alpha, unsure = alpha_from_metric("accepted_over_drafted", 0.4, None)
    known = [alpha_from_metric("accepted_over_drafted", 0.4, g)[0] for g in (3, 8)]
    assert known[0] < alpha < known[1]
    assert unsure > 0.03


@pytest.mark.parametrize(
    ("metric", "value", "says"),
    [
        ("alpha_conditional", 1.2, r"alpha_conditional must be in \[0, 1\], got 1.2"),
        ("tau_with_bonus", 6.0, r"tau_with_bonus must be in \[1, 5\], got 6"),
        ("tau_with_bonus", 0.5, "got 0.5"),
        ("goodput", 0.5, "metric must be one of .*, got 'goodput'"),
        ("survival_0", 0.5, "got 'survival_0'"),
    ],
)
def test_an_impossible_number_is_one_clear_line(metric: str, value: float, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        alpha_from_metric(metric, value, 4)


def test_trees_and_varying_lengths_do_not_determine_alpha_but_their_overlap_does() -> None:
    for drafting in ("tree", "adaptive"):
        assert not convertible("tau_with_bonus", drafting)
        assert convertible("overlap", drafting)
    assert convertible("survival_3")
    assert not convertible("goodput")


# --- tasks -------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.text())
def test_any_text_is_a_task_or_none(text: str) -> None:
    assert canonical_task(text) in (*TASKS, None)


def test_every_task_names_itself() -> None:
    assert [canonical_task(task) for task in TASKS] == list(TASKS)
    assert [canonical_task(task.upper()) for task in TASKS] == list(TASKS)
    assert canonical_task(None) is None


# --- sizes -------------------------------------------------------------------------------------


def test_usual_layers_are_those_of_released_models() -> None:
    for size, layers in ((0.49e9, 24), (1.54e9, 28), (3.09e9, 36), (70e9, 80)):
        assert usual_layers(size) == pytest.approx(layers, rel=0.12)


# --- cells -------------------------------------------------------------------------------------


def test_trials_are_read_from_the_words_of_a_source() -> None:
    assert trials("100 rounds", 0.5, 2) == pytest.approx(150)
    assert trials("200 drafted", 0.5, 2) == pytest.approx(150)
    assert trials("8 problems x 64 tok", 0.5, 2) == 512
    assert trials("~270 tokens", 0.5, None) == 270
    assert trials("10,000 tokens", 0.5, None) == 10_000
    assert trials("24 problems", 0.9, 4) == 2400
    assert trials("", 0.9, 4) == trials("0 rounds", 0.9, 4) == 300
    assert trials("10 rounds", 1.0, 4) == 40


def test_a_source_is_its_paper_or_repository() -> None:
    assert (
        source_of("arXiv 2602.16994 Table 11, full text in github a/b paper.md@1") == "2602.16994"
    )
    assert source_of("arXiv:2602.16994 Table 9") == "2602.16994"
    assert source_of("github Some/Repo@abc1234 file.json") == "some/repo"
    assert source_of("https://github.com/ggml-org/llama.cpp/pull/1") == "ggml-org/llama.cpp"
    assert source_of("https://a.org/Page/, 2024") == "https://a.org/page/"
    assert source_of(" my notebook ") == "my notebook"


def test_the_stored_cells_are_those_of_the_tables(tmp_path: Path) -> None:
    again = tmp_path / "cells.json"
    store_rows(again, "cells", built_cells())
    stored = Path(str(resources.files("howspec.calibrate.prior") / "acceptance_cells.json"))
    new, old = (json.loads(p.read_text()) for p in (again, stored))
    pairs = [
        (new.pop("cells"), old.pop("cells")),
        (list(map(astuple, built_cells())), list(map(astuple, library_cells()))),
    ]
    assert new == old, "acceptance_fit writes them anew"
    for built, kept in pairs:
        for one, other in zip(built, kept, strict=True):
            for a, b in zip(one, other, strict=True):  # releases of NumPy differ in the last bits
                near = isinstance(b, float)
                assert a == (pytest.approx(b, rel=1e-13, abs=0.0, nan_ok=True) if near else b)


def test_the_library_gives_cells_of_known_size_without_objections() -> None:
    cells = library_cells()
    assert len(cells) > 120
    assert len({c.pair for c in cells}) == 39
    by_id = {row["id"]: row for row in load_table("acceptance").rows}
    used = {i for c in cells for i in c.ids}
    assert not [i for i in used if i in by_id and by_id[i]["suspect"]]
    assert not [i for i in used if i in by_id and by_id[i]["drafting"] == "tree"]
    assert all(0 < c.alpha < 1 and c.error > 0 for c in cells)
    ladder = {c.draft: c.alpha for c in cells if "SDA-020" in c.ids or "SDA-074" in c.ids}
    assert ladder["qwen2.5-0.5b-instruct"] < ladder["qwen2.5-3b-instruct"]
    assert len({i.split("-")[0] for i in used}) >= 12


def test_rows_of_one_cell_are_their_weighted_mean_with_the_best_error() -> None:
    def cell(alpha: float, error: float, **other: Any) -> Cell:
        return Cell(7e9, 1e9, target="t", draft="d", source="s", alpha=alpha, error=error, **other)

    (one,) = merge([cell(0.6, 0.02, ids=("a",)), cell(0.8, 0.04, ids=("b",))])
    assert one.alpha == pytest.approx(0.64)
    assert (one.error, one.ids) == (0.02, ("a", "b"))
    assert len(merge([cell(0.6, 0.02), cell(0.6, 0.02, setting="other")])) == 2


def test_the_error_shrinks_with_the_sample_and_is_never_zero() -> None:
    assert sampling_error(0.5, 400) == pytest.approx(0.05, rel=0.01)
    assert sampling_error(1.0, 100) > 0.01
    assert sampling_error(0.7, 1000) < sampling_error(0.7, 100)


def stripped_rows() -> list[dict[str, str]]:
    return [{k: v.strip() for k, v in row.items()} for row in collected("acceptance")]


def test_the_bundled_table_agrees_with_the_collection() -> None:
    theirs, ours = stripped_rows(), load_table("acceptance").rows
    assert [r["id"] for r in ours] == [r["id"] for r in theirs]
    for own, row in zip(ours, map(row_from_published, theirs), strict=True):
        same = ("family", "target", "draft", "task", "metric", "value", "draft_layers")
        same += ("gamma_tokens", "sample", "temperature")
        assert {k: own[k] for k in same} == {k: row[k] for k in same}
        for size in ("target_params", "draft_params"):  # unstated ones are read from the names
            assert own[size] in (row[size], None)
        assert source_of(str(own["source"])) == source_of(row["source"]) or own["id"] == "VLT-001"
        assert (own["drafting"] in ("tree", "adaptive")) == (row["drafting"] != "chain")


def test_a_row_of_a_collection_and_of_the_table_are_one_cell() -> None:
    table = {row["id"]: cell_from_row(row) for row in library_rows()}
    for row in stripped_rows():
        if row["id"] in table:
            cell = cell_from_row(row_from_published(row))
            known = table[row["id"]]
            assert (cell.pair, cell.family, cell.task) == (known.pair, known.family, known.task)
            if row["source"][:4] != "vllm" and "devquasar" not in row["source"]:
                assert (cell.setting, cell.source) == (known.setting, known.source)
            assert cell.alpha == known.alpha or np.isnan(known.alpha)


COLUMNS = [
    "id",
    "family",
    "target",
    "draft",
    "target_params_b",
    "draft_params_b",
    "gamma",
    "n",
    "temperature",
    "metric",
    "value",
    "task",
    "source",
    "notes",
    "quantised",
    "draft_layers",
]
CELLS = st.one_of(st.text(max_size=20), st.sampled_from(["0", "1e999", "nan", "-3", "4", "T 0.5"]))


@given(st.dictionaries(st.sampled_from(COLUMNS), CELLS))
def test_any_row_is_a_cell_whose_unknowns_stay_unknown(row: dict[str, str]) -> None:
    cell = cell_from_row(row_from_published(row))
    assert cell.target_parameters > 0
    assert cell.draft_parameters > 0
    assert cell.task in (*TASKS, None)
