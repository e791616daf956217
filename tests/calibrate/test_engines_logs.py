"""Logs as they are found in the field are read right, and what they leave open is said."""

# ruff: noqa: E501 - lines of logs

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from engine_logs import LOGS, OFF
from engine_samples import read
from howspec.calibrate.engines import import_counts
from howspec.calibrate.engines.lines import Intervals, Speeds
from howspec.calibrate.engines.requests import Latest
from howspec.calibrate.engines.vllm import V1Log


@pytest.mark.parametrize("name", LOGS)
def test_a_log_as_it_is_found_gives_its_counts_and_says_what_it_did(
    name: str, tmp_path: Path
) -> None:
    text, expected, said = LOGS[name]
    found = read(tmp_path, text)
    assert name.startswith(found.engine)
    for field, value in expected.items():
        got = getattr(found, field)
        assert got == (pytest.approx(value) if isinstance(value, float) else value), field
    assert any(said in note for note in found.notes)


@pytest.mark.parametrize("name", OFF)
def test_a_source_without_speculation_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    text, said = OFF[name]
    with pytest.raises(ValueError, match="no speculative statistics") as caught:
        read(tmp_path, text)
    assert said in str(caught.value)


@pytest.mark.parametrize("name", LOGS)
def test_the_json_of_a_log_has_every_key_and_null_for_what_is_open(
    name: str, tmp_path: Path
) -> None:
    answer = json.loads(json.dumps(read(tmp_path, LOGS[name][0]).to_json(), allow_nan=False))
    for key in ("engine", "rounds", "drafted", "accepted", "survival", "acceptance_length",
                "gamma", "notes"):  # fmt: skip
        assert key in answer
    assert answer["survival"] is None or isinstance(answer["survival"], list)
    if answer["rounds"] is None and answer["rounds_range"] is not None:
        low, high = answer["rounds_range"]
        assert 0 <= low <= high


def test_the_first_scrape_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    text = LOGS["vllm, two models of different gamma"][0]
    (tmp_path / "now").write_text(text)
    (tmp_path / "before").write_text("")
    with pytest.raises(ValueError, match="before: is empty"):
        import_counts(str(tmp_path / "now"), before=str(tmp_path / "before"))


def test_many_different_lines_are_summed_early_and_give_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "".join(
        f"SpecDecoding metrics: Mean acceptance length: {1 + 2 * n / (n + 5):.2f}, Accepted: "
        f"{2 * n} tokens, Drafted: {3 * (n + 5)} tokens, Per-position acceptance rate: "
        f"{n / (n + 5):.3f}, {n / (n + 5):.3f}, 0.000, Avg Draft acceptance rate: "
        f"{100 * 2 * n / (3 * (n + 5)):.1f}%\n"
        for n in range(1, 60)
    )
    whole = read(tmp_path, lines)
    monkeypatch.setattr("howspec.calibrate.engines.lines._MOST_DISTINCT", 7)
    assert read(tmp_path, lines) == whole
    assert whole.rounds == sum(n + 5 for n in range(1, 60))


def test_sglang_lines_are_folded_early_and_give_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = "".join(
        f"Decode batch, #running-req: {n % 5}, accept len: {1 + n / 40:.2f}, accept rate: "
        f"{n / 120:.2f}, gen throughput (token/s): {n}.5, #queue-req: 0\n"
        for n in range(90)
    )
    whole = read(tmp_path, lines)
    monkeypatch.setattr("howspec.calibrate.engines.sglang_log._MOST_TALLIED", 7)
    folded = read(tmp_path, lines)
    assert folded.acceptance_length == pytest.approx(whole.acceptance_length, rel=1e-12)
    assert folded.length_error == pytest.approx(whole.length_error, rel=1e-9)
    for ours, theirs in zip(folded.by_batch, whole.by_batch, strict=True):
        assert ours.intervals == theirs.intervals
        assert ours.tokens_per_s == pytest.approx(theirs.tokens_per_s)
    lengths = np.array([float(f"{1 + n / 40:.2f}") for n in range(90)])
    weights = np.array([max(n % 5, 1) for n in range(90)])
    mean = np.average(lengths, weights=weights)
    scatter = (weights**2 * (lengths - mean) ** 2).sum() * 90 / 89
    assert whole.acceptance_length == pytest.approx(mean)
    assert whole.length_error == pytest.approx(np.sqrt(scatter) / weights.sum(), rel=1e-9)


def test_requests_are_handed_on_when_others_came_after_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("howspec.calibrate.engines.requests._OPEN", 3)
    done: list[int] = []
    latest: Latest[int] = Latest(done.append, lambda a, b: b >= a)
    for name, value in (("a", 1), ("b", 2), ("a", 3), ("c", 4), ("d", 5)):
        latest.put(name, value)
    assert done == [2]
    latest.put("c", 1)
    assert done == [2, 4]
    latest.close()
    assert done == [2, 4, 3, 5, 1]
    assert latest.replaced == 1


def test_joined_logs_have_the_sums_of_both() -> None:
    logs = []
    for rank in ("DP0", "DP1"):
        log = V1Log()
        log.feed(f"(Core_{rank}) " + LOGS["vllm, JSON line first"][0].splitlines()[2])
        logs.append(log)
    ours, theirs = (next(iter(log.sources.values())) for log in logs)
    assert isinstance(ours, Intervals)
    ours.settle()
    ours.total(None)
    theirs.total(None)
    ours.join(theirs)
    total = ours.total(None)
    assert (total.rounds, total.drafted, total.accepted) == (558, 1674, 1352)
    assert total.positions is not None
    assert sum(total.positions) == 1352


def test_the_throughput_before_a_line_of_metrics_gives_the_tokens_of_its_interval(
    tmp_path: Path,
) -> None:
    """140 rounds of 3 accept 338 in 10 s, in which 600 tokens were generated."""
    metrics = (
        "SpecDecoding metrics: Mean acceptance length: 3.41, Accepted throughput: 33.80 tokens/s, "
        "Drafted throughput: 42.00 tokens/s, Accepted: 338 tokens, Drafted: 420 tokens, "
        "Per-position acceptance rate: 0.921, 0.821, 0.671, Avg Draft acceptance rate: 80.5%\n"
    )
    before = "Engine 000: Avg generation throughput: {} tokens/s, Running: 8\n"
    found = read(tmp_path, (before.format("60.0") + metrics) * 3)
    assert (found.rounds, found.accepted, found.tokens) == (420, 1014, 1800)
    assert found.tokens_per_target_step == pytest.approx(1800 / 786)
    assert read(tmp_path, metrics).tokens is None
    # As many tokens as the rounds make: no step drafted nothing, to the digits.
    assert read(tmp_path, before.format("47.8") + metrics).tokens is None


def test_after_a_pause_the_throughput_of_generation_is_that_of_ten_seconds(tmp_path: Path) -> None:
    """14 rounds of 2 accept 25 of 28; the rates of drafts are over the 500 s since the last ones."""
    log = (
        "Engine 000: Avg generation throughput: {} tokens/s, Running: 1 reqs\n"
        "SpecDecoding metrics: Mean acceptance length: 2.79, Accepted throughput: 0.05 tokens/s, "
        "Drafted throughput: 0.06 tokens/s, Accepted: 25 tokens, Drafted: 28 tokens, "
        "Per-position acceptance rate: 0.929, 0.857, Avg Draft acceptance rate: 89.3%\n"
    )
    found = read(tmp_path, log.format("4.0"))
    assert (found.rounds, found.accepted, found.tokens) == (14, 25, None)
    # Lines 500 s apart: fewer than the rounds' tokens in 10 s cannot be.
    assert read(tmp_path, log.format("0.2")).tokens == 100


_VLLM = (
    "INFO [loggers.py:271] Engine {e}: Avg prompt throughput: 0.1 tokens/s, Avg generation throughput: "
    "{s} tokens/s, Running: 1 reqs\nINFO [metrics.py:101] SpecDecoding metrics: Mean acceptance length: "
    "2.50, Accepted: 30 tokens, Drafted: 60 tokens, Per-position acceptance rate: 0.800, 0.500, 0.200\n"
)
_SGLANG = "Decode batch, #running-req: 4, accept len: 2.00, gen throughput (token/s): {s}, #queue-req: 0\n"
_LLAMA = (
    "slot print_timing: id 0 | task {t} | eval time = {ms} ms / {n} tokens (9 ms per token)\nslot "
    "print_timing: id 0 | task {t} | draft acceptance = 0.50000 (   20 accepted /    40 generated)\n"
)


@pytest.mark.parametrize(
    ("text", "all_requests", "one"),
    [
        ("".join(_VLLM.format(e="000", s=s) for s in (1.0, 40.0, 42.0)), 40.0, None),
        ("".join(_VLLM.format(e=e, s=s) for e, s in (("000", 40.0), ("001", 30.0))), 70.0, None),
        ("".join(_SGLANG.format(s=s) for s in (0.39, 160.0, 170.0)), 160.0, None),
        (_LLAMA.format(t=1, ms="500.0", n=50) + _LLAMA.format(t=2, ms="1500.0", n=50), None, 50.0),
    ],
)
def test_the_speed_that_a_log_states_is_that_of_its_usual_interval(
    text: str, all_requests: float | None, one: float | None, tmp_path: Path
) -> None:
    found = read(tmp_path, text)
    assert found.tokens_per_s == all_requests
    assert found.request_tokens_per_s == one


def test_of_many_speeds_some_are_kept_evenly() -> None:
    speeds = Speeds()
    for k in range(20_001):
        speeds.add("", 1.0 + k)
    assert speeds.total() == pytest.approx(10_001.0, rel=0.01)
