"""What a sweep of a real server says of howspec.

    python judge.py OUT [--target MODEL --models NAME=MODEL ... --stack serving]

Reads what sweep.py measured. Prints (1) whether the counts of a record are those that `import`
reads in the server's own metrics; (2) by how much a new start of the server changes its speed; (3)
from plain decoding and 3 draft tokens alone, the speed-ups at all other numbers of draft tokens:
mean error, bias and coverage of the 90 % interval; (4) with --target, the search of `howspec tune`
against the whole sweep, replayed ten times on resampled waves: regret and share of the time.
--models: what a draft of the sweep is predicted from, a configuration's folder or a name.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import howspec
import numpy as np
from howspec.calibrate.doors import Deployment
from howspec.calibrate.serving import served_of
from howspec.calibrate.serving.served import Wave
from howspec.figures.validation.result import Point as TruthPoint
from howspec.figures.validation.served import served_test, tokens_per_s
from howspec.sim.tune.belief import Point, Seen
from howspec.sim.tune.prior import believed
from howspec.sim.tune.tuning import start_and_load, tune

SEEDS = 10


def counts(out: Path) -> None:
    """Records and what `import` reads in the metrics of the same requests."""
    for file in sorted((out / "counted").glob("*/k*.json")):
        record = json.loads(file.read_text())
        points = record["points"]
        own = [sum(p[n] or 0 for p in points) for n in ("rounds", "drafted", "accepted")]
        rows = [p["accepted_by_position"] or [0] * p["gamma"] for p in points]
        places = np.sum(rows, axis=0).tolist()
        read = howspec.read_statistics(file.with_suffix(".metrics"))
        same = [read.rounds or 0, read.drafted or 0, read.accepted or 0] == own
        same &= read.per_position_accepted in (None, tuple(places))
        print(
            f"counts {file.parent.name}: {'equal' if same else f'UNEQUAL: import {read}'}; record "
            f"{own}, by position {places}, tokens per step {1.0 + own[2] / max(own[0], 1):.3f}"
        )


def starts(out: Path) -> None:
    """ln tokens/s of plain decoding from start to start."""
    speeds: dict[int, list[float]] = {}
    within: dict[int, list[float]] = {}
    for file in sorted((out / "plain").glob("start*.json")):
        served = served_of(file)
        assert served is not None
        for batch, waves in served.plain().items():
            speeds.setdefault(batch, []).append(np.log(tokens_per_s(waves)))
            logs = [np.log(tokens_per_s([w])) for w in waves]
            within.setdefault(batch, []).append(float(np.var(logs, ddof=1)) / len(logs))
    for batch, logs in speeds.items():
        if len(logs) > 1:
            spread, noise = float(np.var(logs, ddof=1)), float(np.mean(within[batch]))
            between = max(spread - noise, 0.0) ** 0.5
            print(
                f"starts, batch {batch}: {len(logs)}, spread of ln speed {spread**0.5:.4f}, of it "
                f"waves {noise**0.5:.4f}, between starts {between:.4f}"
            )


def predictions(out: Path) -> None:
    """What plain decoding and 3 draft tokens say of the other configurations of each draft."""
    points: list[TruthPoint] = []
    regrets: list[float] = []
    for folder in sorted(out.iterdir()):
        served = served_of(folder) if folder.is_dir() else None
        if served is not None and folder.name not in ("plain", "counted"):
            test = served_test(served)
            points += test.points
            regrets += test.regret
    for p in points:
        print(
            f"{p.label}: measured {p.observed:.3f}, predicted {p.predicted:.3f} "
            f"({p.low:.3f}-{p.high:.3f}){'' if p.inside else '  outside'}"
        )
    if points:
        errors = np.array([p.predicted / p.observed - 1.0 for p in points])
        inside = np.mean([p.inside for p in points])
        print(
            f"{len(points)} points: mean error {100 * np.abs(errors).mean():.1f} %, bias "
            f"{100 * errors.mean():+.1f} %, in the 90 % interval {100 * inside:.0f} %; regret mean "
            f"{100 * np.mean(regrets):.1f} %, worst {100 * np.max(regrets):.1f} %"
        )


def replay(
    out: Path, target: str, models: dict[str, str], *, device: str, stack: str, start: float,
    load: float,
) -> None:  # fmt: skip
    """`howspec tune` on the sweep: each measurement is one of its points, waves drawn anew.

    start, load: minutes that a start of the server and a load take.
    """
    table: dict[Point, list[Wave]] = {}
    for name in models:
        served = served_of(out / name) if (out / name).is_dir() else None
        if served is None:
            print(f"tune: {name} is not measured yet")
            return
        levels = [("", 0, served.plain())]
        levels += [(name, g, by_batch) for g, by_batch in served.of_draft().items()]
        for draft, gamma, by_batch in levels:
            for batch, waves in by_batch.items():
                table[Point(draft, gamma, batch)] = waves
    batches = sorted({p.batch for p in table})
    gammas = sorted({p.gamma for p in table if p.gamma})
    truth = {p: np.log(tokens_per_s(w)) for p, w in table.items()}
    regrets, shares = [], []
    for seed in range(SEEDS):
        rng = np.random.default_rng([11, seed])
        at = Deployment(target, device=device, stack=stack, context=128.0)
        belief, *_ = believed(at, list(models.values()), batches=batches, gammas=gammas, seed=seed)
        short = dict(zip(belief.drafts, models, strict=True)) | {"": ""}

        def measure(point: Point, rng: np.random.Generator = rng, short: dict = short) -> Seen:
            waves = table[Point(short[point.draft], point.gamma, point.batch)]
            drawn = [waves[i] for i in rng.integers(len(waves), size=len(waves))]
            steps = sum(w.steps or 0 for w in drawn)
            length = 1.0 + sum(w.accepted or 0 for w in drawn) / steps if point.gamma else None
            return Seen(point, tokens_per_s(drawn), length)

        found = tune(
            belief, measure, minutes=start_and_load(start, load), tolerance=0.02, seed=seed
        )
        chosen = found.chosen
        mine = np.mean([
            truth[Point(short[chosen.draft] if g else "", g, b)] for b, g in chosen.gammas.items()
        ])  # fmt: skip
        best = max(
            np.mean([max(truth[Point("", 0, b)], *(truth[Point(d, g, b)] for g in gammas))
                     for b in batches])
            for d in models
        )  # fmt: skip
        whole = start * (1 + len(models) * len(gammas)) + load * len(table)
        regrets.append(1.0 - np.exp(mine - best))
        shares.append(found.minutes / whole)
    print(
        f"tune, {SEEDS} seeds: regret mean {100 * np.mean(regrets):.1f} %, worst "
        f"{100 * np.max(regrets):.1f} %; share of the sweep's time mean {np.mean(shares):.2f}, "
        f"worst {np.max(shares):.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--target")
    parser.add_argument("--device", default="bandwidth=20,memory=16,fp16=0.2")
    parser.add_argument("--stack", default="llama.cpp", help="serving for vLLM")
    parser.add_argument("--start-minutes", type=float, default=0.05)
    parser.add_argument("--load-minutes", type=float, default=0.2)
    parser.add_argument("--models", action="append", default=[], help="NAME=MODEL")
    given = parser.parse_args()
    counts(given.out)
    starts(given.out)
    predictions(given.out)
    if given.target:
        models = dict(m.split("=", 1) for m in given.models)
        replay(
            given.out, given.target, models, device=given.device, stack=given.stack,
            start=given.start_minutes, load=given.load_minutes,
        )  # fmt: skip


if __name__ == "__main__":
    main()
