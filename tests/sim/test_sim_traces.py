"""Traces: reading, drawing and walking them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from howspec.sim.rounds.estimate import Estimate, ratio_estimate
from howspec.sim.rounds.traces import (
    Trace,
    load_trace,
    trace_from_flags,
    trace_from_law,
    walk,
)
from howspec.theory import DepthAcceptance, tokens_per_round
from howspec.theory.acceptance import BetaRequestAcceptance, MarkovAcceptance
from hypothesis import given
from hypothesis import strategies as st

REQUESTS = st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=30), min_size=1, max_size=6)


def make_trace(requests: list[list[int]], by_round: bool = False) -> Trace:
    sizes = [len(r) for r in requests]
    entries = np.array([a for r in requests for a in r], np.int16)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return Trace(offsets, entries, np.full(len(sizes), 7, np.int64), by_round)


def per_round(trace: Trace, gamma: int) -> Estimate:
    """Mean tokens per round, the bonus token included, with the request as the unit."""
    rounds, emitted = walk(trace, [gamma])
    return ratio_estimate(emitted[:, 0], rounds[:, 0])


def walked(entries: list[int], gamma: int, by_round: bool) -> tuple[int, int]:
    position = rounds = 0
    while position < len(entries):
        entry = entries[rounds if by_round else position]
        position += 1 + (entry if entry < gamma else gamma)
        rounds += 1
    return rounds, position


@given(requests=REQUESTS, by_round=st.booleans())
def test_rounds_are_walked_one_after_another(requests: list[list[int]], by_round: bool) -> None:
    gammas = [0, 1, 3, 9]
    rounds, emitted = walk(make_trace(requests, by_round), gammas)
    want = [[walked(r, g, by_round) for g in gammas] for r in requests]
    assert rounds.tolist() == [[x[0] for x in row] for row in want]
    assert emitted.tolist() == [[x[1] for x in row] for row in want]


def write(path: Path, lines: list[str]) -> Path:
    text = "\n".join(lines) + "\n"
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


GOOD = json.dumps(
    {"prompt_tokens": 9, "accept_len_eagle": [2, 1, 3], "accept_len_ngram": [1, 1, 1]}
)


@pytest.mark.parametrize("name", ["t.jsonl", "t.jsonl.gz"])
def test_a_trace_is_read_plain_or_compressed(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, [GOOD, "", GOOD])
    trace = load_trace(path)
    assert trace.offsets.tolist() == [0, 3, 6]
    assert trace.accepted.tolist() == [1, 0, 2, 1, 0, 2]
    assert trace.prompts.tolist() == [9, 9]
    assert load_trace(path, "ngram").accepted.tolist() == [0] * 6


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "t.jsonl:2: not JSON"),
        ("[1]", "t.jsonl:2: expected an object"),
        ('{"prompt_tokens": 1}', "t.jsonl:2: no 'accept_len_eagle'"),
        ('{"accept_len_eagle": [1]}', "t.jsonl:2: no 'prompt_tokens'"),
        ('{"prompt_tokens": 1, "accept_len_eagle": [0]}', "t.jsonl:2: accept_len_eagle must be"),
        ('{"prompt_tokens": 1, "accept_len_eagle": []}', "one or more numbers"),
        ('{"prompt_tokens": 1, "accept_len_eagle": 3}', "one or more numbers"),
        ('{"prompt_tokens": [1, 2], "accept_len_eagle": [1]}', "t.jsonl:2:"),
        ('{"prompt_tokens": -1, "accept_len_eagle": [1]}', "prompt_tokens must be"),
        (
            '{"prompt_tokens": 1, "accept_len_eagle": [1], "confidence_eagle": [0.5]}',
            "t.jsonl:2: confidence_eagle must be one number for each of accept_len_eagle, in every",
        ),
        (
            '{"prompt_tokens": 1, "accept_len_eagle": [1], "confidence_eagle": [1.5]}',
            r"t.jsonl:2: confidence_eagle must be in \[0, 1\], got 1.5",
        ),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = write(tmp_path / "t.jsonl", [GOOD, line])
    with pytest.raises(ValueError, match=message) as error:
        load_trace(path)
    assert "\n" not in str(error.value)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no requests"):
        load_trace(write(tmp_path / "t.jsonl", [""]))


def test_tokens_per_round_of_a_drawn_trace_agree_with_the_formula() -> None:
    rng = np.random.default_rng(1)
    lengths = np.full(400, 2000)
    drawn = trace_from_law(rng, DepthAcceptance(0.8), gamma_max=12, lengths=lengths)
    for gamma in (1, 5, 12):
        found = per_round(drawn, gamma)
        assert abs(found.z(float(tokens_per_round(0.8, gamma)))) < 4.0
    flags = trace_from_flags(rng.random(800_000) < 0.8, lengths=lengths)
    assert abs(per_round(flags, 5).z(float(tokens_per_round(0.8, 5)))) < 4.0


def test_one_law_a_request_gives_each_its_own_rate() -> None:
    laws = [DepthAcceptance(0.0), DepthAcceptance(1.0)]
    trace = trace_from_law(
        np.random.default_rng(0), laws[0], gamma_max=4, lengths=[20, 20], prompts=[3, 4], laws=laws
    )
    rounds, _ = walk(trace, [4])
    assert rounds[:, 0].tolist() == [20, 4]
    assert trace.prompts.tolist() == [3, 4]


def test_bursts_over_tokens_give_the_rounds_of_the_markov_law() -> None:
    rng = np.random.default_rng(7)
    after_accept, after_reject = 0.9, 0.4
    uniform = rng.random(400_000)
    flags = np.empty(uniform.size, bool)
    last = False
    for i, u in enumerate(uniform.tolist()):
        last = u < (after_accept if last else after_reject)
        flags[i] = last
    trace = trace_from_flags(flags, lengths=np.full(200, 2000))
    law = MarkovAcceptance(after_accept, after_reject)
    for gamma in (1, 4, 9):
        found = per_round(trace, gamma)
        assert abs(found.z(float(law.tokens_by_gamma(gamma)[-1]))) < 4.0


def test_averaging_all_positions_is_biased_upward() -> None:
    rng = np.random.default_rng(3)
    flags = np.repeat(rng.random(20_000) < 0.6, 5)  # bursts of five tokens
    trace = trace_from_flags(flags, lengths=np.full(100, 1000))
    everywhere = float(np.minimum(trace.accepted, 5).mean() + 1.0)
    assert everywhere > 1.05 * per_round(trace, 5).mean


def test_a_law_that_depends_on_gamma_cannot_be_cut_short() -> None:
    with pytest.raises(ValueError, match="law must not depend on gamma"):
        trace_from_law(
            np.random.default_rng(0), BetaRequestAcceptance(4.0, 2.0), gamma_max=4, lengths=[9]
        )


def built(offsets: list[int], accepted: list[int], prompts: list[int]) -> Trace:
    return Trace(np.array(offsets), np.array(accepted, np.int16), np.array(prompts))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda rng: trace_from_flags([True, False], lengths=[3]), "flags must be 3 booleans"),
        (lambda rng: trace_from_flags([1.0, 0.0], lengths=[2]), "flags must be 2 booleans"),
        (lambda rng: trace_from_flags([], lengths=[0]), "lengths must be"),
        (lambda rng: walk(make_trace([[1]]), [-1]), "gammas must be"),
        (lambda rng: built([0, 2], [1], [0]), "trace arrays must match"),
        (lambda rng: built([0, 1], [-1], [0]), "got a negative value"),
        (lambda rng: built([0], [], []), "one or more requests"),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        call(np.random.default_rng(0))
    assert "\n" not in str(error.value)
