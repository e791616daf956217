"""Published measurements, checked tables of them, and latency sweeps of the user's own.

`names`, `load` and `describe` give the bundled tables; `read_csv` checks any file against a
`Schema`; `load_sweeps` reads speed-up against the number of draft tokens, bundled or the user's.
Importing this package imports no pandas.
"""

from ..tables.read import read_csv
from ..tables.schema import Column, Rule, Schema
from ..tables.sweep import SWEEP, Sweep
from .load import TABLES, describe, load, names
from .sweeps import (
    load_sweep,
    load_sweeps,
    redrafter_sweeps,
    specbundle_sweeps,
    sweep_names,
)

__all__ = [
    "SWEEP",
    "TABLES",
    "Column",
    "Rule",
    "Schema",
    "Sweep",
    "describe",
    "load",
    "load_sweep",
    "load_sweeps",
    "names",
    "read_csv",
    "redrafter_sweeps",
    "specbundle_sweeps",
    "sweep_names",
]
