r"""The turning point in two axes, depth and width: launches cost time, parameters buy acceptance.

    parameters = 12 l w^2,   s = parameters / M
    1 - alpha = d + A s^-beta + D l^-eta,   c = t_l l + c_1 s

A layer costs a fixed time t_l (its kernels are launched one after another) besides the bytes of
its parameters. 1 - alpha and the round cost are sums of exponentials of ln l and ln s, so that
their logarithms are jointly convex and ln S is jointly concave: one turning point over both axes.
There

    gamma t_l l / (round cost) = eta D l^-eta / (1 - alpha) (1 - r)   (share that launches take)
    gamma c_1 s / (round cost) = beta A s^-beta / (1 - alpha) (1 - r)   (share that bytes take)

Without a depth term (D = 0) one layer is best: parameters are then cheaper as width.
"""

from __future__ import annotations

import numpy as np

from ..formula import Number, equation, symbolic


@equation("N", group="draft scale", draft_layers=12, draft_width=768)
def parameters_of_shape(draft_layers: Number, draft_width: Number) -> Number:
    """Parameters of a transformer of that depth and width, embeddings not counted.

    Assumes: standard blocks, 4 w^2 in attention, 8 w^2 in a feed-forward part four times as wide.
    Wrong when: key-value heads are grouped, the feed-forward part is gated or of another width, or
    the embedding is a large share, as in small drafts with a large vocabulary.
    Source: arXiv:2001.08361 counts them in this way.
    """
    return 12 * draft_layers * draft_width**2


@equation(r"\ell", group="draft scale", parameters=85e6, aspect=64)
def layers_at_aspect(parameters: Number, aspect: Number) -> Number:
    """Layers of a draft with N parameters and a given ratio of width to depth.

    They grow as the cube root of the parameters: along a ladder of one shape a launch-bound draft
    step is sublinear in size.

    Assumes: N = 12 l w^2.
    Wrong when: the ladder changes its shape.
    Source: derived here.
    Returns: (N / (12 (w/l)^2))^(1/3), a real number of layers.
    """
    if symbolic(parameters, aspect):
        import sympy

        return sympy.cbrt(parameters / (12 * aspect**2))
    return np.cbrt(parameters / (12.0 * aspect**2))


@equation(r"\alpha(\ell, s)", group="draft scale", draft_layers=12, scale=0.05,
          rejection_floor=0.05, rejection_coefficient=0.05, rejection_exponent=0.25,
          depth_coefficient=0.2, depth_exponent=1.0)  # fmt: skip
def acceptance_of_shape(draft_layers: Number, scale: Number, *, rejection_floor: Number,
                        rejection_coefficient: Number, rejection_exponent: Number,
                        depth_coefficient: Number = 0.0,
                        depth_exponent: Number = 1.0) -> Number:  # fmt: skip
    """Acceptance probability of a draft with that many layers and that size.

    Assumes: the rejection that size and depth each leave adds up.
    Wrong when: a deep narrow draft trains worse than its size says; only shallowness is penalised.
    Source: derived here, as the simplest law in two axes; its parameters are fitted.
    Returns: alpha(l, s), NaN where the law leaves [0, 1].
    """
    if symbolic(draft_layers, scale):
        by_size = rejection_coefficient * scale**-rejection_exponent
        by_depth = depth_coefficient * draft_layers**-depth_exponent
        return 1 - rejection_floor - by_size - by_depth
    depth = draft_layers**-depth_exponent
    by_depth = depth_coefficient * depth
    b = rejection_exponent
    with np.errstate(over="ignore"):
        by_size = rejection_coefficient * scale**-b
    value = 1.0 - rejection_floor - by_size - by_depth
    return np.where((value >= 0.0) & (value <= 1.0), value, np.nan)


@equation(r"c(\ell, s)", group="draft scale", draft_layers=12, layer_time=0.005, cost_slope=1.0,
          scale=0.05)  # fmt: skip
def cost_of_shape(
    draft_layers: Number, layer_time: Number, cost_slope: Number, scale: Number
) -> Number:
    """Draft step time: launches of every layer, and bytes of every parameter.

    Assumes: launches and bytes do not overlap; one device.
    Wrong when: the step is captured as one graph, which shrinks the time of a layer.
    Source: derived here; that depth rather than size sets the latency of small drafts is reported
    in arXiv:2402.01528.
    """
    return layer_time * draft_layers + cost_slope * scale
