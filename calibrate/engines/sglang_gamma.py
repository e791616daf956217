"""Drafted tokens of a round in SGLang: from the server's settings, else from lengths and rates."""

from __future__ import annotations

from .printed import Printed, printed

DEFINITION = (
    "SGLang: acceptance length = (accepted + rounds) / rounds, bonus counted; accept rate = "
    "accepted / drafted since PR #23530, (accepted + rounds) / (rounds x num_draft_tokens) before"
)
SETTINGS = {
    "steps": "speculative_num_steps",
    "slots": "speculative_num_draft_tokens",
    "branches": "speculative_eagle_topk",
}
Pairs = list[tuple[Printed, Printed]]


def printed_rate(text: str) -> Printed:
    """An accept rate, as a fraction also where it is printed in per cent."""
    if text.endswith("%"):
        return printed(text[:-1]).scaled(0.01)
    return printed(text)


class Settings:
    """Settings of the servers that a source names: steps, slots and branches, with all values."""

    def __init__(self) -> None:
        self.values: dict[str, set[int]] = {}

    def add(self, name: str, value: int) -> None:
        """Keep a value; name: one of `SETTINGS`."""
        self.values.setdefault(name, set()).add(value)

    def get(self, name: str) -> int | None:
        """The only value of a setting, None where there is none or several."""
        found = self.values.get(name, set())
        return next(iter(found)) if len(found) == 1 else None

    def disagreement(self) -> str:
        """The first setting with several values, "" where there is none."""
        for name, found in self.values.items():
            if len(found) > 1:
                return f"{SETTINGS[name]} is {', '.join(map(str, sorted(found)))}"
        return ""


def gamma_of(settings: Settings, rates: Pairs, notes: list[str]) -> int | None:
    """Drafted tokens of a round, None where they are not determined; ``notes`` get the reason.

    rates: printed (length, rate) pairs. A chain (topk 1) drafts num_steps tokens in num_steps + 1
    slots; a tree has no single gamma.
    """
    if several := settings.disagreement():
        notes.append(f"several servers or restarts: {several}")
        return _gamma_from_rates(rates, notes) if rates else None
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


def _gamma_from_rates(rates: Pairs, notes: list[str]) -> int | None:
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
