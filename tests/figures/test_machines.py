"""Speed-ups of machines whose plain step was measured: what is given makes them truer."""

from __future__ import annotations

import math

import numpy as np
from howspec.figures.validation.machines import Given, sweeps_test
from howspec.figures.validation.timed import timed_speedups


def test_rows_state_a_speed_up_over_a_plain_time_of_the_same_load() -> None:
    rows = timed_speedups()
    assert len(rows) > 400
    assert all(r.speedup > 0.0 and 1e-3 < r.plain < 1.0 and r.gamma >= 1 for r in rows)
    assert {r.stack for r in rows} >= {"serving", "llama.cpp"}
    gated = [r for r in rows if r.p_min is not None]
    assert {r.stack for r in gated} == {"llama.cpp"}
    row = next(r for r in rows if r.target == "Qwen3-32B" and (r.batch, r.gamma) == (1.0, 3)
               and r.draft == "Qwen3-1.7B" and "94GB" in r.device)  # fmt: skip
    assert math.isclose(row.speedup, 33.97 / 17.5)
    assert row.tokens == 2.57


def test_tokens_of_rounds_make_the_speed_ups_of_a_machine_truer() -> None:
    rows = [r for r in timed_speedups() if "A100 80GB" in r.device and r.kv_dtype == "fp16"]
    assert len(rows) == 8
    names, tokens = (sweeps_test("A100", rows, g) for g in (Given(), Given(tokens=True)))
    found = [float(np.median(np.abs(t.errors()))) for t in (names, tokens)]
    assert found[1] < 0.12 < found[0]  # 0.22 and 0.06 when written
    assert tokens.coverage is not None
    assert tokens.coverage >= 0.85
    assert all(p.rivals for p in tokens.points)
    assert sum(note.startswith("batch") for note in tokens.notes) == 4


def test_a_sweep_says_what_its_choice_loses() -> None:
    rows = [r for r in timed_speedups() if r.draft == "Qwen3-1.7B" and r.batch == 64.0]
    test = sweeps_test("H100", rows, Given(tokens=True, plain=True))
    assert len(test.points) == 6
    assert len(test.regret) == 1
    assert 0.0 <= test.regret[0] < 0.15
    assert "plain time per token" in test.given
