"""Schedules of gamma by batch size, and the configurations that engines are given."""

from __future__ import annotations

import json
import shlex
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import howspec as hs
import numpy as np
import pytest
from howspec.calibrate.tables.passes import read_pass_table, table_limits
from howspec.cli.questions import schedule as verb
from howspec.sim.choice import OBJECTIVES, Objective, choose
from howspec.sim.emit.emission import DraftWords
from howspec.sim.emit.engines import emit_llama_cpp, emit_sglang, emit_tensorrt_llm, emit_vllm
from howspec.sim.pair_schedule import make_schedule, off_price
from howspec.sim.prediction import predict, speedup_table
from howspec.sim.schedule import Schedule
from howspec.theory import AffineCost, CostLaw, DepthAcceptance, tokens_by_gamma
from howspec.theory.costs import (
    LinearPass,
    LinearStepCost,
    MoEPass,
    ParallelDraftCost,
    SequentialDraftCost,
    crossover_batch,
)
from hypothesis import given, settings
from hypothesis import strategies as st

H100 = ParallelDraftCost(LinearPass(7.09e-3, 2.1e-5, 3.93e-8), LinearPass(2.14e-3, 8.4e-7, 2.4e-9))


def made(alpha: Any = 0.7, cost: CostLaw = H100, **options: Any) -> Schedule:
    return make_schedule(
        DepthAcceptance(alpha), cost, **{"batch_max": 64, "gamma_max": 8, **options}
    )


def speeds(alpha: float, cost: CostLaw, batch_max: int, gamma_max: int) -> np.ndarray:
    law = DepthAcceptance(alpha)
    return np.array([speedup_table(law, cost, gamma_max, batch=b) for b in range(1, batch_max + 1)])


# --- the price of gamma 0 ----------------------------------------------------------------------
LOADED = LinearStepCost(7e-3, 3e-5, 4e-8, 1e-3, 1e-6, 2e-9)


def test_an_engine_that_holds_a_drafter_is_slower_at_gamma_0_as_it_was_measured() -> None:
    assert off_price(2) == pytest.approx(0.0656, abs=1e-4)
    assert off_price(189) == pytest.approx(0.2158, abs=1e-4)
    assert off_price(1) == off_price(2) < off_price(20) < off_price(189) == off_price(4000)


def test_gamma_0_in_a_priced_schedule_competes_at_the_price_and_says_so() -> None:
    free, priced = (made(0.6, LOADED, batch_max=256, priced=p) for p in (False, True))
    assert free.ranges[-1].gamma == 0
    last = priced.ranges[-1]
    assert last.speedup.estimate < 1.0
    assert last.speedup.estimate >= 1.0 / (1.0 + off_price(256)) - 1e-12
    assert np.mean(priced.best_gamma > 0) > np.mean(free.best_gamma > 0)
    for b in (1, 20, 100, 256):
        table = speedup_table(DepthAcceptance(0.6), LOADED, 8, batch=b)
        if priced.gamma(b):
            assert table[priced.gamma(b)] >= 1.0 / (1.0 + off_price(b)) - 1e-12
    heavy = LinearStepCost(7e-3, 2e-4, 4e-8, 1e-3, 1e-6, 2e-9)
    dear = made(0.45, heavy, batch_max=256, priced=True)
    assert dear.ranges[-1].gamma == 0
    assert dear.ranges[-1].speedup.estimate == pytest.approx(1.0 / (1.0 + off_price(256)))
    assert any("21.6 % at 189" in note for note in dear.notes)


def test_where_nothing_is_speculated_no_drafter_is_held_and_nothing_is_paid() -> None:
    never = LinearStepCost(7e-3, 5e-3, 4e-8, 7e-3, 1e-6, 2e-9)
    assert made(0.2, never, priced=True).ranges == made(0.2, never).ranges
    always = made(0.9, priced=True)
    assert always.ranges == made(0.9).ranges


# --- the schedule ------------------------------------------------------------------------------
@settings(max_examples=40)
@given(
    alpha=st.floats(0.05, 0.95),
    per_token=st.floats(1e-6, 3e-4),
    draft=st.floats(1e-4, 4e-3),
    tolerance=st.sampled_from([0.0, 0.01, 0.05]),
)
def test_every_batch_size_keeps_the_speed_up_that_was_promised(
    alpha: float, per_token: float, draft: float, tolerance: float
) -> None:
    cost = LinearStepCost(7e-3, per_token, 4e-8, draft, 1e-6, 2e-9)
    schedule = made(alpha, cost, batch_max=40, gamma_max=6, tolerance=tolerance)
    table = speeds(alpha, cost, 40, 6)
    for b in range(1, 41):
        kept = table[b - 1, schedule.gamma(b)] / table[b - 1].max()
        assert kept >= 1.0 - tolerance - 1e-9
    assert schedule.ranges[0].first == 1
    assert schedule.batch_max == 40
    for before, after in pairwise(schedule.ranges):
        assert after.first == before.last + 1
        assert after.gamma != before.gamma
    assert schedule.best_gamma.tolist() == table.argmax(axis=1).tolist()
    assert max(r.loss for r in schedule.ranges) <= tolerance + 1e-9


@pytest.mark.parametrize("falling", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_the_table_has_the_fewest_changes_and_then_the_most_speed(seed: int, falling: bool) -> None:
    from howspec.sim.schedule import _smooth

    speed = 1.0 + np.random.default_rng(seed).random((6, 4)) * 0.03
    speed[:, 0] = 1.012  # what is slower than plain decoding is never chosen
    best = np.log(speed.max(axis=1))

    def price(path: tuple[int, ...]) -> tuple[float, int, float]:
        loss = best - np.log(speed[np.arange(6), list(path)])
        beyond = np.maximum(loss + np.log(0.99), 0.0).sum()
        return (round(float(beyond), 12), sum(a != b for a, b in pairwise(path)), loss.sum())

    idle = 0.99 * speed.max(axis=1) <= speed[:, 0]  # a gain within the tolerance is none
    paths = [
        p
        for p in product(range(4), repeat=6)
        if not (idle & (np.array(p) > 0)).any()
        and (not falling or all(b <= a for a, b in pairwise(p)))
        and (speed[np.arange(6), list(p)] >= speed[:, 0]).all()
    ]
    wanted = min(paths, key=price)
    assert tuple(_smooth(speed, 0.01, falling).tolist()) == wanted


def test_without_batch_in_the_costs_there_is_one_entry_and_it_is_the_prediction() -> None:
    cost = AffineCost(0.06, 0.01, 0.1)
    schedule = made(0.8, cost, gamma_max=16)
    answer = predict(DepthAcceptance(0.8), cost, gamma_max=16)
    assert len(schedule.ranges) == 1
    assert schedule.ranges[0].gamma == answer.gamma
    assert schedule.ranges[0].speedup.estimate == pytest.approx(answer.speedup.estimate)
    assert schedule.ranges[0].window == answer.gamma_window
    assert any("do not depend on the batch" in n for n in schedule.notes)


def test_speculation_goes_off_at_the_crossover_of_the_theory() -> None:
    parts = {"step_fixed": 7e-3, "step_per_token": 1e-4, "step_per_cached": 4e-8}
    draft = {"draft_fixed": 1.5e-3, "draft_per_token": 1e-6, "draft_per_cached": 2e-9}
    cost = LinearStepCost(**parts, **draft)
    limit = float(crossover_batch(0.6, context=200, **parts, **draft))
    assert 10 < limit < 200
    schedule = made(0.6, cost, batch_max=200, contexts=(200.0,), tolerance=0.0)
    off = [r for r in schedule.ranges if r.gamma == 0]
    assert len(off) == 1
    assert off[0].first == int(np.floor(limit)) + 1
    assert off[0].speedup.low == off[0].speedup.high == 1.0
    assert any("plain decoding" in n for n in schedule.notes)


def test_gamma_rises_with_the_batch_only_where_it_may() -> None:
    # The verifying pass reads new experts at small batches, and none at large ones.
    target = MoEPass(fixed=1e-3, expert_time=1e-3, experts=64, active_experts=2, per_token=1e-6)
    cost = SequentialDraftCost(target, LinearPass(5e-4))
    free = made(0.75, cost, batch_max=128)
    forced = made(0.75, cost, batch_max=128, falling=True)
    assert any(b.gamma > a.gamma for a, b in pairwise(free.ranges))
    assert all(b.gamma <= a.gamma for a, b in pairwise(forced.ranges))
    assert any("may not rise" in n for n in forced.notes)
    for older in (False, True):
        with pytest.raises(ValueError, match="draft_len_schedule must not rise with the batch"):
            emit_tensorrt_llm(free, older=older)


def test_an_uncertain_acceptance_gives_intervals_and_likely_gammas() -> None:
    alpha = np.random.default_rng(1).normal(0.7, 0.05, 400)
    schedule = made(alpha)
    first = schedule.ranges[0]
    assert first.speedup.low < first.speedup.estimate < first.speedup.high
    assert len(schedule.likely[0]) > 1
    assert first.gamma in schedule.likely[0]
    assert all(x[0] >= 0 and all(a < b for a, b in pairwise(x)) for x in schedule.likely)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_at_every_batch_size_the_best_gamma_is_what_the_objective_chooses(
    objective: Objective,
) -> None:
    rng = np.random.default_rng(3)
    law = DepthAcceptance(rng.beta(2.0, 1.0, 300))  # wide: objectives differ
    schedule = made(law.alpha, batch_max=200, gamma_max=12, objective=objective, tolerance=0.9)
    likely = np.zeros(13)
    for b in range(1, 201):
        times = H100.round_time(12, batch=b)
        table = np.asarray(tokens_by_gamma(law, 12) * (times[0] / times))
        found = choose(table, objective=objective, plain=times[:1])
        assert schedule.best_gamma[b - 1] == found.gamma
        assert schedule.best_speedup[b - 1] == pytest.approx(found.speedup, rel=1e-12)
        likely += found.probability_best / 200
    assert len(schedule.ranges) == 1
    assert set(schedule.likely[0]) >= set(np.flatnonzero(likely >= 0.1).tolist())


def test_several_contexts_are_weighed_alike() -> None:
    both = made(0.6, contexts=(100.0, 30000.0), tolerance=0.0, batch_max=8)
    logs = [
        np.log([speedup_table(DepthAcceptance(0.6), H100, 8, batch=b, context=c)
                for b in range(1, 9)])
        for c in (100.0, 30000.0)
    ]  # fmt: skip
    assert both.best_gamma.tolist() == (logs[0] + logs[1]).argmax(axis=1).tolist()
    assert both.best_speedup == pytest.approx(np.exp(0.5 * (logs[0] + logs[1])).max(axis=1))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch_max": 0}, "batch_max must be"),
        ({"batch_max": 5000}, "batch_max must be"),
        ({"gamma_max": 0}, "gamma_max must be"),
        ({"tolerance": 1.0}, "tolerance must be"),
        ({"level": 0.0}, "level must be"),
        ({"contexts": ()}, "contexts must hold"),
    ],
)
def test_bad_questions_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        made(**options)


# --- what the engines make of it ---------------------------------------------------------------
PER_BATCH = "num_speculative_tokens_per_batch_size"


def vllm_lookup(config: dict[str, Any], batch: int) -> int:
    """The expansion that vLLM does: ranges, gaps and the tail keep the K before them."""
    k = config["num_speculative_tokens"]
    for first, _, tokens in config.get(PER_BATCH, []):
        if batch >= first:
            k = min(tokens, config["num_speculative_tokens"])
    return int(k)


def sglang_lookup(config: dict[str, Any], batch: int) -> list[int]:
    """The slot with the largest key that is not above the batch."""
    key = max(int(k) for k in config if k.isdecimal() and int(k) <= batch)
    steps: list[int] = config[f"{key}"]["candidate_steps"]
    return steps


@given(
    alpha=st.floats(0.1, 0.9),
    per_token=st.floats(1e-6, 2e-4),
    draft=st.floats(1e-4, 3e-3),
    top=st.integers(1, 48),
)
def test_every_engine_runs_the_schedule(
    alpha: float, per_token: float, draft: float, top: int
) -> None:
    cost = LinearStepCost(7e-3, per_token, 4e-8, draft)
    schedule = made(alpha, cost, batch_max=top)
    falling = made(alpha, cost, batch_max=top, falling=True)
    most = max(r.gamma for r in schedule.ranges)
    vllm, sglang = emit_vllm(schedule, DraftWords("eagle", None)), emit_sglang(schedule)
    new, old = emit_tensorrt_llm(falling), emit_tensorrt_llm(falling, older=True)
    if most == 0:
        assert all(not e.command and not e.files for e in (vllm, sglang, new, old))
        return
    words = shlex.split(vllm.command)
    assert words[0] == "--speculative-config"
    config = json.loads(words[1])
    assert config == vllm.config
    table = config.get(PER_BATCH, [[1, top, most]])
    assert table[0][0] == 1
    assert all(b[0] == a[1] + 1 and a[0] <= a[1] for a, b in pairwise(table))
    assert max(k for *_, k in table) == config["num_speculative_tokens"] == most
    for batch in range(1, top + 1):
        assert vllm_lookup(config, batch) == schedule.gamma(batch)
        if sglang.config:
            assert sglang_lookup(sglang.config, batch) == [schedule.gamma(batch)]
        if max(r.gamma for r in falling.ranges):
            table = new.config["speculative_config"]["draft_len_schedule"]
            upper = [k for k in sorted(table) if batch <= k]
            assert (table[upper[0]] if upper else 0) == falling.gamma(batch)
            limit = new.config["speculative_config"]["max_draft_len"]
            assert table[min(table)] == limit == max(table.values())
            table = old.config["speculative_config"]["draft_len_schedule"]
            assert table[max(k for k in table if k <= batch)] == falling.gamma(batch)
    if sglang.files:
        assert min(int(k) for k in sglang.config if k.isdecimal()) == 1
        assert json.loads(sglang.files["adaptive.json"]) == sglang.config
    words = sglang.command.split()
    steps = int(words[words.index("--speculative-num-steps") + 1])
    assert int(words[words.index("--speculative-num-draft-tokens") + 1]) == steps + 1


def test_llama_cpp_gets_one_gamma_and_is_told_that_it_is_one() -> None:
    schedule = made(0.7)
    flags = emit_llama_cpp(schedule, batch=32)
    assert f"--spec-draft-n-max {schedule.gamma(32)}" in flags.command
    assert any("no schedule by batch size" in n for n in flags.notes)
    older = emit_llama_cpp(schedule, batch=32, older=True)
    assert older.command == f"--draft-max {schedule.gamma(32)} --draft-min 0 --draft-p-min 0"
    off = emit_llama_cpp(made(0.01, AffineCost(0.5)))
    assert off.command == ""
    assert "without a draft" in off.notes[0]


def test_sglang_adapts_among_the_likely_gammas_only_when_asked() -> None:
    alpha = np.random.default_rng(1).normal(0.7, 0.05, 400)
    schedule = made(alpha)
    adaptive = emit_sglang(schedule, DraftWords("EAGLE3", "my/draft"), adapt=True).config
    for r, slot in zip(schedule.ranges, schedule.likely, strict=True):
        assert adaptive[f"{r.first}"]["candidate_steps"] == list(slot)
    assert {"ema_alpha", "update_interval", "warmup_batches"} <= adaptive.keys()
    assert "--speculative-adaptive" not in emit_sglang(made(0.7, AffineCost(0.1))).command


def test_yaml_of_tensorrt_llm_is_what_the_object_says() -> None:
    emission = emit_tensorrt_llm(made(0.7, falling=True), DraftWords("Eagle3", "my/draft"))
    lines = emission.files["config.yaml"].splitlines()
    assert lines[:3] == ["speculative_config:", '  decoding_type: "Eagle3"',
                         '  speculative_model: "my/draft"']  # fmt: skip
    table = emission.config["speculative_config"]["draft_len_schedule"]
    assert lines[lines.index("  draft_len_schedule:") + 1 :] == [
        f"    {k}: {v}" for k, v in table.items()
    ]


def test_one_table_for_several_contexts_says_what_each_alone_would_be() -> None:
    pair = {"target": "Llama-3.1-8B", "draft": "Llama-3.2-1B", "device": "H100 SXM"}
    one = hs.schedule(**pair, batch_max=16).emit("vllm")
    both = hs.schedule(**pair, batch_max=16, context=(500.0, 60000.0)).emit("vllm")
    assert not any("axis for the context" in n for n in one.notes)
    (note,) = (n for n in both.notes if "takes no axis for the context" in n)
    assert "500 cached tokens" in note
    assert "60000 cached tokens" in note


# --- costs from a table, and the command -------------------------------------------------------
def write_passes(path: Path) -> Path:
    rows = ["pass,batch,tokens,time_ms"]
    for batch in (1, 8, 32):
        for tokens in (1, 3, 6, 9):
            time = 1e3 * float(H100.target.step_time([tokens], batch=batch)[0])
            rows.append(f"target,{batch},{tokens},{time!r}")
        rows.append(f"draft,{batch},1,0.9")
    path.write_text("\n".join(rows) + "\n")
    return path


def test_a_table_of_linear_times_gives_the_schedule_of_the_linear_law(tmp_path: Path) -> None:
    table = read_pass_table(write_passes(tmp_path / "passes.csv"))
    assert table_limits(table) == (8, 32)
    assert table.round_time(2, batch=8)[2] == pytest.approx(
        float(H100.target.step_time([3], batch=8)[0]) + 2 * 0.9e-3
    )
    direct = SequentialDraftCost(H100.target, LinearPass(0.9e-3))
    ours = made(0.7, table, batch_max=32)
    theirs = made(0.7, direct, batch_max=32)
    assert [(r.last, r.gamma) for r in ours.ranges] == [(r.last, r.gamma) for r in theirs.ranges]
    assert ours.best_speedup == pytest.approx(theirs.best_speedup, rel=1e-6)
    with pytest.raises(ValueError, match="measured range"):
        made(0.7, table, batch_max=33)


def test_the_command_emits_for_every_engine(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    passes = write_passes(tmp_path / "passes.csv")
    verb.ask(alpha="0.70", costs=str(passes), as_json=True)
    answer = json.loads(capsys.readouterr().out)
    assert answer["schedule"][0]["first_batch"] == 1
    assert answer["schedule"][-1]["last_batch"] == 32
    for engine, said in (
        ("vllm", "--speculative-config"),
        ("sglang", "--speculative-num-steps"),
        ("tensorrt-llm", "draft_len_schedule"),
        ("llama.cpp", "--spec-draft-n-max"),
    ):
        verb.ask(alpha="0.70", costs=str(passes), engine=engine)
        captured = capsys.readouterr()
        assert said in captured.out
        assert "note:" in captured.err
        assert "note:" not in captured.out
    verb.ask(acceptance_length="2.5", gamma=3, cost_ratio=0.1)
    assert "within tolerance" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"cost_ratio": 0.1}, "to predict acceptance needs target, draft"),
        ({"alpha": "0.7"}, "to predict costs needs target, draft, device"),
        ({"alpha": "0.7", "cost_ratio": 0.1, "engine": "tgi"}, "--engine must be"),
        ({"alpha": "0.7", "cost_ratio": 0.1, "context": "a"}, "--context must be"),
        ({"alpha": "0.7", "cost_ratio": 0.1, "context": "-5"}, "context must be in"),
        ({"acceptance_length": "2.5", "cost_ratio": 0.1}, "needs gamma"),
        ({"acceptance_length": "2.5", "gamma": 3, "decay": 0.9, "cost_ratio": 0.1}, "decay goes"),
        ({"alpha": "0.7", "cost_ratio": 0.1, "overhead_ms": 1.0}, "overhead_ms goes"),
        ({"alpha": "0.7", "cost_ratio": 0.1, "adapt": True}, "adapt goes"),
        ({"alpha": "0.7", "cost_ratio": 0.1, "older": True, "engine": "vllm"}, "older goes"),
        ({"alpha": "0.7", "cost_ratio": 0.1, "batch": 8}, "batch goes"),
        ({"alpha": "0.7", "cost_ratio": 0.1, "gamma": 3}, "gamma goes"),
        ({"alpha": "0.7", "acceptance": "log", "cost_ratio": 0.1}, "both state acceptance"),
    ],
)
def test_the_command_refuses_what_does_not_go_together(given_: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        verb.ask(**given_)
