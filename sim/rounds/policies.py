"""Policies that engines use, by their own rules, and policies with foresight to compare with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...theory.costs.law import CostLaw
from ...theory.domain import check
from .compiled import check_count
from .policy import Keep, Policy


def _length(name: str, value: float, gamma_max: int) -> float:
    number = float(check("gamma", value, label=name, whole=True))
    if number > gamma_max:
        raise ValueError(f"{name} must be an integer in [0, gamma_max = {gamma_max}], got {value}")
    return number


# --- one length throughout ---------------------------------------------------------------------
def _plan_constant(
    drafted: int, accepted: float, batch: int, foresight: int, params: Any, state: Any
) -> int:
    return int(params[0])


def constant(gamma: int) -> Policy:
    """Always ``gamma`` draft tokens, >= 0; 0 is plain decoding."""
    whole = check_count("gamma", gamma, low=0)
    return Policy(f"constant {whole}", _plan_constant, whole, (float(whole),))


# --- Hugging Face transformers -----------------------------------------------------------------
def _plan_heuristic(
    drafted: int, accepted: float, batch: int, foresight: int, params: Any, state: Any
) -> int:
    if drafted >= 0:
        if accepted == drafted:
            state[0] += 2.0
        else:
            state[0] = max(1.0, state[0] - 1.0)
        state[0] = min(state[0], params[0])
    return int(state[0])


def _keep_confident(
    drafted: int, confidence: float, survival: float, params: Any, state: Any
) -> bool:
    return bool(confidence >= params[1])


def heuristic(initial: int = 20, *, gamma_max: int = 64, threshold: float = 0.0) -> Policy:
    """The heuristic schedule of Hugging Face transformers' assisted generation.

    Two tokens more after a round whose drafts were all accepted, one less otherwise, never below
    1. transformers has no upper bound; gamma_max bounds it here. threshold: in [0, 1], stop
    drafting after the first token of lower confidence, which is still verified
    (``assistant_confidence_threshold``; 0 never stops). The adaptation of that threshold by a ROC
    curve, which transformers adds where scikit-learn is installed, is not modelled.
    """
    start = _length("initial", initial, check_count("gamma_max", gamma_max))
    limit = float(check("alpha", threshold, label="threshold"))
    keep = _keep_confident if limit > 0.0 else None
    name = f"heuristic from {initial}" + (f", confidence {limit:g}" if keep else "")
    return Policy(name, _plan_heuristic, gamma_max, (float(gamma_max), limit), (start,), keep)


def confidence_threshold(threshold: float, *, gamma_max: int = 20) -> Policy:
    """Draft until a token's confidence is below ``threshold`` in [0, 1], at most gamma_max tokens.

    transformers' default (constant schedule of 20 tokens, threshold 0.4).
    """
    return _stopping("confidence", threshold, gamma_max, _keep_confident)


def _stopping(name: str, threshold: float, gamma_max: int, keep: Keep) -> Policy:
    limit = float(check("alpha", threshold, label="threshold"))
    size = check_count("gamma_max", gamma_max)
    return Policy(f"{name} {limit:g}", _plan_constant, size, (float(size), limit), keep=keep)


# --- probability that no draft token has been rejected yet --------------------------------------
def _keep_surviving(
    drafted: int, confidence: float, survival: float, params: Any, state: Any
) -> bool:
    return bool(survival >= params[1])


def survival_threshold(threshold: float, *, gamma_max: int = 32) -> Policy:
    """Draft while the probability that every token so far survives is at least ``threshold``.

    threshold: in [0, 1]. With a draft step of c plain steps, the best threshold is near c times
    the speed-up it reaches, divided by the acceptance expected of the next token: one more token
    must bring what its time would earn elsewhere (renewal reward; arXiv:2405.19715 shows that the
    best rule is of this form).
    """
    return _stopping("survival", threshold, gamma_max, _keep_surviving)


# --- tables over the batch size ------------------------------------------------------------------
def _plan_table(
    drafted: int, accepted: float, batch: int, foresight: int, params: Any, state: Any
) -> int:
    for i in range(0, len(params), 2):
        if batch <= params[i]:
            return int(params[i + 1])
    return 0


def batch_table(table: Mapping[int, int]) -> Policy:
    """A schedule over the batch size: ``{largest batch: draft tokens}``, as engines accept it.

    The entry with the smallest key >= the running batch holds; above the largest key nothing is
    drafted. Keys >= 1, values >= 0.
    """
    if not table:
        raise ValueError("table must have one or more entries, got none")
    params: list[float] = []
    for key in sorted(table):
        params += [check_count("batch", key), check_count("gamma", table[key], low=0)]
    return Policy("batch table", _plan_table, max(table.values()), tuple(params), shared=True)


# --- foresight ----------------------------------------------------------------------------------
def _plan_oracle(
    drafted: int, accepted: float, batch: int, foresight: int, params: Any, state: Any
) -> int:
    return min(foresight, int(params[0]))


def _plan_run(
    drafted: int, accepted: float, batch: int, foresight: int, params: Any, state: Any
) -> int:
    # params: tokens to draft with 0, 1, ... acceptable tokens ahead; the last entry from there on.
    # state: acceptable tokens ahead that are known from the rounds before, -1 for none.
    ahead = foresight if state[0] < 0.0 else int(state[0])
    goal = min(int(params[min(ahead, len(params) - 1)]), foresight)
    state[0] = ahead - goal - 1.0
    return goal


def oracle(gamma_max: int = 32) -> Policy:
    """Draft exactly the tokens that will be accepted, at most gamma_max.

    The fastest rule where a draft token costs less than a plain step and a round has no overhead;
    otherwise plain steps can be faster, which :func:`cost_oracle` knows.
    """
    size = check_count("gamma_max", gamma_max, low=0)
    return Policy("oracle", _plan_oracle, size, (float(size),))


def cost_oracle(
    cost: CostLaw, gamma_max: int = 32, *, batch: int = 1, context: float = 0
) -> Policy:
    """Draft, of each run of tokens that will be accepted, what takes the least time.

    Plain steps included, at that batch and context: no rule that decides for one sequence is
    faster. cost: a single cost law, else ValueError.
    """
    size = check_count("gamma_max", gamma_max, low=0)
    if cost.shape != ():
        raise ValueError(f"an oracle needs a single cost law, got shape {cost.shape}")
    times = cost.round_time(size, batch=batch, context=context).tolist()
    return Policy("oracle", _plan_run, size, tuple(_cheapest(times)), (-1.0,))


def _cheapest(times: Sequence[float], ahead: int = 1024) -> list[float]:
    """Tokens to draft first with 0..ahead acceptable tokens ahead, for the least total time.

    A round of g drafts emits g + 1 tokens, so that the time with k ahead is the least over g <= k
    of times[g] plus the time with k - g - 1 ahead, nothing at -1. Of equals the most drafts.
    """
    least, first = [0.0], []  # least[k + 1]: with k ahead
    for k in range(ahead + 1):
        choices = [times[g] + least[k - g] for g in range(min(k, len(times) - 1) + 1)]
        best = min(choices)
        first.append(float(max(g for g, t in enumerate(choices) if t <= best * (1 + 1e-12))))
        least.append(best)
    return first


# --- SGLang's moving average ----------------------------------------------------------------------
def _plan_average(
    drafted: int, accepted: float, batch: int, foresight: int, params: Any, state: Any
) -> int:
    # params: weight, interval, warm-up, down, up, then the candidate lengths in rising order.
    # state: moving average of accepted tokens, batches seen, index of the present candidate.
    top = len(params) - 6
    here = int(state[2])
    if drafted < 0:
        return int(params[5 + here])
    if params[5 + here] > 0.0:
        state[0] = (1.0 - params[0]) * state[0] + params[0] * accepted
    state[1] += 1.0
    seen = state[1] - params[2]
    if seen <= 0.0 or seen % params[1] != 0.0:
        return int(params[5 + here])
    if params[5 + here] == 0.0:  # after an interval without drafts, probe the next length
        here = min(here + 1, top)
        if params[5 + here] > 0.0 and state[0] < 0.0:
            state[0] = params[5 + here] - 1.0
        state[2] = here
        return int(params[5 + here])
    start = here
    while here > 0:
        below = params[5 + here - 1]
        if state[0] > (0.5 if below == 0.0 else below - 0.5) + params[3]:
            break
        here -= 1
    if here == start:
        while here < top and state[0] > params[5 + here] - 0.5 + params[4]:
            here += 1
    state[2] = here
    return int(params[5 + here])


def moving_average(
    candidates: Sequence[int] = (1, 3, 5, 7),
    *,
    initial: int | None = None,
    weight: float = 0.2,
    interval: int = 5,
    warmup: int = 10,
    down: float = -0.25,
    up: float = 0.0,
) -> Policy:
    """SGLang's adaptive number of steps: candidates chosen by a moving average of accepted tokens.

    candidates: lengths >= 0 (``candidate_steps``); initial: the first one, by default or where it
    is no candidate the middle one; weight: of a new batch in the average, in [0, 1]
    (``ema_alpha``); interval, warmup: batches between changes and before the first
    (``update_interval``, ``warmup_batches``); down, up: added to the thresholds
    (``down_hysteresis``, ``up_hysteresis``). One state for the batch. Semantics of
    sglang/srt/speculative/adaptive_spec_params.py at 015c8726, one batch-size slot, no ceiling.
    """
    sizes = sorted({check_count("candidates", c, low=0) for c in candidates})
    if not sizes:
        raise ValueError("candidates must hold one or more lengths, got none")
    for name, value in (("down", down), ("up", up)):
        if not np.isfinite(value):
            raise ValueError(f"{name} must be a finite number, got {value}")
    here = sizes.index(initial) if initial in sizes else len(sizes) // 2
    share = float(check("alpha", weight, label="weight"))
    times = (check_count("interval", interval), check_count("warmup", warmup, low=0))
    params = (share, *times, down, up, *sizes)
    return Policy(
        f"moving average of {sizes}",
        _plan_average,
        sizes[-1],
        tuple(map(float, params)),
        (sizes[here] - 1.0, 0.0, float(here)),
        shared=True,
    )
