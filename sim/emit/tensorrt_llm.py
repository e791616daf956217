"""Schedules for TensorRT-LLM: `draft_len_schedule` of the speculative configuration.

    draft_len_schedule: {4: 4, 8: 2, 32: 1}    batch 1-4: 4, 5-8: 2, 9-32: 1, above: 0

A key is the LARGEST batch size of its entry, and above the largest key nothing is drafted
(NVIDIA/TensorRT-LLM, llm_args.py since pull request 10860, March 2026). Before, a key was the
SMALLEST batch size, key 1 was required, and 0 had to be written: the same text means something
else there, so the older meaning has to be asked for. In both, the entry of the smallest key must be
max_draft_len and no entry may exceed it; lengths that rise with the batch are refused here.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from ..schedule import Schedule
from .emission import DraftWords, Emission, whole


def emit_tensorrt_llm(
    schedule: Schedule,
    words: DraftWords = DraftWords(None, None),  # noqa: B008 - frozen
    *,
    older: bool = False,
) -> Emission:
    """The schedule as TensorRT-LLM takes it; needs one whose gamma does not rise with the batch.

    older: of versions whose keys are the smallest batch of an entry, not the largest.
    Raises ValueError for a schedule that rises.
    """
    most = schedule.ranges[0].gamma
    if max(r.gamma for r in schedule.ranges) == 0:
        return Emission("tensorrt-llm", notes=("leave out speculative_config: nothing pays",))
    if older:
        table = {r.first: r.gamma for r in schedule.ranges}
        notes = [f"above batch {schedule.batch_max} TensorRT-LLM keeps the last entry"]
        change, other = "from", "largest"
    else:
        table = {r.last: r.gamma for r in schedule.ranges}
        if schedule.ranges[-1].gamma == 0:
            del table[schedule.batch_max]
        notes = [f"above batch {max(table)} TensorRT-LLM does not speculate"]
        change, other = "before", "smallest"
    named = {"decoding_type": words.method, "speculative_model": words.model}
    config: dict[str, Any] = {k: v for k, v in named.items() if v is not None}
    config |= {"max_draft_len": most, "draft_len_schedule": table}
    validate_tensorrt_llm(config, older=older)
    notes += words.notes
    if words.method is None:
        notes.append("add decoding_type and speculative_model of your draft")
    notes += [
        f"in versions {change} pull request 10860 (March 2026) a key is the {other} batch of its "
        "entry",
        "max_concurrency must not be set together with draft_len_schedule",
    ]
    return Emission(
        "tensorrt-llm",
        files={"config.yaml": _yaml({"speculative_config": config})},
        config={"speculative_config": config},
        notes=tuple(notes),
    )


def _yaml(value: dict[str, Any], indent: int = 0) -> str:
    lines = []
    for key, item in value.items():
        pad = " " * indent
        if isinstance(item, dict):
            lines += [f"{pad}{key}:", _yaml(item, indent + 2)]
        else:
            lines.append(f"{pad}{key}: {json.dumps(item)}")
    return "\n".join(lines)


def validate_tensorrt_llm(config: Any, *, older: bool = False) -> None:
    """Raise ValueError where a speculative configuration breaks a rule of the schedule."""
    if not isinstance(config, dict):
        raise ValueError(f"speculative_config must be an object, got {type(config).__name__}")
    table = config.get("draft_len_schedule")
    if not isinstance(table, dict) or not table:
        raise ValueError(f"draft_len_schedule must map batch sizes to lengths, got {table!r}")
    most = whole("max_draft_len", config.get("max_draft_len"), low=1)
    for batch, length in table.items():
        whole("draft_len_schedule batch", batch, low=1)
        whole(f"draft_len_schedule[{batch}]", length)
    order = sorted(table)
    if older and order[0] != 1:
        raise ValueError(f"draft_len_schedule must include batch 1, got {order}")
    if table[order[0]] != most:
        raise ValueError(
            f"draft_len_schedule[{order[0]}], its smallest batch, must be max_draft_len = {most}, "
            f"got {table[order[0]]}"
        )
    for before, after in pairwise(order):
        if table[after] > table[before]:
            raise ValueError(
                f"draft_len_schedule must not rise with the batch, got {table[before]} at {before} "
                f"and {table[after]} at {after}"
            )
    if config.get("max_concurrency") is not None:
        raise ValueError("draft_len_schedule and max_concurrency must not be given together")
