"""SGLang's JSON: meta_info of requests, /server_info, and rows of bench_speculative.

meta_info (sgl-project/sglang): spec_verify_ct rounds, accepted and drafted tokens under the names
that PR #24081 and earlier changes gave them, a histogram of rounds by accepted tokens.
spec_accept_length = completion_tokens / spec_verify_ct, bonus counted.
/server_info: avg_spec_accept_length since the start of the server, step_time_dict step times by
batch size (SGLANG_RECORD_STEP_TIME=1).
"""

from __future__ import annotations

import statistics
from typing import Any

from .counts import Check, EngineCounts, Group, engine_counts
from .printed import Printed
from .requests import add_lists, added, check_number, count, counts_list, number
from .sglang_log import DEFINITION, gamma_of

_ACCEPTED = (
    "spec_num_correct_drafts",
    "spec_accepted_drafts",
    "spec_accepted_tokens",
    "spec_accept_token_num",
)
_DRAFTED = ("spec_num_proposed_drafts", "spec_proposed_drafts", "spec_draft_token_num")
_HISTOGRAM = (
    "spec_correct_drafts_histogram",
    "spec_accept_histogram",
    "spec_accepted_drafts_histogram",
    "spec_acceptance_histogram",
)
_META_DEFINITION = (
    "SGLang meta_info: spec_verify_ct rounds, accepted draft tokens without the bonus; acceptance "
    "length = 1 + accepted / rounds"
)


def _first(entry: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((entry[n] for n in names if entry.get(n) is not None), None)


class MetaInfo:
    """Adds up the requests."""

    engine = "sglang"

    def __init__(self) -> None:
        self.latest: dict[str, dict[str, Any]] = {}
        self.unnamed = 0

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take an object that counts verifications; chunks of one request replace each other."""
        if "spec_verify_ct" not in entry and _first(entry, _ACCEPTED) is None:
            return False
        name = entry.get("id")
        if not isinstance(name, str):
            name, self.unnamed = f"\n{self.unnamed}", self.unnamed + 1
        self.latest[name] = {
            k: v for k, v in entry.items() if k.startswith("spec_") or k == "completion_tokens"
        }
        return True

    def result(self) -> EngineCounts | None:
        """The sum over requests."""
        if not self.latest:
            return None
        total = _Requests()
        for entry in self.latest.values():
            total.add(entry)
        return total.counts()


def _counts_bonus(accepted: int | None, rounds: int | None, length: float | None) -> bool:
    """Whether a build counts the bonus token of each round as accepted: its length says so."""
    if accepted is None or not rounds or length is None or accepted < rounds:
        return False
    return abs(accepted / rounds - length) < abs(accepted / rounds + 1.0 - length)


class _Requests:
    def __init__(self) -> None:
        self.number = self.tokens = self.speculated = 0
        self.rounds: int | None = None
        self.drafted: int | None = None
        self.accepted: int | None = None
        self.histogram: list[int] | None = []
        self.per_round: set[float] = set()
        self.with_bonus = 0
        self.checks: list[Check] = []

    def add(self, entry: dict[str, Any]) -> None:
        rounds = count(entry.get("spec_verify_ct"), "spec_verify_ct")
        accepted = count(_first(entry, _ACCEPTED), "accepted drafts")
        drafted = count(_first(entry, _DRAFTED), "proposed drafts")
        histogram = counts_list(_first(entry, _HISTOGRAM), "histogram of accepted drafts")
        tokens = count(entry.get("completion_tokens"), "completion_tokens")
        length = number(entry.get("spec_accept_length"), "spec_accept_length")
        if histogram and rounds and sum(histogram) == rounds:
            total = sum(k * n for k, n in enumerate(histogram))
            if accepted is not None and accepted != total:
                raise ValueError(
                    f"accepted drafts must be {total} as the histogram says, got {accepted}"
                )
            accepted = total
        elif _counts_bonus(accepted, rounds, length):
            assert accepted is not None
            assert rounds is not None
            accepted, self.with_bonus = accepted - rounds, self.with_bonus + 1
        if accepted is not None and drafted is not None and accepted > drafted:
            raise ValueError(f"accepted drafts must be in [0, {drafted}], got {accepted}")
        first = self.number == 0
        self.number += 1
        self.rounds = added(self.rounds, rounds, first)
        self.accepted = added(self.accepted, accepted, first)
        self.drafted = added(self.drafted, drafted, first)
        self.tokens += tokens or 0
        self.speculated += bool(tokens and rounds)
        if rounds and drafted is not None:
            self.per_round.add(drafted / rounds)
        if histogram is None or (rounds is not None and sum(histogram) != rounds):
            self.histogram = None
        elif self.histogram is not None:
            add_lists(self.histogram, histogram)
        if rounds and tokens and len(self.checks) < 20:
            found = check_number("completion tokens per round", length, tokens / rounds)
            self.checks += [c for c in found if first or not c.agrees]

    def counts(self) -> EngineCounts:
        notes = []
        gamma = None
        if len(self.per_round) == 1 and next(iter(self.per_round)).is_integer():
            gamma = int(next(iter(self.per_round))) or None
            notes.append(
                f"gamma {gamma} is proposed / verified, the same whole number in every request; "
                f"for a tree (topk above 1) it is the tokens of the tree"
            )
        else:
            notes.append("the requests do not state how many tokens a round drafts: gamma null")
        if self.with_bonus:
            notes.append(
                f"{self.with_bonus} requests count the bonus token as accepted: it is taken off"
            )
        length = None
        if self.accepted is None and self.rounds and self.speculated == self.number:
            length = self.tokens / self.rounds
            notes.append(
                "accepted tokens are missing: the length is completion_tokens / spec_verify_ct, "
                "which counts the first token of each request too"
            )
        if not self.histogram:
            notes.append("no histogram of rounds: survival null")
        return engine_counts(
            "sglang",
            "sglang-meta-info",
            definition=_META_DEFINITION,
            rounds=self.rounds,
            drafted=self.drafted,
            accepted=self.accepted,
            gamma=gamma,
            histogram=self.histogram or None,
            acceptance_length=length,
            requests=self.number,
            consistency=tuple(self.checks),
            notes=notes,
        )


class ServerInfo:
    """/server_info or /get_server_info of a running server."""

    engine = "sglang"

    def __init__(self) -> None:
        self.settings: dict[str, int] = {}
        self.lengths: list[float] = []
        self.steps: dict[int, list[float]] = {}
        self.version: str | None = None
        self.seen = False

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take the settings of the server and the states of its schedulers."""
        for name, setting in (
            ("steps", "speculative_num_steps"),
            ("slots", "speculative_num_draft_tokens"),
            ("branches", "speculative_eagle_topk"),
        ):
            if isinstance(entry.get(setting), int):
                self.settings[name] = entry[setting]
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
        times = entry.get("step_time_dict")
        for batch, values in times.items() if isinstance(times, dict) else ():
            size = count(int(batch) if str(batch).isdigit() else batch, "batch of step_time_dict")
            values = values if isinstance(values, list) else [values]
            found = [t for v in values if (t := number(v, "step time")) is not None and t >= 0]
            self.steps.setdefault(size or 0, []).extend(found)
        return True

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
        gamma = gamma_of(self.settings, list[tuple[Printed, Printed]](), notes)
        return engine_counts(
            "sglang",
            "sglang-server-info",
            definition=DEFINITION,
            version=self.version,
            gamma=gamma,
            acceptance_length=length,
            by_batch=tuple(
                Group(
                    label=f"batch {batch}",
                    batch=batch,
                    gamma=gamma,
                    step_s=statistics.fmean(times),
                    intervals=len(times),
                )
                for batch, times in sorted(self.steps.items())
                if times
            ),
            notes=notes,
        )


class BenchRows:
    """Rows of bench_speculative.py: one setting of batch, steps, topk and slots each."""

    engine = "sglang"

    def __init__(self) -> None:
        self.rows: list[Group] = []
        self.branches: set[int] = set()

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take a row."""
        if not {"acc_length", "batch_size", "steps"} <= entry.keys():
            return False
        steps, branches = count(entry["steps"], "steps"), count(entry.get("topk"), "topk")
        length = number(entry["acc_length"], "acc_length")
        if length is not None and length < 1.0:
            raise ValueError(f"acc_length must be >= 1, got {length:g}")
        chain = branches in (None, 0, 1)
        slots = count(entry.get("num_draft_tokens"), "num_draft_tokens")
        step_s = number(entry.get("step_time"), "step_time")
        self.branches.add(branches or 0)
        batch = count(entry["batch_size"], "batch_size")
        self.rows.append(
            Group(
                label=f"batch {batch}, steps {steps}, topk {branches}, num_draft_tokens {slots}",
                batch=batch,
                gamma=steps if chain else None,
                acceptance_length=length if steps else None,
                step_s=step_s,
                tokens_per_s=number(entry.get("speed"), "speed"),
            )
        )
        return True

    def result(self) -> EngineCounts | None:
        """The rows; one acceptance length only where there is one setting."""
        if not self.rows:
            return None
        notes = ["rows state neither rounds nor drafted nor accepted tokens: null"]
        gammas = {r.gamma for r in self.rows}
        gamma = gammas.pop() if len(gammas) == 1 else None
        lengths = {r.acceptance_length for r in self.rows}
        length = lengths.pop() if len(lengths) == 1 else None
        if len(self.rows) > 1:
            notes.append(f"{len(self.rows)} settings were measured: see by_batch for each")
        if max(self.branches) > 1:
            notes.append("rows with topk above 1 draft a tree: they have no gamma")
        return engine_counts(
            "sglang",
            "sglang-bench-speculative",
            definition="SGLang bench_speculative: acc_length = tokens of a round, bonus counted",
            gamma=gamma or None,
            acceptance_length=length,
            by_batch=tuple(self.rows),
            intervals=len(self.rows),
            notes=notes,
        )
