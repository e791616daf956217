"""Rows of statistics under any usual names: of a table, of a printed summary, of an object.

A name means one thing wherever it stands: rounds, drafted, accepted, rejected and all tokens,
acceptance length, rate, gamma, requests, or the share of a position. What a cell says is read here,
and what several rows say together in `row_sums`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from ..stated import Stated, printed
from ..tables import columns
from ..tables.cells import plain_name

_COUNT = r"(?:total_|num_|n_|number_of_|sum_)*"
_MEAN = r"(?:mean_|avg_|average_|overall_|aggregate_|total_|spec_|spec_decode_|tau_)*"
_ROLES = {
    "rounds": rf"{_COUNT}(?:drafts|rounds|draft_rounds|spec_steps|spec_rounds|verif(?:y|ication)_"
    r"steps|verifications|spec_verify_ct|target_steps|forward_passes|cycles|"
    r"draft_(?:proposals|steps)|iteration_number)",
    "accepted": rf"{_COUNT}(?:accepted|acc|accepted_(?:draft_|prediction_|speculative_)?tokens?|"
    r"acc_tokens|accepted_drafts|draft_accepted|draft_n_accepted|draft_tokens_accepted|tokens_accepted|"
    r"accepted_n|accept_tokens)|n_accept",
    "rejected": rf"{_COUNT}(?:draft_)?rejected(?:_(?:draft_|prediction_|speculative_)?tokens)?",
    "drafted": rf"{_COUNT}(?:drafted|draft|draft_n|draft_tokens|drafted_tokens|tokens_drafted|"
    r"proposed|proposed_tokens|(?:proposed|generated)_draft_tokens|draft_tokens_(?:generated|"
    r"proposed)|drafts_proposed|gen_tokens|draft_count)|n_drafted",
    "tokens": rf"{_COUNT}(?:tokens|tok|pred|predicted|predicted_n|predicted_tokens|output_tokens|"
    r"completion_tokens|generated|generated_tokens?|generation_tokens|tokens_generated|new_tokens|"
    r"tokens_predicted|eval_count)|n_predict",
    "length": "|".join((
        rf"{_MEAN}(?:accept(?:ance|ed)?|acc)_len(?:gth)?(?:_\w+)?", rf"{_MEAN}(?:tokens|emitted)_"
        r"per_(?:round|step|draft|cycle|verify|forward)", r"mean_accepted_tokens",
        rf"{_MEAN}(?:a_len|m?al|mat|mean_len|tau)", *columns.TOKENS)),
    "rate": rf"{_MEAN}(?:draft_|token_|drafted_|draft_token_|speculative_)*(?:accept(?:ance|ed)?|"
    r"acc)(?:_(?:rate|ratio|percent|pct|percentage|share))?(?:_percent|_pct)?|rate|hit_rate",
    "requests": rf"(?:successful_|completed_|{_COUNT})requests",
}  # fmt: skip
_PATTERNS = {role: re.compile(pattern) for role, pattern in _ROLES.items()}
_POSITION = re.compile(
    r"(?:(?:acceptance|accept(?:ed)?|acc|rate)(?:_rate)?(?:_at)?_)?"
    r"(?:pos(?:ition)?|p|token)_?(\d{1,4})(?:_(?:acceptance|accept|rate))*"
)
LISTED = ("pos_accept", "per_position", "per_position_acceptance", "acceptance_by_position",
          "per_position_acceptance_rate", "positions", "acceptance_rate_per_position",
          "acc_rate_pos", "per_position_acceptance_rates", "per_pos", "by_position",
          "acceptance_per_position", "pos_rates")  # fmt: skip
COUNTS = ("rounds", "drafted", "accepted", "tokens")
TOTAL = re.compile(r"(?:total|overall|all|sum|mean|average|avg|aggregate)\b.*", re.IGNORECASE)
_BESIDE = re.compile(
    r"\(\s*(\d[\d,]*)\s*(?:accepted\s*)?(?:/|of|out of)\s*(\d[\d,]*)(?:\s*[a-z]+)*\s*\)"
)
_OF = re.compile(r"\D*?(\d[\d,]*)\s*/\s*(\d[\d,]*)\D*")
# "mtp: drafts 266/302, tokens 696/906": drafts with an accepted token, of all; accepted, of drafted
_STAGES = re.compile(r"drafts\s+\d+\s*/\s*(\d+)\s*,\s*tokens\s+(\d+)\s*/\s*(\d+)")
_TIMES = re.compile(r"([\d.]+%?)\s*[×x]\s*(\d{1,2})(?!\d)")  # "1.000 ×7"
NUMBER = re.compile(
    r"[~≈]?\s*([+-]?(?:\d[\d,]*\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(%|x|×)?"
    r"(?:\s*(?:±|\+/-|\+-)\s*[\d.]+\s*%?)?\s*(?:tok(?:en)?s?(?:/\w+)?)?(?:\s*\([^)]*\))?\s*",
    re.IGNORECASE,
)  # fmt: skip


@lru_cache(maxsize=4096)
def role_of(name: str) -> str:
    """What a name of `plain_name`'s spelling means: a role, a position's number, or ""."""
    name = name.removesuffix("_total").removesuffix("_sum")
    if found := _POSITION.fullmatch(name):
        return found[1]
    role = next((role for role, p in _PATTERNS.items() if p.fullmatch(name)), "")
    return role or ("gamma" if name in columns.GAMMA else "listed" if name in LISTED else "")


@dataclass
class Row:
    """What one row states under each role; line: where it stands, for messages."""

    label: str
    line: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    length: Stated | None = None
    rate: Stated | None = None
    shares: list[Stated] = field(default_factory=list)
    gamma: int | None = None
    requests: int | None = None
    speed: float | None = None
    plain: float | None = None
    speedup: float | None = None

    @property
    def where(self) -> str:
        """The start of a message on this row."""
        return f"line {self.line}: " if self.line else ""

    @property
    def drafts(self) -> bool:
        """Whether the row states that anything was drafted."""
        counts = self.counts
        if self.gamma == 0 or counts.get("drafted") == 0 or counts.get("rounds") == 0:
            return counts.get("rounds") == 0 and counts.get("accepted") is not None
        return bool(counts.keys() & {"accepted", "drafted"} or self.length or self.rate
                    or self.shares)  # fmt: skip

    def put(self, role: str, cell: str, name: str = "") -> None:
        """Take what a cell says under a role. Raises ValueError for what cannot stand there."""
        shared = role == "rate" or (role == "accepted" and "%" in cell)
        both = None
        if role == "accepted" or (shared and "%" not in cell):
            both = _OF.fullmatch(cell)
        if shared and both is None:
            self.rate, both = self._share(cell), _BESIDE.search(cell)
        if both is not None:
            for name, text in zip(("accepted", "drafted"), both.groups(), strict=True):
                self.counts[name] = self._whole(text, name)
        elif shared:
            return
        elif role == "length":
            self.length = self._printed(cell, "acceptance length")
            if self.length is not None and not self.length.high >= 1.0:
                raise ValueError(f"{self.where}acceptance length must be >= 1, got {cell!r}")
        elif role == "listed":
            cell = _TIMES.sub(lambda m: f"{m[1]}, " * int(m[2]), cell)
            pieces = re.split(r"[,;\s]+", cell.strip("()[] "))
            found = [self._share(p) for p in pieces if p not in ("", "-")]
            self.shares = [s for s in found if s is not None]
        elif role.isdigit():
            if (share := self._share(cell)) is not None:
                self.shares.append(share)
        elif role in ("gamma", "requests"):
            setattr(self, role, self._whole(cell, name or role))
        elif role not in self.counts:
            self.counts[role] = self._whole(cell, name or role)

    def stages(self, cell: str) -> None:
        """Take the drafts and tokens of a cell with one or several stages of drafting."""
        found = [[self._whole(n, "drafts") for n in s] for s in _STAGES.findall(cell)]
        names = ("rounds", "accepted", "drafted")
        if found and not self.counts.keys() & set(names):
            self.counts |= {n: sum(s[k] for s in found) for k, n in enumerate(names)}

    def speeds(self, cells: Mapping[str, str]) -> None:
        """Take speeds with and without speculation, and the speed-up."""
        rates = [n for n in cells if columns.is_rate(n)]
        own = next((n for n in rates if not columns.is_base(n)), "")
        base = next((n for n in rates if columns.is_base(n)), "")
        gain = next((n for n in cells if re.search(r"speed_?up", n)), "")
        self.speed = _positive(columns.value_of(cells.get(own, "")))
        self.plain = _positive(columns.value_of(cells.get(base, "")))
        self.speedup = _positive(columns.speedup_of(cells.get(gain, "")))

    def close(self) -> None:
        """Complete the row from itself. Raises ValueError where its counts cannot be.

        A list of shares that is shorter than what a round drafted is no whole one: it is left out.
        """
        counts, listed = self.counts, len(self.shares)
        short = self.length is not None and self.length.low > 1 + listed
        if short or counts.get("drafted", 0) > listed * counts.get("rounds", math.inf):
            self.shares = []
        rejected = counts.pop("rejected", None)
        if rejected is not None and "accepted" in counts:
            counts.setdefault("drafted", counts["accepted"] + rejected)
        if counts.get("accepted", 0) > counts.get("drafted", math.inf):
            raise ValueError(
                f"{self.where}accepted must be in [0, {counts['drafted']}], got "
                f"{counts['accepted']}"
            )

    def _whole(self, cell: str, what: str) -> int:
        """A whole number, also as 12.0, as tables write counts."""
        value = columns.value_of(cell)
        if not (0 <= value <= 2.0**63 and value == int(value)):
            raise ValueError(f"{self.where}{what} must be a whole number >= 0, got {cell!r}")
        return int(value)

    def _printed(self, cell: str, what: str) -> Stated | None:
        if not cell:
            return None
        m = NUMBER.fullmatch(cell.replace("**", "").replace("`", ""))
        if m is None:
            raise ValueError(f"{self.where}{what} must be a number, got {cell!r}")
        text = m[1] if re.fullmatch(r"\d+,\d{1,2}", m[1]) else m[1].replace(",", "")
        return printed(text).scaled(0.01 if m[2] == "%" else 1.0)

    def _share(self, cell: str) -> Stated | None:
        """A share as a fraction; per cent without a sign are scaled with the others later."""
        found = self._printed(cell, "a rate")
        if found is not None and not 0.0 <= found.value <= (1.0 if "%" in cell else 100.0):
            raise ValueError(
                f"{self.where}a share by position or a rate must be in [0, 1], got {cell!r}"
            )
        return found


def _positive(value: float) -> float | None:
    return value if math.isfinite(value) and value > 0.0 else None


def row_of(pairs: Iterable[tuple[str, str]], label: str = "", line: int = 0) -> Row:
    """The row of (name, cell) pairs; names without a role are passed over."""
    row = Row(label, line)
    for name, cell in pairs:
        role = role_of(plain_name(name))
        if role and cell:
            row.put(role, cell, plain_name(name))
    row.close()
    return row
