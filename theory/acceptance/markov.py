r"""Bursty acceptance: whether a draft token is accepted depends on the token before it.

    p = P(accepted | the one before was),  q = P(accepted | the one before was not)
    pi   = q / (1 - p + q)                         share of tokens that would be accepted
    s_1  = q / (1 - p^gamma (p - q)),  s_k = s_1 p^(k-1)
    E[N] = 1 + s_1 (1 - p^gamma) / (1 - p)  ->  1 / (1 - pi)  as gamma grows

The chain runs over tokens, not over rounds. A rejected round is followed by a round that starts
after a rejection. A full round is followed by the bonus token, which hides one step of the chain,
so the next round's first token is accepted with p^2 + (1 - p) q. Solving for the share of full
rounds, phi = s_1 p^(gamma-1), gives s_1. The survival therefore depends on gamma.

At p = 1, q = 0 the chain never leaves its start; it is then taken to start after a rejection.

A round measured from every position of a text alike is better than the rounds that are run, most of
which start right after a rejection, in the bad stretches:

    mean over all positions = 1 + pi (1 - p^gamma) / (1 - p)  >=  E[N]  for p >= q
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..domain import Floats, Parameters, as_floats, check
from ..either import share
from ..formula import Number, equation, symbolic
from ..rounds import geometric, geometric_sum
from .counts import RoundCounts
from .law import count_accepted, single


@equation(r"\pi", group="acceptance laws", accept_after_accept=0.75, accept_after_reject=0.1)
def markov_token_rate(accept_after_accept: Number, accept_after_reject: Number) -> Number:
    """Share of all tokens that would be accepted as drafts, under bursty acceptance.

    Assumes: a stationary two-state chain over tokens.
    Wrong when: acceptance falls with depth in the round, or drifts along the request.
    Source: derived here; the stationary law of a two-state chain.
    Returns: in [0, 1]; 0 at p = 1, q = 0.
    """
    return share(accept_after_reject, 1 - accept_after_accept + accept_after_reject)


@equation("s_1", group="acceptance laws", accept_after_accept=0.75, accept_after_reject=0.1,
          gamma=5)  # fmt: skip
def markov_first_rate(
    accept_after_accept: Number, accept_after_reject: Number, gamma: Number
) -> Number:
    """Acceptance probability of the first draft token of a round, under bursty acceptance.

    Below the share of accepted tokens, because most rounds start after a rejection.

    Assumes: a stationary two-state chain over tokens, gamma >= 1 the same in every round.
    Wrong when: acceptance falls with depth in the round, or drifts along the request.
    Source: derived here from the balance of full rounds, the bonus token hiding one step.
    Returns: in [0, 1]; gamma real or whole.
    """
    p, q = accept_after_accept, accept_after_reject
    if symbolic(p, q):
        return q / (1 - p**gamma * (p - q))
    return _first(p, q, gamma)


@equation(r"\mathrm{E}[N]", group="acceptance laws", accept_after_accept=0.75,
          accept_after_reject=0.1, gamma=5)  # fmt: skip
def markov_tokens(
    accept_after_accept: Number, accept_after_reject: Number, gamma: Number
) -> Number:
    """Mean tokens per round under bursty acceptance, the bonus token included.

    For p >= q it is at most the value for independent acceptance at the rate pi, and that is at
    most the mean over all starting positions.

    Assumes: a stationary two-state chain over tokens, gamma the same in every round.
    Wrong when: acceptance falls with depth in the round, or drifts along the request.
    Source: derived here; p = q is arXiv:2211.17192v2, equation 1.
    Returns: in [1, gamma + 1]; gamma real or whole.
    """
    first = markov_first_rate(accept_after_accept, accept_after_reject, gamma)
    return 1 + first * geometric(accept_after_accept, gamma)


@equation(r"\lim_{\gamma\to\infty}\mathrm{E}[N]", group="acceptance laws", accept_after_accept=0.75,
          accept_after_reject=0.1)  # fmt: skip
def markov_tokens_limit(accept_after_accept: Number, accept_after_reject: Number) -> Number:
    """Tokens per round of endless drafts: only the share of accepted tokens counts, not the bursts.

    Every token that would be rejected ends one round, so rounds per token are 1 - pi.

    Assumes: a stationary two-state chain over tokens, p < 1.
    Wrong when: acceptance falls with depth in the round.
    Source: derived here; rejections per token as in arXiv:2411.00841.
    Returns: inf at p = 1, but 1 at q = 0.
    """
    if symbolic(accept_after_accept, accept_after_reject):
        return 1 / (1 - markov_token_rate(accept_after_accept, accept_after_reject))
    p, q = accept_after_accept, accept_after_reject
    with np.errstate(invalid="ignore"):
        return 1.0 + np.where(q > 0.0, q / (1.0 - p), 0.0)


@equation(r"\mathrm{E}[N_{\mathrm{all}}]", group="acceptance laws", accept_after_accept=0.75,
          accept_after_reject=0.1, gamma=5)  # fmt: skip
def markov_offset_tokens(
    accept_after_accept: Number, accept_after_reject: Number, gamma: Number
) -> Number:
    """Mean tokens of rounds started at every position alike, under bursty acceptance.

    Assumes: a stationary two-state chain over tokens.
    Wrong when: it is taken for the tokens of the rounds that are run.
    Source: derived here; the first token is accepted at the stationary rate.
    Returns: in [1, gamma + 1].
    """
    rate = markov_token_rate(accept_after_accept, accept_after_reject)
    return 1 + rate * geometric(accept_after_accept, gamma)


@equation(r"\mathrm{bias}", group="acceptance laws", accept_after_accept=0.75,
          accept_after_reject=0.1, gamma=5)  # fmt: skip
def markov_start_bias(
    accept_after_accept: Number, accept_after_reject: Number, gamma: Number
) -> Number:
    """How much a mean over every starting position overstates the tokens per round, relatively.

    Assumes: a stationary two-state chain over tokens.
    Wrong when: acceptance falls with depth, which adds a bias of its own.
    Source: derived here as the ratio of the two means.
    Returns: negative where p < q, else >= 0. The difference of the two means is written as pi (p -
    q)(1 - p^gamma)^2 / ((1 - p) D), D the denominator of the first rate, so that it does not
    cancel.
    """
    p, q, g = accept_after_accept, accept_after_reject, gamma
    if symbolic(p, q):
        return markov_offset_tokens(p, q, g) / markov_tokens(p, q, g) - 1
    inner = geometric_sum(p, g)
    below = (1.0 - p) * geometric_sum(p, g + 1.0) + np.power(p, g) * q
    above = markov_token_rate(p, q) * (p - q) * (1.0 - p) * inner * inner
    return share(above, below) / markov_tokens(p, q, g)


def _first(p: Floats, q: Floats, gamma: Floats) -> Floats:
    # 1 - p^gamma (p - q) = (1 - p)(1 + ... + p^gamma) + p^gamma q has positive terms only.
    below = (1.0 - p) * geometric_sum(p, gamma + 1.0) + np.power(p, gamma) * q
    return np.asarray(share(q, below))  # 0 where the chain never leaves its start (p = 1, q = 0)


@dataclass(frozen=True)
class MarkovAcceptance(Parameters):
    """Bursty acceptance as a two-state chain over tokens, stationary over rounds.

    accept_after_accept, accept_after_reject: in [0, 1]; arrays of parameters broadcast. Raises
    ValueError outside that range. ``draw`` gives the rounds of one long request in order: each
    depends on the one before it.
    """

    accept_after_accept: ArrayLike
    accept_after_reject: ArrayLike

    def survival(self, gamma: int) -> Floats:
        """s_0..s_gamma over the rounds that are run at this gamma, shape (*shape, gamma + 1)."""
        g = int(check("gamma", gamma, whole=True))
        p, q = self.columns()
        later = _first(p, q, np.asarray(float(g))) * np.power(p, np.arange(float(g)))
        return np.concatenate([np.ones((*self.shape, 1)), later], axis=-1)

    def tokens_by_gamma(self, gamma_max: int) -> Floats:
        """E[N] for gamma = 0..gamma_max on the last axis, shape (*shape, gamma_max + 1) [token]."""
        top = int(check("gamma", gamma_max, label="gamma_max", whole=True))
        p, q = self.columns()
        return np.asarray(markov_tokens(p, q, np.arange(top + 1.0)))

    def draw(self, rng: np.random.Generator, *, gamma: int, rounds: int) -> NDArray[np.int64]:
        """Accepted draft tokens of consecutive rounds, shape (rounds,), the first one stationary.

        Token by token. The uniform number of the first token is compared with p or q by what came
        before; the bonus token of a full round is one hidden step of the chain.
        """
        single(self)
        if gamma == 0:
            return np.zeros(rounds, np.int64)
        p, q = float(self.accept_after_accept), float(self.accept_after_reject)  # type: ignore[arg-type]
        first = rng.random(rounds)
        run = (1 + count_accepted(rng.random((rounds, gamma - 1)) < p)).tolist()
        after_accept, after_reject = (first < p).tolist(), (first < q).tolist()
        bonus = (rng.random(rounds) < p).tolist()
        full = float(_first(np.asarray(p), np.asarray(q), np.asarray(float(gamma)))) * p ** (
            gamma - 1
        )
        before = bool(rng.random() < full * p)
        accepted = np.zeros(rounds, np.int64)
        for i in range(rounds):
            if after_accept[i] if before else after_reject[i]:
                accepted[i] = run[i]
            before = accepted[i] == gamma and bonus[i]
        return accepted


def _markov_counts(counts: RoundCounts) -> Floats:
    """(kept, lost) of tokens after an accepted one, of first tokens after a rejected round, and of
    first tokens after a full round: six sufficient numbers.

    A round that drafted nothing hides its tokens, so rounds with gamma = 0 are not allowed; the
    first round of a request has no known past and is left out of the last two pairs.
    """
    if counts.drafted.min() < 1:
        raise ValueError("a Markov fit needs rounds with at least 1 drafted token")
    inner = np.maximum(counts.accepted - 1, 0).sum()
    lost = (counts.rejected & (counts.accepted >= 1)).sum()
    took = counts.accepted >= 1
    follows = counts.follows()
    after_full = follows & np.roll(~counts.rejected, 1)
    after_reject = follows & ~after_full
    pairs = [(took & w).sum() for w in (after_reject, after_full)]
    misses = [(~took & w).sum() for w in (after_reject, after_full)]
    return np.array([inner, lost, pairs[0], misses[0], pairs[1], misses[1]], dtype=np.float64)


def markov_log_likelihood(law: MarkovAcceptance, counts: RoundCounts) -> float:
    """Log-probability of the counts given the first token of each request's first round."""
    from scipy.special import xlog1py, xlogy

    inner, lost, kept_r, miss_r, kept_f, miss_f = _markov_counts(counts)
    p = float(as_floats("p", law.accept_after_accept))
    q = float(as_floats("q", law.accept_after_reject))
    hidden = p * p + (1.0 - p) * q
    total = xlogy(inner, p) + xlog1py(lost, -p) + xlogy(kept_r, q) + xlog1py(miss_r, -q)
    return float(total + xlogy(kept_f, hidden) + xlog1py(miss_f, -hidden))


def fit_markov(counts: RoundCounts) -> MarkovAcceptance:
    """Markov law from two frequencies: of tokens after an accepted one, and of first tokens.

    p is the share accepted among draft tokens whose predecessor in the round was accepted. q then
    makes the expected number of accepted first tokens equal the observed one, over rounds that
    follow a round of the same request; it is the frequency after rejections alone where no round
    was full. So the tokens per round at the measured gamma are met by construction, which the
    likelihood does not give where the chain is only an approximation. q is 0 or 1 where the
    equation has no solution between. Raises ValueError where p or q cannot be seen: gamma = 1,
    nothing accepted, or no two rounds of one request.
    """
    inner, lost, kept_r, miss_r, kept_f, miss_f = _markov_counts(counts)
    rejected, full = kept_r + miss_r, kept_f + miss_f
    if inner + lost == 0 or rejected + full == 0:
        raise ValueError(
            "a Markov fit needs gamma >= 2, accepted tokens, and consecutive rounds of a request"
        )
    p = inner / (inner + lost)
    # Expected accepted first tokens: q rejected + (p^2 + (1 - p) q) full.
    weight = rejected + (1.0 - p) * full
    q = (kept_r + kept_f - p * p * full) / weight if weight > 0.0 else 0.0
    return MarkovAcceptance(float(p), float(min(max(q, 0.0), 1.0)))
