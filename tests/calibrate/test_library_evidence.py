"""What has been measured of a pair or a device: numbers as their sources have them, cited."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from collection import collected
from howspec.calibrate.library import load
from howspec.calibrate.library.evidence import (
    Measurement,
    evidence,
    measured_pair,
    measurements,
)
from howspec.calibrate.library.load import METRICS, device_name, load_table, model_name
from howspec.calibrate.prior.heads_fit import lengths
from howspec.cli.main import run

FOLDER = Path(__file__).resolve().parents[2] / "calibrate" / "library"
FILES = ("field2026", "papers2026")


@pytest.fixture(scope="module")
def published() -> dict[str, dict[str, str]]:
    return {row["id"]: row for name in FILES for row in collected(name)}


def test_every_row_stands_in_the_table_with_its_value(published: dict[str, dict[str, str]]) -> None:
    table = load_table("measured")
    rows = [r for r in table.rows if not str(r["id"]).startswith("SPB-")]  # found elsewhere
    assert [r["id"] for r in rows] == list(published)
    for row in rows:
        was = published[str(row["id"])]
        value = float(was["value"])
        shares = "rate" in str(row["metric"]) or str(row["metric"]).startswith("accepted")
        wanted = value / 100 if shares and value > 1 else value  # percent, as written
        assert row["value"] == pytest.approx(wanted, rel=1e-5)
        assert (row["target"], row["draft"]) == (was["target"], was["draft"])


def test_a_row_of_every_source_is_the_number_of_its_file(
    published: dict[str, dict[str, str]],
) -> None:
    rows = {m.id: m for m in measurements() if m.table == "measured"}
    seen: dict[str, str] = {}
    for row in load_table("measured").rows:
        seen.setdefault(str(row["source"]), str(row["id"]))
    assert len(seen) == len(load_table("measured_sources").rows) >= 56
    assert seen.pop("spec-bench") == "SPB-001"
    for key, first in seen.items():
        was, now = published[first], rows[first]
        percent = 100 if "percent, as written" in was["note"] else 1
        assert now.value == pytest.approx(float(was["value"]) / percent, rel=1e-5), key
        assert now.citation
        assert now.temperature == (float(was["temperature"]) if was["temperature"] else None)


def test_names_are_those_that_the_tables_of_models_and_devices_give_today() -> None:
    for row in load_table("measured").rows:
        known = model_name(str(row["target"]))
        assert row["target_model"] in (known, ""), row["target"]
        if row["device"]:
            assert device_name(str(row["hardware"])) == (row["device"], row["devices"])


def test_what_is_not_measured_says_so_and_is_not_scored() -> None:
    counts = Counter(m.status for m in measurements() if m.table == "measured")
    assert counts.total() == 2714
    assert counts["measured"] > 1800
    assert counts["secondary"] == 14
    for m in measurements():
        assert m.scored == (m.status == "measured" and not m.objection)
        if m.status != "measured":
            assert m.objection
    assert not any(m.scored for m in measurements() if "AngelSlim" in m.citation)
    assert not any(m.scored for m in measurements("Llama-4-Scout-17B-16E-Instruct")
                   if m.table == "specbundle")  # fmt: skip


def test_definitions_are_kept_apart() -> None:
    frame = load("measured")
    lengths_only = frame[frame.metric == "tokens_per_round"]
    assert (lengths_only["value"] >= 1).all()
    cut = frame[frame.metric == "accepted_over_drafted_cut"]
    assert set(cut.drafting) == {"adaptive"}
    by_position = frame[frame.metric == "position_rate"]
    assert by_position.position.notna().all()
    assert set(frame.metric) <= set(METRICS)


def test_a_pair_is_found_by_any_of_its_names_and_by_what_runs_it() -> None:
    found = evidence("meta-llama/Llama-3.3-70B-Instruct", "Llama-3.2-1B", "2x H100")
    assert len(found) > 100
    assert {m.device for m in found} == {"H100 SXM"}
    same = evidence("llama-3.3-70b", "meta-llama/Llama-3.2-1B-Instruct", "NVIDIA H100 80GB HBM3")
    assert found == same
    heads = evidence(draft="eagle3")
    assert {m.drafter for m in heads} == {"EAGLE-3"}
    assert {m.target_model for m in heads} >= {"Qwen3-32B", "Llama-3.1-8B", "Kimi-K2"}
    assert {m.device for m in evidence(device="gfx906")} == {"MI50"}


def test_the_very_pair_on_its_device_for_its_task_is_found() -> None:
    found = measured_pair(
        "Llama-3.1-8B-Instruct", "EAGLE3", "H100", stack="serving", task="math", batch=1,
        metrics=("speedup_run",),
    )  # fmt: skip
    assert [m.value for m in found] == [1.754]
    assert found[0].gamma == 3
    assert "SpecDecode-Bench" in found[0].citation
    assert measured_pair("Llama-3.1-8B", "EAGLE3", "H100", task="translation", batch=1) == ()
    assert measured_pair("Llama-3.1-8B", "EAGLE3", "L4") == ()


def test_rows_of_a_pair_are_scored_chains_blocks_and_look_ups() -> None:
    for m in measured_pair("Qwen3-32B", "Qwen3-1.7B"):
        assert m.scored
        assert m.drafting not in ("tree", "adaptive")
    for kind in ("EAGLE-3", "DFlash", "n-gram"):
        assert all(m.metric == "tokens_per_round" and m.drafter == kind for m in lengths(kind))


def test_rates_by_position_agree_with_the_tokens_of_the_same_row() -> None:
    rows = [m for m in measurements() if m.rates and m.metric == "tokens_per_round"]
    assert len(rows) > 150
    for m in rows:
        assert len(m.rates) == m.gamma
        assert 1.0 + sum(m.rates) == pytest.approx(m.value, abs=0.02)
        assert list(m.rates) == sorted(m.rates, reverse=True)


@pytest.mark.parametrize(
    ("asked", "words"),
    [((None, None, None), "got none of them"), ((None, None, "H1000"), "device must be a name of")],
)
def test_a_question_that_names_nothing_is_one_line(
    asked: tuple[str | None, str | None, str | None], words: str
) -> None:
    with pytest.raises(ValueError, match=words) as e:
        evidence(*asked)
    assert "\n" not in str(e.value)


def test_the_command_lists_rows_with_their_citations(capsys: pytest.CaptureFixture[str]) -> None:
    def call(*more: str) -> str:
        with pytest.raises(SystemExit) as stop:
            run(["evidence", "--target", "Llama-3.1-8B", "--draft", "EAGLE3", *more])
        assert stop.value.code == 0
        return capsys.readouterr().out

    answer: dict[str, Any] = json.loads(call("--device", "H100", "--json"))
    assert any(m["value"] == 1.754 and m["citation"] for m in answer["measurements"])
    text = call("--device", "H100")
    assert "1.754" in text
    assert "source: specdecode-bench.github.io" in text
    assert "nothing published" in call("--device", "L4")


def test_a_measurement_names_its_definition_and_unit() -> None:
    row = Measurement("x", "t", "c", "tpot_ms", 3.0)
    assert row.unit == "ms"


def test_an_engine_has_one_stack_in_every_table() -> None:
    for start, stacks in (("llama.cpp", ("native", "llama.cpp")), ("sglang", ("serving",) * 2)):
        found = [m for m in measurements() if m.engine.casefold().startswith(start)]
        assert {(m.stack, m.cost_stack) for m in found} == {stacks}
        assert len({m.table for m in found}) > 1
