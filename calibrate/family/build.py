"""A whole family: corpus, tokenizer, every model in turn, and its record; resumed where it was."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers.utils import logging as transformers_logging

from .batches import Batches, prepare_corpus, stream
from .corpus import read_domains
from .files import held_folder, read_json, same_settings, write_json
from .held_out import held_out_losses, held_out_streams, mean_held_out
from .record import MODEL, SCHEMA, VERSION, disorder
from .shapes import Preset, Shape, preset_named
from .tokenizer import save_tokenizer, tokenizer_hash
from .training import Report, Training, train_model

ONE_THREAD_HIDDEN = 160


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
    shapes, place = _ordered(preset, order), _device(device)
    deadline_s = clock() + stage_s
    transformers_logging.disable_progress_bar()
    with held_folder(out):
        corpus = _corpus(out, preset, text, code, say)
        names = tuple(corpus["domains"])
        batches = _batches(out, preset, names, say)
        work = _Work(out, preset, batches, names, place, progress, say, clock)
        for shape in shapes:
            if work.holds(shape):
                continue
            if clock() >= deadline_s or not work.train(shape, deadline_s):
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


def _batches(
    out: Path, preset: Preset, names: Sequence[str], say: Callable[[str], None]
) -> Batches:
    least = 2 * preset.sequence + 1
    for name in names:
        for part in ("train", "held-out"):
            if (tokens := len(stream(out, name, part))) < least:
                raise ValueError(
                    f"domain {name} has {tokens} tokens of {part} text, at least {least} are needed"
                )
    longest = max(-(-s.tokens // (s.batch * preset.sequence)) * s.batch for s in preset.shapes)
    streams = [stream(out, name, "train") for name in names]
    batches = Batches(streams, preset.sequence, total=longest, seed=preset.seed)
    for name, epochs in zip(names, batches.epochs, strict=True):
        if epochs > 1.0:
            say(f"{name} is short: its text is read {epochs:.1f} times in the longest training")
    return batches


def _device(name: str | None) -> torch.device:
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"device must be cpu or cuda, got {name}") from None
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"device must be cpu or cuda, got {name}")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {name} was asked for, but this machine shows no CUDA device")
    return device


@contextmanager
def _few_threads(shape: Shape) -> Iterator[None]:
    """One thread for models whose matrices are too small to share out.

    Two gain them little on an idle machine, and on a busy one every small operation waits for the
    slower: models of 45 to 910 thousand parameters were 2 to 60 times slower with two threads
    than with one on two cores that had other work.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if shape.hidden <= ONE_THREAD_HIDDEN else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class _Work:
    """What every model of a family is trained with."""

    out: Path
    preset: Preset
    batches: Batches
    domains: tuple[str, ...]
    device: torch.device
    progress: Report
    say: Callable[[str], None]
    clock: Callable[[], float]

    def settings(self, shape: Shape) -> dict[str, Any]:
        tokenizer = tokenizer_hash(self.out / "tokenizer")
        return {**self.preset.training_settings(), **asdict(shape), "tokenizer": tokenizer}

    def holds(self, shape: Shape) -> bool:
        """Whether the model is trained already, with these settings."""
        folder = self.out / shape.name
        if not folder.exists():
            return False
        remedy = f"delete the folder {shape.name} to train that model anew"
        kept = read_json(folder / "training.json", "settings", *MODEL, remedy=remedy)
        same_settings(kept["settings"], self.settings(shape), shape.name)
        return True

    def train(self, shape: Shape, deadline_s: float) -> bool:
        """Train a model, evaluate and save it; False if the deadline came first."""
        from transformers import PreTrainedTokenizerFast

        tokenizer = PreTrainedTokenizerFast.from_pretrained(self.out / "tokenizer")
        checkpoint = self.out / "checkpoints" / f"{shape.name}.safetensors"
        self.say(f"{shape.name}: {shape.parameters(self.preset.vocabulary):,} parameters")
        with _few_threads(shape):
            run = train_model(
                shape,
                self.preset,
                batches=self.batches,
                end_token=int(tokenizer.eos_token_id),
                checkpoint=checkpoint,
                device=self.device,
                settings=self.settings(shape),
                report=self.progress,
                deadline_s=deadline_s,
                clock=self.clock,
            )
        if run is None:
            return False
        streams = held_out_streams(self.out, self.domains)
        losses = held_out_losses(run.model, streams, self.preset, device=self.device)
        _save_model(self.out, run, losses, tokenizer)
        checkpoint.unlink()
        mean = mean_held_out(losses)
        self.say(
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
    try:
        run.model.to(dtype).save_pretrained(temporary)
    except SafetensorError as error:
        raise OSError(f"{shape.name} cannot be written: {error}") from None
    save_tokenizer(tokenizer, temporary)
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


def tiny_family(
    folder: Path, *, seed: int = 0, text: Path | None = None, code: bool = True
) -> Path:
    """A family of five models in seconds, for tests and dry runs; its folder."""
    preset = replace(preset_named("tiny"), seed=seed)
    train_family(folder, preset, text=text, code=code, device="cpu")
    return folder
