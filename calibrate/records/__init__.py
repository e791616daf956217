"""Records of measurements: costs, acceptance and sweeps, raw, with provenance, one file each."""

from .journal import Journal
from .merge import difference, pool, pool_files
from .points import KINDS, Entry, Kind, Point
from .provenance import collect_provenance
from .record import SCHEMA, VERSION, Record, is_record, read_record, write_record

__all__ = [
    "KINDS",
    "SCHEMA",
    "VERSION",
    "Entry",
    "Journal",
    "Kind",
    "Point",
    "Record",
    "collect_provenance",
    "difference",
    "is_record",
    "pool",
    "pool_files",
    "read_record",
    "write_record",
]
