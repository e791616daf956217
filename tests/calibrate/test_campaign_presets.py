"""The campaigns as data: what they ask for, what a dry run leaves of it, what they expect."""

from __future__ import annotations

import subprocess
import sys

import pytest
from howspec.calibrate.campaign import CAMPAIGNS, campaign_named, dry
from howspec.calibrate.campaign.equal import equal_shape
from howspec.calibrate.campaign.estimate import (
    CPU,
    H200,
    Estimate,
    Size,
    costs_estimate,
    decode_s,
    pass_s,
)
from hypothesis import given
from hypothesis import strategies as st

SIZES = st.builds(
    Size,
    st.just("m"),
    st.floats(1e4, 1e11),
    st.integers(1, 128),
    st.floats(1e2, 1e6),
)


@given(
    parameters=st.floats(5e6, 1e10),
    layers=st.sampled_from([1, 2, 4, 8, 16, 32]),
    vocabulary=st.sampled_from([512, 4096, 32000]),
)
def test_models_of_equal_size_agree_in_size_whatever_their_depth(
    parameters: float, layers: int, vocabulary: int
) -> None:
    shape = equal_shape(parameters, layers, vocabulary=vocabulary)
    # The feed-forward width is a multiple of 8: half of one in every layer is what may be missing.
    most = 3 * shape.hidden * 4 * layers + 1
    assert abs(shape.parameters - parameters) <= most
    assert shape.hidden % shape.heads == 0
    assert shape.hidden // shape.heads in (128, 64, 32, 16, 8)
    assert shape.layers == layers


def test_a_model_of_equal_size_has_the_parameters_of_its_tensors() -> None:
    shape = equal_shape(1e8, 4, vocabulary=32000)
    h, f = shape.hidden, shape.feed_forward
    attention, feed_forward, norms = 4 * h * h, 3 * h * f, 2 * h
    assert shape.parameters == 32000 * h + 4 * (attention + feed_forward + norms) + h
    assert shape.name == "equal-100m-depth4"


@pytest.mark.parametrize(
    ("parameters", "layers", "message"),
    [
        (0.0, 2, r"parameters must be in \(0, inf\)"),
        (float("nan"), 2, r"parameters must be in \(0, inf\)"),
        (1e6, 0, "layers >= 1, got 1000000.0 and 0"),
        (1e4, 4, "no model of 4 layers and a vocabulary of 32000 has 10000 parameters"),
    ],
)
def test_a_model_that_cannot_be_made_is_refused(
    parameters: float, layers: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        equal_shape(parameters, layers, vocabulary=32000)


@given(size=SIZES, tokens=st.integers(1, 64), batch=st.integers(1, 64))
def test_a_pass_takes_no_less_time_for_more_tokens_rows_context_or_launches(
    size: Size, tokens: int, batch: int
) -> None:
    one = pass_s(H200, size, tokens=tokens, batch=batch, context=128, graphs=True)
    assert one > 0
    assert pass_s(H200, size, tokens=tokens + 1, batch=batch, context=128, graphs=True) >= one
    assert pass_s(H200, size, tokens=tokens, batch=batch + 1, context=128, graphs=True) >= one
    assert pass_s(H200, size, tokens=tokens, batch=batch, context=256, graphs=True) >= one
    assert pass_s(H200, size, tokens=tokens, batch=batch, context=128) > one


def test_a_pass_moves_the_weights_or_computes_whichever_takes_longer() -> None:
    size = Size("m", 1e9, 10, 1e3)
    few = pass_s(H200, size, tokens=1, graphs=True)
    assert few == pytest.approx((1e9 + 1e3) * 2 / H200.bytes_per_s + 10 * H200.replay_s)
    many = pass_s(H200, size, tokens=4096, graphs=True)
    assert many == pytest.approx(2e9 * 4096 / H200.operations_per_s + 10 * H200.replay_s)


def test_estimates_add_in_time_and_take_the_larger_memory() -> None:
    assert Estimate(1, 5, 2) + Estimate(2, 3, 4) == Estimate(3, 5, 6)
    size = Size("m", 1e6, 2, 10)
    found = costs_estimate(CPU, [size, size], tokens=(1, 2), shapes=((1, 8), (4, 8)), passes=5)
    assert found.points == 8
    assert found.memory_bytes == (1e6 + 4 * 8 * 10) * 4


def test_drafting_is_expected_to_take_rounds_of_its_passes() -> None:
    target, draft = Size("t", 1e8, 8, 0), Size("d", 1e6, 2, 0)
    plain = decode_s(CPU, target, None, new_tokens=10, gamma=0)
    assert plain == pytest.approx(10 * pass_s(CPU, target, context=128))
    spec = decode_s(CPU, target, draft, new_tokens=10, gamma=4, tokens_per_round=2.0)
    one_round = pass_s(CPU, target, tokens=5, context=128) + 4 * pass_s(CPU, draft, context=128)
    assert spec == pytest.approx(5 * one_round)


def test_the_campaigns_are_those_of_the_paper_and_more() -> None:
    cpu, gpu = CAMPAIGNS["cpu"], CAMPAIGNS["gpu"]
    for campaign in (cpu, gpu):
        assert campaign.costs[0].tokens == tuple(range(1, 34))
        assert campaign.acceptance.temperatures == (0.0, 0.7, 1.0)
        assert campaign.sweep.gamma_max == 7
        assert campaign.sweep.temperature == 1.0
    assert {b for costs in cpu.costs for b, _ in costs.shapes} == {1, 4}
    assert gpu.sweep.batches == (1, 4, 16)
    assert gpu.sweep.small_gamma_max == 12
    shapes = {shape for costs in gpu.architecture_costs for shape in costs.shapes}
    assert {b for b, _ in shapes} == {1, 4, 16, 64}
    assert {c for _, c in shapes} == {128, 2048, 8192}
    assert {m for costs in gpu.architecture_costs for m in costs.modes} == {"eager", "graph"}
    assert any(costs.tokens == tuple(range(1, 34)) for costs in gpu.architecture_costs)


@pytest.mark.parametrize("name", sorted(CAMPAIGNS))
def test_a_dry_run_is_small_and_needs_no_gpu(name: str) -> None:
    small = dry(campaign_named(name))
    assert (small.device, small.dtype, small.family) == ("cpu", "float32", "tiny")
    assert all(len(c.tokens) * len(c.shapes) <= 4 for c in small.costs)
    assert bool(small.architecture_costs) == bool(CAMPAIGNS[name].architecture_costs)
    assert bool(small.equal) == bool(CAMPAIGNS[name].equal)
    assert all(p <= 1e5 for p, _ in small.equal)


def test_an_unknown_campaign_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="campaign must be one of cpu, gpu, tiny, got 'huge'"):
        campaign_named("huge")


def test_campaigns_can_be_planned_without_anything_but_the_standard_library() -> None:
    """Machines that measure have torch and transformers, but may have nothing else of ours."""
    script = (
        "import sys\n"
        "for name in ('pandas', 'scipy', 'sympy', 'numba', 'typer', 'rich', 'matplotlib'):\n"
        "    sys.modules[name] = None\n"
        "import howspec.calibrate.campaign, howspec.calibrate.records\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
