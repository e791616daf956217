"""What the columns of a table of measurements mean, under any of their usual names.

The number of draft tokens K; a speed-up, a throughput or a time, with the unit in the header or in
the cell; tokens per round; what else tells rows apart (task, batch, context, engine, device).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from .cells import number

GAMMA = ("gamma", "k", "gamma_tokens", "num_speculative_tokens", "num_spec_tokens", "spec_tokens",
         "speculative_tokens", "n_max", "draft_n_max", "spec_draft_n_max", "draft_max", "draft_n",
         "draft_len", "draft_length", "max_draft_len", "lookahead", "speculative_num_steps",
         "spec_k", "num_assistant_tokens", "mtp_tokens", "mtp_n", "n_mtp", "mtp_depth", "spec_n",
         "drafted_tokens", "tokens_drafted")  # fmt: skip
# Names that mean K only where no other column does: SGLang counts the root in num_draft_tokens.
WEAK_GAMMA = ("steps", "num_steps", "draft_tokens", "num_draft_tokens", "n_draft",
              "speculative_num_draft_tokens", "n", "depth", "mtp")  # fmt: skip
TARGET = ("target", "target_model", "model", "base_model", "verifier")
DRAFT = ("draft", "draft_model", "drafter", "speculator", "assistant", "assistant_model", "method",
         "spec_method", "algorithm", "speculative_algorithm")  # fmt: skip
TOKENS = ("tokens_per_round", "acceptance_length", "mean_acceptance_length", "accept_length",
          "accept_len", "acc_length", "acceptance_len", "mean_accept_length", "a_len", "al", "tau",
          "mean_len", "tau_mean_tokens_per_round", "mean_tokens_per_round",
          "spec_accept_length")  # fmt: skip
BATCH = ("batch", "batch_size", "bs", "batch_sequences", "concurrency", "max_concurrency",
         "num_concurrent", "concurrent_requests", "max_batch_size", "users")  # fmt: skip
CONTEXT = ("context", "ctx", "context_length", "context_len", "isl", "input_len", "input_length",
           "prompt_len", "prompt_tokens", "seq_len")  # fmt: skip
WORK = ("task", "dataset", "workload", "category", "benchmark", "domain", "subset", "engine",
        "framework", "backend", "hardware", "gpu", "device", "precision", "dtype", "quantization",
        "temperature", "temp", "osl", "output_len", "p_min")  # fmt: skip
_SPEEDUP = re.compile(r"(?:decode_|output_|e2e_|relative_)?(?:speed_?up|gain)(?:_x|_vs_\w+)?")
_RATE = re.compile(r"(?:tok(?:en)?s?_(?:per_)?s(?:ec(?:ond)?)?|t_s|tps|throughput|speed|req_s)")
_TIME = re.compile(r"tpot|itl|latency|(?:ms|s|us|time)_(?:per_)?tok(?:en)?|\btime\b|(?:^|_)time_?")
_BASE = re.compile(r"(?:^|_)(?:base(?:line)?|plain|vanilla|no_spec|off|without)(?:_|$)")
_OTHER = re.compile(r"(?:^|_)(?:input|prompt|prefill|total_token|peak|ttft|p\d\d|p99|std|stdev|min|"
                    r"max|request|req|parallel)(?:_|$)")  # fmt: skip
_UNITS = {"ms": 1e-3, "msec": 1e-3, "us": 1e-6, "s": 1.0, "sec": 1.0, "seconds": 1.0}
_CELL = re.compile(
    r"[~≈]?\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(?:(?:±|\+/-|\+-)\s*[\d.]+\s*)?"
    r"(%|x|×|ms|us|µs|s|sec|tok/s|t/s|tokens/s|tps|ms/tok(?:en)?)?", re.IGNORECASE
)  # fmt: skip
_BESIDE = re.compile(r"(?<=[\w%])\s*\([^()]*\)\s*$")  # "96.1 (+52%)"


@dataclass(frozen=True)
class Measure:
    """The column that was measured.

    column: its name; kind: speedup, rate (more is faster) or time; factor: of the unit in its
    header, to seconds, 1 where it states none; base: the column with the same without speculation.
    """

    column: str
    kind: str
    factor: float = 1.0
    base: str | None = None


def first_of(names: Sequence[str], wanted: Sequence[str]) -> str | None:
    """The first of the wanted names that a table has."""
    return next((n for n in wanted if n in names), None)


def gamma_columns(names: Sequence[str]) -> list[str]:
    """The columns that can only be K; the best of those that may be, where there are none."""
    strong = [n for n in names if n in GAMMA]
    weak = first_of(names, WEAK_GAMMA)
    return strong or ([weak] if weak else [])


def measure_of(names: Sequence[str]) -> Measure | None:
    """The measured column: a speed-up before a throughput before a time; None where none is."""
    free = [n for n in names if n not in (*GAMMA, *TARGET, *DRAFT, *TOKENS, *BATCH, *CONTEXT)]
    if found := [n for n in free if _SPEEDUP.fullmatch(n)]:
        return Measure(found[0], "speedup")
    rates = [n for n in free if is_rate(n)]
    own = [n for n in rates if not _BASE.search(n)]
    if own:
        return Measure(own[0], "rate", base=next((n for n in rates if _BASE.search(n)), None))
    times = [n for n in free if _TIME.search(n) and not _OTHER.search(n)]
    for wanted in ("tpot", "itl", "tok", "latency", "time"):
        for name in times:
            if wanted in name and not _BASE.search(name):
                return Measure(name, "time", _unit(name), next(
                    (n for n in times if _BASE.search(n)), None))  # fmt: skip
    return None


def is_rate(name: str) -> bool:
    """Whether a column is a speed of decoding, in tokens a second or such."""
    return (_RATE.search(name) is not None and not _OTHER.search(name)
            and not _SPEEDUP.fullmatch(name) and "speedup" not in name)  # fmt: skip


def is_base(name: str) -> bool:
    """Whether a column is that of plain decoding."""
    return _BASE.search(name) is not None


def _unit(name: str) -> float:
    """Seconds in the unit that a header states, 1 where it states none."""
    return next((_UNITS[p] for p in name.split("_") if p in _UNITS), 1.0)


def value_of(cell: str) -> float:
    """The number of a cell with or without its unit, NaN where it is none; times in seconds.

    What stands in parentheses behind it is passed over.
    """
    cell = _BESIDE.sub("", cell.replace("**", "").replace("`", "")).strip()
    plain = number(cell)
    found = _CELL.fullmatch(cell)
    if found is None or found[2] is None:
        return plain if found is None else float(found[1])
    unit = found[2].casefold().replace("µ", "u").split("/")[0]
    if unit == "%":
        return float(found[1]) / 100.0
    return float(found[1]) * (_UNITS.get(unit, 1.0) if unit in ("ms", "us") else 1.0)


def speedup_of(cell: str) -> float:
    """A speed-up: 1.52, 1.52x, 152 %, or +52 % for what is gained."""
    text = cell.strip()
    value = value_of(text)
    gained = text.startswith(("+", "-")) and text.endswith("%")
    return 1.0 + value if gained and math.isfinite(value) else value
