r"""What a distance between target and draft guarantees: same greedy token, least acceptance.

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

from ..domain import Floats, as_floats, check, unwrap
from ..formula import Number, equation, symbolic
from ..trees.verification import distribution


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
    which are the likeliest of p (see `relaxed`: top m, typical, entropy). inf where all stand, 0
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
