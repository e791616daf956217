r"""How many requests a loaded server decodes together.

With n requests in service each progresses at E / (F + n H), so with r = x H / E the number in
service is negative binomial,

    P(n) = (F/H + 1)_n / n!  (1 - r)^{F/H + 1} r^n,   E[n] = x w,

whatever the distribution of lengths: processor sharing is insensitive to it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import check, unwrap
from ..formula import evaluates, formula, formula_of
from ..rounds import tokens_per_round
from .linear import round_fixed_time, round_sequence_time
from .load import GROUP, LATENCY, POINT, latency_under_load, round_terms


@formula("requests_in_service", r"\mathrm{E}[n_s]", group=GROUP, token_load=2000, **POINT)
def IN_SERVICE(s: Any) -> Any:
    """Mean number of requests in service, the load times the latency of a token.

    Assumes: as for the latency under load.
    Wrong when: the latency under load is wrong.
    Source: derived here; Little's law.
    """
    return s.token_load * LATENCY.build(s)


@formula(
    "in_service_ratio", r"\mathrm{P}(n_s + 1)/\mathrm{P}(n_s)", group=GROUP,
    in_service=3, token_load=2000, **POINT,
)  # fmt: skip
def IN_SERVICE_RATIO(s: Any) -> Any:
    """Probability of n + 1 requests in service over that of n: a negative binomial of size 1 + F/H.

    Assumes: as for the latency under load.
    Wrong when: the latency under load is wrong.
    Source: derived here from the balance P(n + 1) (n + 1) / (F + (n + 1) H) = P(n) x / E.
    """
    fixed, row = formula_of(round_fixed_time).build(s), formula_of(round_sequence_time).build(s)
    return s.token_load / formula_of(tokens_per_round).build(s) * (fixed / (s.in_service + 1) + row)


@evaluates(IN_SERVICE)
def requests_in_service(
    alpha: ArrayLike, gamma: ArrayLike, token_load: ArrayLike, **times: ArrayLike
) -> Any:
    """x w, the mean batch, 0 without load. Arguments as in :func:`latency_under_load`."""
    x = check("token_load", token_load)
    return unwrap(x * np.asarray(latency_under_load(alpha, gamma, x, **times)))


@evaluates(IN_SERVICE_RATIO)
def in_service_ratio(
    in_service: ArrayLike,
    alpha: ArrayLike,
    gamma: ArrayLike,
    token_load: ArrayLike,
    **times: ArrayLike,
) -> Any:
    """(x / E) (F / (n + 1) + H). Arguments as in :func:`in_service_probability`."""
    n = check("in_service", in_service)
    t, x = round_terms(alpha, gamma, **times), check("token_load", token_load)
    return unwrap(x / t.tokens * (t.fixed / (n + 1.0) + t.row))


def in_service_probability(
    in_service: ArrayLike,
    alpha: ArrayLike,
    gamma: ArrayLike,
    token_load: ArrayLike,
    **times: ArrayLike,
) -> Any:
    """P(n requests in service), the product of the ratios; 0 at and above the capacity.

    in_service: whole number >= 0; the rest as in :func:`latency_under_load`. Shapes broadcast.
    Where a sequence adds no time the law is Poisson. Raises ValueError outside the ranges.
    """
    n = check("in_service", in_service)
    t, x = round_terms(alpha, gamma, **times), check("token_load", token_load)
    offered, r = x * t.fixed / t.tokens, x * t.row / t.tokens
    offered, r, n = np.broadcast_arrays(offered, r, n)
    stable = r < 1.0
    empty = np.log1p(-np.where(stable, r, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        # (F/H) ln(1 - r) = offered ln(1 - r)/r, which is -offered in the limit H = 0.
        total = empty + offered * np.where(r > 0.0, empty / r, -1.0)
    steps = np.arange(1.0, n.max(initial=0.0) + 1.0)
    with np.errstate(divide="ignore"):
        logs = np.log(offered[..., None] / steps + r[..., None])
    logs = np.where(steps <= n[..., None], logs, 0.0)
    return unwrap(np.exp(np.where(stable, total + logs.sum(axis=-1), -np.inf)))
