"""Simulated acceptance: each engine is told the same acceptance in its own number."""

from __future__ import annotations

import json
import math
import shlex
from typing import Any

import numpy as np
import pytest
from howspec.cli.servers import ENGINES
from howspec.cli.servers import synthetic as verb
from howspec.sim.emit.emission import decimal
from howspec.sim.emit.synthetic import (
    SYNTHETIC,
    independent_rates_of,
    minimum_variance_rates,
    rates_of_alpha,
    synthetic_settings,
    validate_acceptance_length,
    validate_rates,
)
from howspec.theory import tokens_per_round
from hypothesis import given
from hypothesis import strategies as st

FORCE = "TLLM_SPEC_DECODE_FORCE_NUM_ACCEPTED_TOKENS"


def test_the_engines_take_the_length_and_tensorrt_llm_one_less() -> None:
    of = {e: synthetic_settings(e, 4, acceptance_length=3.24) for e in SYNTHETIC}
    words = shlex.split(of["vllm"].command)
    assert json.loads(words[1]) == {
        "num_speculative_tokens": 4,
        "rejection_sample_method": "synthetic",
        "synthetic_acceptance_length": 3.24,
    }
    assert of["sglang"].environment == {
        "SGLANG_SIMULATE_ACC_LEN": "3.24",
        "SGLANG_SIMULATE_ACC_METHOD": "match-expected",
        "SGLANG_SIMULATE_ACC_TOKEN_MODE": "real-draft-token",
    }
    assert "--speculative-num-draft-tokens 5" in of["sglang"].command
    assert of["tensorrt-llm"].environment == {FORCE: "2.24"}
    assert of["llama.cpp"].command.endswith("--spec-synth-len 3.24")
    assert of["atom"].command == "--num-speculative-tokens 4 --spec-decode-acceptance-length 3.24"
    assert all("text means nothing" in e.notes[0] for e in of.values())


@given(length=st.floats(1.01, 9.0), gamma=st.integers(1, 8))
def test_what_an_engine_draws_from_its_setting_has_the_wanted_mean(
    length: float, gamma: int
) -> None:
    if length > gamma + 1:
        with pytest.raises(ValueError, match="acceptance_length must be in"):
            synthetic_settings("vllm", gamma, acceptance_length=length)
        return
    forced = float(
        synthetic_settings("tensorrt-llm", gamma, acceptance_length=length).environment[FORCE]
    )
    # TensorRT-LLM accepts the whole part always, and one more with the fraction as probability.
    mean = (1.0 - (forced % 1.0)) * math.floor(forced) + (forced % 1.0) * (math.floor(forced) + 1)
    assert 1.0 + mean == pytest.approx(length, abs=1e-6)
    sglang = synthetic_settings("sglang", gamma, acceptance_length=length).environment
    assert float(sglang["SGLANG_SIMULATE_ACC_LEN"]) == pytest.approx(length, abs=1e-6)
    # llama.cpp: one conditional rate p with p + p^2 + .. + p^gamma = length - 1.
    rates = independent_rates_of(length, gamma)
    powers = rates[0] ** np.arange(1.0, gamma + 1.0)
    assert rates == pytest.approx(powers, rel=1e-9)
    assert sum(rates) == pytest.approx(length - 1.0, abs=1e-9)
    steady = minimum_variance_rates(length, gamma)
    assert sum(steady) == pytest.approx(length - 1.0, abs=1e-9)
    assert sum(0.0 < r < 1.0 for r in steady) <= 1
    for share in (rates, steady):
        validate_rates([min(r, 1.0) for r in share], gamma)


def test_rates_by_position_are_those_of_alpha_and_only_some_engines_take_them() -> None:
    rates = rates_of_alpha(0.8, 4)
    assert 1.0 + sum(rates) == pytest.approx(float(tokens_per_round(0.8, 4)))
    vllm = synthetic_settings("vllm", 4, rates=rates, method="eagle3", model="my/draft")
    assert vllm.config["synthetic_acceptance_rates"] == [0.8, 0.64, 0.512, 0.4096]
    assert vllm.config["method"] == "eagle3"
    assert "synthetic_acceptance_length" not in vllm.config
    llama = synthetic_settings("llama.cpp", 4, rates=rates)
    assert llama.command.endswith("--spec-synth-rates 0.8,0.64,0.512,0.4096")
    for engine in ("sglang", "tensorrt-llm", "atom"):
        emission = synthetic_settings(engine, 4, rates=rates)
        assert any("takes no rates" in n for n in emission.notes)
        assert "3.3616" in emission.text() or "2.3616" in emission.text()


@pytest.mark.parametrize("length", [0.99, 5.01, math.nan, math.inf, -1.0])
@pytest.mark.parametrize("engine", list(SYNTHETIC))
def test_lengths_that_cannot_be_are_refused(engine: str, length: float) -> None:
    with pytest.raises(ValueError, match=r"acceptance_length must be in \[1, gamma \+ 1 = 5\]"):
        synthetic_settings(engine, 4, acceptance_length=length)


def test_the_ends_of_the_range_are_allowed_where_the_engine_has_a_word_for_them() -> None:
    assert validate_acceptance_length(1.0, 3) == 1.0
    assert validate_acceptance_length(4.0, 3) == 4.0
    assert synthetic_settings("tensorrt-llm", 3, acceptance_length=4.0).environment == {FORCE: "3"}
    with pytest.raises(ValueError, match="no setting at all"):
        synthetic_settings("tensorrt-llm", 3, acceptance_length=1.0)
    assert synthetic_settings("vllm", 3, rates=[0.0, 0.0, 0.0]).command


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        ([0.9, 0.5], "one value a draft position, 3"),
        ([0.9, 0.5, 0.6], "must not rise with position"),
        ([1.1, 0.5, 0.4], r"must be in \[0, 1\]"),
        ([0.9, 0.5, -0.1], r"must be in \[0, 1\]"),
        ([0.9, math.nan, 0.1], r"must be in \[0, 1\]"),
    ],
)
def test_rates_that_cannot_be_are_refused(rates: list[float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        validate_rates(rates, 3)


@given(st.floats(0.0, 1000.0))
def test_a_number_is_written_as_a_person_would(value: float) -> None:
    text = decimal(value)
    assert float(text) == pytest.approx(value, abs=5e-7)
    assert "e" not in text
    assert not ("." in text and text.endswith("0"))
    assert decimal(round(value, 2)) == f"{round(value, 2):.2f}".rstrip("0").rstrip(".")


def test_the_command_knows_the_engines_and_prints_what_to_paste(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert set(ENGINES) == set(SYNTHETIC)
    verb.ask(engine="tensorrt-llm", gamma=4, acceptance_length=3.5)
    captured = capsys.readouterr()
    assert captured.out.strip() == f"export {FORCE}=2.5"
    assert "less the bonus" in captured.err
    verb.ask(engine="vllm", gamma=3, acceptance_length=2.5, independent=True, as_json=True)
    answer = json.loads(capsys.readouterr().out)
    assert 1 + sum(answer["config"]["synthetic_acceptance_rates"]) == pytest.approx(2.5, abs=1e-5)
    verb.ask(engine="llama.cpp", gamma=2, rates="0.9,0.5")
    assert "--spec-synth-rates 0.9,0.5" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"engine": "tgi", "acceptance_length": 2.0}, "engine must be one of"),
        ({"engine": "vllm"}, "needs one of"),
        ({"engine": "vllm", "alpha": 0.5, "rates": "0.5"}, "needs one of"),
        ({"engine": "vllm", "rates": "a,b"}, "--rates must be numbers"),
        ({"engine": "vllm", "alpha": 0.5, "independent": True}, "--independent goes"),
        ({"engine": "vllm", "alpha": 1.5}, "alpha must be in"),
        ({"engine": "vllm", "acceptance_length": 2.0, "gamma": 0}, "gamma must be an integer"),
    ],
)
def test_the_command_refuses_what_does_not_go_together(given_: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        verb.ask(**({"gamma": 3} | given_))
