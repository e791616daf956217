"""What vLLM's offline example of speculative decoding prints at its end.

Source: vllm-project/vllm, examples/offline_inference/spec_decode.py: drafts, draft tokens, accepted
tokens, the acceptance length and the share of drafts in which each position was accepted; with the
output tokens, steps that drafted nothing are counted as well.
"""

from __future__ import annotations

import re
from typing import Any

from .completed import engine_counts
from .counts import EngineCounts
from .lines import Damage, without_colours
from .printed import MOST_POSITIONS, NUMBER, WHOLE, Printed, counts_behind, printed, whole

_COUNTS = {
    "rounds": re.compile(rf"\bnum[_ ]drafts\s*[:=]\s*({WHOLE})\b"),
    "drafted": re.compile(rf"\bnum[_ ]draft[_ ]tokens\s*[:=]\s*({WHOLE})\b"),
    "accepted": re.compile(rf"\bnum[_ ]accepted[_ ]tokens\s*[:=]\s*({WHOLE})\b"),
    "tokens": re.compile(
        rf"\b(?:total[_ ]num[_ ]output[_ ]tokens|num[_ ]generation[_ ]tokens)\s*[:=]\s*({WHOLE})\b"
    ),
}
_LENGTH = re.compile(rf"(?<!normalized )\bmean acceptance length\s*[:=]\s*({NUMBER})")
_SHARE = re.compile(rf"\bacceptance at token (\d{{1,4}})\s*[:=]\s*({NUMBER})")


class OfflineExample:
    """Takes the last summary; a count that comes a second time begins another one."""

    engine = "vllm"
    needed: tuple[bytes, ...] = (b"num_drafts:", b"num_accepted_tokens:")
    markers: tuple[bytes, ...] = (*needed, b"num_draft_tokens:", b"output_tokens:",
                                  b"generation tokens:", b"mean acceptance length:",
                                  b"acceptance at token ")  # fmt: skip

    def __init__(self) -> None:
        self.damage = Damage("offline example")
        self.found: dict[str, Any] = {}
        self.shares: dict[int, Printed] = {}
        self.length: Printed | None = None
        self.summaries = 1

    def feed(self, line: str) -> None:
        """Take one line."""
        line = without_colours(line)
        try:
            for name, pattern in _COUNTS.items():
                if m := pattern.search(line):
                    if name in self.found and name != "tokens":
                        self.found, self.shares, self.length = {}, {}, None
                        self.summaries += 1
                    self.found[name] = whole(m.group(1), name)
            if m := _LENGTH.search(line):
                self.length = printed(m.group(1))
            elif m := _SHARE.search(line):
                self.shares[int(m.group(1))] = printed(m.group(2))
        except ValueError as error:
            self.damage.add(str(error))

    def result(self) -> EngineCounts | None:
        """The last summary."""
        if "rounds" not in self.found or "accepted" not in self.found:
            self.damage.refuse_if_alone(0)
            return None
        notes = self.damage.notes()
        if self.summaries > 1:
            notes.append(f"{self.summaries} summaries are printed: the last is taken")
        places = sorted(self.shares)
        if places and (places != list(range(len(places))) or len(places) > MOST_POSITIONS):
            raise ValueError("acceptance at token must be without gaps from 0 on")
        shares = [self.shares[k] for k in places]
        gamma = len(places) or None
        notes.append(
            f"gamma is the {gamma} positions that are printed" if gamma else "gamma is not printed"
        )
        exact = counts_behind(shares, self.found["rounds"]) if shares else None
        if exact is not None and sum(exact) != self.found["accepted"]:
            exact = None
        return engine_counts(
            "vllm",
            "vllm-offline-example",
            definition="vLLM: acceptance length = 1 + accepted / drafts (bonus counted); share by "
            "position over all drafts",
            gamma=gamma,
            per_position_accepted=exact or None,
            survival=[s.value for s in shares] or None if exact is None else None,
            survival_half_width=max((0.5 * (s.high - s.low) for s in shares), default=None)
            if exact is None else None,
            stated_length=self.length,
            notes=notes,
            **self.found,
        )  # fmt: skip
