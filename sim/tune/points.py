"""What a search of a server's configurations measures and what it chooses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...theory.interval import Interval

NAMELESS = ""  # the draft of plain decoding


@dataclass(frozen=True, order=True)
class Point:
    """A configuration under a load. draft: its name, "" for plain decoding with gamma 0."""

    draft: str
    gamma: int
    batch: int

    @property
    def configuration(self) -> tuple[str, int]:
        """What a server is started with."""
        return self.draft, self.gamma

    def __str__(self) -> str:
        what = f"{self.draft}, gamma {self.gamma}" if self.draft else "plain decoding"
        return f"{what}, batch {self.batch}"


@dataclass(frozen=True)
class Seen:
    """What was measured at a point: tokens/s of all sequences together, > 0, and tokens per step of
    the target, >= 1, None where the server tells nothing of it.
    """

    point: Point
    tokens_per_s: float
    tokens_per_step: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.tokens_per_s < np.inf:
            raise ValueError(f"tokens_per_s must be in (0, inf), got {self.tokens_per_s}")
        known = self.tokens_per_step
        if known is not None and not 1.0 <= known < np.inf:
            raise ValueError(f"tokens_per_step must be in [1, inf), got {known}")


@dataclass(frozen=True)
class Chosen:
    """What a server would run now. draft: "" for plain decoding at every batch; gammas: by batch;
    gain: of tokens/s over plain decoding by batch, with its interval; regret: mean share of the
    speed that the best draft and gammas would add.
    """

    draft: str
    gammas: dict[int, int]
    gain: dict[int, Interval]
    regret: float
