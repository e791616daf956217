"""What acceptance and sweep are measured on: a target, drafts with its tokens, and prompts.

The rejection rule compares probabilities token by token, so a draft with other tokens would be
accepted and rejected at random. Only padding may differ: rows of the output beyond the tokens.

The built-in prompts were written for this project, ten for each of five domains. A file is JSONL
with the text in a named field (and the domain in a field `domain`, where there is one), or plain
text, each paragraph a prompt; either may be compressed (.gz, .xz).

Prompts are read without torch, which loading a ladder imports.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import json_lines, read_text

if TYPE_CHECKING:
    from .pairs import LoadedModel

# Merges and normalisation may differ where the vocabularies agree, so some text is read with both.
PROBE = (
    'The 3 quick brown foxes\' jump -- 1,234.5 + x_1 = "0x1F"\n'
    "def f(a, b):\n    return a*b  # caf\u00e9, \u6771\u4eac, \u043c\u0438\u0440\n"
)


@dataclass(frozen=True)
class Ladder:
    """A target and drafts by name that have its tokens.

    vocabulary: logits that all have, None where no model has more; notes: what was cut, and why.
    """

    target: LoadedModel
    drafts: dict[str, LoadedModel]
    vocabulary: int | None
    notes: tuple[str, ...]

    @property
    def models(self) -> dict[str, LoadedModel]:
        """All of them, the target first."""
        return {self.target.name: self.target, **self.drafts}

    @property
    def identities(self) -> dict[str, Any]:
        """What each model is, for the provenance of a record."""
        return {name: model.identity for name, model in self.models.items()}

    @property
    def plain(self) -> dict[str, Any]:
        """The drafts' transformers models by name."""
        return {name: draft.model for name, draft in self.drafts.items()}


def load_ladder(target: str, drafts: Sequence[str], **options: Any) -> Ladder:
    """Load the models, options as of `load_model`. Raises ValueError as it does and `ladder_of`."""
    from .pairs import load_model, quieten

    quieten()
    first, *others = (partial(load_model, name, **options) for name in (target, *drafts))
    return ladder_of(first(), (load() for load in others))


def ladder_of(target: LoadedModel, drafts: Iterable[LoadedModel]) -> Ladder:
    """The ladder of loaded models. Raises ValueError where tokens differ or cannot be told."""
    fitting: dict[str, LoadedModel] = {}
    notes = []
    for draft in drafts:
        for role, model in (("target", target), ("draft", draft)):
            if model.tokenizer is None:
                raise ValueError(
                    f"the {role} {model.name} has no tokenizer: only costs can be measured"
                )
        tokens = _same_tokens(target.tokenizer, draft.tokenizer)
        note = padding_note(tokens, target.logits, draft.logits)
        fitting[draft.name] = draft
        notes += [f"{draft.name}: {note}"] if note else []
    rows = {model.logits for model in (target, *fitting.values())}
    return Ladder(target, fitting, min(rows) if len(rows) > 1 else None, tuple(notes))


def _same_tokens(target: Any, draft: Any) -> int:
    """The number of tokens that both tokenizers have. Raises ValueError where they differ."""
    words = [_by_id(tokenizer) for tokenizer in (target, draft)]
    for token in sorted(words[0].keys() | words[1].keys()):
        ours, theirs = (w.get(token) for w in words)
        if ours != theirs:
            raise ValueError(
                f"the tokenizers of target and draft differ first at token {token}: "
                f"{_shown(ours)} in the target, {_shown(theirs)} in the draft"
            )
    ids = [t(PROBE, add_special_tokens=False)["input_ids"] for t in (target, draft)]
    if ids[0] != ids[1]:
        k = next(
            (i for i, (a, b) in enumerate(zip(*ids, strict=False)) if a != b), min(map(len, ids))
        )
        raise ValueError(
            "the tokenizers of target and draft have the same tokens but split text differently: "
            f"token {k} of the probe is {ids[0][k : k + 1]} for the target, "
            f"{ids[1][k : k + 1]} for the draft"
        )
    return max(words[0]) + 1


def padding_note(tokens: int, target_rows: int, draft_rows: int) -> str | None:
    """What of outputs of so many rows is cut, and why; None where they agree."""
    common = min(target_rows, draft_rows)
    if common < tokens:
        short = "target" if target_rows < tokens else "draft"
        raise ValueError(
            f"the tokenizer has {tokens} tokens, the {short} gives logits for {common} only"
        )
    if target_rows == draft_rows:
        return None
    return (
        f"logits are cut to {common}: the target has {target_rows}, the draft {draft_rows}, "
        f"beyond {tokens} tokens both are padding"
    )


def _by_id(tokenizer: Any) -> dict[int, str]:
    return {int(i): word for word, i in tokenizer.get_vocab().items()}


def _shown(word: str | None) -> str:
    return "none" if word is None else repr(word)


Prompts = dict[str, list[list[int]]]

_BUILT_IN = "prompts.jsonl"


def built_in_texts() -> dict[str, list[str]]:
    """The built-in prompts by domain."""
    content = resources.files(__package__).joinpath(_BUILT_IN).read_text(encoding="utf-8")
    return _by_domain(content, "prompt", "", source=_BUILT_IN)


def file_texts(path: str | Path, *, field: str = "prompt") -> dict[str, list[str]]:
    """The prompts of a file by domain; without domains in it, its name is the only one.

    A field that holds a list gives its first text: the first turn of a dialogue. Raises ValueError
    naming the line for a missing field or an empty prompt, OSError for a file that cannot be read.
    """
    path = Path(path)
    stem, suffix = path, path.suffix
    content = read_text(path)
    if suffix in (".gz", ".xz"):
        stem = path.with_suffix("")
        suffix = stem.suffix
    if suffix == ".jsonl":
        return _by_domain(content, field, stem.stem, source=str(path))
    if suffix == ".txt":
        paragraphs = [p.strip() for p in content.split("\n\n") if p.strip()]
        if not paragraphs:
            raise ValueError(f"{path}: holds no prompt")
        return {stem.stem: paragraphs}
    raise ValueError(f"{path}: prompts must be .jsonl or .txt, or these as .gz or .xz")


def encode_prompts(
    texts: dict[str, list[str]],
    tokenizer: Any,
    *,
    count: int | None = None,
    tokens: int | None = None,
) -> Prompts:
    """Token ids of the first ``count`` prompts of each domain, cut to ``tokens`` tokens each.

    The tokenizer adds what it adds by itself, such as a first token. Raises ValueError for a prompt
    without a single token or with characters that are none, and for a domain with fewer than
    ``count`` prompts.
    """
    for name, value in (("count", count), ("tokens", tokens)):
        if value is not None and value < 1:
            raise ValueError(f"{name} must be a whole number >= 1, got {value}")
    encoded: Prompts = {}
    for domain, given in texts.items():
        if count is not None and len(given) < count:
            raise ValueError(f"domain {domain} has {len(given)} prompts, {count} were asked for")
        encoded[domain] = rows = []
        for number, text in enumerate(given[:count], start=1):
            if any("\ud800" <= c <= "\udfff" for c in text):
                raise ValueError(f"prompt {number} of domain {domain} holds half a character")
            rows.append(list(tokenizer(text)["input_ids"])[:tokens])
            if not rows[-1]:
                raise ValueError(f"prompt {number} of domain {domain} is empty: no token in it")
    return encoded


def family_prompts(folder: str | Path, tokenizer: Any, *, count: int, tokens: int) -> Prompts:
    """Prompts from the held-out text of a family, by domain; errors as of `held_out_prompts`."""
    from ..family.record import family_domains, read_family

    folder = Path(folder)
    return {
        name: held_out_prompts(folder, name, tokenizer, count=count, tokens=tokens)
        for name in family_domains(read_family(folder))
    }


def held_out_prompts(
    folder: Path, domain: str, tokenizer: Any, *, count: int, tokens: int
) -> list[list[int]]:
    """Token ids of `count` prompts of `tokens` tokens each, from text that was not trained on.

    Each starts at a document or a paragraph; documents are taken in turn, so that the prompts are
    as far apart as the text allows.
    """
    path = folder / "corpus" / f"{domain}-held-out.txt"
    if not path.exists():
        known = sorted(p.name[: -len("-held-out.txt")] for p in path.parent.glob("*-held-out.txt"))
        raise ValueError(f"the family has domains {', '.join(known)}, got {domain}")
    if count < 1 or tokens < 1:
        raise ValueError(f"count and tokens must be at least 1, got {count} and {tokens}")
    documents = path.read_text(encoding="utf-8").split("\0")
    paragraphs = [_paragraph_starts(d) for d in documents]
    found: list[list[int]] = []
    for turn in range(max(map(len, paragraphs))):
        for document, starts in zip(documents, paragraphs, strict=True):
            if turn >= len(starts):
                continue
            # More text than so many tokens can cover, and not a whole book.
            text = document[starts[turn] : starts[turn] + 32 * tokens]
            ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
            if len(ids) >= tokens:
                found.append(ids[:tokens])
            if len(found) == count:
                return found
    raise ValueError(
        f"domain {domain} has {len(found)} held-out prompts of {tokens} tokens, wanted {count}"
    )


def _paragraph_starts(document: str) -> list[int]:
    """Where prompts may start, at least 600 characters apart."""
    starts, place = [0], 0
    while (place := document.find("\n\n", starts[-1] + 600)) >= 0:
        starts.append(place + 2)
    return starts


def _by_domain(content: str, field: str, name: str, *, source: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for place, value in json_lines(content, source):
        if not isinstance(value, dict):
            raise ValueError(f"{place}: must be an object, got {type(value).__name__}")
        if field not in value:
            known = ", ".join(value) or "nothing"
            raise ValueError(f"{place}: has no field {field!r}, it has {known}")
        text = value[field]
        if isinstance(text, list) and text:
            text = text[0]
        if not isinstance(text, str):
            raise ValueError(f"{place}: {field} must be text, got {type(text).__name__}")
        if not text.strip():
            raise ValueError(f"{place}: {field} is empty: a prompt must hold at least 1 token")
        found.setdefault(_domain(value, name, place), []).append(text)
    if not found:
        raise ValueError(f"{source}: holds no prompt")
    return found


def _domain(value: dict[str, Any], name: str, place: str) -> str:
    """The domain of a prompt: what is named, or the name of the file."""
    given = value.get("domain")
    if given is not None and not isinstance(given, str | int):
        raise ValueError(f"{place}: domain must be text, got {type(given).__name__}")
    return name if given is None else str(given)
