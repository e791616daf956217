"""All records of a sweep as one, for the library.

    python bundle.py OUT library/NAME-served.json.gz

Waves of plain decoding are numbered on from start to start of the server, which they tell. What a
server was started with is left out: a command names files of one machine, and draft and gamma stand
in the points.
"""

from __future__ import annotations

import sys
from pathlib import Path

from howspec.calibrate.records import Record, read_record, write_record
from howspec.calibrate.records.provenance import runs_of


def bundled(out: Path) -> Record:
    """One record of kind "serving" of all configurations, plain decoding first."""
    folders = sorted(f for f in out.iterdir() if f.is_dir() and f.name not in ("plain", "counted"))
    files = [*sorted((out / "plain").glob("start*.json"))]
    files += [file for f in folders for file in sorted(f.glob("k*.json"))]
    records = [read_record(f) for f in files]
    points, waves = [], {}
    for record in records:
        first = dict(waves)
        for p in record.points:
            what = (p["draft"], p["method"], p["gamma"], p["batch"])
            wave = first.get(what, 0) + p["wave"]
            waves[what] = wave + 1
            points.append({**p, "wave": wave, "start": first.get(what, 0)})
    head = records[0]
    server = {k: head.provenance["server"][k] for k in ("engine", "version", "flags")}
    runs = [run for r in records for run in runs_of(r.provenance)]
    provenance = {**head.provenance, "server": server, "runs": runs}
    return Record(head.kind, head.settings, provenance, tuple(points))


if __name__ == "__main__":
    record = bundled(Path(sys.argv[1]))
    write_record(record, Path(sys.argv[2]))
    print(f"{len(record.points)} waves of {len(record.provenance['runs'])} runs")
