"""`howspec calibrate pool`: cost records of several runs as one."""

from __future__ import annotations

from typing import Annotated

import typer

from .output import print_json


def pool(
    files: Annotated[list[str], typer.Argument(help="Cost records of one machine and its models.")],
    out: Annotated[str, typer.Option(help="File of the pooled record, .json or .json.gz.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Pool cost records of several runs: a shared machine is not the same an hour later.

    The repeats of every point are put behind one another, and predictions take their spread from
    what the runs differ by.

    Example:

    howspec calibrate pool morning.json noon.json evening.json --out costs.json
    """
    from pathlib import Path

    from ..calibrate.records import pool as pooled
    from ..calibrate.records import read_record, write_record

    if not out.endswith((".json", ".json.gz")):
        raise ValueError(f"--out must be a .json or .json.gz file, given {out}")
    if Path(out).resolve() in {Path(file).resolve() for file in files}:
        raise ValueError(f"--out must be another file than those that are pooled, given {out}")
    found = pooled([read_record(file) for file in files])
    path = write_record(found, Path(out))
    if as_json:
        print_json({"record": str(path), "runs": len(files), "points": len(found.points)})
        return
    print(f"{path}: {len(found.points)} points of {len(files)} runs")
