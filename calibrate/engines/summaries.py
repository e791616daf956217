"""Summaries that scripts and benchmarks print: a name and its number on a line, or several on one.

    Acceptance rate (%):        51.50        vllm bench serve
    num_drafts: 2189                         vLLM's offline example
    Accept length:              2.14         SGLang's bench_serving
    n_drafted = 260                          llama-speculative, llama-speculative-simple
    code  pred= 192 draft= 166 acc= 107      mtp-bench, a request a line
    ... Draft: 120 / 150 tokens accepted     tabbyAPI on exllamav3, a request a line

What a name means stands in `rows`, so other scripts are read alike. A name that comes a second time
begins another summary.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..tables.cells import plain_name
from .counts import EngineCounts
from .lines import Damage, without_colours
from .row_sums import counts_of_rows, in_fractions
from .rows import Row, role_of, row_of

_BENCH = (
    "vllm bench serve: counters after minus before the run; acceptance length = 1 + accepted / "
    "drafts (bonus counted), rate and shares by position in per cent"
)
_VLLM = (
    "vLLM: acceptance length = 1 + accepted / drafts (bonus counted); share by position over all "
    "drafts"
)
_SGLANG = (
    "SGLang bench_serving: accept length = tokens of a round with the bonus token, the server's "
    "average since its start"
)
_LLAMA = (
    "llama-speculative: n_predict counts the tokens of all rounds with the bonus, n_accept the "
    "accepted draft tokens, so rounds = n_predict - n_accept, those that drafted nothing included"
)
_MTP = "mtp-bench: draft generated, acc accepted draft tokens of a request, pred all its tokens"
_NAME = r"[A-Za-z#τ][\w/.#-]*(?: [\w/.#-]+)*"
_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.,]\d+)?)"
_CELL = rf"[~+]?{_DIGITS}\s*[%x]?(?:[\s*`]*\([\s*`]*\d+\s*/\s*\d+[\s*`]*\))?"
_PAIR = re.compile(rf"({_NAME}(?:\s*\([^)=:]{{1,24}}\))?)\s*[:=]\s*\**({_CELL})(?![\w/])")
_LISTED = re.compile(
    rf"({_NAME})\s*[:=]\s*(?:[\[(]([\d.,\s%]+)[\])]|((?:\d?\.\d+%?(?:,\s*|\s+|$))+))"
)
_COLUMNS = re.compile(
    rf"^[\s|│┃*]*([A-Za-z#][^|│┃,\t*]*?)[\s*]*(?:[|│┃\t,]|\s{{2}})[\s*`]*({_CELL})"
)
_FRACTION = re.compile(r"(\d[\d,]*)\s*(?:/|of|out of)\s*(\d[\d,]*)", re.IGNORECASE)
_SPOKEN = re.compile(r"accept", re.IGNORECASE)
_ROUND = re.compile(r"accepted\s+\d+\s*/\s*\d+\s+draft tokens(?!\s*\()")
_TOKENS = re.compile(r"\b(\d[\d,]*) tokens(?: generated|\s*•)")
_LABEL = re.compile(r"^\W*([\w][\w./ -]*?)\s+(?:pred|draft|tokens|acc)\w*\s*[=:]")
_OURS = frozenset({"n_drafted", "n_accept", "n_predict", "n_draft"})
_MOST_ROWS = 20_000


class Kind(NamedTuple):
    """A format by the names it prints. last: of several the last is taken, not the sum."""

    names: frozenset[str]
    engine: str
    form: str
    definition: str
    last: bool = False


KINDS = (
    Kind(frozenset({"n_drafted"}), "llama.cpp", "llama-speculative", _LLAMA),
    Kind(frozenset({"num_drafts", "num_accepted_tokens"}), "vllm", "vllm-offline-example", _VLLM,
         True),
    Kind(frozenset({"accept_length"}), "sglang", "sglang-bench-serving", _SGLANG),
    Kind(frozenset({"acceptance_rate", "acceptance_length"}), "vllm", "vllm-bench-console", _BENCH,
         True),
    Kind(frozenset({"pred", "acc"}), "llama.cpp", "mtp-bench", _MTP),
    Kind(frozenset({"draft", "acc"}), "llama.cpp", "mtp-bench", _MTP),
    Kind(frozenset({"total_draft", "total_draft_accepted"}), "llama.cpp", "mtp-bench", _MTP),
    Kind(frozenset({"tabby"}), "exllamav3", "tabby-console", "tabbyAPI: accepted of drafted tokens "
         "of a request"),
    Kind(frozenset({"lm studio"}), "lm-studio", "lm-studio-text", "LM Studio: accepted of drafted "
         "tokens of an answer"),
)  # fmt: skip
_ANY = Kind(frozenset(), "summary", "summary", "a summary: acceptance length with the bonus token, "
            "rate = accepted / drafted")  # fmt: skip


@dataclass
class _Open:
    """A summary that is being read: its cells by role, and the names they stood under."""

    cells: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    label: str = ""

    def row(self) -> Row:
        """What it states. Raises ValueError for what cannot be."""
        row = Row(self.label)
        places = sorted((int(r), r) for r in self.cells if r.isdigit())
        if places and [k for k, _ in places] not in (
            list(range(len(places))), list(range(1, len(places) + 1))
        ):  # fmt: skip
            raise ValueError("shares by position must be without gaps from 0 or 1 on")
        for role in (*(r for r in self.cells if not r.isdigit()), *(r for _, r in places)):
            row.put(role, self.cells[role])
        if self.names & {"n_drafted", "n_accept"}:
            _llama(row)
        row.close()
        return row


def _llama(row: Row) -> None:
    """llama-speculative: every round, also one that drafted nothing, gives a token of its own."""
    accepted, made = row.counts.get("accepted"), row.counts.pop("tokens", None)
    if accepted is None or "drafted" not in row.counts:
        raise ValueError("llama-speculative prints n_drafted and n_accept, got only one")
    if made is not None and made >= accepted:
        row.counts["rounds"] = made - accepted


class Summaries:
    """Takes lines with names that `rows` knows, and gives the counts of the summaries."""

    engine = "summary"
    needed: tuple[bytes, ...] = (b"ccept", b"acc=", b"acc:")
    markers: tuple[bytes, ...] = (*needed, b"raft", b"n_predict", b"enerat", b"output_tokens",
                                  b"osition", b"equests", b"ount", b"okens",
                                  b"ounds", b"teps", b"rate")  # fmt: skip

    def __init__(self) -> None:
        self.damage = Damage("summary")
        self.open = _Open()
        self.done: list[_Open] = []
        self.lone_tokens = ""
        self.heading = ""

    def feed(self, line: str) -> None:
        """Take one line."""
        line = without_colours(line).rstrip()
        pairs = [(n, c) for n, c in _PAIR.findall(line) if _role(n) not in ("", "listed")]
        pairs += [(n, a or b) for n, a, b in _LISTED.findall(line) if _role(n) == "listed"]
        roles = {_role(n) for n, _ in pairs}
        if {"drafted", "accepted"} <= roles or {"accepted", "rejected"} <= roles:
            self._alone(line, pairs)
        elif self._spoken(line):
            return
        else:
            for name, cell in pairs or _COLUMNS.findall(line):
                self._put(name, cell)

    def _alone(self, line: str, pairs: list[tuple[str, str]]) -> None:
        """A line that is a summary of its own."""
        if plain_name(line).startswith("statistics"):
            return
        one = _Open({_role(n): c for n, c in reversed(pairs)}, {plain_name(n) for n, _ in pairs})
        label = _LABEL.match(line)
        one.label = label[1] if label else ""
        self._keep(one)

    def _spoken(self, line: str) -> bool:
        """A line such as "Accepted 64/82 draft tokens (78.0%)"; whether it was one."""
        if found := _TOKENS.search(line):
            self.lone_tokens = found[1]
        part = _FRACTION.search(line) if _SPOKEN.search(line) else None
        if part is None or _ROUND.search(line) or not re.search("draft|token|spec", line, re.I):
            return False
        name = "tabby" if "tokens accepted" in line else "lm studio" if "Accepted" in line else ""
        cells = {"accepted": f"{part[1]}/{part[2]}"}
        if self.lone_tokens:
            cells["tokens"], self.lone_tokens = self.lone_tokens, ""
        self._keep(_Open(cells, {name}))
        return True

    def _put(self, name: str, cell: str) -> None:
        plain, role = plain_name(name), _role(name)
        if not role or (role == "rate" and "acc" not in plain):
            return
        if plain in _OURS:  # llama-speculative's n_draft is the most that a round drafts
            role = {"n_draft": "gamma"}.get(plain, role)
        if role in self.open.cells:
            if plain not in self.open.names:
                return  # another name of the same, such as all requests beside the successful
            self._close()
        percent = "%" in name and "%" not in cell
        self.open.cells[role] = f"{cell.strip()}%" if percent else cell.strip()
        self.open.names.add(plain)

    def _keep(self, one: _Open) -> None:
        if len(self.done) < _MOST_ROWS:
            self.done.append(one)

    def _close(self) -> None:
        if self.open.cells.keys() - {"tokens", "gamma", "requests"}:
            self._keep(self.open)
        self.open = _Open()

    def result(self) -> EngineCounts | None:
        """The last summary, or the sum of all."""
        self._close()
        rows: list[tuple[_Open, Row]] = []
        for one in self.done:
            try:
                rows.append((one, one.row()))
            except ValueError as error:
                if {"accepted", "drafted"} <= one.cells.keys() or one.cells.keys() & {"length"}:
                    self.damage.add(str(error))
        rows = [(o, r) for o, r in rows if _says(o, r)]
        self.damage.refuse_if_alone(len(rows))
        if not rows:
            return None
        notes = self.damage.notes()
        names = set().union(*(o.names for o, _ in rows))
        kind = next((k for k in KINDS if k.names <= names), _ANY)
        rows = [(o, r) for o, r in rows if _fits(kind, o)] or rows
        found = [r for _, r in rows]
        if kind.last and len(found) > 1:
            notes.append(f"{len(found)} summaries are printed: the last is taken")
            found = found[-1:]
        return _counted(found, kind, notes)


def _fits(kind: Kind, one: _Open) -> bool:
    """Whether a summary is of the kind."""
    return not kind.names or bool(kind.names & one.names)


def _role(name: str) -> str:
    plain = plain_name(name)
    if re.match(r"max_(?:draft|spec)", plain):
        return "gamma"
    return role_of(plain) or _spoken_role(plain)


def _spoken_role(plain: str) -> str:
    """The role of a name with words in front of it, such as "per_position_acceptance_rate"."""
    words = plain.split("_")
    return next((r for k in range(1, min(len(words), 5)) if (r := role_of("_".join(words[k:])))
                 in ("accepted", "drafted", "length", "rate", "rounds", "listed")), "")  # fmt: skip


def _says(one: _Open, row: Row) -> bool:
    """Whether a summary says enough to be one: no single number that other programs print too."""
    if row.length is not None or (row.rate is not None and any("acc" in n for n in one.names)):
        return True
    return bool(row.shares) or ("accepted" in row.counts and len(row.counts) > 1)


def _counted(rows: list[Row], kind: Kind, notes: list[str]) -> EngineCounts:
    for k, row in enumerate(rows):
        row.label = row.label or f"run {k + 1}"
    in_fractions(rows)
    known: dict[str, Any] = {}
    if kind.form == "llama-speculative":
        known["requests"] = len(rows)
        stated = all("rounds" in r.counts for r in rows)
        notes.append(
            "rounds = n_predict - n_accept: every round, also one that drafted nothing, gives one "
            "token of its own" if stated else "n_predict is missing, so rounds are not determined"
        )  # fmt: skip
    elif all({"accepted", "drafted"} <= r.counts.keys() and "rounds" not in r.counts for r in rows):
        known["requests"] = len(rows) if len(rows) > 1 else rows[0].requests
        notes.append(
            "rounds are not counted: tokens - accepted bounds them, --gamma, the longest draft, "
            "more"
        )
    elif not any(r.length or r.shares or "accepted" in r.counts for r in rows):
        notes.append("a rate alone determines neither rounds nor acceptance length")
    lengths = {r.length.value for r in rows if r.length is not None}
    if len(rows) > 1 and len(lengths) == 1 and all(r.length for r in rows):
        known["acceptance_length"] = lengths.pop()
    return counts_of_rows(rows, kind.engine, kind.form, kind.definition, notes, **known)


class Objects:
    """JSON objects that state drafted and accepted tokens, or a length, under names of `rows`."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.names: set[str] = set()

    def offer(self, value: Any) -> None:
        """Look through a value; an object that states something is not entered."""
        stack = [("", value)]
        while stack and len(self.rows) < _MOST_ROWS:
            label, part = stack.pop()
            if isinstance(part, list):
                stack += [(label, v) for v in reversed(part) if isinstance(v, dict | list)]
            elif isinstance(part, dict) and not self._taken(label, part):
                stack += [(str(k), v) for k, v in reversed(part.items())]

    def _taken(self, label: str, part: dict[str, Any]) -> bool:
        pairs = {}
        for key, value in part.items():
            name = plain_name(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", str(key)))
            wanted = (list,) if role_of(name) == "listed" else (int, float, str)
            if isinstance(value, wanted) and not isinstance(value, bool):
                pairs[name] = str(value)
        roles = {role_of(n) for n in pairs}
        known = roles & {"drafted", "rejected", "rounds", "rate"}
        if "length" not in roles and not ("accepted" in roles and known):
            return False
        said = next((pairs[n] for n in ("task", "name", "category", "dataset", "label", "id")
                     if n in pairs), label)  # fmt: skip
        self.rows.append(row_of(pairs.items(), said or f"object {len(self.rows) + 1}"))
        self.names |= pairs.keys()
        return True

    def result(self) -> EngineCounts | None:
        """The sum over the objects."""
        rows = [r for r in self.rows if r.drafts]
        if not rows:
            return None
        kind = next((k for k in KINDS if k.names <= self.names), _ANY)
        return _counted(rows, kind, [])
