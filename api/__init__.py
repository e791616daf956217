"""How many tokens to draft, and how small a draft: predictions for speculative decoding.

    import howspec as hs
    hs.predict(acceptance=0.8, costs=0.05)
    hs.predict(target="Qwen3-32B", draft="Qwen3-0.6B", device="H100 SXM", task="chat")

Questions: `predict`, `predict_sweep`, `rank`, `scale`, `crossover`, `schedule`, `explain`,
`simulate`, `validate`, `evidence`, `paper`, `family`; `explore` makes a page with sliders.
`measure` asks a running server, `tune` finds what it should run, `compare` two measured ones;
`measure_costs`, `measure_acceptance` and `measure_sweep` run models with torch. What is known
enters by `acceptance` and `costs`. To read and look up: `read_statistics`, `statistics`,
`read_record`, `show`, `formula`, `formulas`, `models`, `devices`.
Every answer prints as a few lines and offers `.table()`, `.to_frame()`, `.to_json()` and `.plot()`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .sources import acceptance, costs, devices, formula, models, read_record, read_statistics
    from .verbs.compare import compare
    from .verbs.crossover import crossover
    from .verbs.evidence import evidence
    from .verbs.explain import explain
    from .verbs.explore import explore
    from .verbs.family import family
    from .verbs.formulas import formulas
    from .verbs.measure import measure
    from .verbs.measure_acceptance import measure_acceptance
    from .verbs.measure_costs import measure_costs
    from .verbs.measure_sweep import measure_sweep
    from .verbs.paper import paper
    from .verbs.predict import predict
    from .verbs.predict_sweep import predict_sweep
    from .verbs.rank import rank
    from .verbs.scale import scale
    from .verbs.schedule import schedule
    from .verbs.show import show
    from .verbs.simulate import simulate
    from .verbs.statistics import statistics
    from .verbs.tune import tune
    from .verbs.validate import validate

__all__ = [
    "acceptance", "compare", "costs", "crossover", "devices", "evidence", "explain", "explore",
    "family", "formula", "formulas", "measure", "measure_acceptance", "measure_costs",
    "measure_sweep", "models", "paper", "predict", "predict_sweep", "rank", "read_record",
    "read_statistics", "scale", "schedule", "show", "simulate", "statistics", "tune", "validate",
]  # fmt: skip
_SOURCES = ("acceptance", "costs", "devices", "formula", "models", "read_record", "read_statistics")


def __getattr__(name: str) -> object:
    # Each function brings its own imports with it, so that `import howspec` costs nothing.
    if name == "__version__":
        # Reading the version of an installed package takes tens of milliseconds: only when asked.
        from .version import version

        return version()
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = ".sources" if name in _SOURCES else f".verbs.{name}"
    found = getattr(import_module(module, __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
