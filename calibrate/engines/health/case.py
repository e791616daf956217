"""What a rule of health looks at, and what it says."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.special import betaincinv

from ..counts import EngineCounts


@dataclass(frozen=True)
class Case:
    """One run; None for what is not known.

    counts: its statistics; decode_speedup: of decoding over plain decoding, measured, with low and
    high end; step_ratio: time of a mean step over a plain step; batch: sequences decoded together;
    explained: whether the parts of a round were measured, so that a cost is no riddle.
    """

    counts: EngineCounts | None = None
    decode_speedup: float | None = None
    speedup_range: tuple[float, float] | None = None
    tokens_per_target_step: float | None = None
    step_ratio: float | None = None
    batch: float | None = None
    explained: bool = False


@dataclass(frozen=True)
class Finding:
    """Something that is broken.

    rule: its name; says: what, in one clause; evidence: the numbers; causes: the usual ones, the
    likeliest first; source: where such a case was reported.
    """

    rule: str
    says: str
    evidence: str
    causes: tuple[str, ...]
    source: str

    @property
    def line(self) -> str:
        """The finding in one line."""
        return f"{self.says} ({self.evidence}); usual causes: {'; '.join(self.causes)}"


def share_bounds(hits: float, trials: float, *, level: float = 0.99) -> tuple[float, float]:
    """Interval of Clopper and Pearson of a share; level: of both ends together."""
    tail = 0.5 * (1.0 - level)
    low = float(betaincinv(hits, trials - hits + 1.0, tail)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1.0, trials - hits, 1.0 - tail)) if hits < trials else 1.0
    return low, high
