r"""From measured sweeps to laws: whichever fit the columns allow.

With tokens per round stated, acceptance and cost are fitted apart, each to its own measurement.
With speed-ups or latencies alone they are fitted together, the drafts of a target jointly.

Where the law misses by more than its scatter there is a step. A block drafter, a kernel for another
number of tokens or a graph that is not captured makes the time of a round jump between two numbers
of draft tokens, and a law that is affine in them smooths the jump away. The logarithm of measured
over fitted speed-up is fitted twice,

    r(K) = a + b K            r(K) = a + b K + d [K > k]

and d is a step at the best k where the second fit is better than by chance (F test at 0.1 % with
all places that were tried), where |d| is above 8 % and four times the scatter that is left. The
scatter of a few points is not known from them alone: runs of one setting differ by 1 %, which
counts as four points more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import fdtrc

from ..theory import AffineCost, DepthAcceptance, tokens_by_gamma
from .grid import Floats, Priors
from .latency import LatencyPoints, fit_latency
from .library import Sweep
from .models.drafters import drafter_of
from .rounds import fit_round_cost
from .tokens import fit_tokens

_LEAST, _TIMES, _CHANCE = 0.08, 4.0, 1e-3
_BETWEEN_RUNS, _POINTS = 0.01, 4


@dataclass(frozen=True)
class Step:
    """A jump of the speed-up between two measured numbers of draft tokens.

    after, before: the last gamma below it and the first above it; factor: what the speed-up is
    multiplied by there, beyond what a smooth law has.
    """

    after: int
    before: int
    factor: float

    @property
    def said(self) -> str:
        """The step in one sentence."""
        return (
            f"the sweep has a step between gamma {self.after} and {self.before}: speed-ups beyond "
            f"are {self.factor:.2f} times what a smooth law has; a fit smooths it, so trust the "
            "measured gammas and nothing between"
        )


def find_step(gammas: Floats, measured: Floats, fitted: Floats) -> Step | None:
    """The step of a sweep, None where there is none.

    gammas: ascending, shape (points,) [token]; measured, fitted: speed-ups there, > 0. At least 5
    points are needed.
    """
    n = gammas.size
    if n < 5:
        return None
    left = np.log(measured / fitted)
    smooth = np.stack([np.ones(n), gammas], axis=1)
    plain, best = _residual(smooth, left), None
    for k in range(1, n - 1):
        design = np.column_stack([smooth, np.arange(n) >= k])
        free = n - 3 + _POINTS
        rest = _residual(design, left)
        scatter = np.sqrt((rest + _POINTS * _BETWEEN_RUNS**2) / free)
        ratio = (plain - rest) / scatter**2
        size = float(np.linalg.lstsq(design, left, rcond=None)[0][2])
        chance = (n - 2) * float(fdtrc(1, free, max(ratio, 0.0)))
        # A round cannot take less time for more tokens: only a fall is a step.
        if chance < _CHANCE and -size > max(_LEAST, _TIMES * scatter):
            best = max(best or (ratio, size, k), (ratio, size, k))
    if best is None:
        return None
    _, size, k = best
    return Step(int(gammas[k - 1]), int(gammas[k]), float(np.exp(size)))


def _residual(design: Floats, values: Floats) -> float:
    """Sum of squares that a linear fit leaves."""
    found = np.linalg.lstsq(design, values, rcond=None)[0]
    return float(((values - design @ found) ** 2).sum())


# Beyond this width of its 90 % interval an alpha is called weakly identified.
WIDE_ALPHA = 0.15


@dataclass(frozen=True)
class SweepFit:
    """Laws fitted to one sweep, as a posterior sample.

    acceptance, cost: laws with arrays of shape (draws,); scatter: relative scatter of one measured
    speed-up, shape (draws,); given: what the fit rests on; notes: what limits it; tokens_scatter:
    relative scatter of one measured mean of tokens per round, None where none is stated; step:
    where the sweep jumps by more than its scatter, None where it does not.
    """

    sweep: Sweep
    acceptance: DepthAcceptance
    cost: AffineCost
    scatter: Floats
    given: str
    notes: tuple[str, ...]
    tokens_scatter: Floats | None = None
    step: Step | None = None


def fit_sweeps(
    sweeps: Sequence[Sweep],
    rng: np.random.Generator,
    *,
    draws: int = 2000,
    priors: Priors = Priors(),  # noqa: B008 - frozen
    size: str = "fine",
) -> tuple[SweepFit, ...]:
    """Fit every sweep; those of one target and workload without tokens per round jointly.

    rng: for the posterior draws. Returns the fits in the order of the sweeps. Raises ValueError
    for a sweep with too few points.
    """
    fits: dict[int, SweepFit] = {}
    families: dict[tuple[str, str], list[int]] = {}
    for i, sweep in enumerate(sweeps):
        if sweep.tokens_per_round is not None:
            fits[i] = _fit_parts(sweep, rng, draws, priors)
        else:
            families.setdefault((sweep.target, sweep.workload), []).append(i)
    for members in families.values():
        chosen = [sweeps[i] for i in members]
        fits.update(zip(members, _fit_family(chosen, rng, draws, priors, size), strict=True))
    return tuple(_stepped(fits[i]) for i in range(len(sweeps)))


def _stepped(fit: SweepFit) -> SweepFit:
    """The fit with what it misses: a step that a smooth law smooths away, a block drafter."""
    sweep, top = fit.sweep, int(fit.sweep.gamma.max())
    table = tokens_by_gamma(fit.acceptance, top) / fit.cost.round_time(top)
    smooth = np.exp(np.log(table).mean(axis=0))[sweep.gamma.astype(np.int64)]
    step = find_step(np.array(sweep.gamma), np.array(sweep.speedup), smooth)
    notes: tuple[str, ...] = () if step is None else (step.said,)
    if drafter_of(sweep.draft) == "block":
        notes += (
            f"{sweep.draft} drafts a block at once: its cost is flat or rises in steps, and fewer "
            "draft tokens are not cheaper",
        )
    return replace(fit, step=step, notes=(*notes, *fit.notes))


def _fit_parts(sweep: Sweep, rng: np.random.Generator, draws: int, priors: Priors) -> SweepFit:
    """Acceptance from tokens per round, cost from tokens per round over speed-up."""
    assert sweep.tokens_per_round is not None
    gammas = sweep.gamma.astype(np.int64)
    tokens = fit_tokens(gammas, sweep.tokens_per_round, rng, draws=draws, priors=priors)
    cost = fit_round_cost(
        gammas, sweep.tokens_per_round / sweep.speedup, rng, draws=draws, priors=priors
    )
    notes = []
    if cost.suspect_baseline:
        notes.append(
            "the round times extrapolate to less than a plain step without drafts: the plain "
            "baseline looks too slow"
        )
    return SweepFit(
        sweep,
        tokens.law(),
        cost.law(),
        np.hypot(tokens.scatter, cost.scatter),
        "speed-up and tokens per round",
        (*notes, *_identification(tokens.alpha, sweep)),
        tokens.scatter,
    )


def _fit_family(
    sweeps: Sequence[Sweep], rng: np.random.Generator, draws: int, priors: Priors, size: str
) -> list[SweepFit]:
    for s in sweeps:
        if s.gamma.size < 2:
            raise ValueError(
                f"{s.label} was measured at gamma {s.gamma[0]:g} alone: a fit needs two or more, "
                "all >= 1, beside plain decoding"
            )
    points = [
        LatencyPoints(s.draft, s.gamma.astype(np.int64), np.array(s.relative_latency))
        for s in sweeps
    ]
    fit = fit_latency(points, rng, draws=draws, priors=priors, size=size)
    shared = f"latency against gamma, {len(points)} drafts with shared overhead and decay"
    given = shared if len(points) > 1 else "latency against gamma"
    out = []
    for i, sweep in enumerate(sweeps):
        acceptance, cost = fit.laws(sweep.draft)
        notes = _identification(fit.alpha[i], sweep)
        out.append(SweepFit(sweep, acceptance, cost, fit.scatter, given, notes))
    return out


def _identification(alpha: Floats, sweep: Sweep) -> tuple[str, ...]:
    low, high = np.quantile(alpha, [0.05, 0.95])
    if high - low <= WIDE_ALPHA:
        return ()
    what = "tokens per round fix" if sweep.tokens_per_round is not None else "latency alone fixes"
    return (
        f"weak identification: {what} alpha only to {low:.2f}-{high:.2f} (a higher alpha with a "
        "dearer draft token fits as well); the speed-up within the measured gammas is better known",
    )
