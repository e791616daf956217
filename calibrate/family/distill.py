"""A family of drafts distilled from a pretrained model, in its own vocabulary.

The draft's distribution is brought near the teacher's over its likeliest tokens and the rest
(`divergence`). Passes of the teacher cost the most: they are made once for each row of text and
kept on the disk, for every draft reads the same rows. Part of the text the teacher wrote itself,
since it is its own text that a draft continues. Forward divergence on the teacher's samples: Zhou
et al. 2023, arXiv:2310.08461. A draft of the teacher's width starts with some of its layers, as
DistilBERT does (Sanh et al. 2019, arXiv:1910.01108); a narrower one with its embeddings, projected
to their first principal axes.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from ..measure.decoder import decode_plain
from ..measure.pairs import LoadedModel, choose_device, load_model, quieten
from ..measure.runner import Runner
from ..measure.sources import is_gguf
from .batches import ids_dtype, save_array, save_held_out_text, save_stream, stream
from .build import Building, FamilyRun, nothing
from .models import (
    divergence,
    held_out_losses,
    held_out_rows,
    held_out_streams,
    mean_held_out,
    overlap,
    save_teacher,
)
from .record import read_json, write_json
from .shapes import Preset, Shape, draft_shapes
from .training import Objective, Report, row_logits

TOP = 32
WRITTEN = "written"
# Of what is read: the teacher writes a token at five times the price of reading one.
WRITTEN_PART = 0.1
WRITTEN_ROWS = 32  # at once
STEP_ROWS = 4
SEQUENCE = 256
LONGEST_CONTEXT = 2048
LOGITS_AT_ONCE = 1 << 26
# Of projected embeddings, in the mean: the spread of the first logits. At the teacher's own length,
# four times this one, a draft of SmolLM2-135M starts at 17 nats in place of 7.6 and is still .5
# behind after 28 thousand tokens.
ROW_LENGTH = 0.65


def distill_family(
    out: Path,
    teacher: str | Path,
    *,
    tokens: int = 1_500_000,
    sizes: Sequence[float] = (3.0, 10.0, 30.0, 100.0),
    sequence: int = SEQUENCE,
    held_out_tokens: int = 4_096,
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
    """Distil drafts from a teacher: a folder, a .gguf file or a hub name. Resumes where it was.

    tokens: length of the training of every draft; sizes: how many times less a draft computes for
    a token than the teacher; sequence: tokens of a row of text; other arguments as `train_family`
    has them. The teacher becomes the family's target, with a folder of its own. Raises ValueError
    for a teacher that cannot be loaded or has no tokenizer, and for sizes that no draft has.
    """
    quieten()
    loaded = load_model(teacher, device=str(choose_device(device or "auto")))
    if loaded.tokenizer is None:
        raise ValueError(f"the teacher {loaded.name} has no tokenizer: its text cannot be read")
    if tokens < STEP_ROWS * sequence:
        raise ValueError(f"tokens must be at least {STEP_ROWS * sequence}, one step, got {tokens}")
    config, embedding = loaded.config.get_text_config(), loaded.model.get_input_embeddings()
    tied = loaded.model.get_output_embeddings().weight is embedding.weight
    compute = loaded.identity["parameters"] - (0 if tied else embedding.weight.numel())
    context = int(getattr(config, "max_position_embeddings", None) or LONGEST_CONTEXT)
    preset = Preset(
        "distilled",
        vocabulary=loaded.logits, sequence=sequence, context=min(context, LONGEST_CONTEXT),
        shapes=draft_shapes(
            compute, vocabulary=loaded.logits, hidden=int(config.hidden_size),
            layers=int(config.num_hidden_layers), sizes=sizes, tokens=tokens, batch=STEP_ROWS,
            feed_forward=int(config.intermediate_size), heads=int(config.num_attention_heads),
        ),
        precision="bfloat16" if loaded.device.type == "cuda" else "float32",
        held_out_tokens=held_out_tokens,
        at_once=max(1, min(STEP_ROWS, LOGITS_AT_ONCE // (sequence * loaded.logits))),
    )  # fmt: skip
    work = Distilling(out, preset, loaded.device, progress, say, clock, loaded, Path(teacher))
    return work.run(text=text, code=code, order=order, stage_s=stage_s, gguf=gguf)


@dataclass
class Distilling(Building):
    """A family in the making whose drafts learn from a teacher."""

    teacher: LoadedModel
    given: Path
    one_thread_hidden: ClassVar[int] = (
        0  # a large vocabulary gives narrow models work for all threads too
    )

    def source(self) -> dict[str, Any]:
        """What tells this family from one of another teacher."""
        return {
            "teacher": self.teacher.name,
            "teacher_sha256_16": self.teacher.identity.get("sha256_16"),
            "teacher_top": TOP,
        }

    def tokenizer_file(self) -> Path | None:
        """The teacher's own file, where it is one of GGUF."""
        return self.given if is_gguf(self.given) else None

    def corpus(self, text: Path | None, code: bool, deadline_s: float) -> dict[str, Any] | None:
        """The text that was given, and as one more domain what the teacher writes."""
        made = self.encoded(text, code, self.teacher.tokenizer)
        names, preset, sizes = list(made["domains"]), self.preset, {}
        wanted = {
            "train": math.ceil(WRITTEN_PART * preset.longest_tokens),
            "held-out": preset.held_out_tokens,
        }
        for part, tokens in wanted.items():
            rows = max(3, -(-tokens // preset.sequence) + 1)  # a shorter text has no second row
            if not self._write(names, part, rows, deadline_s):
                return None
            sizes[f"{part}_tokens".replace("-", "_")] = rows * preset.sequence
        return {**made, "domains": {**made["domains"], WRITTEN: sizes}}

    def _write(self, names: Sequence[str], part: str, rows: int, deadline_s: float) -> bool:
        """Let the teacher continue beginnings of the given text; False if its time is up."""
        if (self.out / "corpus" / f"{WRITTEN}-{part}.npy").exists():
            return True
        length = self.preset.sequence
        begun, runner, found = length // 8, None, []
        streams = [stream(self.out, name, part) for name in names]
        for chunk in range(-(-rows // WRITTEN_ROWS)):
            path = self.out / "corpus" / WRITTEN / f"{part}-{chunk:06d}.npy"
            if not path.exists():
                if self.clock() >= deadline_s:
                    return False
                if runner is None:
                    runner = Runner(self.teacher.model, batch=WRITTEN_ROWS, capacity=length)
                rng = np.random.default_rng([self.preset.seed, len(part), chunk])
                chosen = [streams[i] for i in rng.integers(len(streams), size=WRITTEN_ROWS)]
                starts = [int(rng.integers(len(ids) - begun)) for ids in chosen]
                both = zip(chosen, starts, strict=True)
                prompts = [ids[i : i + begun].tolist() for ids, i in both]
                seed = int(rng.integers(1 << 62))
                new = decode_plain(
                    runner, prompts, new_tokens=length - begun, temperature=1.0, seed=seed
                ).tokens
                whole = [[*a, *b] for a, b in zip(prompts, new, strict=True)]
                save_array(path, np.asarray(whole, ids_dtype(self.preset.vocabulary)))
            found.append(np.load(path, allow_pickle=False))
            done = min((chunk + 1) * WRITTEN_ROWS, rows)
            self.progress(done * length, rows * length, f"{WRITTEN} text")
        text = np.concatenate(found)[:rows]
        if part == "held-out":
            decode: Any = self.teacher.tokenizer
            save_held_out_text(self.out, WRITTEN, [decode.decode(row.tolist()) for row in text])
        save_stream(self.out, WRITTEN, part, text.reshape(-1))
        return True

    def new_model(self, shape: Shape, end_token: int) -> Any:
        """A draft with layers of the teacher, or with its embeddings projected to the width."""
        if shape.layer_parameters is not None:
            return self.shortened(shape.layers)
        model = super().new_model(shape, end_token)
        with torch.no_grad():
            start = self.projected(shape.hidden)
            start *= ROW_LENGTH / start.norm(dim=1).mean()
            model.get_input_embeddings().weight.copy_(start)
        return model

    def shortened(self, layers: int) -> Any:
        """The teacher with so many of its layers, evenly chosen, the first and the last among them.

        One layer is the first.
        """
        teacher = self.teacher.model
        config = copy.deepcopy(teacher.config)
        own = config.get_text_config()
        chosen = [round(i) for i in np.linspace(0, own.num_hidden_layers - 1, layers)]
        own.num_hidden_layers = layers
        if getattr(own, "layer_types", None):
            own.layer_types = [own.layer_types[i] for i in chosen]
        model = type(teacher)(config).float()
        new = {str(old): str(i) for i, old in enumerate(chosen)}
        kept = {}
        for name, values in teacher.state_dict().items():
            before, mark, after = name.partition(".layers.")
            number, _, rest = after.partition(".")
            if not mark:
                kept[name] = values
            elif number in new:
                kept[f"{before}{mark}{new[number]}.{rest}"] = values
        model.load_state_dict(kept)
        return model

    def projected(self, width: int) -> torch.Tensor:
        """The teacher's output embeddings along their first principal axes: (vocabulary, width)."""
        weight: torch.Tensor = self.teacher.model.get_output_embeddings().weight
        whole = weight.detach().float().cpu()
        axes: torch.Tensor = torch.linalg.eigh(whole.mT @ whole).eigenvectors
        return whole @ axes[:, -width:].flip(1)

    def objective(self) -> Objective:
        """The divergence from the teacher, row by row of the training's text."""

        def losses(model: Any, rows: torch.Tensor, first: int) -> torch.Tensor:
            places = [self.batches.place(first + i) for i in range(len(rows))]
            found = [
                self._labels(f"{self.domains[domain]}-train-{number:06d}", row)
                for (domain, number), row in zip(places, rows, strict=True)
            ]
            ids, logs = (torch.stack(part).to(self.device) for part in zip(*found, strict=True))
            return divergence(row_logits(model, rows, self.preset), ids, logs)

        return losses

    def measured(self, model: Any) -> dict[str, Any]:
        """The overlap with the teacher on held-out text by domain, and its mean."""
        found = {}
        for name, ids in held_out_streams(self.out, self.domains).items():
            kept = []
            for number, row in enumerate(torch.from_numpy(held_out_rows(ids, self.preset))):
                labels = self._labels(f"{name}-held-out-{number:06d}", row)
                with torch.inference_mode():
                    logits = row_logits(model, row[None].to(self.device), self.preset)[0].cpu()
                kept.append(float(overlap(logits, *labels).mean()))
            found[name] = sum(kept) / len(kept)
        mean = sum(found.values()) / len(found)
        self.say(f"overlap with the teacher on held-out text {mean:.3f}")
        return {"overlap": mean, "overlap_by_domain": found}

    def given_models(self) -> list[dict[str, Any]]:
        """The teacher as the family's target, saved in a folder of its own."""
        path = self.out / self.teacher.name / "training.json"
        if not path.exists():
            self.say(f"{self.teacher.name}: its held-out loss")
            streams = held_out_streams(self.out, self.domains)
            losses = held_out_losses(self.teacher.model, streams, self.preset, device=self.device)
            config = self.teacher.config.get_text_config()
            record = {
                "name": self.teacher.name,
                "role": "target",
                "parameters": self.teacher.identity["parameters"],
                "layers": int(config.num_hidden_layers),
                "hidden": int(config.hidden_size),
                "feed_forward": getattr(config, "intermediate_size", None),
                "heads": int(config.num_attention_heads),
                "trained_tokens": 0,
                "train_s": 0.0,
                "held_out": mean_held_out(losses),
                "held_out_by_domain": losses,
            }
            save_teacher(path.parent, self.teacher)
            write_json(path, record)
        return [read_json(path)]

    def _labels(self, name: str, row: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The teacher's likeliest tokens behind every token of a row, and the logs of their shares.

        row: (sequence + 1,); both results (sequence, TOP), worked out once and kept on the disk.
        """
        path = self.out / "labels" / f"{name}.npy"
        if not path.exists():
            with torch.inference_mode():
                one = row[None].to(self.device)
                logits = row_logits(self.teacher.model, one, self.preset)[0].cpu()
            best = logits.topk(min(TOP, self.preset.vocabulary - 1))
            made = np.empty(
                best.indices.shape, [("id", ids_dtype(self.preset.vocabulary)), ("log", np.float16)]
            )
            made["id"] = best.indices.numpy()
            made["log"] = (best.values - logits.logsumexp(-1, keepdim=True)).numpy()
            save_array(path, made)
        held = np.load(path, allow_pickle=False)
        return (
            torch.from_numpy(held["id"].astype(np.int64)),
            torch.from_numpy(held["log"].astype(np.float32)),
        )
