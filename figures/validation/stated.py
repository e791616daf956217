r"""Rows that state acceptance (or tokens per round), gamma and cost ratio: what speed-up follows.

    ln S = ln tau - ln(gamma c + V(gamma + 1) + o) + error

tau is as stated, or follows from the stated acceptance: 1 + gamma a where a is accepted over
drafted, the independent law where it is E[sum min(p, q)]. V is the growth of the verifying pass at
the row's batch, predicted where the table of models knows the target and that of devices its
machine; elsewhere it is 1. o, what else a round costs, and the error of the law itself are given
the widths that published rows have shown (see `ERROR`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache

import numpy as np

from ...calibrate.models.config import shape_for
from ...calibrate.models.devices import device
from ...calibrate.prior.costs import predict_costs
from ...theory import tokens_per_round
from .result import Floats, Point, Test, interval
from .rivals import PLAIN, SDSL, plain_from_numbers, sdsl_speedup
from .rows import Measured

NAME = "speed-up from stated acceptance, gamma and cost ratio"
DRAWS = 2000
OVERHEAD = 0.05  # scale of a half-normal [plain step], as in serving engines' sweeps
# Spread of ln(measured / predicted): acceptance that is stated as E[sum min(p, q)] says less of
# the tokens of a round than the tokens themselves. Those of arXiv:2211.17192 miss by 0.2.
ERROR = {"overlap": 0.2, "tokens": 0.1}


def usable(row: Measured) -> bool:
    """Whether a row states all that the law needs."""
    accepted = math.isfinite(row.tau) or math.isfinite(row.alpha)
    numbers = accepted and math.isfinite(row.cost_ratio) and math.isfinite(row.speedup)
    return numbers and row.gamma >= 1 and not row.objection


def stated_test(rows: Iterable[Measured], *, name: str = NAME, seed: int = 0) -> Test:
    """Predict the speed-up of every row that states what is needed."""
    points, grown = [], 0
    chosen = [r for r in rows if usable(r)]
    for i, row in enumerate(chosen):
        rng = np.random.default_rng([seed, 23, i])
        growth = verify_growth(row.target, row.hardware, row.batch_size, row.gamma)
        grown += growth is not None
        points.append(_point(row, growth, rng))
    note = f"the growth of the verifying pass was predicted for {grown} of {len(chosen)} rows"
    return Test(name, "acceptance or tokens per round, gamma, c", "relative", tuple(points),
                notes=(f"{note}, and taken as 1 in the others",))  # fmt: skip


def tokens_of(row: Measured) -> float:
    """Tokens per round as stated, or as they follow from the stated acceptance."""
    if math.isfinite(row.tau):
        return row.tau
    if row.alpha_is_overlap:
        return float(tokens_per_round(row.alpha, row.gamma))
    return 1.0 + row.gamma * row.alpha


def _point(row: Measured, growth: Floats | None, rng: np.random.Generator) -> Point:
    tau = tokens_of(row)
    verify = np.ones(DRAWS) if growth is None else growth
    overhead = np.abs(rng.normal(0.0, OVERHEAD, DRAWS))
    kind = "tokens" if math.isfinite(row.tau) or not row.alpha_is_overlap else "overlap"
    sample = tau / (row.gamma * row.cost_ratio + verify + overhead)
    noisy = sample * np.exp(ERROR[kind] * rng.standard_normal(DRAWS))
    rivals = {
        PLAIN: plain_from_numbers(row.alpha, tau, row.gamma, row.cost_ratio),
        SDSL: sdsl_speedup(row.draft_params, row.target_params, row.gamma, row.cost_ratio),
    }
    return Point(row.label, row.speedup, float(np.median(sample)), *interval(noisy), rivals)


def verify_growth(target: str, hardware: str, batch: float, gamma: int) -> Floats | None:
    """V(gamma + 1) over a plain step at this batch, (DRAWS,), or None where a name is unknown."""
    return _growth(target, hardware, batch if math.isfinite(batch) else 1.0, gamma)


@cache
def _growth(target: str, hardware: str, batch: float, gamma: int) -> Floats | None:
    try:
        shape, _ = shape_for(target)
        machine = device(hardware)
    except ValueError:
        return None
    rng = np.random.default_rng(29)
    law = predict_costs(shape, shape, machine, rng=rng, draws=DRAWS, stack="serving", batch=batch)
    times = law.target.step_time(np.array([1.0, gamma + 1.0]), batch=batch)
    return np.asarray(times[..., 1] / times[..., 0])
