"""Rules of health speak on what is broken, and are silent on every healthy sample."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_samples import SAMPLES, V1, read
from howspec.calibrate.engines.completed import counts_as
from howspec.calibrate.engines.health import RULES, Case, findings


def _series(engine: int, rounds: int, accepted: int) -> str:
    where = f'engine="{engine}",model_name="m"'
    values = (("drafts", rounds), ("draft_tokens", 3 * rounds), ("accepted_tokens", accepted))
    return "".join(f"vllm:spec_decode_num_{n}_total{{{where}}} {v}.0\n" for n, v in values)


def _read(folder: Path, text: str) -> Case:
    return Case(read(folder, text))


def _v1(rates: str, accepted: int, length: str) -> str:
    return V1.format(length=length, accepted=accepted, drafted=3000, rates=rates,
                     rate=f"{accepted / 30:.1f}")  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("position-1", SAMPLES["vllm v0, doubled word"][0]),
        ("position-1", _v1("0.010, 0.000, 0.000", 10, "1.01")),
        ("collapse", _v1("0.850, 0.100, 0.020", 970, "1.97")),
        ("replicas", _series(0, 9000, 15000) + _series(1, 9000, 6000)),
        ("columns",
         "subset,num_drafts,num_draft_tokens,num_accepted_tokens,acceptance_length,"
         "acceptance_at_pos_0,acceptance_at_pos_1\nqa,1000,2000,1000,2.0,0.3,0.2\n"),
    ],
)  # fmt: skip
def test_a_rule_speaks_first_of_what_is_broken(rule: str, text: str, tmp_path: Path) -> None:
    found = findings(_read(tmp_path, text))
    assert [f.rule for f in found][:1] == [rule]
    assert found[0].causes
    assert "issue" in found[0].source or "pull request" in found[0].source
    assert found[0].evidence in found[0].line


@pytest.mark.parametrize(
    "text",
    [
        _v1("0.770, 0.450, 0.240", 1460, "2.46"),
        _v1("0.400, 0.160, 0.064", 624, "1.62"),
        _v1("0.120, 0.010, 0.001", 131, "1.13"),
        _series(0, 9000, 15000) + _series(1, 9000, 14200),
        _series(0, 90, 150) + _series(1, 90, 80),
    ],
)
def test_weak_and_unequal_drafters_are_not_called_broken(text: str, tmp_path: Path) -> None:
    assert findings(_read(tmp_path, text)) == ()


@pytest.mark.parametrize(
    ("rule", "speed", "tokens", "batch", "explained"),
    [
        ("baseline", (3.4, 3.6), 2.5, 1.0, False),
        ("no-gain", (0.6, 0.7), 2.5, 1.0, False),
        (None, (0.6, 0.7), 2.5, 64.0, False),
        (None, (0.6, 0.7), 2.5, 1.0, True),
        (None, (1.4, 1.6), 2.5, 1.0, False),
        (None, (2.4, 2.6), 2.5, 1.0, False),
        (None, (0.8, 0.9), 1.2, 1.0, False),
    ],
)
def test_speeds_are_held_against_the_tokens_per_step(
    rule: str | None, speed: tuple[float, float], tokens: float, batch: float, explained: bool
) -> None:
    case = Case(None, sum(speed) / 2, speed, tokens, 2.0, batch, explained)
    assert [f.rule for f in findings(case)] == ([] if rule is None else [rule])


@pytest.mark.parametrize(("speed", "broken"), [((0.78, 0.8), True), ((0.98, 1.0), False)])
def test_a_schedule_that_is_off_and_costs_is_named(
    speed: tuple[float, float], broken: bool
) -> None:
    counts = counts_as("vllm-per-request", rounds=20, drafted=60, accepted=40, gamma=3, tokens=4000)
    found = findings(Case(counts, speed[0], speed, 1.01))
    assert [f.rule for f in found] == (["off-but-costs"] if broken else [])


def test_every_rule_states_its_source() -> None:
    assert len(set(RULES.values())) == 7
    for rule in RULES.values():
        assert "Source:" in (rule.__doc__ or "")
