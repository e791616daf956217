"""What to measure next: what is said comes true in updates, and commands run as printed."""

from __future__ import annotations

import shlex
from dataclasses import replace
from functools import cache
from pathlib import Path

import howspec
import numpy as np
import pytest
from howspec.calibrate.doors import Deployment
from howspec.cli.main import application, run
from howspec.sim.choice import choose
from howspec.sim.known import Laws, Sources
from howspec.sim.laws import both_laws
from howspec.sim.next_measurement import (
    Next,
    next_of_pair,
    next_of_ranking,
    next_of_scale,
    next_of_sweep,
)
from howspec.sim.next_options import rates_shown, times_shown
from howspec.sim.prediction import speedup_table
from howspec.sim.ranking import rank_drafts
from howspec.sim.scale import draft_scale
from howspec.theory import DepthAcceptance, tokens_by_gamma
from questions import LOG

LOG_COMMAND = "howspec import auto server.log"
PAIR = Deployment("Llama-3.1-70B", "Llama-3.2-1B", "4x H100 SXM", task="chat")
SMALL = Deployment("Llama-3.1-8B", "Llama-3.2-1B", "H100 SXM", task="chat", stack="eager")


@cache
def laws(at: Deployment) -> Laws:
    return both_laws(at)


@cache
def found(at: Deployment) -> Next:
    answer = next_of_pair(laws(at))
    assert answer is not None
    return answer


def test_interval_and_regret_after_are_those_of_updates_with_simulated_counts() -> None:
    known, tokens = laws(PAIR), 500
    alpha = known.acceptance.alpha
    table = speedup_table(known.acceptance.law, known.costs.law, known.gamma_max, context=1000)
    rng, rows = np.random.default_rng(0), []
    for i in rng.choice(alpha.size, 40, replace=False):
        error = 2.0 * np.sqrt(alpha[i] * (1.0 - alpha[i]) / tokens)  # prompts differ
        seen = float(np.clip(alpha[i] + error * rng.standard_normal(), 0.0, 1.0))
        after = both_laws(PAIR, Sources(acceptance=seen, alpha_tokens=tokens))
        then = choose(
            speedup_table(after.acceptance.law, after.costs.law, after.gamma_max, context=1000)
        )
        lost = 1.0 - table[i, then.gamma] / table[i].max()
        rows.append((then.high - then.low, then.regret, lost))
    width, regret, lost = np.mean(rows, axis=0)
    errors = np.std(rows, axis=0) / np.sqrt(len(rows))
    from howspec.theory.decision import expected_after

    shown = 2.0 * np.arcsin(np.sqrt(alpha)) * np.sqrt(tokens / 4.0)
    said = expected_after(rng, [table], shown, objective="throughput")
    assert said.high - said.low == pytest.approx(width, abs=4.0 * errors[0])
    assert said.regret == pytest.approx(regret, rel=0.25)
    assert said.regret == pytest.approx(lost, abs=4.0 * errors[2])


def test_the_narrowing_of_a_pair_is_of_the_size_that_was_found_by_hand() -> None:
    answer = found(PAIR)
    assert (answer.now.low, answer.now.high) == pytest.approx((0.93, 3.05), abs=0.55)
    log = next(m for m in answer.measurements if m.command == LOG_COMMAND)
    before, after = answer.now.high - answer.now.low, log.after.high - log.after.low
    assert 0.45 < after / before < 0.75
    assert log.after.regret < 0.5 * answer.now.regret


def test_each_command_is_known_to_the_command_line_with_its_options() -> None:
    commands = {m.command for at in (PAIR, SMALL) for m in found(at).measurements}
    assert {c.split()[1] + " " + c.split()[2] for c in commands} == {
        "import auto", "measure http://localhost:8000", "calibrate acceptance", "calibrate costs",
    }  # fmt: skip
    root = application()
    for command in commands:
        words = shlex.split(command)[1:]
        with root.make_context("howspec", words, resilient_parsing=False) as context:
            name, verb, rest = root.resolve_command(context, words)  # type: ignore[attr-defined]
            if name == "calibrate":
                name, verb, rest = verb.resolve_command(context, rest)
            verb.make_context(name, list(rest))  # raises for an option that there is none of


def test_a_log_that_was_asked_for_narrows_the_next_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "server.log").write_text(LOG)
    with pytest.raises(SystemExit) as stop:
        run(shlex.split(LOG_COMMAND)[1:])
    assert stop.value.code == 0, capsys.readouterr().err
    after = next_of_pair(both_laws(PAIR, Sources(acceptance="server.log")))
    assert after is not None
    assert after.now.regret < found(PAIR).now.regret


def test_what_is_known_is_not_to_be_measured() -> None:
    assert next_of_pair(both_laws(Deployment(), Sources(acceptance=0.8, costs=0.05))) is None
    stated = next_of_pair(both_laws(SMALL, Sources(acceptance=0.8)))
    assert stated is not None
    assert [m.command.split()[2] for m in stated.measurements] == ["costs"]
    priced = next_of_pair(both_laws(SMALL, Sources(costs=0.1)))
    assert priced is not None
    assert "costs" not in {m.command.split()[2] for m in priced.measurements}
    huge = replace(PAIR, device="RTX4090")
    assert next_of_pair(both_laws(huge)) is None


def test_a_head_and_a_target_over_several_devices_are_not_loaded_here() -> None:
    for at in (PAIR, replace(SMALL, draft="EAGLE3")):
        assert not any("calibrate" in m.command for m in found(at).measurements)
    served = found(PAIR).measurements[0]
    assert served.command.startswith("howspec measure http://localhost:8000 --gamma ")
    assert served.after.regret < 0.3 * found(PAIR).now.regret


def test_rankings_scales_and_schedules_have_measurements_of_their_own() -> None:
    ranking = rank_drafts(SMALL, ["Llama-3.2-1B", "Llama-3.2-3B"])
    ranked = next_of_ranking(ranking)
    assert ranked is not None
    assert {m.then.split()[2] for m in ranked.measurements} <= {"Llama-3.2-1B", "Llama-3.2-3B"}
    assert ranked.measurements[0].after.regret < ranked.now.regret
    scale = next_of_scale(draft_scale(replace(SMALL, draft=None), sizes=5))
    assert scale is not None
    assert scale.measurements[0].then.startswith("predict --draft Llama-3.2-1B:")
    batches = next_of_pair(laws(SMALL), batches=(1, 16, 64))
    assert batches is not None
    assert batches.measurements


def test_a_sweep_is_measured_again_where_its_best_gamma_is_unsure() -> None:
    answer = howspec.predict_sweep("paper_bloom_grid", target="BLOOM-7.1B", draft="BLOOM-1.1B")
    best, ahead = answer.found[0], next_of_sweep(answer.found[0])
    assert ahead is not None
    assert ahead.now.regret == pytest.approx(best.prediction.regret)
    gammas = {int(m.command.split("--gamma ")[1].split()[0]) for m in ahead.measurements}
    assert gammas & set(best.prediction.gamma_window)
    assert all(abs(g - answer.gamma) <= 2 for g in gammas)
    assert ahead.measurements[0].after.regret < ahead.now.regret


def test_evidence_of_the_device_comes_first() -> None:
    at = replace(SMALL, draft="EAGLE3", stack=None, task=None)
    rows = found(at).evidence
    assert rows[0].device == "H100 SXM"
    assert {r.device for r in rows} > {"H100 SXM"}


def test_shown_rates_and_times_are_in_units_of_their_errors() -> None:
    rng = np.random.default_rng(1)
    alpha, gamma, rounds = 0.7, 4, 400
    tokens = np.asarray(tokens_by_gamma(DepthAcceptance(np.array([alpha]), np.ones(1)), gamma))
    decided = rounds * tokens[0, gamma - 1]
    center = rates_shown(tokens, gamma, decided)[0]
    kept = (rng.random((3000, rounds // 4, gamma)) < alpha).cumprod(axis=2)  # 4 is the design
    tried = np.concatenate([np.ones((3000, rounds // 4, 1)), kept[:, :, :-1]], axis=2)
    rates = [kept[:, :, p].sum((1, 2)) / tried[:, :, p].sum((1, 2)) for p in ([0], [1, 2, 3])]
    for rate, value in zip(rates, center, strict=True):
        unit = value / (2.0 * np.arcsin(np.sqrt(alpha)))
        assert np.std(unit * 2.0 * np.arcsin(np.sqrt(rate))) == pytest.approx(1.0, rel=0.08)
    times = np.array([[1.0, 1.1], [1.0, 1.1 * np.exp(0.03)]])
    assert np.diff(times_shown(times, [1])[:, 0]) == pytest.approx([1.0])


def test_every_form_of_an_answer_ends_with_what_to_measure_next() -> None:
    answer = howspec.predict(
        target="Llama-3.1-8B", draft="Llama-3.2-1B", device="H100 SXM", task="chat"
    )
    entry = answer.to_json()["next"]
    assert isinstance(entry, dict)
    assert set(entry["measurements"][0]) == {
        "command", "what", "then", "device_minutes", "speedup", "expected_regret",
    }  # fmt: skip
    assert entry["now"]["expected_regret"] == pytest.approx(answer.found.prediction.regret)
    command = entry["measurements"][0]["command"]
    assert f"  {command}" in str(answer).splitlines()
    assert command in answer._repr_html_()
    assert "next" not in howspec.predict(acceptance=0.8, costs=0.05).to_json()
