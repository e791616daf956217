"""A Llama-style model with its tokenizer as one GGUF file, as llama.cpp reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..files import replace_file

_CONTROL, _NORMAL = 3, 1  # kinds of tokens
FORMATS = ("f32", "f16", "q8_0")
_FILE_TYPES = {"f32": 0, "f16": 1, "q8_0": 7}  # gguf.LlamaFileType
_BLOCK = 32  # columns that a quantised format packs together


def check_format(name: str) -> str:
    """The name of a number format that is written here. Raises ValueError listing them."""
    if name not in FORMATS:
        raise ValueError(f"gguf must be one of {', '.join(FORMATS)}, got {name!r}")
    return name


def write_gguf(
    folder: Path, path: Path, *, numbers: str = "f32", tokenizer_of: Path | None = None
) -> None:
    """Write the model of a folder to one file.

    numbers: f32, f16 or q8_0, of matrices (f16 where rows do not fill blocks of 32); vectors are
    f32. tokenizer_of: a .gguf file of the same vocabulary whose tokenizer is taken word for word;
    None to write the folder's. Raises ValueError for other numbers, a model that is no Llama, and a
    tokenizer that llama.cpp has no name for.
    """
    check_format(numbers)
    import gguf
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model: Any = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).float()
    config = model.config
    if config.model_type != "llama":
        raise ValueError(
            f"{folder}: models of the kind llama are written as GGUF, this one is "
            f"{config.model_type}"
        )

    def save(place: Path) -> None:
        writer = gguf.GGUFWriter(place, "llama")
        writer.add_name(folder.name)
        writer.add_file_type(_FILE_TYPES[numbers])
        _sizes(writer, config)
        if tokenizer_of is not None:
            _taken(writer, gguf.GGUFReader(tokenizer_of))
        else:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            _tokenizer(writer, tokenizer, rows=config.vocab_size)
        names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
        for name, values in model.state_dict().items():
            if not (name == "lm_head.weight" and config.tie_word_embeddings):
                called = names.get_name(name, try_suffixes=(".weight",))
                assert called is not None, name
                _add(writer, called, _ordered(name, values.numpy(), config), numbers)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    replace_file(path, save)


def _sizes(writer: Any, config: Any) -> None:
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    writer.add_rope_freq_base(float(config.rope_parameters["rope_theta"]))
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)


def _add(writer: Any, name: str, values: NDArray[np.float32], numbers: str) -> None:
    """A tensor in a number format."""
    import gguf

    if numbers == "f32" or values.ndim == 1:
        writer.add_tensor(name, values)
    elif numbers == "f16" or values.shape[1] % _BLOCK:
        writer.add_tensor(name, values.astype(np.float16))
    else:
        kind = gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(name, gguf.quantize(values, kind), raw_dtype=kind)


def _ordered(name: str, values: NDArray[np.float32], config: Any) -> NDArray[np.float32]:
    """Queries and keys turn neighbours together in GGUF, halves of a head in transformers."""
    heads = {
        "q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads,
    }.get(name.split(".")[-2])  # fmt: skip
    if heads is None:
        return values
    rows, columns = values.shape
    halves = values.reshape(heads, 2, rows // heads // 2, columns)
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(rows, columns)


def _taken(writer: Any, reader: Any) -> None:
    """The tokenizer of another file, field by field."""
    from gguf import GGUFValueType

    for key, field in reader.fields.items():
        if key.startswith("tokenizer."):
            kind, *of = field.types
            part = of[-1] if kind == GGUFValueType.ARRAY else None
            writer.add_key_value(key, field.contents(), kind, part)


def _tokenizer(writer: Any, tokenizer: Any, *, rows: int) -> None:
    """A byte-level byte-pair tokenizer, rows beyond it filled with tokens that never come."""
    written = json.loads(tokenizer.backend_tokenizer.to_str())
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_name_of(written))
    ids = {number: text for text, number in tokenizer.get_vocab().items()}
    special = {t["id"] for t in written["added_tokens"] if t["special"]}
    writer.add_token_list([ids.get(i, f"[PAD{i}]") for i in range(rows)])
    kinds = [_CONTROL if i in special or i not in ids else _NORMAL for i in range(rows)]
    writer.add_token_types(kinds)
    merges = written["model"]["merges"]
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    for name in ("bos", "eos", "unk", "pad"):
        number = getattr(tokenizer, f"{name}_token_id")
        if number is not None:
            getattr(writer, f"add_{name}_token_id")(number)
    writer.add_add_bos_token(False)


def _name_of(written: dict[str, Any]) -> str:
    """What llama.cpp calls the way in which a tokenizer splits text. Raises ValueError."""
    split = written.get("pre_tokenizer") or {}
    steps = split.get("pretokenizers", [split])
    kinds = [
        (s.get("type"), s.get("individual_digits", s.get("use_regex", True)))
        for s in steps if not s.get("add_prefix_space")
    ]  # fmt: skip
    known = {
        (("Digits", True), ("ByteLevel", True)): "smollm",
        (("ByteLevel", True),): "gpt-2",
    }
    name = known.get(tuple(kinds)) if written["model"]["type"] == "BPE" else None
    if name is None:
        raise ValueError(
            "the tokenizer splits text in a way that llama.cpp has no name for here: "
            f"{', '.join(str(s.get('type')) for s in steps)}; its .gguf file has to be the teacher"
        )
    return name
