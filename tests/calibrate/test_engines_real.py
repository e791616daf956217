"""Statistics of real runs: a pair of models decodes, its log is written, read, and agrees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from howspec.calibrate.engines import import_counts  # noqa: E402
from howspec.calibrate.engines.write import FORMATS  # noqa: E402
from howspec.calibrate.measure.assisted_counts import count_rounds  # noqa: E402
from howspec.calibrate.measure.decoder import decode_speculative  # noqa: E402
from howspec.calibrate.measure.runner import Runner  # noqa: E402
from small_models import llama  # noqa: E402

GAMMA, TOKENS = 4, 60


@pytest.fixture(scope="module")
def pair() -> tuple[Any, Any]:
    """A target and a draft that is four fifths of it, with logits that mean something."""
    config = {"vocab_size": 96, "eos_token_id": None, "bos_token_id": None}
    target = llama(1, **config)
    return target, llama(2, like=target, share=0.8, **config)


def test_a_run_of_transformers_is_imported_to_the_rounds_it_made(
    pair: tuple[Any, Any], tmp_path: Path
) -> None:
    target, draft = pair
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


@pytest.mark.parametrize("name", ["llama.cpp-request", "llama.cpp-statistics"])
def test_real_rounds_in_the_words_of_llama_cpp_are_read_back(
    pair: tuple[Any, Any], tmp_path: Path, name: str
) -> None:
    target, draft = pair
    runners = [Runner(m, batch=6, capacity=TOKENS + 16) for m in (target, draft)]
    prompts = [[n, 3, 7] for n in (5, 17, 40, 61, 80, 9)]
    made = decode_speculative(
        runners[0],
        runners[1],
        prompts,
        gamma=GAMMA,
        new_tokens=TOKENS,
        temperature=1.0,
        seed=3,
    )
    kept = np.concatenate([np.array(a) for a in made.accepted])
    path = tmp_path / "server.log"
    path.write_text(FORMATS[name](kept, GAMMA), encoding="utf-8")
    got = import_counts(str(path), "auto").to_json()
    assert got["engine"] == "llama.cpp"
    assert (got["rounds"], got["drafted"]) == (kept.size, kept.size * GAMMA)
    assert got["accepted"] == int(kept.sum())
    survival = [(kept >= k).mean() for k in range(1, GAMMA + 1)]
    np.testing.assert_allclose(got["survival"], survival, atol=5.1e-4)
