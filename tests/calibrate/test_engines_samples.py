"""Texts of engines are read to the counts that they state, and what they leave open is said."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from engine_logs import LOGS
from engine_samples import SAMPLES, read, series
from engine_texts import TEXTS, agree
from howspec.calibrate.engines import import_counts
from howspec.calibrate.engines.lines import Intervals, Speeds
from howspec.calibrate.engines.requests import Sums
from howspec.calibrate.engines.vllm import V1Log


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_read_to_what_it_states_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    text, reading = TEXTS[name]
    if not isinstance(reading, str):
        agree(name, read(tmp_path, text))
        return
    with pytest.raises(ValueError, match=re.escape(reading)) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_two_scrapes_give_the_interval_between_them(tmp_path: Path) -> None:
    (tmp_path / "before").write_text(series("vllm", 'engine="0"'))
    found = read(tmp_path, series("vllm", 'engine="0"', 3), before=str(tmp_path / "before"))
    assert (found.rounds, found.drafted, found.accepted) == (174, 518, 334)


def test_counters_that_fell_start_again_from_zero(tmp_path: Path) -> None:
    (tmp_path / "before").write_text(series("vllm", 'engine="0"', 3))
    found = read(tmp_path, series("vllm", 'engine="0"'), before=str(tmp_path / "before"))
    assert found.rounds == 87
    assert any("started again" in note for note in found.notes)


def test_engines_add_up_and_one_model_can_be_chosen(tmp_path: Path) -> None:
    text = series("vllm", 'engine="0",model_name="a"') + series(
        "vllm", 'engine="1",model_name="b"', 2
    )
    assert read(tmp_path, text).rounds == 261
    assert read(tmp_path, text, model="b").rounds == 174
    with pytest.raises(ValueError, match="--model must be one of the labels"):
        read(tmp_path, text, model="c")


def test_statistics_of_another_engine_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"it holds those of llama\.cpp"):
        read(tmp_path, SAMPLES["llama.cpp request"][0], "vllm")


def test_statistics_of_two_engines_need_a_name(tmp_path: Path) -> None:
    both = SAMPLES["llama.cpp request"][0] + "\n" + SAMPLES["vllm v0"][0]
    with pytest.raises(ValueError, match="several engines"):
        read(tmp_path, both)
    assert read(tmp_path, both, "vllm").rounds == 13429


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


def test_requests_are_over_when_others_came_after_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("howspec.calibrate.engines.requests._OPEN", 3)
    done: list[int] = []
    sums = Sums()
    monkeypatch.setattr(sums, "over", lambda request: done.append(request["drafted"]))
    for name, value in (("a", 1), ("b", 2), ("a", 3), ("c", 4), ("d", 5)):
        sums.put(name, {"drafted": value, "accepted": 1})
    assert done == [2]
    sums.put("c", {"drafted": 1, "accepted": 1})
    assert done == [2, 4]
    sums.put("d", {"drafted": 6, "accepted": 1}, last=True)
    sums.ended()
    assert done == [2, 4, 6, 3, 1]
    assert sums.replaced == 2


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


def test_after_a_pause_the_throughput_of_generation_is_that_of_ten_seconds(tmp_path: Path) -> None:
    """14 rounds of 2 accept 25 of 28; rates of drafts are over the 500 s since the last ones."""
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


def test_of_many_speeds_some_are_kept_evenly() -> None:
    speeds = Speeds()
    for k in range(20_001):
        speeds.add("", 1.0 + k)
    assert speeds.total() == pytest.approx(10_001.0, rel=0.01)


# Logs of llama.cpp's server, with the metrics that it gave at their end.
SERVED = Path(__file__).parents[1] / "support" / "served"


@pytest.mark.parametrize("gamma", [3, 8])
def test_a_real_log_of_llama_cpp_says_what_its_metrics_counted(gamma: int) -> None:
    """SmolLM2-135M-Instruct with its own Q2_K as draft, 35 requests at 1 and at 4 together."""
    place = SERVED / f"llama-cpp-k{gamma}"
    log, scrape = (import_counts(f"{place}.{end}") for end in ("log", "prom"))
    assert (log.format, scrape.format) == ("llama.cpp-statistics", "llama.cpp-prometheus")
    assert log.gamma == scrape.gamma == gamma
    for name in ("rounds", "drafted", "accepted", "tokens", "per_position_accepted"):
        assert getattr(log, name) == getattr(scrape, name)
    assert log.survival == pytest.approx(scrape.survival)
    assert log.version == "1"


KINDS = {
    "k1": 1, "k8-pmin": 8, "k16-pmin-slots2": 16, "ngram-simple": 8, "ngram-mod": 8,
    "ngram-cache": 8, "draft-and-map": 8, "k3-slots4": 3,
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_a_real_log_without_statistics_gives_or_bounds_what_the_metrics_counted(
    name: str, tmp_path: Path
) -> None:
    """SmolLM2-135M-Instruct, six requests each; drafts of its first 24 layers, itself or look-up.

    The mean length of each request determines the rounds; older builds do not print it, and then
    the counts bound them.
    """
    place = SERVED / f"llama-cpp-{name}"
    log, scrape = (import_counts(f"{place}.{end}") for end in ("log", "prom"))
    assert (log.format, scrape.format) == ("llama.cpp-request-log", "llama.cpp-prometheus")
    for quantity in ("drafted", "accepted", "tokens", "tokens_per_target_step"):
        assert getattr(log, quantity) == getattr(scrape, quantity)
    assert log.rounds == (None if name == "ngram-cache" else scrape.rounds)
    older = tmp_path / "older.log"
    older.write_text(re.sub(r", mean len = +[\d.]+", "", Path(f"{place}.log").read_text()))
    for found in (log, import_counts(str(older)), import_counts(str(older), gamma=KINDS[name])):
        low, high = found.bounds() or (0, 0)
        assert low <= (scrape.rounds or 0) <= high
