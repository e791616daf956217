"""Requests that arrive at a fleet: the same ones for every engine and every rate compared."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...theory.domain import Floats, as_floats

Lengths = int | ArrayLike | Callable[[np.random.Generator, int], ArrayLike]
_LONGEST = 2**24 - 1  # a request has 2^24 elements of the stream of acceptance draws


@dataclass(frozen=True)
class Workload:
    """Requests without a rate: two engines run on one workload face common random numbers.

    gaps: times between arrivals in units of their mean, exponential for Poisson arrivals;
    lengths: tokens to emit; prompts: tokens already in the cache; each of shape (requests,).
    kinds: in [0, 1), where each request stands among the kinds of an engine, shape (requests,);
    key: names the stream that the acceptance draws are read from.
    """

    gaps: Floats
    lengths: NDArray[np.int64]
    prompts: NDArray[np.int64]
    kinds: Floats
    key: int

    @property
    def requests(self) -> int:
        return self.gaps.size

    def arrivals(self, rate: float) -> Floats:
        """Arrival times at ``rate`` requests per second [s], from 0."""
        if not (np.isfinite(rate) and rate > 0):
            raise ValueError(f"arrival_rate must be in (0, inf), got {rate}")
        return np.asarray(np.cumsum(self.gaps) / rate)


def draw_workload(
    rng: np.random.Generator, *, requests: int, lengths: Lengths, prompts: Lengths = 0
) -> Workload:
    """Draw a workload with Poisson arrivals.

    lengths, prompts: a whole number for all requests, an array of shape (requests,) used in
    order, or a function of (generator, requests) that draws such an array; lengths >= 1,
    prompts >= 0 [token]. A longer workload of a generator in the same state starts with the
    shorter one. Raises ValueError outside these ranges.
    """
    if requests < 1:
        raise ValueError(f"requests must be an integer >= 1, got {requests}")
    names, arrivals, output, input_, kinds = rng.spawn(5)
    return Workload(
        arrivals.exponential(size=requests),
        _tokens("lengths", lengths, output, requests, 1),
        _tokens("prompts", prompts, input_, requests, 0),
        kinds.random(requests),
        int(names.integers(0, 2**63)),
    )


def draw_all(
    children: Sequence[np.random.Generator],
    *,
    requests: int,
    lengths: Lengths,
    prompts: Lengths = 0,
) -> list[Workload]:
    """One workload of each generator, which is left as it was; see :func:`draw_workload`."""
    return [
        draw_workload(afresh(child), requests=requests, lengths=lengths, prompts=prompts)
        for child in children
    ]


def afresh(rng: np.random.Generator) -> np.random.Generator:
    """A generator that spawns what ``rng`` would; a copy of it forgets its seed before numpy 2."""
    bits = rng.bit_generator
    seed = copy.deepcopy(bits.seed_seq)
    if not isinstance(seed, np.random.SeedSequence):
        raise ValueError(f"rng must have been made from a seed, got {type(seed).__name__}")
    return np.random.Generator(type(bits)(seed))


def _tokens(
    name: str, given: Lengths, rng: np.random.Generator, requests: int, least: int
) -> NDArray[np.int64]:
    values = as_floats(name, given(rng, requests) if callable(given) else given)
    if values.ndim == 0:
        values = np.full(requests, float(values))
    if values.shape != (requests,):
        raise ValueError(f"{name} must have shape ({requests},), got {values.shape}")
    bad = ~((values >= least) & (values <= _LONGEST) & (np.floor(values) == values))
    if bad.any():
        found = f"{values[bad][0]:.12g}"
        raise ValueError(f"{name} must be an integer in [{least}, {_LONGEST}], got {found}")
    return values.astype(np.int64)
