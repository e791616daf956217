"""A target and its drafts: do the tokenizers mean the same by every token?

The rejection rule compares probabilities token by token, so a draft with other tokens would be
accepted and rejected at random. Only padding may differ: rows of the output beyond the tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from .pairs import LoadedModel, load_model, quieten

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
