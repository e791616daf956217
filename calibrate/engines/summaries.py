"""Summaries that scripts print: a name and its number on a line, several on one, or sentences.

    Acceptance rate (%):        51.50        vllm bench serve
    num_drafts: 2189                         vLLM's offline example
    Accept length:              2.14         SGLang's bench_serving
    n_drafted = 260                          llama-speculative, llama-speculative-simple
    code  pred= 192 draft= 166 acc= 107      mtp-bench, a request a line
    ... Draft: 120 / 150 tokens accepted     tabbyAPI on exllamav3, a request a line

What a name means stands in `rows`, so other scripts are read alike. A name that comes a second time
begins another summary.

The last that is tried are sentences: "draft_n 231, accepted 121, 79 verify steps, 57.67 tok/s" in
running text. A quantity that the text states with two values is left out, since nothing
says which of them belongs to which setting.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

from ..tables.cells import plain_name
from ..tables.layouts import setting_of
from .counts import EngineCounts, kind_of
from .lines import Damage, first, without_colours
from .numbers import UP_TO, whole
from .row_sums import counted
from .rows import COUNTS, Row, role_of

_NAME = r"[A-Za-z#τ][\w/.#-]*(?: [\w/.#-]+)*"
_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.,]\d+)?)"
_OF = r"(?:[\s*`]*\([\s*`]*\d+(?: accepted)?\s*/\s*\d+(?: [a-z]+)?[\s*`]*\))?"
_CELL = rf"[~+]?{_DIGITS}\s*[%x]?{_OF}"
_LABELS = r"(?:\s*\([^)=:]{1,24}\)|\s*[({](?:\w+=[^,)}]{1,40},?\s?)+[)}])?"
_END = rf"(?![\w/]|\.\d|{UP_TO})"  # not within a word, and no range
_PAIR = re.compile(rf"({_NAME}{_LABELS})\s*[:=]\s*(?:about\b)?[\s*`]*({_CELL}){_END}")
_LISTED = re.compile(
    rf"({_NAME})\s*[:=]\s*(?:[\[(]([\d.,\s%]+)[\])]|((?:\d?\.\d+%?(?:\s*[×x]\d+)?(?:,\s*|\s+|$))+))"
)
_COLUMNS = re.compile(
    rf"^[\s|│┃*]*([A-Za-z#][^|│┃,\t*:=\[]*?)[\s*]*(?:[|│┃\t,]|\s{{2}})[\s*`]*({_CELL})"
)
_FRACTION = re.compile(r"(?i)(?<![\d/.=])(\d[\d,]*)\s*(?:/|of|out of)\s*(\d[\d,]*)(?![\d/.])")
_PLACE = re.compile(r"\bpos(?:ition)?[\s_#-]*(\d{1,3})\s*[:=]\s*(\d+)\s*/\s*(\d+)(?![\d.])")
_SPEECH = 20  # below it "4 out of 5" is a way to say a share
_ROUND = re.compile(r"accepted\s+\d+\s*/\s*\d+\s+draft tokens(?!\s*\()")
_TOKENS = re.compile(r"\b(\d[\d,]*) tokens(?: generated|\s*•)")
_LABEL = re.compile(r"^\W*([\w][\w./ -]*?)\s+(?:pred|draft|tokens|acc)\w*\s*[=:]")
_BEGIN = re.compile(r"(?<![\w=])[A-Za-z]\w*(?: [A-Za-z]\w*)*\s+pred\s*=")  # a request of mtp-bench
_MOST_ROWS, _LONGEST = 20_000, 4_000


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
        if places and all("/" in self.cells[r] for _, r in places):
            self._places([self.cells[r].split("/") for _, r in places])
        for role in (*(r for r in self.cells if not r.isdigit()), *(r for _, r in places)):
            row.put(role, self.cells[role])
        if self.names & {"n_drafted", "n_accept"}:
            # Every round, also one that drafted nothing, gives a token of its own.
            accepted, made = row.counts.get("accepted"), row.counts.pop("tokens", None)
            if accepted is None or "drafted" not in row.counts:
                raise ValueError("llama-speculative prints n_drafted and n_accept, got only one")
            if made is not None and made >= accepted:
                row.counts["rounds"] = made - accepted
        row.close()
        return row

    def _places(self, parts: list[list[str]]) -> None:
        """Accepted of drafted by position, as counts and as shares of all rounds."""
        accepted, drafted = ([whole(p[i], "a position") for p in parts] for i in (0, 1))
        if sorted(drafted, reverse=True) != drafted or not drafted[0]:
            raise ValueError("what is drafted at a position must be > 0 and no more than before it")
        self.cells |= {"rounds": str(drafted[0]), "drafted": str(sum(drafted)),
                       "accepted": str(sum(accepted))}  # fmt: skip
        places = sorted((r for r in self.cells if r.isdigit()), key=int)
        self.cells |= {r: f"{a / drafted[0]:.8f}" for r, a in zip(places, accepted, strict=True)}


class Summaries:
    """Takes lines with names that `rows` knows, and gives the counts of the summaries."""

    markers: tuple[bytes, ...] = (b"ccept", b"acc=", b"acc:", b"acc_len", b"tau", "τ".encode(),
                                  b"AL=", b"AL:", b"raft", b"n_predict", b"tokens:", b"tokens =",
                                  b"tokens |", b"tokens generated", b"osition", b"equests:",
                                  b"ounds", b"teps", b"iteration n", b"generated t")  # fmt: skip

    def __init__(self) -> None:
        self.damage = Damage("summary")
        self.open = _Open()
        self.done: list[_Open] = []
        self.lone_tokens = ""

    def feed(self, line: str) -> None:
        """Take one line."""
        if len(self.done) >= _MOST_ROWS:
            return
        line = without_colours(line[:_LONGEST]).rstrip().replace("：", ":")
        if len(starts := [m.start() for m in _BEGIN.finditer(line)]) > 1:
            for begin, end in pairwise((0, *starts[1:], len(line))):
                self.feed(line[begin:end])
            return
        if places := _PLACE.findall(line):
            for place, accepted, drafted in places:
                self._put(f"position {place}", f"{accepted}/{drafted}")
            return
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
        one.label = first(_LABEL, line) or ""
        self.done.append(one)

    def _spoken(self, line: str) -> bool:
        """A line such as "Accepted 64/82 draft tokens (78.0%)"; whether it was one."""
        if found := _TOKENS.search(line):
            self.lone_tokens = found[1]
        part = _FRACTION.search(line) if "accept" in line.lower() else None
        if part and "of" in part[0] and int(part[2].replace(",", "")) < _SPEECH:
            return False
        if part is None or _ROUND.search(line) or not re.search("draft|token|spec", line, re.I):
            return False
        name = "tabby" if "tokens accepted" in line else "lm_studio" if "Accepted" in line else ""
        cells = {"accepted": f"{part[1]}/{part[2]}"}
        if self.lone_tokens:
            cells["tokens"], self.lone_tokens = self.lone_tokens, ""
        self.done.append(_Open(cells, {name}))
        return True

    def _put(self, name: str, cell: str) -> None:
        plain, role = plain_name(name), _role(name)
        speed = role in COUNTS and re.fullmatch(r"\d+\.\d*[1-9]\d*", cell.strip())
        if not role or speed or (role == "rate" and "acc" not in plain):
            return
        if plain == "n_draft":  # the most that a round of llama-speculative drafts
            role = "gamma"
        if role in self.open.cells:
            if plain not in self.open.names:
                return  # another name of the same, such as all requests beside the successful
            self._close()
        percent = "%" in name and "%" not in cell
        self.open.cells[role] = f"{cell.strip()}%" if percent else cell.strip()
        self.open.names.add(plain)

    def _close(self) -> None:
        if self.open.cells.keys() - {"tokens", "gamma", "requests"}:
            self.done.append(self.open)
        self.open = _Open()

    def result(self) -> EngineCounts | None:
        """The last summary, or the sum of all."""
        self._close()
        rows: list[tuple[_Open, Row]] = []
        for one in self.done:
            try:
                row = one.row()
            except ValueError as error:
                if {"accepted", "drafted"} <= one.cells.keys() or "length" in one.cells:
                    self.damage.add(str(error))
                continue
            if _says(one, row):
                rows.append((one, row))
        self.damage.refuse_if_alone(len(rows))
        if not rows:
            return None
        notes = self.damage.notes()
        kind = kind_of(set().union(*(o.names for o, _ in rows)))
        own = [r for o, r in rows if not kind.names or kind.names & o.names]
        found = own or [r for _, r in rows]
        if kind.last and len(found) > 1:
            notes.append(f"{len(found)} summaries are printed: the last is taken")
            found = found[-1:]
        return counted(found, kind, notes)


@lru_cache(maxsize=1 << 14)
def _role(name: str) -> str:
    plain = plain_name(name)
    longest = re.match(r"max_(?:draft|spec)", plain)
    return "gamma" if longest else role_of(plain) or _spoken_role(plain)


def _spoken_role(plain: str) -> str:
    """The role of a name with words in front of it, such as "per_position_acceptance_rate"."""
    words = plain.split("_")
    for k in range(1, min(len(words), 5)):
        role = role_of("_".join(words[k:]))
        if role == "length" and {"accepted", "draft", "drafted"} & set(words[:k]):
            return ""  # accepted tokens a round: whether the bonus token counts is not said
        if role in ("accepted", "drafted", "length", "rate", "rounds", "listed"):
            return role
    return ""


def _says(one: _Open, row: Row) -> bool:
    """Whether a summary says enough to be one: no single number that other programs print too."""
    rated = row.rate is not None and any("acc" in n for n in one.names)
    several = "accepted" in row.counts and len(row.counts) > 1
    return row.length is not None or rated or bool(row.shares) or several


_IS = r"[\s*`_]*(?:[=:≈~(]|\b(?:of|was|were|is|are|at|about|around|roughly|only|stays|near)\b|\s)*"
_COUNT = r"(?<![\d.,])(\d+(?:,\d{3})*)(?!\d|,\d|\.\d|\s*%)"
_NUMBER = rf"(\d+\.\d+)(?!\d|{UP_TO})"
_SHARE = rf"(\d+(?:\.\d+)?\s*%(?!{UP_TO})|0?\.\d+(?![\d.]*(?:\s*[%/\d]|{UP_TO})))"
_DRAFTED = r"(?:draft(?:ed)?|candidate|proposed|specul\w+)(?: draft)?(?: tokens?)?"
_PATTERNS = {
    "length": (
        rf"accept(?:ance|ed)?[ _-]len(?:gth)?s?(?: \([^)]*\))?{_IS}{_NUMBER}",
        rf"(?<![\w.])(?:AL|τ|tau){_IS}{_NUMBER}",
    ),
    "accepted": (
        rf"\baccept(?:ed)?(?:_n|_tokens| tokens)?{_IS}{_COUNT}(?!\s*(?:/|of\b|out of\b|tok/s))",
        rf"{_COUNT}(?: tokens)?(?: were)? accepted",
    ),
    "drafted": (
        rf"\b(?:drafted|draft_n|draft[ _]tokens|proposed){_IS}{_COUNT}",
        rf"(?<!of ){_COUNT}(?: tokens)?(?: were)? (?:drafted|proposed)",
    ),
    "both": (
        rf"(?:accept\w*|match\w*)\W+{_COUNT}\s*(?:/|of|out of)\s*(?:the )?{_COUNT} {_DRAFTED}",
    ),
    "rounds": (
        rf"{_COUNT} (?:verify|verification|target|draft(?:ing)?|spec\w*)?[ -]?"
        r"(?:steps|rounds|passes)\b",
    ),
    "rate": (rf"(?<!position )accept(?:ance|ed)?(?: rate)?{_IS}{_SHARE}",),
    "tokens": (rf"{_COUNT} (?:output|generated|new|predicted) tokens",),
    "listed": (
        r"per[- ]pos\w*[\w ]*?[\s*`:=(\[]*((?:\d?\.\d+%?\s*(?:[,/;]\s*|\s+)){1,}\d?\.\d+)",
        r"\bmarginal\s*[:=]\s*\[([\d.,\s]+)\]",
    ),
}
_READ = {role: [re.compile(p, re.IGNORECASE) for p in ps] for role, ps in _PATTERNS.items()}


def read_prose(text: str) -> EngineCounts | None:
    """The statistics of a sentence or two, None where they do not state any.

    Raises ValueError where what they state cannot be.
    """
    if not re.search(r"accept|match|\bAL\b|τ", text, re.IGNORECASE):
        return None
    found, left = {}, []
    for role, patterns in _READ.items():
        said = {_plain(m.groups()) for p in patterns for m in p.finditer(text)}
        if len(said) > 1:
            left.append(role)
        elif said:
            found[role] = said.pop()
    row, both = Row(""), found.pop("both", "")
    if both and int(both.split("/")[1]) >= _SPEECH:
        row.put("accepted", both)
        found = {role: cell for role, cell in found.items() if role not in ("accepted", "drafted")}
    for role, cell in found.items():
        row.put(role, cell.replace("/", ",") if role == "listed" else cell)
    settings = {s[0] for line in text.splitlines() if (s := setting_of(line)) is not None}
    if len(settings) == 1 and (k := int(settings.pop())) > 0:
        row.gamma = k
    row.close()
    if row.length is None and row.rate is None and not {"accepted", "drafted"} <= row.counts.keys():
        return None
    notes = ["read from a sentence: what it leaves out is not known"]
    if left:
        notes.append(f"stated with several values, and left out: {', '.join(left)}")
    return counted([row], kind_of(set()), notes)


def _plain(groups: tuple[str | None, ...]) -> str:
    return "/".join(re.sub(r"(?<=\d),(?=\d{3})", "", g.strip()) for g in groups if g)
