r"""Rows that state acceptance (or tokens per round), gamma and cost ratio: what speed-up follows.

    ln S = ln tau - ln(gamma c + V(gamma + 1) + o) + y

tau is as stated, or follows from the stated acceptance by what the source calls so. V is the growth
of the verifying pass at the row's batch and o the work around it, predicted where the table of
models knows the target and that of devices its machine; elsewhere they are 1 and 0. y is what other
studies have shown to be realised of it, see `realisation`.

What bounds it: studies differ by far more than the rows of one. T5X on a TPU reaches 1.1 times the
ideal (its cost ratios, from profiler traces, run over what a round took, or its tokens come in
bursts), MLX on a laptop 0.73, a hand-written loop 0.75: nothing that the rows state says which.
"""

from __future__ import annotations

import math
import re
from functools import cache

import numpy as np

from ...theory import tokens_per_round
from ...theory.domain import Floats
from ..models.devices import device
from ..models.formats import number_format
from ..named import shape_for
from ..prior.acceptance_cells import alpha_from_metric, metric_value
from ..prior.costs import predict_costs
from ..prior.costs_posterior import stacks_without
from ..prior.stacks import stack_in, stack_name
from .measured import MeasuredRow, squeezed
from .spreads import Realised

DRAWS = 2000
# What an engine's log calls acceptance is accepted over drafted; a paper's is conditional.
_LOGS = re.compile(r"vllm|sglang|llama\.?cpp|tensorrt|trt-?llm|lmdeploy|kobold", re.IGNORECASE)


def usable(row: MeasuredRow) -> bool:
    """Whether a row states all that the law needs."""
    accepted = math.isfinite(row.tau) or math.isfinite(row.alpha)
    numbers = accepted and math.isfinite(row.cost_ratio) and math.isfinite(row.speedup)
    return numbers and row.gamma >= 1 and not row.objection


def kind_of_alpha(row: MeasuredRow) -> str:
    """What the stated acceptance is, by the row itself, else by what wrote it."""
    if row.alpha_kind:
        return row.alpha_kind
    return "accepted_over_drafted" if _LOGS.search(row.engine) else "alpha_conditional"


def tokens_of(row: MeasuredRow) -> float:
    """Tokens per round as stated, or as they follow from the stated acceptance."""
    if math.isfinite(row.tau):
        return row.tau
    kind = kind_of_alpha(row)
    if kind in ("overlap", "alpha_conditional"):
        return float(tokens_per_round(row.alpha, row.gamma))
    if kind == "accepted_over_drafted":
        return 1.0 + row.gamma * row.alpha
    alpha, _ = alpha_from_metric(kind, row.alpha, row.gamma)
    return float(metric_value("tau_with_bonus", alpha, row.gamma))


def ideal(row: MeasuredRow) -> tuple[float, float]:
    """ln of the speed-up by the law alone, and its variance."""
    grown = passes(row)
    rounds = row.gamma * row.cost_ratio + (np.ones(1) if grown is None else grown)
    spread = np.quantile(np.log(rounds), [0.16, 0.5, 0.84])
    return math.log(tokens_of(row)) - float(spread[1]), float((0.5 * (spread[2] - spread[0])) ** 2)


def realised(row: MeasuredRow) -> Realised:
    """What the row realises of its ideal, and the variance that its passes' prediction brings."""
    log_ideal, variance = ideal(row)
    rounding = (row.speedup_step / row.speedup) ** 2 / 12.0
    pair = "|".join(squeezed(n) for n in (row.target, row.draft))
    misfit = math.log(row.speedup) - log_ideal
    return Realised(row.study, pair, misfit, variance + rounding, squeezed(row.task))


def stack_of(row: MeasuredRow) -> str:
    """The kind of software that a row's engine or machine names, ``serving`` where none."""
    return stack_in(f"{row.engine} {row.hardware} {row.task}") or "serving"


def weights_format(precision: str) -> str:
    """The format of the weights that a row names, "" where it names none."""
    for word in re.split(r"[\s,;/()]+", re.sub(r"\S+ (?:KV|draft)\b", "", precision)):
        try:
            return number_format("int4" if word == "4-bit" else word).name if word else ""
        except ValueError:
            continue
    return ""


def passes(row: MeasuredRow) -> Floats | None:
    """`verify_and_around` of a row."""
    batch = row.batch_size if math.isfinite(row.batch_size) else 1.0
    return verify_and_around(
        row.target,
        row.hardware,
        batch,
        row.gamma,
        stack_of(row),
        weights_format(row.precision),
        row.study,
    )


@cache
def verify_and_around(
    target: str,
    hardware: str,
    batch: float,
    gamma: int,
    stack: str,
    dtype: str = "",
    unseen: str = "",
) -> Floats | None:
    """(V(gamma + 1) + o) over a plain step, (DRAWS,), or None where a name is unknown.

    dtype: of the weights, "" for the usual one; unseen: a study whose times are left out.
    """
    try:
        shape, _ = shape_for(target)
        machine = device(hardware)
        rng = np.random.default_rng(29)
        law = predict_costs(
            shape, shape, machine, rng=rng, draws=DRAWS, stack=stack, batch=batch, dtype=dtype,
            posterior=stacks_without(unseen)[stack_name(stack)],
        )  # fmt: skip
    except ValueError:
        return None
    times = law.target.step_time(np.array([1.0, gamma + 1.0]), batch=batch)
    return np.asarray((times[..., 1] + np.asarray(law.overhead)) / times[..., 0])


def work(row: MeasuredRow) -> tuple[object, ...]:
    """What makes two rows one measurement, whatever they state of it."""
    names = tuple(squeezed(n) for n in (row.target, row.draft, row.task, row.hardware, row.batch))
    return (*names, row.temperature, row.gamma)
