"""Step times and cost ratios of pairs that nobody has timed."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from howspec.calibrate.doors import Deployment, resolve
from howspec.calibrate.known import MemoryUse
from howspec.calibrate.models import ModelShape, device, model, models
from howspec.calibrate.pair import Load
from howspec.calibrate.prior import costs_unknowns
from howspec.calibrate.prior.costs import PredictedCost, predict_costs, predict_pairs
from howspec.calibrate.prior.costs_fit import choose_spread, fit_costs, refit, to_json
from howspec.calibrate.prior.costs_measured import (
    all_points,
    family_shapes,
    library_points,
    measured_points,
)
from howspec.calibrate.prior.costs_model import (
    COMMON,
    PARAMETERS,
    draw_times,
    pass_times,
    peak_times,
    work_of,
)
from howspec.calibrate.prior.costs_points import (
    POINTS,
    CostPoint,
    bundled_points,
    measured_device,
    points_from_record,
)
from howspec.calibrate.prior.costs_posterior import (
    Spread,
    draw_values,
    from_json,
    is_head,
    stored_stacks,
)
from howspec.calibrate.prior.stacks import STACKS, stack_name
from howspec.calibrate.records import Record, write_record
from howspec.theory.costs import CostLaw, PassLaw, linear_step_time
from hypothesis import given
from hypothesis import strategies as st
from sources_left_out import leave_source_out, score

LLAMA, SMALL = model("Llama-3.1-8B").shape, model("Llama-3.2-1B").shape
H100 = device("H100")
MIDDLE = {name: COMMON[name][0] for name in PARAMETERS}


def _work(shape: ModelShape = LLAMA, on: str = "H100", **changes: Any) -> Any:
    given = {"dtype": "bf16", "kv_dtype": "bf16", "stack": "serving"} | changes
    return work_of(shape, device(on), **given)


def _values(**changes: float) -> dict[str, Any]:
    return {name: np.array([value]) for name, value in (MIDDLE | changes).items()}


def _time(work: Any, values: dict[str, Any], tokens: float = 1, batch: float = 1,
          cached: float = 0) -> float:  # fmt: skip
    peak = peak_times(
        work, tokens=np.array([tokens]), batch=np.asarray(batch), cached=np.asarray(cached)
    )
    return float(pass_times(work, values, peak)[0])


# --- the law of a pass ------------------------------------------------------------------------


def test_one_token_costs_reading_launching_and_the_work_around() -> None:
    got = _time(_work(), _values(), batch=1, cached=1000)
    read = (LLAMA.read_bytes("bf16") + 1000 * 131072) / (3.35e12 * MIDDLE["memory"])
    assert got == pytest.approx(read + 32 * MIDDLE["launch"] + MIDDLE["overhead"], rel=1e-12)


def _reading_and_computing(tokens: int) -> tuple[float, float]:
    read = LLAMA.read_bytes("bf16") / (3.35e12 * MIDDLE["memory"]) * (1.0 + MIDDLE["switch"])
    ops = (tokens - 1) * LLAMA.token_ops() / (989.4e12 * MIDDLE["compute"])
    return read, ops


@pytest.mark.parametrize("overlap", [1e-9, 0.7, 60.0])
def test_reading_and_computing_overlap_as_a_power_mean(overlap: float) -> None:
    got = _time(_work(), _values(overlap=overlap), tokens=500)
    around = 32 * MIDDLE["launch"] + MIDDLE["overhead"]
    read, ops = _reading_and_computing(500)
    q = 1.0 + overlap
    assert got - around == pytest.approx((read**q + ops**q) ** (1.0 / q), rel=1e-9)


def test_without_overlap_further_tokens_add_and_with_all_of_it_the_first_are_nearly_free() -> None:
    read, ops = _reading_and_computing(5)
    for overlap, more in ((1e-9, ops), (60.0, 0.0)):
        one, five = (_time(_work(), _values(overlap=overlap), tokens=n) for n in (1, 5))
        switch = read * MIDDLE["switch"] / (1.0 + MIDDLE["switch"])
        assert five - one == pytest.approx(switch + more, rel=1e-4)


def test_packed_weights_are_unpacked_as_they_are_read_and_for_later_tokens() -> None:
    work = _work(dtype="q8_0")
    base = _time(work, _values(packing=1.0), tokens=1)
    read = LLAMA.read_bytes("q8_0") / (3.35e12 * MIDDLE["memory"])
    assert _time(work, _values(packing=1.5), tokens=1) - base == pytest.approx(0.5 * read, rel=1e-9)
    assert _time(work, _values(packing=1.0, unpack=9.0), tokens=1) == pytest.approx(base)
    plain = _time(_work(dtype="bf16"), _values(packing=1.0, unpack=1.0), tokens=4)
    assert _time(_work(dtype="bf16"), _values(), tokens=4) == plain


def test_many_tokens_of_packed_weights_are_multiplied_in_tiles() -> None:
    values = _values(unpack=1.5, memory=1e6, overlap=1e-9)  # nothing but products counts
    few, some, full, more = (
        _time(_work(dtype="q8_0", stack="llama.cpp"), values, tokens=n)
        - 32 * MIDDLE["launch"] - MIDDLE["overhead"]
        for n in (2, 16, 32, 64)
    )  # fmt: skip
    one = LLAMA.token_ops() / (989.4e12 * MIDDLE["compute"])
    assert few == pytest.approx(1.5 * LLAMA.token_ops() / 67e12, rel=0.05)  # one by one on lanes
    assert full < 1.25 * some  # a tile costs the same however full it is
    assert more == pytest.approx(63 * one, rel=0.02)


def test_mlx_on_m1_and_m2_reads_packed_weights_again_for_every_token() -> None:
    def cost(on: str, tokens: float, dtype: str = "mlx-4bit", stack: str = "mlx") -> float:
        values = _values(compute=1e6, switch=1e-12)
        one, several = (
            _time(_work(on=on, dtype=dtype, stack=stack), values, tokens=n)
            - 32 * MIDDLE["launch"] - MIDDLE["overhead"]
            for n in (1, tokens)
        )  # fmt: skip
        return several / one

    assert cost("Apple M1 Ultra", 3) == pytest.approx(2.2, rel=0.01)
    assert cost("Apple M2 Max", 2) == pytest.approx(1.6, rel=0.01)
    assert cost("Apple M1 Max", 32) == pytest.approx(4.0, rel=0.01)  # in tiles
    for other in ({"on": "Apple M3 Ultra"}, {"dtype": "bf16"}, {"dtype": "mxfp4"}):
        assert cost(**{"on": "Apple M1 Max", "tokens": 4, **other}) < 1.05
    assert cost("Apple M1 Max", 4, "q4_0", "llama.cpp") < 1.05


def test_nested_blocks_and_the_tiles_of_servers_tell_in_what_few_tokens_cost() -> None:
    values = _values(unpack=1.5, nested=2.0, memory=1e6, overlap=1e-9)
    plain, nested = (
        _time(_work(on="Apple M2 Max", dtype=form, stack="llama.cpp"), values, tokens=2)
        - 32 * MIDDLE["launch"] - MIDDLE["overhead"]
        for form in ("q4_0", "q4_k_m")
    )  # fmt: skip
    assert nested == pytest.approx(2.0 * plain, rel=0.05)
    few, full = (
        _time(_work(dtype="int4"), values, tokens=n) - 32 * MIDDLE["launch"] - MIDDLE["overhead"]
        for n in (16, 32)
    )
    assert full > 1.5 * few  # tiles of 16


@given(
    st.sampled_from(["Llama-3.1-8B", "Qwen3-30B-A3B", "Gemma-3-27B", "DeepSeek-V3", "T5-Large"]),
    st.sampled_from(["H100", "4x A100", "Apple M2 Max", "TPU v4", "Xeon 8480+"]),
    st.sampled_from(STACKS),
    st.sampled_from(["bf16", "int8", "q4_0"]),
    st.integers(1, 40),
    st.integers(1, 64),
    st.integers(0, 20_000),
)
def test_more_work_takes_no_less_time(
    name: str, on: str, stack: str, dtype: str, tokens: int, batch: int, context: int
) -> None:
    work, values = _work(model(name).shape, on, dtype=dtype, stack=stack), _values()
    grid = np.array([tokens, tokens + 1.0])
    peak = peak_times(work, tokens=grid, batch=np.asarray(batch), cached=np.asarray(context))
    here, more = pass_times(work, values, peak)
    assert 0 < here <= more
    drawn = draw_times(
        work, values, np.array([2.0]), tokens=grid, batch=float(batch), cached=float(context)
    )
    np.testing.assert_allclose(drawn, [[2 * here, 2 * more]], rtol=1e-12)
    assert here <= _time(work, values, tokens, batch + 1, context) * (1 + 1e-12)
    assert here <= _time(work, values, tokens, batch, context + 100) * (1 + 1e-12)
    faster = replace(work, bandwidth=2 * work.bandwidth)
    assert _time(faster, values, tokens, batch, context) <= here * (1 + 1e-12)
    twice = _values(**{n: 2 * MIDDLE[n] for n in ("launch", "overhead", "reduce", "unpack")},
                    memory=MIDDLE["memory"] / 2, compute=MIDDLE["compute"] / 2)  # fmt: skip
    assert _time(work, twice, tokens, batch, context) == pytest.approx(2 * here, rel=1e-9)


def test_launches_hide_behind_the_work_only_when_they_run_ahead_of_it() -> None:
    values = _values(launch=3e-4, overhead=1e-9)
    read = LLAMA.read_bytes("bf16") / (3.35e12 * MIDDLE["memory"])
    eager, captured = (_time(_work(stack=s), values) for s in ("eager", "graphs"))
    assert captured == pytest.approx(read + 32 * 3e-4, rel=1e-6)
    assert max(read, 32 * 3e-4) <= eager <= 1.05 * max(read, 32 * 3e-4)
    around = _values(launch=3e-4, overhead=1e-3)
    assert _time(_work(stack="eager"), around) - eager == pytest.approx(1e-3, rel=1e-5)
    own = _work(stack="eager", on="cpu", dtype="fp32")
    behind = LLAMA.read_bytes("fp32") / (20e9 * MIDDLE["memory"])
    assert _time(own, values) == pytest.approx(behind + 32 * 3e-4, rel=1e-6)  # nothing to hide in


def test_devices_that_share_a_pass_split_the_reading_and_wait_for_each_other() -> None:
    free, slow = _values(reduce=1e-12), _values(reduce=1e-5)
    one, four = _time(_work(on="H100"), free), _time(_work(on="4x H100"), free)
    read = LLAMA.read_bytes("bf16") / (3.35e12 * MIDDLE["memory"])
    assert one - four == pytest.approx(0.75 * read, rel=1e-6)
    assert _time(_work(on="4x H100"), slow) - four == pytest.approx(2 * 32 * 2 * 1e-5, rel=1e-4)


def test_a_mixture_of_experts_pays_for_the_experts_that_are_touched() -> None:
    shape = model("Qwen3-30B-A3B").shape
    values = _values(compute=1e6, switch=1e-12)
    one, nine = (_time(_work(shape), values, batch=b) for b in (1, 9))
    read = (shape.pass_bytes(9.0) - shape.pass_bytes(1.0)) / (3.35e12 * MIDDLE["memory"])
    assert nine - one == pytest.approx(read, rel=1e-4)
    verify = [_time(_work(shape), values, tokens=n) for n in (1, 2, 3)]
    assert verify[2] - verify[1] < verify[1] - verify[0]  # concave: the first are the dear ones


# --- points -----------------------------------------------------------------------------------


def test_points_are_of_known_models_and_devices_in_known_stacks() -> None:
    points = bundled_points()
    assert len(points) >= 120
    assert {p.stack for p in points} == set(STACKS)
    assert next(c for c in POINTS.columns if c.name == "stack").choices == STACKS
    assert sum(p.draft is not None for p in points) >= 9
    assert all(p.value > 0 for p in points)


def test_values_of_the_published_law_are_values_of_the_law() -> None:
    rows = [p for p in bundled_points() if p.group == "H100-law"]
    assert len(rows) >= 10
    for p in rows:
        law = 1.20683946e-3 + linear_step_time(
            p.tokens, p.batch, context=p.context, step_fixed=5.88590713e-3,
            step_per_token=2.10103129e-5, step_per_cached=3.92645679e-8,
        )  # fmt: skip
        assert p.value == pytest.approx(law, rel=1e-4)


def test_an_unknown_engine_is_one_line_with_the_stacks() -> None:
    with pytest.raises(ValueError, match="stack must be one of eager, graphs, serving"):
        stack_name("abacus")


# --- the fit ----------------------------------------------------------------------------------


def test_slopes_of_the_fit_are_the_derivatives_of_its_times() -> None:
    points = [p for p in bundled_points() if p.group in ("SOU", "JG-3090", "GPF", "SDA", "PEG")]
    points += measured_points()[::9]
    assert {(p.gamma > 0, p.over_plain) for p in points} >= {(True, True), (True, False)}
    layout = costs_unknowns.layout_of(points)
    passes = costs_unknowns.passes_of(points, layout)
    rng = np.random.default_rng(3)
    matrix, mean, _ = costs_unknowns.priors_of(layout, Spread())
    at = np.linalg.lstsq(matrix, mean, rcond=None)[0] + rng.normal(0, 0.3, len(layout))
    slopes = costs_unknowns.log_numbers(passes, at)[1]
    for k in rng.choice(len(layout), 40, replace=False):
        step = np.zeros(len(layout))
        step[k] = 1e-5
        up, down = (costs_unknowns.log_numbers(passes, at + s * step)[0] for s in (1, -1))
        np.testing.assert_allclose(slopes[:, k], (up - down) / 2e-5, atol=1e-8)


def _simulated(rng: np.random.Generator, sources: int, truth: dict[str, float]) -> list[CostPoint]:
    """Step times of a serving stack with known parameters, sources and models deviating."""
    names = ["Qwen3-0.6B", "Qwen3-1.7B", "Llama-3.1-8B", "Qwen3-14B", "Qwen3-32B"]
    points = []
    for s in range(sources):
        own = {"memory": 0.1, "launch": 0.2, "compute": 0.2}
        shift = {k: float(np.exp(rng.normal(0, sd))) for k, sd in own.items()}
        values = {k: v * shift.get("launch" if k == "overhead" else k, 1.0)
                  for k, v in truth.items()}  # fmt: skip
        for name in names:
            shape, slow = model(name).shape, float(np.exp(rng.normal(0, 0.05)))
            for tokens, batch in [(1, 1), (1, 32), (4, 64), (1, 256)]:
                time = _time(_work(shape), {k: np.array([v]) for k, v in values.items()},
                             tokens, batch, 500) * slow  # fmt: skip
                time *= float(np.exp(rng.normal(0, 0.01)))
                points.append(CostPoint(f"s{s}", "serving", H100, shape, "bf16", time, 0.01,
                                        tokens=tokens, batch=batch, context=500))  # fmt: skip
    return points


SIMULATED = Spread(memory=0.1, compute=0.2, launch=0.2, packing=0.1, model=0.05, overlap=0.1)
TRUTH = MIDDLE | {"memory": 0.82, "compute": 0.55, "launch": 6e-5, "overhead": 1.1e-3}


def test_the_fit_finds_the_parameters_that_made_the_times() -> None:
    points = _simulated(np.random.default_rng(11), 8, TRUTH)
    fit = fit_costs(points, SIMULATED).stacks["serving"]
    sd = np.sqrt(np.diag(fit.covariance))
    for name in ("memory", "compute", "launch", "overhead"):
        k = PARAMETERS.index(name)
        assert abs(fit.mean[k] - np.log(TRUTH[name])) < 4 * sd[k], name
        assert sd[k] < 0.35, name
    assert fit.sources == 8


def test_the_evidence_prefers_the_spreads_that_made_the_times() -> None:
    points = _simulated(np.random.default_rng(5), 8, TRUTH)
    true = SIMULATED
    best = fit_costs(points, true).evidence
    for name in ("memory", "launch", "model"):
        for factor in (0.25, 4.0):
            other = replace(true, **{name: factor * getattr(true, name)})
            assert fit_costs(points, other).evidence < best, (name, factor)
    with pytest.raises(ValueError, match="points must hold at least one that may be fitted"):
        fit_costs([replace(points[0], fitted=False)])


def test_searching_spreads_never_lowers_the_evidence() -> None:
    points = _simulated(np.random.default_rng(6), 4, TRUTH)[::3]
    start = Spread(memory=0.4, compute=0.2, launch=0.6, packing=0.1, model=0.2)
    found = choose_spread(points, start=start)
    assert fit_costs(points, found).evidence > fit_costs(points, start).evidence + 1.0


def test_the_stored_fit_is_the_fit_to_all_that_is_bundled() -> None:
    """Red after a row or a cost record was added: `costs_fit.store` fits again."""
    stored = stored_stacks()
    spread = stored["serving"].spread
    fit = fit_costs(all_points(), spread)
    again = from_json(to_json(fit))
    for name in STACKS:
        np.testing.assert_allclose(stored[name].mean, again[name].mean, atol=2e-3)
        np.testing.assert_allclose(stored[name].covariance, again[name].covariance, atol=5e-3)
        assert stored[name].sources == again[name].sources > 1
    # Neighbouring spreads have less evidence: the stored ones are the search's answer.
    for name, factor in (("launch", 0.7), ("model", 1.4)):
        other = replace(spread, **{name: factor * getattr(spread, name)})
        assert fit_costs(all_points(), other).evidence < fit.evidence, name


def test_a_stored_fit_of_another_version_or_with_other_parameters_is_refused() -> None:
    good = to_json(fit_costs(bundled_points()[:4], Spread()))
    with pytest.raises(ValueError, match="schema must be"):
        from_json(good | {"version": 1})
    with pytest.raises(ValueError, match="parameters must be memory, compute"):
        from_json(good | {"parameters": ["memory"]})


def test_shares_of_the_peak_are_shares() -> None:
    for name, stack in stored_stacks().items():
        values = dict(zip(PARAMETERS, np.exp(stack.mean), strict=True))
        assert 0.6 < values["memory"] < 1.0, name
        assert 0.1 < values["compute"] < 1.3, name
        assert 1e-6 < values["launch"] < 1e-3, name
    eager, captured = (stored_stacks()[s].mean[2] for s in ("eager", "graphs"))
    assert eager - captured > np.log(3)  # what capturing is for


def test_sources_left_out_are_predicted_and_their_intervals_hold() -> None:
    groups = {"H100-law", "SDB", "ADX-H100", "TT-A100", "TT-H100", "SPBU", "PEG", "AMDE-K", "LMD"}
    points = [p for p in bundled_points() if p.group in groups and p.stack == "serving"]
    spread = stored_stacks()["serving"].spread
    held = leave_source_out(points, np.random.default_rng(2), spread=spread, draws=1000)
    assert {h.label.split("-")[0] for h in held} == {g.split("-")[0] for g in groups}
    times, ratios = (score(h for h in held if h.kind == k) for k in ("time", "ratio"))
    assert times.coverage >= 0.75
    assert 0.7 < times.median_ratio < 1.5
    assert times.median_error < 0.4
    assert ratios.coverage == 1.0
    assert ratios.points == 3
    assert score(held[:1]).points == 1
    with pytest.raises(ValueError, match="held must hold at least one prediction"):
        score(())


def test_the_numbers_of_a_source_that_is_left_out_do_not_enter_its_prediction() -> None:
    groups = {"SDB", "TT-A100", "LMD", "SPBU"}
    points = [p for p in bundled_points() if p.group in groups and p.stack == "serving"]
    spread = stored_stacks()["serving"].spread
    slower = [replace(p, value=3 * p.value) if p.group == "TT-A100" else p for p in points]
    for group, same in (("TT-A100", True), ("LMD", False)):
        medians = [
            [h.median for h in leave_source_out(given, np.random.default_rng(1), spread=spread,
                                                draws=200) if h.group == group]
            for given in (points, slower)
        ]  # fmt: skip
        assert (medians[0] == medians[1]) == same, group


def test_ninety_percent_intervals_hold_ninety_percent_of_simulated_sources() -> None:
    rng = np.random.default_rng(8)
    points = _simulated(rng, 24, TRUTH)
    known, new = points[: 12 * 20], points[12 * 20 :]
    spread = SIMULATED
    posterior = fit_costs(known, spread).stacks["serving"]
    inside = []
    for p in new[::20]:  # one number a source: those of a source are not independent
        law = predict_costs(p.target, SMALL, H100, rng=rng, draws=2000, posterior=posterior)
        times = law.plain_step(batch=p.batch, context=p.context)
        inside.append(np.quantile(times, 0.05) <= p.value <= np.quantile(times, 0.95))
    assert np.mean(inside) >= 0.6  # 12 sources; 90 % less three standard errors


# --- predictions ------------------------------------------------------------------------------


def _predict(target: str = "Llama-3.1-8B", draft: str = "Llama-3.2-1B", on: str = "H100",
             seed: int = 0, draws: int = 600, **changes: Any) -> PredictedCost:  # fmt: skip
    return predict_costs(
        model(target).shape, model(draft).shape, device(on), rng=np.random.default_rng(seed),
        draws=draws, **changes,
    )  # fmt: skip


def test_a_prediction_is_a_cost_law_with_a_draw_for_each_entry() -> None:
    law = _predict(batch=8, context=1000)
    assert isinstance(law, CostLaw)
    assert isinstance(law.target, PassLaw)
    assert law.shape == (600,)
    times = law.round_time(6, batch=8, context=1000)
    assert times.shape == (600, 7)
    assert (np.diff(times, axis=1) > 0).all()
    np.testing.assert_allclose(times[:, 0], law.plain_step(batch=8, context=1000))
    draft = law.draft.step_time([1.0], batch=8, context=1000)[:, 0]
    ratio = law.cost_ratio(batch=8, context=1000)
    np.testing.assert_allclose(ratio, draft / times[:, 0])
    verify = law.target.step_time([4.0], batch=8, context=1000)[:, 0]
    np.testing.assert_allclose(times[:, 3], verify + 3 * draft + law.overhead)
    assert (law.stack, law.device, law.dtype) == ("serving", "H100 SXM", "bf16")
    assert [n.split(":")[0] for n in law.notes] == ["H100 leaves the kind open"]


def test_the_same_generator_gives_the_same_law_and_asking_twice_the_same_times() -> None:
    one, two = _predict(seed=4), _predict(seed=4)
    np.testing.assert_array_equal(one.round_time(3), two.round_time(3))
    np.testing.assert_array_equal(one.round_time(3), one.round_time(3))
    with pytest.raises(ValueError, match="read-only"):
        one.target.step_time([1.0])[0] = 0.0


def test_the_ratio_is_better_known_than_the_times_because_both_run_on_one_machine() -> None:
    law = _predict(draws=4000)
    ratio, step = np.log(law.cost_ratio()), np.log(law.plain_step())
    draft = np.log(law.draft.step_time([1.0])[:, 0])
    assert np.var(ratio) < np.var(step) + np.var(draft) - 0.02
    assert np.corrcoef(step, draft)[0, 1] > 0.3


def test_laws_of_several_drafts_share_the_machine_and_the_target() -> None:
    shapes = [models()[n].shape for n in ("Llama-3.2-1B", "Llama-3.2-3B")]
    small, large = predict_pairs(
        LLAMA, shapes, Load(H100), rng=np.random.default_rng(0), draws=2000
    )
    assert small.target is large.target
    np.testing.assert_array_equal(small.plain_step(), large.plain_step())
    assert np.mean(small.cost_ratio() < large.cost_ratio()) > 0.97


def test_a_stack_is_named_and_its_parameters_are_its_own() -> None:
    eager, engine = _predict(stack="eager", draws=3000), _predict(stack="vllm", draws=3000)
    assert (eager.stack, engine.stack) == ("eager", "serving")
    assert np.median(eager.cost_ratio()) > 1.3 * np.median(engine.cost_ratio())
    assert np.median(eager.plain_step()) > np.median(engine.plain_step())


def test_depth_and_not_size_makes_a_small_draft_slow_in_an_eager_framework() -> None:
    law = _predict("Qwen3-8B", "Qwen3-0.6B", "H200", stack="eager", draws=3000)
    low, high = np.quantile(law.cost_ratio(), (0.05, 0.95))
    assert low < 28 / 36 < high  # the ratio of layers; that of parameters is 0.07
    assert low > 0.3


def test_the_published_law_of_one_engine_lies_in_the_interval_for_its_stack() -> None:
    law = _predict(draws=3000)
    for batch, tokens in [(1, 1), (16, 4), (128, 4)]:
        value = 7.0927e-3 + 2.101e-5 * batch * tokens + 3.926e-8 * batch * 500
        low, high = np.quantile(
            law.target.step_time([tokens], batch=batch, context=500), (0.05, 0.95)
        )
        assert low < value < high


def test_what_was_measured_on_the_machine_narrows_the_times() -> None:
    own = H100.measured(bandwidth=3.0e12, launch=5e-5)
    rng = np.random.default_rng(1)
    known = stored_stacks()["graphs"]
    table = draw_values(known, rng, draws=2000, device=H100)
    measured = draw_values(known, rng, draws=2000, device=own)
    for name, factor in [("memory", 2.0), ("launch", 4.0)]:
        assert np.std(np.log(table[name])) > factor * np.std(np.log(measured[name]))
    law = predict_costs(LLAMA, SMALL, own, rng=rng, draws=2000, stack="graphs")
    read = LLAMA.read_bytes("bf16") / 3.0e12
    assert read < np.median(law.plain_step()) < 2 * read


def test_memory_that_does_not_suffice_is_said_clearly() -> None:
    law = _predict("Llama-3.1-70B", on="H100", batch=4, context=1000)
    assert law.memory is not None
    assert not law.memory.fits
    assert law.memory.largest_batch == 0
    assert any("does NOT fit" in note for note in law.notes)
    assert np.isfinite(law.round_time(2)).all()  # still answered, for whoever has the memory


def test_the_largest_batch_is_the_last_that_fits() -> None:
    asked = {"dtype": "bf16", "context": 8000.0}
    need = MemoryUse.of(LLAMA, SMALL, H100, batch=1, **asked)
    assert need.fits
    assert need.largest_batch > 1
    assert need.weights_bytes == LLAMA.bytes("bf16") + SMALL.bytes("bf16")
    assert need.caches_bytes == 8000 * (131072 + 2 * 16 * 8 * 64 * 2)
    assert MemoryUse.of(LLAMA, SMALL, H100, batch=need.largest_batch, **asked).fits
    more = MemoryUse.of(LLAMA, SMALL, H100, batch=need.largest_batch + 1, **asked)
    assert not more.fits
    assert f"the largest batch is {need.largest_batch}" in more.line
    alone = MemoryUse.of(LLAMA, None, H100, batch=1, **asked)
    assert alone.largest_batch > need.largest_batch
    assert (
        MemoryUse.of(LLAMA, SMALL, device("2x H100"), batch=1, **asked).largest_batch
        > need.largest_batch
    )


def test_unusual_pairs_are_answered_with_a_note() -> None:
    swapped = resolve(Deployment("Llama-3.2-1B", "Llama-3.1-8B", "H100")).notes
    assert any("larger than the target Llama-3.2-1B: are the two swapped" in n for n in swapped)
    assert any("vocabularies differ" in n for n in _predict("Qwen3-8B", "Llama-3.2-1B").notes)
    assert not any("vocabularies" in n for n in _predict("Qwen2.5-7B", "Qwen2.5-0.5B").notes)
    beyond = _predict("Llama-2-7B", "TinyLlama-1.1B", context=4000).notes
    assert any("beyond the 2048 tokens of TinyLlama-1.1B" in n for n in beyond)
    assert any("seen in 2 sources only" in n for n in _predict(on="TPU v4", stack="xla").notes)


@pytest.mark.parametrize(
    ("name", "on", "usual"),
    [
        ("Llama-3.1-8B", "H100", "bf16"), ("Llama-3.1-8B", "V100", "fp16"),
        ("GPT2", "H100", "bf16"), ("GPT2", "V100", "fp16"), ("GPT2", "cpu", "fp32"),
        ("Pythia-1B", "TPU v4", "bf16"), ("DeepSeek-V3", "H100", "fp8"),
        ("DeepSeek-V3", "A100", "int8"), ("GPT-OSS-20B", "A100", "mxfp4"),
    ],
)  # fmt: skip
def test_without_a_format_a_model_runs_in_its_usual_one(name: str, on: str, usual: str) -> None:
    law = _predict(name, "GPT2", on)
    assert law.dtype == usual
    released = model(name).shape.weights
    said = f"weights of {name} taken as {usual}, released as {released}"
    assert (said in law.notes) == (usual != released)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stack": "steam"}, "stack must be one of"),
        ({"dtype": "int3"}, "dtype must be one of"),
        ({"on": "V100", "dtype": "bf16"}, "V100 SXM2 computes in (fp32, fp16), got 'bf16'"),
        ({"kv_dtype": "x"}, "dtype must be one of"),
        ({"batch": 0}, "batch must be in [1, inf), got 0"),
        ({"context": -1}, "context must be in [0, inf), got -1"),
        ({"draws": 0}, "draws must be a whole number in"),
        ({"draws": True}, "draws must be a whole number in"),
    ],
)
def test_bad_input_is_one_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        _predict(**changes)


# --- own records ------------------------------------------------------------------------------


def _record(times: dict[str, list[float]], draw: float = 0.0, **provenance: Any) -> Record:
    """Passes over 1 and 4 tokens that take so long, a drawing, a copy of 256 MiB, and a failure."""
    points: list[dict[str, Any]] = [
        {"operation": "pass", "model": name, "tokens": tokens, "batch": 1, "context": 64,
         "mode": "eager", "times_s": [t * (1 + 0.05 * (tokens - 1)) for t in values]}
        for name, values in times.items() for tokens in (1, 4)
    ]  # fmt: skip
    points.append({"operation": "copy_bandwidth", "bytes": 2**28, "times_s": [0.021, 0.02, 0.02]})
    points += [
        {"operation": "draw", "model": name, "batch": 1, "mode": mode, "times_s": [t, t, 2 * t]}
        for name in times if draw for mode, t in (("greedy", 0.5 * draw), ("sampled", draw))
    ]  # fmt: skip
    points.append({"operation": "pass", "model": "small", "tokens": 64, "batch": 1, "context": 64,
                   "mode": "eager", "error": "out of memory"})  # fmt: skip
    return Record("costs", {}, {"device": "some cpu", "dtype": "float32"} | provenance,
                  tuple(points))  # fmt: skip


CONFIG = {
    "model_type": "llama", "vocab_size": 1000, "hidden_size": 128, "intermediate_size": 512,
    "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 4,
}  # fmt: skip
OWN = {
    "models": {
        "small": {"config": CONFIG | {"num_hidden_layers": 2}},
        "large": {"config": CONFIG | {"num_hidden_layers": 16}},
    }
}


def test_a_cost_record_gives_a_point_for_each_timed_pass() -> None:
    record = _record({"small": [1e-3, 1.1e-3, 1e-3], "large": [8e-3, 8e-3, 9e-3]}, **OWN)
    points = points_from_record(record, group="mine", on=device("cpu"))
    assert len(points) == 4
    first = points[0]
    assert (first.stack, first.dtype, first.value) == ("eager", "float32", 1e-3)
    assert (first.target.layers, first.forward, first.fitted) == (2, True, True)
    assert first.device.measured_bandwidth == pytest.approx(2**28 / 0.02)
    assert min(p.error for p in points) == 0.02
    drawn = points_from_record(
        _record({"small": [1e-3]}, draw=2e-4, **OWN), group="mine", on=device("cpu")
    )
    assert (drawn[0].value, drawn[0].forward) == (pytest.approx(1.2e-3), False)


def test_a_machine_that_was_measured_is_predicted_from_its_own_times() -> None:
    record = _record({"small": [1.4e-3] * 5, "large": [10e-3] * 5}, draw=2e-4, **OWN)
    points = points_from_record(record, group="mine", on=device("cpu"))
    own = refit(points, group="mine")
    middle = replace(points[2].target, name="middle", layers=8)
    rng = np.random.default_rng(0)
    law = predict_costs(middle, points[0].target, points[0].device, rng=rng, draws=1000,
                        dtype="fp32", stack="eager", posterior=own)  # fmt: skip
    prior = predict_costs(middle, points[0].target, device("cpu"), rng=rng, draws=1000,
                          dtype="fp32", stack="eager")  # fmt: skip
    launch = (10e-3 - 1.4e-3) / 14
    assert np.exp(own.mean[PARAMETERS.index("launch")]) == pytest.approx(launch, rel=0.25)
    assert np.std(np.log(law.cost_ratio())) < np.std(np.log(prior.cost_ratio()))
    assert np.std(np.log(law.plain_step())) < 0.6 * np.std(np.log(prior.plain_step()))
    with pytest.raises(ValueError, match="points must be of one stack and of the group"):
        refit(points, group="yours")


def test_records_that_cannot_be_used_are_one_line() -> None:
    good = _record({"small": [1e-3]}, **OWN)
    with pytest.raises(ValueError, match="shapes must hold 'small'"):
        points_from_record(_record({"small": [1e-3]}), group="mine", on=device("cpu"))
    shapes = {"small": SMALL}
    assert (
        points_from_record(
            _record({"small": [1e-3]}), group="mine", on=device("cpu"), shapes=shapes
        )[0].target
        is SMALL
    )
    named = _record({"gpt2": [1e-2]}, device="NVIDIA H200")
    assert points_from_record(named, group="mine")[0].target.name == "GPT2"
    assert measured_device(named).name == "H200 SXM"
    without = Record("costs", {}, {"device": "H100"}, (good.points[-2],))
    with pytest.raises(ValueError, match="record must hold at least one pass with times"):
        points_from_record(without, group="mine")
    sweep = Record("sweep", {}, {}, ({"method": "plain", "gamma": 0, "batch": 1, "prompt": 0,
                                      "repeat": 0},))  # fmt: skip
    with pytest.raises(ValueError, match="record must be of kind costs, got sweep"):
        points_from_record(sweep, group="mine", on=device("cpu"))


def test_works_of_several_models_stand_one_after_the_other() -> None:
    both = costs_unknowns.joined([_work(), _work(SMALL)])
    assert both.layers.tolist() == [32.0, 16.0]
    assert both.weights[1] == SMALL.read_bytes("bf16")


def test_shapes_of_the_models_trained_here_have_the_parameters_of_their_presets() -> None:
    from howspec.calibrate.family import PRESETS

    shapes = family_shapes()
    for preset in PRESETS.values():
        for trained in preset.shapes:
            assert shapes[trained.name].parameters() == trained.parameters(preset.vocabulary)


def test_cost_records_of_a_folder_are_sources_of_the_fit(tmp_path: Path) -> None:
    times = {"target-8m": [4e-3] * 3, "draft-160k": [9e-4] * 3}
    record = _record(times, draw=1e-4, cpu="some cpu")
    write_record(record, tmp_path / "ladder.json")
    write_record(record, tmp_path / "again.json.gz")
    points = library_points(tmp_path)
    assert {p.group for p in points} == {"own:ladder", "own:again"}
    assert {p.target.layers for p in points} == {8, 2}
    assert {p.tokens for p in points} == {1.0}  # 4 is not among those that tell a curve
    fit = fit_costs([*all_points(), *points], stored_stacks()["eager"].spread)
    assert fit.stacks["eager"].sources == stored_stacks()["eager"].sources + 2
    mine, all_eager = fit.groups["own:ladder"], fit.stacks["eager"]
    k = PARAMETERS.index("launch")
    assert mine.mean[k] < all_eager.mean[k]  # 0.5 ms a layer with everything in it
    unknown = replace(record, provenance={"device": "riddle", "cpu": "else"})
    write_record(unknown, tmp_path / "ladder.json")
    with pytest.raises(ValueError, match="ladder: device must be a name of the table"):
        library_points(tmp_path)


def test_a_prediction_needs_neither_scipy_nor_pandas_nor_torch() -> None:
    code = (
        "import sys, numpy as np\n"
        "from howspec.calibrate.models import device, model\n"
        "from howspec.calibrate.prior.costs import predict_costs\n"
        "law = predict_costs(model('Qwen3-8B').shape, model('Qwen3-0.6B').shape, device('H100'),\n"
        "                    rng=np.random.default_rng(0), batch=4, context=100)\n"
        "assert law.round_time(4, batch=4, context=100).shape == (2000, 5)\n"
        "print(sorted({'scipy', 'pandas', 'torch', 'sympy', 'transformers'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_rounds_of_every_engine_teach_what_a_round_costs() -> None:
    """Accepted over drafted tokens are tokens per round; heads of a release are in its format."""
    rounds = [p for p in measured_points() if p.gamma and p.draft is not None]
    assert {"serving", "llama.cpp", "mlx"} <= {p.stack for p in rounds}
    laptop = [p for p in rounds if p.stack == "mlx"]
    assert {(p.device.name, p.dtype) for p in laptop} == {("Apple M4", "int4")}
    one = next(p for p in laptop if p.label.endswith("Qwen2.5-0.5B, 1x Apple M4, batch 1, gamma 1"))
    # 0.682163 of the drafts were accepted, at a speed-up of 1.12605 over all prompts.
    assert one.value == pytest.approx(1.682163 / 1.12605, rel=0.05)
    assert any("MTP" in p.label and not p.draft_dtype for p in rounds)
    restored = [p for p in rounds if p.stack == "llama.cpp" and p.target.recurrent_layers]
    assert restored
    assert all(is_head(p.draft.name) for p in restored if p.draft is not None)
