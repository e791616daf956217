"""Schedules for SGLang: flags, and the JSON of adaptive speculation.

    {"1": {"candidate_steps": [5]}, "33": {"candidate_steps": [0, 1]}, "ema_alpha": 0.2, ...}

A key is the smallest batch size of its slot; the batch is first padded up to the next captured
graph size. Within a slot a moving average of accepted tokens chooses among the candidates; with
one candidate nothing is left to choose, and the slot is a plain entry of a table. Rules of
sglang/srt/speculative/adaptive_spec_params.py and adaptive_step_router.py (sgl-project/sglang at
015c8726 and a12239f6): only EAGLE and EAGLE3 with topk 1, chains of steps + 1 verified tokens. The
other strategy, `throughput_aware`, times batches at the start and takes no slots. An axis for the
context is proposed and not merged (pull request 31716).
"""

from __future__ import annotations

import json
import shlex
from typing import Any

from ...calibrate.models.drafters import BLOCK, PATH, STEPS, TOKENS, TOPK
from ..schedule import Schedule
from .emission import DraftWords, Emission, whole

FILE = "adaptive.json"
# SGLang's own defaults, written out so that a change of theirs does not change the schedule.
SHARED = {
    "strategy": "ema", "ema_alpha": 0.2, "update_interval": 5, "warmup_batches": 10,
    "up_hysteresis": 0.0, "down_hysteresis": -0.25, "ceiling_coeff": 0,
}  # fmt: skip


_ADAPTIVE = ("EAGLE", "EAGLE3")


def emit_sglang(
    schedule: Schedule,
    words: DraftWords = DraftWords(None, None),  # noqa: B008 - frozen
    *,
    adapt: bool = False,
) -> Emission:
    """The schedule as SGLang takes it.

    adapt: give each slot the gammas that may well be the best there, for the moving average to
    choose among; otherwise the slot keeps the schedule's gamma. An algorithm that takes no schedule
    gets the gamma of batch 1, and a note says what others would take.
    """
    method, model = words.method, words.model
    most = max(r.gamma for r in schedule.ranges)
    if most == 0:
        return Emission("sglang", notes=("leave out --speculative-algorithm: nothing pays",))
    slots = list(schedule.likely) if adapt else [(r.gamma,) for r in schedule.ranges]
    first = max(schedule.ranges[0].gamma, min((s for s in slots[0] if s > 0), default=1))
    command: list[str] = []
    about = [*words.notes]
    if method is None:
        about.append("add --speculative-algorithm and the path of your draft")
    else:
        command += ["--speculative-algorithm", method]
    if model is not None:
        command += [PATH, shlex.quote(model)]
    # topk 1 is a chain: the verified tokens are the steps and the token before them.
    values = {STEPS: f"{first}", TOPK: "1", TOKENS: f"{first + 1}", BLOCK: f"{first}"}
    for flag in (STEPS, TOPK, TOKENS) if words.flags is None else words.flags:
        command += [flag, values[flag]]
    if method is not None and method.upper() not in _ADAPTIVE:
        others = ", ".join(f"{r.first}-{r.last}: {r.gamma}" for r in schedule.ranges)
        about.append(f"{method} takes one number of draft tokens; by batch the best is {others}")
        return Emission("sglang", " ".join(command), notes=tuple(about))
    if len(schedule.ranges) == 1 and not (adapt and len(slots[0]) > 1):
        return Emission("sglang", " ".join(command), notes=tuple(about))
    config: dict[str, Any] = {
        f"{r.first}": {"candidate_steps": list(slot)}
        for r, slot in zip(schedule.ranges, slots, strict=True)
    }
    config.update(SHARED)
    validate_sglang(config)
    command += ["--speculative-adaptive", "--speculative-adaptive-config", FILE]
    notes = [
        *about,
        "adaptive speculation needs EAGLE or EAGLE3 with topk 1, and no data-parallel attention",
        "a batch is padded up to the next captured graph size before its slot is looked up",
        f"above batch {schedule.batch_max} SGLang keeps the last slot",
    ]
    if any(0 in slot for slot in slots):
        notes.append("candidate 0 (plain decoding) needs an SGLang that accepts zero steps")
    return Emission(
        "sglang",
        " ".join(command),
        files={FILE: json.dumps(config, indent=2)},
        config=config,
        notes=tuple(notes),
    )


def validate_sglang(config: Any) -> None:
    """Raise ValueError where an adaptive configuration breaks a rule.

    Slots: keys of digits, the smallest "1"; candidate_steps: a list of one or more whole numbers
    >= 0, rising. ema_alpha in (0, 1], update_interval >= 1, warmup_batches >= 0, at the top or in
    a slot; strategy "ema", the one that takes slots.
    """
    if not isinstance(config, dict):
        raise ValueError(f"adaptive config must be an object, got {type(config).__name__}")
    if config.get("strategy", "ema") != "ema":
        raise ValueError(f'strategy must be "ema" for slots by batch, got {config["strategy"]!r}')
    slots = {int(k): v for k, v in config.items() if isinstance(k, str) and k.isdecimal()}
    if not slots or min(slots) != 1:
        raise ValueError(
            f'adaptive config must have the slot "1" as its smallest batch, got {list(config)}'
        )
    _shared(config, "adaptive config")
    for batch, slot in slots.items():
        steps = slot.get("candidate_steps") if isinstance(slot, dict) else None
        if not isinstance(steps, list) or not steps:
            raise ValueError(f"slot {batch}: candidate_steps must be a list, got {steps!r}")
        for step in steps:
            whole(f"slot {batch}: candidate_steps", step)
        if sorted(set(steps)) != steps:
            raise ValueError(f"slot {batch}: candidate_steps must rise, got {steps}")
        _shared(slot, f"slot {batch}")


def _shared(part: dict[str, Any], where: str) -> None:
    weight = part.get("ema_alpha", 1.0)
    if not (isinstance(weight, int | float) and 0.0 < weight <= 1.0):
        raise ValueError(f"{where}: ema_alpha must be in (0, 1], got {weight!r}")
    whole(f"{where}: update_interval", part.get("update_interval", 1), low=1)
    whole(f"{where}: warmup_batches", part.get("warmup_batches", 0))
