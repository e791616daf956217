"""SGLang's settings, which say gamma; its benchmarks and /server_info as JSON.

bench_speculative.py: rows of batch, steps, topk and slots; bench_serving: the server's mean length
after a run. /server_info: avg_spec_accept_length since the start, and step times by batch size with
SGLANG_RECORD_STEP_TIME=1.
"""

from __future__ import annotations

import statistics
from typing import Any

from ..stated import Stated, printed
from .completed import counts_as
from .counts import EngineCounts, Group
from .numbers import count, number, total

SETTINGS = {
    "steps": "speculative_num_steps",
    "slots": "speculative_num_draft_tokens",
    "branches": "speculative_eagle_topk",
}
Pairs = list[tuple[Stated, Stated]]


def printed_rate(text: str) -> Stated:
    """An accept rate, as a fraction also where it is printed in per cent."""
    if text.endswith("%"):
        return printed(text[:-1]).scaled(0.01)
    return printed(text)


Settings = dict[str, set[int]]  # all values of the settings that a source names, by `SETTINGS`


def gamma_of(settings: Settings, rates: Pairs, notes: list[str]) -> int | None:
    """Drafted tokens of a round, None where they are not determined; ``notes`` get the reason.

    rates: printed (length, rate) pairs. A chain (topk 1) drafts num_steps tokens in num_steps + 1
    slots; a tree has no single gamma.
    """
    several = next(((n, found) for n, found in settings.items() if len(found) > 1), None)
    if several is not None:
        shown = ", ".join(map(str, sorted(several[1])))
        notes.append(f"several servers or restarts: {SETTINGS[several[0]]} is {shown}")
        return _gamma_from_rates(rates, notes) if rates else None
    steps, slots, branches = (next(iter(settings.get(n, ())), None) for n in SETTINGS)
    if branches is not None and branches > 1:
        notes.append(
            f"the draft is a tree (topk {branches}): a round drafts no chain of gamma tokens, null"
        )
        return None
    if steps and (slots is None or slots == steps + 1 or branches == 1):
        notes.append(f"gamma {steps} is speculative_num_steps as the server prints it")
        return steps
    if slots and slots > 1 and branches == 1:
        notes.append(f"gamma {slots - 1} is speculative_num_draft_tokens - 1 of the server")
        return slots - 1
    if not rates:
        notes.append("the source does not state how many tokens a round drafts: gamma null")
        return None
    return _gamma_from_rates(rates, notes)


def _gamma_from_rates(rates: Pairs, notes: list[str]) -> int | None:
    new = {g for g in range(1, 257) if all(_prints(a, r, 1.0, g) for a, r in rates)}
    old = {g for g in range(1, 257) if all(_prints(a, r, 0.0, g + 1) for a, r in rates)}
    if len(new | old) == 1 and not new & old:
        gamma, said = (new | old).pop(), (
            "(length - 1) / gamma; no number fits the definition before PR #23530" if new else
            "length / (gamma + 1), the definition before PR #23530"
        )  # fmt: skip
        notes.append(
            f"gamma {gamma} is the only whole number for which the printed rates are {said}"
        )
        return gamma
    fits, fits_old = (", ".join(map(str, sorted(found))) or "none" for found in (new, old))
    notes.append(
        f"gamma is not determined by length and rate: (length - 1) / rate gives {fits}, the "
        f"definition before PR #23530 gives {fits_old}"
    )
    return None


def _prints(length: Stated, rate: Stated, minus: float, slots: int) -> bool:
    low, high = (length.low - minus) / slots, (length.high - minus) / slots
    return low <= rate.high + 1e-12 and high >= rate.low - 1e-12


_ROW = frozenset({"acc_length", "batch_size", "steps"})


class Benchmarks:
    """Rows of bench_speculative, groups by batch, or runs of bench_serving, groups of their own."""

    keys = frozenset({"acc_length", "accept_length"})

    def __init__(self) -> None:
        self.rows: list[Group] = []
        self.runs: list[Group] = []
        self.branches: set[int] = set()

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take a row or a run."""
        if entry.keys() >= _ROW:
            self.rows.append(self._row(entry))
            return True
        length = _at_least_one(entry, "accept_length")
        if length is None or "drafts" in entry or "num_drafts" in entry:
            return False
        load = entry.get("max_concurrency")
        self.runs.append(
            Group(
                label=f"{entry.get('dataset_name') or 'run'} {len(self.runs) + 1}",
                batch=load if isinstance(load, int) and not isinstance(load, bool) else None,
                acceptance_length=length,
                tokens=count(entry.get("total_output_tokens"), "total_output_tokens"),
                tokens_per_s=number(entry.get("output_throughput"), "output_throughput"),
            )
        )
        return True

    def _row(self, entry: dict[str, Any]) -> Group:
        steps, branches = count(entry["steps"], "steps"), count(entry.get("topk"), "topk")
        slots = count(entry.get("num_draft_tokens"), "num_draft_tokens")
        batch, length = count(entry["batch_size"], "batch_size"), _at_least_one(entry, "acc_length")
        self.branches.add(branches or 0)
        return Group(
            label=f"batch {batch}, steps {steps}, topk {branches}, num_draft_tokens {slots}",
            batch=batch,
            gamma=steps if branches in (None, 0, 1) else None,
            acceptance_length=length if steps else None,
            step_s=number(entry.get("step_time"), "step_time"),
            tokens_per_s=number(entry.get("speed"), "speed"),
        )

    def result(self) -> EngineCounts | None:
        """The rows, or the runs; one acceptance length only where there is one setting."""
        parts, rows = self.rows or self.runs, bool(self.rows)
        if not parts:
            return None
        gammas, lengths = {p.gamma for p in parts}, {p.acceptance_length for p in parts}
        what = "rows state" if rows else "the run states"
        notes = [f"{what} neither rounds nor drafted nor accepted tokens: null"]
        if len(parts) > 1:
            kinds = ("settings were measured", "by_batch") if rows else ("runs are given", "groups")
            notes.append("{} {}: see {} for each".format(len(parts), *kinds))
        if max(self.branches, default=0) > 1:
            notes.append("rows with topk above 1 draft a tree: they have no gamma")
        return counts_as(
            "sglang-bench-speculative" if rows else "sglang-bench-serving",
            gamma=(gammas.pop() if len(gammas) == 1 else None) or None,
            acceptance_length=lengths.pop() if len(lengths) == 1 else None,
            tokens=total([p.tokens for p in parts]),
            by_batch=tuple(self.rows),
            groups=() if rows or len(parts) < 2 else tuple(parts),
            intervals=len(parts),
            notes=notes,
        )


def _at_least_one(entry: dict[str, Any], name: str) -> float | None:
    length = number(entry.get(name), name)
    if length is not None and length < 1.0:
        raise ValueError(f"{name} must be >= 1, got {length:g}")
    return length


class ServerInfo:
    """/server_info or /get_server_info of a running server."""

    keys = frozenset({*SETTINGS.values(), "internal_states", "avg_spec_accept_length",
                      "step_time_dict"})  # fmt: skip

    def __init__(self) -> None:
        self.settings: Settings = {}
        self.lengths: list[float] = []
        self.steps: dict[int, list[float]] = {}
        self.version: str | None = None
        self.seen = False

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take the settings of the server and the states of its schedulers."""
        for name, setting in SETTINGS.items():
            value = entry.get(setting)
            if isinstance(value, int) and not isinstance(value, bool):
                self.settings.setdefault(name, set()).add(value)
        if "internal_states" in entry and isinstance(entry.get("version"), str):
            self.version = entry["version"]
        if "avg_spec_accept_length" not in entry and "step_time_dict" not in entry:
            return False
        self.seen = True
        length = number(entry.get("avg_spec_accept_length"), "avg_spec_accept_length")
        if length is not None:
            if length < 1.0 and length != 0.0:
                raise ValueError(f"avg_spec_accept_length must be >= 1, got {length:g}")
            self.lengths.append(length)
        self._step_times(entry.get("step_time_dict"))
        return True

    def _step_times(self, times: Any) -> None:
        for batch, values in times.items() if isinstance(times, dict) else ():
            size = count(int(batch) if str(batch).isdigit() else batch, "batch of step_time_dict")
            values = values if isinstance(values, list) else [values]
            found = [t for v in values if (t := number(v, "step time")) is not None and t >= 0]
            self.steps.setdefault(size or 0, []).extend(found)

    def result(self) -> EngineCounts | None:
        """The average since the start, and step times by batch."""
        if not self.seen:
            return None
        notes = [
            "the server states neither rounds nor drafted nor accepted tokens: null",
            "the length is the average since the start of the server",
        ]
        lengths = {v for v in self.lengths if v > 0.0}
        length = lengths.copy().pop() if len(lengths) == 1 else None
        if len(lengths) > 1:
            shown = ", ".join(f"{v:g}" for v in sorted(lengths))
            notes.append(f"schedulers differ ({shown}) and have no weights: length null")
        if not lengths:
            notes.append("no round was counted yet, or speculation is off: length null")
        gamma = gamma_of(self.settings, [], notes)
        return counts_as(
            "sglang-server-info",
            version=self.version,
            gamma=gamma,
            acceptance_length=length,
            by_batch=tuple(
                Group(f"batch {batch}", batch, gamma, step_s=statistics.fmean(t), intervals=len(t))
                for batch, t in sorted(self.steps.items())
                if t
            ),
            notes=notes,
        )
