"""What a policy is: how many tokens to draft in the next round, and when to stop within one.

A policy is two small functions of plain numbers, so that Numba can compile them and a user can
write his own in a few lines:

    def plan(drafted, accepted, batch, foresight, params, state):
        '''Tokens to draft in the next round.'''

    def keep(drafted, confidence, survival, params, state):
        '''Whether to draft one more token in this round.'''

drafted, accepted: tokens drafted and accepted in the last round, drafted = -1 before the first
(accepted is the mean over the batch where one state is shared by it); batch: sequences running;
foresight: tokens that the target would accept, for an oracle only. confidence: what the draft
reports for the token it just drafted; survival: product of the confidences so far in this round.
params: constants, an array; state: an array that the functions may change, a fresh copy of
``Policy.state`` for each request (or batch). They may use no other memory. For example, draft one
token more after each full match and start again at 2 after a rejection:

    >>> from howspec.sim.rounds.policy import Policy
    >>> def climb(drafted, accepted, batch, foresight, params, state):
    ...     if drafted < 0 or accepted < drafted:
    ...         return int(params[0])
    ...     return min(drafted + 1, int(params[1]))
    >>> policy = Policy("climb", plan=climb, gamma_max=8, params=(2.0, 8.0))
    >>> policy.plan(3, 3.0, 1, 0, policy.params, [])
    4
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from .compiled import check_count, compile_kernel, numba_types

Plan = Callable[[int, float, int, int, Any, Any], int]
Keep = Callable[[int, float, float, Any, Any], bool]


def _always(drafted: int, confidence: float, survival: float, params: Any, state: Any) -> bool:
    return True


@dataclass(frozen=True)
class Policy:
    """A rule for the number of draft tokens; see the module for the two functions.

    gamma_max: the largest number that ``plan`` returns; a larger one is an error, not clipped.
    params, state: numbers handed to the functions, the state as it is before the first round.
    shared: one state for the whole batch, which then drafts the same number for every sequence.
    keep: None where a round always drafts what was planned.
    """

    name: str
    plan: Plan
    gamma_max: int
    params: tuple[float, ...] = ()
    state: tuple[float, ...] = ()
    keep: Keep | None = None
    shared: bool = False

    def __post_init__(self) -> None:
        check_count("gamma_max", self.gamma_max, low=0)

    def compiled(self) -> tuple[Any, Any]:
        """The two functions compiled to one fixed type, so that kernels need not be recompiled."""
        return _compiled_pair(self.plan, self.keep or _always)


def signatures() -> tuple[Any, Any]:
    """Numba types of a compiled ``plan`` and ``keep``."""
    types = numba_types()
    array, whole, real = types.float64[::1], types.int64, types.float64
    return (
        types.int64(whole, real, whole, whole, array, array),
        types.boolean(whole, real, real, array, array),
    )


@cache
def _compiled_pair(plan: Plan, keep: Keep) -> tuple[Any, Any]:
    planned, kept = signatures()
    return compile_kernel(plan, planned), compile_kernel(keep, kept)
