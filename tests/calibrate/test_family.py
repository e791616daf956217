"""A family is trained to the end, resumes as if never stopped, and refuses what it cannot mean."""

from __future__ import annotations

import errno
import fcntl
import importlib
import inspect
import json
import math
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from howspec.calibrate.family import (  # noqa: E402
    PRESETS,
    Preset,
    Shape,
    build,
    preset_named,
    read_family,
    tiny_family,
    train_family,
)
from howspec.calibrate.family import corpus as corpus_module  # noqa: E402
from howspec.calibrate.family import training as training_module  # noqa: E402
from howspec.calibrate.family.batches import stream  # noqa: E402
from howspec.calibrate.family.build import _few_threads  # noqa: E402
from howspec.calibrate.family.corpus import Domain, read_domains  # noqa: E402
from howspec.calibrate.family.models import held_out_losses  # noqa: E402
from howspec.calibrate.family.record import disorder  # noqa: E402
from howspec.calibrate.family.training import Training, token_losses  # noqa: E402
from howspec.calibrate.measure.inputs import held_out_prompts  # noqa: E402

MICRO = Preset(
    "micro",
    vocabulary=280,
    sequence=32,
    context=128,
    held_out_tokens=1024,
    shapes=(
        Shape("large", 32, 2, 48, 2, 20_000, 8, 1.5e-2, "target"),
        Shape("small", 8, 1, 8, 1, 20_000, 8, 2e-2),
        Shape("deep", 16, 4, 16, 1, 2_000, 8, 1.5e-2, "depth"),
    ),
)
SHORT = replace(MICRO, shapes=(replace(MICRO.shapes[0], tokens=5_120),))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two domains: some modules of the standard library, and sums."""
    folder = tmp_path_factory.mktemp("text")
    modules = ("json.decoder", "argparse", "textwrap", "inspect", "configparser", "typing")
    sources = [inspect.getsource(importlib.import_module(m)) for m in modules]
    (folder / "docs.txt").write_text("\n\n".join(sources), encoding="utf-8")
    rng = np.random.default_rng(5)
    pairs = rng.integers(0, 1000, (1500, 2)).tolist()
    sums = [{"question": f"What is {a} plus {b}?", "answer": f"It is {a + b}."} for a, b in pairs]
    (folder / "gsm8k_train.jsonl").write_text("\n".join(map(json.dumps, sums)), encoding="utf-8")
    (folder / "gsm8k_test.jsonl").write_text("this is never read", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def micro(tmp_path_factory: pytest.TempPathFactory, text: Path) -> Path:
    out = tmp_path_factory.mktemp("family")
    run = train_family(out, MICRO, text=text, code=False, device="cpu")
    assert run.complete
    return out


def begin(out: Path, text: Path, preset: Preset = SHORT, **more: Any) -> Any:
    return train_family(out, preset, text=text, code=False, device="cpu", **more)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, text: Path) -> Path:
    """A folder of SHORT before its first step: the text as token ids, and the tokenizer."""
    out = tmp_path_factory.mktemp("prepared")
    assert not begin(out, text, stage_s=1e-9).trained
    return out


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, text: Path, prepared: Path) -> Path:
    """A folder of SHORT trained without a stop."""
    out = copied(prepared, tmp_path_factory.mktemp("whole"))
    assert begin(out, text).complete
    return out


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, text: Path, prepared: Path) -> Path:
    """A folder of SHORT with a checkpoint in the middle of its training."""
    out = copied(prepared, tmp_path_factory.mktemp("stopped"))
    assert not begin(out, text, stage_s=5.0, clock=Clock(1.0)).complete
    return out


def copied(folder: Path, out: Path) -> Path:
    """A copy of a folder that a test may change."""
    return shutil.copytree(folder, out, dirs_exist_ok=True)


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


class Clock:
    """A clock that goes on by a fixed time at each look."""

    def __init__(self, tick_s: float) -> None:
        self.now_s, self.tick_s = 0.0, tick_s

    def __call__(self) -> float:
        self.now_s += self.tick_s
        return self.now_s


# What a family is


@pytest.mark.parametrize("shape", MICRO.shapes, ids=lambda s: s.name)
def test_every_model_loads_from_its_folder_with_the_parameters_it_says(
    micro: Path, shape: Shape
) -> None:
    folder = micro / shape.name
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    assert sum(p.numel() for p in model.parameters()) == shape.parameters(MICRO.vocabulary)
    embedding = model.get_input_embeddings().weight
    assert shape.non_embedding_parameters() == shape.parameters(280) - embedding.numel()
    assert model.get_output_embeddings().weight is embedding
    assert model.config.num_hidden_layers == shape.layers
    assert {p.name for p in folder.iterdir()} >= {
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
        "generation_config.json", "training.json",
    }  # fmt: skip


def test_all_models_of_a_family_share_one_tokenizer(micro: Path) -> None:
    texts = {(micro / s.name / "tokenizer.json").read_bytes() for s in MICRO.shapes}
    assert len(texts) == 1
    tokenizer = transformers.AutoTokenizer.from_pretrained(micro / "large")
    assert len(tokenizer) == MICRO.vocabulary
    assert tokenizer.eos_token_id == tokenizer.bos_token_id is not None
    config = json.loads((micro / "large" / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert str(micro) not in json.dumps(config)


def test_the_record_says_sizes_losses_and_no_path_of_this_machine(micro: Path, text: Path) -> None:
    record = read_family(micro)
    assert [m["name"] for m in record["models"]] == ["large", "small", "deep"]
    assert set(record["corpus"]) == {"documentation", "arithmetic"}
    for model, shape in zip(record["models"], MICRO.shapes, strict=True):
        assert model["parameters"] == shape.parameters(MICRO.vocabulary)
        assert shape.tokens <= model["trained_tokens"] < shape.tokens + 256
        by_domain = [v["loss_nats"] for v in model["held_out_by_domain"].values()]
        assert model["held_out"]["loss_nats"] == pytest.approx(np.mean(by_domain))
    assert str(text) not in json.dumps(record)
    assert str(micro) not in json.dumps(record)


def test_the_larger_model_predicts_held_out_text_better(micro: Path) -> None:
    large, small, _ = (m["held_out"] for m in read_family(micro)["models"])
    gap = small["loss_nats"] - large["loss_nats"]
    error = math.hypot(small["standard_error_nats"], large["standard_error_nats"])
    assert gap > 2 * error
    assert large["loss_nats"] < 0.8 * math.log(MICRO.vocabulary)


def test_the_recorded_loss_is_that_of_the_saved_model_over_the_held_out_tokens(micro: Path) -> None:
    ids = np.asarray(stream(micro, "arithmetic", "held-out"), dtype=np.int64)
    model = transformers.AutoModelForCausalLM.from_pretrained(micro / "small")
    means = []
    for start in range(0, len(ids) - 32, 32):
        window = torch.from_numpy(ids[start : start + 33])[None]
        with torch.inference_mode():
            means.append(float(model(input_ids=window, labels=window).loss))
    (kept,) = (
        m["held_out_by_domain"]["arithmetic"]
        for m in read_family(micro)["models"]
        if m["name"] == "small"
    )
    assert kept["loss_nats"] == pytest.approx(np.mean(means), rel=1e-4)
    error = np.std(means, ddof=1) / math.sqrt(len(means))
    assert kept["standard_error_nats"] == pytest.approx(error, rel=1e-3)


def test_a_ladder_out_of_order_is_told_with_both_names() -> None:
    def model(name: str, size: int, loss: float, role: str = "ladder") -> dict[str, Any]:
        return {"name": name, "parameters": size, "role": role, "held_out": {"loss_nats": loss}}

    models = [model("a", 100, 2.0, "target"), model("b", 10, 2.5), model("c", 5, 2.4)]
    (line,) = disorder([*models, model("d", 10, 9.0, "depth")])
    assert "b is larger than c" in line
    assert disorder(models[:2]) == []


def test_the_tiny_family_depends_on_its_seed_alone(tmp_path: Path, text: Path) -> None:
    small = replace(preset_named("tiny").shapes[2], tokens=1_024)
    tiny = replace(preset_named("tiny"), shapes=(small,))
    made = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        begin(tmp_path / name, text, replace(tiny, seed=seed))
        made.append(weights(tmp_path / name / small.name))
    assert made[0] == made[1] != made[2]


def test_the_tiny_helper_trains_the_whole_tiny_preset(
    tmp_path: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorter = tuple(replace(s, tokens=2_000) for s in PRESETS["tiny"].shapes)
    monkeypatch.setitem(PRESETS, "tiny", replace(PRESETS["tiny"], shapes=shorter))
    record = read_family(tiny_family(tmp_path / "tiny", text=text, code=False))
    assert [m["name"] for m in record["models"]] == [s.name for s in PRESETS["tiny"].shapes]


@pytest.mark.parametrize(("name", "span"), [("cpu", 500), ("gpu", 300)])
def test_the_ladder_spans_what_it_promises_and_depths_are_equally_large(
    name: str, span: int
) -> None:
    preset = preset_named(name)
    ladder = [s for s in preset.shapes if s.role != "depth"]
    sizes = [s.parameters(preset.vocabulary) for s in ladder]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] / sizes[-1] >= span
    assert ladder[0].role == "target"
    assert ladder[0].tokens >= max(s.tokens for s in preset.shapes)
    depths = [s for s in preset.shapes if s.role == "depth"]
    (partner,) = (s for s in ladder if depths[0].name.startswith(f"{s.name}-depth"))
    for shape in depths:
        ratio = shape.parameters(preset.vocabulary) / partner.parameters(preset.vocabulary)
        assert ratio == pytest.approx(1.0, abs=2e-3)
    assert len({s.layers for s in [*depths, partner]}) == 1 + len(depths)


# Prompts


def test_prompts_come_from_text_that_was_not_trained_on(micro: Path, text: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(micro / "large")
    prompts = held_out_prompts(micro, "documentation", tokenizer, count=3, tokens=120)
    assert [len(p) for p in prompts] == [120] * 3
    assert len({tuple(p) for p in prompts}) == 3
    (domain,) = (d for d in read_domains(text, code=False) if d.name == "documentation")
    train, held = domain.split()
    for prompt in prompts:
        words = tokenizer.decode(prompt)
        assert any(words in document for document in held)
        assert not any(words in document for document in train)


@pytest.mark.parametrize(
    ("domain", "count", "tokens", "said"),
    [
        ("poetry", 1, 8, "domains arithmetic, documentation, got poetry"),
        ("documentation", 0, 8, "at least 1, got 0"),
        ("documentation", 10_000, 8, "wanted 10000"),
    ],
)
def test_prompts_that_are_not_there_are_refused(
    micro: Path, domain: str, count: int, tokens: int, said: str
) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(micro / "large")
    with pytest.raises(ValueError, match=said):
        held_out_prompts(micro, domain, tokenizer, count=count, tokens=tokens)


# Stopping and going on


def test_a_run_in_stages_ends_with_the_weights_of_an_undisturbed_one(
    tmp_path: Path, text: Path, prepared: Path, whole: Path
) -> None:
    copied(prepared, tmp_path)
    stages = 0
    while not begin(tmp_path, text, stage_s=5.0, clock=Clock(1.0)).complete:
        stages += 1
        assert stages < 30
    assert stages >= 3
    assert weights(whole / "large") == weights(tmp_path / "large")


def test_a_run_that_was_interrupted_anywhere_ends_with_the_weights_of_an_undisturbed_one(
    tmp_path: Path, text: Path, prepared: Path, whole: Path
) -> None:
    rng = np.random.default_rng(3)
    out = copied(prepared, tmp_path)
    for fatal in [*rng.integers(1, 20, 6).tolist(), None]:
        seen = 0

        def report(done: int, total: int, what: str, fatal: int | None = fatal) -> None:
            nonlocal seen
            seen += 1
            if seen == fatal:
                raise KeyboardInterrupt

        try:
            # A checkpoint every three steps.
            run = begin(out, text, progress=report, clock=Clock(20.0))
        except KeyboardInterrupt:
            continue
    assert run.complete
    assert weights(whole / "large") == weights(out / "large")
    assert not list(out.rglob("*.part"))


def test_a_finished_family_is_left_as_it_is(micro: Path, text: Path) -> None:
    before = weights(micro / "large")
    steps: list[str] = []
    run = begin(micro, text, MICRO, progress=lambda done, total, what: steps.append(what))
    assert run.complete
    assert not steps
    assert weights(micro / "large") == before


def test_models_are_trained_in_the_order_asked_for(tmp_path: Path, text: Path) -> None:
    shapes = tuple(replace(s, tokens=512) for s in MICRO.shapes)
    seen: list[str] = []
    begin(
        tmp_path,
        text,
        replace(MICRO, shapes=shapes),
        order=["deep"],
        progress=lambda done, total, what: seen.append(what.split()[0]),
    )
    assert list(dict.fromkeys(seen)) == ["deep", "large", "small"]
    with pytest.raises(ValueError, match=r"order must name models .*, got huge"):
        begin(tmp_path, text, MICRO, order=["huge"])


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"learning_rate": 1e-3}, "learning_rate"),
        ({"tokens": 9_000}, "tokens"),
        ({"feed_forward": 40}, "feed_forward"),
    ],
)
@pytest.mark.parametrize("finished", [True, False])
def test_other_settings_are_refused_by_the_key_that_differs(
    tmp_path: Path,
    text: Path,
    whole: Path,
    stopped: Path,
    change: dict[str, Any],
    key: str,
    finished: bool,
) -> None:
    copied(whole if finished else stopped, tmp_path)
    other = replace(SHORT, shapes=(replace(SHORT.shapes[0], **change),))
    with pytest.raises(ValueError, match=rf"begun with \w*{key}"):
        begin(tmp_path, text, other)


def test_other_text_is_refused(micro: Path, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # In place of the standard library, which takes a second to read.
    monkeypatch.setattr(corpus_module, "standard_library", lambda: Domain("code", ("a", "b")))
    with pytest.raises(ValueError, match="begun with text"):
        train_family(micro, MICRO, text=text, code=True)


def test_a_corpus_that_was_prepared_elsewhere_needs_no_text(
    tmp_path: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = begin(tmp_path, text, stage_s=1e-9)
    assert (prepared.complete, prepared.missing) == (False, ("large",))
    assert sorted(p.name for p in tmp_path.iterdir()) == [".lock", "corpus", "tokenizer"]
    short = replace(SHORT, shapes=(replace(SHORT.shapes[0], tokens=512),))
    with pytest.raises(ValueError, match="begun with train_tokens_wanted"):
        train_family(tmp_path, short, device="cpu")
    monkeypatch.setattr(build, "read_domains", None)  # no text is read
    assert train_family(tmp_path, SHORT, device="cpu").complete


def test_a_second_run_into_the_folder_is_refused(
    tmp_path: Path, text: Path, prepared: Path
) -> None:
    copied(prepared, tmp_path)
    with (tmp_path / ".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="another run is training the family"):
            begin(tmp_path, text)
    assert begin(tmp_path, text).complete


@pytest.mark.parametrize(("hidden", "threads"), [(64, 1), (288, 2)])
def test_small_models_are_trained_on_one_thread_and_the_setting_is_restored(
    hidden: int, threads: int
) -> None:
    torch.set_num_threads(2)
    try:
        with _few_threads(Shape("x", hidden, 1, 8, 1, 100, 8, 1e-2)):
            assert torch.get_num_threads() == threads
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


# Trouble


def test_a_loss_that_is_not_a_number_stops_the_model_and_names_the_step(
    tmp_path: Path, text: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied(prepared, tmp_path)
    calls = 0

    def sick(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        return token_losses(*arguments) * (math.nan if calls == 8 else 1.0)

    monkeypatch.setattr(training_module, "token_losses", sick)
    with pytest.raises(ValueError, match="large has loss nan at step 8 of 20"):
        begin(tmp_path, text, clock=Clock(20.0))
    kept = torch.load(tmp_path / "checkpoints" / "large.pt", weights_only=True)
    assert kept["step"] == 6


def test_weights_that_are_not_finite_never_replace_a_checkpoint(tmp_path: Path) -> None:
    from howspec.calibrate.family.models import new_model

    shape = MICRO.shapes[1]
    model = new_model(shape, MICRO, end_token=0)
    run = Training(shape, MICRO, model, torch.device("cpu"), {})
    with torch.no_grad():
        next(model.parameters())[0, 0] = math.inf
    with pytest.raises(ValueError, match="weights that are not finite"):
        run.save(tmp_path / "x.pt")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told_and_the_last_good_checkpoint_stays(
    tmp_path: Path, text: Path, stopped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied(stopped, tmp_path)
    path = tmp_path / "checkpoints" / "large.pt"
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            begin(tmp_path, text)
    assert path.read_bytes() == before
    assert not list(path.parent.glob(".*"))
    assert begin(tmp_path, text).complete


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.99])
def test_a_cut_checkpoint_is_refused_by_name(
    tmp_path: Path, text: Path, stopped: Path, kept: float
) -> None:
    copied(stopped, tmp_path)
    path = tmp_path / "checkpoints" / "large.pt"
    raw = path.read_bytes()
    path.write_bytes(raw[: int(kept * len(raw))])
    with pytest.raises(ValueError, match=r"large\.pt is damaged: delete it"):
        begin(tmp_path, text)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"schema": "howspec-family", "version": 99}', "has version 99, this program reads 1"),
        ('{"schema": "other"}', "is not a family record"),
        ('{"schema": "howspec-fam', "is damaged"),
    ],
)
def test_a_record_that_cannot_be_read_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "family.json").write_text(content)
    with pytest.raises(ValueError, match=said):
        read_family(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"models": {}}, "models is missing or damaged"),
        ({"settings": None}, "settings is missing or damaged"),
        ({"models": [3]}, "model 1: must be an object, got int"),
        ({"models": []}, "a family has one target, got 0"),
        ({"name": "../other"}, "model 2: its name must be that of a folder"),
        ({"parameters": "many"}, "model 2: parameters is missing or damaged"),
        ({"role": "target"}, "a family has one target, got 2"),
        ({"held_out": {}}, "model 2: held_out must have loss_nats and standard_error_nats"),
    ],
)
def test_a_record_that_is_no_family_is_refused_by_its_entry(
    micro: Path, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    record = json.loads((micro / "family.json").read_text())
    if set(change) & set(record):
        record |= change
    else:
        record["models"][1] |= change
    (tmp_path / "family.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match=said):
        read_family(tmp_path)


def test_a_folder_without_a_family_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no family was trained there"):
        read_family(tmp_path)


def test_bad_arguments_are_refused_in_one_line(tmp_path: Path, text: Path) -> None:
    with pytest.raises(ValueError, match="--preset must be one of cpu, gpu, tiny, got huge"):
        train_family(tmp_path, "huge", text=text)
    with pytest.raises(ValueError, match="stage seconds must be above 0, got nan"):
        begin(tmp_path, text, stage_s=math.nan)
    with pytest.raises(ValueError, match="device must be auto, cpu or cuda, given 'abacus'"):
        train_family(tmp_path, SHORT, text=text, code=False, device="abacus")


def test_a_text_too_short_to_hold_any_out_is_refused_before_training(tmp_path: Path) -> None:
    folder = tmp_path / "text"
    folder.mkdir()
    source = inspect.getsource(importlib.import_module("argparse"))
    (folder / "long.txt").write_text(source)
    (folder / "short.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n')
    with pytest.raises(ValueError, match="domain short has 3 tokens of train text"):
        begin(tmp_path / "out", folder)


def test_losses_of_bfloat16_training_stay_float32(micro: Path) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(micro / "small")
    reduced = replace(MICRO, precision="bfloat16")
    streams = {"arithmetic": stream(micro, "arithmetic", "held-out")}
    cpu = torch.device("cpu")
    exact = held_out_losses(model, streams, MICRO, device=cpu)["arithmetic"]["loss_nats"]
    coarse = held_out_losses(model, streams, reduced, device=cpu)["arithmetic"]["loss_nats"]
    assert coarse != exact
    assert coarse == pytest.approx(exact, rel=0.01)


def test_a_batch_taken_in_parts_gives_the_step_of_the_whole(
    tmp_path: Path, text: Path, prepared: Path, whole: Path
) -> None:
    parts = copied(prepared, tmp_path)
    begin(parts, text, replace(SHORT, at_once=3))
    read = [json.loads((out / "large" / "training.json").read_text()) for out in (whole, parts)]
    a, b = (np.asarray(r["loss_nats_by_tokens"])[:, 1] for r in read)
    assert np.allclose(a, b, atol=2e-3)
