"""How small a draft: the turning point in draft scale.

`law` holds the laws of acceptance and cost in size and the turning point; `concavity` and
`turning_points` say why there is one and when there may be more; `two_axes` and `shapes` separate
depth from width; `log_linear` is a closed form; `loss` goes from cross-entropy to acceptance.
"""

from __future__ import annotations

from .bits import BitsChoice as BitsChoice
from .bits import QuantisedScaleLaw as QuantisedScaleLaw
from .bits import acceptance_at_bits as acceptance_at_bits
from .bits import best_bits as best_bits
from .bits import cost_at_bits as cost_at_bits
from .bits import size_over_bits as size_over_bits
from .concavity import DraftChoice as DraftChoice
from .concavity import TurningPoints as TurningPoints
from .concavity import compare_with_zero_scale as compare_with_zero_scale
from .concavity import cost_log_curvature as cost_log_curvature
from .concavity import rejection_log_curvature as rejection_log_curvature
from .concavity import sensitivity_fall as sensitivity_fall
from .concavity import speedup_log_curvature as speedup_log_curvature
from .concavity import unique_turning_point as unique_turning_point
from .law import DraftScaleLaw as DraftScaleLaw
from .law import acceptance_at_scale as acceptance_at_scale
from .law import cost_at_scale as cost_at_scale
from .law import drafting_share as drafting_share
from .law import rejection_sensitivity as rejection_sensitivity
from .log_linear import log_linear_length_scale as log_linear_length_scale
from .log_linear import log_linear_scale as log_linear_scale
from .log_linear import log_linear_speedup as log_linear_speedup
from .loss import BaselineSize as BaselineSize
from .loss import acceptance_from_divergence as acceptance_from_divergence
from .loss import exponential_acceptance as exponential_acceptance
from .loss import half_exponential_acceptance as half_exponential_acceptance
from .loss import mean_divergence as mean_divergence
from .loss import pinsker_acceptance as pinsker_acceptance
from .loss import sdsl_acceptance as sdsl_acceptance
from .loss import sdsl_line as sdsl_line
from .loss import sdsl_size as sdsl_size
from .loss import training_loss as training_loss
from .two_axes import Shape as Shape
from .two_axes import ShapeLaw as ShapeLaw
from .two_axes import acceptance_of_shape as acceptance_of_shape
from .two_axes import cost_of_shape as cost_of_shape
from .two_axes import layers_at_aspect as layers_at_aspect
from .two_axes import parameters_of_shape as parameters_of_shape
