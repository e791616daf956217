"""Options that the verbs share: one name and one meaning each."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from .commands import Option

TARGET = Option(help="Target model: a name, a config.json or its folder.")
DEVICE = Option(help="Device: H100, '2x A100 80GB', or its data: bandwidth=320,memory=16,fp16=51.")
Every = Annotated[
    float | None, Option(help="Seconds between scrapes of a metrics URL, with --for.")
]
For = Annotated[
    float | None,
    Option("--for", help="Seconds to watch a metrics URL; two scrapes at least."),
]
Json = Annotated[bool, Option("--json", help="Print one JSON object.")]


def _shared(kind: Any, about: str, default: object = None, *names: str) -> tuple[Any, object]:
    return Annotated[kind, Option(*names, help=about)], default


# The options that several verbs share, by the name of their argument, with their defaults.
SHARED: dict[str, tuple[Any, object]] = {
    "target": (Annotated[str | None, TARGET], None),
    "draft": _shared(
        str | None, "Draft: a model's name, config.json or folder, or a head such as EAGLE3."
    ),
    "device": (Annotated[str | None, DEVICE], None),
    "acceptance": _shared(
        str | None,
        "What is known of acceptance: a rate, a law such as depth:alpha=0.8,decay=0.95, a "
        "record, an engine's log or metrics, JSON of `howspec import`, - or a URL.",
    ),
    "every": (Every, None),
    "for_": (For, None),
    "costs": _shared(
        str | None,
        "What is known of costs: a cost ratio, a record, a law as JSON, or a CSV of passes.",
    ),
    "alpha": _shared(
        str | None, "Acceptance as a rate of a draft token given those before it, [0, 1]."
    ),
    "cost_ratio": _shared(float | None, "Costs as time of a draft step, in plain target steps."),
    "acceptance_length": _shared(
        str | None, "Tokens per round with the bonus token, measured at --gamma."
    ),
    "gamma": _shared(int | None, "Draft tokens of the measured rounds."),
    "alpha_tokens": _shared(
        float | None, "Draft tokens behind the rate: it updates the prediction of the pair."
    ),
    "decay": _shared(float, "Factor of the rate from one draft position to the next.", 1.0),
    "verify_slope": _shared(
        float, "Time each further token adds to verification, in target steps.", 0.0
    ),
    "overhead": _shared(float, "Other time of a speculative round, in target steps.", 0.0),
    "plain_ms": _shared(
        str | None,
        "Plain time per token in ms, that predicted costs are to meet: 34.2, or by batch as "
        "1:34.2,32:51.",
    ),
    "known_draft": _shared(
        str | None,
        "Speed-ups that drafts gave on this machine, DRAFT:K:SPEEDUP; several with commas.",
    ),
    "p_min": _shared(
        float | None, "Confidence below which drafts end early; llama.cpp's older 0.75."
    ),
    "context": _shared(float | None, "Tokens in the cache of each sequence; default 1000."),
    "batch": _shared(float, "Sequences decoded together.", 1.0),
    "dtype": _shared(str, "Number format of the target's weights; default the usual one.", ""),
    "stack": _shared(
        str | None, "Software: serving (default), eager, graphs, llama.cpp, mlx, xla, or an engine."
    ),
    "task": _shared(str | None, "chat, code, math, prose, summarisation...; default any of them."),
    "temperature": _shared(float | None, "Sampling temperature; default greedy."),
    "gamma_max": _shared(
        int | None,
        "Largest gamma tried; default 32 with a stated rate, 16 where acceptance is "
        "predicted, less where laws were measured.",
    ),
    "objective": _shared(
        str | None,
        "What is asked for: safe (least loss in the worst tenth of cases), latency (a fixed "
        "amount of work), throughput (a fixed time), regret (least expected loss), energy or "
        "price; default safe.",
    ),
    "level": _shared(float, "Probability that an interval holds.", 0.9),
    "seed": _shared(int, "Seed of the draws, >= 0.", 0),
    "online": _shared(bool, "Look up unknown models on the hub.", False, "--online"),
    "price_per_hour": _shared(
        float | None, "Price of all devices an hour, for the price a million tokens."
    ),
    "power_w": _shared(float | None, "Power of all devices in watts, for Wh a million tokens."),
    "figure": _shared(Path | None, "Draw the answer into this .pdf, .png or .svg file."),
    "html": _shared(Path | None, "Write the answer as a page to hand on into this .html file."),
    "as_json": (Json, False),
}


def one_thread() -> None:
    """Keep linear algebra on one thread: small matrices gain nothing from more, and threads that
    wait for each other on a busy machine take seconds. Before the first import of numpy only.
    """
    if "numpy" not in sys.modules:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def one_source(source: Any, acceptance: Any) -> Any:
    """The acceptance that stands as an argument or as an option."""
    if source is not None and acceptance is not None:
        raise ValueError("SOURCE and --acceptance both state acceptance: give one of them")
    return acceptance if source is None else source


def acceptance(source: str | None, alpha: str | None) -> float | str | None:
    """The one source of acceptance; a plain number counts as exact."""
    if source is not None and alpha is not None:
        raise ValueError("--acceptance and --alpha both state acceptance: give one of them")
    return exact(source if alpha is None else alpha)


def costs(source: str | None, ratio: float | None) -> float | str | None:
    """The one source of costs; a plain number counts as exact."""
    if source is not None and ratio is not None:
        raise ValueError("--costs and --cost-ratio both state costs: give one of them")
    return exact(source) if ratio is None else ratio


def exact(text: str | None) -> float | str | None:
    """A text as a number where it is no more than that; what was read already stays as it is."""
    if not isinstance(text, str):
        return text
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def numbers(text: str | None, name: str) -> tuple[float, ...]:
    """Numbers with commas, none where there is no text."""
    if text is None:
        return ()
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{name} must be numbers with commas, got {text!r}") from None


def alone(what: str, given: Mapping[str, object]) -> None:
    """Raise ValueError where options were given that ``what`` does not go with."""
    usual = {"batch": 1.0, "decay": 1.0}
    odd = [
        f"--{name.replace('_', '-')}"
        for name, value in given.items()
        if value not in (None, False, "", 0.0, usual.get(name))
    ]
    if odd:
        raise ValueError(f"a {what} is fitted, so {', '.join(odd)} cannot be given with it")
