"""Results of benchmarks: vllm bench serve, specdec_bench, Spec-Bench and EAGLE answer files."""

from __future__ import annotations

import re
from typing import Any

from .counts import Check, EngineCounts, compare, engine_counts
from .lines import without_colours
from .printed import NUMBER, WHOLE, Printed, printed, whole
from .requests import check_number, count, counts_list, number, whole_list

_VLLM_DEFINITION = (
    "vllm bench serve: counters after minus before the run; acceptance length = 1 + accepted / "
    "drafts (bonus counted), rate in per cent, shares by position as fractions"
)
_PREFIX = "spec_decode_"


class VllmBench:
    """The JSON of `vllm bench serve`; several runs are added up."""

    engine = "vllm"

    def __init__(self) -> None:
        self.runs: list[dict[str, Any]] = []

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take a run."""
        if f"{_PREFIX}num_drafts" not in entry and f"{_PREFIX}acceptance_length" not in entry:
            return False
        if isinstance(entry.get(f"{_PREFIX}acceptance_length"), dict):
            return False
        self.runs.append({k: v for k, v in entry.items() if k.startswith(_PREFIX)})
        return True

    def result(self) -> EngineCounts | None:
        """The sums over runs."""
        if not self.runs:
            return None
        notes: list[str] = []
        names = {"rounds": "num_drafts", "drafted": "draft_tokens", "accepted": "accepted_tokens"}
        totals: dict[str, Any] = {}
        for name, field in names.items():
            found = [count(r.get(_PREFIX + field), _PREFIX + field) for r in self.runs]
            totals[name] = None if None in found else sum(n for n in found if n is not None)
        shares = [_shares(r.get(f"{_PREFIX}per_position_acceptance_rates")) for r in self.runs]
        weights = [count(r.get(f"{_PREFIX}num_drafts"), "num_drafts") or 0 for r in self.runs]
        depths = {len(s) for s in shares if s}
        gamma = depths.pop() if len(depths) == 1 and all(shares) else None
        if gamma is None:
            notes.append("the shares by position do not give one draft length: gamma null")
        else:
            notes.append(f"gamma is the {gamma} positions that have a share")
        if len(self.runs) > 1:
            notes.append(f"{len(self.runs)} runs are added up")
        positions = _exact_positions(shares, weights, gamma)
        survival = None
        if gamma and sum(weights):
            survival = [
                sum(w * s[k] for w, s in zip(weights, shares, strict=True)) / sum(weights)
                for k in range(gamma)
            ]
        elif gamma and len(self.runs) == 1:
            survival = shares[0]
        length = None
        stated = [
            number(r.get(f"{_PREFIX}acceptance_length"), "acceptance length") for r in self.runs
        ]
        if not totals["rounds"] and len(stated) == 1:
            length = stated[0]
        return engine_counts(
            "vllm",
            "vllm-bench-serve",
            definition=_VLLM_DEFINITION,
            gamma=gamma,
            survival=None if positions else survival,
            per_position_accepted=positions,
            acceptance_length=length,
            intervals=len(self.runs),
            consistency=tuple(c for r in self.runs for c in _run_checks(r)),
            notes=notes,
            **totals,
        )


def _shares(value: Any) -> list[float]:
    if not isinstance(value, list):
        return []
    found = [number(v, "per-position acceptance rate") for v in value[:4096]]
    return [
        min(max(s, 0.0), 1.0) if -1e-12 <= s <= 1 + 1e-12 else s for s in found if s is not None
    ]


def _exact_positions(
    shares: list[list[float]], weights: list[int], gamma: int | None
) -> list[int] | None:
    """Counts behind fractions with all their digits; None where they are rounded."""
    if not gamma or not all(weights):
        return None
    found = [0] * gamma
    for share, rounds in zip(shares, weights, strict=True):
        for k, s in enumerate(share):
            if abs(s * rounds - round(s * rounds)) > 1e-6 * max(1.0, rounds * 1e-6):
                return None
            found[k] += round(s * rounds)
    return found


def _run_checks(run: dict[str, Any]) -> list[Check]:
    rounds = count(run.get(f"{_PREFIX}num_drafts"), "num_drafts")
    drafted = count(run.get(f"{_PREFIX}draft_tokens"), "draft_tokens")
    accepted = count(run.get(f"{_PREFIX}accepted_tokens"), "accepted_tokens")
    rate = number(run.get(f"{_PREFIX}acceptance_rate"), "acceptance rate")
    length = number(run.get(f"{_PREFIX}acceptance_length"), "acceptance length")
    found = []
    if drafted and accepted is not None:
        found += check_number("drafted rate, per cent", rate, 100.0 * accepted / drafted)
    if rounds and accepted is not None:
        found += check_number("acceptance length", length, 1.0 + accepted / rounds)
    return found


_CONSOLE = {
    "rate": re.compile(rf"\bAcceptance rate \(%\):\s*({NUMBER})"),
    "length": re.compile(rf"\bAcceptance length:\s*({NUMBER})"),
    "rounds": re.compile(rf"^\W*Drafts:\s*({WHOLE})\s*$"),
    "drafted": re.compile(rf"^\W*Draft tokens:\s*({WHOLE})\s*$"),
    "accepted": re.compile(rf"^\W*Accepted tokens:\s*({WHOLE})\s*$"),
}
_POSITION = re.compile(rf"^\W*Position (\d{{1,4}}):\s*({NUMBER})\s*$")


class VllmConsole:
    """The table that `vllm bench serve` prints; per cent throughout."""

    engine = "vllm"
    needed: tuple[bytes, ...] = (b"Acceptance rate (%)", b"Acceptance length:")
    markers: tuple[bytes, ...] = (*needed, b"Drafts:", b"Draft tokens:", b"Accepted tokens:",
                                  b"Position ")  # fmt: skip

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self.positions: dict[int, Printed] = {}
        self.tables = 0

    def feed(self, line: str) -> None:
        """Take one line."""
        line = without_colours(line).rstrip()
        for name, pattern in _CONSOLE.items():
            if m := pattern.search(line):
                self.tables += name == "rate" or (name == "length" and "rate" not in self.found)
                self.found[name] = m.group(1)
        if m := _POSITION.search(line):
            self.positions[int(m.group(1))] = printed(m.group(2)).scaled(0.01)

    def result(self) -> EngineCounts | None:
        """The last table."""
        if "rate" not in self.found and "length" not in self.found:
            return None
        totals: dict[str, Any] = {
            name: whole(self.found[name], name)
            for name in ("rounds", "drafted", "accepted")
            if name in self.found
        }
        notes = []
        if self.tables > 1:
            notes.append(f"{self.tables} tables are printed: the last is taken")
        gamma = len(self.positions) or None
        if gamma and set(self.positions) != set(range(gamma)):
            raise ValueError("positions must be without gaps from 0 on, as vllm prints them")
        survival = [self.positions[k].value for k in range(gamma or 0)] or None
        notes.append(
            f"gamma is the {gamma} positions that are printed" if gamma else "gamma is not printed"
        )
        rounds, accepted = totals.get("rounds"), totals.get("accepted")
        length = printed(self.found["length"]) if "length" in self.found else None
        checks = []
        if length is not None and rounds and accepted is not None:
            checks.append(compare("acceptance length", length, 1.0 + accepted / rounds))
        if "rate" in self.found and totals.get("drafted") and accepted is not None:
            stated = printed(self.found["rate"])
            share = 100.0 * accepted / totals["drafted"]
            checks.append(compare("drafted rate, per cent", stated, share))
        known = rounds and accepted is not None
        return engine_counts(
            "vllm",
            "vllm-bench-console",
            definition=_VLLM_DEFINITION.replace("as fractions", "in per cent"),
            gamma=gamma,
            survival=survival,
            acceptance_length=length.value if length is not None and not known else None,
            consistency=tuple(checks),
            notes=notes,
            **totals,
        )


class SpecdecBench:
    """acceptance_rate.json of NVIDIA Model-Optimizer's specdec_bench.

    The histogram counts steps by the tokens they gave, the bonus token included (1 and up).
    """

    engine = "specdec_bench"

    def __init__(self) -> None:
        self.found: EngineCounts | None = None

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take the result."""
        if "Acceptance_Length_Histogram" not in entry and "Average_AL" not in entry:
            return False
        histogram = counts_list(
            entry.get("Acceptance_Length_Histogram"), "Acceptance_Length_Histogram"
        )
        average = number(entry.get("Average_AL"), "Average_AL")
        notes = [
            "how many tokens a step drafts is not stated: gamma and drafted null",
            "Average_AL is a mean over requests; the length here is over all steps",
        ]
        if histogram is None:
            self.found = engine_counts(
                self.engine, "specdec-bench", definition="Average_AL: mean over requests",
                acceptance_length=average, notes=notes[:1],
            )  # fmt: skip
            return True
        if histogram and histogram[0]:
            raise ValueError(
                f"a step gives at least 1 token, got {histogram[0]} steps of 0 in the histogram"
            )
        requests = entry.get("Request_AL")
        self.found = engine_counts(
            self.engine,
            "specdec-bench",
            definition="specdec_bench: steps by the tokens they gave, the bonus token included",
            histogram=histogram[1:],
            requests=len(requests) if isinstance(requests, dict | list) else None,
            notes=notes,
        )
        return True

    def result(self) -> EngineCounts | None:
        """The result."""
        return self.found


class SpecBench:
    """Answer files of Spec-Bench and EAGLE: choices[0] with new_tokens and accept_lengths.

    Whether accept_lengths count the bonus token depends on the method; new_tokens tell: they are
    the sum of the lengths with it, and the sum plus one a step without.
    """

    engine = "spec-bench"

    def __init__(self) -> None:
        self.requests = self.turns = self.tokens = self.given = self.steps = 0
        self.wall_s = 0.0
        self.histogram: dict[int, int] = {}
        self.unknown = False

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take one answer."""
        lengths = entry.get("accept_lengths")
        if not isinstance(lengths, list):
            return False
        flat = [n for v in lengths for n in (v if isinstance(v, list) else [v])]
        found = whole_list(flat, "accept_lengths") or []
        tokens = entry.get("new_tokens")
        tokens = tokens if isinstance(tokens, list) else [tokens]
        new = [count(n, "new_tokens") for n in tokens]
        self.unknown |= None in new
        self.requests += 1
        self.turns += len(new)
        self.tokens += sum(n or 0 for n in new)
        self.given += sum(found)
        self.steps += len(found)
        for n in found:
            if n > 100_000:
                raise ValueError(f"accept_lengths must be at most 100000, got {n}")
            self.histogram[n] = self.histogram.get(n, 0) + 1
        times = entry.get("wall_time")
        for t in times if isinstance(times, list) else [times]:
            self.wall_s += number(t, "wall_time") or 0.0
        return True

    def result(self) -> EngineCounts | None:
        """The rounds, where new_tokens decide about the bonus token."""
        if not self.requests:
            return None
        with_bonus = abs(self.tokens - self.given)
        without = abs(self.tokens - self.given - self.steps)
        notes = ["how many tokens a step drafts is not stated: gamma and drafted null"]
        near = 2 * self.turns + 0.02 * self.tokens
        if 0 in self.histogram:
            bonus: bool | None = False
        elif self.unknown or min(with_bonus, without) > near or abs(with_bonus - without) < 1:
            bonus = None
        else:
            bonus = with_bonus < without
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
        histogram = [0] * (max(self.histogram, default=0) + 1 - shift)
        for n, steps in self.histogram.items():
            histogram[n - shift] += steps
        return self._counts(notes, histogram=histogram)

    def _counts(self, notes: list[str], **known: Any) -> EngineCounts:
        return engine_counts(
            self.engine,
            "spec-bench",
            definition="Spec-Bench: accept_lengths by step, with or without the bonus by method",
            requests=self.requests,
            durations_s={"wall_s": self.wall_s} if self.wall_s else {},
            notes=notes,
            **known,
        )
