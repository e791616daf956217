"""Times of passes: every point once, in turns, resumable, with what could not be measured named."""

from __future__ import annotations

import itertools
import json
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import howspec  # noqa: E402
from fake_clock import FakeClock, Memory  # noqa: E402
from howspec.calibrate.measure import cost_blocks  # noqa: E402
from howspec.calibrate.measure import costs as measuring  # noqa: E402
from howspec.calibrate.measure.costs import measure_costs  # noqa: E402
from howspec.calibrate.measure.device import (  # noqa: E402
    CudaClock,
    HostClock,
    MachineState,
    clock_of,
    out_of_memory,
    pass_bytes,
    shortage,
)
from howspec.calibrate.measure.pairs import LoadedModel  # noqa: E402
from howspec.calibrate.measure.plans import PassGrid, pass_points  # noqa: E402
from howspec.calibrate.measure.runner import Runner  # noqa: E402
from howspec.calibrate.measure.tables import cost_rows, round_rows  # noqa: E402
from howspec.calibrate.records import read_record  # noqa: E402
from howspec.cli.calibrate import costs  # noqa: E402
from small_models import loaded_gpt2  # noqa: E402


def grid(
    tokens: Sequence[int],
    batches: Sequence[int] = (1,),
    contexts: Sequence[int] = (8,),
    **more: Any,
) -> PassGrid:
    return PassGrid(tuple(tokens), tuple(itertools.product(batches, contexts)), **more)


@pytest.fixture(autouse=True)
def _small_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "COPY_BYTES", {"cpu": 1 << 12})


class Timed:
    """A fake clock, and passes that spend a known time on it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds: Any) -> None:
        self.clock = FakeClock()
        self.calls: list[tuple[Any, int]] = []
        extend = Runner.extend
        owner = self

        def spend(runner: Runner, tokens: Any, *, clone: bool = True) -> Any:
            n = tokens.shape[1]
            owner.calls.append((runner.model, n))
            owner.clock.spend(seconds(owner, runner, n))
            return extend(runner, tokens, clone=clone)

        monkeypatch.setattr(Runner, "extend", spend)


def passes(journal: Memory) -> list[dict[str, Any]]:
    return [p for p in journal.points if p["operation"] == "pass"]


def test_every_point_is_measured_once_with_warm_ups_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    timed = Timed(monkeypatch, lambda owner, runner, n: 0.001 * n * runner.batch)
    journal = Memory()
    asked = grid((1, 2, 5), (1, 2), (8, 16), repeats=4, warmup=2)
    both = {"a": loaded_gpt2(), "b": loaded_gpt2(layers=2)}
    complete = measure_costs(both, journal, asked, clock=timed.clock)
    assert complete
    shapes = list(itertools.product((1, 2), (8, 16)))
    assert len(journal.points) == pass_points(2, [asked])
    assert {tuple(p[k] for k in Memory.KEY[1:]) for p in passes(journal)} == {
        (m, n, b, c, "eager") for m in "ab" for n in (1, 2, 5) for b, c in shapes
    }
    for point in passes(journal):
        expected = 0.001 * point["tokens"] * point["batch"]
        assert point["times_s"] == pytest.approx([expected] * 4)
        assert point["warmup_s"] == pytest.approx([expected] * 2)
        assert point["threads"] == 1
    around = {(p["operation"], p["mode"]) for p in journal.points if "temperature" in p}
    assert around == {
        (o, m) for o in ("draw", "verify") for m in ("temperature 0", "temperature 1")
    }
    assert {p["operation"] for p in journal.points} == {
        "pass",
        "draw",
        "verify",
        "copy_bandwidth",
        "launch",
    }
    assert {p["tokens"] for p in journal.points if p["operation"] == "verify"} == {1, 4}


def test_a_drift_of_the_machine_hits_all_numbers_of_tokens_and_all_models_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The machine slows down tenfold on the way: times measured one after the other would differ.
    timed = Timed(monkeypatch, lambda owner, runner, n: 1.0 + 0.01 * len(owner.calls))
    journal = Memory()
    measure_costs(
        {"a": loaded_gpt2(), "b": loaded_gpt2(layers=2)},
        journal,
        grid(range(1, 6), repeats=60, warmup=1),
        clock=timed.clock,
    )
    means = [sum(p["times_s"]) / 60 for p in passes(journal)]
    assert max(means) / min(means) < 1.03
    last = [p["times_s"][-1] / p["times_s"][0] for p in passes(journal)]
    assert min(last) > 2


def test_a_measurement_that_was_cut_off_goes_on_without_a_point_twice() -> None:
    whole = Memory()
    asked = grid((1, 3), (1, 2), repeats=2)
    assert measure_costs({"a": loaded_gpt2(), "b": loaded_gpt2(layers=2)}, whole, asked)
    for limit in range(0, len(whole.points), 5):
        cut = Memory(limit)
        with pytest.raises(KeyboardInterrupt):
            measure_costs({"a": loaded_gpt2(), "b": loaded_gpt2(layers=2)}, cut, asked)
        assert len(cut.points) == limit
        cut.limit = math.inf
        assert measure_costs({"a": loaded_gpt2(), "b": loaded_gpt2(layers=2)}, cut, asked)
        assert cut.done == whole.done


def test_it_stops_between_blocks_when_the_time_is_up_and_says_so() -> None:
    left = iter(itertools.chain([100.0] * 4, itertools.repeat(0.0)))
    journal = Memory()
    asked = grid((1, 3), contexts=(8, 16, 24), repeats=2)
    assert not measure_costs({"a": loaded_gpt2()}, journal, asked, seconds_left=lambda: next(left))
    sizes = [sum(p["context"] == c for p in passes(journal)) for c in (8, 16, 24)]
    assert sizes[-1] == 0
    assert set(sizes) <= {0, 2}
    assert measure_costs({"a": loaded_gpt2()}, journal, asked)
    assert not measure_costs({"a": loaded_gpt2()}, Memory(), asked, seconds_left=lambda: 0.0)


def test_out_of_memory_is_a_point_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    extend = Runner.extend

    def greedy(runner: Runner, tokens: Any, *, clone: bool = True) -> Any:
        if tokens.shape[1] == 5:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB")
        return extend(runner, tokens, clone=clone)

    monkeypatch.setattr(Runner, "extend", greedy)
    journal = Memory()
    assert measure_costs({"a": loaded_gpt2()}, journal, grid((1, 5, 9), repeats=2))
    assert {p["tokens"]: p.get("error") for p in passes(journal)} == {
        1: None,
        5: "out of memory",
        9: None,
    }
    assert all(("error" in p) != ("times_s" in p) for p in journal.points)


def test_a_model_that_does_not_fit_is_refused_at_all_its_points() -> None:
    def loader() -> LoadedModel:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9")

    journal = Memory()
    assert measure_costs({"a": loader, "b": loaded_gpt2}, journal, grid((1, 2)))
    errors = {p["model"]: p.get("error") for p in passes(journal)}
    assert errors == {"a": "out of memory while loading the model", "b": None}

    def broken() -> LoadedModel:
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        measure_costs({"a": broken}, Memory(), grid((1,)))


def test_points_that_would_not_fit_are_predicted_and_not_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cost_blocks, "free_bytes", lambda device: 1000.0)
    journal = Memory()
    assert measure_costs({"a": loaded_gpt2()}, journal, grid((1,)))
    (point,) = passes(journal)
    assert "predicted to need" in point["error"]
    assert "not tried" in point["error"]
    assert shortage(5.0, None) is None
    assert shortage(0.9, 1.0) is None
    assert shortage(0.95, 1.0) is not None


def test_the_predicted_memory_holds_the_cache_and_grows_with_every_size() -> None:
    built = loaded_gpt2().model
    base: dict[str, Any] = {"batch": 2, "context": 64, "tokens": 4, "graphs": False}
    runner = Runner(built, batch=2, capacity=68)
    runner.occupy(64)
    cache = sum(t.nbytes for row in runner._cache.rows for t in (row.keys, row.values))
    assert pass_bytes(built, **base) > cache * 68 / 128
    for larger in ({"batch": 3}, {"context": 65}, {"tokens": 5}, {"graphs": True}):
        assert pass_bytes(built, **(base | larger)) > pass_bytes(built, **base)


def test_a_context_beyond_the_positions_of_a_model_is_an_error_point() -> None:
    journal = Memory()
    short = loaded_gpt2("short", positions=20)
    assert measure_costs({"a": short}, journal, grid((1, 5), contexts=(8, 16), repeats=1))
    errors = {p["context"]: p.get("error") for p in passes(journal)}
    assert errors == {8: None, 16: "16 tokens and 5 more exceed the model's 20 positions"}


def test_graphs_on_a_cpu_and_no_model_at_all_are_refused() -> None:
    with pytest.raises(ValueError, match="graphs need a CUDA device"):
        measure_costs({"a": loaded_gpt2()}, Memory(), grid((1,), modes=("graph",)))
    with pytest.raises(ValueError, match="at least 1 model"):
        measure_costs({}, Memory(), grid((1,)))


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    assert out_of_memory(torch.cuda.OutOfMemoryError("x"))
    assert out_of_memory(MemoryError())
    assert out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    assert not out_of_memory(RuntimeError("shapes do not match"))
    assert not out_of_memory(ValueError("out of memory"))


def test_ratios_are_of_medians_with_their_spread() -> None:
    def point(name: str, n: int, times: list[float]) -> dict[str, Any]:
        shape = {"batch": 1, "context": 8, "mode": "eager"}
        return {"operation": "pass", "model": name, "tokens": n, "times_s": times} | shape

    points = [
        point("t", 1, [2.0, 2.2, 2.1]),
        point("t", 4, [4.2, 4.4, 4.0]),
        point("d", 1, [0.21, 0.20, 0.22]),
        point("d", 4, [0.42, 0.40, 0.44]),
        {k: v for k, v in point("d", 9, []).items() if k != "times_s"} | {"error": "gone"},
    ]
    rows = {(r["model"], r["tokens"]): r for r in cost_rows(points, target="t")}
    assert rows["t", 1]["median_s"] == pytest.approx(2.1)
    assert rows["t", 4]["verify_ratio"] == pytest.approx(2.0)
    assert rows["d", 1]["cost_ratio"] == pytest.approx(0.1)
    assert rows["d", 4]["cost_ratio"] == pytest.approx(0.1)
    assert rows["d", 4]["verify_ratio"] == pytest.approx(2.0)
    assert rows["d", 1]["low_s"] == pytest.approx(0.205)
    assert rows["d", 1]["high_s"] == pytest.approx(0.215)
    assert rows["d", 9]["error"] == "gone"
    assert rows["t", 1]["cost_ratio"] == pytest.approx(1.0)
    json.dumps(list(rows.values()))


def test_the_clock_is_the_wall_on_a_cpu_and_events_on_cuda(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert isinstance(clock_of(torch.device("cpu")), HostClock)
    assert isinstance(clock_of(torch.device("cuda", 0)), CudaClock)
    with pytest.raises(ValueError, match="needs a CUDA device, given cpu"):
        CudaClock(torch.device("cpu"))
    wall = FakeClock()  # what is done before a step is not counted
    monkeypatch.setattr(time, "perf_counter", lambda: wall.now_s)
    steps = [(lambda: wall.spend(5.0), lambda: wall.spend(0.25))] * 2
    assert HostClock().time(steps) == [0.25] * 2
    assert wall.now_s == 10.5


def test_the_state_of_a_gpu_is_what_nvidia_smi_says_in_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho '1980, 2619, [N/A], 31, P0'\n")
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert MachineState(torch.device("cuda", 0)).read() == {
        "sm_mhz": 1980.0, "memory_mhz": 2619.0, "temperature_c": 31.0, "power_state": "P0",
    }  # fmt: skip


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    made = []
    for name, layers in (("big", 3), ("tiny", 1)):
        loaded_gpt2(layers=layers).model.save_pretrained(tmp_path / name)
        made.append(tmp_path / name)
    return made[0], made[1]


def test_the_command_writes_a_record_and_prints_ratios(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    big, tiny = folders
    out = tmp_path / "records" / "costs.json"
    arguments: dict[str, Any] = {"tokens": "1-2,4", "context": "8", "repeats": 2, "device": "cpu"}
    arguments["gamma"] = "1,3"
    costs.ask(target=str(big), draft=[str(tiny)], out=str(out), **arguments)
    printed = capsys.readouterr().out
    assert "V(n)/V(1)" in printed
    assert "tiny" in printed
    assert read_record(out).provenance["models"]["big"]["layers"] == 3
    costs.ask(target=str(big), draft=[str(tiny)], out=str(out), **arguments, as_json=True)
    shown = json.loads(capsys.readouterr().out)
    assert shown["complete"]
    assert shown["target"] == "big"
    assert [(r["model"], r["tokens"]) for r in shown["passes"]] == [
        (m, n) for m in ("big", "tiny") for n in (1, 2, 4)
    ]
    own = [r["cost_ratio"] for r in shown["passes"] if r["model"] == "big"]
    assert own == pytest.approx([1.0] * 3, rel=1e-12)  # a quotient is rounded
    assert "plain steps" in printed
    assert [(r["draft"], r["gamma"]) for r in shown["rounds"]] == [("tiny", 1), ("tiny", 3)]
    assert all(r["plain_steps"] > 0 for r in shown["rounds"])
    with pytest.raises(ValueError, match="another measurement"):
        costs.ask(target=str(big), draft=[str(tiny)], out=str(out), **(arguments | {"repeats": 3}))
    answer = howspec.measure_costs(
        str(big), [str(tiny)], out=out, tokens=(1, 2, 4), context=8, gamma=(1, 3), repeats=2,
        device="cpu",
    )  # fmt: skip
    assert repr(answer).startswith(f"<MeasuredCosts: {answer.headline()}")
    there = answer.to_json()
    assert {k: v for k, v in there.items() if k != "inputs"} == {
        k: v for k, v in shown.items() if k != "inputs"
    }
    assert list(answer.to_frame()["n"]) == [1, 2, 4, 1, 2, 4]


def test_the_command_stops_when_its_time_is_up_and_goes_on(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "costs.json"
    arguments: dict[str, Any] = {"tokens": "1", "context": "8", "repeats": 1, "device": "cpu"}
    costs.ask(target=str(folders[0]), out=str(out), **arguments, stage_seconds=0.0)
    assert "not complete" in capsys.readouterr().out
    assert not out.exists()
    costs.ask(target=str(folders[0]), out=str(out), **arguments)
    assert out.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"out": "costs.json.gz"}, r"out must be a \.json file or a folder"),
        ({"tokens": "1,x"}, "--tokens must be whole numbers and ranges"),
        ({"tokens": "9-1"}, "--tokens has a range that falls: 9-1"),
        ({"mode": "graph"}, "mode must be eager on a CPU, got graph"),
        ({"mode": "fast"}, "mode must be one of eager, graph, both, auto"),
        ({"draft": ["FOLDER"]}, "two of the models are named big"),
        ({"tokens": "0"}, "tokens must be a whole number >= 1"),
        ({"draft": ["TINY"], "gamma": "0-2"}, "gamma must be a whole number >= 1"),
        ({"draft": ["TINY"], "context": "0"}, "context must be a whole number >= 1, got 0"),
        ({"warmup": 0}, "warmup must be a whole number >= 1, got 0"),
        ({"draft": ["TINY"], "gamma": "many"}, "--gamma must be whole numbers and ranges"),
    ],
)
def test_the_command_names_what_is_wrong(
    folders: tuple[Path, Path], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    given: dict[str, Any] = {"out": str(tmp_path / "costs.json"), "device": "cpu", "context": "8"}
    names = {"FOLDER": folders[0], "TINY": folders[1]}
    given |= {
        k: [str(names[v[0]])] if k == "draft" and v[0] in names else v for k, v in change.items()
    }
    with pytest.raises(ValueError, match=message):
        costs.ask(target=str(folders[0]), **given)


def test_rounds_are_told_in_plain_steps_of_the_same_place() -> None:
    place = {"model": "d", "target": "t", "batch": 1, "mode": "eager"}
    step = {**place, "operation": "step", "tokens": 1, "context": 8, "times_s": [2.0, 2.0, 9.0]}
    one = {**place, "operation": "round", "tokens": 1, "context": 8, "times_s": [3.0, 5.0, 4.0]}
    far = {**one, "context": 16}
    lost = {k: v for k, v in one.items() if k != "times_s"} | {"tokens": 2, "error": "no room"}
    alone = {"operation": "pass", "model": "d", "tokens": 1}
    rows = round_rows([alone, step, one, far, lost])
    assert [(r["gamma"], r["context"]) for r in rows] == [(1, 8), (1, 16), (2, 8)]
    assert rows[0]["plain_steps"] == 2.0
    assert (rows[0]["low_s"], rows[0]["median_s"], rows[0]["high_s"]) == (3.5, 4.0, 4.5)
    assert rows[1]["plain_steps"] is None
    assert rows[2]["error"] == "no room"
