"""One measured speed-up, as published rows state it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from ...calibrate.tables.cells import number

PLAIN_DECODING = "plain decoding"


@dataclass(frozen=True)
class Measured:
    """One measurement; NaN is "not stated", gamma 0 where the draft is no chain.

    alpha: as stated; alpha_kind: what it is, a metric of `acceptance_metrics`, "" where that is not
    said; tau_is_derived: whether tau was computed from alpha; objection: why not to use it;
    speedup_step: one unit of the last digit that the speed-up was printed with, 0 where not known.
    """

    id: str
    target: str
    draft: str
    engine: str
    hardware: str
    precision: str
    method: str
    task: str
    temperature: str
    batch: str
    gamma: int
    alpha: float
    tau: float
    cost_ratio: float
    speedup: float
    base_rate: float
    spec_rate: float = math.nan
    target_params: float = math.nan
    draft_params: float = math.nan
    alpha_kind: str = ""
    tau_is_derived: bool = False
    objection: str = ""
    source: str = ""
    speedup_step: float = 0.0

    @property
    def label(self) -> str:
        """Target, draft, task and batch, for tables and messages."""
        parts = (f"{self.target} + {self.draft}", self.task, self.hardware)
        batch = f"batch {self.batch}" if self.batch else ""
        return ", ".join(p for p in (*parts, batch, f"gamma {self.gamma}") if p)

    @property
    def batch_size(self) -> float:
        """The batch as a number, NaN where it is not one."""
        return number(self.batch)

    @property
    def study(self) -> str:
        """Who measured: the paper, repository or thread, the engine where no source is stated."""
        return study_of(self.source) or squeezed(self.engine)


def squeezed(name: str) -> str:
    """A name without capitals, spaces and punctuation, which sources write as they like."""
    return "".join(c for c in name.casefold() if c.isalnum())


def study_of(source: str) -> str:
    """The paper (without its version) or the repository of a citation, else its first words."""
    found = re.search(r"(?:arxiv[:. ]\s*(?:org/abs/)?)(\d{4}\.\d{4,5})", source, re.IGNORECASE)
    if found:
        return found[1]
    repository = re.search(r"github(?:\.com/|\s+)([\w.-]+/[\w.-]+)", source, re.IGNORECASE)
    named = repository[1] if repository else re.split(r"[,;@]", source)[0].strip()
    return named.casefold()
