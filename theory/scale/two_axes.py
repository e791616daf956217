"""The turning point in two axes, depth and width: launches cost time, parameters buy acceptance.

    parameters = 12 l w^2,   s = parameters / M
    1 - alpha = d + A s^-beta + D l^-eta,   c = t_l l + c_1 s

A layer costs a fixed time t_l (its kernels are launched one after another) besides the bytes of
its parameters. 1 - alpha and the round cost are sums of exponentials of ln l and ln s, so that
their logarithms are jointly convex and ln S is jointly concave: one turning point over both axes.
There

    gamma t_l l / (round cost) = eta D l^-eta / (1 - alpha) (1 - r)   (share that launches take)
    gamma c_1 s / (round cost) = beta A s^-beta / (1 - alpha) (1 - r)   (share that bytes take)

Without a depth term (D = 0) one layer is best: parameters are then cheaper as width.

The best shape of a draft: how many layers, and how large, for one target and device.

The laws are those of `two_axes`. At a fixed depth they are the law of size alone, with a higher
rejection floor and a latency floor; the best depth is where what one more layer saves in rejection
equals what its launches take of the round.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..domain import Floats, as_floats, check
from ..either import cbrt, probability
from ..formula import Number, equation
from .law import DraftScaleLaw, rejection_sensitivity


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
    Returns: a real number.
    """
    return cbrt(parameters / (12 * aspect**2))


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
    Returns: NaN where the law leaves [0, 1].
    """
    by_size = rejection_coefficient * scale**-rejection_exponent
    by_depth = depth_coefficient * draft_layers**-depth_exponent
    return probability(1 - rejection_floor - by_size - by_depth)


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


@dataclass(frozen=True)
class Shape:
    """A draft of ``layers`` layers and size ``scale``, and its speed-up at the gamma asked for."""

    layers: float
    scale: float
    speedup: float

    def width(self, target_parameters: float) -> float:
        """Width at which 12 l w^2 is ``scale`` times the target's parameters (> 0)."""
        total = float(check("parameters", target_parameters, label="target_parameters"))
        return math.sqrt(self.scale * total / (12.0 * self.layers))


@dataclass(frozen=True)
class ShapeLaw:
    """Acceptance and cost of a draft as functions of its layers and its size; scalars only.

    rejection_floor: in [0, 1); rejection_coefficient, rejection_exponent, depth_exponent,
    cost_slope: > 0; depth_coefficient: >= 0; layer_time, verify_slope, overhead: >= 0 [target
    step]. Raises ValueError outside these ranges.
    """

    rejection_floor: float
    rejection_coefficient: float
    rejection_exponent: float
    layer_time: float
    cost_slope: float
    depth_coefficient: float = 0.0
    depth_exponent: float = 1.0
    verify_slope: float = 0.0
    overhead: float = 0.0

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if as_floats(name, getattr(self, name)).ndim:
                raise ValueError(f"{name} must be a number, got an array")
            check(name, getattr(self, name))

    def at_layers(self, layers: ArrayLike) -> DraftScaleLaw:
        """The law in size alone at that depth, or at each of several depths (>= 1).

        Raises ValueError where the depth alone leaves no acceptance.
        """
        depth = check("draft_layers", layers)
        return self._law(depth, self._floor(depth))

    def _floor(self, depth: Floats) -> Floats:
        by_depth = self.depth_coefficient * depth**-self.depth_exponent
        return np.asarray(self.rejection_floor + by_depth)

    def _law(self, depth: Floats, floor: Floats) -> DraftScaleLaw:
        return DraftScaleLaw(
            rejection_floor=floor,
            rejection_coefficient=self.rejection_coefficient,
            rejection_exponent=self.rejection_exponent,
            cost_floor=self.layer_time * depth,
            cost_slope=self.cost_slope,
            verify_slope=self.verify_slope,
            overhead=self.overhead,
        )

    def best_sizes(
        self, layers: ArrayLike, gamma: float, *, largest: float = 1.0
    ) -> tuple[Floats, Floats]:
        """(best size, its speed-up) at each depth; NaN where no size is ever accepted.

        layers: >= 1, any shape; gamma: >= 1 [token]; largest: upper end of the sizes.
        Raises ValueError outside these ranges.
        """
        depth = check("draft_layers", layers)
        floor = self._floor(depth)
        possible = floor < 1.0
        law = self._law(depth, np.where(possible, floor, 0.0))
        scale = np.where(possible, law.optimal_scale(gamma, largest=largest), np.nan)
        value = law.speedup(np.where(np.isnan(scale), largest, scale), gamma)
        return scale, np.where(np.isnan(scale), np.nan, value)

    def best_shape(
        self, gamma: float, *, layers_max: int = 96, largest: float = 1.0, whole: bool = True
    ) -> Shape:
        """The best depth and size together.

        gamma: >= 1 [token]; layers_max: whole number >= 1; largest: upper end of the sizes; whole:
        whether layers must be a whole number. Scale and speed-up are NaN where no shape is ever
        accepted. Whole layers are scanned; the best real number lies within one of the best whole
        one, where d ln S / d ln l at the best size changes sign, once, because ln S is jointly
        concave. Raises ValueError outside these ranges.
        """
        top = int(check("draft_layers", layers_max, label="layers_max", whole=True))
        depth = np.arange(1.0, top + 1.0)
        scale, value = self.best_sizes(depth, gamma, largest=largest)
        if np.isnan(value).all():
            return Shape(float(top), math.nan, math.nan)
        i = int(np.nanargmax(value))
        if whole:
            return Shape(float(depth[i]), float(scale[i]), float(value[i]))
        low, high = max(depth[i] - 1.0, 1.0), min(depth[i] + 1.0, float(top))
        for _ in range(8):  # each pass keeps one of 64 parts, the one in which the slope turns
            grid = np.linspace(low, high, 65)
            rising = int((self._slope_in_log_layers(grid, gamma, largest) > 0.0).sum())
            low, high = grid[max(rising - 1, 0)], grid[min(rising, 64)]
        at = 0.5 * (low + high)
        scale, value = self.best_sizes(at, gamma, largest=largest)
        return Shape(float(at), float(scale), float(value))

    def _slope_in_log_layers(self, layers: Floats, gamma: float, largest: float) -> Floats:
        """d ln S / d ln l at the best size of that depth: what depth saves less what it takes.

        Infinite where the draft is too shallow to be accepted at all.
        """
        scale, _ = self.best_sizes(layers, gamma, largest=largest)
        known = ~np.isnan(scale)
        s = np.where(known, scale, largest)
        by_depth = self.depth_coefficient * layers**-self.depth_exponent
        rejected = self._floor(layers) + self.rejection_coefficient * s**-self.rejection_exponent
        alpha = np.clip(1.0 - rejected, 0.0, 1.0)
        saved = self.depth_exponent * by_depth / rejected
        launches = self.layer_time * layers
        time = 1.0 + gamma * (launches + self.cost_slope * s + self.verify_slope) + self.overhead
        slope = saved * np.asarray(rejection_sensitivity(alpha, gamma)) - gamma * launches / time
        return np.where(known, slope, np.inf)
