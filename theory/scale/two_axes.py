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

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..domain import check, unwrap
from ..formula import evaluates, formula
from ..symbols import register

register("draft_layers", r"\ell", "layers of the draft", low=1.0)
register("draft_width", "w", "width of the draft, the numbers in one hidden state", open_low=True)
register("aspect", r"(w / \ell)", "width over layers of a draft", open_low=True)
register(
    "depth_coefficient",
    "D",
    "rejection probability that a draft of a single layer adds, at any size",
)
register("depth_exponent", r"\eta", "exponent of rejection in layers", open_low=True)
register(
    "layer_time",
    r"t_\ell",
    "draft step time that a layer costs besides its bytes",
    unit="target step",
)


@formula("parameters_of_shape", "N", group="draft scale", draft_layers=12, draft_width=768)
def PARAMETERS_OF_SHAPE(s: Any) -> Any:
    """Parameters of a transformer of that depth and width, embeddings not counted.

    Assumes: standard blocks, 4 w^2 in attention, 8 w^2 in a feed-forward part four times as wide.
    Wrong when: key-value heads are grouped, the feed-forward part is gated or of another width, or
    the embedding is a large share, as in small drafts with a large vocabulary.
    Source: arXiv:2001.08361 counts them in this way.
    """
    return 12 * s.draft_layers * s.draft_width**2


@formula("layers_at_aspect", r"\ell", group="draft scale", parameters=85e6, aspect=64)
def LAYERS_AT_ASPECT(s: Any) -> Any:
    """Layers of a draft with N parameters and a given ratio of width to depth.

    They grow as the cube root of the parameters: along a ladder of one shape a launch-bound draft
    step is sublinear in size.

    Assumes: N = 12 l w^2.
    Wrong when: the ladder changes its shape.
    Source: derived here.
    """
    import sympy

    return sympy.cbrt(s.parameters / (12 * s.aspect**2))


@formula(
    "acceptance_of_shape", r"\alpha(\ell, s)", group="draft scale",
    draft_layers=12, scale=0.05, rejection_floor=0.05, rejection_coefficient=0.05,
    rejection_exponent=0.25, depth_coefficient=0.2, depth_exponent=1.0,
)  # fmt: skip
def ACCEPTANCE_OF_SHAPE(s: Any) -> Any:
    """Acceptance probability of a draft with that many layers and that size.

    Assumes: the rejection that size and depth each leave adds up.
    Wrong when: a deep narrow draft trains worse than its size says; only shallowness is penalised.
    Source: derived here, as the simplest law in two axes; its parameters are fitted.
    """
    by_size = s.rejection_coefficient * s.scale**-s.rejection_exponent
    by_depth = s.depth_coefficient * s.draft_layers**-s.depth_exponent
    return 1 - s.rejection_floor - by_size - by_depth


@formula(
    "cost_of_shape", r"c(\ell, s)", group="draft scale",
    draft_layers=12, layer_time=0.005, cost_slope=1.0, scale=0.05,
)  # fmt: skip
def COST_OF_SHAPE(s: Any) -> Any:
    """Draft step time: launches of every layer, and bytes of every parameter.

    Assumes: launches and bytes do not overlap; one device.
    Wrong when: the step is captured as one graph, which shrinks the time of a layer.
    Source: derived here; that depth rather than size sets the latency of small drafts is reported
    in arXiv:2402.01528.
    """
    return s.layer_time * s.draft_layers + s.cost_slope * s.scale


@evaluates(PARAMETERS_OF_SHAPE)
def parameters_of_shape(draft_layers: ArrayLike, draft_width: ArrayLike) -> Any:
    """12 l w^2. draft_layers: >= 1; draft_width: > 0. Shapes broadcast; ValueError outside."""
    return unwrap(
        12.0 * check("draft_layers", draft_layers) * check("draft_width", draft_width) ** 2
    )


@evaluates(LAYERS_AT_ASPECT)
def layers_at_aspect(parameters: ArrayLike, aspect: ArrayLike) -> Any:
    """(N / (12 (w/l)^2))^(1/3), a real number of layers.

    parameters, aspect: > 0. Shapes broadcast. Raises ValueError outside these ranges.
    """
    return unwrap(np.cbrt(check("parameters", parameters) / (12.0 * check("aspect", aspect) ** 2)))


@evaluates(ACCEPTANCE_OF_SHAPE)
def acceptance_of_shape(
    draft_layers: ArrayLike,
    scale: ArrayLike,
    *,
    rejection_floor: ArrayLike,
    rejection_coefficient: ArrayLike,
    rejection_exponent: ArrayLike,
    depth_coefficient: ArrayLike = 0.0,
    depth_exponent: ArrayLike = 1.0,
) -> Any:
    """alpha(l, s), NaN where the law leaves [0, 1].

    draft_layers: >= 1; scale: > 0; the others as in
    :class:`~howspec.theory.scale.shapes.ShapeLaw`. Shapes broadcast. ValueError outside the ranges.
    """
    depth = check("draft_layers", draft_layers) ** -check("depth_exponent", depth_exponent)
    by_depth = check("depth_coefficient", depth_coefficient) * depth
    b = check("rejection_exponent", rejection_exponent)
    with np.errstate(over="ignore"):
        by_size = (
            check("rejection_coefficient", rejection_coefficient) * check("scale", scale) ** -b
        )
    value = 1.0 - check("rejection_floor", rejection_floor) - by_size - by_depth
    return unwrap(np.where((value >= 0.0) & (value <= 1.0), value, np.nan))


@evaluates(COST_OF_SHAPE)
def cost_of_shape(
    draft_layers: ArrayLike, layer_time: ArrayLike, cost_slope: ArrayLike, scale: ArrayLike
) -> Any:
    """t_l l + c_1 s [target step].

    draft_layers: >= 1; layer_time: >= 0 [target step]; cost_slope, scale: > 0. Shapes broadcast.
    Raises ValueError outside these ranges.
    """
    launches = check("layer_time", layer_time) * check("draft_layers", draft_layers)
    return unwrap(launches + check("cost_slope", cost_slope) * check("scale", scale))
