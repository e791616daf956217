"""The best gamma of one pair under one load, from whatever is known of it.

Speeds in units that are paid for: milliseconds a token, tokens a second, money and energy.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..theory import AffineCost, DepthAcceptance, break_even_alpha
from ..theory.domain import Floats
from ..theory.interval import Interval, check_level, median_interval
from .choice import DEFAULT_OBJECTIVE, Objective, RoundTimes
from .known import Laws
from .prediction import Prediction, break_even, predict, speedup_table

if TYPE_CHECKING:
    from ..calibrate.learned.near_best import NearBest


@dataclass(frozen=True)
class Rates:
    """What running costs: price_per_hour [any currency] and power_w [W] of all devices together.

    Either is None where it was not stated. Raises ValueError outside (0, inf).
    """

    price_per_hour: float | None = None
    power_w: float | None = None

    def __post_init__(self) -> None:
        for name in ("price_per_hour", "power_w"):
            value = getattr(self, name)
            if value is not None and not 0.0 < value < float("inf"):
                raise ValueError(f"{name} must be in (0, inf), got {value:g}")


@dataclass(frozen=True)
class AtGamma:
    """Speed-up at a gamma that was asked about; loss: share of the best one that it gives up."""

    gamma: int
    speedup: Interval
    loss: float


@dataclass(frozen=True)
class PairPrediction:
    """The prediction of a pair, with what it rests on.

    prediction: of the laws; where target and draft do not fit in memory its gamma is 0, and
    if_it_fitted holds what the laws alone say. break_even_alpha: constant conditional rate above
    which some gamma pays at the median costs, None where none does; at_gamma: the gamma of measured
    rounds, where one was given; published: measured rows of the very pair that the
    prediction rests on; expected_measurement: where a measurement of stated numbers lands,
    by what published studies reach of theirs; alpha, cost_ratio: what the laws come to, None where
    a law has no such number; plain, speculative: absolute speeds, None where times are not seconds;
    near_best: how often such choices came near the best, None where anything of the pair but its
    plain time was measured or stated, or of another draft on the machine.
    """

    laws: Laws
    prediction: Prediction
    break_even_alpha: float | None
    alpha: Interval
    cost_ratio: Interval | None
    at_gamma: AtGamma | None
    if_it_fitted: Prediction | None
    plain: Speed | None
    speculative: Speed | None
    expected_measurement: Interval | None
    near_best: NearBest | None
    notes: tuple[str, ...]

    @property
    def pays(self) -> bool:
        """Whether speculation is worth turning on."""
        return self.prediction.gamma > 0


def predict_pair(
    laws: Laws,
    *,
    objective: Objective = DEFAULT_OBJECTIVE,
    level: float = 0.9,
    gamma: int | None = None,
    rates: Rates = Rates(),
) -> PairPrediction:
    """Predict the best gamma of a pair and its speed-up.

    objective: what gamma makes largest; level: of the intervals, in (0, 1); gamma: of measured
    rounds, compared with the best; rates: prices of running. Raises ValueError as the laws do.
    """
    check_level(level)
    at, top = laws.pair.at, laws.gamma_max
    load = {"batch": at.batch, "context": at.cached}
    accepted, cost = laws.acceptance, laws.costs
    found = predict(
        accepted.law, cost.law, gamma_max=top, objective=objective, level=level, batch=at.batch,
        context=at.cached,
    )  # fmt: skip
    compared = None if gamma is None or gamma > top else _at(found, gamma)
    memory, fitted = cost.memory, None
    notes = [*laws.notes]
    threshold = _threshold(laws)
    if threshold is None:
        notes.append(f"at these costs no acceptance makes a gamma up to {top} pay")
    if found.gamma_real is None:
        notes.append("the speed-up keeps rising with gamma: the real optimum is unbounded")
    if memory is not None and not memory.fits:
        fitted, found = found, _off(found, memory.line)
    ratio = cost.cost_ratio(**load)
    plain = speculative = None
    if cost.seconds:
        step = cost.plain_step(**load)
        gain = speedup_table(accepted.law, cost.law, top, **load).reshape(-1, top + 1)
        plain = speed(step, batch=at.batch, level=level, rates=rates)
        speculative = speed(step / gain[:, found.gamma], batch=at.batch, level=level, rates=rates)
    return PairPrediction(
        laws, found, threshold, median_interval(accepted.alpha, level), None if ratio
        is None else median_interval(ratio, level), compared, fitted, plain,
        speculative, _landing(laws, found, level), near_best_of(laws, objective),
        tuple(dict.fromkeys((*found.notes, *notes))),
    )  # fmt: skip


def near_best_of(laws: Laws, objective: Objective) -> NearBest | None:
    """How often choices from names alone came near the best, None where more is known."""
    named = laws.acceptance.kind == laws.costs.kind == "predicted"
    if not named or laws.published is not None or laws.drafts_known:
        return None
    from ..calibrate.learned.near_best import near_best

    return near_best(objective, unseen=laws.pair.at.unseen)


def _landing(laws: Laws, found: Prediction, level: float) -> Interval | None:
    """Where a measurement of stated acceptance and costs lands."""
    if not (found.gamma and laws.acceptance.kind == laws.costs.kind == "stated"):
        return None
    from ..calibrate.learned.realisation import expected_measurement

    return expected_measurement(found.speedup.estimate, level=level)


def _at(found: Prediction, gamma: int) -> AtGamma:
    estimate = float(found.speedup_by_gamma[gamma])
    low, high = (float(v[gamma]) for v in (found.low_by_gamma, found.high_by_gamma))
    loss = 1.0 - estimate / found.speedup.estimate
    if found.objective == "regret":  # which is what it makes least, and not the mean itself
        loss = float(found.expected_regret[gamma]) - found.regret
    return AtGamma(gamma, Interval(estimate, low, high, found.speedup.level), loss)


def _off(found: Prediction, line: str) -> Prediction:
    """The prediction turned into NO: what does not fit cannot run, however fast it would be."""
    about = ("flat optimum", "the best gamma", "gamma ", "the speed-up keeps rising", line)
    kept = (n for n in found.notes if not n.startswith(about))
    return replace(
        found, gamma=0, gamma_real=0.0, gamma_window=(0,), probability_gain=0.0,
        speedup=Interval(1.0, 1.0, 1.0, found.speedup.level), notes=(line, *kept),
    )  # fmt: skip


def _threshold(laws: Laws) -> float | None:
    """Constant conditional rate above which some gamma pays, at the median costs."""
    law, top, at = laws.costs.law, laws.gamma_max, laws.pair.at
    accepted = laws.acceptance.law
    decay = 1.0
    if laws.acceptance.kind == "stated" and isinstance(accepted, DepthAcceptance):
        decay = float(np.median(np.asarray(accepted.decay)))
    if isinstance(law, AffineCost) and law.shape == () and decay == 1.0:
        parts = (law.cost_ratio, law.verify_slope, law.overhead)
        ratio, slope, overhead = (float(np.asarray(x)) for x in parts)
        return break_even_alpha(ratio, verify_slope=slope, overhead=overhead, gamma_max=top)
    times = RoundTimes.of(law, top, batch=at.batch, context=at.cached)
    return break_even(times, decay=decay, gamma_max=top)


_MILLION = 1e6
_HOUR_S = 3600.0


@dataclass(frozen=True)
class Speed:
    """One way of decoding in absolute units, medians with their intervals.

    ms_per_token: of one sequence; tokens_per_s: of one sequence; batch_tokens_per_s: of all;
    price_per_million_tokens, wh_per_million_tokens: of the whole batch, None without a price or a
    power.
    """

    ms_per_token: Interval
    tokens_per_s: Interval
    batch_tokens_per_s: Interval
    price_per_million_tokens: Interval | None = None
    wh_per_million_tokens: Interval | None = None


def speed(seconds: Floats, *, batch: float, level: float, rates: Rates = Rates()) -> Speed:
    """Speed of draws of the seconds that a token of one sequence takes, shape (draws,)."""
    token_s = np.asarray(seconds, dtype=float)
    hours = token_s / batch * _MILLION / _HOUR_S

    def priced(rate: float | None) -> Interval | None:
        return None if rate is None else median_interval(rate * hours, level)

    return Speed(
        median_interval(1e3 * token_s, level),
        median_interval(1.0 / token_s, level),
        median_interval(batch / token_s, level),
        priced(rates.price_per_hour),
        priced(rates.power_w),
    )
