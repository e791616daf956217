"""What laws miss of a server's speeds, drawn over batches, gammas and drafts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...theory.domain import Floats

# Checked on two measured grids of one engine (32B and 70B on H100, batch 1 to 128), their study not
# in the prior: intervals of gains held 97 % of 75; on simulated engines 88 % of 120.
PLAIN, VERIFY, DRAFT, POINT = 0.05, 0.05, 0.05, 0.015
_BATCHES, _GAMMAS = 1.5, 0.7  # distances of ln batch and ln(gamma + 1) at which misfits are unlike


def misfits(
    rng: np.random.Generator,
    draws: int,
    *,
    drafts: int,
    gammas: Sequence[int],
    batches: Sequence[int],
) -> tuple[Floats, Floats]:
    """Of ln speed at every point, (draws, points), and of ln tokens a step, (draws, drafts x
    gammas).
    """
    d, g, b = drafts, len(gammas), len(batches)
    of_batch, of_gamma = _roots(gammas, batches)

    def normal(*shape: int) -> Floats:
        return rng.standard_normal((draws, *shape))

    plain = PLAIN * normal(b) @ of_batch.T
    verify = VERIFY * alike(rng, draws, gammas, batches)
    own = DRAFT * np.einsum("gh,ndh->ndg", of_gamma, normal(d, g))
    point = POINT * normal(d, g, b)
    drafted = (plain[:, None, None, :] + verify[:, None] + own[..., None] + point).reshape(
        draws, -1
    )
    missed = np.concatenate([plain + POINT * normal(b), drafted], axis=1)
    rates = POINT * normal(d * g)  # what is accepted moves the speed with it
    missed[:, b:] += np.repeat(rates, b, axis=1)
    return missed, rates


def _roots(gammas: Sequence[int], batches: Sequence[int]) -> tuple[Floats, Floats]:
    """Roots of the correlations of batches and of gammas."""
    return (
        _root(np.log(np.asarray(batches, dtype=float)), _BATCHES),
        _root(np.log1p(np.asarray(gammas, dtype=float)), _GAMMAS),
    )


def alike(
    rng: np.random.Generator, draws: int, gammas: Sequence[int], batches: Sequence[int]
) -> Floats:
    """Standard normal, alike where gammas and batches are near, (draws, gammas, batches)."""
    of_batch, of_gamma = _roots(gammas, batches)
    free = rng.standard_normal((draws, len(gammas), len(batches)))
    return np.asarray(np.einsum("gh,nhc,bc->ngb", of_gamma, free, of_batch))


def _root(places: Floats, distance: float) -> Floats:
    """A root of the correlations of places that are alike within a distance."""
    apart = np.subtract.outer(places, places) / distance
    matrix = np.exp(-0.5 * np.square(apart)) + 1e-9 * np.eye(places.size)
    return np.asarray(np.linalg.cholesky(matrix))
