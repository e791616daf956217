"""How small a draft: the turning point in draft scale.

`law` holds the laws of acceptance and cost in size and the turning point; `concavity` and
`turning_points` say why there is one and when there may be more; `two_axes` and `shapes` separate
depth from width; `log_linear` is a closed form; `sdsl` a published baseline; `loss` goes from
cross-entropy to acceptance.
"""

from __future__ import annotations

from .bits import (
    BitsChoice,
    QuantisedScaleLaw,
    acceptance_at_bits,
    best_bits,
    cost_at_bits,
    size_over_bits,
)
from .concavity import (
    cost_log_curvature,
    rejection_log_curvature,
    sensitivity_fall,
    speedup_log_curvature,
)
from .law import (
    DraftScaleLaw,
    acceptance_at_scale,
    cost_at_scale,
    drafting_share,
    rejection_sensitivity,
)
from .log_linear import log_linear_length_scale, log_linear_scale, log_linear_speedup
from .loss import (
    acceptance_from_divergence,
    exponential_acceptance,
    half_exponential_acceptance,
    mean_divergence,
    pinsker_acceptance,
)
from .sdsl import BaselineSize, sdsl_acceptance, sdsl_line, sdsl_size, training_loss
from .shapes import Shape, ShapeLaw
from .turning_points import (
    DraftChoice,
    TurningPoints,
    compare_with_zero_scale,
    unique_turning_point,
)
from .two_axes import acceptance_of_shape, cost_of_shape, layers_at_aspect, parameters_of_shape

__all__ = [
    "BaselineSize",
    "BitsChoice",
    "DraftChoice",
    "DraftScaleLaw",
    "QuantisedScaleLaw",
    "Shape",
    "ShapeLaw",
    "TurningPoints",
    "acceptance_at_bits",
    "acceptance_at_scale",
    "acceptance_from_divergence",
    "acceptance_of_shape",
    "best_bits",
    "compare_with_zero_scale",
    "cost_at_bits",
    "cost_at_scale",
    "cost_log_curvature",
    "cost_of_shape",
    "drafting_share",
    "exponential_acceptance",
    "half_exponential_acceptance",
    "layers_at_aspect",
    "log_linear_length_scale",
    "log_linear_scale",
    "log_linear_speedup",
    "mean_divergence",
    "parameters_of_shape",
    "pinsker_acceptance",
    "rejection_log_curvature",
    "rejection_sensitivity",
    "sdsl_acceptance",
    "sdsl_line",
    "sdsl_size",
    "sensitivity_fall",
    "size_over_bits",
    "speedup_log_curvature",
    "training_loss",
    "unique_turning_point",
]
