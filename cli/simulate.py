"""`howspec simulate`: rounds, requests or a fleet under load, by Monte-Carlo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import options
from .answering import Given, answering
from .commands import Option

_KINDS: dict[str, Callable[[str], Any]] = {
    "acceptance": options.exact, "alpha": float, "law": str, "gamma": int, "policy": str,
    "cost_ratio": float, "costs": options.exact,
    "tokens": int, "batch": int, "arrival_rate": float, "rounds": int,
    "rule": str, "width": int, "vocabulary": int, "match": float,
}  # fmt: skip


def _axes(text: str, option: str) -> dict[str, list[Any]]:
    axes: dict[str, list[Any]] = {}
    for part in text.split():
        name, _, values = part.partition("=")
        name = name.replace("-", "_")
        if name not in _KINDS or not values:
            raise ValueError(
                f"{option} takes NAME=V1,V2,... with NAME one of {', '.join(_KINDS)}, got {part!r}"
            )
        try:
            axes[name] = [_KINDS[name](v) for v in values.split(",")]
        except ValueError:
            kind = "numbers" if _KINDS[name] is float else "whole numbers"
            raise ValueError(f"{option}: values of {name} must be {kind}, got {values!r}") from None
    if not axes:
        raise ValueError(f"{option} takes NAME=V1,V2,..., got nothing")
    return axes


@answering(
    "acceptance costs alpha law cost_ratio trace drafter gamma policy tokens requests batch "
    "arrival_rate crossing rounds rule width vocabulary replay match target draft device task "
    "temperature context dtype stack grid backend address workers resume seed html as_json",
    law="Acceptance law, such as depth:alpha=0.8,decay=0.95.",
    trace="JSON lines of measured acceptance, prompt_tokens and accept_len_*; confidence_* if any.",
    drafter="Which accept_len_* of the trace; default eagle.",
    gamma="Draft tokens per round, >= 0.",
    policy="Instead of gamma: heuristic:initial=5, confidence-threshold:threshold=0.4, oracle, "
    "controller, bandit, best...",
    tokens="Tokens of each request; without it, endless requests.",
    requests="Requests simulated; default by their length.",
    batch="Sequences decoded together; under load the most of them (256).",
    arrival_rate="Requests per second of a fleet under load; needs costs in seconds.",
    crossing="Find the arrival rate above which a fleet is faster without drafts.",
    rounds="Rounds simulated for the speed-up of endless requests.",
    rule="Run this rule of verification: token, block, recursive, recursive_distinct, k_seq, "
    "naive or top.",
    width="Drafts at each position, of rules of several; default 2.",
    vocabulary="Tokens of the vocabulary of a rule; default 1000.",
    replay="Follow the published simulator on --trace with these times of a step: a JSON "
    "file, or target_fixed=0.0059,target_token=2.1e-5,target_kv=3.9e-8,...",
    match="Of a replay: chance that n-grams find what will be rejected.",
    grid=Option("Many settings: options with lists, as 'alpha=0.6,0.8 gamma=1,2,3'.", parse=_axes),
    backend="Where a grid runs: sequential, threading, loky, dask or ray.",
    address="Scheduler of the cluster, for dask or ray.",
    workers="Workers of a grid; default all cores or the cluster.",
    resume="File of finished points; those in it are not run again.",
)
def simulate(given: Given) -> None:
    """Simulate speculative decoding: tokens per round, speed-up and latency, with their errors.

    Without --tokens the speed-up is that of endless requests; with it, the last round of each
    request is cut at its end. With --arrival-rate requests arrive at random and are batched
    continuously, and the speed-up is that of their mean latency at the same rate. With --grid every
    combination is simulated, on all cores or on a cluster, with the same numbers wherever it runs.

    A policy may learn (controller, bandit), and is held against the best constant gamma; best is
    the search for that gamma. confidence-threshold, survival-threshold and heuristic:threshold=0.4
    end a draft by the draft's own confidence, read from the trace or drawn about acceptance. A rule
    of verification runs on explicit distributions that overlap as --alpha says, and every token
    that it emits is tested against the target's law.

    Examples:

    howspec simulate --alpha 0.8 --gamma 5 --cost-ratio 0.05

    howspec simulate --law depth:alpha=0.8,decay=0.9 --gamma 4 --cost-ratio 0.1

    howspec simulate --rule block --alpha 0.7 --gamma 4 --cost-ratio 0.05 --rounds 200000

    howspec simulate --crossing --target Llama-3.1-8B --draft Llama-3.2-1B --device H100 --gamma 3
    --alpha 0.62

    howspec simulate --cost-ratio 0.05 --grid "alpha=0.6,0.8 gamma=1,3,5"
    """
    given["alpha"] = options.one_of(given, "--alpha", "--law")
