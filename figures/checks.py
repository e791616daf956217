"""How far the predictions come true on published measurements that were not fitted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..calibrate.library import Sweep, specbundle_sweeps
from ..calibrate.library.load import load_table
from ..calibrate.library.schema import number
from ..calibrate.rounds import fit_round_cost
from ..calibrate.tokens import fit_tokens
from ..theory import speedup, tokens_by_gamma
from .study import HeldOut, Progress

Floats = NDArray[np.float64]


def specbundle_test(
    seed: int = 0, *, held_out: int = 5, progress: Progress | None = None
) -> tuple[HeldOut, HeldOut]:
    """Fit each serving sweep on its other gammas and predict gamma ``held_out``.

    Returns (speed-up, tokens per round). Sweeps whose plain baseline is suspect are left out.
    """
    rng = np.random.default_rng([seed, 3])
    sweeps = [s for s in specbundle_sweeps() if held_out in s.gamma and s.gamma.size >= 3]
    both = []
    for i, sweep in enumerate(sweeps):
        both.append(_predict_one(sweep, held_out, rng))
        if progress:
            progress(f"serving sweeps, gamma {held_out} held out", i + 1, len(sweeps))
    labels = tuple(s.label for s in sweeps)
    results = []
    for column, what in enumerate(("speed-up", "tokens per round")):
        error = np.array([b[column][0] for b in both])
        inside = np.array([b[column][1] for b in both])
        results.append(
            HeldOut(f"serving sweeps, {what} at gamma {held_out}", error, inside, labels)
        )
    return results[0], results[1]


def _predict_one(
    sweep: Sweep, held_out: int, rng: np.random.Generator
) -> tuple[tuple[float, bool], tuple[float, bool]]:
    """(relative error, inside the 90 % interval) of the speed-up and of the tokens per round."""
    assert sweep.tokens_per_round is not None
    kept = sweep.gamma != held_out
    at = int(np.flatnonzero(~kept)[0])
    gammas = sweep.gamma[kept].astype(np.int64)
    tokens = fit_tokens(gammas, sweep.tokens_per_round[kept], rng, draws=1000)
    times = (sweep.tokens_per_round / sweep.speedup)[kept]
    cost = fit_round_cost(gammas, times, rng, draws=1000)
    tau = tokens_by_gamma(tokens.law(), held_out)[:, held_out]
    gain = tau / cost.law().round_time(held_out)[:, held_out]
    gain_scatter = np.hypot(tokens.scatter, cost.scatter)
    return (
        _score(gain, gain_scatter, sweep.speedup[at], rng),
        _score(tau, tokens.scatter, sweep.tokens_per_round[at], rng),
    )


def _score(
    sample: Floats, scatter: Floats, measured: float, rng: np.random.Generator
) -> tuple[float, bool]:
    noisy = sample * np.exp(scatter * rng.standard_normal(sample.size))
    low, high = np.quantile(noisy, [0.05, 0.95])
    return float(sample.mean() / measured - 1.0), bool(low <= measured <= high)


@dataclass(frozen=True)
class LawRow:
    """One published speed-up beside the ideal law at its stated alpha, gamma and cost ratio."""

    label: str
    alpha: float
    gamma: int
    cost_ratio: float
    measured: float
    predicted: float

    @property
    def error(self) -> float:
        """predicted / measured - 1."""
        return self.predicted / self.measured - 1.0


def leviathan_rows() -> tuple[LawRow, ...]:
    """The twelve speed-ups of arXiv:2211.17192 predicted from their own alpha, gamma and c."""
    rows = []
    for r in load_table("leviathan_speedups").rows:
        alpha, gamma = number(r, "overlap_alpha"), int(number(r, "gamma_tokens"))
        c = number(r, "cost_ratio")
        rows.append(
            LawRow(
                f"{r['draft']}, {r['task']}, T = {r['temperature']:g}",
                alpha,
                gamma,
                c,
                number(r, "speedup"),
                float(speedup(alpha, gamma, c)),
            )
        )
    return tuple(rows)
