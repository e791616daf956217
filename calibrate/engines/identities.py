"""What a source says twice must agree: one check for every reader, and which side is believed.

    length = 1 + accepted / rounds        (bonus token counted, accepted being the leading tokens)
    rate = accepted / drafted
    sum of the shares by position = accepted / rounds
    rounds <= tokens - accepted

Counts are whole and add up, so they are believed where a printed mean or the shares by position
differ from them, unless those two agree with each other against the counts.
"""

from __future__ import annotations

from dataclasses import replace

from .counts import Check, EngineCounts, compare
from .numbers import Printed

# Scrapes are not atomic: counters of one moment may differ by the rounds in flight.
_IN_FLIGHT = 0.02


def reconciled(
    counts: EngineCounts, length: Printed | None, rate: Printed | None
) -> tuple[EngineCounts, list[str]]:
    """The counts less what does not fit, with the checks made; (counts, sentences on both).

    length, rate: as the source states them beside its counts, rate as a fraction.
    """
    checks, said = list(counts.consistency), list[str]()
    rounds, accepted, drafted = counts.rounds, counts.accepted, counts.drafted
    prefix = counts.accepted_is_prefix
    if rate is not None and drafted and accepted is not None:
        checks.append(compare("drafted rate", rate, accepted / drafted))
    if length is not None and rounds and accepted is not None and prefix:
        checks.append(compare("acceptance length", length, 1.0 + accepted / rounds))
    counts = replace(counts, consistency=tuple(checks))
    if rounds and accepted is not None and prefix and counts.survival:
        counts = _positions(counts, length, said)
    if counts.tokens is not None and prefix:
        counts = _tokens(counts, said)
    return counts, said


def _positions(counts: EngineCounts, length: Printed | None, said: list[str]) -> EngineCounts:
    """Shares by position against the counts; a list that is cut off can only fall short."""
    assert counts.survival is not None
    assert counts.rounds
    assert counts.accepted is not None
    total, accepted = sum(counts.survival), counts.accepted / counts.rounds
    slack = len(counts.survival) * (counts.survival_half_width or 0.0) + 1e-9
    whole = counts.gamma is not None and len(counts.survival) == counts.gamma
    if abs(total - accepted) <= slack or (not whole and total < accepted):
        return counts
    words = (
        f"columns disagree: the positions add up to {total:.4g} accepted tokens a round, accepted "
        f"/ rounds is {accepted:.4g}"
    )
    check = Check("accepted tokens a round, by position", f"{total:.4g}", accepted, agrees=False)
    counts = replace(counts, consistency=(*counts.consistency, check))
    if abs(total - accepted) <= _IN_FLIGHT * accepted:
        said.append(f"{words}: a scrape in between, or rounding; the counts are believed")
        return counts
    if length is not None and length.covers(1.0 + total) and not length.covers(1.0 + accepted):
        said.append(f"{words}; the stated length agrees with the positions: rounds null")
        return replace(counts, rounds=None, histogram=None, acceptance_length=length.value)
    why = "the stated length agrees with them" if length is not None else "they are whole numbers"
    factor = accepted / total if total > 0.0 else 0.0
    cause = "a restart, or series that are missing"
    if round(factor) >= 2 and abs(factor / round(factor) - 1.0) < 0.05:
        cause = (
            f"a factor of {round(factor)}: the positions of one of {round(factor)} data-parallel "
            "replicas over the drafts of all"
        )
    said.append(f"{words}: the counts are believed, {why}; survival null ({cause})")
    return replace(counts, survival=None, per_position_accepted=None, survival_half_width=None)


def _tokens(counts: EngineCounts, said: list[str]) -> EngineCounts:
    """All tokens against the rounds, each of which gives one beside those it accepted."""
    known, accepted = counts.rounds or (counts.rounds_range or (0, 0))[0], counts.accepted
    if accepted is None or counts.tokens is None:
        return counts
    # A round that reaches the end of its request gives no token beside those it accepted.
    spare = max(counts.requests or 1, round(_IN_FLIGHT * known))
    if counts.tokens - accepted >= known - spare and counts.tokens > accepted:
        steps, rounds = counts.tokens - accepted, counts.rounds
        if rounds is not None and steps - rounds > spare:
            said.append(
                f"{steps - rounds} of {steps} steps of the target drafted nothing: "
                f"{counts.tokens / steps:.4g} tokens per target step decide time, not the "
                f"{1.0 + accepted / max(rounds, 1):.4g} of a drafting round"
            )
        return counts
    said.append(
        f"{counts.tokens} tokens are fewer than {known} rounds and {accepted} accepted ones make: "
        "they count other requests, and are left out"
    )
    return replace(counts, tokens=None)
