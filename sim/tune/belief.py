r"""What is known of a server's speed by draft, gamma and batch, and what to measure next.

What is known is a sample of ln(tokens/s) at every point of the grid, and of ln(tokens a step) of
every draft and gamma: the pair prior, draw by draw with one machine and one task for all drafts,
and what laws miss besides,

    plain decoding by batch         spread PLAIN, alike at batches that are near
    a verifying pass, gamma, batch  spread VERIFY, alike for all drafts
    a draft, by its gamma           spread DRAFT
    a single point                  spread POINT

Measurements y move each draw i as in conditional simulation of a normal law with the sample's own
covariance C,

    x_i + C H' (H C H' + R)^-1 (y + e_i - H x_i),   e_i ~ N(0, R).

A plain step far outside of what was believed is no reason to extrapolate: the machine is another
one than was named. A factor of all speeds, and a smaller one of the gains, is then as unknown as
what was measured shows.

What a server runs is one draft, with the gamma that is best at each batch (0: plain decoding); its
worth is the mean over batches of ln(tokens/s), its regret against the best draft of a draw. The
next measurement is the one whose expected gain of worth is the largest for its time (the knowledge
gradient), a point alone or all that are left of a configuration, which has to be started once.
Source: conditional simulation: Journel, Huijbregts 1978; knowledge gradient of correlated beliefs:
Frazier, Powell, Dayanik 2009, INFORMS J. Computing 21; put together here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...theory.domain import Floats
from ...theory.interval import interval
from .misfits import alike, misfits
from .points import NAMELESS, Chosen, Point, Seen

# Spread of a measured ln(tokens/s) from one start of a server to the next, and of a mean length.
SPEED_ERROR, LENGTH_ERROR = 0.02, 0.02
_OUTCOMES = 48
_FAR = 4.0  # standard deviations of the belief, beyond which a measurement is called surprising
_NOTHING = 1e-5  # gain of worth below which measurements are told apart by their spread alone
_USUAL = 2.0  # standard deviations of the belief, within which plain decoding tells of the machine
# Of machines of which one speed is not the other's, ln of gains vary by 0.07 to 0.2 of ln of plain
# speeds: predictions for A100, H100, H200, L40S, A6000, MI300X and three CPUs, batch 1 to 32.
_GAINS = 0.15
_EXTREME = 0.01  # chance of a choice that loses more than the tolerance, below which none is tried


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

    def _length_of(self, point: Point) -> int | None:
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
            at = self._length_of(s.point)
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
        extra = self._unlike(prior, seen)
        if not extra:
            return prior
        count, b = len(self.points), len(self.batches)
        gains = alike(rng, len(prior), self.gammas, self.batches).reshape(len(prior), -1)
        wide = prior.copy()
        wide[:, :count] += extra * rng.standard_normal((len(prior), 1))
        wide[:, b:count] += _GAINS * extra * np.tile(gains, len(self.drafts))
        return wide

    def _unlike(self, prior: Floats, seen: Sequence[Seen]) -> float:
        """Spread of ln speed, beside the believed one, that makes plain decoding usual."""
        plain = [s for s in seen if not s.point.draft]
        if not plain:
            return 0.0
        own = prior[:, [self.where(s.point) for s in plain]].mean(axis=1)
        off = np.mean([np.log(s.tokens_per_s) for s in plain]) - own.mean()
        return float(np.sqrt(max(off**2 - _USUAL**2 * (own.var() + SPEED_ERROR**2), 0.0)))

    def undecided(self, chosen: Chosen, tolerance: float) -> Point | None:
        """What to try before an end: speculation, where none was measured and the prior alone says
        whether it pays; None where it was, or where that is all but certain.
        """
        if not self.drafts or any(s.point.draft for s in self.seen):
            return None
        prior = self.logs if self.prior is None else self.prior
        if self.doubt(chosen, tolerance) < _EXTREME and not self._unlike(prior, self.seen):
            return None
        done = {s.point.batch for s in self.seen} or set(self.batches)
        points = [p for p in self.points if p.draft and p.batch in done]
        usual = [p for p in points if p.draft == chosen.draft and p.gamma == chosen.gammas[p.batch]]
        plain = {b: self.logs[:, i].mean() for i, b in enumerate(self.batches)}
        return max(
            usual or points, key=lambda p: self.logs[:, self.where(p)].mean() - plain[p.batch]
        )

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
        other = self._unlike(self.prior, self.seen)  # another machine: drafts tell no more of it
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

    def next(self, minutes: Callable[[Sequence[Point]], float]) -> Point | None:
        """The point to measure next, None where all are measured.

        minutes: that measuring some points takes, starting a server included.
        """
        options = self._options()
        if not options:
            return None
        covariance = np.cov(self.state, rowvar=False)
        mean, now = self.logs.mean(axis=0), float(self.worth(self.logs.mean(axis=0)))
        z = _outcomes()
        chances = self._chances()
        gains, spreads = [], []
        for option in options:
            moves = self._moves(covariance, option)
            after = self.worth(mean + z[:, : moves.shape[1]] @ moves.T)
            gains.append(max(float(after.mean()) - now, 0.0))
            spreads.append(float(chances @ np.square(moves).sum(axis=1)))
        time = np.array([minutes(o) for o in options])
        value = np.array(gains) if max(gains) > _NOTHING else np.array(spreads)
        rates = value / time
        best = set(options[int(rates.argmax())])
        alone = [i for i, o in enumerate(options) if len(o) == 1 and o[0] in best]
        return options[max(alone, key=lambda i: rates[i])][0]

    def _options(self) -> list[tuple[Point, ...]]:
        done = {s.point for s in self.seen}
        left: dict[tuple[str, int], list[Point]] = {}
        for p in self.points:
            if p not in done:
                left.setdefault(p.configuration, []).append(p)
        options: list[tuple[Point, ...]] = [(p,) for own in left.values() for p in own]
        return options + [tuple(own) for own in left.values() if len(own) > 1]

    def _moves(self, covariance: Floats, option: Sequence[Point]) -> Floats:
        """How the means move by each independent part of an outcome, (points, parts)."""
        at = [self.where(p) for p in option]
        length = self._length_of(option[0])
        errors = [SPEED_ERROR] * len(at)
        if length is not None:
            at, errors = [*at, length], [*errors, LENGTH_ERROR]
        seen = covariance[np.ix_(at, at)] + np.diag(np.square(errors))
        root = np.linalg.cholesky(seen)
        return np.asarray(np.linalg.solve(root, covariance[at, : len(self.points)]).T)

    def _chances(self) -> Floats:
        """Share of the draws in which each point is the best at its batch, (points,)."""
        found = np.zeros(len(self.points))
        for i in range(len(self.batches)):
            own = np.unique(self.grid[:, i])
            winners = own[self.logs[:, own].argmax(axis=1)]
            found += np.bincount(winners, minlength=found.size) / len(self.logs)
        return found


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


def _outcomes() -> Floats:
    """Standard normal outcomes, each with its mirror image, the same for every option."""
    half = np.random.default_rng(0).standard_normal((_OUTCOMES // 2, 64))
    return np.concatenate([half, -half])


def with_misfits(
    rng: np.random.Generator,
    logs: Floats,
    lengths: Floats,
    *,
    drafts: Sequence[str],
    gammas: Sequence[int],
    batches: Sequence[int],
) -> Belief:
    """The belief of laws' draws with what laws miss; logs and lengths as of `Belief`."""
    missed, rates = misfits(rng, len(logs), drafts=len(drafts), gammas=gammas, batches=batches)
    return Belief(tuple(drafts), tuple(gammas), tuple(batches), logs + missed, lengths + rates)
