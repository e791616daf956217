"""A whole family: corpus, tokenizer, every model in turn, and its record; resumed where it was."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from .batches import Batches, prepare_corpus, stream
from .corpus import read_domains
from .files import held_folder, read_json, write_json
from .held_out import held_out_losses, held_out_streams, mean_held_out
from .record import SCHEMA, VERSION, disorder
from .shapes import Preset, Shape, preset_named
from .tokenizer import tokenizer_hash
from .training import Report, Training, train_model


@dataclass(frozen=True)
class FamilyRun:
    """What a call did: the record (None while models are missing) and how many are trained."""

    complete: bool
    trained: tuple[str, ...]
    missing: tuple[str, ...]
    record: dict[str, Any] | None
    disorder: tuple[str, ...] = ()


def _nothing(done: int, total: int, text: str) -> None:
    return None


def train_family(
    out: Path,
    preset: Preset | str = "cpu",
    *,
    text: Path | None = None,
    code: bool = True,
    order: Sequence[str] | None = None,
    stage_s: float = math.inf,
    device: str | None = None,
    progress: Report = _nothing,
    say: Callable[[str], None] = lambda line: None,
    clock: Callable[[], float] = time.monotonic,
) -> FamilyRun:
    """Train the models of a preset that `out` does not hold yet, the largest first.

    out: a folder of a family, new or begun with the same text and preset.
    order: names of models, to train them in that order; the others follow.
    stage_s: stop cleanly after about that many seconds; a further call goes on.
    progress: called with (tokens done, tokens in all, what is being done) after every step.
    """
    if isinstance(preset, str):
        preset = preset_named(preset)
    if not stage_s > 0.0:
        raise ValueError(f"stage seconds must be above 0, got {stage_s}")
    shapes = _ordered(preset, order)
    deadline_s = clock() + stage_s
    with held_folder(out):
        corpus = _corpus(out, preset, text, code, say)
        names = list(corpus["domains"])
        streams = [stream(out, name, "train") for name in names]
        longest = max(-(-s.tokens // (s.batch * preset.sequence)) * s.batch for s in preset.shapes)
        batches = Batches(streams, preset.sequence, total=longest, seed=preset.seed)
        for name, epochs in zip(names, batches.epochs, strict=True):
            if epochs > 1.0:
                say(f"{name} is short: its text is read {epochs:.1f} times in the longest training")
        for shape in shapes:
            if not (out / shape.name).exists():
                if clock() >= deadline_s:
                    break
                if not _train(
                    out, shape, preset, batches, names, deadline_s, device, progress, say, clock
                ):
                    break
        return _finish(out, preset, corpus)


def _ordered(preset: Preset, order: Sequence[str] | None) -> list[Shape]:
    by_name = {s.name: s for s in preset.shapes}
    first = list(order or ())
    for name in first:
        if name not in by_name:
            raise ValueError(f"order must name models of {', '.join(by_name)}, got {name}")
    return [by_name[n] for n in dict.fromkeys([*first, *by_name])]


def _corpus(
    out: Path, preset: Preset, text: Path | None, code: bool, say: Callable[[str], None]
) -> dict[str, Any]:
    say("reading the text")
    domains = read_domains(text, code=code)
    return prepare_corpus(
        domains,
        out,
        vocabulary=preset.vocabulary,
        context=preset.context,
        # Domains that are longer than their part are read in part only.
        train_tokens=math.ceil(1.02 * preset.longest_tokens) + preset.sequence,
        held_out_tokens=preset.held_out_tokens + 1,
        seed=preset.seed,
        say=say,
    )


def _train(
    out: Path,
    shape: Shape,
    preset: Preset,
    batches: Batches,
    names: list[str],
    deadline_s: float,
    device: str | None,
    progress: Report,
    say: Callable[[str], None],
    clock: Callable[[], float],
) -> bool:
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(out / "tokenizer")
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    settings = {
        **preset.training_settings(),
        **asdict(shape),
        "tokenizer": tokenizer_hash(out / "tokenizer"),
    }
    checkpoint = out / "checkpoints" / f"{shape.name}.safetensors"
    say(f"{shape.name}: {shape.parameters(preset.vocabulary):,} parameters")
    run = train_model(
        shape,
        preset,
        batches=batches,
        end_token=int(tokenizer.eos_token_id),
        checkpoint=checkpoint,
        device=place,
        settings=settings,
        report=progress,
        deadline_s=deadline_s,
        clock=clock,
    )
    if run is None:
        return False
    losses = held_out_losses(run.model, held_out_streams(out, names), preset, device=place)
    _save_model(out, run, losses, tokenizer)
    checkpoint.unlink()
    mean = mean_held_out(losses)
    say(
        f"{shape.name}: held-out loss {mean['loss_nats']:.4f} nats"
        f" (standard error {mean['standard_error_nats']:.4f}) after {run.tokens:,} tokens"
        f" in {run.seconds:.0f} s"
    )
    return True


def _save_model(
    out: Path, run: Training, losses: dict[str, dict[str, float]], tokenizer: Any
) -> None:
    """The model's folder: all of it or nothing."""
    shape, preset = run.shape, run.preset
    temporary = out / f".{shape.name}.part"
    shutil.rmtree(temporary, ignore_errors=True)
    dtype = torch.bfloat16 if preset.precision == "bfloat16" else torch.float32
    run.model.to(dtype).save_pretrained(temporary)
    tokenizer.save_pretrained(temporary)
    record = {
        "name": shape.name,
        "role": shape.role,
        "parameters": shape.parameters(preset.vocabulary),
        "non_embedding_parameters": shape.non_embedding_parameters(),
        "layers": shape.layers,
        "hidden": shape.hidden,
        "feed_forward": shape.feed_forward,
        "heads": shape.heads,
        "trained_tokens": run.tokens,
        "train_s": run.seconds,
        "held_out": mean_held_out(losses),
        "held_out_by_domain": losses,
    }
    history = {"settings": run.settings, "loss_nats_by_tokens": run.losses}
    write_json(temporary / "training.json", {**record, **history})
    temporary.rename(out / shape.name)


def _finish(out: Path, preset: Preset, corpus: dict[str, Any]) -> FamilyRun:
    """The record of what is trained; written when nothing is missing."""
    models = []
    for shape in preset.shapes:
        path = out / shape.name / "training.json"
        if path.exists():
            kept = read_json(path)
            models.append(
                {k: v for k, v in kept.items() if k not in ("settings", "loss_nats_by_tokens")}
            )
    trained = tuple(m["name"] for m in models)
    missing = tuple(s.name for s in preset.shapes if s.name not in trained)
    if missing:
        return FamilyRun(False, trained, missing, None)
    record = {
        "schema": SCHEMA,
        "version": VERSION,
        "settings": preset.training_settings(),
        "tokenizer_sha256": tokenizer_hash(out / "tokenizer"),
        "corpus": corpus["domains"],
        "text_sha256_16": corpus["settings"]["text"],
        "models": models,
    }
    write_json(out / "family.json", record)
    return FamilyRun(True, trained, (), record, tuple(disorder(models)))


def tiny_family(folder: Path, *, seed: int = 0, text: Path | None = None) -> Path:
    """A family of five models in seconds, for tests and dry runs; its folder."""
    preset = replace(preset_named("tiny"), seed=seed)
    train_family(folder, preset, text=text, device="cpu")
    return folder
