"""The campaigns as data: what they ask for, what a dry run leaves of it, what they expect."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from howspec.calibrate.campaign import CAMPAIGNS, campaign_named, plan_campaign
from howspec.calibrate.campaign.costs_stage import passes_estimate
from howspec.calibrate.campaign.estimate import CPU, H100, Estimate, Size, decode_s, pass_s
from howspec.calibrate.measure.plans import PassGrid, pass_points
from hypothesis import given
from hypothesis import strategies as st

SIZES = st.builds(
    Size,
    st.floats(1e4, 1e11),
    st.integers(1, 128),
    st.floats(1e2, 1e6),
)


@given(size=SIZES, tokens=st.integers(1, 64), batch=st.integers(1, 64))
def test_a_pass_takes_no_less_time_for_more_tokens_rows_context_or_launches(
    size: Size, tokens: int, batch: int
) -> None:
    one = pass_s(H100, size, tokens=tokens, batch=batch, context=128, graphs=True)
    assert one > 0
    assert pass_s(H100, size, tokens=tokens + 1, batch=batch, context=128, graphs=True) >= one
    assert pass_s(H100, size, tokens=tokens, batch=batch + 1, context=128, graphs=True) >= one
    assert pass_s(H100, size, tokens=tokens, batch=batch, context=256, graphs=True) >= one
    assert pass_s(H100, size, tokens=tokens, batch=batch, context=128) > one


def test_a_pass_moves_the_weights_or_computes_whichever_takes_longer() -> None:
    size = Size(1e9, 10, 1e3)
    few = pass_s(H100, size, tokens=1, graphs=True)
    assert few == pytest.approx((1e9 + 1e3) * 2 / H100.bytes_per_s + 10 * H100.replay_s)
    many = pass_s(H100, size, tokens=4096, graphs=True)
    assert many == pytest.approx(2e9 * 4096 / H100.operations_per_s + 10 * H100.replay_s)


def test_estimates_add_in_time_and_take_the_larger_memory() -> None:
    assert Estimate(1, 5, 2) + Estimate(2, 3, 4) == Estimate(3, 5, 6)
    size = Size(1e6, 2, 10)
    grids = (PassGrid((1, 2), ((1, 8), (4, 8))),)
    found = passes_estimate(CPU, [size, size], grids)
    assert found.points == pass_points(2, grids)
    assert found.memory_bytes == (1e6 + 4 * 8 * 10) * 4


def test_drafting_is_expected_to_take_rounds_of_its_passes() -> None:
    target, draft = Size(1e8, 8, 0), Size(1e6, 2, 0)
    plain = decode_s(CPU, target, None, new_tokens=10, gamma=0)
    assert plain == pytest.approx(10 * pass_s(CPU, target, context=128))
    spec = decode_s(CPU, target, draft, new_tokens=10, gamma=4, tokens_per_round=2.0)
    one_round = pass_s(CPU, target, tokens=5, context=128) + 4 * pass_s(CPU, draft, context=128)
    assert spec == pytest.approx(5 * one_round)


def test_the_campaign_on_two_cores_is_that_of_the_paper() -> None:
    cpu = CAMPAIGNS["cpu"]
    assert cpu.costs[0].tokens == tuple(range(1, 34))
    assert cpu.acceptance.plan.temperatures == (0.0, 0.7, 1.0)
    assert (cpu.sweep.plan.gammas, cpu.sweep.plan.temperature) == (tuple(range(1, 8)), 1.0)
    assert {b for costs in cpu.costs for b, _ in costs.shapes} == {1, 4}


def test_the_campaign_on_a_gpu_is_what_was_planned_for_fifteen_minutes() -> None:
    gpu = CAMPAIGNS["gpu"]
    edges = (1, 2, 3, 4, 5, 6, 8, 9, 12, 16, 17, 24, 32, 33)
    assert gpu.architecture_costs[0].tokens == gpu.costs[0].tokens == edges
    shapes = {shape for costs in gpu.architecture_costs for shape in costs.shapes}
    assert shapes == {(b, c) for b in (1, 8, 32) for c in (512, 4096)}
    eager, graph = (
        sum(len(c.tokens) * len(c.shapes) for c in gpu.architecture_costs if c.modes == (mode,))
        for mode in ("eager", "graph")
    )
    assert 0 < eager < graph
    assert {t.partition("-")[0] for t, _ in gpu.pairs} == {
        "Qwen3", "Pythia", "LLaMA", "GPT2", "BLOOM",
    }  # fmt: skip
    assert set(sum(gpu.pairs, ())) <= set(gpu.architectures)
    assert gpu.pair_rounds.gammas == tuple(range(1, 8))
    assert gpu.rounds.gammas == tuple(range(1, gpu.acceptance.plan.gamma + 1))
    assert gpu.acceptance.plan.temperatures == (0.0, 1.0)
    assert (max(gpu.sweep.plan.gammas), gpu.sweep.plan.batches) == (7, (1, 8))


@pytest.mark.parametrize("name", sorted(CAMPAIGNS))
def test_a_dry_run_is_small_and_needs_no_gpu(name: str) -> None:
    small = campaign_named(name, dry_run=True)
    assert (small.device, small.dtype, small.family) == ("cpu", "float32", "tiny")
    assert all(len(c.tokens) * len(c.shapes) <= 12 for c in small.costs)
    assert bool(small.architecture_costs) == bool(CAMPAIGNS[name].architecture_costs)
    assert bool(small.pairs) == bool(CAMPAIGNS[name].pairs)


def test_an_unknown_campaign_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="campaign must be one of cpu, gpu, tiny, got 'huge'"):
        campaign_named("huge")


def test_the_campaign_on_a_gpu_fits_two_calls_and_what_may_be_carried(tmp_path: Path) -> None:
    gpu = CAMPAIGNS["gpu"]
    assert gpu.call_s <= 550.0  # of 570 at most, with the start of Python
    planned = plan_campaign("gpu", tmp_path / "none")
    order = ["check", "costs-architectures", "family", "costs", "acceptance", "sweep"]
    assert [p["stage"] for p in planned] == order
    seconds = [p["expected_time_s"] for p in planned]
    assert sum(seconds) <= 12 * 60
    assert sum(seconds[:3]) <= gpu.call_s
    assert sum(seconds[2:]) <= gpu.call_s  # where the machine and its ladder were lost in between
    assert sum(p["carried_bytes"] for p in planned) <= 52 << 20  # 64 MiB with the project
    assert len(planned) <= 8
    assert max(p["expected_record_bytes"] for p in planned) <= 8 << 20  # of 16, for it is a guess
    ladder = [p["expected_memory_bytes"] for p in planned if p["stage"] != "costs-architectures"]
    assert max(ladder) <= gpu.machine.memory_bytes
    assert not (tmp_path / "none").exists()


def test_a_checkout_that_is_only_linked_plans_without_torch_or_anything_of_ours(
    tmp_path: Path,
) -> None:
    """Machines that measure have torch and transformers, but may have nothing else of ours."""
    (tmp_path / "howspec").symlink_to(Path(__file__).parents[2])
    script = (
        "import sys\n"
        "for name in ('torch', 'pandas', 'scipy', 'sympy', 'numba', 'click', 'rich'):\n"
        "    sys.modules[name] = None\n"
        "import runpy\n"
        "runpy.run_module('howspec.calibrate.campaign', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "gpu", "--out", str(tmp_path / "out"), "--plan"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    stages = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(stages) == 6
    assert all(
        {"expected_time_s", "expected_record_bytes", "carried_bytes"} <= set(s) for s in stages
    )
