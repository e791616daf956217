"""Token ids on the disk, and batches whose content depends on their position alone.

Every model of a family reads the same sequences in the same order, and a run that resumes goes on
with the very batch that it would have read.
The tokenizer is made of byte pairs, on a sample with equal parts of every domain.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from ..files import atomic_write, replace_file
from .corpus import Domain, shuffled
from .record import read_json, same_settings, write_json
from .shapes import Preset

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


Ids = NDArray[np.unsignedinteger[Any]]
MOST_EPOCHS = 4
BLOCK = 32


class Batches:
    """The sequences of a family: equal parts of every domain, short domains repeated."""

    def __init__(self, streams: Sequence[Ids], sequence: int, *, total: int, seed: int) -> None:
        self.streams = list(streams)
        self.sequence = sequence
        self.seed = seed
        self.sizes = [max(0, (len(s) - 1) // sequence) for s in streams]
        if not all(self.sizes):
            short = min(map(len, self.streams))
            raise ValueError(f"a domain needs more than {sequence} tokens to train on, got {short}")
        self.shares = shares(self.sizes, total)
        self.domain, self.ordinal = _interleaved(self.shares)
        self._orders: dict[tuple[int, int], NDArray[np.int64]] = {}

    @property
    def epochs(self) -> list[float]:
        """How many times each domain is read in a full training."""
        return [n / size for n, size in zip(self.shares, self.sizes, strict=True)]

    def read(self, start: int, count: int) -> NDArray[np.int64]:
        """Sequences start .. start + count - 1, each one token longer: (count, sequence + 1)."""
        rows = [self._row(i) for i in range(start, start + count)]
        return np.stack(rows).astype(np.int64)

    def place(self, i: int) -> tuple[int, int]:
        """Where sequence i comes from: its domain and its number in the text of that."""
        d, k = int(self.domain[i]), int(self.ordinal[i])
        epoch, place = divmod(k, self.sizes[d])
        if (d, epoch) not in self._orders:
            rng = np.random.default_rng([self.seed, d, epoch])
            self._orders[d, epoch] = rng.permutation(self.sizes[d])
        return d, int(self._orders[d, epoch][place])

    def _row(self, i: int) -> Ids:
        d, number = self.place(i)
        first = number * self.sequence
        return self.streams[d][first : first + self.sequence + 1]


def shares(sizes: Sequence[int], total: int) -> list[int]:
    """Sequences to read of each domain: equal parts, but no domain more than four times over.

    What a short domain cannot give the others share; if all are short, all are repeated equally.
    """
    left, open_domains = total, set(range(len(sizes)))
    given = [0] * len(sizes)
    while open_domains:
        part = left / len(open_domains)
        full = {d for d in open_domains if MOST_EPOCHS * sizes[d] < part}
        if not full:
            break
        for d in full:
            given[d] = MOST_EPOCHS * sizes[d]
            left -= given[d]
        open_domains -= full
    if open_domains:
        for n, d in enumerate(sorted(open_domains)):
            given[d] = left // len(open_domains) + (n < left % len(open_domains))
        return given
    return [-(-total * size // sum(sizes)) for size in sizes]


def _interleaved(given: Sequence[int]) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    """Domain and ordinal of every sequence: each domain evenly spread over the training."""
    times = np.concatenate([(np.arange(n) + 0.5) / n for n in given if n])
    domain = np.concatenate([np.full(n, d, np.int8) for d, n in enumerate(given)])
    ordinal = np.concatenate([np.arange(n) for n in given])
    order = np.lexsort((domain, times))
    return domain[order], ordinal[order]


def fingerprint(domain: Domain) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a domain's documents in their order."""
    digest = hashlib.sha256()
    for document in domain.documents:
        digest.update(document.encode("utf-8", "surrogatepass"))
        digest.update(b"\0")
    return digest.hexdigest()[:16]


def prepare_corpus(
    domains: Sequence[Domain] | None,
    folder: Path,
    preset: Preset,
    *,
    tokenizer: Any,
    source: Mapping[str, Any],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Tokenizer and token ids of every domain under `folder`, made once; their description.

    domains: None to keep what is there; tokenizer: the one to use, None to train one of the
    preset's vocabulary; source: what more the corpus is made for.
    """
    # Domains that are longer than their part are read in part only.
    train_tokens = min(
        math.ceil(1.02 * preset.longest_tokens) + preset.sequence, preset.domain_tokens
    )
    held_out_tokens = preset.held_out_tokens + 1
    record = folder / "corpus" / "corpus.json"
    kept = read_json(record, "settings", "domains") if record.exists() else None
    text = {d.name: fingerprint(d) for d in domains or ()}
    wanted = {
        "text": kept["settings"].get("text") if kept and domains is None else text,
        "vocabulary": preset.vocabulary,
        "train_tokens_wanted": train_tokens,
        "held_out_tokens_wanted": held_out_tokens,
        "seed": preset.seed,
        **source,
    }
    if kept is not None:
        same_settings(kept["settings"], wanted, "this family")
        return kept
    assert domains is not None
    parts = {d.name: d.split() for d in domains}
    orders = {n: [shuffled(p, seed=preset.seed) for p in both] for n, both in parts.items()}
    if tokenizer is None:
        say("training the tokenizer")
        texts = [train for train, _ in orders.values()]
        tokenizer = train_tokenizer(texts, preset.vocabulary, context=preset.context)
    save_tokenizer(tokenizer, folder / "tokenizer")
    sizes = {}
    for domain in domains:
        say(f"encoding {domain.name}")
        train, held = orders[domain.name]
        tokens = {
            "train": _encoded(tokenizer, train, train_tokens),
            "held-out": _encoded(tokenizer, held, held_out_tokens),
        }
        for part, ids in tokens.items():
            save_stream(folder, domain.name, part, ids)
        save_held_out_text(folder, domain.name, held)
        sizes[domain.name] = {
            "documents": len(domain.documents),
            "characters": domain.characters,
            "train_tokens": len(tokens["train"]),
            "held_out_tokens": len(tokens["held-out"]),
        }
    made = {"settings": wanted, "domains": sizes}
    write_json(record, made)
    return made


def save_stream(folder: Path, domain: str, part: str, ids: NDArray[Any]) -> None:
    """Write the token ids of a domain, `train` or `held-out`."""
    save_array(folder / "corpus" / f"{domain}-{part}.npy", ids)


def save_array(path: Path, values: NDArray[Any]) -> None:
    """Write a file of one array, whole or not at all."""

    def save(place: Path) -> None:
        with place.open("wb") as handle:
            np.save(handle, values, allow_pickle=False)

    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, save)


def save_held_out_text(folder: Path, domain: str, documents: Sequence[str]) -> None:
    """The held-out documents as text, for prompts: the first 400, 2 million characters at most."""
    text = "\0".join(documents[:400])[:2_000_000]
    atomic_write(folder / "corpus" / f"{domain}-held-out.txt", text.encode())


def _encoded(tokenizer: Any, documents: Sequence[str], most: int) -> Ids:
    """Documents one after the other, each closed by the end token, about `most` tokens."""
    found: list[int] = []
    for start in range(0, len(documents), BLOCK):
        for ids in encode(tokenizer, documents[start : start + BLOCK]):
            found += [*ids, tokenizer.eos_token_id]
        if len(found) >= most:
            break
    return np.asarray(found[:most], dtype=ids_dtype(len(tokenizer)))


def ids_dtype(vocabulary: int) -> type[np.unsignedinteger[Any]]:
    """The shortest kind of number that holds every token id."""
    return np.uint16 if vocabulary <= 1 << 16 else np.uint32


def stream(folder: Path, domain: str, part: str) -> Ids:
    """The token ids of a domain, `train` or `held-out`, mapped from the disk."""
    ids: Ids = np.load(
        folder / "corpus" / f"{domain}-{part}.npy", mmap_mode="r", allow_pickle=False
    )
    return ids
