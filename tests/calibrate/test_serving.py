"""A running server, measured: a fake one on loopback, its faults, and what the record gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import howspec
import numpy as np
import pytest
from fake_server import Fake, serving
from howspec.calibrate.doors import acceptance, costs
from howspec.calibrate.records import Record, read_record
from howspec.calibrate.serving import ServingPlan, measure_server, served_of
from howspec.calibrate.serving.compare import levels_of
from howspec.calibrate.summary import summarise
from howspec.theory.interval import Interval

PLAN = ServingPlan((1, 2), requests=4, new_tokens=25, warmup=1, timeout_s=1.0)
PATTERN = (3, 0, 1)  # of the rounds of a request, over and over


def measured(folder: Path, name: str, fake: Fake, **more: Any) -> Record:
    with serving(fake) as url:
        return measure_server(url, folder / f"{name}.json", plan=PLAN, **more).record


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plain decoding and three draft tokens of the same server."""
    made = tmp_path_factory.mktemp("served")
    measured(made, "plain", Fake(step_s=0.002))
    measured(made, "k3", Fake(gamma=3, pattern=PATTERN, step_s=0.004), draft="tiny")
    return made


@pytest.mark.parametrize("engine", ["vllm", "llama.cpp"])
def test_a_record_holds_exactly_what_the_server_counted(engine: str, tmp_path: Path) -> None:
    fake = Fake(engine=engine, gamma=3, pattern=PATTERN)
    record = measured(tmp_path, "k3", fake, draft="tiny")
    assert [(p["batch"], p["wave"]) for p in record.points] == [
        (1, 0), (2, 0), (1, 1), (2, 1), (1, 2), (1, 3),
    ]  # fmt: skip
    for p in record.points:
        assert p["tokens"] == [25] * p["batch"]
        assert p["counted_tokens"] == sum(p["tokens"])
        # 24 tokens behind the first: 4 + 1 + 2 of three rounds, three times, and 3 of a tenth.
        assert (p["rounds"], p["drafted"]) == (10 * p["batch"], 30 * p["batch"])
        assert p["accepted_by_position"] == [7 * p["batch"], 4 * p["batch"], 4 * p["batch"]]
    assert record.provenance["server"]["engine"] == engine
    first, second = levels_of(record)
    assert first.tokens_per_step == pytest.approx(1 + 15 / 10)
    assert first.survival == pytest.approx((0.7, 0.4, 0.4))
    assert first.coverage == second.coverage == 1.0
    assert [row["batch"] for row in summarise(record).rows] == [1, 2]


def test_without_metrics_the_timings_of_a_response_stand_in(tmp_path: Path) -> None:
    fake = Fake(engine="llama.cpp", gamma=3, pattern=PATTERN, metrics=False)
    record = measured(tmp_path, "k3", fake, gamma=3)
    assert {p["counted_in"] for p in record.points} == {"timings"}
    assert record.points[0]["drafted"] == 30
    known = acceptance(record, rng=np.random.default_rng(0))
    assert known.tokens(3)[0] == pytest.approx(levels_of(record)[0].tokens_per_step, rel=0.02)


def test_both_doors_take_the_folder_and_agree_with_what_was_measured(folder: Path) -> None:
    served = served_of(folder)
    assert served is not None
    rng = np.random.default_rng(0)
    known, times = acceptance(str(folder), rng=rng), costs(folder, rng=rng)
    assert (known.kind, times.kind, times.seconds) == ("measured", "measured", True)
    assert known.tokens(3)[0] == pytest.approx(1 + 15 / 10)
    rounds = times.law.round_time(3).mean(axis=0)
    k3, plain = (levels_of(read_record(folder / f"{n}.json"))[0] for n in ("k3", "plain"))
    assert rounds[3] == pytest.approx(1e-3 * (k3.step_ms or 0), rel=0.1)
    assert rounds[0] == pytest.approx(1e-3 * plain.token_ms, rel=0.1)
    assert (np.diff(rounds[1:]) >= 0).all()


def test_the_metrics_of_a_running_server_are_a_source_by_their_url() -> None:
    fake = Fake(gamma=3, pattern=PATTERN)
    with serving(fake) as url:
        for number in range(60):
            fake.round(number, 9)
        known = acceptance(f"{url}/metrics", rng=np.random.default_rng(0))
    assert known.kind == "imported"
    assert known.tokens(3)[0] == pytest.approx(1 + 4 / 3, rel=0.01)


def test_a_model_that_a_server_names_by_its_path_is_kept_by_its_name(tmp_path: Path) -> None:
    fake = Fake(engine="llama.cpp", gamma=3, pattern=PATTERN, model="/srv/weights/small-Q8_0.gguf")
    record = measured(tmp_path, "k3", fake)
    assert list(record.provenance["models"]) == ["small-Q8_0.gguf"]
    assert {body["model"] for body in fake.seen} == {fake.model}
    assert "/srv" not in (tmp_path / "k3.json").read_text()
    hub = measured(tmp_path, "hub", Fake(gamma=3, pattern=PATTERN, model="Qwen/Qwen3-8B"))
    assert list(hub.provenance["models"]) == ["Qwen/Qwen3-8B"]


def test_a_plain_server_alone_determines_neither_law(folder: Path) -> None:
    for door in (acceptance, costs):
        with pytest.raises(ValueError, match="did not speculate"):
            door(folder / "plain.json", rng=np.random.default_rng(0))  # type: ignore[operator]


FAULTS = {
    "redirect": "redirects to http://elsewhere.invalid/v1, which is not followed",
    "no api": "is no OpenAI-compatible server: /v1/models lists no model",
    "error": "answered 500: out of memory",
    "die": "broke",
    "hang": "was silent for 1 s",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_that_fails_is_told_in_one_line_and_points_are_kept(
    fault: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=FAULTS[fault]) as caught:
        measured(tmp_path, "k3", Fake(gamma=3, pattern=PATTERN, fault=fault, at=4))
    assert "\n" not in str(caught.value)
    part = tmp_path / "k3.part.jsonl"
    kept = [json.loads(x) for x in part.read_text().splitlines()[1:]] if part.exists() else []
    assert sum("batch" in p for p in kept) == (0 if fault in ("redirect", "no api") else 1)


def test_a_measurement_goes_on_where_a_dying_server_left_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="broke"):
        measured(tmp_path, "k3", Fake(gamma=3, pattern=PATTERN, fault="die", at=6))
    fake = Fake(gamma=3, pattern=PATTERN)
    record = measured(tmp_path, "k3", fake)
    assert len(record.points) == 6
    assert len(fake.seen) < 8 + 3  # fewer than all requests with their warm-ups


def test_nothing_listens(tmp_path: Path) -> None:
    with serving(Fake()) as url:
        pass
    with pytest.raises(ValueError, match="no server answers"):
        measure_server(url, tmp_path, plan=PLAN)


@pytest.mark.parametrize(
    ("fake", "more", "said"),
    [
        (Fake(), {"model": "large"}, "serves small, not large"),
        (Fake(), {"gamma": 3}, "does not speculate, but gamma 3 was given"),
        (Fake(gamma=3), {"gamma": 0}, "drafts up to 3 tokens a round, but gamma 0 was given"),
        (Fake(engine="unknown", metrics=False), {}, "metrics are off.*give gamma"),
        (Fake(engine="unknown"), {}, "metrics show no drafts yet.*give gamma"),
        (
            Fake(engine="llama.cpp", gamma=3, metrics=False),
            {"gamma": 0},
            "speculates, it drafted 72 tokens for 1 requests, but gamma 0 was given",
        ),
        (Fake(key="secret"), {}, "answered 401; no key: HOWSPEC_API_KEY is not set"),
    ],
    ids=["model", "off", "on", "metrics", "silent", "timings", "key"],
)
def test_what_contradicts_the_server_is_refused(
    fake: Fake, more: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said):
        measured(tmp_path, "a", fake, **more)


def test_a_key_is_sent_and_stands_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOWSPEC_API_KEY", "secret-key")
    measured(tmp_path, "plain", Fake(key="secret-key"))
    text = (tmp_path / "plain.json").read_text()
    assert "secret-key" not in text
    assert "127.0.0.1" not in text


def test_texts_are_kept_only_where_asked_for(tmp_path: Path) -> None:
    plain = measured(tmp_path, "plain", Fake())
    kept = measured(tmp_path, "kept", Fake(), keep_texts=True)
    assert "texts" not in plain.settings["prompts"]
    assert "answers" not in plain.points[0]
    assert kept.settings["prompts"]["texts"]
    assert kept.points[0]["answers"] == ["x" * 25]


def test_a_server_that_does_not_count_has_its_pieces_counted(tmp_path: Path) -> None:
    record = measured(tmp_path, "plain", Fake(engine="unknown"), gamma=0)
    assert {p["tokens_counted_by"] for p in record.points} == {"pieces"}
    assert record.points[0]["arrived"] == list(range(1, 26))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"batches": ()}, "batches must be different"),
        ({"batches": (0,)}, r"batch must be a whole number in \[1, 1024\]"),
        ({"new_tokens": 1}, r"new_tokens must be a whole number in \[2, 8192\]"),
        ({"api": "rest"}, "api must be chat or completions"),
        ({"timeout_s": 0.0}, "timeout_s must be in"),
    ],
)
def test_numbers_are_checked_before_anything_is_sent(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ServingPlan(**wrong)


@pytest.mark.parametrize("url", ["ftp://host", "host:8000", "http://user:secret@host"])
def test_a_url_must_be_of_a_server_and_without_a_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a server's URL must") as caught:
        measure_server(url, tmp_path, plan=PLAN)
    assert "secret" not in str(caught.value)


def test_two_records_are_compared_by_waves_of_the_same_prompts(folder: Path) -> None:
    found = howspec.compare(folder / "plain.json", folder / "k3.json")
    assert found.names == ("plain", "tiny, gamma 3")
    for change in found.changes:
        assert change.paired
        assert change.tokens is not None
        assert change.steps is not None
        assert change.tokens.estimate == pytest.approx(2.5)
        assert change.speed.low < change.speed.estimate < change.speed.high
        product = change.steps.estimate * change.tokens.estimate
        assert product == pytest.approx(change.speed.estimate, rel=0.05)
    assert any(line.startswith("gamma is 0 in the first and 3") for line in found.different)
    assert found.notes == ()
    same = howspec.compare(folder / "plain.json", folder / "plain.json")
    assert {c.verdict for c in same.changes} == {"no difference seen"}
    assert same.changes[0].speed.estimate == pytest.approx(1.0, abs=0.01)
    assert any("speculation is off in both" in note for note in same.notes)


def test_records_that_cannot_be_compared_are_told(folder: Path, tmp_path: Path) -> None:
    plan = ServingPlan((3,), requests=2, new_tokens=8, warmup=0)
    with serving(Fake()) as url:
        measure_server(url, tmp_path / "other.json", plan=plan)
    with pytest.raises(ValueError, match="must share a batch, got 1, 2 and 3"):
        howspec.compare(folder / "plain.json", tmp_path / "other.json")
    with pytest.raises(ValueError, match="cannot be read"):
        howspec.compare(folder / "plain.json", tmp_path / "none.json")


def test_records_of_other_loads_do_not_belong_together(folder: Path, tmp_path: Path) -> None:
    for name in ("plain", "k3"):
        (tmp_path / f"{name}.json").write_bytes((folder / f"{name}.json").read_bytes())
    changed = json.loads((tmp_path / "k3.json").read_text())
    changed["settings"]["temperature"] = 1.0
    (tmp_path / "k3.json").write_text(json.dumps(changed))
    with pytest.raises(ValueError, match=r"temperature 0.0, others with 1.0"):
        acceptance(tmp_path, rng=np.random.default_rng(0))


def test_explain_takes_the_rounds_that_a_server_counted(folder: Path) -> None:
    found = howspec.explain(
        acceptance=str(folder), gamma=3, baseline_tokens_per_s=1000, speculative_tokens_per_s=2000
    ).data()
    tokens, rounds = found["tokens_per_round"], found["round_in_plain_steps"]
    assert isinstance(tokens, Interval)
    assert isinstance(rounds, Interval)
    assert tokens.estimate == pytest.approx(1 + 15 / 10)
    assert rounds.estimate == pytest.approx(2.5 / 2.0)


def test_predict_and_schedule_take_the_folder(folder: Path) -> None:
    one = howspec.predict(acceptance=str(folder), costs=str(folder), batch=2)
    assert one.data()["parts"]["cost"]["kind"] == "measured"  # type: ignore[index,call-overload]
    table = howspec.schedule(acceptance=str(folder), costs=str(folder), batch_max=2)
    assert table.headline()
