"""SGLang's meta_info of requests, in responses and in the log of finished requests.

spec_verify_ct rounds, accepted and drafted tokens under the names that PR #24081 and earlier
changes of sgl-project/sglang gave them, a histogram of rounds by accepted tokens.
spec_accept_length = completion_tokens / spec_verify_ct, bonus counted.
"""

from __future__ import annotations

import json
import re
from typing import Any

from .counts import EngineCounts, checks, ratio
from .numbers import count, counts_list, number
from .requests import Sums

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
_PYTHON = re.compile(r"'(spec_\w+|completion_tokens)': (\d+(?:\.\d+)?|\[[\d, ]*\])(?=[,}])")


def _first(entry: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((entry[n] for n in names if entry.get(n) is not None), None)


class MetaInfo(Sums):
    """Adds up the requests; chunks of one request replace each other.

    Some builds count the bonus token of each round as accepted, which is taken off.
    """

    markers: tuple[bytes, ...] = (b"'spec_verify_ct'",)
    keys = frozenset({"spec_verify_ct", *_ACCEPTED})

    def __init__(self) -> None:
        super().__init__()
        self.all_tokens = self.speculated = self.with_bonus = 0

    def take(self, entry: dict[str, Any], key: str) -> bool:
        """Take an object that counts verifications."""
        if "spec_verify_ct" not in entry and _first(entry, _ACCEPTED) is None:
            return False
        kept = {k: v for k, v in entry.items() if k.startswith("spec_") or k == "completion_tokens"}
        self.put(entry.get("id"), kept, last=entry.get("finish_reason") is not None)
        return True

    def feed(self, line: str) -> None:
        """Take the meta_info that SGLang's log of a finished request prints as Python does."""
        found = {name: json.loads(text) for name, text in _PYTHON.findall(line)}
        self.take({**found, "finish_reason": ""}, "meta_info")

    def follows(self, before: dict[str, Any], now: dict[str, Any]) -> bool:
        """Whether verifications that run on can have grown from the one to the other."""
        first, then = (e.get("spec_verify_ct") for e in (before, now))
        return not (isinstance(first, int) and isinstance(then, int)) or then >= first

    def over(self, request: dict[str, Any]) -> None:
        """Take the last chunk of a request."""
        rounds = count(request.get("spec_verify_ct"), "spec_verify_ct")
        histogram = counts_list(_first(request, _HISTOGRAM), "histogram of accepted drafts")
        tokens = count(request.get("completion_tokens"), "completion_tokens")
        length = number(request.get("spec_accept_length"), "spec_accept_length")
        whole = histogram is not None and rounds in (None, sum(histogram))
        self.all_tokens += tokens or 0
        self.speculated += bool(tokens and rounds)
        self.add(
            checks(("completion tokens per round", length, ratio(tokens or None, rounds))),
            rounds=rounds,
            drafted=count(_first(request, _DRAFTED), "proposed drafts"),
            accepted=self._accepted(request, rounds, histogram if whole else None, length),
            histogram=histogram if whole else None,
        )

    def _accepted(
        self,
        entry: dict[str, Any],
        rounds: int | None,
        histogram: list[int] | None,
        length: float | None,
    ) -> int | None:
        """Accepted drafts without the bonus token, from the histogram where it is whole."""
        accepted = count(_first(entry, _ACCEPTED), "accepted drafts")
        if histogram and rounds:
            total = sum(k * n for k, n in enumerate(histogram))
            if accepted is not None and accepted != total:
                raise ValueError(
                    f"accepted drafts must be {total} as the histogram says, got {accepted}"
                )
            return total
        if _counts_bonus(accepted, rounds, length):
            self.with_bonus += 1
            return (accepted or 0) - (rounds or 0)
        return accepted

    def result(self) -> EngineCounts | None:
        """The sum over requests."""
        if not self.ended():
            return None
        notes, gamma = list[str](), self.whole_draft()
        rounds, accepted = self.totals["rounds"], self.totals["accepted"]
        notes.append(
            "the requests do not state how many tokens a round drafts: gamma null"
            if gamma is None
            else f"gamma {gamma} is proposed / verified, the same whole number in every request; "
            f"for a tree (topk above 1) it is the tokens of the tree"
        )
        if self.with_bonus:
            notes.append(
                f"{self.with_bonus} requests count the bonus token as accepted: it is taken off"
            )
        length = None
        if accepted is None and rounds and self.speculated == self.requests:
            length = self.all_tokens / rounds
            notes.append(
                "accepted tokens are missing: the length is completion_tokens / spec_verify_ct, "
                "which counts the first token of each request too"
            )
        if not self.lists["histogram"]:
            notes.append("no histogram of rounds: survival null")
        return self.counts(
            "sglang-meta-info",
            notes,
            tokens=None,
            gamma=gamma,
            histogram=self.lists["histogram"] or None,
            acceptance_length=length,
            consistency=tuple(self.checks),
        )


def _counts_bonus(accepted: int | None, rounds: int | None, length: float | None) -> bool:
    """Whether a build counts the bonus token of each round as accepted: its length says so."""
    if accepted is None or not rounds or length is None or accepted < rounds:
        return False
    return abs(accepted / rounds - length) < abs(accepted / rounds + 1.0 - length)
