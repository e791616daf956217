"""Settings for llama.cpp: flags for one number of draft tokens.

llama.cpp has no table by batch size or context, so one batch size (its `--parallel` slots in use)
is chosen. Names since May 2026: --spec-draft-n-max, --spec-draft-n-min, --spec-draft-p-min; older
programs take --draft-max, --draft-min and --draft-p-min (ggml-org/llama.cpp, common/arg.cpp).
Look-up has lengths of its own, which these flags leave alone (common/speculative.cpp).
"""

from __future__ import annotations

import shlex
from typing import Any

from ..schedule import Schedule
from .emission import DraftWords, Emission, decimal, whole

_FLAGS = ("--spec-draft-n-max", "--spec-draft-n-min", "--spec-draft-p-min")
_OLDER = ("--draft-max", "--draft-min", "--draft-p-min")
# How many tokens a look-up drafts; below its least number, ngram-mod drafts nothing.
_LOOKUP = {
    "ngram-simple": "--spec-ngram-simple-size-m {}",
    "ngram-map-k": "--spec-ngram-map-k-size-m {}",
    "ngram-map-k4v": "--spec-ngram-map-k4v-size-m {}",
    "ngram-mod": "--spec-ngram-mod-n-max {} --spec-ngram-mod-n-min 0",
}


def emit_llama_cpp(
    schedule: Schedule,
    words: DraftWords = DraftWords(None, None),  # noqa: B008 - frozen
    *,
    batch: int = 1,
    p_min: float = 0.0,
    older: bool = False,
) -> Emission:
    """Flags for the schedule's gamma at one batch size.

    p_min: confidence below which llama.cpp stops drafting, in [0, 1]; 0 drafts what the schedule
    says in every round; older: flags of programs before May 2026. The smallest draft is 0, so that
    none is dropped for being short.
    """
    gamma = schedule.gamma(batch)
    notes = [f"llama.cpp has no schedule by batch size: these flags are for batch {batch}"]
    others = [f"{r.first}-{r.last}: {r.gamma}" for r in schedule.ranges]
    if len(others) > 1:
        notes.append("by batch the best would be " + ", ".join(others))
    if gamma == 0:
        notes.insert(0, "run without a draft (no --model-draft, no --spec-type): nothing pays")
        return Emission("llama.cpp", notes=tuple(notes))
    settings = {"n_max": gamma, "n_min": 0, "p_min": p_min}
    validate_llama_cpp(settings)
    lookup = None if older else _LOOKUP.get(words.method or "")
    values = zip(_OLDER if older else _FLAGS, (f"{gamma}", "0", decimal(p_min)), strict=True)
    flags = [" ".join(pair) for pair in values] if lookup is None else [lookup.format(gamma)]
    if words.model is not None:
        flags.insert(0, f"--model-draft {shlex.quote(words.model)}")
    if words.method is not None and not older:
        flags.insert(0, f"--spec-type {words.method}")
    notes += words.notes
    if p_min > 0.0 and lookup is None:
        notes.append(f"with p-min {decimal(p_min)} rounds draft at most {gamma}, often fewer")
    return Emission("llama.cpp", " ".join(flags), config=settings, notes=tuple(notes))


def validate_llama_cpp(settings: Any) -> None:
    """Raise ValueError unless 0 <= n_min <= n_max, n_max >= 1 and p_min in [0, 1]."""
    if not isinstance(settings, dict):
        raise ValueError(f"settings must be an object, got {type(settings).__name__}")
    most = whole("n_max", settings.get("n_max"), low=1)
    if whole("n_min", settings.get("n_min", 0)) > most:
        raise ValueError(f"n_min must be at most n_max = {most}, got {settings['n_min']}")
    p_min = settings.get("p_min", 0.0)
    if not (isinstance(p_min, int | float) and 0.0 <= p_min <= 1.0):
        raise ValueError(f"p_min must be in [0, 1], got {p_min!r}")
