"""`python -m howspec.calibrate.campaign`: a campaign with a line of log every half minute.

Needs torch, transformers and what these need, nothing else: for machines that have no more.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from .presets import CAMPAIGNS
from .runner import RESUME, call_campaign, plan_campaign

LOG_S = 30.0


class Log:
    """Lines with the seconds since the start; of progress one each half minute, with time left."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.what, self.first, self.first_s, self.said_s = "", 0, 0.0, 0.0

    def say(self, line: str) -> None:
        print(f"{time.monotonic() - self.begun:7.0f} s  {line}", file=sys.stderr, flush=True)

    def report(self, what: str, done: int, total: int) -> None:
        now_s = time.monotonic()
        if what != self.what:
            self.what, self.first, self.first_s, self.said_s = what, done, now_s, now_s
        elif now_s - self.said_s >= LOG_S and done > self.first:
            left_s = (total - done) * (now_s - self.first_s) / (done - self.first)
            self.say(f"{what}: {done:,} of {total:,}, {left_s:.0f} s left")
            self.said_s = now_s


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m howspec.calibrate.campaign")
    parser.add_argument("name", choices=sorted(CAMPAIGNS))
    parser.add_argument("--out", type=Path, required=True, help="folder of the campaign")
    parser.add_argument("--text", type=Path, help="folder of texts for the family")
    parser.add_argument("--family", type=Path, help="folder of a trained family to use")
    parser.add_argument("--records", type=Path, help="second folder that the records are copied to")
    parser.add_argument("--plan", action="store_true", help="print the stages and run nothing")
    parser.add_argument("--dry-run", action="store_true", help="every stage on tiny models")
    parser.add_argument("--stage", help="the one stage to run")
    parser.add_argument("--stages", type=int, help="how many stages to run in this call")
    parser.add_argument("--stage-seconds", type=float)
    parser.add_argument("--call-seconds", type=float)
    return parser


def main() -> int:
    """Run the call; the exit status: 0, 2 for bad input, 130 when interrupted."""
    given = _parser().parse_args()
    log = Log()
    try:
        if given.plan:
            stages = plan_campaign(given.name, given.out, only=given.stage, dry_run=given.dry_run)
            for stage in stages:
                print(json.dumps(stage, allow_nan=False))
            return 0
        run = call_campaign(
            given.name,
            given.out,
            text=given.text,
            family=given.family,
            copies=given.records,
            only=given.stage,
            most=given.stages,
            stage_s=given.stage_seconds,
            call_s=given.call_seconds,
            dry_run=given.dry_run,
            report=log.report,
            say=log.say,
        )
    except KeyboardInterrupt:
        print(f"howspec: {RESUME}", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print("howspec: " + " ".join(str(error).split()), file=sys.stderr)
        return 2
    left = ", ".join(run.left)
    log.say("complete" if run.complete else f"to do: {left}; run the same command again")
    for name, size in run.files.items():
        log.say(f"{name}: {size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
