"""The event loop of a continuously batching engine, of scalars and arrays only.

Numba compiles it as it stands; interpreted it gives the same numbers, bit for bit, far more slowly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...theory.domain import Floats

# Columns of the totals: seconds elapsed, seconds with work, sequence-seconds, rounds of the engine,
# rounds of sequences, tokens emitted, tokens kept (not beyond a request's end), requests finished.
CLOCK, BUSY, AREA, ROUNDS, TURNS, EMITTED, TOKENS, DONE = range(8)


@dataclass(frozen=True)
class FleetRun:
    """Times of every request of one run [s], each of shape (requests,), and sums over windows.

    Latency is finish - arrival, time to first token first - arrival, queueing delay start -
    arrival. bounds: requests bounds[k]..bounds[k + 1] - 1 arrive in window k, shape (windows + 1,);
    those before bounds[0] are warm-up. totals: sums over the warm-up, each window, and the drain
    after the last arrival, shape (windows + 2, 8); the columns are named above.
    """

    arrival: Floats
    start: Floats
    first: Floats
    finish: Floats
    bounds: NDArray[np.int64]
    totals: Floats


def serve(
    arrival: Any,
    length: Any,
    prompt: Any,
    kind: Any,
    key: Any,
    gamma: Any,
    survival: Any,
    time: Any,
    context_step: float,
    edges: Any,
) -> Any:
    """Serve every request and return (start, first, finish, totals).

    arrival: sorted arrival times [s]; length: tokens to emit, >= 1; prompt: tokens in the cache at
    the start; kind: index into survival; each of shape (requests,). key: a uint64 that names the
    stream of acceptance draws. gamma, shape (max_batch + 1,), and time, shape
    (max_batch + 1, knots) [s], are read at the present batch; time is linear between contexts
    context_step apart. survival, shape (kinds, gammas + 1, gammas + 1): row g of a kind holds
    s_0..s_g. edges: times that cut the run into edges.size + 1 windows; totals, shape
    (edges.size + 1, 8), adds up each window, a round counting where it begins.

    The j-th draw of request i is element i 2^24 + j of one SplitMix64 stream (Steele, Lea, Flood
    2014), so that it does not depend on what the engine does: common random numbers.
    """
    requests = arrival.size
    most = gamma.size - 1
    knots = time.shape[1]
    start = np.zeros(requests)
    first = np.zeros(requests)
    finish = np.zeros(requests)
    left = length.copy()
    served = np.zeros(requests, np.int64)
    running = np.zeros(most, np.int64)
    totals = np.zeros((edges.size + 1, 8))
    now = 0.0
    held = 0.0
    window = 0
    batch = 0
    admitted = 0
    while batch > 0 or admitted < requests:
        while window < edges.size and now >= edges[window]:
            window += 1
        if batch == 0 and arrival[admitted] > now:
            totals[window, CLOCK] += arrival[admitted] - now
            now = arrival[admitted]
            continue
        while admitted < requests and batch < most and arrival[admitted] <= now:
            start[admitted] = now
            running[batch] = admitted
            held += prompt[admitted]
            batch += 1
            admitted += 1
        duration = time[batch, 0]
        if knots > 1:
            place = min(held / batch / context_step, knots - 1.0)
            knot = min(int(place), knots - 2)
            duration = time[batch, knot] + (place - knot) * (
                time[batch, knot + 1] - time[batch, knot]
            )
        totals[window, CLOCK] += duration
        totals[window, BUSY] += duration
        totals[window, AREA] += batch * duration
        totals[window, ROUNDS] += 1.0
        totals[window, TURNS] += batch
        now += duration
        drafted = gamma[batch]
        i = 0
        while i < batch:
            request = running[i]
            tokens = 1
            if drafted > 0:
                z = np.uint64(request * 16777216 + served[request] + 1)
                z = key + z * np.uint64(0x9E3779B97F4A7C15)
                z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
                z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
                uniform = float((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53
                while tokens <= drafted and uniform < survival[kind[request], drafted, tokens]:
                    tokens += 1
            totals[window, EMITTED] += tokens
            tokens = min(tokens, left[request])
            if served[request] == 0:
                first[request] = now
            served[request] += 1
            left[request] -= tokens
            held += tokens
            totals[window, TOKENS] += tokens
            if left[request] == 0:
                totals[window, DONE] += 1.0
                finish[request] = now
                held -= prompt[request] + length[request]
                batch -= 1
                running[i] = running[batch]
            else:
                i += 1
    return start, first, finish, totals
