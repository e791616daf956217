"""Requests of finite length, decoded in batches under a policy: latencies, gaps, waste.

A batch of requests starts together and runs until the last one ends; as requests end the batch
gets smaller and its rounds cheaper. Each round costs what the cost law says for the largest
number of tokens drafted in it, the sequences running and their mean context. In a ragged batch
every sequence advances by what it emitted; in lockstep all advance by the least of them and the
rest is thrown away.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...theory.costs.law import CostLaw
from ...theory.domain import Floats, check
from .compiled import check_count, compile_kernel, numba_types
from .policy import Policy, signatures
from .traces import Trace


@dataclass(frozen=True)
class Served:
    """What happened to each request, all arrays of shape (requests,) in the order of the trace.

    latency: time from the start of its batch to its last token, in the cost law's unit; length:
    tokens kept; rounds; drafted, accepted: draft tokens; wasted: tokens emitted but thrown away
    (beyond the end, or beyond the least of the batch in lockstep). gaps: time between each token
    and the one before it, shape (tokens,), in the order of the trace; None unless asked for.
    """

    latency: Floats
    length: NDArray[np.int64]
    rounds: NDArray[np.int64]
    drafted: NDArray[np.int64]
    accepted: NDArray[np.int64]
    wasted: NDArray[np.int64]
    gaps: Floats | None = None

    def latency_quantiles(self, shares: ArrayLike) -> Floats:
        """Latency that a share of the requests stays within; shares in [0, 1]."""
        return np.asarray(np.quantile(self.latency, check("alpha", shares, label="shares")))


def _linear_in_context(cost: CostLaw, gamma_max: int, batch: int, top: float) -> bool:
    """Whether round times at irregular contexts lie on the line between 0 and ``top``."""
    shares = np.array([0.0, 0.037, 0.141, 0.293, 0.467, 0.619, 0.773, 0.911, 1.0])
    for size in {1, batch}:
        times = np.array(
            [cost.round_time(gamma_max, batch=size, context=s * top) for s in shares.tolist()]
        )
        line = times[0] + shares[:, None] * (times[-1] - times[0])
        if not np.allclose(times, line, rtol=1e-12, atol=0.0):
            return False
    return True


def cost_table(
    cost: CostLaw,
    *,
    gamma_max: int,
    batch: int,
    context_max: float = 0.0,
    knots: int | None = None,
) -> tuple[Floats, float]:
    """Times of rounds at every batch, at equally spaced contexts, at every gamma, and the spacing.

    Shape (batch, knots, gamma_max + 1), entry [b - 1, i, g] at batch b and context i * spacing;
    between knots the time is taken as linear. By default 2 knots, which is exact, where the law is
    linear in the context, and 129 otherwise. Raises ValueError for a law with array parameters or
    with a time that is not finite and positive.
    """
    if cost.shape != ():
        raise ValueError(f"simulating needs a single cost law, got shape {cost.shape}")
    largest, top = check_count("batch", batch), max(float(check("context", context_max)), 1.0)
    if knots is None:
        knots = 2 if _linear_in_context(cost, gamma_max, largest, top) else 129
    count = check_count("knots", knots, low=2)
    spacing = top / (count - 1)
    table = np.array(
        [
            [cost.round_time(gamma_max, batch=b, context=i * spacing) for i in range(count)]
            for b in range(1, largest + 1)
        ]
    )
    if not (np.isfinite(table).all() and (table > 0.0).all()):
        raise ValueError("the cost law must give times in (0, inf) up to gamma_max and the context")
    return np.ascontiguousarray(table), spacing


def _serve(
    offsets: Any, accepted: Any, confidence: Any, prompts: Any, flags: Any, table: Any,
    spacing: float, plan: Any, keep: Any, params: Any, state0: Any, groups: Any, latency: Any,
    tally: Any, gaps: Any,
) -> int:  # fmt: skip
    """Serve groups[0]..groups[1] - 1 of ``batch`` requests each; -1 where a plan is out of range.

    flags: by_round, lockstep, truncate, stops, shared, batch, depth (confidences of an entry).
    tally columns: rounds, drafted, accepted, wasted.
    """
    by_round, lockstep, truncate, stops, shared, batch, depth = flags
    most, knots = table.shape[2] - 1, table.shape[1]
    states = np.empty((batch, state0.size))
    at, last = np.empty(batch, np.int64), np.empty(batch)
    used, drew, took = (
        np.empty(batch, np.int64),
        np.empty(batch, np.int64),
        np.empty(batch, np.int64),
    )
    for group in range(groups[0], groups[1]):
        first = group * batch
        size = min(batch, offsets.size - 1 - first)
        at[:], used[:], drew[:], took[:], last[:] = 0, 0, -1, 0, 0.0
        for i in range(size):
            states[i, :] = state0
        running, now, common = size, 0.0, 0.0
        planned, before = 0, -1
        while running > 0:
            context, widest, least = 0.0, 0, 1 << 40
            if shared:
                planned = plan(before, common, running, 0, params, states[0])
            for i in range(size):
                r = first + i
                left = offsets[r + 1] - offsets[r] - at[i]
                if left == 0:
                    continue
                entry = offsets[r] + (used[i] if by_round else at[i])
                context += prompts[r] + at[i]
                goal = planned
                if not shared:
                    goal = plan(
                        drew[i], float(took[i]), running, accepted[entry], params, states[i]
                    )
                if goal < 0 or goal > most:
                    return -1
                if truncate:
                    goal = min(goal, left - 1)
                if stops:
                    count, survival, where = 0, 1.0, entry * depth
                    while count < goal:
                        known = by_round or count < left
                        chance = confidence[where + count] if known else 1.0
                        survival *= chance
                        count += 1
                        if not keep(count, chance, survival, params, states[0 if shared else i]):
                            break
                    goal = count
                drew[i] = goal
                took[i] = min(accepted[entry], goal)
                widest = max(widest, goal)
                least = min(least, took[i] + 1)
                used[i] += 1
            place = min(context / running / spacing, knots - 1.0)
            knot = min(int(place), knots - 2)
            part = place - knot
            now += table[running - 1, knot, widest] * (1.0 - part)
            now += table[running - 1, knot + 1, widest] * part
            total, alive = 0, running
            for i in range(size):
                r = first + i
                left = offsets[r + 1] - offsets[r] - at[i]
                if left == 0:
                    continue
                total += took[i]
                step = min(least if lockstep else took[i] + 1, left)
                if gaps.size > 0:
                    gaps[offsets[r] + at[i]] = now - last[i]
                    for j in range(1, step):
                        gaps[offsets[r] + at[i] + j] = 0.0
                last[i] = now
                at[i] += step
                tally[r, 0] += 1
                tally[r, 1] += drew[i]
                tally[r, 2] += took[i]
                tally[r, 3] += took[i] + 1 - step
                if step == left:
                    latency[r] = now
                    running -= 1
            before, common = widest, total / alive
    return 0


@cache
def _kernel() -> Any:
    types = numba_types()
    plan, keep = signatures()
    i8, f8 = types.int64[::1], types.float64[::1]
    counts = types.Tuple((types.int64,) * 2)
    return compile_kernel(
        _serve,
        types.int64(
            i8,
            types.int16[::1],
            f8,
            i8,
            types.UniTuple(types.int64, 7),
            types.float64[:, :, ::1],
            types.float64,
            types.FunctionType(plan),
            types.FunctionType(keep),
            f8,
            f8,
            counts,
            f8,
            types.int64[:, ::1],
            f8,
        ),
    )


def check_confidences(policy: Policy, trace: Trace) -> None:
    """Raise ValueError unless the trace has the confidences by which the policy stops."""
    if trace.confidence is None:
        raise ValueError(
            f"policy {policy.name!r} needs confidences, the trace has none: give beside "
            "accept_len_<drafter> a list confidence_<drafter>, one number in [0, 1] a position"
        )
    if trace.by_round and trace.confidence.shape[1] < policy.gamma_max:
        raise ValueError(
            f"policy {policy.name!r} may draft {policy.gamma_max} tokens, rounds of the trace have "
            f"{trace.confidence.shape[1]} confidences"
        )


def serve_batches(
    trace: Trace,
    cost: CostLaw,
    policy: Policy,
    *,
    batch: int = 1,
    lockstep: bool = False,
    truncate: bool = False,
    gaps: bool = False,
    workers: int = 1,
) -> Served:
    """Decode the requests of a trace, ``batch`` at a time in their order, each batch to its end.

    cost: a single cost law; batch: >= 1; lockstep: all sequences advance by the least; truncate:
    a round drafts no more than the request still needs, instead of throwing the surplus away;
    gaps: record the time between tokens; workers: threads, without influence on the result.
    Raises ValueError where the policy stops by confidence and the trace has none, or too few a
    round, or plans a length outside 0..gamma_max.
    """
    size = check_count("batch", batch)
    if policy.keep is not None:
        check_confidences(policy, trace)
    longest = float((trace.prompts + trace.lengths).max())
    table, spacing = cost_table(
        cost, gamma_max=policy.gamma_max, batch=min(size, trace.requests), context_max=longest
    )
    chance = np.ones(0) if trace.confidence is None else trace.confidence.ravel()
    depth = chance.size // trace.accepted.size
    flags = (
        trace.by_round, lockstep, truncate, policy.keep is not None, policy.shared, size, depth,
    )  # fmt: skip
    latency, tally = np.zeros(trace.requests), np.zeros((trace.requests, 4), np.int64)
    between = np.zeros(trace.accepted.size if gaps else 0)
    plan, keep = policy.compiled()
    params, state = np.array(policy.params, np.float64), np.array(policy.state, np.float64)
    groups = -(-trace.requests // size)
    threads = min(check_count("workers", workers), groups)
    edges = [groups * i // threads for i in range(threads + 1)]

    def part(begin: int, end: int) -> int:
        return int(
            _kernel()(
                trace.offsets,
                trace.accepted,
                chance,
                trace.prompts,
                tuple(map(int, flags)),
                table,
                spacing,
                plan,
                keep,
                params,
                state,
                (begin, end),
                latency,
                tally,
                between,
            )
        )

    with ThreadPoolExecutor(threads) as pool:
        if any(list(pool.map(part, edges[:-1], edges[1:]))):
            raise ValueError(
                f"policy {policy.name!r} planned a length outside [0, {policy.gamma_max}]"
            )
    rounds, drafted, accepted, wasted = tally.T.copy()
    record = between if gaps else None
    return Served(latency, trace.lengths, rounds, drafted, accepted, wasted, record)
