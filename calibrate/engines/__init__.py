"""What serving engines report, read into one schema, and what they accept, written."""

from .counts import Check, EngineCounts, Group
from .load import import_counts

__all__ = ["Check", "EngineCounts", "Group", "import_counts"]
