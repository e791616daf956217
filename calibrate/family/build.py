"""A whole family: corpus, tokenizer, every model in turn, and its record; resumed where it was."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from transformers.utils import logging as transformers_logging

from ..files import held_folder
from ..measure.pairs import choose_device
from .batches import Batches, prepare_corpus, stream, tokenizer_hash
from .corpus import read_domains
from .gguf_files import check_format, write_gguf
from .models import held_out_losses, held_out_streams, mean_held_out, new_model, save_model
from .record import MODEL, SCHEMA, VERSION, disorder, read_json, same_settings, write_json
from .shapes import Preset, Shape, preset_named
from .training import Objective, Report, Training, train_model

ONE_THREAD_HIDDEN = 160


@dataclass(frozen=True)
class FamilyRun:
    """What a call did: the record (None while models are missing) and how many are trained."""

    complete: bool
    trained: tuple[str, ...]
    missing: tuple[str, ...]
    record: dict[str, Any] | None
    disorder: tuple[str, ...] = ()


def nothing(done: int, total: int, text: str) -> None:
    """Tell nobody."""


def train_family(
    out: Path,
    preset: Preset | str = "cpu",
    *,
    text: Path | None = None,
    code: bool = True,
    order: Sequence[str] | None = None,
    stage_s: float = math.inf,
    device: str | None = None,
    gguf: str | None = None,
    progress: Report = nothing,
    say: Callable[[str], None] = lambda line: None,
    clock: Callable[[], float] = time.monotonic,
) -> FamilyRun:
    """Train the models of a preset that `out` does not hold yet, the largest first.

    out: a folder of a family, new or begun with the same text and preset.
    order: names of models, to train them in that order; the others follow.
    stage_s: stop cleanly after about that many seconds; a further call goes on.
    gguf: number format in which every model is written as NAME.gguf too; see `write_gguf`.
    progress: called with (tokens done, tokens in all, what is being done) after every step.
    """
    if isinstance(preset, str):
        preset = preset_named(preset)
    work = Building(out, preset, choose_device(device or "auto"), progress, say, clock)
    return work.run(text=text, code=code, order=order, stage_s=stage_s, gguf=gguf)


def _ordered(preset: Preset, order: Sequence[str] | None) -> list[Shape]:
    by_name = {s.name: s for s in preset.shapes}
    first = list(order or ())
    for name in first:
        if name not in by_name:
            raise ValueError(f"order must name models of {', '.join(by_name)}, got {name}")
    return [by_name[n] for n in dict.fromkeys([*first, *by_name])]


@contextmanager
def _few_threads(shape: Shape, widest: int = ONE_THREAD_HIDDEN) -> Iterator[None]:
    """One thread for models whose matrices are too small to share out.

    Two gain them little on an idle machine, and on a busy one every small operation waits for the
    slower: models of 45 to 910 thousand parameters were 2 to 60 times slower with two threads
    than with one on two cores that had other work.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if shape.hidden <= widest else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass
class Building:
    """A family in the making: its folder, its preset, and what its models are trained with."""

    out: Path
    preset: Preset
    device: torch.device
    progress: Report
    say: Callable[[str], None]
    clock: Callable[[], float]
    one_thread_hidden: ClassVar[int] = ONE_THREAD_HIDDEN

    def run(
        self,
        *,
        text: Path | None,
        code: bool,
        order: Sequence[str] | None,
        stage_s: float,
        gguf: str | None = None,
    ) -> FamilyRun:
        """Do what is missing; arguments as `train_family` has them."""
        if gguf is not None:
            check_format(gguf)
        if not stage_s > 0.0:
            raise ValueError(f"stage seconds must be above 0, got {stage_s}")
        shapes = _ordered(self.preset, order)
        deadline_s = self.clock() + stage_s
        transformers_logging.disable_progress_bar()
        with held_folder(self.out, f"another run is training the family in {self.out}"):
            for half in self.out.rglob(".*.part"):
                half.unlink()  # of a run that was killed
            corpus = self.corpus(text, code, deadline_s)
            if corpus is None:
                return FamilyRun(False, (), tuple(s.name for s in shapes), None)
            self.domains = tuple(corpus["domains"])
            self.batches = self._batches()
            for shape in shapes:
                if self._holds(shape):
                    continue
                if self.clock() >= deadline_s or not self._train(shape, deadline_s):
                    break
            run = self._finish(corpus)
            if gguf is not None:
                self._write_gguf(run, gguf)
            return run

    def _write_gguf(self, run: FamilyRun, numbers: str) -> None:
        """The trained models as files of GGUF, those that are not there."""
        for name in run.trained:
            path = self.out / f"{name}.gguf"
            if not path.exists():
                write_gguf(
                    self.out / name, path, numbers=numbers, tokenizer_of=self.tokenizer_file()
                )
                self.say(f"{path.name}: {path.stat().st_size:,} bytes")

    def tokenizer_file(self) -> Path | None:
        """A .gguf file whose tokenizer is that of the family, if there is one."""
        return None

    def corpus(self, text: Path | None, code: bool, deadline_s: float) -> dict[str, Any] | None:
        """The family's text as token ids on the disk; None if the deadline came first."""
        return self.encoded(text, code)

    def encoded(self, text: Path | None, code: bool, tokenizer: Any = None) -> dict[str, Any]:
        """Text that is read, encoded by a tokenizer: the one given, or one trained on it.

        Where no text is given, what the folder holds is taken as it is: a corpus that was made on
        another machine reads another standard library.
        """
        kept = text is None and (self.out / "corpus" / "corpus.json").exists()
        if not kept:
            self.say("reading the text")
        return prepare_corpus(
            None if kept else read_domains(text, code=code), self.out, self.preset,
            tokenizer=tokenizer, source=self.source(), say=self.say,
        )  # fmt: skip

    def new_model(self, shape: Shape, end_token: int) -> Any:
        """The model of a shape before its training."""
        return new_model(shape, self.preset, end_token=end_token)

    def objective(self) -> Objective | None:
        """What is minimised, None for the loss of the tokens that follow."""
        return None

    def source(self) -> dict[str, Any]:
        """What the family is made from, for its settings."""
        return {}

    def given_models(self) -> list[dict[str, Any]]:
        """Models that are part of the family and not trained here, as its record has them."""
        return []

    def measured(self, model: Any) -> dict[str, Any]:
        """What more the record says of a trained model."""
        return {}

    def _batches(self) -> Batches:
        preset = self.preset
        least = 2 * preset.sequence + 1
        for name in self.domains:
            for part in ("train", "held-out"):
                if (tokens := len(stream(self.out, name, part))) < least:
                    raise ValueError(
                        f"domain {name} has {tokens} tokens of {part} text, at least {least} are "
                        "needed"
                    )
        longest = max(-(-s.tokens // (s.batch * preset.sequence)) * s.batch for s in preset.shapes)
        streams = [stream(self.out, name, "train") for name in self.domains]
        batches = Batches(streams, preset.sequence, total=longest, seed=preset.seed)
        for name, epochs in zip(self.domains, batches.epochs, strict=True):
            if epochs > 1.0:
                self.say(
                    f"{name} is short: its text is read {epochs:.1f} times in the longest training"
                )
        return batches

    def _settings(self, shape: Shape) -> dict[str, Any]:
        tokenizer = tokenizer_hash(self.out / "tokenizer")
        settings = {**self.preset.training_settings(), **self.source()}
        return {**settings, **asdict(shape), "tokenizer": tokenizer}

    def _holds(self, shape: Shape) -> bool:
        """Whether the model is trained already, with these settings."""
        folder = self.out / shape.name
        if not folder.exists():
            return False
        remedy = f"delete the folder {shape.name} to train that model anew"
        kept = read_json(folder / "training.json", "settings", *MODEL, remedy=remedy)
        same_settings(kept["settings"], self._settings(shape), shape.name)
        return True

    def _train(self, shape: Shape, deadline_s: float) -> bool:
        """Train a model, evaluate and save it; False if the deadline came first."""
        from transformers import PreTrainedTokenizerFast

        tokenizer = PreTrainedTokenizerFast.from_pretrained(self.out / "tokenizer")
        checkpoint = self.out / "checkpoints" / f"{shape.name}.pt"
        self.say(f"{shape.name}: {shape.parameters(self.preset.vocabulary):,} parameters")
        with _few_threads(shape, self.one_thread_hidden):
            model = self.new_model(shape, int(tokenizer.eos_token_id))
            settings, loss = self._settings(shape), self.objective()
            run = train_model(
                Training(shape, self.preset, model, self.device, settings, loss),
                batches=self.batches, checkpoint=checkpoint, report=self.progress,
                deadline_s=deadline_s, clock=self.clock,
            )  # fmt: skip
        if run is None:
            return False
        streams = held_out_streams(self.out, self.domains)
        losses = held_out_losses(run.model, streams, self.preset, device=self.device)
        save_model(self.out, run, losses, self.measured(run.model), tokenizer)
        checkpoint.unlink()
        mean = mean_held_out(losses)
        self.say(
            f"{shape.name}: held-out loss {mean['loss_nats']:.4f} nats"
            f" (standard error {mean['standard_error_nats']:.4f}) after {run.tokens:,} tokens"
            f" in {run.seconds:.0f} s"
        )
        return True

    def _finish(self, corpus: dict[str, Any]) -> FamilyRun:
        """The record of what is trained; written when nothing is missing."""
        models = []
        for shape in self.preset.shapes:
            path = self.out / shape.name / "training.json"
            if path.exists():
                kept = read_json(path)
                apart = ("settings", "loss_nats_by_tokens")
                models.append({k: v for k, v in kept.items() if k not in apart})
        trained = tuple(m["name"] for m in models)
        missing = tuple(s.name for s in self.preset.shapes if s.name not in trained)
        if missing:
            return FamilyRun(False, trained, missing, None)
        models = [*self.given_models(), *models]
        record = {
            "schema": SCHEMA,
            "version": VERSION,
            "settings": {**self.preset.training_settings(), **self.source()},
            "tokenizer_sha256": tokenizer_hash(self.out / "tokenizer"),
            "corpus": corpus["domains"],
            "text_sha256_16": corpus["settings"]["text"],
            "models": models,
        }
        write_json(self.out / "family.json", record)
        return FamilyRun(True, trained, (), record, tuple(disorder(models)))


def tiny_family(
    folder: Path, *, seed: int = 0, text: Path | None = None, code: bool = True
) -> Path:
    """A family of five models in seconds, for tests and dry runs; its folder."""
    preset = replace(preset_named("tiny"), seed=seed)
    train_family(folder, preset, text=text, code=code, device="cpu")
    return folder
