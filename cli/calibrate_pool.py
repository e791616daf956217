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
    from ..calibrate.records import pool_files

    found = pool_files(files, out)
    if as_json:
        print_json({"record": out, "runs": len(files), "points": len(found.points)})
        return
    print(f"{out}: {len(found.points)} points of {len(files)} runs")
