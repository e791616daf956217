"""`howspec simulate`: rounds, requests or a fleet under load, by Monte-Carlo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from . import options
from .answering import Given, answering
from .commands import Option


@answering(
    "acceptance costs alpha law cost_ratio trace drafter gamma policy tokens requests batch "
    "arrival_rate crossing rounds rule width vocabulary replay match target draft device task "
    "temperature context dtype stack grid backend address workers resume seed html as_json"
)
def simulate(
    given: Given,
    law: Annotated[
        str | None, Option(help="Acceptance law, such as depth:alpha=0.8,decay=0.95.")
    ] = None,
    trace: Annotated[
        str | None,
        Option(help="JSON lines of measured acceptance, prompt_tokens and accept_len_*."),
    ] = None,
    drafter: Annotated[
        str | None, Option(help="Which accept_len_* of the trace; default eagle.")
    ] = None,
    gamma: Annotated[int | None, Option(help="Draft tokens per round, >= 0.")] = None,
    policy: Annotated[
        str | None,
        Option(help="Instead of gamma: heuristic:initial=5, oracle, controller, bandit, best..."),
    ] = None,
    tokens: Annotated[
        int | None, Option(help="Tokens of each request; without it, endless requests.")
    ] = None,
    requests: Annotated[
        int | None, Option(help="Requests simulated; default by their length.")
    ] = None,
    batch: Annotated[
        int | None,
        Option(help="Sequences decoded together; under load the most of them (256)."),
    ] = None,
    arrival_rate: Annotated[
        float | None,
        Option(help="Requests per second of a fleet under load; needs costs in seconds."),
    ] = None,
    crossing: Annotated[
        bool,
        Option(
            "--crossing", help="Find the arrival rate above which a fleet is faster without drafts."
        ),
    ] = False,
    rounds: Annotated[
        int, Option(help="Rounds simulated for the speed-up of endless requests.")
    ] = 1_000_000,
    rule: Annotated[
        str | None,
        Option(
            help="Run this rule of verification: token, block, recursive, recursive_distinct, "
            "k_seq, naive or top."
        ),
    ] = None,
    width: Annotated[
        int | None, Option(help="Drafts at each position, of rules of several; default 2.")
    ] = None,
    vocabulary: Annotated[
        int | None, Option(help="Tokens of the vocabulary of a rule; default 1000.")
    ] = None,
    replay: Annotated[
        str | None,
        Option(
            help="Follow the published simulator on --trace with these times of a step: a JSON "
            "file, or target_fixed=0.0059,target_token=2.1e-5,target_kv=3.9e-8,..."
        ),
    ] = None,
    match: Annotated[
        float | None,
        Option(help="Of a replay: chance that n-grams find what will be rejected."),
    ] = None,
    grid: Annotated[
        str | None,
        Option(help="Many settings: options with lists, as 'alpha=0.6,0.8 gamma=1,2,3'."),
    ] = None,
    backend: Annotated[
        str, Option(help="Where a grid runs: sequential, threading, loky, dask or ray.")
    ] = "loky",
    address: Annotated[
        str | None, Option(help="Scheduler of the cluster, for dask or ray.")
    ] = None,
    workers: Annotated[
        int | None, Option(help="Workers of a grid; default all cores or the cluster.")
    ] = None,
    resume: Annotated[
        str | None, Option(help="File of finished points; those in it are not run again.")
    ] = None,
) -> None:
    """Simulate speculative decoding: tokens per round, speed-up and latency, with their errors.

    Without --tokens the speed-up is that of endless requests; with it, the last round of each
    request is cut at its end. With --arrival-rate requests arrive at random and are batched
    continuously, and the speed-up is that of their mean latency at the same rate. With --grid every
    combination is simulated, on all cores or on a cluster, with the same numbers wherever it runs.

    A policy may learn (controller, bandit), and is held against the best constant gamma; best is
    the search for that gamma. A rule of verification runs on explicit distributions that overlap as
    --alpha says, and every token that it emits is tested against the target's law.

    Examples:

    howspec simulate --alpha 0.8 --gamma 5 --cost-ratio 0.05

    howspec simulate --law depth:alpha=0.8,decay=0.9 --gamma 4 --cost-ratio 0.1

    howspec simulate --rule block --alpha 0.7 --gamma 4 --cost-ratio 0.05 --rounds 200000

    howspec simulate --crossing --target Llama-3.1-8B --draft Llama-3.2-1B --device H100 --gamma 3
    --alpha 0.62

    howspec simulate --cost-ratio 0.05 --grid "alpha=0.6,0.8 gamma=1,3,5"
    """
    if law is not None and given["alpha"] is not None:
        raise ValueError("--alpha and --law both state acceptance: give one of them")
    if law is not None:
        given["alpha"] = law
    del given["law"]
    given["grid"] = None if grid is None else _axes(grid)
    given["dtype"] = given["dtype"] or None


_KINDS: dict[str, Callable[[str], Any]] = {
    "acceptance": options.exact, "alpha": float, "law": str, "gamma": int, "policy": str,
    "cost_ratio": float, "costs": options.exact,
    "tokens": int, "batch": int, "arrival_rate": float, "rounds": int,
    "rule": str, "width": int, "vocabulary": int, "match": float,
}  # fmt: skip


def _axes(text: str) -> dict[str, list[Any]]:
    axes: dict[str, list[Any]] = {}
    for part in text.split():
        name, _, values = part.partition("=")
        name = name.replace("-", "_")
        if name not in _KINDS or not values:
            raise ValueError(
                f"--grid takes NAME=V1,V2,... with NAME one of {', '.join(_KINDS)}, got {part!r}"
            )
        try:
            axes[name] = [_KINDS[name](v) for v in values.split(",")]
        except ValueError:
            kind = "numbers" if _KINDS[name] is float else "whole numbers"
            raise ValueError(f"--grid: values of {name} must be {kind}, got {values!r}") from None
    if not axes:
        raise ValueError("--grid takes NAME=V1,V2,..., got nothing")
    return axes
