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
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from ...calibrate.models.config import shape_for
from ...calibrate.models.devices import device
from ...calibrate.prior.acceptance_metrics import alpha_from_metric, metric_value
from ...calibrate.prior.costs import predict_costs
from ...theory import tokens_per_round
from .bundled import library_rows
from .measured import Measured, squeezed
from .realisation import Learned, Realised
from .result import LEVEL, Floats, Point, Test
from .rivals import PLAIN, SDSL, plain_from_numbers, sdsl_speedup

NAME = "speed-up from stated acceptance, gamma and cost ratio"
DRAWS = 2000
SISTERS = 40  # rows of the study that are looked at, those of the same pair first
# What an engine's log calls acceptance is accepted over drafted; a paper's is conditional.
_LOGS = re.compile(r"vllm|sglang|llama\.?cpp|tensorrt|trt-?llm|lmdeploy|kobold", re.IGNORECASE)
_STACKS = (
    ("xla", r"t5x|jax|\bxla\b|\btpu"),
    ("mlx", r"\bmlx"),
    ("llama.cpp", r"llama\.?cpp|kobold|ollama|gguf"),
    ("graphs", r"gpt-?fast|cuda graphs|compiled|mlc"),
    ("eager", r"transformers|\bhf\b|hugging|pytorch|from-scratch|own loop"),
)


def usable(row: Measured) -> bool:
    """Whether a row states all that the law needs."""
    accepted = math.isfinite(row.tau) or math.isfinite(row.alpha)
    numbers = accepted and math.isfinite(row.cost_ratio) and math.isfinite(row.speedup)
    return numbers and row.gamma >= 1 and not row.objection


def stated_tests(rows: Iterable[Measured], *, name: str = NAME) -> tuple[Test, Test]:
    """Predict every row that states what is needed: from all that is known of others, and from
    other studies alone.

    Others of the row's study, of the file as of the library, count where they are another work.
    """
    chosen = [(r, _realised(r)) for r in rows if usable(r)]
    both = (*_library(), *chosen)  # a file may hold rows of the library
    known = list({(r.study, _work(r), r.speedup): (r, own) for r, own in both}.values())
    seen: list[Point] = []
    unseen: list[Point] = []
    for study in dict.fromkeys(r.study for r, _ in chosen):
        teachers = [own for r, own in _library() if r.study != study]
        sisters = [(r, own) for r, own in known if r.study == study]
        alone = Learned(teachers)
        for row, own in chosen:
            if row.study == study:
                seen.append(_point(row, _with_sisters(row, own, sisters, teachers) or alone, own))
                unseen.append(_point(row, alone, own))
    grown = sum(_passes(r) is not None for r, _ in chosen)
    note = (
        f"passes and the work around them were predicted for {grown} of {len(chosen)} rows, and "
        "taken as those of a plain step in the others"
    )
    given = "acceptance or tokens per round, gamma, c; what other studies realise"
    more = f"{given}, and the study's other rows"
    return (
        Test(name, more, "relative", tuple(seen), notes=(note,)),
        Test(f"{name}, its study unseen", given, "relative", tuple(unseen)),
    )


def _with_sisters(
    row: Measured,
    own: Realised,
    sisters: Sequence[tuple[Measured, Realised]],
    teachers: Sequence[Realised],
) -> Learned | None:
    """What the others of its study realise, those of its pair first, None without any."""
    others = [other for r, other in sisters if _work(r) != _work(row)]
    others.sort(key=lambda other: other.pair != own.pair)
    return Learned(teachers, others[:SISTERS]) if others else None


@cache
def _library() -> tuple[tuple[Measured, Realised], ...]:
    return tuple((r, _realised(r)) for r in library_rows() if usable(r))


def _work(row: Measured) -> tuple[object, ...]:
    """What makes two rows one measurement, whatever they state of it."""
    names = tuple(squeezed(n) for n in (row.target, row.draft, row.task, row.hardware, row.batch))
    return (*names, row.temperature, row.gamma)


def kind_of_alpha(row: Measured) -> str:
    """What the stated acceptance is, by the row itself, else by what wrote it."""
    if row.alpha_kind:
        return row.alpha_kind
    return "accepted_over_drafted" if _LOGS.search(row.engine) else "alpha_conditional"


def tokens_of(row: Measured) -> float:
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


def _realised(row: Measured) -> Realised:
    """What the row realises of its ideal, and the variance that its passes' prediction brings."""
    log_ideal, variance = _ideal(row)
    rounding = (row.speedup_step / row.speedup) ** 2 / 12.0
    pair = "|".join(squeezed(n) for n in (row.target, row.draft))
    misfit = math.log(row.speedup) - log_ideal
    return Realised(row.study, pair, misfit, variance + rounding, squeezed(row.task))


def _ideal(row: Measured) -> tuple[float, float]:
    """ln of the speed-up by the law alone, and its variance."""
    passes = _passes(row)
    rounds = row.gamma * row.cost_ratio + (np.ones(1) if passes is None else passes)
    spread = np.quantile(np.log(rounds), [0.16, 0.5, 0.84])
    return math.log(tokens_of(row)) - float(spread[1]), float((0.5 * (spread[2] - spread[0])) ** 2)


def _point(row: Measured, learned: Learned, own: Realised) -> Point:
    log_ideal, _ = _ideal(row)
    ends = learned.forecast(replace(own, misfit=0.0), LEVEL)
    middle, low, high = (math.exp(log_ideal + y) for y in ends)
    rivals = {
        PLAIN: plain_from_numbers(row.alpha, row.tau, row.gamma, row.cost_ratio),
        SDSL: sdsl_speedup(row.draft_params, row.target_params, row.gamma, row.cost_ratio),
    }
    return Point(row.label, row.speedup, middle, low, high, rivals)


def stack_of(row: Measured) -> str:
    """The kind of software that a row's engine or machine names, ``serving`` where none."""
    said = f"{row.engine} {row.hardware} {row.task}"
    if re.search(r"vllm|sglang|tensorrt|trt-?llm|lmdeploy", said, re.IGNORECASE):
        return "serving"
    return next((s for s, words in _STACKS if re.search(words, said, re.IGNORECASE)), "serving")


def _passes(row: Measured) -> Floats | None:
    batch = row.batch_size if math.isfinite(row.batch_size) else 1.0
    return verify_and_around(row.target, row.hardware, batch, row.gamma, stack_of(row))


@cache
def verify_and_around(
    target: str, hardware: str, batch: float, gamma: int, stack: str
) -> Floats | None:
    """(V(gamma + 1) + o) over a plain step, (DRAWS,), or None where a name is unknown."""
    try:
        shape, _ = shape_for(target)
        machine = device(hardware)
        rng = np.random.default_rng(29)
        law = predict_costs(shape, shape, machine, rng=rng, draws=DRAWS, stack=stack, batch=batch)
    except ValueError:
        return None
    times = law.target.step_time(np.array([1.0, gamma + 1.0]), batch=batch)
    return np.asarray((times[..., 1] + np.asarray(law.overhead)) / times[..., 0])
