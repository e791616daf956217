"""Models of a family: Llama-style, tied embeddings; made from a shape, evaluated on held-out text
and saved as a folder.

A draft q is brought near its teacher p over the teacher's k likeliest tokens and the rest:

    divergence = sum_k p_k log(p_k / q_k) + p_rest log(p_rest / q_rest),  p_rest = 1 - sum p_k
    overlap = sum_k min(p_k, q_k) + min(p_rest, q_rest)

Merging tokens lowers the one and raises the other: at most KL(p, q), at least sum min(p, q), which
is the chance that a draft token is accepted.
"""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from .batches import Ids, save_tokenizer, stream
from .record import write_json
from .shapes import Preset, Shape
from .training import Training, token_losses

if TYPE_CHECKING:
    from ..measure.pairs import LoadedModel

EVALUATED_AT_ONCE = 16
LEAST = 1e-6  # of probability, where the likeliest tokens have all of it


def new_model(shape: Shape, preset: Preset, *, end_token: int) -> Any:
    """An untrained model; its weights depend on its name and the preset's seed alone."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=preset.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=preset.context,
        tie_word_embeddings=True,
        bos_token_id=end_token,
        eos_token_id=end_token,
        pad_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(preset.seed * 2**32 + zlib.crc32(shape.name.encode()))
        model: Any = LlamaForCausalLM(config)
    return model.float()


def held_out_losses(
    model: Any, streams: dict[str, Ids], preset: Preset, *, device: torch.device
) -> dict[str, dict[str, float]]:
    """Mean loss in nats per token and its standard error, by domain.

    The standard error is that of the means of separate sequences, whose tokens are not
    independent of each other.
    """
    model.eval()
    found = {}
    for name, ids in streams.items():
        count = (len(ids) - 1) // preset.sequence
        if count < 2:
            raise ValueError(
                f"domain {name} needs {2 * preset.sequence + 1} held-out tokens, got {len(ids)}"
            )
        rows = torch.from_numpy(held_out_rows(ids, preset))
        with torch.inference_mode():
            means = torch.cat(
                [
                    token_losses(model, part.to(device), preset).mean(1).cpu()
                    for part in torch.split(rows, min(preset.at_once, EVALUATED_AT_ONCE))
                ]
            ).double()
        found[name] = {
            "loss_nats": float(means.mean()),
            "standard_error_nats": float(means.std() / count**0.5),
        }
    return found


def held_out_rows(ids: Ids, preset: Preset) -> NDArray[np.int64]:
    """The rows of held-out text, each one token longer than a sequence."""
    starts = np.arange((len(ids) - 1) // preset.sequence)[:, None] * preset.sequence
    rows: NDArray[np.int64] = ids[starts + np.arange(preset.sequence + 1)].astype(np.int64)
    return rows


def mean_held_out(losses: dict[str, dict[str, float]]) -> dict[str, float]:
    """The mean over domains, each counting alike, with its standard error."""
    mean = sum(v["loss_nats"] for v in losses.values()) / len(losses)
    squares = sum(v["standard_error_nats"] ** 2 for v in losses.values())
    return {"loss_nats": mean, "standard_error_nats": squares**0.5 / len(losses)}


def held_out_streams(folder: Path, domains: Sequence[str]) -> dict[str, Ids]:
    """Tokens of the held-out text by domain."""
    return {name: stream(folder, name, "held-out") for name in domains}


def divergence(logits: torch.Tensor, ids: torch.Tensor, logs: torch.Tensor) -> torch.Tensor:
    """From the teacher to the draft, over its likeliest tokens and the rest: (...) in nats.

    logits: (..., vocabulary) of the draft; ids, logs: (..., k) of the teacher.
    """
    own = logits.gather(-1, ids) - logits.logsumexp(-1, keepdim=True)
    p = logs.exp()
    rest, own_rest = _rest(p), _rest(own.exp())
    return (p * (logs - own)).sum(-1) + rest * (rest.log() - own_rest.log())


def overlap(logits: torch.Tensor, ids: torch.Tensor, logs: torch.Tensor) -> torch.Tensor:
    """sum min(p, q) over the same tokens and the rest: at least the chance to be accepted."""
    own = (logits.gather(-1, ids) - logits.logsumexp(-1, keepdim=True)).exp()
    p = logs.exp()
    return torch.minimum(p, own).sum(-1) + torch.minimum(_rest(p), _rest(own))


def _rest(shares: torch.Tensor) -> torch.Tensor:
    return (1.0 - shares.sum(-1)).clamp_min(LEAST)


def save_model(
    out: Path,
    run: Training,
    losses: dict[str, dict[str, float]],
    more: dict[str, Any],
    tokenizer: Any,
) -> None:
    """The model's folder: all of it or nothing."""
    from safetensors import SafetensorError

    shape, preset = run.shape, run.preset
    temporary = out / f".{shape.name}.part"
    shutil.rmtree(temporary, ignore_errors=True)
    dtype = torch.bfloat16 if preset.precision == "bfloat16" else torch.float32
    try:
        run.model.to(dtype).save_pretrained(temporary)
    except SafetensorError as error:
        raise OSError(f"{shape.name} cannot be written: {error}") from None
    save_tokenizer(tokenizer, temporary)
    tied: Any = (run.model.get_input_embeddings(), run.model.get_output_embeddings())
    tables = sum(p.numel() for p in {id(m.weight): m.weight for m in tied}.values())
    whole = sum(p.numel() for p in run.model.parameters())
    record = {
        "name": shape.name,
        "role": shape.role,
        "parameters": whole,
        "non_embedding_parameters": whole - tables,
        "layers": shape.layers,
        "hidden": shape.hidden,
        "feed_forward": shape.feed_forward,
        "heads": shape.heads,
        "trained_tokens": run.tokens,
        "train_s": run.seconds,
        "held_out": mean_held_out(losses),
        "held_out_by_domain": losses,
        **more,
    }
    history = {"settings": run.settings, "loss_nats_by_tokens": run.losses}
    write_json(temporary / "training.json", {**record, **history})
    temporary.rename(out / shape.name)


def save_teacher(folder: Path, teacher: LoadedModel) -> None:
    """A pretrained model as a folder of the family; of a .gguf file with plain numbers."""
    temporary = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    teacher.model.save_pretrained(temporary)
    save_tokenizer(teacher.tokenizer, temporary)
    temporary.rename(folder)
