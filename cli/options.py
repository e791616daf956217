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
Target = Annotated[str | None, TARGET]
Draft = Annotated[
    str | None,
    Option(help="Draft: a model's name, config.json or folder, or a head such as EAGLE3."),
]
Device = Annotated[str | None, DEVICE]
Acceptance = Annotated[
    str | None,
    Option(
        help="What is known of acceptance: a rate, a law such as depth:alpha=0.8,decay=0.95, a "
        "record, an engine's log or metrics, JSON of `howspec import`, - or a URL."
    ),
]
Costs = Annotated[
    str | None,
    Option(
        help="What is known of costs: a cost ratio, a record, a law as JSON, or a CSV of passes."
    ),
]
Alpha = Annotated[
    str | None,
    Option(help="Acceptance as a rate of a draft token given those before it, [0, 1]."),
]
CostRatio = Annotated[
    float | None, Option(help="Costs as time of a draft step, in plain target steps.")
]
AcceptanceLength = Annotated[
    str | None, Option(help="Tokens per round with the bonus token, measured at --gamma.")
]
Gamma = Annotated[int | None, Option(help="Draft tokens of the measured rounds.")]
AlphaTokens = Annotated[
    float | None,
    Option(help="Draft tokens behind the rate: it updates the prediction of the pair."),
]
Decay = Annotated[float, Option(help="Factor of the rate from one draft position to the next.")]
VerifySlope = Annotated[
    float, Option(help="Time each further token adds to verification, in target steps.")
]
Overhead = Annotated[float, Option(help="Other time of a speculative round, in target steps.")]
PlainMs = Annotated[
    str | None,
    Option(
        help="Plain time per token in ms, that predicted costs are to meet: 34.2, or by batch as "
        "1:34.2,32:51."
    ),
]
KnownDraft = Annotated[
    str | None,
    Option(
        help="Speed-ups that drafts gave on this machine, DRAFT:K:SPEEDUP; several with commas."
    ),
]
PMin = Annotated[
    float | None,
    Option(help="Confidence below which drafts end early; llama.cpp's older 0.75."),
]
Context = Annotated[
    float | None, Option(help="Tokens in the cache of each sequence; default 1000.")
]
Batch = Annotated[float, Option(help="Sequences decoded together.")]
Dtype = Annotated[str, Option(help="Number format of the target's weights; default the usual one.")]
Stack = Annotated[
    str | None,
    Option(help="Software: serving (default), eager, graphs, llama.cpp, mlx, xla, or an engine."),
]
Task = Annotated[
    str | None, Option(help="chat, code, math, prose, summarisation...; default any of them.")
]
Temperature = Annotated[float | None, Option(help="Sampling temperature; default greedy.")]
GammaMax = Annotated[
    int | None,
    Option(
        help="Largest gamma tried; default 32 with a stated rate, 16 where acceptance is "
        "predicted, less where laws were measured."
    ),
]
Objective = Annotated[
    str | None,
    Option(
        help="What is asked for: safe (least loss in the worst tenth of cases), latency (a fixed "
        "amount of work), throughput (a fixed time), regret (least expected loss), energy or "
        "price; default safe."
    ),
]
Level = Annotated[float, Option(help="Probability that an interval holds.")]
Seed = Annotated[int, Option(help="Seed of the draws, >= 0.")]
Online = Annotated[bool, Option("--online", help="Look up unknown models on the hub.")]
Price = Annotated[
    float | None, Option(help="Price of all devices an hour, for the price a million tokens.")
]
Power = Annotated[
    float | None, Option(help="Power of all devices in watts, for Wh a million tokens.")
]
Figure = Annotated[Path | None, Option(help="Draw the answer into this .pdf, .png or .svg file.")]
Html = Annotated[
    Path | None, Option(help="Write the answer as a page to hand on into this .html file.")
]
Json = Annotated[bool, Option("--json", help="Print one JSON object.")]

Every = Annotated[
    float | None, Option(help="Seconds between scrapes of a metrics URL, with --for.")
]
For = Annotated[
    float | None,
    Option("--for", help="Seconds to watch a metrics URL; two scrapes at least."),
]


# The options that several verbs share, by the name of their argument, with their defaults.
SHARED: dict[str, tuple[object, object]] = {
    "target": (Target, None),
    "draft": (Draft, None),
    "device": (Device, None),
    "acceptance": (Acceptance, None),
    "every": (Every, None),
    "for_": (For, None),
    "costs": (Costs, None),
    "alpha": (Alpha, None),
    "cost_ratio": (CostRatio, None),
    "acceptance_length": (AcceptanceLength, None),
    "gamma": (Gamma, None),
    "alpha_tokens": (AlphaTokens, None),
    "decay": (Decay, 1.0),
    "verify_slope": (VerifySlope, 0.0),
    "overhead": (Overhead, 0.0),
    "plain_ms": (PlainMs, None),
    "known_draft": (KnownDraft, None),
    "p_min": (PMin, None),
    "context": (Context, None),
    "batch": (Batch, 1.0),
    "dtype": (Dtype, ""),
    "stack": (Stack, None),
    "task": (Task, None),
    "temperature": (Temperature, None),
    "gamma_max": (GammaMax, None),
    "objective": (Objective, None),
    "level": (Level, 0.9),
    "seed": (Seed, 0),
    "online": (Online, False),
    "price_per_hour": (Price, None),
    "power_w": (Power, None),
    "figure": (Figure, None),
    "html": (Html, None),
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
