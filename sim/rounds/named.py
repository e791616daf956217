"""What chooses the draft tokens of a round, by its name: policies, and rules that learn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any

from ...calibrate.doors.written import check_names, split

if TYPE_CHECKING:
    from ...theory import CostLaw
    from ..control.compared import Chooser
    from .policies import Policy

POLICIES = (
    "constant", "heuristic", "confidence-threshold", "survival-threshold", "batch-table", "oracle",
    "moving-average",
)  # fmt: skip
LEARNERS = ("controller", "bandit")  # one state for all requests, in running order
BEST = "best"  # the gamma that a simulation finds
_TOP = 16  # the largest gamma of those that search


def named_policy(text: str) -> Policy:
    """The policy written as ``name:parameter=value,...``; batch-table:8=5,32=2 names batches.

    A rule that learns, and the search for the best gamma, are here by the largest gamma they take.
    """
    from . import policies

    name, parameters = split(text)
    if searches(text):
        if name == BEST:
            check_names("policy best", parameters, {"gamma_max"}, [])
        return policies.constant(parameters.get("gamma_max", _TOP))
    if name not in POLICIES:
        known = ", ".join((*POLICIES, *LEARNERS, BEST))
        raise ValueError(f"policy must be one of {known}, got {name!r}")
    make = getattr(policies, name.replace("-", "_"))
    if name == "batch-table":
        if not all(key.isdecimal() for key in parameters):
            raise ValueError(f"policy batch-table takes batch=gamma pairs, got {text!r}")
        return policies.batch_table({int(k): v for k, v in parameters.items()})
    made: Policy = _made(f"policy {name}", make, parameters)
    return made


def searches(text: str | None) -> bool:
    """Whether a policy is a rule that learns, or the search for the best gamma."""
    return text is not None and text.partition(":")[0] in (*LEARNERS, BEST)


def learner(text: str, cost: CostLaw) -> Chooser:
    """The rule that learns, written as ``controller:half_life=200`` or ``bandit:width=0.5``."""
    from ..control.bandit import BanditChooser
    from ..control.controller import GammaController

    name, parameters = split(text)
    make = {"controller": GammaController, "bandit": BanditChooser}[name]
    made: Chooser = _made(f"policy {name}", partial(make, cost), parameters)
    return made


def _made(what: str, make: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    known = signature(make).parameters
    needed = [key for key, p in known.items() if p.default is p.empty]
    check_names(what, parameters, set(known), needed)
    return make(**parameters)
