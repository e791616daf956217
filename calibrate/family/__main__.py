"""`python -m howspec.calibrate.family`: the training with a line of log every half minute."""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

from .build import train_family
from .shapes import PRESETS

LOG_S = 30.0


class Log:
    """Lines with model, tokens, loss, speed and the time left for the model."""

    def __init__(self) -> None:
        self.model, self.tokens, self.at = "", 0, -math.inf
        self.begun = time.monotonic()

    def say(self, line: str) -> None:
        """Print a line with the seconds since the start."""
        print(f"{time.monotonic() - self.begun:7.0f} s  {line}", flush=True)

    def progress(self, done: int, total: int, text: str) -> None:
        """Take in the tokens done of the tokens in all, and print a line now and then."""
        model, now = text.split()[0], time.monotonic()
        if model != self.model:
            self.model, self.tokens, self.at = model, done, now
        elif now - self.at >= LOG_S:
            speed = (done - self.tokens) / (now - self.at)
            left_s = (total - done) / speed
            self.say(
                f"{text}  {done:,}/{total:,} tokens  {speed:,.0f} tokens/s  {left_s:.0f} s left"
            )
            self.tokens, self.at = done, now


def main() -> int:
    """Run the training; the exit status: 0, 2 for bad input, 130 when interrupted."""
    parser = argparse.ArgumentParser(prog="python -m howspec.calibrate.family")
    parser.add_argument("--preset", choices=sorted(PRESETS), default="cpu")
    parser.add_argument("--text", type=Path, help="folder of texts, beside the standard library")
    parser.add_argument("--out", type=Path, required=True, help="folder of the family")
    parser.add_argument("--order", nargs="*", help="models to train first; else largest first")
    parser.add_argument("--stage-seconds", type=float, default=math.inf, help="stop after so long")
    given = parser.parse_args()
    log = Log()
    try:
        run = train_family(
            given.out,
            given.preset,
            text=given.text,
            order=given.order,
            stage_s=given.stage_seconds,
            progress=log.progress,
            say=log.say,
        )
    except KeyboardInterrupt:
        print(
            "howspec: interrupted: the same command goes on from its last checkpoint",
            file=sys.stderr,
        )
        return 130
    except (ValueError, OSError) as error:
        print("howspec: " + " ".join(str(error).split()), file=sys.stderr)
        return 2
    for line in run.disorder:
        log.say(line)
    log.say("complete" if run.complete else f"{len(run.missing)} models to go: run it again")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
