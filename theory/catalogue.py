"""Every formula of the package, in one list."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from .formula import Formula, declared

# The headings of the formula sheet, in the order in which they are printed.
GROUPS = (
    "rounds",
    "speed-up",
    "optimum",
    "decision",
    "metrics",
    "estimation",
    "acceptance laws",
    "cost laws",
    "batch, load and memory",
    "requests",
    "draft scale",
    "headroom",
    "sensitivity",
    "trees",
    "several drafts and verification",
    "schedules and cascades",
)

# The modules with formulas, in the order in which a group prints theirs.
MODULES = """
    rounds acceptance.law acceptance.mixture acceptance.heterogeneity acceptance.markov speedup
    optimum costs.choose costs.linear costs.crossover costs.load costs.roofline costs.memory
    costs.moe costs.parallel costs.staircase acceptance.coverage acceptance.positional
    acceptance.estimation acceptance.gated acceptance.metrics acceptance.offsets regret
    scale.law scale.bits limits.bandit limits.ceilings trees.verification trees.optimal
    trees.several trees.rejection trees.value limits.certificates limits.headroom
    limits.sensitivity limits.rejections limits.threshold scale.concavity scale.log_linear
    scale.loss scale.two_axes decision.small requests.distribution requests.horizon
    requests.latency requests.length schedules.cascade schedules.chain schedules.overlap
    schedules.drafters
"""


def formulas() -> tuple[Formula, ...]:
    """All formulas, grouped and in the order of their modules; imports every module of theory."""
    package = __name__.rpartition(".")[0] + "."
    for module in pkgutil.walk_packages([str(Path(__file__).parent)], package):
        importlib.import_module(module.name)

    def place(f: Formula) -> tuple[int, int]:
        return GROUPS.index(f.group), MODULES.split().index(
            f.build.__module__.removeprefix(package)
        )

    return tuple(sorted(declared(), key=place))


def find(name: str) -> Formula:
    """The formula of that name; ValueError lists the nearest names if there is none."""
    import difflib

    known = {f.name: f for f in formulas()}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or sorted(known)
        raise ValueError(f"no formula named {name!r}; did you mean {', '.join(near)}?")
    return known[name]
