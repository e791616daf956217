"""A byte-pair tokenizer trained on a sample with equal parts of every domain."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from .files import read_json, write_json

END = "<|endoftext|>"
SAMPLE_CHARS = 1_500_000
LONGEST_CONTEXT = 1024


def train_tokenizer(
    texts: Sequence[Sequence[str]], vocabulary: int, *, context: int = LONGEST_CONTEXT
) -> PreTrainedTokenizerFast:
    """A byte-level byte-pair tokenizer of a given size; digits stand alone.

    One token opens, ends and pads: in a small vocabulary each counts.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    alphabet = pre_tokenizers.ByteLevel.alphabet()
    if vocabulary <= len(alphabet):
        raise ValueError(f"vocabulary must be at least {len(alphabet) + 1}, got {vocabulary}")
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    bare.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END],
        initial_alphabet=sorted(alphabet),
        show_progress=False,
    )
    bare.train_from_iterator(_sample(texts), trainer)
    if bare.get_vocab_size() != vocabulary:
        raise ValueError(
            f"the text is too small for a vocabulary of {vocabulary} tokens,"
            f" it gave {bare.get_vocab_size()}"
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=bare,
        bos_token=END,
        eos_token=END,
        pad_token=END,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )


def _sample(texts: Sequence[Sequence[str]]) -> Iterator[str]:
    for documents in texts:
        left = SAMPLE_CHARS
        for document in documents:
            yield document[:left]
            left -= len(document)
            if left <= 0:
                break


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Write a tokenizer in the hub's format, under the class name that every reader knows.

    Transformers 5 writes a name of its own, which engines on earlier versions refuse, and where
    the tokenizer was loaded from.
    """
    tokenizer.save_pretrained(folder)
    path = folder / "tokenizer_config.json"
    config = read_json(path)
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    for key in ("is_local", "local_files_only", "backend"):
        config.pop(key, None)
    write_json(path, config)


def tokenizer_hash(folder: Path) -> str:
    """What tells two tokenizers apart: a digest of tokenizer.json."""
    return hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest()


def encode(tokenizer: Any, documents: Sequence[str]) -> list[list[int]]:
    """The token ids of documents, without special tokens."""
    found = tokenizer.backend_tokenizer.encode_batch(list(documents), add_special_tokens=False)
    return [e.ids for e in found]
