"""Schedules in the words of four engines, each by the rules of its own source.

vLLM, `num_speculative_tokens_per_batch_size` of `--speculative-config`: [[first, last, K], ...],
    inclusive ranges of running requests, K <= num_speculative_tokens, the first from 1, without
    overlap (vllm/v1/spec_decode/dynamic/utils.py and docs/features/speculative_decoding/
    dynamic_speculative_decoding.md, vllm-project/vllm at 015a47e1 and 002e77c1). An axis for the
    context is proposed and not merged (pull requests 48944 and 54801, September 2026);
    `disable_by_batch_size` went with the older engine.

SGLang, a file of adaptive speculation: {"1": {"candidate_steps": [5]}, "33": {...}, ...}. A key is
    the smallest batch size of its slot; the batch is first padded up to the next captured graph
    size. Within a slot a moving average of accepted tokens chooses among the candidates; with one
    candidate nothing is left to choose, and the slot is a plain entry of a table
    (sglang/srt/speculative/adaptive_spec_params.py and adaptive_step_router.py, sgl-project/sglang
    at 015c8726 and a12239f6): only EAGLE and EAGLE3 with topk 1, chains of steps + 1 verified
    tokens. The other strategy, `throughput_aware`, times batches at the start and takes no slots.
    An axis for the context is proposed and not merged (pull request 31716).

TensorRT-LLM, `draft_len_schedule`: {4: 4, 8: 2, 32: 1} is batch 1-4: 4, 5-8: 2, 9-32: 1, above: 0.
    A key is the LARGEST batch size of its entry, and above the largest key nothing is drafted
    (NVIDIA/TensorRT-LLM, llm_args.py since pull request 10860, March 2026). Before, a key was the
    SMALLEST batch size, key 1 was required, and 0 had to be written: the same text means something
    else there, so the older meaning has to be asked for. In both, the entry of the smallest key
    must be max_draft_len and no entry may exceed it; lengths that rise with the batch are refused.

llama.cpp, flags for one number of draft tokens: it has no table by batch size or context, so one
    batch size (its `--parallel` slots in use) is chosen. Names since May 2026: --spec-draft-n-max,
    --spec-draft-n-min, --spec-draft-p-min; older programs take --draft-max, --draft-min and
    --draft-p-min (ggml-org/llama.cpp, common/arg.cpp). Look-up has lengths of its own, which these
    flags leave alone (common/speculative.cpp).
"""

from __future__ import annotations

import json
import shlex
from itertools import pairwise
from typing import Any

from ...calibrate.models.drafters import BLOCK, PATH, STEPS, TOKENS, TOPK
from ..schedule import Schedule
from .emission import DraftWords, Emission, one_line

_UNNAMED = DraftWords(None, None)


def _by_batch(schedule: Schedule) -> str:
    return ", ".join(f"{r.first}-{r.last}: {r.gamma}" for r in schedule.ranges)


def emit_vllm(schedule: Schedule, words: DraftWords = _UNNAMED) -> Emission:
    """The schedule as vLLM takes it; method, model and options are copied into it."""
    most = max(r.gamma for r in schedule.ranges)
    if most == 0:
        note = "do not pass --speculative-config: num_speculative_tokens must be above 0"
        return Emission("vllm", notes=(note,))
    named = {"method": words.method, "model": words.model}
    config: dict[str, Any] = {k: v for k, v in named.items() if v is not None}
    config |= dict(words.options)
    config["num_speculative_tokens"] = most
    notes = [*words.notes]
    if words.method == "ngram":
        notes.append("prompt_lookup_max and prompt_lookup_min bound the text that is looked up")
    if not config.keys() & {"method", "model"}:
        notes.append("add the method and model of your draft to the configuration")
    if len(schedule.ranges) > 1:
        table = [[r.first, r.last, r.gamma] for r in schedule.ranges]
        config["num_speculative_tokens_per_batch_size"] = table
        notes += [
            "the table needs a vLLM with dynamic speculative decoding (pull request 32374, 2026)",
            f"above batch {schedule.batch_max} vLLM keeps the last entry",
            "vLLM ignores the table, and uses num_speculative_tokens, with data parallelism",
            "the older model runner captures the changing drafts piece by piece only: whole graphs "
            "need model runner V2",
        ]
    command = f"--speculative-config {shlex.quote(one_line(config))}"
    return Emission("vllm", command, config=config, notes=tuple(notes))


_SGLANG_FILE = "adaptive.json"
# SGLang's own defaults, written out so that a change of theirs does not change the schedule.
_SHARED = {
    "strategy": "ema", "ema_alpha": 0.2, "update_interval": 5, "warmup_batches": 10,
    "up_hysteresis": 0.0, "down_hysteresis": -0.25, "ceiling_coeff": 0,
}  # fmt: skip
_ADAPTIVE = ("EAGLE", "EAGLE3")


def emit_sglang(
    schedule: Schedule, words: DraftWords = _UNNAMED, *, adapt: bool = False
) -> Emission:
    """The schedule as SGLang takes it.

    adapt: give each slot the gammas that may well be the best there, for the moving average to
    choose among; otherwise the slot keeps the schedule's gamma. An algorithm that takes no schedule
    gets the gamma of batch 1, and a note says what others would take.
    """
    if max(r.gamma for r in schedule.ranges) == 0:
        return Emission("sglang", notes=("leave out --speculative-algorithm: nothing pays",))
    slots = list(schedule.likely) if adapt else [(r.gamma,) for r in schedule.ranges]
    first = max(schedule.ranges[0].gamma, min((s for s in slots[0] if s > 0), default=1))
    command: list[str] = []
    notes = [*words.notes]
    if words.method is None:
        notes.append("add --speculative-algorithm and the path of your draft")
    else:
        command += ["--speculative-algorithm", words.method]
    if words.model is not None:
        command += [PATH, shlex.quote(words.model)]
    # topk 1 is a chain: the verified tokens are the steps and the token before them.
    values = {STEPS: f"{first}", TOPK: "1", TOKENS: f"{first + 1}", BLOCK: f"{first}"}
    for flag in (STEPS, TOPK, TOKENS) if words.flags is None else words.flags:
        command += [flag, values[flag]]
    if words.method is not None and words.method.upper() not in _ADAPTIVE:
        notes.append(
            f"{words.method} takes one number of draft tokens; by batch the best is "
            + _by_batch(schedule)
        )
        return Emission("sglang", " ".join(command), notes=tuple(notes))
    if len(schedule.ranges) == 1 and not (adapt and len(slots[0]) > 1):
        return Emission("sglang", " ".join(command), notes=tuple(notes))
    config: dict[str, Any] = {
        f"{r.first}": {"candidate_steps": list(slot)}
        for r, slot in zip(schedule.ranges, slots, strict=True)
    }
    config |= _SHARED
    command += ["--speculative-adaptive", "--speculative-adaptive-config", _SGLANG_FILE]
    notes += [
        "adaptive speculation needs EAGLE or EAGLE3 with topk 1, and no data-parallel attention",
        "a batch is padded up to the next captured graph size before its slot is looked up",
        f"above batch {schedule.batch_max} SGLang keeps the last slot",
    ]
    if any(0 in slot for slot in slots):
        notes.append("candidate 0 (plain decoding) needs an SGLang that accepts zero steps")
    files = {_SGLANG_FILE: json.dumps(config, indent=2)}
    return Emission("sglang", " ".join(command), files=files, config=config, notes=tuple(notes))


def emit_tensorrt_llm(
    schedule: Schedule, words: DraftWords = _UNNAMED, *, older: bool = False
) -> Emission:
    """The schedule as TensorRT-LLM takes it; needs one whose gamma does not rise with the batch.

    older: of versions whose keys are the smallest batch of an entry, not the largest.
    Raises ValueError for a schedule that rises.
    """
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
    for (b, before), (a, after) in pairwise(table.items()):
        if after > before:
            raise ValueError(
                f"draft_len_schedule must not rise with the batch, got {before} at {b} and "
                f"{after} at {a}"
            )
    named = {"decoding_type": words.method, "speculative_model": words.model}
    config: dict[str, Any] = {k: v for k, v in named.items() if v is not None}
    config |= {"max_draft_len": schedule.ranges[0].gamma, "draft_len_schedule": table}
    notes += words.notes
    if words.method is None:
        notes.append("add decoding_type and speculative_model of your draft")
    notes += [
        f"in versions {change} pull request 10860 (March 2026) a key is the {other} batch of its "
        "entry",
        "max_concurrency must not be set together with draft_len_schedule",
    ]
    whole = {"speculative_config": config}
    files = {"config.yaml": _yaml(whole)}
    return Emission("tensorrt-llm", files=files, config=whole, notes=tuple(notes))


def _yaml(value: dict[str, Any], indent: int = 0) -> str:
    lines = []
    for key, item in value.items():
        pad = " " * indent
        if isinstance(item, dict):
            lines += [f"{pad}{key}:", _yaml(item, indent + 2)]
        else:
            lines.append(f"{pad}{key}: {json.dumps(item)}")
    return "\n".join(lines)


_FLAGS = "--spec-draft-n-max {} --spec-draft-n-min 0 --spec-draft-p-min 0"
_OLDER = "--draft-max {} --draft-min 0 --draft-p-min 0"
# How many tokens a look-up drafts; below its least number, ngram-mod drafts nothing.
_LOOKUP = {
    "ngram-simple": "--spec-ngram-simple-size-m {}",
    "ngram-map-k": "--spec-ngram-map-k-size-m {}",
    "ngram-map-k4v": "--spec-ngram-map-k4v-size-m {}",
    "ngram-mod": "--spec-ngram-mod-n-max {} --spec-ngram-mod-n-min 0",
}


def emit_llama_cpp(
    schedule: Schedule, words: DraftWords = _UNNAMED, *, batch: int = 1, older: bool = False
) -> Emission:
    """Flags for the schedule's gamma at one batch size.

    older: flags of programs before May 2026. The smallest draft is 0, so that none is dropped for
    being short, and p-min is 0, so that none ends early for its confidence.
    """
    gamma = schedule.gamma(batch)
    notes = [f"llama.cpp has no schedule by batch size: these flags are for batch {batch}"]
    if len(schedule.ranges) > 1:
        notes.append(f"by batch the best would be {_by_batch(schedule)}")
    if gamma == 0:
        notes.insert(0, "run without a draft (no --model-draft, no --spec-type): nothing pays")
        return Emission("llama.cpp", notes=tuple(notes))
    flags = [(_OLDER if older else _LOOKUP.get(words.method or "", _FLAGS)).format(gamma)]
    if words.model is not None:
        flags.insert(0, f"--model-draft {shlex.quote(words.model)}")
    if words.method is not None and not older:
        flags.insert(0, f"--spec-type {words.method}")
    config = {"n_max": gamma, "n_min": 0, "p_min": 0.0}
    return Emission("llama.cpp", " ".join(flags), config=config, notes=(*notes, *words.notes))
