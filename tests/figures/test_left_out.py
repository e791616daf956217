"""The prior put to the test: families left out, rows of a file, and the rivals of both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from howspec.calibrate.prior.acceptance import AcceptancePrior
from howspec.calibrate.prior.acceptance_model import Cell
from howspec.figures.validation.left_out import (
    HeldOut,
    leave_one_family_out,
    perplexity,
    predict_rows,
    rivals,
    summary,
)

ROOT = Path(__file__).resolve().parents[2]
PRIOR = AcceptancePrior.load()


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def held_out() -> list[HeldOut]:
    return leave_one_family_out(rng())


@pytest.fixture(scope="module")
def named_families() -> list[HeldOut]:
    return leave_one_family_out(rng(), lines=False)


# --- held out ----------------------------------------------------------------------------------


def test_unmeasured_pairs_are_predicted_as_well_as_promised(
    held_out: list[HeldOut], named_families: list[HeldOut]
) -> None:
    for rows, error in ((held_out, 0.086), (named_families, 0.080)):
        own = [r for r in rows if r.task and not r.ids[0].startswith("LEV")]
        found = summary(own)
        assert found["error"] < error
        assert 0.85 <= found["coverage_90"] <= 0.95
        assert found["error_after"] < 0.04
        for rival in ("constant", "task constant", "SDSL", "SDSL refitted"):
            assert found["error"] < 0.85 * found[rival]


def test_the_account_of_the_prior_states_what_is_found(
    held_out: list[HeldOut], named_families: list[HeldOut]
) -> None:
    account = (ROOT / "calibrate" / "prior" / "acceptance.md").read_text(encoding="utf-8")
    found = [
        summary([r for r in rows if r.task and not r.ids[0].startswith("LEV")])
        for rows in (named_families, held_out)
    ]
    for numbers in found:
        line = f"| {numbers['error']:.3f} | {100 * numbers['coverage_90']:.0f} % |"
        assert f"{line} {numbers['width_90']:.2f} | {numbers['error_after']:.3f} |" in account
    for rival in ("constant", "task constant", "SDSL", "SDSL refitted"):
        assert f"| {found[0][rival]:.3f} | {found[1][rival]:.3f} |" in account
    pairs = len({c.pair for c in PRIOR.cells})
    assert f"{len(PRIOR.cells)}, of {pairs} pairs in {len(PRIOR.families())} lines" in account


def test_every_measurement_is_held_out_once(
    held_out: list[HeldOut], named_families: list[HeldOut]
) -> None:
    for rows in (held_out, named_families):
        ids = [i for r in rows for i in r.ids]
        assert sorted(ids) == sorted(i for c in PRIOR.cells for i in c.ids)
        pairs = {(r.pair, r.task) for r in rows}
        assert sum(r.weight for r in rows) == pytest.approx(len(pairs))
        assert all(r.low < r.predicted < r.high for r in rows)
    assert {r.family for r in held_out} == set(PRIOR.families())
    assert "Qwen2.5-Coder" in {r.family for r in named_families}


def test_a_familys_own_numbers_do_not_reach_its_prediction() -> None:
    moved = tuple(
        replace(c, alpha=1 - 0.5 * c.alpha) if c.family == "qwen2.5" else c for c in PRIOR.cells
    )
    other = AcceptancePrior(moved, PRIOR.parameters)
    before = leave_one_family_out(rng(), tokens=0)
    after = leave_one_family_out(rng(), prior=other, tokens=0)
    for old, new in zip(before, after, strict=True):
        if old.family == "qwen2.5":
            assert new.predicted == old.predicted
            assert new.rivals == pytest.approx(old.rivals)
        else:
            assert new.predicted != old.predicted


def test_tokens_of_the_pair_itself_help_the_more_the_more_there_are() -> None:
    errors = [
        summary(leave_one_family_out(rng(), tokens=n))["error_after"] for n in (20, 200, 2000)
    ]
    assert errors[0] > 1.5 * errors[1] > 2.5 * errors[2]


def test_the_rivals_are_what_they_are_called() -> None:
    cells = [
        Cell(7e9, 1e9, task="code", alpha=0.8),
        Cell(7e9, 1e8, task="code", alpha=0.6),
        Cell(7e10, 1e9, task="chat", alpha=0.4),
    ]
    found = {name: rival(cells[0]) for name, rival in rivals(cells).items()}
    assert found["constant"] == pytest.approx(0.6)
    assert found["task constant"] == pytest.approx(0.7)
    assert found["SDSL refitted"] == pytest.approx(0.8)  # three numbers through three points
    draft, target = perplexity(1e9), perplexity(7e9)
    assert draft > target > 5
    assert found["SDSL"] == pytest.approx(0.6421 - 0.0067 * draft + 0.0130 * target)
    assert rivals(cells)["task constant"](replace(cells[0], task="prose")) == pytest.approx(0.6)


# --- rows of a file ----------------------------------------------------------------------------

ROW = {
    "id": "new-1", "family": "Gemma-9", "target": "Gemma-9-27B", "target_params_b": "27",
    "draft": "Gemma-9-1B", "draft_params_b": "1", "task": "HumanEval", "temperature": "0",
    "gamma": "5", "metric": "accepted_over_drafted", "value": "0.5", "n": "1000 drafted",
    "source": "arXiv 2999.00001", "notes": "",
}  # fmt: skip


def test_a_row_is_predicted_in_its_own_metric() -> None:
    metrics = ("alpha_conditional", "accepted_over_drafted", "tau_with_bonus", "survival_3")
    rows = predict_rows([ROW | {"metric": m} for m in metrics], rng())
    middle = dict(zip(metrics, (r.predicted for r in rows), strict=True))
    alpha = middle["alpha_conditional"]
    assert alpha is not None
    assert 0.7 < alpha < 0.92
    assert middle["tau_with_bonus"] == pytest.approx(
        1 + 5 * (middle["accepted_over_drafted"] or 0), abs=0.1
    )
    assert alpha**3 - 0.1 < (middle["survival_3"] or 0) < alpha
    for row in rows:
        assert row.low is not None
        assert row.high is not None
        assert row.low < (row.predicted or 0) < row.high
        assert row.alpha["predicted"] == pytest.approx(alpha, abs=0.02)
        assert set(row.rivals) == {"constant", "task constant", "SDSL", "SDSL refitted"}
    assert 0.7 < rows[1].alpha["observed"] < 0.85


def test_a_small_sample_is_predicted_with_a_wider_interval() -> None:
    few, many = predict_rows([ROW | {"n": "40 drafted"}, ROW | {"n": "100000 drafted"}], rng())
    assert (few.high or 0) - (few.low or 0) > 1.05 * ((many.high or 0) - (many.low or 0))


HEAD, LOOK_UP = (
    f"drafts by {what}, the law is of draft models: not predicted"
    for what in ("a head on the target", "look-up")
)


@pytest.mark.parametrize(
    ("change", "note"),
    [
        ({"metric": "goodput"}, "goodput is not known: not predicted"),
        ({"metric": ""}, "the metric is not known: not predicted"),
        ({"metric": "tau_with_bonus", "gamma": "tree 5x8"}, "of a tree: not predicted"),
        ({"gamma": "adaptive<=32"}, "of a varying number of draft tokens: not predicted"),
        ({"draft": "EAGLE-3 head"}, HEAD),
        ({"draft": "lmsys/EAGLE3-Gemma-9-27B"}, HEAD),
        ({"method": "Medusa"}, HEAD),
        ({"draft": "built-in MTP"}, HEAD),
        ({"draft": "n-gram"}, LOOK_UP),
        ({"draft": "", "method": "prompt lookup"}, LOOK_UP),
        ({"draft": "Bigram"}, LOOK_UP),
    ],
)
def test_what_alpha_or_the_law_does_not_determine_is_not_predicted(
    change: dict[str, str], note: str
) -> None:
    (row,) = predict_rows([ROW | change], rng())
    assert row.note.endswith(note)
    assert (row.predicted, row.low, row.high, row.rivals) == (None, None, None, {})


def test_the_columns_of_the_table_and_of_a_collection_say_the_same() -> None:
    ours = {
        "target_params_b": None, "draft_params_b": None, "gamma": None, "n": None,
        "target_params": "27000000000", "draft_params": "1e9", "gamma_tokens": "5",
        "sample": "1000 drafted", "metric": "Accepted / drafted", "value": "50 %",
    }  # fmt: skip
    (known,) = predict_rows([ROW], rng(3))
    (same,) = predict_rows([ROW | ours], rng(3))
    assert (same.predicted, same.low, same.high) == (known.predicted, known.low, known.high)
    assert (same.observed, same.metric) == (0.5, "accepted_over_drafted")
    (read,) = predict_rows([ROW | {"target_params_b": "", "draft_params_b": "-"}], rng(3))
    assert read.note == ""
    assert read.predicted == pytest.approx(known.predicted, abs=0.005)


def test_what_is_missing_widens_the_interval_and_is_said() -> None:
    def width(**change: str) -> tuple[float, str]:
        (row,) = predict_rows([ROW | change], rng())
        return (row.high or 0) - (row.low or 0), row.note

    known = width()
    for change, note in (
        (
            {"target_params_b": "", "draft_params_b": "", "target": "Gemma", "draft": "small"},
            "sizes not stated",
        ),
        ({"task": "knitting patterns"}, "any task is meant"),
    ):
        wider = width(**change)
        assert wider[0] > known[0]
        assert note in wider[1]
    assert known[1] == ""
    assert predict_rows([], rng()) == []
    assert predict_rows([{}], rng())[0].predicted is None


def test_a_row_of_the_library_is_predicted_without_its_family(held_out: list[HeldOut]) -> None:
    (expected,) = (r.predicted for r in held_out if "SHR-001" in r.ids)
    cell = next(c for c in PRIOR.cells if "SHR-001" in c.ids)
    row = {
        "id": "SHR-001", "family": "Qwen2.5-Instruct", "target": "Qwen2.5-7B-Instruct",
        "target_params_b": "7.61", "draft": "Qwen2.5-0.5B-Instruct fine-tuned",
        "draft_params_b": "0.49", "task": "UltraChat", "metric": "alpha_conditional",
        "value": str(cell.alpha), "source": "github shreyansh26/Speculative-Decoding x@1234567",
    }  # fmt: skip
    known, unseen = predict_rows([row, row | {"id": "new"}], rng())
    gap = [cell.alpha - (r.predicted or 0) for r in (known, unseen)]
    assert gap[0] > 0.1 > abs(gap[1])
    assert known.predicted == pytest.approx(expected, abs=0.02)


def test_rows_do_not_inform_each_other() -> None:
    alone = predict_rows([ROW], rng(5))[0]
    many = predict_rows([ROW, *(ROW | {"id": f"n{i}", "value": "0.99"} for i in range(9))], rng(5))[
        0
    ]
    assert many.predicted == pytest.approx(alone.predicted, abs=0.02)
