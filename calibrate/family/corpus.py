"""Text by domain: the standard library's source code, and the files of a folder.

A file directly in the folder is a domain named after it; a sub-folder is one domain named after
the folder; more than eight files at the top are one domain together. Three names are translated:
docs -> documentation, gsm8k -> arithmetic, and the source code of the standard library is `code`.
READMEs and files of prompts (names with test, humaneval, mt_bench) are never trained on.
"""

from __future__ import annotations

import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..files import json_lines, read_text

TEXT_SUFFIXES = (".txt", ".md", ".jsonl")
PROMPT_NAMES = ("test", "humaneval", "mt_bench", "mt-bench")
DOMAIN_NAMES = {"docs": "documentation", "gsm8k": "arithmetic"}
RECORD_FIELDS = (
    ("question", "answer"),
    ("prompt", "canonical_solution"),
    ("prompt", "completion"),
    ("text",),
    ("content",),
    ("turns",),
)
CHUNK_CHARS = 12_000
HELD_OUT_EVERY = 33
HELD_OUT_CHARS = 60_000
MANY_FILES = 8


@dataclass(frozen=True)
class Domain:
    """A kind of text: its documents, in the order of the source."""

    name: str
    documents: tuple[str, ...]

    @property
    def characters(self) -> int:
        return sum(map(len, self.documents))

    def split(self) -> tuple[list[str], list[str]]:
        """Documents to train on and documents held out: about every 33rd, and at least one.

        Spread over the source rather than its end, which in a collection is one work of one kind.
        Of a short text up to every tenth, so that what is held out says something.
        """
        if len(self.documents) < 2:
            raise ValueError(
                f"domain {self.name} needs at least 2 documents or about"
                f" {2 * CHUNK_CHARS} characters of text, got {self.characters} characters"
            )
        every = min(HELD_OUT_EVERY, max(10, self.characters // HELD_OUT_CHARS))
        every = min(every, len(self.documents))
        held = self.documents[every - 1 :: every]
        train = [d for i, d in enumerate(self.documents) if i % every != every - 1]
        return train, list(held)


def read_domains(text: Path | None = None, *, code: bool = True) -> list[Domain]:
    """The domains of a folder, and the standard library's code; sorted by name."""
    domains = {} if text is None else {d.name: d for d in folder_domains(text)}
    if code and "code" not in domains:
        domains["code"] = standard_library()
    if not domains:
        raise ValueError("no text to train on: give --text, or leave the standard library in")
    return [domains[name] for name in sorted(domains)]


def standard_library() -> Domain:
    """The .py files of the Python in use, without its tests."""
    root = Path(sysconfig.get_paths()["stdlib"])
    skipped = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}
    texts = []
    for path in sorted(root.rglob("*.py")):
        if not skipped.isdisjoint(path.relative_to(root).parts):
            continue
        try:
            texts.append(path.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            continue  # some codec sources are not UTF-8
    documents = tuple(t for t in texts if t.strip())
    if not documents:
        raise ValueError(
            "the standard library of this Python has no source files, so --text is needed"
        )
    return Domain("code", documents)


def folder_domains(folder: Path) -> list[Domain]:
    """The domains of a folder, by the rule at the head of this file."""
    if not folder.is_dir():
        raise ValueError(f"--text must be a folder, got {folder}")
    groups: dict[str, list[Path]] = {}
    top = [p for p in sorted(folder.iterdir()) if p.is_file() and _is_training_text(p)]
    for path in top:
        name = domain_name(path) if len(top) <= MANY_FILES else _plain_name(folder.name)
        groups.setdefault(name, []).append(path)
    for sub in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")):
        files = [p for p in sorted(sub.rglob("*")) if p.is_file() and _is_training_text(p)]
        if files:
            groups.setdefault(_plain_name(sub.name), []).extend(files)
    if not groups:
        kinds = ", ".join(f"*{s}" for s in TEXT_SUFFIXES)
        raise ValueError(f"--text holds no file to train on ({kinds}, plain, .xz or .gz): {folder}")
    found = []
    for name, paths in sorted(groups.items()):
        documents = tuple(d for p in paths for d in _documents(p))
        if not documents:
            raise ValueError(f"domain {name} holds no text: {', '.join(p.name for p in paths)}")
        found.append(Domain(name, documents))
    return found


def domain_name(path: Path) -> str:
    """The domain of a file: its name up to the first dot, without a _train ending."""
    return _plain_name(re.sub(r"[-_]train$", "", path.name.split(".")[0]))


def _plain_name(name: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "text"
    return DOMAIN_NAMES.get(plain, plain)


def _is_training_text(path: Path) -> bool:
    name = path.name.lower()
    bare = re.sub(r"\.(xz|gz)$", "", name)
    is_text = bare.endswith(TEXT_SUFFIXES) and not name.startswith((".", "readme"))
    stem = bare.rsplit(".", 1)[0]
    words = set(re.split(r"[^a-z0-9]+", stem))
    prompts = any(p in stem for p in PROMPT_NAMES[1:]) or PROMPT_NAMES[0] in words
    return is_text and not prompts


def _documents(path: Path) -> Iterator[str]:
    text = read_text(path)
    if ".jsonl" not in path.name.lower():
        yield from chunks(text)
        return
    for place, record in json_lines(text, path.name):
        for fields in RECORD_FIELDS:
            if isinstance(record, dict) and all(f in record for f in fields):
                parts = [p for f in fields for p in _strings(record[f])]
                # A program goes on where its prompt stops; everything else is a new paragraph.
                joint = "" if fields == ("prompt", "canonical_solution") else "\n"
                if document := joint.join(parts).strip():
                    yield document
                break
        else:
            wanted = ", ".join("+".join(f) for f in RECORD_FIELDS)
            raise ValueError(f"{place}: has none of the fields {wanted}")


def _strings(value: object) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, str)]


def chunks(text: str) -> Iterator[str]:
    """Long text in pieces of about 12,000 characters, cut at blank lines where there are any."""
    start = 0
    while start < len(text):
        end = start + CHUNK_CHARS
        if end < len(text):
            for mark in ("\n\n", "\n", " "):
                cut = text.rfind(mark, start + CHUNK_CHARS // 2, end)
                if cut > 0:
                    end = cut + len(mark)
                    break
        piece = text[start:end].strip("\n")
        if piece.strip():
            yield piece
        start = end


def shuffled(documents: list[str], *, seed: int) -> list[str]:
    """The documents in an order that depends on the seed alone."""
    order = np.random.default_rng(seed).permutation(len(documents))
    return [documents[i] for i in order]
