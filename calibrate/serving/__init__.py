"""A running server under load: what it took and accepted, as a record, and as both laws."""

from .measuring import measure_server
from .plan import ServingPlan
from .served import Served, served_of

__all__ = ["Served", "ServingPlan", "measure_server", "served_of"]
