"""A pair whose own rounds were timed: its record is the law, with the error of its timing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import answer
from howspec.calibrate.engines.laws import from_record
from howspec.calibrate.known import BETWEEN_RUNS
from howspec.calibrate.measured import measured_cost, sampled
from howspec.calibrate.models import device
from howspec.calibrate.models.config import shape_of
from howspec.calibrate.named import NamedModel
from howspec.calibrate.pair import Load
from howspec.calibrate.prior.costs_points import known_memory, measured_device
from howspec.calibrate.prior.pair_costs import TimedCost, timed_costs
from howspec.calibrate.records import Record, write_record
from howspec.sim.prediction import predict
from howspec.theory import CostLaw
from howspec.theory.acceptance import PositionalAcceptance

CONFIG = {
    "model_type": "llama", "vocab_size": 1000, "hidden_size": 128, "intermediate_size": 512,
    "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 4,
}  # fmt: skip
LAYERS = {"large": 16, "small": 2, "other": 3}
STEP_S, DRAFT_S, FIRST_S, VERIFY_S = 8e-3, 1e-3, 1.5e-3, 2e-4  # the last: of each further token
GAMMAS, CONTEXTS = (1, 2, 3, 5), (64, 256)


def points(batch: int = 1, mode: str = "eager", spread: float = 0.0) -> list[dict[str, Any]]:
    """Passes, draws and rounds; a step at 256 tokens takes a quarter more than one at 64."""
    rng = np.random.default_rng(batch)
    found: list[dict[str, Any]] = []
    place: dict[str, Any] = {"batch": batch, "mode": mode}
    for context in CONTEXTS:
        longer = 1.0 + 0.25 * (context - 64) / 192
        at = {**place, "context": context}
        for n in range(1, 9):
            large = longer * (STEP_S + VERIFY_S * (n - 1))
            found.append({"operation": "pass", "model": "large", "tokens": n, **at,
                          "times_s": [large] * 3})  # fmt: skip
            found.append({"operation": "pass", "model": "small", "tokens": n, **at,
                          "times_s": [DRAFT_S] * 3})  # fmt: skip
        pair = {"model": "small", "target": "large", **at}
        step = longer * STEP_S * np.exp(rng.normal(0.0, spread, 40))
        found.append({"operation": "step", "tokens": 1, **pair, "times_s": step.tolist()})
        for gamma in GAMMAS:
            verify = longer * (STEP_S + VERIFY_S * gamma) * np.exp(rng.normal(0.0, spread, 40))
            parts = {
                "first_draft_s": [FIRST_S] * 40, "draft_s": [DRAFT_S * (gamma - 1)] * 40,
                "draw_s": [0.0] * 40, "verify_s": verify.tolist(), "rule_s": [0.0] * 40,
                "other_s": [0.0] * 40,
            }  # fmt: skip
            if gamma == 1:
                parts.pop("draft_s")
            times = np.sum(list(parts.values()), axis=0).tolist()
            found.append({"operation": "round", "tokens": gamma, **pair, **parts,
                          "behind": [1, 2] * 20, "times_s": times})  # fmt: skip
    for t in (0.0, 1.0):
        around = {"model": "large", "batch": batch, "mode": f"temperature {t:g}", "temperature": t}
        found.append({"operation": "draw", "tokens": 1, **around, "times_s": [1e-9]})
        found.append({"operation": "verify", "tokens": 1, **around, "times_s": [1e-9]})
    return found


def the_record(*more: dict[str, Any]) -> Record:
    configs = {m: {"config": CONFIG | {"num_hidden_layers": n}} for m, n in LAYERS.items()}
    about = {"device": "generic", "dtype": "float32", "models": configs}
    return Record("costs", {}, about, tuple(more or points()))


def model(name: str) -> NamedModel:
    shape = shape_of(CONFIG | {"num_hidden_layers": LAYERS[name]}, name=f"named {name}")
    return NamedModel(f"named {name}", shape, "float32")


def timed(record: Record | None = None, **load: Any) -> TimedCost | None:
    at = {"stack": "eager", "context": 64.0} | load
    return timed_costs(
        record or the_record(), model("large"), model("small"),
        load=Load(device("cpu"), **at), rng=np.random.default_rng(0), draws=4000,
    )  # fmt: skip


def test_the_law_is_that_of_the_rounds_in_the_record() -> None:
    found = timed()
    assert found is not None
    assert isinstance(found.law, CostLaw)
    assert (found.stack, found.gamma_max, found.notes) == ("eager", 7, ())
    for context, longer in ((64.0, 1.0), (160.0, 1.125), (256.0, 1.25)):
        times = np.median(found.law.round_time(5, context=context), axis=0)
        step = longer * STEP_S
        rounds = [
            FIRST_S + DRAFT_S * (g - 1) + longer * (STEP_S + VERIFY_S * g) for g in range(1, 6)
        ]
        assert times == pytest.approx([step, *rounds], rel=2e-3)
    ratio = found.law.cost_ratio(context=64.0)
    assert np.median(ratio) == pytest.approx(FIRST_S / STEP_S, rel=2e-3)
    assert np.median(found.law.plain_step(context=64.0)) == pytest.approx(STEP_S, rel=2e-3)


def test_all_rounds_of_a_draw_err_together_and_a_speed_up_knows_it() -> None:
    found = timed()
    assert found is not None
    times = found.law.round_time(5, context=64.0)
    relative = np.log(times[:, 1:] / times[:, :1])
    assert np.std(relative, axis=0) == pytest.approx(BETWEEN_RUNS, rel=0.05)
    assert np.corrcoef(relative.T).min() > 0.999
    acceptance = PositionalAcceptance(np.full((4000, 8), 0.8))
    predicted = predict(acceptance, found.law, gamma_max=5, level=0.9, context=64.0)
    assert predicted.speedup.high / predicted.speedup.low == pytest.approx(
        np.exp(2 * 1.645 * BETWEEN_RUNS), rel=0.01
    )


def test_the_spread_of_the_times_widens_the_draws() -> None:
    found = timed(the_record(*points(spread=0.3)))
    assert found is not None
    assert found.law.law.rounds is not None
    times = found.law.round_time(5, context=64.0)
    relative = np.std(np.log(times / times[:, :1]), axis=0)
    error = found.law.law.rounds.error
    for gamma in GAMMAS:
        own = error[found.law.law.rounds.gammas.tolist().index(gamma)]
        assert own > 0.01
        assert relative[gamma] == pytest.approx(np.hypot(BETWEEN_RUNS, own), rel=0.06)


def test_contexts_that_were_not_timed_count_as_the_nearest_and_are_said() -> None:
    for context, nearest in ((0.0, 64.0), (4096.0, 256.0)):
        found = timed(context=context)
        assert found is not None
        assert f"{context:g} is taken as {nearest:g}" in found.notes[0]
        assert (found.law.round_time(3, context=context) == found.law.round_time(
            3, context=nearest)).all()  # fmt: skip


@pytest.mark.parametrize(
    ("record", "load"),
    [
        (the_record(*[p for p in points() if p["operation"] not in ("round", "step")]), {}),
        (the_record(*[p for p in points() if p["model"] != "small"]), {}),
        (the_record(), {"batch": 2}),
        (the_record(), {"batch": 1.5}),
    ],
)
def test_without_the_rounds_of_the_pair_at_that_batch_there_is_no_such_law(
    record: Record, load: dict[str, Any]
) -> None:
    assert timed(record, **load) is None


def test_the_batch_and_the_stack_asked_for_are_taken() -> None:
    graphs = []
    for p in points(mode="graph"):
        halves = {k: [0.5 * t for t in p[k]] for k in ("times_s", "verify_s") if k in p}
        graphs += [p | halves] if p["operation"] not in ("draw", "verify") else []
    record = the_record(*points(), *points(batch=4), *graphs)
    both = [timed(record, stack=stack) for stack in ("eager", "graphs")]
    steps = [np.median(t.law.plain_step(context=64.0)) for t in both if t is not None]
    assert steps == pytest.approx([STEP_S, 0.5 * STEP_S], rel=2e-3)
    four = timed(record, batch=4)
    assert four is not None
    assert np.median(four.law.plain_step(batch=4, context=64.0)) == pytest.approx(STEP_S, rel=2e-3)
    serving = timed(record, stack="serving")
    assert serving is not None
    assert serving.stack == "eager"


def test_a_law_after_acceptance_pays_for_rounds_accepted_whole() -> None:
    slow = [
        p | {"first_draft_s": [FIRST_S, 3 * FIRST_S] * 20} if p["operation"] == "round" else p
        for p in points()
    ]
    found = timed(the_record(*slow))
    assert found is not None
    never = np.median(found.law.round_time(3, context=64.0), axis=0)
    half = np.median(
        found.law.after(np.array([1.0, 0.9, 0.7, 0.5])).round_time(3, context=64.0), axis=0
    )
    assert half - never == pytest.approx(2 * FIRST_S * np.array([0.0, 0.9, 0.7, 0.5]), rel=2e-2)


def test_passes_alone_have_no_error_to_draw_from() -> None:
    law = measured_cost(the_record(), "large", "small", whole=np.zeros(1))
    with pytest.raises(ValueError, match="must have timed rounds, got passes alone"):
        sampled(replace(law, rounds=None), np.random.default_rng(0), draws=10)


def folders(place: Path) -> list[str]:
    """A target and a draft as folders of configurations, as `howspec predict` is given them."""
    pair = []
    for role, name in (("--target", "large"), ("--draft", "small")):
        (place / name).mkdir()
        config = CONFIG | {"num_hidden_layers": LAYERS[name], "torch_dtype": "float32"}
        (place / name / "config.json").write_text(json.dumps(config))
        pair += [role, str(place / name)]
    return pair


def test_predict_takes_the_rounds_of_a_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Where the draft reads two tokens first, its pass takes as long as a plain step more.
    slow = [
        p | {"first_draft_s": [FIRST_S, FIRST_S + STEP_S] * 20} if p["operation"] == "round" else p
        for p in points()
    ]
    path = write_record(the_record(*slow), tmp_path / "costs.json")
    asked = ["predict", *folders(tmp_path), "--device", "cpu", "--costs", path, "--alpha", 0.8]
    near, far = (answer(capsys, *asked, "--context", context) for context in (64, 5000))
    cost = near["parts"]["cost"]
    assert (cost["kind"], cost["stack"]) == ("measured", "eager")
    assert "rounds of this pair" in cost["source"]
    assert cost["cost_ratio"]["estimate"] == pytest.approx(FIRST_S / STEP_S, rel=5e-3)
    assert len(near["speedup_by_gamma"]) == 8
    tokens = np.cumsum(0.8 ** np.arange(8))
    rounds = [STEP_S]
    for g in range(1, 8):
        whole = 0.8**g * STEP_S
        rounds.append(FIRST_S + DRAFT_S * (g - 1) + STEP_S + VERIFY_S * g + whole)
    expected = tokens * STEP_S / np.array(rounds)
    assert near["speedup_by_gamma"] == pytest.approx(expected.tolist(), rel=1e-2)
    assert any("5000 is taken as 256" in note for note in far["notes"])


DEVICES = (
    "AMD EPYC", "Intel(R) Xeon(R) Processor @ 2.80GHz",
    "AMD Ryzen 7 7840HS w/ Radeon 780M Graphics",
    "13th Gen Intel(R) Core(TM) i7-1365U", "AMD Instinct MI300X", "Some Chip 9000", "",
    "NVIDIA GeForce RTX 4060 Laptop GPU", "NVIDIA RTX 6000 Ada Generation",
)  # fmt: skip


@pytest.mark.parametrize("device_name", DEVICES)
@pytest.mark.parametrize("rounds", [True, False])
def test_no_device_stands_between_a_user_and_his_own_measurement(
    device_name: str, rounds: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = [p for p in points() if rounds or p["operation"] not in ("round", "step")]
    record = the_record(*kept)
    about = record.provenance | {"device": device_name, "cpu": device_name}
    path = write_record(Record("costs", {}, about, record.points), tmp_path / "costs.json")
    asked = ["predict", *folders(tmp_path), "--context", 64, "--costs", path, "--alpha", 0.8]
    cost = answer(capsys, *asked)["parts"]["cost"]
    first_s = FIRST_S if rounds else DRAFT_S
    assert cost["cost_ratio"]["estimate"] == pytest.approx(
        first_s / STEP_S, rel=0.005 if rounds else 0.1
    )
    assert cost["kind"] == "measured"


def test_a_processor_that_is_named_with_its_graphics_measured_as_a_processor() -> None:
    name = "AMD Ryzen 7 7840HS w/ Radeon 780M Graphics"
    for cpu, kind in ((name, "cpu"), ("AMD EPYC", "gpu")):
        about = {"device": name, "cpu": cpu}
        assert measured_device(Record("costs", {}, about, tuple(points()))).kind == kind


def test_a_stand_in_has_the_measured_bandwidth_and_says_so() -> None:
    copy = {"operation": "copy_bandwidth", "bytes": 2**28, "times_s": [2**28 / 3e12]}
    about = {"device": "Some Chip 9000", "cpu": "AMD EPYC"}
    found = measured_device(Record("costs", {}, about, (copy,)))
    assert found.name == "Some Chip 9000"
    assert found.measured_bandwidth == pytest.approx(3e12)
    assert 2.5e12 < found.bandwidth < 3.5e12
    assert "nearest in measured bandwidth" in found.remarks[0]
    assert not known_memory(found)
    slow = Record("costs", {}, about | {"cpu": "Some Chip 9000"}, (copy,))
    assert measured_device(slow).kind == "cpu"
    assert known_memory(measured_device(Record("costs", {}, {"device": "H100"}, (copy,))))


def test_a_model_is_known_by_name_and_size_where_the_record_keeps_no_shape() -> None:
    bare = {m: {"name": f"named {m}", "layers": n, "parameters": model(m).shape.parameters()}
            for m, n in LAYERS.items()}  # fmt: skip
    record = the_record()
    about = record.provenance | {"models": bare}
    assert timed(Record("costs", {}, about, record.points)) is not None
    other = bare | {"small": bare["small"] | {"parameters": 2 * bare["small"]["parameters"]}}
    about = record.provenance | {"models": other}
    assert timed(Record("costs", {}, about, record.points)) is None


def test_recorded_rounds_are_those_of_the_temperature_and_domain_asked_for() -> None:
    found = [
        {"type": "rounds", "draft": "d", "domain": domain, "temperature": t, "request": 0,
         "drafted": 2, "accepted": [accepted] * 40}
        for domain, t, accepted in (("code", 0.0, 2), ("code", 1.0, 1), ("chat", 1.0, 0))
    ]  # fmt: skip
    record = Record("acceptance", {}, {}, tuple(found))

    def first(**asked: Any) -> tuple[float, tuple[str, ...]]:
        evidence = from_record(record, np.random.default_rng(0), **asked)
        return float(np.asarray(evidence.middle.rates)[0]), evidence.notes

    assert first(temperature=0.0)[0] == 1.0
    assert first(temperature=1.0)[0] == 0.5
    assert first(temperature=1.0, domain="Code")[0] == 1.0
    assert first(temperature=1.0, domain="chat")[0] == 0.0
    assert first(temperature=1.0, domain="poetry")[0] == 0.5
    near, notes = first(temperature=0.8)
    assert near == 0.5
    assert "no rounds at temperature 0.8: those at 1 taken" in notes
    assert any("several temperatures" in note for note in first()[1])
    assert not any("several" in note for note in first(temperature=0.0)[1])
