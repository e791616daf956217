"""Floors of passes, and what bounds them: recovered from a machine whose law is known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cost_samples import COPIED, MODELS, SPREAD, KnownMachine, llama, named
from howspec.calibrate.library.own import bundled_costs
from howspec.calibrate.records import Record
from howspec.figures.roofline import TimedModel, timed_models
from howspec.figures.roofline_limits import (
    COMPUTE,
    LAUNCHES,
    MEMORY,
    UNKNOWN,
    CostLimits,
    bound_of,
    cost_limits,
)
from howspec.figures.roofline_ratios import depth_groups
from howspec.figures.roofline_record import Machine
from howspec.figures.roofline_table import cells_of, limit_lines
from hypothesis import given, settings
from hypothesis import strategies as st

MACHINE = KnownMachine()


@pytest.fixture(scope="module")
def record() -> Record:
    return MACHINE.record(MODELS)


@pytest.fixture(scope="module")
def table(record: Record) -> CostLimits:
    return cost_limits(record)


def model(config: Any) -> TimedModel:
    return timed_models(MACHINE.record({"m": config}))["m"]


def test_a_tied_embedding_counts_once_and_an_untied_one_only_in_the_rows_looked_up() -> None:
    h, f, v, layers = 128, 384, 1000, 2
    inner = layers * (4 * h * h + 3 * h * f + 2 * h) + h
    batch, n, context = 3, 5, 40
    logits, cache = batch * n * v, 2 * layers * h * batch * (context + n)
    tied, untied = (
        model(llama(layers, h, f, vocab=v, tied=t)).pass_bytes(n, batch=batch, context=context)
        for t in (True, False)
    )
    assert tied == pytest.approx(2 * (inner + v * h + logits + cache), rel=1e-12)
    assert untied == pytest.approx(2 * (inner + v * h + batch * n * h + logits + cache), rel=1e-12)


def test_learned_positions_are_read_in_rows_and_shared_by_the_sequences() -> None:
    small = model(named("GPT2")["GPT2"])
    assert small.shape is not None
    one, two = (small.pass_bytes(1, batch=b, context=0) for b in (1, 2))
    assert one is not None
    assert two is not None
    # A second sequence adds its logits and its cache, no row of a position.
    assert two - one == pytest.approx(2 * (50257 + 2 * 12 * 768), rel=1e-12)
    assert one == pytest.approx(
        2 * (small.shape.read_parameters() + 768 + 50257 + 2 * 12 * 768), rel=1e-12
    )


def test_operations_are_those_of_a_causal_pass_counted_token_by_token() -> None:
    layers, h, f, v = 3, 192, 512, 700
    weights = layers * (4 * h * h + 3 * h * f + 2 * h) + h + v * h
    batch, n, context = 2, 7, 33
    counted = sum(batch * (2 * weights + 4 * layers * h * (context + i)) for i in range(1, n + 1))
    found = model(llama(layers, h, f, vocab=v)).compute_s(n, batch=batch, context=context, rate=1e9)
    assert found == pytest.approx(counted / 1e9, rel=1e-12)


def test_floors_are_recovered_at_every_pass(table: CostLimits) -> None:
    for row in table.rows:
        config = MODELS[row.model.name]
        place = {"batch": row.batch, "context": row.context}
        least = MACHINE.least_s(config, row.tokens, **place)
        assert row.floor_s == pytest.approx(least, rel=1e-9)
        graph = MACHINE.pass_time(config, row.tokens, mode="graph", **place)
        assert row.over_floor("graph") == pytest.approx(graph / least, rel=1e-9)
    assert len(table.rows) == len(MODELS) * 3 * 4


def test_the_fixed_times_of_a_pass_and_of_a_layer_are_recovered(table: CostLimits) -> None:
    law = table.laws["graph"]
    assert law is not None
    for (low, found, high), known in (
        (law.pass_s, MACHINE.pass_s),
        (law.layer_s, MACHINE.layer_s),
        (law.work, MACHINE.work),
    ):
        assert found == pytest.approx(known, rel=1e-6)
        assert low == pytest.approx(known, rel=1e-4)
        assert high == pytest.approx(known, rel=1e-4)
    assert law.rms < 1e-9


def test_launches_bound_a_pass_where_they_take_most_of_its_time(table: CostLimits) -> None:
    seen = set()
    for row in table.rows:
        config = MODELS[row.model.name]
        place = {"batch": row.batch, "context": row.context}
        work = MACHINE.work * MACHINE.least_s(config, row.tokens, **place)
        for mode in ("eager", "graph"):
            time_s = MACHINE.pass_time(config, row.tokens, mode=mode, **place)
            share = 1.0 - work / time_s
            bound = table.bound(row, mode)
            assert bound is not None
            assert (bound.what == LAUNCHES) == (share >= 0.5)
            expected = share if bound.what == LAUNCHES else 1.0 - share
            assert bound.share == pytest.approx(expected, abs=1e-6)
            seen.add((mode, bound.what))
    assert {(m, w) for m in ("eager", "graph") for w in (LAUNCHES, MEMORY)} <= seen


def test_many_tokens_of_many_sequences_are_bound_by_computing() -> None:
    record = MACHINE.record(MODELS, tokens=(1, 33), shapes=((1, 128), (64, 128)))
    table = cost_limits(record)
    row = table.at("big", (64, 128), 33)
    assert row is not None
    bound = table.bound(row, "graph")
    assert bound is not None
    assert bound.what == COMPUTE
    assert row.compute_s == row.floor_s
    single = table.at("big", (1, 128), 1)
    assert single is not None
    assert single.memory_s == single.floor_s


def test_one_mode_of_a_few_models_tells_nothing_of_launches_and_says_so() -> None:
    few = {n: MODELS[n] for n in ("big", "small", "least")}
    limits = cost_limits(MACHINE.record(few, modes=("graph",)))
    assert limits.laws == {"graph": None}
    bounds = {
        r.model.name: bound_of(r, "graph", {"graph": None})
        for r in limits.rows
        if (r.tokens, r.place) == (1, (1, 128))
    }
    assert bounds["big"].what == MEMORY  # the floor alone is most of the time
    assert bounds["least"].what == UNKNOWN
    assert "too few models" in bounds["least"].reason
    assert any("too few models" in line for line in limit_lines(cost_limits(MACHINE.record(few))))


def test_models_of_one_depth_tell_no_time_of_a_layer() -> None:
    same = {f"m{h}": llama(8, h, 3 * h) for h in (64, 128, 256, 512, 1024)}
    assert cost_limits(MACHINE.record(same)).laws["graph"] is None


def test_without_a_copy_there_is_no_memory_floor() -> None:
    limits = cost_limits(MACHINE.record(MODELS, copy=False))
    assert limits.machine.bandwidth is None
    assert all(r.memory_s is None and r.floor_s == r.compute_s for r in limits.rows)


def test_a_model_that_nobody_knows_has_times_and_no_floor() -> None:
    known = MACHINE.record(MODELS)
    strange = {"parameters": 10**6, "layers": 3, "model_type": "new", "dtype": "bfloat16"}
    points = tuple(
        {**p, "model": "strange"} if p.get("model") == "tiny" else p for p in known.points
    )
    models = {**known.provenance["models"], "strange": strange}
    table = cost_limits(replace(known, provenance={**known.provenance, "models": models},
                                 points=points))  # fmt: skip
    row = table.at("strange", (1, 128))
    assert row is not None
    assert row.moved is None
    assert row.floor_s is None
    assert row.cached == "unknown"
    cells = cells_of(table, row)
    assert cells["floor_s"] is None
    assert cells["eager_over_floor"] is None
    assert cells["eager_s"] > 0


def test_a_configuration_of_an_unknown_kind_leaves_times_without_a_floor() -> None:
    known = MACHINE.record({"m": llama(4, 256, 768)})
    own = {"parameters": 10**6, "layers": 4, "dtype": "float16"}
    for kind, found in (("llama", True), ("of-next-year", False)):
        config = {**llama(4, 256, 768), "model_type": kind}
        parameters = 5_507_328 if found else 10**6
        identity = {**own, "parameters": parameters, "config": config}
        models = {"models": {"m": identity}}
        timed = timed_models(replace(known, provenance={**known.provenance, **models}))["m"]
        assert (timed.shape is not None) == found
        assert (timed.layers, timed.dtype) == (4, "fp16")


def test_a_name_of_the_table_with_other_parameters_is_another_model() -> None:
    known = MACHINE.record(named("GPT2"))
    own = {"parameters": 10**6, "layers": 3, "model_type": "gpt2"}
    other = replace(known, provenance={**known.provenance, "models": {"GPT2": own}})
    assert timed_models(other)["GPT2"].shape is None
    same = {**own, "parameters": 124_439_808, "layers": 12}
    again = replace(known, provenance={**known.provenance, "models": {"GPT2": same}})
    assert timed_models(again)["GPT2"].shape is not None


def test_a_model_without_size_is_refused() -> None:
    known = MACHINE.record(named("GPT2"))
    points = tuple({**p, "model": "x"} if "model" in p else p for p in known.points)
    with pytest.raises(ValueError, match=r"^x: the record must say its parameters and layers"):
        cost_limits(replace(known, points=points))


def test_other_records_modes_and_times_of_zero_are_refused(record: Record) -> None:
    points = ({"type": "text", "draft": None, "domain": "a", "temperature": 0.0, "request": 0},)
    with pytest.raises(ValueError, match="kind costs, got acceptance"):
        cost_limits(Record("acceptance", {}, {}, points))
    for change, words in (
        ({"mode": "compiled"}, "mode must be one of eager, graph, got 'compiled'"),
        ({"times_s": [0.0, 1e-3]}, r"times_s must be in \(0, inf\), got 0"),
    ):
        bad = tuple(
            {**p, **change} if p["operation"] == "pass" and p["mode"] == "eager" else p
            for p in record.points
        )
        with pytest.raises(ValueError, match=words):
            cost_limits(replace(record, points=bad))


def test_what_may_stay_in_a_cache_depends_on_what_is_known_of_it(record: Record) -> None:
    machine = cost_limits(record).machine
    assert machine.cache == 50e6
    assert machine.copied == COPIED / 2
    assert [machine.cached(m) for m in (50e6, 50.1e6, None)] == ["yes", "no", "unknown"]
    blind = Machine("cpu", None, 1e8, None, None, None, None)
    assert [blind.cached(m) for m in (1e3, 0.99e8, 1e8)] == ["unknown", "unknown", "no"]


def test_bandwidth_and_launch_are_of_the_record(record: Record) -> None:
    machine = cost_limits(record).machine
    assert machine.bandwidth is not None
    assert machine.launch_s is not None
    assert machine.bandwidth.median == pytest.approx(MACHINE.bandwidth)
    assert machine.bandwidth.low == pytest.approx(MACHINE.bandwidth / SPREAD[3])
    assert machine.bandwidth.high == pytest.approx(MACHINE.bandwidth / SPREAD[1])
    assert machine.launch_s.median == pytest.approx(3e-6)
    assert machine.peak == 989.4e12
    old = cost_limits(replace(record, provenance={**record.provenance, "device": "Tesla T4"}))
    assert old.machine.peak is None  # it has no units for bfloat16
    assert old.machine.cache == 4e6
    unknown = cost_limits(replace(record, provenance={**record.provenance, "device": "EPYC 9654"}))
    assert unknown.machine.peak is None  # that of all cores, not of those in use
    assert unknown.machine.rate == unknown.machine.reached


@settings(max_examples=15)
@given(st.floats(0.01, 100.0))
def test_a_machine_that_is_slower_in_everything_has_the_same_bounds(slower: float) -> None:
    base = replace(MACHINE, device="unknown to the table")
    models = {n: MODELS[n] for n in ("big", "middle", "tiny", "least")}
    here = base.record(models, tokens=(1, 3), shapes=((1, 128),))
    points = tuple({**p, "times_s": [slower * t for t in p["times_s"]]} for p in here.points)
    first, second = cost_limits(here), cost_limits(replace(here, points=points))
    for a, b in zip(first.rows, second.rows, strict=True):
        for mode in a.times:
            assert a.over_floor(mode) == pytest.approx(b.over_floor(mode), rel=1e-9)
            one, other = first.bound(a, mode), second.bound(b, mode)
            assert one is not None
            assert other is not None
            assert one.what == other.what
            assert one.share == pytest.approx(other.share, abs=1e-6)


def test_on_the_bundled_cpu_a_layer_costs_what_models_of_equal_size_show() -> None:
    costs = next(c for c in bundled_costs() if c.stem == "cpu_costs")
    table = cost_limits(costs.record, costs.family)
    assert all(r.model.shape is not None for r in table.rows)
    law = table.laws["eager"]
    assert law is not None
    assert law.rms < 0.25
    (group,) = depth_groups(table)
    place = table.places[0]
    ends = [table.at(m.name, place) for m in (group[0], group[-1])]
    flat, deep = (r.times["eager"].median for r in ends if r is not None)
    slope = (deep - flat) / (group[-1].layers - group[0].layers)
    assert law.layer_s[1] == pytest.approx(slope, rel=0.4)
    smallest = table.at(list(table.models)[-1], place)
    assert smallest is not None
    bound = table.bound(smallest, "eager")
    assert bound is not None
    assert bound.what == LAUNCHES
    assert (smallest.over_floor("eager") or 0.0) > 50


def test_parameters_of_the_bundled_family_follow_from_the_shapes_that_are_assumed() -> None:
    costs = next(c for c in bundled_costs() if c.stem == "cpu_costs")
    for found in timed_models(costs.record, costs.family).values():
        assert found.shape is not None
        assert found.shape.parameters() == found.parameters
        assert found.dtype == "fp32"
