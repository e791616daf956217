"""Records of servers as both laws: acceptance by position, and the time of steps and rounds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..evidence import from_length, from_requests, reach
from ..known import KnownAcceptance, KnownCosts
from ..rounds import fit_round_cost
from .served import Floats, Served, Wave

# Spread of ln(time) of one configuration from one start of a server to the next, beside what the
# waves of one run show, where no configuration was started twice. On shared CPU cores: five starts
# of llama.cpp within 25 minutes differ by .10, three runs of a ladder hours apart by .11. On a
# machine of its own: assumed.
BETWEEN_STARTS, BETWEEN_STARTS_CPU = 0.02, 0.1
_ASSUMED_STARTS = 2.0  # how many starts that assumption counts as, beside measured ones
_LEAST = 8  # gamma that is covered in any case


def served_acceptance(
    served: Served,
    rng: np.random.Generator,
    *,
    draft: str | None = None,
    positions: int = 32,
    draws: int = 2000,
) -> KnownAcceptance:
    """Acceptance of a draft, of all gammas and batches together, waves being its unit.

    Steps that drafted nothing count as rounds that accepted nothing, as `served_costs` counts them.
    draft: see `Served.of_draft`. Raises ValueError where nothing was counted.
    """
    by_gamma = served.of_draft(draft)
    waves = [w for levels in by_gamma.values() for some in levels.values() for w in some]
    known = [w for w in waves if w.accepted is not None]
    if not known:
        raise ValueError(
            "nothing says how many draft tokens the server accepted: its metrics were off"
        )
    top = max(by_gamma)
    given = f"{len(known)} measured waves of {served.engine}"
    places = [w for w in known if w.reached is not None]
    if not places:
        gamma = max(g for g in by_gamma)
        lengths = np.array([w.tokens_per_step for w in known if w.point["gamma"] == gamma])
        error = float(lengths.std(ddof=1) / np.sqrt(lengths.size)) if lengths.size > 1 else 0.0
        stated = f"{lengths.mean():.4f}+-{error:.4f}"
        found = from_length(stated, gamma, rng, positions=positions, draws=draws)
        return replace(found, kind="measured")
    tried, kept = np.zeros((len(places), top)), np.zeros((len(places), top))
    for i, w in enumerate(places):
        assert w.reached is not None
        gamma = w.reached.size
        kept[i, :gamma] = w.reached
        tried[i, :gamma] = np.concatenate([[w.steps], w.reached[:-1]])
    return from_requests(tried, kept, rng, positions=positions, draws=draws, given=given)


@dataclass(frozen=True)
class ServedCost:
    """Times of steps of a server: plain, and of rounds of 1.. draft tokens [s].

    batches: (b,), rising; times_s: (draws, b, gammas), entry 0 of the last axis a plain step. In
    between times are straight lines of the batch; beyond, those of the nearest one.
    """

    batches: Floats
    times_s: Floats

    @property
    def shape(self) -> tuple[int, ...]:
        """(draws,)."""
        return self.times_s.shape[:1]

    def round_time(self, gamma: int, *, batch: float = 1, context: float = 0) -> Floats:
        """Times of rounds at 0..gamma, (draws, gamma + 1) [s]; entry 0 is a plain step."""
        top = self.times_s.shape[-1] - 1
        if gamma > top:
            raise ValueError(f"gamma must be in [0, {top}], got {gamma}")
        at = float(np.clip(batch, self.batches[0], self.batches[-1]))
        right = int(np.clip(np.searchsorted(self.batches, at), 1, max(self.batches.size - 1, 1)))
        if self.batches.size == 1:
            return np.asarray(self.times_s[:, 0, : gamma + 1])
        low, high = self.batches[right - 1], self.batches[right]
        share = (at - low) / (high - low)
        both = self.times_s[:, right - 1 : right + 1, : gamma + 1]
        return np.asarray((1.0 - share) * both[:, 0] + share * both[:, 1])


def served_costs(
    served: Served, rng: np.random.Generator, *, draft: str | None = None, draws: int = 2000
) -> KnownCosts:
    """Times of plain steps and of a draft's rounds at the batches where both were measured.

    At gammas that were not, the affine law fitted to those that were, through them. Raises
    ValueError where no batch has both, or nothing says how many tokens a step gave.
    """
    plain, by_gamma = served.plain(), served.of_draft(draft)
    batches = [b for b in plain if any(b in levels for levels in by_gamma.values())]
    if not batches:
        raise ValueError(
            "costs need plain decoding and speculation at the same batch: measure the server "
            "without speculation too, into the same folder"
        )
    top = max(reach(max(by_gamma)), _LEAST)
    between = between_starts(served)
    times = np.empty((draws, len(batches), top + 1))
    for i, batch in enumerate(batches):
        rounds = {g: levels[batch] for g, levels in sorted(by_gamma.items()) if batch in levels}
        times[:, i] = _times(plain[batch], rounds, top, between, rng, draws)
    every = [w for waves in plain.values() for w in waves]
    context = float(np.mean([w.context for w in every]))
    seen = ", ".join(map(str, sorted(by_gamma)))
    law = ServedCost(np.array(batches, dtype=np.float64), times)
    return KnownCosts(
        law, "measured", f"plain decoding and gamma {seen} of {served.engine}",
        seconds=True, gamma_max=top, batch_max=max(batches), contexts=(context, context),
        stack=served.engine,
    )  # fmt: skip


def between_starts(served: Served) -> float:
    """Spread of ln(time) from one start of a server to the next, in (0, inf).

    That of configurations that were started several times, beside what is assumed of the machine.
    """
    squares = starts = 0.0
    for levels in served.waves.values():
        found = [excess for waves in levels.values() if (excess := _excess(waves)) is not None]
        if found:  # batches of one start are alike
            squares += sum(more * variance for more, variance in found) / len(found)
            starts += sum(more for more, _ in found) / len(found)
    told = [r.provenance for r in served.records]
    cpu = any(t.get("device") is not None and t.get("device") == t.get("cpu") for t in told)
    assumed = BETWEEN_STARTS_CPU if cpu else BETWEEN_STARTS
    total = _ASSUMED_STARTS * assumed**2 + squares
    return float(np.sqrt(total / (_ASSUMED_STARTS + starts)))


def _excess(waves: list[Wave]) -> tuple[int, float] | None:
    """(starts - 1, variance of ln(time) between starts beside that of waves); None of one start."""
    groups: dict[tuple[int, int], list[float]] = {}
    for w in waves:
        groups.setdefault(w.start, []).append(float(np.log(w.token_s)))
    if len(groups) < 2:
        return None
    within = [float(np.var(own, ddof=1)) / len(own) for own in groups.values() if len(own) > 1]
    between = float(np.var([np.mean(own) for own in groups.values()], ddof=1))
    return len(groups) - 1, max(between - (float(np.mean(within)) if within else 0.0), 0.0)


def _times(
    plain: list[Wave],
    rounds: dict[int, list[Wave]],
    top: int,
    between: float,
    rng: np.random.Generator,
    draws: int,
) -> Floats:
    """Draws of the times at one batch, (draws, top + 1)."""
    step = step_draws(plain, between, rng, draws)
    gammas = np.array(list(rounds))
    measured = np.stack([step_draws(w, between, rng, draws) for w in rounds.values()], axis=1)
    ratios = measured / step[:, None]
    fit = fit_round_cost(gammas, np.median(ratios, axis=0), rng, draws=draws)
    at = np.arange(top + 1.0)
    line = 1.0 + fit.overhead[:, None] + fit.slope[:, None] * at
    miss = ratios / line[:, gammas] - 1.0
    found = np.array([np.interp(at, gammas, row) for row in miss])
    # Whoever speculates starts the server once more.
    again = np.exp(between * rng.standard_normal(draws))
    times = (again * step)[:, None] * line * (1.0 + found)
    times[:, 0] = step
    return np.asarray(times)


def step_draws(waves: list[Wave], between: float, rng: np.random.Generator, draws: int) -> Floats:
    """Draws of the time of a step of the target, (draws,) [s]: of waves, and between starts.

    between: as `between_starts` gives it; several starts of the waves tell more.
    """
    known = [w for w in waves if w.tokens_per_step is not None]
    if not known:
        raise ValueError("nothing says how many tokens a step of the server gave: metrics were off")
    time_s = np.array([w.window_s * int(w.point["batch"]) for w in known])
    steps = np.array([w.window_tokens / (w.tokens_per_step or 1.0) for w in known])
    weight = rng.dirichlet(np.ones(len(known)), draws)
    starts = len({w.start for w in known})
    of_starts = np.exp(between / np.sqrt(starts) * rng.standard_normal(draws))
    return np.asarray((weight @ time_s) / (weight @ steps) * of_starts)
