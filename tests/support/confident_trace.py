"""Traces by position in which the draft knows the acceptance probability of each token."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from howspec.sim.rounds.traces import Trace, trace_from_flags
from numpy.typing import ArrayLike


def confident_trace(rng: np.random.Generator, confidence: ArrayLike, lengths: ArrayLike) -> Trace:
    """Every position has one of the confidences, and is accepted with that probability."""
    chance = rng.choice(np.atleast_1d(confidence), int(np.sum(lengths)))
    trace = trace_from_flags(rng.random(chance.size) < chance, lengths=lengths)
    return replace(trace, confidence=chance)
