"""Two measured servers beside each other: before and after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..answer import Answer
from ..table import Column, Table, estimate, span, sure

if TYPE_CHECKING:
    from ..calibrate.records import Record
    from ..calibrate.serving.compare import Change


@dataclass(frozen=True, repr=False)
class Comparison(Answer):
    """What changed between two measured servers; see `howspec.compare`.

    changes: one a batch size; different: what differs between the servers, a line each; names: of
    the two configurations.
    """

    SCHEMA = "comparison"

    changes: tuple[Change, ...]
    different: tuple[str, ...]
    names: tuple[str, str]

    @property
    def notes(self) -> tuple[str, ...]:
        said = []
        if self.names == ("plain", "plain"):
            said.append("speculation is off in both: what changed, changed plain decoding")
        if not all(c.paired for c in self.changes):
            said.append("the records share no prompts, so that their texts differ too")
        return tuple(said)

    def data(self) -> Mapping[str, object]:
        rows = [{**vars(c), "verdict": c.verdict, "explained": c.explained} for c in self.changes]
        return {
            "first": self.names[0], "second": self.names[1], "changes": rows,
            "different": self.different, "notes": self.notes,
        }  # fmt: skip

    def headline(self) -> str:
        some = self.changes[0]
        return (
            f"at batch {some.batch} {self.names[1]} has {estimate(some.speed)} times the speed of "
            f"{self.names[0]}: {some.verdict} ({sure(some.speed)})"
        )

    def blocks(self) -> Iterator[str | Table]:
        rows = self.changes
        yield Table(
            (
                Column("batch", [c.batch for c in rows]),
                Column("tokens/s", [c.speed for c in rows], estimate),
                Column("interval", [c.speed for c in rows], span),
                Column("steps/s", [c.steps for c in rows], estimate),
                Column("tokens a step", [c.tokens for c in rows], estimate),
                Column("first token time", [c.first_token for c in rows], estimate),
                Column("seen", [c.verdict for c in rows]),
            ),
            title="the second over the first",
        )
        yield from (f"batch {c.batch}: {c.explained}" for c in rows)
        yield from (f"different: {line}" for line in self.different)


def compare(
    first: str | Path | Record, second: str | Path | Record, *, level: float = 0.9, seed: int = 0
) -> Comparison:
    """Compare two measured servers: speeds as ratios with intervals, and what explains them.

    first, second: records of `howspec.measure`, or their files. level: of the intervals. Raises
    ValueError for anything else, and for records without a common batch.
    """
    import numpy as np

    from ..calibrate.records import Record, read_record
    from ..calibrate.serving.compare import compare_records, configuration_of, differences
    from ..sim.known import check_seed

    one, other = (
        r if isinstance(r, Record) else read_record(r, "serving") for r in (first, second)
    )
    rng = np.random.default_rng(check_seed(seed))
    changes = compare_records(one, other, rng, level=level)
    names = (configuration_of(one).called, configuration_of(other).called)
    return Comparison(changes, differences(one, other), names)
