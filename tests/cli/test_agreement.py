"""Verbs that are asked the same answer the same, and what they say of bad input."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import howspec
import pytest
from command import answer, call
from howspec.calibrate import library
from howspec.cli.main import application
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

RATES = st.floats(0.02, 0.98).map(lambda x: round(x, 4))
COSTS = st.floats(0.0, 0.9).map(lambda x: round(x, 4))
SLOPES = st.floats(0.0, 0.2).map(lambda x: round(x, 4))
OVERHEADS = st.floats(0.0, 1.5).map(lambda x: round(x, 4))
MANY = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
PAIR = (
    "--target", "Llama-3.1-8B", "--draft", "Llama-3.2-1B", "--device", "H100", "--task", "chat"
)  # fmt: skip


def predicted(
    capsys: pytest.CaptureFixture[str], alpha: float, cost: float, slope: float, overhead: float
) -> dict[str, Any]:
    return answer(
        capsys, "predict", "--alpha", alpha, "--cost-ratio", cost, "--verify-slope", slope,
        "--overhead", overhead, "--gamma-max", 16,
    )  # fmt: skip


@MANY
@given(RATES, COSTS, SLOPES, OVERHEADS)
def test_an_answer_holds_together(
    capsys: pytest.CaptureFixture[str], alpha: float, cost: float, slope: float, overhead: float
) -> None:
    found = predicted(capsys, alpha, cost, slope, overhead)
    table, speedup = found["speedup_by_gamma"], found["speedup"]
    assert table[0] == 1.0
    assert table[found["gamma"]] == max(table) == speedup["estimate"]
    assert speedup["low"] <= speedup["estimate"] <= speedup["high"]
    assert sum(found["probability_best"]) == pytest.approx(1.0)
    assert found["gamma"] in found["gamma_window"]
    threshold = found["break_even_alpha"]
    pays = threshold is not None and alpha > threshold
    assert pays == (found["gamma"] > 0) or abs(alpha - threshold) < 1e-6


@MANY
@given(RATES, COSTS, SLOPES, OVERHEADS, st.floats(0.001, 0.02))
def test_speedups_rise_with_alpha_and_fall_with_cost(
    capsys: pytest.CaptureFixture[str],
    alpha: float,
    cost: float,
    slope: float,
    overhead: float,
    step: float,
) -> None:
    middle = predicted(capsys, alpha, cost, slope, overhead)["speedup_by_gamma"]
    better = predicted(capsys, alpha + step, cost, slope, overhead)["speedup_by_gamma"]
    dearer = predicted(capsys, alpha, cost + step, slope, overhead)["speedup_by_gamma"]
    assert all(b > m for b, m in zip(better[1:], middle[1:], strict=True))
    assert all(d < m for d, m in zip(dearer[1:], middle[1:], strict=True))


@MANY
@given(RATES, COSTS, SLOPES, OVERHEADS)
def test_a_schedule_of_costs_without_a_batch_is_the_prediction(
    capsys: pytest.CaptureFixture[str], alpha: float, cost: float, slope: float, overhead: float
) -> None:
    found = predicted(capsys, alpha, cost, slope, overhead)
    made = answer(
        capsys, "schedule", "--alpha", f"{alpha:.4f}+-0", "--cost-ratio", cost, "--verify-slope",
        slope, "--overhead", overhead, "--batch-max", 2,
    )  # fmt: skip
    (only,) = made["schedule"]
    assert only["speedup"]["estimate"] == pytest.approx(found["speedup"]["estimate"], rel=0.0101)
    assert found["speedup_by_gamma"][only["gamma"]] == pytest.approx(
        only["speedup"]["estimate"], rel=1e-3
    )
    if found["gamma"] == 0:
        assert only["gamma"] == 0


@settings(MANY, max_examples=12)
@given(RATES, COSTS, st.integers(0, 12), st.integers(0, 2**31))
@example(0.8, 0.05, 0, 0)  # plain decoding, exactly
def test_a_simulation_confirms_the_prediction(
    capsys: pytest.CaptureFixture[str], alpha: float, cost: float, gamma: int, seed: int
) -> None:
    wanted = predicted(capsys, alpha, cost, 0.0, 0.0)["speedup_by_gamma"][gamma]
    found = answer(
        capsys, "simulate", "--alpha", alpha, "--gamma", gamma, "--cost-ratio", cost,
        "--rounds", 64_000, "--seed", seed,
    )  # fmt: skip
    tokens = (1.0 - alpha ** (gamma + 1)) / (1.0 - alpha)
    for name, truth in (("speedup", wanted), ("tokens_per_round", tokens)):
        assert abs(found[name]["mean"] - truth) <= 5.0 * found[name]["se"] + 1e-12


@pytest.mark.parametrize("batch", [1, 32])
def test_a_named_pair_is_one_prediction_to_predict_rank_and_crossover(
    capsys: pytest.CaptureFixture[str], batch: int
) -> None:
    load = ("--batch", batch, "--context", 1000)
    found = answer(capsys, "predict", *PAIR, *load)
    ranked = answer(
        capsys, "rank", *PAIR[:2], "--draft", "Llama-3.2-1B", *PAIR[4:], *load
    )["order"][0]  # fmt: skip
    for key in ("low", "estimate", "high"):
        assert ranked["speedup"][key] == pytest.approx(found["speedup"][key], rel=1e-9)
    assert ranked["gamma"] == found["gamma"]
    assert ranked["probability_gain"] == pytest.approx(found["probability_gain"])
    crossed = answer(capsys, "crossover", *PAIR, *load)["context"]
    at = answer(capsys, "predict", *PAIR, "--batch", batch, "--context", crossed["values"][0])
    assert crossed["speedup"][0] == pytest.approx(at["speedup"]["estimate"], rel=1e-9)
    assert crossed["gamma"][0] == at["gamma"]


def test_printed_and_json_agree_to_the_digits(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("predict", *PAIR)
    found, (_, text, _) = answer(capsys, *arguments), call(capsys, *arguments)
    speedup = found["speedup"]
    assert f"gamma {found['gamma']} " in text
    assert f"speed-up {speedup['estimate']:.3f}" in text
    assert f"{speedup['low']:.3f}-{speedup['high']:.3f}" in text
    assert f"{found['break_even_alpha']:.3f}" in text
    for gamma, value in list(enumerate(found["speedup_by_gamma"]))[:8]:
        assert f" {gamma}" in text
        assert f"{value:.3f}" in text


def test_a_schedule_never_speculates_where_plain_decoding_is_faster(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # Verification costs ever more with the batch: near the crossover a change could be saved.
    path = tmp_path / "passes.csv"
    rows = ["pass,batch,tokens,time_ms"]
    for batch in range(1, 41):
        rows += [f"target,{batch},{t},{10 + 0.12 * batch * (t - 1):.3f}" for t in (1, 2, 3, 4, 5)]
        rows += [f"draft,{batch},1,5.5"]
    path.write_text("\n".join(rows) + "\n")
    seen = set()
    for alpha in (0.6, 0.62, 0.64, 0.66, 0.68):
        made = answer(capsys, "schedule", "--alpha", f"{alpha}+-0", "--costs", path,
                      "--tolerance", "0.02")  # fmt: skip
        for part in made["schedule"]:
            best = made["best_speedup_by_batch"][part["first_batch"] - 1 : part["last_batch"]]
            if part["gamma"]:
                assert part["speedup"]["estimate"] >= 1.0
                assert min(best) > 1.0
            seen.add(part["gamma"] > 0)
    assert seen == {True, False}


def test_a_gain_that_is_not_sure_is_said_with_its_probability(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = (
        "predict", "--target", "Qwen3-8B", "--draft", "Qwen3-0.6B", "--device", "H100",
        "--task", "code",
    )  # fmt: skip
    found, (_, text, _) = answer(capsys, *arguments), call(capsys, *arguments)
    assert found["speedup"]["low"] < 1.0
    assert f"above 1 with probability {100 * found['probability_gain']:.0f} %" in text
    assert "a clear optimum" not in text


def test_drafts_as_fast_as_the_best_are_named_and_plain_decoding_has_no_interval(
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = (
        "rank", "--target", "Qwen3-32B", "--draft", "Qwen3-0.6B,Qwen3-1.7B", "--device",
        "2x A100", "--task", "chat", "--dtype", "int8", "--batch", "1,128",
    )  # fmt: skip
    found, (_, text, _) = answer(capsys, *arguments), call(capsys, *arguments)
    first, second = (d["speedup"]["estimate"] for d in found["order"])
    near = [n for n in found["notes"] if n.startswith("flat at batch 1: ")]
    assert (second >= 0.99 * first) == bool(near)
    assert found["by_batch"][1]["best"] is None
    assert "1.000-1.000" not in text


@pytest.mark.parametrize("gamma", [3, 5])
def test_an_acceptance_length_answers_whether_its_gamma_is_right(
    capsys: pytest.CaptureFixture[str], gamma: int
) -> None:
    alpha = 0.6
    length = sum(alpha**k for k in range(gamma + 1))
    found = answer(
        capsys, "predict", "--acceptance-length", f"{length:.6f}", "--gamma", gamma,
        "--cost-ratio", 0.1,
    )  # fmt: skip
    exact = answer(capsys, "predict", "--alpha", alpha, "--cost-ratio", 0.1)
    assert found["gamma"] == exact["gamma"] == 3
    assert found["parts"]["acceptance"]["kind"] == "stated"
    now = found["at_gamma"]
    assert now["gamma"] == gamma
    assert now["estimate"] == pytest.approx(exact["speedup_by_gamma"][gamma], rel=1e-4)
    assert now["loss"] == pytest.approx(1.0 - now["estimate"] / found["speedup"]["estimate"])
    text = call(capsys, "predict", "--acceptance-length", f"{length:.6f}", "--gamma", gamma,
                "--cost-ratio", 0.1)[1]  # fmt: skip
    assert (f"below gamma {found['gamma']}" in text) == (gamma != 3)


def test_a_schedule_of_a_named_pair_is_the_prediction_at_each_batch(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for draft in ("Llama-3.2-1B", "EAGLE3"):
        pair = ("--target", "Llama-3.1-8B", "--draft", draft, "--device", "H100", "--task", "chat")
        made = answer(
            capsys, "schedule", *pair, "--context", 1000, "--batch-max", 33, "--gamma-max", 8
        )
        assert made["parts"] == {"acceptance": "predicted", "cost": "predicted"}
        for batch in (1, 33):
            found = answer(
                capsys, "predict", *pair, "--context", 1000, "--batch", batch, "--gamma-max", 8
            )
            assert made["best_gamma_by_batch"][batch - 1] == found["gamma"]
            assert made["best_speedup_by_batch"][batch - 1] == pytest.approx(
                found["speedup"]["estimate"], rel=1e-6
            )


# The others measure for minutes, need a server, or draw everything: test_first_contact.py.
QUICK = ("predict", "rank", "scale", "crossover", "import", "explain", "evidence", "schedule",
         "synthetic", "hook", "simulate", "formulas", "models", "devices")  # fmt: skip
IN_HELP = [
    " ".join(part.split())
    for verb in QUICK
    for part in (application().made(verb).help or "").split("\n\n")
    if part.strip().startswith("howspec ")
]


@pytest.mark.parametrize("example", IN_HELP, ids=lambda example: example[:90])
def test_every_example_runs_as_printed(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    example: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    log = call(capsys, "import", "vllm", "--example")[1]
    (tmp_path / "server.log").write_text(log, encoding="utf-8")
    arguments = shlex.split(example.split(" > ")[0])[1:]
    if "--grid" in arguments:
        arguments += ["--rounds", "6400", "--backend", "sequential"]
    status, out, err = call(capsys, *arguments)
    assert status == 0
    assert out
    assert all(line.startswith("note: ") for line in err.splitlines())
    cells = [line.split() for line in out.splitlines()]
    assert not [c for c in cells if len(c) > 2 and set(c[1:]) <= {"-", "n/a"}], "a row of dashes"


def test_every_quick_verb_has_an_example_in_its_help() -> None:
    named = {example.split()[1] for example in IN_HELP}
    assert named == set(QUICK)


def test_a_cut_file_of_points_is_a_note_and_goes_on(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "points.jsonl"
    grid = ("simulate", "--cost-ratio", "0.1", "--grid", "alpha=0.5,0.6 gamma=1", "--rounds",
            "6400", "--backend", "sequential", "--resume", path)  # fmt: skip
    status, _, err = call(capsys, *grid)
    assert (status, err) == (0, "")
    path.write_bytes(path.read_bytes()[:-20])
    status, out, err = call(capsys, *grid)
    assert (status, err) == (0, "")
    notes = [line for line in out.splitlines() if line.startswith("note: ")]
    assert len(notes) == 1
    assert "dropped a last line" in notes[0]


@pytest.mark.parametrize(
    ("verb", "search", "first"),
    [
        ("models", "", None),
        ("models", "qwen3 8b", "Qwen3-8B"),
        ("models", "meta-llama/Llama-3.1-8B-Instruct", "Llama-3.1-8B"),
        ("models", "no-such-model", None),
        ("devices", "h100", "H100"),
        ("devices", "4x H100", "4x H100 SXM"),
        ("devices", "no-such-device", None),
    ],
)
def test_python_and_the_command_line_find_the_same_models_and_devices(
    verb: str, search: str, first: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    found = getattr(howspec, verb)(search)
    if search.startswith("no-such"):
        assert found == ()
        assert call(capsys, verb, search)[0] == 2
        return
    named = [e["name"] for e in answer(capsys, verb, *([search] if search else []))[verb]]
    assert named == [getattr(e, "label", e.name) for e in found]
    assert first is None or named[0].startswith(first)


def test_what_is_looked_up_is_the_same_in_python(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "server.log"
    log.write_text(call(capsys, "import", "vllm", "--example")[1], encoding="utf-8")
    costs = Path(library.__file__).with_name("cpu-costs.json.gz")
    counts = howspec.read_statistics(log)
    for words, found in (
        (("import", log, "--fit"), howspec.statistics(counts, fit=True)),
        (("formulas",), howspec.formulas()),
        (("formulas", "speedup", "--latex"), howspec.formulas("speedup", latex=True)),
        (("calibrate", "show", costs), howspec.show(costs)),
        (("calibrate", "show", costs, "--limits"), howspec.show(costs, limits=True)),
    ):
        assert answer(capsys, *words) == json.loads(json.dumps(found.to_json()))
        printed = [b if isinstance(b, str) else f"{b}\n" for b in found.printed()]
        assert call(capsys, *words)[1].strip() == "\n".join(printed).strip()
        assert str(found).startswith(found.headline())
        assert found.headline()
        assert found.headline() not in list(found.blocks())
