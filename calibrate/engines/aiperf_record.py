"""AIPerf's SpecDecodeAcceptanceRecord, written: the engine-neutral schema of acceptance.

Source: ai-dynamo/aiperf, common/models/spec_decode_models.py. Its identities hold by construction:
the histogram adds up to the steps, its weighted sum is accepted, and accepted <= drafted.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from .counts import EngineCounts

_ENGINES = {"llama.cpp": "llama_cpp", "tensorrt-llm": "tensorrt_llm", "lm-studio": "lm_studio"}


def aiperf_record(counts: EngineCounts) -> dict[str, Any]:
    """The record of all rounds of a source, as plain JSON values.

    acceptance_histogram is sparse, keys are strings as JSON has them. Raises ValueError where the
    source does not determine how many rounds accepted 0, 1, 2.. draft tokens.
    """
    histogram = _histogram(counts)
    steps = sum(histogram)
    accepted = sum(k * n for k, n in enumerate(histogram))
    drafted = counts.drafted
    if drafted is None and counts.gamma is not None:
        drafted = counts.gamma * steps
    if drafted is None or not steps:
        what = "drafted tokens" if steps else "a round"
        raise ValueError(f"{counts.format}: an AIPerf record needs {what}, which is not known")
    record: dict[str, Any] = {
        "engine": _ENGINES.get(counts.engine, counts.engine),
        "mean_acceptance_length": 1.0 + accepted / steps,
        "draft_acceptance_rate": accepted / drafted if drafted else 0.0,
        "acceptance_histogram": {str(k): n for k, n in enumerate(histogram) if n},
        "num_accepted_draft_tokens": accepted,
        "num_draft_tokens": drafted,
        "num_spec_steps": steps,
        "num_spec_tokens": counts.gamma,
        "completion_tokens": counts.tokens,
    }
    return {name: value for name, value in record.items() if value is not None}


def _histogram(counts: EngineCounts) -> list[int]:
    if counts.histogram is not None:
        return list(counts.histogram)
    kept = counts.per_position_accepted
    if kept is not None and counts.rounds is not None and counts.accepted == sum(kept):
        return [a - b for a, b in pairwise((counts.rounds, *kept, 0))]
    raise ValueError(
        f"{counts.format}: an AIPerf record needs the rounds that accepted 0, 1, 2.. draft tokens: "
        "a histogram, or rounds with accepted tokens by position; the source holds neither"
    )
