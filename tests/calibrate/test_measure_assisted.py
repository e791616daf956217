"""Assisted generation of transformers: what it reads, and what its rounds did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from howspec.calibrate.measure.assisted_counts import (  # noqa: E402
    count_rounds,
    generate_assisted,
    generate_plain,
)
from howspec.calibrate.measure.device import NotMeasurableError, point_failure  # noqa: E402
from small_models import llama  # noqa: E402

TARGET = llama(1, vocab_size=120, eos_token_id=3)
DRAFT = llama(2, share=0.8, like=TARGET, vocab_size=120, eos_token_id=3)
SETTINGS: dict[str, Any] = {"new_tokens": 48, "seed": 5}


@pytest.mark.parametrize("gamma", [1, 2, 5])
@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
def test_a_constant_number_of_draft_tokens_stays_what_it_is(gamma: int, temperature: float) -> None:
    got = generate_assisted(TARGET, DRAFT, [1, 2], gamma=gamma, temperature=temperature, **SETTINGS)
    assert len(got.tokens) == 48
    assert got.rounds is not None
    left = 48
    for r in got.rounds:
        assert r.drafted == min(gamma, left - 1)
        assert 0 <= r.accepted <= r.drafted
        left -= r.accepted + 1
    assert left == 0
    assert sum(r.accepted for r in got.rounds) > 0


def test_draft_tokens_given_to_generate_itself_are_ignored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Why the settings go through the assistant: this is what transformers does today."""
    monkeypatch.setattr(DRAFT.generation_config, "assistant_confidence_threshold", 0.0)
    ids = torch.tensor([[1, 2]])
    with count_rounds(TARGET) as counts:
        TARGET.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=40, pad_token_id=0,
            assistant_model=DRAFT, do_sample=False, eos_token_id=None, num_assistant_tokens=2,
        )  # fmt: skip
    assert max(r.drafted for r in counts.requests[0]) > 2


def test_the_heuristic_adds_two_where_all_are_accepted_and_else_takes_one() -> None:
    got = generate_assisted(
        TARGET, DRAFT, [1, 2], gamma=5, schedule="heuristic", temperature=1.0, **SETTINGS
    )
    assert got.rounds is not None
    gamma, left, seen = 5, 48, set()
    for r in got.rounds:
        assert r.drafted == min(gamma, left - 1)
        seen.add(r.accepted == r.drafted)
        gamma = gamma + 2 if r.accepted == r.drafted else max(1, gamma - 1)
        left -= r.accepted + 1
    assert seen == {True, False}


def test_requests_do_not_depend_on_those_before_and_settings_are_put_back() -> None:
    before = DRAFT.generation_config.to_dict(), TARGET.generation_config.to_dict()
    first, again = (
        generate_assisted(
            TARGET, DRAFT, [1, 2], gamma=3, schedule="heuristic", temperature=1.0, **SETTINGS
        )
        for _ in range(2)
    )
    assert first.rounds == again.rounds
    assert first.tokens == again.tokens
    assert (DRAFT.generation_config.to_dict(), TARGET.generation_config.to_dict()) == before
    assert "_get_candidate_generator" not in TARGET.__dict__


def test_at_temperature_zero_the_tokens_are_those_of_plain_generate() -> None:
    plain = generate_plain(TARGET, [7, 8, 9], temperature=0.0, **SETTINGS)
    got = generate_assisted(TARGET, DRAFT, [7, 8, 9], gamma=4, temperature=0.0, **SETTINGS)
    assert plain.rounds is None
    assert got.tokens == plain.tokens


def test_any_assisted_generate_can_be_counted_and_written(tmp_path: Path) -> None:
    ids = torch.tensor([[1, 2, 1, 2, 1]])
    with count_rounds(TARGET) as counts:
        for seed in (0, 1):
            torch.manual_seed(seed)
            TARGET.generate(
                input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=20,
                assistant_model=DRAFT, do_sample=True, pad_token_id=0,
            )  # fmt: skip
        TARGET.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=20, pad_token_id=0,
            prompt_lookup_num_tokens=2, do_sample=False,
        )  # fmt: skip
    assert len(counts.requests) == 3
    lines = [json.loads(x) for x in counts.write(tmp_path / "a.jsonl").read_text().splitlines()]
    assert lines[0]["summary"]["transformers"] == transformers.__version__
    assert lines[0]["summary"]["rounds"] == len(lines) - 1
    assert lines[0]["summary"]["drafted"] == sum(x["drafted"] for x in lines[1:])
    assert lines[1] == {
        "request": 0,
        "round": 0,
        "drafted": counts.requests[0][0].drafted,
        "accepted": counts.requests[0][0].accepted,
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gamma": 0}, "gamma must be a whole number >= 1"),
        ({"schedule": "dynamic"}, "schedule must be one of constant, heuristic"),
        ({"temperature": -1.0}, "temperature must be 0 or in"),
        ({"prompt": []}, "prompt is empty"),
        ({"new_tokens": 0}, "new_tokens must be a whole number >= 1"),
    ],
)
def test_what_cannot_be_generated_is_said(change: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"prompt": [1], "gamma": 2, "temperature": 1.0, **SETTINGS, **change}
    with pytest.raises(ValueError, match=message):
        generate_assisted(TARGET, DRAFT, given.pop("prompt"), **given)


def test_a_model_that_cannot_be_counted_is_refused() -> None:
    with (
        pytest.raises(ValueError, match="rounds are counted in transformers models"),
        count_rounds(torch.nn.Linear(1, 1)),
    ):
        pass


def test_what_comes_with_a_model_does_not_change_the_law_of_its_text() -> None:
    """A folder's generation config may ask for beams, penalties, an end: none of it is ours."""
    own = {
        "do_sample": True, "num_beams": 2, "repetition_penalty": 1.8, "top_k": 2, "top_p": 0.3,
        "eos_token_id": 5, "no_repeat_ngram_size": 2,
    }  # fmt: skip
    given = {"new_tokens": 30, "temperature": 1.0, "seed": 3}

    def both() -> tuple[Any, ...]:
        assisted = generate_assisted(TARGET, DRAFT, [1, 2], gamma=3, **given)
        return assisted.tokens, assisted.rounds, generate_plain(TARGET, [1, 2], **given).tokens

    before = [model.generation_config for model in (TARGET, DRAFT)]
    expected = both()
    try:
        for model in (TARGET, DRAFT):
            model.generation_config = transformers.GenerationConfig(**own)
        assert both() == expected
        assert TARGET.generation_config.num_beams == 2
    finally:
        for model, config in zip((TARGET, DRAFT), before, strict=True):
            model.generation_config = config


def test_a_draft_with_more_logits_is_a_failure_of_its_point_alone() -> None:
    class Longer:
        config = transformers.LlamaConfig(vocab_size=128)

    with pytest.raises(NotMeasurableError, match="target 120, draft 128") as caught:
        generate_assisted(TARGET, Longer(), [1], gamma=1, temperature=0.0, **SETTINGS)
    assert point_failure(caught.value) == str(caught.value)
