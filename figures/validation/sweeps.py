"""Sweeps over gamma with one gamma left out, each predicted as `predict --sweep` would."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ...calibrate.learned.measured import GammaSweep, shares_rows
from ...calibrate.learned.sweeps import Ahead, forecast_gamma
from ...theory import speedup, tokens_per_round
from .result import LEVEL, Point, Test
from .rivals import NEAREST, PLAIN, SDSL, interpolated, plain_from_sweep, sdsl_alpha

Progress = Callable[[str, int, int], None]


def leave_one_gamma_out(
    sweeps: Sequence[GammaSweep],
    *,
    sisters: Sequence[GammaSweep] = (),
    name: str,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Test, Test]:
    """Predict every gamma of every sweep from its others; (speed-up, tokens per round).

    sisters: further sweeps that only lend their misfits. Rows that a sister shares with a tested
    sweep are not lent to it: the measurement to be predicted is never looked at. The spreads are
    learned from other studies than the sweep's own.
    """
    pool = [*sweeps, *(s for s in sisters if not any(shares_rows(s, t) for t in sweeps))]
    gain, tokens, regrets = [], [], []
    for done, own in enumerate(sweeps):
        family = [s.sweep for s in pool if s is not own]
        chosen: list[float] = []
        for at, row in enumerate(own.rows):
            left = own.sweep.without(row.gamma)
            found = forecast_gamma(left, row.gamma, family=family, seed=seed)
            point = _point(row.label, row.speedup, found.speedup, _rivals(own, at))
            gain.append(point)
            chosen.append(point.predicted)
            if found.tokens is not None and not own.rows[0].tau_is_derived:
                tokens.append(_point(row.label, row.tau, found.tokens, {}))
        best = int(np.argmax(chosen))
        regrets.append(float(1.0 - own.speedups[best] / own.speedups.max()))
        if progress:
            progress(name, done + 1, len(sweeps))
    rest = "the other gammas of the sweep; misfits of sister sweeps; spreads of other studies"
    return (
        Test(
            f"{name}: speed-up, one gamma left out", rest, "relative", tuple(gain), tuple(regrets)
        ),
        Test(f"{name}: tokens per round, one gamma left out", rest, "relative", tuple(tokens)),
    )


def _point(label: str, seen: float, found: Ahead, rivals: dict[str, float | None]) -> Point:
    ends = found.interval(LEVEL)
    return Point(label, seen, ends.estimate, ends.low, ends.high, rivals)


def _rivals(sweep: GammaSweep, at: int) -> dict[str, float | None]:
    kept = np.arange(len(sweep.rows)) != at
    gammas, wanted = sweep.gammas[kept], int(sweep.gammas[at])
    tau = sweep.tau
    others = None if tau is None else tau[kept]
    return {
        PLAIN: plain_from_sweep(gammas, sweep.speedups[kept], others, wanted),
        NEAREST: interpolated(gammas, sweep.speedups[kept], wanted),
        SDSL: _sdsl(sweep, kept, wanted),
    }


def _sdsl(sweep: GammaSweep, kept: NDArray[np.bool_], wanted: int) -> float | None:
    """SDSL's acceptance, the cost of a draft token fitted to the other gammas under it."""
    row = sweep.rows[0]
    alpha = sdsl_alpha(row.draft_params, row.target_params)
    if alpha is None:
        return None
    gammas = sweep.gammas[kept]
    per_token = (tokens_per_round(alpha, gammas) / sweep.speedups[kept] - 1.0) * gammas
    return float(speedup(alpha, wanted, max(0.0, float(per_token.sum() / (gammas**2).sum()))))
