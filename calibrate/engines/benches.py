"""Results of benchmarks of acceptance, as JSON.

Spec-Bench and EAGLE: answers with new_tokens and accept_lengths, whose bonus token new_tokens tell.
EAGLE and Medusa before that: new_tokens and idxs, the number of the last round of a turn, from 0.
NVIDIA Model-Optimizer: acceptance_rate.json and speculation_profile.json (PR #2247), whose
histograms count steps by the tokens they gave, the bonus token included (1 and up).
ik_llama.cpp, examples/spec-bench: {"row_type": "attempt", "task", "generated", "stages":
[{"drafts", "draft_tokens", "accepted", "drafted_by_position", "accepted_by_position"}]}.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from .completed import counts_as
from .counts import EngineCounts, Group
from .numbers import (
    MOST_POSITIONS,
    add_lists,
    count,
    counts_list,
    number,
    survival_of,
    total,
    whole_list,
)

_LONGEST = 100_000


class SpecBench:
    """Adds up the answers."""

    keys = frozenset({"accept_lengths", "idxs"})

    def __init__(self) -> None:
        self.requests = self.turns = self.tokens = self.given = self.steps = self.last_rounds = 0
        self.wall_s = 0.0
        self.histogram: Counter[int] = Counter()
        self.unknown = False

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take one answer."""
        lengths, last = entry.get("accept_lengths"), whole_list(entry.get("idxs"), "idxs")
        if not isinstance(lengths, list):
            if last is None or not isinstance(entry.get("new_tokens"), list):
                return False
            lengths, self.last_rounds = [], self.last_rounds + sum(n + 1 for n in last)
        flat = [n for v in lengths for n in (v if isinstance(v, list) else [v])]
        found = whole_list(flat, "accept_lengths") or []
        made = entry.get("new_tokens")
        new = [count(n, "new_tokens") for n in (made if isinstance(made, list) else [made])]
        self.unknown |= None in new
        self.requests += 1
        self.turns += len(new)
        self.tokens += sum(n or 0 for n in new)
        self.given += sum(found)
        self.steps += len(found)
        if (longest := max(found, default=0)) > _LONGEST:
            raise ValueError(f"accept_lengths must be at most {_LONGEST}, got {longest}")
        self.histogram.update(found)
        times = entry.get("wall_time")
        for t in times if isinstance(times, list) else [times]:
            self.wall_s += number(t, "wall_time") or 0.0
        return True

    def result(self) -> EngineCounts | None:
        """The rounds, where new_tokens decide about the bonus token."""
        if not self.requests:
            return None
        notes = ["how many tokens a step drafts is not stated: gamma and drafted null"]
        if self.last_rounds and not self.steps:
            notes.append("rounds are idxs + 1: the loop counts them from 0")
            accepted = self.tokens - self.last_rounds
            return self._counts(notes, rounds=self.last_rounds, accepted=accepted)
        bonus = self._with_bonus()
        if bonus is None:
            notes.append(
                f"new_tokens ({self.tokens}) do not decide whether accept_lengths (sum "
                f"{self.given}, {self.steps} steps) count the bonus token: accepted and length null"
            )
            return self._counts(notes, rounds=self.steps)
        what = "with" if bonus else "without"
        notes.append(
            f"accept_lengths are {what} the bonus token: {self.tokens} new tokens, sum "
            f"{self.given} over {self.steps} steps"
        )
        shift = 1 if bonus else 0
        longest = max(self.histogram, default=0)
        histogram = [self.histogram[n] for n in range(shift, longest + 1)]
        return self._counts(notes, histogram=histogram)

    def _with_bonus(self) -> bool | None:
        """Whether the lengths count the bonus token, None where new_tokens leave it open."""
        if 0 in self.histogram:
            return False
        with_bonus = abs(self.tokens - self.given)
        without = abs(self.tokens - self.given - self.steps)
        near = 2 * self.turns + 0.02 * self.tokens
        if self.unknown or min(with_bonus, without) > near or abs(with_bonus - without) < 1:
            return None
        return with_bonus < without

    def _counts(self, notes: list[str], **known: Any) -> EngineCounts:
        return counts_as(
            "spec-bench",
            requests=self.requests,
            durations_s={"wall_s": self.wall_s} if self.wall_s else {},
            notes=notes,
            **known,
        )


class ModelOptimizer:
    """Model-Optimizer's acceptance_rate.json, or the profile of a draft checkpoint; the last one.

    In a profile marginal_accept_rates are shares of steps in which the first k drafts are accepted,
    conditional_accept_rates those of the steps that accepted the drafts before.
    """

    keys = frozenset({"Acceptance_Length_Histogram", "Average_AL", "marginal_accept_rates",
                      "conditional_accept_rates"})  # fmt: skip

    def __init__(self) -> None:
        self.found: EngineCounts | None = None
        self.taken = 0

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take a result or a profile. Raises ValueError for a profile without measurements."""
        self.taken += 1
        profile = "marginal_accept_rates" in entry or "conditional_accept_rates" in entry
        self.found = self._profile(entry) if profile else self._result(entry)
        return True

    def _result(self, entry: dict[str, Any]) -> EngineCounts:
        histogram = _steps(entry, "Acceptance_Length_Histogram")
        notes = ["how many tokens a step drafts is not stated: gamma and drafted null"]
        if self.taken > 1:
            notes.append(f"{self.taken} results are given: the last is taken")
        if histogram is None:
            length = number(entry.get("Average_AL"), "Average_AL")
            mean = "Average_AL: mean over requests"
            return counts_as(
                "specdec-bench", definition=mean, acceptance_length=length, notes=notes
            )
        notes.append("Average_AL is a mean over requests; the length here is over all steps")
        requests = entry.get("Request_AL")
        return counts_as(
            "specdec-bench",
            histogram=histogram,
            requests=len(requests) if isinstance(requests, dict | list) else None,
            notes=notes,
        )

    def _profile(self, entry: dict[str, Any]) -> EngineCounts:
        if entry.get("measured") is False:
            raise ValueError("the speculation profile states measured: false, so it holds no rates")
        shares = _rates(entry.get("marginal_accept_rates"))
        if shares is None and (rates := _rates(entry.get("conditional_accept_rates"))) is not None:
            shares = survival_of(rates)
        gamma = count(entry.get("num_speculative_tokens"), "num_speculative_tokens")
        histogram = _steps(entry, "acceptance_length_histogram")
        notes = ["gamma is num_speculative_tokens" if gamma else "gamma is not stated"]
        if entry.get("accept_length_model") == "measured_per_k":
            notes.append(
                "the draft plans its whole block: other gammas must be measured on their own"
            )
        length = number(entry.get("mean_accept_length"), "mean_accept_length")
        if histogram is not None and gamma and len(histogram) - 1 > gamma:
            notes.append(f"the histogram goes beyond gamma = {gamma}: the rates are taken alone")
            histogram = None
        return counts_as(
            "speculation-profile",
            gamma=gamma,
            histogram=histogram or None,
            survival=None if histogram else shares,
            survival_half_width=None if histogram else 5e-7,
            acceptance_length=length if length or not shares else 1.0 + sum(shares),
            notes=notes,
        )

    def result(self) -> EngineCounts | None:
        """The last one."""
        return self.found


def _steps(entry: dict[str, Any], name: str) -> list[int] | None:
    """Steps by the draft tokens they accepted, from steps by all the tokens they gave."""
    histogram = counts_list(entry.get(name), name)
    if histogram and histogram[0]:
        raise ValueError(
            f"a step gives at least 1 token, got {histogram[0]} steps of 0 in the histogram"
        )
    return None if histogram is None else histogram[1:]


def _rates(value: Any) -> list[float] | None:
    if not isinstance(value, list) or len(value) > MOST_POSITIONS:
        return None
    found = [number(v, "accept rates") for v in value]
    return [r for r in found if r is not None] if None not in found else None


class SpecBenchRows:
    """Adds up the stages of every attempt."""

    keys = frozenset({"row_type"})

    def __init__(self) -> None:
        self.attempts: list[Group] = []
        self.tried: list[int] = []
        self.kept: list[int] = []
        self.whole = True
        self.baseline = 0

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take an attempt that drafted; summaries and plain attempts are passed over."""
        stages = entry.get("stages")
        if entry["row_type"] != "attempt":
            return entry["row_type"] == "summary" and "attempts" in entry
        if not isinstance(stages, list):
            inner = entry.get("speculative")
            stages = inner.get("stages") if isinstance(inner, dict) else None
        stages = [s for s in stages or () if isinstance(s, dict)]
        if not stages:
            self.baseline += 1
            return True
        tokens = entry.get("generated")
        if tokens is None and isinstance(entry.get("tokens"), dict):
            tokens = entry["tokens"].get("generated")
        made = count(tokens, "generated")
        rounds, drafted, accepted = (
            sum(count(s.get(n, s.get(other)), n) or 0 for s in stages)
            for n, other in (("drafts", "num_drafts"), ("draft_tokens", ""),
                             ("accepted", "accepted_tokens"))
        )  # fmt: skip
        if accepted > drafted:
            raise ValueError(f"accepted must be in [0, draft_tokens = {drafted}], got {accepted}")
        for stage in stages:
            self._positions(stage)
        timing = entry["timing"] if isinstance(entry.get("timing"), dict) else entry
        label = str(entry.get("task") or entry.get("task_name") or len(self.attempts) + 1)
        speed = number(timing.get("decode_tps"), "decode_tps")
        more = {"tokens": made, "tokens_per_s": speed}
        self.attempts.append(Group.of(label, rounds, drafted, accepted, **more))
        return True

    def _positions(self, stage: dict[str, Any]) -> None:
        tried = whole_list(stage.get("drafted_by_position"), "drafted_by_position")
        kept = whole_list(stage.get("accepted_by_position"), "accepted_by_position")
        if tried is None or kept is None or len(tried) != len(kept):
            self.whole = False
            return
        add_lists(self.tried, tried)
        add_lists(self.kept, kept)

    def result(self) -> EngineCounts | None:
        """The sum over attempts."""
        if not self.attempts:
            return None
        names = ("rounds", "drafted", "accepted")
        totals: dict[str, Any] = {n: sum(getattr(g, n) or 0 for g in self.attempts) for n in names}
        rounds, drafted = totals["rounds"], totals["drafted"]
        notes = []
        if self.baseline:
            notes.append(f"{self.baseline} attempts ran without drafts and are left out")
        full = rounds and self.tried and all(n == rounds for n in self.tried)
        gamma = len(self.tried) if full and drafted == rounds * len(self.tried) else None
        notes.append(
            f"gamma is the {gamma} positions that every round drafted"
            if gamma else "rounds draft different numbers of tokens: gamma null"
        )  # fmt: skip
        positions = self.kept if self.whole and self.kept and rounds else None
        return counts_as(
            "ik_llama-spec-bench",
            **totals,
            tokens=total([g.tokens for g in self.attempts]),
            gamma=gamma,
            per_position_accepted=positions,
            groups=tuple(self.attempts) if len(self.attempts) > 1 else (),
            requests=len(self.attempts),
            notes=notes,
        )
