r"""What is known of a server's speed by draft, gamma and batch, before and after measurements.

What is known is a sample of ln(tokens/s) at every point of the grid, and of ln(tokens a step) of
every draft and gamma (see `prior`).

Measurements y move each draw i as in conditional simulation of a normal law with the sample's own
covariance C,

    x_i + C H' (H C H' + R)^-1 (y + e_i - H x_i),   e_i ~ N(0, R).

A plain step far outside of what was believed is no reason to extrapolate: the machine is another
one than was named. A factor of all speeds, and a smaller one of the gains, is then as unknown as
what was measured shows.

What a server runs is one draft, with the gamma that is best at each batch (0: plain decoding); its
worth is the mean over batches of ln(tokens/s), its regret against the best draft of a draw.
Source: conditional simulation: Journel, Huijbregts 1978; put together here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...theory.domain import Floats
from ...theory.interval import Interval, interval

# Spread of a measured ln(tokens/s) from one start of a server to the next, and of a mean length.
SPEED_ERROR, LENGTH_ERROR = 0.02, 0.02
_FAR = 4.0  # standard deviations of the belief, beyond which a measurement is called surprising
_USUAL = 2.0  # standard deviations of the belief, within which plain decoding tells of the machine
# Of machines of which one speed is not the other's, ln of gains vary by 0.07 to 0.2 of ln of plain
# speeds: predictions for A100, H100, H200, L40S, A6000, MI300X and three CPUs, batch 1 to 32.
_GAINS = 0.15
_BATCHES, _GAMMAS = 1.5, 0.7  # distances of ln batch and ln(gamma + 1) at which misfits are unlike

NAMELESS = ""  # the draft of plain decoding


@dataclass(frozen=True, order=True)
class Point:
    """A configuration under a load. draft: its name, "" for plain decoding with gamma 0."""

    draft: str
    gamma: int
    batch: int

    @property
    def configuration(self) -> tuple[str, int]:
        """What a server is started with."""
        return self.draft, self.gamma

    def __str__(self) -> str:
        what = f"{self.draft}, gamma {self.gamma}" if self.draft else "plain decoding"
        return f"{what}, batch {self.batch}"


@dataclass(frozen=True)
class Seen:
    """What was measured at a point: tokens/s of all sequences together, > 0, and tokens per step of
    the target, >= 1, None where the server tells nothing of it.
    """

    point: Point
    tokens_per_s: float
    tokens_per_step: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.tokens_per_s < np.inf:
            raise ValueError(f"tokens_per_s must be in (0, inf), got {self.tokens_per_s}")
        known = self.tokens_per_step
        if known is not None and not 1.0 <= known < np.inf:
            raise ValueError(f"tokens_per_step must be in [1, inf), got {known}")


@dataclass(frozen=True)
class Chosen:
    """What a server would run now. draft: "" for plain decoding at every batch; gammas: by batch;
    gain: of tokens/s over plain decoding by batch, with its interval; regret: mean share of the
    speed that the best draft and gammas would add.
    """

    draft: str
    gammas: dict[int, int]
    gain: dict[int, Interval]
    regret: float


@dataclass(frozen=True)
class Belief:
    """A sample over a grid of points.

    drafts, gammas, batches: of the grid, gammas 1.., rising; logs: ln tokens/s of all sequences,
    shape (draws, points), in the order of ``points``; lengths: ln tokens a step, (draws, drafts x
    gammas); seen: what it was given; prior: the state before.
    """

    drafts: tuple[str, ...]
    gammas: tuple[int, ...]
    batches: tuple[int, ...]
    logs: Floats
    lengths: Floats
    seen: tuple[Seen, ...] = ()
    prior: Floats | None = field(default=None, repr=False)

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """Plain decoding first, then draft by draft and gamma by gamma, batches fastest."""
        plain = (Point(NAMELESS, 0, b) for b in self.batches)
        own = (Point(d, g, b) for d in self.drafts for g in self.gammas for b in self.batches)
        return (*plain, *own)

    @cached_property
    def grid(self) -> NDArray[np.int64]:
        """Places by draft, batch and gamma, (drafts, batches, 1 + gammas), plain decoding first."""
        many, batches = len(self.gammas), len(self.batches)
        flat = batches + np.arange(len(self.drafts) * many * batches)
        own = flat.reshape(len(self.drafts), many, batches).transpose(0, 2, 1)
        plain = np.broadcast_to(np.arange(batches)[None, :, None], (len(self.drafts), batches, 1))
        return np.concatenate([plain, own], axis=2)

    @cached_property
    def state(self) -> Floats:
        """Everything that is unknown, (draws, points + lengths)."""
        return np.concatenate([self.logs, self.lengths], axis=1)

    def where(self, point: Point) -> int:
        """Place of a point in the grid; raises ValueError where it is not of the grid."""
        if point not in self._places:
            raise ValueError(f"{point} is not among what is tuned")
        return self._places[point]

    @cached_property
    def _places(self) -> dict[Point, int]:
        return {p: i for i, p in enumerate(self.points)}

    def length_of(self, point: Point) -> int | None:
        """Place of the tokens a step at a point in the state, None for plain decoding."""
        if not point.draft:
            return None
        at = self.drafts.index(point.draft) * len(self.gammas) + self.gammas.index(point.gamma)
        return len(self.points) + at

    def given(self, seen: Sequence[Seen], rng: np.random.Generator) -> Belief:
        """The belief after all of these measurements, whatever it was given before."""
        prior = self.state if self.prior is None else self.prior
        wide = self._widened(prior, seen, rng)
        rows, values, errors = [], [], []
        for s in seen:
            rows.append(self.where(s.point))
            values.append(np.log(s.tokens_per_s))
            errors.append(SPEED_ERROR)
            at = self.length_of(s.point)
            if at is not None and s.tokens_per_step is not None:
                rows.append(at)
                values.append(np.log(s.tokens_per_step))
                errors.append(LENGTH_ERROR)
        state = _conditioned(wide, rows, np.array(values), np.array(errors), rng)
        count = len(self.points)
        return Belief(
            self.drafts, self.gammas, self.batches, state[:, :count], state[:, count:],
            tuple(seen), prior,
        )  # fmt: skip

    def _widened(self, prior: Floats, seen: Sequence[Seen], rng: np.random.Generator) -> Floats:
        """The prior with a machine as unlike the named one as plain decoding shows it to be."""
        extra = self.unlike(seen)
        if not extra:
            return prior
        count, b = len(self.points), len(self.batches)
        gains = alike(rng, len(prior), self.gammas, self.batches).reshape(len(prior), -1)
        wide = prior.copy()
        wide[:, :count] += extra * rng.standard_normal((len(prior), 1))
        wide[:, b:count] += _GAINS * extra * np.tile(gains, len(self.drafts))
        return wide

    def unlike(self, seen: Sequence[Seen]) -> float:
        """Spread of ln speed, beside the believed one, that makes plain decoding usual."""
        prior = self.state if self.prior is None else self.prior
        plain = [s for s in seen if not s.point.draft]
        if not plain:
            return 0.0
        own = prior[:, [self.where(s.point) for s in plain]].mean(axis=1)
        off = np.mean([np.log(s.tokens_per_s) for s in plain]) - own.mean()
        return float(np.sqrt(max(off**2 - _USUAL**2 * (own.var() + SPEED_ERROR**2), 0.0)))

    def doubt(self, chosen: Chosen, tolerance: float) -> float:
        """Share of the draws in which a choice loses more than the tolerance."""
        at = [self.where(Point(chosen.draft if g else NAMELESS, g, b))
              for b, g in chosen.gammas.items()]  # fmt: skip
        lost = 1.0 - np.exp(self.logs[:, at].mean(axis=1) - self.worth(self.logs))
        return float((lost > tolerance).mean())

    def surprising(self) -> tuple[str, ...]:
        """What was measured far outside of what was believed before, in words."""
        if self.prior is None:
            return ()
        found = []
        other = self.unlike(self.seen)  # another machine: drafts tell no more of it
        for s in self.seen:
            if other and s.point.draft:
                continue
            own = self.prior[:, self.where(s.point)]
            low, high = own.mean() + _FAR * own.std() * np.array([-1.0, 1.0])
            if not low <= np.log(s.tokens_per_s) <= high:
                found.append(
                    f"{s.point}: {s.tokens_per_s:.4g} tokens/s were measured, where "
                    f"{np.exp(own.mean()):.4g} were expected: is it the device that was named?"
                )
        return tuple(found)

    def worth(self, logs: Floats) -> Floats:
        """Worth of the best draft with its best gammas, (...,) of logs of shape (..., points)."""
        return np.asarray(logs[..., self.grid].max(axis=-1).mean(axis=-1).max(axis=-1))

    def chosen(self, level: float = 0.9) -> Chosen:
        """What a server would run now."""
        mean = self.logs.mean(axis=0)[self.grid]
        draft = int(mean.max(axis=-1).mean(axis=-1).argmax())
        best = mean[draft].argmax(axis=-1)
        at = self.grid[draft][np.arange(best.size), best]
        lost = self.worth(self.logs) - self.logs[:, at].mean(axis=1)
        plain = self.logs[:, : len(self.batches)]
        gain = {
            b: interval(np.exp(self.logs[:, k] - plain[:, i]), level)
            for i, (b, k) in enumerate(zip(self.batches, at, strict=True))
        }
        gammas = {b: self.points[k].gamma for b, k in zip(self.batches, at, strict=True)}
        name = self.drafts[draft] if any(gammas.values()) else NAMELESS
        return Chosen(name, gammas, gain, float((1.0 - np.exp(-lost)).mean()))


def _conditioned(
    prior: Floats, rows: Sequence[int], values: Floats, errors: Floats, rng: np.random.Generator
) -> Floats:
    """The draws after normal observations of some of their numbers."""
    if not rows:
        return prior
    at = np.asarray(rows)
    center = prior - prior.mean(axis=0)
    across = center.T @ center[:, at] / (len(prior) - 1)
    seen = across[at] + np.diag(np.square(errors))
    noise = errors * rng.standard_normal((len(prior), at.size))
    return np.asarray(prior + np.linalg.solve(seen, (values + noise - prior[:, at]).T).T @ across.T)


def roots(gammas: Sequence[int], batches: Sequence[int]) -> tuple[Floats, Floats]:
    """Roots of the correlations of batches and of gammas."""
    return (
        _root(np.log(np.asarray(batches, dtype=float)), _BATCHES),
        _root(np.log1p(np.asarray(gammas, dtype=float)), _GAMMAS),
    )


def alike(
    rng: np.random.Generator, draws: int, gammas: Sequence[int], batches: Sequence[int]
) -> Floats:
    """Standard normal, alike where gammas and batches are near, (draws, gammas, batches)."""
    of_batch, of_gamma = roots(gammas, batches)
    free = rng.standard_normal((draws, len(gammas), len(batches)))
    return np.asarray(np.einsum("gh,nhc,bc->ngb", of_gamma, free, of_batch))


def _root(places: Floats, distance: float) -> Floats:
    """A root of the correlations of places that are alike within a distance."""
    apart = np.subtract.outer(places, places) / distance
    matrix = np.exp(-0.5 * np.square(apart)) + 1e-9 * np.eye(places.size)
    return np.asarray(np.linalg.cholesky(matrix))
