"""Options that the verbs share, one name and one meaning each, and how their texts are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .commands import Option

# By the name of their argument; types and defaults are those of the function that is asked.
SHARED: dict[str, Option] = {
    "target": Option("Target model: a name, a config.json or its folder."),
    "draft": Option("Draft: a model's name, config.json or folder, or a head such as EAGLE3."),
    "device": Option("Device: H100, '2x A100 80GB', or its data: bandwidth=320,memory=16,fp16=51."),
    "acceptance": Option(
        "What is known of acceptance: a rate, a law such as depth:alpha=0.8,decay=0.95, a "
        "record, an engine's log or metrics, JSON of `howspec import`, - or a URL."
    ),
    "every": Option("Seconds between scrapes of a metrics URL, with --for.", kind=float),
    "for_": Option(
        "Seconds to watch a metrics URL; two scrapes at least.", names=("--for",), kind=float
    ),
    "costs": Option(
        "What is known of costs: a cost ratio, a record, a law as JSON, or a CSV of passes."
    ),
    "alpha": Option("Acceptance as a rate of a draft token given those before it, [0, 1]."),
    "cost_ratio": Option("Costs as time of a draft step, in plain target steps.", kind=float),
    "acceptance_length": Option("Tokens per round with the bonus token, measured at --gamma."),
    "gamma": Option("Draft tokens of the measured rounds."),
    "alpha_tokens": Option("Draft tokens behind the rate: it updates the prediction of the pair."),
    "decay": Option("Factor of the rate from one draft position to the next."),
    "verify_slope": Option("Time each further token adds to verification, in target steps."),
    "overhead": Option("Other time of a speculative round, in target steps."),
    "plain_ms": Option(
        "Plain time per token in ms, that predicted costs are to meet: 34.2, or by batch as "
        "1:34.2,32:51."
    ),
    "known_draft": Option(
        "Speed-ups that drafts gave on this machine, DRAFT:K:SPEEDUP; several with commas."
    ),
    "p_min": Option("Confidence below which drafts end early; llama.cpp's older 0.75."),
    "context": Option("Tokens in the cache of each sequence; default 1000."),
    "batch": Option("Sequences decoded together."),
    "dtype": Option("Number format of the target's weights; default the usual one."),
    "stack": Option(
        "Software: serving (default), eager, graphs, llama.cpp, mlx, xla, or an engine."
    ),
    "task": Option("chat, code, math, prose, summarisation...; default any of them."),
    "temperature": Option("Sampling temperature; default greedy."),
    "gamma_max": Option(
        "Largest gamma tried; default 32 with a stated rate, 16 where acceptance is "
        "predicted, less where laws were measured."
    ),
    "objective": Option(
        "What is asked for: safe (least loss in the worst tenth of cases), latency (a fixed "
        "amount of work), throughput (a fixed time), regret (least expected loss), energy or "
        "price; default safe."
    ),
    "level": Option("Probability that an interval holds."),
    "seed": Option("Seed of the draws, >= 0."),
    "online": Option("Look up unknown models on the hub."),
    "price_per_hour": Option("Price of all devices an hour, for the price a million tokens."),
    "power_w": Option("Power of all devices in watts, for Wh a million tokens."),
    "figure": Option("Draw the answer into this .pdf, .png or .svg file.", kind=Path),
    "html": Option("Write the answer as a page to hand on into this .html file.", kind=Path),
    "as_json": Option("Print one JSON object.", names=("--json",), kind=bool, default=False),
}


def one_of(given: dict[str, Any], *names: str) -> Any:
    """The value of the one of several options that is given, all of them being taken out."""
    values = {n: given.pop(n.strip("-").replace("-", "_").lower(), None) for n in names}
    found = [n for n, v in values.items() if v is not None]
    if len(found) > 1:
        what = "costs" if names[0] == "--costs" else "acceptance"
        raise ValueError(f"{' and '.join(found)} both state {what}: give one of them")
    return values[found[0]] if found else None


def exact(text: Any) -> Any:
    """A text as a number where it is no more than that; what was read already stays as it is."""
    if not isinstance(text, str):
        return text
    try:
        return float(text)
    except ValueError:
        return text


def numbers(text: str, name: str) -> tuple[float, ...]:
    """Numbers with commas."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"{name} must be numbers with commas, got {text!r}") from None


def ranges(text: str, name: str) -> tuple[int, ...]:
    """Numbers and ranges with commas: 1-3,8 is 1, 2, 3 and 8."""
    found: set[int] = set()
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        if not low.isdecimal() or (dash and not high.isdecimal()):
            raise ValueError(f"{name} must be whole numbers and ranges like 1-9,12, got {text!r}")
        if dash and int(high) < int(low):
            raise ValueError(f"{name} has a range that falls: {part.strip()}")
        found |= set(range(int(low), int(high or low) + 1))
    return tuple(sorted(found))


def words(text: str, name: str = "") -> list[str]:
    """Names with commas, each once."""
    return list(dict.fromkeys(w for part in text.split(",") if (w := part.strip())))


def spelled(given: str, known: Sequence[str]) -> str:
    """The known name that was meant, whatever its case and separators; any other as given."""

    def folded(name: str) -> str:
        return "".join(c for c in name.casefold() if c not in "-_. ")

    return next((name for name in known if folded(name) == folded(given)), given)


def drafts(about: str) -> Option:
    """The option --draft of a function that takes several drafts."""
    return Option(about, to="drafts", parse=words)


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
