"""What users paste: rounds that are bounded, steps that drafted nothing, columns that disagree."""

from __future__ import annotations

import csv
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from engine_field import FIELD, llama_request, mtp_bench, offline
from engine_samples import SAMPLES, read
from howspec.calibrate import engines
from howspec.calibrate.engines import import_counts
from howspec.calibrate.engines.counts import formats, kind_of
from howspec.calibrate.engines.health import RULES
from howspec.calibrate.engines.laws import from_statistics
from howspec.calibrate.engines.load import counts_of_json, read_statistics
from howspec.calibrate.engines.numbers import rounds_bounds
from howspec.calibrate.engines.write import aiperf_record
from howspec.calibrate.models.drafters import drafter_of
from hypothesis import given
from hypothesis import strategies as st

# Outside of the project: files as users pasted them, where they are at hand.
FOLDERS = (p / "shared" / "field" for p in Path(__file__).resolve().parents)
SHARED = next((p for p in FOLDERS if p.is_dir()), Path("shared") / "field")


@given(
    drafts=st.lists(st.integers(1, 7), min_size=1, max_size=40),
    seed=st.integers(0, 2**32 - 1),
    idle=st.integers(0, 20),
)
def test_the_rounds_lie_within_their_bounds(drafts: list[int], seed: int, idle: int) -> None:
    kept = [int(k) for k in np.random.default_rng(seed).integers(0, np.array(drafts) + 1)]
    tokens = sum(kept) + len(drafts) + idle
    for gamma in (None, max(drafts)):
        low, high = rounds_bounds(sum(drafts), sum(kept), gamma=gamma, tokens=tokens) or (0, 0)
        assert low <= len(drafts) <= high
    if set(drafts) == {7} and not idle:
        assert low == high == len(drafts)


def test_a_gamma_that_the_counts_rule_out_is_refused() -> None:
    with pytest.raises(ValueError, match=r"gamma must be at least 2: 166 drafted .* 85 rounds"):
        rounds_bounds(166, 107, gamma=1, tokens=192)
    with pytest.raises(ValueError, match="tokens must be above accepted = 9"):
        rounds_bounds(10, 9, tokens=9)


def test_the_longest_draft_narrows_the_rounds_of_each_request(tmp_path: Path) -> None:
    text = mtp_bench(("code", 192, 166, 107), ("story", 192, 184, 99))
    open_, narrow = read(tmp_path, text), read(tmp_path, text, gamma=2)
    assert open_.rounds_range == (2, 178)
    assert narrow.rounds_range == (83 + 92, 85 + 93)
    assert [g.rounds_range for g in narrow.groups] == [(83, 85), (92, 93)]
    assert narrow.gamma == 2
    with pytest.raises(ValueError, match="gamma must be at least 2"):
        read(tmp_path, text, gamma=1)
    stated = read(tmp_path, llama_request(1598, 833, 764), gamma=1)
    assert (stated.rounds, stated.acceptance_length) == (833, 1 + 764 / 833)


@pytest.mark.parametrize(
    ("tokens", "drafted", "accepted", "rounds"),
    [(1598, 833, 764, 833), (192, 166, 107, None), (60, 59, 0, 59)],
)
def test_a_log_and_the_json_of_the_same_request_bound_the_same_rounds(
    tokens: int, drafted: int, accepted: int, rounds: int | None, tmp_path: Path
) -> None:
    gamma = 1 if rounds else 2
    log = read(tmp_path, llama_request(tokens, drafted, accepted, f"--spec-draft-n-max {gamma}"))
    timings = {"predicted_n": tokens, "draft_n": drafted, "draft_n_accepted": accepted}
    body = read(tmp_path, json.dumps({"timings": timings}), gamma=gamma)
    assert log.rounds == body.rounds == rounds
    assert log.bounds() == body.bounds()


def test_an_interval_of_rounds_reaches_the_acceptance_as_uncertainty(tmp_path: Path) -> None:
    text = llama_request(192, 166, 107)
    wide = from_statistics(read(tmp_path, text), np.random.default_rng(0), gamma=2)
    many = from_statistics(
        read(tmp_path, llama_request(192 * 4, 166 * 4, 107 * 4)), np.random.default_rng(0), gamma=2
    )
    middle, draws = wide.tokens(2)
    assert 1 + 107 / 85 <= middle <= 1 + 107 / 83
    assert any("83 to 85" in n for n in wide.notes)
    # 4 times the tokens leave the range of lengths as it is; what remains is that of the draw.
    spread = 107 / 83 - 107 / 85
    assert many.tokens(2)[1].std() > spread / 12**0.5 * 0.9
    assert draws.std() > many.tokens(2)[1].std()
    with pytest.raises(ValueError, match="give --gamma"):
        from_statistics(read(tmp_path, text), np.random.default_rng(0))


def test_steps_that_drafted_nothing_count_per_step_of_the_target(tmp_path: Path) -> None:
    found = read(tmp_path, offline(993, 4960, 3562, 5376, (0.81, 0.74, 0.70, 0.68, 0.66)))
    assert found.coverage == (993 / 1814, 993 / 1814)
    assert any("821 of 1814 steps" in note for note in found.notes)
    evidence = from_statistics(found, np.random.default_rng(0))
    assert evidence.tokens(5)[0] == pytest.approx(4.587, abs=0.01)
    assert evidence.tokens_per_target_step(5)[0] == pytest.approx(5376 / 1814, abs=0.01)
    full = from_statistics(
        read(tmp_path, offline(2189, 6567, 3187, 5376, (0.77, 0.45, 0.24))),
        np.random.default_rng(0),
    )
    assert full.coverage is None


def test_positions_of_one_replica_are_not_believed(tmp_path: Path) -> None:
    header = "subset,num_drafts,num_draft_tokens,num_accepted_tokens,acceptance_length," + ",".join(
        f"acceptance_at_pos_{k}" for k in range(4)
    )
    rows = (
        "code,1000,4000,2000,3.0,0.42,0.28,0.19,0.11",
        "qa,800,3200,800,2.0,0.26,0.13,0.07,0.04",
    )
    found = read(tmp_path, "\n".join((header, *rows)) + "\n")
    assert found.acceptance_length == 1 + 2800 / 1800
    assert found.survival is None
    assert any("one of 2 data-parallel replicas" in note for note in found.notes)
    assert [c.agrees for c in found.consistency if "by position" in c.quantity] == [False]
    good = rows[0].replace("0.42,0.28,0.19,0.11", "0.84,0.56,0.38,0.22")
    assert read(tmp_path, f"{header}\n{good}\n").survival == (0.84, 0.56, 0.38, 0.22)


@pytest.mark.parametrize("name", ["vllm prometheus", "vllm request", "tensorrt-llm request"])
def test_a_record_of_aiperf_keeps_the_counts_and_its_identities(name: str, tmp_path: Path) -> None:
    found = read(tmp_path, SAMPLES[name][0])
    record = aiperf_record(found)
    histogram = {int(k): n for k, n in record["acceptance_histogram"].items()}
    assert sum(histogram.values()) == record["num_spec_steps"] == found.rounds
    assert sum(k * n for k, n in histogram.items()) == record["num_accepted_draft_tokens"]
    back = read(tmp_path, json.dumps(record))
    assert back.engine == "aiperf"
    assert (back.rounds, back.drafted, back.accepted) == (
        found.rounds,
        found.drafted,
        found.accepted,
    )


def test_a_record_needs_the_rounds_by_accepted_tokens(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs the rounds that accepted"):
        aiperf_record(read(tmp_path, SAMPLES["llama.cpp timings"][0]))


@pytest.mark.parametrize("name", [*FIELD, "vllm prometheus", "llama.cpp request"])
def test_what_is_printed_as_json_is_read_back_to_the_same_acceptance(
    name: str, tmp_path: Path
) -> None:
    found = read(tmp_path, SAMPLES[name][0])
    (tmp_path / "printed.json").write_text(json.dumps(found.to_json()))
    back = read_statistics(tmp_path / "printed.json")
    for field in ("rounds", "drafted", "accepted", "tokens", "gamma", "acceptance_length"):
        assert getattr(back, field) == getattr(found, field)
    assert back.tokens_per_target_step == found.tokens_per_target_step
    assert counts_of_json({"rounds": 10, "accepted": 20}).acceptance_length == 3.0


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("DSpark", "block"),
        ("z-lab/Qwen3-DFlash", "block"),
        ("EAGLE3", "serial"),
        (None, "serial"),
    ],
)
def test_block_drafters_are_known_by_name(name: str | None, kind: str) -> None:
    assert drafter_of(name) == kind


@pytest.mark.parametrize(
    ("tokens", "drafted", "accepted", "gamma", "rounds"),
    [
        (256, 259, 167, 3, 87),  # ggml-org/llama.cpp pull request 24536: accept calls
        (1793, 1717, 1093, None, 470),  # issue 23544: drafts that were generated
        (200, 198, 132, 3, 68),  # issue 26750, build 10261: verify steps
        (200, 231, 121, 3, 79),  # build 10532
        (None, 906, 696, 3, 302),  # ikawrakow/ik_llama.cpp pull request 2081: drafts
        (1598, 833, 764, 1, 833),  # issue 24266
    ],
)
def test_the_rounds_that_a_thread_states_lie_within_the_bounds_of_its_request(
    tokens: int | None, drafted: int, accepted: int, gamma: int | None, rounds: int
) -> None:
    low, high = rounds_bounds(drafted, accepted, gamma=gamma, tokens=tokens) or (0, 0)
    assert low <= rounds <= high
    if gamma is not None and tokens is not None:
        assert high - low <= 0.05 * rounds


def test_the_sheet_of_definitions_uses_the_five_meanings() -> None:
    path = Path(engines.__file__).parent / "definitions.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    meanings = {"alpha", "drafted_rate", "rate at position k", "acceptance_length", "another"}
    assert {r["meaning"] for r in rows} == meanings
    assert all(all(r.values()) for r in rows)
    assert len({(r["engine"], r["where"], r["name"]) for r in rows}) == len(rows) > 25


def test_the_tables_beside_the_readers_hold_what_the_readers_name() -> None:
    folder = Path(engines.__file__).parent
    code = "".join(p.read_text(encoding="utf-8") for p in folder.glob("*.py"))
    printed = {f.name for f in formats() if f.names}
    for name in {f.name for f in formats()} - printed:
        assert f'"{name}"' in code or name.endswith("-prometheus"), name
    assert {k: kind_of(names).name for k, names in _PRINTED.items()} == {k: k for k in _PRINTED}
    assert set(_PRINTED) == printed | {"summary"}
    assert all(f.engine and f.definition for f in formats())
    with (folder / "health.csv").open(newline="", encoding="utf-8") as file:
        assert [row["rule"] for row in csv.DictReader(file)] == list(RULES)


_PRINTED: dict[str, set[str]] = {
    "llama-speculative": {"n_drafted", "n_accept", "accept_length"},
    "vllm-offline-example": {"num_drafts", "num_accepted_tokens", "mean_acceptance_length"},
    "sglang-bench-serving": {"accept_length", "successful_requests"},
    "vllm-bench-console": {"acceptance_rate", "acceptance_length"},
    "mtp-bench": {"draft", "acc"},
    "tabby-console": {"tabby"},
    "lm-studio-text": {"lm_studio"},
    "summary": {"acceptance_rate"},
}


@pytest.mark.skipif(find_spec("pyarrow") is not None, reason="pyarrow reads it")
def test_a_parquet_file_without_its_reader_names_the_extra(tmp_path: Path) -> None:
    (tmp_path / "rounds.parquet").write_bytes(b"PAR1" + bytes(40))
    with pytest.raises(ValueError, match=r"pip install 'howspec\[parquet\]'"):
        import_counts(str(tmp_path / "rounds.parquet"))


_READINGS = {
    "02-vllm-offline-example_out.txt": {"rounds": 2189, "gamma": 3, "accepted": 3187},
    "02-vllm-offline-example_ngram.txt": {"rounds": 993, "target_steps": 1814},
    "16-vllm-6768-medusa_server.log": {"gamma": 16, "accepted": 0},
    "18-sglang-17098-bench_out.txt": {"acceptance_length": 2.14},
    "18-sglang-17098-bench_jsonl.jsonl": {"acceptance_length": 2.14},
    "19-mlxvlm-1788_resp.json": {"rounds": 30, "gamma": 3, "acceptance_length": 3.7},
    "27-vllm-metrics-ngram_metrics.txt": {"rounds": 993, "target_steps": 1814},
    "29-llamacpp-24266_with_cmd.log": {"rounds": 833, "accepted": 764},
    "30-llamacpp-23269b_server.log": {"rounds": 5, "accepted": 185, "drafted": 188},
    "32-tabby-452_resp.json": {"accepted": 200, "drafted": 300, "target_steps": 100},
}  # fmt: skip


@pytest.mark.skipif(not SHARED.is_dir(), reason="the pasted files are not here")
@pytest.mark.parametrize("name", _READINGS)
def test_the_pasted_files_are_read_right(name: str) -> None:
    found = import_counts(str(SHARED / name))
    for field, value in _READINGS[name].items():
        assert getattr(found, field) == value, field
