"""What acceptance and sweep are measured on: a target, drafts that fit it, and prompts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .pairs import LoadedModel, load_model, pair_of
from .prompts import Prompts, built_in_texts, encode_prompts, family_prompts, file_texts
from .sources import check_models, named_models


@dataclass(frozen=True)
class Inputs:
    """target, drafts by name; prompts: token ids by domain; source: where they come from, in words;
    vocabulary: tokens that all models know, None where their logits agree; notes: what was cut."""

    target: LoadedModel
    drafts: dict[str, LoadedModel]
    prompts: Prompts
    source: str
    vocabulary: int | None
    notes: tuple[str, ...]

    @property
    def identities(self) -> dict[str, Any]:
        """What every model is, for the provenance."""
        return {m.name: m.identity for m in (self.target, *self.drafts.values())}

    @property
    def models(self) -> dict[str, Any]:
        """The drafts as transformers models."""
        return {name: draft.model for name, draft in self.drafts.items()}

    def require_positions(self, *, new_tokens: int, draft_tokens: int) -> None:
        """Raise ValueError where requests so long leave the positions that a model was made for.

        A model with rotary positions runs beyond them as well, and what it says there is noise.
        """
        longest = max(len(row) for rows in self.prompts.values() for row in rows)
        needed = longest + new_tokens + draft_tokens
        for model in (self.target, *self.drafts.values()):
            limit = getattr(model.config.get_text_config(), "max_position_embeddings", None) or 0
            if 0 < limit < needed:
                raise ValueError(
                    f"prompts of up to {longest} tokens, {new_tokens} new ones and {draft_tokens} "
                    f"draft tokens need {needed} positions, {model.name} has {limit}: ask for fewer"
                )

    def settings(self) -> dict[str, Any]:
        """What a record says of the prompts and models."""
        return {
            "target": self.target.name,
            "drafts": list(self.drafts),
            "prompts": self.source,
            "prompts_sha256_16": _hash(self.prompts),
            "requests_by_domain": {d: len(rows) for d, rows in self.prompts.items()},
            "vocabulary": self.vocabulary,
        }


def load_inputs(
    *,
    target: str | None = None,
    drafts: Sequence[str] = (),
    family: str | Path | None = None,
    prompts: str | Path | None = None,
    field: str = "prompt",
    count: int | None = None,
    prompt_tokens: int | None = None,
    device: str = "auto",
    dtype: str = "auto",
    trust_remote_code: bool = False,
) -> Inputs:
    """Load and check everything.

    target, drafts: names or folders of models; or family: the folder of a trained family, with its
    target, all of its drafts (or those named) and prompts from its held-out text. prompts: a file
    of them instead, of whose objects ``field`` is the text; without one the built-in prompts.
    count: prompts of each domain; prompt_tokens: length that they are cut to. Raises ValueError for
    what is missing or does not fit together.
    """
    target, drafts = named_models(target, drafts, family)
    options: dict[str, Any] = {
        "device": device, "dtype": dtype, "trust_remote_code": trust_remote_code,
    }  # fmt: skip
    check_models((target, *drafts))
    quieten()
    first = load_model(target, **options)
    loaded: dict[str, LoadedModel] = {}
    common, notes = first.logits, []
    for name in drafts:
        pair = pair_of(first, load_model(name, **options))
        loaded[pair.draft.name] = pair.draft
        common = min(common, pair.vocabulary)
        if pair.note:
            notes.append(f"{pair.draft.name}: {pair.note}")
    rows, source = _prompts(first, family, prompts, field, count, prompt_tokens)
    same = all(m.logits == common for m in (first, *loaded.values()))
    return Inputs(first, loaded, rows, source, None if same else common, tuple(notes))


def quieten() -> None:
    """Let transformers report errors only: its advice is not for those who measure."""
    import logging
    import sys

    from huggingface_hub.utils.tqdm import disable_progress_bars
    from transformers.utils import logging as transformers_logging

    transformers: Any = transformers_logging
    transformers.set_verbosity_error()
    transformers.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    if not sys.stderr.isatty():  # a download of gigabytes is worth a bar to who watches
        disable_progress_bars()


def _hash(prompts: Prompts) -> str:
    """The first 16 digits of a hash of the token ids, which tells files of one name apart."""
    content = json.dumps(list(prompts.items()))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _prompts(
    target: LoadedModel,
    family: str | Path | None,
    prompts: str | Path | None,
    field: str,
    count: int | None,
    tokens: int | None,
) -> tuple[Prompts, str]:
    if prompts is not None:
        texts = file_texts(prompts, field=field)
        return (
            encode_prompts(texts, target.tokenizer, count=count, tokens=tokens),
            f"{Path(prompts).name}, field {field}",
        )
    if family is not None:
        rows = family_prompts(
            family,
            target.tokenizer,
            count=4 if count is None else count,
            tokens=64 if tokens is None else tokens,
        )
        return rows, "held-out text of the family"
    texts = built_in_texts()
    return encode_prompts(texts, target.tokenizer, count=count, tokens=tokens), "built-in"
