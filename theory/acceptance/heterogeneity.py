r"""Requests that differ for good: each request keeps an alpha drawn from a Beta law.

A request of L tokens runs L / E_gamma(alpha) rounds, so a fleet whose requests are equally long
emits the harmonic mean of the tokens per round:

    E[N] = 1 / E[1 / E_gamma(alpha)],   alpha ~ Beta(a, b)

1 / E_gamma is convex on alpha >= 0, hence at the same mean alpha

    persistent alpha per request  <=  independent acceptance  <=  fresh alpha in every round

Proof of the convexity (derived here): (1/E)'' >= 0 is E E'' <= 2 E'^2. In the coefficient of
alpha^(m-2) of E E'' - 2 E'^2 the term of i + j = m with i = m/2 + d is 3 d^2 - m^2/4 - m/2, which
grows with |d|. Over all of i = 0..m these terms sum to 0; from m > gamma on those with the largest
|d| are missing, so the sum is at most 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..domain import Floats, Parameters, as_floats, check
from ..formula import Number, equation, symbolic
from ..rounds import geometric_sum, tokens_per_round, tokens_variance
from .counts import RoundCounts, round_counts
from .law import count_accepted, single
from .mixture import maximise_beta

LARGEST_GAMMA = 10_000  # the quadrature takes memory in proportion to gamma


@equation(r"\mathrm{E}[N]", group="acceptance laws", broadcast=True, shape_accept=6,
          shape_reject=2.5, gamma=5)  # fmt: skip
def request_tokens(shape_accept: Number, shape_reject: Number, gamma: Number) -> Number:
    """Mean tokens per round of a fleet whose requests keep an alpha drawn from a Beta law.

    The harmonic mean over requests; putting the mean alpha into the formula for one alpha
    overstates it.

    Assumes: independent acceptance within a request, requests of equal length.
    Wrong when: long requests are the easy (or hard) ones, or alpha drifts within a request.
    Source: derived here by counting the rounds of equally long requests.
    Returns: in [1, gamma + 1]; gamma real or whole, at most 10,000. By Gauss quadrature.
    """
    if symbolic(shape_accept, shape_reject):
        import sympy

        class Unevaluated(sympy.Integral):  # type: ignore[misc]
            """An integral that is left to numerical integration: it has no short closed form."""

            def doit(self, **hints: Any) -> Any:
                return self

            def _eval_evalf(self, prec: int) -> Any:
                return sympy.Integral(*self.args).evalf(int(prec / 3.32))

        x = sympy.Dummy("x", positive=True)
        a, b = shape_accept, shape_reject
        norm = sympy.gamma(a + b) / (sympy.gamma(a) * sympy.gamma(b))
        density = norm * x ** (a - 1) * (1 - x) ** (b - 1)
        return 1 / Unevaluated(density / tokens_per_round(x, gamma), (x, 0, 1))
    a, b, g = shape_accept, shape_reject, gamma
    value = np.empty(g.shape)
    for i in np.ndindex(g.shape):
        nodes, weights = beta_nodes(float(a[i]), float(b[i]), _node_count(float(g[i])))
        value[i] = 1.0 / np.sum(weights / geometric_sum(nodes, g[i] + 1.0))
    return value


@equation(r"\lim_{\gamma\to\infty}\mathrm{E}[N]", group="acceptance laws", shape_accept=6,
          shape_reject=2.5)  # fmt: skip
def request_tokens_limit(shape_accept: Number, shape_reject: Number) -> Number:
    """Tokens per round of endless drafts when requests differ: that of the mean alpha.

    1 - alpha is linear, so with endless drafts heterogeneity between requests costs nothing.

    Assumes: independent acceptance within a request, requests of equal length.
    Wrong when: long requests are the easy (or hard) ones.
    Source: derived here as 1 / E[1 - alpha].
    """
    return (shape_accept + shape_reject) / shape_reject


def beta_nodes(a: float, b: float, count: int) -> tuple[Floats, Floats]:
    """Nodes in (0, 1) and weights (sum 1) of Gauss quadrature for the Beta(a, b) density.

    Golub and Welsch: eigenvalues and first components of the recurrence matrix of the Jacobi
    polynomials, so that no Beta function under- or overflows at large shapes.
    """
    n = np.arange(1.0, count)
    # With A = b - 1, B = a - 1 and S = A + B; 2 n + S is written so that small shapes stay exact.
    total = 2.0 * (n - 1.0) + (a + b)
    diagonal = np.empty(count)
    diagonal[0] = (a - b) / (a + b)
    diagonal[1:] = ((a - b) / total) * ((a + b - 2.0) / (total + 2.0))
    ratio = np.ones(count - 1)  # n (n + S) / (2n + S - 1), which is 1 at n = 1
    m = n[1:]
    ratio[1:] = m * (m + (a + b - 2.0)) / (total[1:] - 1.0)
    shares = ((n - 1.0 + b) / total) * ((n - 1.0 + a) / total)  # quotients first: no overflow
    square = 4.0 * shares * (ratio / (total + 1.0))
    matrix = np.diag(diagonal) + np.diag(np.sqrt(square), 1) + np.diag(np.sqrt(square), -1)
    values, vectors = np.linalg.eigh(matrix)
    nodes = np.clip(0.5 * (1.0 + values), 0.0, 1.0)  # rounding may step an ulp outside
    return nodes, vectors[0] ** 2


def _node_count(gamma: float) -> int:
    """Enough nodes for 1 / E_gamma: its poles near the interval are 2 pi / (gamma + 1) away.

    They are the roots of unity but 1; the distance of that pole from [0, 1] in the metric of the
    Bernstein ellipse is about 2 sqrt(pi / (gamma + 1)), so the error falls as exp(-4 n of it).
    """
    if gamma > LARGEST_GAMMA:
        raise ValueError(f"gamma must be in [0, {LARGEST_GAMMA}] for request laws, got {gamma:g}")
    return int(32 + 8 * np.sqrt(gamma + 1.0))


@dataclass(frozen=True)
class BetaRequestAcceptance(Parameters):
    """Every request keeps an acceptance probability drawn from Beta(shape_accept, shape_reject).

    Requests are equally long, so the hard ones run more rounds: the survival is the mean over
    rounds, and it depends on gamma. Both shapes > 0; arrays of parameters broadcast. Raises
    ValueError outside that range.
    """

    shape_accept: ArrayLike
    shape_reject: ArrayLike

    def _parameters(self) -> tuple[Floats, Floats]:
        a, b = self.columns()
        return a[..., 0], b[..., 0]

    def survival(self, gamma: int) -> Floats:
        """s_0..s_gamma averaged over the rounds of the fleet, shape (*shape, gamma + 1)."""
        g = int(check("gamma", gamma, whole=True))
        a, b = self._parameters()
        value = np.empty((*self.shape, g + 1))
        for i in np.ndindex(self.shape):
            nodes, weights = beta_nodes(float(a[i]), float(b[i]), _node_count(g))
            rounds = weights / geometric_sum(nodes, np.asarray(g + 1.0))
            value[i] = rounds @ nodes[:, None] ** np.arange(g + 1.0) / rounds.sum()
        value[..., 0] = 1.0
        return np.minimum.accumulate(value, axis=-1)

    def tokens_by_gamma(self, gamma_max: int) -> Floats:
        """Harmonic mean tokens for gamma = 0..gamma_max, shape (*shape, gamma_max + 1) [token]."""
        g = int(check("gamma", gamma_max, label="gamma_max", whole=True))
        a, b = self._parameters()
        value = np.empty((*self.shape, g + 1))
        for i in np.ndindex(self.shape):
            nodes, weights = beta_nodes(float(a[i]), float(b[i]), _node_count(g))
            total = np.cumsum(nodes[:, None] ** np.arange(g + 1.0), axis=-1)
            value[i] = 1.0 / (weights @ (1.0 / total))
        value[..., 0] = 1.0
        return value

    def rounds_variance(self, length: float, gamma: int) -> tuple[float, float]:
        """Variance of the rounds of a request, (within requests, between requests) [round^2].

        length: tokens of a request, >= 1 [token]; gamma: whole number >= 0. For a single law. The
        leading terms E[L Var(N) / E(N)^3] and Var[L / E(N)] in the length; the second grows as its
        square, so it dominates the tails of long requests. Source: derived here, total variance
        and renewal theory.
        """
        single(self)
        tokens = float(check("length", length))
        a, b = self._parameters()
        nodes, weights = beta_nodes(float(a), float(b), _node_count(gamma) + 64)
        mean = np.asarray(tokens_per_round(nodes, gamma))
        within = weights @ (np.asarray(tokens_variance(nodes, gamma)) / mean**3)
        pace = weights @ (1.0 / mean)
        return float(tokens * within), float(tokens**2 * (weights @ (1.0 / mean - pace) ** 2))

    def draw(self, rng: np.random.Generator, *, gamma: int, rounds: int) -> NDArray[np.int64]:
        """Accepted draft tokens of rounds picked at random from the fleet, shape (rounds,).

        A request of that alpha is kept with probability 1 / E[N | alpha], its share of rounds.
        """
        single(self)
        a, b = self._parameters()
        alpha = np.empty(0)
        while alpha.size < rounds:
            some = rng.beta(a, b, 2 * rounds)
            kept = rng.random(some.size) * np.asarray(tokens_per_round(some, gamma)) < 1.0
            alpha = np.concatenate([alpha, some[kept]])
        return count_accepted(rng.random((rounds, gamma)) < alpha[:rounds, None])


def draw_requests(
    rng: np.random.Generator, law: BetaRequestAcceptance, *, gamma: int, length: int, requests: int
) -> RoundCounts:
    """Rounds of whole requests, each with its own alpha, run until ``length`` tokens or more.

    gamma: >= 1 [token]; length: >= 1 [token]. The last round of a request runs in full.
    """
    single(law)
    a, b = as_floats("a", law.shape_accept), as_floats("b", law.shape_reject)
    alpha = rng.beta(a, b, (requests, 1))
    emitted = np.zeros(requests)
    accepted: list[NDArray[np.int64]] = []
    request: list[NDArray[np.int64]] = []
    while (running := np.flatnonzero(emitted < length)).size:
        kept = count_accepted(rng.random((running.size, gamma)) < alpha[running])
        emitted[running] += kept + 1
        accepted.append(kept)
        request.append(running)
    return round_counts(np.concatenate(accepted), gamma, request=np.concatenate(request))


def beta_request_log_likelihood(law: BetaRequestAcceptance, counts: RoundCounts) -> float:
    """Log-probability of the counts, the alpha of each request integrated out."""
    from scipy.special import betaln

    kept, trials = counts.by_request()
    a, b = as_floats("a", law.shape_accept), as_floats("b", law.shape_reject)
    return float(np.sum(betaln(a + kept, b + trials - kept) - betaln(a, b)))


def fit_beta_request(counts: RoundCounts) -> BetaRequestAcceptance:
    """Maximum-likelihood Beta law of requests, from the decided trials of each request.

    Raises ValueError unless the counts name at least two requests with both outcomes. Where
    requests do not differ more than chance, the shapes end at a + b = 1e6, the independent law.
    """
    kept, trials = counts.by_request()
    if not counts.clustered or counts.requests < 2:
        raise ValueError("fitting a Beta law of requests needs counts of at least 2 requests")
    if kept.sum() == 0 or kept.sum() == trials.sum():
        raise ValueError("fitting a Beta law of requests needs accepted and rejected tokens")
    a, b = maximise_beta(
        lambda a, b: beta_request_log_likelihood(BetaRequestAcceptance(a, b), counts),
        float(kept.sum() / trials.sum()),
    )
    return BetaRequestAcceptance(a, b)
