r"""Ceilings of a round: the entropy of the text, and the bandwidth of the memory.

    E[N] <= ln((k + 1)(V - 1) + 1) / H       drafts that say nothing of the randomness of the output
    E[N] <= (ln V + ln(k + 1)) / H_R         any draft, H_R the entropy that it leaves
    tokens/s <= E[N] / (time to read weights and cache)

Given its k drafted tokens a verifying pass ends in one of (k + 1)(V - 1) + 1 <= (k + 1) V ways, so
that the entropy of the way it ends, given the drafts, is at most the logarithm of that number. It
is also the sum, over the tokens that are emitted, of the entropy of each given those before it and
the drafts. Where the drafts are deterministic, or independent of what is emitted, this is H E[N].
A draft sampled from q is not: accepting it copies its randomness into the output, and what is left
of the entropy of a token, given the draft's, is H_R <= H only. With q = p nothing is left, and no
bound below gamma + 1 holds: p uniform on four tokens, q = (.35, .15, .25, .25) and gamma = 16 give
E[N] = 8.33 where the first line says 2.85.

What a distance between target and draft guarantees: the same greedy token, a least acceptance.

    KL(p || q) < p_1 ln(2 p_1 / (p_1 + p_2)) + p_2 ln(2 p_2 / (p_1 + p_2))  =>  same greedy token
    alpha(T) >= 1 - tanh(osc / (4 T)),   osc = max - min of the logits' difference

p_1 >= p_2 are the two largest probabilities of the target. A rule that refuses the target's least
likely tokens, or a tree that holds the draft's m likeliest ones, is certain by the same token up to
the divergence of the nearest draft that breaks it: some tokens' probabilities are made equal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..costs.roofline import memory_time
from ..domain import Floats, as_floats, check, unwrap
from ..either import demand, log
from ..formula import Number, equation, symbolic
from ..rounds import geometric
from ..trees.verification import distribution


@equation(r"\mathrm{E}[N]_{\max}", group="headroom", verified_nodes=64, vocabulary=32000,
          entropy=1.5)  # fmt: skip
def entropy_ceiling(verified_nodes: Number, vocabulary: Number, entropy: Number) -> Number:
    """Most tokens that a round emits on average with k draft tokens, chain or tree, chosen by rule.

    Assumes: next tokens independent with the same entropy; drafts deterministic, or independent of
    what the target emits (a greedy draft, a look-up table, the tree of likeliest paths).
    Wrong when: drafts are sampled and accepted with the probability min(1, p/q), which emits their
    own randomness (see `left_entropy_ceiling`); entropy varies with the context, and drafts go
    where it is low.
    Source: derived here by counting the ways a pass ends; for deterministic drafts over varying
    entropy arXiv:2512.11718 has a bound of the order of ln(k) / H.
    Returns: ln V / H >= 1 at k = 0. Not for sampled drafts.
    """
    return log((verified_nodes + 1) * (vocabulary - 1) + 1) / entropy


@equation(r"\mathrm{E}[N]_{\max}", group="headroom", verified_nodes=64, vocabulary=32000,
          left_entropy=0.8)  # fmt: skip
def left_entropy_ceiling(
    verified_nodes: Number, vocabulary: Number, left_entropy: Number
) -> Number:
    """Most tokens that a round emits on average with k draft tokens of any kind.

    H_R is the entropy that a token keeps once the drafts are known; it is H for drafts chosen by
    rule and 0 for a draft from the target's own distribution, accepted always.

    Assumes: every token of a round keeps at least the entropy H_R given the tokens before it and
    all drafts of the round.
    Wrong when: H_R varies with the context; drafts then go where it is low.
    Source: arXiv:2504.15475, as (log|Omega| + log(k + 1)) / H[R] in summaries of it; derived here
    from the entropy of the way a pass ends, given the drafts.
    """
    return (log(vocabulary) + log(verified_nodes + 1)) / left_entropy


@equation(r"\mathrm{E}[X]_{\max}", group="headroom", verified_nodes=64, entropy=1.5, log_moment=4.0)
def branching_ceiling(verified_nodes: Number, entropy: Number, log_moment: Number) -> Number:
    """Leading term, for many nodes, of the tokens that a deterministic draft tree predicts.

    (mu + mu_2) ln k / mu^2, mu the mean entropy and mu_2 the mean of (ln p)^2. For one and the same
    distribution at every node the exact leading constant is 1 / mu, which is smaller.

    Assumes: deterministic drafting, next-token distributions drawn independently at every node.
    Wrong when: k is small (a bounded term is left out), or drafts are sampled.
    Source: arXiv:2512.11718, abstract.
    Returns: an expansion, not a bound at small k.
    """
    mu = entropy
    if symbolic(verified_nodes, entropy):
        import sympy

        return (mu + log_moment) * sympy.log(verified_nodes) / mu**2
    k = verified_nodes
    demand(k >= 1.0, "verified_nodes must be an integer in [1, inf)", k)
    with np.errstate(invalid="ignore"):  # ln 1 over the smallest float
        value = (1.0 + log_moment / mu) * (np.log(k) / mu)
    return np.where(k == 1.0, 0.0, value)


@equation(r"\mathrm{tok/s}_{\max}", group="headroom", alpha=0.8, gamma=5, weight_bytes=16e9,
          kv_bytes=131072, batch=8, context=4000, bandwidth=3e12)  # fmt: skip
def hardware_ceiling(alpha: Number, gamma: Number, *, weight_bytes: Number, kv_bytes: Number,
                     bandwidth: Number, batch: Number = 1.0,
                     context: Number = 0.0) -> Number:  # fmt: skip
    """Tokens per second of one sequence cannot exceed E[N] per reading of weights and caches.

    Assumes: independent acceptance, every verifying pass reads all weights and caches once;
    drafting is free.
    Wrong when: only some experts are read, or weights stay in a cache on the chip.
    Source: derived here.
    """
    reading = memory_time(
        batch, context, weight_bytes=weight_bytes, kv_bytes=kv_bytes, bandwidth=bandwidth
    )
    return geometric(alpha, gamma + 1) / reading


def left_entropy_of(p: ArrayLike, q: ArrayLike) -> Any:
    """Entropy of the emitted token given the drafted one, under min(1, p/q) and residual [nat].

    p, q: distributions of target and draft over the last axis, (..., V), broadcast. At most the
    entropy of p, and 0 for p = q. Raises ValueError where they are no distributions.
    """
    from ..trees.verification import distribution, residual

    target, draft = np.broadcast_arrays(distribution("p", p), distribution("q", q))
    safe = np.where(draft > 0.0, draft, 1.0)
    kept = np.where(draft > 0.0, np.minimum(1.0, target / safe), 0.0)
    rest = residual(target, draft)  # zero where q > p, so a rejected token is never drawn again
    return unwrap(np.asarray((draft * (_binary(kept) + (1.0 - kept) * _entropy(rest))).sum(-1)))


def _entropy(p: Floats) -> Floats:
    safe = np.where(p > 0.0, p, 1.0)
    return np.asarray(-(p * np.log(safe)).sum(axis=-1, keepdims=True))


def _binary(x: Floats) -> Floats:
    return np.asarray(_entropy(np.stack([x, 1.0 - x], axis=-1))[..., 0])


@equation(r"\mathrm{KL}_{\max}", group="headroom", top_mass=0.6, second_mass=0.2)
def greedy_certificate(top_mass: Number, second_mass: Number) -> Number:
    """A draft closer to the target than this, KL(p || q), has the target's greedy token.

    The bound is attained by averaging the two largest probabilities, which makes them tie.

    Assumes: p_1 >= p_2 > 0, p_1 + p_2 <= 1; divergence in nats, over the whole vocabulary.
    Wrong when: the two distributions are not over the same tokens.
    Source: arXiv:2606.30265, the margin bound for strict greedy decoding; rederived here.
    Returns: The divergence KL(p || q) [nat] below which the greedy token is certainly the same.
    top_mass: in (0, 1]; second_mass: in [0, top_mass], sum at most 1.
    """
    if symbolic(top_mass, second_mass):
        import sympy

        mean = (top_mass + second_mass) / 2
        top = top_mass * sympy.log(top_mass / mean)
        return top + second_mass * sympy.log(second_mass / mean)
    p1, p2 = np.broadcast_arrays(top_mass, check("second_mass", second_mass, label="second_mass"))
    if np.any(p2 > p1) or np.any(p1 + p2 > 1.0 + 1e-12):
        raise ValueError(
            "second_mass must be in [0, min(top_mass, 1 - top_mass)], got a larger one"
        )
    both = p1 + p2
    d = (p1 - p2) / both  # exact near a tie, where the two logarithms cancel
    with np.errstate(divide="ignore", invalid="ignore"):
        # (1 + d) ln(1 + d) + (1 - d) ln(1 - d) = ln(1 - d^2) + 2 d artanh(d)
        near = np.log1p(-d * d) + 2.0 * d * np.arctanh(d)
        far = (1.0 + d) * np.log1p(d) + (1.0 - d) * np.log1p(-d)
    value = np.where(d < 0.5, near, np.where(d == 1.0, 2.0 * np.log(2.0), far))
    return 0.5 * both * value


@equation(r"\alpha_{\min}(T)", group="headroom", oscillation=4.0, temperature=1.0)
def acceptance_at_temperature(oscillation: Number, temperature: Number) -> Number:
    """The least acceptance at temperature T where the logits' difference varies by Omega.

    It tends to 1 as T grows; acceptance itself need not rise with temperature in between.

    Assumes: the same temperature on both sides, no truncation.
    Wrong when: top-k or top-p cut different tokens on the two sides.
    Source: derived here; attained on two tokens with logits +-Omega / 4 against the mirror image.
    Returns: in [0, 1]; written as 2 / (1 + e^(Omega / 2T)), which keeps its digits where tanh is
    near 1.
    """
    if symbolic(oscillation, temperature):
        import sympy

        return 1 - sympy.tanh(oscillation / (4 * temperature))
    half = oscillation / (2.0 * temperature)
    return 2.0 / (1.0 + np.exp(half))


def logit_oscillation(target_logits: ArrayLike, draft_logits: ArrayLike) -> Any:
    """max - min over the last axis of the difference of two sets of finite logits.

    Shapes (..., V) broadcast. Adding a constant to either set changes nothing. Raises ValueError
    where a logit is not finite.
    """
    difference = as_floats("target_logits", target_logits) - as_floats("draft_logits", draft_logits)
    if difference.ndim == 0 or not np.isfinite(difference).all():
        raise ValueError("logits must be finite arrays of at least one axis")
    return unwrap(np.asarray(np.ptp(difference, axis=-1)))


def rule_certificate(p: ArrayLike, stands: ArrayLike) -> float:
    """KL(p || q) [nat] below which the draft's likeliest token certainly stands by a rule.

    p: the target's distribution, (V,); stands: the tokens that the rule accepts, (V,) booleans,
    which are the likeliest of p (see `rejections`: top m, typical, entropy). inf where all stand, 0
    where the likeliest does not. Raises ValueError otherwise.

    The nearest draft whose likeliest token is refused lifts the likeliest refused token to the mean
    of itself and of all tokens above that mean, and leaves the rest as it is.
    Source: arXiv:2606.30265 shows that such rules refuse a lower level set and has the exact
    divergence (its abstract); the form here is derived here and tested against a minimiser.
    """
    target, mask = distribution("p", p), np.asarray(stands, dtype=bool)
    if target.ndim != 1 or mask.shape != target.shape:
        raise ValueError(f"p and stands must have one shape (V,), got {target.shape}, {mask.shape}")
    if mask.all():
        return float(np.inf)
    lifted = float(target[~mask].max())
    if (target[mask] < lifted).any():
        raise ValueError("stands must hold the likeliest tokens of p, got one below a refused one")
    pooled = [lifted]
    for mass in np.sort(target[mask])[::-1]:
        if mass <= np.mean(pooled):
            break
        pooled.append(float(mass))
    return _pool(np.array(pooled))


def covered_certificate(p: ArrayLike, children: int) -> float:
    """KL(p || q) [nat] below which the target's greedy token is among the draft's m likeliest.

    p: the target's distribution, (V,); children: m, whole, >= 1; the greedy certificate at m = 1,
    inf from m = V on. Raises ValueError otherwise.

    The nearest draft without it has the m next likeliest tokens at least as likely: the least
    likely of them, and those below the mean, are made equal to the first.
    Source: arXiv:2606.30265 has certificates of coverage by the top m for greedy trees (its
    abstract); derived here and tested against a minimiser.
    """
    target, m = distribution("p", p), int(check("position", children, label="children", whole=True))
    if target.ndim != 1:
        raise ValueError(f"p must have shape (V,), got {target.shape}")
    order = np.sort(target)[::-1]
    if m >= order.size:
        return float(np.inf)
    pooled = [float(order[0])]
    for mass in order[m:0:-1]:
        if mass >= np.mean(pooled):
            break
        pooled.append(float(mass))
    return _pool(np.array(pooled))


def _pool(pooled: Floats) -> float:
    """Divergence from making these probabilities equal."""
    inside = pooled[pooled > 0.0]
    return max(0.0, float((inside * np.log(inside / pooled.mean())).sum()))
