"""Statistics of real runs: a pair of models decodes, its log is written, read, and agrees."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from howspec.calibrate.engines import import_counts  # noqa: E402
from howspec.calibrate.measure.assisted_counts import count_rounds  # noqa: E402
from small_models import llama  # noqa: E402

GAMMA, TOKENS = 4, 60


def test_a_run_of_transformers_is_imported_to_the_rounds_it_made(tmp_path: Path) -> None:
    """The draft is four fifths of its target, and both have logits that mean something."""
    config = {"vocab_size": 96, "eos_token_id": None, "bos_token_id": None}
    target = llama(1, **config)
    draft = llama(2, like=target, share=0.8, **config)
    draft.generation_config.num_assistant_tokens = GAMMA
    draft.generation_config.num_assistant_tokens_schedule = "constant"
    draft.generation_config.assistant_confidence_threshold = 0.0
    emitted = 0
    with count_rounds(target) as counts:
        for first in (5, 17, 40):
            prompt = torch.tensor([[first, 3, 7]])
            out = target.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                assistant_model=draft,
                max_new_tokens=TOKENS,
                do_sample=False,
                pad_token_id=0,
            )
            emitted += out.shape[1] - prompt.shape[1]
    path = counts.write(tmp_path / "rounds.jsonl")
    for engine in ("transformers", "auto"):
        got = import_counts(str(path), engine).to_json()
        assert got["engine"] == "transformers"
        assert got["rounds"] == sum(len(r) for r in counts.requests)
        assert got["accepted"] == sum(r.accepted for q in counts.requests for r in q)
        assert got["drafted"] == sum(r.drafted for q in counts.requests for r in q)
        assert got["accepted"] + got["rounds"] == emitted
        assert got["version"] == transformers.__version__
