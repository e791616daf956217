"""The replay of the published simulator, against a literal event loop and its printed numbers."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from howspec.sim.rounds.replay import StepTimes, plain_latencies, replay_latencies, replay_speedup
from howspec.sim.rounds.traces import Trace, load_trace, trace_from_law
from howspec.theory import DepthAcceptance
from hypothesis import given
from hypothesis import strategies as st

# Fitted by the authors of arXiv:2601.11580 to Llama-3.1-8B on one H100.
TARGET = {"target_fixed": 5.88590713e-3, "target_token": 2.10103129e-5,
          "target_kv": 3.92645679e-8, "overhead": 1.20683946e-3}  # fmt: skip
EAGLE = StepTimes(
    **TARGET, draft_fixed=2.13526175e-3, draft_token=8.41429603e-7, draft_kv=2.37768493e-9
)
NGRAM = StepTimes(**TARGET, draft_share=0.005875)
LOOKAHEADS = (1, 3, 5, None)
PRINTED = {  # what the authors' simulator prints, at two decimals
    ("gsm8k", 1): (1.29, 1.81, 2.01, 2.13),
    ("gsm8k", 16): (1.26, 1.65, 1.73, 1.98),
    ("cnn", 1): (1.28, 1.76, 1.94, 2.10),
    ("cnn", 16): (1.24, 1.56, 1.62, 1.86),
}


def shared_trace(name: str, drafter: str = "eagle") -> Trace:
    for parent in Path(__file__).resolve().parents:
        path = parent / "shared" / "traces" / f"llama31-8b-{name}.jsonl.gz"
        if path.is_file():
            return load_trace(path, drafter)
    pytest.skip("the published traces are not here")


class Copy:
    """One copy of a request in the literal event loop."""

    def __init__(self, entries: list[int], prompt: int) -> None:
        self.entries, self.prompt, self.done, self.time = entries, prompt, 1, 0.0

    @property
    def running(self) -> bool:
        return self.done < len(self.entries)

    @property
    def yields(self) -> int:
        return self.entries[self.done - 1]


def event_loop(
    entries: list[int], prompt: int, copies: int, lookahead: int | None, t: StepTimes,
    chance: float | None = None, dice: random.Random | None = None,
) -> float:  # fmt: skip
    """Mean latency of the copies, step by step with every copy in turn."""
    batch = [Copy(entries, prompt) for _ in range(copies)]
    start = t.target_fixed + t.target_token * prompt * copies + t.overhead
    cache = copies * (prompt + 1)
    for copy in batch:
        copy.time = start
    while any(c.running for c in batch):
        active = [c for c in batch if c.running]
        widths = []
        for copy in active:
            width = copy.yields if lookahead is None else lookahead + 1
            if chance is not None and lookahead is not None and copy.yields == 1:
                assert dice is not None
                width = width if dice.random() < chance else 1
            widths.append(width)
        verify = t.target_fixed + t.target_token * sum(widths) + t.target_kv * cache
        for copy, width in zip(active, widths, strict=True):
            if t.draft_share is not None:
                draft = verify * t.draft_share if width > 1 else 0.0
            else:
                draft = t.draft_fixed + t.draft_token * width + t.draft_kv * cache
            copy.time += verify + draft + t.overhead
            gain = min(copy.yields, width)
            copy.done += gain
            cache += gain
            if not copy.running:
                cache -= copy.done + copy.prompt
    assert cache == 0 or len(entries) == 1  # a request that ends with its prefill never decodes
    return sum(c.time for c in batch) / copies


def plain_loop(size: int, prompt: int, copies: int, t: StepTimes) -> float:
    time = t.target_fixed + t.target_token * prompt * copies + t.overhead
    cache = copies * (prompt + 1)
    for _ in range(size - 1):
        time += t.target_fixed + t.target_token * copies + t.target_kv * cache + t.overhead
        cache += copies
    return time


def make_trace(requests: list[list[int]], prompts: list[int]) -> Trace:
    offsets = np.concatenate([[0], np.cumsum([len(r) for r in requests])]).astype(np.int64)
    entries = np.array([e - 1 for r in requests for e in r], np.int16)
    return Trace(offsets, entries, np.array(prompts, np.int64))


@given(
    requests=st.lists(st.lists(st.integers(1, 8), min_size=1, max_size=25), min_size=1, max_size=4),
    prompt=st.integers(0, 300),
    copies=st.integers(1, 5),
    lookahead=st.sampled_from([1, 3, 5, None]),
    times=st.sampled_from([EAGLE, NGRAM, StepTimes(1.0, 0.1, 0.01, 0.5, 0.2, 0.3, 0.4)]),
)
def test_latencies_are_those_of_the_event_loop(
    requests: list[list[int]], prompt: int, copies: int, lookahead: int | None, times: StepTimes
) -> None:
    trace = make_trace(requests, [prompt] * len(requests))
    fast = replay_latencies(trace, times, lookahead=lookahead, batch=copies)
    slow = plain_latencies(trace, times, batch=copies)
    for i, entries in enumerate(requests):
        assert fast[i] == pytest.approx(
            event_loop(entries, prompt, copies, lookahead, times), 1e-12
        )
        assert slow[i] == pytest.approx(plain_loop(len(entries), prompt, copies, times), 1e-12)


@pytest.mark.parametrize("copies", [1, 4])
def test_rounds_without_a_match_agree_with_the_event_loop_on_average(copies: int) -> None:
    rng, dice = np.random.default_rng(2), random.Random(3)
    requests = [(1 + rng.geometric(0.6, 60) - 1).tolist() for _ in range(300)]
    trace = make_trace(requests, [50] * 300)
    ours = replay_latencies(trace, NGRAM, lookahead=4, batch=copies, match=0.3, rng=rng)
    loop = np.array([event_loop(r, 50, copies, 4, NGRAM, 0.3, dice) for r in requests])
    gap = ours - loop
    assert abs(gap.mean()) < 4.0 * gap.std(ddof=1) / np.sqrt(gap.size)
    always = replay_latencies(trace, NGRAM, lookahead=4, batch=copies, match=1.0, rng=rng)
    assert always == pytest.approx(replay_latencies(trace, NGRAM, lookahead=4, batch=copies))
    assert (ours < always).all() or copies == 1


@pytest.mark.parametrize(("name", "batch"), PRINTED)
def test_the_printed_speedups_are_reproduced(name: str, batch: int) -> None:
    trace = shared_trace(name)
    ours = [replay_speedup(trace, EAGLE, lookahead=g, batch=batch) for g in LOOKAHEADS]
    assert np.round(ours, 2).tolist() == list(PRINTED[name, batch])


@pytest.mark.parametrize("name", ["gsm8k", "cnn"])
def test_ngram_replay_is_bounded_by_its_oracle(name: str) -> None:
    trace, rng = shared_trace(name, "ngram"), np.random.default_rng(1)
    best = replay_speedup(trace, NGRAM, lookahead=None)
    for lookahead in (1, 3, 5):
        found = replay_speedup(trace, NGRAM, lookahead=lookahead, match=0.4, rng=rng)
        never = replay_speedup(trace, NGRAM, lookahead=lookahead, match=0.0, rng=rng)
        always = replay_speedup(trace, NGRAM, lookahead=lookahead)
        assert 0.9 < always < found < never <= best


def test_rescaling_all_times_changes_no_speedup() -> None:
    entries = np.random.default_rng(5).geometric(0.4, 200).tolist()
    trace = make_trace([entries], [100])
    scaled = StepTimes(*(7.0 * EAGLE.as_array()[:7]))
    for lookahead in LOOKAHEADS:
        one = replay_speedup(trace, EAGLE, lookahead=lookahead, batch=4)
        two = replay_speedup(trace, scaled, lookahead=lookahead, batch=4)
        assert one == pytest.approx(two, rel=1e-12)


def replay_one(times: StepTimes = EAGLE, trace: Trace | None = None, **options: Any) -> float:
    one = make_trace([[1]], [1]) if trace is None else trace
    return replay_speedup(one, times, **{"lookahead": 1, **options})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda rng: StepTimes(0.0, 0.0, 0.0), "target_fixed must be in"),
        (lambda rng: StepTimes(1.0, -1.0, 0.0), "target_token must be in"),
        (lambda rng: StepTimes(1.0, 0.0, float("nan")), "target_kv must be in"),
        (lambda rng: replay_one(lookahead=0), "lookahead must be"),
        (lambda rng: replay_one(batch=0), "batch must be"),
        (lambda rng: replay_one(NGRAM, match=0.5), "match needs"),
        (lambda rng: replay_one(NGRAM, match=1.5, rng=rng), "match must be"),
        (
            lambda rng: replay_one(
                trace=trace_from_law(rng, DepthAcceptance(0.5), gamma_max=2, lengths=[4])
            ),
            "trace by position",
        ),
    ],
)
def test_bad_input_is_refused_in_one_line(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        call(np.random.default_rng(0))
    assert "\n" not in str(error.value)
