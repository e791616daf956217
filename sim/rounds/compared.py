"""A controller against other rules on the same requests, in running order.

`serve_batches` gives every request a fresh state. A controller learns from one request for the
next, so here the requests pass one after the other (or batch after batch) under one state, as they
do in an engine. A chooser is anything with ``choose`` and ``update``; `PolicyChooser` makes one of
a policy of `policies`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ...theory.costs.law import CostLaw
from ...theory.domain import Floats
from .compiled import check_count
from .estimate import Estimate, ratio_estimate
from .policies import constant
from .policy import Policy
from .requests import check_confidences, cost_table
from .traces import Trace


class Chooser(Protocol):
    """What chooses the draft tokens of each round."""

    def choose(self, *, batch: int = 1, context: float = 0.0) -> int:
        """Draft tokens of the next round."""
        ...

    def update(self, drafted: int, accepted: list[int]) -> None:
        """What each sequence of the round accepted."""
        ...


class PolicyChooser:
    """A policy with one state for the whole run, the mean of the batch as what was accepted.

    policy: as given; one that stops by confidence needs a trace that has them.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._state = list(policy.state)
        self._last = (-1, 0.0)

    def choose(self, *, batch: int = 1, context: float = 0.0) -> int:
        """What the policy plans for the next round."""
        drafted, accepted = self._last
        params = self.policy.params
        return int(self.policy.plan(drafted, accepted, batch, 0, params, self._state))

    def ends(self, gamma: int, confidences: Sequence[float]) -> int:
        """Tokens that a sequence drafts of ``gamma``, by the confidences of its tokens in turn.

        Tokens beyond the confidences given never end a draft.
        """
        keep, survival = self.policy.keep, 1.0
        for drafted, confidence in enumerate(confidences[:gamma], 1):
            survival *= confidence
            if keep and not keep(drafted, confidence, survival, self.policy.params, self._state):
                return drafted
        return gamma

    def update(self, drafted: int, accepted: list[int]) -> None:
        """Remember the round for the next plan."""
        self._last = (drafted, sum(accepted) / len(accepted))


@dataclass(frozen=True)
class Run:
    """What a chooser took: time of each batch of requests, and its tokens.

    time: shape (batches,), in the cost law's unit; tokens: tokens kept, and sequence_rounds: rounds
    of each sequence added up, shape (batches,); rounds, drafted: totals; gammas: how often each
    gamma was chosen, shape (gamma_max + 1,).
    """

    time: Floats
    tokens: Floats
    sequence_rounds: Floats
    rounds: int
    drafted: int
    gammas: Floats


def run_chooser(
    trace: Trace, cost: CostLaw, chooser: Chooser | None, *, batch: int = 1, gamma_max: int = 16
) -> Run:
    """Decode the requests of a trace in their order, ``batch`` at a time, under one state.

    chooser: None for foresight, which knows what every sequence will accept and drafts what earns
    the most tokens per time in that round; gamma_max: largest gamma that may be chosen. Every
    sequence of a batch drafts the same number, except where a policy ends drafts by confidence: the
    longest of them then is the gamma of the round. The batch shrinks as its requests end, and its
    round costs what the cost law says at the mean context. Raises ValueError for a choice outside
    0..gamma_max, and for confidences that are needed and not there.
    """
    stopping = chooser if isinstance(chooser, PolicyChooser) and chooser.policy.keep else None
    if stopping is not None:
        check_confidences(stopping.policy, trace)
    size, most = check_count("batch", batch), check_count("gamma_max", gamma_max)
    longest = float((trace.prompts + trace.lengths).max())
    table, spacing = cost_table(
        cost, gamma_max=most, batch=min(size, trace.requests), context_max=longest
    )
    costs, knots = table.tolist(), table.shape[1]
    offsets, entries = trace.offsets.tolist(), trace.accepted.tolist()
    prompts = trace.prompts.tolist()
    spent, made, seen, used = [], [], [], np.zeros(most + 1)
    for first in range(0, trace.requests, size):
        members = range(first, min(first + size, trace.requests))
        at = {r: [0, 0] for r in members}  # tokens kept and rounds run
        now, steps = 0.0, 0
        while at:
            running = len(at)
            context = sum(prompts[r] + a[0] for r, a in at.items()) / running
            here = [offsets[r] + (a[1] if trace.by_round else a[0]) for r, a in at.items()]
            free = [entries[entry] for entry in here]
            place = min(context / spacing, knots - 1.0)
            knot = min(int(place), knots - 2)
            near, far = costs[running - 1][knot], costs[running - 1][knot + 1]
            part = place - knot
            if chooser is None:
                gamma = _foresight(
                    free, [a + part * (b - a) for a, b in zip(near, far, strict=True)]
                )
            else:
                gamma = chooser.choose(batch=running, context=context)
            if not 0 <= gamma <= most:
                raise ValueError(f"gamma must be in [0, {most}], the chooser gave {gamma}")
            ends = [gamma] * running
            if stopping is not None:
                sure = (_confidences(trace, r, e) for r, e in zip(at, here, strict=True))
                ends = [stopping.ends(gamma, confidences) for confidences in sure]
                gamma = max(ends)
            now += near[gamma] * (1.0 - part) + far[gamma] * part
            accepted = [min(f, end) for f, end in zip(free, ends, strict=True)]
            if chooser is not None:
                chooser.update(gamma, accepted)
            used[gamma] += 1.0
            steps += running
            for r, count in zip(list(at), accepted, strict=True):
                at[r][0] += count + 1
                at[r][1] += 1
                if at[r][0] >= offsets[r + 1] - offsets[r]:
                    del at[r]
        spent.append(now)
        seen.append(float(steps))
        made.append(float(offsets[members[-1] + 1] - offsets[first]))
    rounds = int(used.sum())
    drafted = int(used @ np.arange(most + 1.0))
    return Run(np.array(spent), np.array(made), np.array(seen), rounds, drafted, used)


def _confidences(trace: Trace, request: int, entry: int) -> list[float]:
    """Confidences of the tokens that a round of a request drafts from an entry of the trace."""
    assert trace.confidence is not None
    if trace.by_round:
        return list(trace.confidence[entry].tolist())
    return list(trace.confidence[entry : trace.offsets[request + 1]].tolist())


def _foresight(free: list[int], times: list[float]) -> int:
    """The gamma with the most tokens per time when ``free`` tokens would be accepted."""
    most = min(max(free), len(times) - 1)
    values = [sum(min(f, g) + 1 for f in free) / times[g] for g in range(most + 1)]
    return values.index(max(values))


@dataclass(frozen=True)
class Regret:
    """Time that a rule takes beyond another on the same requests, as a share.

    excess: E[time] / E[time of the other] - 1, the batch of requests as the unit of its error.
    speedup: over plain decoding.
    """

    name: str
    excess: Estimate
    speedup: Estimate
    run: Run


def compare(
    trace: Trace,
    cost: CostLaw,
    choosers: dict[str, Callable[[], Chooser | None]],
    *,
    constants: Sequence[int] = tuple(range(17)),
    batch: int = 1,
    gamma_max: int = 16,
) -> tuple[int, tuple[Regret, ...]]:
    """(best constant gamma in hindsight, every rule against it), the constant itself first.

    choosers: makers of choosers by name, a maker of None for foresight. constants: gammas tried,
    0 among them as plain decoding. The best constant is chosen on the same requests, which favours
    it a little.
    """
    if 0 not in constants:
        raise ValueError("constants must hold 0, plain decoding, as the reference")
    options = {"batch": batch, "gamma_max": gamma_max}
    fixed = {g: run_chooser(trace, cost, PolicyChooser(constant(g)), **options) for g in constants}
    best = min(fixed, key=lambda g: float(fixed[g].time.sum()))
    plain, reference = fixed[0].time, fixed[best].time
    runs = {f"constant {best}": fixed[best]}
    for name, make in choosers.items():
        runs[name] = run_chooser(trace, cost, make(), **options)
    found = []
    for name, run in runs.items():
        ratio = ratio_estimate(run.time, reference)
        excess = Estimate(ratio.mean - 1.0, ratio.se, ratio.n)
        found.append(Regret(name, excess, ratio_estimate(plain, run.time), run))
    return best, tuple(found)
