from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import command
import numpy as np
import pytest
from howspec.calibrate.doors import Deployment, acceptance, resolve
from howspec.calibrate.models import device
from howspec.calibrate.named import NamedModel, named, same_vocabulary
from howspec.calibrate.pair import Load, Use
from howspec.calibrate.prior.acceptance import expected_acceptance
from howspec.calibrate.prior.costs import expected_costs
from howspec.calibrate.prior.pair_costs import recorded_costs
from howspec.calibrate.records import Record, write_record
from howspec.sim.choice import RoundTimes, choose
from howspec.sim.common import common_laws
from howspec.sim.known import Sources
from howspec.sim.prediction import break_even
from howspec.theory import AffineCost, DepthAcceptance, tokens_by_gamma
from howspec.theory.acceptance.positional import damped

PAIR = ("--target", "Llama-3.1-8B", "--draft", "Llama-3.2-1B")
NAMES = (*PAIR, "--device", "H100", "--task", "chat")


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    return command.call(capsys, "predict", *arguments)


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    return command.answer(capsys, "predict", *arguments)


def kinds(found: dict[str, Any]) -> tuple[str, str]:
    return found["parts"]["acceptance"]["kind"], found["parts"]["cost"]["kind"]


def test_what_is_given_is_called_stated_and_the_rest_predicted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stated = answer(capsys, *NAMES, "--alpha", "0.8")
    assert kinds(stated) == ("stated", "predicted")
    assert stated["parts"]["acceptance"]["alpha"]["low"] == pytest.approx(0.8)
    assert kinds(answer(capsys, *NAMES, "--cost-ratio", "0.1")) == ("predicted", "stated")
    both = answer(capsys, *PAIR, "--alpha", "0.8", "--cost-ratio", "0.05")
    plain = answer(capsys, "--alpha", "0.8", "--cost-ratio", "0.05")
    assert both["gamma"] == plain["gamma"]
    assert both["speedup"] == plain["speedup"]
    assert both["break_even_alpha"] == pytest.approx(plain["break_even_alpha"], abs=1e-6)


def test_tokens_of_the_pair_itself_narrow_alpha_around_their_rate(
    capsys: pytest.CaptureFixture[str],
) -> None:
    width = []
    for tokens in (50, 200, 5000):
        found = answer(capsys, *NAMES, "--alpha", "0.6", "--alpha-tokens", str(tokens))
        alpha = found["parts"]["acceptance"]["alpha"]
        width.append(alpha["high"] - alpha["low"])
        assert found["parts"]["acceptance"]["kind"] == "stated"
    assert width[0] > width[1] > width[2]
    assert alpha["estimate"] == pytest.approx(0.6, abs=0.02)
    prior = answer(capsys, *NAMES)["parts"]["acceptance"]["alpha"]
    assert width[0] < prior["high"] - prior["low"]


def test_imported_statistics_and_records_replace_the_prediction(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    counts = tmp_path / "counts.json"
    counts.write_text(json.dumps(
        {"engine": "vllm", "rounds": 4000, "gamma": 3, "drafted": 12000, "accepted": 6000,
         "acceptance_length": 2.5, "survival": [0.75, 0.5, 0.25],
         "per_position_accepted": [3000, 2000, 1000]}
    ))  # fmt: skip
    found = answer(capsys, *NAMES, "--acceptance", str(counts))
    assert kinds(found) == ("imported", "predicted")
    assert found["parts"]["acceptance"]["alpha"]["estimate"] == pytest.approx(6 / 9, abs=0.01)
    alone = answer(capsys, "--acceptance", str(counts), "--cost-ratio", "0.05")
    assert alone["speedup_by_gamma"][3] == pytest.approx(2.5 / 1.15, abs=0.03)
    rng = np.random.default_rng(1)
    points = tuple(
        {"type": "rounds", "draft": "Llama-3.2-1B", "temperature": 0.0, "domain": "chat",
         "request": k, "drafted": 4, "accepted": rng.integers(0, 5, 60).tolist()}
        for k in range(20)
    )  # fmt: skip
    path = write_record(Record("acceptance", {}, {}, points), tmp_path / "rounds.json")
    found = answer(capsys, *NAMES, "--acceptance", str(path))
    assert kinds(found) == ("measured", "predicted")
    assert found["parts"]["acceptance"]["alpha"]["estimate"] == pytest.approx(2 / 2.8, abs=0.03)


CONFIG = {
    "model_type": "llama", "vocab_size": 1000, "hidden_size": 128, "intermediate_size": 512,
    "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 4,
}  # fmt: skip


def local(folder: Path, name: str, layers: int) -> Path:
    (folder / name).mkdir()
    config = CONFIG | {"num_hidden_layers": layers, "torch_dtype": "float32"}
    (folder / name / "config.json").write_text(json.dumps(config))
    return folder / name


def cost_record(small_s: float, large_s: float, models: tuple[str, ...]) -> Record:
    layers = {"small": 2, "large": 16}
    points: list[dict[str, Any]] = [
        {"operation": "pass", "model": m, "tokens": n, "batch": 1, "context": 64, "mode": "eager",
         "times_s": [(small_s if m == "small" else large_s) * (1.0 + 0.02 * n)] * 3}
        for m in models for n in (1, 2, 4, 8)
    ]  # fmt: skip
    configs = {m: {"config": CONFIG | {"num_hidden_layers": layers[m]}} for m in models}
    about = {"device": "generic", "dtype": "float32", "models": configs}
    return Record("costs", {}, about, tuple(points))


def test_a_cost_record_of_both_models_sets_their_ratio(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    large, small = local(tmp_path, "large", 16), local(tmp_path, "small", 2)
    record = cost_record(1e-3, 5e-3, ("small", "large"))
    path = write_record(record, tmp_path / "costs.json")
    pair = ("--target", str(large), "--draft", str(small), "--device", "cpu", "--context", "64")
    found = answer(capsys, *pair, "--costs", str(path), "--alpha", "0.8")
    assert kinds(found) == ("stated", "measured")
    ratio = found["parts"]["cost"]["cost_ratio"]
    assert ratio["estimate"] == pytest.approx(0.2, rel=0.1)
    free = answer(capsys, *pair, "--alpha", "0.8", "--stack", "eager")["parts"]["cost"]
    assert ratio["high"] - ratio["low"] < free["cost_ratio"]["high"] - free["cost_ratio"]["low"]
    half = recorded_costs(
        cost_record(1e-3, 5e-3, ("large",)), named(str(large)), named(str(small)),
        load=Load(device("cpu")), rng=np.random.default_rng(0), draws=200, on=device("cpu"),
    )  # fmt: skip
    assert half.measured == ("large",)
    assert np.median(half.law.plain_step(context=64)) == pytest.approx(5e-3, rel=0.1)


def test_no_room_and_no_gain_are_a_plain_no(capsys: pytest.CaptureFixture[str]) -> None:
    pair = ("--target", "Llama-3.1-70B", "--draft", "Llama-3.2-1B", "--device", "H100")
    found = answer(capsys, *pair)
    assert (found["gamma"], found["pays"], found["speedup"]["estimate"]) == (0, False, 1.0)
    assert "does NOT fit" in found["notes"][0]
    assert found["parts"]["cost"]["memory"]["fits"] is False
    _, out, _ = call(capsys, *pair)
    assert out.startswith("NO: does NOT fit: the target alone takes 141 GB")
    first = out.splitlines()[0]
    assert first.endswith("it needs 2x H100 SXM or more, or the target's weights in 4 bits")
    assert "tokens/s" not in out  # of what does not run
    _, out, _ = call(capsys, *pair[:-1], "2x H100")
    assert out.startswith("gamma ")
    assert answer(capsys, *pair, "--dtype", "int4")["pays"] is True
    slow = ("--target", "Llama-3.2-1B", "--draft", "Llama-3.1-8B", "--device", "H100")
    found = answer(capsys, *slow)
    assert (found["gamma"], found["pays"]) == (0, False)
    assert any("larger than the target" in n for n in found["notes"])
    _, out, _ = call(capsys, *slow)
    assert out.startswith("NO:")


def test_a_rise_dies_out_beyond_the_depth_it_was_seen_at_and_a_fall_goes_on() -> None:
    for decay in (0.9, 1.0, 1.06):
        law = DepthAcceptance(np.array([0.6]), np.array([decay]))
        rates = np.asarray(damped(law, 40).rates)[0]
        exact = np.minimum(0.6 * decay ** np.arange(40), 1.0)
        assert rates[:5] == pytest.approx(exact[:5])
        if decay <= 1.0:
            assert rates == pytest.approx(exact)
        else:
            # 4 steps of the rise, then 0.7 + 0.7^2 + ... of one more in all.
            assert (np.diff(rates) >= 0.0).all()
            assert rates[-1] == pytest.approx(0.6 * decay ** (4 + 0.7 / 0.3), rel=1e-4)


def test_tables_agree_with_the_laws_they_are_made_of() -> None:
    law = damped(DepthAcceptance(np.array([0.5, 0.9]), np.ones(2)), 6)
    tokens = tokens_by_gamma(law, 6)
    assert tokens[0] == pytest.approx([2 * (1 - 0.5 ** (g + 1)) for g in range(7)])
    cost = AffineCost(0.08, 0.01, 0.1)
    times = RoundTimes.of(cost, 12)
    assert break_even(times, gamma_max=12) == pytest.approx(break_even(cost, gamma_max=12))
    with pytest.raises(ValueError, match=r"gamma must be in \[0, 12\]"):
        times.round_time(13)


def test_the_choice_is_the_gamma_with_the_largest_mean() -> None:
    table = np.array([[1.0, 1.2, 0.9], [1.0, 0.9, 1.3], [1.0, 0.8, 1.3]])
    found = choose(table, objective="throughput")
    assert (found.gamma, found.speedup) == (2, pytest.approx(3.5 / 3))
    assert found.probability_gain == pytest.approx(2 / 3)
    assert choose(table * [1.0, 0.5, 0.5]).gamma == 0


def test_draws_are_in_common_so_drafts_differ_less_than_each_is_unsure() -> None:
    pair = resolve(Deployment("Llama-3.1-70B", None, "4x H100"))
    pairs = [pair.with_draft(name) for name in ("Llama-3.2-1B", "Llama-3.2-3B")]
    laws = common_laws(pairs, Sources(), 16, 0)
    log_h = np.log(-np.log([known.acceptance.alpha for known in laws]))
    assert (log_h[0] - log_h[1]).std() < 0.6 * log_h[0].std()
    ratios = np.log([known.costs.cost_ratio() for known in laws])
    assert (ratios[0] - ratios[1]).std() < ratios[0].std()


def test_the_draft_that_is_the_target_is_always_accepted() -> None:
    target = named("Llama-3.2-3B")
    found = expected_acceptance(target, [target], use=Use(), rng=np.random.default_rng(0))
    assert found.alpha.min() > 0.99


def test_vocabularies_count_draft_by_draft() -> None:
    target, own, other = named("Llama-3.1-8B"), named("Llama-3.2-1B"), named("Qwen2.5-1.5B")
    assert same_vocabulary(target.shape, own.shape)
    assert not same_vocabulary(target.shape, other.shape)
    rng = np.random.default_rng(0)
    alike = NamedModel("stranger-1.5B", other.shape, other.dtype)
    bare = expected_acceptance(target, [own, alike], use=Use(), rng=rng, draws=4000)
    assert np.median(bare.alpha[1]) < np.median(bare.alpha[0])


def test_an_update_needs_a_positive_number_of_tokens() -> None:
    pair = resolve(Deployment("Llama-3.1-8B", "Llama-3.2-1B", task="code"))
    with pytest.raises(ValueError, match=r"alpha_tokens must be in \(0, inf\), got 0"):
        acceptance(0.5, tokens=0.0, pair=pair, rng=np.random.default_rng(0), draws=400)


def test_formats_in_a_name_reach_the_costs() -> None:
    rng = np.random.default_rng(0)
    packed = expected_costs(
        named("Llama-3.1-8B-AWQ"), [named("Llama-3.2-1B")], load=Load(device("L4")), rng=rng,
        draws=50,
    )  # fmt: skip
    assert packed[0].dtype == "int4"
