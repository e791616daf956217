"""`howspec validate`: predictions against what was measured, with rivals on the same points."""

from __future__ import annotations

import math
from typing import Annotated, Any

import typer

from .output import print_json, print_table


def validate(
    rows: Annotated[
        str | None,
        typer.Option(help="File of held-out rows; default: everything that is bundled."),
    ] = None,
    points: Annotated[bool, typer.Option("--points", help="List every point.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the posterior draws.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Test the predictions: what was given, what was predicted, how far off, how sure.

    A file (separated text with a header, or JSON) has the columns target, draft, engine, hardware,
    task, batch, gamma, alpha, tau_mean_tokens_per_round, cost_ratio_c, speedup, under these or
    usual other names: sweeps over gamma are predicted with one gamma left out, rows that state
    acceptance, gamma and cost ratio from these. Or it has metric and value with the models and
    their sizes: acceptance is predicted. Errors of speed-ups are relative, those of acceptance
    absolute.

    Example:

    howspec validate
    """
    from ..figures.validation.suite import file_report, library_report
    from .progress import progress_bar

    with progress_bar() as progress:
        if rows is None:
            report = library_report(seed=seed, progress=progress)
        else:
            report = file_report(rows, seed=seed, progress=progress)
    tests = [t.summary() for t in report.tests]
    if points:
        for summary, test in zip(tests, report.tests, strict=True):
            summary["rows"] = [{**vars(p), "inside": p.inside} for p in test.points]
    if as_json:
        print_json({"rows": rows or "bundled", "tests": tests, "skipped": list(report.skipped)})
        return
    _print(tests, points)
    for line in report.skipped:
        print(f"not used: {line}")


def _print(tests: list[dict[str, Any]], points: bool) -> None:
    if not tests:
        print("nothing to test: no row states enough")
        return
    columns = ("test", "points", "median", "mean", "95 %", "worst", "in 90 %", "regret 95 %")
    print_table(columns, [_cells(t) for t in tests])
    for t in tests:
        print(f"{t['name']}")
        print(f"  given: {t['given']}")
        rivals = ", ".join(
            f"{name} {_percent(value, t)} (here {_percent(t['median_beside_rival'][name], t)})"
            for name, value in t["rivals"].items()
            if value is not None
        )
        if rivals:
            print(f"  median of rivals, and ours on the same points: {rivals}")
        for note in t["notes"]:
            print(f"  note: {note}")
        if points:
            for p in t["rows"]:
                stated = math.isfinite(p["low"] + p["high"])
                inside = "" if p["inside"] or not stated else "  outside"
                print(
                    f"    {p['label']}: measured {p['observed']:.3f}, predicted "
                    f"{p['predicted']:.3f} ({p['low']:.3f} to {p['high']:.3f}){inside}"
                )


def _cells(t: dict[str, Any]) -> tuple[str, ...]:
    keys = ("median_abs_error", "mean_abs_error", "p95_abs_error", "worst_abs_error")
    regret = t["regret_p95"]
    return (
        t["name"],
        str(t["points"]),
        *(_percent(t[k], t) for k in keys),
        "" if t["coverage_90"] is None else f"{100 * t['coverage_90']:.0f} %",
        "" if regret is None else f"{100 * regret:.1f} %",
    )


def _percent(value: float, test: dict[str, Any]) -> str:
    return f"{100 * value:.1f} %" if test["error"] == "relative" else f"{value:.3f}"
