"""llama.cpp's logs: a line for each request, statistics since the start, and the small example.

Requests (ggml-org/llama.cpp, tools/server): "draft acceptance = 0.6 ( 167 accepted / 259
generated)", with the mean length and the shares by position from PR #24536 on; earlier "draft
acceptance rate = ...", whose denominator changed with PR #14104 from all tokens of a request to
the generated draft tokens.
Statistics (common/speculative.cpp): counts since the start for each kind of draft; rounds are the
accept calls, which the shares and the mean length are divided by.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .counts import Check, EngineCounts, Group, compare, engine_counts
from .intervals import Interval, Total, interval_checks
from .lines import Damage, without_colours
from .printed import NUMBER, Printed, number_list, printed, whole

_REQUEST = re.compile(
    rf"draft acceptance(?: rate)?\s*=\s*({NUMBER})"
    r"\s*\(\s*(\d+)\s+accepted\s*/\s*(\d+)\s+generated\)"
    rf"(?:,\s*mean (?:acceptance length|len)\s*=\s*({NUMBER}))?"
    r"(?:,\s*acceptance rate per position\s*=\s*\(([^)]*)\)?)?"
)
_KIND = re.compile(r"statistics\s+([\w.-]+):")
_COUNT = r"#{name}\s*=\s*(\d+)"
_COUNTS = {
    name: re.compile(_COUNT.format(name=name))
    for name in ("gen drafts", "acc drafts", "gen tokens", "acc tokens")
}
_CALLS = re.compile(r"#calls\(b,g,a\)\s*=\s*(\d+)\s+(\d+)\s+(\d+)")
_MEAN = re.compile(rf"#mean acc len\s*=\s*({NUMBER})")
_RATES = re.compile(r"#acc rate/pos\s*=\s*\(([^)]*)\)")
_TIMES = re.compile(rf"dur\(b,g,a\)\s*=\s*({NUMBER}),\s+({NUMBER}),\s+({NUMBER})\s*ms")
_GAMMA = re.compile(r"(?:--draft-max|--draft-n|--spec-draft-n-max|\bn_max)[ =]+(\d{1,4})\b")
_BUILD = re.compile(r"\bbuild(?:_info)?:\s*(b?\d[\w.-]*)")
_REQUEST_DEFINITION = (
    "llama.cpp requests: accepted / generated draft tokens; mean length = 1 + accepted / rounds "
    "(bonus counted) and shares by position over all rounds, where printed"
)
_STATISTICS_DEFINITION = (
    "llama.cpp statistics: counts since the start; rounds = accept calls; mean length = 1 + "
    "accepted / rounds (bonus counted); share by position over all rounds"
)


@dataclass(frozen=True)
class _Statistics:
    kind: str
    rounds: int | None
    drafts: int
    any_accepted: int | None
    drafted: int
    accepted: int
    begins: int | None
    length: Printed | None
    rates: tuple[Printed, ...]
    draft_s: float | None
    accept_s: float | None

    def interval(self) -> Interval:
        return Interval(self.accepted, self.drafted, self.length, self.rates, True, None)


class LlamaLog:
    """Adds up requests, or takes the last statistics of each kind of draft."""

    engine = "llama.cpp"
    needed: tuple[bytes, ...] = (b"draft acceptance", b"#gen tokens")
    markers: tuple[bytes, ...] = (*needed, b"draft-max", b"draft-n", b"n_max", b"build")

    def __init__(self) -> None:
        self.damage = Damage("draft acceptance or statistics")
        self.requests: dict[Interval, int] = {}
        self.last: dict[str, _Statistics] = {}
        self.ended: list[_Statistics] = []
        self.statistics_lines = 0
        self.stated_gamma: int | None = None
        self.version: str | None = None

    def feed(self, line: str) -> None:
        """Take one line."""
        line = without_colours(line)
        try:
            if "#gen tokens" in line:
                self._statistics(line)
            elif "draft acceptance" in line:
                self._request(line)
            elif found := _GAMMA.search(line):
                self.stated_gamma = int(found.group(1)) or None
            elif found := _BUILD.search(line):
                self.version = found.group(1)
        except ValueError as error:
            self.damage.add(str(error))

    def _request(self, line: str) -> None:
        found = list(_REQUEST.finditer(line))
        if not found:
            raise ValueError(f"needs accepted / generated counts, got {line.strip()[-120:]!r}")
        for m in found:
            shown = m.group(5) or ""
            part = Interval(
                accepted=whole(m.group(2), "accepted"),
                drafted=whole(m.group(3), "generated"),
                length=printed(m.group(4)) if m.group(4) else None,
                rates=tuple(number_list(shown)),
                whole_list=not re.search(r"…|\.\.\.", shown),
                rate=printed(m.group(1)),
            )
            part.check("generated")
            self.requests[part] = self.requests.get(part, 0) + 1

    def _statistics(self, line: str) -> None:
        found = _read_statistics(line)
        self.statistics_lines += 1
        before = self.last.get(found.kind)
        if before is not None and (
            found.drafted < before.drafted or found.accepted < before.accepted
        ):
            self.ended.append(before)
        self.last[found.kind] = found

    def result(self) -> EngineCounts | None:
        """Statistics where they are there, else the sum of the requests."""
        self.damage.refuse_if_alone(sum(self.requests.values()) + self.statistics_lines)
        if self.last:
            return self._from_statistics()
        return self._from_requests() if self.requests else None

    def _from_requests(self) -> EngineCounts:
        notes, total = self.damage.notes(), Total()
        for part, times in self.requests.items():
            # The list of positions is as long as the longest draft, so it bounds a round.
            total.add(part, times, part.depth or self.stated_gamma, exact=False)
        depths = {len(p.rates) for p in self.requests if p.rates and p.whole_list}
        gamma = self.stated_gamma or (depths.pop() if len(depths) == 1 else None)
        if gamma is None:
            notes.append("the log does not state how many tokens a round drafts: gamma null")
        elif self.stated_gamma is None:
            notes.append(f"gamma is the {gamma} positions that the lines list")
        else:
            notes.append(f"gamma {gamma} is the largest draft that the log's settings state")
        notes += total.notes(None)
        count = sum(self.requests.values())
        lengths = all(p.length is not None for p in self.requests)
        if not lengths:
            notes.append(
                "accepted and generated without a length do not determine rounds, acceptance "
                "length or survival"
            )
            notes.append("before PR #14104 generated counted every token of a request")
        rounds = total.rounds if total.open == 0 else None
        positions = total.positions if rounds is not None and depths is not None else None
        return engine_counts(
            "llama.cpp",
            "llama.cpp-request-log",
            definition=_REQUEST_DEFINITION,
            version=self.version,
            rounds=rounds,
            drafted=total.drafted,
            accepted=total.accepted,
            gamma=gamma,
            per_position_accepted=positions or None,
            survival=None if positions else total.survival(),
            acceptance_length=total.length() if lengths else None,
            requests=count,
            consistency=interval_checks(self.requests),
            notes=notes,
        )

    def _from_statistics(self) -> EngineCounts:
        parts = [*self.ended, *self.last.values()]
        notes, total, groups, checks = self.damage.notes(), Total(), [], list[Check]()
        rounds: int | None = 0
        for part in parts:
            total.add(part.interval(), 1, None, known=part.rounds)
            rounds = None if rounds is None or part.rounds is None else rounds + part.rounds
            groups.append(_group(part))
            checks += _statistics_checks(part)
        if self.statistics_lines > len(parts):
            notes.append(
                f"counts run since the start: the last of {self.statistics_lines} lines is taken"
            )
        if self.ended:
            notes.append(f"the counts fell {len(self.ended)} times: restarts are added up")
        if self.requests:
            notes += self._against_requests(total.drafted)
        depths = {len(p.rates) for p in parts if p.rates}
        gamma = self.stated_gamma or (depths.pop() if len(depths) == 1 else None)
        if gamma is not None and self.stated_gamma is None:
            notes.append(f"gamma is the {gamma} positions that the line lists")
        if gamma is None:
            notes.append("how many tokens a round drafts is not stated: gamma null")
        if rounds is None:
            rounds = total.rounds if total.open == 0 else None
            notes += total.notes(None)
        durations = {
            name: sum(t for p in parts if (t := getattr(p, name)) is not None)
            for name in ("draft_s", "accept_s")
            if any(getattr(p, name) is not None for p in parts)
        }
        positions = total.positions if rounds is not None else None
        return engine_counts(
            "llama.cpp",
            "llama.cpp-statistics",
            definition=_STATISTICS_DEFINITION,
            version=self.version,
            rounds=rounds,
            drafted=total.drafted,
            accepted=total.accepted,
            gamma=gamma,
            per_position_accepted=positions or None,
            survival=None if positions else total.survival(),
            acceptance_length=None if rounds else total.length(),
            requests=sum(self.requests.values()) or None,
            groups=tuple(groups) if len(groups) > 1 else (),
            durations_s=durations,
            consistency=tuple(checks),
            notes=notes,
        )

    def _against_requests(self, drafted: int) -> list[str]:
        served = sum(n * p.drafted for p, n in self.requests.items())
        if served == drafted:
            return ["the lines of the requests add up to the statistics"]
        return [
            f"the lines of the requests add up to {served} drafted tokens, the statistics to "
            f"{drafted}; the statistics are taken"
        ]


def _read_statistics(line: str) -> _Statistics:
    found = {name: pattern.search(line) for name, pattern in _COUNTS.items()}
    tokens, accepted, drafts = found["gen tokens"], found["acc tokens"], found["gen drafts"]
    if tokens is None or accepted is None or drafts is None:
        raise ValueError(f"needs #gen drafts, #gen tokens and #acc tokens, got {line[-160:]!r}")
    calls, kind, mean = _CALLS.search(line), _KIND.search(line), _MEAN.search(line)
    rates, times, some = _RATES.search(line), _TIMES.search(line), found["acc drafts"]
    part = _Statistics(
        kind=kind.group(1) if kind else "draft",
        rounds=whole(calls.group(3), "accept calls") if calls else None,
        drafts=whole(drafts.group(1), "gen drafts"),
        any_accepted=whole(some.group(1), "acc drafts") if some else None,
        drafted=whole(tokens.group(1), "gen tokens"),
        accepted=whole(accepted.group(1), "acc tokens"),
        begins=whole(calls.group(1), "begin calls") if calls else None,
        length=printed(mean.group(1)) if mean else None,
        rates=tuple(number_list(rates.group(1))) if rates else (),
        draft_s=printed(times.group(2)).value / 1e3 if times else None,
        accept_s=printed(times.group(3)).value / 1e3 if times else None,
    )
    part.interval().check("gen tokens")
    if part.rounds is None:
        # Without the calls, a draft that was generated is one that was verified.
        return _Statistics(**{**part.__dict__, "rounds": part.drafts})
    return part


def _group(part: _Statistics) -> Group:
    return Group(
        label=part.kind,
        rounds=part.rounds,
        drafted=part.drafted,
        accepted=part.accepted,
        acceptance_length=1.0 + part.accepted / part.rounds if part.rounds else None,
    )


def _statistics_checks(part: _Statistics) -> list[Check]:
    if not part.rounds:
        return []
    found = []
    if part.length is not None:
        found.append(compare("acceptance length", part.length, 1.0 + part.accepted / part.rounds))
    if part.rates and part.any_accepted is not None:
        found.append(compare("share at position 1", part.rates[0], part.any_accepted / part.rounds))
    return found


_SIMPLE = {
    "n_draft": re.compile(r"\bn_draft\s*=\s*(\d+)"),
    "n_predict": re.compile(r"\bn_predict\s*=\s*(\d+)"),
    "n_drafted": re.compile(r"\bn_drafted\s*=\s*(\d+)"),
    "n_accept": re.compile(r"\bn_accept\s*=\s*(\d+)"),
}
_SHARE = re.compile(rf"^\D*?\baccept\s*=\s*({NUMBER})\s*%", re.MULTILINE)
_SIMPLE_DEFINITION = (
    "llama-speculative-simple (@08d0baac): n_predict counts the tokens of all rounds with the "
    "bonus, n_accept the accepted draft tokens, so rounds = n_predict - n_accept, those that "
    "drafted nothing included"
)


class SimpleLog:
    """The summary of llama-speculative-simple and llama-speculative, printed at the end."""

    engine = "llama.cpp"
    needed: tuple[bytes, ...] = (b"n_drafted", b"n_accept")
    markers: tuple[bytes, ...] = (*needed, b"n_draft ", b"n_predict", b"accept ")

    def __init__(self) -> None:
        self.runs: list[dict[str, int]] = []
        self.shares: list[Printed] = []
        self.open: dict[str, int] = {}

    def feed(self, line: str) -> None:
        """Take one line."""
        line = without_colours(line)
        for name, pattern in _SIMPLE.items():
            if found := pattern.search(line):
                if name in self.open and "n_accept" in self.open:
                    self._close()
                self.open[name] = whole(found.group(1), name)
        if (found := _SHARE.search(line)) and "n_accept" in self.open:
            self.shares.append(printed(found.group(1)).scaled(0.01))

    def _close(self) -> None:
        if "n_drafted" in self.open and "n_accept" in self.open:
            self.runs.append(self.open)
        self.open = {}

    def result(self) -> EngineCounts | None:
        """The sum over the runs."""
        lonely = {"n_drafted", "n_accept"} & set(self.open)
        self._close()
        if not self.runs:
            if lonely:
                raise ValueError("llama-speculative prints n_drafted and n_accept, got only one")
            return None
        runs, notes = self.runs, []
        drafted, accepted = sum(r["n_drafted"] for r in runs), sum(r["n_accept"] for r in runs)
        gammas = {r.get("n_draft") for r in runs}
        gamma = next(iter(gammas)) if len(gammas) == 1 else None
        rounds = None
        if all(r.get("n_predict", -1) >= r["n_accept"] for r in runs):
            rounds = sum(r["n_predict"] - r["n_accept"] for r in runs)
            notes.append(
                "rounds = n_predict - n_accept: every round, also one that drafted nothing, gives "
                "one token of its own"
            )
            if gamma and drafted != gamma * rounds:
                notes.append(
                    f"drafted {drafted} is not gamma x rounds = {gamma * rounds}: some rounds "
                    f"drafted less"
                )
        else:
            notes.append("n_predict is missing, so rounds are not determined")
        notes.append("shares by position are not printed")
        checks = [
            compare("drafted rate", s, r["n_accept"] / r["n_drafted"])
            for s, r in zip(self.shares, runs, strict=False)
            if r["n_drafted"]
        ]
        return engine_counts(
            "llama.cpp",
            "llama-speculative",
            definition=_SIMPLE_DEFINITION,
            rounds=rounds,
            drafted=drafted,
            accepted=accepted,
            gamma=gamma or None,
            requests=len(runs),
            consistency=tuple(checks),
            notes=notes,
        )
