"""What was measured of a run, and the ratios that follow from it.

Speeds of a run and of plain decoding at the same load are also read from records of
`howspec measure`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from ...calibrate.serving.laws import between_starts
from ...calibrate.serving.served import Served, Wave
from ...calibrate.stated import Stated, stated

Floats = NDArray[np.float64]
PARTS = ("draft", "verification growth", "overhead")


@dataclass(frozen=True)
class Measured:
    """What was measured, None where it was not. Times in seconds, speeds of all requests together.

    baseline_tokens_per_s, speculative_tokens_per_s: without and with speculation, same load.
    plain_step_s, round_s: a plain step of the target and a whole speculative round.
    draft_step_s, verify_s: one draft step, and the verifying pass over gamma + 1 tokens.
    cost_ratio, verify_slope, overhead: the same in plain steps, per token and per round.
    batch: sequences decoded together. verify_ratio_batch_1: verifying pass over plain step at
    batch 1, which separates the batch. prefill_s, output_tokens: of one request, where the speeds
    include the prefill.
    """

    baseline_tokens_per_s: Stated | None = None
    speculative_tokens_per_s: Stated | None = None
    plain_step_s: Stated | None = None
    round_s: Stated | None = None
    draft_step_s: Stated | None = None
    verify_s: Stated | None = None
    cost_ratio: Stated | None = None
    verify_slope: Stated | None = None
    overhead: Stated | None = None
    verify_ratio_batch_1: Stated | None = None
    prefill_s: Stated | None = None
    output_tokens: Stated | None = None
    batch: float = 1.0

    def __post_init__(self) -> None:
        free = ("cost_ratio", "verify_slope", "overhead")
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Stated):
                low_ok = value.value >= 0.0 if field.name in free else value.value > 0.0
                if not (low_ok and math.isfinite(value.value)):
                    start = "[0" if field.name in free else "(0"
                    raise ValueError(f"{field.name} must be in {start}, inf), got {value.value:g}")
        if not (math.isfinite(self.batch) and self.batch >= 1.0):
            raise ValueError(f"batch must be in [1, inf), got {self.batch:g}")
        if (self.prefill_s is None) != (self.output_tokens is None):
            raise ValueError("a prefill share needs both prefill_s and output_tokens")
        for one, other in (("draft_step_s", "cost_ratio"), ("verify_s", "verify_slope")):
            if getattr(self, one) is not None and getattr(self, other) is not None:
                raise ValueError(f"give {one} or {other}, not both")

    @property
    def times_a_round(self) -> bool:
        """Whether a speculative round was timed: as a whole, or in all of its parts."""
        draft = self.draft_step_s is not None or self.cost_ratio is not None
        verify = self.verify_s is not None or self.verify_slope is not None
        return self.round_s is not None or (draft and verify and self.overhead is not None)


def measured_from(
    texts: Mapping[str, str | float | None], *, batch: float = 1.0, output_tokens: int | None = None
) -> Measured:
    """What was measured, from numbers as they were stated; names ending in _ms are milliseconds.

    Raises ValueError for what is no number, and for speeds outside [1e-6, 1e9].
    """
    given: dict[str, Stated] = {}
    for name, text in texts.items():
        if text is None:
            continue
        number = stated(text, name)
        if name.endswith("_tokens_per_s") and (0.0 < number.value < 1e-6 or number.value > 1e9):
            raise ValueError(f"{name} must be in [1e-6, 1e9], got {number.value:g}")
        if name.endswith("_ms"):
            given["plain_step_s" if name == "plain_ms" else f"{name[:-3]}_s"] = number.scaled(1e-3)
        else:
            given[name] = number
    if output_tokens is not None:
        given["output_tokens"] = Stated(float(output_tokens))
    return Measured(batch=batch, **given)


@dataclass(frozen=True)
class Solved:
    """One solution of the inputs, arrays of one shape; ratios in plain steps.

    tokens: of a drafting round; coverage: share of the target's steps that draft; steps, parts: of
    a mean step of the target.
    """

    speedup: Floats
    decode: Floats
    tokens: Floats
    steps: Floats
    prefill: Floats
    plain_s: Floats | None
    parts: dict[tuple[str, ...], Floats]
    batch: Floats | None
    coverage: Floats


def given_values(measured: Measured) -> dict[str, Stated | None]:
    """What was measured by name, None where it was not; without the batch."""
    return {f.name: getattr(measured, f.name) for f in fields(measured) if f.name != "batch"}


def solve(
    at: Mapping[str, Floats], batch: float, gamma: int, tokens: Floats, coverage: Floats
) -> Solved:
    """Speed-up, time of a step and its parts from whatever was measured.

    tokens: per drafting round; coverage: share q of the target's steps that draft. What decides
    time is 1 - q + q tokens, the tokens per step of the target, and a mean step costs q times what
    a drafting round costs beyond a plain step.
    """
    base, fast = at.get("baseline_tokens_per_s"), at.get("speculative_tokens_per_s")
    plain, whole = at.get("plain_step_s"), at.get("round_s")
    prefill, length = at.get("prefill_s"), at.get("output_tokens")
    none = np.zeros_like(tokens)
    # Seconds of decoding per token of one sequence, without and with speculation.
    before = _per_token(base, batch, prefill, length, "baseline_tokens_per_s")
    after = _per_token(fast, batch, prefill, length, "speculative_tokens_per_s")
    slow = before if before is not None else plain
    per_step = 1.0 - coverage + coverage * tokens
    quick = after
    if slow is not None and quick is None and whole is not None:
        idle = (1.0 - coverage) * (slow if plain is None else plain)
        quick = (idle + coverage * whole) / per_step
    if slow is not None and quick is None:
        unit = slow if plain is None else plain
        quick = _put_together(at, unit, gamma, per_step, coverage)
    if slow is None or quick is None:
        raise ValueError(
            "the speed-up is not determined: it needs baseline_tokens_per_s or plain_ms, and "
            "speculative_tokens_per_s, round_ms, or all parts of a round (draft, verify, overhead)"
        )
    p = none if prefill is None or length is None else prefill / (slow * length)
    decode = slow / quick
    steps = per_step / decode
    unit = plain if plain is not None else slow
    known: dict[tuple[str, ...], Floats] = {}
    if "cost_ratio" in at or "draft_step_s" in at:
        ratio = at["cost_ratio"] if "cost_ratio" in at else at["draft_step_s"] / unit
        known[("draft",)] = coverage * gamma * ratio
    if "verify_slope" in at or "verify_s" in at:
        grown = gamma * at["verify_slope"] if "verify_slope" in at else at["verify_s"] / unit - 1.0
        known[("verification growth",)] = coverage * grown
    if "overhead" in at:
        known[("overhead",)] = coverage * at["overhead"]
    rest = steps - 1.0 - sum(known.values(), none)
    left = tuple(name for name in PARTS if (name,) not in known)
    known[left or ("unexplained",)] = rest
    batch_one = at.get("verify_ratio_batch_1")
    return Solved(
        speedup=(1.0 + p) / (p + 1.0 / decode),
        decode=decode,
        tokens=tokens,
        steps=steps,
        prefill=p,
        plain_s=unit,
        parts=known,
        batch=None if batch_one is None else coverage * (batch_one - 1.0),
        coverage=coverage,
    )


def _put_together(
    at: Mapping[str, Floats], unit: Floats, gamma: int, per_step: Floats, coverage: Floats
) -> Floats | None:
    """Seconds per token of a round that was only measured in its parts, None unless in all."""
    draft = at["cost_ratio"] * unit if "cost_ratio" in at else at.get("draft_step_s")
    verify = at.get("verify_s")
    if "verify_slope" in at:
        verify = unit * (1.0 + gamma * at["verify_slope"])
    if draft is None or verify is None or "overhead" not in at:
        return None
    whole = verify + gamma * draft + at["overhead"] * unit
    return np.asarray(((1.0 - coverage) * unit + coverage * whole) / per_step)


def _per_token(
    speed: Floats | None, batch: float, prefill: Floats | None, length: Floats | None, name: str
) -> Floats | None:
    """Seconds of decoding per token of one sequence, from a speed of all sequences together."""
    if speed is None:
        return None
    seconds = batch / speed
    if prefill is not None and length is not None:
        seconds = seconds - prefill / length
        if seconds.size == 1 and not seconds[0] > 0.0:
            raise ValueError(
                f"prefill_s must be below the whole request at {name}, "
                f"{float(batch * length[0] / speed[0]):.4g} s, got {float(prefill[0]):.4g}"
            )
    return np.asarray(seconds)


def check_solved(middle: Solved) -> None:
    """Raise ValueError where the speed-up or the parts of a round cannot be."""
    if not (np.isfinite(middle.speedup[0]) and middle.steps[0] > 0.0):
        raise ValueError(f"the speed-up must be in (0, inf), got {middle.speedup[0]:g}")
    least = 1.0 + sum(min(float(v[0]), 0.0) for v in middle.parts.values())
    if not least > 0.0:
        raise ValueError(
            "the parts of a round exceed the round itself by more than a plain step: passes that "
            "overlap, or times of different settings"
        )


@dataclass(frozen=True)
class ServedRun:
    """One measured run of a server.

    served: its waves alone, beside plain ones; gamma, batch: its own; plain, fast: tokens/s of all
    sequences together, plain None where plain decoding was not measured at the batch; note: what
    was taken, in words.
    """

    served: Served
    gamma: int
    batch: float
    plain: Stated | None
    fast: Stated
    note: str


def served_run(
    served: Served, *, draft: str | None = None, gamma: int | None = None, batch: float = 1.0
) -> ServedRun:
    """The run of a draft at a gamma and a batch, each of which may be left open where it is one.

    Raises ValueError where several were measured and none of them is named.
    """
    runs = served.of_draft(draft)
    g = _one("gamma", gamma, sorted(runs))
    levels = runs[g]
    only = next(iter(levels)) if len(levels) == 1 and batch == 1.0 else None
    b = _one("batch", batch if only is None else only, sorted(levels))
    waves, before = levels[b], served.plain().get(b)
    kept = {id(w.point) for w in (*waves, *(before or ()))}
    own = ((r, tuple(p for p in r.points if id(p) in kept)) for r in served.records)
    records = tuple(replace(r, points=points) for r, points in own if points)
    beside = f", and of {len(before)} of plain decoding" if before else ""
    spread = between_starts(served)
    plain = speed(before, spread) if before else None
    return ServedRun(
        Served(records), g, float(b), plain, speed(waves, spread),
        f"speeds are of {len(waves)} measured waves of {served.engine} at gamma {g} and batch {b}"
        f"{beside}",
    )  # fmt: skip


def _one(name: str, given: float | None, known: Sequence[int]) -> int:
    if given is None and len(known) == 1:
        return known[0]
    if given is None or given not in known:
        listed = ", ".join(map(str, known))
        shown = "none" if given is None else f"{given:g}"
        raise ValueError(f"{name} must be one that was measured, {listed}, got {shown}")
    return int(given)


def speed(waves: Sequence[Wave], between: float) -> Stated:
    """Tokens/s of all sequences while whole waves decode; its error: of waves and of starts."""
    total = sum(w.window_tokens for w in waves) / sum(w.window_s for w in waves)
    logs = np.log([w.window_tokens / w.window_s for w in waves])
    spread = float(logs.std(ddof=1)) / math.sqrt(logs.size) if logs.size > 1 else 0.0
    return Stated(total, error=total * math.hypot(spread, between))
