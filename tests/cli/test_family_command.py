"""`howspec calibrate family`: table, JSON, stages, and one clear line for what goes wrong."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from command import call, shown_examples

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from howspec.calibrate.family import PRESETS, Preset, Shape, corpus  # noqa: E402
from howspec.cli.calibrate import family  # noqa: E402

TRIFLE = Preset(
    "tiny",
    vocabulary=260,
    sequence=16,
    context=64,
    held_out_tokens=200,
    shapes=(
        Shape("large", 16, 1, 16, 1, 1_000, 8, 1e-2, "target"),
        Shape("small", 8, 1, 8, 1, 1_000, 8, 1e-2),
    ),
)


@pytest.fixture(autouse=True)
def trifle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(PRESETS, "tiny", TRIFLE)
    (tmp_path / "text").mkdir()
    lines = [json.dumps({"text": f"{i} sheep and {i * i} goats in field {i}"}) for i in range(400)]
    (tmp_path / "text" / "herd.jsonl").write_text("\n".join(lines))


def asked(tmp_path: Path, *more: str) -> Any:
    app = family
    given = ["--out", str(tmp_path / "out"), "--no-code"]
    given += [] if "--sizes" in more else ["--preset", "tiny"]
    return CliRunner().invoke(app, [*given, "--text", str(tmp_path / "text"), *more])


def test_json_holds_the_record_and_nothing_else(tmp_path: Path) -> None:
    told = json.loads(asked(tmp_path, "--json").stdout)
    assert told["complete"] is True
    assert told["trained"] == ["large", "small"]
    assert told["family"] == json.loads((tmp_path / "out" / "family.json").read_text())


def test_the_table_gives_the_losses_and_says_whether_they_are_in_order(tmp_path: Path) -> None:
    result = asked(tmp_path)
    loss = json.loads((tmp_path / "out" / "family.json").read_text())["models"][0]["held_out"]
    assert f"{loss['loss_nats']:.3f} ± {loss['standard_error_nats']:.3f}" in result.stdout
    in_order = "held-out loss falls with size" in result.stdout
    assert in_order != ("warning: large is larger than small" in result.stdout)


def test_a_ladder_out_of_order_is_printed_as_a_warning(tmp_path: Path) -> None:
    asked(tmp_path)
    path = tmp_path / "out" / "large" / "training.json"
    record = json.loads(path.read_text())
    record["held_out"]["loss_nats"] = 99.0
    path.write_text(json.dumps(record))
    told = asked(tmp_path).stdout
    assert "warning: large is larger than small but its held-out loss is not lower" in told
    assert "falls with size" not in told


def test_a_stage_ends_with_a_line_on_how_to_go_on(tmp_path: Path) -> None:
    result = asked(tmp_path, "--stage-seconds", "1e-9")
    assert result.exit_code == 0
    assert "0 models are trained, 2 to go (large, small): run the same command" in result.stdout
    assert json.loads(asked(tmp_path, "--json").stdout)["complete"] is True


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--order", "large,huge"), "order must name models of large, small, got huge"),
        (("--teacher", "x"), "--teacher brings the sizes of its drafts: give it or --preset, not"),
        (("--teacher", "x", "--sizes", "3,a"), "--sizes must be numbers with commas, got '3,a'"),
        (("--teacher", "/no/such", "--sizes", "3"), "/no/such: no such folder"),
    ],
)
def test_what_cannot_be_done_is_an_error_of_one_line(
    tmp_path: Path, more: tuple[str, ...], said: str
) -> None:
    result = asked(tmp_path, *more)
    assert isinstance(result.exception, ValueError)
    assert str(result.exception).startswith(said)


def test_the_examples_that_need_a_tiny_family_run_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is left is only parsed: weights of a teacher, and a campaign, which takes a minute."""
    domain = corpus.Domain("code", (inspect.getsource(inspect), inspect.getsource(json)))
    monkeypatch.setattr(corpus, "standard_library", lambda: domain)
    larger = replace(TRIFLE, context=256, held_out_tokens=1_000)
    monkeypatch.setitem(PRESETS, "tiny", larger)
    monkeypatch.chdir(tmp_path)
    for verb, made in (
        ("family", "family/family.json"),
        ("acceptance", "acceptance.json"),
        ("sweep", "sweep.json"),
    ):
        words = shown_examples(capsys, "calibrate", verb)[0]
        status, out, err = call(capsys, *words)
        assert status == 0, err
        assert out
        assert (tmp_path / made).is_file()


def test_the_example_of_costs_runs_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its models are folders of these names here, small ones."""
    from transformers import GPT2Config

    for name in ("GPT2", "DistilGPT2"):
        GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=40).save_pretrained(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    (words,) = shown_examples(capsys, "calibrate", "costs")
    status, out, err = call(capsys, *words)
    assert status == 0, err
    assert "DistilGPT2" in out
    assert (tmp_path / "costs.json").is_file()
