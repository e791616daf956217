"""Both laws of a question, drawn alike for every verb."""

from __future__ import annotations

from dataclasses import replace

from ..calibrate.doors import Deployment, resolve
from .known import GAMMA_MAX, Laws, Sources, check_gamma_max, check_seed, laws_of


def both_laws(
    at: Deployment,
    given: Sources = Sources(),  # noqa: B008 - frozen
    *,
    gamma_max: int | None = None,
    seed: int = 0,
    member: int | None = None,
) -> Laws:
    """Both laws, as of `laws_of`; where ``given`` has drafts that were measured on the machine,
    predicted ones that agree with them.

    gamma_max, seed, member: as of `laws_of`. Raises ValueError where a law is not determined, and
    where measured drafts stand beside acceptance or costs.
    """
    if given.known_draft is None:
        return laws_of(at, given, gamma_max=gamma_max, seed=seed, member=member)
    check_seed(seed)
    if not given.open:
        raise ValueError("known_draft narrows predictions, and acceptance or costs were given")
    if gamma_max is not None:
        check_gamma_max(gamma_max)
    from .common import common_laws  # the priors of both laws, which numbers do not need

    found = common_laws([resolve(at)], given, gamma_max or GAMMA_MAX, seed)[0]
    return replace(found, drafts_known=True)
