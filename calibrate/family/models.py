"""Models of a family: Llama-style, tied embeddings, made from a shape and saved as a folder."""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .batches import save_tokenizer
from .held_out import mean_held_out
from .record import write_json
from .shapes import Preset, Shape
from .training import Training

if TYPE_CHECKING:
    from transformers import LlamaConfig

    from ..measure.pairs import LoadedModel


def config_of(shape: Shape, preset: Preset, *, end_token: int) -> LlamaConfig:
    from transformers import LlamaConfig

    return LlamaConfig(
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


def new_model(shape: Shape, preset: Preset, *, end_token: int) -> Any:
    """An untrained model; its weights depend on its name and the preset's seed alone."""
    from transformers import LlamaForCausalLM

    config = config_of(shape, preset, end_token=end_token)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(preset.seed * 2**32 + zlib.crc32(shape.name.encode()))
        model: Any = LlamaForCausalLM(config)
    return model.float()


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
