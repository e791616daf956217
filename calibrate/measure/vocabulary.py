"""Do two tokenizers mean the same by every token?

The rejection rule compares probabilities token by token, so a draft with other tokens would be
accepted and rejected at random. Only padding may differ: rows of the output beyond the tokens.
"""

from __future__ import annotations

from typing import Any

# Merges and normalisation may differ where the vocabularies agree, so some text is read with both.
PROBE = (
    'The 3 quick brown foxes\' jump -- 1,234.5 + x_1 = "0x1F"\n'
    "def f(a, b):\n    return a*b  # caf\u00e9, \u6771\u4eac, \u043c\u0438\u0440\n"
)


def require_same_tokens(target: Any, draft: Any) -> int:
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


def common_vocabulary(tokens: int, target_rows: int, draft_rows: int) -> tuple[int, str | None]:
    """(logits that are compared, what was cut and why or None) for outputs of these many rows."""
    common = min(target_rows, draft_rows)
    if common < tokens:
        short = "target" if target_rows < tokens else "draft"
        raise ValueError(
            f"the tokenizer has {tokens} tokens, the {short} gives logits for {common} only"
        )
    if target_rows == draft_rows:
        return common, None
    return common, (
        f"logits are cut to {common}: the target has {target_rows}, the draft {draft_rows}, "
        f"beyond {tokens} tokens both are padding"
    )


def _by_id(tokenizer: Any) -> dict[int, str]:
    return {int(i): word for word, i in tokenizer.get_vocab().items()}


def _shown(word: str | None) -> str:
    return "none" if word is None else repr(word)
