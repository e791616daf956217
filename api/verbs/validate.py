"""Predictions against what was measured, with rivals on the same points."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..answer import Answer
from ..parts import lost
from ..table import Column, Table, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..figures.validation.result import Test
    from ..figures.validation.suite import Report


@dataclass(frozen=True, repr=False)
class Validation(Answer):
    """Tests of truth; see `howspec.validate`. rows: of which file, or bundled."""

    SCHEMA = "validation"

    report: Report
    rows: str
    points: bool = False

    def data(self) -> Mapping[str, object]:
        tests = []
        for test in self.report.tests:
            entry = test.summary()
            if self.points:
                entry["rows"] = [{**vars(p), "inside": p.inside} for p in test.points]
            tests.append(entry)
        return {"rows": self.rows, "tests": tests, "skipped": self.report.skipped}

    def headline(self) -> str:
        count = len(self.report.tests)
        if not count:
            return "nothing to test: no row states enough"
        points = sum(len(t.points) for t in self.report.tests)
        return (
            f"{count} test{'s' if count > 1 else ''} of {points} predictions, measured beside each"
        )

    def blocks(self) -> Iterator[str | Table]:
        if self.report.tests:
            yield from self._tests(self.report.tests)
        yield from (f"not used: {line}" for line in self.report.skipped)

    def _tests(self, tests: tuple[Test, ...]) -> Iterator[str | Table]:
        found = [t.summary() for t in tests]

        def errors(key: str) -> list[tuple[float, str]]:
            return [(f[key], f["error"]) for f in found]

        yield Table((
            Column("test", [f["name"] for f in found]),
            Column("points", [f["points"] for f in found]),
            Column("median", errors("median_abs_error"), _error),
            Column("mean", errors("mean_abs_error"), _error),
            Column("95 %", errors("p95_abs_error"), _error),
            Column("worst", errors("worst_abs_error"), _error),
            Column("in 90 %", [f["coverage_90"] for f in found], percent),
            Column("regret", [f["regret_mean"] for f in found], lost),
            Column("regret 95 %", [f["regret_p95"] for f in found], lost),
        ))  # fmt: skip
        for test, summary in zip(tests, found, strict=True):
            yield from self._lines(test, summary)

    def _lines(self, test: Test, summary: Mapping[str, Any]) -> Iterator[str]:
        yield test.name
        yield f"  given: {test.given}"
        beside, kind = summary["median_beside_rival"], summary["error"]
        rivals = ", ".join(
            f"{name} {_error((value, kind))} (here {_error((beside[name], kind))})"
            for name, value in summary["rivals"].items()
            if value is not None
        )
        if rivals:
            yield f"  median of rivals, and ours on the same points: {rivals}"
        yield from (f"  note: {note}" for note in test.notes)
        for p in test.points if self.points else ():
            outside = "  outside" if p.outside else ""
            yield (
                f"    {p.label}: measured {p.observed:.3f}, predicted {p.predicted:.3f} "
                f"({p.low:.3f} to {p.high:.3f}){outside}"
            )

    def draw(self) -> Figure:
        """Predicted against measured, one panel a test, every point named in a page."""
        from ..figures.validation.result import predicted_against_measured

        return predicted_against_measured(self.report.tests)


def _error(value: object) -> str:
    """An error in per cent where it is relative, as it is where it is absolute."""
    assert isinstance(value, tuple)
    size, kind = value
    return f"{100 * size:.1f} %" if kind == "relative" else f"{size:.3f}"


def validate(
    rows: str | None = None,
    *,
    points: bool = False,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
) -> Validation:
    """Test the predictions: what was given, what was predicted, how far off, how sure.

    rows: a table of held-out rows, by default everything that is bundled (a minute or two). points:
    every point in what is printed. progress: called with (name, done, of). Sweeps over gamma are
    predicted with one gamma left out, rows that state acceptance, gamma and cost ratio from these,
    rows of acceptance from the models. Raises ValueError for a file that is none of them.
    """
    from ..figures.validation.suite import file_report, library_report
    from ..sim.known import check_seed

    check_seed(seed)
    if rows is None:
        return Validation(library_report(seed=seed, progress=progress), "bundled", points)
    return Validation(file_report(rows, seed=seed, progress=progress), str(rows), points)
