"""Each sample gives the counts that its own printed summary implies, to the printed digits."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_samples import SAMPLES, V1, read, series, trt_iteration


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_gives_the_counts_that_it_states(name: str, tmp_path: Path) -> None:
    text, engine, expected = SAMPLES[name]
    found = read(tmp_path, text)
    assert found.engine == engine
    for field, value in expected.items():
        got = found.drafted_rate if field == "rate" else getattr(found, field)
        if field == "survival" and value is not None:
            assert got is not None
            assert got[: len(value[0])] == pytest.approx(value[0], abs=value[1])
        elif isinstance(value, tuple) and field != "tried":
            assert got == pytest.approx(value[0], abs=value[1])
        else:
            assert got == value, field
    assert all(c.agrees for c in found.consistency)
    assert found.notes
    assert found.definition


@pytest.mark.parametrize("name", SAMPLES)
def test_length_survival_and_counts_agree_with_each_other(name: str, tmp_path: Path) -> None:
    found = read(tmp_path, SAMPLES[name][0])
    if found.rounds and found.accepted is not None and found.accepted_is_prefix:
        assert found.acceptance_length == pytest.approx(1 + found.accepted / found.rounds)
    if found.per_position_accepted and found.rounds:
        assert sum(found.per_position_accepted) == found.accepted
        assert found.survival == tuple(n / found.rounds for n in found.per_position_accepted)


def test_lines_of_the_v1_engine_are_intervals_and_add_up(tmp_path: Path) -> None:
    lines = [
        V1.format(length="3.42", accepted=676, drafted=837, rates="0.921, 0.828, 0.674", rate=80.8),
        V1.format(length="3.52", accepted=699, drafted=831, rates="0.942, 0.859, 0.722", rate=84.1),
        V1.format(length="3.38", accepted=670, drafted=843, rates="0.929, 0.811, 0.644", rate=79.5),
    ]
    found = read(tmp_path, "\n".join(lines))
    assert (found.rounds, found.drafted, found.accepted) == (837, 2511, 2045)
    assert found.intervals == 3
    assert found.per_position_accepted == (779, 697, 569)


def test_large_v1_intervals_that_leave_rounds_open_say_so(tmp_path: Path) -> None:
    line = V1.format(
        length="2.51", accepted=151000, drafted=299998, rates="0.800, 0.450, 0.260", rate=50.3
    )
    found = read(tmp_path, line)
    assert found.rounds is None
    assert found.per_position_accepted is None
    assert found.acceptance_length == pytest.approx(2.51, abs=0.005)
    assert found.survival == pytest.approx((0.8, 0.45, 0.26))
    assert any("rounds is null" in note for note in found.notes)


def test_lines_of_the_v0_engine_run_on_and_the_last_one_counts(tmp_path: Path) -> None:
    line = (
        "Speculative metrics: Draft acceptance rate: 0.5, System efficiency: 0.5, Number of "
        "speculative tokens: 4, Number of accepted tokens: {a}, Number of draft tokens: {d}, "
        "Number of emitted tokens: {e}.\n"
    )
    first, second = line.format(a=200, d=400, e=250), line.format(a=400, d=800, e=500)
    assert read(tmp_path, first + second).drafted == 800
    restarted = read(tmp_path, first + second + first)
    assert (restarted.drafted, restarted.rounds) == (1200, 300)
    assert restarted.acceptance_length == pytest.approx(2.5)


def test_statistics_of_llama_cpp_run_on_and_a_fall_is_a_restart(tmp_path: Path) -> None:
    line = (
        "statistics draft: #calls(b,g,a) = 1 {n} {n}, #gen drafts = {n}, #acc drafts = {n}, "
        "#gen tokens = {g}, #acc tokens = {a}\n"
    )
    small, large = line.format(n=10, g=30, a=20), line.format(n=100, g=300, a=200)
    assert read(tmp_path, small + large).rounds == 100
    assert read(tmp_path, small + large + small).rounds == 110


def test_rounds_of_llama_cpp_say_how_gamma_follows(tmp_path: Path) -> None:
    line = "slot update_slots: id 0 | task 1 | accepted {a}/3 draft tokens\n"
    found = read(tmp_path, line.format(a=2) + line.format(a=3))
    assert (found.rounds, found.gamma, found.accepted) == (2, 3, 5)
    assert "gamma is the 3 tokens that every round drafted" in found.notes


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


def test_ranks_that_repeat_an_iteration_count_once_and_others_add_up(tmp_path: Path) -> None:
    import json

    rows = [trt_iteration(1), trt_iteration(1, 1), trt_iteration(2), trt_iteration(2, 1, 24, 6)]
    found = read(tmp_path, json.dumps(rows))
    assert (found.rounds, found.accepted) == (24, 30)
    assert found.by_batch[0].batch == 8


def test_chunks_of_a_stream_replace_each_other(tmp_path: Path) -> None:
    chunk = 'data: {{"id": "a", "timings": {{"draft_n": {d}, "draft_n_accepted": {a}}}}}\n\n'
    text = chunk.format(d=10, a=5) + chunk.format(d=30, a=21) + "data: [DONE]\n"
    found = read(tmp_path, text)
    assert (found.drafted, found.accepted) == (30, 21)


def test_settings_of_a_sglang_server_give_gamma_and_a_tree_has_none(tmp_path: Path) -> None:
    decode = SAMPLES["sglang log"][0]
    for branches, gamma in ((1, 3), (4, None)):
        settings = (
            f"server_args=ServerArgs(speculative_num_steps=3, speculative_eagle_topk={branches}, "
            f"speculative_num_draft_tokens=4)\n"
        )
        assert read(tmp_path, settings + decode).gamma == gamma


def test_a_mean_over_batches_is_weighted_with_the_running_requests(tmp_path: Path) -> None:
    line = "Decode batch. #running-req: {n}, accept len: {a}, gen throughput (token/s): 10.0\n"
    found = read(tmp_path, line.format(n=1, a="4.00") + line.format(n=3, a="2.00"))
    assert found.acceptance_length == pytest.approx(2.5)
    assert [g.batch for g in found.by_batch] == [1, 3]


def test_a_damaged_line_among_whole_ones_is_left_out_and_said(tmp_path: Path) -> None:
    text = V1.format(
        length="3.42", accepted=676, drafted=837, rates="0.921, 0.828, 0.674", rate=80.8
    )
    found = read(tmp_path, f"{text}\n{text[:90]}")
    assert found.accepted == 676
    assert any("left out" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("nothing of interest\n", "no speculative statistics"),
        ("SpecDecoding metrics: Mean acceptance length:", "no line can be read"),
        ('{"timings": {"draft_n": 5, "draft_n_accepted": 9}}', "must be in"),
        ('{"timings": {"draft_n": -5, "draft_n_accepted": 1}}', "must be a whole number"),
        ('{"timings": {"draft_n": 5', "is no whole JSON"),
        ("commits,category,a0\n7,x,1\n", "line 2: commits must be in"),
        ("q:\n  thinking_on:\n    2: 7.5\n", r"must be in \[1, 3\]"),
        ("draft acceptance = 0.5 ( 9 accepted / 5 generated)", "must be in"),
        ('{"speculative_decoding": {"num_spec_steps": 1, "per_step_accepted": [99999999999999]}}',
         "a round must be of at most 4096 tokens"),
        (f"accepted: pos 0: {'9' * 400}/4, pos 1: 2/3\n", "no speculative statistics"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_clear_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_statistics_of_another_engine_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"it holds those of llama\.cpp"):
        read(tmp_path, SAMPLES["llama.cpp request"][0], "vllm")


def test_statistics_of_two_engines_need_a_name(tmp_path: Path) -> None:
    both = SAMPLES["llama.cpp request"][0] + "\n" + SAMPLES["vllm v0"][0]
    with pytest.raises(ValueError, match="several engines"):
        read(tmp_path, both)
    assert read(tmp_path, both, "vllm").rounds == 13429
