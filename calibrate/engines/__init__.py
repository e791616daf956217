"""What serving engines report, read into one schema, and what they accept, written."""

from .counts import Check, EngineCounts, Group, engine_counts
from .load import import_counts

__all__ = ["Check", "EngineCounts", "Group", "engine_counts", "import_counts"]
