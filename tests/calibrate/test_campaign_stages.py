"""A real campaign, tiny: every stage on trained and random models, stopped, resumed, disturbed."""

from __future__ import annotations

import json
import math
import shlex
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from howspec.calibrate.campaign import (  # noqa: E402
    CAMPAIGNS,
    Campaign,
    Work,
    campaign_named,
    check_stage,
    commands,
    plan,
    plan_campaign,
    run_campaign,
    stages_of,
)
from howspec.calibrate.campaign import __main__ as module  # noqa: E402
from howspec.calibrate.campaign.estimate import (  # noqa: E402
    architecture_config,
    architecture_size,
    write_config,
)
from howspec.calibrate.campaign.family_stages import (  # noqa: E402
    FamilyStage,
    load_family,
    same_text,
)
from howspec.calibrate.family import corpus, shapes  # noqa: E402
from howspec.calibrate.library.own import read_campaign  # noqa: E402
from howspec.calibrate.measure.pairs import load_model  # noqa: E402
from howspec.calibrate.measure.sources import config_from_family  # noqa: E402
from howspec.calibrate.measured.ladder import predict_ladder  # noqa: E402
from howspec.calibrate.records import Journal, Record, read_record, write_record  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

MINI = shapes.Preset(
    "tiny",
    vocabulary=300,
    sequence=32,
    context=128,
    held_out_tokens=2_048,
    shapes=(
        shapes.Shape("target", 32, 2, 64, 2, 2_000, 8, 1e-2, "target"),
        shapes.Shape("draft-a", 24, 1, 40, 1, 2_000, 8, 2e-2),
        shapes.Shape("draft-b", 16, 1, 24, 1, 2_000, 8, 2e-2),
    ),
)


def some_code() -> corpus.Domain:
    """Source code of this project in place of the standard library, which takes seconds to read."""
    files = sorted(Path(__file__).parent.glob("test_*.py"))
    return corpus.Domain("code", tuple(f.read_text(encoding="utf-8") for f in files))


@pytest.fixture(scope="module", autouse=True)
def mini_preset() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(shapes.PRESETS, "tiny", MINI)
        patch.setattr(corpus, "standard_library", some_code)
        yield


def mini(campaign: str = "gpu") -> Campaign:
    return campaign_named(campaign, dry_run=True)


class PointClock:
    """A clock that moves by a second with every point, so that stages stop again and again."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now_s = 0.0
        append = Journal.append

        def counted(journal: Journal, point: Mapping[str, Any]) -> None:
            append(journal, point)
            self.now_s += 1.0

        patch.setattr(Journal, "append", counted)

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, mini_preset: None) -> Path:
    """The folder of a campaign that ran by the commands meant for a GPU, with --dry-run alone."""
    out = tmp_path_factory.mktemp("whole")
    calls = [line for where, line in commands("gpu", out) if where.startswith("there")]
    assert len(calls) == 2
    for line in calls:
        words = shlex.split(line.replace("RECORDS", str(out / "copies")))
        assert words[:3] == ["python", "-m", "howspec.calibrate.campaign"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", [*words[2:], "--dry-run"])
            assert module.main() == 0
    return out / "dry-run"


def keys(record: Record) -> list[tuple[Any, ...]]:
    return [tuple(p.get(name) for name in record.key) for p in record.points]


def test_a_campaign_leaves_a_record_for_every_stage_and_few_files(whole: Path) -> None:
    names = sorted(p.name for p in (whole / "records").iterdir())
    assert names == [
        "acceptance.json",
        "check.json",
        "costs-architectures.json",
        "costs.json",
        "family.json",
        "sweep.json",
    ]
    assert len(names) <= 8
    copies = {p.name: p.read_bytes() for p in (whole.parent / "copies").iterdir()}
    assert copies == {p.name: p.read_bytes() for p in (whole / "records").iterdir()}
    for name in names:
        if name not in ("family.json", "check.json"):
            record = read_record(whole / "records" / name)
            assert not [p for p in record.points if "error" in p]
            assert len(set(keys(record))) == len(record.points)
            assert record.provenance["dtype"] == "float32"
            assert str(whole) not in json.dumps(record.provenance)


def test_records_have_the_points_and_the_size_that_the_plan_said(whole: Path) -> None:
    for stage in stages_of(mini()):
        path, expected = whole / "records" / f"{stage.name}.json", stage.estimate()
        # Beside its points a record has a head.
        assert path.stat().st_size < 2.0 * expected.record_bytes + 20_000, stage.name
        if stage.name.startswith("costs"):
            assert len(read_record(path).points) == expected.points


def test_the_sweep_is_predicted_from_what_the_stages_before_it_wrote(whole: Path) -> None:
    """What `howspec paper --records` reports of a campaign."""
    predicted = predict_ladder(read_campaign(whole.parent / "copies"))
    assert {p.draft for p in predicted} == {"draft-a", "draft-b"}
    for p in predicted:
        assert p.gammas.tolist() == [1, 2]
        assert (p.center[:3] > 0.0).all()


def test_everything_that_was_checked_passed_and_a_failure_is_said(
    whole: Path, tmp_path: Path
) -> None:
    held = json.loads((whole / "records" / "check.json").read_text())
    assert [c for c in held["checks"] if not c["passed"]] == []
    stage = stages_of(mini())[0]
    assert len(held["checks"]) == len(mini().architectures) + 4
    assert stage.remark(Work(whole)) == ""
    held["checks"][2]["passed"] = False
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "check.json").write_text(json.dumps(held))
    said = f"checks that failed: {held['checks'][2]['check']}"
    assert (stage.state(Work(tmp_path)), stage.remark(Work(tmp_path))) == ("done", said)
    with pytest.raises(ValueError, match="holds checks of 'gpu-dry', not of the campaign tiny"):
        stages_of(mini("tiny"))[0].state(Work(tmp_path))


def test_what_fails_or_is_no_number_does_not_pass_a_check() -> None:
    def failing() -> tuple[float, float]:
        raise RuntimeError("no kernel image")

    assert check_stage._passed("a", failing)["error"] == "RuntimeError: no kernel image"
    assert check_stage._passed("b", lambda: (math.nan, 1.0))["passed"] is False
    assert check_stage._passed("c", lambda: (2.0, 1.0))["passed"] is False
    assert check_stage._passed("d", lambda: (1.0, 1.0))["passed"] is True


def test_every_architecture_is_timed_with_random_weights(whole: Path) -> None:
    record = read_record(whole / "records" / "costs-architectures.json")
    timed = {p["model"] for p in record.points if p["operation"] == "pass"}
    assert timed == set(mini().architectures)
    rounds = {(p["target"], p["model"]) for p in record.points if p["operation"] == "round"}
    assert rounds == set(mini().pairs) != set()
    kinds = {c["model_type"] for c in record.provenance["models"].values()}
    assert kinds == {"gpt_neox", "bloom", "gpt2", "llama", "qwen3"}
    assert record.settings["random_weights"] is True


def test_a_sweep_has_every_draft_and_gamma(whole: Path) -> None:
    points = read_record(whole / "records" / "sweep.json").points
    found = {(p["draft"], p["gamma"]) for p in points if p["method"] == "sps" and p["batch"] == 1}
    assert found == {(f"draft-{name}", gamma) for name in "ab" for gamma in (1, 2)}
    assert {p["batch"] for p in points} == {1, 8}
    assert {p["method"] for p in points} > {"plain", "sps"}


def test_stopped_again_and_again_a_campaign_measures_the_same_points(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = stages_of(mini())
    (tmp_path / "records").mkdir()
    shutil.copy(whole / "records" / "check.json", tmp_path / "records")  # has no points
    clock = PointClock(monkeypatch)
    calls, lines = 0, []
    while True:
        work = Work(tmp_path, given_family=whole / "family", clock=clock, say=lines.append)
        run = run_campaign(stages, work, stage_s=20.0, most=1)
        calls += 1
        if run.complete:
            break
        assert calls < 30
    assert any("its time is up" in line for line in lines)
    assert calls > len(stages)
    for stage in (s for s in stages if s.name not in ("check", "family")):
        expected = read_record(whole / "records" / f"{stage.name}.json")
        found = read_record(tmp_path / "records" / f"{stage.name}.json")
        assert set(keys(found)) == set(keys(expected))
        assert len(keys(found)) == len(keys(expected))
    acceptance = [read_record(d / "records" / "acceptance.json") for d in (whole, tmp_path)]
    rounds = [
        {k: p.get("accepted") for k, p in zip(keys(r), r.points, strict=True)} for r in acceptance
    ]
    assert rounds[0] == rounds[1]


def test_logits_that_are_no_numbers_are_an_error_of_their_points_alone(
    whole: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole / "family", tmp_path / "family")
    path = tmp_path / "family" / "draft-a" / "model.safetensors"
    weights = load_file(path)
    name = next(n for n in weights if "down_proj" in n)
    weights[name] = torch.full_like(weights[name], math.nan)
    save_file(weights, path, metadata={"format": "pt"})
    # The checks run models of their own.
    run = run_campaign([s for s in stages_of(mini("tiny")) if s.name != "check"], Work(tmp_path))
    assert run.complete
    for stage in ("costs", "acceptance", "sweep"):
        points = read_record(tmp_path / "records" / f"{stage}.json").points
        failed = [p for p in points if "error" in p]
        named = {p.get("draft", p.get("model")) for p in failed}
        if stage == "costs":
            assert all(p["operation"] == "pass" for p in failed)
        assert named == {"draft-a"}
        assert all("not finite" in p["error"] for p in failed)
        assert any(p.get("draft", p.get("model")) == "draft-b" for p in points if p not in failed)


def test_a_draft_of_another_vocabulary_is_refused_with_the_first_token_that_differs(
    whole: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole / "family", tmp_path / "family")
    path = tmp_path / "family" / "draft-b" / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    vocabulary = tokenizer["model"]["vocab"]
    words = {i: word for word, i in vocabulary.items()}
    merged = max(vocabulary.values())
    tokenizer["model"]["merges"].pop()
    vocabulary["ZZZ"] = vocabulary.pop(words[merged])
    path.write_text(json.dumps(tokenizer))
    with pytest.raises(ValueError, match=f"differ first at token {merged}"):
        load_family(tmp_path / "family", mini())


def test_records_of_another_family_are_not_gone_on_with(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(whole / "family", tmp_path / "family")
    stages = stages_of(mini("tiny"))
    clock = PointClock(monkeypatch)
    run_campaign(stages, Work(tmp_path, clock=clock), only="sweep", stage_s=2.0, most=1)
    assert (tmp_path / "records" / "sweep.part.jsonl").exists()
    path = tmp_path / "family" / "draft-b" / "model.safetensors"
    weights = {n: w * 1.5 for n, w in load_file(path).items()}
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"provenance\.models\.draft-b\.sha256_16 is"):
        run_campaign(stages, Work(tmp_path), only="sweep")


def test_the_family_of_another_campaign_is_refused_unless_it_is_named(
    whole: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole / "family", tmp_path / "family")
    other = campaign_named("cpu")
    with pytest.raises(ValueError, match="holds the family 'tiny', the campaign cpu needs 'cpu'"):
        FamilyStage(other).state(Work(tmp_path))
    assert FamilyStage(other).state(Work(tmp_path, given_family=whole / "family")) == "done"


def finished(folder: Path, whole: Path) -> Work:
    """A folder with the records of the mini campaign, whose family stays where it is."""
    shutil.copytree(whole / "records", folder / "records")
    return Work(folder, given_family=whole / "family")


def changed(
    path: Path, *, settings: Mapping[str, Any] = {}, provenance: Mapping[str, Any] = {}
) -> None:
    """A record as another run would have left it."""
    record = read_record(path)
    write_record(
        replace(
            record,
            settings={**record.settings, **settings},
            provenance={**record.provenance, **provenance},
        ),
        path,
    )


@pytest.mark.parametrize("name", ["costs", "costs-architectures", "acceptance", "sweep"])
def test_the_settings_asked_for_are_those_that_were_measured(whole: Path, name: str) -> None:
    fewer = replace(mini().costs[0], repeats=1)
    changes = {
        "costs": {"costs": (fewer,)},
        "costs-architectures": {"architecture_costs": (fewer,)},
        "acceptance": {"acceptance": replace(mini().acceptance, prompts=9)},
        "sweep": {"sweep": replace(mini().sweep, prompts=9)},
    }[name]
    state, other = (
        next(stage.state for stage in stages_of(campaign) if stage.name == name)
        for campaign in (mini(), replace(mini(), **changes))
    )
    assert state(Work(whole)) == "done"
    with pytest.raises(ValueError, match=rf"{name}\.json: is another measurement .* settings\."):
        other(Work(whole))


@pytest.mark.parametrize(
    ("name", "settings", "provenance", "said"),
    [
        ("acceptance", {"gamma": 4}, {}, r"settings\.gamma is 3 here and 4 there"),
        ("acceptance", {"requests": 9}, {}, r"settings\.requests is 2 here and 9 there"),
        ("sweep", {"prompts": {}}, {}, r"settings\.prompts\.source is"),
        ("costs", {}, {"dtype": "bfloat16"}, r'provenance\.dtype is "float32" here'),
        ("costs", {}, {"seed": 3}, r"provenance\.seed is 0 here and 3 there"),
        ("costs", {}, {"models": {}}, r"provenance\.models\.target is"),
        (
            "costs-architectures",
            {"random_weights": False},
            {},
            r"settings\.random_weights is true here",
        ),
        ("costs-architectures", {}, {"models": {}}, r"provenance\.models\."),
    ],
)
def test_a_record_made_otherwise_is_refused_before_anything_is_measured(
    whole: Path,
    tmp_path: Path,
    name: str,
    settings: dict[str, Any],
    provenance: dict[str, Any],
    said: str,
) -> None:
    work = finished(tmp_path, whole)
    (tmp_path / "records" / "sweep.json").replace(tmp_path / "kept.json")
    if name == "sweep":
        (tmp_path / "kept.json").replace(tmp_path / "records" / "sweep.json")
    changed(tmp_path / "records" / f"{name}.json", settings=settings, provenance=provenance)
    before = {p.name: p.read_bytes() for p in work.records.iterdir()}
    with pytest.raises(ValueError, match=said) as caught:
        run_campaign(stages_of(mini()), work)
    assert f"{name}.json" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert {p.name: p.read_bytes() for p in work.records.iterdir()} == before
    states = {p["stage"]: (p["state"], p["note"]) for p in plan(stages_of(mini()), work)}
    assert states[name][0] == "refused"
    assert states[name][1] == str(caught.value)
    assert sum(state == "refused" for state, _ in states.values()) == 1


def test_a_finished_record_of_another_machine_counts_and_is_said_in_one_line(
    whole: Path, tmp_path: Path
) -> None:
    work = finished(tmp_path, whole)
    lines: list[str] = []
    work.say = lines.append
    assert run_campaign(stages_of(mini()), work).complete
    assert lines == []
    changed(tmp_path / "records" / "costs.json", provenance={"device": "a faster one"})
    assert run_campaign(stages_of(mini()), work).complete
    (line,) = lines
    assert line.startswith("costs.json counts as done and was measured elsewhere: device is")
    assert '"a faster one" there' in line
    notes = [p["note"] for p in plan(stages_of(mini()), work)]
    assert [note for note in notes if note] == [line]


def test_a_record_that_was_cut_off_is_refused_by_name(whole: Path, tmp_path: Path) -> None:
    work = finished(tmp_path, whole)
    path = tmp_path / "records" / "acceptance.json"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(ValueError, match=r"acceptance\.json: is not JSON or is cut off"):
        run_campaign(stages_of(mini()), work)


def test_a_campaign_whose_models_were_removed_is_still_complete(
    whole: Path, tmp_path: Path
) -> None:
    work = finished(tmp_path, whole)
    (tmp_path / "family").mkdir()
    shutil.copy(whole / "family" / "family.json", tmp_path / "family")
    assert run_campaign(stages_of(mini()), replace(work, given_family=None)).complete


def test_copies_of_another_campaign_are_refused_and_not_kept(whole: Path, tmp_path: Path) -> None:
    work = Work(tmp_path / "out", given_family=whole / "family", copies=whole / "records")
    with pytest.raises(ValueError, match="holds checks of 'gpu-dry', not of the campaign tiny-dry"):
        run_campaign(stages_of(mini("tiny")), work)
    assert list(work.records.iterdir()) == []


def test_a_family_of_other_settings_or_text_is_refused(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "family").mkdir()
    path = tmp_path / "family" / "family.json"
    family = json.loads((whole / "family" / "family.json").read_text())
    path.write_text(json.dumps({**family, "settings": {**family["settings"], "seed": 5}}))
    with pytest.raises(ValueError, match="of other settings: seed is 0 here and 5 there"):
        FamilyStage(mini()).state(Work(tmp_path))
    path.write_text(json.dumps({**family, "models": family["models"][:-1]}))
    with pytest.raises(ValueError, match="of other settings: models is"):
        FamilyStage(mini()).state(Work(tmp_path))
    text = tmp_path / "text"
    text.mkdir()
    (text / "code.txt").write_text("another text")
    with pytest.raises(ValueError, match=r"trained on other text than .*: code is"):
        same_text(whole / "family", text)


@pytest.mark.parametrize("name", sorted(CAMPAIGNS))
def test_a_plan_has_time_memory_and_points_for_every_stage(name: str, tmp_path: Path) -> None:
    for dry_run in (False, True):
        stages = plan_campaign(name, tmp_path / "none", dry_run=dry_run)
        assert [s["state"] for s in stages] == ["to do"] * len(stages)
        assert all(s["expected_time_s"] > 0 and s["points"] > 0 for s in stages)
        assert all(s["expected_memory_bytes"] > 0 for s in stages)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("name", CAMPAIGNS["gpu"].architectures)
def test_an_architecture_keeps_its_layers_and_scales_down(name: str, tmp_path: Path) -> None:
    config, size = config_from_family(name), architecture_size(name)
    assert config.num_hidden_layers == size.layers
    path = write_config(tmp_path, name, architecture_config(name, scaled=True))
    loaded = load_model(path, device="cpu", random_weights=True)
    assert loaded.identity["parameters"] < 100_000
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    kept = getattr(loaded.config, "num_key_value_heads", None) or loaded.config.num_attention_heads
    grouped = heads < config.num_attention_heads
    assert (kept < loaded.config.num_attention_heads) == grouped
