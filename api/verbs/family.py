"""The paper's figures, tests and table on measurements of one's own family."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..answer import Answer
from ..table import Column, Table, percent, span, sure, window

if TYPE_CHECKING:
    from ..figures.family import Family
    from ..figures.validation.result import Test


@dataclass(frozen=True, repr=False)
class FamilyStudy(Answer):
    """What a family's measurements say; see `howspec.family`."""

    SCHEMA = "family"

    found: Family
    inputs: Mapping[str, object]

    @property
    def files(self) -> tuple[Path, ...]:
        """The figures, captions and tables that were written."""
        return self.found.files

    @property
    def notes(self) -> tuple[str, ...]:
        return self.found.notes

    def data(self) -> Mapping[str, object]:
        found = self.found
        return {
            "target": found.target, "given": found.given, "drafts": found.rows,
            "tests": [_tested(t) for t in found.tests], "best_scale": found.best_scale,
            "files": [str(f) for f in found.files], "inputs": self.inputs, "notes": self.notes,
        }  # fmt: skip

    def headline(self) -> str:
        best = max(self.found.rows, key=lambda r: r.speedup.estimate)
        return (
            f"{self.found.target}: draft with {best.draft}, gamma {best.gamma}, speed-up "
            f"{best.speedup.estimate:.3f} ({sure(best.speedup)})"
        )

    def blocks(self) -> Iterator[str | Table]:
        rows, tests, turn = self.found.rows, self.found.tests, self.found.best_scale
        if turn is not None:
            yield (
                f"best draft scale: {turn.estimate:.3g} of the target's parameters "
                f"(90 % interval {turn.low:.3g}-{turn.high:.3g})"
            )
        yield Table((
            Column("draft", [r.draft for r in rows]),
            Column("measured best", [r.measured_gamma for r in rows]),
            Column("measured speed-up", [r.measured_speedup for r in rows], ".3f"),
            Column(f"{self.found.given} gamma", [r.gamma for r in rows]),
            Column("within 1 %", [r.window for r in rows], window),
            Column("speed-up", [r.speedup.estimate for r in rows], ".3f"),
            Column("interval", [r.speedup for r in rows], span),
        ))  # fmt: skip
        if tests:
            shown = [_tested(t) for t in tests]
            yield Table((
                Column("left out, and predicted", [t["name"] for t in shown]),
                Column("points", [t["points"] for t in shown]),
                Column("mean |error|", [(t["mean_abs"], t["error"]) for t in shown], _error),
                Column("median", [(t["median_abs"], t["error"]) for t in shown], _error),
                Column("90 % covers", [t["coverage"] for t in shown], percent),
            ))  # fmt: skip
        yield f"{len(self.files)} files in {self.inputs['out']}"


def _tested(test: Test) -> dict[str, Any]:
    found = test.summary()
    return {
        "name": test.name, "points": len(test.points), "mean_abs": found["mean_abs_error"],
        "median_abs": found["median_abs_error"], "coverage": test.coverage, "error": test.error,
    }  # fmt: skip


def _error(value: object) -> str:
    assert isinstance(value, tuple)
    size, kind = value
    return f"{size:.2%}" if kind == "relative" else f"{size:.3f} absolute"


def family(
    *,
    sweep: str | None = None,
    records: str | None = None,
    out: str | Path,
    target: str | None = None,
    only: Sequence[str] = (),
    tests: bool = True,
    width: str | float | None = None,
    font_size: float | None = None,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> FamilyStudy:
    """Draw the paper's figures, run its tests and write its main table for your own family.

    sweep: a table of measurements of one target, as `howspec.predict_sweep` reads them, with plain
    decoding; or records: a folder of `howspec calibrate` with costs, acceptance and sweep. out:
    folder for PDF, PNG, CSV, captions and LaTeX, made if absent. target: within the table. only:
    names of figures. tests: also leave points, or drafts, out and predict them. width: of a column,
    such as "3.03in" or a number of inches; font_size [pt]. progress: called with (what, done, of).
    Raises ValueError for none or both of the sources, and for measurements that do not suffice.
    """
    from ..figures import family as made
    from ..figures.style import venue, venue_of
    from ..sim.known import check_seed

    check_seed(seed)
    if (sweep is None) == (records is None):
        raise ValueError("measurements must be one of a sweep and a folder of records")
    if records is not None and target is not None:
        raise ValueError("target goes with a sweep: records say which model is the target")
    to = Path(out)
    with venue(venue_of(width, font_size)):
        if sweep is not None:
            found = made.sweep_family(
                sweep, to, target=target, only=only, tests=tests, seed=seed, progress=progress
            )
        else:
            assert records is not None
            found = made.records_family(
                records, to, only=only, tests=tests, seed=seed, progress=progress
            )
    inputs = {
        "sweep": sweep, "records": records, "out": str(to), "target": target, "only": list(only),
        "tests": tests, "width": width, "font_size": font_size, "seed": seed,
    }  # fmt: skip
    return FamilyStudy(found, inputs)
