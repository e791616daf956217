"""SGLang's log: the decode line of an interval, and the settings that the server prints.

Source: sgl-project/sglang @ 00eef542, srt/observability/scheduler_metrics_mixin.py. The length of
a decode line is (accepted + rounds) / rounds since the line before (decode_log_interval batches),
bonus counted; the counters then start again. The rate was that number over the drafted slots,
(accepted + rounds) / (rounds x num_draft_tokens), before PR #23530 (2026-04) and is accepted /
(rounds x drafted tokens) since. Rounds are not printed: of an interval they are the running
requests times the decode steps of the interval, so requests are the weights of a mean.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .counts import EngineCounts, Group, engine_counts
from .lines import Damage, without_colours
from .printed import NUMBER, Printed, printed, whole

_LINE = re.compile(
    rf"#running-req:\s*(\d+).*?accept(?:ed)? len(?:gth)?:\s*({NUMBER})"
    rf"(?:.*?accept(?:ance)? rate:\s*({NUMBER})(%?))?"
    rf"(?:.*?gen throughput \(token/s\):\s*({NUMBER}))?"
)
_STEPS = re.compile(r"speculative[_-]num[_-]steps\"?[=: ]+(\d{1,4})\b")
_SLOTS = re.compile(r"speculative[_-]num[_-]draft[_-]tokens\"?[=: ]+(\d{1,5})\b")
_BRANCHES = re.compile(r"speculative[_-]eagle[_-]topk\"?[=: ]+(\d{1,4})\b")
_VERSION = re.compile(r"\bsglang(?:==|[ -]?version[:= ]+|\s+v)(\d+\.\d+[\w.+-]*)", re.IGNORECASE)
DEFINITION = (
    "SGLang: acceptance length = (accepted + rounds) / rounds, bonus counted; accept rate = "
    "accepted / drafted since PR #23530, (accepted + rounds) / (rounds x num_draft_tokens) before"
)


@dataclass
class _Batch:
    lines: int = 0
    length: float = 0.0
    throughput: float = 0.0
    timed: int = 0


class DecodeLog:
    """Means over the decode lines, by running requests."""

    engine = "sglang"
    needed: tuple[bytes, ...] = (b"accept len", b"accepted len")
    markers: tuple[bytes, ...] = (*needed, b"speculative_", b"speculative-", b"sglang")

    def __init__(self) -> None:
        self.damage = Damage("Decode batch")
        self.by_batch: dict[int, _Batch] = {}
        self.seen: dict[tuple[str, str], int] = {}
        self.settings: dict[str, int] = {}
        self.version: str | None = None
        self.lines = 0

    def feed(self, line: str) -> None:
        """Take one line."""
        if "accept" in line and ("accept len" in line or "accepted len" in line):
            found = _LINE.search(without_colours(line))
            if found is None:
                self.damage.add(f"needs #running-req and accept len, got {line.strip()[-120:]!r}")
                return
            try:
                self._decode(found)
            except ValueError as error:
                self.damage.add(str(error))
            return
        for name, pattern in (("steps", _STEPS), ("slots", _SLOTS), ("branches", _BRANCHES)):
            if setting := pattern.search(line):
                self.settings[name] = int(setting.group(1))
        if release := _VERSION.search(line):
            self.version = release.group(1)

    def _decode(self, found: re.Match[str]) -> None:
        running, length, rate, percent, speed = found.groups()
        batch, value = whole(running, "#running-req"), float(length.replace(",", "."))
        if not 0.995 <= value < 1e6:
            raise ValueError(f"accept len must be >= 1, got {length}")
        key = (length, f"{rate}{percent}" if rate else "")
        if len(self.seen) < 100_000 or key in self.seen:
            self.seen[key] = self.seen.get(key, 0) + 1
        entry = self.by_batch.setdefault(batch, _Batch())
        entry.lines += 1
        entry.length += value
        self.lines += 1
        if speed is not None:
            entry.throughput += float(speed.replace(",", "."))
            entry.timed += 1

    def result(self) -> EngineCounts | None:
        """The mean length, and the means by batch."""
        self.damage.refuse_if_alone(self.lines)
        if not self.lines:
            return None
        notes = [
            *self.damage.notes(),
            "the log prints neither rounds nor drafted nor accepted tokens: null",
            "shares by position are not printed",
        ]
        weight = sum(max(b, 1) * e.lines for b, e in self.by_batch.items())
        length = sum(max(b, 1) * e.length for b, e in self.by_batch.items()) / weight
        if self.lines > 1:
            values = [float(k[0].replace(",", ".")) for k in self.seen]
            notes.append(
                f"acceptance length is the mean of {self.lines} intervals weighted with their "
                f"running requests, which stand for their rounds; lines range from "
                f"{min(values):g} to {max(values):g}"
            )
        rates = [(printed(a), printed_rate(b)) for a, b in self.seen if b]
        gamma = gamma_of(self.settings, rates, notes)
        return engine_counts(
            "sglang",
            "sglang-decode-log",
            definition=DEFINITION,
            version=self.version,
            gamma=gamma,
            acceptance_length=max(length, 1.0),
            by_batch=tuple(
                Group(
                    label=f"{batch} running requests",
                    batch=batch,
                    gamma=gamma,
                    acceptance_length=entry.length / entry.lines,
                    tokens_per_s=entry.throughput / entry.timed if entry.timed else None,
                    intervals=entry.lines,
                )
                for batch, entry in sorted(self.by_batch.items())
            ),
            intervals=self.lines,
            notes=notes,
        )


def printed_rate(text: str) -> Printed:
    """An accept rate, as a fraction also where it is printed in per cent."""
    if text.endswith("%"):
        return printed(text[:-1]).scaled(0.01)
    return printed(text)


def gamma_of(
    settings: dict[str, int], rates: list[tuple[Printed, Printed]], notes: list[str]
) -> int | None:
    """Drafted tokens of a round from the server's settings, else from lengths and rates.

    A chain (topk 1) drafts num_steps tokens in num_steps + 1 slots; a tree has no single gamma.
    """
    branches = settings.get("branches")
    if branches is not None and branches > 1:
        notes.append(
            f"the draft is a tree (topk {branches}): a round drafts no chain of gamma tokens, null"
        )
        return None
    steps, slots = settings.get("steps"), settings.get("slots")
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


def _gamma_from_rates(rates: list[tuple[Printed, Printed]], notes: list[str]) -> int | None:
    new = {g for g in range(1, 257) if all(_prints(a, r, 1.0, g) for a, r in rates)}
    old = {g for g in range(1, 257) if all(_prints(a, r, 0.0, g + 1) for a, r in rates)}
    if len(new) == 1 and not old:
        gamma = new.pop()
        notes.append(
            f"gamma {gamma} is the only whole number for which the printed rates are "
            f"(length - 1) / gamma; no number fits the definition before PR #23530"
        )
        return gamma
    if len(old) == 1 and not new:
        gamma = old.pop()
        notes.append(
            f"gamma {gamma} is the only whole number for which the printed rates are "
            f"length / (gamma + 1), the definition before PR #23530"
        )
        return gamma
    fits = ", ".join(map(str, sorted(new))) or "none"
    fits_old = ", ".join(map(str, sorted(old))) or "none"
    notes.append(
        f"gamma is not determined by length and rate: (length - 1) / rate gives {fits}, the "
        f"definition before PR #23530 gives {fits_old}"
    )
    return None


def _prints(length: Printed, rate: Printed, minus: float, slots: int) -> bool:
    low, high = (length.low - minus) / slots, (length.high - minus) / slots
    return low <= rate.high + 1e-12 and high >= rate.low - 1e-12
